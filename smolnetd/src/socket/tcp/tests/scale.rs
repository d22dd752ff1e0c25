//! Many sockets.

use std::collections::HashSet;

use super::*;

/// The story of the ephemeral ports that were never freed: after 16,384 sockets, EINVAL.
#[test]
fn the_ephemeral_ports_that_were_never_freed() {
    let mut host = Host::with(Limits {
        send_buffer: 1,
        receive_buffer: 1,
        ..Limits::default()
    });
    for round in 0..40_000 {
        let id = host.socket();
        assert_eq!(host.connect_with(id, at(PEER, 81)), Ok(()), "round {round}");
        let mut peer = Peer::new(at(PEER, 81), host.tcp.local(id).expect("bound"));
        peer.hears(&mut host);
        if round % 2 == 0 {
            host.hears(&peer.says("R.", 0, 1, b""));
        }
        host.close(id);
    }
    assert_eq!(host.tcp.flow_count(), 0);
    for round in 0..40_000 {
        let id = host.socket();
        assert_eq!(
            host.tcp.bind(id, at(HOST, 0), false),
            Ok(()),
            "round {round}"
        );
        host.close(id);
    }
}

#[test]
fn every_port_can_be_had_and_then_there_are_no_more() {
    let mut host = Host::with(Limits {
        send_buffer: 1,
        receive_buffer: 1,
        ..Limits::default()
    });
    let mut ids = Vec::new();
    let mut ports = HashSet::new();
    let error = loop {
        let id = host.socket();
        match host.connect_with(id, at(PEER, 80)) {
            Ok(()) => assert!(
                ports.insert(host.tcp.local(id).expect("bound").port()),
                "twice"
            ),
            Err(error) => break error,
        }
        host.net.sent.clear();
        ids.push(id);
    };
    assert_eq!(error, SocketError::AddressNotAvailable);
    assert_eq!(ports.len(), 32_768);
    let id = host.socket();
    assert_eq!(
        host.connect_with(id, at(PEER, 443)),
        Ok(()),
        "to another port, all of them again"
    );
    host.close(ids[17]);
    let id = host.socket();
    assert_eq!(
        host.connect_with(id, at(PEER, 80)),
        Ok(()),
        "and the one that came free"
    );
}

/// RFC 6056: whoever sees some ports cannot tell the next, not even the next destination's.
#[test]
fn ports_differ_by_destination() {
    let mut host = Host::new();
    let mut offsets = HashSet::new();
    for n in 1..=50_u16 {
        let id = host.connect(at(PEER, n));
        offsets.insert(host.tcp.local(id).expect("bound").port().wrapping_sub(n));
    }
    assert!(offsets.len() > 40, "no common step: {}", offsets.len());
}

/// RFC 6528: numbers of one pair grow with the clock, numbers of different pairs have nothing to do with each other.
#[test]
fn initial_sequence_numbers_cannot_be_guessed() {
    let mut host = Host::new();
    let mut start = |port| {
        let peer = Peer::new(at(PEER, port), at(HOST, 80));
        host.listener(80, 1);
        host.hears(&peer.says("S", 0, 0, b""));
        let mut heard = peer.clone();
        heard.hears(&mut host);
        host.hears(&peer.says("R", 1, 0, b""));
        let now = host.now;
        host = Host {
            now: now + millis(1),
            ..Host::new()
        };
        heard.host_start
    };
    let same: Vec<u32> = (0..10).map(|_| start(1000)).collect();
    for pair in same.windows(2) {
        assert_eq!(pair[1].wrapping_sub(pair[0]), 250, "4 µs a step");
    }
    let different: Vec<u32> = (0..1000).map(|n| start(2000 + n)).collect();
    let near = different
        .windows(2)
        .filter(|pair| pair[1].wrapping_sub(pair[0]) < 1 << 20)
        .count();
    assert!(
        near < 5,
        "{near} of 999 differ by less than a 4096th of the circle"
    );
}

/// The goal: ten thousand idle connections cost a busy one nothing. Counted in flows served, not in time.
#[test]
fn ten_thousand_idle_flows_do_not_slow_a_busy_one() {
    let work = |idle: u16| {
        let mut host = Host::with(Limits {
            send_buffer: 4096,
            receive_buffer: 4096,
            ..Limits::default()
        });
        let listener = host.listener(80, 1024);
        for n in 0..idle {
            let mut peer = Peer::new(at(OTHER, 10_000 + n), at(HOST, 80));
            host.hears(&peer.says("S", 0, 0, b""));
            peer.hears(&mut host);
            host.hears(&peer.says(".", 1, 1, b""));
            host.tcp.accept(listener).expect("accepted");
        }
        host.changed();
        let (id, mut peer) = connected_with(&mut host, 4096);
        let before = host.tcp.counters().served;
        let mut seq = 1;
        for _ in 0..1000 {
            host.hears(&peer.says("P.", seq, 1, &[0; 100]));
            seq += 100;
            assert_eq!(host.read(id, 1000).map(|data| data.len()), Ok(100));
            assert_eq!(host.changed(), [id]);
            host.waits(millis(20));
            peer.hears(&mut host);
        }
        assert_eq!(
            host.tcp.next_deadline(),
            None,
            "{idle} idle connections want nothing"
        );
        host.tcp.counters().served - before
    };
    let alone = work(0);
    let crowded = work(10_000);
    assert_eq!(alone, crowded, "flows served");
    assert!(alone <= 4000, "{alone}");
}

#[test]
fn sockets_are_bounded() {
    let mut host = Host::with(Limits {
        sockets: 3,
        ..Limits::default()
    });
    let listener = host.listener(80, 8);
    let ids: Vec<TcpId> = (0..2).map(|_| host.socket()).collect();
    assert_eq!(host.tcp.open(Owner::ROOT), Err(SocketError::NoBuffers));
    let peer = &mut Peer::new(at(PEER, 1), at(HOST, 80));
    host.hears(&peer.says("S", 0, 0, b""));
    peer.hears(&mut host);
    host.hears(&peer.says(".", 1, 1, b""));
    assert_eq!(host.tcp.accept(listener), Err(SocketError::NoBuffers));
    host.close(ids[0]);
    assert!(host.tcp.accept(listener).is_ok(), "it was kept");
}
