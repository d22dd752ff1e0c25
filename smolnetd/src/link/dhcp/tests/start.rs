//! From nothing to an address.

use core::net::IpAddr;

use smoltcp::time::Instant;

use super::*;
use crate::link::tests::{OTHER_MAC, cidr};
use crate::link::{AddressOrigin, LinkAddress};

#[test]
fn discover_offer_request_ack_and_the_address_is_there() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    assert_eq!(
        bench.link.next_deadline(),
        Some(bench.now),
        "nobody waits for the first message"
    );
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    let to_all = FromClient {
        kind: DhcpMessageType::Discover,
        to: BROADCAST,
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::BROADCAST,
        xid: discover.xid,
        secs: 0,
        broadcast: false,
        ciaddr: Ipv4Addr::UNSPECIFIED,
        requested: None,
        server: None,
    };
    assert_eq!(discover, to_all);
    bench.serve(&FromServer::offer(&discover));
    let request = bench.client_message();
    let expected = FromClient {
        kind: DhcpMessageType::Request,
        requested: Some(OURS),
        server: Some(PEER),
        ..to_all
    };
    assert_eq!(
        request, expected,
        "and with the offer's transaction identifier"
    );
    assert_eq!(bench.link.addresses(), [], "an offer is no lease");
    bench.serve(&FromServer::ack(&request));
    let lease = Lease {
        address: cidr(OURS, 24),
        routers: vec![PEER.into()],
        dns: vec![DNS.into()],
        domain: None,
        mtu: None,
        server: PEER.into(),
        duration: Some(Duration::from_secs(3600)),
    };
    assert_eq!(bench.events(), [LinkEvent::Lease(lease.clone())]);
    assert_eq!(bench.link.lease(), Some(&lease));
    assert_eq!(
        bench.link.addresses(),
        [LinkAddress::new(cidr(OURS, 24), AddressOrigin::Dhcp)]
    );
}

#[test]
fn with_the_lease_in_hand_nothing_happens_until_half_of_it_is_over() {
    let mut bench = Bench::bare();
    bench.settled_lease(3600);
    let quiet = bench.link.next_deadline().unwrap();
    assert!(
        quiet > Instant::from_secs(1000 + 1700),
        "the next thing to do is the renewal: {quiet}"
    );
    assert!(quiet <= Instant::from_secs(1000 + 1800));
}

#[test]
fn no_server_answers_and_the_pauses_grow_to_a_minute() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    let began = bench.now;
    let mut times = vec![];
    let mut xids = vec![];
    while times.len() < 8 {
        bench.run(Duration::from_millis(100));
        for message in bench.client_messages() {
            assert_eq!(message.kind, DhcpMessageType::Discover);
            times.push((bench.now - began).total_millis() as i64);
            xids.push((message.xid, message.broadcast, u64::from(message.secs)));
        }
    }
    for (pair, expected) in times.windows(2).zip([4, 8, 16, 32, 64, 64, 64]) {
        let pause = pair[1] - pair[0];
        assert!(
            (pause - expected * 1000).abs() <= 1100,
            "{expected} s were expected, not {pause} ms: {times:?}"
        );
    }
    assert!(
        xids.windows(2).all(|pair| pair[0].0 == pair[1].0),
        "one exchange: {xids:x?}"
    );
    assert!(
        !xids[0].1 && !xids[1].1 && xids.iter().any(|(_, broadcast, _)| *broadcast),
        "{xids:?}"
    );
    assert!(
        xids.last().unwrap().2 > 100,
        "seconds since the beginning: {xids:?}"
    );
}

#[test]
fn the_server_that_offers_and_then_falls_silent_is_given_up() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    bench.serve(&FromServer::offer(&discover));
    bench.run(Duration::from_secs(70));
    let kinds: Vec<_> = bench
        .client_messages()
        .iter()
        .map(|message| message.kind)
        .collect();
    let (requests, rest) = kinds.split_at(4);
    assert_eq!(requests, [DhcpMessageType::Request; 4]);
    assert_eq!(rest.first(), Some(&DhcpMessageType::Discover), "{kinds:?}");
}

#[test]
fn a_server_that_refuses_what_it_offered_is_not_asked_in_a_circle() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    let mut messages = 0;
    for _ in 0..600 {
        bench.run(Duration::from_millis(100));
        for message in bench.client_messages() {
            messages += 1;
            match message.kind {
                DhcpMessageType::Discover => bench.serve(&FromServer::offer(&message)),
                _ => bench.serve(&FromServer::nak(&message)),
            }
        }
    }
    assert!(
        (4..20).contains(&messages),
        "{messages} messages in a minute"
    );
    assert_eq!(bench.events(), []);
}

#[test]
fn an_address_that_another_station_has_is_declined_and_asked_for_anew_after_ten_seconds() {
    let mut bench = Bench::bare();
    let lease = bench.lease(3600);
    bench.run(Duration::ZERO);
    bench.sent();
    bench.request_from(OURS, OTHER_MAC, OURS);
    assert_eq!(bench.link.addresses(), []);
    assert_eq!(
        bench.events(),
        [
            LinkEvent::AddressConflict {
                address: OURS.into(),
                mac: OTHER_MAC
            },
            LinkEvent::LeaseLost {
                address: lease.address
            },
        ]
    );
    let decline = bench.client_message();
    assert_eq!(decline.kind, DhcpMessageType::Decline);
    assert_eq!(
        (decline.requested, decline.server),
        (Some(OURS), Some(PEER))
    );
    assert_eq!(decline.ciaddr, Ipv4Addr::UNSPECIFIED);
    bench.run(Duration::from_millis(9900));
    assert_eq!(bench.client_messages(), []);
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.client_message().kind, DhcpMessageType::Discover);
}

#[test]
fn while_somebody_holds_port_68_the_client_sends_and_takes_nothing() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    bench.link.dhcp_enable(bench.now, false);
    let bytes = packet(&FromServer::offer(&discover).message(), OURS);
    let left = bench.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &bytes));
    assert_eq!(left, Some(bytes), "it is for the holder of the port");
    bench.run(Duration::from_secs(300));
    assert_eq!(bench.client_messages(), []);
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let anew = bench.client_message();
    assert_eq!(anew.kind, DhcpMessageType::Discover);
    assert_ne!(anew.xid, discover.xid);
}

#[test]
fn nothing_is_sent_without_a_carrier_and_everything_begins_when_it_comes() {
    let mut bench = Bench::bare();
    bench.link.set_up(bench.now, false);
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::from_secs(60));
    assert_eq!(bench.client_messages(), []);
    bench.link.set_up(bench.now, true);
    bench.run(Duration::ZERO);
    assert_eq!(bench.client_message().kind, DhcpMessageType::Discover);
}

#[test]
fn a_leased_address_that_was_configured_by_hand_stays_when_the_lease_ends() {
    let mut bench = Bench::new();
    bench.lease(60);
    assert_eq!(
        bench.link.addresses(),
        [LinkAddress::new(cidr(OURS, 24), AddressOrigin::Static)]
    );
    bench.run(Duration::from_secs(61));
    assert!(bench.link.lease().is_none());
    assert!(bench.link.has_address(IpAddr::V4(OURS)));
}

#[test]
fn the_host_name_is_sent_when_it_is_one() {
    for (name, sent) in [
        ("redox", true),
        ("", false),
        ("a b", false),
        ("x\n", false),
        (&*"a".repeat(64), false),
    ] {
        let mut bench = Bench::bare();
        bench.link.set_host_name(name);
        bench.link.dhcp_enable(bench.now, true);
        bench.run(Duration::ZERO);
        let frame = bench.ring.frames.pop().unwrap();
        let option = [&[option::HOST_NAME, name.len() as u8], name.as_bytes()].concat();
        let found = frame.windows(option.len()).any(|window| window == option) && !name.is_empty();
        assert_eq!(found, sent, "{name:?}");
    }
}

#[test]
fn transaction_identifiers_cannot_be_guessed_from_the_one_before() {
    let mut seen = std::collections::HashSet::new();
    let mut bench = Bench::bare();
    for _ in 0..100 {
        bench.link.dhcp_enable(bench.now, true);
        bench.run(Duration::ZERO);
        seen.insert(bench.client_message().xid);
        bench.link.dhcp_enable(bench.now, false);
    }
    assert_eq!(seen.len(), 100, "none is used twice");
}
