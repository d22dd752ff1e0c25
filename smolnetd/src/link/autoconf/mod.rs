//! What an IPv6 host learns by itself from the routers on its link, sans-IO: router discovery (RFC 4861 section 6.3,
//! RFC 4191), addresses (RFC 4862 section 5.5, RFC 8981), name servers (RFC 8106, and DHCPv6 where routers say so).
//!
//! ```text
//!  receive(packet) ─┬─ Router Advertisement ─┬─ routers     default and more-specific routes, reachability
//!                   │                        ├─ prefixes    on-link routes; addresses, temporary ones too
//!                   │                        ├─ resolvers   name servers, search domains
//!                   │                        ├─ parameters  MTU, hop limit, times of neighbour discovery
//!                   │                        └─ dhcpv6      begins when a router says so
//!                   ├─ Redirect ── an action: whoever knows the routes checks it, and takes it
//!                   └─ DHCPv6 reply
//!  poll(now)        solicitations, what has ended, what has changed
//! ```
//! An action says that a part has changed, and an accessor what it is now: nothing queues up behind a slow reader.
//!
//! When the carrier goes, everything learned stays in force for its lifetime. When it returns, routers are asked at
//! once, and what they say decides ([`attachment`]): on the same network all goes on, on another the old goes.

mod adapter;
mod attachment;
mod counters;
mod lifetime;
mod names;
mod prefixes;
mod receive;
mod resolvers;
mod routers;
mod solicit;
mod temporary;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod wire;

use core::net::Ipv6Addr;
use std::collections::VecDeque;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

use self::attachment::Attachment;
use self::lifetime::Until;
use self::prefixes::{Changed, Prefixes};
use self::resolvers::Learned;
use self::routers::Routers;
use self::solicit::Solicitor;
use self::temporary::TemporaryAddresses;
use super::random::Random;
use super::{Autoconfigured, Identity, dhcpv6};
use crate::counters::count;

pub use self::counters::AutoconfCounters;
pub(super) use self::names::decode as decode_names;
pub use self::types::AutoRoute;
pub(super) use self::types::{Action, Parameters};
pub use self::wire::Redirect;

/// Actions that wait to be taken, at most; those that say that something has changed are not among them.
const MAX_ACTIONS: usize = 8;

/// Which parts have changed since an action said so.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    addresses: bool,
    routes: bool,
    resolvers: bool,
    parameters: bool,
}

/// Router discovery and what follows from it, on one link.
#[derive(Debug)]
pub(super) struct Autoconf {
    mac: [u8; 6],
    /// The adapter's own, in bytes.
    mtu: u16,
    random: Random,
    enabled: bool,
    carrier: bool,
    link_local: Option<Ipv6Addr>,
    attachment: Attachment,
    solicitor: Solicitor,
    routers: Routers,
    prefixes: Prefixes,
    temporary: TemporaryAddresses,
    servers: Learned<Ipv6Addr>,
    domains: Learned<String>,
    parameters: Parameters,
    dhcpv6: dhcpv6::Client,
    counters: AutoconfCounters,
    news: News,
    actions: VecDeque<Action>,
}

impl Autoconf {
    /// For an adapter with this Ethernet address and MTU; off.
    pub(super) fn new(mac: [u8; 6], mtu: u16, carrier: bool, random: Random) -> Autoconf {
        Autoconf {
            mac,
            mtu,
            random,
            enabled: false,
            carrier,
            link_local: None,
            attachment: Attachment::default(),
            solicitor: Solicitor::new(),
            routers: Routers::default(),
            prefixes: Prefixes::default(),
            temporary: TemporaryAddresses::default(),
            servers: Learned::new(),
            domains: Learned::new(),
            parameters: Parameters::default(),
            dhcpv6: dhcpv6::Client::new(mac),
            counters: AutoconfCounters::default(),
            news: News::default(),
            actions: VecDeque::new(),
        }
    }

    /// Turns it on or off. Turned off, it takes nothing more in, and what it has learned goes.
    pub(super) fn enable(&mut self, now: Instant, on: bool) {
        if core::mem::replace(&mut self.enabled, on) == on {
            return;
        }
        if !on {
            self.forget_before(now + Duration::from_micros(1));
        }
        self.restart(now);
    }

    /// The carrier came or went.
    pub(super) fn set_carrier(&mut self, now: Instant, carrier: bool) {
        if core::mem::replace(&mut self.carrier, carrier) != carrier {
            self.restart(now);
        }
    }

    /// Our link-local address, once it is known to be ours alone; none while there is none. Until then solicitations
    /// go out from the unspecified address (RFC 4861 section 4.1), and DHCPv6 waits.
    pub(super) fn set_link_local(&mut self, now: Instant, address: Option<Ipv6Addr>) {
        self.link_local = address;
        self.dhcpv6.set_source(now, address, &mut self.random);
    }

    /// May the DHCPv6 client run? Not while a program holds its port.
    pub(super) fn allow_dhcpv6(&mut self, now: Instant, allow: bool) {
        self.dhcpv6.allow(now, allow, &mut self.random);
    }

    /// Temporary addresses, which are off by default.
    pub(super) fn use_temporary(&mut self, now: Instant, on: bool) {
        self.news.addresses |= self.temporary.enable(on);
        self.update_temporary(now);
    }

    /// Another station has this temporary address.
    pub(super) fn temporary_failed(&mut self, now: Instant, address: Ipv6Cidr) {
        self.news.addresses |= self.temporary.failed(address);
        self.update_temporary(now);
    }

    /// A neighbour has answered: RFC 4861 section 7.3.
    pub(super) fn router_reachable(&mut self, address: Ipv6Addr) {
        self.routers.reachable(address);
        if self.routers.has_usable_default() {
            self.solicitor.stop();
        }
    }

    /// A neighbour, router or not, does not answer: RFC 4861 sections 6.3.6 and 7.3.3. The route table prefers others
    /// then; when no router is left that answers, they are solicited again, and those that we know are asked now and
    /// then.
    pub(super) fn router_unreachable(&mut self, now: Instant, address: Ipv6Addr) {
        if self.routers.unreachable(now, address) {
            count(&mut self.counters.router_unreachable);
            self.solicit_without_router(now);
        }
    }

    /// A neighbour says that it is no router any more: RFC 4861 section 7.2.5.
    pub(super) fn router_resigned(&mut self, now: Instant, address: Ipv6Addr) {
        if self.routers.resigned(address) {
            self.news.routes = true;
            self.solicit_without_router(now);
        }
    }

    /// When [`Autoconf::poll`] is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let News {
            addresses,
            routes,
            resolvers,
            parameters,
        } = self.news;
        let news = addresses || routes || resolvers || parameters || !self.actions.is_empty();
        [
            // What is there to be told is due: any time that has passed will do.
            news.then_some(Instant::ZERO),
            self.attachment.next_deadline(),
            self.solicitor.next_deadline(),
            self.routers.next_deadline(),
            self.prefixes.next_deadline(),
            self.temporary.next_deadline(),
            self.servers.next_deadline(),
            self.domains.next_deadline(),
            self.dhcpv6.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// One thing that is to be done at `now`; to be called until there is none.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Action> {
        self.expire(now);
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let told = |news: &mut bool, action| core::mem::take(news).then_some(action);
        if let Some(action) = told(&mut self.news.parameters, Action::Parameters)
            .or_else(|| told(&mut self.news.addresses, Action::Addresses))
            .or_else(|| told(&mut self.news.routes, Action::Routes))
            .or_else(|| told(&mut self.news.resolvers, Action::Resolvers))
        {
            return Some(action);
        }
        if self.solicitor.poll(now, &mut self.random) {
            count(&mut self.counters.rs_tx);
            let source = self.link_local.unwrap_or(Ipv6Addr::UNSPECIFIED);
            return Some(Action::Multicast(wire::solicitation(source, self.mac)));
        }
        if let Some(router) = self.routers.probe(now).filter(|_| self.carrier) {
            return Some(Action::Probe(router));
        }
        let packet = self.dhcpv6.poll(now, &mut self.random)?;
        count(&mut self.counters.dhcpv6_tx);
        Some(Action::Multicast(packet))
    }

    /// The addresses to have.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Autoconfigured> {
        let prefixes = self.prefixes.autonomous();
        let stable = prefixes.iter().map(|known| {
            let prefix = known.prefix;
            (Identity::Stable { prefix }, known.preferred, known.valid)
        });
        let temporary = self.temporary.addresses(prefixes);
        let addresses = stable.chain(temporary.map(|(address, preferred, valid)| {
            (Identity::Temporary { address }, preferred, valid)
        }));
        addresses.map(|(identity, preferred, valid)| Autoconfigured {
            identity,
            preferred_until: preferred.instant(),
            valid_until: valid.instant(),
        })
    }

    /// The routes to have.
    pub(super) fn routes(&self) -> impl Iterator<Item = AutoRoute> {
        self.prefixes.routes().chain(self.routers.routes())
    }

    /// The name servers, those that routers say first (RFC 8106 section 5.3.1). Each may be link-local: it is on this
    /// link then.
    pub(super) fn resolvers(&self) -> Vec<Ipv6Addr> {
        distinct(self.servers.values(), self.dhcpv6.servers())
    }

    /// The search domains, those that routers say first.
    pub(super) fn search(&self) -> Vec<String> {
        distinct(self.domains.values(), self.dhcpv6.domains())
    }

    /// What routers say of the link.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(super) fn counters(&self) -> &AutoconfCounters {
        &self.counters
    }

    /// The carrier or the user has come or gone.
    fn restart(&mut self, now: Instant) {
        let running = self.enabled && self.carrier;
        self.news.routes |= self.routers.doubt_all();
        // They are said anew with the first advertisement.
        self.news.parameters |= core::mem::take(&mut self.parameters) != Parameters::default();
        self.attachment = Attachment::default();
        self.dhcpv6.stop();
        self.actions.clear();
        if running {
            let knows = self.routers.has_default() || !self.prefixes.autonomous().is_empty();
            self.attachment = Attachment::returned(now, knows);
            self.solicitor.start(now, &mut self.random);
        } else {
            self.solicitor.stop();
        }
    }

    /// Takes away what has ended.
    fn expire(&mut self, now: Instant) {
        if let Some(since) = self.attachment.is_elsewhere(now) {
            count(&mut self.counters.network_changed);
            self.forget_before(since);
        }
        let had_router = self.routers.has_default();
        let Changed { routes, addresses } = self.prefixes.expire(now, &mut self.counters);
        self.news.addresses |= addresses;
        self.news.routes |= self.routers.expire(now) | routes;
        self.news.resolvers |= self.servers.expire(now) | self.domains.expire(now);
        self.update_temporary(now);
        if had_router {
            self.solicit_without_router(now);
        }
    }

    fn update_temporary(&mut self, now: Instant) {
        self.news.addresses |= self.temporary.update(
            now,
            self.prefixes.autonomous(),
            &mut self.random,
            &mut self.counters,
        );
    }

    /// RFC 7559 section 2.1: until there is a default router, it is asked for one.
    fn solicit_without_router(&mut self, now: Instant) {
        if self.enabled && self.carrier && !self.routers.has_usable_default() {
            self.solicitor.resume(now, &mut self.random);
        }
    }

    /// Forgets what was not said since then.
    fn forget_before(&mut self, since: Instant) {
        self.news = News {
            addresses: true,
            routes: true,
            resolvers: true,
            parameters: true,
        };
        self.routers.forget_before(since);
        self.prefixes.forget_before(since);
        self.servers.forget_before(since);
        self.domains.forget_before(since);
        self.dhcpv6.forget_before(since);
    }

    fn push(&mut self, action: Action) {
        if self.actions.len() >= MAX_ACTIONS {
            count(&mut self.counters.actions_lost);
        } else {
            self.actions.push_back(action);
        }
    }
}

fn distinct<T: PartialEq>(first: impl Iterator<Item = T>, then: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for value in first.chain(then) {
        if !list.contains(&value) {
            list.push(value);
        }
    }
    list
}
