//! Who sends fragments that never become whole holds what the bounds allow, and nobody else suffers.

use core::net::Ipv6Addr;

use super::*;

/// A fragment of `number`'s own datagram, `length` bytes long, that no others will ever follow.
fn flood(
    reassembly: &mut Reassembly,
    source: u128,
    number: u32,
    offset: usize,
    data: &[u8],
) -> Outcome {
    let fragment = Fragment {
        link: ETH0,
        source: Ipv6Addr::from(source).into(),
        destination: "2001:db8::2".parse().unwrap(),
        protocol: 17,
        identification: number,
        offset,
        more: true,
        packet: data,
        unfragmentable: 40,
        next_header_at: 6,
        data,
    };
    reassembly.take(start(), &fragment)
}

/// An honest datagram whose fragments come with `between` called before each of them.
fn honest(reassembly: &mut Reassembly, mut between: impl FnMut(&mut Reassembly)) {
    for v4 in [true, false] {
        let whole = packet(v4, 6000);
        let mut got = Vec::new();
        for fragment in &fragments(&whole, 1500) {
            between(reassembly);
            got.extend(take_all(reassembly, [fragment]));
        }
        assert!(got == [whole], "an honest datagram was lost, IPv4: {v4}");
    }
}

#[test]
fn a_hundred_thousand_fragments_of_one_sender_cost_others_nothing() {
    let data = pattern(1400);
    let mut reassembly = Reassembly::default();
    // It has all the addresses of its network, and a thousand fragments between any two of an honest sender.
    let mut number = 0_u32;
    let mut some = |reassembly: &mut Reassembly| {
        for _ in 0..10_000 {
            number += 1;
            let source = 0x2001_0bad << 96 | u128::from(number);
            flood(
                reassembly,
                source,
                number,
                8 * (number as usize % 8000),
                &data,
            );
        }
        check_account(reassembly);
    };
    honest(&mut reassembly, &mut some);
    assert!(number >= 100_000, "{number}");
    assert!(reassembly.counters.evicted > 90_000);
    let most = MAX_BYTES_PER_OWNER;
    assert!(
        reassembly.bytes() <= most,
        "one sender holds {} bytes",
        reassembly.bytes()
    );
}

#[test]
fn a_hundred_thousand_fragments_of_as_many_senders_stay_within_the_bounds() {
    let data = pattern(1400);
    let mut reassembly = Reassembly::default();
    let mut number = 0_u32;
    let mut some = |reassembly: &mut Reassembly, count: u32| {
        for _ in 0..count {
            number += 1;
            // A network each.
            flood(
                reassembly,
                0x2001 << 112 | u128::from(number) << 64,
                number,
                8,
                &data,
            );
        }
    };
    some(&mut reassembly, 100_000);
    check_account(&reassembly);
    assert_eq!(reassembly.len(), MAX_DATAGRAMS);
    // The oldest goes: whoever sends his fragments one behind the other is served.
    honest(&mut reassembly, |reassembly| some(reassembly, 200));
    check_account(&reassembly);
}

#[test]
fn large_datagrams_that_never_become_whole_stay_within_the_bounds() {
    let data = pattern(8000);
    let mut reassembly = Reassembly::default();
    for number in 0..2000_u32 {
        // Eight senders, each with datagrams of nearly 64 KiB.
        let source = 0x2001 << 112 | u128::from(number % 8) << 64;
        for part in 0..8 {
            flood(&mut reassembly, source, number, 8 + part * 8000, &data);
        }
        if number % 100 == 0 {
            check_account(&reassembly);
        }
    }
    assert!(
        reassembly.bytes() > MAX_BYTES / 2,
        "the bound was reached: {}",
        reassembly.bytes()
    );
    honest(&mut reassembly, |_| ());
    check_account(&reassembly);
}

#[test]
fn a_datagram_of_too_many_fragments_is_given_up_and_forgotten_in_time() {
    let data = pattern(8);
    let mut reassembly = Reassembly::default();
    for place in 1..=MAX_FRAGMENTS {
        assert_eq!(
            flood(&mut reassembly, 1, 1, 16 * place, &data),
            Outcome::Waiting
        );
    }
    check_account(&reassembly);
    assert_eq!(flood(&mut reassembly, 1, 1, 8, &data), Outcome::Dropped);
    assert_eq!(reassembly.counters.too_many_fragments, 1);
    assert_eq!(
        reassembly.bytes(),
        DATAGRAM_OVERHEAD,
        "what is left is that it was"
    );
    assert_eq!(flood(&mut reassembly, 1, 1, 24, &data), Outcome::Dropped);
    reassembly.expire(start() + IPV6_TIMEOUT);
    assert!(reassembly.is_empty());
}
