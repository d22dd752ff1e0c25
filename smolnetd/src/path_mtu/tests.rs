//! Stories of packets that were too big.

use super::*;

const ETH0: LinkId = LinkId(1);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Reports to one table about ways of 1500 bytes over one link.
struct Host {
    mtus: PathMtus,
    now: Instant,
}

impl Host {
    fn new() -> Host {
        Host {
            mtus: PathMtus::default(),
            now: Instant::from_secs(1),
        }
    }

    fn told(&mut self, destination: &str, told: u16) -> Option<u16> {
        self.mtus
            .too_big(self.now, ETH0, address(destination), told, 1500)
    }

    fn mtu(&self, destination: &str) -> u16 {
        self.mtus.mtu(ETH0, address(destination), 1500)
    }
}

#[test]
fn rfc1191_3_a_path_carries_what_the_narrowest_router_said() {
    let mut host = Host::new();
    assert_eq!(host.mtu("192.0.2.1"), 1500);
    assert_eq!(host.told("192.0.2.1", 1492), Some(1492));
    assert_eq!(host.told("192.0.2.1", 1400), Some(1400));
    assert_eq!(host.mtu("192.0.2.1"), 1400);
    assert_eq!(
        host.mtu("192.0.2.2"),
        1500,
        "another destination is another path"
    );
    let elsewhere = host.mtus.mtu(LinkId(2), address("192.0.2.1"), 9000);
    assert_eq!(elsewhere, 9000, "and so is another adapter");
    assert_eq!((host.mtus.len(), host.mtus.counters.lowered), (1, 2));
}

#[test]
fn rfc8201_4_a_report_never_raises_a_path_mtu() {
    let mut host = Host::new();
    host.told("2001:db8::1", 1300);
    for told in [1300, 1400, 1500, 9000, u16::MAX] {
        assert_eq!(host.told("2001:db8::1", told), None, "{told}");
    }
    assert_eq!(host.mtu("2001:db8::1"), 1300);
    assert_eq!(host.mtus.counters.not_lower, 5);
    assert_eq!(
        host.told("2001:db8::2", 1500),
        None,
        "what the link carries anyway needs no memory"
    );
    assert_eq!(host.mtus.len(), 1);
}

#[test]
fn rfc8201_4_ipv6_reports_below_1280_are_ignored() {
    let mut host = Host::new();
    for told in [0, 68, 1279] {
        assert_eq!(host.told("2001:db8::1", told), None, "{told}");
    }
    assert_eq!(host.mtu("2001:db8::1"), 1500);
    assert_eq!(host.mtus.counters.below_minimum, 3);
    assert_eq!(
        host.told("2001:db8::1", 1283),
        Some(1280),
        "a multiple of four"
    );
}

#[test]
fn rfc1191_3_ipv4_paths_below_a_minimum_are_not_believed() {
    let mut host = Host::new();
    assert_eq!(host.told("192.0.2.1", 68), Some(MIN_IPV4_PATH_MTU));
    assert_eq!(host.told("192.0.2.1", 1), None);
    assert_eq!(host.mtu("192.0.2.1"), MIN_IPV4_PATH_MTU);
}

#[test]
fn rfc1191_7_1_a_router_that_says_nothing_is_asked_by_steps() {
    let mut host = Host::new();
    let steps: Vec<_> = core::iter::from_fn(|| host.told("192.0.2.1", 0)).collect();
    assert_eq!(steps, [1492, 1004, 552]);
    assert_eq!(host.mtu("192.0.2.1"), 552);
    // A jumbo frame's way down is longer.
    let now = host.now;
    let first = host
        .mtus
        .too_big(now, ETH0, address("192.0.2.2"), 0, u16::MAX);
    assert_eq!(first, Some(32_000));
}

#[test]
fn rfc1191_6_3_after_ten_minutes_the_path_is_tried_again() {
    let mut host = Host::new();
    assert_eq!(host.mtus.next_deadline(), None);
    host.told("192.0.2.1", 1400);
    host.now += Duration::from_secs(60);
    host.told("192.0.2.2", 1300);
    let first = Instant::from_secs(1) + PATH_MTU_LIFETIME;
    assert_eq!(host.mtus.next_deadline(), Some(first));
    assert!(!host.mtus.expire(first - Duration::from_millis(1)));
    assert!(host.mtus.expire(first));
    assert_eq!((host.mtu("192.0.2.1"), host.mtu("192.0.2.2")), (1500, 1300));
    // News of a smaller MTU begin the time anew (RFC 1191 6.3: since the last decrease).
    host.now = first;
    host.told("192.0.2.2", 1200);
    assert_eq!(host.mtus.next_deadline(), Some(first + PATH_MTU_LIFETIME));
    assert!(host.mtus.expire(first + PATH_MTU_LIFETIME));
    assert_eq!((host.mtus.len(), host.mtus.next_deadline()), (0, None));
    assert_eq!(host.mtus.counters.expired, 2);
}

#[test]
fn a_path_mtu_is_never_more_than_its_link_carries() {
    let mut host = Host::new();
    host.told("192.0.2.1", 1400);
    assert_eq!(host.mtus.mtu(ETH0, address("192.0.2.1"), 1280), 1280);
    assert_eq!(host.mtus.mtu(ETH0, address("192.0.2.1"), 9000), 1400);
}

#[test]
fn a_network_full_of_narrow_paths_displaces_itself_and_not_others() {
    let mut host = Host::new();
    host.told("192.0.2.1", 1400);
    host.told("2001:db8::1", 1300);
    for number in 0..100_000_u32 {
        // One host has a whole /64 of addresses to be spoken to from.
        let bad = IpAddr::V6((u128::from(number) | 0x2001_0bad << 96).into());
        assert_eq!(
            host.mtus.too_big(host.now, ETH0, bad, 1280, 1500),
            Some(1280)
        );
        assert!(host.mtus.len() <= MAX_PATHS);
    }
    assert_eq!(host.mtus.len(), MAX_PATHS);
    assert_eq!(
        (host.mtu("192.0.2.1"), host.mtu("2001:db8::1")),
        (1400, 1300)
    );
    assert_eq!(host.mtus.counters.evicted, 100_002 - MAX_PATHS as u64);
    assert_eq!(
        (host.mtus.by_key.len(), host.mtus.ends.len()),
        (MAX_PATHS, MAX_PATHS)
    );
}
