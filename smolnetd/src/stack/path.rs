//! Which way a packet takes: the one route table, zones (RFC 4007), and the address to speak from.

use core::net::{IpAddr, Ipv4Addr};

use super::network::{LOOPBACK, Network};
use crate::error::SocketError;
use crate::ip::{DEFAULT_TTL, ZonedAddr, needs_zone, v6};
use crate::link::{Link, LinkKind};
use crate::output::Path;
use crate::ports::LinkId;
use crate::route::{Route, source_on};

impl Network {
    /// How a packet gets to `to`: over which link, to which neighbour, and from which address, unless `bound` says
    /// that.
    ///
    /// # Errors
    /// No route, no address to speak from, the link is down, an address that is nobody's, or, of a link-local one, one
    /// that does not say on which link it is.
    pub(super) fn path(
        &self,
        to: ZonedAddr,
        bound: Option<ZonedAddr>,
    ) -> Result<Path, SocketError> {
        let destination = to.address;
        if destination.is_unspecified() {
            return Err(SocketError::Invalid);
        }
        if bound.is_some_and(|bound| bound.address.is_ipv4() != destination.is_ipv4()) {
            return Err(SocketError::NetworkUnreachable);
        }
        let source = bound.map(|bound| bound.address);
        let zone = match needs_zone(destination) {
            true => Some(self.zone(to, bound)?),
            false => None,
        };
        let to = ZonedAddr {
            address: destination,
            zone,
        };
        if self.has(to) {
            let path = self.path_over(LOOPBACK, to, destination, source.or(Some(destination)))?;
            let zone = zone.or(bound.and_then(|bound| bound.zone));
            return Ok(Path {
                zone: zone.unwrap_or(LOOPBACK),
                ..path
            });
        }
        // RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3: what is of the loopback stays in the host.
        if bound.is_some_and(|bound| bound.address.is_loopback()) {
            return Err(SocketError::Invalid);
        }
        match zone {
            Some(link) => self.path_over(link, to, destination, source),
            None => self.path_by_route(destination, bound),
        }
    }

    /// The same for an address of which no zone was told: `source` says it, if it is on one link only.
    ///
    /// # Errors
    /// As [`Network::path`], and `AddressNotAvailable` if `source` is not ours.
    pub(super) fn path_from(
        &self,
        destination: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<Path, SocketError> {
        let mut owners = self
            .links
            .values()
            .filter(|link| source.is_some_and(|source| link.has_address(source)));
        let owner = owners.next().filter(|_| owners.next().is_none());
        let zoned = |address| match owner {
            Some(link) => ZonedAddr::on(address, link.id()),
            None => ZonedAddr::from(address),
        };
        let bound = source.map(zoned);
        if bound.is_some_and(|bound| !self.has(bound)) {
            return Err(SocketError::AddressNotAvailable);
        }
        self.path(zoned(destination), bound)
    }

    fn path_by_route(
        &self,
        destination: IpAddr,
        bound: Option<ZonedAddr>,
    ) -> Result<Path, SocketError> {
        let to = ZonedAddr::from(destination);
        let source = bound.map(|bound| bound.address);
        let route = match bound.and_then(|bound| bound.zone) {
            _ if is_limited_broadcast(destination) => None,
            // RFC 4007 9: what comes from a link-local address stays on the link.
            Some(link) => self.routes.lookup_on(destination, link),
            None => self.route_from(destination, source),
        };
        if let Some(route) = route {
            let own = |source: &IpAddr| self.has(ZonedAddr::on(*source, route.link));
            let source = source.or(route.source.filter(own));
            return self.path_over(route.link, to, route.next_hop(destination), source);
        }
        if is_limited_broadcast(destination) || destination.is_multicast() {
            let link = self
                .broadcast_link(bound)
                .ok_or(SocketError::NetworkUnreachable)?;
            return self.path_over(link, to, destination, source);
        }
        Err(SocketError::NetworkUnreachable)
    }

    /// Of several routes to one network, what is sent from an address of ours takes the one over the link that has it
    /// (RFC 8028 3.2): a connection stays where it is while other adapters come and go.
    fn route_from(&self, destination: IpAddr, source: Option<IpAddr>) -> Option<&Route> {
        let best = self.routes.lookup(destination)?;
        let owner = source
            .filter(|source| !source.is_unspecified())
            .and_then(|source| self.links.values().find(|link| link.has_address(source)));
        owner
            .filter(|owner| owner.id() != best.link)
            .and_then(|owner| self.routes.lookup_on(destination, owner.id()))
            .filter(|own| own.destination == best.destination)
            .or(Some(best))
    }

    /// RFC 4007 6: the link that an address belongs to. Of two that are told, both must be the same; a group that
    /// nobody says more of is on the link that broadcasts go to.
    fn zone(&self, to: ZonedAddr, bound: Option<ZonedAddr>) -> Result<LinkId, SocketError> {
        match (to.zone, bound.and_then(|bound| bound.zone)) {
            (Some(link), Some(other)) if link != other => Err(SocketError::Invalid),
            (Some(link), _) | (None, Some(link)) => Ok(link),
            (None, None) if to.address.is_multicast() => self
                .broadcast_link(bound)
                .ok_or(SocketError::NetworkUnreachable),
            (None, None) => Err(SocketError::Invalid),
        }
    }

    pub(super) fn path_over(
        &self,
        id: LinkId,
        to: ZonedAddr,
        next_hop: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<Path, SocketError> {
        let link = self
            .links
            .get(&id)
            .filter(|link| link.is_up())
            .ok_or(SocketError::NetworkDown)?;
        let link_mtu = match to.address {
            IpAddr::V4(_) => link.mtu(),
            IpAddr::V6(_) if link.mtu() < v6::MIN_MTU => {
                return Err(SocketError::NetworkUnreachable);
            }
            IpAddr::V6(_) => link.ipv6_mtu(),
        };
        // RFC 2131 4.1: who has no address yet speaks from 0.0.0.0, and only to everybody.
        let nameless = is_limited_broadcast(next_hop).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let source = source
            .or_else(|| source_on(id, link.addresses(), to.address, next_hop))
            .or(nameless)
            .ok_or(SocketError::AddressNotAvailable)?;
        Ok(Path {
            link: id,
            zone: id,
            source,
            next_hop,
            mtu: self.path_mtus.mtu(id, to.address, link_mtu),
            hop_limit: match to.address {
                IpAddr::V4(_) => DEFAULT_TTL,
                IpAddr::V6(_) => link.hop_limit(),
            },
        })
    }

    /// The link for what has no route, like the limited broadcast: the one that has the address it is sent from, else
    /// the first Ethernet that is up.
    pub(super) fn broadcast_link(&self, bound: Option<ZonedAddr>) -> Option<LinkId> {
        let mut usable = self
            .links
            .values()
            .filter(|link| link.is_up() && link.kind() == LinkKind::Ethernet);
        let bound = bound.map(|bound| bound.address);
        match bound.filter(|source| !source.is_unspecified()) {
            Some(source) => usable.find(|link| link.has_address(source)),
            None => usable.next(),
        }
        .map(Link::id)
    }
}

/// Is it 255.255.255.255?
pub(super) fn is_limited_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
