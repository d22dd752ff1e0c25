//! One adapter: Ethernet, the neighbours on it, its addresses, the groups it listens to and its DHCP client.
//!
//! ```text
//!  receive(frame) ─ ethernet ─┬─ arp, ndp ── neighbour, address    answered and learned from here
//!                             ├─ igmp, mld ── group                answered here
//!                             ├─ dhcp                              while the client is on
//!                             └─ an IP packet for the stack
//!  transmit(next hop, packet) ─ neighbour ─┬─ known: straight into the adapter's ring
//!                                          └─ unknown: a copy waits, ARP or NDP asks
//!  poll(now)                               what timers demand
//! ```

mod address;
mod arp;
mod autoconf;
mod backoff;
mod counters;
mod dhcp;
mod dhcpv6;
mod ethernet;
mod group;
mod handle;
mod ipv6;
mod loopback;
mod ndp;
mod neighbour;
mod random;
mod send;
#[cfg(test)]
mod tests;
mod types;

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{BTreeSet, VecDeque};

use smoltcp::time::Instant;
use smoltcp::wire::{EthernetProtocol, IpCidr};

use self::address::Addresses;
use self::autoconf::Autoconf;
use self::dhcp::Client;
use self::group::Groups;
use self::ipv6::Ipv6;
use self::loopback::Loopback;
use self::neighbour::Neighbours;
use self::random::Random;
use self::send::Control;
use crate::counters::count;
use crate::ports::{LinkId, Ports};

pub(crate) use self::address::is_assignable;
pub use self::address::{
    AddressError, AddressOrigin, AddressState, Autoconfigured, Identity, LinkAddress, MAX_ADDRESSES,
};
#[cfg(test)]
pub(crate) use self::autoconf::tests::advertisement;
pub use self::autoconf::{AutoRoute, AutoconfCounters, Redirect};
pub use self::counters::LinkCounters;
pub use self::dhcp::Lease;
pub use self::group::{GroupError, MAX_GROUPS};
pub use self::ipv6::{InterfaceIdentifiers, Ipv6Config, MIN_IPV6_MTU};
#[cfg(test)]
pub(crate) use self::neighbour::MAX_NEIGHBOURS;
pub use self::neighbour::NeighbourState;
pub use self::types::{LinkConfig, LinkEvent, LinkKind, NeighbourInfo, TransmitError};

/// Events about neighbours and conflicts that are kept for somebody to take. Those about leases are always kept.
const MAX_EVENTS: usize = 256;

/// ARP, NDP, IGMP, MLD and DHCP packets that may wait for room in the ring.
const MAX_CONTROL: usize = 32;

const BROADCAST: [u8; 6] = [0xff; 6];

/// One adapter.
#[derive(Debug)]
pub struct Link {
    id: LinkId,
    config: LinkConfig,
    counters: LinkCounters,
    addresses: Addresses,
    neighbours: Neighbours,
    /// Packets of the link's own that found no room in the ring.
    control: VecDeque<Control>,
    /// Neighbours that are resolved but whose packets found no room in the ring.
    unsent: VecDeque<IpAddr>,
    dhcp: Client,
    ipv6: Ipv6,
    autoconf: Autoconf,
    groups_v4: Groups,
    groups_v6: Groups,
    /// The solicited-node groups that were joined for the addresses.
    solicited_nodes: BTreeSet<Ipv6Addr>,
    loopback: Loopback,
    events: VecDeque<LinkEvent>,
    /// When the oldest of these happened.
    events_since: Instant,
}

impl Link {
    /// An adapter with neither addresses nor neighbours, its DHCP client off. `seed` is a random number that no one
    /// outside can guess: transaction identifiers and the jitter of timers come from it.
    pub fn new(id: LinkId, config: LinkConfig, seed: u64, now: Instant) -> Link {
        let shared = config.kind == LinkKind::Ethernet;
        let heard = config.up && shared;
        Link {
            id,
            counters: LinkCounters::default(),
            addresses: Addresses::new(shared, config.up, Random::new(seed, 2)),
            ipv6: Ipv6::new(config.mtu),
            autoconf: Autoconf::new(config.mac, config.mtu, heard, Random::new(seed, 5)),
            groups_v4: Groups::new(heard, Random::new(seed, 3)),
            groups_v6: Groups::new(heard, Random::new(seed, 4)),
            solicited_nodes: BTreeSet::new(),
            neighbours: Neighbours::new(Random::new(seed, 0)),
            control: VecDeque::new(),
            unsent: VecDeque::new(),
            dhcp: Client::new(config.mac, config.mtu, config.up, Random::new(seed, 1), now),
            loopback: Loopback::default(),
            events: VecDeque::new(),
            events_since: now,
            config,
        }
    }

    /// Its number.
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        self.config.mac
    }

    /// The largest IP packet in bytes: the adapter's own limit, or the lease's where that is less.
    pub fn mtu(&self) -> u16 {
        let leased = self.lease().and_then(|lease| lease.mtu).unwrap_or(u16::MAX);
        self.config.mtu.min(leased)
    }

    /// Does it have a carrier?
    pub fn is_up(&self) -> bool {
        self.config.up
    }

    /// What it is made of.
    pub fn kind(&self) -> LinkKind {
        self.config.kind
    }

    /// Its addresses, in the order in which they were added.
    pub fn addresses(&self) -> &[LinkAddress] {
        self.addresses.list()
    }

    /// Is `address` one of its own that may be used?
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(address)
    }

    /// Is `address` one of its own, or about to be: does what speaks from it have a future?
    pub fn owns_address(&self, address: IpAddr) -> bool {
        self.addresses.owns(address)
    }

    /// Is `address` the limited broadcast address, or the broadcast address of a network that this adapter is on?
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        self.addresses.is_broadcast(address)
    }

    /// The address to speak from to `peer`: that whose network contains it most closely, else the first of its
    /// family.
    pub fn source_address(&self, peer: IpAddr) -> Option<IpAddr> {
        self.addresses.source_for(peer)
    }

    /// What it counted.
    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    /// The neighbours, by address.
    pub fn neighbours(&self, now: Instant) -> impl Iterator<Item = NeighbourInfo> {
        self.neighbours.iter(now)
    }

    /// Does [`Link::neighbours`] say something new since the last question?
    pub fn take_neighbours_changed(&mut self) -> bool {
        self.neighbours.take_changed()
    }

    /// The lease that is in force.
    pub fn lease(&self) -> Option<&Lease> {
        self.dhcp.lease()
    }

    /// A frame came in. ARP, neighbour discovery, IGMP and MLD are dealt with here, and so are DHCP replies while the
    /// client is on; what remains is an IP packet for the stack, of the version that the frame says, otherwise
    /// unchecked. IPv6 packets to groups that nobody here has joined are dropped. Ethernet padding may follow the
    /// packet.
    pub fn receive<'f>(
        &mut self,
        now: Instant,
        frame: &'f [u8],
        ports: &mut impl Ports,
    ) -> Option<&'f [u8]> {
        count(&mut self.counters.rx_frames);
        self.counters.rx_bytes = self.counters.rx_bytes.wrapping_add(frame.len() as u64);
        if !self.config.up {
            count(&mut self.counters.rx_down);
            return None;
        }
        let received = ethernet::receive(frame, self.config.mac, &mut self.counters)?;
        let version = match received.ethertype {
            EthernetProtocol::Arp => {
                self.receive_arp(now, received.payload, ports);
                return None;
            }
            EthernetProtocol::Ipv4 => 4,
            EthernetProtocol::Ipv6 => 6,
            EthernetProtocol::Unknown(_) => {
                count(&mut self.counters.rx_unknown_protocol);
                return None;
            }
        };
        let packet = received.payload;
        if packet.first().map(|byte| byte >> 4) != Some(version) {
            count(&mut self.counters.rx_version_mismatch);
            return None;
        }
        let taken = match version {
            4 => self.take_v4(now, &received, ports),
            _ => self.take_v6(now, &received, ports),
        };
        if taken {
            return None;
        }
        count(&mut self.counters.rx_packets);
        Some(packet)
    }

    /// Is there room for one more packet? While true, the next [`Link::transmit`] does not fail with
    /// [`TransmitError::Full`].
    pub fn has_room(&self, ports: &impl Ports) -> bool {
        match self.config.kind {
            LinkKind::Ethernet => ports.has_room(self.id),
            LinkKind::Loopback => self.loopback.has_room(),
        }
    }

    /// Sends an IP packet of `length` bytes to `next_hop`: `fill` writes it in place behind the Ethernet header.
    ///
    /// Broadcast addresses (the limited one and those of our networks) and multicast addresses need no resolution.
    /// When a next hop is not resolved yet, a copy waits for it (a bounded number do; the oldest gives way) and that
    /// counts as success. On the loopback link the packet is queued for [`Link::take_looped`].
    ///
    /// # Errors
    /// See [`TransmitError`]; `fill` has not been called then, except with [`TransmitError::QueueFull`], and the drop
    /// has been counted.
    pub fn transmit(
        &mut self,
        now: Instant,
        next_hop: IpAddr,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), TransmitError> {
        if !self.config.up {
            count(&mut self.counters.tx_down);
            return Err(TransmitError::Down);
        }
        if length > self.config.mtu.into() {
            count(&mut self.counters.tx_too_big);
            return Err(TransmitError::TooBig);
        }
        if self.config.kind == LinkKind::Loopback {
            return self.transmit_looped(length, fill);
        }
        if let Some(mac) = self.resolve(now, next_hop, ports)? {
            let sent = self.send(mac, ethernet::ethertype_of(next_hop), length, fill, ports);
            return if sent {
                Ok(())
            } else {
                Err(TransmitError::Full)
            };
        }
        let mut packet = vec![0; length].into_boxed_slice();
        fill(&mut packet);
        let queued = self
            .neighbours
            .enqueue(next_hop, packet, &mut self.counters);
        if queued {
            Ok(())
        } else {
            Err(TransmitError::QueueFull)
        }
    }

    /// The next packet that was sent on the loopback link.
    pub fn take_looped(&mut self) -> Option<Vec<u8>> {
        let packet = self.loopback.pop()?;
        count(&mut self.counters.rx_frames);
        count(&mut self.counters.rx_packets);
        self.counters.rx_bytes = self.counters.rx_bytes.wrapping_add(packet.len() as u64);
        Some(packet)
    }

    /// Gives the buffer of a looped packet back, to be used again.
    pub fn recycle(&mut self, packet: Vec<u8>) {
        self.loopback.recycle(packet);
    }

    /// Does what is due: solicitations, announcements, reports, DHCP, packets that waited for room. Call it at
    /// [`Link::next_deadline`] and when the adapter has room again.
    pub fn poll(&mut self, now: Instant, ports: &mut impl Ports) {
        self.flush_control(ports);
        self.flush_unsent(ports);
        self.poll_dhcp(now, ports);
        self.poll_addresses(now, ports);
        self.poll_groups(now, ports);
        self.poll_neighbours(now, ports);
        self.poll_autoconf(now, ports);
    }

    /// When [`Link::poll`] is wanted next; `None` while there is nothing to wait for. Events that nobody has taken
    /// are due, so that none lies there until something else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.neighbours.next_deadline(),
            self.addresses.next_deadline(),
            self.dhcp.next_deadline(),
            self.autoconf.next_deadline(),
            self.groups_v4.next_deadline(),
            self.groups_v6.next_deadline(),
            self.events.front().map(|_| self.events_since),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The carrier came or went. Neighbours and what waits for them are forgotten when it goes; when it comes,
    /// addresses are announced, those of IPv6 tentative once more, and the DHCP client asks anew.
    pub fn set_up(&mut self, now: Instant, up: bool) {
        if core::mem::replace(&mut self.config.up, up) == up {
            return;
        }
        if !up {
            self.control.clear();
            self.unsent.clear();
            let flushed = self
                .neighbours
                .clear()
                .saturating_add(self.loopback.clear()) as u64;
            self.counters.pending_flushed = self.counters.pending_flushed.wrapping_add(flushed);
        }
        let heard = up && self.config.kind == LinkKind::Ethernet;
        self.addresses.set_up(now, up);
        self.sync_groups(now);
        self.groups_v4.set_up(now, heard);
        self.groups_v6.set_up(now, heard);
        self.dhcp.set_carrier(now, up);
        self.autoconf.set_carrier(now, heard);
    }

    /// Adds an address, or gives one that is there another prefix and origin. One of IPv4 may be used at once; the
    /// next [`Link::poll`], due at once, begins to probe and announce it (RFC 5227). One of IPv6 is tentative until
    /// [`LinkEvent::AddressUsable`] (RFC 4862), on the loopback link it may be used at once. The leased address,
    /// configured by hand, ends the lease.
    ///
    /// # Errors
    /// See [`AddressError`]; nothing changes then.
    pub fn add_address(
        &mut self,
        now: Instant,
        cidr: IpCidr,
        origin: AddressOrigin,
    ) -> Result<(), AddressError> {
        let loopback = self.config.kind == LinkKind::Loopback;
        if IpAddr::from(cidr.address()).is_loopback() != loopback {
            return Err(AddressError::Invalid);
        }
        self.addresses.add(now, cidr, origin)?;
        if origin == AddressOrigin::Static {
            self.forget_lease_of(now, cidr);
        }
        Ok(())
    }

    /// Takes an address away, whatever its prefix. False when it was not there. The leased one ends the lease.
    pub fn remove_address(&mut self, now: Instant, cidr: IpCidr) -> bool {
        let removed = self.addresses.remove(cidr.address().into()).is_some();
        if removed {
            self.sync_groups(now);
            self.forget_lease_of(now, cidr);
        }
        removed
    }

    /// Turns the DHCP client on or off; on the loopback link it stays off. Turned off, it sends and takes nothing;
    /// its lease stays in force until it runs out or its address is taken away. Turned on, it starts anew, asking for
    /// the leased address if there is one.
    pub fn dhcp_enable(&mut self, now: Instant, on: bool) {
        self.dhcp
            .enable(now, on && self.config.kind == LinkKind::Ethernet);
    }

    /// Is the DHCP client on?
    pub fn dhcp_enabled(&self) -> bool {
        self.dhcp.is_enabled()
    }

    /// The name that the DHCP client gives to the server (option 12); ignored unless it is a host name of one label
    /// (RFC 952).
    pub fn set_host_name(&mut self, name: &str) {
        self.dhcp.set_host_name(name);
    }

    /// An upper layer has proof that `next_hop` is there: a TCP acknowledgement of new data (RFC 4861 section 7.3.1).
    pub fn confirm(&mut self, now: Instant, next_hop: IpAddr) {
        if self.neighbours.confirm(now, next_hop)
            && let IpAddr::V6(router) = next_hop
        {
            self.autoconf.router_reachable(router);
        }
    }

    /// An upper layer sends the same again and again, and hears nothing: `next_hop` is asked whether it is there
    /// (RFC 1122 section 3.3.1.4), without waiting until it counts as stale.
    pub fn doubt(&mut self, now: Instant, next_hop: IpAddr) {
        self.neighbours.doubt(now, next_hop);
    }

    /// What happened since the last call, oldest first.
    pub fn take_events(&mut self) -> impl Iterator<Item = LinkEvent> + use<> {
        core::mem::take(&mut self.events).into_iter()
    }
}
