//! Frames for a hostile wire: what a lively minute brings, and how it is spoilt.

use core::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use smoltcp::time::Duration;
use smoltcp::wire::{
    Icmpv4Packet, Icmpv6Packet, IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

use super::wire::{A, A_LOCAL, A6, B, B_LOCAL, B6, End, Wire, at, on_eth0};
use crate::ip::Incoming;
use crate::socket::{SocketId, SocketKind};

const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Where the IP header begins in a frame, and where nothing of a header follows any more.
const IP: usize = 14;
const HEADERS_END: usize = IP + 40 + 24;

/// The frames that B sends to A in a lively minute: ARP and neighbour discovery; of both families echoes both ways,
/// datagrams whole and in fragments, an ICMP error, TCP.
pub(super) fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut wire = Wire::dual();
        wire.listen();
        lively(&mut wire);
        let frames: Vec<_> = wire
            .taken()
            .into_iter()
            .filter(|(end, _)| *end == End::B)
            .map(|(_, frame)| frame)
            .collect();
        assert!(frames.len() >= 8, "{} frames", frames.len());
        frames
    })
}

/// Opens sockets of every kind on A and has both sides talk, in both families. What listens is there for both.
pub(super) fn lively(wire: &mut Wire) -> Vec<SocketId> {
    let now = wire.now;
    let mut ids = Vec::new();
    let [udp, errors, raw, raw_v6, listener] = [
        SocketKind::Udp,
        SocketKind::IcmpUdpErrors,
        SocketKind::Raw(17),
        SocketKind::RawV6(58),
        SocketKind::Tcp,
    ]
    .map(|kind| wire.a.open(kind));
    for id in [udp, errors, raw, raw_v6] {
        wire.a.stack.bind(now, id, at(ANY_V6, 5000)).unwrap();
    }
    wire.a.stack.bind(now, listener, at(ANY_V6, 80)).unwrap();
    wire.a.stack.listen(listener, 4).unwrap();
    let server = wire.b.open(SocketKind::Tcp);
    wire.b.stack.bind(now, server, at(ANY_V6, 80)).unwrap();
    wire.b.stack.listen(server, 8).unwrap();
    ids.extend([udp, errors, raw, raw_v6, listener]);
    for (ours, theirs) in [(A, B), (A6, B6), (A_LOCAL, B_LOCAL)] {
        ids.extend(talk(wire, ours, theirs));
    }
    wire.run_for(Duration::from_millis(500));
    while let Ok(accepted) = wire.b.stack.accept(server) {
        wire.b
            .send(wire.now, accepted, b"HTTP/1.0 200 OK\r\n\r\n", None)
            .unwrap();
        wire.b.stack.close(wire.now, accepted);
    }
    wire.run_for(Duration::from_millis(500));
    ids
}

/// Has A and B talk, each from one of its addresses.
fn talk(wire: &mut Wire, ours: IpAddr, theirs: IpAddr) -> Vec<SocketId> {
    let now = wire.now;
    let [echo, udp, client, refused] = [
        SocketKind::IcmpEcho,
        SocketKind::Udp,
        SocketKind::Tcp,
        SocketKind::Tcp,
    ]
    .map(|kind| wire.a.open(kind));
    let stack = &mut wire.a.stack;
    stack.connect(now, echo, on_eth0(theirs, 0)).unwrap();
    stack.connect(now, client, on_eth0(theirs, 80)).unwrap();
    stack.connect(now, refused, on_eth0(theirs, 81)).unwrap();
    wire.a.send(now, echo, b"\0\x01echo", None).unwrap();
    wire.a
        .send(now, udp, b"nobody is there", Some(on_eth0(theirs, 9)))
        .unwrap();
    let [echo_back, datagram, caller] =
        [SocketKind::IcmpEcho, SocketKind::Udp, SocketKind::Tcp].map(|kind| wire.b.open(kind));
    wire.b
        .send(now, datagram, b"a datagram", Some(on_eth0(ours, 5000)))
        .unwrap();
    wire.b
        .send(now, echo_back, b"\0\x01who", Some(on_eth0(ours, 0)))
        .unwrap();
    // In three fragments.
    let large = [0x5a; 4000];
    let sent = wire
        .b
        .send(now, datagram, &large, Some(on_eth0(ours, 5000)));
    assert_eq!(sent, Ok(4000));
    wire.b
        .stack
        .connect(now, caller, on_eth0(ours, 80))
        .unwrap();
    wire.run_for(Duration::from_millis(50));
    for (end, id) in [(End::A, client), (End::B, caller)] {
        let now = wire.now;
        wire.host(end)
            .send(now, id, b"GET / HTTP/1.0\r\n\r\n", None)
            .unwrap();
    }
    vec![echo, udp, client, refused]
}

/// Where a frame is changed, and how its checksums are put right, so that more than the first check is met.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    frame: usize,
    changes: Vec<(usize, u8)>,
    length: Option<usize>,
    repair: bool,
}

pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    let change = (prop_oneof![IP..HEADERS_END, 0..400_usize], any::<u8>());
    (
        any::<usize>(),
        vec(change, 0..6),
        proptest::option::of(0..1600_usize),
        any::<bool>(),
    )
        .prop_map(|(frame, changes, length, repair)| Mutation {
            frame,
            changes,
            length,
            repair,
        })
}

pub(super) fn mutate(corpus: &[Vec<u8>], mutation: &Mutation) -> Vec<u8> {
    let mut frame = corpus[mutation.frame % corpus.len()].clone();
    if let Some(length) = mutation.length {
        frame.resize(length, 0x77);
    }
    for (place, value) in &mutation.changes {
        if let Some(byte) = frame.get_mut(*place) {
            *byte = *value;
        }
    }
    if mutation.repair {
        repair(&mut frame);
    }
    frame
}

/// Makes the length of the IP header and all checksums right, where the frame is long enough to have them.
pub(super) fn repair(frame: &mut [u8]) {
    match frame.get_mut(IP..) {
        Some(packet) if packet.len() >= 48 && packet[0] >> 4 == 6 => repair_v6(packet),
        Some(packet) if packet.len() >= 28 => repair_v4(packet),
        _ => (),
    }
}

/// Of what stands behind its extension headers.
fn repair_v6(packet: &mut [u8]) {
    let length = (packet.len() - 40) as u16;
    Ipv6Packet::new_unchecked(&mut *packet).set_payload_len(length);
    let Ok(read) = Incoming::parse(packet) else {
        return;
    };
    let (source, destination) = (read.source.into(), read.destination.into());
    let (protocol, at) = (read.protocol, packet.len() - read.payload.len());
    repair_payload(protocol, &mut packet[at..], (source, destination));
}

fn repair_v4(packet: &mut [u8]) {
    let length = packet.len() as u16;
    let mut ip = Ipv4Packet::new_unchecked(&mut *packet);
    ip.set_header_len(20);
    ip.set_total_len(length);
    ip.fill_checksum();
    let (source, destination, protocol) =
        (ip.src_addr(), ip.dst_addr(), u8::from(ip.next_header()));
    let ends = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
    repair_payload(protocol, &mut packet[20..], ends);
}

fn repair_payload(protocol: u8, payload: &mut [u8], ends: (IpAddress, IpAddress)) {
    let (source, destination) = ends;
    match (protocol, ends) {
        (1, _) if payload.len() >= 8 => Icmpv4Packet::new_unchecked(payload).fill_checksum(),
        (58, (IpAddress::Ipv6(source), IpAddress::Ipv6(destination))) if payload.len() >= 8 => {
            Icmpv6Packet::new_unchecked(payload).fill_checksum(&source, &destination);
        }
        (6, _) if payload.len() >= 20 => {
            TcpPacket::new_unchecked(payload).fill_checksum(&source, &destination);
        }
        (17, _) if payload.len() >= 8 => {
            let length = payload.len() as u16;
            let mut udp = UdpPacket::new_unchecked(payload);
            udp.set_len(length);
            udp.fill_checksum(&source, &destination);
        }
        _ => (),
    }
}
