//! Multicast listener discovery: RFC 3810, and RFC 2710 for older routers.

use super::*;

const IS_EXCLUDE: u8 = 2;
const TO_INCLUDE: u8 = 3;
const TO_EXCLUDE: u8 = 4;

/// A message of MLD that left.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mld {
    Current(Vec<(u8, Ipv6Addr)>),
    Member(Ipv6Addr),
    Done(Ipv6Addr),
}

fn group() -> Ipv6Addr {
    v6("ff02::fb")
}

/// An adapter with a link-local address, whose own groups have been told long ago.
fn bench() -> Bench {
    let mut bench = Bench::bare();
    bench
        .link
        .enable_ipv6(bench.now, Ipv6Config::opaque([7; 16]));
    bench.run(Duration::from_secs(10));
    bench.ring.frames.clear();
    bench.events();
    bench
}

fn sent(bench: &mut Bench) -> Vec<Mld> {
    let frames: Vec<_> = bench.ring.frames.drain(..).collect();
    frames.iter().filter_map(|frame| decode(frame)).collect()
}

/// Checks what every message has: RFC 3810 section 5 (hop limit 1, router alert, link-local source or none).
fn decode(frame: &[u8]) -> Option<Mld> {
    let packet = Icmpv6::find(&frame[14..])?;
    let address = |place: usize| {
        Ipv6Addr::from(<[u8; 16]>::try_from(&packet.message[place..place + 16]).unwrap())
    };
    let (message, to) = match packet.kind() {
        143 => {
            let count = u16::from_be_bytes([packet.message[6], packet.message[7]]);
            assert_eq!(packet.message.len(), 8 + 20 * usize::from(count));
            let records =
                (0..usize::from(count)).map(|n| (packet.message[8 + 20 * n], address(12 + 20 * n)));
            (Mld::Current(records.collect()), v6("ff02::16"))
        }
        131 => (Mld::Member(address(8)), address(8)),
        132 => (Mld::Done(address(8)), v6("ff02::2")),
        _ => return None,
    };
    assert_eq!(packet.destination, to);
    assert_eq!(frame[..6], mac_of(to));
    assert_eq!((packet.hop_limit, packet.router_alert), (1, true));
    assert!(packet.has_good_checksum());
    assert!(packet.source.is_unspecified() || packet.source.is_unicast_link_local());
    Some(message)
}

fn query_message(length: usize, code: u16, group: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![130, 0, 0, 0];
    message.extend(code.to_be_bytes());
    message.extend([0, 0]);
    message.extend(group.octets());
    message.resize(length, 0);
    message
}

fn envelope(destination: Ipv6Addr) -> Envelope {
    Envelope {
        source: v6("fe80::1"),
        destination,
        hop_limit: 1,
        router_alert: true,
    }
}

fn query(bench: &mut Bench, length: usize, code: u16, group: Ipv6Addr) {
    let destination = if group.is_unspecified() {
        v6("ff02::1")
    } else {
        group
    };
    let packet = envelope(destination).wrap(&query_message(length, code, group));
    assert_eq!(
        bench.receive_v6(PEER_MAC, mac_of(destination), &packet),
        None
    );
}

fn own_groups(bench: &Bench) -> Vec<Ipv6Addr> {
    vec![group(), solicited_node(bench.own_link_local())]
}

/// RFC 3810 section 6.1: at once, and once more within a second, for the robustness variable is 2.
#[test]
fn joining_is_told_twice() {
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::ZERO);
    let change = Mld::Current(vec![(TO_EXCLUDE, group())]);
    assert_eq!(sent(&mut bench), std::slice::from_ref(&change));
    bench.run(Duration::from_secs(1));
    assert_eq!(sent(&mut bench), [change]);
    bench.run(Duration::from_secs(100));
    assert_eq!(sent(&mut bench), []);
    assert_eq!(bench.link.next_deadline(), None);
}

/// RFC 3810 section 6.1
#[test]
fn leaving_is_told_twice() {
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::from_secs(5));
    sent(&mut bench);
    bench.link.leave(bench.now, group().into());
    bench.run(Duration::from_secs(5));
    assert_eq!(
        sent(&mut bench),
        vec![Mld::Current(vec![(TO_INCLUDE, group())]); 2]
    );
    assert_eq!(bench.link.next_deadline(), None);
}

/// RFC 3810 section 6.1: who changes its mind tells the latest only.
#[test]
fn joining_and_leaving_at_once_ends_with_having_left() {
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.link.leave(bench.now, group().into());
    bench.run(Duration::from_secs(5));
    assert_eq!(
        sent(&mut bench),
        vec![Mld::Current(vec![(TO_INCLUDE, group())]); 2]
    );
}

/// RFC 3810 section 6.2: all groups, after a random time within the one that the router allows.
#[test]
fn a_general_query_is_answered_with_all_groups_in_one_report() {
    let mut delays = vec![];
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::from_secs(5));
    sent(&mut bench);
    for _ in 0..20 {
        query(&mut bench, 28, 10_000, Ipv6Addr::UNSPECIFIED);
        let wait = bench.link.next_deadline().unwrap() - bench.now;
        delays.push(wait.total_millis());
        bench.run(Duration::from_secs(10));
        let records = own_groups(&bench)
            .iter()
            .map(|group| (IS_EXCLUDE, *group))
            .collect();
        assert_eq!(sent(&mut bench), [Mld::Current(records)]);
    }
    assert!(delays.iter().all(|delay| *delay <= 10_000), "{delays:?}");
    assert!(
        delays.iter().max().unwrap() - delays.iter().min().unwrap() > 2000,
        "{delays:?}"
    );
}

/// RFC 3810 section 6.2: a question about one group.
#[test]
fn a_query_about_a_group_is_answered_if_it_was_joined() {
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::from_secs(5));
    sent(&mut bench);
    query(&mut bench, 28, 1000, group());
    bench.run(Duration::from_secs(1));
    assert_eq!(
        sent(&mut bench),
        [Mld::Current(vec![(IS_EXCLUDE, group())])]
    );
    let packet = envelope(v6("ff02::1")).wrap(&query_message(28, 1000, v6("ff02::aa")));
    bench.receive_v6(PEER_MAC, mac_of(v6("ff02::1")), &packet);
    bench.run(Duration::from_secs(5));
    assert_eq!(sent(&mut bench), [], "not ours");
}

/// RFC 3810 section 6.2, rule 1: one answer for two questions.
#[test]
fn queries_that_come_close_together_are_answered_once() {
    let mut bench = bench();
    for _ in 0..50 {
        query(&mut bench, 28, 1000, Ipv6Addr::UNSPECIFIED);
    }
    bench.run(Duration::from_secs(5));
    assert_eq!(sent(&mut bench).len(), 1);
}

/// RFC 3810 section 5.2.13: all nodes and what stays in the host are never reported.
#[test]
fn groups_that_nobody_needs_to_know_of_are_not_reported() {
    let mut bench = bench();
    for group in ["ff02::1", "ff01::1", "ff01::fb", "ff00::1"] {
        bench.link.join(bench.now, group.parse().unwrap()).unwrap();
    }
    query(&mut bench, 28, 1000, Ipv6Addr::UNSPECIFIED);
    bench.run(Duration::from_secs(5));
    let own = solicited_node(bench.own_link_local());
    assert_eq!(sent(&mut bench), [Mld::Current(vec![(IS_EXCLUDE, own)])]);
}

/// RFC 3590 section 4: before there is a link-local address, from none, for the sake of the switches.
#[test]
fn the_first_report_has_no_source() {
    let mut bench = Bench::bare();
    bench
        .link
        .enable_ipv6(bench.now, Ipv6Config::opaque([7; 16]));
    bench.run(Duration::from_secs(1));
    let reports = |bench: &Bench| -> Vec<Ipv6Addr> {
        let packets = bench
            .ring
            .frames
            .iter()
            .filter_map(|frame| Icmpv6::find(&frame[14..]));
        packets
            .filter(|packet| packet.kind() == 143)
            .map(|packet| packet.source)
            .collect()
    };
    assert!(
        reports(&bench).iter().all(Ipv6Addr::is_unspecified),
        "{:?}",
        reports(&bench)
    );
    bench.run(Duration::from_secs(5));
    bench.ring.frames.clear();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::ZERO);
    assert_eq!(reports(&bench), [bench.own_link_local()]);
}

/// RFC 3810 section 8.2.1: a router that speaks version 1 only is spoken to in version 1 until it has been silent for
/// long.
#[test]
fn a_router_of_version_1_is_answered_in_version_1() {
    let mut bench = bench();
    query(&mut bench, 24, 10_000, Ipv6Addr::UNSPECIFIED);
    bench.run(Duration::from_secs(10));
    let own = solicited_node(bench.own_link_local());
    assert_eq!(sent(&mut bench), [Mld::Member(own)]);
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::from_secs(20));
    assert_eq!(sent(&mut bench), vec![Mld::Member(group()); 2]);
    bench.link.leave(bench.now, group().into());
    bench.run(Duration::from_secs(20));
    assert_eq!(sent(&mut bench), [Mld::Done(group())]);
    bench.run(Duration::from_secs(260));
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::ZERO);
    assert_eq!(
        sent(&mut bench),
        [Mld::Current(vec![(TO_EXCLUDE, group())])]
    );
}

/// RFC 2710 section 4: to a router of version 1, one answer of a group is enough.
#[test]
fn among_routers_of_version_1_another_hosts_answer_is_ours() {
    let mut bench = bench();
    bench.link.join(bench.now, group().into()).unwrap();
    bench.run(Duration::from_secs(5));
    sent(&mut bench);
    query(&mut bench, 24, 10_000, group());
    let mut message = query_message(24, 0, group());
    message[0] = 131;
    let packet = envelope(group()).wrap(&message);
    bench.receive_v6(OTHER_MAC, mac_of(group()), &packet);
    bench.run(Duration::from_secs(20));
    assert_eq!(sent(&mut bench), []);
}

/// RFC 3810 section 5.1.3: a response code from 2^15 on is a floating point number.
#[test]
fn a_long_response_time_is_a_floating_point_number() {
    let mut delays = vec![];
    for _ in 0..60 {
        let mut bench = bench();
        for _ in 0..delays.len() {
            query(&mut bench, 28, 1, Ipv6Addr::UNSPECIFIED);
            bench.run(Duration::from_secs(1));
        }
        query(&mut bench, 28, 0xffff, Ipv6Addr::UNSPECIFIED);
        delays.push((bench.link.next_deadline().unwrap() - bench.now).secs());
    }
    // (0xfff | 0x1000) << 10 milliseconds
    assert!(delays.iter().all(|delay| *delay <= 8388), "{delays:?}");
    assert!(*delays.iter().max().unwrap() > 4000, "{delays:?}");
}

/// RFC 3810 sections 5.1.14, 6.2 and 8.1: what is not to be answered.
#[test]
fn queries_that_no_router_on_this_link_sent_are_ignored() {
    let all = v6("ff02::1");
    let general = query_message(28, 1000, Ipv6Addr::UNSPECIFIED);
    let good = envelope(all);
    let cases = [
        (
            "a global source",
            Envelope {
                source: v6("fd42::1"),
                ..good
            },
            general.clone(),
        ),
        (
            "no source",
            Envelope {
                source: Ipv6Addr::UNSPECIFIED,
                ..good
            },
            general.clone(),
        ),
        (
            "hop limit 2",
            Envelope {
                hop_limit: 2,
                ..good
            },
            general.clone(),
        ),
        (
            "no router alert",
            Envelope {
                router_alert: false,
                ..good
            },
            general.clone(),
        ),
        (
            "26 bytes",
            good,
            query_message(26, 1000, Ipv6Addr::UNSPECIFIED),
        ),
        (
            "20 bytes",
            good,
            query_message(20, 1000, Ipv6Addr::UNSPECIFIED),
        ),
        (
            "about one station",
            good,
            query_message(28, 1000, v6("fd42::1")),
        ),
        ("about all, to some", envelope(group()), general),
    ];
    for (case, envelope, message) in cases {
        let mut bench = bench();
        bench.link.join(bench.now, group().into()).unwrap();
        bench.run(Duration::from_secs(5));
        sent(&mut bench);
        let packet = envelope.wrap(&message);
        bench.receive_v6(PEER_MAC, mac_of(envelope.destination), &packet);
        bench.run(Duration::from_secs(20));
        assert_eq!(sent(&mut bench), [], "{case}");
        assert_eq!(bench.link.counters().mld_rx_ignored, 1, "{case}");
    }
}

/// More groups than one report holds.
#[test]
fn many_groups_take_several_reports() {
    let mut bench = bench();
    for n in 0..100 {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, n);
        bench.link.join(bench.now, group.into()).unwrap();
    }
    bench.run(Duration::ZERO);
    let lengths: Vec<_> = bench.ring.frames.iter().map(Vec::len).collect();
    assert!(lengths.iter().all(|length| *length <= 1294), "{lengths:?}");
    let told: usize = sent(&mut bench)
        .iter()
        .map(|message| match message {
            Mld::Current(records) => records.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(told, 100);
}
