//! Who pays for what connections hold.

use super::{Limits, Tcp, TcpCounters};
use crate::flow::memory::Memory;
use crate::flow::{Connection, FlowId, FlowKey};
use crate::output::Path;

/// A connection in the hands of somebody who does something with it, and what that needs.
pub(super) struct Lent<'a> {
    pub(super) key: FlowKey,
    pub(super) path: Path,
    pub(super) connection: &'a mut Connection,
    pub(super) limits: &'a Limits,
    pub(super) counters: &'a mut TcpCounters,
}

impl Tcp {
    /// The memory of all connections.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// From here on the user `uid` pays for what a new connection holds.
    pub(super) fn open_account(&mut self, id: FlowId, uid: u32) {
        if let Some((_, _, connection)) = self.flows.connection_mut(id) {
            connection.account = Some(self.memory.open(uid));
        }
    }

    /// Does something with a connection, which knows what it may hold and pays for what it holds afterwards.
    pub(super) fn with_flow<R>(&mut self, id: FlowId, f: impl FnOnce(Lent<'_>) -> R) -> Option<R> {
        let (key, path, connection) = self.flows.connection_mut(id)?;
        if let Some(account) = &connection.account {
            connection.share = self.memory.share(account);
        }
        let result = f(Lent {
            key,
            path,
            connection,
            limits: &self.limits,
            counters: &mut self.counters,
        });
        let held = connection.held();
        if let Some(account) = &mut connection.account {
            self.memory.settle(account, held);
        }
        Some(result)
    }
}
