//! The calls on UDP, ICMP and raw sockets.

use core::net::SocketAddr;

use smoltcp::time::Instant;
use smoltcp::wire::IpProtocol;

use super::Stack;
use super::input::DHCP_CLIENT_PORT;
use crate::counters::count;
use crate::error::SocketError;
use crate::icmp::{self, Echo};
use crate::ip::ZonedAddr;
use crate::output::Path;
use crate::ports::Ports;
use crate::socket::bound::{Bound, Family};
use crate::socket::datagram::DatagramSocket;
use crate::socket::udp::{Binding, UDP_HEADER_LENGTH};
use crate::socket::{SocketId, SocketKind, raw, udp};

/// What the UDP table knows of a socket.
fn binding(socket: &DatagramSocket) -> Binding {
    Binding {
        port: socket.port,
        local: socket.local.unwrap_or(Bound::Any),
        peer: socket.hears,
    }
}

impl Stack {
    pub(super) fn bind_datagram(
        &mut self,
        now: Instant,
        id: SocketId,
        address: Bound,
        port: u16,
    ) -> Result<(), SocketError> {
        let socket = self.sockets.datagram(id)?;
        let bound = Some(address);
        match socket.kind {
            SocketKind::Raw(_) | SocketKind::RawV6(_) => {
                self.sockets.datagram_mut(id)?.local = bound;
            }
            SocketKind::Udp | SocketKind::IcmpEcho | SocketKind::IcmpUdpErrors
                if socket.port != 0 =>
            {
                return Err(SocketError::Invalid);
            }
            SocketKind::Udp => self.bind_udp(now, id, address, port)?,
            SocketKind::IcmpEcho => {
                let identifier = self
                    .icmp
                    .claim(id)
                    .ok_or(SocketError::AddressNotAvailable)?;
                let socket = self.sockets.datagram_mut(id)?;
                (socket.local, socket.port) = (bound, identifier);
            }
            SocketKind::IcmpUdpErrors if port == 0 => return Err(SocketError::Invalid),
            SocketKind::IcmpUdpErrors => {
                self.icmp.watch(port, id);
                let socket = self.sockets.datagram_mut(id)?;
                (socket.local, socket.port) = (bound, port);
            }
            SocketKind::Tcp => return Err(SocketError::NotSupported),
        }
        Ok(())
    }

    fn bind_udp(
        &mut self,
        now: Instant,
        id: SocketId,
        address: Bound,
        wanted: u16,
    ) -> Result<(), SocketError> {
        let socket = self.sockets.datagram(id)?;
        let port = if wanted == 0 {
            self.udp
                .ephemeral(address, None)
                .ok_or(SocketError::AddressNotAvailable)?
        } else {
            // A port that could be shared by SO_REUSEPORT across users could be stolen from a service.
            let shares = |theirs| {
                let is_own = self.sockets.owner(id) == self.sockets.owner(theirs);
                self.sockets.datagram(theirs).is_ok_and(|other| {
                    socket.reuse && other.reuse || is_own && socket.reuse_port && other.reuse_port
                })
            };
            if self.udp.is_taken(address, wanted, shares) {
                return Err(SocketError::AddressInUse);
            }
            wanted
        };
        self.udp.check(port, self.sockets.owner(id)?)?;
        self.rebind(id, |socket| {
            (socket.local, socket.port) = (Some(address), port);
        })?;
        self.dhcp_port_changed(now, port);
        Ok(())
    }

    /// Changes a UDP socket's ends, and what the table knows of them.
    fn rebind(
        &mut self,
        id: SocketId,
        change: impl FnOnce(&mut DatagramSocket),
    ) -> Result<(), SocketError> {
        let owner = self.sockets.owner(id)?;
        let socket = self.sockets.datagram_mut(id)?;
        let before = binding(socket);
        change(socket);
        let after = binding(socket);
        self.udp.remove(before, id, owner);
        if after.port != 0 {
            self.udp.insert(after, id, owner);
        }
        Ok(())
    }

    pub(super) fn connect_datagram(
        &mut self,
        id: SocketId,
        peer: SocketAddr,
    ) -> Result<(), SocketError> {
        let socket = self.sockets.datagram(id)?;
        let wildcard = self.sockets.naming(id)?.given(peer).wildcard();
        let local = socket.local.filter(|_| !socket.local_from_route);
        let bound = socket.source().filter(|_| local.is_some());
        let (kind, port) = (socket.kind, socket.port);
        if kind == SocketKind::Udp && peer.port() == 0 {
            return Err(SocketError::Invalid);
        }
        self.check_leave(id, peer)?;
        let path = self.path_from(socket, ZonedAddr::of(peer), bound)?;
        let peer = ZonedAddr::on(peer.ip(), path.zone).with_port(peer.port());
        // Who speaks to everybody is answered by anybody, and maybe at everybody's address: it hears what it heard
        // before. DHCP clients connect so. Who is bound to a group's address goes on hearing that.
        let group = peer.ip().is_multicast() || self.network.is_broadcast(peer.ip());
        let source = match local {
            Some(local) if group || local.is_group() => local,
            None if group => wildcard,
            _ => Bound::One(ZonedAddr::on(path.source, path.zone)),
        };
        let hears = (!group).then_some(peer);
        let had_no_port = port == 0;
        let port = match kind {
            SocketKind::Udp if port == 0 => self.udp.ephemeral(source, Some(peer)),
            SocketKind::IcmpEcho if port == 0 => self.icmp.claim(id),
            // The port is that of which it wants to hear.
            SocketKind::IcmpUdpErrors if port == 0 => return Err(SocketError::Invalid),
            _ => Some(port),
        }
        .ok_or(SocketError::AddressNotAvailable)?;
        if kind == SocketKind::Udp && had_no_port {
            self.udp.check(port, self.sockets.owner(id)?)?;
        }
        let connect = |socket: &mut DatagramSocket| {
            (socket.local, socket.port, socket.peer, socket.hears) =
                (Some(source), port, Some(peer), hears);
            socket.local_from_route = local != Some(source);
            socket.port_was_given |= had_no_port;
        };
        match kind {
            SocketKind::Udp => self.rebind(id, connect)?,
            _ => connect(self.sockets.datagram_mut(id)?),
        }
        // An error about the former peer is no news of this one.
        self.sockets.datagram_mut(id)?.error = None;
        Ok(())
    }

    /// Could a datagram of this socket leave for there?
    ///
    /// # Errors
    /// As [`Stack::send`] has them of an address.
    pub fn check_destination(&self, id: SocketId, to: SocketAddr) -> Result<(), SocketError> {
        let to = self.sockets.naming(id)?.given(to).inward(to)?;
        self.check_leave(id, to)?;
        self.path_for(id, ZonedAddr::of(to)).map(drop)
    }

    /// RFC 1122 3.3.6, RFC 919: everybody is not spoken to by accident. Who has the port of DHCP's clients (RFC 2131 4.1)
    /// does nothing else, and those of Redox never ask.
    fn check_leave(&self, id: SocketId, to: SocketAddr) -> Result<(), SocketError> {
        let socket = self.sockets.datagram(id)?;
        let may = socket.may_broadcast() || socket.port == DHCP_CLIENT_PORT;
        match may || socket.kind != SocketKind::Udp || !self.network.is_broadcast(to.ip()) {
            true => Ok(()),
            false => Err(SocketError::AccessDenied),
        }
    }

    pub(super) fn disconnect_datagram(&mut self, id: SocketId) -> Result<(), SocketError> {
        let socket = self.sockets.datagram(id)?;
        let kind = socket.kind;
        let wildcard = self.sockets.naming(id)?.wildcard();
        let disconnect = |socket: &mut DatagramSocket| {
            (socket.peer, socket.hears) = (None, None);
            if core::mem::take(&mut socket.local_from_route) {
                socket.local = Some(wildcard);
            }
            // As it was before: nobody has asked for this port.
            if kind == SocketKind::Udp && core::mem::take(&mut socket.port_was_given) {
                (socket.local, socket.port) = (None, 0);
            }
        };
        match kind {
            SocketKind::Udp => self.rebind(id, disconnect),
            _ => {
                disconnect(self.sockets.datagram_mut(id)?);
                Ok(())
            }
        }
    }

    /// Takes a socket that is about to go out of all tables.
    pub(super) fn release_datagram(&mut self, now: Instant, id: SocketId) {
        let (Ok(socket), Ok(owner)) = (self.sockets.datagram(id), self.sockets.owner(id)) else {
            return;
        };
        let (kind, binding) = (socket.kind, binding(socket));
        self.leave_groups(now, id);
        // It may wait for several: what it sends to one peer need not take the way of what it sends to another.
        for link in self.network.links.keys() {
            self.waiting.remove(&(*link, id));
        }
        match kind {
            SocketKind::Udp => {
                self.udp.remove(binding, id, owner);
                self.dhcp_port_changed(now, binding.port);
            }
            SocketKind::IcmpEcho => self.icmp.release(binding.port),
            SocketKind::IcmpUdpErrors => self.icmp.unwatch(binding.port, id),
            SocketKind::Raw(protocol) => self.raw.remove((Family::V4, protocol), id),
            SocketKind::RawV6(protocol) => self.raw.remove((Family::V6, protocol), id),
            SocketKind::Tcp => (),
        }
    }

    pub(super) fn send_datagram(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddr>,
        ports: &mut impl Ports,
    ) -> Result<usize, SocketError> {
        let socket = self.sockets.datagram_mut(id)?;
        socket.check_send()?;
        let kind = socket.kind;
        let to = to.or(socket.peer);
        let sent = match kind {
            SocketKind::Udp => self.send_udp(now, id, data, to, ports),
            SocketKind::IcmpEcho => self.send_echo(now, id, data, to, ports),
            SocketKind::Raw(protocol) => self.send_raw(now, (Family::V4, protocol), data, ports),
            SocketKind::RawV6(protocol) => self.send_raw(now, (Family::V6, protocol), data, ports),
            SocketKind::IcmpUdpErrors | SocketKind::Tcp => Err((SocketError::NotSupported, None)),
        };
        match sent {
            Ok(()) => Ok(data.len()),
            Err((SocketError::WouldBlock, Some(path))) => {
                // Armed before the answer is given: the room that comes next will find the socket here.
                self.waiting.insert((path.link, id));
                self.sockets.datagram_mut(id)?.waits_for = Some(path.link);
                Err(SocketError::WouldBlock)
            }
            Err((error, _)) => Err(error),
        }
    }

    fn send_udp(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddr>,
        ports: &mut impl Ports,
    ) -> Result<(), Failed> {
        let to = to.ok_or(SocketError::DestinationRequired)?;
        if to.port() == 0 {
            return Err(SocketError::Invalid.into());
        }
        self.check_leave(id, to)?;
        let path = self.path_for(id, ZonedAddr::of(to))?;
        if self.sockets.datagram(id)?.port == 0 {
            let wildcard = self.sockets.naming(id)?.wildcard();
            self.bind_udp(now, id, wildcard, 0)?;
            self.sockets.datagram_mut(id)?.port_was_given = true;
        }
        let socket = self.sockets.datagram(id)?;
        let from = SocketAddr::new(path.source, socket.port);
        let ends = (from, to);
        let (hops, loops) = (socket.hops_to(to.ip()), socket.multicast.loops);
        let class = socket.traffic_class;
        let header = self
            .network
            .header(&path, to.ip(), IpProtocol::Udp, hops, ends)?
            .with_traffic_class(class);
        let length = data.len().saturating_add(UDP_HEADER_LENGTH);
        let fill = |datagram: &mut [u8]| udp::write(datagram, from, to, data);
        if hops != Some(0) {
            self.network
                .send(now, &path, header, length, fill, ports)
                .map_err(|error| (error, Some(path)))?;
        }
        count(&mut self.udp.counters.sent);
        // Not before it has left: who is told to wait sends it again.
        if to.ip().is_multicast() && loops {
            self.loop_to_group(&path, from, to, data);
        }
        Ok(())
    }

    fn send_echo(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddr>,
        ports: &mut impl Ports,
    ) -> Result<(), Failed> {
        let to = ZonedAddr::of(to.ok_or(SocketError::DestinationRequired)?);
        if data.len() < 2 {
            return Err(SocketError::Invalid.into());
        }
        // The client's first two bytes are the sequence number: what it does not write is six bytes of the header.
        let path = self.path_for(id, to)?;
        if self.sockets.datagram(id)?.port == 0 {
            let identifier = self
                .icmp
                .claim(id)
                .ok_or(SocketError::AddressNotAvailable)?;
            self.sockets.datagram_mut(id)?.port = identifier;
        }
        let socket = self.sockets.datagram(id)?;
        let rest = [&socket.port.to_be_bytes(), data].concat();
        let ends = (path.source, to.address);
        let hops = socket.hops_to(to.address);
        let protocol = icmp::protocol_for(to.address);
        let header = self
            .network
            .header(&path, to.address, protocol, hops, socket.port)?
            .with_traffic_class(socket.traffic_class);
        let length = rest.len().saturating_add(4);
        let fill = |message: &mut [u8]| icmp::write_echo(message, Echo::Request, &rest, ends);
        self.network
            .send(now, &path, header, length, fill, ports)
            .map_err(|error| (error, Some(path)))
    }

    fn send_raw(
        &mut self,
        now: Instant,
        (family, protocol): raw::Kind,
        packet: &[u8],
        ports: &mut impl Ports,
    ) -> Result<(), Failed> {
        let written = raw::check(packet, family, protocol)?;
        let bound = Some(written.source).filter(|source| !source.is_unspecified());
        let path = self.network.path_from(written.destination, bound)?;
        let fill = |to: &mut [u8]| raw::write(to, packet, path.source);
        self.network
            .send_whole(now, &path, written.destination, packet.len(), fill, ports)
            .map_err(|error| (error, Some(path)))
    }

    /// The way for a datagram from where the socket is bound.
    fn path_for(&self, id: SocketId, to: ZonedAddr) -> Result<Path, SocketError> {
        let socket = self.sockets.datagram(id)?;
        let bound = socket.source();
        if bound.is_some_and(|local| !self.network.has(local)) {
            return Err(SocketError::AddressNotAvailable);
        }
        self.path_from(socket, to, bound)
    }

    fn path_from(
        &self,
        socket: &DatagramSocket,
        to: ZonedAddr,
        bound: Option<ZonedAddr>,
    ) -> Result<Path, SocketError> {
        match socket.multicast.link.filter(|_| to.address.is_multicast()) {
            Some(link) => self.network.path_to_group(link, to, bound),
            None => self.network.path(to, bound),
        }
    }
}

/// Why a datagram did not leave, and the way that was full if that is why.
type Failed = (SocketError, Option<Path>);

impl From<SocketError> for Failed {
    fn from(error: SocketError) -> Failed {
        (error, None)
    }
}
