//! What a hostile wire and a hostile program can think of: nothing panics, nothing hangs, and the host goes on.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv4Packet, IpAddress, Ipv4Packet, TcpPacket, UdpPacket};

use super::wire::{A, B, End, MAC_A, Wire, at, cidr};
use crate::link::AddressOrigin;
use crate::ports::LinkId;
use crate::route::{Origin, RouteSpec, Selector};
use crate::socket::{How, OptionName, Owner, ReceiveFlags, SocketId, SocketKind, SocketOption};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// Where the IP header, and what follows it, begin in a frame.
const IP: usize = 14;
const TRANSPORT: usize = 34;

/// The frames that B sends to A in a lively minute: ARP, echoes both ways, datagrams, an ICMP error, TCP.
fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut wire = Wire::new();
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

/// Opens sockets of every kind on A and has both sides talk.
fn lively(wire: &mut Wire) -> Vec<SocketId> {
    let now = wire.now;
    let mut ids = Vec::new();
    for kind in [
        SocketKind::Udp,
        SocketKind::IcmpEcho,
        SocketKind::IcmpUdpErrors,
        SocketKind::Raw(17),
    ] {
        let id = wire.a.open(kind);
        let _ = wire.a.stack.bind(now, id, at(ANY, 5000));
        ids.push(id);
    }
    let (udp, echo) = (ids[0], ids[1]);
    wire.a.stack.connect(now, echo, at(B, 0)).unwrap();
    wire.a.send(now, echo, b"\0\x01echo", None).unwrap();
    wire.a
        .send(now, udp, b"nobody is there", Some(at(B, 9)))
        .unwrap();
    let theirs = wire.b.open(SocketKind::Udp);
    wire.b
        .send(now, theirs, b"a datagram", Some(at(A, 5000)))
        .unwrap();
    let theirs = wire.b.open(SocketKind::IcmpEcho);
    wire.b
        .send(now, theirs, b"\0\x01who", Some(at(A, 0)))
        .unwrap();
    let [listener, client, refused] = [(); 3].map(|()| wire.a.open(SocketKind::Tcp));
    wire.a.stack.bind(now, listener, at(ANY, 80)).unwrap();
    wire.a.stack.listen(listener, 4).unwrap();
    let server = wire.b.open(SocketKind::Tcp);
    wire.b.stack.bind(now, server, at(ANY, 80)).unwrap();
    wire.b.stack.listen(server, 4).unwrap();
    wire.a.stack.connect(now, client, at(B, 80)).unwrap();
    wire.a.stack.connect(now, refused, at(B, 81)).unwrap();
    let caller = wire.b.open(SocketKind::Tcp);
    wire.b.stack.connect(now, caller, at(A, 80)).unwrap();
    wire.run_for(Duration::from_millis(50));
    for id in [client, caller] {
        let host = if id == client {
            &mut wire.a
        } else {
            &mut wire.b
        };
        host.send(wire.now, id, b"GET / HTTP/1.0\r\n\r\n", None)
            .unwrap();
    }
    wire.run_for(Duration::from_millis(500));
    if let Ok(accepted) = wire.b.stack.accept(server) {
        wire.b
            .send(wire.now, accepted, b"HTTP/1.0 200 OK\r\n\r\n", None)
            .unwrap();
        wire.b.stack.close(wire.now, accepted);
    }
    wire.run_for(Duration::from_millis(500));
    ids.extend([listener, client, refused]);
    ids
}

#[test]
fn every_frame_cut_at_every_length_is_harmless() {
    let mut wire = Wire::new();
    lively(&mut wire);
    for frame in corpus() {
        for length in 0..frame.len() {
            let link = wire.a.link;
            wire.a
                .stack
                .handle_frame(wire.now, link, &frame[..length], &mut wire.a.ring);
        }
    }
    wire.run_for(Duration::from_secs(1));
    still_alive(&mut wire);
}

/// Whatever a call answers, it must only answer.
fn ignore<T>(_: T) {}

/// Does A still answer? Asked over its loopback, since the wire may have told it anything about the neighbours.
fn still_alive(wire: &mut Wire) {
    let id = wire.a.open(SocketKind::IcmpEcho);
    wire.a
        .stack
        .connect(wire.now, id, at(A, 0))
        .expect("it still has its address");
    wire.a
        .send(wire.now, id, b"\0\x01?", None)
        .expect("it still sends");
    wire.run_until("an echo of its own", |wire| {
        wire.a.stack.readiness(id).readable
    });
    wire.a.stack.close(wire.now, id);
}

/// Where a frame is changed, and how its checksums are put right, so that more than the first check is met.
#[derive(Clone, Debug)]
struct Mutation {
    frame: usize,
    changes: Vec<(usize, u8)>,
    length: Option<usize>,
    repair: bool,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let change = (prop_oneof![IP..TRANSPORT + 24, 0..400_usize], any::<u8>());
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

fn mutate(corpus: &[Vec<u8>], mutation: &Mutation) -> Vec<u8> {
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
fn repair(frame: &mut [u8]) {
    let Some(packet) = frame.get_mut(IP..).filter(|packet| packet.len() >= 28) else {
        return;
    };
    let length = packet.len() as u16;
    let mut ip = Ipv4Packet::new_unchecked(&mut *packet);
    ip.set_header_len(20);
    ip.set_total_len(length);
    ip.fill_checksum();
    let (source, destination, protocol) =
        (ip.src_addr(), ip.dst_addr(), u8::from(ip.next_header()));
    let payload = &mut packet[20..];
    let (source, destination) = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
    match protocol {
        1 => Icmpv4Packet::new_unchecked(payload).fill_checksum(),
        6 if payload.len() >= 20 => {
            TcpPacket::new_unchecked(payload).fill_checksum(&source, &destination);
        }
        17 => {
            let length = payload.len() as u16;
            let mut udp = UdpPacket::new_unchecked(payload);
            udp.set_len(length);
            udp.fill_checksum(&source, &destination);
        }
        _ => (),
    }
}

/// The same cases in every run, and no files.
fn quick(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 256,
        rng_seed: RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(quick(32))]

    #[test]
    fn noise_is_harmless(frames in vec(vec(any::<u8>(), 0..200), 1..50)) {
        let mut wire = Wire::new();
        lively(&mut wire);
        for mut frame in frames {
            let link = wire.a.link;
            wire.a.stack.handle_frame(wire.now, link, &frame, &mut wire.a.ring);
            // Once more as an IP packet for this very host.
            if let Some(header) = frame.get_mut(..16) {
                header[..6].copy_from_slice(&MAC_A);
                header[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            repair(&mut frame);
            wire.a.stack.handle_frame(wire.now, link, &frame, &mut wire.a.ring);
        }
        wire.run_for(Duration::from_secs(1));
        still_alive(&mut wire);
    }

    #[test]
    fn good_frames_gone_bad_are_harmless(mutations in vec(mutation(), 1..60)) {
        let mut wire = Wire::new();
        wire.listen();
        let ids = lively(&mut wire);
        // What B said in this very conversation: ports and sequence numbers are those that A knows.
        let corpus: Vec<_> =
            wire.taken().into_iter().filter(|(end, _)| *end == End::B).map(|(_, frame)| frame).collect();
        for mutation in &mutations {
            wire.inject(End::A, mutate(&corpus, mutation));
            wire.run_for(Duration::from_millis(1));
        }
        for id in ids {
            let _ = wire.a.receive(wire.now, id);
            wire.a.stack.close(wire.now, id);
        }
        wire.run_for(Duration::from_secs(300));
        still_alive(&mut wire);
    }
}

/// What a program may ask for, in any order, about any socket.
#[derive(Clone, Debug)]
enum Call {
    Socket(u8, u32),
    Bind(usize, SocketAddr),
    Listen(usize, usize),
    Connect(usize, SocketAddr),
    Accept(usize),
    Disconnect(usize),
    Receive(usize, usize, bool),
    Send(usize, usize, Option<SocketAddr>),
    Shutdown(usize, How),
    Close(usize),
    Option(usize, SocketOption),
    LinkUp(bool),
    Address(u8, bool),
    Route(u8),
    Frame(Mutation),
    Time(u64),
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        Just(ANY),
        Just(A),
        Just(B),
        Just(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Just(IpAddr::V4(Ipv4Addr::BROADCAST)),
        Just(IpAddr::from([10, 0, 0, 255])),
        Just(IpAddr::from([224, 0, 0, 1])),
        Just("::1".parse().expect("an address")),
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
    ];
    (
        ip,
        prop_oneof![Just(0), Just(80), Just(68), Just(5000), any::<u16>()],
    )
        .prop_map(|(ip, port)| at(ip, port))
}

fn call() -> impl Strategy<Value = Call> {
    let id = || 0..12_usize;
    let how = prop_oneof![Just(How::Read), Just(How::Write), Just(How::Both)];
    let option = prop_oneof![
        any::<bool>().prop_map(SocketOption::ReuseAddress),
        any::<usize>().prop_map(SocketOption::ReceiveBuffer),
        any::<usize>().prop_map(SocketOption::SendBuffer),
        any::<u8>().prop_map(SocketOption::TimeToLive),
        any::<u64>().prop_map(|time| SocketOption::KeepAlive(Some(Duration::from_micros(time)))),
        any::<u64>().prop_map(|time| SocketOption::Linger(Some(Duration::from_micros(time)))),
        any::<bool>().prop_map(SocketOption::NoDelay),
    ];
    let length = || prop_oneof![0..100_usize, 0..200_000_usize];
    prop_oneof![
        4 => (any::<u8>(), 0..3_u32).prop_map(|(kind, uid)| Call::Socket(kind, uid)),
        3 => (id(), address()).prop_map(|(id, address)| Call::Bind(id, address)),
        1 => (id(), any::<usize>()).prop_map(|(id, backlog)| Call::Listen(id, backlog)),
        4 => (id(), address()).prop_map(|(id, address)| Call::Connect(id, address)),
        2 => id().prop_map(Call::Accept),
        1 => id().prop_map(Call::Disconnect),
        3 => (id(), length(), any::<bool>()).prop_map(|(id, length, peek)| Call::Receive(id, length, peek)),
        4 => (id(), length(), proptest::option::of(address())).prop_map(|(id, length, to)| Call::Send(id, length, to)),
        1 => (id(), how).prop_map(|(id, how)| Call::Shutdown(id, how)),
        2 => id().prop_map(Call::Close),
        1 => (id(), option).prop_map(|(id, option)| Call::Option(id, option)),
        1 => any::<bool>().prop_map(Call::LinkUp),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(last, add)| Call::Address(last, add)),
        1 => any::<u8>().prop_map(Call::Route),
        4 => mutation().prop_map(Call::Frame),
        4 => prop_oneof![0..1000_u64, 0..100_000_000_u64].prop_map(Call::Time),
    ]
}

const OPTIONS: [OptionName; 8] = [
    OptionName::Broadcast,
    OptionName::ReuseAddress,
    OptionName::ReceiveBuffer,
    OptionName::SendBuffer,
    OptionName::KeepAlive,
    OptionName::Linger,
    OptionName::NoDelay,
    OptionName::TimeToLive,
];

fn make(wire: &mut Wire, ids: &mut Vec<SocketId>, corpus: &[Vec<u8>], call: Call) {
    let (now, link): (Instant, LinkId) = (wire.now, wire.a.link);
    let id = |n: usize| ids.get(n).copied().unwrap_or(SocketId(n as u64));
    let stack = &mut wire.a.stack;
    match call {
        Call::Socket(kind, uid) => {
            let kind = match kind {
                0..80 => SocketKind::Tcp,
                80..160 => SocketKind::Udp,
                160..200 => SocketKind::IcmpEcho,
                200..220 => SocketKind::IcmpUdpErrors,
                protocol => SocketKind::Raw(protocol % 20),
            };
            ids.extend(stack.socket(kind, Owner { uid }));
        }
        Call::Bind(n, local) => ignore(stack.bind(now, id(n), local)),
        Call::Listen(n, backlog) => ignore(stack.listen(id(n), backlog)),
        Call::Connect(n, remote) => ignore(stack.connect(now, id(n), remote)),
        Call::Accept(n) => {
            let accepted = stack.accept(id(n));
            ids.extend(accepted);
        }
        Call::Disconnect(n) => ignore(stack.disconnect(now, id(n))),
        Call::Receive(n, length, peek) => {
            ignore(stack.receive(now, id(n), &mut vec![0; length], ReceiveFlags { peek }));
        }
        Call::Send(n, length, to) => {
            ignore(stack.send(now, id(n), &vec![7; length], to, &mut wire.a.ring))
        }
        Call::Shutdown(n, how) => ignore(stack.shutdown(now, id(n), how)),
        Call::Close(n) => stack.close(now, id(n)),
        Call::Option(n, option) => {
            ignore(stack.set_option(id(n), option));
            OPTIONS
                .iter()
                .for_each(|name| ignore(stack.option(id(n), *name)));
            ignore((
                stack.local(id(n)),
                stack.peer(id(n)),
                stack.readiness(id(n)),
                stack.take_error(id(n)),
            ));
        }
        Call::LinkUp(up) => stack.set_link_up(now, link, up),
        Call::Address(last, add) => {
            let address = cidr(IpAddr::from([10, 0, 0, last]), last % 33);
            let _ = if add {
                stack.add_address(now, link, address, AddressOrigin::Static)
            } else {
                stack.remove_address(now, link, address)
            };
        }
        Call::Route(last) => {
            let route = format!("default via 10.0.0.{last}")
                .parse::<RouteSpec>()
                .expect("a route");
            if last.is_multiple_of(4) {
                stack.remove_route(
                    now,
                    &Selector {
                        origin: Some(Origin::Static),
                        ..Selector::default()
                    },
                );
            } else {
                ignore(stack.add_route(now, route.into_route(link, Origin::Static, now)));
            }
        }
        Call::Frame(mutation) => wire.inject(End::A, mutate(corpus, &mutation)),
        Call::Time(micros) => wire.run_for(Duration::from_micros(micros)),
    }
}

proptest! {
    #![proptest_config(quick(48))]

    #[test]
    fn any_order_of_calls_and_frames_is_harmless(calls in vec(call(), 1..120)) {
        let mut wire = Wire::new();
        let mut ids = lively(&mut wire);
        for call in calls {
            make(&mut wire, &mut ids, corpus(), call);
        }
        wire.run_for(Duration::from_millis(10));
        let (now, link) = (wire.now, wire.a.link);
        for id in ids {
            wire.a.stack.close(now, id);
        }
        prop_assert_eq!(wire.a.stack.socket_count(), 0);
        wire.a.stack.set_link_up(now, link, true);
        let _ = wire.a.stack.add_address(now, link, cidr(A, 24), AddressOrigin::Static);
        wire.run_for(Duration::from_secs(600));
        still_alive(&mut wire);
    }
}
