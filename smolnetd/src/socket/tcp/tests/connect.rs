//! Active opens.

use crate::flow::State;

use super::*;
use crate::socket::SocketOption;
use crate::socket::tcp::IcmpError;

/// The story of the connect that never became writable: poll() said nothing, neither of success …
#[test]
fn the_connect_that_never_became_writable_success() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    assert_eq!(host.readiness(id), NOT_READY, "while connecting");
    assert_eq!(host.send(id, b"early"), Err(SocketError::WouldBlock));
    assert_eq!(
        host.read(id, 10),
        Err(SocketError::WouldBlock),
        "not an end of stream"
    );
    assert!(host.changed().is_empty());

    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    assert_eq!(peer.hears(&mut host), ["S 0 win 65535 mss 1460 ws 7 sack"]);
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(host.changed(), [id], "the edge");
    assert_eq!(host.readiness(id), WRITABLE);
    assert_eq!(host.tcp.peer(id), Some(at(PEER, 80)));
    assert_eq!(host.tcp.take_error(id), None);
    assert_eq!(host.send(id, b"hello"), Ok(5));
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 1 win 65535", "P. 1(5) ack 1 win 65535"]
    );
}

/// … nor of refusal …
#[test]
fn the_connect_that_never_became_writable_refusal() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 81));
    let mut peer = Peer::new(at(PEER, 81), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("R.", 0, 1, b""));
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.readiness(id), Readiness::BOTH);
    assert_eq!(
        host.send(id, b"x"),
        Err(SocketError::ConnectionRefused),
        "the real error from the next call"
    );
    assert_eq!(
        host.send(id, b"x"),
        Err(SocketError::NotConnected),
        "and only from that"
    );
    assert_eq!(host.read(id, 1), Err(SocketError::NotConnected));
    assert_eq!(host.tcp.flow_count(), 0, "the port is free");
    assert_eq!(peer.hears(&mut host), [""; 0], "a RST is not answered");
}

/// … nor of silence.
#[test]
fn the_connect_that_never_became_writable_timeout() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 82));
    let mut peer = Peer::new(at(PEER, 82), host.tcp.local(id).expect("bound"));
    host.waits(seconds(179));
    assert_eq!(
        host.readiness(id),
        NOT_READY,
        "RFC 1122 4.2.3.5: at least 3 minutes"
    );
    assert!(host.changed().is_empty());
    host.waits(seconds(2));
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.readiness(id), Readiness::BOTH);
    assert_eq!(host.read(id, 1), Err(SocketError::TimedOut));
    let syns = peer.hears(&mut host);
    assert!(
        syns.iter().all(|line| line.starts_with("S 0 ")),
        "nothing but SYNs: {syns:?}"
    );
    assert!(
        (6..=9).contains(&syns.len()),
        "with growing pauses: {syns:?}"
    );
    assert_eq!(host.tcp.next_deadline(), None);
}

#[test]
fn the_pending_error_is_told_by_so_error_too() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 81));
    let mut peer = Peer::new(at(PEER, 81), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("R.", 0, 1, b""));
    assert_eq!(
        host.tcp.take_error(id),
        Some(SocketError::ConnectionRefused)
    );
    assert_eq!(host.tcp.take_error(id), None);
    assert_eq!(
        host.readiness(id),
        Readiness::BOTH,
        "a call would not block"
    );
    assert_eq!(
        host.connect_with(id, at(PEER, 82)),
        Ok(()),
        "and another attempt may be made"
    );
    assert_eq!(host.readiness(id), NOT_READY);
}

#[test]
fn a_second_connect_is_told_what_the_first_is_doing() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    assert_eq!(
        host.connect_with(id, at(PEER, 80)),
        Err(SocketError::AlreadyInProgress)
    );
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(
        host.connect_with(id, at(PEER, 80)),
        Err(SocketError::IsConnected)
    );
}

#[test]
fn a_rst_that_does_not_acknowledge_the_syn_refuses_nothing() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says("R", 0, 0, b""));
    host.hears(&peer.says("R.", 0, 0, b""));
    host.hears(&peer.says("R.", 0, 2, b""));
    assert_eq!(host.tcp.counters().rst_out_of_window, 3);
    assert_eq!(host.readiness(id), NOT_READY);
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(host.readiness(id), WRITABLE);
}

/// RFC 9293 3.5.1: the peer still has an old connection of the same name.
#[test]
fn an_acknowledgement_from_an_older_life_is_reset() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let mut peer = Peer::new(at(PEER, 80), host.tcp.local(id).expect("bound"));
    peer.hears(&mut host);
    host.hears(&peer.says(".", 300, 700, b""));
    assert_eq!(peer.hears(&mut host), ["R 700"]);
    host.waits(seconds(1));
    assert_eq!(peer.hears(&mut host).len(), 1, "and the SYN comes again");
}

/// RFC 9293 3.5, figure 8; MUST-10.
#[test]
fn both_ends_open_at_the_same_time() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp.bind(id, at(HOST, 5000), false).expect("bind");
    host.connect_with(id, at(PEER, 6000)).expect("connect");
    let mut peer = Peer::new(at(PEER, 6000), at(HOST, 5000));
    assert_eq!(peer.hears(&mut host), ["S 0 win 65535 mss 1460 ws 7 sack"]);
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(host.tcp.state(id), Some(State::SynReceived));
    assert_eq!(peer.hears(&mut host), ["S. 0 ack 1 win 65535 mss 1460"]);
    host.hears(&peer.says("S.", 0, 1, b""));
    assert_eq!(
        peer.hears(&mut host),
        [". 1 ack 1 win 65535"],
        "RFC 9293 3.10.7.4: the old SYN is answered with ACK"
    );
    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(host.tcp.state(id), Some(State::Established));
    assert_eq!(host.readiness(id), WRITABLE);
}

#[test]
fn an_icmp_error_ends_an_attempt_but_no_connection() {
    let mut host = Host::new();
    let id = host.connect(at(PEER, 80));
    let local = host.tcp.local(id).expect("bound");
    let mut peer = Peer::new(at(PEER, 80), local);
    peer.hears(&mut host);
    host.tcp.icmp_error(
        host.now,
        local,
        at(PEER, 80),
        peer.host_start.wrapping_add(9),
        IcmpError::HostUnreachable,
    );
    assert_eq!(
        host.readiness(id),
        NOT_READY,
        "not a sequence number that is on its way"
    );
    assert_eq!(host.tcp.counters().icmp_not_in_flight, 1);
    host.tcp.icmp_error(
        host.now,
        local,
        at(PEER, 80),
        peer.host_start,
        IcmpError::HostUnreachable,
    );
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.read(id, 1), Err(SocketError::HostUnreachable));

    let (id, peer) = connected(&mut host);
    host.send(id, b"x").expect("send");
    let una = peer.host_start.wrapping_add(1);
    host.tcp.icmp_error(
        host.now,
        peer.host,
        peer.end,
        una,
        IcmpError::PortUnreachable,
    );
    assert_eq!(host.readiness(id), WRITABLE, "RFC 1122 4.2.3.9: soft");
}

#[test]
fn a_router_with_a_small_mtu_is_believed_within_reason() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.send(id, &[7; 1400]).expect("send");
    assert_eq!(peer.hears(&mut host), ["P. 1(1400) ack 1 win 65535"]);
    let una = peer.host_start.wrapping_add(1);
    host.tcp.icmp_error(
        host.now,
        peer.host,
        peer.end,
        una,
        IcmpError::PacketTooBig { mtu: 1280 },
    );
    host.poll();
    assert_eq!(
        peer.hears(&mut host),
        [". 1(1240) ack 1 win 65535", "P. 1241(160) ack 1 win 65535"],
        "sent again at once in a size that fits (RFC 1191 6.4)"
    );
    host.hears(&peer.says(".", 1, 1401, b""));
    host.send(id, &[7; 2000]).expect("send");
    peer.hears(&mut host);
    let una = peer.host_start.wrapping_add(1401);
    host.tcp.icmp_error(
        host.now,
        peer.host,
        peer.end,
        una,
        IcmpError::PacketTooBig { mtu: 20 },
    );
    host.waits(seconds(2));
    let sent = peer.hears(&mut host);
    assert!(
        sent.contains(&". 1401(512) ack 1 win 65535".into()),
        "but not below 552: {sent:?}"
    );
}

#[test]
fn a_next_hop_that_does_not_answer_ends_attempts_only() {
    let mut host = Host::new();
    let (established, _) = connected(&mut host);
    let attempt = host.connect(at(PEER, 81));
    host.tcp.next_hop_unreachable(host.now, ETH0, PEER.into());
    assert_eq!(host.changed(), [attempt]);
    assert_eq!(host.read(attempt, 1), Err(SocketError::HostUnreachable));
    assert_eq!(host.readiness(established), WRITABLE);
}

#[test]
fn the_adapter_goes_and_its_connections_with_it() {
    let mut host = Host::new();
    let (id, _) = connected(&mut host);
    let other = host.connect(at(Ipv4Addr::LOCALHOST, 99));
    host.tcp.link_gone(host.now, ETH0);
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.read(id, 1), Err(SocketError::NetworkDown));
    assert_eq!(host.read(id, 1), Ok(vec![]), "then the end");
    assert_eq!(host.send(id, b"x"), Err(SocketError::BrokenPipe));
    assert!(
        host.tcp.is_connecting(other),
        "what goes another way goes on"
    );
}

#[test]
fn the_address_goes_and_its_connections_with_it() {
    let mut host = Host::new();
    let (id, mut peer) = connected(&mut host);
    host.tcp.address_gone(host.now, IpAddr::from(HOST));
    assert_eq!(host.changed(), [id]);
    assert_eq!(host.read(id, 1), Err(SocketError::ConnectionAborted));
    host.poll();
    assert_eq!(
        peer.hears(&mut host),
        [""; 0],
        "nothing is sent from an address that is not ours"
    );
    assert_eq!(host.tcp.flow_count(), 0);
}

#[test]
fn addresses_that_no_connection_can_have() {
    let mut host = Host::new();
    for address in [
        Ipv4Addr::BROADCAST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(0, 1, 2, 3),
    ] {
        let id = host.socket();
        assert_eq!(
            host.connect_with(id, at(address, 80)),
            Err(SocketError::NetworkUnreachable),
            "{address}"
        );
    }
    let id = host.socket();
    assert_eq!(
        host.connect_with(id, at(PEER, 0)),
        Err(SocketError::NetworkUnreachable)
    );
}

#[test]
fn what_a_socket_that_was_never_connected_says() {
    each_family(|mut host| {
        let id = host.socket();
        assert_eq!(host.read(id, 1), Err(SocketError::NotConnected));
        assert_eq!(host.send(id, b"x"), Err(SocketError::NotConnected));
        assert_eq!(host.tcp.accept(id), Err(SocketError::Invalid));
        assert_eq!(
            host.tcp.listen(id, 1),
            Err(SocketError::DestinationRequired)
        );
        assert_eq!(host.readiness(id), NOT_READY);
        assert_eq!(host.tcp.local(id), None);
        assert_eq!(
            host.tcp.set_option(id, SocketOption::TimeToLive(0)),
            Err(SocketError::Invalid)
        );
        host.close(id);
        assert_eq!(host.read(id, 1), Err(SocketError::BadSocket));
    });
}

#[test]
fn the_time_to_live_is_what_was_asked_for() {
    let mut host = Host::new();
    let id = host.socket();
    host.tcp
        .set_option(id, SocketOption::TimeToLive(3))
        .expect("option");
    host.connect_with(id, at(PEER, 80)).expect("connect");
    let (_, packet) = host.net.sent.pop_front().expect("a SYN");
    assert_eq!(
        Ipv4Packet::new_checked(&packet[..])
            .expect("IPv4")
            .hop_limit(),
        3
    );
}
