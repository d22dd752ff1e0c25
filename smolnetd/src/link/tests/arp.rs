//! Neighbours, as ARP finds and loses them.

use super::*;

const BROADCAST_ASK: Sent = Sent::Ask {
    to: BROADCAST,
    sender: OURS,
    target: PEER,
};
const PROBE: Sent = Sent::Ask {
    to: PEER_MAC,
    sender: OURS,
    target: PEER,
};

#[test]
fn the_hosts_arp_request_that_nobody_answered() {
    let mut bench = Bench::new();
    bench.request_from(PEER, PEER_MAC, OURS);
    assert_eq!(
        bench.sent(),
        [Sent::Reply {
            to: PEER_MAC,
            sender: OURS,
            target: PEER
        }]
    );
    // Who asks is about to speak: it is known already when the answer to its packet goes out.
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(PEER_MAC), NeighbourState::Stale))
    );
    bench.transmit(PEER, b"pong").unwrap();
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: PEER_MAC,
            packet: b"pong".to_vec()
        }]
    );
}

#[test]
fn a_unicast_request_is_answered_too() {
    let mut bench = Bench::new();
    bench.receive_arp(Arp::request(PEER_MAC, PEER, OURS), MAC);
    assert_eq!(
        bench.sent(),
        [Sent::Reply {
            to: PEER_MAC,
            sender: OURS,
            target: PEER
        }]
    );
}

#[test]
fn a_probe_for_an_address_that_is_long_ours_is_answered_and_teaches_nothing() {
    let mut bench = Bench::new();
    bench.request_from(Ipv4Addr::UNSPECIFIED, PEER_MAC, OURS);
    assert_eq!(
        bench.sent(),
        [Sent::Reply {
            to: PEER_MAC,
            sender: OURS,
            target: Ipv4Addr::UNSPECIFIED
        }]
    );
    assert_eq!(bench.link.neighbours(bench.now).count(), 0);
}

#[test]
fn requests_for_others_are_left_to_them() {
    let mut bench = Bench::new();
    bench.request_from(PEER, PEER_MAC, OTHER);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.state_of(PEER), None);
    assert_eq!(bench.link.counters().neighbour_not_learned, 1);
}

#[test]
fn the_first_packet_asks_and_waits_and_leaves_with_the_reply() {
    let mut bench = Bench::new();
    bench.transmit(PEER, b"one").unwrap();
    bench.transmit(PEER, b"two").unwrap();
    assert_eq!(
        bench.sent(),
        [BROADCAST_ASK],
        "one question, however many wait"
    );
    assert_eq!(
        bench.state_of(PEER),
        Some((None, NeighbourState::Incomplete))
    );
    bench.reply_from(PEER, PEER_MAC);
    let expected = [b"one", b"two"].map(|packet| Sent::Ip {
        to: PEER_MAC,
        packet: packet.to_vec(),
    });
    assert_eq!(bench.sent(), expected);
    assert_eq!(bench.events(), [LinkEvent::NeighbourResolved(PEER.into())]);
    assert_eq!(
        bench.link.next_deadline(),
        None,
        "a reachable neighbour needs no timer"
    );
}

#[test]
fn a_next_hop_that_does_not_answer_is_asked_three_times_a_second_apart_and_given_up() {
    let mut bench = Bench::new();
    bench.transmit(PEER, b"one").unwrap();
    bench.transmit(PEER, b"two").unwrap();
    let mut asked = vec![];
    for tenth in 0..40 {
        asked.extend(bench.sent().into_iter().map(|sent| (tenth, sent)));
        bench.run(Duration::from_millis(100));
    }
    let expected = [(0, BROADCAST_ASK), (10, BROADCAST_ASK), (20, BROADCAST_ASK)];
    assert_eq!(asked, expected);
    let packets = [b"one", b"two"]
        .map(|packet| packet.to_vec().into_boxed_slice())
        .into();
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourUnreachable {
            address: PEER.into(),
            packets
        }]
    );
    assert_eq!(bench.state_of(PEER), None);
    assert_eq!(bench.link.counters().pending_unreachable, 2);
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn an_event_that_nobody_took_is_due_until_somebody_does() {
    let mut bench = Bench::new();
    bench.transmit(PEER, b"data").unwrap();
    bench.run(Duration::from_secs(1));
    bench.reply_from(PEER, PEER_MAC);
    let since = bench.now;
    assert_eq!(bench.link.next_deadline(), Some(since));
    bench
        .link
        .poll(since + Duration::from_secs(9), &mut bench.ring);
    assert_eq!(bench.link.next_deadline(), Some(since));
    assert_eq!(bench.events(), [LinkEvent::NeighbourResolved(PEER.into())]);
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn too_many_packets_for_one_next_hop_and_the_newest_are_kept() {
    let mut bench = Bench::new();
    for number in 0..20_u8 {
        bench.transmit(PEER, &[number]).unwrap();
    }
    bench.sent();
    bench.reply_from(PEER, PEER_MAC);
    let expected: Vec<_> = (4..20)
        .map(|number| Sent::Ip {
            to: PEER_MAC,
            packet: vec![number],
        })
        .collect();
    assert_eq!(bench.sent(), expected);
    assert_eq!(bench.link.counters().pending_overflow, 4);
}

#[test]
fn packets_for_a_thousand_silent_hosts_do_not_fill_the_memory() {
    let mut bench = Bench::bare();
    bench
        .link
        .add_address(
            bench.now,
            cidr(Ipv4Addr::new(10, 0, 2, 15), 16),
            AddressOrigin::Static,
        )
        .unwrap();
    bench.run(Duration::from_secs(10));
    let mut refused = 0;
    for number in 0..1000_u16 {
        let [a, b] = number.to_be_bytes();
        let result = bench.transmit(Ipv4Addr::new(10, 0, 100 + a, b), &[0; 1500]);
        refused += u64::from(result == Err(TransmitError::QueueFull));
    }
    let counters = *bench.link.counters();
    let (evicted, flushed) = (counters.neighbour_evicted, counters.pending_flushed);
    assert_eq!(evicted, 1000 - 512, "the table has its bound");
    assert_eq!(counters.pending_full, refused);
    assert!(1000 - refused - flushed <= 256, "{counters:?}");
    bench.run(Duration::from_secs(10));
    assert_eq!(bench.link.neighbours(bench.now).count(), 0);
    let lost = bench.link.counters().pending_unreachable;
    assert_eq!(
        refused + flushed + lost,
        1000,
        "every packet is accounted for: {:?}",
        bench.link.counters()
    );
}

#[test]
fn a_stale_neighbour_is_used_and_verified_by_unicast_after_five_seconds() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(46));
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(PEER_MAC), NeighbourState::Stale))
    );
    assert_eq!(bench.sent(), [], "nobody is asked while nobody speaks");
    bench.transmit(PEER, b"data").unwrap();
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: PEER_MAC,
            packet: b"data".to_vec()
        }],
        "and no packet waits"
    );
    bench.run(Duration::from_millis(4900));
    assert_eq!(bench.sent(), []);
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.sent(), [PROBE]);
    bench.reply_from(PEER, PEER_MAC);
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(PEER_MAC), NeighbourState::Reachable))
    );
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn tcp_progress_confirms_the_neighbour_so_that_nobody_asks() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    for _ in 0..300 {
        bench.run(Duration::from_secs(1));
        let known = Some((Some(PEER_MAC), NeighbourState::Reachable));
        assert_eq!(bench.state_of(PEER), known);
        bench.transmit(PEER, b"data").unwrap();
        bench.link.confirm(bench.now, PEER.into());
    }
    let asked = bench
        .sent()
        .iter()
        .filter(|sent| !matches!(sent, Sent::Ip { .. }))
        .count();
    assert_eq!(asked, 0);
}

#[test]
fn a_neighbour_that_went_away_is_probed_then_forgotten_then_looked_for_by_broadcast() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(46));
    bench.transmit(PEER, b"lost").unwrap();
    bench.sent();
    bench.run(Duration::from_secs(9));
    assert_eq!(bench.sent(), [PROBE, PROBE, PROBE]);
    assert_eq!(bench.state_of(PEER), None);
    bench.transmit(PEER, b"found").unwrap();
    assert_eq!(bench.sent(), [BROADCAST_ASK]);
    bench.reply_from(PEER, OTHER_MAC);
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: OTHER_MAC,
            packet: b"found".to_vec()
        }]
    );
}

#[test]
fn a_forged_claim_on_a_gateway_that_is_there_is_not_believed() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.reply_from(PEER, OTHER_MAC);
    assert_eq!(
        bench.sent(),
        [PROBE],
        "the gateway that we know is asked whether it is still there"
    );
    bench.reply_from(PEER, OTHER_MAC);
    bench.request_from(PEER, OTHER_MAC, OURS);
    bench.transmit(PEER, b"secret").unwrap();
    let sent = bench.sent();
    assert!(
        sent.contains(&Sent::Ip {
            to: PEER_MAC,
            packet: b"secret".to_vec()
        }),
        "{sent:?}"
    );
    bench.reply_from(PEER, PEER_MAC);
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(PEER_MAC), NeighbourState::Reachable))
    );
    assert_eq!(bench.link.counters().neighbour_contradictions, 3);
}

#[test]
fn a_neighbour_with_a_new_adapter_is_found_within_seconds() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.request_from(PEER, OTHER_MAC, PEER);
    bench.run(Duration::from_secs(4));
    assert_eq!(
        bench.sent(),
        [PROBE, PROBE, PROBE],
        "the old adapter is silent"
    );
    bench.transmit(PEER, b"data").unwrap();
    bench.reply_from(PEER, OTHER_MAC);
    assert_eq!(
        bench.sent(),
        [
            BROADCAST_ASK,
            Sent::Ip {
                to: OTHER_MAC,
                packet: b"data".to_vec()
            }
        ]
    );
}

#[test]
fn an_announcement_updates_what_was_stale_and_creates_nothing() {
    let mut bench = Bench::new();
    bench.request_from(OTHER, OTHER_MAC, OTHER);
    assert_eq!(bench.state_of(OTHER), None);
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(46));
    bench.request_from(PEER, OTHER_MAC, PEER);
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(OTHER_MAC), NeighbourState::Stale))
    );
}

#[test]
fn ten_thousand_strangers_who_ask_for_us_do_not_displace_the_gateway() {
    let mut bench = Bench::bare();
    bench
        .link
        .add_address(bench.now, cidr(OURS, 16), AddressOrigin::Static)
        .unwrap();
    bench.run(Duration::from_secs(10));
    bench.make_reachable(PEER, PEER_MAC);
    for number in 0..10_000_u16 {
        let [a, b] = number.to_be_bytes();
        bench.ring.room = 1;
        bench.request_from(Ipv4Addr::new(10, 0, 128 | a, b), [2, 0, 0, 0, a, b], OURS);
    }
    assert_eq!(
        bench.state_of(PEER),
        Some((Some(PEER_MAC), NeighbourState::Reachable))
    );
    assert_eq!(bench.link.neighbours(bench.now).count(), 1 + 128);
    assert_eq!(bench.link.counters().neighbour_evicted, 10_000 - 128);
    assert_eq!(bench.link.counters().arp_tx_replies, 10_000);
}

#[test]
fn a_link_that_loses_its_carrier_forgets_its_neighbours() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.transmit(OTHER, b"waits").unwrap();
    bench.link.set_up(bench.now, false);
    assert_eq!(bench.link.neighbours(bench.now).count(), 0);
    assert_eq!(bench.link.counters().pending_flushed, 1);
    assert_eq!(bench.transmit(PEER, b"data"), Err(TransmitError::Down));
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn a_reply_that_was_meant_for_another_station_proves_nothing() {
    let mut bench = Bench::new();
    bench.transmit(PEER, b"data").unwrap();
    bench.sent();
    bench.receive_arp(
        Arp {
            operation: Operation::Reply,
            sender_mac: PEER_MAC,
            sender: PEER,
            target_mac: OTHER_MAC,
            target: OURS,
        },
        BROADCAST,
    );
    let sent = bench.sent();
    assert_eq!(sent.len(), 1, "where it is, it says: {sent:?}");
    let state = bench.state_of(PEER);
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Delay)));
    bench.run(Duration::from_millis(5500));
    assert_eq!(
        bench.sent(),
        [PROBE],
        "that it hears us, it has still to say"
    );
}

#[test]
fn a_stranger_that_we_answered_is_none_any_more() {
    let mut bench = Bench::bare();
    let address = cidr(OURS, 16);
    bench
        .link
        .add_address(bench.now, address, AddressOrigin::Static)
        .unwrap();
    bench.run(Duration::from_secs(10));
    bench.request_from(PEER, PEER_MAC, OURS);
    bench.request_from(OTHER, OTHER_MAC, OURS);
    bench.transmit(PEER, b"pong").unwrap();
    for number in 0..200_u8 {
        let stranger = Ipv4Addr::new(10, 0, 200, number);
        bench.request_from(stranger, [2, 0, 0, 0, 0, number], OURS);
    }
    assert!(bench.state_of(PEER).is_some(), "it is in use");
    assert_eq!(bench.state_of(OTHER), None, "the oldest stranger");
}

#[test]
fn room_for_waiting_packets_comes_back_when_they_are_given_up() {
    let mut bench = Bench::new();
    let fill = |bench: &mut Bench| {
        let hosts = (20..60).map(|last| Ipv4Addr::new(10, 0, 2, last));
        let attempts = hosts.flat_map(|host| [host; 8]);
        attempts
            .filter(|host| bench.transmit(*host, b"data").is_ok())
            .count()
    };
    let taken = fill(&mut bench);
    assert!(taken >= 256, "{taken}");
    assert!(bench.link.counters().pending_full > 0);
    bench.run(Duration::from_secs(5));
    assert_eq!(fill(&mut bench), taken, "as many as the first time");
    bench.link.set_up(bench.now, false);
    bench.link.set_up(bench.now, true);
    assert_eq!(fill(&mut bench), taken, "and after the cable was out");
}

#[test]
fn a_neighbour_that_leaves_while_its_packets_wait_for_the_ring_is_asked_for_anew() {
    let mut bench = Bench::new();
    bench.transmit(PEER, b"data").unwrap();
    bench.sent();
    bench.ring.room = 0;
    // It asks for us: known, but not known to hear.
    bench.request_from(PEER, PEER_MAC, OURS);
    bench.run(Duration::from_millis(8500));
    let state = bench.state_of(PEER);
    assert_eq!(state, Some((None, NeighbourState::Incomplete)));
    bench.ring.room = 10;
    bench.link.poll(bench.now, &mut bench.ring);
    let (to, sender, target) = (PEER_MAC, OURS, PEER);
    let reply = Sent::Reply { to, sender, target };
    let waited = [reply, PROBE, BROADCAST_ASK];
    assert_eq!(
        bench.sent(),
        waited,
        "none of them had found room, and each waits once"
    );
    bench.reply_from(PEER, OTHER_MAC);
    let to = OTHER_MAC;
    let packet = b"data".to_vec();
    assert_eq!(bench.sent(), [Sent::Ip { to, packet }]);
}
