//! What the links learn from IPv6 routers, made the host's: routes, addresses, name servers.

use core::net::IpAddr;

use smoltcp::time::Instant;
use smoltcp::wire::{IpCidr, Ipv6Cidr};

use super::identifiers::Choice;
use super::input::{DHCP_CLIENT_PORT, DHCPV6_CLIENT_PORT};
use super::{Change, Stack};
use crate::error::SocketError;
use crate::link::{AutoRoute, Ipv6Config, LinkKind, Redirect};
use crate::ports::LinkId;
use crate::route::{Origin, Route, Selector};

impl Stack {
    /// Lets a link give itself IPv6 addresses and look for routers.
    ///
    /// # Errors
    /// `NoDevice`, or `NotSupported` for the loopback link.
    pub fn enable_ipv6(
        &mut self,
        now: Instant,
        id: LinkId,
        config: Ipv6Config,
    ) -> Result<(), SocketError> {
        let port_is_free = self.udp.holders(DHCPV6_CLIENT_PORT).next().is_none();
        let link = self
            .network
            .links
            .get_mut(&id)
            .ok_or(SocketError::NoDevice)?;
        if link.kind() != LinkKind::Ethernet {
            return Err(SocketError::NotSupported);
        }
        link.enable_ipv6(now, config);
        link.discover_routers(now, true);
        link.allow_dhcpv6(now, port_is_free);
        self.config.own_addresses.insert(id, Choice::new(config));
        self.apply_events(now, id);
        Ok(())
    }

    /// A secret for the interface identifiers of a machine that has none yet (RFC 7217 5).
    pub fn fresh_identifier_secret(&self) -> u128 {
        let half = |part: u8| self.network.secret.hash("interface identifiers", part);
        u128::from(half(0)) << 64 | u128::from(half(1))
    }

    /// RFC 4861 6.3.4, RFC 4191 3: the routes over `id` that routers answer for are those that its link knows, and so is
    /// which of these do not answer: one that is new, or was met again, may have been given up before.
    pub(super) fn routes_learned(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.network.links.get(&id) else {
            return;
        };
        let metric = self.network.routes.link_metric(id);
        let routers = link.learned_routes().filter_map(|learned| learned.gateway);
        for router in routers.map(IpAddr::V6) {
            let answers = !link.is_silent_router(router);
            self.network
                .routes
                .set_gateway_reachable(id, router, answers);
        }
        let routes: Vec<Route> = link
            .learned_routes()
            .map(|learned| route(id, metric, &learned))
            .collect();
        if self.network.routes.sync_routers(id, routes.into_iter()) {
            self.routes_changed(now);
        }
        // New lifetimes are shown, but concern no connection.
        self.changes.insert(Change::Routes);
    }

    /// RFC 4861 8.3: another first hop for one destination, if the one that we use says so.
    pub(super) fn redirected(&mut self, now: Instant, id: LinkId, redirect: &Redirect) {
        let followed = self.network.routes.redirect(
            now,
            id,
            redirect.router.into(),
            redirect.destination.into(),
            redirect.target.into(),
        );
        match followed {
            Ok(true) => self.routes_changed(now),
            Ok(false) => {}
            Err(_) => {
                if let Some(link) = self.network.links.get_mut(&id) {
                    link.refuse_redirect();
                }
            }
        }
    }

    /// RFC 4861 7.3.3: a router answers (again).
    pub(super) fn router_answers(&mut self, now: Instant, id: LinkId, router: IpAddr) {
        if self.network.routes.set_gateway_reachable(id, router, true) {
            self.routes_changed(now);
        }
    }

    /// RFC 4861 6.3.6 and 7.3.3: a router does not answer. What goes by it goes by another, if there is one, and where
    /// it was the target of a redirect, as before that. One that resigned has lost its routes already.
    pub(super) fn router_lost(&mut self, now: Instant, id: LinkId, router: IpAddr) {
        let silent = self
            .network
            .links
            .get(&id)
            .is_some_and(|link| link.is_silent_router(router));
        let removed = self.remove_redirects(id, router);
        let lost = silent && self.network.routes.set_gateway_reachable(id, router, false);
        if removed || lost {
            self.routes_changed(now);
        }
    }

    /// RFC 4861 7.3.3: a neighbour does not answer. Where a redirect leads to it, the way is again as before that.
    pub(super) fn hop_lost(&mut self, now: Instant, id: LinkId, hop: IpAddr) {
        if self.remove_redirects(id, hop) {
            self.routes_changed(now);
        }
    }

    /// Takes away the redirects by way of `hop`, and to it as a neighbour. True when there were some.
    fn remove_redirects(&mut self, id: LinkId, hop: IpAddr) -> bool {
        let by_way = Selector {
            gateway: Some(hop),
            link: Some(id),
            origin: Some(Origin::Redirect),
            ..Selector::default()
        };
        let to_it = Selector {
            destination: Some(IpCidr::new(
                hop.into(),
                if hop.is_ipv4() { 32 } else { 128 },
            )),
            gateway: None,
            ..by_way
        };
        let routes = &mut self.network.routes;
        routes.remove(&by_way).saturating_add(routes.remove(&to_it)) > 0
    }

    /// A program took or gave back a UDP port: if it is that of a DHCP client, the program is the client meanwhile.
    pub(super) fn dhcp_port_changed(&mut self, now: Instant, port: u16) {
        if port == DHCP_CLIENT_PORT {
            self.update_dhcp(now);
        }
        if port != DHCPV6_CLIENT_PORT {
            return;
        }
        let port_is_free = self.udp.holders(DHCPV6_CLIENT_PORT).next().is_none();
        for link in self.network.links.values_mut() {
            link.allow_dhcpv6(now, port_is_free);
        }
    }
}

/// A learned route as the table has it.
fn route(link: LinkId, link_metric: u32, learned: &AutoRoute) -> Route {
    let AutoRoute {
        destination,
        gateway,
        preference,
        expires,
    } = *learned;
    let (origin, metric) = match gateway {
        Some(_) => (Origin::RouterAdvertisement, preference.metric(link_metric)),
        None => (Origin::Prefix, link_metric),
    };
    let destination: Ipv6Cidr = destination;
    Route {
        destination: IpCidr::Ipv6(destination),
        gateway: gateway.map(IpAddr::V6),
        link,
        source: None,
        metric,
        origin,
        expires,
    }
}
