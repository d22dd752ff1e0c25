//! Stories of fragments.

mod hostile;
mod random;
mod reassembly;
mod splitting;

use smoltcp::wire::{IpProtocol, Ipv4Address, Ipv4Packet, Ipv6Packet};

use super::*;
use crate::ip::v4;

pub(super) const ETH0: LinkId = LinkId(1);

pub(super) fn start() -> Instant {
    Instant::from_secs(100)
}

/// Bytes that say where they are.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// A UDP packet of either family with `length` bytes behind the IP header.
pub(super) fn packet(v4: bool, length: usize) -> Vec<u8> {
    let data = pattern(length);
    if v4 {
        packet_v4(&data)
    } else {
        packet_v6(&[], 17, &data)
    }
}

pub(super) fn packet_v4(data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 20 + data.len()];
    let header = v4::Header {
        source: Ipv4Address::new(10, 0, 0, 1),
        destination: Ipv4Address::new(10, 0, 0, 2),
        protocol: IpProtocol::Udp,
        traffic_class: 0,
        ttl: 64,
        identification: 0xbeef,
    };
    header.write(&mut packet).copy_from_slice(data);
    packet
}

/// `extensions` are headers, the first of which is named by `first`, that lead to a UDP header.
pub(super) fn packet_v6(extensions: &[u8], first: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    let mut header = Ipv6Packet::new_unchecked(&mut packet);
    header.set_version(6);
    header.set_hop_limit(64);
    header.set_payload_len((extensions.len() + data.len()) as u16);
    header.set_next_header(first.into());
    header.set_src_addr("2001:db8::1".parse().unwrap());
    header.set_dst_addr("2001:db8::2".parse().unwrap());
    packet.extend_from_slice(extensions);
    packet.extend_from_slice(data);
    packet
}

/// The fragments of a packet, as they are on the wire.
pub(super) fn fragments(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let pieces = split(packet, mtu, 0x1234_5678).expect("it can be cut");
    let write = |piece: &Piece<'_>| {
        let mut bytes = vec![0xa5; piece.length()];
        piece.write(&mut bytes);
        bytes
    };
    pieces.iter().map(write).collect()
}

/// Reads a fragment as the IP layer does.
pub(super) fn read(packet: &[u8]) -> Fragment<'_> {
    let incoming = Incoming::parse(packet).unwrap_or_else(|_| panic!("no packet: {packet:02x?}"));
    Fragment::of(ETH0, &incoming).expect("a fragment")
}

/// Takes the fragments in one after the other, and gives the packets that became whole.
pub(super) fn take_all<'p>(
    reassembly: &mut Reassembly,
    fragments: impl IntoIterator<Item = &'p Vec<u8>>,
) -> Vec<Vec<u8>> {
    let outcomes = fragments
        .into_iter()
        .map(|fragment| reassembly.take(start(), &read(fragment)));
    outcomes
        .filter_map(|outcome| match outcome {
            Outcome::Whole(packet) => Some(packet),
            _ => None,
        })
        .collect()
}

/// What is held, counted anew.
pub(super) fn check_account(reassembly: &Reassembly) {
    let numbers = reassembly.by_key.values();
    let costs = numbers
        .filter_map(|number| reassembly.datagrams.get(*number))
        .map(Datagram::cost);
    assert_eq!(reassembly.bytes, costs.sum::<usize>());
    assert_eq!(
        reassembly.bytes,
        reassembly.bytes_of.values().sum::<usize>()
    );
    assert!(
        reassembly
            .bytes_of
            .values()
            .all(|bytes| *bytes <= MAX_BYTES_PER_OWNER)
    );
    assert!(reassembly.bytes <= MAX_BYTES && reassembly.len() <= MAX_DATAGRAMS);
    assert_eq!(reassembly.by_key.len(), reassembly.len());
    assert_eq!(reassembly.ends.len(), reassembly.len());
}
