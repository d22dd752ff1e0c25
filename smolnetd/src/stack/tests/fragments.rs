//! Stories of packets that are cut and put together, and of paths that carry less than their link.

use core::net::IpAddr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv6Packet, IpProtocol};

use super::wire::{A, A6, B, B6, End, MAC_A, MAC_B, Wire, at};
use crate::fragment::{IPV6_TIMEOUT, MAX_BYTES, MAX_DATAGRAMS};
use crate::ip::{Incoming, Outgoing, v6};
use crate::socket::{SocketId, SocketKind};

/// Where the IP header begins in a frame.
const IP: usize = 14;

pub(super) fn data(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// A socket of that end, bound to that address and port.
pub(super) fn bound(wire: &mut Wire, end: End, address: IpAddr, port: u16) -> SocketId {
    let now = wire.now;
    let host = wire.host(end);
    let id = host.open(SocketKind::Udp);
    host.stack.bind(now, id, at(address, port)).unwrap();
    id
}

/// An IPv6 packet from B to A, in a frame.
fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (B6, A6) else {
        panic!("addresses of IPv6")
    };
    let header = Outgoing::V6(v6::Header {
        source,
        destination,
        protocol: protocol.into(),
        traffic_class: 0,
        hop_limit: 64,
        flow_label: 0,
    });
    let mut packet = vec![0; header.length() + payload.len()];
    header.write(&mut packet).copy_from_slice(payload);
    [&MAC_A[..], &MAC_B, &[0x86, 0xdd], &packet].concat()
}

/// A fragment header and what follows it.
fn fragment(next: u8, offset: u16, more: bool, identification: u32, data: &[u8]) -> Vec<u8> {
    let [a, b] = (offset | u16::from(more)).to_be_bytes();
    let [c, d, e, f] = identification.to_be_bytes();
    [&[next, 0, a, b, c, d, e, f], data].concat()
}

#[test]
fn the_largest_datagrams_of_both_families_arrive_on_the_cable_and_at_home() {
    let mut wire = Wire::dual();
    for (own, peer, largest) in [(A, B, 65_507), (A6, B6, 65_527)] {
        let home = bound(&mut wire, End::A, own, 7);
        let away = bound(&mut wire, End::B, peer, 7);
        let client = wire.a.open(SocketKind::Udp);
        // Neighbours must be known: of what waits for that there may be few.
        wire.a
            .send(wire.now, client, b"hello", Some(at(peer, 7)))
            .unwrap();
        wire.run_for(Duration::from_millis(10));
        assert!(wire.b.receive(wire.now, away).is_ok());
        for length in [1472, 1473, 4000, largest] {
            let data = data(length);
            for (to, end, id) in [(peer, End::B, away), (own, End::A, home)] {
                assert_eq!(
                    wire.a.send(wire.now, client, &data, Some(at(to, 7))),
                    Ok(length)
                );
                wire.run_for(Duration::from_millis(20));
                let now = wire.now;
                let received = wire.host(end).receive(now, id);
                assert!(
                    received.is_ok_and(|(got, _)| got == data),
                    "{length} bytes to {to}"
                );
            }
        }
        let too_long = wire
            .a
            .send(wire.now, client, &data(largest + 1), Some(at(peer, 7)));
        assert_eq!(too_long, Err(crate::error::SocketError::MessageTooLong));
    }
    // IPv6's header is longer, so that all four are cut; only the largest is too long even for the loopback link.
    assert_eq!(wire.b.counter("fragment.reassembled"), 3 + 4);
    assert_eq!(wire.a.counter("fragment.reassembled"), 1);
}

#[test]
fn rfc8200_4_5_who_sent_what_never_became_whole_is_told_after_a_minute() {
    let mut wire = Wire::dual();
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, client, at(B6, 7)).unwrap();
    let _server = bound(&mut wire, End::B, B6, 7);
    wire.a.send(wire.now, client, b"hello", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    // The cable loses all but the first fragment.
    wire.weather(|frame| {
        let packet = Incoming::parse(&frame[IP..]).ok();
        packet
            .and_then(|packet| packet.fragment)
            .is_none_or(|fragment| fragment.offset == 0)
    });
    wire.a.send(wire.now, client, &data(4000), None).unwrap();
    wire.listen();
    wire.run_for(IPV6_TIMEOUT - Duration::from_secs(1));
    let told = |wire: &mut Wire| {
        let taken = wire.taken();
        let errors = taken
            .iter()
            .filter(|(end, _)| *end == End::B)
            .filter_map(|(_, frame)| {
                let packet = Incoming::parse(&frame[IP..]).ok()?;
                let message = packet.payload.first_chunk::<2>()?;
                (IpProtocol::from(packet.protocol) == IpProtocol::Icmpv6 && message[0] < 128)
                    .then_some(*message)
            });
        errors.collect::<Vec<_>>()
    };
    assert_eq!(told(&mut wire), Vec::<[u8; 2]>::new());
    wire.run_for(Duration::from_secs(2));
    assert_eq!(
        told(&mut wire),
        [[3, 1]],
        "time exceeded, fragment reassembly"
    );
    assert_eq!(wire.b.counter("fragment.timed_out"), 1);
    assert!(
        wire.a.heard_of(client),
        "the socket that sent it hears of it"
    );
}

#[test]
fn a_datagram_of_more_pieces_than_the_ring_has_slots_leaves_in_turns() {
    let mut wire = Wire::dual();
    let server = bound(&mut wire, End::B, B, 7);
    let client = wire.a.open(SocketKind::Udp);
    wire.a
        .send(wire.now, client, b"hello", Some(at(B, 7)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));
    assert!(wire.b.receive(wire.now, server).is_ok());
    wire.a.set_ring_capacity(4);
    let first = data(20_000);
    assert_eq!(
        wire.a.send(wire.now, client, &first, Some(at(B, 7))),
        Ok(20_000)
    );
    let second = wire.a.send(wire.now, client, &data(9000), Some(at(B, 7)));
    assert_eq!(
        second,
        Err(crate::error::SocketError::WouldBlock),
        "one at a time"
    );
    wire.run_until("room", |wire| wire.a.heard_of(client));
    wire.run_for(Duration::from_millis(10));
    assert!(wire.b.receive(wire.now, server).unwrap().0 == first);
    assert_eq!(wire.a.counter("fragment.held_back"), 1);
    assert_eq!(
        wire.a.send(wire.now, client, &data(9000), Some(at(B, 7))),
        Ok(9000)
    );
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0.len(), 9000);
}

#[test]
fn rfc6946_4_an_atomic_fragment_is_no_fragment_and_disturbs_none() {
    let mut wire = Wire::dual();
    let id = bound(&mut wire, End::A, A6, 5000);
    let mut datagram = vec![0; 8 + 24];
    crate::socket::udp::write(&mut datagram, at(B6, 7), at(A6, 5000), &data(24));
    let pieces = [(0, true, &datagram[..16]), (16, false, &datagram[16..])];
    let [first, last] =
        pieces.map(|(offset, more, data)| frame(44, &fragment(17, offset, more, 9, data)));
    wire.inject(End::A, first);
    wire.inject(End::A, frame(44, &fragment(17, 0, false, 9, &datagram)));
    wire.inject(End::A, last);
    wire.run_for(Duration::from_millis(10));
    for _ in 0..2 {
        assert_eq!(wire.a.receive(wire.now, id).unwrap().0, data(24));
    }
    assert_eq!(
        (
            wire.a.counter("ip.atomic_fragment"),
            wire.a.counter("fragment.reassembled")
        ),
        (1, 1)
    );
}

#[test]
fn fragments_in_fragments_are_dropped() {
    let mut wire = Wire::dual();
    let inner = fragment(17, 0, true, 2, &data(64));
    for (offset, more, part) in [(0, true, &inner[..40]), (40, false, &inner[40..])] {
        wire.inject(End::A, frame(44, &fragment(44, offset, more, 1, part)));
    }
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.a.counter("fragment.nested"), 1);
    assert_eq!(wire.a.counter("fragment.received"), 2);
}

#[test]
fn rfc6980_5_neighbour_discovery_in_fragments_is_not_heard() {
    let mut wire = Wire::dual();
    // A neighbour advertisement, as if for B, with another Ethernet address.
    let IpAddr::V6(target) = B6 else {
        panic!("{B6}")
    };
    let mut message = [
        &[136, 0, 0, 0, 0x60, 0, 0, 0][..],
        &target.octets(),
        &[2, 1, 2, 0, 0, 0, 0, 0x66],
    ]
    .concat();
    if let (IpAddr::V6(source), IpAddr::V6(destination)) = (B6, A6) {
        Icmpv6Packet::new_unchecked(&mut message).fill_checksum(&source, &destination);
    }
    let before = wire.a.counter("icmp.ignored");
    for (offset, more, part) in [(0, true, &message[..16]), (16, false, &message[16..])] {
        wire.inject(End::A, frame(44, &fragment(58, offset, more, 1, part)));
    }
    wire.run_for(Duration::from_millis(10));
    assert_eq!(
        (
            wire.a.counter("fragment.reassembled"),
            wire.a.counter("icmp.ignored")
        ),
        (1, before + 1)
    );
    let neighbours: Vec<_> = wire
        .a
        .stack
        .link(wire.a.link)
        .unwrap()
        .neighbours(wire.now)
        .collect();
    assert!(
        neighbours
            .iter()
            .all(|neighbour| neighbour.mac != Some([2, 0, 0, 0, 0, 0x66])),
        "{neighbours:?}"
    );
}

#[test]
fn rfc8200_4_5_and_rfc7112_5_what_is_wrong_with_a_fragment_is_told() {
    let mut wire = Wire::dual();
    wire.listen();
    wire.inject(End::A, frame(44, &fragment(17, 0, true, 1, &data(20))));
    wire.inject(
        End::A,
        frame(44, &fragment(17, 65_528, false, 2, &data(64))),
    );
    wire.inject(End::A, frame(44, &fragment(6, 0, true, 3, &data(16))));
    wire.run_for(Duration::from_millis(10));
    let problems: Vec<_> = wire
        .taken()
        .iter()
        .filter(|(end, _)| *end == End::A)
        .filter_map(|(_, frame)| {
            Incoming::parse(&frame[IP..])
                .ok()?
                .payload
                .first_chunk::<8>()
                .copied()
        })
        .filter(|message| message[0] == 4)
        .map(|message| (message[1], message[7]))
        .collect();
    assert_eq!(problems, [(0, 4), (0, 42), (3, 0)], "code and pointer");
}

#[test]
fn a_hundred_thousand_fragments_and_a_connection_that_does_not_notice() {
    let mut wire = Wire::dual();
    let server = wire.b.open(SocketKind::Tcp);
    wire.b.stack.bind(wire.now, server, at(B6, 80)).unwrap();
    wire.b.stack.listen(server, 1).unwrap();
    let client = wire.a.open(SocketKind::Tcp);
    wire.a.stack.connect(wire.now, client, at(B6, 80)).unwrap();
    wire.run_for(Duration::from_millis(10));
    let accepted = wire.b.stack.accept(server).unwrap();
    let body = data(1200);
    let (mut sent, mut received) = (0, 0);
    for number in 0..100_000_u32 {
        let mut frame = frame(44, &fragment(17, 8, true, number, &body));
        // Everybody in the world sends some.
        frame[IP + 8..IP + 16].copy_from_slice(&[
            0x20,
            1,
            0xd,
            0xb8,
            0,
            0,
            (number >> 8) as u8,
            number as u8,
        ]);
        wire.a
            .stack
            .handle_frame(wire.now, wire.a.link, &frame, &mut wire.a.ring);
        if number % 1000 == 0 {
            sent += wire.a.send(wire.now, client, &body, None).unwrap_or(0);
            wire.run_for(Duration::from_millis(2));
            received += wire
                .b
                .receive(wire.now, accepted)
                .map_or(0, |(data, _)| data.len());
        }
    }
    wire.run_for(Duration::from_millis(100));
    received += wire
        .b
        .receive(wire.now, accepted)
        .map_or(0, |(data, _)| data.len());
    assert_eq!((sent, received), (100 * 1200, 100 * 1200));
    assert_eq!(wire.a.counter("tcp.retransmit_timeouts"), 0);
    let reassembly = &wire.a.stack.network.reassembly;
    assert!(reassembly.bytes() <= MAX_BYTES && reassembly.len() == MAX_DATAGRAMS);
    let end: Instant = wire.now + IPV6_TIMEOUT;
    wire.run_for(end - wire.now);
    assert_eq!(wire.a.stack.network.reassembly.bytes(), 0);
}
