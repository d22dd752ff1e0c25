//! Stories of datagrams.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::Duration;

use super::wire::{A, B, End, Wire, at};
use crate::error::SocketError;
use crate::ports::Ports;
use crate::socket::{
    How, OptionName, Owner, Readiness, ReceiveFlags, Received, SocketId, SocketKind, SocketOption,
};
use crate::stack::Limits;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const USER: Owner = Owner { uid: 1000 };

/// A UDP socket of that end, bound to that port of any address.
fn bound(wire: &mut Wire, end: End, port: u16) -> SocketId {
    let now = wire.now;
    let host = wire.host(end);
    let id = host.open(SocketKind::Udp);
    host.stack.bind(now, id, at(ANY, port)).expect("a free port");
    id
}

#[test]
fn a_datagram_goes_there_and_the_answer_comes_back() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, client, at(B, 7)).unwrap();
    assert_eq!(wire.a.send(wire.now, client, b"hello", None), Ok(5));
    wire.run_until("the question", |wire| wire.b.stack.readiness(server).readable);

    let (data, received) = wire.b.receive(wire.now, server).unwrap();
    let source = received.source.unwrap();
    assert_eq!((data.as_slice(), source.ip()), (&b"hello"[..], A));
    assert_eq!(wire.a.stack.local(client), Some(source), "what the peer saw is our end");
    assert!(wire.b.heard_of(server), "readiness was reported");

    assert_eq!(wire.b.send(wire.now, server, b"hello yourself", Some(source)), Ok(14));
    wire.run_until("the answer", |wire| wire.a.heard_of(client));
    assert_eq!(wire.a.receive(wire.now, client).unwrap().0, b"hello yourself");
    assert_eq!(wire.a.receive(wire.now, client).unwrap_err(), SocketError::WouldBlock);
}

#[test]
fn the_datagram_larger_than_the_readers_buffer() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    let long: Vec<u8> = (0..1000).map(|byte| byte as u8).collect();
    wire.a.send(wire.now, client, &long, Some(at(B, 7))).unwrap();
    wire.a.send(wire.now, client, b"next", Some(at(B, 7))).unwrap();
    wire.run_for(Duration::from_millis(10));

    let mut small = [0; 10];
    let peeked = wire.b.stack.receive(wire.now, server, &mut small, ReceiveFlags { peek: true }).unwrap();
    assert_eq!((peeked.length, peeked.full_length), (10, 1000));
    let mut small = [0; 10];
    let received = wire.b.stack.receive(wire.now, server, &mut small, ReceiveFlags::default()).unwrap();
    assert_eq!((received.length, received.full_length), (10, 1000));
    assert_eq!(small, long[..10]);
    // The rest of it is lost, as with any datagram socket; the next one is whole.
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, b"next");
    // A buffer of no bytes at all is no reason to fall over either.
    wire.a.send(wire.now, client, b"xyz", Some(at(B, 7))).unwrap();
    wire.run_for(Duration::from_millis(10));
    let received = wire.b.stack.receive(wire.now, server, &mut [], ReceiveFlags::default()).unwrap();
    assert_eq!((received.length, received.full_length), (0, 3));
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    assert_eq!(wire.a.send(wire.now, client, b"", Some(at(B, 7))), Ok(0));
    wire.run_until("the datagram", |wire| wire.b.stack.readiness(server).readable);
    let (data, received) = wire.b.receive(wire.now, server).unwrap();
    assert!(data.is_empty() && received.source.is_some(), "{received:?}");
}

#[test]
fn the_ephemeral_ports_that_were_never_freed() {
    let mut wire = Wire::new();
    let mut seen = std::collections::BTreeSet::new();
    // More sockets than there are ports, one after the other.
    for round in 0..40_000 {
        let id = wire.a.open(SocketKind::Udp);
        wire.a.stack.connect(wire.now, id, at(B, 53)).unwrap_or_else(|error| panic!("round {round}: {error}"));
        seen.insert(wire.a.stack.local(id).unwrap().port());
        wire.a.stack.close(wire.now, id);
    }
    assert!(seen.len() > 10_000, "only {} different ports", seen.len());
    assert!(seen.iter().all(|port| *port >= 49152), "{seen:?}");
    assert_eq!(wire.a.stack.socket_count(), 0);
}

#[test]
fn all_ports_can_be_had_at_once_and_then_none_is_left() {
    let mut wire = Wire::new();
    let ids: Vec<_> = (0..16384)
        .map(|_| {
            let id = wire.a.open(SocketKind::Udp);
            wire.a.stack.bind(wire.now, id, at(ANY, 0)).expect("a port");
            id
        })
        .collect();
    let one_more = wire.a.open(SocketKind::Udp);
    assert_eq!(wire.a.stack.bind(wire.now, one_more, at(ANY, 0)), Err(SocketError::AddressNotAvailable));
    let freed = wire.a.stack.local(ids[77]).unwrap();
    wire.a.stack.close(wire.now, ids[77]);
    wire.a.stack.bind(wire.now, one_more, at(ANY, 0)).expect("the port that was freed");
    assert_eq!(wire.a.stack.local(one_more), Some(freed));
}

#[test]
fn ports_are_not_predictable_from_one_another() {
    let mut wire = Wire::new();
    let mut port = || {
        let id = wire.a.open(SocketKind::Udp);
        wire.a.stack.bind(wire.now, id, at(ANY, 0)).unwrap();
        i32::from(wire.a.stack.local(id).unwrap().port())
    };
    let ports: Vec<_> = (0..32).map(|_| port()).collect();
    let neighbours = ports.windows(2).filter(|pair| (pair[1] - pair[0]).abs() <= 2).count();
    assert!(neighbours < 3, "{ports:?}");
}

#[test]
fn ten_thousand_datagrams_in_one_burst_are_delivered_or_counted() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, client, at(B, 7)).unwrap();
    wire.a.send(wire.now, client, b"who has B?", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    wire.b.receive(wire.now, server).unwrap();
    let before = wire.b.counter("udp.delivered");

    let (mut sent, mut full) = (0_u64, 0);
    while sent < 10_000 {
        match wire.a.send(wire.now, client, &sent.to_be_bytes(), None) {
            Ok(_) => sent += 1,
            Err(SocketError::WouldBlock) => {
                full += 1;
                assert!(!wire.a.stack.readiness(client).writable, "full means not writable");
                wire.run_until("room", |wire| wire.a.stack.readiness(client).writable);
                assert!(wire.a.heard_of(client), "room is reported");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(full > 10, "the ring of 256 slots filled only {full} times");
    wire.run_for(Duration::from_millis(10));

    let delivered = wire.b.counter("udp.delivered") - before;
    let dropped = wire.b.counter("udp.queue_full");
    assert_eq!(delivered + dropped, 10_000, "every one is delivered or counted");
    assert!(dropped > 0, "nobody read: the queue has a bound");
    let mut read = 0;
    while let Ok((data, _)) = wire.b.receive(wire.now, server) {
        assert_eq!(data, u64::to_be_bytes(read), "in order");
        read += 1;
    }
    assert_eq!(read, delivered);
}

#[test]
fn who_listens_to_less_hears_it_first() {
    let mut wire = Wire::new();
    let (now, reuse) = (wire.now, SocketOption::ReuseAddress(true));
    let [wildcard, specific, connected] = [(); 3].map(|()| wire.b.open(SocketKind::Udp));
    for (id, local) in [(wildcard, ANY), (specific, B), (connected, B)] {
        wire.b.stack.set_option(id, reuse).unwrap();
        wire.b.stack.bind(now, id, at(local, 9)).unwrap();
    }
    wire.b.stack.connect(now, connected, at(A, 5000)).unwrap();
    let from = |wire: &mut Wire, port: u16| {
        let id = bound(wire, End::A, port);
        wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
        wire.run_for(Duration::from_millis(5));
        [wildcard, specific, connected].map(|id| wire.b.receive(wire.now, id).is_ok())
    };
    assert_eq!(from(&mut wire, 5000), [false, false, true]);
    assert_eq!(from(&mut wire, 5001), [false, true, false]);
    wire.b.stack.close(wire.now, specific);
    let id = bound(&mut wire, End::A, 5002);
    wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
    wire.run_for(Duration::from_millis(5));
    assert!(wire.b.receive(wire.now, wildcard).is_ok());
}

#[test]
fn a_port_is_given_once_unless_both_agree() {
    let mut wire = Wire::new();
    let now = wire.now;
    let stack = &mut wire.a.stack;
    let [one, two, three] = [(); 3].map(|()| stack.socket(SocketKind::Udp, Owner::ROOT).unwrap());
    stack.bind(now, one, at(ANY, 9)).unwrap();
    assert_eq!(stack.bind(now, two, at(A, 9)), Err(SocketError::AddressInUse));
    stack.set_option(two, SocketOption::ReuseAddress(true)).unwrap();
    assert_eq!(stack.bind(now, two, at(ANY, 9)), Err(SocketError::AddressInUse), "the first did not agree");
    stack.set_option(one, SocketOption::ReuseAddress(true)).unwrap();
    stack.bind(now, two, at(ANY, 9)).unwrap();
    assert_eq!(stack.bind(now, two, at(ANY, 10)), Err(SocketError::Invalid), "it has one already");
    assert_eq!(stack.bind(now, three, at(B, 9)), Err(SocketError::AddressNotAvailable), "that is B's");
}

#[test]
fn low_ports_and_raw_sockets_are_for_root() {
    let mut wire = Wire::new();
    let stack = &mut wire.a.stack;
    let id = stack.socket(SocketKind::Udp, USER).unwrap();
    assert_eq!(stack.bind(wire.now, id, at(ANY, 68)), Err(SocketError::AccessDenied));
    stack.bind(wire.now, id, at(ANY, 1024)).unwrap();
    assert_eq!(stack.socket(SocketKind::Raw(89), USER), Err(SocketError::AccessDenied));
    let id = stack.socket(SocketKind::Tcp, USER).unwrap();
    assert_eq!(stack.bind(wire.now, id, at(ANY, 80)), Err(SocketError::AccessDenied));
}

#[test]
fn a_closed_port_refuses_and_only_the_connected_hear_of_it() {
    let mut wire = Wire::new();
    let connected = wire.a.open(SocketKind::Udp);
    let unconnected = bound(&mut wire, End::A, 5000);
    wire.a.stack.connect(wire.now, connected, at(B, 9)).unwrap();
    wire.a.send(wire.now, connected, b"anybody?", None).unwrap();
    wire.a.send(wire.now, unconnected, b"anybody?", Some(at(B, 9))).unwrap();
    wire.run_until("the refusal", |wire| wire.a.heard_of(connected));

    assert_eq!(wire.a.stack.readiness(connected), Readiness::BOTH);
    assert_eq!(wire.a.receive(wire.now, connected).unwrap_err(), SocketError::ConnectionRefused);
    assert_eq!(wire.a.receive(wire.now, connected).unwrap_err(), SocketError::WouldBlock, "told once");
    assert!(!wire.a.stack.readiness(unconnected).readable);
    assert_eq!(wire.b.counter("icmp.error_sent"), 2);
    assert_eq!(wire.b.counter("udp.no_port"), 2);
    assert_eq!(wire.a.counter("icmp.error_delivered"), 1);
}

#[test]
fn a_flood_to_closed_ports_is_not_answered_at_its_own_pace() {
    let mut wire = Wire::new();
    let id = bound(&mut wire, End::A, 5000);
    wire.a.set_ring_capacity(4096);
    wire.a.send(wire.now, id, b"first", Some(at(B, 9))).unwrap();
    wire.run_for(Duration::from_secs(1));
    let before = wire.b.counter("icmp.error_sent");
    for port in 1000..2000 {
        wire.a.send(wire.now, id, b"x", Some(at(B, port))).unwrap();
    }
    wire.run_for(Duration::from_millis(10));
    let sent = wire.b.counter("icmp.error_sent") - before;
    assert!((50..=61).contains(&sent), "{sent} errors");
    assert_eq!(sent + wire.b.counter("icmp.error_rate_limited"), 1000);
}

#[test]
fn a_watcher_hears_the_icmp_errors_about_its_port() {
    let mut wire = Wire::new();
    let watcher = wire.a.open(SocketKind::IcmpUdpErrors);
    wire.a.stack.bind(wire.now, watcher, at(ANY, 5000)).unwrap();
    let id = bound(&mut wire, End::A, 5000);
    wire.a.send(wire.now, id, b"anybody?", Some(at(B, 9))).unwrap();
    wire.run_until("the error", |wire| wire.a.heard_of(watcher));
    let (message, received) = wire.a.receive(wire.now, watcher).unwrap();
    assert_eq!(received.source, Some(at(B, 0)));
    assert_eq!(message[..2], [3, 3], "destination unreachable, port unreachable");
    assert!(message.ends_with(b"anybody?"), "it quotes the datagram: {message:?}");
}

#[test]
fn a_neighbour_that_does_not_exist_is_told_to_who_is_connected() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, id, at(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)), 9)).unwrap();
    wire.a.send(wire.now, id, b"anybody?", None).unwrap();
    wire.run_until_within("the news", Duration::from_secs(10), |wire| wire.a.heard_of(id));
    assert_eq!(wire.a.send(wire.now, id, b"anybody?", None), Err(SocketError::HostUnreachable));
}

#[test]
fn what_does_not_fit_the_path_is_refused_and_not_cut() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    let server = bound(&mut wire, End::B, 7);
    let data = vec![0x5a; 1473];
    assert_eq!(wire.a.send(wire.now, id, &data, Some(at(B, 7))), Err(SocketError::MessageTooLong));
    assert_eq!(wire.a.send(wire.now, id, &data[..1472], Some(at(B, 7))), Ok(1472), "a frame of 1514 bytes");
    wire.run_until("the datagram", |wire| wire.b.stack.readiness(server).readable);
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, data[..1472]);
    let own = bound(&mut wire, End::A, 7);
    let data = vec![0x5a; 65_507];
    assert_eq!(wire.a.send(wire.now, id, &data, Some(at(A, 7))), Ok(65_507), "to ourselves the largest there is");
    wire.run_for(Duration::from_millis(1));
    assert_eq!(wire.a.receive(wire.now, own).unwrap().0.len(), 65_507);
    let data = vec![0x5a; 65_508];
    assert_eq!(wire.a.send(wire.now, id, &data, Some(at(A, 7))), Err(SocketError::MessageTooLong));
}

#[test]
fn calls_that_make_no_sense_have_answers() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    let v6: SocketAddr = "[::1]:9".parse().unwrap();
    assert_eq!(wire.a.send(wire.now, id, b"x", None), Err(SocketError::DestinationRequired));
    assert_eq!(wire.a.send(wire.now, id, b"x", Some(at(B, 0))), Err(SocketError::Invalid));
    assert_eq!(wire.a.send(wire.now, id, b"x", Some(at(ANY, 9))), Err(SocketError::Invalid));
    assert_eq!(wire.a.send(wire.now, id, b"x", Some(v6)), Err(SocketError::FamilyNotSupported));
    assert_eq!(wire.a.stack.bind(wire.now, id, v6), Err(SocketError::FamilyNotSupported));
    assert_eq!(wire.a.stack.connect(wire.now, id, v6), Err(SocketError::FamilyNotSupported));
    let elsewhere = at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    assert_eq!(wire.a.send(wire.now, id, b"x", Some(elsewhere)), Err(SocketError::NetworkUnreachable));
    assert_eq!(wire.a.stack.listen(id, 5), Err(SocketError::NotSupported));
    assert_eq!(wire.a.stack.accept(id), Err(SocketError::NotSupported));
    assert_eq!(wire.a.stack.shutdown(wire.now, id, How::Both), Err(SocketError::NotConnected));
    wire.a.stack.close(wire.now, id);
    wire.a.stack.close(wire.now, id);
    assert_eq!(wire.a.send(wire.now, id, b"x", Some(at(B, 9))), Err(SocketError::BadSocket));
    assert_eq!(wire.a.receive(wire.now, id).unwrap_err(), SocketError::BadSocket);
    assert_eq!(wire.a.stack.option(id, OptionName::Broadcast), Err(SocketError::BadSocket));
    assert_eq!(wire.a.stack.readiness(id), Readiness::BOTH);
}

#[test]
fn after_shutdown_reading_ends_and_writing_fails() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let id = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, id, at(B, 7)).unwrap();
    wire.a.stack.shutdown(wire.now, id, How::Both).unwrap();
    wire.run_for(Duration::ZERO);
    assert!(wire.a.heard_of(id), "a parked reader is woken");
    assert_eq!(wire.a.receive(wire.now, id).unwrap().1, Received { length: 0, full_length: 0, source: None });
    assert_eq!(wire.a.send(wire.now, id, b"x", None), Err(SocketError::BrokenPipe));
    wire.run_for(Duration::from_millis(5));
    assert!(!wire.b.stack.readiness(server).readable);
}

#[test]
fn disconnected_it_hears_everybody_again() {
    let mut wire = Wire::new();
    let id = bound(&mut wire, End::B, 7);
    wire.b.stack.connect(wire.now, id, at(A, 1)).unwrap();
    let other = bound(&mut wire, End::A, 5000);
    wire.a.send(wire.now, other, b"not from port 1", Some(at(B, 7))).unwrap();
    wire.run_for(Duration::from_millis(5));
    assert!(!wire.b.stack.readiness(id).readable);
    wire.b.stack.disconnect(wire.now, id).unwrap();
    assert_eq!((wire.b.stack.peer(id), wire.b.stack.local(id)), (None, Some(at(ANY, 7))));
    wire.a.receive(wire.now, other).unwrap_err();
    wire.a.send(wire.now, other, b"now", Some(at(B, 7))).unwrap();
    wire.run_until("the datagram", |wire| wire.b.stack.readiness(id).readable);
}

#[test]
fn a_broadcast_reaches_all_who_listen_and_refuses_nothing() {
    let mut wire = Wire::new();
    let (now, reuse) = (wire.now, SocketOption::ReuseAddress(true));
    let listeners = [(); 2].map(|()| wire.b.open(SocketKind::Udp));
    for id in listeners {
        wire.b.stack.set_option(id, reuse).unwrap();
        wire.b.stack.bind(now, id, at(ANY, 9)).unwrap();
    }
    let id = wire.a.open(SocketKind::Udp);
    for address in [[10, 0, 0, 255], [255, 255, 255, 255]] {
        for port in [9, 10] {
            wire.a.send(wire.now, id, b"all", Some(at(IpAddr::from(address), port))).unwrap();
        }
        wire.run_for(Duration::from_millis(5));
        for id in listeners {
            assert_eq!(wire.b.receive(wire.now, id).unwrap().1.source.unwrap().ip(), A, "{address:?}");
        }
    }
    assert_eq!(wire.b.counter("udp.no_port"), 2);
    assert_eq!(wire.b.counter("icmp.error_sent"), 0, "RFC 1122 3.2.2: no error about a broadcast");
}

#[test]
fn closing_a_socket_gives_everything_back() {
    let mut wire = Wire::with_limits(Limits { inbox_bytes: 10_000, ..Limits::default() });
    wire.configure(End::A, A);
    wire.configure(End::B, B);
    wire.run_for(Duration::from_secs(10));
    let client = wire.a.open(SocketKind::Udp);
    // Who waits for ARP waits in a shorter queue.
    wire.a.send(wire.now, client, b"who has B?", Some(at(B, 8))).unwrap();
    wire.run_for(Duration::from_millis(10));
    for round in 0..20 {
        let server = bound(&mut wire, End::B, 7);
        for _ in 0..20 {
            wire.a.send(wire.now, client, &[7; 1000], Some(at(B, 7))).unwrap();
        }
        wire.run_for(Duration::from_millis(5));
        let mut got = 0;
        // Half of it is read, half of it is closed over.
        while got < 4 && wire.b.receive(wire.now, server).is_ok() {
            got += 1;
        }
        assert_eq!(got, 4, "round {round}: {:?}", wire.b.counters());
        wire.b.stack.close(wire.now, server);
    }
    assert_eq!(wire.b.counter("udp.memory_full"), 20 * 11, "9 of 20 fit");
}

#[test]
fn one_user_cannot_have_all_sockets() {
    let mut wire = Wire::with_limits(Limits { sockets: 100, sockets_per_user: 10, ..Limits::default() });
    let stack = &mut wire.a.stack;
    let ids: Vec<_> = (0..10).map(|_| stack.socket(SocketKind::Udp, USER).unwrap()).collect();
    assert_eq!(stack.socket(SocketKind::IcmpEcho, USER), Err(SocketError::NoBuffers));
    stack.socket(SocketKind::Udp, Owner { uid: 1001 }).expect("another user's");
    for _ in 0..50 {
        stack.socket(SocketKind::Udp, Owner::ROOT).expect("root's");
    }
    stack.close(wire.now, ids[0]);
    stack.socket(SocketKind::Udp, USER).expect("one was given back");
}

#[test]
fn the_loopback_ring_that_is_full_gives_room_again() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::A, 7);
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, client, at(A, 7)).unwrap();
    let mut sent = 0;
    while wire.a.send(wire.now, client, b"x", None).is_ok() {
        sent += 1;
        assert!(sent < 1_000_000, "a queue without a bound");
    }
    assert!(!wire.a.stack.readiness(client).writable);
    wire.run_until("room", |wire| wire.a.stack.readiness(client).writable);
    assert!(wire.a.heard_of(client));
    wire.a.send(wire.now, client, b"x", None).expect("room again");
    wire.run_for(Duration::from_millis(1));
    assert!(wire.a.stack.readiness(server).readable);
    assert!(wire.a.ring.has_room(wire.a.link), "nothing of it went to the adapter");
}
