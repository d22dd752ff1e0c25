//! Losses found by time (RFC 8985, RACK): what was sent before something that has arrived should have arrived too.

use smoltcp::time::Instant;

use super::delivery::{Arrival, Delivery};
use super::scoreboard::{Burst, Fate, Scoreboard};
use super::time::{Micros, elapsed, later};
use crate::flow::sequence::Seq;

/// RFC 8985 6.2: after so many recoveries without DSACK, reordering is waited for as briefly as at first.
const PERSIST: u32 = 16;

/// Reordering by more than this many round trips is beyond what SRTT allows for anyway.
const MAX_MULTIPLIER: u64 = 1000;

/// RFC 5681 3.2: so many segments behind a hole mean that it is one.
const DUP_THRESH: usize = 3;

/// RFC 8985 5.2: the state per connection.
#[derive(Debug)]
pub(super) struct Rack {
    /// Of what has arrived, what left last: RACK.xmit_ts and RACK.end_seq.
    latest: Option<Arrival>,
    /// How long that took.
    rtt: Micros,
    /// The end of what is known to have arrived.
    fack: Seq,
    reordering_seen: bool,
    reo_wnd_mult: u64,
    reo_wnd_persist: u32,
    /// Until this is acknowledged, another DSACK says nothing new.
    dsack_round: Option<Seq>,
}

/// What the reordering window depends on, besides.
pub(super) struct Circumstances {
    pub(super) now: Instant,
    pub(super) min_rtt: Option<Micros>,
    pub(super) srtt: Option<Micros>,
    /// In recovery, after a loss or a timeout.
    pub(super) recovers: bool,
    pub(super) mss: usize,
}

impl Rack {
    pub(super) fn new(start: Seq) -> Rack {
        Rack {
            latest: None,
            rtt: 0,
            fack: start,
            reordering_seen: false,
            reo_wnd_mult: 1,
            reo_wnd_persist: PERSIST,
            dsack_round: None,
        }
    }

    pub(super) fn fack(&self) -> Seq {
        self.fack
    }

    /// RFC 8985 6.2, steps 2 and 3.
    pub(super) fn update(&mut self, now: Instant, delivery: &Delivery, fack: Seq) {
        if let Some(latest) = delivery.latest {
            // RACK.rtt is that of what arrived last, in any case.
            self.rtt = elapsed(now, latest.sent);
            if self
                .latest
                .is_none_or(|before| latest.is_later_than(&before))
            {
                self.latest = Some(latest);
            }
        }
        self.reordering_seen |= delivery.reordered;
        self.fack = self.fack.latest(fack);
    }

    /// RFC 8985 6.2, step 4: what was sent again had arrived, so it was not waited for long enough.
    pub(super) fn sent_in_vain(&mut self, una: Seq, nxt: Seq) {
        if self.dsack_round.is_some_and(|round| !una.before(round)) {
            self.dsack_round = None;
        }
        if self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.reo_wnd_mult = (self.reo_wnd_mult + 1).min(MAX_MULTIPLIER);
            self.reo_wnd_persist = PERSIST;
        }
    }

    /// A recovery was in vain from beginning to end: nothing was lost, so it was late.
    pub(super) fn saw_reordering(&mut self) {
        self.reordering_seen = true;
    }

    /// RFC 8985 6.2, step 4: a recovery is over.
    pub(super) fn recovered(&mut self) {
        self.reo_wnd_persist = self.reo_wnd_persist.saturating_sub(1);
        if self.reo_wnd_persist == 0 {
            self.reo_wnd_mult = 1;
        }
    }

    /// RFC 8985 6.2, step 4: RACK_update_reo_wnd.
    fn reo_wnd(&self, log: &Scoreboard, at: &Circumstances) -> Micros {
        let many = log.count(Fate::Sacked) >= at.mss.saturating_mul(DUP_THRESH);
        if !self.reordering_seen && (at.recovers || many) {
            return 0;
        }
        let wnd = at.min_rtt.unwrap_or(0).saturating_mul(self.reo_wnd_mult) / 4;
        wnd.min(at.srtt.unwrap_or(0))
    }

    /// RFC 8985 6.2, step 5: marks what is lost. Returns how much it is, and when to look again.
    pub(super) fn detect(
        &self,
        log: &mut Scoreboard,
        at: &Circumstances,
    ) -> (usize, Option<Instant>) {
        let Some(latest) = self.latest else {
            return (0, None);
        };
        let is_first_later = log.front().is_none_or(|front| !latest.is_after(front));
        if log.is_in_order() && is_first_later {
            return (0, None);
        }
        let patience = self.rtt.saturating_add(self.reo_wnd(log, at));
        let mut again = None;
        let lost = log.judge(|burst| {
            if burst.fate != Fate::Flying || !latest.is_after(burst) {
                return burst.fate;
            }
            let due = later(burst.sent, patience);
            if due <= at.now {
                return Fate::Lost;
            }
            again = again.max(Some(due));
            Fate::Flying
        });
        (lost, again)
    }

    /// RFC 8985 6.3: after a timeout the first segment is lost, and what left as long ago as a round trip.
    pub(super) fn time_out(&self, log: &mut Scoreboard, at: &Circumstances) -> usize {
        let rtt = if self.latest.is_some() {
            self.rtt
        } else {
            at.srtt.unwrap_or(0)
        };
        let patience = rtt.saturating_add(self.reo_wnd(log, at));
        let is_reneged = log.is_reneged();
        let old = log.judge(|burst: &Burst| match burst.fate {
            // RFC 2018 section 8: what the peer says that it has is not to be relied on any more.
            Fate::Sacked if is_reneged => Fate::Lost,
            Fate::Flying if later(burst.sent, patience) <= at.now => Fate::Lost,
            fate => fate,
        });
        old.saturating_add(log.lose_front(at.mss))
    }
}
