//! Proportional rate reduction (RFC 6937, RFC 9937): while losses are repaired, sending follows what arrives, so that
//! the window has become ssthresh when they are, without a pause and without a burst.

/// The state of one recovery. All sizes are octets.
#[derive(Debug, Default)]
pub(super) struct Prr {
    /// RecoverFS: what was on its way when it began.
    flight: usize,
    /// prr_delivered
    delivered: usize,
    /// prr_out
    out: usize,
    /// SndCnt: what may be sent until the next acknowledgement.
    budget: usize,
}

/// What an acknowledgement changed.
pub(super) struct Progress {
    /// DeliveredData
    pub(super) delivered: usize,
    /// What is on its way now.
    pub(super) pipe: usize,
    pub(super) ssthresh: usize,
    pub(super) mss: usize,
    /// RFC 9937: SafeACK. SND.UNA goes on and no further loss was found.
    pub(super) is_safe: bool,
}

impl Prr {
    /// A recovery begins with `flight` on its way.
    pub(super) fn new(flight: usize) -> Prr {
        Prr {
            flight: flight.max(1),
            ..Prr::default()
        }
    }

    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// `length` octets left.
    pub(super) fn sent(&mut self, length: usize) {
        self.out = self.out.saturating_add(length);
        self.budget = self.budget.saturating_sub(length);
    }

    /// RFC 6937 section 3, with the SafeACK of RFC 9937.
    pub(super) fn delivered(&mut self, progress: &Progress) {
        let &Progress {
            delivered,
            pipe,
            ssthresh,
            mss,
            is_safe,
        } = progress;
        if delivered == 0 {
            return;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        self.budget = if pipe > ssthresh {
            let share = self.delivered as u128 * ssthresh as u128;
            let share = share.div_ceil(self.flight.max(1) as u128);
            usize::try_from(share)
                .unwrap_or(usize::MAX)
                .saturating_sub(self.out)
        } else {
            let owed = self.delivered.saturating_sub(self.out).max(delivered);
            let bonus = if is_safe { mss } else { 0 };
            owed.saturating_add(bonus)
                .min(ssthresh.saturating_sub(pipe))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: usize = 1000;

    /// RFC 6937 section 4: of a window of 20 the first is lost, 14 is what is to remain (0.7).
    #[test]
    fn rfc6937_one_loss_is_paid_for_evenly() {
        let mut prr = Prr::new(20 * MSS);
        let mut pipe = 19 * MSS;
        let mut sent = 0;
        for _ in 0..19 {
            pipe -= MSS;
            prr.delivered(&Progress {
                delivered: MSS,
                pipe,
                ssthresh: 14 * MSS,
                mss: MSS,
                is_safe: false,
            });
            let now = prr.budget() / MSS * MSS;
            assert!(now <= MSS, "no burst");
            prr.sent(now);
            pipe += now;
            sent += now;
        }
        assert_eq!(sent, 14 * MSS);
        assert_eq!(pipe, 14 * MSS);
    }

    /// RFC 6937 3.1: most of a window lost; what arrives is what is sent, and a segment more while all goes well.
    #[test]
    fn rfc9937_after_heavy_losses_it_slow_starts_towards_the_threshold() {
        let mut prr = Prr::new(100 * MSS);
        let mut budget = |delivered, pipe, is_safe| {
            prr.delivered(&Progress {
                delivered,
                pipe,
                ssthresh: 50 * MSS,
                mss: MSS,
                is_safe,
            });
            let budget = prr.budget();
            prr.sent(budget);
            budget
        };
        assert_eq!(budget(MSS, 3 * MSS, false), MSS);
        assert_eq!(budget(MSS, 3 * MSS, true), 2 * MSS);
        assert_eq!(budget(10 * MSS, 45 * MSS, true), 5 * MSS, "and no further");
        assert_eq!(budget(0, 0, true), 0, "nothing arrived, nothing is sent");
    }

    #[test]
    fn no_number_is_too_large() {
        let mut prr = Prr::new(usize::MAX);
        for _ in 0..3 {
            prr.delivered(&Progress {
                delivered: usize::MAX,
                pipe: usize::MAX,
                ssthresh: usize::MAX - 1,
                mss: usize::MAX,
                is_safe: true,
            });
            prr.sent(usize::MAX);
        }
    }
}
