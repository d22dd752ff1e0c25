//! What an address of an adapter is.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressOrigin {
    /// Configured by hand or by a file.
    Static,
    /// Granted by a DHCP server.
    Dhcp,
    /// Of the link alone, made by the adapter itself (RFC 4862 section 5.3).
    LinkLocal,
    /// Made by the adapter itself for a prefix of a router's (RFC 4862 section 5.5).
    Slaac,
    /// As that, and another one every day (RFC 8981).
    Temporary,
}

/// How far an address may be used: RFC 4862 section 2. One of IPv4 is always preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressState {
    /// Others are still being asked whether they have it: it is neither used nor answered.
    Tentative,
    /// In use without restriction.
    Preferred,
    /// In use, but not to be chosen for anything new.
    Deprecated,
    /// Another station has it: it is not used until the carrier has been away.
    Duplicate,
}

impl AddressState {
    /// May it be used at all: is it assigned, in the words of RFC 4862?
    pub fn is_usable(self) -> bool {
        matches!(self, AddressState::Preferred | AddressState::Deprecated)
    }
}

/// One address of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address and the prefix of its network.
    pub cidr: IpCidr,
    /// Where it comes from.
    pub origin: AddressOrigin,
    /// How far it may be used.
    pub state: AddressState,
    /// When it is deprecated; `None`: never.
    pub preferred_until: Option<Instant>,
    /// When it goes; `None`: never.
    pub valid_until: Option<Instant>,
}

impl LinkAddress {
    /// An address that is preferred for ever.
    pub fn new(cidr: IpCidr, origin: AddressOrigin) -> LinkAddress {
        LinkAddress {
            cidr,
            origin,
            state: AddressState::Preferred,
            preferred_until: None,
            valid_until: None,
        }
    }

    /// The address without its prefix.
    pub fn address(&self) -> IpAddr {
        self.cidr.address().into()
    }

    /// The broadcast address of its network; `None` for IPv6 and for prefixes of 31 (RFC 3021) and 32.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.cidr {
            IpCidr::Ipv4(cidr) => cidr.broadcast(),
            IpCidr::Ipv6(_) => None,
        }
    }

    /// Does it say that its network is on the link? An address that was made for a router's prefix does not
    /// (RFC 5942 section 4), nor one that may not be used.
    pub fn is_connected(&self) -> bool {
        let by_router = matches!(self.origin, AddressOrigin::Slaac | AddressOrigin::Temporary);
        self.state.is_usable() && !by_router
    }

    pub(super) fn is_link_local(&self) -> bool {
        matches!(self.address(), IpAddr::V6(address) if address.is_unicast_link_local())
    }

    /// What its lifetimes say at `now`, if nobody else has it.
    pub(super) fn state_at(&self, now: Instant) -> AddressState {
        match self.preferred_until {
            Some(until) if until <= now => AddressState::Deprecated,
            _ => AddressState::Preferred,
        }
    }

    /// When its state changes by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let preferred = match self.state {
            AddressState::Preferred => self.preferred_until,
            _ => None,
        };
        [preferred, self.valid_until].into_iter().flatten().min()
    }
}

/// Why an address was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Not an address that a host may have on this kind of adapter: unspecified, broadcast, multicast, a network's
    /// own, or a loopback address elsewhere than on the loopback link.
    Invalid,
    /// The adapter has [`super::MAX_ADDRESSES`].
    TooMany,
}
