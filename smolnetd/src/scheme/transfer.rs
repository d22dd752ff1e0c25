//! Reading and writing: sockets, settings, and the messages of `SYS_CALL`.

use core::net::{IpAddr, SocketAddr};

use libredox::protocol::SocketCall;
use syscall::error::{
    EAGAIN, EBADF, EDESTADDRREQ, EINVAL, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EWOULDBLOCK, Error,
    Result,
};
use syscall::flag::EventFlags;

use super::errno::errno;
use super::handle::{Handle, Setting, SocketHandle, parse_timespec, write_timespec};
use super::message;
use super::option;
use super::path;
use super::sockets::{Kind, View};
use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::socket::{How, OptionName, ReceiveFlags, Received, SocketId, SocketOption};

/// `MSG_*` flags of `recvmsg` and `sendmsg`.
const MSG_PEEK: u64 = 2;
const MSG_DONTWAIT: u64 = 64;

impl View<'_> {
    pub(super) fn read_socket(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        let received = self.receive(number, buffer, ReceiveFlags::default())?;
        Ok(received.length)
    }

    /// Receives on a descriptor: only from its peer, if it has one, as `connect` on a datagram socket promises.
    fn receive(
        &mut self,
        number: usize,
        buffer: &mut [u8],
        flags: ReceiveFlags,
    ) -> Result<Received> {
        let handle = self.scheme.socket(number)?;
        if handle.read_ended {
            return Ok(Received {
                length: 0,
                full_length: 0,
                source: None,
            });
        }
        let remote = handle.remote.filter(only_from);
        if handle.socket.is_none() && self.scheme.kind == Kind::Tcp {
            return Err(Error::new(ENOTCONN));
        }
        let socket = self.ensure_socket(number)?;
        let foreign = |received: &Received| {
            let source = received.source.map(canonical);
            remote.is_some() && source.is_some() && source != remote.map(canonical)
        };
        loop {
            let received = self.stack.receive(self.now, socket, buffer, flags);
            match received {
                // A datagram of somebody else; one that was only peeked at is taken out.
                Ok(received) if foreign(&received) => {
                    if flags.peek {
                        let _ =
                            self.stack
                                .receive(self.now, socket, &mut [], ReceiveFlags::default());
                    }
                }
                result => {
                    if let Ok(handle) = self.scheme.socket_mut(number) {
                        handle.readiness.acted(EventFlags::EVENT_READ);
                    }
                    return result.map_err(errno);
                }
            }
        }
    }

    pub(super) fn write_socket(&mut self, number: usize, bytes: &[u8]) -> Result<usize> {
        let handle = self.scheme.socket(number)?;
        let remote = handle.remote;
        match self.scheme.kind {
            Kind::Tcp if handle.socket.is_none() => return Err(Error::new(ENOTCONN)),
            Kind::Udp if remote.is_none() => return Err(Error::new(EDESTADDRREQ)),
            _ => {}
        }
        let socket = self.ensure_socket(number)?;
        let sent = self
            .stack
            .send(self.now, socket, bytes, remote, self.ports)
            .map_err(errno);
        if let Ok(handle) = self.scheme.socket_mut(number) {
            handle.readiness.acted(EventFlags::EVENT_WRITE);
        }
        sent
    }

    /// `dup` on a datagram socket: another descriptor of the same socket, with a peer of its own or none; or, with a
    /// path that begins with a slash, one that is bound.
    pub(super) fn dup_udp(&mut self, number: usize, text: &str) -> Result<usize> {
        if text == "listen" {
            return Err(Error::new(EOPNOTSUPP));
        }
        let ends = match text {
            "disconnect" => self.parse_ends("")?,
            text => self.parse_ends(text)?,
        };
        // Any port of any address is something to be bound to as well.
        let binds = text.starts_with('/') || ends.bound().is_some();
        let old = self.scheme.socket(number)?.socket;
        // What was set before does not matter; what was bound or sent from does.
        let is_bound = old.is_some_and(|old| self.stack.local(old).is_some());
        if binds && is_bound {
            return Err(Error::new(EINVAL));
        }
        let socket = self.ensure_socket(number)?;
        let local = binds.then_some(ends.local);
        if let Err(error) = self.prepare(socket, local, ends.peer()) {
            if old.is_none() {
                self.release(number);
            }
            return Err(errno(error));
        }
        let sibling = self
            .scheme
            .socket(number)?
            .sibling(Some(socket), ends.peer());
        self.insert(Handle::Socket(sibling))
    }

    /// Binds a datagram socket, and looks whether there is a way to the peer.
    fn prepare(
        &mut self,
        socket: SocketId,
        local: Option<SocketAddr>,
        peer: Option<SocketAddr>,
    ) -> core::result::Result<(), SocketError> {
        if let Some(local) = local {
            self.stack.bind(self.now, socket, local)?;
        }
        match peer {
            Some(peer) => self.stack.check_destination(socket, peer),
            None => Ok(()),
        }
    }

    /// `connect` on a datagram socket is a dup with an address that takes the place of the descriptor before it;
    /// `sendto` is one that is closed again. Which of the two it was shows when a descriptor is closed: if all that are
    /// left have one peer, the socket is connected to it, so that it has an address, hears that peer alone, and hears of
    /// its ICMP errors; if none of them has one, to nobody.
    pub(super) fn settle_peer(&mut self, socket: SocketId) {
        let peer_of = |user: &usize| self.scheme.socket(*user).ok().map(|handle| handle.remote);
        let mut peers = self.scheme.users(socket).iter().map(peer_of);
        let Some(Some(first)) = peers.next() else {
            return;
        };
        if !peers.all(|peer| peer == Some(first)) || self.stack.peer(socket) == first {
            return;
        }
        // Who cannot be connected is told when it sends.
        let _ = match first {
            Some(peer) if only_from(&peer) => self.stack.connect(self.now, socket, peer),
            Some(_) => Ok(()),
            None => self.stack.disconnect(self.now, socket),
        };
    }

    pub(super) fn read_setting(
        &self,
        of: usize,
        setting: Setting,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let handle = self.scheme.socket(of)?;
        match setting {
            Setting::ReadTimeout => fill(buffer, &write_timespec(handle.read_timeout)),
            Setting::WriteTimeout => fill(buffer, &write_timespec(handle.write_timeout)),
            Setting::HopLimit => {
                let ttl = match handle.socket {
                    Some(socket) => self.stack.option(socket, OptionName::TimeToLive),
                    None => Ok(SocketOption::TimeToLive(64)),
                };
                match ttl.map_err(errno)? {
                    SocketOption::TimeToLive(ttl) => fill(buffer, &[ttl]),
                    _ => Err(Error::new(ENOPROTOOPT)),
                }
            }
        }
    }

    pub(super) fn write_setting(
        &mut self,
        of: usize,
        setting: Setting,
        bytes: &[u8],
    ) -> Result<usize> {
        match setting {
            Setting::ReadTimeout | Setting::WriteTimeout => {
                let timeout = parse_timespec(bytes).ok_or(Error::new(EINVAL))?;
                let handle = self.scheme.socket_mut(of)?;
                match setting {
                    Setting::ReadTimeout => handle.read_timeout = timeout,
                    _ => handle.write_timeout = timeout,
                }
                Ok(bytes.len())
            }
            Setting::HopLimit => {
                let [ttl] = bytes else {
                    return Err(Error::new(EINVAL));
                };
                let socket = self.ensure_socket(of)?;
                self.stack
                    .set_option(socket, SocketOption::TimeToLive(*ttl))
                    .map_err(errno)?;
                Ok(1)
            }
        }
    }

    /// `SYS_CALL` on a socket.
    pub(super) fn message(
        &mut self,
        number: usize,
        payload: &mut [u8],
        metadata: &[u64],
    ) -> Result<usize> {
        let verb = *metadata.first().ok_or(Error::new(EINVAL))?;
        let argument = metadata.get(1).copied().unwrap_or(0);
        let option = option::named_by(metadata.get(2).copied(), argument);
        match usize::try_from(verb)
            .ok()
            .and_then(SocketCall::try_from_raw)
        {
            Some(SocketCall::SetSockOpt) => self.set_option(number, option, payload),
            Some(SocketCall::GetSockOpt) => self.get_option(number, option, payload),
            Some(SocketCall::SendMsg) => {
                let length = message::sent_payload(payload).ok_or(Error::new(EINVAL))?;
                dont_wait(argument, self.write_socket(number, length))
            }
            Some(SocketCall::RecvMsg) => {
                dont_wait(argument, self.receive_message(number, payload, argument))
            }
            Some(SocketCall::GetPeerName) => self.peer_name(number, payload),
            Some(SocketCall::Shutdown) => self.shutdown(number, argument),
            _ => Err(Error::new(EOPNOTSUPP)),
        }
    }

    fn receive_message(&mut self, number: usize, buffer: &mut [u8], flags: u64) -> Result<usize> {
        let room = message::receive_room(buffer).ok_or(Error::new(EINVAL))?;
        // The answer has no gaps: where the payload begins depends on the name, which comes with it.
        let mut payload = vec![0; room.payload];
        let flags = ReceiveFlags {
            peek: flags & MSG_PEEK != 0,
        };
        let received = self.receive(number, &mut payload, flags)?;
        let source = match self.scheme.kind {
            Kind::Tcp => self
                .scheme
                .socket(number)?
                .socket
                .and_then(|s| self.stack.peer(s)),
            _ => received.source,
        };
        // The end of a stream is nobody's: two zero lengths.
        let ended = received.length == 0 && received.source.is_none();
        let name = match source {
            Some(source) if room.wants_name && !ended => {
                format!(
                    "/scheme/{}/{}",
                    self.scheme.kind.name(),
                    self.end_text(source)
                )
            }
            _ => String::new(),
        };
        let payload = payload.get(..received.length).unwrap_or_default();
        message::write_received(buffer, &name, payload).ok_or(Error::new(EINVAL))
    }

    fn shutdown(&mut self, number: usize, how: u64) -> Result<usize> {
        let how = match how {
            0 => How::Read,
            1 => How::Write,
            2 => How::Both,
            _ => return Err(Error::new(EINVAL)),
        };
        let socket = self
            .scheme
            .socket(number)?
            .socket
            .ok_or(Error::new(ENOTCONN))?;
        if self.stack.is_connecting(socket) {
            // It is given up; who waits for it hears so.
            self.stack.disconnect(self.now, socket).map_err(errno)?;
            return Ok(0);
        }
        self.stack.shutdown(self.now, socket, how).map_err(errno)?;
        if how.read() {
            self.scheme.socket_mut(number)?.read_ended = true;
        }
        Ok(0)
    }

    fn peer_name(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        let handle = self.scheme.socket(number)?;
        let is_connecting = |socket| self.stack.is_connecting(socket);
        match self.remote_of(handle) {
            Some(_) if !handle.socket.is_some_and(is_connecting) => self.name(number, buffer),
            _ => Err(Error::new(ENOTCONN)),
        }
    }

    fn remote_of(&self, handle: &SocketHandle) -> Option<SocketAddr> {
        handle.remote.or_else(|| self.stack.peer(handle.socket?))
    }

    /// `fpath`: `/scheme/tcp/REMOTE/LOCAL`, `/scheme/icmp/echo/ADDRESS`, `/scheme/ip/PROTOCOL`.
    pub(super) fn name(&self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        let handle = match self.scheme.handles.get(number) {
            Some(Handle::Socket(handle)) => handle,
            Some(Handle::Root) => {
                return fill(
                    buffer,
                    format!("/scheme/{}", self.scheme.kind.name()).as_bytes(),
                );
            }
            _ => return Err(Error::new(EBADF)),
        };
        let local = handle.socket.and_then(|s| self.stack.local(s));
        let remote = self.remote_of(handle);
        let local = local.unwrap_or(remote.map_or(path::ANY, path::any_beside));
        let remote = remote.unwrap_or(path::any_beside(local));
        let kind = self.scheme.kind.name();
        let text = match self.scheme.kind {
            Kind::Tcp | Kind::Udp => {
                let (remote, local) = (self.end_text(remote), self.end_text(local));
                format!("/scheme/{kind}/{remote}/{local}")
            }
            Kind::Icmp => {
                let remote = path::address_text(remote, self.zone_name(remote));
                format!("/scheme/{kind}/echo/{remote}")
            }
            Kind::Ip => format!("/scheme/{kind}"),
        };
        fill(buffer, text.as_bytes())
    }

    fn end_text(&self, end: SocketAddr) -> String {
        path::end_text(end, self.zone_name(end))
    }

    /// The name of the link that an end belongs to.
    fn zone_name(&self, end: SocketAddr) -> Option<&str> {
        let link = self.stack.link(ZonedAddr::of(end).zone?)?;
        Some(link.name())
    }
}

/// Does a datagram socket connected to `peer` hear it alone? Who talks to everybody is answered by anybody: a DHCP
/// client connects to 255.255.255.255 and wants the server's answer.
pub(super) fn only_from(peer: &SocketAddr) -> bool {
    match peer.ip().to_canonical() {
        IpAddr::V4(peer) => !peer.is_broadcast() && !peer.is_multicast(),
        IpAddr::V6(peer) => !peer.is_multicast(),
    }
}

/// An end whose IPv4 address may be written as an IPv6 one, in the one way that can be compared.
fn canonical(end: SocketAddr) -> SocketAddr {
    match end.ip().to_canonical() {
        IpAddr::V4(address) => SocketAddr::new(address.into(), end.port()),
        IpAddr::V6(_) => end,
    }
}

/// MSG_DONTWAIT: this one call does not wait.
fn dont_wait(flags: u64, result: Result<usize>) -> Result<usize> {
    match result {
        Err(Error { errno: EWOULDBLOCK }) if flags & MSG_DONTWAIT != 0 => Err(Error::new(EAGAIN)),
        result => result,
    }
}

/// Copies as much as fits and says how much that was.
pub(super) fn fill(buffer: &mut [u8], bytes: &[u8]) -> Result<usize> {
    let n = bytes.len().min(buffer.len());
    match (buffer.get_mut(..n), bytes.get(..n)) {
        (Some(to), Some(from)) => {
            to.copy_from_slice(from);
            Ok(n)
        }
        _ => Err(Error::new(EINVAL)),
    }
}
