//! TCP: open, bind, connect and accept, by `open` and `dup` with a path.
//!
//! The C library binds by `dup("/LOCAL")`, connects by `dup("REMOTE")`, accepts by `dup("listen")`, and puts the new
//! descriptor in the old one's place; its `listen()` does nothing, so a bound socket listens at once. A connect that
//! may not wait answers EINPROGRESS and makes no new descriptor: the old one *is* the connecting socket from then on.

use core::net::SocketAddr;

use syscall::error::{EINPROGRESS, EINVAL, EISCONN, EWOULDBLOCK, Error, Result};

use super::errno::errno;
use super::handle::{Handle, SocketHandle};
use super::path::Ends;
use super::sockets::View;
use crate::error::SocketError;
use crate::socket::SocketOption;

/// Connections that may wait for `accept`, when nobody says how many: `listen` and its number do not reach us. A quarter
/// of what [`Limits`](crate::socket::tcp::Limits) allow: a crowd that comes at once is let in, and what nobody accepts
/// is bounded by the memory of its owner.
const BACKLOG: usize = 1024;

impl View<'_> {
    /// `open("/scheme/tcp/PATH")`: a listener, or a connection on its way. An open never waits, for the namespace
    /// manager opens on everybody's behalf; the first read or write waits instead, and hears of a failure.
    pub(super) fn open_tcp(&mut self, text: &str, handle: SocketHandle) -> Result<usize> {
        let ends = self.parse_ends(text)?;
        let number = self.insert(Handle::Socket(handle))?;
        self.or_close(number, |view| match ends.peer() {
            Some(peer) => view.start(number, peer, ends.bound()),
            None => {
                // Who opens by a path cannot have said before that others may have used the port.
                let socket = view.try_ensure_socket(number)?;
                let reuse = SocketOption::ReuseAddress(true);
                view.stack.set_option(socket, reuse)?;
                view.listen(number, ends)
            }
        })
    }

    /// `dup` on a TCP socket.
    pub(super) fn dup_tcp(
        &mut self,
        number: usize,
        text: &str,
        call: redox_scheme::Id,
    ) -> Result<usize> {
        match text {
            "listen" => self.accept(number),
            "disconnect" => {
                // What it was ends at once (RFC 9293 3.10.5); what was set on it holds.
                let handle = self.scheme.socket(number)?;
                let (socket, fresh) = (handle.socket, handle.sibling(handle.socket, None));
                if let Some(socket) = socket {
                    self.stack.disconnect(self.now, socket).map_err(errno)?;
                }
                self.insert(Handle::Socket(fresh))
            }
            _ => {
                let ends = self.parse_ends(text)?;
                match ends.peer() {
                    Some(peer) => self.connect(number, (peer, ends.bound()), call),
                    None => self.bind(number, ends),
                }
            }
        }
    }

    fn accept(&mut self, number: usize) -> Result<usize> {
        let handle = self.scheme.socket(number)?;
        let (owner, listener) = (handle.owner, handle.socket.ok_or(Error::new(EINVAL))?);
        // One that cannot be given to anybody stays where it is.
        self.check_room(owner)?;
        let connection = self.stack.accept(listener).map_err(errno)?;
        let accepted = self.scheme.socket(number)?.sibling(Some(connection), None);
        let accepted = self.insert_fresh(accepted)?;
        if let Ok(handle) = self.scheme.socket_mut(number) {
            handle.readiness.acted(syscall::EventFlags::EVENT_READ);
        }
        Ok(accepted)
    }

    /// A new descriptor of a socket that is bound, and listens, at `ends.local`. What was set on the old one holds.
    fn bind(&mut self, number: usize, ends: Ends) -> Result<usize> {
        let handle = self.scheme.socket(number)?;
        let (idle, fresh) = (handle.socket, handle.sibling(handle.socket, None));
        let is_used =
            |socket| self.stack.local(socket).is_some() || self.stack.peer(socket).is_some();
        if idle.is_some_and(is_used) {
            return Err(Error::new(EINVAL));
        }
        let bound = self.insert(Handle::Socket(fresh))?;
        self.or_close(bound, |view| view.listen(bound, ends))
    }

    fn listen(&mut self, number: usize, ends: Ends) -> core::result::Result<(), SocketError> {
        let socket = self.try_ensure_socket(number)?;
        self.stack.bind(self.now, socket, ends.local)?;
        self.stack.listen(socket, BACKLOG)
    }

    /// Connects a descriptor. While the caller waits, and when nobody may wait, the descriptor itself is the socket;
    /// who waited gets a second one of the same socket at the end.
    fn connect(
        &mut self,
        number: usize,
        (peer, bound): (SocketAddr, Option<SocketAddr>),
        call: redox_scheme::Id,
    ) -> Result<usize> {
        let handle = self.scheme.socket(number)?;
        let nonblocking = handle.is_nonblocking();
        if handle.connecting == Some(call) {
            return self.dup_connected(number);
        }
        if let Some(socket) = handle.socket
            && self.stack.peer(socket).is_some()
        {
            // Already connected, under way, or failed: the socket knows.
            return Err(match self.connected(number) {
                Ok(()) => Error::new(EISCONN),
                Err(Error { errno: EWOULDBLOCK }) => errno(SocketError::AlreadyInProgress),
                Err(error) => error,
            });
        }
        let local = self.local_of_listener(number).or(bound);
        self.start(number, peer, local).map_err(errno)?;
        if nonblocking {
            return Err(Error::new(EINPROGRESS));
        }
        self.scheme.socket_mut(number)?.connecting = Some(call);
        Err(Error::new(EWOULDBLOCK))
    }

    /// A socket that was bound, and so listens, and is now to be connected: it stops listening, and keeps its address
    /// and what was set on it.
    fn local_of_listener(&mut self, number: usize) -> Option<SocketAddr> {
        let socket = self.scheme.socket(number).ok()?.socket?;
        if !self.stack.is_listening(socket) {
            return None;
        }
        let local = self.stack.local(socket)?;
        self.stack.disconnect(self.now, socket).ok()?;
        Some(local)
    }

    fn start(
        &mut self,
        number: usize,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) -> core::result::Result<(), SocketError> {
        let handle = self
            .scheme
            .socket(number)
            .map_err(|_| SocketError::BadSocket)?;
        let fresh = handle.socket.is_none();
        let socket = self.try_ensure_socket(number)?;
        let bound = match local {
            Some(local) => self.stack.bind(self.now, socket, local),
            None => Ok(()),
        };
        match bound.and_then(|()| self.stack.connect(self.now, socket, peer)) {
            Ok(()) | Err(SocketError::InProgress) => Ok(()),
            Err(error) => {
                if fresh {
                    self.release(number);
                }
                Err(error)
            }
        }
    }

    /// Does the connection of this descriptor stand? EWOULDBLOCK while it is on its way; the reason when it failed.
    fn connected(&mut self, number: usize) -> Result<()> {
        let socket = self
            .scheme
            .socket(number)?
            .socket
            .ok_or(Error::new(EINVAL))?;
        let ready = self.stack.readiness(socket);
        if !ready.readable && !ready.writable {
            return Err(match self.stack.is_connecting(socket) {
                true => Error::new(EWOULDBLOCK),
                // Somebody has given it up.
                false => errno(SocketError::ConnectionAborted),
            });
        }
        match self.stack.take_error(socket) {
            Some(error) => Err(errno(error)),
            None => Ok(()),
        }
    }

    /// The end of a waiting connect: a second descriptor of the same socket, or the reason why not.
    fn dup_connected(&mut self, number: usize) -> Result<usize> {
        let result = self.connected(number);
        if let Err(Error { errno: EWOULDBLOCK }) = result {
            return Err(Error::new(EWOULDBLOCK));
        }
        let handle = self.scheme.socket_mut(number)?;
        handle.connecting = None;
        let sibling = handle.sibling(handle.socket, None);
        match result {
            Ok(()) => self.insert(Handle::Socket(sibling)),
            Err(error) => {
                self.release(number);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use smoltcp::time::Instant;
    use syscall::error::EMFILE;

    use super::*;
    use crate::adapters::Transmitters;
    use crate::scheme::sockets::{Kind, SocketScheme};
    use crate::socket::Owner;
    use crate::stack::{Limits, Stack};

    #[test]
    fn a_connection_waits_for_who_has_too_many_files_to_accept_it() {
        let now = Instant::ZERO;
        let mut view = View {
            scheme: &mut SocketScheme::new(Kind::Tcp),
            stack: &mut Stack::new([7; 32], Limits::default(), now),
            ports: &mut Transmitters::default(),
            now,
        };
        let owner = Owner { uid: 1000 };
        let listener = view.open_path("/127.0.0.1:8080", 0, owner).unwrap();
        let client = view.open_path("127.0.0.1:8080", 0, Owner::ROOT).unwrap();
        while view.stack.poll(now, view.ports) {}
        assert_eq!(view.connected(client), Ok(()));
        let mut last = listener;
        let refused = loop {
            match view.insert(Handle::Socket(SocketHandle::new(owner, 0))) {
                Ok(number) => last = number,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, Error::new(EMFILE));
        assert_eq!(view.accept(listener), Err(refused));
        view.close(last);
        assert!(view.accept(listener).is_ok());
    }
}
