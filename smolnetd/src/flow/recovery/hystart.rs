//! HyStart++ (RFC 9406): the first slow start ends when round trips get longer, before the queue overflows.

use super::time::Micros;
use crate::flow::sequence::Seq;

/// RFC 9406 4.3.
const MIN_RTT_THRESH: Micros = 4_000;
const MAX_RTT_THRESH: Micros = 16_000;
const MIN_RTT_DIVISOR: Micros = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: usize = 4;
const CSS_ROUNDS: u32 = 5;

/// RFC 9406 4.3: L, for a sender that does not pace.
pub(super) const LIMIT: usize = 8;

/// Conservative slow start: it may have been a false alarm.
#[derive(Clone, Copy, Debug)]
struct Css {
    /// cssBaselineMinRtt
    baseline: Micros,
    rounds: u32,
}

/// The state of one slow start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HyStart {
    /// windowEnd
    round_end: Option<Seq>,
    last_min: Option<Micros>,
    current_min: Option<Micros>,
    samples: u32,
    css: Option<Css>,
}

impl HyStart {
    /// By how much less than in slow start the window is to grow.
    pub(super) fn divisor(&self) -> usize {
        if self.css.is_some() {
            CSS_GROWTH_DIVISOR
        } else {
            1
        }
    }

    /// RFC 9406 4.2. True if slow start is over.
    pub(super) fn acknowledged(&mut self, una: Seq, nxt: Seq, rtt: Option<Micros>) -> bool {
        if self.round_end.is_none_or(|end| !una.before(end)) {
            self.round_end = Some(nxt);
            self.last_min = self.current_min.take();
            self.samples = 0;
            if let Some(css) = &mut self.css {
                css.rounds = css.rounds.saturating_add(1);
            }
        }
        if let Some(rtt) = rtt {
            self.current_min = Some(self.current_min.map_or(rtt, |min| min.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        self.look();
        self.css.is_some_and(|css| css.rounds >= CSS_ROUNDS)
    }

    fn look(&mut self) {
        let (Some(last), Some(current)) = (self.last_min, self.current_min) else {
            return;
        };
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
        match self.css {
            None if current >= last.saturating_add(threshold) => {
                self.css = Some(Css {
                    baseline: current,
                    rounds: 0,
                });
            }
            Some(css) if current < css.baseline => self.css = None,
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(hystart: &mut HyStart, number: u32, rtt: Micros) -> bool {
        let mut over = false;
        for ack in 1..=10 {
            let una = Seq(number * 10 + ack);
            over |= hystart.acknowledged(una, una.plus(10), Some(rtt));
        }
        over
    }

    #[test]
    fn rfc9406_a_queue_that_builds_up_ends_slow_start_five_rounds_later() {
        let mut hystart = HyStart::default();
        assert!(!round(&mut hystart, 0, 20_000));
        assert!(!round(&mut hystart, 1, 20_000));
        assert_eq!(hystart.divisor(), 1);
        assert!(!round(&mut hystart, 2, 26_000));
        assert_eq!(hystart.divisor(), 4);
        let over: Vec<bool> = (3..8).map(|n| round(&mut hystart, n, 27_000)).collect();
        assert_eq!(over, [false, false, false, false, true]);
    }

    #[test]
    fn rfc9406_a_false_alarm_is_called_off() {
        let mut hystart = HyStart::default();
        for (number, rtt) in [20_000, 20_000, 30_000].into_iter().enumerate() {
            round(&mut hystart, number as u32, rtt);
        }
        assert_eq!(hystart.divisor(), 4);
        round(&mut hystart, 3, 21_000);
        assert_eq!(hystart.divisor(), 1);
    }

    #[test]
    fn rfc9406_a_little_more_than_before_is_no_sign() {
        let mut hystart = HyStart::default();
        for number in 0..20 {
            assert!(!round(
                &mut hystart,
                number,
                20_000 + u64::from(number) * 1000
            ));
            assert_eq!(hystart.divisor(), 1);
        }
    }
}
