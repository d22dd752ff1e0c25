//! SYN-RECEIVED for a listener: what RFC 9293 3.10.7.4 asks of that state in a few numbers, so that a flood of SYNs
//! costs neither sockets nor buffers. The connection is made when the handshake is complete.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::agreed::{Agreed, Scaling};
use super::connection::headers_of;
use super::segment::{Control, DEFAULT_HOP_LIMIT, Segment};
use super::sequence::Seq;
use super::{FlowKey, Path};
use crate::socket::tcp::{Reason, TcpId, TcpOptions};

/// RFC 6298 2.1: the first retransmission timeout.
const INITIAL_RTO: Duration = Duration::from_secs(1);

/// A SYN that came again is answered again, and what makes no sense is challenged, but not more often than this.
const REPEAT_INTERVAL: Duration = Duration::from_millis(200);

/// The options of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynOptions {
    /// Maximum Segment Size, in octets.
    pub mss: Option<u16>,
    /// Window Scale, at most 14.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
}

impl SynOptions {
    /// Those that a SYN came with.
    pub fn of(segment: &Segment) -> SynOptions {
        SynOptions {
            mss: segment.mss,
            window_scale: segment.window_scale,
            sack_permitted: segment.sack_permitted,
        }
    }
}

/// What our SYN-ACK offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The receive window in octets, not scaled.
    pub window: u16,
    /// The segment size in octets.
    pub mss: u16,
    /// What later windows are shifted by, if the peer scales its own.
    pub shift: u8,
}

impl Offer {
    /// What a listener with these options offers along `path`.
    pub fn of(options: &TcpOptions, key: FlowKey, path: &Path) -> Offer {
        Offer {
            window: options.receive_window().syn(),
            mss: path.mtu.saturating_sub(headers_of(key)),
            shift: options.window_shift(),
        }
    }

    /// The SYN-ACK: <SEQ=ISS><ACK=IRS+1><CTL=SYN,ACK>. Options are those that the SYN had as well (RFC 7323 2.2, RFC
    /// 2018 section 2).
    pub fn syn_ack(&self, key: FlowKey, iss: Seq, irs: Seq, syn: &SynOptions) -> Control {
        Control {
            control: TcpControl::Syn,
            mss: Some(self.mss),
            window_scale: syn.window_scale.map(|_| self.shift),
            sack_permitted: syn.sack_permitted,
            hop_limit: DEFAULT_HOP_LIMIT,
            ..Control::ack(key, iss, irs.plus(1), self.window)
        }
    }

    /// What a handshake with it came to whose SYN-ACK left at `sent`, if it is known.
    pub fn agreed(
        &self,
        (iss, irs): (Seq, Seq),
        syn: &SynOptions,
        peer_window: u32,
        sent: Option<Instant>,
    ) -> Agreed {
        Agreed {
            iss,
            irs,
            peer_mss: syn.mss,
            peer_window,
            window: self.window,
            scaling: syn.window_scale.map(|theirs| Scaling {
                ours: self.shift,
                theirs,
            }),
            sack: syn.sack_permitted,
            sent,
            repeated: false,
        }
    }
}

/// A connection that waits for the last ACK of its handshake.
#[derive(Clone, Debug)]
pub struct HalfOpen {
    /// Who listens.
    pub listener: TcpId,
    /// When the SYN came.
    pub since: Instant,
    /// When the SYN-ACK left last, if it has left at all.
    answered: Instant,
    /// Nothing is said again before, whatever is heard.
    quiet_until: Instant,
    iss: Seq,
    irs: Seq,
    offer: Offer,
    syn: SynOptions,
    peer_window: u16,
    /// How often the SYN-ACK has left.
    attempts: u8,
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
    /// A SYN came for `listener` that is to be answered with `iss` and `offer`.
    pub fn new(now: Instant, listener: TcpId, syn: &Segment, iss: Seq, offer: Offer) -> HalfOpen {
        HalfOpen {
            listener,
            since: now,
            answered: now,
            quiet_until: now,
            iss,
            irs: syn.seq,
            offer,
            syn: SynOptions::of(syn),
            peer_window: syn.window,
            attempts: 0,
        }
    }

    /// The SYN-ACK.
    pub fn syn_ack(&self, key: FlowKey) -> Control {
        self.offer.syn_ack(key, self.iss, self.irs, &self.syn)
    }

    /// What the handshake came to: its last ACK is at hand.
    pub fn agreed(&self) -> Agreed {
        let numbers = (self.iss, self.irs);
        // RFC 6298 section 3 (Karn): a SYN-ACK that was sent more than once measures nothing.
        let sent = (self.attempts == 1).then_some(self.answered);
        Agreed {
            repeated: self.attempts > 1,
            ..self
                .offer
                .agreed(numbers, &self.syn, self.peer_window.into(), sent)
        }
    }

    /// When the SYN-ACK is to leave next.
    pub fn due(&self) -> Instant {
        match self.attempts.checked_sub(1) {
            None => self.since,
            Some(doublings) => self.answered + INITIAL_RTO * (1 << doublings.min(6)),
        }
    }

    /// The SYN-ACK has left.
    pub fn has_answered(&mut self, now: Instant) {
        self.answered = now;
        self.quiet_until = self.quiet_until.max(now + REPEAT_INTERVAL);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// May a repeated SYN be answered, or a challenge be sent, already? Counts as if it were.
    pub fn may_repeat(&mut self, now: Instant) -> bool {
        let allowed = now >= self.quiet_until;
        if allowed {
            self.quiet_until = now + REPEAT_INTERVAL;
        }
        allowed
    }

    /// RFC 9293 3.10.7.4 in SYN-RECEIVED, with RFC 5961.
    pub fn receive(&self, segment: &Segment, key: FlowKey) -> Handshake {
        let rcv_nxt = self.irs.plus(1);
        let window = self.offer.window;
        let offset = segment.seq.since(rcv_nxt);
        let inside = segment.seq == rcv_nxt || (offset > 0 && offset < i32::from(window));
        let challenge = Control::ack(key, self.iss.plus(1), rcv_nxt, window);
        match segment.control {
            TcpControl::Rst if segment.seq == rcv_nxt => return Handshake::Reset,
            TcpControl::Rst if inside => {
                return Handshake::Answer(challenge, |counters| &mut counters.rst_in_window);
            }
            TcpControl::Rst => return Handshake::Drop(|counters| &mut counters.rst_out_of_window),
            TcpControl::Syn if segment.seq == self.irs && segment.ack.is_none() => {
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
