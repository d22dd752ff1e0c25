//! How an adapter does what is wanted here, and tells what its neighbours have shown.

use core::net::IpAddr;

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use super::{Action, AutoRoute, AutoconfCounters, Autoconfigured, Parameters};
use crate::counters::count;
use crate::link::{AddressOrigin, Link, LinkEvent, LinkKind};
use crate::ports::Ports;

impl Link {
    /// Has an Ethernet adapter look for routers and do as they say, or not any more: what they said goes then.
    pub fn discover_routers(&mut self, now: Instant, on: bool) {
        self.autoconf
            .enable(now, on && self.config.kind == LinkKind::Ethernet);
    }

    /// Lets temporary addresses be made beside the stable ones (RFC 8981), or not any more.
    pub fn use_temporary_addresses(&mut self, now: Instant, on: bool) {
        self.autoconf.use_temporary(now, on);
    }

    /// May the DHCPv6 client speak? Not while a program holds its port.
    pub fn allow_dhcpv6(&mut self, now: Instant, allow: bool) {
        self.autoconf.allow_dhcpv6(now, allow);
    }

    /// The routes that routers announce, as they are now: [`LinkEvent::RoutesLearned`] tells when they are others.
    pub fn learned_routes(&self) -> impl Iterator<Item = AutoRoute> {
        self.autoconf.routes()
    }

    /// The name servers that routers, or a DHCPv6 server, announce: [`LinkEvent::ResolversLearned`] tells when they
    /// are others.
    pub fn learned_resolvers(&self) -> Vec<IpAddr> {
        let resolvers = self.autoconf.resolvers();
        resolvers.into_iter().map(IpAddr::V6).collect()
    }

    /// The search domains that routers, or a DHCPv6 server, announce; told as the name servers are.
    pub fn learned_search(&self) -> Vec<String> {
        self.autoconf.search()
    }

    /// What it counted of all that.
    pub fn autoconf_counters(&self) -> &AutoconfCounters {
        self.autoconf.counters()
    }

    /// Is it a router that does not answer? One that resigned, or that nobody knows, is not.
    pub fn is_silent_router(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V6(address) if self.autoconf.routers.is_silent(address))
    }

    /// A redirect of [`LinkEvent::Redirected`] was not followed: it does not come from the first hop.
    pub fn refuse_redirect(&mut self) {
        count(&mut self.autoconf.counters.redirect_not_first_hop);
    }

    pub(in crate::link) fn poll_autoconf(&mut self, now: Instant, ports: &mut impl Ports) {
        let link_local = self.link_local();
        self.autoconf.set_link_local(now, link_local);
        while let Some(action) = self.autoconf.poll(now) {
            self.act_upon_routers(now, action, ports);
        }
    }

    fn act_upon_routers(&mut self, now: Instant, action: Action, ports: &mut impl Ports) {
        match action {
            Action::Multicast(packet) => {
                if !self.send_multicast(&packet, ports) {
                    count(&mut self.autoconf.counters.tx_failed);
                }
            }
            Action::Addresses => {
                let wanted: Vec<Autoconfigured> = self.autoconf.addresses().collect();
                self.sync_autoconfigured(now, &wanted);
                self.push_event_once(now, LinkEvent::AddressesLearned);
            }
            Action::Routes => self.push_event_once(now, LinkEvent::RoutesLearned),
            Action::Resolvers => self.push_event_once(now, LinkEvent::ResolversLearned),
            Action::Parameters => self.take_parameters(now),
            Action::Neighbour { address, mac } => self.learn_router(now, address, mac, ports),
            Action::Probe(router) => self.probe(now, router, ports),
            Action::Redirect(redirect) => {
                self.push_event(now, LinkEvent::Redirected(redirect));
            }
        }
    }

    /// RFC 4861 section 6.3.4
    fn take_parameters(&mut self, now: Instant) {
        let Parameters {
            mtu,
            hop_limit,
            reachable_time,
            retransmit,
        } = *self.autoconf.parameters();
        self.set_ipv6_mtu(mtu);
        self.set_hop_limit(hop_limit);
        self.set_reachable_time(reachable_time);
        self.set_retrans_timer(retransmit);
        self.push_event_once(now, LinkEvent::ParametersLearned);
    }

    /// Another station has this address. One that the adapter makes itself it replaces itself; a temporary one is
    /// replaced here.
    pub(in crate::link) fn autoconfigured_failed(
        &mut self,
        now: Instant,
        address: IpCidr,
        origin: AddressOrigin,
    ) {
        if let (IpCidr::Ipv6(address), AddressOrigin::Temporary) = (address, origin) {
            self.autoconf.temporary_failed(now, address);
        }
    }

    /// For what says only that there is something to look at.
    fn push_event_once(&mut self, now: Instant, event: LinkEvent) {
        if !self.events.contains(&event) {
            self.push_event(now, event);
        }
    }
}
