//! IPv6 packets of the link's own (RFC 8200): the ICMPv6 messages that neighbour discovery and multicast listener
//! discovery consist of.

use core::net::Ipv6Addr;

use smoltcp::wire::{IpProtocol, checksum};

/// Bytes of an IPv6 header.
pub(in crate::link) const HEADER_LENGTH: usize = 40;
/// RFC 4291 section 2.7.1: every node on the link.
pub(in crate::link) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// RFC 4291 section 2.7.1: every router on the link.
pub(in crate::link) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

const HOP_BY_HOP: u8 = 0;
const ICMPV6: u8 = 58;
/// RFC 2711 section 2.1: a router alert of value 0 (multicast listener discovery), padded to eight bytes (RFC 8200
/// section 4.2), behind which an ICMPv6 message stands.
const ROUTER_ALERT_HEADER: [u8; 8] = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];
/// The option's type.
const ROUTER_ALERT: u8 = 5;
/// RFC 8200 section 4.2: the one option without a length.
const PAD1: u8 = 0;

/// An ICMPv6 message that stands right behind the IPv6 header, or behind one hop-by-hop header. What hides behind
/// others (fragments above all, RFC 6980) is no business of the link.
#[derive(Clone, Copy, Debug)]
pub(in crate::link) struct Icmpv6<'p> {
    pub(in crate::link) source: Ipv6Addr,
    pub(in crate::link) destination: Ipv6Addr,
    pub(in crate::link) hop_limit: u8,
    /// Is there a router alert option (RFC 2711)?
    pub(in crate::link) router_alert: bool,
    /// The message, from its type on; never empty.
    pub(in crate::link) message: &'p [u8],
}

impl<'p> Icmpv6<'p> {
    /// Finds the message in a packet; `None` when there is none, or the packet is cut short.
    pub(in crate::link) fn find(packet: &'p [u8]) -> Option<Icmpv6<'p>> {
        let length = usize::from(u16::from_be_bytes(bytes_at(packet, 4)?));
        let end = HEADER_LENGTH.checked_add(length)?;
        let mut message = packet.get(HEADER_LENGTH..end)?;
        let mut next_header = *packet.get(6)?;
        let mut router_alert = false;
        if next_header == HOP_BY_HOP {
            let units = usize::from(*message.get(1)?).checked_add(1)?;
            let options = message.get(..units.checked_mul(8)?)?;
            next_header = *options.first()?;
            router_alert = has_router_alert(options.get(2..)?);
            message = message.get(options.len()..)?;
        }
        if next_header != ICMPV6 || message.is_empty() {
            return None;
        }
        Some(Icmpv6 {
            source: address_at(packet, 8)?,
            destination: destination(packet)?,
            hop_limit: *packet.get(7)?,
            router_alert,
            message,
        })
    }

    /// The type of the message.
    pub(in crate::link) fn kind(&self) -> u8 {
        self.message.first().copied().unwrap_or_default()
    }

    /// RFC 4443 section 2.3
    pub(in crate::link) fn has_good_checksum(&self) -> bool {
        sum(self.source, self.destination, self.message) == 0xffff
    }
}

/// What stands round an ICMPv6 message that leaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::link) struct Envelope {
    pub(in crate::link) source: Ipv6Addr,
    pub(in crate::link) destination: Ipv6Addr,
    pub(in crate::link) hop_limit: u8,
    pub(in crate::link) router_alert: bool,
}

impl Envelope {
    /// The whole packet; the checksum in `message` is filled in, and counts as zero before.
    pub(in crate::link) fn wrap(&self, message: &[u8]) -> Vec<u8> {
        let (next_header, extension): (u8, &[u8]) = match self.router_alert {
            true => (HOP_BY_HOP, &ROUTER_ALERT_HEADER),
            false => (ICMPV6, &[]),
        };
        let length = extension.len().saturating_add(message.len());
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([next_header, self.hop_limit]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(extension);
        let start = packet.len();
        packet.extend(message);
        let checksum = !sum(self.source, self.destination, message);
        if let Some(place) = packet.get_mut(start.saturating_add(2)..start.saturating_add(4)) {
            place.copy_from_slice(&checksum.to_be_bytes());
        }
        packet
    }
}

/// Where a packet goes; `None` when it is cut short.
pub(in crate::link) fn destination(packet: &[u8]) -> Option<Ipv6Addr> {
    address_at(packet, 24)
}

/// RFC 4291 section 2.7.1: the solicited-node group of an address.
pub(in crate::link) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    )
}

/// The address at `place` of a message; `None` when it is cut short.
pub(in crate::link) fn address_at(bytes: &[u8], place: usize) -> Option<Ipv6Addr> {
    bytes_at::<16>(bytes, place).map(Ipv6Addr::from)
}

/// The bytes at `place` of a message; `None` when it is cut short.
pub(in crate::link) fn bytes_at<const N: usize>(bytes: &[u8], place: usize) -> Option<[u8; N]> {
    bytes.get(place..)?.first_chunk().copied()
}

fn sum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    checksum::combine(&[
        checksum::pseudo_header_v6(&source, &destination, IpProtocol::Icmpv6, length),
        checksum::data(message),
    ])
}

/// Walks the options of a hop-by-hop header (RFC 8200 section 4.2).
fn has_router_alert(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        options = rest;
        if *kind == PAD1 {
            continue;
        }
        let [length, rest @ ..] = options else {
            return false;
        };
        if *kind == ROUTER_ALERT {
            return true;
        }
        options = rest.get(usize::from(*length)..).unwrap_or_default();
    }
    false
}
