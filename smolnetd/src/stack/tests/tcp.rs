//! Stories of TCP over the whole host: sockets, routes, links, loopback. The engine's own are with the engine.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, EthernetFrame, IpAddress, IpProtocol, Ipv4Packet, TcpPacket};

use super::icmp::edit_ip;
use super::wire::{A, B, End, Wire, at, cidr};
use crate::error::SocketError;
use crate::socket::{Owner, Readiness, SocketId, SocketKind, SocketOption};
use crate::stack::Change;

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn listener(wire: &mut Wire, end: End, address: IpAddr, port: u16) -> SocketId {
    let now = wire.now;
    let host = wire.host(end);
    let id = host.open(SocketKind::Tcp);
    // As servers do, so that what is left of connections does not keep them from starting again.
    let reuse = SocketOption::ReuseAddress(true);
    host.stack.set_option(id, reuse).unwrap();
    host.stack
        .bind(now, id, at(address, port))
        .expect("a free port");
    host.stack.listen(id, 16).expect("a listener");
    id
}

/// Starts to connect from A.
pub(super) fn connect(wire: &mut Wire, to: IpAddr, port: u16) -> SocketId {
    let id = wire.a.open(SocketKind::Tcp);
    wire.a
        .stack
        .connect(wire.now, id, at(to, port))
        .expect("an attempt");
    id
}

/// A connection from A to a listener on `end`: A's end, and the accepted one.
pub(super) fn connected(wire: &mut Wire, end: End, to: IpAddr) -> (SocketId, SocketId) {
    let any = match to {
        IpAddr::V4(_) => ANY,
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let listening = listener(wire, end, any, 80);
    let client = connect(wire, to, 80);
    wire.run_until_within("the connection", Duration::from_secs(60), |wire| {
        wire.a.stack.readiness(client).writable
            && wire.host(end).stack.readiness(listening).readable
    });
    let accepted = wire
        .host(end)
        .stack
        .accept(listening)
        .expect("the connection");
    let now = wire.now;
    wire.host(end).stack.close(now, listening);
    (client, accepted)
}

#[test]
fn a_question_an_answer_and_the_end() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    assert_eq!(wire.a.stack.peer(client), Some(at(B, 80)));
    assert_eq!(wire.a.stack.local(client), wire.b.stack.peer(server));
    assert_eq!(wire.b.stack.local(server), Some(at(B, 80)));
    wire.b.heard_of(server);
    assert_eq!(wire.a.send(wire.now, client, b"question", None), Ok(8));
    wire.run_until("the question", |wire| {
        wire.b.heard_of(server) && wire.b.stack.readiness(server).readable
    });
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, b"question");
    assert_eq!(
        wire.b.receive(wire.now, server).unwrap_err(),
        SocketError::WouldBlock
    );
    wire.b.send(wire.now, server, b"answer", None).unwrap();
    wire.b.stack.close(wire.now, server);
    wire.run_until("the end", |wire| {
        wire.a.heard_of(client) && wire.a.stack.readiness(client).readable
    });
    wire.run_for(Duration::from_millis(10));
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap().0,
        b"answer",
        "what was written before close arrives"
    );
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap().0,
        b"",
        "and then the end"
    );
    wire.a.stack.close(wire.now, client);
    assert_eq!(
        (wire.a.stack.socket_count(), wire.b.stack.socket_count()),
        (0, 0)
    );
    wire.run_for(Duration::from_secs(300));
    assert_eq!(
        (wire.a.stack.next_deadline(), wire.b.stack.next_deadline()),
        (None, None),
        "nothing lingers"
    );
}

#[test]
fn the_connect_that_never_became_writable() {
    let mut wire = Wire::new();
    // It succeeds: writable, and no error.
    let listening = listener(&mut wire, End::B, ANY, 80);
    let client = connect(&mut wire, B, 80);
    assert!(wire.a.stack.is_connecting(client));
    assert_eq!(wire.a.stack.readiness(client), Readiness::default());
    wire.run_until("success", |wire| {
        wire.a.heard_of(client) && wire.a.stack.readiness(client).writable
    });
    assert!(!wire.a.stack.readiness(client).readable && !wire.a.stack.is_connecting(client));
    wire.run_until("a connection to accept", |wire| wire.b.heard_of(listening));
    // It is refused: both, and the next call says so, once.
    let client = connect(&mut wire, B, 81);
    wire.run_until("refusal", |wire| wire.a.heard_of(client));
    assert_eq!(wire.a.stack.readiness(client), Readiness::BOTH);
    assert_eq!(
        wire.a.send(wire.now, client, b"x", None),
        Err(SocketError::ConnectionRefused)
    );
    // It is refused by ourselves.
    for address in [LOCALHOST, A] {
        let client = connect(&mut wire, address, 81);
        wire.run_until("refusal", |wire| wire.a.heard_of(client));
        assert_eq!(
            wire.a.stack.take_error(client),
            Some(SocketError::ConnectionRefused)
        );
    }
    // There is no such host.
    let client = connect(&mut wire, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)), 80);
    wire.run_until_within("despair", Duration::from_secs(20), |wire| {
        wire.a.heard_of(client)
    });
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap_err(),
        SocketError::HostUnreachable
    );
    // There is, but it does not answer.
    wire.weather(|frame| frame.get(23) != Some(&6));
    let client = connect(&mut wire, B, 80);
    wire.run_until_within("despair", Duration::from_secs(400), |wire| {
        wire.a.heard_of(client)
    });
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap_err(),
        SocketError::TimedOut
    );
}

/// The last segment that went over the wire from that end.
fn last_segment(wire: &mut Wire, from: End) -> Vec<u8> {
    let is_tcp = |frame: &[u8]| {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
        (ip.next_header() == IpProtocol::Tcp).then_some(())
    };
    wire.taken()
        .into_iter()
        .rfind(|(end, frame)| *end == from && is_tcp(frame).is_some())
        .expect("a segment")
        .1
}

/// Puts the addresses of a segment to others, with its checksums.
fn redirect(frame: &mut [u8], source: [u8; 4], destination: [u8; 4], mac: EthernetAddress) {
    EthernetFrame::new_unchecked(&mut *frame).set_dst_addr(mac);
    edit_ip(frame, |ip| {
        ip.set_src_addr(source.into());
        ip.set_dst_addr(destination.into());
    });
    let (source, destination) = (
        IpAddress::Ipv4(source.into()),
        IpAddress::Ipv4(destination.into()),
    );
    TcpPacket::new_unchecked(&mut frame[34..]).fill_checksum(&source, &destination);
}

#[test]
fn the_syn_to_the_broadcast_address() {
    let mut wire = Wire::new();
    wire.weather(|_| false);
    wire.listen();
    wire.b
        .stack
        .set_option(SocketId(0), SocketOption::NoDelay(true))
        .unwrap_err();
    let id = wire.b.open(SocketKind::Tcp);
    wire.weather(|frame| frame.get(23) != Some(&6));
    wire.b.stack.connect(wire.now, id, at(A, 80)).unwrap();
    wire.run_for(Duration::from_millis(10));
    let syn = last_segment(&mut wire, End::B);
    wire.b.stack.close(wire.now, id);
    wire.weather(|_| true);

    let listening = listener(&mut wire, End::A, ANY, 80);
    let everybody = EthernetAddress::BROADCAST;
    let group = EthernetAddress([1, 0, 0x5e, 0, 0, 1]);
    let cases = [
        ([10, 0, 0, 2], [10, 0, 0, 255], everybody),
        ([10, 0, 0, 2], [255, 255, 255, 255], everybody),
        ([10, 0, 0, 2], [224, 0, 0, 1], group),
        (
            [10, 0, 0, 1],
            [10, 0, 0, 1],
            EthernetAddress(super::wire::MAC_A),
        ),
        (
            [127, 0, 0, 1],
            [10, 0, 0, 1],
            EthernetAddress(super::wire::MAC_A),
        ),
        (
            [10, 0, 0, 255],
            [10, 0, 0, 1],
            EthernetAddress(super::wire::MAC_A),
        ),
    ];
    for (source, destination, mac) in cases {
        let mut frame = syn.clone();
        redirect(&mut frame, source, destination, mac);
        wire.inject(End::A, frame);
        wire.taken();
        wire.run_for(Duration::from_millis(10));
        let sent: Vec<_> = wire
            .taken()
            .into_iter()
            .filter(|(end, _)| *end == End::A)
            .collect();
        assert!(
            sent.is_empty(),
            "{source:?} to {destination:?} was answered: {sent:?}"
        );
        assert!(!wire.a.stack.readiness(listening).readable);
    }
    assert!(
        wire.a.stack.is_listening(listening),
        "the listener listens on"
    );
    let client = wire.b.open(SocketKind::Tcp);
    wire.b.stack.connect(wire.now, client, at(A, 80)).unwrap();
    wire.run_until("a connection", |wire| {
        wire.a.stack.readiness(listening).readable
    });
    wire.a.stack.accept(listening).unwrap();
}

#[test]
fn an_accepted_connection_is_the_listeners_owners_and_a_socket_like_others() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    assert_eq!(
        wire.b.stack.accept(server),
        Err(SocketError::Invalid),
        "it is no listener"
    );
    wire.a.send(wire.now, client, b"early", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, b"early");
    // Data that came before accept is reported when the socket appears.
    let listening = listener(&mut wire, End::B, ANY, 81);
    let eager = connect(&mut wire, B, 81);
    wire.run_until("success", |wire| wire.a.stack.readiness(eager).writable);
    wire.a.send(wire.now, eager, b"at once", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    let accepted = wire.b.stack.accept(listening).unwrap();
    let mut changes = Vec::new();
    wire.b.stack.take_changes(&mut changes);
    assert!(changes.contains(&Change::Socket(accepted)), "{changes:?}");
    assert_eq!(wire.b.receive(wire.now, accepted).unwrap().0, b"at once");
    assert_eq!(wire.b.stack.accept(listening), Err(SocketError::WouldBlock));
}

#[test]
fn an_address_that_goes_takes_its_connections_with_it() {
    let mut wire = Wire::new();
    let (client, _) = connected(&mut wire, End::B, B);
    let (looped, _) = connected(&mut wire, End::A, LOCALHOST);
    wire.a.heard_of(client);
    wire.a
        .stack
        .remove_address(wire.now, wire.a.link, cidr(A, 24))
        .unwrap();
    wire.run_for(Duration::from_millis(1));
    assert!(wire.a.heard_of(client));
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap_err(),
        SocketError::ConnectionAborted
    );
    assert_eq!(
        wire.a.receive(wire.now, looped).unwrap_err(),
        SocketError::WouldBlock,
        "127.0.0.1 has not gone"
    );
}

#[test]
fn an_address_set_again_disturbs_nothing() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    wire.a
        .stack
        .set_address(wire.now, wire.a.link, cidr(A, 24))
        .unwrap();
    wire.a.send(wire.now, client, b"still here", None).unwrap();
    wire.run_until("the data", |wire| wire.b.stack.readiness(server).readable);
}

#[test]
fn a_link_that_goes_takes_its_connections_with_it() {
    let mut wire = Wire::new();
    let (client, _) = connected(&mut wire, End::B, B);
    wire.a.heard_of(client);
    wire.a.stack.remove_link(wire.now, wire.a.link);
    wire.run_for(Duration::from_millis(1));
    assert!(wire.a.heard_of(client));
    let error = wire.a.receive(wire.now, client).unwrap_err();
    assert_eq!(error, SocketError::NetworkDown);
}

#[test]
fn a_carrier_that_comes_and_goes_only_delays() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    let link = wire.a.link;
    wire.a.stack.set_link_up(wire.now, link, false);
    wire.a.send(wire.now, client, b"patience", None).unwrap();
    wire.run_for(Duration::from_secs(5));
    assert!(!wire.b.stack.readiness(server).readable);
    wire.a.stack.set_link_up(wire.now, link, true);
    wire.run_until_within("the data", Duration::from_secs(30), |wire| {
        wire.b.stack.readiness(server).readable
    });
    assert_eq!(wire.b.receive(wire.now, server).unwrap().0, b"patience");
}

#[test]
fn a_reset_reaches_the_reader() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    // B restarts: it knows nothing of the connection.
    let link = wire.b.link;
    wire.b
        .stack
        .remove_address(wire.now, link, cidr(B, 24))
        .unwrap();
    wire.configure(End::B, B);
    wire.b.stack.close(wire.now, server);
    wire.run_for(Duration::from_secs(10));
    wire.a.heard_of(client);
    wire.a
        .send(wire.now, client, b"are you there?", None)
        .unwrap();
    wire.run_until_within("the reset", Duration::from_secs(5), |wire| {
        wire.a.heard_of(client)
    });
    assert_eq!(
        wire.a.receive(wire.now, client).unwrap_err(),
        SocketError::ConnectionReset
    );
}

#[test]
fn connect_to_what_is_no_host_fails_at_once() {
    let mut wire = Wire::new();
    let id = wire.a.open(SocketKind::Tcp);
    for (address, error) in [
        ([10, 0, 0, 255], SocketError::NetworkUnreachable),
        ([255, 255, 255, 255], SocketError::NetworkUnreachable),
        ([224, 0, 0, 1], SocketError::NetworkUnreachable),
        ([192, 0, 2, 1], SocketError::NetworkUnreachable),
        ([0, 0, 0, 0], SocketError::Invalid),
    ] {
        assert_eq!(
            wire.a.stack.connect(wire.now, id, at(address.into(), 80)),
            Err(error),
            "{address:?}"
        );
    }
    // And the socket is as good as new.
    listener(&mut wire, End::B, ANY, 80);
    wire.a.stack.connect(wire.now, id, at(B, 80)).unwrap();
    wire.run_until("success", |wire| wire.a.stack.readiness(id).writable);
}

#[test]
fn bytes_that_the_peer_never_sent_start_no_war_of_acknowledgements() {
    let mut wire = Wire::new();
    wire.listen();
    let (client, server) = connected(&mut wire, End::B, B);
    wire.b.send(wire.now, server, b"true", None).unwrap();
    wire.run_for(Duration::from_millis(10));
    assert_eq!(wire.a.receive(wire.now, client).unwrap().0, b"true");
    // Somebody who sees the connection puts words into B's mouth. A acknowledges what B has not sent, and B says so.
    let mut forged = last_segment(&mut wire, End::B);
    let mut segment = TcpPacket::new_unchecked(&mut forged[34..]);
    let sequence = segment.seq_number() + 4;
    segment.set_seq_number(sequence);
    let mac = EthernetAddress(super::wire::MAC_A);
    redirect(&mut forged, [10, 0, 0, 2], [10, 0, 0, 1], mac);
    wire.inject(End::A, forged);
    wire.run_for(Duration::from_secs(10));
    let segments = wire.taken().len();
    assert!(segments < 100, "{segments} segments in ten seconds");
}

#[test]
fn an_idle_connection_wakes_nobody() {
    let mut wire = Wire::new();
    let (client, server) = connected(&mut wire, End::B, B);
    wire.a.send(wire.now, client, b"hello", None).unwrap();
    wire.run_until("the data", |wire| wire.b.stack.readiness(server).readable);
    wire.run_for(Duration::from_secs(120));
    let deadlines = [&wire.a, &wire.b].map(|host| host.stack.next_deadline());
    assert_eq!(deadlines, [None, None]);
}

/// RFC 9293 3.6.1: who closes first keeps the port in TIME-WAIT. Another may have it at once who says so (SO_REUSEADDR).
#[test]
fn the_port_of_a_connection_in_time_wait_is_for_who_asks_to_reuse_it() {
    let mut wire = Wire::new();
    let (client, accepted) = connected(&mut wire, End::B, B);
    let now = wire.now;
    wire.b.stack.close(now, accepted);
    wire.run_for(Duration::from_millis(10));
    wire.a.stack.close(wire.now, client);
    wire.run_for(Duration::from_millis(10));
    let stack = &mut wire.b.stack;
    let id = stack.socket(SocketKind::Tcp, Owner::ROOT).unwrap();
    let refused = stack.bind(wire.now, id, at(ANY, 80));
    assert_eq!(refused, Err(SocketError::AddressInUse));
    let reuse = SocketOption::ReuseAddress(true);
    stack.set_option(id, reuse).unwrap();
    assert_eq!(stack.bind(wire.now, id, at(ANY, 80)), Ok(()));
}
