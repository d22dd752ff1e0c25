//! Stories of datagrams.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::Duration;

use super::wire::{A, B, End, Wire, at};
use crate::error::SocketError;
use crate::ports::Ports;
use crate::socket::{
    How, OptionName, Owner, Readiness, ReceiveFlags, Received, SocketId, SocketKind, SocketOption,
};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A UDP socket of that end, bound to that port of any address.
pub(super) fn bound(wire: &mut Wire, end: End, port: u16) -> SocketId {
    let now = wire.now;
    let host = wire.host(end);
    let id = host.open(SocketKind::Udp);
    host.stack
        .bind(now, id, at(ANY, port))
        .expect("a free port");
    id
}

#[test]
fn a_datagram_goes_there_and_the_answer_comes_back() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    wire.a.stack.connect(wire.now, client, at(B, 7)).unwrap();
    assert_eq!(wire.a.send(wire.now, client, b"hello", None), Ok(5));
    wire.run_until("the question", |wire| {
        wire.b.stack.readiness(server).readable
    });

    let (data, received) = wire.b.receive(wire.now, server).unwrap();
    let source = received.source.unwrap();
    assert_eq!((data.as_slice(), source.ip()), (&b"hello"[..], A));
    assert_eq!(
        wire.a.stack.local(client),
        Some(source),
        "what the peer saw is our end"
    );
    assert!(wire.b.heard_of(server), "readiness was reported");

    assert_eq!(
        wire.b
            .send(wire.now, server, b"hello yourself", Some(source)),
        Ok(14)
    );
    wire.run_until("the answer", |wire| wire.a.heard_of(client));
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap().0,
        b"hello yourself"
    );
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap_err(),
        SocketError::WouldBlock
    );
}

#[test]
fn the_datagram_larger_than_the_readers_buffer() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    let long: Vec<u8> = (0..1000).map(|byte| byte as u8).collect();
    wire.a
        .send(wire.now, client, &long, Some(at(B, 7)))
        .unwrap();
    wire.a
        .send(wire.now, client, b"next", Some(at(B, 7)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));

    let mut small = [0; 10];
    let peeked = wire
        .b
        .stack
        .receive(wire.now, server, &mut small, ReceiveFlags { peek: true })
        .unwrap();
    assert_eq!((peeked.length, peeked.full_length), (10, 1000));
    let mut small = [0; 10];
    let received = wire
        .b
        .stack
        .receive(wire.now, server, &mut small, ReceiveFlags::default())
        .unwrap();
    assert_eq!((received.length, received.full_length), (10, 1000));
    assert_eq!(small, long[..10]);
    // The rest of it is lost, as with any datagram socket; the next one is whole.
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, b"next");
    // A buffer of no bytes at all is no reason to fall over either.
    wire.a
        .send(wire.now, client, b"xyz", Some(at(B, 7)))
        .unwrap();
    wire.run_for(Duration::from_millis(10));
    let received = wire
        .b
        .stack
        .receive(wire.now, server, &mut [], ReceiveFlags::default())
        .unwrap();
    assert_eq!((received.length, received.full_length), (0, 3));
}

#[test]
fn an_empty_datagram_is_a_datagram() {
    let mut wire = Wire::new();
    let server = bound(&mut wire, End::B, 7);
    let client = wire.a.open(SocketKind::Udp);
    assert_eq!(wire.a.send(wire.now, client, b"", Some(at(B, 7))), Ok(0));
    wire.run_until("the datagram", |wire| {
        wire.b.stack.readiness(server).readable
    });
    let (data, received) = wire.b.receive(wire.now, server).unwrap();
    assert!(data.is_empty() && received.source.is_some(), "{received:?}");
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
                assert!(
                    !wire.a.stack.readiness(client).writable,
                    "full means not writable"
                );
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
    assert_eq!(
        delivered + dropped,
        10_000,
        "every one is delivered or counted"
    );
    assert!(dropped > 0, "nobody read: the queue has a bound");
    let mut read = 0;
    while let Ok((data, _)) = wire.b.receive(wire.now, server) {
        assert_eq!(data, u64::to_be_bytes(read), "in order");
        read += 1;
    }
    assert_eq!(read, delivered);
}

#[test]
fn a_closed_port_refuses_and_only_the_connected_hear_of_it() {
    let mut wire = Wire::new();
    let connected = wire.a.open(SocketKind::Udp);
    let unconnected = bound(&mut wire, End::A, 5000);
    wire.a.stack.connect(wire.now, connected, at(B, 9)).unwrap();
    wire.a.send(wire.now, connected, b"anybody?", None).unwrap();
    wire.a
        .send(wire.now, unconnected, b"anybody?", Some(at(B, 9)))
        .unwrap();
    wire.run_until("the refusal", |wire| wire.a.heard_of(connected));

    assert_eq!(wire.a.stack.readiness(connected), Readiness::BOTH);
    assert_eq!(
        wire.a.receive(wire.now, connected).unwrap_err(),
        SocketError::ConnectionRefused
    );
    assert_eq!(
        wire.a.receive(wire.now, connected).unwrap_err(),
        SocketError::WouldBlock,
        "told once"
    );
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
    wire.a
        .send(wire.now, id, b"anybody?", Some(at(B, 9)))
        .unwrap();
    wire.run_until("the error", |wire| wire.a.heard_of(watcher));
    let (message, received) = wire.a.receive(wire.now, watcher).unwrap();
    assert_eq!(received.source, Some(at(B, 0)));
    assert_eq!(
        message[..2],
        [3, 3],
        "destination unreachable, port unreachable"
    );
    assert!(
        message.ends_with(b"anybody?"),
        "it quotes the datagram: {message:?}"
    );
}

#[test]
fn errors_about_others_datagrams_are_not_to_be_watched() {
    let mut wire = Wire::new();
    let now = wire.now;
    let mut open = |kind, uid| {
        let id = wire.a.stack.socket(kind, Owner { uid }).unwrap();
        wire.a.stack.bind(now, id, at(ANY, 5000)).unwrap();
        id
    };
    let sender = open(SocketKind::Udp, 1000);
    let [own, other, root] = [1000, 1001, 0].map(|uid| open(SocketKind::IcmpUdpErrors, uid));
    wire.a.send(now, sender, b"secret", Some(at(B, 9))).unwrap();
    wire.run_until("the error", |wire| wire.a.stack.readiness(own).readable);
    assert!(wire.a.stack.readiness(root).readable);
    assert!(!wire.a.stack.readiness(other).readable);
}

#[test]
fn nobody_shares_a_port_by_reuseport_with_another_user() {
    let mut wire = Wire::new();
    let now = wire.now;
    let mut bind = |uid| {
        let owner = Owner { uid };
        let id = wire.a.stack.socket(SocketKind::Udp, owner).unwrap();
        let reuse = SocketOption::ReusePort(true);
        wire.a.stack.set_option(id, reuse).unwrap();
        wire.a.stack.bind(now, id, at(ANY, 5000))
    };
    assert_eq!(bind(1000), Ok(()));
    assert_eq!(bind(1000), Ok(()));
    assert_eq!(bind(1001), Err(SocketError::AddressInUse));
}

#[test]
fn who_has_the_port_of_another_address_hears_no_errors_about_this_ones() {
    let mut wire = Wire::new();
    let now = wire.now;
    let mut open = |kind, uid, local| {
        let id = wire.a.stack.socket(kind, Owner { uid }).unwrap();
        wire.a.stack.bind(now, id, local).unwrap();
        id
    };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let sender = open(SocketKind::Udp, 1000, at(A, 5000));
    open(SocketKind::Udp, 1001, at(loopback, 5000));
    let [own, other] = [1000, 1001].map(|uid| open(SocketKind::IcmpUdpErrors, uid, at(ANY, 5000)));
    wire.a.send(now, sender, b"secret", Some(at(B, 9))).unwrap();
    wire.run_until("the error", |wire| wire.a.stack.readiness(own).readable);
    assert!(!wire.a.stack.readiness(other).readable);
}

#[test]
fn a_neighbour_that_does_not_exist_is_told_to_who_is_connected() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    wire.a
        .stack
        .connect(wire.now, id, at(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)), 9))
        .unwrap();
    wire.a.send(wire.now, id, b"anybody?", None).unwrap();
    wire.run_until_within("the news", Duration::from_secs(10), |wire| {
        wire.a.heard_of(id)
    });
    assert_eq!(
        wire.a.send(wire.now, id, b"anybody?", None),
        Err(SocketError::HostUnreachable)
    );
}

#[test]
fn what_does_not_fit_the_path_is_cut_and_what_fits_no_packet_refused() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    let server = bound(&mut wire, End::B, 7);
    let data = vec![0x5a; 1473];
    for (length, pieces) in [(1472, 0), (1473, 2)] {
        let sent = wire.a.send(wire.now, id, &data[..length], Some(at(B, 7)));
        assert_eq!(sent, Ok(length));
        wire.run_until("the datagram", |wire| {
            wire.b.stack.readiness(server).readable
        });
        assert_eq!(wire.b.receive(wire.now, server).unwrap().0, data[..length]);
        assert_eq!(wire.a.counter("fragment.sent"), pieces, "{length} bytes");
    }
    let own = bound(&mut wire, End::A, 7);
    let data = vec![0x5a; 65_507];
    assert_eq!(
        wire.a.send(wire.now, id, &data, Some(at(A, 7))),
        Ok(65_507),
        "to ourselves the largest there is"
    );
    wire.run_for(Duration::from_millis(1));
    assert_eq!(wire.a.receive(wire.now, own).unwrap().0.len(), 65_507);
    let data = vec![0x5a; 65_508];
    assert_eq!(
        wire.a.send(wire.now, id, &data, Some(at(A, 7))),
        Err(SocketError::MessageTooLong)
    );
}

#[test]
fn calls_that_make_no_sense_have_answers() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    let v6: SocketAddr = "[::1]:9".parse().unwrap();
    assert_eq!(
        wire.a.send(wire.now, id, b"x", None),
        Err(SocketError::DestinationRequired)
    );
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(at(B, 0))),
        Err(SocketError::Invalid)
    );
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(at(ANY, 9))),
        Err(SocketError::Invalid)
    );
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(v6)),
        Err(SocketError::FamilyNotSupported)
    );
    assert_eq!(
        wire.a.stack.bind(wire.now, id, v6),
        Err(SocketError::FamilyNotSupported)
    );
    assert_eq!(
        wire.a.stack.connect(wire.now, id, v6),
        Err(SocketError::FamilyNotSupported)
    );
    let elsewhere = at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(elsewhere)),
        Err(SocketError::NetworkUnreachable)
    );
    assert_eq!(wire.a.stack.listen(id, 5), Err(SocketError::NotSupported));
    assert_eq!(wire.a.stack.accept(id), Err(SocketError::NotSupported));
    assert_eq!(
        wire.a.stack.shutdown(wire.now, id, How::Both),
        Err(SocketError::NotConnected)
    );
    wire.a.stack.close(wire.now, id);
    wire.a.stack.close(wire.now, id);
    assert_eq!(
        wire.a.send(wire.now, id, b"x", Some(at(B, 9))),
        Err(SocketError::BadSocket)
    );
    assert_eq!(
        wire.a.receive(wire.now, id).unwrap_err(),
        SocketError::BadSocket
    );
    assert_eq!(
        wire.a.stack.option(id, OptionName::Broadcast),
        Err(SocketError::BadSocket)
    );
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
    assert_eq!(
        wire.a.receive(wire.now, id).unwrap().1,
        Received {
            length: 0,
            full_length: 0,
            source: None
        }
    );
    assert_eq!(
        wire.a.send(wire.now, id, b"x", None),
        Err(SocketError::BrokenPipe)
    );
    wire.run_for(Duration::from_millis(5));
    assert!(!wire.b.stack.readiness(server).readable);
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
    let everybody = at(IpAddr::from([10, 0, 0, 255]), 9);
    let without_leave = wire.a.send(wire.now, id, b"all", Some(everybody));
    assert_eq!(without_leave, Err(SocketError::AccessDenied));
    let leave = SocketOption::Broadcast(true);
    wire.a.stack.set_option(id, leave).unwrap();
    for address in [[10, 0, 0, 255], [255, 255, 255, 255]] {
        for port in [9, 10] {
            wire.a
                .send(wire.now, id, b"all", Some(at(IpAddr::from(address), port)))
                .unwrap();
        }
        wire.run_for(Duration::from_millis(5));
        for id in listeners {
            assert_eq!(
                wire.b.receive(wire.now, id).unwrap().1.source.unwrap().ip(),
                A,
                "{address:?}"
            );
        }
    }
    assert_eq!(wire.b.counter("udp.no_port"), 2);
    assert_eq!(
        wire.b.counter("icmp.error_sent"),
        0,
        "RFC 1122 3.2.2: no error about a broadcast"
    );
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
    wire.a
        .send(wire.now, client, b"x", None)
        .expect("room again");
    wire.run_for(Duration::from_millis(1));
    assert!(wire.a.stack.readiness(server).readable);
    assert!(
        wire.a.ring.has_room(wire.a.link),
        "nothing of it went to the adapter"
    );
}

#[test]
fn a_socket_that_waits_for_two_links_is_forgotten_by_both_when_it_closes() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Udp);
    wire.a.send(wire.now, id, b"x", Some(at(B, 9))).unwrap();
    wire.run_for(Duration::from_millis(5));
    wire.a.set_ring_capacity(0);
    for peer in [B, A] {
        let sent = (0..1_000_000).map(|_| wire.a.send(wire.now, id, b"x", Some(at(peer, 9))));
        let refused = sent.filter_map(Result::err).next();
        assert_eq!(refused, Some(SocketError::WouldBlock));
    }
    assert_eq!(wire.a.stack.waiting.len(), 2);
    wire.a.stack.close(wire.now, id);
    assert!(wire.a.stack.waiting.is_empty());
}
