//! What a client asks for.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;

use super::{Kind, Listener, LocalEnd, Socket, Tcp, TcpId, TcpOptions};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::connection::Holder;
use crate::flow::{Connection, Flow, FlowKey, Phase};
use crate::ip::ZonedAddr;
use crate::output::Path;
use crate::socket::{How, Owner};

impl Tcp {
    /// A socket that is neither bound nor connected.
    ///
    /// # Errors
    /// [`SocketError::NoBuffers`]: there are as many as there may be.
    pub fn open(&mut self, owner: Owner) -> Result<TcpId, SocketError> {
        self.add_socket(Socket {
            owner,
            kind: Kind::Idle,
            bound: None,
            options: TcpOptions::new(&self.limits),
            changed: false,
        })
    }

    fn add_socket(&mut self, socket: Socket) -> Result<TcpId, SocketError> {
        if self.sockets.len() >= self.limits.sockets {
            return Err(SocketError::NoBuffers);
        }
        let id = TcpId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.sockets.insert(id, socket);
        Ok(id)
    }

    pub(super) fn socket(&mut self, id: TcpId) -> Result<&mut Socket, SocketError> {
        self.sockets.get_mut(&id).ok_or(SocketError::BadSocket)
    }

    /// Gives it a local address; port 0 chooses one. With `reuse`, or the option, others that have it too may hold the
    /// address as long as none listens. Whether the address is ours is the caller's to check.
    ///
    /// # Errors
    /// [`SocketError::AddressInUse`], [`SocketError::AccessDenied`] for a port below 1024, [`SocketError::Invalid`] if
    /// it is bound or connected already, [`SocketError::AddressNotAvailable`] if no port is free.
    pub fn bind(
        &mut self,
        id: TcpId,
        local: impl Into<LocalEnd>,
        reuse: bool,
    ) -> Result<(), SocketError> {
        let mut local = local.into();
        let socket = self.socket(id)?;
        if socket.bound.is_some() || !matches!(socket.kind, Kind::Idle) {
            return Err(SocketError::Invalid);
        }
        if (1..1024).contains(&local.port) && !socket.owner.is_privileged() {
            return Err(SocketError::AccessDenied);
        }
        let reuse = reuse || socket.options.reuse;
        if local.port == 0 {
            let end = local.socket_addr();
            let offset = self.port_offset(end.ip(), end);
            let flows = &self.flows;
            let port = self.ports.choose(offset, |port| !flows.uses_port(port));
            local.port = port.ok_or(SocketError::AddressNotAvailable)?;
        }
        // What connections hold that have no socket any more, TIME-WAIT above all, is free for who says so.
        if !reuse && self.flows.uses_port(local.port) {
            return Err(SocketError::AddressInUse);
        }
        self.ports.bind(local, id, reuse)?;
        let socket = self.socket(id)?;
        socket.bound = Some(local);
        socket.options.reuse = reuse;
        Ok(())
    }

    /// Starts to listen on the address it was bound to; again with another backlog changes that. SYNs for it are
    /// answered from here on, though nobody may be accepting yet.
    ///
    /// # Errors
    /// [`SocketError::DestinationRequired`] if it is not bound, [`SocketError::IsConnected`],
    /// [`SocketError::AddressInUse`] if another listens there.
    pub fn listen(&mut self, id: TcpId, backlog: usize) -> Result<(), SocketError> {
        let backlog = backlog.clamp(1, self.limits.backlog.max(1));
        let socket = self.socket(id)?;
        match &mut socket.kind {
            Kind::Listener(listener) => {
                listener.backlog = backlog;
                return Ok(());
            }
            Kind::Connection(_) => return Err(SocketError::IsConnected),
            Kind::Idle => (),
        }
        let local = socket.bound.ok_or(SocketError::DestinationRequired)?;
        self.ports.listen(local, id)?;
        self.socket(id)?.kind = Kind::Listener(Listener {
            backlog,
            ..Listener::default()
        });
        Ok(())
    }

    /// Starts a connection along `path`, whose source becomes the local address unless the socket is bound to one.
    /// Done when it has been started: readiness tells that it has ended, the next call how.
    ///
    /// # Errors
    /// Why it was not started: [`SocketError::AlreadyInProgress`], [`SocketError::IsConnected`],
    /// [`SocketError::NetworkUnreachable`] for an address that no connection can have,
    /// [`SocketError::AddressInUse`] or [`SocketError::AddressNotAvailable`] for want of a local port.
    pub fn connect(
        &mut self,
        now: Instant,
        id: TcpId,
        remote: SocketAddr,
        path: Path,
    ) -> Result<(), SocketError> {
        self.make_idle(id)?;
        if !is_unicast(remote.ip()) || remote.port() == 0 {
            return Err(SocketError::NetworkUnreachable);
        }
        // An address that reaches no further than a link is another's on each.
        let remote = ZonedAddr::on(remote.ip(), path.zone).with_port(remote.port());
        let local = self.local_end(id, remote, &path)?;
        let key = FlowKey { local, remote };
        if self.flows.find(&key).is_some() || local == remote {
            return Err(SocketError::AddressInUse);
        }
        let path = Path {
            source: local.ip(),
            ..path
        };
        let iss = self.initial_sequence_number(now, &key);
        let socket = self.socket(id)?;
        let (options, uid) = (socket.options, socket.owner.uid);
        let connection = Connection::active(now, key, &path, iss, &options, Holder::Socket(id));
        let flow = Flow::new(key, path, Phase::Open(Box::new(connection)));
        let flow = self.flows.insert(flow).ok_or(SocketError::NoBuffers)?;
        self.open_account(flow, uid);
        self.socket(id)?.kind = Kind::Connection(flow);
        self.flows.mark_dirty(flow);
        count(&mut self.counters.active_opens);
        Ok(())
    }

    /// Lets go of a connection that came to its end, so that another can be started.
    fn make_idle(&mut self, id: TcpId) -> Result<(), SocketError> {
        match self.socket(id)?.kind {
            Kind::Idle => return Ok(()),
            Kind::Listener(_) => return Err(SocketError::Invalid),
            Kind::Connection(_) => (),
        }
        match self.with_connection(id, |connection| {
            (connection.is_connecting(), connection.is_over())
        }) {
            Some((true, _)) => return Err(SocketError::AlreadyInProgress),
            Some((false, false)) => return Err(SocketError::IsConnected),
            Some((false, true)) | None => (),
        }
        if let Some(error) = self.take_error(id) {
            return Err(error);
        }
        let socket = self.socket(id)?;
        if let Kind::Connection(flow) = core::mem::replace(&mut socket.kind, Kind::Idle) {
            self.remove_flow(flow);
        }
        Ok(())
    }

    fn local_end(
        &mut self,
        id: TcpId,
        remote: SocketAddr,
        path: &Path,
    ) -> Result<SocketAddr, SocketError> {
        let bound = self.socket(id)?.bound;
        let address = match bound.and_then(|bound| bound.address.one()) {
            Some(bound) => bound,
            None => ZonedAddr::on(path.source, path.zone),
        };
        if address.address.is_ipv4() != remote.is_ipv4() || !is_unicast(address.address) {
            return Err(SocketError::AddressNotAvailable);
        }
        if let Some(bound) = bound {
            return Ok(address.with_port(bound.port));
        }
        let offset = self.port_offset(address.address, remote);
        let flows = &self.flows;
        let port = self.ports.choose(offset, |port| {
            let local = address.with_port(port);
            local != remote && flows.find(&FlowKey { local, remote }).is_none()
        });
        port.map(|port| address.with_port(port))
            .ok_or(SocketError::AddressNotAvailable)
    }

    /// The oldest connection of a listener's accept queue, as a socket of the listener's owner with its options.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if there is none, [`SocketError::Invalid`] if the socket does not listen,
    /// [`SocketError::NoBuffers`] if there are as many sockets as there may be.
    pub fn accept(&mut self, id: TcpId) -> Result<TcpId, SocketError> {
        loop {
            let socket = self.socket(id)?;
            let (owner, options) = (socket.owner, socket.options);
            let Kind::Listener(listener) = &mut socket.kind else {
                return Err(SocketError::Invalid);
            };
            let Some(&flow) = listener.queue.front() else {
                return Err(SocketError::WouldBlock);
            };
            let Some(local) = self.flows.get(flow).map(|flow| flow.key.local) else {
                self.pop_accept_queue(id);
                continue;
            };
            let accepted = Socket {
                owner,
                kind: Kind::Connection(flow),
                bound: None,
                options,
                changed: false,
            };
            let accepted = self.add_socket(accepted)?;
            self.pop_accept_queue(id);
            if let Some((_, _, connection)) = self.flows.connection_mut(flow) {
                connection.holder = Holder::Socket(accepted);
            }
            log::trace!("tcp: {local} accepted");
            return Ok(accepted);
        }
    }

    fn pop_accept_queue(&mut self, id: TcpId) {
        if let Some(Socket {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(&id)
        {
            listener.queue.pop_front();
        }
    }

    /// Reads, or with `peek` looks at, what was received. 0 is the end of the stream.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`], [`SocketError::NotConnected`], or why the connection ended.
    pub fn receive(
        &mut self,
        now: Instant,
        id: TcpId,
        buffer: &mut [u8],
        peek: bool,
    ) -> Result<usize, SocketError> {
        let Kind::Connection(flow) = self.socket(id)?.kind else {
            return Err(SocketError::NotConnected);
        };
        let result = self.with_connection(id, |connection| connection.receive(now, buffer, peek));
        let result = result.unwrap_or(Err(SocketError::NotConnected));
        if !peek && result.is_ok_and(|length| length > 0) && self.flows.is_attached(flow) {
            // The window may be opened now.
            self.flows.mark_dirty(flow);
        }
        result
    }

    /// Queues as much of `data` as fits and says how much. It leaves at the next [`Tcp::poll`].
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if nothing fits, [`SocketError::NotConnected`], [`SocketError::BrokenPipe`] after
    /// the end, or why the connection ended.
    pub fn send(&mut self, now: Instant, id: TcpId, data: &[u8]) -> Result<usize, SocketError> {
        let Kind::Connection(flow) = self.socket(id)?.kind else {
            return Err(SocketError::NotConnected);
        };
        let result = self.with_flow(flow, |lent| {
            let result = lent.connection.send(now, data);
            if result != Ok(data.len()) && lent.connection.is_short_of_memory() {
                count(&mut lent.counters.writes_without_memory);
            }
            result
        });
        let result = result.unwrap_or(Err(SocketError::NotConnected));
        if result.is_ok_and(|length| length > 0) {
            self.flows.mark_dirty(flow);
        }
        result
    }

    /// Ends one direction or both: what was written is followed by FIN; what was received can still be read.
    ///
    /// # Errors
    /// [`SocketError::NotConnected`]
    pub fn shutdown(&mut self, now: Instant, id: TcpId, how: How) -> Result<(), SocketError> {
        let Kind::Connection(flow) = self.socket(id)?.kind else {
            return Err(SocketError::NotConnected);
        };
        let before = self.view(flow);
        self.with_connection(id, |connection| {
            if !connection.was_established() {
                return Err(SocketError::NotConnected);
            }
            if how.read() {
                connection.shut_read();
            }
            if how.write() {
                connection.shut_write(now);
            }
            Ok(())
        })
        .unwrap_or(Err(SocketError::NotConnected))?;
        self.flows.mark_dirty(flow);
        self.tell(flow, before);
        Ok(())
    }
}

/// May a connection have this address at an end? Directed broadcasts, only the route table knows.
pub(super) fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !address.is_unspecified()
                && !address.is_broadcast()
                && !address.is_multicast()
                && address.octets()[0] != 0
        }
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    }
}
