//! The one route table, of both families: longest prefix, then lowest metric, then first come.

mod prefix;
mod sync;
#[cfg(test)]
mod tests;
mod text;

use core::hash::BuildHasherDefault;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use siphasher::sip::SipHasher13;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

pub(crate) use self::prefix::is_host;
use self::prefix::{masked, network};
pub use self::text::{RouteParseError, RouteSpec, RouteText};

use crate::ports::LinkId;

/// Where a route comes from. It is part of a route's identity: a lease that ends takes away only what it brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// The network of an address of ours.
    Connected,
    /// Configured by hand or by a file.
    Static,
    /// Brought by a DHCP lease.
    Dhcp,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network that it leads to, without host bits.
    pub destination: IpCidr,
    /// The next hop; `None` when the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// The adapter.
    pub link: LinkId,
    /// The address to speak from; `None` leaves it to the adapter.
    pub source: Option<IpAddr>,
    /// Cost: of routes to the same network the lowest is taken.
    pub metric: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// When it ends; `None` is never.
    pub expires: Option<Instant>,
}

impl Route {
    /// The next hop on the way to `destination`: the gateway, or `destination` itself.
    pub fn next_hop(&self, destination: IpAddr) -> IpAddr {
        self.gateway.unwrap_or(destination)
    }

    /// The route as a line of `netcfg/route/list`, without a line feed.
    pub fn text<'a>(&'a self, link_name: &'a str) -> RouteText<'a> {
        RouteText {
            route: self,
            link_name,
        }
    }

    fn same_identity(&self, other: &Route) -> bool {
        self.destination == other.destination
            && self.gateway == other.gateway
            && self.link == other.link
            && self.origin == other.origin
    }

    /// A next hop and a source must be addresses of one host, of the destination's family.
    fn is_valid(&self) -> bool {
        let family = IpAddr::from(self.destination.address()).is_ipv4();
        let fits = |address: IpAddr| address.is_ipv4() == family && is_host(address);
        self.gateway.is_none_or(fits) && self.source.is_none_or(fits)
    }
}

/// Why a route was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// A gateway or source that is not an address of one host, or of another family than the destination.
    Invalid,
    /// The table holds as many routes as it may.
    TooMany,
}

/// Which routes: those that have everything that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// To this network.
    pub destination: Option<IpCidr>,
    /// Over this gateway.
    pub gateway: Option<IpAddr>,
    /// Over this adapter.
    pub link: Option<LinkId>,
    /// Speaking from this address.
    pub source: Option<IpAddr>,
    /// Of this origin.
    pub origin: Option<Origin>,
}

impl Selector {
    /// Is `route` one of them?
    pub fn matches(&self, route: &Route) -> bool {
        self.destination
            .is_none_or(|destination| network(destination) == route.destination)
            && self
                .gateway
                .is_none_or(|gateway| route.gateway == Some(gateway))
            && self.link.is_none_or(|link| route.link == link)
            && self
                .source
                .is_none_or(|source| route.source == Some(source))
            && self.origin.is_none_or(|origin| route.origin == origin)
    }
}

/// Routes that the table holds at most: a bound for whoever may add them from outside.
pub const MAX_ROUTES: usize = 1024;

/// Routes to one network, best first.
type Candidates = Vec<Route>;
/// The networks of one prefix length. The hash has no secret: what is stored is configured or bounded, and what is
/// looked up is not stored.
type Networks = HashMap<IpAddr, Candidates, BuildHasherDefault<SipHasher13>>;

/// The route table. A lookup costs one hash per prefix length in use, however many routes there are.
#[derive(Debug, Default)]
pub struct RouteTable {
    v4: BTreeMap<u8, Networks>,
    v6: BTreeMap<u8, Networks>,
    count: usize,
    unusable: BTreeSet<LinkId>,
    earliest_expiry: Option<Instant>,
}

impl RouteTable {
    /// An empty table.
    pub fn new() -> RouteTable {
        RouteTable::default()
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Is there no route at all?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a route. One with the same destination, gateway, link and origin is replaced; host bits of the
    /// destination are cleared. Returns whether the table changed.
    ///
    /// # Errors
    /// See [`RouteError`]; nothing changes then.
    pub fn add(&mut self, mut route: Route) -> Result<bool, RouteError> {
        if !route.is_valid() {
            return Err(RouteError::Invalid);
        }
        route.destination = network(route.destination);
        let existing = self
            .candidates(route.destination)
            .and_then(|routes| routes.iter().find(|other| other.same_identity(&route)));
        match existing {
            Some(existing) if *existing == route => return Ok(false),
            None if self.count >= MAX_ROUTES => return Err(RouteError::TooMany),
            _ => {}
        }
        let address = IpAddr::from(route.destination.address());
        let lengths = if address.is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        };
        let routes = lengths
            .entry(route.destination.prefix_len())
            .or_default()
            .entry(address)
            .or_default();
        let before = routes.len();
        // A replaced route keeps its place among those of its metric.
        match routes.iter().position(|other| other.same_identity(&route)) {
            Some(place)
                if routes
                    .get(place)
                    .is_some_and(|other| other.metric == route.metric) =>
            {
                if let Some(other) = routes.get_mut(place) {
                    *other = route;
                }
            }
            place => {
                place.map(|place| routes.remove(place));
                let place = routes.partition_point(|other| other.metric <= route.metric);
                routes.insert(place, route);
            }
        }
        self.count = self
            .count
            .saturating_add(routes.len().saturating_sub(before));
        self.find_earliest_expiry();
        Ok(true)
    }

    /// Takes away the routes that `selector` names. Returns how many they were.
    pub fn remove(&mut self, selector: &Selector) -> usize {
        self.retain(|route| !selector.matches(route))
    }

    /// Takes away the routes over an adapter that has gone. Returns how many they were.
    pub fn remove_link(&mut self, link: LinkId) -> usize {
        self.unusable.remove(&link);
        self.retain(|route| route.link != link)
    }

    /// Says whether packets can leave over `link`. Routes over links that are down stay, but lookups pass them by.
    pub fn set_link_usable(&mut self, link: LinkId, usable: bool) {
        if usable {
            self.unusable.remove(&link);
        } else {
            self.unusable.insert(link);
        }
    }

    /// Takes away the routes whose time is over. Returns how many they were.
    pub fn expire(&mut self, now: Instant) -> usize {
        if self.earliest_expiry.is_none_or(|expires| expires > now) {
            return 0;
        }
        self.retain(|route| route.expires.is_none_or(|expires| expires > now))
    }

    /// When [`RouteTable::expire`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.earliest_expiry
    }

    /// The route to take: the longest prefix, then the lowest metric, then the one that was there first; links that
    /// are down are passed by.
    pub fn lookup(&self, destination: IpAddr) -> Option<&Route> {
        self.find(destination, |_| true)
    }

    /// The route to take for a packet that has to leave over `link`.
    pub fn lookup_on(&self, destination: IpAddr, link: LinkId) -> Option<&Route> {
        self.find(destination, |route| route.link == link)
    }

    /// The link on which `gateway` is to be found: that of the connected route to it. For routes configured without
    /// a device.
    pub fn link_to(&self, gateway: IpAddr) -> Option<LinkId> {
        self.lookup(gateway)
            .filter(|route| route.gateway.is_none())
            .map(|route| route.link)
    }

    /// All routes: IPv4 before IPv6, short prefixes (the default route first) before long ones, then by address and
    /// as a lookup prefers them.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        [&self.v4, &self.v6]
            .into_iter()
            .flat_map(BTreeMap::values)
            .flat_map(|networks| {
                let mut networks: Vec<_> = networks.iter().collect();
                networks.sort_unstable_by_key(|(address, _)| **address);
                networks.into_iter().flat_map(|(_, routes)| routes)
            })
    }

    fn candidates(&self, destination: IpCidr) -> Option<&Candidates> {
        let address = IpAddr::from(destination.address());
        let lengths = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        lengths.get(&destination.prefix_len())?.get(&address)
    }

    fn find(&self, destination: IpAddr, wanted: impl Fn(&Route) -> bool) -> Option<&Route> {
        let lengths = if destination.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        lengths.iter().rev().find_map(|(length, networks)| {
            let routes = networks.get(&masked(destination, *length))?;
            routes
                .iter()
                .find(|route| !self.unusable.contains(&route.link) && wanted(route))
        })
    }

    fn retain(&mut self, keep: impl Fn(&Route) -> bool) -> usize {
        let before = self.count;
        self.count = 0;
        for lengths in [&mut self.v4, &mut self.v6] {
            lengths.retain(|_, networks| {
                networks.retain(|_, routes| {
                    routes.retain(&keep);
                    self.count = self.count.saturating_add(routes.len());
                    !routes.is_empty()
                });
                !networks.is_empty()
            });
        }
        self.find_earliest_expiry();
        before.saturating_sub(self.count)
    }

    fn find_earliest_expiry(&mut self) {
        let networks = self.v4.values().chain(self.v6.values());
        let routes = networks.flat_map(HashMap::values).flatten();
        self.earliest_expiry = routes.filter_map(|route| route.expires).min();
    }
}
