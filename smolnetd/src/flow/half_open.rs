//! SYN-RECEIVED for a listener: what RFC 9293 3.10.7.4 asks of that state in a few numbers, so that a flood of SYNs
//! costs neither sockets nor buffers. The socket is made when the handshake is complete.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::FlowKey;
use super::connection::headers_of;
use super::segment::{Control, DEFAULT_HOP_LIMIT, Segment};
use super::sequence::Seq;
use crate::socket::tcp::{Reason, TcpId};

/// RFC 6298 2.1: the first retransmission timeout.
const INITIAL_RTO: Duration = Duration::from_secs(1);

/// A SYN that came again is answered again, and what makes no sense is challenged, but not more often than this.
const REPEAT_INTERVAL: Duration = Duration::from_millis(200);

/// A connection that waits for the last ACK of its handshake.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    /// Who listens.
    pub listener: TcpId,
    /// Its places in the order of age: of all, and of the listener's.
    pub marks: (u64, u64),
    /// The peer's SYN.
    pub syn: Segment,
    /// ISS
    pub iss: Seq,
    /// The receive window that the SYN-ACK offers, in bytes.
    pub window: u16,
    /// The segment size that the SYN-ACK offers, in bytes.
    pub mss: u16,
    /// When the SYN came.
    pub since: Instant,
    /// When the SYN-ACK left last.
    pub answered: Option<Instant>,
    /// How often it has left.
    pub attempts: u32,
    /// Nothing is said again before, whatever is heard.
    pub quiet_until: Option<Instant>,
}

/// What a segment is for a half-open connection.
#[derive(Clone, Copy)]
pub enum Handshake {
    /// The last ACK of the handshake, with whatever it carries.
    Complete,
    /// The SYN again: our SYN-ACK is owed again.
    Repeat,
    /// The peer gave up, or refused.
    Reset,
    /// Answered with a segment of control, once in a while.
    Answer(Control, Reason),
    /// Dropped.
    Drop(Reason),
}

impl HalfOpen {
    /// A SYN came for `listener` that is to be answered with `iss`, a window of `window` bytes, over a path of `mtu`
    /// bytes.
    pub fn new(
        now: Instant,
        listener: TcpId,
        syn: &Segment,
        iss: Seq,
        window: u16,
        mtu: u16,
    ) -> HalfOpen {
        HalfOpen {
            listener,
            marks: (0, 0),
            syn: *syn,
            iss,
            window,
            mss: mtu.saturating_sub(headers_of(syn.key)),
            since: now,
            answered: None,
            attempts: 0,
            quiet_until: None,
        }
    }

    /// IRS
    pub fn irs(&self) -> Seq {
        self.syn.seq
    }

    /// The SYN-ACK. It says what smoltcp will be told that it said.
    pub fn syn_ack(&self, key: FlowKey) -> Control {
        Control {
            control: TcpControl::Syn,
            mss: Some(self.mss),
            // RFC 7323 2.2: only if the SYN had it. Our own shift is 0.
            window_scale: self.syn.window_scale.map(|_| 0),
            sack_permitted: self.syn.sack_permitted,
            hop_limit: DEFAULT_HOP_LIMIT,
            ..Control::ack(key, self.iss, self.irs().plus(1), self.window)
        }
    }

    /// The peer's SYN as it came, less what does not matter.
    pub fn syn(&self, key: FlowKey) -> Control {
        let swapped = FlowKey {
            local: key.remote,
            remote: key.local,
        };
        Control {
            ack: None,
            control: TcpControl::Syn,
            mss: self.syn.mss,
            window_scale: self.syn.window_scale,
            sack_permitted: self.syn.sack_permitted,
            ..Control::ack(swapped, self.irs(), Seq(0), self.syn.window)
        }
    }

    /// When the SYN-ACK is to leave next.
    pub fn due(&self) -> Instant {
        match self.answered {
            None => self.since,
            Some(answered) => {
                let doublings = self.attempts.saturating_sub(1).min(6);
                answered + INITIAL_RTO * (1 << doublings)
            }
        }
    }

    /// The SYN-ACK has left.
    pub fn has_answered(&mut self, now: Instant) {
        self.answered = Some(now);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// May a repeated SYN be answered, or a challenge be sent, already? Counts as if it were.
    pub fn may_repeat(&mut self, now: Instant) -> bool {
        let last = self.answered.map(|answered| answered + REPEAT_INTERVAL);
        let allowed = last.max(self.quiet_until).is_none_or(|until| now >= until);
        if allowed {
            self.quiet_until = Some(now + REPEAT_INTERVAL);
        }
        allowed
    }

    /// RFC 9293 3.10.7.4 in SYN-RECEIVED, with RFC 5961.
    pub fn receive(&self, segment: &Segment, key: FlowKey) -> Handshake {
        let rcv_nxt = self.irs().plus(1);
        let offset = segment.seq.since(rcv_nxt);
        let inside = segment.seq == rcv_nxt || (offset > 0 && offset < i32::from(self.window));
        let challenge = Control::ack(key, self.iss.plus(1), rcv_nxt, self.window);
        match segment.control {
            TcpControl::Rst if segment.seq == rcv_nxt => return Handshake::Reset,
            TcpControl::Rst if inside => {
                return Handshake::Answer(challenge, |counters| &mut counters.rst_in_window);
            }
            TcpControl::Rst => return Handshake::Drop(|counters| &mut counters.rst_out_of_window),
            TcpControl::Syn if segment.seq == self.irs() && segment.ack.is_none() => {
                return Handshake::Repeat;
            }
            TcpControl::Syn => {
                return Handshake::Answer(challenge, |counters| &mut counters.syn_in_connection);
            }
            TcpControl::None | TcpControl::Psh | TcpControl::Fin => (),
        }
        let Some(ack) = segment.ack else {
            return Handshake::Drop(|counters| &mut counters.no_ack);
        };
        if ack != self.iss.plus(1) {
            // <SEQ=SEG.ACK><CTL=RST>
            let reset = Control {
                ack: None,
                control: TcpControl::Rst,
                ..Control::ack(key, ack, Seq(0), 0)
            };
            return Handshake::Answer(reset, |counters| &mut counters.ack_of_unsent);
        }
        if !inside {
            return Handshake::Answer(challenge, |counters| &mut counters.unexpected);
        }
        Handshake::Complete
    }
}
