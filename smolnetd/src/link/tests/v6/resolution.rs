//! Neighbours that are asked for: RFC 4861 sections 7.2.2, 7.3 and 10.

use super::*;

/// RFC 4861 section 7.2.2: three times, a second apart, then what waits is given back.
#[test]
fn a_neighbour_that_does_not_answer_is_unreachable_after_three_questions() {
    let mut bench = Bench::dual();
    let start = bench.now;
    bench.transmit_v6(peer(), b"first").unwrap();
    bench.transmit_v6(peer(), b"second").unwrap();
    assert_eq!(
        bench.ndp(),
        [question(ours(), peer())],
        "one question for both"
    );
    bench.run(Duration::from_millis(2999));
    assert_eq!(
        bench.ndp(),
        [question(ours(), peer()), question(ours(), peer())]
    );
    assert_eq!(bench.events(), []);
    bench.run(Duration::from_millis(1));
    assert_eq!(bench.now - start, Duration::from_secs(3));
    let (address, packets) = (
        peer().into(),
        vec![b"first"[..].into(), b"second"[..].into()],
    );
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourUnreachable { address, packets }]
    );
    assert_eq!(bench.state_v6(peer()), None);
    assert_eq!(bench.link.next_deadline(), None);
}

/// RFC 4861 section 7.2.2: a few packets wait, and the oldest gives way.
#[test]
fn the_newest_packets_wait() {
    let mut bench = Bench::dual();
    for number in 0..20_u8 {
        bench.transmit_v6(peer(), &[number]).unwrap();
    }
    bench.ndp();
    bench.told(reply(peer(), PEER_MAC));
    let sent: Vec<u8> = bench.data().iter().map(|(_, packet)| packet[0]).collect();
    assert_eq!(sent, (4..20).collect::<Vec<u8>>());
    assert_eq!(bench.link.counters().pending_overflow, 4);
}

/// RFC 4861 section 7.2.2: a link-local neighbour is asked for from the link-local address.
#[test]
fn a_link_local_neighbour_is_asked_from_the_link_local_address() {
    let mut bench = Bench::dual();
    let neighbour = v6("fe80::2");
    bench.transmit_v6(neighbour, b"data").unwrap();
    assert_eq!(bench.ndp(), [question(bench.own_link_local(), neighbour)]);
}

/// RFC 4861 section 7.3.3: traffic goes on through STALE, DELAY and PROBE, and the neighbour is asked by unicast.
#[test]
fn a_stale_neighbour_is_verified_without_traffic_stopping() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.run(Duration::from_secs(46));
    assert_eq!(bench.state_v6(peer()).unwrap().1, NeighbourState::Stale);
    let mut states = vec![];
    for _ in 0..7 {
        bench.transmit_v6(peer(), b"on").unwrap();
        let frames = bench.ring.frames.clone();
        assert_eq!(bench.data(), [(PEER_MAC, b"on".to_vec())]);
        bench.ring.frames = frames;
        states.push(bench.state_v6(peer()).unwrap().1);
        bench.ring.frames.clear();
        bench.run(Duration::from_millis(900));
    }
    use NeighbourState::{Delay, Probe};
    assert_eq!(states, [Delay, Delay, Delay, Delay, Delay, Delay, Probe]);
    assert_eq!(bench.ndp(), [probe(PEER_MAC, peer())]);
    bench.told(reply(peer(), PEER_MAC));
    assert_eq!(bench.state_v6(peer()).unwrap().1, NeighbourState::Reachable);
}

/// RFC 4861 section 7.3.3 and appendix C: three probes without an answer, and the entry goes.
#[test]
fn a_neighbour_that_left_is_forgotten_after_three_probes() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.run(Duration::from_secs(46));
    bench.transmit_v6(peer(), b"data").unwrap();
    bench.ring.frames.clear();
    bench.run(Duration::from_secs(8));
    assert_eq!(bench.ndp(), vec![probe(PEER_MAC, peer()); 3]);
    assert_eq!(bench.state_v6(peer()), None);
    bench.transmit_v6(peer(), b"again").unwrap();
    assert_eq!(bench.ndp(), [question(ours(), peer())]);
}

/// RFC 4861 section 7.3.1: a TCP that makes progress is proof enough.
#[test]
fn what_upper_layers_confirm_is_not_asked_for() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    for _ in 0..100 {
        bench.run(Duration::from_secs(4));
        bench.transmit_v6(peer(), b"segment").unwrap();
        bench.link.confirm(bench.now, peer().into());
    }
    assert_eq!(bench.ndp(), []);
    assert_eq!(bench.state_v6(peer()).unwrap().1, NeighbourState::Reachable);
}

/// RFC 4861 section 6.3.2: ReachableTime lies between half and one and a half of what the router says.
#[test]
fn reachable_time_is_what_the_router_says_and_random() {
    let mut lasted = vec![];
    for last in 1..=40_u16 {
        let mut bench = Bench::dual();
        bench.link.set_reachable_time(Duration::from_secs(100));
        let neighbours: Vec<_> = (1..=last)
            .map(|last| Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 1, last))
            .collect();
        for neighbour in &neighbours {
            bench.make_reachable_v6(*neighbour, PEER_MAC);
        }
        let neighbour = neighbours[neighbours.len() - 1];
        let start = bench.now;
        while bench.state_v6(neighbour).unwrap().1 == NeighbourState::Reachable {
            bench.now += Duration::from_secs(1);
        }
        lasted.push((bench.now - start).secs());
    }
    assert!(
        lasted.iter().all(|time| (50..=150).contains(time)),
        "{lasted:?}"
    );
    let (least, most) = (lasted.iter().min().unwrap(), lasted.iter().max().unwrap());
    assert!(most - least > 50, "not always the same: {lasted:?}");
}

/// RFC 4861 section 6.2.1 bounds what a router may say; a hostile one says more.
#[test]
fn absurd_times_are_ignored() {
    let mut bench = Bench::dual();
    for absurd in [
        Duration::ZERO,
        Duration::from_millis(1),
        Duration::from_secs(4_000_000),
    ] {
        bench.link.set_retrans_timer(absurd);
    }
    bench.link.set_reachable_time(Duration::ZERO);
    bench
        .link
        .set_reachable_time(Duration::from_secs(4_000_000));
    bench.transmit_v6(peer(), b"data").unwrap();
    bench.run(Duration::from_secs(3));
    assert_eq!(bench.ndp().len(), 3);
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.run(Duration::from_secs(46));
    assert_eq!(bench.state_v6(peer()).unwrap().1, NeighbourState::Stale);
}

/// RFC 4861 section 6.3.4: RetransTimer is the router's to set; ARP keeps its own.
#[test]
fn the_retransmission_timer_is_what_the_router_says() {
    let mut bench = Bench::dual();
    let address = cidr(OURS, 24);
    bench
        .link
        .add_address(bench.now, address, AddressOrigin::Static)
        .unwrap();
    bench.run(Duration::from_secs(10));
    bench.ring.frames.clear();
    bench.link.set_retrans_timer(Duration::from_millis(200));
    bench.transmit_v6(peer(), b"data").unwrap();
    bench.transmit(PEER, b"data").unwrap();
    bench.run(Duration::from_millis(600));
    assert_eq!(bench.ndp(), vec![question(ours(), peer()); 3]);
    assert_eq!(bench.link.counters().arp_tx_requests, 1);
}

/// RFC 4861 section 6.3.4: a router that says where it is, is known as stale, and as a router.
#[test]
fn a_router_that_told_where_it_is_needs_no_question() {
    let mut bench = Bench::dual();
    let router = v6("fe80::1");
    bench.router_is_at(router, PEER_MAC);
    assert!(bench.link.neighbour_is_router(router.into()));
    assert_eq!(
        bench.state_v6(router),
        Some((Some(PEER_MAC), NeighbourState::Stale))
    );
    bench.transmit_v6(router, b"out").unwrap();
    assert_eq!(bench.data(), [(PEER_MAC, b"out".to_vec())]);
}

/// RFC 4861 section 7.3.3 and 6.3.6: that a router is gone is told to who chooses among routers.
#[test]
fn a_router_that_does_not_answer_any_more_is_reported() {
    let mut bench = Bench::dual();
    let router = v6("fe80::1");
    bench.router_is_at(router, PEER_MAC);
    bench.transmit_v6(router, b"out").unwrap();
    bench.run(Duration::from_secs(8));
    assert_eq!(bench.events(), [LinkEvent::RouterLost(router.into())]);
}

/// A router is asked whether it is there although nothing is to be sent.
#[test]
fn a_probe_without_a_packet_finds_a_router_again() {
    let mut bench = Bench::dual();
    let router = v6("fe80::1");
    bench.link.probe(bench.now, router, &mut bench.ring);
    assert_eq!(bench.ndp(), [question(bench.own_link_local(), router)]);
    let message = emit_advertisement(Told {
        router: true,
        ..reply(router, PEER_MAC)
    });
    let own = bench.own_link_local();
    bench.hear(PEER_MAC, router, own, &message);
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourResolved(router.into())]
    );
    bench.run(Duration::from_secs(60));
    bench.link.probe(bench.now, router, &mut bench.ring);
    bench.run(Duration::from_millis(5500));
    bench.hear(PEER_MAC, router, own, &message);
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourResolved(router.into())],
        "again"
    );
    assert!(bench.link.neighbour_is_router(router.into()));
}

/// Addresses that nobody can be asked for.
#[test]
fn next_hops_that_cannot_be_neighbours() {
    let mut bench = Bench::dual();
    for next_hop in ["::", "::1", "fd42::15"] {
        assert_eq!(
            bench.transmit_v6(v6(next_hop), b"data"),
            Err(TransmitError::Unreachable),
            "{next_hop}"
        );
    }
    assert_eq!(bench.ndp(), []);
}
