//! What an adapter does by itself: ARP, timers, and what the DHCP client wishes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::time::Instant;
use smoltcp::wire::{EthernetProtocol, IpCidr};

use super::address::{Conflict, Due as AddressDue};
use super::arp::{Arp, Operation};
use super::dhcp::Action;
use super::ethernet::Received;
use super::ipv6::packet::Icmpv6;
use super::neighbour::{Due, Evidence, Learned};
use super::send::copy;
use super::{AddressOrigin, BROADCAST, Lease, Link, LinkEvent, MAX_EVENTS, ipv6};
use crate::counters::count;
use crate::ports::Ports;
use crate::route::is_host;

impl Link {
    /// RFC 826, "Packet Reception", with what RFC 5227 says of addresses claimed twice.
    pub(super) fn receive_arp(&mut self, now: Instant, packet: &[u8], ports: &mut impl Ports) {
        count(&mut self.counters.arp_rx);
        let Some(arp) = Arp::parse(packet) else {
            count(&mut self.counters.arp_rx_malformed);
            return;
        };
        if !is_station(arp.sender_mac) || arp.sender_mac == self.config.mac {
            count(&mut self.counters.arp_rx_bad_sender);
            return;
        }
        let (sender, target) = (IpAddr::V4(arp.sender), IpAddr::V4(arp.target));
        let probes = arp.sender.is_unspecified();
        if self.has_address(sender) || probes && self.addresses.is_tentative(target) {
            self.conflict(
                now,
                if probes { target } else { sender },
                arp.sender_mac,
                ports,
            );
            return;
        }
        if !probes {
            if !self.is_unicast(sender) {
                count(&mut self.counters.arp_rx_bad_sender);
                return;
            }
            self.learn(now, &arp, ports);
        }
        if arp.operation == Operation::Request && self.has_address(target) {
            count(&mut self.counters.arp_rx_requests_for_us);
            if self.send_arp(arp.sender_mac, arp.reply(self.config.mac), ports) {
                count(&mut self.counters.arp_tx_replies);
            }
        }
    }

    fn learn(&mut self, now: Instant, arp: &Arp, ports: &mut impl Ports) {
        let for_us = self.has_address(arp.target.into());
        let evidence = match arp.operation {
            Operation::Request if for_us => Evidence::Request,
            Operation::Reply if for_us && arp.target_mac == self.config.mac => Evidence::Reply,
            _ => Evidence::Hearsay,
        };
        if evidence == Evidence::Reply {
            count(&mut self.counters.arp_rx_replies);
        }
        let sender = IpAddr::V4(arp.sender);
        // A station outside our networks is one that we speak to (a gateway outside the leased network), or none: it
        // is answered, but a packet of its own does not make it a neighbour.
        if !self.addresses.is_on_link(sender) && !self.neighbours.contains(sender) {
            count(&mut self.counters.neighbour_not_learned);
            return;
        }
        match self
            .neighbours
            .learn(now, sender, arp.sender_mac, evidence, &mut self.counters)
        {
            Learned::Nothing => {}
            Learned::Resolved => self.resolved(now, sender, ports),
            Learned::Verify(known) => self.solicit(sender, Some(known), ports),
        }
    }

    /// Where `address` is, is known now: what waits for it leaves.
    pub(super) fn resolved(&mut self, now: Instant, address: IpAddr, ports: &mut impl Ports) {
        self.push_event(now, LinkEvent::NeighbourResolved(address));
        if !self.unsent.contains(&address) {
            self.unsent.push_back(address);
        }
        self.flush_unsent(ports);
    }

    /// An IPv4 packet that is not for the stack; false when it is.
    pub(super) fn take_v4(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        ports: &mut impl Ports,
    ) -> bool {
        let packet = received.payload;
        if let Some(message) = self.dhcp.intercept(packet, &mut self.counters) {
            self.receive_dhcp(now, message, ports);
            return true;
        }
        if received.to_group && !self.is_for_group(packet) {
            count(&mut self.counters.rx_unicast_in_group_frame);
            return true;
        }
        self.receive_igmp(now, packet)
    }

    /// An IPv6 packet that is not for the stack; false when it is.
    pub(super) fn take_v6(
        &mut self,
        now: Instant,
        received: &Received<'_>,
        ports: &mut impl Ports,
    ) -> bool {
        let packet = received.payload;
        let group = ipv6::packet::destination(packet).filter(Ipv6Addr::is_multicast);
        if received.to_group && group.is_none() {
            count(&mut self.counters.rx_unicast_in_group_frame);
            return true;
        }
        if group.is_some_and(|group| !self.is_member(group.into())) {
            count(&mut self.counters.rx_not_member);
            return true;
        }
        if self.autoconf.receive(now, packet) {
            self.poll_autoconf(now, ports);
            return true;
        }
        Icmpv6::find(packet)
            .is_some_and(|message| self.receive_icmpv6(now, received.source, &message, ports))
    }

    pub(super) fn poll_addresses(&mut self, now: Instant, ports: &mut impl Ports) {
        while let Some(due) = self.addresses.poll(now) {
            match due {
                AddressDue::Probe(address) => self.announce(Ipv4Addr::UNSPECIFIED, address, ports),
                AddressDue::Announce(address) => self.announce(address, address, ports),
                AddressDue::Solicit(address, nonce) => {
                    if !self.ask_for_duplicates(now, address, nonce, ports) {
                        self.addresses.not_asked(address);
                    }
                }
                AddressDue::Usable(address) => {
                    self.sync_groups(now);
                    self.push_event(now, LinkEvent::AddressUsable { address });
                }
                AddressDue::Deprecated(address) => {
                    self.push_event(now, LinkEvent::AddressDeprecated { address });
                }
                AddressDue::Expired(address) => {
                    self.sync_groups(now);
                    self.push_event(now, LinkEvent::AddressExpired { address });
                }
            }
        }
    }

    pub(super) fn poll_neighbours(&mut self, now: Instant, ports: &mut impl Ports) {
        while let Some(due) = self.neighbours.poll(now, &mut self.counters) {
            match due {
                Due::Ask { address, mac } => self.solicit(address, mac, ports),
                Due::Failed {
                    address,
                    router,
                    packets,
                } => self.neighbour_failed(now, address, router, packets),
            }
        }
    }

    fn neighbour_failed(
        &mut self,
        now: Instant,
        address: IpAddr,
        router: bool,
        packets: Vec<Box<[u8]>>,
    ) {
        let lost = packets.len() as u64;
        self.counters.pending_unreachable = self.counters.pending_unreachable.wrapping_add(lost);
        if let IpAddr::V6(router) = address {
            self.autoconf.router_unreachable(now, router);
        }
        // One that never told where it is, is a router by its advertisements.
        let router = router || self.is_silent_router(address);
        // First, so that who waits for it can go by another.
        if router {
            self.push_event(now, LinkEvent::RouterLost(address));
        }
        // A router that nobody waits for is lost to whoever chooses among routers only.
        if !router || !packets.is_empty() {
            self.push_event(now, LinkEvent::NeighbourUnreachable { address, packets });
        }
    }

    /// Another station, `mac`, claims `address`, which is ours.
    fn conflict(&mut self, now: Instant, address: IpAddr, mac: [u8; 6], ports: &mut impl Ports) {
        count(&mut self.counters.arp_conflicts);
        let conflict = self.addresses.conflict(now, address);
        if conflict != Some(Conflict::Bear) {
            self.push_event(now, LinkEvent::AddressConflict { address, mac });
        }
        match (conflict, address) {
            (Some(Conflict::Defend), IpAddr::V4(address)) => {
                self.announce(address, address, ports);
            }
            (Some(Conflict::Withdraw), _) if self.is_leased(address) => {
                if let Some(lease) = self.dhcp.decline(now) {
                    count(&mut self.counters.dhcp_leases_lost);
                    self.lease_lost(now, &lease);
                }
                self.poll_dhcp(now, ports);
            }
            _ => {}
        }
    }

    /// Tells all that `target` is ours, or, from `sender` 0.0.0.0, asks whether it is anybody's.
    pub(super) fn announce(&mut self, sender: Ipv4Addr, target: Ipv4Addr, ports: &mut impl Ports) {
        let arp = Arp::request(self.config.mac, sender, target);
        if self.send_arp(BROADCAST, arp, ports) {
            count(&mut self.counters.arp_tx_announcements);
        }
    }

    pub(super) fn receive_dhcp(
        &mut self,
        now: Instant,
        message: Option<&[u8]>,
        ports: &mut impl Ports,
    ) {
        let action =
            message.and_then(|message| self.dhcp.receive(now, message, &mut self.counters));
        if let Some(action) = action {
            self.act(now, action, ports);
        }
        self.poll_dhcp(now, ports);
    }

    pub(super) fn poll_dhcp(&mut self, now: Instant, ports: &mut impl Ports) {
        while let Some(action) = self.dhcp.poll(now, &mut self.counters) {
            self.act(now, action, ports);
        }
    }

    fn act(&mut self, now: Instant, action: Action, ports: &mut impl Ports) {
        match action {
            Action::Broadcast(packet) => {
                let sent = self.send_control(BROADCAST, EthernetProtocol::Ipv4, &packet, ports);
                self.count_dhcp(sent);
            }
            Action::Unicast { next_hop, packet } => {
                let sent = self.transmit(now, next_hop, packet.len(), copy(&packet), ports);
                self.count_dhcp(sent.is_ok());
            }
            Action::Bound { lease, before } => self.lease_began(now, lease, before),
            Action::Lost(lease) => self.lease_lost(now, &lease),
        }
    }

    fn count_dhcp(&mut self, sent: bool) {
        count(match sent {
            true => &mut self.counters.dhcp_tx,
            false => &mut self.counters.dhcp_tx_failed,
        });
    }

    fn lease_began(&mut self, now: Instant, lease: Lease, before: Option<Lease>) {
        if let Some(before) = before
            .as_ref()
            .filter(|before| before.address != lease.address)
        {
            self.remove_leased(before);
        }
        // An address that somebody configured by hand is his, even when a server grants the same one.
        if !self.has_address(lease.address.address().into()) {
            let _ = self.add_address(now, lease.address, AddressOrigin::Dhcp);
        }
        let same = before.is_some_and(|before| {
            Lease {
                duration: lease.duration,
                ..before
            } == lease
        });
        if !same {
            self.push_event(now, LinkEvent::Lease(lease));
        }
    }

    fn lease_lost(&mut self, now: Instant, lease: &Lease) {
        self.remove_leased(lease);
        let address = lease.address;
        self.push_event(now, LinkEvent::LeaseLost { address });
    }

    /// The lease of this address, if there is one, ends: the address is somebody else's business now.
    pub(super) fn forget_lease_of(&mut self, now: Instant, cidr: IpCidr) {
        let leased = self.lease().map(|lease| lease.address);
        if let Some(address) = leased.filter(|leased| leased.address() == cidr.address()) {
            self.dhcp.forget(now);
            self.push_event(now, LinkEvent::LeaseLost { address });
        }
    }

    fn remove_leased(&mut self, lease: &Lease) {
        let address = lease.address.address().into();
        if self.is_leased(address) {
            self.addresses.remove(address);
        }
    }

    fn is_leased(&self, address: IpAddr) -> bool {
        self.addresses()
            .iter()
            .any(|own| own.address() == address && own.origin == AddressOrigin::Dhcp)
    }

    /// Can `address` be that of one station?
    fn is_unicast(&self, address: IpAddr) -> bool {
        is_host(address) && !address.is_loopback() && !self.is_broadcast(address)
    }

    /// RFC 1122 section 3.3.6: a packet in a broadcast or multicast frame has to be for a group.
    pub(super) fn is_for_group(&self, packet: &[u8]) -> bool {
        let destination: Option<[u8; 4]> =
            packet.get(16..20).and_then(|octets| octets.try_into().ok());
        destination
            .map(IpAddr::from)
            .is_some_and(|address| address.is_multicast() || self.is_broadcast(address))
    }

    pub(super) fn push_event(&mut self, now: Instant, event: LinkEvent) {
        if self.events.len() >= MAX_EVENTS && !event.is_of_own_addresses() {
            count(&mut self.counters.events_lost);
            return;
        }
        if self.events.is_empty() {
            self.events_since = now;
        }
        self.events.push_back(event);
    }
}

/// Can `mac` be that of one station?
pub(super) fn is_station(mac: [u8; 6]) -> bool {
    let [first, ..] = mac;
    first & 1 == 0 && mac != [0; 6]
}
