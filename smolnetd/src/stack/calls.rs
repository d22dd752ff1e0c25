//! The calls on sockets, for all kinds: TCP's go to the TCP engine, the others to `datagrams`.

use core::net::SocketAddr;

use smoltcp::time::Instant;

use super::sockets::Socket;
use super::{Change, Stack};
use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::ports::Ports;
use crate::socket::bound::{Bound, Family, Naming};
use crate::socket::datagram::DatagramSocket;
use crate::socket::tcp::{LocalEnd, TcpId};
use crate::socket::{
    How, OptionName, Owner, Readiness, ReceiveFlags, Received, SocketId, SocketKind, SocketOption,
};

/// Ports below this one are for root.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

impl Stack {
    /// A new socket, neither bound nor connected.
    ///
    /// # Errors
    /// `AccessDenied` for a raw socket to who is not root; `TooManyOfUser`, `TooMany`.
    pub fn socket(&mut self, kind: SocketKind, owner: Owner) -> Result<SocketId, SocketError> {
        self.changes.insert(Change::Sockets);
        if matches!(kind, SocketKind::Raw(_) | SocketKind::RawV6(_)) && !owner.is_privileged() {
            return Err(SocketError::AccessDenied);
        }
        self.sockets.check_room(owner)?;
        if kind == SocketKind::Tcp {
            let tcp = self.tcp.open(owner)?;
            let id = self.sockets.add(owner, Socket::Tcp(tcp));
            self.tcp_sockets.insert(tcp, id);
            return Ok(id);
        }
        let id = self
            .sockets
            .add(owner, Socket::Datagram(Box::new(DatagramSocket::new(kind))));
        match kind {
            SocketKind::Raw(protocol) => self.raw.insert((Family::V4, protocol), id),
            SocketKind::RawV6(protocol) => self.raw.insert((Family::V6, protocol), id),
            _ => (),
        }
        Ok(id)
    }

    /// Gives a socket its local address; port 0 chooses one. For [`SocketKind::IcmpUdpErrors`] the port is the UDP
    /// port to hear about. `::` is any address of both families, unless IPV6_V6ONLY is set.
    ///
    /// # Errors
    /// `Invalid` when it has one, or for a link-local address without its link; `FamilyNotSupported`; `AddressNotAvailable` when the address is not ours or no port is free, `AddressInUse`,
    /// `AccessDenied` for a port below 1024 to who is not root.
    pub fn bind(
        &mut self,
        now: Instant,
        id: SocketId,
        local: SocketAddr,
    ) -> Result<(), SocketError> {
        self.changes.insert(Change::Sockets);
        let privileged = self.sockets.owner(id)?.is_privileged();
        let naming = self.sockets.naming(id)?.given(local);
        let local = naming.inward(local).map_err(|error| match error {
            // An IPv4 address for a socket that is to know none.
            SocketError::NetworkUnreachable => SocketError::Invalid,
            error => error,
        })?;
        let (address, port) = (Bound::of(local, naming.v6_only), local.port());
        match (address.one(), self.sockets.get(id)?) {
            // Who is bound to a group's address hears what is sent to that group and nothing else.
            (Some(group), Socket::Datagram(_)) if address.is_group() => {
                if group.is_ambiguous() {
                    return Err(SocketError::Invalid);
                }
            }
            (Some(one), _) => self.network.check_own(one)?,
            (None, _) => (),
        }
        if port != 0 && port < FIRST_UNPRIVILEGED_PORT && !privileged {
            return Err(SocketError::AccessDenied);
        }
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => {
                let reuse = self.tcp.option(tcp, OptionName::ReuseAddress)
                    == Ok(SocketOption::ReuseAddress(true));
                self.tcp.bind(tcp, LocalEnd { address, port }, reuse)?;
            }
            Socket::Datagram(_) => self.bind_datagram(now, id, address, port)?,
        }
        self.sockets.set_naming(id, naming);
        Ok(())
    }

    /// Makes a TCP socket a listener whose accept queue holds `backlog` connections.
    ///
    /// # Errors
    /// `NotSupported` for other kinds, and TCP's own.
    pub fn listen(&mut self, id: SocketId, backlog: usize) -> Result<(), SocketError> {
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => self.tcp.listen(tcp, backlog),
            Socket::Datagram(_) => Err(SocketError::NotSupported),
        }
    }

    /// Connects. For TCP this starts the attempt: readiness tells when it has ended, the next call how. For the others
    /// it only says whom to send to and from whom to receive. An echo socket takes the port as given and ignores it.
    ///
    /// # Errors
    /// No route, an address that cannot be a peer, one of another family than the socket's, and TCP's own.
    pub fn connect(
        &mut self,
        now: Instant,
        id: SocketId,
        remote: SocketAddr,
    ) -> Result<(), SocketError> {
        self.changes.insert(Change::Sockets);
        let naming = self.sockets.naming(id)?.given(remote);
        let remote = naming.inward(remote)?;
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => self.connect_tcp(now, tcp, remote)?,
            Socket::Datagram(_) => self.connect_datagram(id, remote)?,
        }
        self.sockets.set_naming(id, naming);
        Ok(())
    }

    fn connect_tcp(
        &mut self,
        now: Instant,
        tcp: TcpId,
        remote: SocketAddr,
    ) -> Result<(), SocketError> {
        if remote.ip().is_multicast() || self.network.is_broadcast(remote.ip()) {
            return Err(SocketError::NetworkUnreachable);
        }
        let bound = self
            .tcp
            .local(tcp)
            .filter(|local| !local.ip().is_unspecified())
            .map(ZonedAddr::of);
        let path = self.network.path(ZonedAddr::of(remote), bound)?;
        self.tcp.connect(now, tcp, remote, path)
    }

    /// The oldest connection that waits to be accepted, as a socket of the listener's owner.
    ///
    /// # Errors
    /// `WouldBlock` while there is none; `TooManyOfUser`, `TooMany`.
    pub fn accept(&mut self, id: SocketId) -> Result<SocketId, SocketError> {
        let owner = self.sockets.owner(id)?;
        let Socket::Tcp(listener) = *self.sockets.get(id)? else {
            return Err(SocketError::NotSupported);
        };
        self.sockets.check_room(owner)?;
        let tcp = self.tcp.accept(listener)?;
        let accepted = self.sockets.add(owner, Socket::Tcp(tcp));
        self.sockets.set_naming(accepted, self.sockets.naming(id)?);
        self.tcp_sockets.insert(tcp, accepted);
        // What came before the call is there to be read now.
        self.changes
            .extend([Change::Socket(accepted), Change::Sockets]);
        Ok(accepted)
    }

    /// Forgets the peer (connect to AF_UNSPEC). A TCP connection ends; the socket can be used again.
    ///
    /// # Errors
    /// TCP's own.
    pub fn disconnect(&mut self, now: Instant, id: SocketId) -> Result<(), SocketError> {
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => self.tcp.disconnect(now, tcp),
            Socket::Datagram(_) => self.disconnect_datagram(id),
        }
    }

    /// Receives into `buffer`.
    ///
    /// # Errors
    /// A pending error first; `WouldBlock` when there is nothing.
    pub fn receive(
        &mut self,
        now: Instant,
        id: SocketId,
        buffer: &mut [u8],
        flags: ReceiveFlags,
    ) -> Result<Received, SocketError> {
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => {
                let length = self.tcp.receive(now, tcp, buffer, flags.peek)?;
                Ok(Received {
                    length,
                    full_length: length,
                    source: None,
                })
            }
            Socket::Datagram(_) => self.sockets.receive(id, buffer, flags),
        }
    }

    /// Sends `data`: as much as fits on TCP, where it leaves at the next [`Stack::poll`]; all or nothing on the others,
    /// at once, to `to` or to the peer.
    ///
    /// # Errors
    /// A pending error first; `WouldBlock` while there is no room; `MessageTooLong` for a datagram that the path does
    /// not carry; `DestinationRequired`; no route.
    pub fn send(
        &mut self,
        now: Instant,
        id: SocketId,
        data: &[u8],
        to: Option<SocketAddr>,
        ports: &mut impl Ports,
    ) -> Result<usize, SocketError> {
        match *self.sockets.get(id)? {
            // POSIX: a connection-mode socket may ignore the address, or say that it is connected.
            Socket::Tcp(tcp) => self.tcp.send(now, tcp, data),
            Socket::Datagram(_) => {
                let naming = self.sockets.naming(id)?;
                let naming = to.map_or(naming, |to| naming.given(to));
                let to = to.map(|to| naming.inward(to)).transpose()?;
                self.sockets.set_naming(id, naming);
                self.send_datagram(now, id, data, to, ports)
            }
        }
    }

    /// Ends one direction or both.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn shutdown(&mut self, now: Instant, id: SocketId, how: How) -> Result<(), SocketError> {
        match *self.sockets.get(id)? {
            // Nobody is let in any more; whoever waits to be accepted is sent away.
            Socket::Tcp(tcp) if self.tcp.is_listening(tcp) => {
                if how.read() {
                    self.tcp.disconnect(now, tcp)?;
                }
            }
            Socket::Tcp(tcp) => self.tcp.shutdown(now, tcp, how)?,
            Socket::Datagram(_) => self.sockets.datagram_mut(id)?.shutdown(how)?,
        }
        self.changes.insert(Change::Socket(id));
        Ok(())
    }

    /// Gives a socket back; its number is never used again. What was written on TCP is still delivered, then FIN.
    pub fn close(&mut self, now: Instant, id: SocketId) {
        let Ok(socket) = self.sockets.get(id) else {
            return;
        };
        match *socket {
            Socket::Tcp(tcp) => {
                self.tcp.close(now, tcp);
                self.tcp_sockets.remove(&tcp);
            }
            Socket::Datagram(_) => self.release_datagram(now, id),
        }
        self.sockets.remove(id);
        self.changes.remove(&Change::Socket(id));
        self.changes.insert(Change::Sockets);
    }

    /// Our end, if it has one.
    pub fn local(&self, id: SocketId) -> Option<SocketAddr> {
        let naming = self.sockets.naming(id).ok()?;
        let local = match self.sockets.get(id).ok()? {
            Socket::Tcp(tcp) => self.tcp.local(*tcp),
            Socket::Datagram(socket) => {
                let address = socket.local.unwrap_or(naming.wildcard());
                (socket.port != 0 || socket.local.is_some()).then(|| address.with_port(socket.port))
            }
        };
        local.map(|local| naming.outward(local))
    }

    /// Their end, if it has one.
    pub fn peer(&self, id: SocketId) -> Option<SocketAddr> {
        let peer = match self.sockets.get(id).ok()? {
            Socket::Tcp(tcp) => self.tcp.peer(*tcp),
            Socket::Datagram(socket) => socket.peer,
        };
        let naming = self.sockets.naming(id).ok()?;
        peer.map(|peer| naming.outward(peer))
    }

    /// Is it a TCP listener?
    pub fn is_listening(&self, id: SocketId) -> bool {
        matches!(self.sockets.get(id), Ok(Socket::Tcp(tcp)) if self.tcp.is_listening(*tcp))
    }

    /// Is a TCP connection attempt under way?
    pub fn is_connecting(&self, id: SocketId) -> bool {
        matches!(self.sockets.get(id), Ok(Socket::Tcp(tcp)) if self.tcp.is_connecting(*tcp))
    }

    /// Which calls would not block. A socket that does not exist blocks nobody.
    pub fn readiness(&self, id: SocketId) -> Readiness {
        match self.sockets.get(id) {
            Ok(Socket::Tcp(tcp)) => self.tcp.readiness(*tcp),
            Ok(Socket::Datagram(socket)) => socket.readiness(),
            Err(_) => Readiness::BOTH,
        }
    }

    /// The pending error, which is then told and gone (SO_ERROR).
    pub fn take_error(&mut self, id: SocketId) -> Option<SocketError> {
        match *self.sockets.get(id).ok()? {
            Socket::Tcp(tcp) => self.tcp.take_error(tcp),
            Socket::Datagram(_) => self.sockets.datagram_mut(id).ok()?.error.take(),
        }
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `NoSuchOption` when the kind does not have it, `Invalid` for a value out of range, or for what can no longer be
    /// changed.
    pub fn set_option(&mut self, id: SocketId, option: SocketOption) -> Result<(), SocketError> {
        if let SocketOption::V6Only(v6_only) = option {
            return self.set_v6_only(id, v6_only);
        }
        match *self.sockets.get(id)? {
            Socket::Tcp(tcp) => self.tcp.set_option(tcp, option),
            Socket::Datagram(_) => self.sockets.datagram_mut(id)?.set_option(option),
        }
    }

    /// RFC 3493 5.3. What a socket hears is decided when it is bound.
    fn set_v6_only(&mut self, id: SocketId, v6_only: bool) -> Result<(), SocketError> {
        if self.local(id).is_some() {
            return Err(SocketError::Invalid);
        }
        let naming = Naming {
            v6_only,
            ..self.sockets.naming(id)?
        };
        self.sockets.set_naming(id, naming);
        Ok(())
    }

    /// Reads an option.
    ///
    /// # Errors
    /// `NoSuchOption`.
    pub fn option(&self, id: SocketId, name: OptionName) -> Result<SocketOption, SocketError> {
        if name == OptionName::V6Only {
            return Ok(SocketOption::V6Only(self.sockets.naming(id)?.v6_only));
        }
        match self.sockets.get(id)? {
            Socket::Tcp(tcp) if matches!(name, OptionName::Info | OptionName::MaximumSegment) => {
                let info = self.tcp.info(*tcp).ok_or(SocketError::BadSocket)?;
                Ok(match name {
                    OptionName::Info => SocketOption::Info(info),
                    _ => SocketOption::MaximumSegment(info.segment),
                })
            }
            Socket::Tcp(tcp) => self.tcp.option(*tcp, name),
            Socket::Datagram(socket) => socket.option(name),
        }
    }
}
