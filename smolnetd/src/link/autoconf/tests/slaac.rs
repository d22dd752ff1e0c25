//! Addresses from prefixes: RFC 4862 section 5.5, and on-link prefixes: RFC 4861 section 6.3.4.

use super::*;

const TWO_HOURS: i64 = 7200;

/// RFC 4862 section 5.5.3 (d), RFC 4861 section 6.3.4: A makes an address, L a route, each by itself.
#[test]
fn rfc4862_5_5_3_the_flags_a_and_l_mean_different_things() {
    for (flags, address, route) in [
        (0xc0, true, true),
        (0x40, true, false),
        (0x80, false, true),
        (0x00, false, false),
    ] {
        let mut bench = Bench::new();
        bench.hear(&Ra::from(1).prefix(flags, prefix(1), 64, 7200, 3600));
        let addresses = if address {
            vec![(prefix(1), Some(3600), Some(7200))]
        } else {
            vec![]
        };
        assert_eq!(bench.stable(), addresses, "flags {flags:#x}");
        let routes = if route {
            vec![("fd12:1::/64".into(), None, Some(7200))]
        } else {
            vec![]
        };
        assert_eq!(bench.specifics(), routes, "flags {flags:#x}");
    }
}

/// RFC 4861 section 4.6.2: all ones are for ever.
#[test]
fn rfc4861_4_6_2_all_ones_are_for_ever() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, u32::MAX, u32::MAX));
    assert_eq!(bench.stable(), [(prefix(1), None, None)]);
    bench.run(HOUR * 24 * 365);
    assert_eq!(bench.stable(), [(prefix(1), None, None)]);
    assert_eq!(bench.specifics(), [("fd12:1::/64".into(), None, None)]);
}

/// RFC 4862 section 5.5.3 (b), RFC 4861 section 4.6.2: the link-local prefix is to be ignored; others are no
/// network's.
#[test]
fn rfc4862_5_5_3_b_prefixes_that_no_network_has_are_passed_over() {
    let mut bench = Bench::new();
    for (text, length) in [
        ("fe80::", 64),
        ("febf:1::", 64),
        ("ff02::", 64),
        ("::", 64),
        ("::1", 128),
        ("fd12::", 0),
        ("fd12::", 129),
        ("fd12::", 255),
    ] {
        let ra = Ra::from(1).prefix(0xc0, text.parse().unwrap(), length, 7200, 3600);
        bench.hear(&ra);
        assert_eq!(bench.stable(), [], "{text}/{length}");
        assert_eq!(bench.specifics(), [], "{text}/{length}");
    }
    assert_eq!(bench.counter("option_unusable"), 8);
}

/// RFC 4862 section 5.5.3 (c).
#[test]
fn rfc4862_5_5_3_c_preferred_for_longer_than_valid_makes_no_address() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 3600, 3601));
    assert_eq!(bench.stable(), []);
    assert_eq!(bench.specifics().len(), 1, "it is on the link all the same");
    assert_eq!(bench.counter("prefix_bad_lifetimes"), 1);
}

/// RFC 4862 section 5.5.3 (d): lifetime 0 begins nothing.
#[test]
fn rfc4862_5_5_3_d_a_valid_lifetime_of_nothing_begins_nothing() {
    let mut bench = Bench::new();
    let actions = bench.hear(&Ra::from(1).usual(1, 0, 0));
    assert!(!actions.contains(&Action::Addresses), "{actions:?}");
    assert_eq!((bench.stable().len(), bench.specifics().len()), (0, 0));
}

/// RFC 4862 section 5.5.3 (d): prefix and identifier must make 128 bits.
#[test]
fn rfc4862_5_5_3_d_only_prefixes_of_64_bits_make_addresses() {
    let mut bench = Bench::new();
    for length in [1, 48, 63, 65, 128] {
        bench.hear(&Ra::from(1).prefix(0xc0, prefix(1), length, 7200, 3600));
        assert_eq!(bench.stable(), [], "/{length}");
    }
    assert_eq!(bench.counter("prefix_not_64"), 5);
    assert_eq!(bench.specifics().len(), 5, "each is on the link");
}

/// Host bits in a prefix: RFC 4861 section 4.6.2 has the receiver ignore them.
#[test]
fn rfc4861_4_6_2_bits_behind_the_prefix_are_ignored() {
    let mut bench = Bench::new();
    let untidy = "fd12:1::dead:beef".parse().unwrap();
    bench.hear(&Ra::from(1).prefix(0xc0, untidy, 64, 7200, 3600));
    bench.hear(&Ra::from(1).usual(1, 7200, 3600));
    assert_eq!(bench.stable(), [(prefix(1), Some(3600), Some(7200))]);
    assert_eq!(bench.specifics().len(), 1);
}

/// RFC 4862 section 5.5.3 (e), its three cases.
#[test]
fn rfc4862_5_5_3_e_nobody_ends_an_address_within_two_hours() {
    // What remains, what is offered, what becomes of it.
    let cases: [(u32, u32, i64); 9] = [
        // 1: more than two hours, or more than remains.
        (86_400, 7201, 7201),
        (7000, 7100, 7100),
        (86_400, 90_000, 90_000),
        (100, 200, 200),
        // 2: two hours remain, or less: ignored.
        (7200, 100, 7200),
        (3600, 0, 3600),
        // 3: else, two hours.
        (86_400, 7200, TWO_HOURS),
        (86_400, 60, TWO_HOURS),
        (86_400, 0, TWO_HOURS),
    ];
    for (remains, offered, becomes) in cases {
        let mut bench = Bench::new();
        bench.hear(&Ra::from(1).usual(1, remains, 0));
        bench.hear(&Ra::from(2).usual(1, offered, 0));
        assert_eq!(
            bench.stable(),
            [(prefix(1), Some(0), Some(becomes))],
            "{remains} s remain, {offered} s offered"
        );
    }
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, u32::MAX, u32::MAX));
    bench.hear(&Ra::from(2).usual(1, 1, 1));
    assert_eq!(bench.stable(), [(prefix(1), Some(1), Some(TWO_HOURS))]);
    assert_eq!(bench.counter("prefix_two_hours"), 1);
}

/// RFC 4861 section 6.3.4: there is no such rule for what is on the link.
#[test]
fn rfc4861_6_3_4_an_on_link_prefix_ends_as_soon_as_it_is_said() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 86_400, 86_400));
    let actions = bench.hear(&Ra::from(1).usual(1, 0, 0));
    assert!(actions.contains(&Action::Routes), "{actions:?}");
    assert_eq!(bench.specifics(), []);
    assert_eq!(bench.stable(), [(prefix(1), Some(0), Some(TWO_HOURS))]);
}

/// Without L, an option says nothing of what is on the link, not even that something no longer is: RFC 4861
/// section 6.3.4.
#[test]
fn rfc4861_6_3_4_a_prefix_without_l_does_not_take_an_on_link_prefix_away() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 7200, 3600));
    bench.hear(&Ra::from(1).prefix(0x40, prefix(1), 64, 0, 0));
    assert_eq!(
        bench.specifics(),
        [("fd12:1::/64".into(), None, Some(7200))]
    );
}

/// RFC 4862 section 5.5.4: preferred, then deprecated, then gone; each is told when it happens.
#[test]
fn rfc4862_5_5_4_an_address_is_preferred_then_deprecated_then_gone() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 600, 300));
    let told = |done: Vec<(Instant, Action)>| {
        let told = done
            .into_iter()
            .filter(|(_, action)| *action == Action::Addresses);
        told.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let begun = bench.now;
    assert_eq!(told(bench.run(seconds(299))), []);
    assert_eq!(told(bench.run(seconds(2))), [begun + seconds(300)]);
    assert_eq!(bench.stable(), [(prefix(1), Some(-1), Some(299))]);
    assert_eq!(told(bench.run(seconds(300))), [begun + seconds(600)]);
    assert_eq!(bench.stable(), []);
    assert_eq!(bench.specifics(), []);
    assert_eq!(bench.counter("address_expired"), 1);
}

/// Renumbering: the old prefix is deprecated while the new one is announced, and dies by itself.
#[test]
fn rfc4862_5_5_4_a_network_is_renumbered() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 86_400, 14_400));
    bench.run(HOUR);
    // Preferred 0: nobody is to begin anything there.
    let actions = bench.hear(&Ra::from(1).usual(1, 7200, 0).usual(2, 86_400, 14_400));
    assert!(actions.contains(&Action::Addresses), "{actions:?}");
    assert_eq!(
        bench.stable(),
        [
            (prefix(1), Some(0), Some(7200)),
            (prefix(2), Some(14_400), Some(86_400))
        ]
    );
    bench.run(HOUR * 2);
    assert_eq!(
        bench.stable(),
        [(prefix(2), Some(7200), Some(86_400 - 7200))]
    );
    // It comes back as if nothing had been.
    bench.hear(&Ra::from(1).usual(1, 3600, 1800));
    assert_eq!(bench.stable().len(), 2);
}

/// A prefix that was deprecated may become preferred again.
#[test]
fn rfc4862_5_5_3_e_a_deprecated_prefix_may_be_preferred_again() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, 86_400, 60));
    bench.run(seconds(61));
    let actions = bench.hear(&Ra::from(1).usual(1, 86_400, 60));
    assert!(actions.contains(&Action::Addresses), "{actions:?}");
    assert_eq!(bench.stable(), [(prefix(1), Some(60), Some(86_400))]);
}
