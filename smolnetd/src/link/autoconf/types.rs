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

/// What routers say of the link (RFC 4861 section 6.3.2); `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::link) struct Parameters {
    /// LinkMTU in bytes, from 1280 to the adapter's own.
    pub(in crate::link) mtu: Option<u16>,
    /// CurHopLimit
    pub(in crate::link) hop_limit: Option<u8>,
    /// BaseReachableTime
    pub(in crate::link) reachable_time: Option<Duration>,
    /// RetransTimer
    pub(in crate::link) retransmit: Option<Duration>,
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
