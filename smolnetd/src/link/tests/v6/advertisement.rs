//! Neighbour advertisements that come in: RFC 4861 sections 7.1.2 and 7.2.5.

use super::*;

fn bench_with(state: NeighbourState) -> Bench {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    if state != NeighbourState::Reachable {
        bench.run(Duration::from_secs(60));
    }
    if matches!(state, NeighbourState::Delay | NeighbourState::Probe) {
        bench.transmit_v6(peer(), b"more").unwrap();
    }
    if state == NeighbourState::Probe {
        bench.run(Duration::from_millis(5500));
    }
    assert_eq!(bench.state_v6(peer()), Some((Some(PEER_MAC), state)));
    bench.ring.frames.clear();
    bench
}

/// RFC 4861 section 7.2.5: nobody asked for it, so nobody needs it.
#[test]
fn what_nobody_asked_for_is_not_remembered() {
    let mut bench = Bench::dual();
    bench.told(reply(peer(), PEER_MAC));
    assert_eq!(bench.state_v6(peer()), None);
    assert_eq!(bench.link.counters().neighbour_not_learned, 1);
}

/// RFC 4861 section 7.2.5, INCOMPLETE: the answer that was waited for.
#[test]
fn a_solicited_answer_makes_a_neighbour_reachable() {
    let mut bench = Bench::dual();
    bench.transmit_v6(peer(), b"waits").unwrap();
    assert_eq!(bench.ndp(), [question(ours(), peer())]);
    bench.told(Told {
        overrides: false,
        ..reply(peer(), PEER_MAC)
    });
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Reachable)));
    assert_eq!(bench.data(), [(PEER_MAC, b"waits".to_vec())]);
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourResolved(peer().into())]
    );
}

/// RFC 4861 section 7.2.5, INCOMPLETE: not solicited, it proves nothing; what waits leaves all the same.
#[test]
fn an_unsolicited_answer_is_used_and_verified() {
    let mut bench = Bench::dual();
    bench.transmit_v6(peer(), b"waits").unwrap();
    bench.ndp();
    bench.told(Told {
        solicited: false,
        ..reply(peer(), PEER_MAC)
    });
    assert_eq!(bench.data(), [(PEER_MAC, b"waits".to_vec())]);
    bench.run(Duration::from_millis(5500));
    assert_eq!(bench.ndp(), [probe(PEER_MAC, peer())]);
}

/// RFC 4861 section 7.2.5, INCOMPLETE: an answer that does not say where is none.
#[test]
fn an_answer_without_a_link_layer_address_is_none() {
    let mut bench = Bench::dual();
    bench.transmit_v6(peer(), b"waits").unwrap();
    bench.told(Told {
        mac: None,
        ..reply(peer(), PEER_MAC)
    });
    assert_eq!(
        bench.state_v6(peer()),
        Some((None, NeighbourState::Incomplete))
    );
}

/// RFC 4861 section 7.2.5, rule I: what contradicts without the override flag.
#[test]
fn without_override_a_contradiction_makes_the_reachable_stale_and_changes_nobody_else() {
    for (before, after) in [
        (NeighbourState::Reachable, NeighbourState::Stale),
        (NeighbourState::Stale, NeighbourState::Stale),
        (NeighbourState::Delay, NeighbourState::Delay),
        (NeighbourState::Probe, NeighbourState::Probe),
    ] {
        for solicited in [false, true] {
            let mut bench = bench_with(before);
            bench.told(Told {
                overrides: false,
                solicited,
                router: true,
                ..reply(peer(), OTHER_MAC)
            });
            let state = bench.state_v6(peer());
            assert_eq!(
                state,
                Some((Some(PEER_MAC), after)),
                "{before:?} {solicited}"
            );
            assert!(!bench.link.neighbour_is_router(peer().into()), "{before:?}");
            assert_eq!(bench.link.counters().neighbour_contradictions, 1);
        }
    }
}

/// RFC 4861 section 7.2.5, rule II: with the override flag, the new address is taken.
#[test]
fn with_override_another_address_is_taken_and_is_stale_unless_solicited() {
    for before in [
        NeighbourState::Reachable,
        NeighbourState::Stale,
        NeighbourState::Delay,
        NeighbourState::Probe,
    ] {
        for (solicited, after) in [
            (false, NeighbourState::Stale),
            (true, NeighbourState::Reachable),
        ] {
            let mut bench = bench_with(before);
            bench.told(Told {
                solicited,
                ..reply(peer(), OTHER_MAC)
            });
            let state = bench.state_v6(peer());
            assert_eq!(
                state,
                Some((Some(OTHER_MAC), after)),
                "{before:?} {solicited}"
            );
        }
    }
}

/// RFC 4861 section 7.2.5, rule II: a solicited answer from where it was, or that does not say, proves that it hears.
#[test]
fn a_solicited_answer_confirms_what_is_known() {
    for mac in [Some(PEER_MAC), None] {
        for before in [
            NeighbourState::Stale,
            NeighbourState::Delay,
            NeighbourState::Probe,
        ] {
            let mut bench = bench_with(before);
            bench.told(Told {
                mac,
                overrides: false,
                ..reply(peer(), PEER_MAC)
            });
            let state = bench.state_v6(peer());
            assert_eq!(
                state,
                Some((Some(PEER_MAC), NeighbourState::Reachable)),
                "{before:?}"
            );
        }
    }
}

/// RFC 4861 section 7.2.5, rule II: not solicited, the same address again proves nothing.
#[test]
fn an_unsolicited_repetition_changes_nothing() {
    for before in [
        NeighbourState::Reachable,
        NeighbourState::Stale,
        NeighbourState::Probe,
    ] {
        let mut bench = bench_with(before);
        bench.told(Told {
            solicited: false,
            ..reply(peer(), PEER_MAC)
        });
        assert_eq!(bench.state_v6(peer()), Some((Some(PEER_MAC), before)));
    }
}

/// RFC 4861 section 7.2.5: a router that becomes a host is taken from the list of routers.
#[test]
fn a_router_that_becomes_a_host_is_reported() {
    let mut bench = bench_with(NeighbourState::Reachable);
    let router = Told {
        router: true,
        ..reply(peer(), PEER_MAC)
    };
    bench.told(router);
    assert!(bench.link.neighbour_is_router(peer().into()));
    assert_eq!(bench.events(), []);
    bench.told(reply(peer(), PEER_MAC));
    assert!(!bench.link.neighbour_is_router(peer().into()));
    assert_eq!(bench.events(), [LinkEvent::RouterLost(peer().into())]);
}

/// RFC 4861 section 7.1.2, each of its rules.
#[test]
fn advertisements_that_are_not_valid_prove_nothing() {
    let good = emit_advertisement(reply(peer(), OTHER_MAC));
    let with = |place: usize, value: u8| {
        let mut message = good.clone();
        message[place] = value;
        message
    };
    let cases: [(&str, Ipv6Addr, u8, Vec<u8>); 7] = [
        ("through a router", ours(), 254, good.clone()),
        ("code 1", ours(), 255, with(1, 1)),
        ("23 bytes", ours(), 255, good[..23].to_vec()),
        ("a multicast target", ours(), 255, with(8, 0xff)),
        ("solicited by all", v6("ff02::1"), 255, good.clone()),
        ("an option of length 0", ours(), 255, with(25, 0)),
        ("an option beyond the end", ours(), 255, with(25, 9)),
    ];
    for (case, destination, hop_limit, message) in cases {
        let mut bench = bench_with(NeighbourState::Stale);
        let packet = icmpv6(peer(), destination, hop_limit, &message);
        assert_eq!(
            bench.receive_v6(OTHER_MAC, mac_of(destination), &packet),
            None,
            "{case}"
        );
        let state = bench.state_v6(peer());
        assert_eq!(
            state,
            Some((Some(PEER_MAC), NeighbourState::Stale)),
            "{case}"
        );
    }
}

/// Addresses that are not the sender's to give.
#[test]
fn link_layer_addresses_that_no_other_station_has() {
    for mac in [BROADCAST, [0x33, 0x33, 0, 0, 0, 1], [0; 6], MAC] {
        let mut bench = bench_with(NeighbourState::Reachable);
        let message = emit_advertisement(reply(peer(), mac));
        bench.hear(OTHER_MAC, peer(), ours(), &message);
        let message = wire::solicitation(ours(), Some(mac), None);
        bench.hear(OTHER_MAC, peer(), solicited_node(ours()), &message);
        let state = bench.state_v6(peer());
        assert_eq!(
            state,
            Some((Some(PEER_MAC), NeighbourState::Reachable)),
            "{mac:x?}"
        );
        assert_eq!(bench.link.counters().ndp_rx_bad_sender, 2);
        assert_eq!(bench.ndp(), [], "and no answer");
    }
}

/// RFC 4862 section 5.4.4: who claims an address that is long ours does not get it.
#[test]
fn our_address_claimed_by_another_is_defended_once_in_a_while() {
    let mut bench = Bench::dual();
    for _ in 0..10 {
        bench.told(Told {
            solicited: false,
            ..reply(ours(), OTHER_MAC)
        });
        bench.asked_by(ours(), OTHER_MAC, ours());
    }
    let (address, mac) = (IpAddr::V6(ours()), OTHER_MAC);
    assert_eq!(
        bench.events(),
        [LinkEvent::AddressConflict { address, mac }]
    );
    assert_eq!(bench.ndp().len(), 1, "told once to all");
    assert_eq!(bench.own_state(ours()), Some(AddressState::Preferred));
    assert_eq!(bench.state_v6(ours()), None, "we are not our neighbour");
    assert_eq!(bench.link.counters().ndp_conflicts, 20);
}
