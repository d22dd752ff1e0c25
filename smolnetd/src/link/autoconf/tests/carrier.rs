//! The carrier goes and comes back, here or elsewhere: RFC 4861 section 6.3.7, RFC 6059 in spirit.

use super::*;
use crate::link::autoconf::attachment::PATIENCE;

/// A host with a router, a prefix and a name server, whose carrier goes for a while.
fn returned() -> Bench {
    let mut bench = Bench::new();
    bench.run(seconds(1));
    bench.hear(&home());
    bench.host.set_carrier(bench.now, false);
    let done = bench.run(seconds(30));
    assert_eq!(solicitations(&done), [], "nobody would hear it");
    assert_eq!(bench.stable().len(), 1, "all stays");
    bench.host.set_carrier(bench.now, true);
    bench
}

fn home() -> Ra {
    Ra::from(1)
        .usual(1, 86_400, 14_400)
        .rdnss(3600, &[prefix(0)])
        .mtu(1400)
}

#[test]
fn rfc4861_6_3_7_when_the_carrier_returns_routers_are_solicited_at_once() {
    let mut bench = returned();
    let sent = solicitations(&bench.run(Duration::from_millis(100)));
    assert_eq!(sent.len(), 1);
    assert_eq!(bench.stable().len(), 1);
    assert_eq!(bench.defaults(), [router(1)]);
}

#[test]
fn rfc6059_a_router_and_a_prefix_that_we_know_make_it_the_same_network() {
    let mut bench = returned();
    bench.run(seconds(1));
    // The other router is quicker, but the one that we know follows.
    bench.hear(&Ra::from(2).usual(7, 86_400, 14_400));
    bench.run(seconds(2));
    bench.hear(&home());
    bench.run(seconds(60));
    assert_eq!(bench.stable().len(), 2);
    assert_eq!(bench.counter("network_changed"), 0);
}

#[test]
fn rfc6059_strangers_alone_make_it_another_network_and_the_old_goes() {
    let mut bench = returned();
    bench.run(seconds(1));
    let elsewhere = Ra::from(2)
        .usual(7, 86_400, 14_400)
        .rdnss(3600, &[prefix(9)]);
    bench.hear(&elsewhere);
    assert_eq!(bench.stable().len(), 2, "nobody is in a hurry");
    let done = bench.run(PATIENCE);
    for action in [Action::Addresses, Action::Routes, Action::Resolvers] {
        assert!(done.iter().any(|(_, other)| *other == action), "{done:?}");
    }
    let prefixes: Vec<Ipv6Addr> = bench.stable().iter().map(|(prefix, ..)| *prefix).collect();
    assert_eq!(prefixes, [prefix(7)]);
    assert_eq!(bench.defaults(), [router(2)]);
    assert_eq!(bench.host.resolvers(), [prefix(9)]);
    assert_eq!(bench.host.parameters().mtu, None);
    assert_eq!(bench.counter("network_changed"), 1);
}

/// Many routers are fe80::1: the prefix decides.
#[test]
fn rfc6059_a_router_of_the_same_name_with_another_prefix_is_another_network() {
    let mut bench = returned();
    bench.hear(&Ra::from(1).usual(7, 86_400, 14_400));
    bench.run(PATIENCE);
    let prefixes: Vec<Ipv6Addr> = bench.stable().iter().map(|(prefix, ..)| *prefix).collect();
    assert_eq!(prefixes, [prefix(7)]);
    assert_eq!(bench.defaults(), [router(1)]);
}

#[test]
fn a_network_that_says_nothing_takes_nothing_away() {
    let mut bench = returned();
    bench.run(seconds(1700));
    assert_eq!(bench.stable().len(), 1);
    assert_eq!(bench.defaults(), [router(1)]);
    bench.run(seconds(100));
    assert_eq!(bench.defaults().len(), 0, "but its lifetimes run on");
}

#[test]
fn a_host_that_is_turned_off_forgets_and_hears_nothing() {
    let mut bench = Bench::new();
    bench.hear(&home());
    bench.host.enable(bench.now, false);
    let actions = bench.actions();
    assert!(actions.contains(&Action::Addresses), "{actions:?}");
    assert!(!bench.host.receive(bench.now, &home().packet()));
    assert_eq!((bench.stable().len(), bench.defaults().len()), (0, 0));
    assert_eq!(bench.host.resolvers().len(), 0);
    assert_eq!(bench.run(HOUR), []);
}
