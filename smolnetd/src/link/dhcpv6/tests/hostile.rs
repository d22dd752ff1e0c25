//! What a hostile or broken server says.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// How a reply is made worse.
type Change = fn(Reply) -> Reply;

/// RFC 8415 section 16.10, one check after the other.
#[test]
fn rfc8415_16_10_replies_that_are_not_valid_are_dropped_and_the_next_good_one_is_taken() {
    let cases: [(&str, &str, Change); 9] = [
        ("another transaction", "dhcpv6_rx_unexpected", |reply| {
            let [a, b, c] = reply.xid;
            Reply {
                xid: [a, b, c ^ 1],
                ..reply
            }
        }),
        ("another client", "dhcpv6_rx_unexpected", |reply| {
            reply.with(1, &[0, 3, 0, 1, 9, 9, 9, 9, 9, 9])
        }),
        ("no client", "dhcpv6_rx_unexpected", |reply| {
            reply.without(1)
        }),
        ("no server", "dhcpv6_rx_unexpected", |reply| {
            reply.without(2)
        }),
        ("a server without a name", "dhcpv6_rx_unexpected", |reply| {
            reply.with(2, &[])
        }),
        ("an advertisement", "dhcpv6_rx_unexpected", |reply| Reply {
            kind: 2,
            ..reply
        }),
        ("a reconfiguration", "dhcpv6_rx_unexpected", |reply| Reply {
            kind: 10,
            ..reply
        }),
        ("a failure", "dhcpv6_rx_failure", |reply| {
            reply.with(13, b"\0\x01no")
        }),
        ("a status cut short", "dhcpv6_rx_failure", |reply| {
            reply.with(13, &[0])
        }),
    ];
    for (case, counter, change) in cases {
        let (mut bench, request) = asking();
        let bad = change(Reply::to(&request)).packet();
        assert!(bench.host.receive(bench.now, &bad), "{case}");
        assert_eq!(bench.actions(), [], "{case}");
        assert_eq!(bench.counter(counter), 1, "{case}");
        bench.host.receive(bench.now, &Reply::to(&request).packet());
        assert_eq!(bench.host.resolvers(), [DNS], "{case}");
    }
}

#[test]
fn a_reply_that_comes_twice_is_taken_once() {
    let (mut bench, request) = asking();
    bench.host.receive(bench.now, &Reply::to(&request).packet());
    bench.actions();
    let other = Reply::to(&request).with(23, &router(66).octets()).packet();
    bench.host.receive(bench.now, &other);
    assert_eq!(bench.actions(), []);
    assert_eq!(bench.host.resolvers(), [DNS]);
    assert_eq!(bench.counter("dhcpv6_rx_unexpected"), 1);
}

/// A packet to another port, another address or a group is not the client's.
#[test]
fn rfc8415_7_2_only_what_is_sent_to_the_client_is_its_own() {
    let (mut bench, request) = asking();
    let reply = Reply::to(&request);
    let others = [
        udp(SERVER, OURS, 547, &reply.message()),
        udp(SERVER, router(7), 546, &reply.message()),
        udp(SERVER, "ff02::1:2".parse().unwrap(), 546, &reply.message()),
    ];
    for packet in others {
        assert!(!bench.host.receive(bench.now, &packet), "{packet:02x?}");
    }
    assert_eq!(bench.counter("dhcpv6_rx"), 0);
}

/// RFC 8200 section 8.1: a UDP checksum of 0 is none, and there must be one.
#[test]
fn rfc8200_8_1_a_checksum_that_is_wrong_or_missing_is_none() {
    let (mut bench, request) = asking();
    for checksum in [[0, 0], [0x12, 0x34]] {
        let mut packet = Reply::to(&request).packet();
        packet[46..48].copy_from_slice(&checksum);
        assert!(bench.host.receive(bench.now, &packet));
    }
    assert_eq!(bench.counter("dhcpv6_rx_malformed"), 2);
    assert_eq!(bench.host.resolvers().len(), 0);
}

#[test]
fn a_reply_cut_short_anywhere_is_dropped_or_ends_between_two_options() {
    let (_, request) = asking();
    let message = Reply::to(&request).message();
    for length in 0..message.len() {
        let (mut bench, request) = asking();
        let whole = Reply::to(&request).packet();
        bench.host.receive(bench.now, &whole[..48 + length]);
        let cut = udp(SERVER, OURS, 546, &Reply::to(&request).message()[..length]);
        bench.host.receive(bench.now, &cut);
        let [malformed, unexpected, taken] = [
            "dhcpv6_rx_malformed",
            "dhcpv6_rx_unexpected",
            "dhcpv6_replies",
        ]
        .map(|name| bench.counter(name));
        assert_eq!(malformed + unexpected + taken, 1, "{length} bytes");
    }
}

#[test]
fn options_that_make_no_sense_bring_nothing() {
    let taken = |change: Change| {
        let (mut bench, request) = asking();
        bench
            .host
            .receive(bench.now, &change(Reply::to(&request)).packet());
        assert_eq!(bench.counter("dhcpv6_replies"), 1);
        (bench.host.resolvers(), bench.host.search())
    };
    let lab = vec!["lab.test".to_owned()];
    assert_eq!(
        taken(|reply| reply.with(23, &[1; 15])),
        (vec![], lab.clone())
    );
    assert_eq!(
        taken(|reply| reply.with(23, &[0xff; 33])),
        (vec![], lab.clone())
    );
    let group: Change = |reply| {
        reply.with(
            23,
            &[[0xff; 16], [0; 16], DNS.octets(), DNS.octets()].concat(),
        )
    };
    assert_eq!(taken(group), (vec![DNS], lab));
    assert_eq!(
        taken(|reply| reply.with(24, b"\x03la")),
        (vec![DNS], vec![])
    );
    assert_eq!(
        taken(|reply| reply.with(24, b"\xc0\x00")),
        (vec![DNS], vec![])
    );
    let many: Change = |reply| {
        let servers: Vec<u8> = (1..=100)
            .flat_map(|number| router(number).octets())
            .collect();
        reply.with(23, &servers)
    };
    assert_eq!(taken(many).0.len(), 8, "there is a bound");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(8415),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever a server says, nothing panics, what is taken is bounded, and time goes on.
    #[test]
    fn no_reply_does_harm(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10),
        tail in proptest::collection::vec(any::<u8>(), 0..64),
        keep in any::<bool>(),
    ) {
        let (mut bench, request) = asking();
        let mut message = Reply::to(&request).with(32, &[0, 0, 14, 16]).message();
        message.extend(tail);
        for (place, value) in changes {
            let place = place.index(message.len());
            message[place] = value;
        }
        if keep {
            message[0] = 7;
            message[1..4].copy_from_slice(&request.xid);
        }
        prop_assert!(bench.host.receive(bench.now, &udp(SERVER, OURS, 546, &message)));
        bench.actions();
        bench.run(seconds(100_000));
        prop_assert!(bench.host.resolvers().len() <= 8 && bench.host.search().len() <= 8);
        for name in bench.host.search() {
            prop_assert!(name.is_ascii() && !name.contains(char::is_whitespace));
        }
    }
}
