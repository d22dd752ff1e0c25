//! Configuration: links, addresses, routes, name servers, and what DHCP says about them.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use super::input::DHCP_CLIENT_PORT;
use super::network::LOOPBACK;
use super::{Change, Stack};
use crate::error::SocketError;
use crate::icmp::{self, ErrorKind};
use crate::ip::ZonedAddr;
use crate::link::{AddressError, AddressOrigin, Link, LinkEvent, LinkKind};
use crate::ports::{LinkId, Ports};
use crate::route::{Route, RouteError, Selector};

/// What somebody asked for, apart from what is in force.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// Links whose DHCP client is wanted.
    dhcp: BTreeSet<LinkId>,
    /// Name servers configured by hand; while there are any, the leased ones are not used.
    resolvers: Vec<ZonedAddr>,
    /// Name servers for when there are no others.
    fallback_resolvers: Vec<ZonedAddr>,
    /// Name servers that each link was told: by its lease, by routers.
    learned_resolvers: BTreeMap<LinkId, Vec<ZonedAddr>>,
    pub(super) search: super::search::SearchList,
    /// How the links that give themselves IPv6 addresses make them.
    pub(super) own_addresses: BTreeMap<LinkId, super::identifiers::Choice>,
    /// The addresses that each link had when they were last looked at.
    known: BTreeMap<LinkId, Vec<ZonedAddr>>,
}

impl Stack {
    /// A link has gone: its flows and routes go with it.
    pub fn remove_link(&mut self, now: Instant, id: LinkId) {
        if id == LOOPBACK || self.network.links.remove(&id).is_none() {
            return;
        }
        self.tcp.link_gone(now, id);
        self.network.routes.remove_link(id);
        self.network.remainders.remove(&id);
        self.config.dhcp.remove(&id);
        self.config.own_addresses.remove(&id);
        self.names_learned(id);
        // Who waited for room on it finds out at the next call that it is gone.
        self.room_again(id);
        self.roomy.remove(&id);
        self.addresses_changed(now, id);
        self.config.known.remove(&id);
        self.changes.extend([Change::Link(id), Change::Routes]);
        self.routes_changed(now);
    }

    /// The carrier came or went.
    pub fn set_link_up(&mut self, now: Instant, id: LinkId, up: bool) {
        let Some(link) = self
            .network
            .links
            .get_mut(&id)
            .filter(|link| link.is_up() != up)
        else {
            return;
        };
        link.set_up(now, up);
        self.network.routes.set_link_usable(id, up);
        self.changes.insert(Change::Link(id));
        self.routes_changed(now);
        self.apply_events(now, id);
        if !up {
            self.room_again(id);
        }
    }

    /// What routes that addresses, leases and routers bring cost over a link, from now on: of several adapters that lead
    /// to the same place the one with the lowest metric is taken.
    pub fn set_link_metric(&mut self, now: Instant, id: LinkId, metric: u32) {
        self.network.routes.set_link_metric(id, metric);
        if self.network.sync_routes(id) {
            self.routes_changed(now);
        }
    }

    /// Gives a link an address, with the route to its network. One configured by hand ends DHCP on that link.
    ///
    /// # Errors
    /// `NoDevice`; `Invalid` for what is no address of a host; `NoBuffers` when the link has as many as it may.
    pub fn add_address(
        &mut self,
        now: Instant,
        id: LinkId,
        address: IpCidr,
        origin: AddressOrigin,
    ) -> Result<(), SocketError> {
        let link = self
            .network
            .links
            .get_mut(&id)
            .ok_or(SocketError::NoDevice)?;
        link.add_address(now, address, origin)
            .map_err(|error| match error {
                AddressError::Invalid => SocketError::Invalid,
                AddressError::TooMany => SocketError::NoBuffers,
            })?;
        self.addresses_changed(now, id);
        Ok(())
    }

    /// Takes an address away; the connections that spoke from it end.
    ///
    /// # Errors
    /// `NoDevice`, or `NotFound`.
    pub fn remove_address(
        &mut self,
        now: Instant,
        id: LinkId,
        address: IpCidr,
    ) -> Result<(), SocketError> {
        let link = self
            .network
            .links
            .get_mut(&id)
            .ok_or(SocketError::NoDevice)?;
        if !link.remove_address(now, address) {
            return Err(SocketError::NotFound);
        }
        self.addresses_changed(now, id);
        Ok(())
    }

    /// Makes `address` the one address of its family on a link, configured by hand.
    ///
    /// # Errors
    /// As [`Stack::add_address`]; nothing changes then.
    pub fn set_address(
        &mut self,
        now: Instant,
        id: LinkId,
        address: IpCidr,
    ) -> Result<(), SocketError> {
        self.add_address(now, id, address, AddressOrigin::Static)?;
        let link = self
            .network
            .links
            .get_mut(&id)
            .ok_or(SocketError::NoDevice)?;
        let others: Vec<IpCidr> = link.addresses().iter().map(|other| other.cidr).collect();
        for other in others {
            if other.address().version() == address.address().version()
                && other.address() != address.address()
            {
                link.remove_address(now, other);
            }
        }
        self.addresses_changed(now, id);
        Ok(())
    }

    /// Adds a route, or changes one.
    ///
    /// # Errors
    /// `NoDevice` when its link is not there, `Invalid` for addresses that make no route, `NoBuffers`.
    pub fn add_route(&mut self, now: Instant, route: Route) -> Result<(), SocketError> {
        if !self.network.links.contains_key(&route.link) {
            return Err(SocketError::NoDevice);
        }
        let changed = self
            .network
            .routes
            .add(route)
            .map_err(|error| match error {
                RouteError::Invalid => SocketError::Invalid,
                RouteError::TooMany => SocketError::NoBuffers,
            })?;
        if changed {
            self.routes_changed(now);
        }
        Ok(())
    }

    /// Takes routes away and says how many they were.
    pub fn remove_route(&mut self, now: Instant, selector: &Selector) -> usize {
        let removed = self.network.routes.remove(selector);
        if removed > 0 {
            self.routes_changed(now);
        }
        removed
    }

    /// The name servers in order of preference: those configured by hand, else those that leases and routers name, in
    /// the order of the links, else the fallback.
    pub fn resolvers(&self) -> Vec<ZonedAddr> {
        if !self.config.resolvers.is_empty() {
            return self.config.resolvers.clone();
        }
        let mut resolvers = Vec::new();
        for resolver in self.config.learned_resolvers.values().flatten() {
            if !resolvers.contains(resolver) {
                resolvers.push(*resolver);
            }
        }
        if resolvers.is_empty() {
            resolvers.extend(&self.config.fallback_resolvers);
        }
        resolvers
    }

    /// Name servers for as long as nothing else names any.
    pub fn set_fallback_resolvers(&mut self, resolvers: Vec<ZonedAddr>) {
        self.config.fallback_resolvers = resolvers;
        self.changes.insert(Change::Resolvers);
    }

    /// Configures name servers by hand; none leaves it to leases and routers.
    pub fn set_resolvers(&mut self, resolvers: Vec<ZonedAddr>) {
        self.config.resolvers = resolvers;
        self.changes.insert(Change::Resolvers);
    }

    /// Lets a link be configured by DHCP, or not any more. The client runs while no address of the link is configured
    /// by hand and no socket holds UDP port 68, for then somebody else is the client.
    ///
    /// # Errors
    /// `NoDevice`, or `NotSupported` for the loopback link.
    pub fn enable_dhcp(
        &mut self,
        now: Instant,
        id: LinkId,
        enable: bool,
    ) -> Result<(), SocketError> {
        let link = self.network.links.get(&id).ok_or(SocketError::NoDevice)?;
        if link.kind() != LinkKind::Ethernet {
            return Err(SocketError::NotSupported);
        }
        if enable {
            self.config.dhcp.insert(id);
        } else {
            self.config.dhcp.remove(&id);
        }
        self.update_dhcp(now);
        Ok(())
    }

    /// Turns each link's DHCP client on or off as things stand.
    pub(super) fn update_dhcp(&mut self, now: Instant) {
        let port_is_free = self.udp.holders(DHCP_CLIENT_PORT).next().is_none();
        for (id, link) in &mut self.network.links {
            let by_hand = link.addresses().iter().any(|address| {
                address.origin == AddressOrigin::Static
                    && IpAddr::from(address.cidr.address()).is_ipv4()
            });
            let wanted = self.config.dhcp.contains(id) && port_is_free && !by_hand;
            if link.dhcp_enabled() != wanted {
                link.dhcp_enable(now, wanted);
            }
        }
    }

    /// Acts upon what happened on a link.
    pub(super) fn apply_events(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else {
            return;
        };
        for event in link.take_events() {
            match event {
                LinkEvent::Lease(lease) => {
                    self.network.routes.sync_lease(id, Some(&lease));
                    self.names_learned(id);
                    self.addresses_changed(now, id);
                }
                LinkEvent::LeaseLost { address: _ } => {
                    self.network.routes.sync_lease(id, None);
                    self.names_learned(id);
                    self.addresses_changed(now, id);
                }
                LinkEvent::AddressConflict { address, mac } => {
                    let [a, b, c, d, e, f] = mac;
                    log::warn!(
                        "{address} is also used by {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"
                    );
                    self.addresses_changed(now, id);
                }
                LinkEvent::NeighbourUnreachable { address, packets } => {
                    self.hop_lost(now, id, address);
                    self.avoid_gateway(now, id, address);
                    self.tcp.next_hop_unreachable(now, id, address);
                    packets
                        .iter()
                        .for_each(|packet| self.undeliverable(now, id, packet));
                }
                LinkEvent::AddressUsable { .. }
                | LinkEvent::AddressDeprecated { .. }
                | LinkEvent::AddressExpired { .. } => self.addresses_changed(now, id),
                LinkEvent::AddressDuplicate { address, mac: _ } => {
                    log::warn!("{address} is another station's, and not used");
                    self.addresses_changed(now, id);
                }
                LinkEvent::AddressesLearned => self.addresses_changed(now, id),
                LinkEvent::RoutesLearned => self.routes_learned(now, id),
                LinkEvent::ParametersLearned => self.paths_changed(now),
                LinkEvent::ResolversLearned => self.names_learned(id),
                LinkEvent::Redirected(redirect) => self.redirected(now, id, &redirect),
                LinkEvent::NeighbourResolved(address) => self.router_answers(now, id, address),
                LinkEvent::RouterLost(address) => self.router_lost(now, id, address),
            }
        }
    }

    /// RFC 1122 3.3.1.4: what goes by a gateway that does not answer goes by another, if there is one. Those that
    /// advertise themselves are looked after by their link.
    fn avoid_gateway(&mut self, now: Instant, id: LinkId, gateway: IpAddr) {
        let link = self.network.links.get(&id);
        let looked_after = link.is_some_and(|link| link.is_silent_router(gateway));
        if !looked_after && self.network.routes.avoid_gateway(now, id, gateway) {
            self.routes_changed(now);
        }
    }

    /// A packet of ours found no neighbour: whoever sent it hears what an ICMP host unreachable would say
    /// (RFC 1122 2.4, 3.2.2.1).
    fn undeliverable(&mut self, now: Instant, link: LinkId, packet: &[u8]) {
        let kind = ErrorKind::Unreachable(SocketError::HostUnreachable);
        if let Some(quoted) = icmp::quoted(kind, packet) {
            self.icmp_error(now, link, &quoted, None);
        }
    }

    /// RFC 2132 3.8 and 3.17, RFC 8106, RFC 3646: the name servers and search domains that a link was told are others.
    fn names_learned(&mut self, id: LinkId) {
        let before = self.resolvers();
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        if let Some(link) = self.network.links.get(&id) {
            let lease = link.lease();
            servers.extend(lease.iter().flat_map(|lease| &lease.dns));
            servers.extend(link.learned_resolvers());
            search.extend(lease.and_then(|lease| lease.domain.clone()));
            search.extend(link.learned_search());
        }
        let servers: Vec<ZonedAddr> = servers
            .into_iter()
            .map(|server| ZonedAddr::on(server, id))
            .collect();
        match servers.is_empty() {
            true => self.config.learned_resolvers.remove(&id),
            false => self.config.learned_resolvers.insert(id, servers),
        };
        if self.resolvers() != before {
            self.changes.insert(Change::Resolvers);
        }
        self.set_learned_search(id, search);
    }

    /// A link's addresses may have changed: connected routes, flows and the DHCP client follow.
    pub(super) fn addresses_changed(&mut self, now: Instant, id: LinkId) {
        let link = self.network.links.get(&id);
        let current: Vec<ZonedAddr> = link
            .map(Link::addresses)
            .unwrap_or_default()
            .iter()
            .map(|own| ZonedAddr::on(own.address(), id))
            .collect();
        let before = self.config.known.insert(id, current).unwrap_or_default();
        for address in before
            .into_iter()
            .filter(|address| !self.network.owns(*address))
        {
            self.tcp.address_gone(now, address);
        }
        self.changes.insert(Change::Addresses(id));
        self.network.sync_routes(id);
        self.routes_changed(now);
        self.update_dhcp(now);
    }

    /// The route table has changed: the flows ask again for their way.
    pub(super) fn routes_changed(&mut self, now: Instant) {
        self.changes.insert(Change::Routes);
        self.paths_changed(now);
    }

    /// Another way, or more or less room on it: the flows ask again.
    pub(super) fn paths_changed(&mut self, now: Instant) {
        self.tcp.reroute(now, &self.network.egress(&mut NoPorts));
    }
}

/// For questions about ways, when nothing is to be sent.
struct NoPorts;

impl Ports for NoPorts {
    fn has_room(&self, _: LinkId) -> bool {
        false
    }

    fn send<R>(&mut self, _: LinkId, _: usize, _: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        None
    }
}
