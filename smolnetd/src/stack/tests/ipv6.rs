//! Stories of IPv6: zones, echoes, errors, and what a hostile wire brings.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Icmpv6Packet, IpProtocol, Ipv6Packet};

use super::wire::{A_LOCAL, A6, B_LOCAL, B6, End, MAC_A, MAC_B, Wire, at, on_eth0};
use crate::error::SocketError;
use crate::ip::{Outgoing, v6};
use crate::ports::LinkId;
use crate::socket::{SocketId, SocketKind, SocketOption};

const LOCALHOST: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const ALL_NODES: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));

fn ip6(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An echo socket of A for that peer.
fn echo(wire: &mut Wire, peer: IpAddr) -> SocketId {
    let id = wire.a.open(SocketKind::IcmpEcho);
    let connected = wire.a.stack.connect(wire.now, id, on_eth0(peer, 0));
    assert_eq!(connected, Ok(()), "{peer}");
    id
}

/// An IPv6 packet from B to A, in a frame.
fn frame(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) else {
        panic!("{source} {destination}")
    };
    let header = Outgoing::V6(v6::Header {
        source,
        destination,
        protocol: IpProtocol::from(protocol),
        traffic_class: 0,
        hop_limit: 64,
        flow_label: 0,
    });
    let mut packet = vec![0; header.length() + payload.len()];
    header.write(&mut packet).copy_from_slice(payload);
    let to = match destination.octets() {
        [0xff, .., a, b, c, d] => [0x33, 0x33, a, b, c, d],
        _ => MAC_A,
    };
    [&to[..], &MAC_B, &[0x86, 0xdd], &packet].concat()
}

/// A UDP datagram from port 7 to port 5000.
fn datagram(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let mut datagram = vec![0; 8 + 5];
    crate::socket::udp::write(
        &mut datagram,
        at(source, 7),
        at(destination, 5000),
        b"hello",
    );
    datagram
}

/// The ICMPv6 messages that A has sent: type, code, second word, and to whom.
fn messages(wire: &mut Wire) -> Vec<(u8, u8, u32, IpAddr)> {
    let mut messages = Vec::new();
    for (end, frame) in wire.taken() {
        let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        if end != End::A || frame.ethertype() != EthernetProtocol::Ipv6 {
            continue;
        }
        let ip = Ipv6Packet::new_checked(frame.payload()).expect("a packet");
        let message = Icmpv6Packet::new_unchecked(ip.payload());
        let [kind, code, _, _, word @ ..] = *ip.payload().first_chunk::<8>().expect("a message");
        // What the link says to its neighbours and groups has stories of its own.
        if ip.next_header() == IpProtocol::Icmpv6 && !(130..=143).contains(&kind) {
            assert!(message.verify_checksum(&ip.src_addr(), &ip.dst_addr()));
            assert!(frame.payload().len() <= 1280, "RFC 4443 2.4 (c)");
            messages.push((kind, code, u32::from_be_bytes(word), ip.dst_addr().into()));
        }
    }
    messages
}

#[test]
fn ping_of_everything_that_answers() {
    let mut wire = Wire::dual();
    for peer in [B6, B_LOCAL, LOCALHOST, A6, A_LOCAL] {
        let id = echo(&mut wire, peer);
        let looped = [LOCALHOST, A6, A_LOCAL].contains(&peer);
        wire.listen();
        for sequence in [*b"\0\x01", *b"\xff\xfe"] {
            let request = [&sequence[..], b"how far is it?"].concat();
            assert_eq!(wire.a.send(wire.now, id, &request, None), Ok(16));
            wire.run_until("the reply", |wire| wire.a.stack.readiness(id).readable);
            let (data, received) = wire.a.receive(wire.now, id).expect("the reply");
            assert_eq!((data, received.source), (request, Some(on_eth0(peer, 0))));
        }
        assert_eq!(
            wire.taken().is_empty(),
            looped,
            "{peer}: what the wire sees"
        );
    }
}

#[test]
fn rfc4443_4_2_all_nodes_answer_a_ping_of_all_nodes() {
    let mut wire = Wire::dual();
    let id = echo(&mut wire, ALL_NODES);
    wire.a
        .send(wire.now, id, b"\0\x01who?", None)
        .expect("sent");
    wire.run_until("the reply", |wire| wire.a.stack.readiness(id).readable);
    let (_, received) = wire.a.receive(wire.now, id).expect("the reply");
    assert_eq!(
        received.source,
        Some(on_eth0(B_LOCAL, 0)),
        "from a unicast address"
    );
}

#[test]
fn rfc4007_a_link_local_address_needs_its_link_and_only_its_own() {
    let mut wire = Wire::dual();
    let now = wire.now;
    let stack = &mut wire.a.stack;
    let id = stack
        .socket(SocketKind::Udp, crate::socket::Owner::ROOT)
        .expect("a socket");
    assert_eq!(
        stack.connect(now, id, at(B_LOCAL, 9)),
        Err(SocketError::Invalid)
    );
    assert_eq!(
        stack.bind(now, id, at(A_LOCAL, 9)),
        Err(SocketError::Invalid)
    );
    let elsewhere = "[fe80::2%7]:9".parse().expect("an end");
    assert_eq!(
        stack.connect(now, id, elsewhere),
        Err(SocketError::NetworkDown)
    );
    let not_ours = "[fe80::1%7]:9".parse().expect("an end");
    assert_eq!(
        stack.bind(now, id, not_ours),
        Err(SocketError::AddressNotAvailable)
    );
    // Bound to an address of the link, it knows which is meant.
    assert_eq!(stack.bind(now, id, on_eth0(A_LOCAL, 9)), Ok(()));
    assert_eq!(stack.connect(now, id, elsewhere), Err(SocketError::Invalid));
    assert_eq!(stack.connect(now, id, at(B_LOCAL, 9)), Ok(()));
    assert_eq!(stack.peer(id), Some(on_eth0(B_LOCAL, 9)));
    assert_eq!(stack.local(id), Some(on_eth0(A_LOCAL, 9)));
}

#[test]
fn rfc4007_a_stream_between_link_local_addresses() {
    let mut wire = Wire::dual();
    for (address, peer) in [(B_LOCAL, End::B), (A_LOCAL, End::A), (LOCALHOST, End::A)] {
        let now = wire.now;
        let server = wire.host(peer).open(SocketKind::Tcp);
        let stack = &mut wire.host(peer).stack;
        let reuse = SocketOption::ReuseAddress(true);
        stack.set_option(server, reuse).unwrap();
        stack.bind(now, server, at(ANY, 80)).expect("bind");
        stack.listen(server, 4).expect("listen");
        let client = wire.a.open(SocketKind::Tcp);
        wire.a
            .stack
            .connect(now, client, on_eth0(address, 80))
            .expect("connect");
        wire.run_until("the connection", |wire| {
            wire.host(peer).stack.readiness(server).readable
        });
        let accepted = wire.host(peer).stack.accept(server).expect("a connection");
        let ours = wire.a.stack.local(client);
        assert_eq!(wire.host(peer).stack.peer(accepted), ours);
        assert_eq!(
            wire.host(peer).stack.local(accepted),
            Some(on_eth0(address, 80))
        );
        wire.a.send(wire.now, client, b"hello", None).expect("sent");
        wire.run_until("the data", |wire| {
            wire.host(peer).stack.readiness(accepted).readable
        });
        let now = wire.now;
        let (data, _) = wire.host(peer).receive(now, accepted).expect("the data");
        assert_eq!(data, b"hello");
        for id in [server, accepted] {
            wire.host(peer).stack.close(now, id);
        }
        wire.a.stack.close(now, client);
    }
}

#[test]
fn rfc4443_3_1_a_closed_port_refuses_and_the_connected_hear_of_it() {
    let mut wire = Wire::dual();
    for peer in [B6, B_LOCAL, LOCALHOST] {
        let id = wire.a.open(SocketKind::Udp);
        wire.a
            .stack
            .connect(wire.now, id, on_eth0(peer, 9))
            .expect("a way");
        wire.a.send(wire.now, id, b"anybody?", None).expect("sent");
        wire.run_until("the error", |wire| wire.a.heard_of(id));
        let error = wire.a.receive(wire.now, id).map(|_| ());
        assert_eq!(error, Err(SocketError::ConnectionRefused), "{peer}");
    }
    let nobody = echo(&mut wire, ip6("fd42::99"));
    wire.a
        .send(wire.now, nobody, b"\0\x01", None)
        .expect("queued");
    wire.run_until_within("the error", Duration::from_secs(5), |wire| {
        wire.a.heard_of(nobody)
    });
    let error = wire.a.receive(wire.now, nobody).map(|_| ());
    assert_eq!(error, Err(SocketError::HostUnreachable), "RFC 4861 7.2.2");
}

#[test]
fn rfc4291_2_5_addresses_that_have_no_place_on_a_wire() {
    let group = ip6("ff02::1:2");
    for (source, destination, reason) in [
        ("fd42::2", "fd42::9", "not_for_us"),
        ("fd42::1", "fd42::1", "own_source"),
        ("fe80::1", "fd42::1", "own_source"),
        ("::1", "fd42::1", "loopback_on_wire"),
        ("fd42::2", "::1", "loopback_on_wire"),
        ("::ffff:10.0.0.2", "fd42::1", "mapped_on_wire"),
        ("fd42::2", "::ffff:10.0.0.1", "mapped_on_wire"),
        ("ff02::1", "fd42::1", "bad_source"),
        ("::", "fd42::1", "bad_source"),
        ("::", "ff02::1", "bad_source"),
        ("fd42::2", "ff01::1", "bad_scope"),
        ("fd42::2", "ff00::1", "bad_scope"),
        ("fd42::2", "::", "not_for_us"),
    ] {
        let mut wire = Wire::dual();
        let (source, destination) = (ip6(source), ip6(destination));
        if destination.is_multicast() {
            // Otherwise the link has no use for it.
            let link = wire.a.stack.network.links.get_mut(&LinkId(1));
            let joined = link.expect("eth0").join(wire.now, destination);
            assert_eq!(joined, Ok(()));
        }
        wire.listen();
        // In a frame for this host, so that the link has nothing to say about it.
        let mut frame = frame(source, destination, 17, &datagram(source, destination));
        frame[..6].copy_from_slice(&MAC_A);
        wire.inject(End::A, frame);
        wire.run_for(Duration::from_millis(5));
        let counter = format!("ip.{reason}");
        assert_eq!(wire.a.counter(&counter), 1, "{source} {destination}");
        assert_eq!(messages(&mut wire), [], "{source} {destination}");
    }
    let mut wire = Wire::dual();
    wire.inject(End::A, frame(B6, group, 17, &datagram(B6, group)));
    wire.run_for(Duration::from_millis(5));
    assert_eq!(wire.a.counter("udp.received"), 0, "nobody has joined it");
}

#[test]
fn rfc8200_4_what_extension_headers_are_answered_with() {
    const PARAMETER_PROBLEM: u8 = 4;
    let behind = |header: &[u8]| [header, &datagram(B6, A6)].concat();
    let option = |kind: u8| behind(&[17, 0, kind, 4, 0, 0, 0, 0]);
    let problem = |code, pointer| vec![(PARAMETER_PROBLEM, code, pointer, B6)];
    let table = [
        (60, option(0x1e), "udp.delivered", vec![]),
        (60, option(0x5e), "ip.unknown_option", vec![]),
        (60, option(0x9e), "ip.unknown_option", problem(2, 42)),
        (60, option(0xde), "ip.unknown_option", problem(2, 42)),
        (
            43,
            behind(&[17, 0, 0, 1, 0, 0, 0, 0]),
            "ip.routing_header",
            problem(0, 42),
        ),
        (
            43,
            behind(&[17, 0, 0, 0, 0, 0, 0, 0]),
            "udp.delivered",
            vec![],
        ),
        (
            44,
            behind(&[17, 0, 0, 0, 0, 0, 0, 7]),
            "ip.atomic_fragment",
            vec![],
        ),
        (99, vec![0; 20], "ip.unknown_protocol", problem(1, 6)),
        (1, vec![0; 20], "ip.unknown_protocol", problem(1, 6)),
        (59, vec![], "ip.no_next_header", vec![]),
        (60, vec![17, 9, 0], "ip.bad_extension", vec![]),
    ];
    for (protocol, payload, counter, told) in table {
        let mut wire = Wire::dual();
        let id = wire.a.open(SocketKind::Udp);
        wire.a
            .stack
            .bind(wire.now, id, at(ANY, 5000))
            .expect("bind");
        wire.listen();
        wire.inject(End::A, frame(B6, A6, protocol, &payload));
        wire.run_for(Duration::from_millis(5));
        assert_eq!(wire.a.counter(counter), 1, "{protocol} {payload:?}");
        assert_eq!(messages(&mut wire), told, "{protocol} {payload:?}");
    }
}

/// RFC 6980 section 5 asks for that behind fragment headers; behind others they would pass what guards a switch (RFC
/// 7113): neighbour discovery, and MLD, are heard where the link looks for them only.
#[test]
fn rfc6980_5_neighbour_discovery_behind_extension_headers_is_dropped_and_counted() {
    let mut wire = Wire::dual();
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (B6, A6) else {
        panic!("addresses of IPv6")
    };
    let neighbours = |wire: &Wire| {
        let link = wire.a.stack.link(wire.a.link).expect("eth0");
        link.neighbours(wire.now).count()
    };
    let known = neighbours(&wire);
    let routes = wire.a.stack.routes().iter().count();
    wire.listen();
    for (count, kind) in (130..=137).chain([143]).enumerate() {
        let mut message = [&[kind, 0, 0, 0, 0x60, 0, 0, 0][..], &source.octets()].concat();
        message.extend([1, 1, 2, 0, 0, 0, 0, 0x66]);
        Icmpv6Packet::new_unchecked(&mut message).fill_checksum(&source, &destination);
        // Padding for the destination to step over.
        let payload = [&[58, 0, 1, 4, 0, 0, 0, 0][..], &message].concat();
        let mut frame = frame(B6, A6, 60, &payload);
        frame[14 + 7] = 255;
        wire.inject(End::A, frame);
        wire.run_for(Duration::from_millis(5));
        assert_eq!(wire.a.counter("icmp.ignored"), count as u64 + 1, "{kind}");
    }
    assert_eq!(messages(&mut wire), [], "nobody is answered");
    assert_eq!(neighbours(&wire), known);
    assert_eq!(wire.a.stack.routes().iter().count(), routes);
}

#[test]
fn rfc4443_2_4_e_a_group_is_told_only_what_it_must_be() {
    let mut wire = Wire::dual();
    wire.listen();
    let behind = |header: &[u8]| [header, &datagram(B6, ALL_NODES)].concat();
    for payload in [
        behind(&[17, 0, 0xde, 4, 0, 0, 0, 0]),
        behind(&[17, 0, 0x9e, 4, 0, 0, 0, 0]),
    ] {
        wire.inject(End::A, frame(B6, ALL_NODES, 60, &payload));
    }
    wire.inject(End::A, frame(B6, ALL_NODES, 17, &datagram(B6, ALL_NODES)));
    wire.inject(End::A, frame(B6, ALL_NODES, 99, &[0; 20]));
    wire.run_for(Duration::from_millis(5));
    assert_eq!(
        messages(&mut wire),
        [(4, 2, 42, B6)],
        "(e.3), and its exception"
    );
    assert_eq!(wire.a.counter("icmp.error_forbidden"), 3);
}

#[test]
fn rfc4443_2_4_f_a_flood_is_not_answered_at_its_own_pace() {
    let mut wire = Wire::dual();
    let ping = echo(&mut wire, B6);
    wire.a.send(wire.now, ping, b"\0\x01", None).expect("sent");
    wire.run_until("the neighbour", |wire| {
        wire.a.stack.readiness(ping).readable
    });
    wire.listen();
    let link = wire.a.link;
    for _ in 0..1000 {
        let frame = frame(B6, A6, 17, &datagram(B6, A6));
        wire.a
            .stack
            .handle_frame(wire.now, link, &frame, &mut wire.a.ring);
    }
    wire.run_for(Duration::from_millis(10));
    assert_eq!(messages(&mut wire).len(), 50);
    assert_eq!(wire.a.counter("icmp.error_rate_limited"), 950);
}

#[test]
fn a_datagram_that_the_path_does_not_carry_is_refused() {
    let mut wire = Wire::dual();
    let id = wire.a.open(SocketKind::Udp);
    let to = Some(on_eth0(B6, 9));
    assert_eq!(wire.a.send(wire.now, id, &[0; 1452], to), Ok(1452));
    // The loopback carries more than a datagram of IPv6 can have.
    let own = Some(at(LOCALHOST, 9));
    assert_eq!(wire.a.send(wire.now, id, &[0; 60_000], own), Ok(60_000));
}

#[test]
fn raw_sockets_of_ipv6_see_whole_packets_and_write_them() {
    let mut wire = Wire::dual();
    let raw = wire.a.open(SocketKind::RawV6(58));
    let other = wire.a.open(SocketKind::Raw(58));
    let ping = echo(&mut wire, B6);
    wire.a.send(wire.now, ping, b"\0\x01?", None).expect("sent");
    wire.run_until("the reply", |wire| wire.a.stack.readiness(raw).readable);
    let (packet, received) = wire.a.receive(wire.now, raw).expect("the reply");
    assert_eq!((packet[0] >> 4, packet[40]), (6, 129));
    assert_eq!(received.source, Some(at(B6, 0)));
    assert!(!wire.a.stack.readiness(other).readable, "that is of IPv4");
    // An echo request without a source and without a checksum (RFC 3542 3.1).
    let request = [128, 0, 0, 0, 0x12, 0x34, 0, 1, b'!'];
    let packet = &frame(ANY, B6, 58, &request)[14..];
    assert_eq!(wire.a.send(wire.now, raw, packet, None), Ok(packet.len()));
    wire.run_until("the reply", |wire| wire.a.stack.readiness(raw).readable);
    let (reply, _) = wire.a.receive(wire.now, raw).expect("the reply");
    assert_eq!(reply[44..], request[4..]);
    for bad in [
        &packet[..48],
        &frame(A6, B6, 17, &request)[14..],
        &packet[..3],
    ] {
        assert_eq!(
            wire.a.send(wire.now, raw, bad, None),
            Err(SocketError::Invalid)
        );
    }
}

#[test]
fn an_address_that_goes_takes_its_connections_with_it_and_only_its_own() {
    let mut wire = Wire::dual();
    let now = wire.now;
    let server = wire.b.open(SocketKind::Tcp);
    wire.b.stack.bind(now, server, at(ANY, 80)).expect("bind");
    wire.b.stack.listen(server, 4).expect("listen");
    let [global, local] = [B6, B_LOCAL].map(|peer| {
        let id = wire.a.open(SocketKind::Tcp);
        wire.a
            .stack
            .connect(now, id, on_eth0(peer, 80))
            .expect("connect");
        id
    });
    wire.run_for(Duration::from_millis(50));
    let gone = super::wire::cidr(A_LOCAL, 64);
    wire.a
        .stack
        .remove_address(wire.now, LinkId(1), gone)
        .expect("removed");
    assert_eq!(
        wire.a.stack.take_error(local),
        Some(SocketError::ConnectionAborted)
    );
    assert_eq!(wire.a.stack.take_error(global), None);
    assert!(wire.a.stack.readiness(global).writable);
}
