//! RFC 6724 section 6, a test for each rule, and the RFC's own examples.

use proptest::prelude::*;

use super::*;

fn reached(destination: &str, from: &str) -> Destination {
    Destination::new(destination.parse().unwrap(), Some(from.parse().unwrap()))
}

fn unreachable(destination: &str) -> Destination {
    Destination::new(destination.parse().unwrap(), None)
}

/// The order is the one given, whatever order it starts from.
#[track_caller]
fn in_this_order(expected: &[Destination]) {
    for turn in 0..expected.len() {
        let mut destinations = expected.to_vec();
        destinations.rotate_left(turn);
        order(&mut destinations);
        assert_eq!(destinations, expected);
    }
}

#[test]
fn rfc6724_6_rule_1_unusable_destinations_come_last() {
    in_this_order(&[reached("10.0.0.1", "10.0.0.2"), unreachable("2001:db8::1")]);
    in_this_order(&[
        reached("fd42::1", "2001:db8::2"),
        unreachable("2001:db8::1"),
    ]);
}

#[test]
fn rfc6724_6_rule_2_matching_scope() {
    in_this_order(&[
        reached("198.51.100.121", "198.51.100.117"),
        reached("2001:db8:1::1", "fe80::1"),
    ]);
    in_this_order(&[
        reached("2001:db8:1::1", "2001:db8:1::2"),
        reached("198.51.100.121", "169.254.13.78"),
    ]);
}

#[test]
fn rfc6724_6_rule_3_not_from_a_deprecated_source() {
    let mut old = reached("2001:db8:1::1", "2001:db8:1::2");
    if let Some(source) = &mut old.source {
        source.deprecated = true;
    }
    in_this_order(&[reached("10.0.0.1", "10.0.0.2"), old]);
}

#[test]
fn rfc6724_6_rule_5_matching_label() {
    in_this_order(&[
        reached("2002:c633:6401::1", "2002:c633:6401::2"),
        reached("2001:db8:1::1", "2002:c633:6401::2"),
    ]);
}

#[test]
fn rfc6724_6_rule_6_higher_precedence() {
    in_this_order(&[
        reached("2001:db8:1::1", "2001:db8:1::2"),
        reached("10.1.2.3", "10.1.2.4"),
    ]);
    // IPv4 before unique local addresses, whose precedence is 3.
    in_this_order(&[
        reached("10.1.2.3", "10.1.2.4"),
        reached("fd42::1", "fd42::2"),
    ]);
    in_this_order(&[
        reached("::1", "::1"),
        reached("2001:db8:1::1", "2001:db8:1::2"),
    ]);
}

#[test]
fn rfc6724_6_rule_8_smaller_scope() {
    in_this_order(&[
        reached("fe80::1", "fe80::2"),
        reached("2001:db8:1::1", "2001:db8:1::2"),
    ]);
}

#[test]
fn rfc6724_6_rule_9_longest_matching_prefix() {
    in_this_order(&[
        reached("2001:db8:1::1", "2001:db8:1::2"),
        reached("2001:db8:3ffe::1", "2001:db8:3f44::2"),
    ]);
}

#[test]
fn rfc6724_6_rule_10_else_the_order_stays() {
    let given = [
        reached("2600::1", "2001:db8::1"),
        reached("2600::2", "2001:db8::1"),
        reached("2600::3", "2001:db8::1"),
    ];
    let mut sorted = given;
    order(&mut sorted);
    assert_eq!(
        sorted, given,
        "a name server's own order, which spreads load, is left alone"
    );
}

#[test]
fn rfc6724_10_2_the_default_examples_of_destination_selection() {
    in_this_order(&[
        reached("2001:db8:1::1", "2001:db8:1::2"),
        reached("198.51.100.121", "169.254.13.78"),
    ]);
    in_this_order(&[
        reached("198.51.100.121", "198.51.100.117"),
        reached("2001:db8:1::1", "fe80::1"),
    ]);
    in_this_order(&[
        reached("2001:db8:1::1", "2001:db8:1::2"),
        reached("10.1.2.3", "10.1.2.4"),
    ]);
    in_this_order(&[
        reached("fe80::1", "fe80::2"),
        reached("2001:db8:1::1", "2001:db8:1::2"),
    ]);
}

proptest! {
    #[test]
    fn an_order_is_an_order(addresses in proptest::collection::vec((any::<bool>(), 0_u8..4, any::<u8>(), proptest::option::of(any::<u8>())), 0..10)) {
        let of = |kind, byte: u8| -> IpAddr {
            match kind {
                0 => [10, 0, byte, 1].into(),
                1 => [0xfd12, 0, u16::from(byte), 0, 0, 0, 0, 1].into(),
                2 => [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(byte)].into(),
                _ => [0x2001, 0xdb8, u16::from(byte), 0, 0, 0, 0, 1].into(),
            }
        };
        let mut once: Vec<_> = addresses
            .iter()
            .map(|(_, kind, byte, from)| Destination::new(of(*kind, *byte), from.map(|from| of(*kind, from))))
            .collect();
        let given = once.clone();
        order(&mut once);
        let mut twice = once.clone();
        order(&mut twice);
        prop_assert_eq!(&once, &twice);
        let mut counts: Vec<_> = once.iter().map(|destination| given.iter().filter(|other| *other == destination).count()).collect();
        counts.dedup();
        prop_assert!(counts.iter().all(|count| *count > 0) && once.len() == given.len());
        let first_unusable = once.iter().position(|destination| destination.source.is_none()).unwrap_or(once.len());
        prop_assert!(once.iter().skip(first_unusable).all(|destination| destination.source.is_none()));
    }
}
