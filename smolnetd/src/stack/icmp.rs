//! ICMP in the stack: echoes answered and delivered, errors told to whom they concern, complaints sent.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::{Icmpv4Message, IpProtocol};

use super::input::Target;
use super::{Change, Stack};
use crate::counters::count;
use crate::error::SocketError;
use crate::icmp::{self, Complaint, ErrorKind, Message, Quoted};
use crate::ip::{DEFAULT_TTL, Incoming, Outgoing};
use crate::ports::Ports;
use crate::socket::SocketId;
use crate::socket::tcp::IcmpError;

impl Stack {
    pub(super) fn input_icmp(
        &mut self,
        now: Instant,
        target: Target,
        packet: &Incoming<'_>,
        ports: &mut impl Ports,
    ) {
        match icmp::parse(packet.payload) {
            Ok(Message::EchoRequest(rest)) if target == Target::Host => {
                self.echo(now, packet, rest, ports)
            }
            Ok(Message::EchoRequest(_)) => count(&mut self.icmp_counters.echo_to_broadcast),
            Ok(Message::EchoReply {
                identifier,
                sequence_and_data,
            }) => {
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
            let peer = self
                .sockets
                .datagram(*id)
                .ok()
                .and_then(|socket| socket.peer)
                .map(|peer| peer.ip());
            peer.is_none_or(|peer| {
                peer == source || peer.is_multicast() || self.network.is_broadcast(peer)
            })
        });
        let Some(id) = owner else {
            return count(&mut self.icmp_counters.reply_unexpected);
        };
        match self.deliver(id, SocketAddr::new(source, 0), sequence_and_data) {
            Ok(()) => count(&mut self.icmp_counters.reply_delivered),
            Err(_) => count(&mut self.icmp_counters.reply_queue_full),
        }
    }

    /// Something went wrong with a packet of ours: tells the socket or flow that sent it (RFC 1122 3.2.2.1, 4.1.3.3,
    /// 4.2.3.9). `message` is the packet that says so, unless the news come from our own link.
    pub(super) fn icmp_error(
        &mut self,
        now: Instant,
        quoted: &Quoted<'_>,
        message: Option<&Incoming<'_>>,
    ) {
        let concerned = self.network.is_local(quoted.source.into())
            && match IpProtocol::from(quoted.protocol) {
                IpProtocol::Tcp => self.tcp_error(now, quoted),
                IpProtocol::Udp => self.udp_error(quoted, message),
                IpProtocol::Icmp => self.echo_error(quoted),
                _ => false,
            };
        let counters = &mut self.icmp_counters;
        count(if concerned {
            &mut counters.error_delivered
        } else {
            &mut counters.error_unexpected
        });
    }

    fn tcp_error(&mut self, now: Instant, quoted: &Quoted<'_>) -> bool {
        let Some(((local, remote), sequence)) = quoted.endpoints().zip(quoted.tcp_sequence())
        else {
            return false;
        };
        let error = match quoted.kind {
            ErrorKind::Refused => IcmpError::PortUnreachable,
            ErrorKind::Unreachable(SocketError::NetworkUnreachable) => {
                IcmpError::NetworkUnreachable
            }
            ErrorKind::Unreachable(_) | ErrorKind::Lost => IcmpError::HostUnreachable,
            ErrorKind::PacketTooBig { mtu } => IcmpError::PacketTooBig { mtu },
        };
        self.tcp.icmp_error(now, local, remote, sequence, error);
        true
    }

    fn udp_error(&mut self, quoted: &Quoted<'_>, message: Option<&Incoming<'_>>) -> bool {
        let Some((local, remote)) = quoted.endpoints() else {
            return false;
        };
        if is_impossible_for_datagrams(quoted.kind) {
            return false;
        }
        let mut concerned = false;
        // An unconnected socket may have sent to many; an error without an address would tell it nothing.
        if let Some(id) = self.udp.find(local, remote) {
            concerned |= self.fail(id, remote.ip(), quoted.kind.socket_error());
        }
        let watchers: Vec<_> = self
            .icmp
            .watchers(local.port())
            .filter(|id| self.may_watch(*id, local.port()))
            .collect();
        for (id, message) in watchers.into_iter().filter_map(|id| Some((id, message?))) {
            concerned |= self
                .deliver(
                    id,
                    SocketAddr::new(message.source.into(), 0),
                    message.payload,
                )
                .is_ok();
        }
        concerned
    }

    /// An error quotes the datagram: it is for root, and for who has sent it.
    fn may_watch(&self, id: SocketId, port: u16) -> bool {
        let Ok(watcher) = self.sockets.owner(id) else {
            return false;
        };
        watcher.is_privileged()
            || self
                .udp
                .holders(port)
                .any(|(_, holder)| self.sockets.owner(holder) == Ok(watcher))
    }

    fn echo_error(&mut self, quoted: &Quoted<'_>) -> bool {
        if is_impossible_for_datagrams(quoted.kind) {
            return false;
        }
        let owner = quoted
            .echo_identifier()
            .and_then(|identifier| self.icmp.owner(identifier));
        owner.is_some_and(|id| self.fail(id, quoted.destination.into(), quoted.kind.socket_error()))
    }

    /// Gives a socket that is connected to `peer` an error to tell. False when it is not.
    fn fail(&mut self, id: SocketId, peer: IpAddr, error: SocketError) -> bool {
        let Ok(socket) = self.sockets.datagram_mut(id) else {
            return false;
        };
        if socket.peer.map(|own| own.ip()) != Some(peer) {
            return false;
        }
        socket.error = Some(error);
        self.changes.insert(Change::Socket(id));
        true
    }

    /// Sends an ICMP error about a packet, unless it is one about which none may be sent (RFC 1122 3.2.2; fragments
    /// and impossible sources do not get this far, and errors about ICMP are never asked for).
    pub(super) fn complain(
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
        let identification = self
            .network
            .next_identification(source.into(), destination.into());
        let header = Outgoing {
            source,
            destination,
            protocol: IpProtocol::Icmp,
            ttl: DEFAULT_TTL,
            identification,
        };
        self.network.send(now, &path, header, length, fill, ports)
    }
}

/// Our datagrams may be fragmented on their way: who says that one could not be forwarded unfragmented has not seen it.
fn is_impossible_for_datagrams(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PacketTooBig { .. })
}
