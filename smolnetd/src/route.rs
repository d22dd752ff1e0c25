//! The one route table, of both families: longest prefix, then lowest metric, then first come. There is no second
//! place that knows a route: what is configured, what routers and leases say, and what lookups find is all in here.

mod gateway;
mod prefix;
mod redirect;
mod source;
mod sync;
mod table;
#[cfg(test)]
mod tests;
mod text;

use core::net::IpAddr;

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

pub use self::gateway::GATEWAY_RETRY;
pub(crate) use self::prefix::is_host;
use self::prefix::{is_scope_of_its_own, network};
pub use self::redirect::{REDIRECT_LIFETIME, RedirectError};
pub use self::source::source_on;
pub use self::table::{MAX_ALTERNATIVES, RouteTable};
pub use self::text::{RouteParseError, RouteSpec, RouteText};

use crate::ports::LinkId;

/// Where a route comes from. It is part of a route's identity: a lease or a router that ends takes away only what it
/// brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// The network of an address of ours.
    Connected,
    /// Configured by hand or by a file.
    Static,
    /// Brought by a DHCP lease.
    Dhcp,
    /// A router's word about itself: a default route or a more specific one (RFC 4861 6.3.4, RFC 4191).
    RouterAdvertisement,
    /// A prefix that a router says is on the link (RFC 4861 6.3.4). It outlives the router (6.3.5).
    Prefix,
    /// A router's word about a better next hop for one destination (RFC 4861 8.3, RFC 1122 3.2.2.2).
    Redirect,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 6] = [
        Origin::Connected,
        Origin::Static,
        Origin::Dhcp,
        Origin::RouterAdvertisement,
        Origin::Prefix,
        Origin::Redirect,
    ];

    /// Routes of this origin that there may be. Each has a bound of its own, so that what comes from the wire cannot
    /// take the room of what was configured.
    pub fn limit(self) -> usize {
        match self {
            Origin::Static => 16_384,
            Origin::Connected
            | Origin::Dhcp
            | Origin::RouterAdvertisement
            | Origin::Prefix
            | Origin::Redirect => 1024,
        }
    }

    /// Does it come from the wire, where nobody need be believed?
    fn is_learned(self) -> bool {
        match self {
            Origin::Connected | Origin::Static => false,
            Origin::Dhcp | Origin::RouterAdvertisement | Origin::Prefix | Origin::Redirect => true,
        }
    }
}

/// What a router says of itself among others (RFC 4191 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Preference {
    /// To be used when there is no other.
    Low,
    /// What is said by who says nothing.
    Medium,
    /// To be used before others.
    High,
}

impl Preference {
    /// The meaning of the two bits; `None` is the reserved value, which means medium in the header of a router
    /// advertisement (RFC 4191 2.2) and that the option is to be ignored in a route information option (2.3).
    pub fn from_bits(bits: u8) -> Option<Preference> {
        match bits & 0b11 {
            0b01 => Some(Preference::High),
            0b00 => Some(Preference::Medium),
            0b11 => Some(Preference::Low),
            _ => None,
        }
    }

    /// The metric of a route of this preference over a link of that metric. The steps are smaller than those between
    /// links, and a configured route of metric 0 is before them all.
    pub fn metric(self, link_metric: u32) -> u32 {
        link_metric.saturating_add(match self {
            Preference::High => 10,
            Preference::Medium => 20,
            Preference::Low => 30,
        })
    }
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
    /// The address to speak from; `None` leaves it to the choice among the adapter's.
    pub source: Option<IpAddr>,
    /// Cost: of routes to the same network the lowest is taken.
    pub metric: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// When it ends; `None` is never.
    pub expires: Option<Instant>,
}

/// What makes two routes one and the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    destination: IpCidr,
    gateway: Option<IpAddr>,
    link: LinkId,
    origin: Origin,
}

impl Route {
    /// The next hop on the way to `destination`: the gateway, or `destination` itself. A group is always on the link
    /// (RFC 4861 5.2, RFC 1112 6.1).
    pub fn next_hop(&self, destination: IpAddr) -> IpAddr {
        let gateway = self.gateway.filter(|_| !destination.is_multicast());
        gateway.unwrap_or(destination)
    }

    /// The route as a line of `netcfg/route/list` at `now`, without a line feed.
    pub fn text<'a>(&'a self, link_name: &'a str, now: Instant) -> RouteText<'a> {
        RouteText {
            route: self,
            link_name,
            now,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            destination: self.destination,
            gateway: self.gateway,
            link: self.link,
            origin: self.origin,
        }
    }

    /// A next hop and a source must be addresses of one host, of the destination's family. What comes from the wire
    /// has no say about groups, this host itself and what is on the link (RFC 4861 6.3.4: the link-local prefix).
    fn is_valid(&self) -> bool {
        let family = IpAddr::from(self.destination.address()).is_ipv4();
        let fits = |address: IpAddr| address.is_ipv4() == family && is_host(address);
        let allowed = !(self.origin.is_learned() && is_scope_of_its_own(&self.destination));
        allowed && self.gateway.is_none_or(fits) && self.source.is_none_or(fits)
    }
}

/// Why a route was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// A gateway or source that is not an address of one host, or of another family than the destination; or a
    /// destination that is not for routers to give.
    Invalid,
    /// The table holds as many routes of this origin, or of this origin to this destination, as it may.
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
