//! ICMP sockets: which identifier is whose, and who wants to hear of errors about a UDP port.

use std::collections::{BTreeMap, BTreeSet};

use super::SocketId;
use crate::secret::Secret;

/// The identifiers of echo sockets, each held by one, and the watchers of UDP ports.
#[derive(Debug)]
pub(crate) struct IcmpTable {
    echo: BTreeMap<u16, SocketId>,
    watchers: BTreeSet<(u16, SocketId)>,
    secret: Secret,
    chosen: u64,
}

impl IcmpTable {
    pub(crate) fn new(secret: Secret) -> IcmpTable {
        IcmpTable {
            echo: BTreeMap::new(),
            watchers: BTreeSet::new(),
            secret,
            chosen: 0,
        }
    }

    /// Gives the socket an identifier that no other has and nobody can guess; none if all are taken.
    pub(crate) fn claim(&mut self, id: SocketId) -> Option<u16> {
        self.chosen = self.chosen.wrapping_add(1);
        let [a, b, ..] = self
            .secret
            .hash("echo identifier", self.chosen)
            .to_ne_bytes();
        let start = u16::from_ne_bytes([a, b]);
        // 0 is how a socket says that it has none.
        let identifier = (0..=u16::MAX)
            .map(|step| start.wrapping_add(step))
            .find(|identifier| *identifier != 0 && !self.echo.contains_key(identifier))?;
        self.echo.insert(identifier, id);
        Some(identifier)
    }

    /// The socket whose identifier this is.
    pub(crate) fn owner(&self, identifier: u16) -> Option<SocketId> {
        self.echo.get(&identifier).copied()
    }

    /// Gives an identifier back.
    pub(crate) fn release(&mut self, identifier: u16) {
        self.echo.remove(&identifier);
    }

    /// The socket wants the errors about datagrams from UDP `port`.
    pub(crate) fn watch(&mut self, port: u16, id: SocketId) {
        self.watchers.insert((port, id));
    }

    /// It does not want them any more.
    pub(crate) fn unwatch(&mut self, port: u16, id: SocketId) {
        self.watchers.remove(&(port, id));
    }

    /// Who wants the errors about datagrams from UDP `port`.
    pub(crate) fn watchers(&self, port: u16) -> impl Iterator<Item = SocketId> {
        self.watchers
            .range((port, SocketId(0))..=(port, SocketId(u64::MAX)))
            .map(|(_, id)| *id)
    }
}
