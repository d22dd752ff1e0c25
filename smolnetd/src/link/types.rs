//! What an adapter is made of, and what it tells others.

use core::net::IpAddr;

use smoltcp::wire::IpCidr;

use super::{Lease, NeighbourState, Redirect};

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// Frames with an Ethernet header; neighbours are resolved.
    Ethernet,
    /// What is sent comes back to this machine, without a header.
    Loopback,
}

/// How an adapter is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Its name, as in `netcfg/ifaces/<name>`: `eth0`, `lo`.
    pub name: String,
    /// Its Ethernet address; all zero for the loopback link.
    pub mac: [u8; 6],
    /// Largest IP packet in bytes, Ethernet header not counted.
    pub mtu: u16,
    /// Does it have a carrier?
    pub up: bool,
    /// What it is made of.
    pub kind: LinkKind,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// No room in the adapter's transmit ring (or the loopback queue): wait for it and come again.
    Full,
    /// The adapter is down.
    Down,
    /// A next hop that cannot be resolved on this link.
    Unreachable,
    /// Too many packets already wait for next hops to be resolved: this one is dropped.
    QueueFull,
    /// Larger than the MTU.
    TooBig,
}

/// What happened on an adapter that others must act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// A lease began, or a renewal changed it. The link has already taken its address in (and the former one away):
    /// routes and resolvers are to follow.
    Lease(Lease),
    /// The lease ended. The link has already taken this address away: routes and resolvers are to follow.
    LeaseLost {
        /// The address that was leased.
        address: IpCidr,
    },
    /// A next hop answers.
    NeighbourResolved(IpAddr),
    /// A next hop did not answer.
    NeighbourUnreachable {
        /// The next hop.
        address: IpAddr,
        /// The IP packets that waited for it, oldest first: for the ICMP errors that their senders are owed
        /// (RFC 1122 section 2.4: host unreachable).
        packets: Vec<Box<[u8]>>,
    },
    /// Another station claims an address of ours (RFC 5227 section 2.4). One that was leased only just now has been
    /// given up, and [`LinkEvent::LeaseLost`] follows; any other stays.
    AddressConflict {
        /// Our address.
        address: IpAddr,
        /// Who claims it.
        mac: [u8; 6],
    },
    /// Nobody else has this address of IPv6: it may be used from now on (RFC 4862 section 5.4).
    AddressUsable {
        /// The address.
        address: IpCidr,
    },
    /// Another station has this address of IPv6, which was still tentative: it is not used. One that the adapter made
    /// itself is replaced by another, for which [`LinkEvent::AddressUsable`] may follow.
    AddressDuplicate {
        /// The address.
        address: IpCidr,
        /// Who has it.
        mac: [u8; 6],
    },
    /// The preferred lifetime of an address is over: nothing new is to speak from it (RFC 4862 section 5.5.4).
    AddressDeprecated {
        /// The address.
        address: IpCidr,
    },
    /// The valid lifetime of an address is over; it has been taken away.
    AddressExpired {
        /// The address.
        address: IpCidr,
    },
    /// A neighbour that was a router does not answer, or says that it is none any more (RFC 4861 section 7.2.5).
    RouterLost(IpAddr),
    /// The addresses that routers give were made others: what hangs on them is to follow.
    AddressesLearned,
    /// [`super::Link::learned_routes`] says something new.
    RoutesLearned,
    /// Routers say another MTU or hop limit for the link.
    ParametersLearned,
    /// [`super::Link::learned_resolvers`] or [`super::Link::learned_search`] says something new.
    ResolversLearned,
    /// A router says that another next hop is better for one destination (RFC 4861 section 8): to be followed if it is
    /// the first hop there.
    Redirected(Redirect),
}

impl LinkEvent {
    /// Is it about what the adapter itself has? Nobody from outside can bring about many of these.
    pub(super) fn is_of_own_addresses(&self) -> bool {
        match self {
            LinkEvent::Lease(_)
            | LinkEvent::LeaseLost { .. }
            | LinkEvent::AddressUsable { .. }
            | LinkEvent::AddressDeprecated { .. }
            | LinkEvent::AddressExpired { .. }
            | LinkEvent::AddressDuplicate { .. }
            | LinkEvent::AddressesLearned
            | LinkEvent::RoutesLearned
            | LinkEvent::ParametersLearned
            | LinkEvent::ResolversLearned => true,
            LinkEvent::NeighbourResolved(_)
            | LinkEvent::NeighbourUnreachable { .. }
            | LinkEvent::RouterLost(_)
            | LinkEvent::Redirected(_)
            | LinkEvent::AddressConflict { .. } => false,
        }
    }
}

/// A neighbour as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourInfo {
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address, once known.
    pub mac: Option<[u8; 6]>,
    /// How well it is known.
    pub state: NeighbourState,
    /// Does it say that it is a router? Only neighbours of IPv6 do (RFC 4861 section 5.1, IsRouter).
    pub router: bool,
}
