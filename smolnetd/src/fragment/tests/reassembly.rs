//! Fragments that come in, rule by rule.

use super::*;

const BOTH: [bool; 2] = [true, false];

#[test]
fn rfc815_fragments_may_come_in_any_order() {
    for v4 in BOTH {
        let whole = packet(v4, 4000);
        let fragments = fragments(&whole, 1500);
        assert_eq!(fragments.len(), 3);
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut reassembly = Reassembly::default();
            let ordered = order.map(|place| &fragments[place]);
            assert_eq!(
                take_all(&mut reassembly, ordered),
                core::slice::from_ref(&whole),
                "{order:?}"
            );
            assert_eq!(
                (
                    reassembly.len(),
                    reassembly.bytes(),
                    reassembly.next_deadline()
                ),
                (0, 0, None)
            );
            assert_eq!(reassembly.counters.reassembled, 1);
        }
    }
}

#[test]
fn rfc8200_4_5_an_exact_duplicate_does_no_harm() {
    for v4 in BOTH {
        let whole = packet(v4, 4000);
        let fragments = fragments(&whole, 1500);
        let mut reassembly = Reassembly::default();
        let twice = [0, 0, 2, 2, 0, 1].map(|place| &fragments[place]);
        assert_eq!(take_all(&mut reassembly, twice), [whole]);
        assert_eq!(reassembly.counters.duplicates, 3);
    }
}

#[test]
fn rfc5722_3_an_overlap_is_the_end_of_the_whole_datagram_and_of_what_follows() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        // The same place with other bytes, and eight bytes that reach into the next.
        let mut forged = fragments[0].clone();
        *forged.last_mut().unwrap() ^= 1;
        let mut straddling = read(&fragments[1]);
        straddling.offset -= 8;
        for overlap in [read(&forged), straddling] {
            let mut reassembly = Reassembly::default();
            assert_eq!(
                reassembly.take(start(), &read(&fragments[0])),
                Outcome::Waiting
            );
            assert_eq!(reassembly.take(start(), &overlap), Outcome::Dropped);
            assert_eq!(reassembly.counters.overlap, 1);
            assert_eq!(take_all(&mut reassembly, &fragments), Vec::<Vec<u8>>::new());
            assert_eq!(reassembly.counters.of_given_up, 3);
            check_account(&reassembly);
            // RFC 8200 4.5: no ICMP about it. Afterwards the identification may come again.
            let later = start() + IPV6_TIMEOUT;
            assert_eq!(reassembly.expire(later), []);
            assert_eq!(reassembly.counters.timed_out, 0);
            assert_eq!(take_all(&mut reassembly, &fragments).len(), 1);
        }
    }
}

#[test]
fn rfc8200_4_5_all_must_agree_about_the_end() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        let last = read(&fragments[2]);
        let shorter = Fragment {
            data: &last.data[..8],
            ..last
        };
        let beyond = Fragment {
            offset: last.offset + 4096,
            more: true,
            data: &last.data[..8],
            ..last
        };
        let goes_on = Fragment {
            more: true,
            data: &last.data[..last.data.len() & !7],
            ..last
        };
        let ends_before = Fragment {
            more: false,
            ..read(&fragments[0])
        };
        let ends_before = Fragment {
            offset: 8,
            data: &ends_before.data[8..16],
            ..ends_before
        };
        for (first, second) in [
            (last, shorter),
            (last, beyond),
            (last, goes_on),
            (read(&fragments[1]), ends_before),
        ] {
            let mut reassembly = Reassembly::default();
            assert_eq!(reassembly.take(start(), &first), Outcome::Waiting);
            assert_eq!(
                reassembly.take(start(), &second),
                Outcome::Dropped,
                "{second:?}"
            );
            assert_eq!(reassembly.counters.inconsistent_end, 1);
            assert!(take_all(&mut reassembly, &fragments).is_empty());
        }
    }
}

#[test]
fn a_fragment_that_was_in_the_middle_cannot_become_the_last() {
    let fragments = fragments(&packet(false, 4000), 1500);
    let mut reassembly = Reassembly::default();
    let middle = read(&fragments[1]);
    reassembly.take(start(), &middle);
    assert_eq!(
        reassembly.take(
            start(),
            &Fragment {
                more: false,
                ..middle
            }
        ),
        Outcome::Dropped
    );
    assert_eq!(reassembly.counters.inconsistent_end, 1);
}

#[test]
fn rfc8200_4_5_after_60_seconds_who_sent_the_first_fragment_is_told() {
    let fragments = fragments(&packet(false, 4000), 1500);
    let mut reassembly = Reassembly::default();
    reassembly.take(start(), &read(&fragments[0]));
    // Later fragments do not prolong it: the time begins with the first to come.
    reassembly.take(start() + Duration::from_secs(59), &read(&fragments[1]));
    assert_eq!(reassembly.next_deadline(), Some(start() + IPV6_TIMEOUT));
    assert_eq!(
        reassembly.expire(start() + Duration::from_millis(59_999)),
        []
    );
    let expired = reassembly.expire(start() + IPV6_TIMEOUT);
    assert_eq!(
        expired,
        [Expired {
            link: ETH0,
            packet: fragments[0].clone()
        }],
        "as it came, fragment header and all"
    );
    assert_eq!(
        (
            reassembly.len(),
            reassembly.bytes(),
            reassembly.counters.timed_out
        ),
        (0, 0, 1)
    );
}

#[test]
fn rfc1122_3_3_2_without_the_first_fragment_nobody_is_told() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        let mut reassembly = Reassembly::default();
        reassembly.take(start(), &read(&fragments[1]));
        reassembly.take(start(), &read(&fragments[2]));
        assert_eq!(reassembly.expire(start() + IPV6_TIMEOUT), []);
        assert_eq!((reassembly.len(), reassembly.counters.timed_out), (0, 1));
    }
}

#[test]
fn ipv4_waits_for_30_seconds() {
    let fragments = fragments(&packet(true, 4000), 1500);
    let mut reassembly = Reassembly::default();
    reassembly.take(start(), &read(&fragments[0]));
    assert_eq!(reassembly.next_deadline(), Some(start() + IPV4_TIMEOUT));
    let expired = reassembly.expire(start() + IPV4_TIMEOUT);
    assert_eq!(
        expired,
        [Expired {
            link: ETH0,
            packet: fragments[0].clone()
        }]
    );
}

#[test]
fn rfc8200_4_5_a_fragment_in_the_middle_is_a_multiple_of_eight_bytes_long() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        let mut odd = read(&fragments[0]);
        odd.data = &odd.data[..odd.data.len() - 1];
        let mut reassembly = Reassembly::default();
        let expected = if v4 {
            Outcome::Dropped
        } else {
            Outcome::Problem(parameter(0, 4))
        };
        assert_eq!(reassembly.take(start(), &odd), expected);
        assert_eq!((reassembly.counters.bad_length, reassembly.len()), (1, 0));
    }
}

#[test]
fn rfc8200_4_5_no_packet_is_longer_than_65535_bytes() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        let last = read(&fragments[2]);
        let mut reassembly = Reassembly::default();
        // IPv4 counts its header, IPv6 does not.
        let most = if v4 { 65_535 - 20 } else { 65_535 };
        let fitting = Fragment {
            offset: 65_504,
            data: &last.data[..most - 65_504],
            ..last
        };
        assert_eq!(reassembly.take(start(), &fitting), Outcome::Waiting);
        let longer = Fragment {
            data: &last.data[..most - 65_504 + 1],
            ..fitting
        };
        let expected = if v4 {
            Outcome::Dropped
        } else {
            Outcome::Problem(parameter(0, 42))
        };
        assert_eq!(reassembly.take(start(), &longer), expected);
        assert_eq!(reassembly.counters.too_long, 1);
    }
}

#[test]
fn the_largest_packet_comes_whole_through_the_narrowest_path() {
    for (v4, length, mtu) in [(true, 65_515, 552), (false, 65_535, 1280)] {
        let whole = packet(v4, length);
        let fragments = fragments(&whole, mtu);
        assert!(fragments.len() <= MAX_FRAGMENTS, "{}", fragments.len());
        let mut reassembly = Reassembly::default();
        assert!(take_all(&mut reassembly, fragments.iter().rev()) == [whole]);
        check_account(&reassembly);
    }
}

#[test]
fn rfc7112_5_the_first_fragment_has_the_whole_header_chain() {
    // Destination options that fill the first fragment: the UDP header is in the second.
    let mut options = vec![0; 1232];
    (options[0], options[1]) = (17, (1232 / 8 - 1) as u8);
    let fragments = fragments(&packet_v6(&options, 60, &pattern(200)), 1280);
    let mut reassembly = Reassembly::default();
    assert_eq!(
        reassembly.take(start(), &read(&fragments[0])),
        Outcome::Problem(parameter(3, 0))
    );
    assert_eq!(reassembly.counters.incomplete_header_chain, 1);
    assert_eq!(
        reassembly.take(start(), &read(&fragments[1])),
        Outcome::Waiting,
        "nothing is asked of the others"
    );
    assert!(take_all(&mut reassembly, &fragments).is_empty());
}

#[test]
fn a_fragment_without_data_is_nothing() {
    for v4 in BOTH {
        let fragments = fragments(&packet(v4, 4000), 1500);
        let mut reassembly = Reassembly::default();
        for (offset, more) in [(0, true), (8, true), (8, false)] {
            let empty = Fragment {
                offset,
                more,
                data: &[],
                ..read(&fragments[0])
            };
            assert_eq!(reassembly.take(start(), &empty), Outcome::Dropped);
        }
        assert_eq!((reassembly.counters.empty, reassembly.len()), (3, 0));
    }
}

#[test]
fn rfc8200_4_5_which_fragments_belong_together() {
    let whole = fragments(&packet(false, 2000), 1280);
    let (first, last) = (read(&whole[0]), read(&whole[1]));
    let source = "2001:db8::9".parse().unwrap();
    for other in [
        Fragment { source, ..last },
        Fragment {
            destination: source,
            ..last
        },
        Fragment {
            identification: 7,
            ..last
        },
        Fragment {
            link: LinkId(2),
            ..last
        },
    ] {
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.take(start(), &first), Outcome::Waiting);
        assert_eq!(reassembly.take(start(), &other), Outcome::Waiting);
        assert_eq!(reassembly.len(), 2);
    }
    // The Next Header of later fragments may be anything with IPv6; the first one's counts.
    let mut reassembly = Reassembly::default();
    reassembly.take(
        start(),
        &Fragment {
            protocol: 6,
            ..last
        },
    );
    assert_eq!(
        reassembly.take(start(), &first),
        Outcome::Whole(packet(false, 2000))
    );
}

#[test]
fn rfc791_3_2_the_protocol_is_part_of_an_ipv4_datagrams_name() {
    let whole = fragments(&packet(true, 2000), 1280);
    let mut reassembly = Reassembly::default();
    reassembly.take(start(), &read(&whole[0]));
    assert_eq!(
        reassembly.take(
            start(),
            &Fragment {
                protocol: 6,
                ..read(&whole[1])
            }
        ),
        Outcome::Waiting
    );
    assert_eq!(reassembly.len(), 2);
}

#[test]
fn headers_before_the_fragment_header_are_the_first_fragments() {
    // A hop-by-hop header of eight bytes.
    let whole = packet_v6(&[17, 0, 1, 4, 0, 0, 0, 0], 0, &pattern(3000));
    let fragments = fragments(&whole, 1280);
    assert_eq!(
        fragments[0][40], 44,
        "the fragment header follows the hop-by-hop header"
    );
    let mut reassembly = Reassembly::default();
    assert_eq!(take_all(&mut reassembly, fragments.iter().rev()), [whole]);
}
