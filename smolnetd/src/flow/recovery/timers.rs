//! When nothing is heard.

use smoltcp::time::Instant;

use super::delivery::Delivery;
use super::scoreboard::Fate;
use super::tail::Tail;
use super::time::later;
use super::{Fired, Phase, Recovery};

/// Each is None while it is not running.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// RFC 6298 section 5.
    retransmission: Option<Instant>,
    /// RFC 8985 7.2.
    probe: Option<Instant>,
    /// RFC 8985 6.2, step 5.
    pub(super) reordering: Option<Instant>,
}

impl Timers {
    pub(super) fn start_over(&mut self) {
        *self = Timers::default();
    }
}

impl Recovery {
    /// When to call `expire`, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let Timers {
            retransmission,
            probe,
            reordering,
        } = self.timers;
        [retransmission, probe, reordering]
            .into_iter()
            .flatten()
            .min()
    }

    /// Has a timer fired by `now`? What follows from it, `next_lost`, `allowance` and `next_probe` say.
    pub fn expire(&mut self, now: Instant) -> Option<Fired> {
        let is_due = |timer: &mut Option<Instant>| timer.take_if(|at| *at <= now).is_some();
        if is_due(&mut self.timers.reordering) {
            self.reordering_is_over(now);
            Some(Fired::Reordering)
        } else if is_due(&mut self.timers.probe) {
            self.tail.is_due = true;
            self.arm_retransmission(now);
            Some(Fired::Probe)
        } else if is_due(&mut self.timers.retransmission) {
            self.time_out(now);
            Some(Fired::Timeout)
        } else {
            None
        }
    }

    /// Something left. `anew` if nothing that was sent before counts for the timer.
    pub(super) fn arm(&mut self, now: Instant, anew: bool) {
        // RFC 6298 5.1
        if anew || self.timers.retransmission.is_none() {
            self.arm_retransmission(now);
        }
        self.arm_probe(now);
    }

    /// An acknowledgement came in.
    pub(super) fn rearm(&mut self, now: Instant, delivery: &Delivery) {
        if self.log.is_empty() {
            // RFC 6298 5.2
            self.timers = Timers::default();
            self.tail.is_due = false;
            self.urgent = false;
            return;
        }
        if delivery.delivered > 0 {
            // The peer has spoken.
            self.tail.is_due = false;
        }
        if delivery.acknowledged > 0 {
            // RFC 6298 5.3
            self.arm_retransmission(now);
        }
        self.arm_probe(now);
    }

    fn arm_retransmission(&mut self, now: Instant) {
        self.timers.retransmission = Some(later(now, self.rto.get()));
    }

    /// RFC 8985 7.2: from what was sent or heard last, while all is well.
    fn arm_probe(&mut self, now: Instant) {
        let is_well = matches!(self.phase, Phase::Open)
            && self.log.count(Fate::Sacked) == 0
            && self.log.count(Fate::Lost) == 0
            && self.timers.reordering.is_none();
        self.timers.probe = None;
        if self.sack && is_well && self.tail.is_free() && !self.log.is_empty() {
            let is_one = self.log.outstanding() <= self.mss;
            let at = later(now, Tail::pto(self.rto.srtt(), is_one));
            // In the place of the retransmission timer, if that is earlier.
            self.timers.probe = Some(self.timers.retransmission.map_or(at, |rto| rto.min(at)));
        }
    }

    /// RFC 8985 6.3: what was waited for is lost.
    fn reordering_is_over(&mut self, now: Instant) {
        let lost = self.detect(now);
        if lost > 0 && matches!(self.phase, Phase::Open) {
            self.recover(0);
        }
    }

    /// RFC 6298 5.4 to 5.6, RFC 5681 3.1.
    fn time_out(&mut self, now: Instant) {
        if self.log.is_empty() {
            return;
        }
        self.stuck |= matches!(self.phase, Phase::Loss);
        let flight = self.log.outstanding();
        if let Phase::Open = self.phase {
            self.undo.begin(&self.congestion);
            self.congestion.time_out(Some(flight));
        } else {
            // What is repaired already was news before.
            self.undo.forget();
            self.congestion.time_out(None);
        }
        let at = self.circumstances(now);
        if self.sack {
            self.rack.time_out(&mut self.log, &at);
        } else {
            self.log.lose_all();
        }
        self.recover = Some(self.log.nxt());
        self.phase = Phase::Loss;
        self.too_big = None;
        self.reno.forget();
        self.tail.forget();
        self.urgent = true;
        self.rto.back_off();
        self.timers = Timers::default();
        self.arm_retransmission(now);
    }
}
