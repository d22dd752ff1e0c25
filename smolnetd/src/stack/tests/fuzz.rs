//! What a hostile wire and a hostile program can think of: nothing panics, nothing hangs, and the host goes on.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use smoltcp::time::{Duration, Instant};

use super::frames::{Mutation, corpus, lively, mutate, mutation, repair};
use super::wire::{A, A_LOCAL, A6, B, B_LOCAL, B6, End, MAC_A, Wire, at, cidr, on_eth0};
use crate::link::AddressOrigin;
use crate::ports::LinkId;
use crate::route::{Origin, RouteSpec, Selector};
use crate::socket::{How, OptionName, Owner, ReceiveFlags, SocketId, SocketKind, SocketOption};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ANY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const GROUP: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb));

#[test]
fn every_frame_cut_at_every_length_is_harmless() {
    let mut wire = Wire::dual();
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
        let mut wire = Wire::dual();
        lively(&mut wire);
        for mut frame in frames {
            let link = wire.a.link;
            wire.a.stack.handle_frame(wire.now, link, &frame, &mut wire.a.ring);
            // Once more as an IP packet for this very host, in each family.
            for start in [[8, 0, 0x45], [0x86, 0xdd, 0x60]] {
                if let Some(header) = frame.get_mut(..16) {
                    header[..6].copy_from_slice(&MAC_A);
                    header[12..15].copy_from_slice(&start);
                }
                if let (0x60, IpAddr::V6(ours), IpAddr::V6(theirs), Some(ends)) = (start[2], A6, B6, frame.get_mut(22..54)) {
                    ends.copy_from_slice(&[theirs.octets(), ours.octets()].concat());
                }
                repair(&mut frame);
                wire.a.stack.handle_frame(wire.now, link, &frame, &mut wire.a.ring);
            }
        }
        wire.run_for(Duration::from_secs(1));
        still_alive(&mut wire);
    }

    #[test]
    fn good_frames_gone_bad_are_harmless(mutations in vec(mutation(), 1..60)) {
        let mut wire = Wire::dual();
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
    Group(usize, IpAddr, bool),
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
        Just("::ffff:10.0.0.2".parse().expect("an address")),
        Just("ff02::1".parse().expect("an address")),
        Just(ANY_V6),
        Just(A6),
        Just(B6),
        Just(A_LOCAL),
        Just(B_LOCAL),
        Just(GROUP),
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
    ];
    (
        ip,
        prop_oneof![Just(0), Just(80), Just(68), Just(5000), any::<u16>()],
    )
        .prop_flat_map(|(ip, port)| prop_oneof![Just(at(ip, port)), Just(on_eth0(ip, port))])
}

fn call() -> impl Strategy<Value = Call> {
    let id = || 0..12_usize;
    let how = prop_oneof![Just(How::Read), Just(How::Write), Just(How::Both)];
    let option = prop_oneof![
        any::<bool>().prop_map(SocketOption::ReuseAddress),
        any::<usize>().prop_map(SocketOption::ReceiveBuffer),
        any::<usize>().prop_map(SocketOption::SendBuffer),
        any::<u8>().prop_map(SocketOption::TimeToLive),
        any::<bool>().prop_map(SocketOption::KeepAlive),
        any::<u64>().prop_map(|time| SocketOption::KeepAliveIdle(Duration::from_micros(time))),
        any::<u64>().prop_map(|time| SocketOption::KeepAliveInterval(Duration::from_micros(time))),
        any::<u32>().prop_map(SocketOption::KeepAliveCount),
        any::<u64>().prop_map(|time| SocketOption::UserTimeout(Some(Duration::from_micros(time)))),
        any::<u64>().prop_map(|time| SocketOption::Linger(Some(Duration::from_micros(time)))),
        any::<bool>().prop_map(SocketOption::NoDelay),
        any::<bool>().prop_map(SocketOption::V6Only),
        any::<u8>().prop_map(SocketOption::MulticastHops),
        any::<bool>().prop_map(SocketOption::MulticastLoop),
        proptest::option::of(0..3_u32)
            .prop_map(|link| SocketOption::MulticastLink(link.map(LinkId))),
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
        2 => (id(), address(), any::<bool>()).prop_map(|(id, group, join)| Call::Group(id, group.ip(), join)),
        1 => any::<bool>().prop_map(Call::LinkUp),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(last, add)| Call::Address(last, add)),
        1 => any::<u8>().prop_map(Call::Route),
        4 => mutation().prop_map(Call::Frame),
        4 => prop_oneof![0..1000_u64, 0..100_000_000_u64].prop_map(Call::Time),
    ]
}

const OPTIONS: [OptionName; 16] = [
    OptionName::Broadcast,
    OptionName::ReuseAddress,
    OptionName::ReceiveBuffer,
    OptionName::SendBuffer,
    OptionName::KeepAlive,
    OptionName::KeepAliveIdle,
    OptionName::KeepAliveInterval,
    OptionName::KeepAliveCount,
    OptionName::UserTimeout,
    OptionName::Linger,
    OptionName::NoDelay,
    OptionName::TimeToLive,
    OptionName::V6Only,
    OptionName::MulticastHops,
    OptionName::MulticastLoop,
    OptionName::MulticastLink,
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
                220..240 => SocketKind::RawV6(kind % 64),
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
        Call::Group(n, group, join) => ignore(match join {
            true => stack.join_group(now, id(n), group, None),
            false => stack.leave_group(now, id(n), group, None),
        }),
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
        let mut wire = Wire::dual();
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
