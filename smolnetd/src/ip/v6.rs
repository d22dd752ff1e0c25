//! The IPv6 header (RFC 8200 section 3).

use core::net::Ipv6Addr;

use smoltcp::wire::{IpProtocol, Ipv6Packet};

use super::extension::Chain;
use super::{Incoming, Reason};

pub use super::extension::HEADER_LENGTH;

/// RFC 8200 section 5: what every link carries in bytes. Who has less cannot speak IPv6.
pub const MIN_MTU: u16 = 1280;

/// Checks a header. The hop limit does not matter to who is the destination (RFC 8200 3).
pub(super) fn parse(bytes: &[u8]) -> Result<Incoming<'_>, Reason> {
    let header = Ipv6Packet::new_checked(bytes)
        .map_err(|_| -> Reason { |counters| &mut counters.bad_length })?;
    let packet = bytes.get(..header.total_len()).unwrap_or(bytes);
    let chain = Chain::of(packet);
    Ok(Incoming {
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
        protocol: chain.protocol,
        hop_limit: header.hop_limit(),
        packet,
        payload: packet.get(chain.payload_at..).unwrap_or_default(),
        fragment: chain.fragment,
        atomic: chain.atomic,
        next_header_at: chain.named_at,
        problem: chain.problem,
    })
}

/// Gives a packet of the TCP engine's what the engine does not know: no checksum covers either.
pub(crate) fn complete(packet: &mut [u8], hop_limit: u8, label: impl FnOnce(&[u8]) -> u32) {
    // The addresses and, behind them, the ports: extension headers are none of TCP's.
    let Some(label) = packet.get(8..HEADER_LENGTH.saturating_add(4)).map(label) else {
        return;
    };
    let mut header = Ipv6Packet::new_unchecked(packet);
    header.set_flow_label(label & 0xf_ffff);
    header.set_hop_limit(hop_limit);
}

/// What an error quotes of a packet: its addresses, its protocol and what it carried, as far as they are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote<'p> {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
    pub(crate) protocol: u8,
    /// Of the whole packet.
    pub(crate) length: u16,
    pub(crate) payload: &'p [u8],
}

/// Reads the beginning of a packet, of which the rest may be missing. None if its upper protocol cannot be told.
pub(crate) fn quoted(bytes: &[u8]) -> Option<Quote<'_>> {
    let (header, _) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
    let header = Ipv6Packet::new_unchecked(header);
    if header.version() != 6 {
        return None;
    }
    let mut chain = Chain::of(bytes);
    if let Some(fragment) = chain.fragment {
        if fragment.offset != 0 {
            return None;
        }
        chain = chain.behind_fragment(bytes);
    }
    if chain.problem.is_some() || chain.fragment.is_some() {
        return None;
    }
    Some(Quote {
        source: header.src_addr(),
        destination: header.dst_addr(),
        protocol: chain.protocol,
        length: u16::try_from(header.total_len()).unwrap_or(u16::MAX),
        payload: bytes.get(chain.payload_at..).unwrap_or_default(),
    })
}

/// A copy of a packet without its extension headers.
pub(super) fn without_extensions(packet: &Incoming<'_>) -> Vec<u8> {
    let header = packet.packet.get(..HEADER_LENGTH).unwrap_or_default();
    let mut plain = [header, packet.payload].concat();
    let length = u16::try_from(packet.payload.len());
    if let (Some(header), Ok(length)) = (plain.get_mut(..HEADER_LENGTH), length) {
        let mut header = Ipv6Packet::new_unchecked(header);
        header.set_next_header(packet.protocol.into());
        header.set_payload_len(length);
    }
    plain
}

/// What a packet of our own carries in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Protocol.
    pub protocol: IpProtocol,
    /// Traffic class: RFC 2474's six bits and RFC 3168's two.
    pub traffic_class: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Flow label, 20 bits: the same for all packets of a flow, and not to be guessed (RFC 6437 3).
    pub flow_label: u32,
}

impl Header {
    pub(super) fn write<'p>(&self, packet: &'p mut [u8]) -> &'p mut [u8] {
        let length = packet.len().checked_sub(HEADER_LENGTH).map(u16::try_from);
        let (Some(Ok(length)), Some((header, payload))) =
            (length, packet.split_at_mut_checked(HEADER_LENGTH))
        else {
            return &mut [];
        };
        let mut header = Ipv6Packet::new_unchecked(header);
        header.set_version(6);
        header.set_traffic_class(self.traffic_class);
        header.set_flow_label(self.flow_label & 0xf_ffff);
        header.set_payload_len(length);
        header.set_next_header(self.protocol);
        header.set_hop_limit(self.hop_limit);
        header.set_src_addr(self.source);
        header.set_dst_addr(self.destination);
        payload
    }
}
