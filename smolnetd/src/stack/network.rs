//! Where packets leave: the links, the one route table, and the choice between them.

use core::hash::{BuildHasher, Hash};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use smoltcp::time::Instant;
use smoltcp::wire::{IpCidr, IpProtocol, Ipv4Cidr, Ipv6Cidr};

use super::fragments::Remainder;
use super::path::is_limited_broadcast;
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::table::Keyed;
use crate::fragment::{Identifications, Reassembly};
use crate::ip::{IpCounters, Outgoing, ZonedAddr, needs_zone, v4, v6};
use crate::link::{AddressOrigin, Link, LinkConfig, LinkKind, TransmitError};
use crate::output::{Output, Path};
use crate::path_mtu::PathMtus;
use crate::ports::{LinkId, Ports};
use crate::route::RouteTable;
use crate::secret::Secret;

/// The loopback link: always there, always up, with 127.0.0.1/8 and ::1/128.
pub const LOOPBACK: LinkId = LinkId(0);

/// MTU of the loopback link in bytes: the largest IPv4 packet; IPv6 leaves the rest unused.
const LOOPBACK_MTU: u16 = u16::MAX;

/// The links and the routes over them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) routes: RouteTable,
    pub(super) counters: IpCounters,
    /// What routers said of paths that carry less than their link.
    pub(super) path_mtus: PathMtus,
    /// Packets of which not all fragments have come.
    pub(super) reassembly: Reassembly,
    /// Of each link, the packet that has left in part.
    pub(super) remainders: BTreeMap<LinkId, Remainder>,
    identifications: Identifications,
    /// What flow labels are made with.
    labels: Keyed,
    pub(super) secret: Secret,
    next_link: u32,
}

impl Network {
    pub(super) fn new(secret: Secret, now: Instant) -> Network {
        let mut network = Network {
            links: BTreeMap::new(),
            routes: RouteTable::new(Keyed(secret.hash("routes", 0), secret.hash("routes", 1))),
            counters: IpCounters::default(),
            path_mtus: PathMtus::default(),
            reassembly: Reassembly::default(),
            remainders: BTreeMap::new(),
            identifications: Identifications::new(secret),
            labels: Keyed(secret.hash("flow label", 0), secret.hash("flow label", 1)),
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
        if address.is_ambiguous() {
            return Err(SocketError::Invalid);
        }
        if self.has(address) {
            Ok(())
        } else {
            Err(SocketError::AddressNotAvailable)
        }
    }

    /// Is it ours, though perhaps not to be used just now: while it is asked whether another has it?
    pub(super) fn owns(&self, address: ZonedAddr) -> bool {
        let zone = address.zone;
        let mut links = self.links.values();
        links.any(|link| {
            zone.is_none_or(|zone| zone == link.id()) && link.owns_address(address.address)
        })
    }

    /// Do packets for the multicast group `group` concern this host on `link`?
    pub(super) fn is_member(&self, link: LinkId, group: IpAddr) -> bool {
        self.links
            .get(&link)
            .is_some_and(|link| link.is_member(group))
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
        self.send_whole(now, path, header.destination(), length, write, ports)
    }

    /// Sends one whole packet to `destination` along `path`, in pieces if it is too big for that.
    ///
    /// # Errors
    /// As [`Network::send`]; `MessageTooLong` if it must not be cut, or is longer than any packet.
    pub(super) fn send_whole(
        &mut self,
        now: Instant,
        path: &Path,
        destination: IpAddr,
        length: usize,
        write: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        if length <= usize::from(path.mtu) {
            return self.transmit(now, path, length, write, ports);
        }
        if length > longest_packet(destination) {
            return Err(SocketError::MessageTooLong);
        }
        let mut packet = vec![0; length];
        write(&mut packet);
        let identification = self.next_identification(path, destination);
        self.transmit_in_pieces(now, path, &packet, identification, ports)
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
        self.transmit_to(now, path.link, path.next_hop, length, write, ports)
    }

    /// Sends one whole packet over `link` to the neighbour `next_hop`.
    ///
    /// # Errors
    /// As [`Network::send`].
    pub(super) fn transmit_to(
        &mut self,
        now: Instant,
        link: LinkId,
        next_hop: IpAddr,
        length: usize,
        write: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let link = self.links.get_mut(&link).ok_or(SocketError::NetworkDown)?;
        match link.transmit(now, next_hop, length, write, ports) {
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
        match (path.source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(Outgoing::V4(v4::Header {
                source,
                destination,
                protocol,
                traffic_class: 0,
                ttl: hop_limit.unwrap_or(path.hop_limit),
                // IPv4's has 16 bits.
                identification: self.next_identification(path, destination.into()) as u16,
            })),
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ends = (source, destination, u8::from(protocol), flow);
                Ok(Outgoing::V6(v6::Header {
                    source,
                    destination,
                    protocol,
                    traffic_class: 0,
                    hop_limit: hop_limit.unwrap_or(path.hop_limit),
                    flow_label: label(&self.labels, ends),
                }))
            }
            _ => Err(SocketError::FamilyNotSupported),
        }
    }

    fn next_identification(&mut self, path: &Path, destination: IpAddr) -> u32 {
        self.identifications.next(path.source, destination)
    }

    /// A packet of ours was too big for a link on the way to `destination`, which carries `mtu` bytes (0: it does not
    /// say). Whoever calls has found the socket or connection that sent it. True if the path carries less than before.
    pub(super) fn packet_too_big(
        &mut self,
        now: Instant,
        destination: ZonedAddr,
        mtu: u16,
    ) -> bool {
        let Ok(path) = self.path(destination, None) else {
            return false;
        };
        let (link, destination) = (path.link, destination.address);
        let known = self
            .path_mtus
            .too_big(now, link, destination, mtu, path.mtu);
        known.is_some()
    }

    /// The view that the TCP engine has of all this.
    pub(super) fn egress<'n, P: Ports>(&'n mut self, ports: &'n mut P) -> Egress<'n, P> {
        Egress {
            network: self,
            ports,
        }
    }
}

/// RFC 6437 3: the flow label is uniform, the same for all packets of a flow, and not to be guessed.
fn label(labels: &Keyed, flow: impl Hash) -> u32 {
    labels.hash_one(flow) as u32 & 0xf_ffff
}

/// The longest packet of `address`'s family in bytes: IPv6 does not count its header.
fn longest_packet(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => 65_535,
        IpAddr::V6(_) => 65_535 + v6::HEADER_LENGTH,
    }
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
        let (mut fill, labels) = (Some(fill), self.network.labels);
        let write = |packet: &mut [u8]| {
            if let Some(fill) = fill.take() {
                fill(packet);
                if path.source.is_ipv6() {
                    v6::complete(packet, path.hop_limit, |ends| label(&labels, ends));
                }
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

    fn doubt(&mut self, now: Instant, path: &Path) {
        if let Some(link) = self.network.links.get_mut(&path.link) {
            link.doubt(now, path.next_hop);
        }
    }
}
