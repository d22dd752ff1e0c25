//! A packet's way in: is it well-formed, is it for us, whose is it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::IpProtocol;

use super::sockets::Full;
use super::{Change, Stack};
use crate::counters::count;
use crate::icmp::Complaint;
use crate::ip::{self, Incoming, Reason};
use crate::output::Arrival;
use crate::ports::{LinkId, Ports};
use crate::socket::tcp::Ingress;
use crate::socket::{SocketId, udp};

/// The group that every host is in (RFC 1112 4).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The port of DHCP clients, which are spoken to before they have an address (RFC 2131 4.1).
pub(super) const DHCP_CLIENT_PORT: u16 = 68;

/// As what a packet reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An address of our own.
    Host,
    /// A broadcast or multicast address: nothing sent to it is answered with an error (RFC 1122 3.2.2).
    Group,
}

impl Stack {
    /// Takes in an IP packet. What it wants answered at once is answered; what a socket gets changes that socket.
    pub(super) fn input(
        &mut self,
        now: Instant,
        arrival: Arrival,
        bytes: &[u8],
        ports: &mut impl Ports,
    ) {
        count(&mut self.network.counters.received);
        let accepted =
            Incoming::parse(bytes).and_then(|packet| Ok((packet, self.target(arrival, &packet)?)));
        let (packet, target) = match accepted {
            Ok(accepted) => accepted,
            Err(reason) => return count(reason(&mut self.network.counters)),
        };
        let heard = self.input_raw(&packet);
        match IpProtocol::from(packet.protocol) {
            IpProtocol::Tcp => self.input_tcp(now, arrival, &packet, ports),
            IpProtocol::Udp => self.input_udp(now, target, &packet, ports),
            IpProtocol::Icmp => self.input_icmp(now, target, &packet, ports),
            _ if heard => (),
            _ => {
                count(&mut self.network.counters.unknown_protocol);
                self.complain(now, target, Complaint::ProtocolUnreachable, &packet, ports);
            }
        }
    }

    /// Whether a packet's addresses make sense here, and as what it reached us (RFC 1122 3.2.1.3, RFC 1812 5.3.7).
    fn target(&self, arrival: Arrival, packet: &Incoming<'_>) -> Result<Target, Reason> {
        let (source, destination) = (IpAddr::V4(packet.source), IpAddr::V4(packet.destination));
        if arrival.looped {
            let ours = self.network.is_local(source) && self.network.is_local(destination);
            return if ours {
                Ok(Target::Host)
            } else {
                Err(|counters| &mut counters.not_for_us)
            };
        }
        if source.is_loopback() || destination.is_loopback() {
            return Err(|counters| &mut counters.loopback_on_wire);
        }
        if ip::is_impossible_source(packet.source)
            || self.network.is_broadcast_on(arrival.link, source)
        {
            return Err(|counters| &mut counters.bad_source);
        }
        if self.network.is_local(source) {
            return Err(|counters| &mut counters.own_source);
        }
        let target = self.target_on_wire(arrival.link, packet)?;
        if source.is_unspecified()
            && (target == Target::Host || packet.protocol != u8::from(IpProtocol::Udp))
        {
            return Err(|counters| &mut counters.bad_source);
        }
        Ok(target)
    }

    fn target_on_wire(&self, link: LinkId, packet: &Incoming<'_>) -> Result<Target, Reason> {
        let destination = IpAddr::V4(packet.destination);
        if self.network.is_local(destination) {
            Ok(Target::Host)
        } else if self.network.is_broadcast_on(link, destination) || packet.destination == ALL_HOSTS
        {
            Ok(Target::Group)
        } else if packet.destination.is_multicast() {
            Err(|counters| &mut counters.not_joined)
        } else if self.awaits_address(link, packet) {
            Ok(Target::Group)
        } else {
            Err(|counters| &mut counters.not_for_us)
        }
    }

    /// Is this a DHCP server's word to a client of ours that has no address yet (RFC 2131 4.1: it comes to the address
    /// on offer)?
    fn awaits_address(&self, link: LinkId, packet: &Incoming<'_>) -> bool {
        let nameless = self
            .network
            .links
            .get(&link)
            .is_some_and(|link| link.addresses().is_empty());
        let port = packet
            .payload
            .get(2..4)
            .and_then(|bytes| bytes.first_chunk())
            .map(|port| u16::from_be_bytes(*port));
        nameless
            && packet.protocol == u8::from(IpProtocol::Udp)
            && port == Some(DHCP_CLIENT_PORT)
            && self.udp.holders(DHCP_CLIENT_PORT).next().is_some()
    }

    /// A copy for every raw socket of that protocol. True if there was one.
    fn input_raw(&mut self, packet: &Incoming<'_>) -> bool {
        let listeners: Vec<_> = self.raw.listeners(packet.protocol).collect();
        for id in &listeners {
            let wanted = self.sockets.datagram(*id).is_ok_and(|socket| {
                socket.local.is_none_or(|local| local == packet.destination)
                    && socket.peer.is_none_or(|peer| peer.ip() == packet.source)
            });
            if wanted {
                let source = SocketAddr::new(packet.source.into(), 0);
                match self.deliver(*id, source, packet.packet) {
                    Ok(()) => count(&mut self.network.counters.raw_delivered),
                    Err(_) => count(&mut self.network.counters.raw_queue_full),
                }
            }
        }
        !listeners.is_empty()
    }

    fn input_tcp(
        &mut self,
        now: Instant,
        arrival: Arrival,
        packet: &Incoming<'_>,
        ports: &mut impl Ports,
    ) {
        let out = &mut self.network.egress(ports);
        match self.tcp.ingress(now, arrival, packet.packet, out) {
            Ingress::Consumed => (),
            Ingress::NoFlow => self.tcp.refuse(now, packet.packet, out),
        }
    }

    fn input_udp(
        &mut self,
        now: Instant,
        target: Target,
        packet: &Incoming<'_>,
        ports: &mut impl Ports,
    ) {
        count(&mut self.udp.counters.received);
        let datagram = match udp::Incoming::parse(packet.payload, packet.source, packet.destination)
        {
            Ok(datagram) => datagram,
            Err(reason) => return count(reason(&mut self.udp.counters)),
        };
        let local = SocketAddr::new(packet.destination.into(), datagram.destination_port);
        let peer = SocketAddr::new(packet.source.into(), datagram.source_port);
        let found = match target {
            Target::Host => self
                .udp
                .find(local, peer)
                .map(|id| self.deliver_udp(id, peer, datagram.data)),
            Target::Group => {
                let ids: Vec<_> = self.udp.find_all(local, peer).collect();
                ids.into_iter()
                    .map(|id| self.deliver_udp(id, peer, datagram.data))
                    .last()
            }
        };
        if found.is_none() {
            count(&mut self.udp.counters.no_port);
            self.complain(now, target, Complaint::PortUnreachable, packet, ports);
        }
    }

    fn deliver_udp(&mut self, id: SocketId, source: SocketAddr, data: &[u8]) {
        match self.deliver(id, source, data) {
            Ok(()) => count(&mut self.udp.counters.delivered),
            Err(Full::Queue) => count(&mut self.udp.counters.queue_full),
            Err(Full::Memory) => count(&mut self.udp.counters.memory_full),
        }
    }

    pub(super) fn deliver(
        &mut self,
        id: SocketId,
        source: SocketAddr,
        data: &[u8],
    ) -> Result<(), Full> {
        self.sockets.deliver(id, source, data)?;
        count(&mut self.network.counters.delivered);
        self.changes.insert(Change::Socket(id));
        Ok(())
    }
}
