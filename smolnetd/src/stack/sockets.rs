//! The table of sockets: who holds which, and how much all of them may hold.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use crate::error::SocketError;
use crate::socket::bound::Naming;
use crate::socket::datagram::DatagramSocket;
use crate::socket::inbox;
use crate::socket::tcp::TcpId;
use crate::socket::{Owner, ReceiveFlags, Received, SocketId};

/// One socket: TCP's are kept by the TCP engine, the others here.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpId),
    Datagram(Box<DatagramSocket>),
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    naming: Naming,
    socket: Socket,
}

/// Why a datagram was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The socket's own queue.
    Queue,
    /// What all queues may hold together.
    Memory,
}

/// How many sockets there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) sockets: usize,
    pub(super) sockets_per_user: usize,
    pub(super) inbox_bytes: usize,
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    entries: BTreeMap<SocketId, Entry>,
    per_user: BTreeMap<u32, usize>,
    next: u64,
    inbox_bytes: usize,
    bounds: Bounds,
}

impl Sockets {
    pub(super) fn new(bounds: Bounds) -> Sockets {
        Sockets {
            entries: BTreeMap::new(),
            per_user: BTreeMap::new(),
            next: 1,
            inbox_bytes: 0,
            bounds,
        }
    }

    /// May `owner` have one more? Root's sockets are bounded only by the total.
    pub(super) fn check_room(&self, owner: Owner) -> Result<(), SocketError> {
        let own = self.per_user.get(&owner.uid).copied().unwrap_or(0);
        let within = owner.is_privileged() || own < self.bounds.sockets_per_user;
        if self.entries.len() < self.bounds.sockets && within {
            Ok(())
        } else {
            Err(SocketError::NoBuffers)
        }
    }

    pub(super) fn add(&mut self, owner: Owner, socket: Socket) -> SocketId {
        let id = SocketId(self.next);
        self.next = self.next.wrapping_add(1);
        let own = self.per_user.entry(owner.uid).or_default();
        *own = own.saturating_add(1);
        let naming = Naming::default();
        self.entries.insert(
            id,
            Entry {
                owner,
                naming,
                socket,
            },
        );
        id
    }

    pub(super) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let mut entry = self.entries.remove(&id)?;
        if let Some(own) = self.per_user.get_mut(&entry.owner.uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.per_user.remove(&entry.owner.uid);
            }
        }
        if let Socket::Datagram(socket) = &mut entry.socket {
            self.inbox_bytes = self.inbox_bytes.saturating_sub(socket.inbox.clear());
        }
        Some(entry.socket)
    }

    /// All, in the order in which they were opened.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketId, Owner, &Socket)> {
        self.entries
            .iter()
            .map(|(id, entry)| (*id, entry.owner, &entry.socket))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: SocketId) -> Result<&Socket, SocketError> {
        self.entries
            .get(&id)
            .map(|entry| &entry.socket)
            .ok_or(SocketError::BadSocket)
    }

    pub(super) fn owner(&self, id: SocketId) -> Result<Owner, SocketError> {
        self.entries
            .get(&id)
            .map(|entry| entry.owner)
            .ok_or(SocketError::BadSocket)
    }

    /// How a socket's owner writes addresses.
    pub(super) fn naming(&self, id: SocketId) -> Result<Naming, SocketError> {
        self.entries
            .get(&id)
            .map(|entry| entry.naming)
            .ok_or(SocketError::BadSocket)
    }

    pub(super) fn set_naming(&mut self, id: SocketId, naming: Naming) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.naming = naming;
        }
    }

    pub(super) fn datagram(&self, id: SocketId) -> Result<&DatagramSocket, SocketError> {
        match self.get(id)? {
            Socket::Datagram(socket) => Ok(socket),
            Socket::Tcp(_) => Err(SocketError::NotSupported),
        }
    }

    pub(super) fn datagram_mut(
        &mut self,
        id: SocketId,
    ) -> Result<&mut DatagramSocket, SocketError> {
        match self.entries.get_mut(&id).map(|entry| &mut entry.socket) {
            Some(Socket::Datagram(socket)) => Ok(socket),
            Some(Socket::Tcp(_)) => Err(SocketError::NotSupported),
            None => Err(SocketError::BadSocket),
        }
    }

    /// Queues a datagram for a socket.
    pub(super) fn deliver(
        &mut self,
        id: SocketId,
        source: SocketAddr,
        data: &[u8],
    ) -> Result<(), Full> {
        if self.inbox_bytes.saturating_add(inbox::cost(data.len())) > self.bounds.inbox_bytes {
            return Err(Full::Memory);
        }
        let Ok(socket) = self.datagram_mut(id) else {
            return Err(Full::Queue);
        };
        let before = socket.inbox.charged();
        if !socket.deliver(source, data) {
            return Err(Full::Queue);
        }
        let added = socket.inbox.charged().saturating_sub(before);
        self.inbox_bytes = self.inbox_bytes.saturating_add(added);
        Ok(())
    }

    /// Takes the oldest datagram of a socket.
    pub(super) fn receive(
        &mut self,
        id: SocketId,
        buffer: &mut [u8],
        flags: ReceiveFlags,
    ) -> Result<Received, SocketError> {
        let socket = self.datagram_mut(id)?;
        let before = socket.inbox.charged();
        let received = socket.receive(buffer, flags);
        let freed = before.saturating_sub(socket.inbox.charged());
        self.inbox_bytes = self.inbox_bytes.saturating_sub(freed);
        let naming = self.naming(id)?;
        received.map(|received| Received {
            source: received.source.map(|source| naming.outward(source)),
            ..received
        })
    }
}
