//! What was sent, what of it was lost, how much may be on its way: the sender's half of TCP that knows no octets.
//!
//! The connection tells `Recovery` what it sent and what was acknowledged, and does what it says, always in this order:
//!
//! 1. `next_lost`, until there is none: each range is sent again, and `sent` says so;
//! 2. `allowance`: as much new data as there is and the peer's window takes; a segment that would be longer waits;
//! 3. `next_probe`: the last segment once more, if a probe was due and there was nothing new to send for it;
//! 4. `deadline`: when to come back with `expire` if nothing happens before.
//!
//! SYN and FIN are octets like others (RFC 9293 3.4): `(ISS, 1)` is a SYN. What goes into a closed window, or before
//! SND.UNA to keep a connection alive, is not told: such probes have a timer of their own in the connection.

mod congestion;
mod cubic;
mod delivery;
mod hystart;
mod input;
mod path;
mod prr;
mod rack;
mod reno;
mod rto;
mod scoreboard;
mod tail;
#[cfg(test)]
mod tests;
mod time;
mod timers;
mod undo;

use smoltcp::time::{Duration, Instant};

use self::congestion::Congestion;
use self::prr::Prr;
use self::rack::{Circumstances, Rack};
use self::reno::Reno;
use self::rto::Rto;
use self::scoreboard::{Fate, Scoreboard};
use self::tail::Tail;
use self::time::{Micros, elapsed};
use self::timers::Timers;
use self::undo::Undo;
use super::sequence::Seq;

/// Segments are not reckoned smaller than this, whatever a peer or a router says: we would send nothing but headers.
pub const MIN_MSS: usize = 48;
/// No packet carries larger ones.
const MAX_MSS: usize = 65_535;

/// What was sent within this part of a round trip counts as sent at once.
const SLACK: Micros = 32;

/// What a handshake came to, as far as sending goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    /// May the peer send SACK blocks (RFC 2018 section 2: it said so in its SYN, and we did)?
    pub sack: bool,
    /// Had our SYN, or SYN and ACK, to be sent more than once?
    pub repeated: bool,
    /// From our SYN, or SYN and ACK, to its acknowledgement, if that was measured by somebody else (a half-open
    /// connection, a cookie) and nothing was repeated. What `sent` and `acknowledged` saw needs no telling.
    pub round_trip: Option<Duration>,
}

/// An acceptable acknowledgement: SND.UNA =< SEG.ACK =< SND.NXT.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    /// SEG.ACK
    pub ack: Seq,
    /// The SACK blocks as they came, left edge and right edge, in their order: nothing of them is believed untested.
    pub blocks: &'a [(Seq, Seq)],
    /// RFC 5681 section 2: it carries no data, neither SYN nor FIN, and the window of the one before.
    pub bare: bool,
}

/// What an acknowledgement was news of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Octets that it acknowledged and none had before.
    pub acknowledged: usize,
    /// Octets beyond SEG.ACK that arrived and that was not known.
    pub sacked: usize,
    /// Octets that are lost and that was not known.
    pub lost: usize,
}

/// Which timer it was that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// RFC 6298 5.4: everything unacknowledged is lost, or nothing is known of it.
    Timeout,
    /// RFC 8985 7.3: a segment is to be sent that makes the peer speak.
    Probe,
    /// RFC 8985 6.3: what was given the time to arrive in another order did not.
    Reordering,
}

/// How it goes.
#[derive(Debug)]
enum Phase {
    /// Nothing lost, or nothing that says anything of congestion.
    Open,
    /// RFC 5681 3.2: what was lost is sent again, until what was sent by then has arrived.
    Recovery(Prr),
    /// RFC 5681 3.1: after a timeout, until what was sent by then has arrived.
    Loss,
}

/// The sending half of a connection. Sizes are octets.
#[derive(Debug)]
pub struct Recovery {
    mss: usize,
    sack: bool,
    log: Scoreboard,
    rto: Rto,
    rack: Rack,
    reno: Reno,
    tail: Tail,
    congestion: Congestion,
    phase: Phase,
    /// The end of what was sent when the phase began.
    recover: Option<Seq>,
    undo: Undo,
    timers: Timers,
    /// When something was sent last.
    last_sent: Option<Instant>,
    /// Up to here the window was full: only what is acknowledged before says that it may grow.
    full_to: Seq,
    /// The first lost segment does not wait for the window.
    urgent: bool,
    /// The end of what was too big for the path and is under repair.
    too_big: Option<Seq>,
    /// The timer has fired again for what it had fired for before.
    stuck: bool,
}

impl Recovery {
    /// Of a connection that sends from `start` on: its ISS if it sends a SYN, ISS + 1 if others did. `mss` is what the
    /// path carries.
    pub fn new(start: Seq, mss: usize) -> Recovery {
        let mss = mss.clamp(MIN_MSS, MAX_MSS);
        Recovery {
            mss,
            sack: false,
            log: Scoreboard::new(start),
            rto: Rto::new(),
            rack: Rack::new(start),
            reno: Reno::default(),
            tail: Tail::default(),
            congestion: Congestion::new(mss),
            phase: Phase::Open,
            recover: None,
            undo: Undo::default(),
            timers: Timers::default(),
            last_sent: None,
            full_to: start,
            urgent: false,
            too_big: None,
            stuck: false,
        }
    }

    /// The handshake is complete. What the peer takes in a segment was said before ([`Recovery::limit_mss`]).
    pub fn started(&mut self, now: Instant, handshake: &Handshake) {
        self.sack = handshake.sack;
        self.congestion = Congestion::new(self.mss);
        if let Some(rtt) = handshake.round_trip.filter(|_| !handshake.repeated) {
            self.measured(now, rtt.total_micros());
        }
        if handshake.repeated {
            self.congestion.start_with_one();
            self.rto.syn_was_lost();
        }
        self.phase = Phase::Open;
        self.recover = None;
        self.undo.forget();
        self.stuck = false;
    }

    /// `length` octets left from `seq` on: new ones at the end of what was sent before, or again.
    pub fn sent(&mut self, now: Instant, seq: Seq, length: usize) {
        if length == 0 || seq.before(self.log.una()) {
            return;
        }
        let nxt = self.log.nxt();
        let repeats = seq.before(nxt);
        if repeats {
            let again = self.log.resend(now, seq, length);
            self.undo.repeated(again);
            self.urgent = false;
        } else if self.log.is_empty() {
            self.resume(now);
        }
        let fresh = usize::try_from(seq.plus(length).since(nxt)).unwrap_or(0);
        self.log.append(now, fresh.min(length), self.slack());
        self.last_sent = Some(now);
        if let Phase::Recovery(prr) = &mut self.phase {
            prr.sent(length);
        }
        if self.in_flight().saturating_add(self.mss) > self.congestion.cwnd() {
            self.full_to = self.log.nxt();
        }
        let was_probe = self.tail.sent(self.log.nxt(), repeats);
        self.arm(now, was_probe || seq == self.log.una());
    }

    /// The first segment after nothing was on its way.
    fn resume(&mut self, now: Instant) {
        let pause = self.last_sent.map_or(0, |last| elapsed(now, last));
        let is_long = self.is_long(pause);
        self.congestion.resume(pause, is_long);
    }

    /// RFC 5681 4.1: longer than the retransmission timeout.
    fn is_long(&self, pause: Micros) -> bool {
        pause > self.rto.get()
    }

    /// The next range that is to be sent again now, of one segment at most: None if nothing is lost or it must wait.
    pub fn next_lost(&self) -> Option<(Seq, usize)> {
        let (seq, length) = self.log.first_lost()?;
        let length = length.min(self.mss);
        (self.urgent || length <= self.window_left(self.congestion.cwnd())).then_some((seq, length))
    }

    /// Octets of new data that may leave now, as far as the network is concerned.
    pub fn allowance(&self, now: Instant) -> usize {
        let mut cwnd = self.congestion.cwnd();
        if self.log.is_empty()
            && let Some(last) = self.last_sent
            && self.is_long(elapsed(now, last))
        {
            cwnd = self.congestion.restarted();
        }
        let probe = if self.tail.is_due { self.mss } else { 0 };
        self.window_left(cwnd).max(probe).min(self.log.room())
    }

    /// RFC 5681's FlightSize, from which ssthresh is computed. The window, if it was full when this flight left: what has
    /// been acknowledged since may not have been made use of yet, as acknowledgements come in bunches.
    fn used_window(&self) -> usize {
        let cwnd = self.congestion.cwnd();
        if self.log.una().before(self.full_to) {
            cwnd
        } else {
            self.log.outstanding().min(cwnd)
        }
    }

    fn window_left(&self, cwnd: usize) -> usize {
        match &self.phase {
            // With nothing on its way there will be no acknowledgement to wait for.
            Phase::Recovery(_) if self.in_flight() == 0 => self.mss,
            Phase::Recovery(prr) => prr.budget(),
            Phase::Open | Phase::Loss => cwnd.saturating_sub(self.in_flight()),
        }
    }

    /// The last segment, if it is to be sent again to make the peer speak (RFC 8985 7.3).
    pub fn next_probe(&self) -> Option<(Seq, usize)> {
        self.log.tail(self.mss).filter(|_| self.tail.is_due)
    }

    /// Everything before has been acknowledged.
    pub fn una(&self) -> Seq {
        self.log.una()
    }

    /// The end of everything that was ever sent.
    pub fn nxt(&self) -> Seq {
        self.log.nxt()
    }

    /// The retransmission timeout (RFC 6298), with its backoff.
    pub fn rto(&self) -> Duration {
        Duration::from_micros(self.rto.get())
    }

    /// The smoothed round trip time, once there was one to measure.
    pub fn srtt(&self) -> Option<Duration> {
        self.rto.srtt().map(Duration::from_micros)
    }

    /// The congestion window.
    pub fn cwnd(&self) -> usize {
        match &self.phase {
            Phase::Recovery(prr) => self.in_flight().saturating_add(prr.budget()),
            _ => self.congestion.cwnd(),
        }
    }

    /// Octets that are thought to be on their way (RFC 6675's pipe).
    pub fn in_flight(&self) -> usize {
        self.log
            .count(Fate::Flying)
            .saturating_sub(self.reno.gone())
    }

    /// The sender's maximum segment size as it is known now.
    pub fn mss(&self) -> usize {
        self.mss
    }

    /// Octets of heap memory held: none while nothing is on its way.
    pub fn held(&self) -> usize {
        self.log.held()
    }

    /// How exactly times need not be known. While losses are repaired, what is sent again and what is new alternate, and
    /// their order tells what is lost.
    fn slack(&self) -> Option<Micros> {
        match self.phase {
            Phase::Open => self.rto.srtt().map(|srtt| srtt / SLACK),
            _ => None,
        }
    }

    fn measured(&mut self, now: Instant, rtt: Micros) {
        self.rto.measured(now, rtt);
    }

    fn circumstances(&self, now: Instant) -> Circumstances {
        Circumstances {
            now,
            min_rtt: self.rto.min_rtt(),
            srtt: self.rto.srtt(),
            recovers: !matches!(self.phase, Phase::Open),
            mss: self.mss,
        }
    }
}
