//! The schemes `tcp`, `udp`, `icmp` and `ip`: the same calls, different paths.

use std::collections::HashMap;

use netscheme::handles::Handles;
use smoltcp::time::Instant;
use syscall::error::{EBADF, EINVAL, ENFILE, Error, Result};
use syscall::flag::EventFlags;

use super::errno::errno;
use super::handle::{Handle, SocketHandle};
use super::path::{self, Ends, IcmpPath};
use crate::adapters::Transmitters;
use crate::error::SocketError;
use crate::quota::{Exceeded, Quota, Share};
use crate::socket::{Owner, Readiness, SocketId, SocketKind};
use crate::stack::Stack;

/// Open files of one scheme.
const OPEN_FILES: Share = Share {
    all: 65_536,
    of_user: 16_384,
    for_root: 4096,
};

/// Which of the schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    Icmp,
    Ip,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Ip, Kind::Tcp, Kind::Udp, Kind::Icmp];

    /// The name under `/scheme/`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Udp => "udp",
            Kind::Icmp => "icmp",
            Kind::Ip => "ip",
        }
    }
}

/// The open files of one socket scheme.
pub(crate) struct SocketScheme {
    pub(super) kind: Kind,
    pub(super) handles: Handles<Handle>,
    /// The descriptors of each socket; when the last is closed, so is the socket.
    pub(super) users: HashMap<SocketId, Vec<usize>>,
    /// How many files each user has open.
    open: Quota,
}

impl SocketScheme {
    pub(crate) fn new(kind: Kind) -> SocketScheme {
        SocketScheme {
            kind,
            handles: Handles::new(OPEN_FILES.all),
            users: HashMap::new(),
            open: Quota::new(OPEN_FILES),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The descriptors of a socket; empty if it is another scheme's.
    pub(crate) fn users(&self, socket: SocketId) -> &[usize] {
        self.users.get(&socket).map_or(&[], Vec::as_slice)
    }

    /// A new root handle, from which the namespace opens paths.
    pub(crate) fn root(&mut self) -> Result<usize> {
        let inserted = self.insert(Handle::Root);
        inserted.map_err(|_| Error::new(ENFILE))
    }

    fn insert(&mut self, handle: Handle) -> core::result::Result<usize, Exceeded> {
        let owner = handle.owner();
        self.open.check(owner, 1)?;
        let socket = match &handle {
            Handle::Socket(handle) => handle.socket,
            _ => None,
        };
        let inserted = self.handles.insert(handle);
        let number = inserted.map_err(|_| Exceeded::InAll)?;
        self.open.take(owner, 1);
        if let Some(socket) = socket {
            self.users.entry(socket).or_default().push(number);
        }
        Ok(number)
    }

    fn remove(&mut self, number: usize) {
        if let Some(handle) = self.handles.remove(number) {
            self.open.give_back(handle.owner(), 1);
        }
    }

    pub(super) fn socket(&self, number: usize) -> Result<&SocketHandle> {
        match self.handles.get(number) {
            Some(Handle::Socket(handle)) => Ok(handle),
            _ => Err(Error::new(EBADF)),
        }
    }

    pub(super) fn socket_mut(&mut self, number: usize) -> Result<&mut SocketHandle> {
        match self.handles.get_mut(number) {
            Some(Handle::Socket(handle)) => Ok(handle),
            _ => Err(Error::new(EBADF)),
        }
    }

    /// Makes a descriptor one of `socket`.
    pub(super) fn attach(&mut self, number: usize, socket: SocketId) -> Result<()> {
        self.socket_mut(number)?.socket = Some(socket);
        self.users.entry(socket).or_default().push(number);
        Ok(())
    }

    /// Takes a descriptor off its socket; gives the socket back when it was the last.
    #[must_use = "the socket is to be closed"]
    pub(super) fn detach(&mut self, number: usize, socket: SocketId) -> Option<SocketId> {
        let users = self.users.get_mut(&socket)?;
        users.retain(|&user| user != number);
        if !users.is_empty() {
            return None;
        }
        self.users.remove(&socket);
        Some(socket)
    }
}

/// A socket scheme together with the stack, for the time of a turn.
pub(crate) struct View<'a> {
    pub(crate) scheme: &'a mut SocketScheme,
    pub(crate) stack: &'a mut Stack,
    pub(crate) ports: &'a mut Transmitters,
    pub(crate) now: Instant,
}

impl View<'_> {
    /// May `owner` open one more file?
    pub(super) fn check_room(&mut self, owner: Owner) -> Result<()> {
        let room = self.scheme.open.check(owner, 1);
        room.map_err(|exceeded| errno(self.stack.refused(exceeded)))
    }

    /// A new open file.
    pub(super) fn insert(&mut self, handle: Handle) -> Result<usize> {
        let inserted = self.scheme.insert(handle);
        inserted.map_err(|exceeded| errno(self.stack.refused(exceeded)))
    }

    /// What can be done with a descriptor without waiting.
    pub(super) fn readiness(&self, handle: &SocketHandle) -> EventFlags {
        let ready = match handle.socket {
            Some(socket) => self.stack.readiness(socket),
            // There is nothing to receive; what is sent makes it a socket.
            None if self.scheme.kind == Kind::Udp => Readiness {
                readable: false,
                writable: true,
            },
            // As on other systems: neither call would wait, for each fails at once.
            None => Readiness::BOTH,
        };
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::EVENT_READ, ready.readable);
        flags.set(EventFlags::EVENT_WRITE, ready.writable);
        flags
    }

    /// The socket may have become ready: what is to be posted on one of its descriptors.
    pub(crate) fn changed(&mut self, number: usize) -> EventFlags {
        let Ok(handle) = self.scheme.socket(number) else {
            return EventFlags::empty();
        };
        let ready = self.readiness(handle);
        match self.scheme.socket_mut(number) {
            Ok(handle) => handle.readiness.arrived(ready, ready),
            Err(_) => EventFlags::empty(),
        }
    }

    /// Opens the socket of a descriptor that has none yet.
    pub(super) fn ensure_socket(&mut self, number: usize) -> Result<SocketId> {
        self.try_ensure_socket(number).map_err(errno)
    }

    /// The same with the stack's own error.
    pub(super) fn try_ensure_socket(
        &mut self,
        number: usize,
    ) -> core::result::Result<SocketId, SocketError> {
        let bad = |_| SocketError::BadSocket;
        let handle = self.scheme.socket(number).map_err(bad)?;
        if let Some(socket) = handle.socket {
            return Ok(socket);
        }
        let kind = match self.scheme.kind {
            Kind::Tcp => SocketKind::Tcp,
            Kind::Udp => SocketKind::Udp,
            Kind::Icmp | Kind::Ip => return Err(SocketError::Invalid),
        };
        let socket = self.stack.socket(kind, handle.owner)?;
        self.scheme.attach(number, socket).map_err(bad)?;
        Ok(socket)
    }

    /// Adds a descriptor of a fresh socket; the socket is closed again when there is no room for it.
    pub(super) fn insert_fresh(&mut self, handle: SocketHandle) -> Result<usize> {
        let socket = handle.socket;
        let inserted = self.insert(Handle::Socket(handle));
        if let (Err(_), Some(socket)) = (&inserted, socket) {
            self.stack.close(self.now, socket);
        }
        inserted
    }

    /// Closes what `close` leaves without a descriptor.
    pub(super) fn release(&mut self, number: usize) {
        let Some(Handle::Socket(handle)) = self.scheme.handles.get(number) else {
            return;
        };
        let Some(socket) = handle.socket else { return };
        if let Some(last) = self.scheme.detach(number, socket) {
            self.stack.close(self.now, last);
        }
        if let Ok(handle) = self.scheme.socket_mut(number) {
            handle.socket = None;
        }
    }

    /// Opens a path below the root.
    pub(super) fn open_path(&mut self, text: &str, flags: usize, owner: Owner) -> Result<usize> {
        let handle = SocketHandle::new(owner, flags);
        match self.scheme.kind {
            Kind::Tcp | Kind::Udp if text.is_empty() => self.insert(Handle::Socket(handle)),
            Kind::Tcp => self.open_tcp(text, handle),
            Kind::Udp => self.open_udp(text, handle),
            Kind::Icmp => self.open_icmp(text, handle),
            Kind::Ip => self.open_ip(text, handle),
        }
    }

    fn open_udp(&mut self, text: &str, mut handle: SocketHandle) -> Result<usize> {
        let ends = self.parse_ends(text)?;
        let socket = self
            .stack
            .socket(SocketKind::Udp, handle.owner)
            .map_err(errno)?;
        handle.socket = Some(socket);
        let remote = ends.peer();
        handle.remote = remote;
        let number = self.insert_fresh(handle)?;
        self.or_close(number, |view| {
            view.stack.bind(view.now, socket, ends.local)?;
            match remote.filter(super::transfer::only_from) {
                // So that the ICMP errors of that peer are heard.
                Some(peer) => view.stack.connect(view.now, socket, peer),
                None => Ok(()),
            }
        })
    }

    fn open_icmp(&mut self, text: &str, mut handle: SocketHandle) -> Result<usize> {
        let path = path::parse_icmp(text, &|zone| self.stack.zone(zone)).map_err(errno)?;
        let (kind, remote, watched) = match path {
            IcmpPath::Echo(end) => (SocketKind::IcmpEcho, end, None),
            IcmpPath::Udp(end) => (SocketKind::IcmpUdpErrors, end, Some(end.port())),
        };
        let socket = self.stack.socket(kind, handle.owner).map_err(errno)?;
        handle.socket = Some(socket);
        let number = self.insert_fresh(handle)?;
        self.or_close(number, |view| {
            if let Some(port) = watched {
                let mut local = path::any_beside(remote);
                local.set_port(port);
                view.stack.bind(view.now, socket, local)?;
            }
            view.stack.connect(view.now, socket, remote)
        })
    }

    fn open_ip(&mut self, text: &str, mut handle: SocketHandle) -> Result<usize> {
        let kind = path::parse_ip(text).ok_or(Error::new(EINVAL))?;
        let socket = self.stack.socket(kind, handle.owner).map_err(errno)?;
        handle.socket = Some(socket);
        self.insert_fresh(handle)
    }

    /// The ends that a `tcp` or `udp` path names.
    pub(super) fn parse_ends(&self, text: &str) -> Result<Ends> {
        path::parse_ends(text, &|zone| self.stack.zone(zone)).map_err(errno)
    }

    /// Does what makes a new descriptor useful, and closes it again if that fails.
    pub(super) fn or_close(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Self) -> core::result::Result<(), SocketError>,
    ) -> Result<usize> {
        match act(self) {
            Ok(()) => Ok(number),
            Err(error) => {
                self.close(number);
                Err(errno(error))
            }
        }
    }

    pub(super) fn close(&mut self, number: usize) {
        let socket = self.scheme.socket(number).ok().and_then(|h| h.socket);
        self.release(number);
        self.scheme.remove(number);
        if let (Kind::Udp, Some(socket)) = (self.scheme.kind, socket) {
            self.settle_peer(socket);
        }
    }
}
