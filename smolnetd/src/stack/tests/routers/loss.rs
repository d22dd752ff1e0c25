//! Stories of routers that go, lie or come by the thousand, and of a carrier that goes.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;

use super::super::tcp::{connect, listener};
use super::super::wire::{End, MAC_A};
use super::{ANY, FAR, Network, addresses, frame, mac, preferred, routes, seconds};
use crate::link::advertisement::{Ra, icmp, router};
use crate::route::Origin;

/// A Redirect from router `from`: to FAR by way of `target`.
fn redirect(from: u16, target: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let IpAddr::V6(far) = FAR else { unreachable!() };
    let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend(far.octets());
    frame(MAC_A, from, &icmp(router(from), to, 255, &message))
}

/// RFC 4861 sections 6.3.6 and 7.3.3: a router that goes without a word is noticed, and another takes over; RFC 4191
/// section 3.5: it is asked now and then, and is used again when it answers.
#[test]
fn rfc4861_7_3_3_traffic_moves_from_a_silent_router_to_another_and_back() {
    let mut network = Network::settled();
    network.announce(Ra::from(2).flags(0x08));
    network.run(seconds(1));
    let udp = network.udp();
    assert_eq!(network.traffic(udp, 2), [mac(2), mac(2)]);
    network.answering = vec![1];
    let went = network.traffic(udp, 60);
    let moved = went.iter().position(|station| *station == mac(1));
    assert!(moved.is_some_and(|moved| moved <= 45), "{went:02x?}");
    assert!(went.ends_with(&[mac(1); 10]), "{went:02x?}");
    network.answering = vec![1, 2];
    let went = network.traffic(udp, 70);
    assert!(went.ends_with(&[mac(2); 5]), "{went:02x?}");
}

/// RFC 1122 section 3.3.1.4: a connection that sends in vain does not wait until its router counts as stale.
#[test]
fn rfc1122_3_3_1_4_a_connection_that_is_stuck_finds_the_other_router_in_seconds() {
    let mut network = Network::settled();
    network.announce(Ra::from(2).flags(0x08));
    network.run(seconds(1));
    let client = connect(&mut network.wire, FAR, 80);
    network.run(Duration::from_millis(50));
    // Router 2 has just proved that it is there, and goes.
    network.answering = vec![1];
    network.sent.clear();
    network.run(seconds(12));
    let stations: Vec<_> = network.sent.iter().map(|(station, _)| *station).collect();
    assert_eq!(stations.first(), Some(&mac(2)), "{stations:02x?}");
    assert_eq!(stations.last(), Some(&mac(1)), "{stations:02x?}");
    let now = network.wire.now;
    network.wire.a.stack.close(now, client);
}

/// RFC 4861 sections 8.1 and 8.3.
#[test]
fn rfc4861_8_1_a_redirect_counts_only_from_the_first_hop() {
    let mut network = Network::settled();
    let mut second = Ra::from(2);
    second.lifetime = 0;
    network.announce(second);
    let IpAddr::V6(us) = preferred(&network.wire.a) else {
        unreachable!()
    };
    let udp = network.udp();
    network.wire.inject(End::A, redirect(2, router(2), us));
    network.run(Duration::from_millis(10));
    assert_eq!(network.traffic(udp, 1), [mac(1)], "it is not the first hop");
    network.wire.inject(End::A, redirect(2, router(3), us));
    network.run(Duration::from_millis(10));
    assert_eq!(network.traffic(udp, 1), [mac(1)], "nor here");
    assert_eq!(network.wire.a.counter("eth0.redirect_not_first_hop"), 1);

    network.wire.inject(End::A, redirect(1, router(2), us));
    network.run(Duration::from_millis(10));
    assert_eq!(network.traffic(udp, 2), [mac(2), mac(2)]);
    let host = (
        "2001:db8::7/128".into(),
        Some(router(2).into()),
        Origin::Redirect,
    );
    assert!(routes(&network).contains(&host), "{:?}", routes(&network));
    // Another advertisement of the first router does not undo it; silence of the second does.
    network.announce(Ra::from(1).usual(1, 86_400, 14_400));
    assert_eq!(network.traffic(udp, 1), [mac(2)]);
    network.answering = vec![1];
    let went = network.traffic(udp, 60);
    assert!(went.ends_with(&[mac(1); 10]), "{went:02x?}");
    assert!(!routes(&network).contains(&host));
}

/// RFC 4861 sections 8.3 and 7.3.3: a destination that is said to be on the link, and is not there.
#[test]
fn rfc4861_7_3_3_a_redirect_to_a_neighbour_that_is_not_there_is_given_up() {
    let mut network = Network::settled();
    let IpAddr::V6(us) = preferred(&network.wire.a) else {
        unreachable!()
    };
    let IpAddr::V6(far) = FAR else { unreachable!() };
    network.wire.inject(End::A, redirect(1, far, us));
    network.run(Duration::from_millis(10));
    let neighbour = ("2001:db8::7/128".into(), None, Origin::Redirect);
    assert!(routes(&network).contains(&neighbour));
    let udp = network.udp();
    let went = network.traffic(udp, 10);
    assert!(went.ends_with(&[mac(1); 3]), "{went:02x?}");
    assert!(!routes(&network).contains(&neighbour));
}

/// A router that did not answer before the carrier went is given another chance when it comes back.
#[test]
fn a_router_that_was_silent_before_is_used_again_after_the_carrier_was_away() {
    let mut network = Network::settled();
    network.announce(Ra::from(2).flags(0x08));
    network.run(seconds(1));
    let udp = network.udp();
    network.answering = vec![1];
    let went = network.traffic(udp, 60);
    assert_eq!(went.last(), Some(&mac(1)), "{went:02x?}");
    network.answering = vec![1, 2];
    for up in [false, true] {
        let (now, link) = (network.wire.now, network.wire.a.link);
        network.wire.a.stack.set_link_up(now, link, up);
        network.run(seconds(5));
    }
    network.announce(Ra::from(2).flags(0x08));
    network.announce(Ra::from(1).usual(1, 86_400, 14_400));
    network.run(seconds(5));
    assert_eq!(network.traffic(udp, 2), [mac(2), mac(2)]);
}

/// 10,000 forged routers, each with its Ethernet address: the one in use stays in use.
#[test]
fn ten_thousand_forged_routers_do_not_disturb_who_uses_a_real_one() {
    let mut network = Network::settled();
    let udp = network.udp();
    assert_eq!(network.traffic(udp, 2), [mac(1), mac(1)]);
    for number in 3..10_003 {
        let forged = Ra::from(number)
            .option(1, &mac(number))
            .usual(number, 86_400, 14_400);
        network.announce(forged);
        if number % 100 == 0 {
            network.run(Duration::from_millis(5));
        }
    }
    let went = network.traffic(udp, 5);
    assert_eq!(went, [mac(1); 5]);
    assert!(routes(&network).len() <= 32, "{}", routes(&network).len());
    let link = network.wire.a.stack.link(network.wire.a.link).unwrap();
    assert!(link.neighbours(network.wire.now).count() <= 1024);
    assert!(addresses(&network.wire.a).len() <= 16);
}

/// RFC 4862 section 5.4 and RFC 6059: a cable that is pulled and put back ends no connection.
#[test]
fn a_carrier_that_comes_back_on_the_same_network_ends_nothing() {
    let mut network = Network::settled();
    let there = preferred(&network.wire.b);
    listener(&mut network.wire, End::B, ANY, 80);
    let client = connect(&mut network.wire, there, 80);
    network.run(seconds(2));
    let before = network.solicitations;
    let (now, link) = (network.wire.now, network.wire.a.link);
    network.wire.a.stack.set_link_up(now, link, false);
    network.run(seconds(5));
    let now = network.wire.now;
    network.wire.a.stack.set_link_up(now, link, true);
    network.run(Duration::from_millis(200));
    assert_eq!(network.solicitations, before + 1);
    network.announce(Ra::from(1).usual(1, 86_400, 14_400));
    network.run(seconds(10));
    let now = network.wire.now;
    assert_eq!(network.wire.a.send(now, client, b"still", None), Ok(5));
    let udp = network.udp();
    assert_eq!(network.traffic(udp, 1), [mac(1)]);
}
