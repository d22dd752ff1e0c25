//! What router discovery tells others.

use core::net::Ipv6Addr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::Ipv6Cidr;

use super::wire::Redirect;
use crate::route::Preference;

/// A route that is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoRoute {
    /// To this network, without host bits.
    pub destination: Ipv6Cidr,
    /// By way of this router; `None` when the destination is on the link.
    pub gateway: Option<Ipv6Addr>,
    /// How much the router is preferred to others; medium for what is on the link.
    pub preference: Preference,
    /// When it ends; `None` is never.
    pub expires: Option<Instant>,
}

/// What routers say of the link (RFC 4861 section 6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) struct Parameters {
    /// LinkMTU in bytes, from 1280 to the adapter's own, if anybody says it.
    pub(in crate::link) mtu: Option<u16>,
    /// CurHopLimit
    pub(in crate::link) hop_limit: u8,
    /// BaseReachableTime, as it is said: what cannot be is for the neighbours to pass over.
    pub(in crate::link) reachable_time: Duration,
    /// RetransTimer, likewise.
    pub(in crate::link) retransmit: Duration,
}

impl Default for Parameters {
    /// What holds while no router says anything: RFC 4861 section 10 and RFC 1700.
    fn default() -> Parameters {
        Parameters {
            mtu: None,
            hop_limit: 64,
            reachable_time: Duration::from_secs(30),
            retransmit: Duration::from_secs(1),
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::link) enum Action {
    /// This IPv6 packet is to be sent to the group that it is addressed to.
    Multicast(Vec<u8>),
    /// [`Autoconf::addresses`] says something new.
    Addresses,
    /// [`Autoconf::routes`] says something new.
    Routes,
    /// [`Autoconf::resolvers`] or [`Autoconf::search`] says something new.
    Resolvers,
    /// [`Autoconf::parameters`] says something new.
    Parameters,
    /// A router has told its Ethernet address (RFC 4861 section 6.3.4).
    Neighbour { address: Ipv6Addr, mac: [u8; 6] },
    /// Does this router answer again? [`Autoconf::router_reachable`] when it does.
    Probe(Ipv6Addr),
    /// To be taken if `router` is the first hop to `destination`, which only the route table knows, and dropped
    /// otherwise.
    Redirect(Redirect),
}
