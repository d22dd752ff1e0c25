//! Messages of router discovery (RFC 4861 section 4, RFC 4191 section 2, RFC 8106 section 5), as a host writes and
//! reads them.

use core::net::Ipv6Addr;

use smoltcp::wire::{EthernetAddress, Icmpv6Packet, IpProtocol, Ipv6Packet};

use super::AutoconfCounters;
use crate::link::ipv6::packet::{ALL_ROUTERS, Envelope};
use crate::link::ndp::wire::{HOP_LIMIT, Options, push_option};
use crate::route::Preference;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;
/// Bytes of a Router Advertisement and of a Redirect before their options (RFC 4861 sections 4.2 and 4.5).
const ADVERTISEMENT_LENGTH: usize = 16;
const REDIRECT_LENGTH: usize = 40;

/// Kinds of options.
pub(super) mod option {
    pub(in crate::link::autoconf) const SOURCE_LINK_ADDRESS: u8 = 1;
    pub(in crate::link::autoconf) const PREFIX_INFORMATION: u8 = 3;
    pub(in crate::link::autoconf) const MTU: u8 = 5;
    /// RFC 4191 section 2.3.
    pub(in crate::link::autoconf) const ROUTE_INFORMATION: u8 = 24;
    /// RFC 8106 section 5.1.
    pub(in crate::link::autoconf) const RDNSS: u8 = 25;
    /// RFC 8106 section 5.2.
    pub(in crate::link::autoconf) const DNSSL: u8 = 31;
}

/// Why a message was dropped: the counter it falls under.
pub(super) type Reason = fn(&mut AutoconfCounters) -> &mut u64;

/// A Router Solicitation (RFC 4861 section 4.1) from `source`; from the unspecified address, it does not say who we
/// are.
pub(super) fn solicitation(source: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let mut message = vec![ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    if !source.is_unspecified() {
        push_option(&mut message, option::SOURCE_LINK_ADDRESS, mac);
    }
    let envelope = Envelope {
        source,
        destination: ALL_ROUTERS,
        hop_limit: HOP_LIMIT,
        router_alert: false,
    };
    envelope.wrap(&message)
}

/// What a router says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message<'p> {
    Advertisement(Advertisement<'p>),
    Redirect(Redirect),
}

/// Which messages are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Advertisement,
    Redirect,
}

/// Is this IPv6 packet a Router Advertisement or a Redirect? One behind an extension header is not: RFC 6980
/// section 5 forbids fragments, and no router has a use for the others.
pub(super) fn kind(packet: &[u8]) -> Option<Kind> {
    /// Where an IPv6 packet has its next header, and its payload.
    const NEXT_HEADER: usize = 6;
    const PAYLOAD: usize = 40;
    if packet.get(NEXT_HEADER).copied() != Some(IpProtocol::Icmpv6.into()) {
        return None;
    }
    match packet.get(PAYLOAD).copied() {
        Some(ROUTER_ADVERTISEMENT) => Some(Kind::Advertisement),
        Some(REDIRECT) => Some(Kind::Redirect),
        _ => None,
    }
}

/// Reads and checks a message: RFC 4861 sections 6.1.2 and 8.1. Options are well-formed when this succeeds.
pub(super) fn parse(kind: Kind, packet: &[u8]) -> Result<Message<'_>, Reason> {
    let ip = Ipv6Packet::new_checked(packet)
        .map_err(|_| -> Reason { |counters| &mut counters.nd_rx_too_short })?;
    // What comes over a router has less.
    if ip.hop_limit() != HOP_LIMIT {
        return Err(|counters| &mut counters.nd_rx_hop_limit);
    }
    let source = ip.src_addr();
    if !is_link_local(source) {
        return Err(|counters| &mut counters.nd_rx_bad_source);
    }
    let body = ip.payload();
    let length = match kind {
        Kind::Advertisement => ADVERTISEMENT_LENGTH,
        Kind::Redirect => REDIRECT_LENGTH,
    };
    let (fixed, options) = body
        .split_at_checked(length)
        .ok_or::<Reason>(|counters| &mut counters.nd_rx_too_short)?;
    if !Icmpv6Packet::new_unchecked(body).verify_checksum(&source, &ip.dst_addr()) {
        return Err(|counters| &mut counters.nd_rx_bad_checksum);
    }
    if fixed.get(1) != Some(&0) {
        return Err(|counters| &mut counters.nd_rx_bad_code);
    }
    // RFC 4861 section 6.1.2: none has length 0; and none is cut short.
    let options =
        Options::checked(options).ok_or::<Reason>(|counters| &mut counters.nd_rx_bad_option)?;
    match kind {
        Kind::Advertisement => Advertisement::read(source, fixed, options)
            .map(Message::Advertisement)
            .ok_or(|counters| &mut counters.nd_rx_too_short),
        Kind::Redirect => Redirect::read(source, fixed)
            .map(Message::Redirect)
            .ok_or(|counters| &mut counters.redirect_bad_address),
    }
}

/// A Router Advertisement (RFC 4861 section 4.2, RFC 4191 section 2.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Advertisement<'p> {
    pub(super) router: Ipv6Addr,
    /// 0 says nothing.
    pub(super) hop_limit: u8,
    /// Addresses (M) or other things (O) are to be had by DHCPv6. RFC 4861 section 4.2: M includes O.
    pub(super) other: bool,
    pub(super) preference: Preference,
    /// Seconds as a default router; 0 is not one.
    pub(super) lifetime: u16,
    /// Milliseconds; 0 says nothing.
    pub(super) reachable_time: u32,
    /// Milliseconds; 0 says nothing.
    pub(super) retransmit: u32,
    pub(super) options: Options<'p>,
}

impl<'p> Advertisement<'p> {
    fn read(router: Ipv6Addr, fixed: &[u8], options: Options<'p>) -> Option<Advertisement<'p>> {
        /// M and O.
        const DHCP_FLAGS: u8 = 0xc0;
        let (&[_, _, _, _, hop_limit, flags, l0, l1], times) = fixed.split_first_chunk()?;
        let (reachable_time, retransmit) = times.split_first_chunk()?;
        Some(Advertisement {
            router,
            hop_limit,
            other: flags & DHCP_FLAGS != 0,
            // RFC 4191 section 2.2: a reserved one counts as medium.
            preference: preference(flags).unwrap_or(Preference::Medium),
            lifetime: u16::from_be_bytes([l0, l1]),
            reachable_time: u32::from_be_bytes(*reachable_time),
            retransmit: u32::from_be_bytes(retransmit.try_into().ok()?),
            options,
        })
    }
}

/// The preference in the bits 0x18 of a byte; `None` is the reserved value.
fn preference(flags: u8) -> Option<Preference> {
    Preference::from_bits(flags >> 3)
}

/// A Redirect (RFC 4861 section 4.5) that is valid as far as the packet tells: only who knows the routes can say
/// whether `router` is the one that the packets to `destination` are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Who says so: link-local.
    pub router: Ipv6Addr,
    /// A better first hop: another router's link-local address, or `destination` itself, which is on the link.
    pub target: Ipv6Addr,
    /// To this host.
    pub destination: Ipv6Addr,
}

impl Redirect {
    /// RFC 4861 section 8.1: the addresses.
    fn read(router: Ipv6Addr, fixed: &[u8]) -> Option<Redirect> {
        let (_, addresses) = fixed.split_at_checked(8)?;
        let (target, destination) = addresses.split_first_chunk::<16>()?;
        let target = Ipv6Addr::from(*target);
        let destination = Ipv6Addr::from(<[u8; 16]>::try_from(destination).ok()?);
        let elsewhere = !(destination.is_multicast()
            || destination.is_unspecified()
            || destination.is_loopback()
            || is_link_local(destination));
        let better = target == destination || is_link_local(target) && target != router;
        (elsewhere && better).then_some(Redirect {
            router,
            target,
            destination,
        })
    }
}

/// fe80::/10 (RFC 4291 section 2.5.6).
pub(super) fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}

/// A Prefix Information option (RFC 4861 section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixInformation {
    pub(super) length: u8,
    /// L: addresses in it are on the link.
    pub(super) on_link: bool,
    /// A: addresses may be made in it.
    pub(super) autonomous: bool,
    /// Seconds.
    pub(super) valid: u32,
    /// Seconds.
    pub(super) preferred: u32,
    pub(super) prefix: Ipv6Addr,
}

impl PrefixInformation {
    /// `None` when the length is wrong.
    pub(super) fn read(value: &[u8]) -> Option<PrefixInformation> {
        let value: &[u8; 30] = value.try_into().ok()?;
        let (&[length, flags, v0, v1, v2, v3, p0, p1, p2, p3], rest) = value.split_first_chunk()?;
        let (_reserved, prefix) = rest.split_first_chunk::<4>()?;
        Some(PrefixInformation {
            length,
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            valid: u32::from_be_bytes([v0, v1, v2, v3]),
            preferred: u32::from_be_bytes([p0, p1, p2, p3]),
            prefix: Ipv6Addr::from(<[u8; 16]>::try_from(prefix).ok()?),
        })
    }
}

/// A Route Information option (RFC 4191 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteInformation {
    /// Bits, at most 128.
    pub(super) length: u8,
    /// `None` is the reserved value: the option is to be ignored.
    pub(super) preference: Option<Preference>,
    /// Seconds.
    pub(super) lifetime: u32,
    pub(super) prefix: Ipv6Addr,
}

impl RouteInformation {
    /// `None` when the length is wrong. The prefix may be left out as far as its length allows.
    pub(super) fn read(value: &[u8]) -> Option<RouteInformation> {
        let (&[length, flags, l0, l1, l2, l3], prefix) = value.split_first_chunk()?;
        let needed = match length {
            0 => 0,
            1..=64 => 8,
            65..=128 => 16,
            _ => return None,
        };
        if prefix.len() < needed || prefix.len() > 16 {
            return None;
        }
        let mut octets = [0; 16];
        octets
            .iter_mut()
            .zip(prefix)
            .for_each(|(to, from)| *to = *from);
        Some(RouteInformation {
            length,
            preference: preference(flags),
            lifetime: u32::from_be_bytes([l0, l1, l2, l3]),
            prefix: octets.into(),
        })
    }
}

/// The MTU in an MTU option (RFC 4861 section 4.6.4).
pub(super) fn mtu(value: &[u8]) -> Option<u32> {
    let [_, _, mtu @ ..] = *<&[u8; 6]>::try_from(value).ok()?;
    Some(u32::from_be_bytes(mtu))
}

/// The Ethernet address in a Source Link-Layer Address option (RFC 4861 section 4.6.1, RFC 2464 section 6): that of
/// one station.
pub(super) fn link_address(value: &[u8]) -> Option<[u8; 6]> {
    let mac: [u8; 6] = value.try_into().ok()?;
    (EthernetAddress(mac).is_unicast() && mac != [0; 6]).then_some(mac)
}

/// The lifetime in seconds of an RDNSS or DNSSL option, and what follows it.
pub(super) fn dns(value: &[u8]) -> Option<(u32, &[u8])> {
    let (&[_, _, l0, l1, l2, l3], rest) = value.split_first_chunk()?;
    Some((u32::from_be_bytes([l0, l1, l2, l3]), rest))
}
