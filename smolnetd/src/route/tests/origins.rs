//! The single table: whatever adds, replaces, removes or ends a route, through each origin, it is what the next lookup
//! goes by.

use smoltcp::time::Duration;

use super::*;

/// Where a connection to the outside would go now.
fn choice(table: &RouteTable) -> String {
    way(table, "2001:db8::1").unwrap_or("no route".into())
}

fn learned(text: &str, origin: Origin, seconds: u64) -> Route {
    Route {
        expires: Some(START + Duration::from_secs(seconds)),
        ..route(text, ETH0, origin)
    }
}

#[test]
fn through_each_origin_what_is_added_replaced_expired_and_removed_is_what_a_lookup_finds() {
    for origin in Origin::ALL {
        let mut table = empty();
        assert_eq!(choice(&table), "no route", "{origin}");
        // Added.
        assert_eq!(
            table.add(learned("::/0 via fe80::1 dev eth0 metric 9", origin, 30)),
            Ok(true)
        );
        assert_eq!(choice(&table), "fe80::1 eth0", "{origin}");
        // A better one of the same origin.
        assert_eq!(
            table.add(learned("::/0 via fe80::2 dev eth0 metric 5", origin, 60)),
            Ok(true)
        );
        assert_eq!(choice(&table), "fe80::2 eth0", "{origin}");
        // Replaced by a worse one.
        assert_eq!(
            table.add(learned("::/0 via fe80::2 dev eth0 metric 10", origin, 60)),
            Ok(true)
        );
        assert_eq!(
            (choice(&table).as_str(), table.len()),
            ("fe80::1 eth0", 2),
            "{origin}"
        );
        // The first one ends.
        assert_eq!(table.next_deadline(), Some(START + Duration::from_secs(30)));
        assert_eq!(table.expire(START + Duration::from_secs(30)), 1);
        assert_eq!(choice(&table), "fe80::2 eth0", "{origin}");
        // A more specific one of another origin, and what removes by origin spares it.
        let other = if origin == Origin::Static {
            Origin::Dhcp
        } else {
            Origin::Static
        };
        table
            .add(route("2001:db8::/32 via fe80::3 dev eth1", ETH1, other))
            .unwrap();
        assert_eq!(choice(&table), "fe80::3 eth1", "{origin}");
        let all_of = |origin| Selector {
            origin: Some(origin),
            ..Selector::default()
        };
        assert_eq!(table.remove(&all_of(origin)), 1);
        assert_eq!(choice(&table), "fe80::3 eth1", "{origin}");
        assert_eq!(table.remove(&all_of(other)), 1);
        assert_eq!(choice(&table), "no route", "{origin}");
        assert_eq!((table.len(), table.next_deadline()), (0, None), "{origin}");
    }
}

#[test]
fn a_lifetime_that_is_renewed_is_no_news_and_the_old_end_does_not_count() {
    let mut table = empty();
    let renewed = |seconds| {
        learned(
            "::/0 via fe80::1 dev eth0",
            Origin::RouterAdvertisement,
            seconds,
        )
    };
    assert_eq!(table.add(renewed(30)), Ok(true));
    assert_eq!(table.add(renewed(90)), Ok(false));
    assert_eq!(table.next_deadline(), Some(START + Duration::from_secs(90)));
    assert_eq!(table.expire(START + Duration::from_secs(89)), 0);
    assert_eq!(
        table.add(Route {
            expires: None,
            ..renewed(1)
        }),
        Ok(false)
    );
    assert_eq!(table.next_deadline(), None);
    assert_eq!(choice(&table), "fe80::1 eth0");
}

#[test]
fn rfc4191_2_1_the_preference_decides_and_medium_is_what_silence_means() {
    assert_eq!(Preference::from_bits(0b01), Some(Preference::High));
    assert_eq!(Preference::from_bits(0b00), Some(Preference::Medium));
    assert_eq!(Preference::from_bits(0b11), Some(Preference::Low));
    assert_eq!(Preference::from_bits(0b10), None, "reserved");
    let mut table = empty();
    for (gateway, preference) in [
        ("fe80::3", Preference::Low),
        ("fe80::2", Preference::Medium),
        ("fe80::1", Preference::High),
    ] {
        let text = format!(
            "::/0 via {gateway} dev eth0 metric {}",
            preference.metric(table.link_metric(ETH0))
        );
        table
            .add(route(&text, ETH0, Origin::RouterAdvertisement))
            .unwrap();
        assert_eq!(choice(&table), format!("{gateway} eth0"));
    }
    // What was configured without a word about cost is before them all.
    table
        .add(route("::/0 via fe80::9 dev eth0", ETH0, Origin::Static))
        .unwrap();
    assert_eq!(choice(&table), "fe80::9 eth0");
}

#[test]
fn rfc4191_3_2_a_router_that_does_not_answer_is_passed_by_whatever_its_prefix_and_preference() {
    let mut table = table(&[
        ("2001:db8::/32 via fe80::1 dev eth0", ETH0),
        ("::/0 via fe80::2 dev eth0 metric 10", ETH0),
        ("::/0 via fe80::3 dev eth0 metric 20", ETH0),
    ]);
    let say = |table: &mut RouteTable, gateway, reachable| {
        table.set_gateway_reachable(ETH0, address(gateway), reachable)
    };
    assert_eq!(choice(&table), "fe80::1 eth0");
    assert!(say(&mut table, "fe80::1", false));
    assert!(!say(&mut table, "fe80::1", false), "no news");
    assert_eq!(choice(&table), "fe80::2 eth0");
    say(&mut table, "fe80::2", false);
    assert_eq!(choice(&table), "fe80::3 eth0");
    say(&mut table, "fe80::3", false);
    assert_eq!(
        choice(&table),
        "fe80::1 eth0",
        "when none answers the best one is asked again"
    );
    say(&mut table, "fe80::2", true);
    assert_eq!(choice(&table), "fe80::2 eth0");
}

#[test]
fn rfc4861_6_3_5_what_a_router_brought_ends_with_it_and_prefixes_stay() {
    let mut table = empty();
    for text in [
        "::/0 via fe80::1 dev eth0 metric 20",
        "fd42::/16 via fe80::1 dev eth0",
        "::/0 via fe80::2 dev eth0 metric 30",
    ] {
        table
            .add(learned(text, Origin::RouterAdvertisement, 1800))
            .unwrap();
    }
    table
        .add(learned("fd12::/64 dev eth0", Origin::Prefix, 1800))
        .unwrap();
    table
        .add(route(
            "fd99::/64 via fe80::1 dev eth0",
            ETH0,
            Origin::Static,
        ))
        .unwrap();
    table
        .redirect(
            START,
            ETH0,
            address("fe80::1"),
            address("fd42::7"),
            address("fe80::7"),
        )
        .unwrap();
    assert_eq!(way(&table, "fd42::7").as_deref(), Some("fe80::7 eth0"));
    assert_eq!(table.remove_router(ETH0, address("fe80::1")), 2);
    let left = ["::/0", "fd12::/64", "fd99::/64", "fd42::7/128"];
    let networks: Vec<_> = table
        .iter()
        .map(|route| route.destination.to_string())
        .collect();
    assert_eq!(networks, left);
    assert_eq!(choice(&table), "fe80::2 eth0");
    assert_eq!(
        table.remove_router(ETH0, address("fe80::7")),
        1,
        "whom it named is another router"
    );
}

#[test]
fn rfc4861_6_3_4_routers_have_no_say_about_the_link_and_about_groups() {
    let mut table = empty();
    for text in [
        "fe80::/64 dev eth0",
        "fe80::/10 dev eth0",
        "ff02::/16 dev eth0",
        "::1 dev eth0",
        "127.0.0.0/8 dev eth0",
        "224.0.0.0/4 dev eth0",
    ] {
        for origin in [
            Origin::Dhcp,
            Origin::RouterAdvertisement,
            Origin::Prefix,
            Origin::Redirect,
        ] {
            assert_eq!(
                table.add(route(text, ETH0, origin)),
                Err(RouteError::Invalid),
                "{text}"
            );
        }
        assert_eq!(
            table.add(route(text, ETH0, Origin::Static)),
            Ok(true),
            "{text}"
        );
    }
}

#[test]
fn rfc4861_5_2_a_group_is_on_the_link_whatever_leads_there() {
    let table = table(&[
        ("::/0 via fe80::1 dev eth0", ETH0),
        ("default via 10.0.0.1", ETH0),
    ]);
    assert_eq!(way(&table, "ff02::fb").as_deref(), Some("ff02::fb eth0"));
    assert_eq!(way(&table, "239.1.2.3").as_deref(), Some("239.1.2.3 eth0"));
}

#[test]
fn rfc4861_8_1_a_redirect_is_followed_when_the_first_hop_says_it() {
    let mut table = table(&[("::/0 via fe80::1 dev eth0 metric 20", ETH0)]);
    let (router, far) = (address("fe80::1"), address("2001:db8::1"));
    let mut say = |router, destination, target| {
        table.redirect(
            START,
            ETH0,
            address(router),
            address(destination),
            address(target),
        )
    };
    use RedirectError::*;
    assert_eq!(
        say("fe80::2", "2001:db8::1", "fe80::3"),
        Err(NotFirstHop),
        "another router"
    );
    assert_eq!(say("fe80::1", "ff02::1", "fe80::3"), Err(Destination));
    assert_eq!(
        say("fe80::1", "2001:db8::1", "2001:db8::2"),
        Err(Target),
        "a global address that is not the destination"
    );
    assert_eq!(
        say("fe80::1", "2001:db8::1", "fe80::1"),
        Ok(false),
        "as it is already"
    );
    assert_eq!(say("fe80::1", "2001:db8::1", "fe80::2"), Ok(true));
    assert_eq!(table.lookup(far).unwrap().gateway, Some(address("fe80::2")));
    // The next hop redirects in its turn: there is one route for the destination, not a chain of them.
    assert_eq!(
        table.redirect(START, ETH0, router, far, address("fe80::4")),
        Err(NotFirstHop)
    );
    assert_eq!(
        table.redirect(START, ETH0, address("fe80::2"), far, far),
        Ok(true)
    );
    assert_eq!(choice(&table), "2001:db8::1 eth0", "it is a neighbour");
    assert_eq!(table.count(Origin::Redirect), 1);
    assert_eq!(
        way(&table, "2001:db8::2").as_deref(),
        Some("fe80::1 eth0"),
        "the others go as before"
    );
    assert_eq!(table.expire(START + REDIRECT_LIFETIME), 1);
    assert_eq!(choice(&table), "fe80::1 eth0");
}

#[test]
fn rfc1122_3_2_2_2_an_ipv4_redirect_names_a_router_on_a_network_of_ours() {
    let mut table = empty();
    table.sync_addresses(ETH0, [cidr("10.0.0.5/24")].into_iter());
    table
        .add(route("default via 10.0.0.1", ETH0, Origin::Dhcp))
        .unwrap();
    let mut say = |router, target| {
        table.redirect(
            START,
            ETH0,
            address(router),
            address("192.0.2.1"),
            address(target),
        )
    };
    assert_eq!(say("10.0.0.9", "10.0.0.2"), Err(RedirectError::NotFirstHop));
    assert_eq!(say("10.0.0.1", "10.0.1.2"), Err(RedirectError::Target));
    assert_eq!(
        say("10.0.0.1", "192.0.2.1"),
        Err(RedirectError::Target),
        "it is not on the link"
    );
    assert_eq!(say("10.0.0.1", "fe80::2"), Err(RedirectError::Target));
    assert_eq!(say("10.0.0.1", "10.0.0.2"), Ok(true));
    assert_eq!(way(&table, "192.0.2.1").as_deref(), Some("10.0.0.2 eth0"));
}

#[test]
fn a_configured_host_route_stays_before_a_redirect() {
    let mut table = table(&[("2001:db8::1 via fe80::1 dev eth0 metric 3", ETH0)]);
    assert_eq!(
        table.redirect(
            START,
            ETH0,
            address("fe80::1"),
            address("2001:db8::1"),
            address("fe80::2")
        ),
        Ok(true)
    );
    assert_eq!(choice(&table), "fe80::1 eth0");
}

#[test]
fn rfc5942_4_an_address_with_a_full_prefix_says_nothing_of_its_network() {
    let mut table = empty();
    table.sync_addresses(
        ETH0,
        [cidr("fd12::5054:ff:fe12:3456/128"), cidr("fe80::1/64")].into_iter(),
    );
    assert_eq!(
        list(&table),
        ["fe80::/64 dev eth0 src fe80::1 metric 0 proto connected"]
    );
    assert_eq!(way(&table, "fd12::2"), None);
    table
        .add(learned("fd12::/64 dev eth0", Origin::Prefix, 60))
        .unwrap();
    assert_eq!(way(&table, "fd12::2").as_deref(), Some("fd12::2 eth0"));
    assert_eq!(table.expire(START + Duration::from_secs(60)), 1);
    assert_eq!(way(&table, "fd12::2"), None);
}

#[test]
fn of_two_adapters_in_one_network_the_cheaper_one_is_taken() {
    let mut table = empty();
    table.set_link_metric(ETH0, 100);
    let granted = lease("10.0.2.15/24", &["10.0.2.2", "10.0.2.3"]);
    for link in [ETH0, ETH1] {
        table.sync_addresses(link, [granted.address].into_iter());
        table.sync_lease(link, Some(&granted));
    }
    let expected = [
        "default via 10.0.2.2 dev eth1 src 10.0.2.15 metric 0 proto dhcp",
        "default via 10.0.2.3 dev eth1 src 10.0.2.15 metric 1 proto dhcp",
        "default via 10.0.2.2 dev eth0 src 10.0.2.15 metric 100 proto dhcp",
        "default via 10.0.2.3 dev eth0 src 10.0.2.15 metric 101 proto dhcp",
        "10.0.2.0/24 dev eth1 src 10.0.2.15 metric 0 proto connected",
        "10.0.2.0/24 dev eth0 src 10.0.2.15 metric 100 proto connected",
    ];
    assert_eq!(list(&table), expected);
    assert_eq!(way(&table, "8.8.8.8").as_deref(), Some("10.0.2.2 eth1"));
}

#[test]
fn routes_that_come_and_go_leave_nothing_behind() {
    let mut table = empty();
    for number in 0..200_u64 {
        let text = format!(
            "2001:db8:{number:x}::/{} via fe80::1 dev eth0",
            48 + number % 60
        );
        table
            .add(learned(&text, Origin::RouterAdvertisement, 1 + number % 50))
            .unwrap();
    }
    assert_eq!(table.len(), 200);
    for second in 1..=50 {
        assert_eq!(
            table.next_deadline(),
            Some(START + Duration::from_secs(second))
        );
        assert_eq!(table.expire(START + Duration::from_secs(second)), 4);
    }
    assert_eq!(
        (table.len(), table.iter().count(), table.next_deadline()),
        (0, 0, None)
    );
    let mut steps = 0;
    assert_eq!(
        table.search(address("2001:db8::1"), |_| true, &mut steps),
        None
    );
    assert_eq!(steps, 0, "not even an empty prefix length");
}

#[test]
fn what_routers_say_now_is_all_that_they_say() {
    let mut table = table(&[("::/0 via fe80::9 dev eth0 metric 9999", ETH0)]);
    let before = learned("::/0 via fe80::1 dev eth1", Origin::RouterAdvertisement, 10);
    table
        .add(Route {
            link: ETH1,
            ..before
        })
        .unwrap();
    let first = [
        learned(
            "::/0 via fe80::1 dev eth0 metric 512",
            Origin::RouterAdvertisement,
            1800,
        ),
        learned("fd12::7/64 dev eth0", Origin::Prefix, 600),
        // No matter of routers.
        learned("::/0 via fe80::8 dev eth0", Origin::Static, 600),
    ];
    assert!(table.sync_routers(ETH0, first.iter().cloned()));
    assert!(
        !table.sync_routers(ETH0, first.iter().cloned()),
        "nothing changed"
    );
    assert_eq!(table.len(), 4);
    let (router, better) = (address("fe80::1"), address("fe80::2"));
    table
        .redirect(START, ETH0, router, address("fd42::7"), better)
        .unwrap();
    assert_eq!(way(&table, "fd42::7").as_deref(), Some("fe80::2 eth0"));
    assert_eq!(way(&table, "fd12::3").as_deref(), Some("fd12::3 eth0"));
    // The router is not heard of any more; the prefix gets more time.
    let second = [learned("fd12::/64 dev eth0", Origin::Prefix, 900)];
    assert!(table.sync_routers(ETH0, second.into_iter()));
    let expected = [
        "default via fe80::1 dev eth1 metric 0 expires 10 proto ra",
        "default via fe80::9 dev eth0 metric 9999 proto static",
        "fd12::/64 dev eth0 metric 0 expires 900 proto prefix",
        "fd42::7/128 via fe80::2 dev eth0 metric 512 expires 600 proto redirect",
    ];
    assert_eq!(
        list(&table),
        expected,
        "other links and origins are left alone"
    );
}

#[test]
fn rfc1122_3_3_1_4_a_gateway_that_nobody_looks_after_is_tried_again_after_a_while() {
    let mut table = table(&[
        ("default via 10.0.0.1", ETH0),
        ("default via 10.0.0.2 metric 1", ETH0),
    ]);
    let gateway = address("10.0.0.1");
    assert!(
        !table.avoid_gateway(START, ETH0, address("10.0.0.9")),
        "no gateway"
    );
    assert!(table.avoid_gateway(START, ETH0, gateway));
    assert!(!table.avoid_gateway(START, ETH0, gateway), "no news");
    assert_eq!(way(&table, "192.0.2.1").as_deref(), Some("10.0.0.2 eth0"));
    let retry = START + GATEWAY_RETRY;
    assert_eq!(table.next_deadline(), Some(retry));
    assert_eq!(table.expire(retry - Duration::from_millis(1)), 0);
    assert_eq!(table.expire(retry), 1);
    assert_eq!(way(&table, "192.0.2.1").as_deref(), Some("10.0.0.1 eth0"));
    // What is known of a gateway ends with its last route.
    table.avoid_gateway(START, ETH0, gateway);
    assert_eq!(
        table.remove(&Selector {
            gateway: Some(gateway),
            ..Selector::default()
        }),
        1
    );
    assert_eq!(table.next_deadline(), None);
    table
        .add(route("default via 10.0.0.1", ETH0, Origin::Static))
        .unwrap();
    assert_eq!(way(&table, "192.0.2.1").as_deref(), Some("10.0.0.1 eth0"));
    assert_eq!(table.remove_link(ETH0), 2);
    assert!(table.gateways.is_empty());
}
