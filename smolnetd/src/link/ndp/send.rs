//! What is asked and answered.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Instant;
use smoltcp::wire::EthernetProtocol;

use super::wire::{self, HOP_LIMIT, Nonce};
use crate::counters::count;
use crate::link::ethernet::multicast_address;
use crate::link::ipv6::packet::{ALL_NODES, Envelope, solicited_node};
use crate::link::{BROADCAST, Link};
use crate::ports::Ports;

impl Link {
    /// RFC 4861 section 7.2.2: asks for a neighbour, by unicast when `mac` says where it was.
    pub(in crate::link) fn solicit_v6(
        &mut self,
        target: Ipv6Addr,
        mac: Option<[u8; 6]>,
        ports: &mut impl Ports,
    ) {
        let Some(IpAddr::V6(source)) = self.source_address(target.into()) else {
            return;
        };
        let message = wire::solicitation(target, Some(self.config.mac), None);
        let destination = match mac {
            Some(_) => target,
            None => solicited_node(target),
        };
        if self.send_ndp(source, destination, mac, &message, ports) {
            count(match mac {
                Some(_) => &mut self.counters.ndp_tx_probes,
                None => &mut self.counters.ndp_tx_solicitations,
            });
        }
    }

    /// RFC 4862 section 5.4.2: asks whether anybody has `target`, from no address. The group in which the answers and
    /// the questions of others are heard is joined first. False when the question was dropped, and counted.
    pub(in crate::link) fn ask_for_duplicates(
        &mut self,
        now: Instant,
        target: Ipv6Addr,
        nonce: Nonce,
        ports: &mut impl Ports,
    ) -> bool {
        self.sync_groups(now);
        self.poll_groups(now, ports);
        let message = wire::solicitation(target, None, Some(nonce));
        let destination = solicited_node(target);
        let asked = self.send_ndp(Ipv6Addr::UNSPECIFIED, destination, None, &message, ports);
        if asked {
            count(&mut self.counters.dad_tx_solicitations);
        }
        asked
    }

    /// RFC 4861 section 7.2.4: tells who asked, or everybody, that `target` is ours.
    pub(super) fn answer(
        &mut self,
        target: Ipv6Addr,
        to: Option<(Ipv6Addr, [u8; 6])>,
        ports: &mut impl Ports,
    ) {
        let message = wire::advertisement(target, self.config.mac, to.is_some());
        let destination = to.map_or(ALL_NODES, |(asker, _)| asker);
        let mac = to.map(|(_, mac)| mac);
        if self.send_ndp(target, destination, mac, &message, ports) {
            count(&mut self.counters.ndp_tx_advertisements);
        }
    }

    /// Sends a message to a station, or to the group that `destination` is. False when it was dropped, and counted.
    fn send_ndp(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        mac: Option<[u8; 6]>,
        message: &[u8],
        ports: &mut impl Ports,
    ) -> bool {
        let envelope = Envelope {
            source,
            destination,
            hop_limit: HOP_LIMIT,
            router_alert: false,
        };
        let packet = envelope.wrap(message);
        let mac = mac
            .or_else(|| multicast_address(destination.into()))
            .unwrap_or(BROADCAST);
        let sent = self.send_control(mac, EthernetProtocol::Ipv6, &packet, ports);
        if !sent {
            count(&mut self.counters.ndp_tx_full);
        }
        sent
    }
}
