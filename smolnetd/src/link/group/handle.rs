//! The groups of an adapter: who joins them, and how routers hear of it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use smoltcp::time::Instant;
use smoltcp::wire::EthernetProtocol;

use super::{GroupError, Groups, MAX_GROUPS, Received, Report, igmp, mld};
use crate::counters::count;
use crate::link::ethernet::multicast_address;
use crate::link::ipv6::packet::{Envelope, Icmpv6, solicited_node};
use crate::link::{BROADCAST, Link, LinkAddress, MAX_ADDRESSES};
use crate::ports::Ports;

impl Link {
    /// One more wants to hear what is sent to `group`: the next [`Link::poll`], due at once, tells the routers.
    /// Whoever joins leaves as often.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn join(&mut self, now: Instant, group: IpAddr) -> Result<(), GroupError> {
        let own = match group {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => self.solicited_nodes.len(),
        };
        let most = MAX_GROUPS.saturating_add(own);
        let joined = self.groups_of(group).join(now, group, most);
        if joined == Err(GroupError::TooMany) {
            count(&mut self.counters.groups_full);
        }
        joined
    }

    /// One less does. False when nobody did.
    pub fn leave(&mut self, now: Instant, group: IpAddr) -> bool {
        self.groups_of(group).leave(now, group)
    }

    /// Does somebody here want to hear what is sent to `group`? Always true of all nodes and all hosts.
    pub fn is_member(&self, group: IpAddr) -> bool {
        match group {
            IpAddr::V4(_) => self.groups_v4.contains(group),
            IpAddr::V6(_) => self.groups_v6.contains(group),
        }
    }

    fn groups_of(&mut self, group: IpAddr) -> &mut Groups {
        match group {
            IpAddr::V4(_) => &mut self.groups_v4,
            IpAddr::V6(_) => &mut self.groups_v6,
        }
    }

    /// RFC 4291 section 2.8: makes the solicited-node groups those of the addresses, tentative ones included.
    pub(in crate::link) fn sync_groups(&mut self, now: Instant) {
        let wanted: BTreeSet<Ipv6Addr> = self.addresses.heard_at().map(solicited_node).collect();
        if wanted == self.solicited_nodes {
            return;
        }
        let joined = core::mem::take(&mut self.solicited_nodes);
        for group in joined.difference(&wanted) {
            self.leave(now, IpAddr::V6(*group));
        }
        for group in wanted.difference(&joined) {
            let most = MAX_GROUPS.saturating_add(MAX_ADDRESSES);
            // There is room for as many of these as there may be addresses.
            let _ = self.groups_v6.join(now, IpAddr::V6(*group), most);
        }
        self.solicited_nodes = wanted;
    }

    pub(in crate::link) fn receive_mld(&mut self, now: Instant, packet: &Icmpv6<'_>) {
        count(&mut self.counters.mld_rx);
        let destination = IpAddr::V6(packet.destination);
        let for_us = self.is_member(destination) || self.has_address(destination);
        match mld::receive(packet).filter(|_| for_us) {
            None => count(&mut self.counters.mld_rx_ignored),
            Some(Received::Query(query)) => self.groups_v6.query(now, &query),
            Some(Received::Report(group)) => self.groups_v6.hear_report(now, group),
            Some(Received::Nothing) => {}
        }
    }

    /// Takes an IPv4 packet that carries IGMP; false when it does not.
    pub(in crate::link) fn receive_igmp(&mut self, now: Instant, packet: &[u8]) -> bool {
        let Some(packet) = igmp::Packet::find(packet) else {
            return false;
        };
        count(&mut self.counters.igmp_rx);
        match igmp::receive(&packet) {
            None => count(&mut self.counters.igmp_rx_ignored),
            Some(Received::Query(query)) => self.groups_v4.query(now, &query),
            Some(Received::Report(group)) => self.groups_v4.hear_report(now, group),
            Some(Received::Nothing) => {}
        }
        true
    }

    /// Tells routers what is due.
    pub(in crate::link) fn poll_groups(&mut self, now: Instant, ports: &mut impl Ports) {
        while let Some(report) = self.groups_v6.poll(now) {
            let sent = self.send_mld(&report, ports);
            count(match sent {
                true => &mut self.counters.mld_tx,
                false => &mut self.counters.mld_tx_full,
            });
        }
        while let Some(report) = self.groups_v4.poll(now) {
            let sent = self.send_igmp(&report, ports);
            count(match sent {
                true => &mut self.counters.igmp_tx,
                false => &mut self.counters.igmp_tx_full,
            });
        }
    }

    fn send_mld(&mut self, report: &Report, ports: &mut impl Ports) -> bool {
        // RFC 3590 section 4: until there is a link-local address, the unspecified one, for the switches between.
        let source = self.link_local().unwrap_or(Ipv6Addr::UNSPECIFIED);
        let Some((destination, message)) = mld::emit(report) else {
            return false;
        };
        let envelope = Envelope {
            source,
            destination,
            hop_limit: mld::HOP_LIMIT,
            router_alert: true,
        };
        let packet = envelope.wrap(&message);
        self.send_to_group(destination.into(), EthernetProtocol::Ipv6, &packet, ports)
    }

    fn send_igmp(&mut self, report: &Report, ports: &mut impl Ports) -> bool {
        let mut own = self.addresses().iter().map(LinkAddress::address);
        let source = own.find_map(|own| match own {
            IpAddr::V4(own) => Some(own),
            IpAddr::V6(_) => None,
        });
        // RFC 3376 section 4.2.13: 0.0.0.0 as long as there is none.
        let source = source.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let Some((destination, packet)) = igmp::emit(report, source) else {
            return false;
        };
        self.send_to_group(destination.into(), EthernetProtocol::Ipv4, &packet, ports)
    }

    fn send_to_group(
        &mut self,
        group: IpAddr,
        ethertype: EthernetProtocol,
        packet: &[u8],
        ports: &mut impl Ports,
    ) -> bool {
        let mac = multicast_address(group).unwrap_or(BROADCAST);
        self.send_control(mac, ethertype, packet, ports)
    }
}
