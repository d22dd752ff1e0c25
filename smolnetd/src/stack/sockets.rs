//! The table of sockets: who holds which, and how much all of them may hold.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use crate::counters::{count, counters};
use crate::error::SocketError;
use crate::quota::{Exceeded, Quota, Share};
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
    /// What the queues of its user may hold together.
    OfUser,
    /// What all queues may hold together.
    Memory,
}

counters! {
    /// Why sockets were refused.
    pub(super) struct SocketCounters {
        /// Refused: this user has as many as one may have.
        refused_to_user,
        /// Refused: there are as many as there may be.
        refused_in_all,
    }
}

/// All sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    entries: BTreeMap<SocketId, Entry>,
    next: u64,
    /// How many each user has.
    held: Quota,
    /// Bytes in the queues of each user's datagram sockets.
    queued: Quota,
    pub(super) counters: SocketCounters,
}

impl Sockets {
    /// `held` bounds sockets, `queued` the bytes in the queues of those of datagrams.
    pub(super) fn new(held: Share, queued: Share) -> Sockets {
        Sockets {
            entries: BTreeMap::new(),
            next: 1,
            held: Quota::new(held),
            queued: Quota::new(queued),
            counters: SocketCounters::default(),
        }
    }

    /// May `owner` have one more?
    pub(super) fn check_room(&mut self, owner: Owner) -> Result<(), SocketError> {
        let room = self.held.check(owner, 1);
        room.map_err(|exceeded| self.refused(exceeded))
    }

    /// What is said to who was refused.
    pub(super) fn refused(&mut self, exceeded: Exceeded) -> SocketError {
        match exceeded {
            Exceeded::OfUser => {
                count(&mut self.counters.refused_to_user);
                SocketError::TooManyOfUser
            }
            Exceeded::InAll => {
                count(&mut self.counters.refused_in_all);
                SocketError::TooMany
            }
        }
    }

    pub(super) fn add(&mut self, owner: Owner, socket: Socket) -> SocketId {
        let id = SocketId(self.next);
        self.next = self.next.wrapping_add(1);
        self.held.take(owner, 1);
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
        self.held.give_back(entry.owner, 1);
        if let Socket::Datagram(socket) = &mut entry.socket {
            self.queued.give_back(entry.owner, socket.inbox.clear());
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
        let Ok(owner) = self.owner(id) else {
            return Err(Full::Queue);
        };
        self.queued
            .check(owner, inbox::cost(data.len()))
            .map_err(|exceeded| match exceeded {
                Exceeded::OfUser => Full::OfUser,
                Exceeded::InAll => Full::Memory,
            })?;
        let Ok(socket) = self.datagram_mut(id) else {
            return Err(Full::Queue);
        };
        let before = socket.inbox.charged();
        if !socket.deliver(source, data) {
            return Err(Full::Queue);
        }
        let added = socket.inbox.charged().saturating_sub(before);
        self.queued.take(owner, added);
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
        self.queued.give_back(self.owner(id)?, freed);
        let naming = self.naming(id)?;
        received.map(|received| Received {
            source: received.source.map(|source| naming.outward(source)),
            ..received
        })
    }
}
