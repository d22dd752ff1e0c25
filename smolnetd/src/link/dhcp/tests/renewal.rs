//! Keeping a lease, and losing it.

use smoltcp::time::Instant;

use super::*;
use crate::link::tests::cidr;
use crate::link::{AddressOrigin, LinkAddress};

/// Has time pass until the client speaks; the times of all its messages, in seconds after the lease, and the last one.
fn next_message(bench: &mut Bench) -> (i64, FromClient) {
    loop {
        let deadline = bench
            .link
            .next_deadline()
            .expect("the client still has something to do");
        bench.run(deadline - bench.now);
        let messages = bench.client_messages();
        if let Some(message) = messages.first() {
            assert_eq!(messages.len(), 1, "{messages:?}");
            return (
                (bench.now - Instant::from_secs(1000)).secs() as i64,
                message.clone(),
            );
        }
    }
}

#[test]
fn at_half_time_the_server_is_asked_alone_and_its_answer_begins_the_lease_again() {
    let mut bench = Bench::bare();
    bench.settled_lease(3600);
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(1700));
    bench.sent();
    let (time, request) = next_message(&mut bench);
    assert!((1750..=1800).contains(&time), "T1 came at {time} s");
    assert_eq!(
        (request.to, request.source, request.destination),
        (PEER_MAC, OURS, PEER)
    );
    assert_eq!(
        (request.ciaddr, request.requested, request.server),
        (OURS, None, None),
        "RFC 2131 section 4.3.2"
    );
    bench.serve(&FromServer::ack(&request));
    assert_eq!(bench.events(), [], "nothing changed for anybody");
    assert_eq!(bench.link.counters().dhcp_renewals, 1);
    bench.run(Duration::from_secs(1900));
    assert!(
        bench.link.lease().is_some(),
        "the first lease would have ended"
    );
}

#[test]
fn a_server_that_is_gone_is_asked_alone_then_everybody_then_the_address_goes() {
    let mut bench = Bench::bare();
    let lease = bench.settled_lease(3600);
    let mut alone = vec![];
    let mut all = vec![];
    let mut last = 0;
    while bench.link.lease().is_some() {
        let deadline = bench.link.next_deadline().unwrap();
        bench.run(deadline - bench.now);
        let seconds = (bench.now - Instant::from_secs(1000)).secs();
        last = seconds;
        if bench.link.lease().is_none() {
            break;
        }
        for sent in bench.sent() {
            match sent {
                // The server does not even answer ARP: that it is asked for says that a message waits for it.
                Sent::Ask {
                    to: BROADCAST,
                    sender: OURS,
                    target: PEER,
                } => alone.push(seconds),
                sent => all.extend(read(sent).map(|message| (seconds, message))),
            }
        }
    }
    assert!(
        alone.iter().all(|time| (1750..3160).contains(time)),
        "{alone:?}"
    );
    assert!(alone.len() >= 3 && alone.len() <= 30, "{alone:?}");
    assert!(
        all.iter().all(|(time, _)| (3090..3600).contains(time)),
        "{all:?}"
    );
    assert!((2..=10).contains(&all.len()), "{all:?}");
    for (_, message) in &all {
        assert_eq!(
            (message.to, message.destination, message.ciaddr),
            (BROADCAST, Ipv4Addr::BROADCAST, OURS)
        );
    }
    assert_eq!(last, 3600, "not a second longer");
    assert_eq!(bench.link.addresses(), []);
    let events = bench.events();
    assert_eq!(
        events.last(),
        Some(&LinkEvent::LeaseLost {
            address: lease.address
        }),
        "{events:?}"
    );
    assert_eq!(
        bench.client_message().kind,
        DhcpMessageType::Discover,
        "and it begins again at once"
    );
}

#[test]
fn another_server_answers_the_rebinding() {
    let mut bench = Bench::bare();
    bench.settled_lease(3600);
    bench.run(Duration::from_secs(3200));
    let rebind = bench.client_messages().pop().unwrap();
    assert_eq!(rebind.to, BROADCAST);
    let other = FromServer::ack(&rebind).with(option::SERVER_IDENTIFIER, &[10, 0, 2, 4]);
    bench.events();
    bench.serve(&other);
    assert!(
        matches!(bench.events().as_slice(), [LinkEvent::Lease(_)]),
        "the server is part of the lease"
    );
    bench.run(Duration::from_secs(1000));
    assert!(bench.link.lease().is_some());
}

#[test]
fn a_refused_renewal_takes_the_address_away_at_once() {
    let mut bench = Bench::bare();
    let lease = bench.settled_lease(3600);
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(1700));
    bench.sent();
    let (_, request) = next_message(&mut bench);
    bench.serve(&FromServer::nak(&request).with(option::SERVER_IDENTIFIER, &[10, 0, 2, 66]));
    assert!(bench.link.lease().is_some(), "another server has no say");
    bench.serve(&FromServer::nak(&request));
    assert_eq!(
        bench.events(),
        [LinkEvent::LeaseLost {
            address: lease.address
        }]
    );
    assert_eq!(bench.link.addresses(), []);
    assert_eq!(bench.client_message().kind, DhcpMessageType::Discover);
}

#[test]
fn a_renewal_with_another_address_changes_over() {
    let mut bench = Bench::bare();
    bench.settled_lease(3600);
    bench.make_reachable(PEER, PEER_MAC);
    bench.run(Duration::from_secs(1700));
    bench.sent();
    let (_, request) = next_message(&mut bench);
    let moved = Ipv4Addr::new(10, 0, 2, 77);
    bench.serve(&FromServer {
        yiaddr: moved,
        ..FromServer::ack(&request)
    });
    let events = bench.events();
    assert!(
        matches!(&events[..], [LinkEvent::Lease(lease)] if lease.address == cidr(moved, 24)),
        "{events:?}"
    );
    let addresses: Vec<_> = bench
        .link
        .addresses()
        .iter()
        .map(LinkAddress::address)
        .collect();
    assert_eq!(addresses, [moved], "the former address has gone");
}

#[test]
fn after_the_cable_was_out_the_same_address_is_asked_for_and_kept_meanwhile() {
    let mut bench = Bench::bare();
    bench.settled_lease(3600);
    bench.link.set_up(bench.now, false);
    bench.run(Duration::from_secs(100));
    bench.link.set_up(bench.now, true);
    bench.run(Duration::ZERO);
    let request = bench.client_message();
    assert_eq!(request.kind, DhcpMessageType::Request);
    // RFC 2131 section 4.3.2, INIT-REBOOT.
    assert_eq!(
        (request.requested, request.server, request.ciaddr),
        (Some(OURS), None, Ipv4Addr::UNSPECIFIED)
    );
    assert!(bench.link.has_address(OURS.into()));
    bench.serve(&FromServer::ack(&request));
    assert_eq!(bench.events(), []);
    assert!(bench.link.next_deadline().unwrap() < bench.now + Duration::from_secs(1800));
}

#[test]
fn the_cable_was_put_into_another_network() {
    let mut bench = Bench::bare();
    let mut lease = bench.settled_lease(3600);
    // Every time: a refusal counts against a server only until the next lease.
    for _ in 0..3 {
        bench.link.set_up(bench.now, false);
        bench.link.set_up(bench.now, true);
        bench.run(Duration::ZERO);
        let request = bench.client_message();
        bench.serve(&FromServer::nak(&request));
        let address = lease.address;
        assert_eq!(bench.events(), [LinkEvent::LeaseLost { address }]);
        let discover = bench.client_message();
        assert_eq!(discover.kind, DhcpMessageType::Discover, "and at once");
        assert_ne!(discover.xid, request.xid);
        bench.serve(&FromServer::offer(&discover));
        let request = bench.client_message();
        bench.serve(&FromServer::ack(&request));
        lease = bench.link.lease().unwrap().clone();
        bench.events();
    }
}

#[test]
fn one_refusal_after_a_renewal_is_the_first_again() {
    let mut bench = Bench::bare();
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    bench.serve(&FromServer::offer(&discover));
    let request = bench.client_message();
    bench.serve(&FromServer::nak(&request));
    let discover = bench.client_message();
    bench.serve(&FromServer::offer(&discover));
    let request = bench.client_message();
    bench.serve(&FromServer::ack(&request));
    bench.run(Duration::from_secs(1700));
    bench.make_reachable(PEER, PEER_MAC);
    let (_, request) = next_message(&mut bench);
    bench.serve(&FromServer::nak(&request));
    let discover = bench.client_message();
    assert_eq!(discover.kind, DhcpMessageType::Discover, "at once");
}

#[test]
fn a_lease_runs_out_even_when_the_client_is_off_or_the_cable_is_out() {
    for cable in [false, true] {
        let mut bench = Bench::bare();
        let lease = bench.settled_lease(60);
        if cable {
            bench.link.set_up(bench.now, false);
        } else {
            bench.link.dhcp_enable(bench.now, false);
        }
        bench.run(Duration::from_secs(50));
        assert!(bench.link.has_address(OURS.into()));
        bench.run(Duration::from_secs(7));
        assert_eq!(
            bench.events(),
            [LinkEvent::LeaseLost {
                address: lease.address
            }]
        );
        assert!(!bench.link.has_address(OURS.into()));
        assert_eq!(bench.link.next_deadline(), None);
    }
}

#[test]
fn a_lease_for_ever_needs_no_timer() {
    let mut bench = Bench::bare();
    let lease = bench.settled_lease(u32::MAX);
    assert_eq!(lease.duration, None);
    assert_eq!(bench.link.next_deadline(), None);
}

#[test]
fn the_address_taken_away_or_configured_by_hand_ends_the_lease() {
    for by_hand in [false, true] {
        let mut bench = Bench::bare();
        let lease = bench.settled_lease(3600);
        if by_hand {
            bench
                .link
                .add_address(bench.now, lease.address, AddressOrigin::Static)
                .unwrap();
        } else {
            assert!(bench.link.remove_address(bench.now, lease.address));
        }
        bench.link.dhcp_enable(bench.now, false);
        assert_eq!(bench.link.lease(), None);
        assert_eq!(
            bench.link.next_deadline(),
            Some(bench.now),
            "somebody has to take the event"
        );
        assert_eq!(
            bench.events(),
            [LinkEvent::LeaseLost {
                address: lease.address
            }]
        );
        assert_eq!(bench.link.next_deadline(), None);
        bench.run(Duration::from_secs(4000));
        assert_eq!(bench.client_messages(), []);
        assert_eq!(bench.link.has_address(OURS.into()), by_hand);
    }
}

#[test]
fn the_server_is_behind_a_router_and_the_renewal_goes_there() {
    let mut bench = Bench::bare();
    let far = Ipv4Addr::new(192, 0, 2, 1);
    bench.link.dhcp_enable(bench.now, true);
    bench.run(Duration::ZERO);
    let discover = bench.client_message();
    bench.serve(&FromServer::offer(&discover).with(option::SERVER_IDENTIFIER, &far.octets()));
    let request = bench.client_message();
    bench.serve(&FromServer::ack(&request).with(option::SERVER_IDENTIFIER, &far.octets()));
    bench.run(Duration::from_secs(1700));
    bench.events();
    bench.make_reachable(PEER, PEER_MAC);
    let (_, renewal) = next_message(&mut bench);
    assert_eq!((renewal.to, renewal.destination), (PEER_MAC, far));
}
