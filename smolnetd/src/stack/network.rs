//! Where packets leave: the links, the one route table, and the choice between them.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use smoltcp::time::Instant;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::counters::count;
use crate::error::SocketError;
use crate::flow::table::Keyed;
use crate::ip::{HEADER_LENGTH, IpCounters, Outgoing};
use crate::link::{AddressOrigin, Link, LinkConfig, LinkKind, TransmitError};
use crate::output::{Output, Path};
use crate::ports::{LinkId, Ports};
use crate::route::RouteTable;
use crate::secret::Secret;

/// The loopback link: always there, always up, with 127.0.0.1/8.
pub const LOOPBACK: LinkId = LinkId(0);

/// MTU of the loopback link in bytes: the largest IPv4 packet.
const LOOPBACK_MTU: u16 = u16::MAX;

/// Counters of identifications.
const IDENTIFICATIONS: usize = 256;

/// The links and the routes over them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) routes: RouteTable,
    pub(super) counters: IpCounters,
    secret: Secret,
    /// Counters of identifications, each shared by the pairs of addresses that a keyed hash puts together.
    identifications: [u16; IDENTIFICATIONS],
    next_link: u32,
}

impl Network {
    pub(super) fn new(secret: Secret, now: Instant) -> Network {
        let mut network = Network {
            links: BTreeMap::new(),
            routes: RouteTable::new(Keyed(secret.hash("routes", 0), secret.hash("routes", 1))),
            counters: IpCounters::default(),
            identifications: [0; IDENTIFICATIONS],
            next_link: LOOPBACK.0,
            secret,
        };
        let config = LinkConfig {
            name: "lo".into(),
            mac: [0; 6],
            mtu: LOOPBACK_MTU,
            up: true,
            kind: LinkKind::Loopback,
        };
        let id = network.add_link(now, config);
        if let Some(link) = network.links.get_mut(&id) {
            let address = IpCidr::Ipv4(Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8));
            // The one address that needs no configuration; the link has none yet, so that it has room.
            let _ = link.add_address(now, address, AddressOrigin::Static);
        }
        network.sync_routes(id);
        network
    }

    pub(super) fn add_link(&mut self, now: Instant, config: LinkConfig) -> LinkId {
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1);
        self.routes.set_link_usable(id, config.up);
        let seed = self.secret.hash("link", id);
        self.links.insert(id, Link::new(id, config, seed, now));
        id
    }

    /// Makes the connected routes those of the link's addresses. True when routes changed.
    pub(super) fn sync_routes(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.get(&id) else {
            return false;
        };
        let connected = link.addresses().iter().filter(|own| own.is_connected());
        let addresses = connected.map(|own| own.cidr);
        self.routes.sync_addresses(id, addresses)
    }

    /// Is `address` one of this host's own, on whatever link (RFC 1122 3.3.4.2, the weak model)?
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.links.values().any(|link| link.has_address(address))
    }

    /// Is `address` a broadcast address on `link`?
    pub(super) fn is_broadcast_on(&self, link: LinkId, address: IpAddr) -> bool {
        self.links
            .get(&link)
            .is_some_and(|link| link.is_broadcast(address))
    }

    /// Is `address` a broadcast address of any network we are on, or the limited one?
    pub(super) fn is_broadcast(&self, address: IpAddr) -> bool {
        is_limited_broadcast(address) || self.links.values().any(|link| link.is_broadcast(address))
    }

    /// How a packet gets to `destination`: over which link, to which neighbour, and from which address, unless
    /// `bound` says that.
    ///
    /// # Errors
    /// No route, no address to speak from, the link is down, or an address that is nobody's.
    pub(super) fn path(
        &self,
        destination: IpAddr,
        bound: Option<IpAddr>,
    ) -> Result<Path, SocketError> {
        if !destination.is_ipv4() {
            return Err(SocketError::FamilyNotSupported);
        }
        if destination.is_unspecified() {
            return Err(SocketError::Invalid);
        }
        if self.is_local(destination) {
            let source = bound.unwrap_or(destination);
            return self.path_over(LOOPBACK, destination, Some(source));
        }
        // RFC 1122 3.2.1.3 (g): 127.0.0.0/8 stays in the host.
        if bound.is_some_and(|source| source.is_loopback()) {
            return Err(SocketError::Invalid);
        }
        if is_limited_broadcast(destination) {
            let link = self
                .broadcast_link(bound)
                .ok_or(SocketError::NetworkUnreachable)?;
            return self.path_over(link, destination, bound);
        }
        match self.routes.lookup(destination) {
            Some(route) => {
                let source = bound.or(route.source.filter(|source| self.is_local(*source)));
                self.path_over(route.link, route.next_hop(destination), source)
            }
            None if destination.is_multicast() => {
                let link = self
                    .broadcast_link(bound)
                    .ok_or(SocketError::NetworkUnreachable)?;
                self.path_over(link, destination, bound)
            }
            None => Err(SocketError::NetworkUnreachable),
        }
    }

    fn path_over(
        &self,
        id: LinkId,
        next_hop: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<Path, SocketError> {
        let link = self
            .links
            .get(&id)
            .filter(|link| link.is_up())
            .ok_or(SocketError::NetworkDown)?;
        // RFC 2131 4.1: who has no address yet speaks from 0.0.0.0, and only to everybody.
        let nameless = is_limited_broadcast(next_hop).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let source = source
            .or_else(|| link.source_address(next_hop))
            .or(nameless)
            .ok_or(SocketError::AddressNotAvailable)?;
        Ok(Path {
            link: id,
            source,
            next_hop,
            mtu: link.mtu(),
        })
    }

    /// The link for what has no route, like the limited broadcast: the one that has the address it is sent from, else
    /// the first Ethernet that is up.
    fn broadcast_link(&self, bound: Option<IpAddr>) -> Option<LinkId> {
        let mut usable = self
            .links
            .values()
            .filter(|link| link.is_up() && link.kind() == LinkKind::Ethernet);
        match bound.filter(|source| !source.is_unspecified()) {
            Some(source) => usable.find(|link| link.has_address(source)),
            None => usable.next(),
        }
        .map(Link::id)
    }

    /// Sends one packet of our own along `path`: `fill` writes what follows the IP header, `length` bytes of it.
    ///
    /// # Errors
    /// `WouldBlock` when the link is full; the others are final. Each drop is counted by the link.
    pub(super) fn send(
        &mut self,
        now: Instant,
        path: &Path,
        header: Outgoing,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let write = |packet: &mut [u8]| fill(header.write(packet));
        self.transmit(
            now,
            path,
            length.saturating_add(HEADER_LENGTH),
            write,
            ports,
        )
    }

    /// Sends one whole packet along `path`.
    ///
    /// # Errors
    /// As [`Network::send`].
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        path: &Path,
        length: usize,
        write: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let link = self
            .links
            .get_mut(&path.link)
            .ok_or(SocketError::NetworkDown)?;
        match link.transmit(now, path.next_hop, length, write, ports) {
            Ok(()) => {
                count(&mut self.counters.sent);
                Ok(())
            }
            // As anywhere on the way, a queue that overflows loses datagrams: it is the link's counter that tells.
            Err(TransmitError::QueueFull) => Ok(()),
            Err(TransmitError::Full) => Err(SocketError::WouldBlock),
            Err(TransmitError::Down) => Err(SocketError::NetworkDown),
            Err(TransmitError::Unreachable) => Err(SocketError::HostUnreachable),
            Err(TransmitError::TooBig) => Err(SocketError::MessageTooLong),
        }
    }

    /// The identification of the next packet to `destination`: it counts up for each pair of addresses, so that it
    /// does not come again soon (RFC 6864 4.3), and how many packets went to others cannot be told from it (RFC 7739 3).
    pub(super) fn next_identification(&mut self, source: IpAddr, destination: IpAddr) -> u16 {
        let [place, a, b, ..] = self
            .secret
            .hash("ip identification", (source, destination))
            .to_ne_bytes();
        let start = u16::from_ne_bytes([a, b]);
        let Some(counter) = self.identifications.get_mut(usize::from(place)) else {
            return start;
        };
        *counter = counter.wrapping_add(1);
        start.wrapping_add(*counter)
    }

    /// The view that the TCP engine has of all this.
    pub(super) fn egress<'n, P: Ports>(&'n mut self, ports: &'n mut P) -> Egress<'n, P> {
        Egress {
            network: self,
            ports,
        }
    }
}

/// Is it 255.255.255.255?
pub(super) fn is_limited_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

/// The way out for TCP.
pub(super) struct Egress<'n, P> {
    network: &'n mut Network,
    ports: &'n mut P,
}

impl<P: Ports> Output for Egress<'_, P> {
    fn has_room(&self, link: LinkId) -> bool {
        self.network
            .links
            .get(&link)
            .is_none_or(|link| !link.is_up() || link.has_room(self.ports))
    }

    fn emit(&mut self, now: Instant, path: &Path, length: usize, fill: impl FnOnce(&mut [u8])) {
        let mut fill = Some(fill);
        let write = |packet: &mut [u8]| {
            if let Some(fill) = fill.take() {
                fill(packet);
            }
        };
        // What does not leave has its counter at the link, and TCP sends it again.
        let _ = self.network.transmit(now, path, length, write, self.ports);
        // The engine's own account of the segment must not depend on whether it left.
        if let Some(fill) = fill {
            fill(&mut vec![0; length]);
        }
    }

    fn path(&self, local: IpAddr, remote: IpAddr) -> Option<Path> {
        self.network.path(remote, Some(local)).ok()
    }

    fn is_local(&self, address: IpAddr) -> bool {
        self.network.is_local(address)
    }

    fn confirm(&mut self, now: Instant, path: &Path) {
        if let Some(link) = self.network.links.get_mut(&path.link) {
            link.confirm(now, path.next_hop);
        }
    }
}
