//! Where frames go, and which ones are ours.

use super::*;

#[test]
fn broadcast_and_multicast_need_no_resolution() {
    let mut bench = Bench::new();
    for (next_hop, to) in [
        ([255, 255, 255, 255], BROADCAST),
        ([10, 0, 2, 255], BROADCAST),
        ([224, 0, 0, 251], [0x01, 0, 0x5e, 0, 0, 251]),
        // RFC 1112 section 6.4: only 23 bits go over.
        ([239, 255, 255, 250], [0x01, 0, 0x5e, 0x7f, 0xff, 250]),
    ] {
        bench.transmit(next_hop.into(), b"data").unwrap();
        assert_eq!(
            bench.sent(),
            [Sent::Ip {
                to,
                packet: b"data".to_vec()
            }],
            "{next_hop:?}"
        );
    }
    let group: IpAddr = "ff02::1:ff00:2".parse().unwrap();
    bench
        .link
        .transmit(
            bench.now,
            group,
            1,
            |buffer| buffer.fill(6),
            &mut bench.ring,
        )
        .unwrap();
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: [0x33, 0x33, 0xff, 0, 0, 2],
            packet: vec![6]
        }]
    );
}

#[test]
fn the_broadcast_goes_out_before_there_is_any_address() {
    let mut bench = Bench::bare();
    bench.transmit(Ipv4Addr::BROADCAST, b"DISCOVER").unwrap();
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: BROADCAST,
            packet: b"DISCOVER".to_vec()
        }]
    );
    assert_eq!(
        bench.transmit(PEER, b"data"),
        Err(TransmitError::Unreachable),
        "nobody to ask from"
    );
}

#[test]
fn next_hops_that_cannot_be_stations_are_unreachable() {
    let mut bench = Bench::new();
    for next_hop in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, OURS] {
        assert_eq!(
            bench.transmit(next_hop, b"data"),
            Err(TransmitError::Unreachable),
            "{next_hop}"
        );
    }
    let next_hop: IpAddr = "fe80::2".parse().unwrap();
    let result = bench
        .link
        .transmit(bench.now, next_hop, 4, |_| (), &mut bench.ring);
    assert_eq!(result, Err(TransmitError::Unreachable));
    assert_eq!(bench.link.counters().tx_unreachable, 4);
    assert_eq!(bench.sent(), []);
}

#[test]
fn the_1514_byte_frame() {
    let mut bench = Bench::new();
    bench.make_reachable(PEER, PEER_MAC);
    bench.transmit(PEER, &[1; 1500]).unwrap();
    assert_eq!(bench.ring.frames.pop().unwrap().len(), 1514);
    assert_eq!(bench.transmit(PEER, &[1; 1501]), Err(TransmitError::TooBig));
    let mut packet = vec![0x45; 1500];
    packet[16..20].copy_from_slice(&OURS.octets());
    let received = bench.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &packet));
    assert_eq!(received, Some(packet));
}

#[test]
fn a_full_ring_refuses_without_calling_and_keeps_what_waited_in_order() {
    let mut bench = Bench::new();
    for packet in [b"1", b"2", b"3"] {
        bench.transmit(PEER, packet).unwrap();
    }
    bench.sent();
    bench.ring.room = 1;
    bench.reply_from(PEER, PEER_MAC);
    assert_eq!(
        bench.sent(),
        [Sent::Ip {
            to: PEER_MAC,
            packet: b"1".to_vec()
        }]
    );
    assert!(!bench.link.has_room(&bench.ring));
    // The neighbour is known, but nobody overtakes.
    bench.ring.room = 1;
    bench.transmit(PEER, b"4").unwrap();
    assert_eq!(bench.sent(), []);
    bench.ring.room = 10;
    bench.link.poll(bench.now, &mut bench.ring);
    let expected = [b"2", b"3", b"4"].map(|packet| Sent::Ip {
        to: PEER_MAC,
        packet: packet.to_vec(),
    });
    assert_eq!(bench.sent(), expected);
    bench.ring.room = 0;
    let refused = bench.link.transmit(
        bench.now,
        PEER.into(),
        4,
        |_| panic!("called"),
        &mut bench.ring,
    );
    assert_eq!(refused, Err(TransmitError::Full));
    assert_eq!(bench.link.counters().tx_full, 1);
}

#[test]
fn whoever_fills_the_ring_does_not_keep_our_neighbours_from_finding_us() {
    let mut bench = Bench::new();
    bench.make_reachable(OTHER, OTHER_MAC);
    bench.ring.room = 0;
    bench.request_from(PEER, PEER_MAC, OURS);
    assert_eq!(bench.transmit(OTHER, b"bulk"), Err(TransmitError::Full));
    bench.ring.room = 2;
    bench.link.poll(bench.now, &mut bench.ring);
    bench.transmit(OTHER, b"bulk").unwrap();
    let expected = [
        Sent::Reply {
            to: PEER_MAC,
            sender: OURS,
            target: PEER,
        },
        Sent::Ip {
            to: OTHER_MAC,
            packet: b"bulk".to_vec(),
        },
    ];
    assert_eq!(bench.sent(), expected);
}

#[test]
fn a_next_hop_is_found_though_the_ring_is_full_whenever_it_is_to_be_asked_for() {
    let mut bench = Bench::new();
    bench.ring.room = 0;
    bench.transmit(PEER, b"data").unwrap();
    bench.run(Duration::from_millis(2900));
    bench.ring.room = 100;
    bench.link.poll(bench.now, &mut bench.ring);
    let asked = bench.sent();
    assert!(
        matches!(asked.first(), Some(Sent::Ask { target: PEER, .. })),
        "{asked:?}"
    );
    bench.reply_from(PEER, PEER_MAC);
    let (to, packet) = (PEER_MAC, b"data".to_vec());
    assert_eq!(bench.sent(), [Sent::Ip { to, packet }]);
}

#[test]
fn replies_that_wait_for_a_ring_that_never_moves_have_a_bound() {
    let mut bench = Bench::new();
    bench.ring.room = 0;
    for number in 0..200_u8 {
        let station = [2, 0, 0, 0, 0, number];
        bench.request_from(PEER, station, OURS);
        bench.request_from(PEER, station, OURS);
    }
    assert_eq!(bench.link.counters().arp_tx_full, 2 * (200 - 32));
    assert_eq!(bench.link.counters().arp_tx_replies, 2 * 32);
    assert_eq!(
        bench.link.next_deadline(),
        None,
        "room is an event, no timer"
    );
    bench.ring.room = 100;
    bench.link.poll(bench.now, &mut bench.ring);
    assert_eq!(bench.sent().len(), 32);
}

/// The counter of a reason.
type Counter = fn(&LinkCounters) -> u64;

#[test]
fn frames_that_are_not_ours_are_counted_under_their_reason() {
    let ip = |destination: Ipv4Addr| {
        let mut packet = vec![0x45; 28];
        packet[16..20].copy_from_slice(&destination.octets());
        packet
    };
    let v4 = EthernetProtocol::Ipv4;
    let cases: [(Vec<u8>, Counter); 9] = [
        (vec![], |counters| counters.rx_runt),
        (frame(MAC, PEER_MAC, v4, &[])[..13].to_vec(), |counters| {
            counters.rx_runt
        }),
        (frame(OTHER_MAC, PEER_MAC, v4, &ip(OURS)), |counters| {
            counters.rx_other_host
        }),
        (frame(MAC, [1, 0, 0, 0, 0, 1], v4, &ip(OURS)), |counters| {
            counters.rx_group_source
        }),
        (
            frame(BROADCAST, MAC, v4, &ip(Ipv4Addr::BROADCAST)),
            |counters| counters.rx_own_source,
        ),
        (
            frame(MAC, PEER_MAC, EthernetProtocol::Unknown(0x8100), &ip(OURS)),
            |counters| counters.rx_unknown_protocol,
        ),
        (
            frame(MAC, PEER_MAC, EthernetProtocol::Ipv6, &ip(OURS)),
            |counters| counters.rx_version_mismatch,
        ),
        (frame(MAC, PEER_MAC, v4, &[]), |counters| {
            counters.rx_version_mismatch
        }),
        (frame(BROADCAST, PEER_MAC, v4, &ip(OURS)), |counters| {
            counters.rx_unicast_in_group_frame
        }),
    ];
    for (number, (bytes, counter)) in cases.into_iter().enumerate() {
        let mut bench = Bench::new();
        assert_eq!(counter(bench.link.counters()), 0);
        assert_eq!(bench.receive(&bytes), None, "case {number}");
        assert_eq!(
            counter(bench.link.counters()),
            1,
            "case {number}: {:?}",
            bench.link.counters()
        );
    }
    let mut bench = Bench::new();
    for destination in [
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 0, 2, 255),
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        let packet = ip(destination);
        assert_eq!(
            bench.receive(&frame(BROADCAST, PEER_MAC, v4, &packet)),
            Some(packet)
        );
    }
    bench.link.set_up(bench.now, false);
    assert_eq!(bench.receive(&frame(MAC, PEER_MAC, v4, &ip(OURS))), None);
    assert_eq!(bench.link.counters().rx_down, 1);
}
