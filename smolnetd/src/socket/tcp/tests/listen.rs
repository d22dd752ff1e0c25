//! Passive opens.

use crate::flow::State;

use super::*;

#[test]
fn a_connection_is_accepted_when_its_handshake_is_complete_and_not_before() {
    let mut host = Host::new();
    let listener = host.listener(80, 8);
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.builds("S", 0, 0, b"", |syn| {
        syn.window_scale = Some(7);
        syn.sack_permitted = true;
    }));
    assert_eq!(
        peer.hears(&mut host),
        ["S. 0 ack 1 win 65535 mss 1460 ws 7 sack"]
    );
    assert_eq!(
        host.readiness(listener),
        NOT_READY,
        "half open is not accepted"
    );
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));

    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(host.changed(), [listener]);
    assert_eq!(host.readiness(listener), READABLE);
    let id = host.tcp.accept(listener).expect("a connection");
    assert_eq!(host.tcp.local(id), Some(at(HOST, 80)));
    assert_eq!(host.tcp.peer(id), Some(at(PEER, 40_000)));
    assert_eq!(host.tcp.state(id), Some(State::Established));
    assert_eq!(host.readiness(id), WRITABLE);
    assert_eq!(host.readiness(listener), NOT_READY);
    assert_eq!(peer.hears(&mut host), [""; 0]);
}

#[test]
fn the_ack_may_bring_data_and_even_the_end() {
    let mut host = Host::new();
    let listener = host.listener(80, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says("F.", 1, 1, b"GET /\r\n"));
    let id = host.tcp.accept(listener).expect("a connection");
    assert_eq!(host.readiness(id), Readiness::BOTH);
    assert_eq!(host.read(id, 99), Ok(b"GET /\r\n".to_vec()));
    assert_eq!(host.read(id, 99), Ok(vec![]), "the end of the stream");
    assert_eq!(host.send(id, b"200"), Ok(3), "the other direction is open");
    host.waits(millis(10));
    let lines = peer.hears(&mut host);
    assert_eq!(
        lines.last().map(String::as_str),
        Some("P. 1(3) ack 9 win 65527"),
        "{lines:?}"
    );
}

#[test]
fn data_after_a_lost_ack_completes_the_handshake_in_any_order() {
    let mut host = Host::new();
    let listener = host.listener(80, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says("P.", 6, 1, b"world"));
    let id = host.tcp.accept(listener).expect("a connection");
    host.hears(&peer.says(".", 1, 1, b"hello"));
    assert_eq!(host.read(id, 99), Ok(b"helloworld".to_vec()));
}

#[test]
fn a_syn_ack_that_was_lost_is_sent_again() {
    let mut host = Host::new();
    let listener = host.listener(80, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    host.waits(seconds(8));
    let again = peer.hears(&mut host);
    assert_eq!(
        again, ["S. 0 ack 1 win 65535 mss 1460"; 4],
        "at 0, 1, 3 and 7 s"
    );
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(
        peer.hears(&mut host).len(),
        1,
        "and when the SYN comes again"
    );
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(peer.hears(&mut host), [""; 0], "but not for each of many");
    host.waits(seconds(60));
    assert_eq!(host.tcp.counters().half_open_timeouts, 1);
    assert_eq!(host.tcp.flow_count(), 0, "nothing lasts");
    assert_eq!(host.tcp.next_deadline(), None);
    assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
}

#[test]
fn a_peer_that_changes_its_mind_is_forgotten() {
    let mut host = Host::new();
    host.listener(80, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says("R", 9, 0, b""));
    assert_eq!(
        host.tcp.flow_count(),
        1,
        "a RST in the window, but not exact"
    );
    host.hears(&peer.says("R", 1, 0, b""));
    assert_eq!(host.tcp.flow_count(), 0);
    assert_eq!(host.tcp.counters().half_open_resets, 1);
}

#[test]
fn a_wrong_acknowledgement_is_reset_and_the_handshake_goes_on() {
    let mut host = Host::new();
    let listener = host.listener(80, 8);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.waits(millis(500));
    host.hears(&peer.says(".", 1, 77, b""));
    assert_eq!(peer.hears(&mut host), ["R 77"]);
    host.hears(&peer.says(".", 1, 1, b""));
    assert!(host.tcp.accept(listener).is_ok());
}

#[test]
fn a_segment_for_nobody_is_refused() {
    let mut host = Host::new();
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 81));
    assert_eq!(host.hears(&peer.says("S", 0, 0, b"")), Ingress::NoFlow);
    assert_eq!(peer.hears(&mut host), ["R. 0 ack 1"]);
    host.hears(&peer.says("P.", 5, 9, b"data"));
    assert_eq!(peer.hears(&mut host), ["R 9"]);
    host.hears(&peer.says("R", 5, 9, b""));
    assert_eq!(peer.hears(&mut host), [""; 0], "no RST for a RST");
    host.listener(81, 1);
    host.hears(&peer.says(".", 5, 9, b""));
    assert_eq!(
        peer.hears(&mut host),
        ["R 9"],
        "an ACK for a listener (RFC 9293 3.10.7.2)"
    );
    host.hears(&peer.says("F", 5, 0, b""));
    assert_eq!(host.tcp.counters().not_syn, 1);
}

#[test]
fn the_accept_queue_is_as_long_as_the_backlog() {
    let mut host = Host::new();
    let listener = host.listener(80, 2);
    let mut peers: Vec<Peer> = (1..=3)
        .map(|n| Peer::new(at(PEER, n), at(HOST, 80)))
        .collect();
    for peer in &mut peers {
        host.hears(&peer.says("S", 0, 0, b""));
        assert_eq!(peer.hears(&mut host).len(), 1);
    }
    for peer in &peers {
        host.hears(&peer.says(".", 1, 1, b""));
    }
    assert_eq!(
        host.tcp.counters().accept_queue_full,
        1,
        "the third ACK is as good as lost"
    );
    let mut late = Peer::new(at(PEER, 9), at(HOST, 80));
    host.hears(&late.says("S", 0, 0, b""));
    assert_eq!(
        late.hears(&mut host),
        [""; 0],
        "and SYNs are not answered while the queue is full"
    );
    let first = host.tcp.accept(listener).expect("the first");
    assert_eq!(
        host.tcp.peer(first),
        Some(at(PEER, 1)),
        "in the order in which they came"
    );
    host.hears(&peers[2].says("P.", 1, 1, b"hello"));
    host.tcp.accept(listener).expect("the second");
    let third = host
        .tcp
        .accept(listener)
        .expect("the third, when it spoke again");
    assert_eq!(host.read(third, 9), Ok(b"hello".to_vec()));
}

/// A backlog of 0 is one of 1, and nobody gets more than the limit, which is Linux's.
#[test]
fn the_backlog_has_bounds() {
    for (asked, given) in [(0, 1), (1, 1), (4096, 4096), (usize::MAX, 4096)] {
        let mut host = Host::with(Limits {
            send_buffer: 1,
            receive_buffer: 1,
            ..Limits::default()
        });
        let listener = host.listener(80, asked);
        let mut begun = 0;
        for number in 0..given + 3 {
            let end = at(Ipv4Addr::from_bits(0xc612_0000 + number as u32), 1);
            let mut peer = Peer::new(end, at(HOST, 80));
            host.hears(&peer.says("S", 0, 0, b""));
            begun += peer.hears(&mut host).len();
            host.hears(&peer.says(".", 1, 1, b""));
        }
        assert_eq!(begun, given, "{asked}: a full queue answers no SYN");
        for number in 0..given {
            let id = host.tcp.accept(listener).expect("waiting");
            let end = at(Ipv4Addr::from_bits(0xc612_0000 + number as u32), 1);
            assert_eq!(host.tcp.peer(id), Some(end));
        }
        assert_eq!(host.tcp.accept(listener), Err(SocketError::WouldBlock));
    }
}

#[test]
fn a_backlog_that_shrinks_lets_nobody_fall() {
    let mut host = Host::new();
    let listener = host.listener(80, 3);
    let mut peers = [1, 2, 3].map(|port| Peer::new(at(PEER, port), at(HOST, 80)));
    for peer in &mut peers {
        host.hears(&peer.says("S", 0, 0, b""));
        peer.hears(&mut host);
        host.hears(&peer.says(".", 1, 1, b""));
    }
    host.tcp.listen(listener, 1).expect("again");
    let mut late = Peer::new(at(PEER, 9), at(HOST, 80));
    for _ in 0..3 {
        host.hears(&late.says("S", 0, 0, b""));
        assert_eq!(late.hears(&mut host), [""; 0]);
        host.tcp.accept(listener).expect("waiting");
    }
    host.hears(&late.says("S", 0, 0, b""));
    assert_eq!(late.hears(&mut host).len(), 1);
}

/// The story of the SYN to the broadcast address, which closed the listening socket for ever.
#[test]
fn the_syn_to_the_broadcast_address() {
    let mut host = Host::new();
    let listener = host.listener(80, 4);
    let subnet_broadcast = Ipv4Addr::new(10, 0, 2, 255);
    for address in [
        subnet_broadcast,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::UNSPECIFIED,
    ] {
        let peer = Peer::new(at(PEER, 40_000), at(address, 80));
        host.hears(&peer.says("S", 0, 0, b""));
        assert!(host.net.sent.is_empty(), "{address}: nothing is answered");
    }
    for address in [
        HOST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(239, 1, 1, 1),
    ] {
        let peer = Peer::new(at(address, 40_000), at(HOST, 80));
        host.hears(&peer.says("S", 0, 0, b""));
        assert!(
            host.net.sent.is_empty(),
            "from {address}: nothing is answered"
        );
    }
    // LAND: from the very address and port that it goes to.
    host.hears(&Peer::new(at(HOST, 80), at(HOST, 80)).says("S", 0, 0, b""));
    assert!(host.net.sent.is_empty());
    assert_eq!(host.tcp.counters().bad_address, 4 + 5 + 1);
    assert_eq!(host.tcp.flow_count(), 0);

    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    assert_eq!(peer.hears(&mut host).len(), 1);
    host.hears(&peer.says(".", 1, 1, b""));
    assert!(host.tcp.accept(listener).is_ok(), "the listener listens on");
}

#[test]
fn a_connection_that_is_reset_before_it_was_accepted_still_tells_what_came() {
    let mut host = Host::new();
    let listener = host.listener(80, 4);
    let mut peer = Peer::new(at(PEER, 40_000), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says("P.", 1, 1, b"bye"));
    host.hears(&peer.says("R.", 4, 1, b""));
    let id = host.tcp.accept(listener).expect("accepted all the same");
    assert_eq!(host.read(id, 9), Ok(b"bye".to_vec()));
    assert_eq!(host.read(id, 9), Err(SocketError::ConnectionReset));
    assert_eq!(host.read(id, 9), Ok(vec![]));
    host.close(id);
    assert_eq!(host.tcp.flow_count(), 0);
}

#[test]
fn closing_a_listener_resets_what_nobody_accepted() {
    let mut host = Host::new();
    let listener = host.listener(80, 4);
    let mut waiting = Peer::new(at(PEER, 1), at(HOST, 80));
    let mut half_open = Peer::new(at(PEER, 2), at(HOST, 80));
    for peer in [&mut waiting, &mut half_open] {
        host.hears(&peer.says("S", 0, 0, b""));
        peer.hears(&mut host);
    }
    host.hears(&waiting.says(".", 1, 1, b""));
    host.close(listener);
    assert_eq!(waiting.hears(&mut host), ["R. 1 ack 1"]);
    assert_eq!(host.tcp.flow_count(), 0);
    host.hears(&half_open.says(".", 1, 1, b""));
    assert_eq!(half_open.hears(&mut host), ["R 1"]);
    host.listener(80, 1);
}

#[test]
fn one_address_one_listener() {
    let mut host = Host::new();
    let any = host.listener(80, 1);
    let id = host.socket();
    assert_eq!(
        host.tcp.bind(id, at(HOST, 80), false),
        Err(SocketError::AddressInUse)
    );
    assert_eq!(
        host.tcp.bind(id, at(HOST, 80), true),
        Err(SocketError::AddressInUse),
        "nor with SO_REUSEADDR"
    );
    host.close(any);
    assert_eq!(host.tcp.bind(id, at(HOST, 80), false), Ok(()));
    assert_eq!(
        host.tcp.bind(id, at(HOST, 81), false),
        Err(SocketError::Invalid),
        "once is enough"
    );
    let user = host.tcp.open(Owner { uid: 1000 }).expect("a socket");
    assert_eq!(
        host.tcp.bind(user, at(HOST, 443), false),
        Err(SocketError::AccessDenied)
    );
    assert_eq!(host.tcp.bind(user, at(HOST, 8080), false), Ok(()));
}

#[test]
fn the_listener_for_the_exact_address_goes_before_the_one_for_all() {
    let mut host = Host::new();
    let (any, exact) = (host.socket(), host.socket());
    host.tcp
        .bind(any, at(Ipv4Addr::UNSPECIFIED, 80), true)
        .expect("bind");
    host.tcp.bind(exact, at(HOST, 80), true).expect("bind");
    host.tcp.listen(exact, 1).expect("listen");
    assert_eq!(host.tcp.listen(any, 1), Err(SocketError::AddressInUse));
}
