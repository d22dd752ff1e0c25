//! What UDP, ICMP and raw sockets have in common: two ends, a bounded inbox, an error that waits to be told.

use core::net::{IpAddr, SocketAddr};

use super::bound::Bound;
use super::group::Multicast;
use super::inbox::{self, Inbox};
use super::{How, OptionName, Readiness, ReceiveFlags, Received, SocketKind, SocketOption};
use crate::error::SocketError;
use crate::ip::{DEFAULT_TTL, ZonedAddr};
use crate::ports::LinkId;

/// The bits of a traffic class that are not a socket's to set (RFC 3168 5).
pub(crate) const ECN: u8 = 3;

/// A socket that speaks in datagrams.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    pub(crate) kind: SocketKind,
    /// The address it is bound to; none until it is.
    pub(crate) local: Option<Bound>,
    /// The UDP port or ICMP identifier, in host order; 0 while it has none.
    pub(crate) port: u16,
    /// Did `connect` choose the local address? Then `disconnect` takes it back.
    pub(crate) local_from_route: bool,
    /// Has it its port only because it was connected, or has sent? Then `disconnect` takes it back.
    pub(crate) port_was_given: bool,
    /// Whom it is connected to.
    pub(crate) peer: Option<SocketAddr>,
    /// The one it hears: the peer, unless that is a broadcast or multicast address, from which nothing ever comes.
    pub(crate) hears: Option<SocketAddr>,
    pub(crate) inbox: Inbox,
    pub(crate) error: Option<SocketError>,
    pub(crate) reuse: bool,
    pub(crate) reuse_port: bool,
    /// SO_SNDBUF, as it was asked for.
    send_buffer: usize,
    /// IP_TOS or IPV6_TCLASS
    pub(crate) traffic_class: u8,
    /// None is what the link says.
    pub(crate) ttl: Option<u8>,
    pub(crate) multicast: Multicast,
    /// The link whose transmit ring was full at the last send.
    pub(crate) waits_for: Option<LinkId>,
    broadcast: bool,
    receive_ended: bool,
    send_ended: bool,
}

impl DatagramSocket {
    pub(crate) fn new(kind: SocketKind) -> DatagramSocket {
        DatagramSocket {
            kind,
            local: None,
            port: 0,
            local_from_route: false,
            port_was_given: false,
            peer: None,
            hears: None,
            inbox: Inbox::default(),
            error: None,
            reuse: false,
            reuse_port: false,
            send_buffer: inbox::DEFAULT_LIMIT,
            traffic_class: 0,
            ttl: None,
            multicast: Multicast::default(),
            waits_for: None,
            broadcast: false,
            receive_ended: false,
            send_ended: false,
        }
    }

    /// The address that it speaks from, if it is bound to one: a group's is only heard at.
    pub(crate) fn source(&self) -> Option<ZonedAddr> {
        self.local
            .filter(|local| !local.is_group())
            .and_then(Bound::one)
    }

    /// SO_BROADCAST
    pub(crate) fn may_broadcast(&self) -> bool {
        self.broadcast
    }

    /// TTL or hop limit of what it sends to `to`; none is what the link says.
    pub(crate) fn hops_to(&self, to: IpAddr) -> Option<u8> {
        match to.is_multicast() {
            true => Some(self.multicast.hops),
            false => self.ttl,
        }
    }

    /// Takes a datagram in; false when there is no room for it. One that comes after `shutdown` is gone, as its
    /// owner wished, and counts as delivered.
    pub(crate) fn deliver(&mut self, source: SocketAddr, data: &[u8]) -> bool {
        self.receive_ended || self.inbox.push(source, data)
    }

    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        flags: ReceiveFlags,
    ) -> Result<Received, SocketError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.inbox.receive(buffer, flags) {
            Some(received) => Ok(received),
            None if self.receive_ended => Ok(Received {
                length: 0,
                full_length: 0,
                source: None,
            }),
            None => Err(SocketError::WouldBlock),
        }
    }

    /// May something be sent? A pending error is told first.
    pub(crate) fn check_send(&mut self) -> Result<(), SocketError> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.send_ended => Err(SocketError::BrokenPipe),
            None => Ok(()),
        }
    }

    pub(crate) fn shutdown(&mut self, how: How) -> Result<(), SocketError> {
        if self.peer.is_none() {
            return Err(SocketError::NotConnected);
        }
        self.receive_ended |= how.read();
        self.send_ended |= how.write();
        Ok(())
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.error.is_some() {
            return Readiness::BOTH;
        }
        Readiness {
            readable: !self.inbox.is_empty() || self.receive_ended,
            writable: self.waits_for.is_none() || self.send_ended,
        }
    }

    pub(crate) fn set_option(&mut self, option: SocketOption) -> Result<(), SocketError> {
        match option {
            SocketOption::Broadcast(on) => self.broadcast = on,
            SocketOption::ReuseAddress(on) => self.reuse = on,
            SocketOption::ReceiveBuffer(bytes) => self.inbox.set_limit(bytes),
            // A datagram goes straight into the adapter's ring: this is remembered, and bounds nothing.
            SocketOption::SendBuffer(bytes) => self.send_buffer = inbox::within_reason(bytes),
            SocketOption::TrafficClass(class) => self.traffic_class = class & !ECN,
            SocketOption::ReusePort(on) => self.reuse_port = on,
            SocketOption::TimeToLive(0) => return Err(SocketError::Invalid),
            SocketOption::TimeToLive(ttl) => self.ttl = Some(ttl),
            SocketOption::KeepAlive(_) | SocketOption::Linger(_) => (),
            SocketOption::MulticastHops(hops) => self.multicast.hops = hops,
            SocketOption::MulticastLoop(on) => self.multicast.loops = on,
            SocketOption::MulticastLink(link) => self.multicast.link = link,
            // How a socket names addresses is not kept here.
            SocketOption::NoDelay(_)
            | SocketOption::V6Only(_)
            | SocketOption::MaximumSegment(_)
            | SocketOption::Info(_)
            | SocketOption::KeepAliveIdle(_)
            | SocketOption::KeepAliveInterval(_)
            | SocketOption::KeepAliveCount(_)
            | SocketOption::UserTimeout(_) => return Err(SocketError::NoSuchOption),
        }
        Ok(())
    }

    pub(crate) fn option(&self, name: OptionName) -> Result<SocketOption, SocketError> {
        Ok(match name {
            OptionName::Broadcast => SocketOption::Broadcast(self.broadcast),
            OptionName::ReuseAddress => SocketOption::ReuseAddress(self.reuse),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(self.inbox.limit()),
            OptionName::SendBuffer => SocketOption::SendBuffer(self.send_buffer),
            OptionName::TrafficClass => SocketOption::TrafficClass(self.traffic_class),
            OptionName::ReusePort => SocketOption::ReusePort(self.reuse_port),
            OptionName::TimeToLive => SocketOption::TimeToLive(self.ttl.unwrap_or(DEFAULT_TTL)),
            OptionName::KeepAlive => SocketOption::KeepAlive(false),
            OptionName::Linger => SocketOption::Linger(None),
            OptionName::MulticastHops => SocketOption::MulticastHops(self.multicast.hops),
            OptionName::MulticastLoop => SocketOption::MulticastLoop(self.multicast.loops),
            OptionName::MulticastLink => SocketOption::MulticastLink(self.multicast.link),
            OptionName::NoDelay
            | OptionName::V6Only
            | OptionName::MaximumSegment
            | OptionName::Info
            | OptionName::KeepAliveIdle
            | OptionName::KeepAliveInterval
            | OptionName::KeepAliveCount
            | OptionName::UserTimeout => return Err(SocketError::NoSuchOption),
        })
    }
}
