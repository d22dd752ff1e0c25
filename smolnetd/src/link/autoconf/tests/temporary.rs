//! Temporary addresses: RFC 8981.

use super::*;
use crate::link::autoconf::temporary::MAX_TEMPORARY;

const DAY: Duration = Duration::from_secs(86_400);

/// A temporary address: which, and the seconds for which it is preferred and valid.
type Seen = (Ipv6Addr, i64, i64);

fn temporary(bench: &Bench) -> Vec<Seen> {
    let addresses = bench.host.addresses();
    addresses
        .filter_map(|wanted| match wanted.identity {
            Identity::Temporary { address } => Some((
                address.address(),
                bench.left(wanted.preferred_until).unwrap(),
                bench.left(wanted.valid_until).unwrap(),
            )),
            Identity::Stable { .. } => None,
        })
        .collect()
}

/// A host with a prefix for ever, and temporary addresses.
fn private() -> Bench {
    let mut bench = Bench::new();
    bench.host.use_temporary(bench.now, true);
    bench.hear(&Ra::from(1).usual(1, u32::MAX, u32::MAX));
    bench
}

fn in_prefix(address: Ipv6Addr, number: u16) -> bool {
    address.to_bits() >> 64 == prefix(number).to_bits() >> 64
}

#[test]
fn rfc8981_3_1_temporary_addresses_are_off_unless_wanted() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).usual(1, u32::MAX, u32::MAX));
    assert_eq!(temporary(&bench), []);
    bench.host.use_temporary(bench.now, true);
    assert!(bench.actions().contains(&Action::Addresses));
    assert_eq!(temporary(&bench).len(), 1);
    bench.host.use_temporary(bench.now, false);
    assert!(bench.actions().contains(&Action::Addresses));
    assert_eq!(temporary(&bench), []);
}

/// RFC 8981 sections 3.4 and 3.8: preferred for a day less up to 0.4 days, valid for two.
#[test]
fn rfc8981_3_4_each_prefix_gets_a_random_address_for_a_day() {
    let mut bench = private();
    bench.hear(&Ra::from(1).usual(2, u32::MAX, u32::MAX));
    let addresses = temporary(&bench);
    assert_eq!(addresses.len(), 2, "{addresses:#?}");
    assert!(in_prefix(addresses[0].0, 1) && in_prefix(addresses[1].0, 2));
    assert_ne!(
        addresses[0].0.to_bits() as u64,
        addresses[1].0.to_bits() as u64,
        "one cannot be told from the other"
    );
    for (_, preferred, valid) in addresses {
        assert!((51_840..=86_400).contains(&preferred), "{preferred}");
        assert_eq!(valid, 172_800);
    }
    assert_eq!(bench.stable().len(), 2, "the stable ones stay");
}

/// RFC 8981 section 3.4, steps 2 to 4: no longer than the prefix.
#[test]
fn rfc8981_3_4_a_temporary_address_ends_with_its_prefix() {
    let mut bench = Bench::new();
    bench.host.use_temporary(bench.now, true);
    bench.hear(&Ra::from(1).usual(1, 7200, 3600));
    let addresses = temporary(&bench);
    assert_eq!((addresses[0].1, addresses[0].2), (3600, 7200));
    // RFC 8981 section 3.4.1: a prefix that is renewed renews it, up to its own end.
    bench.run(HOUR / 2);
    bench.hear(&Ra::from(1).usual(1, u32::MAX, u32::MAX));
    let renewed = temporary(&bench);
    assert_eq!(renewed[0].0, addresses[0].0);
    assert!(renewed[0].1 > 40_000, "{renewed:?}");
    assert_eq!(renewed[0].2, 172_800 - 1800);
}

/// RFC 8981 section 3.5: the next one REGEN_ADVANCE before the former is deprecated; the former stays for connections.
#[test]
fn rfc8981_3_5_a_new_address_is_there_before_the_old_one_is_deprecated() {
    let mut bench = private();
    let [(first, preferred, _)] = temporary(&bench)[..] else {
        panic!("{:#?}", temporary(&bench));
    };
    let preferred = u64::try_from(preferred).unwrap();
    bench.run(seconds(preferred - 6));
    assert_eq!(temporary(&bench).len(), 1);
    bench.run(seconds(3));
    let addresses = temporary(&bench);
    assert_eq!(addresses.len(), 2, "{addresses:#?}");
    assert_eq!(addresses[0].0, first);
    assert_ne!(addresses[1].0, first);
    bench.run(DAY * 30);
    let addresses = temporary(&bench);
    assert!((2..=4).contains(&addresses.len()), "{addresses:#?}");
    let usable = addresses.iter().filter(|(_, preferred, _)| *preferred > 0);
    assert!(usable.count() >= 1, "{addresses:#?}");
    let begun = bench.counter("temporary_begun");
    assert!((30..=51).contains(&begun), "{begun} in a month");
}

/// RFC 8981 section 3.4, step 5.
#[test]
fn rfc8981_3_4_no_address_is_made_that_would_be_deprecated_at_once() {
    let mut bench = Bench::new();
    bench.host.use_temporary(bench.now, true);
    bench.hear(&Ra::from(1).usual(1, 7200, 5));
    bench.hear(&Ra::from(1).usual(2, 7200, 0));
    bench.run(HOUR);
    assert_eq!(temporary(&bench), []);
}

/// RFC 8981 section 3.4, step 7: after three addresses that others had, no more.
#[test]
fn rfc8981_3_4_an_address_that_another_has_is_replaced_three_times() {
    let mut bench = private();
    let mut seen = Vec::new();
    while let Some((address, ..)) = temporary(&bench).first().copied() {
        assert!(!seen.contains(&address));
        seen.push(address);
        bench
            .host
            .temporary_failed(bench.now, Ipv6Cidr::new(address, 64));
        bench.actions();
        assert!(seen.len() < 10, "{seen:?}");
    }
    assert_eq!(seen.len(), 3);
    bench.run(DAY * 3);
    assert_eq!(temporary(&bench), []);
}

/// However many prefixes come and go, there is a bound.
#[test]
fn temporary_addresses_are_bounded() {
    let mut bench = Bench::new();
    bench.host.use_temporary(bench.now, true);
    for _ in 0..20 {
        for number in 0..16 {
            bench.hear(&Ra::from(1).usual(number, u32::MAX, u32::MAX));
        }
        bench.run(HOUR * 6);
        assert!(temporary(&bench).len() <= MAX_TEMPORARY);
    }
    assert_eq!(temporary(&bench).len(), MAX_TEMPORARY);
}
