//! Stories of a host among routers, on a virtual clock: advertisements come in as packets, and what the host says and
//! takes in is looked at.

pub(crate) mod advertisement;
mod carrier;
mod discovery;
mod hostile;
mod resolvers;
mod slaac;
mod temporary;

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv6Packet, Ipv6Packet};

use self::advertisement::{ALL_NODES, Ra, icmp, prefix, router};
use super::*;
use crate::route::Preference;

pub(in crate::link) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const ROUTER_MAC: [u8; 6] = [0x52, 0x55, 0x0a, 0, 2, 2];
pub(in crate::link) const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x15);
const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A solicitation as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::link) struct Rs {
    source: Ipv6Addr,
    options: Vec<u8>,
}

/// A host with a clock of its own.
pub(in crate::link) struct Bench {
    pub(in crate::link) host: Autoconf,
    pub(in crate::link) now: Instant,
    start: Instant,
}

impl Bench {
    /// On, with a carrier and a link-local address, some time after the machine was switched on.
    pub(in crate::link) fn new() -> Bench {
        let mut bench = Bench::bare();
        bench.host.set_link_local(bench.now, Some(OURS));
        bench
    }

    /// The link-local address is still being looked into.
    fn bare() -> Bench {
        let start = Instant::from_secs(1000);
        let mut host = Autoconf::new(MAC, 1500, true, Random::new(42, 3));
        host.enable(start, true);
        Bench {
            host,
            now: start,
            start,
        }
    }

    /// What is to be done now.
    pub(in crate::link) fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.host.poll(self.now) {
            actions.push(action);
            assert!(actions.len() < 1000, "it never ends: {:?}", actions.last());
        }
        let deadline = self.host.next_deadline();
        assert!(
            deadline.is_none_or(|deadline| deadline > self.now),
            "at {}, due at {deadline:?}, but nothing to do",
            self.now
        );
        actions
    }

    /// Lets time pass, from deadline to deadline, and gathers what was to be done and when.
    pub(in crate::link) fn run(&mut self, time: Duration) -> Vec<(Instant, Action)> {
        let end = self.now + time;
        let mut all = Vec::new();
        loop {
            let now = self.now;
            all.extend(self.actions().into_iter().map(|action| (now, action)));
            match self.host.next_deadline() {
                Some(next) if next <= end => self.now = next,
                _ => break,
            }
        }
        self.now = end;
        all
    }

    /// An advertisement comes in; what is to be done about it.
    pub(in crate::link) fn hear(&mut self, ra: &Ra) -> Vec<Action> {
        assert!(
            self.host.receive(self.now, &ra.packet()),
            "an advertisement is for us: {ra:?}"
        );
        self.actions()
    }

    /// What this counter stands at.
    pub(in crate::link) fn counter(&self, name: &str) -> u64 {
        let mut counters = self.host.counters().iter();
        counters.find(|(other, _)| *other == name).unwrap().1
    }

    /// The gateways of the default routes, the best first as the route table has it.
    fn defaults(&self) -> Vec<Ipv6Addr> {
        let mut routes: Vec<_> = self.host.routes().collect();
        routes.retain(|route| route.destination.prefix_len() == 0);
        routes.sort_by_key(|route| core::cmp::Reverse(route.preference));
        routes.iter().filter_map(|route| route.gateway).collect()
    }

    /// Destination, gateway, seconds left, of all routes but the default ones.
    fn specifics(&self) -> Vec<(String, Option<Ipv6Addr>, Option<i64>)> {
        let routes = self.host.routes();
        routes
            .filter(|route| route.destination.prefix_len() > 0)
            .map(|route| {
                let left = self.left(route.expires);
                (route.destination.to_string(), route.gateway, left)
            })
            .collect()
    }

    /// Prefix, seconds preferred and seconds valid, from now, of the stable addresses.
    fn stable(&self) -> Vec<(Ipv6Addr, Option<i64>, Option<i64>)> {
        let addresses = self.host.addresses();
        addresses
            .filter_map(|wanted| match wanted.identity {
                Identity::Stable { prefix } => Some((
                    prefix.address(),
                    self.left(wanted.preferred_until),
                    self.left(wanted.valid_until),
                )),
                Identity::Temporary { .. } => None,
            })
            .collect()
    }

    /// Seconds from now, `None` for ever.
    fn left(&self, end: Option<Instant>) -> Option<i64> {
        let end = end?.total_micros();
        Some((end - self.now.total_micros()).div_euclid(1_000_000))
    }

    /// Milliseconds since the start.
    fn millis(&self, at: Instant) -> i64 {
        at.total_millis() - self.start.total_millis()
    }
}

/// The solicitations among what was to be done.
pub(in crate::link) fn solicitations(actions: &[(Instant, Action)]) -> Vec<(Instant, Rs)> {
    let sent = actions.iter().filter_map(|(at, action)| match action {
        Action::Multicast(packet) if packet.get(40) == Some(&133) => Some((*at, packet)),
        _ => None,
    });
    sent.map(|(at, packet)| (at, read_solicitation(packet)))
        .collect()
}

/// Reads a solicitation by other hands than ours, and holds it against RFC 4861 section 4.1.
fn read_solicitation(packet: &[u8]) -> Rs {
    let ip = Ipv6Packet::new_checked(packet).unwrap();
    assert_eq!(ip.hop_limit(), 255);
    assert_eq!(ip.dst_addr().to_string(), "ff02::2");
    let message = Icmpv6Packet::new_checked(ip.payload()).unwrap();
    assert!(message.verify_checksum(&ip.src_addr(), &ip.dst_addr()));
    assert_eq!(&ip.payload()[..2], [133, 0]);
    Rs {
        source: ip.src_addr(),
        options: ip.payload()[8..].to_vec(),
    }
}
