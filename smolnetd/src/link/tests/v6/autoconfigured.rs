//! Addresses for the prefixes of routers, and lifetimes: RFC 4862 section 5.5.

use super::*;

fn wanted(prefix: &str, preferred: Option<Instant>, valid: Option<Instant>) -> Autoconfigured {
    Autoconfigured {
        identity: Identity::Stable {
            prefix: cidr6(prefix),
        },
        preferred_until: preferred,
        valid_until: valid,
    }
}

fn slaac(bench: &Bench) -> Vec<LinkAddress> {
    let own = bench.link.addresses().iter().copied();
    own.filter(|own| own.origin == AddressOrigin::Slaac)
        .collect()
}

/// RFC 4862 sections 5.5.3 (d) and 5.4: a prefix gives an address, which is checked first.
#[test]
fn a_prefix_gives_an_address() {
    let mut bench = Bench::dual();
    bench
        .link
        .sync_autoconfigured(bench.now, &[wanted("fd12::/64", None, None)]);
    let own = slaac(&bench);
    assert_eq!(own.len(), 1);
    assert!(cidr6("fd12::/64").contains_addr(&match own[0].address() {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => panic!("{address}"),
    }));
    assert_eq!(own[0].state, AddressState::Tentative);
    bench.run(Duration::from_secs(2));
    assert_eq!(slaac(&bench)[0].state, AddressState::Preferred);
    let address = own[0].cidr;
    assert_eq!(bench.events(), [LinkEvent::AddressUsable { address }]);
    assert!(
        !slaac(&bench)[0].is_connected(),
        "RFC 5942: what is on the link, the router says"
    );
}

/// RFC 4862 section 5.5.3 (d): prefix and identifier must fill 128 bits.
#[test]
fn a_prefix_of_another_length_gives_none() {
    let mut bench = Bench::dual();
    for prefix in [
        "fd12::/63",
        "fd12::/65",
        "fd12::/128",
        "ff02::/64",
        "fd12::/48",
    ] {
        bench
            .link
            .sync_autoconfigured(bench.now, &[wanted(prefix, None, None)]);
        assert_eq!(slaac(&bench), [], "{prefix}");
    }
}

/// RFC 4862 section 5.5.4: deprecated first, gone later.
#[test]
fn an_address_is_deprecated_and_then_expires() {
    let mut bench = Bench::dual();
    let (preferred, valid) = (
        bench.now + Duration::from_secs(100),
        bench.now + Duration::from_secs(200),
    );
    bench.link.sync_autoconfigured(
        bench.now,
        &[wanted("fd12::/64", Some(preferred), Some(valid))],
    );
    bench.run(Duration::from_secs(99));
    bench.events();
    let own = slaac(&bench)[0];
    let IpAddr::V6(own_address) = own.address() else {
        panic!()
    };
    let peer = v6("fd12::2").into();
    assert_eq!(bench.link.source_address(peer), Some(own.address()));
    bench.run(Duration::from_secs(1));
    let address = own.cidr;
    assert_eq!(bench.events(), [LinkEvent::AddressDeprecated { address }]);
    assert_eq!(slaac(&bench)[0].state, AddressState::Deprecated);
    assert!(bench.link.has_address(own.address()), "connections go on");
    bench.ring.frames.clear();
    bench.asked_by(v6("fd12::2"), PEER_MAC, own_address);
    assert_eq!(bench.ndp().len(), 1, "and it is answered");
    bench.run(Duration::from_secs(100));
    assert_eq!(bench.events(), [LinkEvent::AddressExpired { address }]);
    assert_eq!(slaac(&bench), []);
    assert!(
        !bench.link.is_member(solicited_node(own_address).into()),
        "its group is left"
    );
}

/// RFC 4862 section 5.5.3 (e): a new advertisement gives new lifetimes.
#[test]
fn lifetimes_begin_anew() {
    let mut bench = Bench::dual();
    for _ in 0..50 {
        let (preferred, valid) = (
            bench.now + Duration::from_secs(10),
            bench.now + Duration::from_secs(20),
        );
        bench.link.sync_autoconfigured(
            bench.now,
            &[wanted("fd12::/64", Some(preferred), Some(valid))],
        );
        bench.run(Duration::from_secs(8));
    }
    assert_eq!(bench.events().len(), 1, "usable once, and nothing since");
    bench.run(Duration::from_secs(5));
    assert_eq!(slaac(&bench)[0].state, AddressState::Deprecated);
    bench
        .link
        .sync_autoconfigured(bench.now, &[wanted("fd12::/64", None, None)]);
    assert_eq!(
        slaac(&bench)[0].state,
        AddressState::Preferred,
        "in use again"
    );
}

/// Renumbering: the old prefix lingers as deprecated, and what is new speaks from the new one.
#[test]
fn a_network_that_is_renumbered() {
    let mut bench = Bench::bare();
    bench
        .link
        .enable_ipv6(bench.now, Ipv6Config::opaque([7; 16]));
    bench
        .link
        .sync_autoconfigured(bench.now, &[wanted("fd12::/64", None, None)]);
    bench.run(Duration::from_secs(3));
    let old = bench.link.source_address(v6("2001:db8::1").into()).unwrap();
    let over = Some(bench.now);
    let later = Some(bench.now + Duration::from_secs(7200));
    bench.link.sync_autoconfigured(
        bench.now,
        &[
            wanted("fd12::/64", over, later),
            wanted("fd13::/64", None, None),
        ],
    );
    bench.run(Duration::from_secs(3));
    let new = bench.link.source_address(v6("2001:db8::1").into()).unwrap();
    assert_ne!(old, new);
    assert!(cidr6("fd13::/64").contains_addr(&new.to_string().parse().unwrap()));
    assert!(bench.link.has_address(old), "connections from it go on");
    bench
        .link
        .sync_autoconfigured(bench.now, &[wanted("fd13::/64", None, None)]);
    assert!(!bench.link.has_address(old), "until the prefix is gone");
}

/// RFC 7217 section 6 for an address of a router's prefix; the next advertisement leaves the replacement alone.
#[test]
fn a_replacement_for_a_taken_address_stays() {
    let mut bench = Bench::dual();
    let prefix = wanted("fd12::/64", None, None);
    bench.link.sync_autoconfigured(bench.now, &[prefix]);
    bench.run(Duration::from_secs(1));
    let IpAddr::V6(first) = slaac(&bench)[0].address() else {
        panic!()
    };
    bench.wanted_by(OTHER_MAC, first, None);
    let second = slaac(&bench)[0].address();
    assert_ne!(second, IpAddr::V6(first));
    bench.link.sync_autoconfigured(bench.now, &[prefix]);
    bench.run(Duration::from_secs(2));
    let own = slaac(&bench);
    assert_eq!((own.len(), own[0].address()), (1, second));
}

/// RFC 8981: a temporary address is made elsewhere; taken, it is reported and not replaced here.
#[test]
fn a_temporary_address_that_is_taken_is_left_to_its_maker() {
    let mut bench = Bench::dual();
    let address = cidr6("fd12::1234:5678:9abc:def0/64");
    let temporary = Autoconfigured {
        identity: Identity::Temporary { address },
        ..wanted("fd12::/64", None, None)
    };
    bench.link.sync_autoconfigured(bench.now, &[temporary]);
    bench.run(Duration::from_secs(1));
    bench.wanted_by(OTHER_MAC, address.address(), None);
    let address = IpCidr::Ipv6(address);
    let mac = OTHER_MAC;
    assert_eq!(
        bench.events(),
        [LinkEvent::AddressDuplicate { address, mac }]
    );
    bench.link.sync_autoconfigured(bench.now, &[]);
    assert_eq!(
        bench.link.addresses().len(),
        2,
        "the two that were there before"
    );
}

/// An address that somebody configured by hand stays his, and stays.
#[test]
fn an_address_by_hand_in_a_routers_prefix_is_left_alone() {
    let mut bench = Bench::dual();
    bench.link.sync_autoconfigured(
        bench.now,
        &[wanted("fd42::/64", Some(bench.now), Some(bench.now))],
    );
    bench.run(Duration::from_secs(2));
    let own = bench.own(ours()).unwrap();
    assert_eq!(
        (own.origin, own.state),
        (AddressOrigin::Static, AddressState::Preferred)
    );
}

/// A thousand prefixes do not take the place of everything else: the link's addresses are bounded.
#[test]
fn a_thousand_prefixes_find_a_bound() {
    let mut bench = Bench::dual();
    let prefixes: Vec<_> = (0..1000)
        .map(|n| wanted(&format!("fd12:0:{n:x}::/64"), None, None))
        .collect();
    bench.link.sync_autoconfigured(bench.now, &prefixes);
    assert_eq!(bench.link.addresses().len(), MAX_ADDRESSES);
    bench.run(Duration::from_secs(3));
    assert!(bench.link.has_address(ours().into()));
    bench.link.sync_autoconfigured(bench.now, &[]);
    assert_eq!(bench.link.addresses().len(), 2);
}

/// RFC 4861 section 6.3.4: hop limit and MTU of the link, as far as they make sense.
#[test]
fn what_routers_say_of_the_link() {
    let mut bench = Bench::dual();
    assert_eq!((bench.link.hop_limit(), bench.link.ipv6_mtu()), (64, 1500));
    bench.link.set_hop_limit(0);
    assert_eq!(bench.link.hop_limit(), 64, "0 says nothing");
    bench.link.set_hop_limit(42);
    assert_eq!(bench.link.hop_limit(), 42);
    for (said, used) in [
        (Some(1400), 1400),
        (Some(1279), 1280),
        (Some(9000), 1500),
        (None, 1500),
    ] {
        bench.link.set_ipv6_mtu(said);
        assert_eq!(bench.link.ipv6_mtu(), used, "{said:?}");
    }
}
