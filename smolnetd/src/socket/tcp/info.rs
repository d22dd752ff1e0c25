//! What TCP_INFO tells of a connection.

use smoltcp::time::Duration;

use super::{Tcp, TcpId};
use crate::flow::state::State;

/// RFC 9293 3.7.1: what every host takes.
const DEFAULT_SEGMENT: usize = 536;

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its state.
    pub state: State,
    /// Octets of data that a segment carries.
    pub segment: usize,
    /// The congestion window in octets.
    pub window: usize,
    /// The smoothed round trip time (RFC 6298), once it was measured.
    pub round_trip: Option<Duration>,
    /// The retransmission timeout.
    pub timeout: Duration,
}

impl Tcp {
    /// How a socket's connection is; without one, what would be.
    pub fn info(&self, id: TcpId) -> Option<Info> {
        let state = self.state(id)?;
        let recovery = self.connection(id).map(|connection| connection.recovery());
        Some(Info {
            state,
            segment: recovery.map_or(DEFAULT_SEGMENT, |recovery| recovery.mss()),
            window: recovery.map_or(0, |recovery| recovery.cwnd()),
            round_trip: recovery.and_then(|recovery| recovery.srtt()),
            timeout: recovery.map_or(Duration::ZERO, |recovery| recovery.rto()),
        })
    }
}
