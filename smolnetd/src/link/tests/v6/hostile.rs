//! What a hostile peer sends.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::super::neighbour::{MAX_NEIGHBOURS, MAX_PENDING, MAX_STRANGERS};
use super::*;

/// One good message of each kind, with its source and destination.
fn good_messages() -> Vec<(Ipv6Addr, Ipv6Addr, Vec<u8>)> {
    let all = v6("ff02::1");
    let mut query = vec![130, 0, 0, 0, 0, 100, 0, 0];
    query.resize(28, 0);
    let mut report = vec![131, 0, 0, 0, 0, 0, 0, 0];
    report.extend(solicited_node(ours()).octets());
    vec![
        (
            peer(),
            solicited_node(ours()),
            wire::solicitation(ours(), Some(PEER_MAC), Some([1; 6])),
        ),
        (
            Ipv6Addr::UNSPECIFIED,
            solicited_node(ours()),
            wire::solicitation(ours(), None, Some([1; 6])),
        ),
        (peer(), ours(), emit_advertisement(reply(peer(), PEER_MAC))),
        (v6("fe80::2"), all, query),
        (v6("fe80::2"), solicited_node(ours()), report),
        (
            v6("fe80::2"),
            all,
            vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        (v6("fe80::2"), ours(), vec![137, 0, 0, 0]),
        (v6("fe80::2"), all, vec![133, 0, 0, 0, 0, 0, 0, 0]),
    ]
}

/// Packets cut off at every byte: in the frame, and with lengths and checksums that say that nothing is missing.
#[test]
fn messages_cut_off_at_every_byte() {
    for (source, destination, message) in good_messages() {
        for router_alert in [false, true] {
            let hop_limit = if router_alert { 1 } else { HOP_LIMIT };
            let envelope = Envelope {
                source,
                destination,
                hop_limit,
                router_alert,
            };
            let whole = envelope.wrap(&message);
            for length in 0..whole.len() {
                let mut bench = Bench::dual();
                bench.receive_v6(PEER_MAC, mac_of(destination), &whole[..length]);
                assert_eq!(bench.ndp(), [], "{length} of {whole:x?}");
                assert_eq!(bench.link.neighbours(bench.now).count(), 0);
            }
            for length in 0..message.len() {
                let mut bench = Bench::dual();
                let packet = envelope.wrap(&message[..length]);
                bench.receive_v6(PEER_MAC, mac_of(destination), &packet);
                bench.run(Duration::from_secs(20));
                let state = bench.own_state(ours());
                assert_eq!(
                    state,
                    Some(AddressState::Preferred),
                    "{length} of {message:x?}"
                );
            }
        }
    }
}

/// RFC 8200 section 4.2: hop-by-hop headers that lie about their length, and options that do.
#[test]
fn hop_by_hop_headers_that_lie() {
    let envelope = Envelope {
        source: v6("fe80::2"),
        destination: v6("ff02::1"),
        hop_limit: 1,
        router_alert: true,
    };
    let mut query = vec![130, 0, 0, 0, 0, 100, 0, 0];
    query.resize(28, 0);
    let good = envelope.wrap(&query);
    for place in 40..48 {
        for value in [0, 1, 2, 4, 5, 6, 7, 8, 58, 127, 128, 254, 255] {
            let mut packet = good.clone();
            packet[place] = value;
            let mut bench = Bench::dual();
            bench.receive_v6(PEER_MAC, [0x33, 0x33, 0, 0, 0, 1], &packet);
            bench.run(Duration::from_secs(1));
        }
    }
    // An IPv6 length beyond the frame, and one that cuts the hop-by-hop header off.
    for length in [0, 1, 7, 8, 9, 0xffff_u16] {
        let mut packet = good.clone();
        packet[4..6].copy_from_slice(&length.to_be_bytes());
        let mut bench = Bench::dual();
        bench.receive_v6(PEER_MAC, [0x33, 0x33, 0, 0, 0, 1], &packet);
        assert_eq!(
            bench.link.counters().mld_rx,
            u64::from(length == 9),
            "{length}"
        );
    }
}

/// A hundred thousand neighbours ask for us: what is remembered is bounded, and who is in use does not notice.
#[test]
fn a_hundred_thousand_neighbours_leave_the_one_in_use_alone() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.asked_by(v6("fd42::3"), OTHER_MAC, ours());
    bench.transmit_v6(v6("fd42::3"), b"in use").unwrap();
    for number in 0..100_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let source = Ipv6Addr::from_bits(ours().to_bits() | 1 << 63 | u128::from(number) << 16);
        bench.ring.room = 1;
        bench.asked_by(source, [2, 0, 0, a, b, c], ours());
        if number % 1000 == 0 {
            assert!(bench.link.neighbours(bench.now).count() <= 2 + MAX_STRANGERS);
        }
        bench.ring.frames.clear();
    }
    assert_eq!(
        bench.link.counters().ndp_tx_advertisements,
        100_001,
        "all are answered"
    );
    assert_eq!(
        bench.link.counters().neighbour_evicted,
        100_000 - MAX_STRANGERS as u64
    );
    bench.ring.room = 10;
    bench.ring.frames.clear();
    assert_eq!(
        bench.state_v6(peer()),
        Some((Some(PEER_MAC), NeighbourState::Reachable))
    );
    bench.transmit_v6(peer(), b"on").unwrap();
    bench.transmit_v6(v6("fd42::3"), b"on").unwrap();
    assert_eq!(
        bench.data(),
        [(PEER_MAC, b"on".to_vec()), (OTHER_MAC, b"on".to_vec())]
    );
}

/// As many advertisements that nobody asked for leave nothing at all.
#[test]
fn a_hundred_thousand_advertisements_leave_nothing() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    for number in 0..100_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let target = Ipv6Addr::from_bits(ours().to_bits() | 1 << 63 | u128::from(number) << 16);
        bench.told(reply(target, [2, 0, 0, a, b, c]));
    }
    assert_eq!(bench.link.neighbours(bench.now).count(), 1);
    assert_eq!(bench.link.counters().neighbour_not_learned, 100_000);
    assert_eq!(bench.events(), []);
}

/// A scan of the whole network by a program of our own: RFC 6583. What waits and who is asked for is bounded, and a
/// neighbour in use keeps its place.
#[test]
fn a_scan_of_the_network_leaves_the_neighbour_in_use_alone() {
    let mut bench = Bench::dual();
    bench.make_reachable_v6(peer(), PEER_MAC);
    bench.ring.room = usize::MAX;
    for number in 0..3000_u32 {
        let target = Ipv6Addr::from_bits(ours().to_bits() | 1 << 63 | u128::from(number) << 16);
        let _ = bench.transmit_v6(target, b"scan");
        bench.ring.frames.clear();
    }
    assert_eq!(bench.link.neighbours(bench.now).count(), MAX_NEIGHBOURS);
    assert!(bench.link.neighbours.pending() <= MAX_PENDING);
    assert_eq!(
        bench.state_v6(peer()),
        Some((Some(PEER_MAC), NeighbourState::Reachable))
    );
    bench.run(Duration::from_secs(5));
    assert_eq!(bench.link.neighbours(bench.now).count(), 1);
}

/// Ten thousand routers: they are strangers like others, and the one that is used stays.
#[test]
fn ten_thousand_routers_leave_the_one_in_use_alone() {
    let mut bench = Bench::dual();
    let router = v6("fe80::1");
    bench.router_is_at(router, PEER_MAC);
    bench.transmit_v6(router, b"out").unwrap();
    for number in 0..10_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let other = Ipv6Addr::from_bits(router.to_bits() | u128::from(number) << 16 | 2);
        bench.router_is_at(other, [2, 0, 0, a, b, c]);
    }
    assert_eq!(bench.link.neighbours(bench.now).count(), 1 + MAX_STRANGERS);
    assert!(bench.link.neighbour_is_router(router.into()));
    bench.router_is_at(router, MAC);
    bench.router_is_at(ours(), OTHER_MAC);
    assert_eq!(
        bench.link.counters().ndp_rx_bad_sender,
        2,
        "our own addresses are no router's"
    );
}

/// What may happen to an adapter.
#[derive(Clone, Debug)]
enum Step {
    /// Whatever bytes, as an ICMPv6 message whose checksum is right.
    Message {
        hop_limit: bool,
        alert: bool,
        nameless: bool,
        to: u8,
        bytes: Vec<u8>,
    },
    Frame(Vec<u8>),
    Solicit {
        mac: u8,
        source: u8,
        target: u8,
        nonce: bool,
    },
    Advertise {
        mac: Option<u8>,
        target: u8,
        flags: u8,
    },
    Transmit {
        next_hop: u8,
        length: u16,
    },
    Wait(u32),
    Room(u8),
    Carrier(bool),
    Address {
        add: bool,
        last: u8,
    },
    Prefixes {
        count: u8,
        preferred: u16,
        valid: u16,
    },
    Group {
        join: bool,
        group: u8,
    },
    Confirm(u8),
    Router {
        last: u8,
        mac: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![128..148_u8, 128..138_u8];
    let bytes =
        (kind, proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(kind, mut bytes)| {
            bytes.insert(0, kind);
            if let Some(code) = bytes.get_mut(1) {
                *code &= 1;
            }
            bytes
        });
    prop_oneof![
        (any::<bool>(), any::<bool>(), any::<bool>(), 0..4_u8, bytes).prop_map(
            |(hop_limit, alert, nameless, to, bytes)| Step::Message {
                hop_limit,
                alert,
                nameless,
                to,
                bytes
            }
        ),
        proptest::collection::vec(any::<u8>(), 0..120).prop_map(Step::Frame),
        (0..6_u8, 0..20_u8, 0..20_u8, any::<bool>()).prop_map(|(mac, source, target, nonce)| {
            Step::Solicit {
                mac,
                source,
                target,
                nonce,
            }
        }),
        (proptest::option::of(0..6_u8), 0..20_u8, any::<u8>())
            .prop_map(|(mac, target, flags)| Step::Advertise { mac, target, flags }),
        (0..20_u8, 0..1600_u16).prop_map(|(next_hop, length)| Step::Transmit { next_hop, length }),
        (0..20_000_u32).prop_map(Step::Wait),
        (0..4_u8).prop_map(Step::Room),
        any::<bool>().prop_map(Step::Carrier),
        (any::<bool>(), 0..20_u8).prop_map(|(add, last)| Step::Address { add, last }),
        (0..4_u8, 0..60_u16, 0..60_u16).prop_map(|(count, preferred, valid)| Step::Prefixes {
            count,
            preferred,
            valid
        }),
        (any::<bool>(), 0..5_u8).prop_map(|(join, group)| Step::Group { join, group }),
        (0..20_u8).prop_map(Step::Confirm),
        (0..20_u8, 0..6_u8).prop_map(|(last, mac)| Step::Router { last, mac }),
    ]
}

fn near(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd42, 0, 0, 0, 0, 0, 0, last.into())
}

fn take_message(bench: &mut Bench, source: Ipv6Addr, step: Step) {
    let Step::Message {
        hop_limit,
        alert,
        nameless,
        to,
        bytes,
    } = step
    else {
        return;
    };
    let envelope = Envelope {
        source: if nameless {
            Ipv6Addr::UNSPECIFIED
        } else {
            source
        },
        destination: match to {
            0 => ours(),
            1 => v6("ff02::1"),
            2 => solicited_node(ours()),
            _ => v6("ff02::fb"),
        },
        hop_limit: if hop_limit { HOP_LIMIT } else { 1 },
        router_alert: alert,
    };
    let packet = envelope.wrap(&bytes);
    bench.receive_v6(OTHER_MAC, mac_of(envelope.destination), &packet);
}

fn take(bench: &mut Bench, step: Step) {
    let station = |mac: u8| [2, 0, 0, 0, 0, mac];
    match step {
        Step::Message { .. } => take_message(bench, v6("fe80::2"), step),
        Step::Frame(bytes) => {
            bench.receive_v6(OTHER_MAC, MAC, &bytes);
        }
        Step::Solicit {
            mac,
            source,
            target,
            nonce,
        } => {
            let message =
                wire::solicitation(near(target), Some(station(mac)), nonce.then_some([mac; 6]));
            bench.hear(
                station(mac),
                near(source),
                solicited_node(near(target)),
                &message,
            );
        }
        Step::Advertise { mac, target, flags } => {
            let told = Told {
                target: near(target),
                mac: mac.map(station),
                router: flags & 1 != 0,
                solicited: flags & 2 != 0,
                overrides: flags & 4 != 0,
            };
            bench.hear(
                OTHER_MAC,
                near(target),
                v6("ff02::1"),
                &emit_advertisement(told),
            );
        }
        Step::Transmit { next_hop, length } => {
            let room = bench.link.has_room(&bench.ring);
            let result = bench.transmit_v6(near(next_hop), &vec![0; length.into()]);
            assert!(!(room && result == Err(TransmitError::Full)));
        }
        Step::Wait(milliseconds) => bench.run(Duration::from_millis(milliseconds.into())),
        Step::Room(room) => {
            bench.ring.room = room.into();
            bench.link.poll(bench.now, &mut bench.ring);
        }
        Step::Carrier(up) => bench.link.set_up(bench.now, up),
        Step::Address { add, last } => {
            let cidr = IpCidr::Ipv6(Ipv6Cidr::new(near(last), 64));
            if add {
                let _ = bench
                    .link
                    .add_address(bench.now, cidr, AddressOrigin::Static);
            } else {
                bench.link.remove_address(bench.now, cidr);
            }
        }
        Step::Prefixes {
            count,
            preferred,
            valid,
        } => {
            let until = |seconds: u16| Some(bench.now + Duration::from_secs(seconds.into()));
            let wanted: Vec<_> = (0..count)
                .map(|n| Autoconfigured {
                    identity: Identity::Stable {
                        prefix: Ipv6Cidr::new(
                            Ipv6Addr::new(0xfd12, 0, 0, n.into(), 0, 0, 0, 0),
                            64,
                        ),
                    },
                    preferred_until: until(preferred),
                    valid_until: until(valid),
                })
                .collect();
            bench.link.sync_autoconfigured(bench.now, &wanted);
        }
        Step::Group { join, group } => {
            let group = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, group.into()));
            if join {
                let _ = bench.link.join(bench.now, group);
            } else {
                bench.link.leave(bench.now, group);
            }
        }
        Step::Confirm(last) => bench.link.confirm(bench.now, near(last).into()),
        Step::Router { last, mac } => bench.router_is_at(near(last), station(mac)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(4861),
        ..ProptestConfig::default()
    })]

    /// Nothing panics, nothing is due for ever (the bench asserts it), and when all is quiet, there is a carrier and
    /// there is room, nobody is still being asked for, no packet is left behind, every address has been checked, and
    /// the groups are those of the addresses.
    #[test]
    fn any_order_of_events_ends_in_peace(steps in proptest::collection::vec(step(), 0..120)) {
        let mut bench = Bench::dual();
        for step in steps {
            take(&mut bench, step);
        }
        bench.ring.room = usize::MAX;
        bench.link.set_up(bench.now, true);
        bench.link.poll(bench.now, &mut bench.ring);
        bench.run(Duration::from_secs(9000));
        prop_assert_eq!(bench.link.next_deadline(), None);
        prop_assert_eq!(bench.link.neighbours.pending(), 0, "{:?}", bench.link);
        for info in bench.link.neighbours(bench.now) {
            prop_assert_ne!(info.state, NeighbourState::Incomplete);
        }
        for own in bench.link.addresses() {
            prop_assert_ne!(own.state, AddressState::Tentative);
            let IpAddr::V6(address) = own.address() else { continue };
            if own.state.is_usable() {
                prop_assert!(bench.link.is_member(solicited_node(address).into()));
            }
        }
    }
}
