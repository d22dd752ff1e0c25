//! A packet's way in: is it well-formed, is it for us, whose is it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::{Icmpv4Message, IpProtocol};

use super::sockets::Full;
use super::{Change, Stack};
use crate::counters::count;
use crate::error::SocketError;
use crate::icmp::{self, Complaint, ErrorKind, Message, Quoted};
use crate::ip::{self, DEFAULT_TTL, Incoming, Outgoing, Reason};
use crate::output::Arrival;
use crate::ports::{LinkId, Ports};
use crate::socket::tcp::{IcmpError, Ingress};
use crate::socket::{SocketId, udp};

/// The group that every host is in (RFC 1112 4).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The port of DHCP clients, which are spoken to before they have an address (RFC 2131 4.1).
pub(super) const DHCP_CLIENT_PORT: u16 = 68;

/// As what a packet reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// An address of our own.
    Host,
    /// A broadcast or multicast address: nothing sent to it is answered with an error (RFC 1122 3.2.2).
    Group,
}

impl Stack {
    /// Takes in an IP packet. What it wants answered at once is answered; what a socket gets changes that socket.
    pub(super) fn input(&mut self, now: Instant, arrival: Arrival, bytes: &[u8], ports: &mut impl Ports) {
        count(&mut self.network.counters.received);
        let accepted = Incoming::parse(bytes).and_then(|packet| Ok((packet, self.target(arrival, &packet)?)));
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
            return if ours { Ok(Target::Host) } else { Err(|counters| &mut counters.not_for_us) };
        }
        if source.is_loopback() || destination.is_loopback() {
            return Err(|counters| &mut counters.loopback_on_wire);
        }
        if ip::is_impossible_source(packet.source) || self.network.is_broadcast_on(arrival.link, source) {
            return Err(|counters| &mut counters.bad_source);
        }
        if self.network.is_local(source) {
            return Err(|counters| &mut counters.own_source);
        }
        let target = self.target_on_wire(arrival.link, packet)?;
        if source.is_unspecified() && (target == Target::Host || packet.protocol != u8::from(IpProtocol::Udp)) {
            return Err(|counters| &mut counters.bad_source);
        }
        Ok(target)
    }

    fn target_on_wire(&self, link: LinkId, packet: &Incoming<'_>) -> Result<Target, Reason> {
        let destination = IpAddr::V4(packet.destination);
        if self.network.is_local(destination) {
            Ok(Target::Host)
        } else if self.network.is_broadcast_on(link, destination) || packet.destination == ALL_HOSTS {
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
        let nameless = self.network.links.get(&link).is_some_and(|link| link.addresses().is_empty());
        let port = packet.payload.get(2..4).and_then(|bytes| bytes.first_chunk()).map(|port| u16::from_be_bytes(*port));
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

    fn input_tcp(&mut self, now: Instant, arrival: Arrival, packet: &Incoming<'_>, ports: &mut impl Ports) {
        let out = &mut self.network.egress(ports);
        match self.tcp.ingress(now, arrival, packet.packet, out) {
            Ingress::Consumed => (),
            Ingress::NoFlow => self.tcp.refuse(now, packet.packet, out),
        }
    }

    fn input_udp(&mut self, now: Instant, target: Target, packet: &Incoming<'_>, ports: &mut impl Ports) {
        count(&mut self.udp.counters.received);
        let datagram = match udp::Incoming::parse(packet.payload, packet.source, packet.destination) {
            Ok(datagram) => datagram,
            Err(reason) => return count(reason(&mut self.udp.counters)),
        };
        let local = SocketAddr::new(packet.destination.into(), datagram.destination_port);
        let peer = SocketAddr::new(packet.source.into(), datagram.source_port);
        let found = match target {
            Target::Host => self.udp.find(local, peer).into_iter().collect(),
            Target::Group => self.udp.find_all(local, peer).collect::<Vec<_>>(),
        };
        for id in &found {
            match self.deliver(*id, peer, datagram.data) {
                Ok(()) => count(&mut self.udp.counters.delivered),
                Err(Full::Queue) => count(&mut self.udp.counters.queue_full),
                Err(Full::Memory) => count(&mut self.udp.counters.memory_full),
            }
        }
        if found.is_empty() {
            count(&mut self.udp.counters.no_port);
            self.complain(now, target, Complaint::PortUnreachable, packet, ports);
        }
    }

    fn input_icmp(&mut self, now: Instant, target: Target, packet: &Incoming<'_>, ports: &mut impl Ports) {
        match icmp::parse(packet.payload) {
            Ok(Message::EchoRequest(rest)) if target == Target::Host => self.echo(now, packet, rest, ports),
            Ok(Message::EchoRequest(_)) => count(&mut self.icmp_counters.echo_to_broadcast),
            Ok(Message::EchoReply { identifier, sequence_and_data }) => {
                self.input_echo_reply(packet.source, identifier, sequence_and_data);
            }
            Ok(Message::Error(quoted)) => self.icmp_error(now, &quoted, Some(packet)),
            Err(reason) => count(reason(&mut self.icmp_counters)),
        }
    }

    /// RFC 1122 3.2.2.6: the reply carries all that the request did, and comes from the address that was asked.
    fn echo(&mut self, now: Instant, packet: &Incoming<'_>, rest: &[u8], ports: &mut impl Ports) {
        let length = rest.len().saturating_add(4);
        let fill = |message: &mut [u8]| icmp::write_echo(message, Icmpv4Message::EchoReply, rest);
        match self.answer(now, packet, length, fill, ports) {
            Ok(()) => count(&mut self.icmp_counters.echo_answered),
            Err(_) => count(&mut self.icmp_counters.answer_not_sent),
        }
    }

    fn input_echo_reply(&mut self, source: Ipv4Addr, identifier: u16, sequence_and_data: &[u8]) {
        let source = IpAddr::V4(source);
        let owner = self.icmp.owner(identifier).filter(|id| {
            let peer = self.sockets.datagram(*id).ok().and_then(|socket| socket.peer).map(|peer| peer.ip());
            peer.is_none_or(|peer| peer == source || peer.is_multicast() || self.network.is_broadcast(peer))
        });
        let Some(id) = owner else { return count(&mut self.icmp_counters.reply_unexpected) };
        match self.deliver(id, SocketAddr::new(source, 0), sequence_and_data) {
            Ok(()) => count(&mut self.icmp_counters.reply_delivered),
            Err(_) => count(&mut self.icmp_counters.reply_queue_full),
        }
    }

    /// Something went wrong with a packet of ours: tells the socket or flow that sent it (RFC 1122 3.2.2.1, 4.1.3.3,
    /// 4.2.3.9). `message` is the packet that says so, unless the news come from our own link.
    pub(super) fn icmp_error(&mut self, now: Instant, quoted: &Quoted<'_>, message: Option<&Incoming<'_>>) {
        let concerned = self.network.is_local(quoted.source.into())
            && match IpProtocol::from(quoted.protocol) {
                IpProtocol::Tcp => self.tcp_error(now, quoted),
                IpProtocol::Udp => self.udp_error(quoted, message),
                IpProtocol::Icmp => self.echo_error(quoted),
                _ => false,
            };
        let counters = &mut self.icmp_counters;
        count(if concerned { &mut counters.error_delivered } else { &mut counters.error_unexpected });
    }

    fn tcp_error(&mut self, now: Instant, quoted: &Quoted<'_>) -> bool {
        let Some(((local, remote), sequence)) = quoted.endpoints().zip(quoted.tcp_sequence()) else { return false };
        let error = match quoted.kind {
            ErrorKind::Refused => IcmpError::PortUnreachable,
            ErrorKind::Unreachable(SocketError::NetworkUnreachable) => IcmpError::NetworkUnreachable,
            ErrorKind::Unreachable(_) | ErrorKind::Lost => IcmpError::HostUnreachable,
            ErrorKind::PacketTooBig { mtu } => IcmpError::PacketTooBig { mtu },
        };
        self.tcp.icmp_error(now, local, remote, sequence, error);
        true
    }

    fn udp_error(&mut self, quoted: &Quoted<'_>, message: Option<&Incoming<'_>>) -> bool {
        let Some((local, remote)) = quoted.endpoints() else { return false };
        let mut concerned = false;
        // An unconnected socket may have sent to many; an error without an address would tell it nothing.
        if let Some(id) = self.udp.find(local, remote) {
            concerned |= self.fail(id, remote.ip(), quoted.kind.socket_error());
        }
        let watchers: Vec<_> = self.icmp.watchers(local.port()).collect();
        for (id, message) in watchers.into_iter().filter_map(|id| Some((id, message?))) {
            concerned |= self.deliver(id, SocketAddr::new(message.source.into(), 0), message.payload).is_ok();
        }
        concerned
    }

    fn echo_error(&mut self, quoted: &Quoted<'_>) -> bool {
        let owner = quoted.echo_identifier().and_then(|identifier| self.icmp.owner(identifier));
        owner.is_some_and(|id| self.fail(id, quoted.destination.into(), quoted.kind.socket_error()))
    }

    /// Gives a socket that is connected to `peer` an error to tell. False when it is not.
    fn fail(&mut self, id: SocketId, peer: IpAddr, error: SocketError) -> bool {
        let Ok(socket) = self.sockets.datagram_mut(id) else { return false };
        if socket.peer.map(|own| own.ip()) != Some(peer) {
            return false;
        }
        socket.error = Some(error);
        self.changes.insert(Change::Socket(id));
        true
    }

    fn deliver(&mut self, id: SocketId, source: SocketAddr, data: &[u8]) -> Result<(), Full> {
        self.sockets.deliver(id, source, data)?;
        count(&mut self.network.counters.delivered);
        self.changes.insert(Change::Socket(id));
        Ok(())
    }

    /// Sends an ICMP error about a packet, unless it is one about which none may be sent (RFC 1122 3.2.2; fragments
    /// and impossible sources do not get this far, and errors about ICMP are never asked for).
    fn complain(
        &mut self,
        now: Instant,
        target: Target,
        complaint: Complaint,
        packet: &Incoming<'_>,
        ports: &mut impl Ports,
    ) {
        if target == Target::Group {
            return;
        }
        if !self.error_limit.allow(now) {
            return count(&mut self.icmp_counters.error_rate_limited);
        }
        let fill = |message: &mut [u8]| complaint.write(message, packet);
        match self.answer(now, packet, complaint.length(packet), fill, ports) {
            Ok(()) => count(&mut self.icmp_counters.error_sent),
            Err(_) => count(&mut self.icmp_counters.answer_not_sent),
        }
    }

    /// Sends an ICMP message back to where `packet` came from, from the address that it was sent to.
    fn answer(
        &mut self,
        now: Instant,
        packet: &Incoming<'_>,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let (source, destination) = (packet.destination, packet.source);
        let path = self.network.path(destination.into(), Some(source.into()))?;
        let identification = self.network.next_identification(source.into(), destination.into());
        let header =
            Outgoing { source, destination, protocol: IpProtocol::Icmp, ttl: DEFAULT_TTL, identification };
        self.network.send(now, &path, header, length, fill, ports)
    }
}
