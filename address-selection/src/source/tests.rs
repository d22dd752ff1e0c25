//! RFC 6724 section 5, a test for each rule, and the RFC's own examples.

use proptest::prelude::*;

use super::*;

const ETH0: u32 = 1;
const ETH1: u32 = 2;

/// `address/length`, preferred, on the first adapter.
fn own(text: &str) -> Candidate {
    let (address, length) = text.split_once('/').expect("address/length");
    Candidate {
        address: address.parse().unwrap(),
        prefix_length: length.parse().unwrap(),
        state: State::Preferred,
        temporary: false,
        link: ETH0,
        router: None,
    }
}

fn deprecated(text: &str) -> Candidate {
    Candidate {
        state: State::Deprecated,
        ..own(text)
    }
}

fn on(link: u32, text: &str) -> Candidate {
    Candidate { link, ..own(text) }
}

/// What is chosen for `destination`, whatever the order of the candidates.
#[track_caller]
fn chooses(destination: &str, candidates: &[Candidate], expected: &str) {
    let destination = destination.parse().unwrap();
    for turn in 0..candidates.len() {
        let mut candidates = candidates.to_vec();
        candidates.rotate_left(turn);
        let chosen = source(destination, Some(ETH0), None, candidates).expect("a source");
        assert_eq!(chosen.address.to_string(), expected, "to {destination}");
    }
}

#[test]
fn rfc6724_5_rule_1_the_same_address() {
    chooses(
        "2001:db8::7",
        &[own("2001:db8::9/64"), deprecated("2001:db8::7/64")],
        "2001:db8::7",
    );
}

#[test]
fn rfc6724_5_rule_2_the_smallest_scope_that_reaches() {
    let both = [own("fe80::1/64"), own("2001:db8::1/64")];
    chooses("2001:db8:9::1", &both, "2001:db8::1");
    chooses("fe80::9", &both, "fe80::1");
    chooses("ff02::1", &both, "fe80::1");
    chooses("ff05::1", &both, "2001:db8::1");
    chooses(
        "2001:db8:9::1",
        &[own("fe80::1/64"), own("fec0::1/64")],
        "fec0::1",
    );
    chooses(
        "fe80::9",
        &[own("fec0::1/64"), own("2001:db8::1/64")],
        "fec0::1",
    );
}

#[test]
fn rfc6724_5_rule_3_not_a_deprecated_one() {
    let both = [deprecated("2001:db8:1::1/64"), own("2001:db8:2::1/64")];
    chooses("2001:db8:1::9", &both, "2001:db8:2::1");
    // Rule 2 comes first: scope matters more.
    chooses(
        "2001:db8:1::9",
        &[deprecated("2001:db8:1::1/64"), own("fe80::1/64")],
        "2001:db8:1::1",
    );
}

#[test]
fn rfc6724_5_rule_5_of_the_outgoing_interface() {
    chooses(
        "2001:db8:1::9",
        &[on(ETH1, "2001:db8:1::1/64"), on(ETH0, "2001:db8:2::1/64")],
        "2001:db8:2::1",
    );
    chooses(
        "10.1.0.9",
        &[on(ETH1, "10.1.0.1/24"), on(ETH0, "10.2.0.1/24")],
        "10.2.0.1",
    );
}

#[test]
fn rfc6724_5_rule_5_5_in_the_prefix_of_the_router_that_is_used() {
    let (first, second): (IpAddr, IpAddr) =
        ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
    let candidates = [
        Candidate {
            router: Some(first),
            ..own("2001:db8:1::1/64")
        },
        Candidate {
            router: Some(second),
            ..own("2001:db8:2::1/64")
        },
    ];
    let destination = "2001:db8:1::9".parse().unwrap();
    for (router, expected) in [(first, candidates[0]), (second, candidates[1])] {
        assert_eq!(
            source(destination, Some(ETH0), Some(router), candidates),
            Some(expected)
        );
    }
}

#[test]
fn rfc6724_5_rule_6_of_the_matching_label() {
    let both = [own("fd12::1/64"), own("2001:db8::1/64")];
    chooses("fd99::1", &both, "fd12::1");
    chooses("2600::1", &both, "2001:db8::1");
    chooses(
        "2002:c633:6401::1",
        &[own("2002:c633:6401:1::1/64"), own("2001:db8::1/64")],
        "2002:c633:6401:1::1",
    );
}

#[test]
fn rfc6724_5_rule_7_a_temporary_one() {
    let temporary = Candidate {
        temporary: true,
        ..own("2001:db8:1::d00d/64")
    };
    chooses(
        "2600::1",
        &[own("2001:db8:1::1/64"), temporary],
        "2001:db8:1::d00d",
    );
    // Rule 8 is not asked.
    chooses(
        "2001:db8:2::1",
        &[own("2001:db8:2::9/64"), temporary],
        "2001:db8:1::d00d",
    );
}

#[test]
fn rfc6724_5_rule_8_of_the_longest_matching_prefix() {
    chooses(
        "2001:db8:1::9",
        &[own("2001:db8:1::1/64"), own("2001:db8:3::1/64")],
        "2001:db8:1::1",
    );
    chooses(
        "10.0.2.2",
        &[own("10.9.0.1/16"), own("10.0.2.15/24")],
        "10.0.2.15",
    );
    // Of equals the first: no rule tells these apart.
    let equal = [own("2001:db8:1::1/64"), own("2001:db8:1::2/64")];
    let chosen = source("2001:db8:1::3".parse().unwrap(), Some(ETH0), None, equal);
    assert_eq!(chosen, Some(equal[0]));
}

#[test]
fn rfc6724_4_a_link_has_only_its_own_addresses_for_what_is_on_it() {
    let candidates = [on(ETH1, "fe80::2/64"), on(ETH0, "2001:db8::1/64")];
    chooses("fe80::9", &candidates, "2001:db8::1");
    chooses("ff02::1", &candidates, "2001:db8::1");
    let elsewhere = source("fe80::9".parse().unwrap(), Some(7), None, candidates);
    assert_eq!(elsewhere, None);
}

#[test]
fn rfc4862_5_4_a_tentative_address_is_not_spoken_from() {
    let tentative = Candidate {
        state: State::Tentative,
        ..own("2001:db8::1/64")
    };
    chooses("2001:db8::9", &[tentative, own("fe80::1/64")], "fe80::1");
    assert_eq!(
        source("2001:db8::9".parse().unwrap(), None, None, [tentative]),
        None
    );
}

#[test]
fn the_families_do_not_mix() {
    chooses(
        "10.0.0.9",
        &[own("fd12::1/64"), own("10.0.0.1/8")],
        "10.0.0.1",
    );
    assert_eq!(
        source(
            "10.0.0.9".parse().unwrap(),
            Some(ETH0),
            None,
            [own("fd12::1/64")]
        ),
        None
    );
}

#[test]
fn rfc6724_10_1_the_default_examples_of_source_selection() {
    chooses(
        "2001:db8:1::1",
        &[own("2001:db8:3::1/64"), own("fe80::1/64")],
        "2001:db8:3::1",
    );
    chooses(
        "ff05::1",
        &[own("2001:db8:3::1/64"), own("fe80::1/64")],
        "2001:db8:3::1",
    );
    chooses(
        "2001:db8:1::1",
        &[deprecated("2001:db8:1::1/64"), own("2001:db8:2::1/64")],
        "2001:db8:1::1",
    );
    chooses(
        "fe80::1",
        &[deprecated("fe80::2/64"), own("2001:db8:1::1/64")],
        "fe80::2",
    );
    chooses(
        "2001:db8:1::1",
        &[own("2001:db8:1::2/64"), own("2001:db8:3::2/64")],
        "2001:db8:1::2",
    );
    let temporary = Candidate {
        temporary: true,
        ..own("2001:db8:1::d5e3:7953:13eb:22e8/64")
    };
    chooses(
        "2001:db8:1::1",
        &[own("2001:db8:1::2/64"), temporary],
        "2001:db8:1:0:d5e3:7953:13eb:22e8",
    );
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let groups = [0x2001_u16, 0x2002, 0xfe80, 0xfec0, 0xfd12, 0];
    let address = (proptest::sample::select(groups.to_vec()), any::<[u8; 2]>()).prop_map(
        |(first, [a, b])| IpAddr::from([first, u16::from(a & 1), 0, 0, 0, 0, 0, u16::from(b)]),
    );
    let state =
        proptest::sample::select(vec![State::Preferred, State::Deprecated, State::Tentative]);
    (address, 0_u8..=128, state, any::<bool>(), 0_u32..3).prop_map(
        |(address, prefix_length, state, temporary, link)| Candidate {
            address,
            prefix_length,
            state,
            temporary,
            link,
            router: None,
        },
    )
}

proptest! {
    #[test]
    fn the_choice_is_the_best_against_each_alone(candidates in proptest::collection::vec(any_candidate(), 1..12), destination in any_candidate()) {
        let destination = destination.address;
        let chosen = source(destination, Some(1), None, candidates.iter().copied());
        prop_assert!(chosen.is_none_or(|chosen| candidates.contains(&chosen) && chosen.state != State::Tentative));
        for other in &candidates {
            // In a duel the champion wins or no rule tells the two apart.
            let Some(chosen) = chosen else {
                prop_assert_eq!(source(destination, Some(1), None, [*other]), None);
                continue;
            };
            let duel = source(destination, Some(1), None, [chosen, *other]);
            prop_assert_eq!(duel, Some(chosen), "against {:?}", other);
        }
    }
}
