//! Router discovery: RFC 4861 section 6.3, RFC 4191, RFC 7559.

use smoltcp::wire::Ipv6Cidr;

use super::*;

/// RFC 4861 section 6.3.7: at link-up, after a short random delay.
#[test]
fn rfc4861_6_3_7_a_host_solicits_within_a_tenth_of_a_second_and_says_who_it_is() {
    let mut bench = Bench::new();
    let sent = solicitations(&bench.run(Duration::from_millis(100)));
    let [(_, rs)] = sent.as_slice() else {
        panic!("{sent:#?}");
    };
    assert_eq!(rs.source, OURS);
    let mut option = vec![1, 1];
    option.extend(MAC);
    assert_eq!(rs.options, option, "source link-layer address");
    assert_eq!(bench.counter("rs_tx"), 1);
}

/// RFC 4861 section 4.1: no source link-layer address from the unspecified address.
#[test]
fn rfc4861_4_1_while_its_address_is_tentative_a_host_solicits_from_nowhere() {
    let mut bench = Bench::bare();
    let sent = solicitations(&bench.run(Duration::from_millis(100)));
    let [(_, rs)] = sent.as_slice() else {
        panic!("{sent:#?}");
    };
    assert_eq!((rs.source, rs.options.len()), (Ipv6Addr::UNSPECIFIED, 0));
    bench.host.set_link_local(bench.now, Some(OURS));
    let sent = solicitations(&bench.run(seconds(5)));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.source, OURS, "the next one is from the address");
}

/// RFC 7559 section 2: 4 s, doubled up to an hour, a tenth more or less, and never an end.
#[test]
fn rfc7559_2_on_a_network_without_routers_solicitations_become_ever_more_seldom() {
    let mut bench = Bench::new();
    let sent = solicitations(&bench.run(seconds(86_400)));
    let at: Vec<i64> = sent.iter().map(|(at, _)| bench.millis(*at)).collect();
    let gaps: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((3600..=4400).contains(&gaps[0]), "{gaps:?}");
    for pair in gaps.windows(2) {
        let longest = (3_240_000..=3_960_000).contains(&pair[1]);
        let doubled = (pair[0] * 19 / 10 - 1..=pair[0] * 21 / 10 + 1).contains(&pair[1]);
        assert!(longest || doubled, "{gaps:?}");
    }
    assert!((28..40).contains(&sent.len()), "{gaps:?}");
}

/// RFC 7559 section 2.1: a default router ends it.
#[test]
fn rfc7559_2_1_a_default_router_ends_solicitation_and_one_that_is_none_does_not() {
    let mut bench = Bench::new();
    bench.run(Duration::from_millis(100));
    let no_default = Ra {
        lifetime: 0,
        ..Ra::from(9)
    };
    bench.hear(&no_default.usual(1, 7200, 3600));
    assert_eq!(bench.stable().len(), 1, "its prefix counts all the same");
    let sent = solicitations(&bench.run(seconds(14)));
    assert_eq!(sent.len(), 2, "{sent:?}");
    bench.hear(&Ra::from(1));
    assert_eq!(solicitations(&bench.run(seconds(1799))), []);
}

/// RFC 4861 section 6.3.4, RFC 4191 section 3.2.
#[test]
fn rfc4861_6_3_4_an_advertisement_makes_a_default_route_for_the_routers_lifetime() {
    let mut bench = Bench::new();
    let actions = bench.hear(&Ra::from(1));
    assert!(actions.contains(&Action::Routes), "{actions:?}");
    let routes: Vec<_> = bench.host.routes().collect();
    let [route] = routes.as_slice() else {
        panic!("{routes:#?}");
    };
    assert_eq!(route.destination.to_string(), "::/0");
    assert_eq!(route.gateway, Some(router(1)));
    assert_eq!(route.preference, Preference::Medium);
    assert_eq!(bench.left(route.expires), Some(1800));

    bench.run(seconds(1000));
    let actions = bench.hear(&Ra::from(1));
    assert!(actions.contains(&Action::Routes), "renewed: {actions:?}");
    bench.run(seconds(1799));
    assert_eq!(bench.defaults(), [router(1)]);
    let done = bench.run(seconds(2));
    assert!(done.iter().any(|(_, action)| *action == Action::Routes));
    assert_eq!(
        bench.defaults().len(),
        0,
        "RFC 4861 section 6.3.5: timed out"
    );
}

/// RFC 4861 section 6.3.4: lifetime 0 ends it at once; RFC 7559: then another is looked for.
#[test]
fn rfc4861_6_3_4_a_router_that_says_good_bye_goes_at_once_and_another_is_looked_for() {
    let mut bench = Bench::new();
    bench.run(seconds(3));
    bench.hear(&Ra::from(1));
    let actions = bench.hear(&Ra {
        lifetime: 0,
        ..Ra::from(1)
    });
    assert!(actions.contains(&Action::Routes), "{actions:?}");
    assert_eq!(bench.defaults().len(), 0);
    let sent = solicitations(&bench.run(seconds(2)));
    assert_eq!(sent.len(), 1, "{sent:?}");
}

/// A forger cannot make us solicit more often than once in four seconds.
#[test]
fn rfc7559_routers_that_come_and_go_do_not_make_a_host_shout() {
    let mut bench = Bench::new();
    let mut sent = 0;
    for _ in 0..1000 {
        let goodbye = Ra {
            lifetime: 0,
            ..Ra::from(1)
        };
        bench.hear(&Ra::from(1));
        bench.hear(&goodbye);
        sent += solicitations(&bench.run(Duration::from_millis(100))).len();
    }
    assert!((20..=27).contains(&sent), "{sent} in 100 seconds");
}

/// RFC 4191 section 3.1.
#[test]
fn rfc4191_3_1_routers_are_ordered_by_preference() {
    let mut bench = Bench::new();
    let with = |number, flags| Ra {
        flags,
        ..Ra::from(number)
    };
    bench.hear(&with(1, 0x18));
    bench.hear(&with(2, 0x00));
    bench.hear(&with(3, 0x08));
    assert_eq!(bench.defaults(), [router(3), router(2), router(1)]);
    bench.hear(&with(3, 0x18));
    bench.hear(&with(1, 0x08));
    assert_eq!(bench.defaults(), [router(1), router(2), router(3)]);
    // RFC 4191 section 2.2: the reserved preference counts as medium.
    bench.hear(&with(3, 0x10));
    let reserved = bench
        .host
        .routes()
        .find(|route| route.gateway == Some(router(3)));
    assert_eq!(reserved.unwrap().preference, Preference::Medium);
}

/// RFC 4191 section 3.1, a type C host.
#[test]
fn rfc4191_2_3_more_specific_routes_come_and_go_by_themselves() {
    let mut bench = Bench::new();
    let no_default = Ra {
        lifetime: 0,
        ..Ra::from(1)
    };
    let ra = no_default.clone().route(prefix(5), 48, 0x08, 600).route(
        "2001:db8:0:1:8000::".parse().unwrap(),
        65,
        0x00,
        u32::MAX,
    );
    bench.hear(&ra);
    assert_eq!(bench.defaults().len(), 0);
    assert_eq!(
        bench.specifics(),
        [
            ("fd12:5::/48".into(), Some(router(1)), Some(600)),
            ("2001:db8:0:1:8000::/65".into(), Some(router(1)), None)
        ]
    );
    bench.hear(&no_default.clone().route(prefix(5), 48, 0x08, 0));
    assert_eq!(bench.specifics().len(), 1);
    bench.hear(&no_default.route("2001:db8:0:1:8000::".parse().unwrap(), 65, 0, 10));
    bench.run(seconds(11));
    assert_eq!(bench.specifics(), []);
}

/// RFC 4191 section 3.1: a Route Information option for ::/0 overrides the header.
#[test]
fn rfc4191_3_1_a_route_option_for_everything_counts_more_than_the_header() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1).route(Ipv6Addr::UNSPECIFIED, 0, 0x08, 60));
    let routes: Vec<_> = bench.host.routes().collect();
    assert_eq!(routes.len(), 1, "{routes:#?}");
    assert_eq!(routes[0].preference, Preference::High);
    assert_eq!(bench.left(routes[0].expires), Some(60));
    bench.hear(&Ra::from(1).route(Ipv6Addr::UNSPECIFIED, 0, 0x08, 0));
    assert_eq!(bench.defaults().len(), 0);
}

/// RFC 4191 section 2.3: with the reserved preference, the option is to be ignored.
#[test]
fn rfc4191_2_3_route_options_that_make_no_sense_are_passed_over() {
    let mut bench = Bench::new();
    let ra = Ra::from(1)
        .route(prefix(5), 48, 0x10, 600)
        .route(prefix(6), 129, 0, 600)
        .route("ff02::".parse().unwrap(), 16, 0, 600)
        .route("fe80::".parse().unwrap(), 64, 0, 600)
        // 65 bits do not fit into the eight bytes that are there.
        .option(24, &[65, 0, 0, 0, 2, 88, 0xfd, 0x12, 0, 7, 0, 0, 0, 0]);
    bench.hear(&ra);
    assert_eq!(bench.specifics(), []);
    assert_eq!(bench.counter("option_unusable"), 3);
    assert_eq!(bench.counter("option_bad_length"), 2);
}

/// RFC 4191 section 2.3: a prefix of 64 bits may be written in eight bytes, and one of no bits in none.
#[test]
fn rfc4191_2_3_prefixes_are_written_as_short_as_they_are() {
    let mut bench = Bench::new();
    let ra = Ra::from(1)
        .option(24, &[64, 0, 0, 0, 2, 88, 0xfd, 0x12, 0, 7, 0, 0, 0, 0])
        .option(24, &[0, 0x08, 0, 0, 2, 88]);
    bench.hear(&ra);
    let specific = ("fd12:7::/64".into(), Some(router(1)), Some(600));
    assert_eq!(bench.specifics(), [specific]);
    let routes: Vec<_> = bench.host.routes().collect();
    assert_eq!(routes[0].preference, Preference::High);
    assert_eq!(
        routes[0].destination,
        Ipv6Cidr::new(Ipv6Addr::UNSPECIFIED, 0)
    );
}

/// RFC 4861 section 6.3.4: hop limit, reachable time and retransmission timer; 0 says nothing.
#[test]
fn rfc4861_6_3_4_parameters_of_the_link_follow_the_last_router_that_says_any() {
    let mut bench = Bench::new();
    let full = Ra {
        cur_hop_limit: 33,
        reachable: 20_000,
        retransmit: 1500,
        ..Ra::from(1)
    };
    let actions = bench.hear(&full.mtu(1400));
    assert!(actions.contains(&Action::Parameters), "{actions:?}");
    let expected = Parameters {
        mtu: Some(1400),
        hop_limit: 33,
        reachable_time: seconds(20),
        retransmit: Duration::from_millis(1500),
    };
    assert_eq!(*bench.host.parameters(), expected);
    let silent = Ra {
        cur_hop_limit: 0,
        ..Ra::from(2)
    };
    let actions = bench.hear(&silent);
    assert!(!actions.contains(&Action::Parameters), "{actions:?}");
    assert_eq!(*bench.host.parameters(), expected);
}

/// RFC 4861 section 6.3.4: an MTU from 1280 to the adapter's own.
#[test]
fn rfc4861_6_3_4_an_mtu_that_cannot_be_is_passed_over() {
    let mut bench = Bench::new();
    for mtu in [0, 68, 1279, 1501, 65_536, u32::MAX] {
        bench.hear(&Ra::from(1).mtu(mtu));
        assert_eq!(bench.host.parameters().mtu, None, "{mtu}");
    }
    assert_eq!(bench.counter("option_unusable"), 6);
    for mtu in [1280, 1500] {
        bench.hear(&Ra::from(1).mtu(mtu));
        assert_eq!(bench.host.parameters().mtu.map(u32::from), Some(mtu));
    }
}

/// RFC 4861 section 6.3.4: the source link-layer address option.
#[test]
fn rfc4861_6_3_4_a_router_tells_its_ethernet_address() {
    let mut bench = Bench::new();
    let actions = bench.hear(&Ra::from(1).option(1, &ROUTER_MAC));
    let neighbour = Action::Neighbour {
        address: router(1),
        mac: ROUTER_MAC,
    };
    assert!(actions.contains(&neighbour), "{actions:?}");
    let group = [0x33, 0x33, 0, 0, 0, 1];
    for mac in [group, [0xff; 6], [0; 6]] {
        let actions = bench.hear(&Ra::from(1).option(1, &mac));
        assert_eq!(actions, [], "no station has {mac:02x?}");
    }
}

/// RFC 4861 sections 6.3.6 and 7.3.3, RFC 4191 section 3.5.
#[test]
fn rfc4861_7_3_3_when_no_router_answers_they_are_solicited_and_asked_once_a_minute() {
    let mut bench = Bench::new();
    bench.run(seconds(5));
    bench.hear(&Ra::from(1));
    bench.hear(&Ra::from(2));
    bench.host.router_reachable(router(1));
    bench.host.router_unreachable(bench.now, router(1));
    assert_eq!(bench.counter("router_unreachable"), 1);
    let done = bench.run(seconds(59));
    assert_eq!(solicitations(&done), [], "there is another");
    bench.host.router_unreachable(bench.now, router(2));
    let done = bench.run(seconds(60));
    let sent = solicitations(&done).len();
    assert_eq!(sent, 5, "{done:?}");
    let probes = |done: &[(Instant, Action)], number| {
        let probe = Action::Probe(router(number));
        done.iter().filter(|(_, action)| *action == probe).count()
    };
    assert_eq!((probes(&done, 1), probes(&done, 2)), (1, 1), "{done:?}");

    bench.host.router_reachable(router(2));
    let done = bench.run(seconds(300));
    assert_eq!(solicitations(&done), []);
    assert_eq!((probes(&done, 1), probes(&done, 2)), (5, 0), "{done:?}");
}

/// RFC 4861 section 7.3.1: an advertisement is no proof that the router hears us, but a reason to ask.
#[test]
fn rfc4861_7_3_1_a_router_that_did_not_answer_is_asked_as_soon_as_it_speaks() {
    let mut bench = Bench::new();
    bench.hear(&Ra::from(1));
    bench.host.router_unreachable(bench.now, router(1));
    bench.run(seconds(1));
    let actions = bench.hear(&Ra::from(1));
    assert!(actions.contains(&Action::Probe(router(1))), "{actions:?}");
}

/// RFC 4861 section 8.1: what can be told from the packet alone.
#[test]
fn rfc4861_8_1_a_redirect_is_passed_on_if_its_addresses_can_be() {
    let far: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let redirect = |target: Ipv6Addr, destination: Ipv6Addr| {
        let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
        message.extend(target.octets());
        message.extend(destination.octets());
        icmp(router(1), OURS, 255, &message)
    };
    let mut bench = Bench::new();
    for target in [router(2), far] {
        assert!(bench.host.receive(bench.now, &redirect(target, far)));
        let expected = Action::Redirect(Redirect {
            router: router(1),
            target,
            destination: far,
        });
        assert_eq!(bench.actions(), [expected]);
    }
    let group = "ff0e::1".parse().unwrap();
    for (target, destination) in [
        ("2001:db8::8".parse().unwrap(), far),
        (router(2), group),
        (group, group),
        (router(1), far),
        (router(2), Ipv6Addr::UNSPECIFIED),
        (router(2), router(3)),
        (Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
    ] {
        assert!(
            bench
                .host
                .receive(bench.now, &redirect(target, destination))
        );
        assert_eq!(bench.actions(), [], "to {target} for {destination}");
    }
    assert_eq!(bench.counter("redirect_bad_address"), 7);
}
