//! TIME-WAIT (RFC 9293 3.6.1) in a few numbers: it outlives the socket and its buffers.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::FlowKey;
use super::connection::CHALLENGE_INTERVAL;
use super::segment::{Control, Segment};
use super::sequence::Seq;
use crate::socket::tcp::Reason;

/// A connection that has ended, kept so that its late segments harm no other.
#[derive(Clone, Debug)]
pub struct TimeWait {
    /// Its place in the order of age.
    pub mark: u64,
    /// SND.NXT
    pub snd_nxt: Seq,
    /// RCV.NXT, after the peer's FIN.
    pub rcv_nxt: Seq,
    /// The receive window that the peer was told last, as the header has it.
    pub window: u16,
    /// When it is over.
    pub until: Instant,
    /// An acknowledgement is to leave: at first, that of the peer's FIN, unless it was acknowledged in CLOSING.
    pub owes_ack: bool,
    /// No other acknowledgement is owed before.
    pub quiet_until: Option<Instant>,
}

/// What a segment is for a connection in TIME-WAIT.
#[derive(Clone, Copy)]
pub enum Late {
    /// A new connection under the old name, beyond doubt.
    Reopen,
    /// The peer's FIN again: our ACK was lost. Acknowledged, and the time starts again.
    FinAgain,
    /// Acknowledged, once in a while.
    Acknowledge,
    /// Dropped.
    Drop(Reason),
}

impl TimeWait {
    /// RFC 9293 3.10.7.4 in TIME-WAIT.
    pub fn receive(&self, segment: &Segment) -> Late {
        match segment.control {
            // RFC 1337: or old duplicates could assassinate it.
            TcpControl::Rst => Late::Drop(|counters| &mut counters.rst_in_time_wait),
            // RFC 1122 4.2.2.13: a SYN beyond everything that was received may open a new connection.
            TcpControl::Syn if segment.ack.is_none() && !segment.seq.before(self.rcv_nxt) => {
                Late::Reopen
            }
            TcpControl::Fin if segment.end() == self.rcv_nxt => Late::FinAgain,
            _ if segment.length() == 0 && segment.seq == self.rcv_nxt => {
                Late::Drop(|counters| &mut counters.after_end)
            }
            _ => Late::Acknowledge,
        }
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
    pub fn ack(&self, key: FlowKey) -> Control {
        Control::ack(key, self.snd_nxt, self.rcv_nxt, self.window)
    }

    /// Owes an acknowledgement, but not too often; false if it is too early for another.
    pub fn owe_ack(&mut self, now: Instant) -> bool {
        let allowed = self.quiet_until.is_none_or(|until| now >= until);
        if allowed {
            self.quiet_until = Some(now + CHALLENGE_INTERVAL);
            self.owes_ack = true;
        }
        allowed
    }

    /// Starts the time again.
    pub fn restart(&mut self, now: Instant, timeout: Duration) {
        self.until = now + timeout;
    }
}
