//! Flows: one per connection, from the SYN to the end of TIME-WAIT, found by a keyed hash of addresses and ports.
//!
//! A flow has three phases and each costs what it must: half open (SYN-RECEIVED) and TIME-WAIT are a few numbers, in
//! between it is a connection with buffers that hold what there is. A packet touches its own flow and no other, so that
//! its cost does not grow with their number.

pub mod agreed;
pub mod buffer;
pub mod connection;
pub mod cookie;
pub mod half_open;
pub mod memory;
pub mod recovery;
pub mod segment;
pub mod sequence;
pub mod state;
pub mod syn_queue;
pub mod table;
pub mod time_wait;

use core::net::SocketAddr;

pub use agreed::{Agreed, Scaling};
pub use connection::Connection;
pub use half_open::HalfOpen;
pub use state::State;
pub use table::{FlowId, Flows};
pub use time_wait::TimeWait;

use smoltcp::time::Instant;

use crate::output::Path;

/// What names a connection. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

/// One connection.
#[derive(Debug)]
pub struct Flow {
    /// What names it.
    pub key: FlowKey,
    /// How its packets leave.
    pub path: Path,
    /// How far it is.
    pub phase: Phase,
    /// When it wants to be served next, if nothing happens before.
    deadline: Option<Instant>,
    /// Its entry among the timers, which may be earlier than its deadline, never later.
    timer: Option<Instant>,
    /// Is it on the dirty list?
    dirty: bool,
    /// Does it wait for room on its link?
    blocked: bool,
}

/// How far a connection is.
#[derive(Debug)]
pub enum Phase {
    /// SYN-RECEIVED, for a listener.
    HalfOpen(HalfOpen),
    /// Everything from SYN-SENT or the end of a handshake to the end, and what was received by then.
    Open(Box<Connection>),
    /// TIME-WAIT.
    TimeWait(TimeWait),
}

impl Flow {
    /// A flow that nothing is known of yet but where it goes.
    pub fn new(key: FlowKey, path: Path, phase: Phase) -> Flow {
        Flow {
            key,
            path,
            phase,
            deadline: None,
            timer: None,
            dirty: false,
            blocked: false,
        }
    }
}
