//! A packet's way in: is it well-formed, is it for us, whose is it.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::IpProtocol;

use super::sockets::Full;
use super::{Change, Stack};
use crate::counters::count;
use crate::fragment::Fragment;
use crate::icmp::Complaint;
use crate::ip::{self, Incoming, Problem, Reason, ZonedAddr};
use crate::output::Arrival;
use crate::ports::{LinkId, Ports};
use crate::socket::bound::{Bound, Family};
use crate::socket::tcp::Ingress;
use crate::socket::{SocketId, udp};

/// The port of DHCP clients, which are spoken to before they have an address (RFC 2131 4.1).
pub(super) const DHCP_CLIENT_PORT: u16 = 68;
/// The port of DHCPv6 clients (RFC 8415 7.2).
pub(super) const DHCPV6_CLIENT_PORT: u16 = 546;

/// As what a packet reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An address of our own.
    Host,
    /// A broadcast or multicast address: nothing sent to it is answered with an error (RFC 1122 3.2.2).
    Group,
}

/// A packet whose addresses make sense here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted<'p> {
    pub(super) packet: Incoming<'p>,
    pub(super) target: Target,
    /// On which link its addresses are understood: that which it came from, or, of one that we sent to ourselves, that
    /// which has its destination.
    pub(super) link: LinkId,
}

impl Accepted<'_> {
    /// The sender's end.
    pub(super) fn peer(&self, port: u16) -> SocketAddr {
        self.packet.source_end(self.link, port)
    }

    /// Our end.
    pub(super) fn local(&self, port: u16) -> SocketAddr {
        self.packet.destination_end(self.link, port)
    }
}

impl Stack {
    /// Takes in an IP packet of either family. What it wants answered at once is answered; what a socket gets changes
    /// that socket.
    pub(super) fn input(
        &mut self,
        now: Instant,
        arrival: Arrival,
        bytes: &[u8],
        ports: &mut impl Ports,
    ) {
        count(&mut self.network.counters.received);
        match self.admit(arrival, bytes) {
            Ok(accepted) => self.input_packet(now, arrival, &accepted, ports),
            Err(reason) => count(reason(&mut self.network.counters)),
        }
    }

    /// Reads a packet, and says what it is here.
    pub(super) fn admit<'p>(
        &self,
        arrival: Arrival,
        bytes: &'p [u8],
    ) -> Result<Accepted<'p>, Reason> {
        let packet = Incoming::parse(bytes)?;
        Ok(Accepted {
            target: self.target(arrival, &packet)?,
            link: self.zone_of(arrival, &packet),
            packet,
        })
    }

    /// A packet for us: to whoever it concerns.
    pub(super) fn input_packet(
        &mut self,
        now: Instant,
        arrival: Arrival,
        accepted: &Accepted<'_>,
        ports: &mut impl Ports,
    ) {
        let arrival = Arrival {
            link: accepted.link,
            ..arrival
        };
        let packet = &accepted.packet;
        if let Some(problem) = packet.problem {
            return self.input_problem(now, accepted, problem, ports);
        }
        if let Some(fragment) = Fragment::of(accepted.link, packet) {
            return self.input_fragment(now, arrival, accepted, &fragment, ports);
        }
        if packet.atomic {
            count(&mut self.network.counters.atomic_fragment);
        }
        let heard = self.input_raw(accepted);
        match (IpProtocol::from(packet.protocol), packet.is_v4()) {
            (IpProtocol::Tcp, _) => self.input_tcp(now, arrival, packet, ports),
            (IpProtocol::Udp, _) => self.input_udp(now, accepted, ports),
            (IpProtocol::Icmp, true) | (IpProtocol::Icmpv6, false) => {
                self.input_icmp(now, accepted, ports);
            }
            (IpProtocol::Ipv6NoNxt, false) => count(&mut self.network.counters.no_next_header),
            _ if heard => (),
            _ => {
                count(&mut self.network.counters.unknown_protocol);
                self.complain(now, accepted, Complaint::ProtocolUnreachable, ports);
            }
        }
    }

    /// A packet whose extension headers cannot be used.
    fn input_problem(
        &mut self,
        now: Instant,
        accepted: &Accepted<'_>,
        problem: Problem,
        ports: &mut impl Ports,
    ) {
        count((problem.reason)(&mut self.network.counters));
        if let Some(parameter) = problem.parameter {
            self.complain(now, accepted, Complaint::Parameter(parameter), ports);
        }
    }

    /// Whether a packet's addresses make sense here, and as what it reached us (RFC 1122 3.2.1.3, RFC 1812 5.3.7,
    /// RFC 4291 2.5 and 2.7).
    fn target(&self, arrival: Arrival, packet: &Incoming<'_>) -> Result<Target, Reason> {
        let (source, destination) = (packet.source, packet.destination);
        if arrival.looped {
            let ours = self.is_own(source) && self.is_own(destination);
            return if ours {
                Ok(Target::Host)
            } else {
                Err(|counters| &mut counters.not_for_us)
            };
        }
        if source.is_loopback() || destination.is_loopback() {
            return Err(|counters| &mut counters.loopback_on_wire);
        }
        if ip::is_mapped(source) || ip::is_mapped(destination) {
            return Err(|counters| &mut counters.mapped_on_wire);
        }
        if is_impossible_source(source) || self.network.is_broadcast_on(arrival.link, source) {
            return Err(|counters| &mut counters.bad_source);
        }
        if self.network.has(ZonedAddr::on(source, arrival.link)) {
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

    fn zone_of(&self, arrival: Arrival, packet: &Incoming<'_>) -> LinkId {
        let looped = arrival.looped && ip::needs_zone(packet.destination);
        let mut links = self.network.links.values();
        links
            .find(|link| looped && link.has_address(packet.destination))
            .map_or(arrival.link, |link| link.id())
    }

    /// Is it an address of ours on any link? What is looped does not say on which.
    fn is_own(&self, address: IpAddr) -> bool {
        let mut links = self.network.links.values();
        address.is_loopback() || links.any(|link| link.has_address(address))
    }

    fn target_on_wire(&self, link: LinkId, packet: &Incoming<'_>) -> Result<Target, Reason> {
        let destination = packet.destination;
        if self.network.has(ZonedAddr::on(destination, link)) {
            Ok(Target::Host)
        } else if self.network.is_broadcast_on(link, destination) {
            Ok(Target::Group)
        } else if ip::stays_in_host(destination) {
            Err(|counters| &mut counters.bad_scope)
        } else if destination.is_multicast() {
            match self.network.is_member(link, destination) {
                true => Ok(Target::Group),
                false => Err(|counters| &mut counters.not_joined),
            }
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
            .is_some_and(|link| !link.addresses().iter().any(|own| own.address().is_ipv4()));
        let port = packet
            .payload
            .get(2..4)
            .and_then(|bytes| bytes.first_chunk())
            .map(|port| u16::from_be_bytes(*port));
        nameless
            && packet.is_v4()
            && packet.protocol == u8::from(IpProtocol::Udp)
            && port == Some(DHCP_CLIENT_PORT)
            && self.udp.holders(DHCP_CLIENT_PORT).next().is_some()
    }

    /// A copy for every raw socket of that family and protocol. True if there was one.
    fn input_raw(&mut self, accepted: &Accepted<'_>) -> bool {
        let packet = &accepted.packet;
        let family = match packet.is_v4() {
            true => Family::V4,
            false => Family::V6,
        };
        let listeners: Vec<_> = self.raw.listeners((family, packet.protocol)).collect();
        let (local, peer) = (accepted.local(0), accepted.peer(0));
        for id in &listeners {
            let wanted = self.sockets.datagram(*id).is_ok_and(|socket| {
                let bound = socket.local.and_then(Bound::one);
                bound.is_none_or(|bound| bound == ZonedAddr::of(local))
                    && socket
                        .peer
                        .is_none_or(|own| ZonedAddr::of(own) == ZonedAddr::of(peer))
            });
            if wanted {
                match self.deliver(*id, peer, packet.packet) {
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
        let packet = packet.plain();
        match self.tcp.ingress(now, arrival, &packet, out) {
            Ingress::Consumed => (),
            Ingress::NoFlow => self.tcp.refuse(now, arrival, &packet, out),
        }
    }

    fn input_udp(&mut self, now: Instant, accepted: &Accepted<'_>, ports: &mut impl Ports) {
        count(&mut self.udp.counters.received);
        let packet = &accepted.packet;
        let datagram = match udp::Incoming::parse(packet.payload, packet.source, packet.destination)
        {
            Ok(datagram) => datagram,
            Err(reason) => return count(reason(&mut self.udp.counters)),
        };
        let local = accepted.local(datagram.destination_port);
        let peer = accepted.peer(datagram.source_port);
        let found = match accepted.target {
            Target::Host => self
                .udp
                .find(local, peer)
                .map(|id| self.deliver_udp(id, peer, datagram.data))
                .is_some(),
            Target::Group => self.deliver_to_group(local, peer, datagram.data),
        };
        if !found {
            count(&mut self.udp.counters.no_port);
            self.complain(now, accepted, Complaint::PortUnreachable, ports);
        }
    }

    pub(super) fn deliver_udp(&mut self, id: SocketId, source: SocketAddr, data: &[u8]) {
        match self.deliver(id, source, data) {
            Ok(()) => count(&mut self.udp.counters.delivered),
            Err(Full::Queue) => count(&mut self.udp.counters.queue_full),
            Err(Full::OfUser) => count(&mut self.udp.counters.user_memory_full),
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

/// May no host have this address as its source (RFC 4291 2.5.2, 2.7 for IPv6)? The unspecified one has its place with
/// IPv4 only: where IPv6 uses it, the link has taken the packet.
fn is_impossible_source(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(source) => ip::v4::is_impossible_source(source),
        IpAddr::V6(source) => source.is_multicast() || source.is_unspecified(),
    }
}
