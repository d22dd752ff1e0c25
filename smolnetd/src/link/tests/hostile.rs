//! What a hostile peer sends.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

#[test]
fn arp_with_addresses_that_are_not_the_senders_to_give() {
    let request = |sender_mac, sender| Arp::request(sender_mac, sender, OURS);
    let cases = [
        (
            "a broadcast sender",
            request(OTHER_MAC, Ipv4Addr::BROADCAST),
        ),
        (
            "our network's broadcast address",
            request(OTHER_MAC, Ipv4Addr::new(10, 0, 2, 255)),
        ),
        (
            "a multicast sender",
            request(OTHER_MAC, Ipv4Addr::new(224, 0, 0, 1)),
        ),
        ("a loopback sender", request(OTHER_MAC, Ipv4Addr::LOCALHOST)),
        ("a group hardware address", request(BROADCAST, PEER)),
        (
            "a multicast hardware address",
            request([1, 0, 0x5e, 0, 0, 1], PEER),
        ),
        ("no hardware address", request([0; 6], PEER)),
        ("our hardware address", request(MAC, PEER)),
    ];
    for (case, arp) in cases {
        let mut bench = Bench::new();
        let mut payload = [0; 28];
        arp.emit(&mut payload);
        // The frame itself is in order: only the packet lies.
        bench.receive(&frame(
            BROADCAST,
            OTHER_MAC,
            EthernetProtocol::Arp,
            &payload,
        ));
        assert_eq!(bench.sent(), [], "{case}");
        assert_eq!(bench.link.neighbours(bench.now).count(), 0, "{case}");
        assert_eq!(
            bench.link.counters().arp_rx_bad_sender,
            1,
            "{case}: {:?}",
            bench.link.counters()
        );
    }
}

#[test]
fn a_sender_from_elsewhere_is_answered_and_not_remembered() {
    let mut bench = Bench::new();
    let elsewhere = Ipv4Addr::new(8, 8, 8, 8);
    bench.request_from(elsewhere, OTHER_MAC, OURS);
    let (to, sender, target) = (OTHER_MAC, OURS, elsewhere);
    assert_eq!(bench.sent(), [Sent::Reply { to, sender, target }]);
    assert_eq!(bench.state_of(elsewhere), None);
    assert_eq!(bench.link.counters().neighbour_not_learned, 1);
}

#[test]
fn arp_packets_cut_short_or_of_another_kind() {
    let mut good = [0; 28];
    Arp::request(PEER_MAC, PEER, OURS).emit(&mut good);
    let with = |place: usize, value: u8| {
        let mut packet = good.to_vec();
        packet[place] = value;
        packet
    };
    let mut bench = Bench::new();
    let cases: Vec<Vec<u8>> = (0..28)
        .map(|length| good[..length].to_vec())
        .chain([
            with(1, 6),
            with(2, 0x86),
            with(4, 8),
            with(4, 255),
            with(5, 16),
            with(5, 0),
            with(7, 0),
            with(7, 9),
        ])
        .collect();
    let count = cases.len() as u64;
    for packet in cases {
        bench.receive(&frame(BROADCAST, PEER_MAC, EthernetProtocol::Arp, &packet));
    }
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.link.counters().arp_rx_malformed, count);
    let mut padded = good.to_vec();
    padded.resize(46, 0);
    bench.receive(&frame(BROADCAST, PEER_MAC, EthernetProtocol::Arp, &padded));
    assert_eq!(bench.sent().len(), 1, "padding is no fault");
}

/// What may happen to an adapter.
#[derive(Clone, Debug)]
enum Step {
    Frame(Vec<u8>),
    Arp {
        reply: bool,
        mac: u8,
        sender: [u8; 2],
        target: [u8; 2],
    },
    Transmit {
        next_hop: [u8; 2],
        length: u16,
    },
    Confirm([u8; 2]),
    Wait {
        milliseconds: u32,
    },
    Room(u8),
    Carrier(bool),
    Address {
        add: bool,
        last: u8,
        length: u8,
    },
    Dhcp(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let near = || (0..3_u8, 0..20_u8).prop_map(|(third, last)| [third, last]);
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Frame),
        (any::<bool>(), 0..6_u8, near(), near()).prop_map(|(reply, mac, sender, target)| {
            Step::Arp {
                reply,
                mac,
                sender,
                target,
            }
        }),
        (near(), 0..1600_u16).prop_map(|(next_hop, length)| Step::Transmit { next_hop, length }),
        near().prop_map(Step::Confirm),
        (0..20_000_u32).prop_map(|milliseconds| Step::Wait { milliseconds }),
        (0..4_u8).prop_map(Step::Room),
        any::<bool>().prop_map(Step::Carrier),
        (any::<bool>(), 0..20_u8, 0..=32_u8).prop_map(|(add, last, length)| Step::Address {
            add,
            last,
            length
        }),
        any::<bool>().prop_map(Step::Dhcp),
    ]
}

fn take(bench: &mut Bench, step: Step) {
    let address = |[third, last]: [u8; 2]| Ipv4Addr::new(10, 0, third, last);
    match step {
        Step::Frame(mut bytes) => {
            if let Some(destination) = bytes.get_mut(..6) {
                destination.copy_from_slice(&MAC);
            }
            bench.receive(&bytes);
        }
        Step::Arp {
            reply,
            mac,
            sender,
            target,
        } => {
            let operation = if reply {
                Operation::Reply
            } else {
                Operation::Request
            };
            let sender_mac = [2, 0, 0, 0, 0, mac];
            let arp = Arp {
                operation,
                sender_mac,
                sender: address(sender),
                target_mac: MAC,
                target: address(target),
            };
            bench.receive_arp(arp, MAC);
        }
        Step::Transmit { next_hop, length } => {
            let room = bench.link.has_room(&bench.ring);
            let result = bench.transmit(address(next_hop), &vec![0; length.into()]);
            assert!(!(room && result == Err(TransmitError::Full)));
        }
        Step::Confirm(next_hop) => bench.link.confirm(bench.now, address(next_hop).into()),
        Step::Wait { milliseconds } => bench.run(Duration::from_millis(milliseconds.into())),
        Step::Room(room) => {
            bench.ring.room = room.into();
            bench.link.poll(bench.now, &mut bench.ring);
        }
        Step::Carrier(up) => bench.link.set_up(bench.now, up),
        Step::Address {
            add: true,
            last,
            length,
        } => {
            let _ = bench.link.add_address(
                bench.now,
                cidr(address([2, last]), length),
                AddressOrigin::Static,
            );
        }
        Step::Address {
            add: false,
            last,
            length,
        } => {
            bench
                .link
                .remove_address(bench.now, cidr(address([2, last]), length));
        }
        Step::Dhcp(on) => bench.link.dhcp_enable(bench.now, on),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(826),
        ..ProptestConfig::default()
    })]

    /// Nothing panics, nothing is due for ever (the bench asserts it), and when all is quiet and there is room, no
    /// packet is left behind without anybody who would send it.
    #[test]
    fn any_order_of_events_ends_in_peace(steps in proptest::collection::vec(step(), 0..120)) {
        let mut bench = Bench::new();
        for step in steps {
            take(&mut bench, step);
        }
        bench.link.dhcp_enable(bench.now, false);
        bench.ring.room = 100_000;
        bench.link.poll(bench.now, &mut bench.ring);
        bench.run(Duration::from_secs(120));
        prop_assert_eq!(bench.link.next_deadline(), None);
        prop_assert_eq!(bench.link.neighbours.pending(), 0, "{:?}", bench.link);
        for info in bench.link.neighbours(bench.now) {
            prop_assert_ne!(info.state, NeighbourState::Incomplete);
        }
    }
}
