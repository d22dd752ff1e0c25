//! Stories of the route table.

mod bounds;
mod origins;
mod text;

use smoltcp::time::Duration;

use super::*;
use crate::flow::table::Keyed;
use crate::link::Lease;

/// When every story here begins.
const START: Instant = Instant::from_micros_const(100_000_000);
const ETH0: LinkId = LinkId(1);
const ETH1: LinkId = LinkId(2);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> IpCidr {
    text.parse::<RouteSpecDestination>().unwrap().0
}

/// A network, read by the parser that routes are read by.
struct RouteSpecDestination(IpCidr);

impl core::str::FromStr for RouteSpecDestination {
    type Err = RouteParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(RouteSpecDestination(
            RouteSpec::parse_removal(text)?.destination,
        ))
    }
}

fn route(text: &str, link: LinkId, origin: Origin) -> Route {
    text.parse::<RouteSpec>()
        .unwrap()
        .into_route(link, origin, START)
}

fn empty() -> RouteTable {
    RouteTable::new(Keyed(1, 2))
}

fn table(routes: &[(&str, LinkId)]) -> RouteTable {
    let mut table = empty();
    for (text, link) in routes {
        assert_eq!(
            table.add(route(text, *link, Origin::Static)),
            Ok(true),
            "{text}"
        );
    }
    table
}

fn name(link: LinkId) -> &'static str {
    if link == ETH0 { "eth0" } else { "eth1" }
}

fn list(table: &RouteTable) -> Vec<String> {
    table
        .iter()
        .map(|route| route.text(name(route.link), START).to_string())
        .collect()
}

fn way(table: &RouteTable, destination: &str) -> Option<String> {
    let destination = address(destination);
    let route = table.lookup(destination)?;
    Some(format!(
        "{} {}",
        route.next_hop(destination),
        name(route.link)
    ))
}

fn lease(text: &str, routers: &[&str]) -> Lease {
    Lease {
        address: cidr(text),
        routers: routers.iter().map(|router| address(router)).collect(),
        dns: vec![],
        domain: None,
        mtu: None,
        server: address("10.0.2.2"),
        duration: None,
    }
}

#[test]
fn the_two_route_tables() {
    // What is configured, what is shown and what packets follow are one table: a lease's default route is in the list
    // and in the lookup at once, and gone from both at once.
    let mut table = empty();
    assert_eq!(way(&table, "93.184.216.34"), None);
    let granted = lease("10.0.2.15/24", &["10.0.2.2"]);
    assert!(table.sync_addresses(ETH0, [granted.address].into_iter()));
    assert!(table.sync_lease(ETH0, Some(&granted)));
    let expected = [
        "default via 10.0.2.2 dev eth0 src 10.0.2.15 metric 0 proto dhcp",
        "10.0.2.0/24 dev eth0 src 10.0.2.15 metric 0 proto connected",
    ];
    assert_eq!(list(&table), expected);
    assert_eq!(
        way(&table, "93.184.216.34").as_deref(),
        Some("10.0.2.2 eth0")
    );
    assert_eq!(way(&table, "10.0.2.7").as_deref(), Some("10.0.2.7 eth0"));
    assert!(
        !table.sync_addresses(ETH0, [granted.address].into_iter()),
        "nothing changed"
    );
    assert!(!table.sync_lease(ETH0, Some(&granted)), "nothing changed");
    assert!(table.sync_lease(ETH0, None));
    assert!(table.sync_addresses(ETH0, [].into_iter()));
    assert_eq!(list(&table), Vec::<String>::new());
    assert_eq!(way(&table, "10.0.2.7"), None);
}

#[test]
fn the_longest_prefix_wins_then_the_lowest_metric_then_the_first() {
    let table = table(&[
        ("default via 10.0.0.1", ETH0),
        ("10.0.0.0/8 via 10.0.0.8 metric 1", ETH0),
        ("10.0.0.0/8 via 10.0.0.9 metric 0", ETH1),
        ("10.0.0.0/8 via 10.0.0.10 metric 0", ETH0),
        ("10.1.0.0/16 via 10.0.0.16 metric 900", ETH0),
        ("10.1.2.3 via 10.0.0.32", ETH1),
    ]);
    assert_eq!(way(&table, "10.1.2.3").as_deref(), Some("10.0.0.32 eth1"));
    assert_eq!(way(&table, "10.1.2.4").as_deref(), Some("10.0.0.16 eth0"));
    assert_eq!(way(&table, "10.2.0.0").as_deref(), Some("10.0.0.9 eth1"));
    assert_eq!(way(&table, "11.0.0.0").as_deref(), Some("10.0.0.1 eth0"));
    assert_eq!(way(&table, "fd00::1"), None, "the families do not mix");
    let on = table.lookup_on(address("10.1.2.3"), ETH0).unwrap();
    assert_eq!(
        on.gateway,
        Some(address("10.0.0.16")),
        "the best over this adapter"
    );
}

#[test]
fn ipv6_routes_go_by_the_same_rules() {
    let table = table(&[
        ("default via fe80::1 dev eth0", ETH0),
        ("::/0 via fe80::2 dev eth1 metric 5", ETH1),
        ("fd42::/64 dev eth1", ETH1),
        ("fd42::7 via fe80::7 dev eth0", ETH0),
    ]);
    assert_eq!(way(&table, "2001:db8::1").as_deref(), Some("fe80::1 eth0"));
    assert_eq!(way(&table, "fd42::1").as_deref(), Some("fd42::1 eth1"));
    assert_eq!(way(&table, "fd42::7").as_deref(), Some("fe80::7 eth0"));
    assert_eq!(way(&table, "10.0.0.1"), None);
    let expected = [
        "default via fe80::1 dev eth0 metric 0 proto static",
        "default via fe80::2 dev eth1 metric 5 proto static",
        "fd42::/64 dev eth1 metric 0 proto static",
        "fd42::7/128 via fe80::7 dev eth0 metric 0 proto static",
    ];
    assert_eq!(list(&table), expected);
}

#[test]
fn an_adapter_that_is_down_is_passed_by_and_comes_back() {
    let mut table = table(&[
        ("default via 10.0.0.1", ETH0),
        ("default via 10.1.0.1 metric 10", ETH1),
    ]);
    table.set_link_usable(ETH0, false);
    assert_eq!(way(&table, "1.1.1.1").as_deref(), Some("10.1.0.1 eth1"));
    assert_eq!(table.len(), 2);
    table.set_link_usable(ETH0, true);
    assert_eq!(way(&table, "1.1.1.1").as_deref(), Some("10.0.0.1 eth0"));
    assert_eq!(table.remove_link(ETH0), 1);
    assert_eq!(way(&table, "1.1.1.1").as_deref(), Some("10.1.0.1 eth1"));
}

#[test]
fn a_route_added_again_is_replaced_and_one_of_another_origin_is_not() {
    let mut table = table(&[
        ("default via 10.0.0.1 metric 5", ETH0),
        ("default via 10.0.0.2 metric 4", ETH0),
    ]);
    assert_eq!(
        table.add(route("default via 10.0.0.1 metric 5", ETH0, Origin::Static)),
        Ok(false)
    );
    assert_eq!(
        table.add(route(
            "default via 10.0.0.1 metric 3 src 10.0.0.9",
            ETH0,
            Origin::Static
        )),
        Ok(true)
    );
    assert_eq!(table.len(), 2);
    assert_eq!(
        way(&table, "1.1.1.1").as_deref(),
        Some("10.0.0.1 eth0"),
        "the new metric counts"
    );
    assert_eq!(
        table.add(route("default via 10.0.0.1", ETH0, Origin::Dhcp)),
        Ok(true)
    );
    assert_eq!(table.len(), 3);
    let selector = Selector {
        origin: Some(Origin::Dhcp),
        ..Selector::default()
    };
    assert_eq!(table.remove(&selector), 1);
    let expected = [
        "default via 10.0.0.1 dev eth0 src 10.0.0.9 metric 3 proto static",
        "default via 10.0.0.2 dev eth0 metric 4 proto static",
    ];
    assert_eq!(list(&table), expected);
}

#[test]
fn a_route_that_is_replaced_keeps_its_place() {
    let mut table = table(&[
        ("default via 10.0.0.1", ETH0),
        ("default via 10.0.0.2", ETH0),
    ]);
    let renewed = route("default via 10.0.0.1 src 10.0.0.9", ETH0, Origin::Static);
    assert_eq!(table.add(renewed), Ok(true));
    let preferred = way(&table, "1.1.1.1");
    assert_eq!(preferred.as_deref(), Some("10.0.0.1 eth0"));
}

#[test]
fn host_bits_of_a_destination_do_not_matter() {
    let mut table = table(&[("10.1.2.3/16 via 10.0.0.1", ETH0)]);
    assert_eq!(
        table.add(route("10.1.0.0/16 via 10.0.0.1", ETH0, Origin::Static)),
        Ok(false)
    );
    let spec = RouteSpec::parse_removal("10.1.9.9/16").unwrap();
    assert_eq!(table.remove(&spec.selector(None)), 1);
    assert!(table.is_empty());
}

#[test]
fn removal_names_what_it_means_and_spares_the_rest() {
    let mut table = table(&[
        ("default via 10.0.0.1", ETH0),
        ("default via 10.0.0.2", ETH0),
        ("default via 10.0.0.2 metric 3", ETH1),
        ("10.1.0.0/16 via 10.0.0.1", ETH0),
    ]);
    let remove = |table: &mut RouteTable, text: &str, link| {
        let spec = RouteSpec::parse_removal(text).unwrap();
        table.remove(&spec.selector(link))
    };
    assert_eq!(remove(&mut table, "default via 10.0.0.3", None), 0);
    assert_eq!(
        remove(&mut table, "default via 10.0.0.2 dev eth1", Some(ETH1)),
        1
    );
    assert_eq!(remove(&mut table, "default", None), 2);
    assert_eq!(
        list(&table),
        ["10.1.0.0/16 via 10.0.0.1 dev eth0 metric 0 proto static"]
    );
}

#[test]
fn routes_with_an_end_end_then_and_not_before() {
    let start = START;
    let mut table = table(&[("default via 10.0.0.1", ETH0)]);
    assert_eq!(table.next_deadline(), None);
    for (text, seconds) in [
        ("10.1.0.0/16 via 10.0.0.1", 30),
        ("10.2.0.0/16 via 10.0.0.1", 20),
    ] {
        let expires = Some(start + Duration::from_secs(seconds));
        table
            .add(Route {
                expires,
                ..route(text, ETH0, Origin::Static)
            })
            .unwrap();
    }
    assert_eq!(table.next_deadline(), Some(start + Duration::from_secs(20)));
    assert_eq!(table.expire(start + Duration::from_millis(19_999)), 0);
    assert_eq!(table.expire(start + Duration::from_secs(20)), 1);
    assert_eq!(way(&table, "10.2.0.1").as_deref(), Some("10.0.0.1 eth0"));
    assert_eq!(table.next_deadline(), Some(start + Duration::from_secs(30)));
    assert_eq!(table.expire(start + Duration::from_secs(31)), 1);
    assert_eq!(table.next_deadline(), None);
    assert_eq!(table.len(), 1);
}

#[test]
fn of_two_addresses_in_one_network_either_may_go_and_the_network_stays() {
    let mut table = empty();
    let (first, second) = (cidr("10.0.2.15/24"), cidr("10.0.2.16/24"));
    table.sync_addresses(ETH0, [first, second].into_iter());
    table
        .add(route(
            "default via 10.0.2.2 src 10.0.2.15",
            ETH0,
            Origin::Static,
        ))
        .unwrap();
    table
        .add(route("10.9.0.0/16 via 10.0.2.2", ETH0, Origin::Static))
        .unwrap();
    table
        .add(route(
            "10.8.0.0/16 via 10.0.9.2 src 10.0.9.9",
            ETH1,
            Origin::Static,
        ))
        .unwrap();
    assert!(table.sync_addresses(ETH0, [second].into_iter()));
    let expected = [
        "10.8.0.0/16 via 10.0.9.2 dev eth1 src 10.0.9.9 metric 0 proto static",
        "10.9.0.0/16 via 10.0.2.2 dev eth0 metric 0 proto static",
        "10.0.2.0/24 dev eth0 src 10.0.2.16 metric 0 proto connected",
    ];
    assert_eq!(
        list(&table),
        expected,
        "what spoke from the address that has gone has gone with it"
    );
}

#[test]
fn a_lease_with_a_router_outside_its_network_reaches_it() {
    let mut table = empty();
    let granted = lease("10.128.0.5/32", &["10.128.0.1", "10.128.0.2"]);
    table.sync_addresses(ETH0, [granted.address].into_iter());
    assert_eq!(table.len(), 0, "one address is no network");
    table.sync_lease(ETH0, Some(&granted));
    let expected = [
        "default via 10.128.0.1 dev eth0 src 10.128.0.5 metric 0 proto dhcp",
        "default via 10.128.0.2 dev eth0 src 10.128.0.5 metric 1 proto dhcp",
        "10.128.0.1/32 dev eth0 src 10.128.0.5 metric 0 proto dhcp",
        "10.128.0.2/32 dev eth0 src 10.128.0.5 metric 0 proto dhcp",
    ];
    assert_eq!(list(&table), expected);
    assert_eq!(way(&table, "8.8.8.8").as_deref(), Some("10.128.0.1 eth0"));
    let renewed = lease("10.128.0.5/32", &["10.128.0.2"]);
    assert!(table.sync_lease(ETH0, Some(&renewed)));
    assert_eq!(way(&table, "8.8.8.8").as_deref(), Some("10.128.0.2 eth0"));
    assert_eq!(table.len(), 2);
}

#[test]
fn a_route_without_a_device_finds_it_by_its_gateway() {
    let mut table = empty();
    table.sync_addresses(ETH1, [cidr("10.0.2.15/24")].into_iter());
    assert_eq!(table.link_to(address("10.0.2.2")), Some(ETH1));
    assert_eq!(table.link_to(address("10.0.3.2")), None);
    table
        .add(route("default via 10.0.2.2", ETH1, Origin::Static))
        .unwrap();
    assert_eq!(
        table.link_to(address("10.0.3.2")),
        None,
        "a gateway behind a gateway is none"
    );
}

#[test]
fn gateways_and_sources_that_are_not_hosts_are_refused() {
    let mut table = empty();
    for text in [
        "default via 0.0.0.0",
        "default via 224.0.0.1",
        "default via 255.255.255.255",
        "default via ff02::1",
        "default via 10.0.0.1 src 0.0.0.0",
        "default via 10.0.0.1 src 239.1.1.1",
    ] {
        assert_eq!(
            table.add(route(text, ETH0, Origin::Static)),
            Err(RouteError::Invalid),
            "{text}"
        );
    }
    assert!(table.is_empty());
}

#[test]
fn a_thousand_routes_answer_as_a_plain_search_would() {
    // A small generator of its own: the same routes in every run.
    let mut state = 12345_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut table = empty();
    let mut plain: Vec<Route> = vec![];
    for _ in 0..1000 {
        let length = next() % 33;
        let destination = IpAddr::V4((next() % 64 * 0x0400_0000 + next() % 0x1_0000).into());
        let link = LinkId(next() % 3);
        let text = format!(
            "{destination}/{length} via 10.0.0.{} metric {}",
            1 + next() % 4,
            next() % 3
        );
        let new = Route {
            ..route(&text, link, Origin::Static)
        };
        table.add(new.clone()).unwrap();
        let new = Route {
            destination: network(new.destination),
            ..new
        };
        match plain
            .iter_mut()
            .find(|other| other.identity() == new.identity())
        {
            Some(other) if other.metric == new.metric => *other = new,
            _ => {
                plain.retain(|other| other.identity() != new.identity());
                plain.push(new);
            }
        }
    }
    table.set_link_usable(LinkId(2), false);
    assert_eq!(table.len(), plain.len());
    for _ in 0..5000 {
        let destination = IpAddr::V4((next() % 64 * 0x0400_0000 + next() % 0x1_0000).into());
        let matching = plain.iter().filter(|route| {
            route.link != LinkId(2) && route.destination.contains_addr(&destination.into())
        });
        // `min_by_key` keeps the first of equals.
        let best = matching.min_by_key(|route| (32 - route.destination.prefix_len(), route.metric));
        assert_eq!(table.lookup(destination), best, "{destination}");
    }
}
