//! Flows: one per connection, from the SYN to the end of TIME-WAIT, found by a keyed hash of addresses and ports.
//!
//! A flow has three phases and each costs what it must: half open (SYN-RECEIVED) and TIME-WAIT are a few numbers, in
//! between it is a connection with buffers that hold what there is. A packet touches its own flow and no other, so that
//! its cost does not grow with their number.
//!
//! Of TCP's extensions it has window scaling (RFC 7323 section 2), SACK and D-SACK (RFC 2018, RFC 2883), losses found by
//! time and by probes (RFC 8985), CUBIC with HyStart++ (RFC 9438, RFC 9406), proportional rate reduction (RFC 6937),
//! challenge ACKs (RFC 5961), path MTU discovery (RFC 1191, RFC 8201) and SYN cookies (RFC 4987). It has no timestamps,
//! and so no PAWS, which matters where sequence numbers come round within a segment's lifetime (RFC 7323 section 5): there
//! a TCP without them relies on nothing old arriving. It has no ECN (RFC 3168), no Fast Open (RFC 7413), and no pacing.

pub mod agreed;
pub mod buffer;
pub mod checksum;
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

use core::hash::{Hash, Hasher};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl FlowKey {
    /// RFC 9293 3.7.1: the segment size of a peer that names none, in octets of data.
    pub fn default_mss(&self) -> u16 {
        match self.remote {
            SocketAddr::V4(_) => 536,
            SocketAddr::V6(_) => 1220,
        }
    }
}

/// In as few words as it has: every packet is looked up by it.
impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let ports = u32::from(self.local.port()) << 16 | u32::from(self.remote.port());
        if let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (self.local, self.remote) {
            let [local, remote] = [local, remote].map(|end| u64::from(end.ip().to_bits()));
            hasher.write_u64(local << 32 | remote);
            return hasher.write_u32(ports);
        }
        let mut zones = 0;
        for end in [self.local, self.remote] {
            let (address, zone) = match end {
                SocketAddr::V4(end) => (u128::from(end.ip().to_bits()), 0),
                SocketAddr::V6(end) => (end.ip().to_bits(), end.scope_id()),
            };
            hasher.write_u64((address >> 64) as u64);
            hasher.write_u64(address as u64);
            zones = zones << 32 | u64::from(zone);
        }
        hasher.write_u64(zones);
        hasher.write_u32(ports);
    }
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
