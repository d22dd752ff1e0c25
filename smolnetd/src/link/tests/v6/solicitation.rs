//! Neighbour solicitations that come in: RFC 4861 sections 7.1.1, 7.2.3 and 7.2.4.

use super::*;

/// RFC 4861 section 7.2.4
#[test]
fn who_asks_for_us_is_answered() {
    let mut bench = Bench::dual();
    bench.asked_by(peer(), PEER_MAC, ours());
    let answer = Ndp::Tell {
        to: PEER_MAC,
        source: ours(),
        destination: peer(),
        told: reply(ours(), MAC),
    };
    assert_eq!(bench.ndp(), [answer]);
    assert_eq!(bench.link.counters().ndp_rx_solicitations_for_us, 1);
    assert_eq!(bench.link.counters().ndp_tx_advertisements, 1);
}

/// RFC 4861 section 7.2.4: that solicited flag of zero, to all nodes, for who has no address yet.
#[test]
fn who_wants_our_address_hears_that_it_is_ours() {
    let mut bench = Bench::dual();
    bench.wanted_by(OTHER_MAC, ours(), None);
    let told = Told {
        solicited: false,
        ..reply(ours(), MAC)
    };
    let answer = Ndp::Tell {
        to: [0x33, 0x33, 0, 0, 0, 1],
        source: ours(),
        destination: v6("ff02::1"),
        told,
    };
    assert_eq!(bench.ndp(), [answer]);
    assert_eq!(bench.own_state(ours()), Some(AddressState::Preferred));
    assert_eq!(bench.events(), []);
}

/// RFC 4861 section 7.2.3: what the sender says of itself is taken in as stale.
#[test]
fn who_asks_for_us_is_known_from_then_on() {
    let mut bench = Bench::dual();
    bench.asked_by(peer(), PEER_MAC, ours());
    bench.ndp();
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Stale)));
    bench.transmit_v6(peer(), b"pong").unwrap();
    assert_eq!(bench.data(), [(PEER_MAC, b"pong".to_vec())]);
}

/// RFC 4861 section 7.2.3: another address replaces the one that is cached, and has to prove itself.
#[test]
fn a_neighbour_that_asks_from_a_new_adapter_is_stale_there() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.asked_by(peer(), OTHER_MAC, ours());
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(OTHER_MAC), NeighbourState::Stale)));
    assert!(!bench.link.neighbour_is_router(peer().into()));
}

/// RFC 4861 section 7.2.3: the same address changes nothing.
#[test]
fn a_neighbour_that_asks_from_where_it_was_stays_reachable() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.asked_by(peer(), PEER_MAC, ours());
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Reachable)));
}

/// RFC 4861 section 7.2.3: that it asks us while we ask for it tells where it is; whether it hears us, its answer tells.
#[test]
fn a_neighbour_that_asks_while_it_is_asked_for_gets_what_waits() {
    let mut bench = Bench::dual();
    bench.transmit_v6(peer(), b"waits").unwrap();
    bench.ndp();
    bench.asked_by(peer(), PEER_MAC, ours());
    assert_eq!(bench.data(), [(PEER_MAC, b"waits".to_vec())]);
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Delay)));
    assert_eq!(
        bench.events(),
        [LinkEvent::NeighbourResolved(peer().into())]
    );
}

/// RFC 4861 section 4.3: a unicast solicitation may leave its sender's link-layer address out.
#[test]
fn who_asks_without_saying_where_it_is_is_answered_there_and_takes_no_room() {
    let mut bench = Bench::dual();
    let message = wire::solicitation(ours(), None, None);
    bench.hear(OTHER_MAC, peer(), ours(), &message);
    let answer = Ndp::Tell {
        to: OTHER_MAC,
        source: ours(),
        destination: peer(),
        told: reply(ours(), MAC),
    };
    assert_eq!(bench.ndp(), [answer]);
    assert_eq!(bench.state_v6(peer()), None);
}

/// RFC 4861 section 7.2.3: only a target that is ours is answered; nobody else's is, as a proxy would.
#[test]
fn who_asks_for_somebody_else_is_not_answered_nor_learned() {
    let mut bench = Bench::dual();
    let target = v6("fd42::77:0:15");
    assert_eq!(
        solicited_node(target),
        solicited_node(ours()),
        "in the same group"
    );
    bench.asked_by(peer(), PEER_MAC, target);
    assert_eq!(bench.ndp(), []);
    assert_eq!(bench.state_v6(peer()), None);
    assert_eq!(bench.link.counters().ndp_rx_not_for_us, 1);
}

/// RFC 4861 section 7.1.1, each of its rules.
#[test]
fn solicitations_that_are_not_valid_are_not_answered() {
    let good = wire::solicitation(ours(), Some(PEER_MAC), None);
    let group = solicited_node(ours());
    let nobody = Ipv6Addr::UNSPECIFIED;
    let with = |place: usize, value: u8| {
        let mut message = good.clone();
        message[place] = value;
        message
    };
    let to_group = wire::solicitation(v6("ff02::1:ff00:15"), Some(PEER_MAC), None);
    let detection = wire::solicitation(ours(), None, None);
    let cases: [Case; 10] = [
        ("through a router", peer(), group, 254, good.clone(), |c| {
            c.ndp_rx_bad_hop_limit
        }),
        ("code 1", peer(), group, 255, with(1, 1), |c| {
            c.ndp_rx_malformed
        }),
        ("23 bytes", peer(), group, 255, good[..23].to_vec(), |c| {
            c.ndp_rx_malformed
        }),
        (
            "an option of length 0",
            peer(),
            group,
            255,
            with(25, 0),
            |c| c.ndp_rx_malformed,
        ),
        (
            "an option beyond the end",
            peer(),
            group,
            255,
            with(25, 2),
            |c| c.ndp_rx_malformed,
        ),
        ("a multicast target", peer(), group, 255, to_group, |c| {
            c.ndp_rx_bad_address
        }),
        (
            "from nobody, to one",
            nobody,
            ours(),
            255,
            detection.clone(),
            |c| c.ndp_rx_bad_address,
        ),
        (
            "from nobody, to all",
            nobody,
            v6("ff02::1"),
            255,
            detection,
            |c| c.ndp_rx_bad_address,
        ),
        (
            "from nobody who says where it is",
            nobody,
            group,
            255,
            good.clone(),
            |c| c.ndp_rx_bad_address,
        ),
        (
            "from a group",
            v6("ff02::2"),
            group,
            255,
            good.clone(),
            |c| c.ndp_rx_bad_address,
        ),
    ];
    for (case, source, destination, hop_limit, message, counter) in cases {
        let mut bench = Bench::dual();
        let packet = icmpv6(source, destination, hop_limit, &message);
        assert_eq!(
            bench.receive_v6(PEER_MAC, mac_of(destination), &packet),
            None,
            "{case}"
        );
        assert_eq!(bench.ndp(), [], "{case}");
        assert_eq!(
            counter(bench.link.counters()),
            1,
            "{case}: {:?}",
            bench.link.counters()
        );
        assert_eq!(bench.link.neighbours(bench.now).count(), 0, "{case}");
    }
    let mut bench = Bench::dual();
    let mut packet = icmpv6(peer(), group, 255, &good);
    packet[42] ^= 1;
    bench.receive_v6(PEER_MAC, mac_of(group), &packet);
    assert_eq!(bench.ndp(), []);
    assert_eq!(bench.link.counters().ndp_rx_bad_checksum, 1);
}

/// What is wrong, source, destination, hop limit, message, and under what it is counted.
type Case = (
    &'static str,
    Ipv6Addr,
    Ipv6Addr,
    u8,
    Vec<u8>,
    fn(&LinkCounters) -> u64,
);

/// RFC 4861 section 4.6: options that are not known are passed over.
#[test]
fn options_that_nobody_knows_are_passed_over() {
    let mut bench = Bench::dual();
    let mut message = wire::solicitation(ours(), None, None);
    message.extend([200, 2]);
    message.extend([0xff; 14]);
    message.extend([1, 1]);
    message.extend(PEER_MAC);
    bench.hear(PEER_MAC, peer(), solicited_node(ours()), &message);
    let state = bench.state_v6(peer());
    assert_eq!(state, Some((Some(PEER_MAC), NeighbourState::Stale)));
}

/// RFC 6980 section 5: behind a fragment header there is no neighbour discovery.
#[test]
fn a_solicitation_in_a_fragment_is_left_to_whoever_drops_it() {
    let mut bench = Bench::dual();
    let message = wire::solicitation(ours(), Some(PEER_MAC), None);
    let mut packet = icmpv6(peer(), ours(), HOP_LIMIT, &message);
    packet[6] = 44;
    packet[5] += 8;
    packet.splice(40..40, [58, 0, 0, 0, 0, 0, 0, 1]);
    assert!(bench.receive_v6(PEER_MAC, MAC, &packet).is_some());
    assert_eq!(bench.ndp(), []);
    assert_eq!(bench.link.counters().ndp_rx, 0);
}

/// smoltcp as the other end: it reads what we write.
#[test]
fn another_implementation_reads_our_messages() {
    use smoltcp::wire::{Icmpv6Message, Icmpv6Packet};
    let mut bench = Bench::dual();
    bench.transmit_v6(peer(), b"data").unwrap();
    bench.asked_by(v6("fd42::9"), OTHER_MAC, ours());
    let expected = [
        (Icmpv6Message::NeighborSolicit, peer()),
        (Icmpv6Message::NeighborAdvert, ours()),
    ];
    for (frame, (kind, target)) in bench.ring.frames.iter().zip(expected) {
        let frame = EthernetFrame::new_checked(frame).unwrap();
        let ip = smoltcp::wire::Ipv6Packet::new_checked(frame.payload()).unwrap();
        let message = Icmpv6Packet::new_checked(ip.payload()).unwrap();
        assert!(message.verify_checksum(&ip.src_addr(), &ip.dst_addr()));
        assert_eq!((message.msg_type(), message.target_addr()), (kind, target));
        assert_eq!(ip.hop_limit(), 255);
    }
}
