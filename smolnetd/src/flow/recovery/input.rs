//! What acknowledgements say.

use smoltcp::time::Instant;

use super::congestion::Growth;
use super::delivery::Delivery;
use super::prr::{Progress, Prr};
use super::scoreboard::Fate;
use super::{Acknowledgement, News, Phase, Recovery};
use crate::flow::sequence::Seq;

/// RFC 2018 section 3: more do not fit into a header.
const MAX_BLOCKS: usize = 4;

impl Recovery {
    /// An acceptable acknowledgement came in.
    pub fn acknowledged(&mut self, now: Instant, acknowledgement: &Acknowledgement<'_>) -> News {
        let &Acknowledgement { ack, blocks, bare } = acknowledgement;
        let before = self.log.una();
        if ack.before(before) {
            return News::default();
        }
        let blocks = match blocks.get(..MAX_BLOCKS) {
            _ if !self.sack => &[],
            Some(first) => first,
            None => blocks,
        };
        let was_waiting = !self.log.is_empty();
        let duplicate = duplicate_of(ack, blocks);
        let mut delivery = self.deliver(now, ack, blocks);
        if let Some(rtt) = delivery.rtt() {
            self.measured(now, rtt);
        }
        let is_duplicate = bare && ack == before && blocks.is_empty() && was_waiting;
        let lost = if self.sack {
            self.heed_duplicate(duplicate);
            self.detect(now)
        } else {
            self.count_duplicates(&mut delivery, is_duplicate)
        };
        self.proceed(now, before, &delivery, lost);
        self.full_to = self.full_to.latest(ack);
        let repaired = self.tail.acknowledged(ack, duplicate, is_duplicate);
        if repaired && matches!(self.phase, Phase::Open) {
            // RFC 8985 7.4.2, step 3: a loss like any other, except that it is repaired.
            self.undo.forget();
            self.congestion.reduce(self.congestion.cwnd());
            self.congestion.recovered();
        }
        self.rearm(now, &delivery);
        News {
            acknowledged: delivery.acknowledged,
            sacked: delivery.sacked,
            lost,
        }
    }

    /// Notes what has arrived.
    fn deliver(&mut self, now: Instant, ack: Seq, blocks: &[(Seq, Seq)]) -> Delivery {
        let mut delivery = Delivery::new(now, self.rto.min_rtt(), self.rack.fack());
        let mut fack = ack;
        self.log
            .acknowledge(ack, |burst| delivery.acknowledged(burst));
        for &(left, right) in blocks {
            if self.log.has(left, right) {
                self.log.select(left, right, |burst| delivery.sacked(burst));
                fack = fack.latest(right);
            }
        }
        self.rack.update(now, &delivery, fack);
        delivery
    }

    /// RFC 2883: the peer got something twice.
    fn heed_duplicate(&mut self, duplicate: Option<(Seq, Seq)>) {
        let Some((left, right)) = duplicate else {
            return;
        };
        let length = usize::try_from(right.since(left)).unwrap_or(0);
        self.undo.duplicate(length);
        self.rack.sent_in_vain(self.log.una(), self.log.nxt());
        if let Some(congestion) = self.undo.take_if_in_vain() {
            self.rack.saw_reordering();
            self.congestion.restore(&congestion, self.in_flight());
            self.reopen();
        }
    }

    /// Nothing was lost after all, or it is repaired.
    fn reopen(&mut self) {
        self.phase = Phase::Open;
        self.urgent = false;
        self.reno.forget();
        self.rack.recovered();
        self.rto.ease(false);
    }

    /// RFC 8985 6.2, step 5.
    pub(super) fn detect(&mut self, now: Instant) -> usize {
        let at = self.circumstances(now);
        let (lost, again) = self.rack.detect(&mut self.log, &at);
        self.timers.reordering = again;
        lost
    }

    /// RFC 5681 3.2 and RFC 6582 3.2, without SACK. Octets that are lost.
    fn count_duplicates(&mut self, delivery: &mut Delivery, is_duplicate: bool) -> usize {
        if is_duplicate && !matches!(self.phase, Phase::Loss) {
            delivery.delivered = self.mss;
            let third = self.reno.duplicate(self.mss, self.log.count(Fate::Flying));
            // RFC 6582 3.2, step 2: losses from the window that was repaired before are no news.
            let is_news = self.recover.is_none_or(|recover| self.una().after(recover));
            return if third && is_news && matches!(self.phase, Phase::Open) {
                self.log.lose_front(self.mss)
            } else {
                0
            };
        }
        if delivery.acknowledged == 0 {
            return 0;
        }
        let is_partial = self
            .recover
            .is_some_and(|recover| self.una().before(recover));
        if is_partial && matches!(self.phase, Phase::Recovery(_)) {
            delivery.delivered = self.reno.progress(delivery.acknowledged, self.mss);
            self.urgent = true;
            self.log.lose_front(self.mss)
        } else {
            self.reno.forget();
            0
        }
    }

    /// What follows for the window.
    fn proceed(&mut self, now: Instant, before: Seq, delivery: &Delivery, lost: usize) {
        if matches!(self.phase, Phase::Loss) && self.sack && delivery.refuted > 0 {
            self.timeout_was_spurious();
        }
        let is_over = self.conclude(delivery);
        let remains = is_over && self.log.count(Fate::Lost) > 0;
        if (lost > 0 || remains) && matches!(self.phase, Phase::Open) {
            self.recover(delivery.delivered);
        }
        let may_grow = delivery.acknowledged > 0 && before.before(self.full_to) && !is_over;
        let progress = Progress {
            delivered: delivery.delivered,
            pipe: self.in_flight(),
            ssthresh: self.congestion.ssthresh(),
            mss: self.mss,
            is_safe: delivery.acknowledged > 0 && lost == 0,
        };
        match &mut self.phase {
            Phase::Recovery(prr) => prr.delivered(&progress),
            _ if may_grow => self.grow(now, delivery),
            _ => (),
        }
    }

    /// What was sent when the phase began may have arrived: then it is over.
    fn conclude(&mut self, delivery: &Delivery) -> bool {
        let una = self.log.una();
        if matches!(self.phase, Phase::Loss) && delivery.acknowledged > 0 {
            self.rto.ease(true);
        }
        if self.too_big.is_some_and(|end| !una.before(end)) {
            self.too_big = None;
        }
        let Some(recover) = self.recover.filter(|&recover| !una.before(recover)) else {
            return false;
        };
        if una.after(recover) {
            self.recover = None;
        }
        match self.phase {
            Phase::Open => return false,
            Phase::Recovery(_) => self.congestion.recovered(),
            Phase::Loss => (),
        }
        self.reopen();
        true
    }

    /// RFC 5682, in the light of SACK: what was given up by the timer and not sent again has arrived.
    fn timeout_was_spurious(&mut self) {
        if let Some(congestion) = self.undo.take() {
            self.log.judge(|burst| match burst.fate {
                Fate::Lost if !burst.repeated => Fate::Flying,
                fate => fate,
            });
            self.congestion.restore(&congestion, self.in_flight());
            self.rto.forget_backoff();
            self.reopen();
        }
    }

    /// RFC 5681 3.2: a loss was found, of which `delivered` octets told.
    pub(super) fn recover(&mut self, delivered: usize) {
        let outstanding = self.log.outstanding();
        let flight = outstanding
            .saturating_sub(self.log.count(Fate::Sacked))
            .saturating_sub(self.reno.gone())
            .saturating_add(delivered);
        self.undo.begin(&self.congestion);
        self.congestion.reduce(outstanding);
        self.recover = Some(self.log.nxt());
        self.phase = Phase::Recovery(Prr::new(flight));
        self.tail.forget();
        // RFC 6675 section 5, step 4.3: the first at once.
        self.urgent = true;
    }

    fn grow(&mut self, now: Instant, delivery: &Delivery) {
        let is_repairing = matches!(self.phase, Phase::Loss);
        // RFC 3465 2.3: after a timeout an acknowledgement may cover what had arrived long before. SACK says which.
        let limit = if is_repairing && !self.sack { 1 } else { 2 };
        let arrived = if is_repairing {
            delivery.delivered
        } else {
            delivery.acknowledged
        };
        self.congestion.grow(&Growth {
            now,
            una: self.log.una(),
            nxt: self.log.nxt(),
            arrived,
            rtt: delivery.rtt(),
            srtt: self.rto.srtt(),
            limit,
        });
    }
}

/// RFC 2883 section 4: is the first block of what had arrived before? It is if SEG.ACK covers it, or the second block.
fn duplicate_of(ack: Seq, blocks: &[(Seq, Seq)]) -> Option<(Seq, Seq)> {
    let &(left, right) = blocks.first()?;
    let is_range = left.before(right);
    let is_old = !right.after(ack);
    let is_within = blocks
        .get(1)
        .is_some_and(|&(outer, end)| !left.before(outer) && !right.after(end));
    (is_range && (is_old || is_within)).then_some((left, right))
}
