//! The table itself: a hash of networks for each prefix length, and when which route ends.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use super::gateway::{GATEWAY_RETRY, Gateways};
use super::prefix::{masked, network};
use super::{Identity, Origin, Route, RouteError, Selector};
use crate::flow::table::Keyed;
use crate::ports::LinkId;

/// Routes of one origin to one destination that there may be: what a lookup passes by at most.
pub const MAX_ALTERNATIVES: usize = 16;

/// Routes to one network, best first.
type Candidates = Vec<Route>;
/// The networks of one prefix length.
type Networks = HashMap<IpAddr, Candidates, Keyed>;

/// The route table. A lookup costs one hash per prefix length in use, however many routes there are.
#[derive(Debug)]
pub struct RouteTable {
    key: Keyed,
    v4: BTreeMap<u8, Networks>,
    v6: BTreeMap<u8, Networks>,
    counts: BTreeMap<Origin, usize>,
    /// When each route with an end ends.
    ends: BTreeSet<(Instant, Identity)>,
    unusable: BTreeSet<LinkId>,
    pub(super) gateways: Gateways,
    link_metrics: BTreeMap<LinkId, u32>,
}

impl RouteTable {
    /// An empty table, hashed under `key`: a router that chooses its prefixes cannot choose what collides.
    pub fn new(key: Keyed) -> RouteTable {
        RouteTable {
            key,
            v4: BTreeMap::new(),
            v6: BTreeMap::new(),
            counts: BTreeMap::new(),
            ends: BTreeSet::new(),
            unusable: BTreeSet::new(),
            gateways: Gateways::default(),
            link_metrics: BTreeMap::new(),
        }
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.counts.values().sum()
    }

    /// Is there no route at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a route. One with the same destination, gateway, link and origin is replaced; host bits of the
    /// destination are cleared. Returns whether lookups may find something else now: a lifetime alone changes none.
    ///
    /// # Errors
    /// See [`RouteError`]; nothing changes then.
    pub fn add(&mut self, mut route: Route) -> Result<bool, RouteError> {
        if !route.is_valid() {
            return Err(RouteError::Invalid);
        }
        route.destination = network(route.destination);
        let identity = route.identity();
        let before = self.get(&identity).cloned();
        if before.is_none() {
            self.make_room(&route)?;
        }
        let changed = before.as_ref().is_none_or(|before| {
            let expires = route.expires;
            Route {
                expires,
                ..before.clone()
            } != route
        });
        if let Some(end) = before.and_then(|before| before.expires) {
            self.ends.remove(&(end, identity));
        }
        if let Some(end) = route.expires {
            self.ends.insert((end, identity));
        }
        self.place(route);
        Ok(changed)
    }

    /// Puts a route among those to its network: a replaced one keeps its place among those of its metric.
    fn place(&mut self, route: Route) {
        let key = self.key;
        let (length, address) = (
            route.destination.prefix_len(),
            address_of(&route.destination),
        );
        let routes = self
            .lengths_mut(address)
            .entry(length)
            .or_insert_with(|| Networks::with_hasher(key))
            .entry(address)
            .or_default();
        let identity = route.identity();
        let place = routes.iter().position(|other| other.identity() == identity);
        if place.is_none() {
            let count = self.counts.entry(route.origin).or_default();
            *count = count.saturating_add(1);
            if let Some(gateway) = route.gateway {
                self.gateways.add((route.link, gateway));
            }
        }
        let Some(routes) = self.candidates_mut(&identity.destination) else {
            return;
        };
        if let Some(other) = place
            .and_then(|place| routes.get_mut(place))
            .filter(|other| other.metric == route.metric)
        {
            *other = route;
            return;
        }
        place.map(|place| routes.remove(place));
        let place = routes.partition_point(|other| other.metric <= route.metric);
        routes.insert(place, route);
    }

    /// Sees to it that one more route of that origin and destination may come.
    fn make_room(&mut self, route: &Route) -> Result<(), RouteError> {
        let alternatives = || {
            let all = self.candidates(&route.destination).into_iter().flatten();
            all.filter(|other| other.origin == route.origin)
        };
        let victim = if alternatives().count() >= MAX_ALTERNATIVES {
            // A flood of routers that never were must not keep out one that is.
            let dead = alternatives().find(|other| !self.is_reachable(other));
            dead.map(Route::identity)
                .filter(|_| route.origin.is_learned())
        } else if self.count(route.origin) < route.origin.limit() {
            return Ok(());
        } else if route.origin == Origin::Redirect {
            // Redirects are a cache (RFC 4861 5.1): what ends first is the oldest.
            let mut ends = self.ends.iter().map(|(_, identity)| *identity);
            ends.find(|identity| identity.origin == Origin::Redirect)
        } else {
            None
        };
        let taken = victim.and_then(|victim| self.take(&victim));
        taken.map(|_| ()).ok_or(RouteError::TooMany)
    }

    /// How many routes of that origin there are.
    pub fn count(&self, origin: Origin) -> usize {
        self.counts.get(&origin).copied().unwrap_or(0)
    }

    /// Takes away the routes that `selector` names. Returns how many they were.
    pub fn remove(&mut self, selector: &Selector) -> usize {
        let Some(destination) = selector.destination else {
            return self.retain(|route| !selector.matches(route));
        };
        let named = self.candidates(&network(destination)).into_iter().flatten();
        let gone: Vec<Identity> = named
            .filter(|route| selector.matches(route))
            .map(Route::identity)
            .collect();
        self.take_all(&gone)
    }

    /// Takes away what a router brought that is none any more: its own routes, and those that it redirected to itself
    /// or others to it (RFC 4861 6.3.5, 7.3.3). Returns how many they were.
    pub fn remove_router(&mut self, link: LinkId, router: IpAddr) -> usize {
        self.retain(|route| {
            let learned = matches!(route.origin, Origin::RouterAdvertisement | Origin::Redirect);
            !(learned && route.link == link && route.gateway == Some(router))
        })
    }

    /// Takes away the routes over an adapter that has gone. Returns how many they were.
    pub fn remove_link(&mut self, link: LinkId) -> usize {
        self.unusable.remove(&link);
        self.link_metrics.remove(&link);
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

    /// What routes that follow from addresses, leases and routers cost over `link`, from now on: among adapters that
    /// lead to the same place, the one with the lowest is taken.
    pub fn set_link_metric(&mut self, link: LinkId, metric: u32) {
        self.link_metrics.insert(link, metric);
    }

    /// What [`RouteTable::set_link_metric`] said; 0 if nothing.
    pub fn link_metric(&self, link: LinkId) -> u32 {
        self.link_metrics.get(&link).copied().unwrap_or(0)
    }

    /// Says whether the neighbour `gateway` answers. Lookups pass by one that does not, for as long as another route
    /// leads there (RFC 4191 3.2, RFC 4861 6.3.6, RFC 1122 3.3.1.5). Returns whether that is news.
    pub fn set_gateway_reachable(
        &mut self,
        link: LinkId,
        gateway: IpAddr,
        reachable: bool,
    ) -> bool {
        self.gateways.set((link, gateway), !reachable, None)
    }

    /// The neighbour `gateway` does not answer, and nobody will say when it does again: it is passed by for
    /// [`GATEWAY_RETRY`]. Returns whether that is news.
    pub fn avoid_gateway(&mut self, now: Instant, link: LinkId, gateway: IpAddr) -> bool {
        let retry = Some(now + GATEWAY_RETRY);
        self.gateways.set((link, gateway), true, retry)
    }

    /// Takes away the routes whose time is over, and has gateways tried again. Returns how many these were together.
    pub fn expire(&mut self, now: Instant) -> usize {
        let ended = self.ends.iter().take_while(|(end, _)| *end <= now);
        let gone: Vec<Identity> = ended.map(|(_, identity)| *identity).collect();
        self.take_all(&gone)
            .saturating_add(self.gateways.expire(now))
    }

    /// When [`RouteTable::expire`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let end = self.ends.first().map(|(end, _)| *end);
        [end, self.gateways.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The route to take: the longest prefix, then the lowest metric, then the one that was there first; links that
    /// are down are passed by, and gateways that do not answer unless there is no other.
    pub fn lookup(&self, destination: IpAddr) -> Option<&Route> {
        self.search(destination, |_| true, &mut 0)
    }

    /// The route to take for a packet that has to leave over `link`.
    pub fn lookup_on(&self, destination: IpAddr, link: LinkId) -> Option<&Route> {
        self.search(destination, |route| route.link == link, &mut 0)
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

    /// The lookup. Each hash and each route that is looked at adds to `steps`.
    pub(super) fn search(
        &self,
        destination: IpAddr,
        wanted: impl Fn(&Route) -> bool,
        steps: &mut usize,
    ) -> Option<&Route> {
        let mut unreachable = None;
        for (length, networks) in self.lengths(destination).iter().rev() {
            *steps += 1;
            for route in networks
                .get(&masked(destination, *length))
                .into_iter()
                .flatten()
            {
                *steps += 1;
                if self.unusable.contains(&route.link) || !wanted(route) {
                    continue;
                }
                if self.is_reachable(route) {
                    return Some(route);
                }
                unreachable = unreachable.or(Some(route));
            }
        }
        unreachable
    }

    fn is_reachable(&self, route: &Route) -> bool {
        route
            .gateway
            .is_none_or(|gateway| !self.gateways.is_avoided((route.link, gateway)))
    }

    fn lengths(&self, family_of: IpAddr) -> &BTreeMap<u8, Networks> {
        if family_of.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        }
    }

    fn lengths_mut(&mut self, family_of: IpAddr) -> &mut BTreeMap<u8, Networks> {
        if family_of.is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        }
    }

    fn candidates(&self, destination: &IpCidr) -> Option<&Candidates> {
        let address = address_of(destination);
        self.lengths(address)
            .get(&destination.prefix_len())?
            .get(&address)
    }

    fn candidates_mut(&mut self, destination: &IpCidr) -> Option<&mut Candidates> {
        let address = address_of(destination);
        self.lengths_mut(address)
            .get_mut(&destination.prefix_len())?
            .get_mut(&address)
    }

    fn get(&self, identity: &Identity) -> Option<&Route> {
        let mut routes = self.candidates(&identity.destination)?.iter();
        routes.find(|route| route.identity() == *identity)
    }

    /// Takes away the routes that are not to be kept. Returns how many they were.
    pub(super) fn retain(&mut self, keep: impl Fn(&Route) -> bool) -> usize {
        let networks = self.v4.values().chain(self.v6.values());
        let routes = networks.flat_map(HashMap::values).flatten();
        let gone: Vec<Identity> = routes
            .filter(|route| !keep(route))
            .map(Route::identity)
            .collect();
        self.take_all(&gone)
    }

    fn take_all(&mut self, gone: &[Identity]) -> usize {
        gone.iter()
            .filter_map(|identity| self.take(identity))
            .count()
    }

    /// Takes one route out, and leaves nothing empty behind.
    fn take(&mut self, identity: &Identity) -> Option<Route> {
        let routes = self.candidates_mut(&identity.destination)?;
        let place = routes
            .iter()
            .position(|route| route.identity() == *identity)?;
        let route = routes.remove(place);
        let is_last = routes.is_empty();
        if let Some(end) = route.expires {
            self.ends.remove(&(end, *identity));
        }
        if let Some(count) = self.counts.get_mut(&identity.origin) {
            *count = count.saturating_sub(1);
        }
        if let Some(gateway) = identity.gateway {
            self.gateways.remove((identity.link, gateway));
        }
        if is_last {
            let (length, address) = (
                identity.destination.prefix_len(),
                address_of(&identity.destination),
            );
            let lengths = self.lengths_mut(address);
            let networks = lengths.get_mut(&length)?;
            networks.remove(&address);
            if networks.is_empty() {
                lengths.remove(&length);
            }
        }
        Some(route)
    }
}

fn address_of(cidr: &IpCidr) -> IpAddr {
    cidr.address().into()
}
