//! Routes that follow from something else: from addresses, leases and routers.

use core::net::IpAddr;
use std::collections::BTreeMap;

use smoltcp::wire::IpCidr;

use super::prefix::{default_network, full_length, host, network};
use super::{Identity, Origin, Route, RouteTable};
use crate::link::Lease;
use crate::ports::LinkId;

impl RouteTable {
    /// Makes the connected routes of `link` agree with its addresses, to be called whenever these changed: one per
    /// network, speaking from the first address in it. Routes that speak from an address that is no longer there go.
    /// An address says nothing of its network where a router has to (RFC 5942 4): such a one comes with a prefix of
    /// full length. Returns whether the table changed.
    pub fn sync_addresses(
        &mut self,
        link: LinkId,
        addresses: impl Iterator<Item = IpCidr>,
    ) -> bool {
        let addresses: Vec<IpCidr> = addresses.collect();
        let mut wanted: BTreeMap<IpCidr, IpAddr> = BTreeMap::new();
        // A prefix of full length says that the link has no network: nothing but ourselves would be reached.
        for cidr in addresses
            .iter()
            .filter(|cidr| cidr.prefix_len() < full_length(cidr))
        {
            wanted
                .entry(network(*cidr))
                .or_insert(cidr.address().into());
        }
        let has = |source: IpAddr| {
            addresses
                .iter()
                .any(|cidr| IpAddr::from(cidr.address()) == source)
        };
        let removed = self.retain(|route| {
            route.link != link
                || match route.origin {
                    Origin::Connected => wanted.get(&route.destination).copied() == route.source,
                    _ => route.source.is_none_or(has),
                }
        });
        let mut changed = removed > 0;
        for (destination, source) in wanted {
            let route = Route {
                destination,
                gateway: None,
                link,
                source: Some(source),
                metric: self.link_metric(link),
                origin: Origin::Connected,
                expires: None,
            };
            changed |= self.add(route).unwrap_or(false);
        }
        changed
    }

    /// Makes the routes that `link` owes to DHCP those of `lease`, or none. A lease's routes end with the lease, not
    /// with a time of their own. Returns whether the table changed.
    pub fn sync_lease(&mut self, link: LinkId, lease: Option<&Lease>) -> bool {
        let metric = self.link_metric(link);
        let wanted = lease
            .map(|lease| lease_routes(link, metric, lease))
            .unwrap_or_default();
        let removed = self.retain(|route| {
            route.link != link
                || route.origin != Origin::Dhcp
                || wanted.iter().any(|other| other == route)
        });
        wanted.into_iter().fold(removed > 0, |changed, route| {
            self.add(route).unwrap_or(false) || changed
        })
    }

    /// Makes the IPv6 routes that `link` owes to its routers' advertisements these: by them and on the link. Others among
    /// `wanted`, and what there is no room for, are left out; redirects have a time of their own. Returns whether lookups
    /// may find something else.
    pub fn sync_routers(&mut self, link: LinkId, wanted: impl Iterator<Item = Route>) -> bool {
        let is_theirs = |route: &Route| {
            let learned = matches!(route.origin, Origin::RouterAdvertisement | Origin::Prefix);
            learned && route.link == link && matches!(route.destination, IpCidr::Ipv6(_))
        };
        let wanted: BTreeMap<Identity, Route> = wanted
            .filter(is_theirs)
            .map(|mut route| {
                route.destination = network(route.destination);
                (route.identity(), route)
            })
            .collect();
        let removed =
            self.retain(|route| !is_theirs(route) || wanted.contains_key(&route.identity()));
        wanted.into_values().fold(removed > 0, |changed, route| {
            self.add(route).unwrap_or(false) || changed
        })
    }
}

/// The default routes of a lease, the first router preferred. A router outside the leased network (as some clouds
/// have it, with a prefix of 32) gets a route of its own to the link.
fn lease_routes(link: LinkId, metric: u32, lease: &Lease) -> Vec<Route> {
    let source = Some(IpAddr::from(lease.address.address()));
    let route = |destination, gateway, metric| Route {
        destination,
        gateway,
        link,
        source,
        metric,
        origin: Origin::Dhcp,
        expires: None,
    };
    let mut routes = Vec::new();
    for (place, &router) in (0..).zip(&lease.routers) {
        if !lease.address.contains_addr(&router.into()) {
            routes.push(route(host(router), None, metric));
        }
        let metric = metric.saturating_add(place);
        routes.push(route(default_network(router), Some(router), metric));
    }
    routes
}
