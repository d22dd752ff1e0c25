//! ICMP in the stack: echoes answered and delivered, errors told to whom they concern, complaints sent.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::IpProtocol;

use super::input::{Accepted, Target};
use super::{Change, Stack};
use crate::counters::count;
use crate::error::SocketError;
use crate::icmp::{self, Complaint, Echo, Ends, ErrorKind, Message, Quoted};
use crate::ip::ZonedAddr;
use crate::ports::{LinkId, Ports};
use crate::socket::SocketId;
use crate::socket::tcp::IcmpError;

impl Stack {
    pub(super) fn input_icmp(
        &mut self,
        now: Instant,
        accepted: &Accepted<'_>,
        ports: &mut impl Ports,
    ) {
        match icmp::parse(&accepted.packet) {
            Ok(Message::EchoRequest(rest)) if self.may_echo(now, accepted) => {
                self.echo(now, accepted, rest, ports)
            }
            Ok(Message::EchoRequest(_)) => count(&mut self.icmp_counters.echo_to_broadcast),
            Ok(Message::EchoReply {
                identifier,
                sequence_and_data,
            }) => self.input_echo_reply(accepted.peer(0), identifier, sequence_and_data),
            Ok(Message::Error(quoted)) => {
                self.icmp_error(now, accepted.link, &quoted, Some(accepted));
            }
            Ok(Message::Redirect {
                gateway,
                source,
                destination,
            }) => self.redirected_v4(now, accepted, gateway, (source, destination)),
            Err(reason) => count(reason(&mut self.icmp_counters)),
        }
    }

    /// RFC 1122 3.2.2.2: another first hop for the destination of a packet of ours, if the one that we use says so.
    fn redirected_v4(
        &mut self,
        now: Instant,
        accepted: &Accepted<'_>,
        gateway: IpAddr,
        (source, destination): Ends,
    ) {
        let (link, router) = (accepted.link, accepted.packet.source);
        let ours = accepted.target == Target::Host && self.network.has(source.into());
        let routes = &mut self.network.routes;
        let followed = ours.then(|| routes.redirect(now, link, router, destination, gateway));
        let Some(Ok(news)) = followed else {
            return count(&mut self.icmp_counters.redirect_refused);
        };
        count(&mut self.icmp_counters.redirect_followed);
        if news {
            self.routes_changed(now);
        }
    }

    /// Requests to a group are left alone where that is allowed (RFC 1122 3.2.2.6), and answered with moderation where
    /// it is not (RFC 4443 4.2).
    fn may_echo(&mut self, now: Instant, accepted: &Accepted<'_>) -> bool {
        accepted.target == Target::Host || (!accepted.packet.is_v4() && self.error_limit.allow(now))
    }

    /// RFC 1122 3.2.2.6, RFC 4443 4.2: the reply carries all that the request did, and comes from the address that was
    /// asked.
    fn echo(&mut self, now: Instant, accepted: &Accepted<'_>, rest: &[u8], ports: &mut impl Ports) {
        let length = rest.len().saturating_add(4);
        let fill = |message: &mut [u8], ends| icmp::write_echo(message, Echo::Reply, rest, ends);
        match self.answer(now, accepted, length, fill, ports) {
            Ok(()) => count(&mut self.icmp_counters.echo_answered),
            Err(_) => count(&mut self.icmp_counters.answer_not_sent),
        }
    }

    fn input_echo_reply(&mut self, source: SocketAddr, identifier: u16, sequence_and_data: &[u8]) {
        let owner = self.icmp.owner(identifier).filter(|id| {
            let peer = self.sockets.datagram(*id).ok().and_then(|own| own.peer);
            peer.is_none_or(|peer| {
                let to_all = peer.ip().is_multicast() || self.network.is_broadcast(peer.ip());
                match to_all {
                    true => peer.is_ipv4() == source.is_ipv4(),
                    false => ZonedAddr::of(peer) == ZonedAddr::of(source),
                }
            })
        });
        let Some(id) = owner else {
            return count(&mut self.icmp_counters.reply_unexpected);
        };
        match self.deliver(id, source, sequence_and_data) {
            Ok(()) => count(&mut self.icmp_counters.reply_delivered),
            Err(_) => count(&mut self.icmp_counters.reply_queue_full),
        }
    }

    /// Something went wrong with a packet of ours: tells the socket or flow that sent it (RFC 1122 3.2.2.1, 4.1.3.3,
    /// 4.2.3.9; RFC 4443 2.4 (d)). `message` is the packet that says so, unless the news come from our own link.
    pub(super) fn icmp_error(
        &mut self,
        now: Instant,
        link: LinkId,
        quoted: &Quoted<'_>,
        message: Option<&Accepted<'_>>,
    ) {
        let source = ZonedAddr::on(quoted.source, link);
        let concerned = self.network.has(source)
            && match IpProtocol::from(quoted.protocol) {
                IpProtocol::Tcp => self.tcp_error(now, link, quoted),
                IpProtocol::Udp => self.udp_error(link, quoted, message),
                IpProtocol::Icmp | IpProtocol::Icmpv6 => self.echo_error(link, quoted),
                _ => false,
            };
        if let (true, ErrorKind::PacketTooBig { mtu }) = (concerned, quoted.kind) {
            let destination = ZonedAddr::on(quoted.destination, link);
            if self.network.packet_too_big(now, destination, mtu) {
                self.paths_changed(now);
            }
        }
        let counters = &mut self.icmp_counters;
        count(if concerned {
            &mut counters.error_delivered
        } else {
            &mut counters.error_unexpected
        });
    }

    fn tcp_error(&mut self, now: Instant, link: LinkId, quoted: &Quoted<'_>) -> bool {
        let Some(((local, remote), sequence)) = quoted.endpoints(link).zip(quoted.tcp_sequence())
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
        self.tcp.icmp_error(now, local, remote, sequence, error)
    }

    fn udp_error(
        &mut self,
        link: LinkId,
        quoted: &Quoted<'_>,
        message: Option<&Accepted<'_>>,
    ) -> bool {
        let Some((local, remote)) = quoted.endpoints(link) else {
            return false;
        };
        if is_impossible_for_datagrams(quoted) {
            return false;
        }
        let sender = self.udp.find(local, remote);
        if matches!(quoted.kind, ErrorKind::PacketTooBig { .. }) {
            // No news for the socket: the next datagram that is too big is refused, or sent in fragments.
            return sender.is_some();
        }
        let mut concerned = false;
        // An unconnected socket may have sent to many; an error without an address would tell it nothing.
        if let Some(id) = sender {
            concerned |= self.fail(id, remote, quoted.kind.socket_error());
        }
        let watchers: Vec<_> = self
            .icmp
            .watchers(local.port())
            .filter(|id| self.may_watch(*id, local) && self.would_hear(*id, remote))
            .collect();
        for (id, message) in watchers.into_iter().filter_map(|id| Some((id, message?))) {
            concerned |= self
                .deliver(id, message.peer(0), message.packet.payload)
                .is_ok();
        }
        concerned
    }

    /// An error quotes the datagram: it is for root, and for who has a socket that could have sent it.
    fn may_watch(&self, id: SocketId, local: SocketAddr) -> bool {
        let Ok(watcher) = self.sockets.owner(id) else {
            return false;
        };
        watcher.is_privileged()
            || self
                .udp
                .holders(local.port())
                .filter(|(binding, _)| binding.local.hears(ZonedAddr::of(local)))
                .any(|(_, holder)| self.sockets.owner(holder) == Ok(watcher))
    }

    fn echo_error(&mut self, link: LinkId, quoted: &Quoted<'_>) -> bool {
        if is_impossible_for_datagrams(quoted) {
            return false;
        }
        let owner = quoted
            .echo_identifier()
            .and_then(|identifier| self.icmp.owner(identifier));
        let peer = ZonedAddr::on(quoted.destination, link).with_port(0);
        match (owner, quoted.kind) {
            (Some(id), ErrorKind::PacketTooBig { .. }) => self.is_connected(id, peer),
            (Some(id), kind) => self.fail(id, peer, kind.socket_error()),
            (None, _) => false,
        }
    }

    /// Does a watcher want to hear of datagrams to `peer`? Of all, unless it is connected to somebody.
    fn would_hear(&self, id: SocketId, peer: SocketAddr) -> bool {
        let all = self
            .sockets
            .datagram(id)
            .is_ok_and(|own| own.peer.is_none());
        all || self.is_connected(id, peer)
    }

    /// Is this datagram socket connected to `peer`, whatever the port?
    fn is_connected(&self, id: SocketId, peer: SocketAddr) -> bool {
        let own = self.sockets.datagram(id).ok().and_then(|own| own.peer);
        own.is_some_and(|own| ZonedAddr::of(own) == ZonedAddr::of(peer))
    }

    /// Gives a socket that is connected to `peer` an error to tell. False when it is not.
    fn fail(&mut self, id: SocketId, peer: SocketAddr, error: SocketError) -> bool {
        if !self.is_connected(id, peer) {
            return false;
        }
        let Ok(socket) = self.sockets.datagram_mut(id) else {
            return false;
        };
        socket.error = Some(error);
        self.changes.insert(Change::Socket(id));
        true
    }

    /// Sends an ICMP error about a packet, unless it is one about which none may be sent.
    pub(super) fn complain(
        &mut self,
        now: Instant,
        accepted: &Accepted<'_>,
        complaint: Complaint,
        ports: &mut impl Ports,
    ) {
        let packet = &accepted.packet;
        if !complaint.is_allowed(packet, accepted.target == Target::Group) {
            return count(&mut self.icmp_counters.error_forbidden);
        }
        if !self.error_limit.allow(now) {
            return count(&mut self.icmp_counters.error_rate_limited);
        }
        let fill = |message: &mut [u8], ends| complaint.write(message, packet, ends);
        match self.answer(now, accepted, complaint.length(packet), fill, ports) {
            Ok(()) => count(&mut self.icmp_counters.error_sent),
            Err(_) => count(&mut self.icmp_counters.answer_not_sent),
        }
    }

    /// Sends an ICMP message back to where a packet came from: from the address that it was sent to, or, if that is a
    /// group's, from that which the way back starts with (RFC 4443 2.2).
    fn answer(
        &mut self,
        now: Instant,
        accepted: &Accepted<'_>,
        length: usize,
        fill: impl FnOnce(&mut [u8], Ends),
        ports: &mut impl Ports,
    ) -> Result<(), SocketError> {
        let to = ZonedAddr::of(accepted.peer(0));
        let asked = ZonedAddr::of(accepted.local(0));
        let bound = (accepted.target == Target::Host).then_some(asked);
        let path = self.network.path(to, bound)?;
        let protocol = icmp::protocol_for(to.address);
        let header = self.network.header(&path, to.address, protocol, None, 0)?;
        let ends = (path.source, to.address);
        let fill = |message: &mut [u8]| fill(message, ends);
        self.network.send(now, &path, header, length, fill, ports)
    }
}

/// Our datagrams over IPv4 may be fragmented on their way: who says that one could not be forwarded unfragmented has not
/// seen it. Over IPv6 nobody fragments but us.
fn is_impossible_for_datagrams(quoted: &Quoted<'_>) -> bool {
    quoted.source.is_ipv4() && matches!(quoted.kind, ErrorKind::PacketTooBig { .. })
}
