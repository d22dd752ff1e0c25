//! What a hostile or broken router sends.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::link::autoconf::prefixes::MAX_PREFIXES;
use crate::link::autoconf::routers::{MAX_ROUTERS, MAX_SPECIFIC};

/// Everything at once, as a good router says it.
fn full() -> Ra {
    Ra::from(1)
        .option(1, &ROUTER_MAC)
        .usual(1, 86_400, 14_400)
        .mtu(1400)
        .route(prefix(5), 48, 0x08, 600)
        .rdnss(600, &[prefix(0)])
        .dnssl(600, b"\x03lab\x04test\0")
        // An option that nobody knows yet.
        .option(200, &[1, 2, 3, 4, 5, 6])
}

/// This packet is dropped under that counter, and nothing follows.
fn dropped(packet: &[u8], counter: &str) {
    let mut bench = Bench::new();
    bench.run(seconds(1));
    bench.host.receive(bench.now, packet);
    assert_eq!(bench.actions(), [], "{counter}: {packet:02x?}");
    assert_eq!(bench.counter(counter), 1, "{counter}: {packet:02x?}");
    assert_eq!(bench.counter("ra_rx_valid"), 0, "{counter}");
}

/// RFC 4861 section 6.1.2, one check after the other.
#[test]
fn rfc4861_6_1_2_advertisements_that_are_not_valid_are_dropped() {
    let ra = full();
    let from = |source: &str| Ra {
        source: source.parse().unwrap(),
        ..full()
    };
    for hop_limit in [0, 1, 64, 254] {
        dropped(
            &Ra {
                hop_limit,
                ..full()
            }
            .packet(),
            "nd_rx_hop_limit",
        );
    }
    for source in ["2001:db8::1", "::", "fec0::1", "ff02::1", "fd12::2", "::1"] {
        dropped(&from(source).packet(), "nd_rx_bad_source");
    }
    dropped(&Ra { code: 1, ..full() }.packet(), "nd_rx_bad_code");
    let mut flipped = ra.packet();
    flipped[60] ^= 1;
    dropped(&flipped, "nd_rx_bad_checksum");
    let short = &ra.message()[..15];
    dropped(&icmp(router(1), ALL_NODES, 255, short), "nd_rx_too_short");
    let mut zero = ra;
    zero.options.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    dropped(&zero.packet(), "nd_rx_bad_option");
}

/// RFC 4861 section 8.1: a Redirect is held to the same, and 40 bytes.
#[test]
fn rfc4861_8_1_redirects_that_are_not_valid_are_dropped() {
    let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
    message.extend(router(2).octets());
    message.extend(prefix(1).octets());
    let with = |hop_limit, source, message: &[u8]| icmp(source, OURS, hop_limit, message);
    dropped(&with(64, router(1), &message), "nd_rx_hop_limit");
    dropped(&with(255, prefix(1), &message), "nd_rx_bad_source");
    dropped(&with(255, router(1), &message[..39]), "nd_rx_too_short");
    let mut coded = message.clone();
    coded[1] = 1;
    dropped(&with(255, router(1), &coded), "nd_rx_bad_code");
    message.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    dropped(&with(255, router(1), &message), "nd_rx_bad_option");
}

/// RFC 6980 section 5, and evasion of RA guards: behind an extension header it is not for us.
#[test]
fn rfc6980_5_an_advertisement_behind_an_extension_header_is_not_taken() {
    let inner = full().message();
    for next_header in [0, 43, 44, 60] {
        let mut packet = icmp(
            router(1),
            ALL_NODES,
            255,
            &[&[58, 0, 0, 0, 0, 0, 0, 0], &inner[..]].concat(),
        );
        packet[6] = next_header;
        let mut bench = Bench::new();
        assert!(!bench.host.receive(bench.now, &packet));
        assert_eq!((bench.stable().len(), bench.counter("ra_rx")), (0, 0));
    }
}

/// Cut short at every byte, with the lengths that it had and with those that it has then.
#[test]
fn an_advertisement_cut_short_anywhere_is_dropped_or_ends_between_two_options() {
    let ra = full();
    let whole = ra.packet();
    for length in 0..whole.len() {
        let mut bench = Bench::new();
        bench.host.receive(bench.now, &whole[..length]);
        assert_eq!(bench.counter("ra_rx_valid"), 0, "{length} bytes");
    }
    let message = ra.message();
    let mut boundaries = 0;
    for length in 0..message.len() {
        let mut bench = Bench::new();
        let packet = icmp(router(1), ALL_NODES, 255, &message[..length]);
        bench.host.receive(bench.now, &packet);
        let valid = bench.counter("ra_rx_valid");
        assert!(valid == 0 || length % 8 == 0, "{length} bytes");
        boundaries += valid;
    }
    assert_eq!(boundaries, 7, "before each of the options");
}

/// A thousand prefixes in one advertisement, and again, and others.
#[test]
fn a_thousand_prefixes_make_no_more_addresses_than_may_be() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(0, 7200, 3600));
    for round in 0..10 {
        let flood = (1..=1000).fold(Ra::from(2), |ra, number| {
            ra.usual(number + 1000 * round, u32::MAX, u32::MAX)
        });
        bench.hear(&flood);
        assert_eq!(bench.stable().len(), MAX_PREFIXES);
        assert_eq!(bench.specifics().len(), MAX_PREFIXES);
    }
    assert_eq!(bench.stable()[0].0, prefix(0), "who was there stays");
    assert!(bench.counter("prefix_table_full") >= 2 * 9900);
}

/// 10,000 forged routers do not displace one that is in use and answers.
#[test]
fn ten_thousand_routers_do_not_displace_one_that_is_in_use() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(0));
    bench.host.router_reachable(router(0));
    let mut second = Ra::from(1);
    second.flags = 0x18;
    bench.hear(&second);
    for number in 2..=10_001 {
        bench.hear(&Ra::from(number));
        assert!(bench.defaults().len() <= MAX_ROUTERS);
    }
    let defaults = bench.defaults();
    assert_eq!(defaults.len(), MAX_ROUTERS);
    assert!(defaults.contains(&router(0)), "in use: {defaults:?}");
    assert!(defaults.contains(&router(1)), "there before: {defaults:?}");
    // One that does not answer gives way at once to one that is real.
    bench.host.router_unreachable(bench.now, router(1));
    bench.hear(&Ra::from(20_000));
    let defaults = bench.defaults();
    assert!(!defaults.contains(&router(1)) && defaults.contains(&router(20_000)));
    assert!(bench.counter("router_evicted") >= 9980);
}

/// A list of proven routers takes no other.
#[test]
fn proven_routers_do_not_give_way() {
    let mut bench = Bench::new();
    for number in 0..u16::try_from(MAX_ROUTERS).unwrap() {
        bench.hear(&Ra::from(number));
        bench.host.router_reachable(router(number));
    }
    let before = bench.defaults();
    bench.hear(&Ra::from(999));
    assert_eq!(bench.defaults(), before);
    assert_eq!(bench.counter("router_table_full"), 1);
}

/// Routers that say good-bye, by the thousand, need no room.
#[test]
fn routers_that_lead_nowhere_take_no_place() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(0));
    for number in 1..1000 {
        bench.hear(&Ra {
            lifetime: 0,
            ..Ra::from(number)
        });
    }
    assert_eq!(bench.defaults(), [router(0)]);
    assert_eq!(bench.counter("router_evicted"), 0);
}

#[test]
fn a_thousand_routes_of_one_router_are_bounded_and_its_default_route_has_its_place() {
    let mut bench = Bench::new();
    let flood = (0..1000).fold(
        Ra {
            lifetime: 0,
            ..Ra::from(1)
        },
        |ra, number| ra.route(prefix(number), 48, 0, u32::MAX),
    );
    bench.hear(&flood);
    assert_eq!(bench.specifics().len(), MAX_SPECIFIC);
    assert_eq!(bench.counter("route_table_full"), 984);
    bench.hear(&Ra::from(1));
    assert_eq!(bench.defaults(), [router(1)]);
}

/// Redirects and source addresses by the thousand, and nobody who asks what is to be done.
#[test]
fn actions_that_nobody_takes_are_bounded_and_changes_are_not_lost() {
    let mut bench = Bench::new();
    for number in 0..1000 {
        let packet = Ra::from(number)
            .option(1, &ROUTER_MAC)
            .usual(1, 7200, 3600)
            .packet();
        bench.host.receive(bench.now, &packet);
    }
    let actions = bench.actions();
    assert!(actions.len() < 20, "{}", actions.len());
    assert!(actions.contains(&Action::Addresses) && actions.contains(&Action::Routes));
    assert_eq!(bench.counter("actions_lost"), 992);
}

/// An advertisement with some of everything, its bytes changed here and there, its checksum right.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = proptest::collection::vec(change, 0..12);
    let tail = proptest::collection::vec(any::<u8>(), 0..64);
    (changes, tail).prop_map(|(changes, tail)| {
        let mut message = full().message();
        message.extend(tail);
        for (place, value) in changes {
            let place = place.index(message.len());
            message[place] = value;
        }
        message[0] = if message[0] & 1 == 0 { 134 } else { 137 };
        icmp(router(1), ALL_NODES, 255, &message)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(4861),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever comes, nothing panics, everything stays within its bounds, and time goes on.
    #[test]
    fn no_advertisement_does_harm(
        packets in proptest::collection::vec((damaged(), 0_u64..100_000), 1..8),
        temporary in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        bench.host.use_temporary(bench.now, temporary);
        for (packet, pause) in packets {
            bench.host.receive(bench.now, &packet);
            bench.actions();
            bench.run(seconds(pause));
        }
        prop_assert!(bench.host.addresses().count() <= 3 * MAX_PREFIXES);
        prop_assert!(bench.host.routes().count() <= 16 + 16 * 17);
        prop_assert!(bench.host.resolvers().len() <= 8 && bench.host.search().len() <= 8);
        if let Some(mtu) = bench.host.parameters().mtu {
            prop_assert!((1280..=1500).contains(&mtu));
        }
        for wanted in bench.host.addresses() {
            let (preferred, valid) = (wanted.preferred_until, wanted.valid_until);
            prop_assert!(valid.is_none() || preferred.is_some_and(|end| Some(end) <= valid), "{wanted:?}");
        }
    }

    /// Any bytes at all, as a packet.
    #[test]
    fn no_packet_does_harm(packet in proptest::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
        let mut bench = Bench::new();
        let mut packet = packet;
        if start && packet.len() > 41 {
            packet[0] = 0x60;
            packet[6] = 58;
            packet[40] = 134;
        }
        bench.host.receive(bench.now, &packet);
        bench.actions();
    }
}
