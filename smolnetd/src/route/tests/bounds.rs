//! What there may be, and what it costs.

use smoltcp::time::Duration;

use super::*;

/// A /64 that `number` names.
fn prefix(number: usize) -> String {
    format!("2001:db8:{:x}:{:x}::/64", number >> 16, number & 0xffff)
}

/// A table of a default route, a host route and `count` networks.
fn table_of(count: usize) -> RouteTable {
    let mut table = table(&[
        ("::/0 via fe80::1 dev eth0", ETH0),
        ("2001:db8:ffff::1 via fe80::2 dev eth0", ETH0),
    ]);
    for number in 0..count {
        let text = format!("{} via fe80::{:x} dev eth0", prefix(number), 3 + number % 7);
        table.add(route(&text, ETH0, Origin::Static)).unwrap();
    }
    table
}

fn steps(table: &RouteTable, destination: &str) -> usize {
    let mut steps = 0;
    let found = table.search(address(destination), |_| true, &mut steps);
    assert!(found.is_some(), "{destination}");
    steps
}

#[test]
fn a_lookup_costs_the_same_with_10_and_with_10_000_routes() {
    let (few, many) = (table_of(10), table_of(10_000));
    assert_eq!((few.len(), many.len()), (12, 10_002));
    // One in the middle, one that only the default route leads to, the host route.
    for destination in ["2001:db8:0:7::1", "2001:db9::1", "2001:db8:ffff::1"] {
        assert_eq!(
            steps(&few, destination),
            steps(&many, destination),
            "{destination}"
        );
    }
    assert!(
        steps(&many, "2001:db9::1") <= 4,
        "three lengths in use and one route"
    );
    let last = many
        .lookup(address(&prefix(9_999).replace("/64", "1")))
        .unwrap();
    assert_eq!(last.destination, cidr(&prefix(9_999)));
}

#[test]
fn the_dearest_lookup_has_a_bound() {
    // Every prefix length in use, and at the last one every alternative there may be, all but one without an answer.
    let mut table = empty();
    for length in 1..=128 {
        let text = format!("fd00::/{length} via fe80::1 dev eth0");
        table.add(route(&text, ETH1, Origin::Static)).unwrap();
    }
    table.set_link_usable(ETH1, false);
    for router in 1..=MAX_ALTERNATIVES {
        let gateway = format!("fe80::{router:x}");
        table
            .add(route(
                &format!("::/0 via {gateway} dev eth0"),
                ETH0,
                Origin::Static,
            ))
            .unwrap();
        table.set_gateway_reachable(ETH0, address(&gateway), router == MAX_ALTERNATIVES);
    }
    assert_eq!(way(&table, "fd00::").as_deref(), Some("fe80::10 eth0"));
    assert_eq!(steps(&table, "fd00::"), 129 + 128 + MAX_ALTERNATIVES);
}

#[test]
fn each_origin_has_its_bound_and_replacing_still_works_there() {
    let mut table = empty();
    for origin in Origin::ALL {
        for number in 0..origin.limit() {
            let text = format!("{} via fe80::1 dev eth0", prefix(number));
            table.add(route(&text, ETH0, origin)).unwrap();
        }
        assert_eq!(table.count(origin), origin.limit());
        let more = route("fd00::/8 via fe80::1 dev eth0", ETH0, origin);
        assert_eq!(table.add(more), Err(RouteError::TooMany), "{origin}");
        let text = format!("{} via fe80::1 dev eth0 metric 7", prefix(1));
        assert_eq!(table.add(route(&text, ETH0, origin)), Ok(true), "{origin}");
    }
    let all: usize = Origin::ALL.into_iter().map(Origin::limit).sum();
    assert_eq!((table.len(), table.iter().count()), (all, all));
    assert_eq!(table.remove_link(ETH0), all);
    assert!(table.is_empty());
}

#[test]
fn ten_thousand_routers_do_not_crowd_out_what_was_configured() {
    let mut table = table(&[
        ("::/0 via fe80::1 dev eth0 metric 15", ETH0),
        ("fd77::/48 via fe80::2 dev eth0", ETH0),
    ]);
    let mut refused = 0;
    for number in 0_u16..10_000 {
        let text = format!("::/0 via fe80::bad:{number:x} dev eth0 metric 20");
        let flood = route(&text, ETH0, Origin::RouterAdvertisement);
        refused += usize::from(table.add(flood) == Err(RouteError::TooMany));
    }
    assert_eq!(refused, 10_000 - MAX_ALTERNATIVES);
    assert_eq!(table.len(), 2 + MAX_ALTERNATIVES);
    assert_eq!(way(&table, "2001:db8::1").as_deref(), Some("fe80::1 eth0"));
    assert_eq!(
        table.add(route(
            "fd78::/48 via fe80::2 dev eth0",
            ETH0,
            Origin::Static
        )),
        Ok(true)
    );
}

#[test]
fn a_router_that_is_there_takes_the_place_of_one_that_is_not() {
    let mut table = empty();
    for number in 1..=MAX_ALTERNATIVES {
        let text = format!("::/0 via fe80::bad:{number:x} dev eth0");
        table
            .add(route(&text, ETH0, Origin::RouterAdvertisement))
            .unwrap();
    }
    let real = route(
        "::/0 via fe80::1 dev eth0 metric 20",
        ETH0,
        Origin::RouterAdvertisement,
    );
    assert_eq!(table.add(real.clone()), Err(RouteError::TooMany));
    table.set_gateway_reachable(ETH0, address("fe80::bad:3"), false);
    assert_eq!(table.add(real), Ok(true));
    assert_eq!(table.len(), MAX_ALTERNATIVES);
    assert!(
        !list(&table)
            .iter()
            .any(|route| route.contains("fe80::bad:3 "))
    );
}

#[test]
fn of_too_many_redirects_those_that_end_first_make_room() {
    let mut table = table(&[("::/0 via fe80::1 dev eth0", ETH0)]);
    let limit = Origin::Redirect.limit();
    for number in 0..limit + 3 {
        let now = START + Duration::from_secs(number as u64);
        let destination = address(&format!("2001:db8::{number:x}"));
        assert_eq!(
            table.redirect(
                now,
                ETH0,
                address("fe80::1"),
                destination,
                address("fe80::2")
            ),
            Ok(true)
        );
    }
    assert_eq!(table.count(Origin::Redirect), limit);
    assert_eq!(
        way(&table, "2001:db8::2").as_deref(),
        Some("fe80::1 eth0"),
        "the first three have gone"
    );
    assert_eq!(way(&table, "2001:db8::3").as_deref(), Some("fe80::2 eth0"));
}
