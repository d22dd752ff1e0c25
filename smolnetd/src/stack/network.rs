//! Where packets leave: the links, the one route table, and the choice between them.

use core::hash::Hash;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use smoltcp::time::Instant;
use smoltcp::wire::{IpCidr, IpProtocol, Ipv4Cidr, Ipv6Cidr};

use crate::counters::count;
use crate::error::SocketError;
use crate::flow::table::Keyed;
use crate::ip::{DEFAULT_TTL, IpCounters, Outgoing, ZonedAddr, needs_zone, solicited_node, v4, v6};
use crate::link::{AddressOrigin, Link, LinkConfig, LinkKind, TransmitError};
use crate::output::{Output, Path};
use crate::ports::{LinkId, Ports};
use crate::route::RouteTable;
use crate::secret::Secret;

/// The loopback link: always there, always up, with 127.0.0.1/8 and ::1/128.
pub const LOOPBACK: LinkId = LinkId(0);

/// MTU of the loopback link in bytes: the largest IPv4 packet; IPv6 leaves the rest unused.
const LOOPBACK_MTU: u16 = u16::MAX;

/// The groups that every host is in (RFC 1112 4, RFC 4291 2.7.1).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

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
            let v4 = IpCidr::Ipv4(Ipv4Cidr::new(Ipv4Addr::LOCALHOST, 8));
            let v6 = IpCidr::Ipv6(Ipv6Cidr::new(Ipv6Addr::LOCALHOST, 128));
            // The addresses that need no configuration; the link has none yet, so that it has room.
            for address in [v4, v6] {
                let _ = link.add_address(now, address, AddressOrigin::Static);
            }
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

    /// Is `address` one of this host's own: on its link if it means nothing elsewhere (RFC 4007 9), on whatever link
    /// otherwise (RFC 1122 3.3.4.2, the weak model)?
    pub(super) fn has(&self, address: ZonedAddr) -> bool {
        let ZonedAddr { address, zone } = address;
        match zone {
            Some(link) => self
                .links
                .get(&link)
                .is_some_and(|link| link.has_address(address)),
            None if needs_zone(address) => false,
            None => {
                address.is_loopback() || self.links.values().any(|link| link.has_address(address))
            }
        }
    }

    /// Can a socket be bound to `address`?
    ///
    /// # Errors
    /// `Invalid` if it does not say on which link, `AddressNotAvailable`.
    pub(super) fn check_own(&self, address: ZonedAddr) -> Result<(), SocketError> {
        if address.is_ambiguous() && !address.address.is_multicast() {
            return Err(SocketError::Invalid);
        }
        if self.has(address) {
            Ok(())
        } else {
            Err(SocketError::AddressNotAvailable)
        }
    }

    /// Do packets for the multicast group `group` concern this host on `link`? Beside the groups that somebody joined
    /// these are all hosts (RFC 1112 4), all nodes, and those in which our addresses are asked for (RFC 4291 2.8).
    pub(super) fn is_member(&self, link: LinkId, group: IpAddr) -> bool {
        let IpAddr::V6(group) = group else {
            return group == ALL_HOSTS;
        };
        let asked_for = |link: &Link| {
            link.addresses()
                .iter()
                .any(|own| matches!(own.address(), IpAddr::V6(own) if solicited_node(own) == group))
        };
        group == ALL_NODES || self.links.get(&link).is_some_and(asked_for)
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
            None => self.routes.lookup(destination),
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

    fn path_over(
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
        if to.address.is_ipv6() && link.mtu() < v6::MIN_MTU {
            return Err(SocketError::NetworkUnreachable);
        }
        // RFC 2131 4.1: who has no address yet speaks from 0.0.0.0, and only to everybody.
        let nameless = is_limited_broadcast(next_hop).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let source = source
            .or_else(|| source_on(link, to.address, next_hop))
            .or(nameless)
            .ok_or(SocketError::AddressNotAvailable)?;
        Ok(Path {
            link: id,
            zone: id,
            source,
            next_hop,
            mtu: link.mtu(),
        })
    }

    /// The link for what has no route, like the limited broadcast: the one that has the address it is sent from, else
    /// the first Ethernet that is up.
    fn broadcast_link(&self, bound: Option<ZonedAddr>) -> Option<LinkId> {
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
        let length = length.saturating_add(header.length());
        self.transmit(now, path, length, write, ports)
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

    /// The header of a packet along `path` to `destination`. `hop_limit` is what a socket asks for; `flow` is the same
    /// for all packets that belong together.
    ///
    /// # Errors
    /// `FamilyNotSupported` if both ends are not of one family.
    pub(super) fn header(
        &mut self,
        path: &Path,
        destination: IpAddr,
        protocol: IpProtocol,
        hop_limit: Option<u8>,
        flow: impl Hash,
    ) -> Result<Outgoing, SocketError> {
        let hop_limit = hop_limit.unwrap_or(DEFAULT_TTL);
        match (path.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(Outgoing::V4(v4::Header {
                source,
                destination,
                protocol,
                ttl: hop_limit,
                identification: self.next_identification(source.into(), destination.into()),
            })),
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ends = (source, destination, u8::from(protocol), flow);
                Ok(Outgoing::V6(v6::Header {
                    source,
                    destination,
                    protocol,
                    hop_limit,
                    // RFC 6437 3: uniform, and not to be guessed.
                    flow_label: self.secret.hash("flow label", ends) as u32 & 0xf_ffff,
                }))
            }
            _ => Err(SocketError::FamilyNotSupported),
        }
    }

    /// A packet of ours, `length` bytes long, was too big for a link on the way to `destination`, which carries `mtu`
    /// bytes (0: it does not say). Whoever calls has found the socket or connection that sent it.
    pub(super) fn packet_too_big(
        &mut self,
        now: Instant,
        destination: ZonedAddr,
        mtu: u16,
        length: u16,
    ) {
        // Connections remember it by themselves; datagrams follow no path MTU yet.
        let _ = (now, destination, mtu, length);
    }

    /// The identification of the next packet to `destination`: it counts up for each pair of addresses, so that it
    /// does not come again soon (RFC 6864 4.3), and how many packets went to others cannot be told from it (RFC 7739 3).
    fn next_identification(&mut self, source: IpAddr, destination: IpAddr) -> u16 {
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

/// The address to speak from on `link` to `destination`, over `next_hop`.
fn source_on(link: &Link, destination: IpAddr, next_hop: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(destination) = destination else {
        return link.source_address(next_hop);
    };
    // RFC 6724 5, as far as it goes without knowing more of the addresses: the scope that fits (rule 2), then the
    // longest common prefix (rule 8).
    let fits = |own: Ipv6Addr| needs_zone(own.into()) == needs_zone(destination.into());
    let common = |own: Ipv6Addr| (own.to_bits() ^ destination.to_bits()).leading_zeros();
    link.addresses()
        .iter()
        .filter_map(|own| match own.address() {
            IpAddr::V6(own) => Some(own),
            IpAddr::V4(_) => None,
        })
        .rev()
        .max_by_key(|own| (fits(*own), common(*own)))
        .map(IpAddr::V6)
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

    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Option<Path> {
        let (to, from) = (ZonedAddr::of(remote), ZonedAddr::of(local));
        self.network.path(to, Some(from)).ok()
    }

    fn is_local(&self, end: SocketAddr) -> bool {
        self.network.has(ZonedAddr::of(end))
    }

    fn confirm(&mut self, now: Instant, path: &Path) {
        if let Some(link) = self.network.links.get_mut(&path.link) {
            link.confirm(now, path.next_hop);
        }
    }
}
