//! The states of a connection (RFC 9293 3.3.2, figure 5).

use core::fmt;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is none.
    Closed,
    /// A listener waits for SYNs.
    Listen,
    /// Our SYN has left, or is about to.
    SynSent,
    /// Both SYNs are known, ours is not acknowledged.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We have closed, and our FIN is not acknowledged, or has not even left.
    FinWait1,
    /// We have closed, and the peer knows.
    FinWait2,
    /// The peer has closed.
    CloseWait,
    /// Both have closed at the same time, and our FIN is not acknowledged.
    Closing,
    /// The peer has closed, then we, and our FIN is not acknowledged.
    LastAck,
    /// Both have closed; late segments are waited for.
    TimeWait,
}

impl State {
    /// SYN-SENT or SYN-RECEIVED: our SYN is not acknowledged.
    pub fn is_opening(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived)
    }

    /// May a program still write (RFC 9293 3.10.2)?
    pub fn may_send(self) -> bool {
        matches!(self, State::Established | State::CloseWait)
    }

    /// Is more to come from the peer (RFC 9293 3.10.7.4, seventh)?
    pub fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Have we a FIN to send, or to send again, behind what was written?
    pub fn owes_fin(self) -> bool {
        matches!(self, State::FinWait1 | State::Closing | State::LastAck)
    }
}

impl fmt::Display for State {
    /// The names of RFC 9293.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        })
    }
}
