//! How frames leave an adapter: next hops resolved, headers written, and what waits for room.

use core::net::IpAddr;

use smoltcp::time::Instant;
use smoltcp::wire::EthernetProtocol;

use super::arp::{self, Arp};
use super::neighbour::Resolution;
use super::{BROADCAST, Link, MAX_CONTROL, TransmitError, ethernet};
use crate::counters::count;
use crate::ports::Ports;

impl Link {
    /// Sends what waits for neighbours that are resolved, as far as there is room.
    pub(super) fn flush_unsent(&mut self, ports: &mut impl Ports) {
        while let Some(address) = self.unsent.pop_front() {
            while let Some((mac, length)) = self.neighbours.first_pending(address) {
                if !ports.has_room(self.id) {
                    self.unsent.push_front(address);
                    return;
                }
                let Some(packet) = self.neighbours.pop_pending(address) else {
                    break;
                };
                self.send(
                    mac,
                    ethernet::ethertype_of(address),
                    length,
                    copy(&packet),
                    ports,
                );
            }
        }
    }

    /// Asks for a neighbour: by unicast when `mac` says where it was.
    pub(super) fn solicit(
        &mut self,
        address: IpAddr,
        mac: Option<[u8; 6]>,
        ports: &mut impl Ports,
    ) {
        let target = match address {
            IpAddr::V4(target) => target,
            IpAddr::V6(target) => return self.solicit_v6(target, mac, ports),
        };
        let Some(IpAddr::V4(source)) = self.source_address(address) else {
            return;
        };
        let sent = self.send_arp(
            mac.unwrap_or(BROADCAST),
            Arp::request(self.config.mac, source, target),
            ports,
        );
        if sent {
            count(match mac {
                Some(_) => &mut self.counters.arp_tx_probes,
                None => &mut self.counters.arp_tx_requests,
            });
        }
    }

    /// False when the packet was dropped, and counted.
    pub(super) fn send_arp(
        &mut self,
        destination: [u8; 6],
        arp: Arp,
        ports: &mut impl Ports,
    ) -> bool {
        let mut packet = [0; arp::LENGTH];
        arp.emit(&mut packet);
        let sent = self.send_control(destination, EthernetProtocol::Arp, &packet, ports);
        if !sent {
            count(&mut self.counters.arp_tx_full);
        }
        sent
    }

    /// Sends a packet of the link's own. When the ring is full it waits for room, ahead of everything else: who fills
    /// the ring must not keep our neighbours from finding us, nor us from finding them. False when too many wait.
    pub(super) fn send_control(
        &mut self,
        destination: [u8; 6],
        ethertype: EthernetProtocol,
        packet: &[u8],
        ports: &mut impl Ports,
    ) -> bool {
        self.flush_control(ports);
        if ports.has_room(self.id) {
            return self.send(destination, ethertype, packet.len(), copy(packet), ports);
        }
        let control = Control {
            destination,
            ethertype,
            packet: packet.into(),
        };
        if self.control.contains(&control) {
            // A question asked again, before it could be asked at all.
            return true;
        }
        if self.control.len() >= MAX_CONTROL {
            return false;
        }
        self.control.push_back(control);
        true
    }

    /// Sends the link's own packets that waited for room.
    pub(super) fn flush_control(&mut self, ports: &mut impl Ports) {
        while ports.has_room(self.id) {
            let Some(Control {
                destination,
                ethertype,
                packet,
            }) = self.control.pop_front()
            else {
                return;
            };
            self.send(destination, ethertype, packet.len(), copy(&packet), ports);
        }
    }

    /// Has a frame written into the adapter's ring; false when there is no room.
    pub(super) fn send(
        &mut self,
        destination: [u8; 6],
        ethertype: EthernetProtocol,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> bool {
        let frame_length = length.saturating_add(ethernet::HEADER_LENGTH);
        let source = self.config.mac;
        let written = ports.send(self.id, frame_length, |frame| {
            if let Some(payload) = ethernet::write_header(frame, destination, source, ethertype) {
                fill(payload);
            }
        });
        if written.is_none() {
            count(&mut self.counters.tx_full);
            return false;
        }
        count(&mut self.counters.tx_frames);
        self.counters.tx_bytes = self.counters.tx_bytes.wrapping_add(frame_length as u64);
        true
    }

    pub(super) fn transmit_looped(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), TransmitError> {
        if !self.loopback.push(length, fill) {
            count(&mut self.counters.tx_full);
            return Err(TransmitError::Full);
        }
        count(&mut self.counters.tx_frames);
        self.counters.tx_bytes = self.counters.tx_bytes.wrapping_add(length as u64);
        Ok(())
    }

    /// The Ethernet address of a next hop; `None` when the packet has to wait for it.
    pub(super) fn resolve(
        &mut self,
        now: Instant,
        next_hop: IpAddr,
        ports: &mut impl Ports,
    ) -> Result<Option<[u8; 6]>, TransmitError> {
        if self.is_broadcast(next_hop) {
            return Ok(Some(BROADCAST));
        }
        if let Some(mac) = ethernet::multicast_address(next_hop) {
            return Ok(Some(mac));
        }
        match self.neighbours.resolve(now, next_hop) {
            Some(Resolution::Known(mac)) => Ok(Some(mac)),
            Some(Resolution::Wait) => Ok(None),
            None if self.can_solicit(next_hop) => {
                self.neighbours.admit(now, next_hop, &mut self.counters);
                self.solicit(next_hop, None, ports);
                Ok(None)
            }
            None => {
                count(&mut self.counters.tx_unreachable);
                Err(TransmitError::Unreachable)
            }
        }
    }

    /// Can this next hop be asked for? It takes an address of ours to ask from; one's own address is never asked for.
    fn can_solicit(&self, next_hop: IpAddr) -> bool {
        let askable =
            !next_hop.is_unspecified() && !next_hop.is_loopback() && !self.addresses.owns(next_hop);
        askable && self.source_address(next_hop).is_some()
    }
}

/// A packet of the link's own that waits for room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Control {
    destination: [u8; 6],
    ethertype: EthernetProtocol,
    packet: Box<[u8]>,
}

/// Writes a packet that was made before.
pub(super) fn copy(packet: &[u8]) -> impl FnOnce(&mut [u8]) {
    move |buffer| {
        if let Some(buffer) = buffer.get_mut(..packet.len()) {
            buffer.copy_from_slice(packet);
        }
    }
}
