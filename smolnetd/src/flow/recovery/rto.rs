//! Round trip times and the retransmission timeout made of them (RFC 6298).

use smoltcp::time::Instant;

use super::time::{Micros, elapsed};

/// RFC 6298 2.1: before there is a measurement.
const FIRST: Micros = 1_000_000;

/// RFC 6298 5.7: the same after a SYN was lost.
const AFTER_LOST_SYN: Micros = 3_000_000;

/// What RTO is longer than SRTT at least. RFC 6298 2.4 says that RTO SHOULD be a second or more, for clocks that ticked
/// twice a second and acknowledgements that were delayed by as much; peers delay them by up to 200 ms today, and a peer
/// that knows no SACK has nothing but this timer when the end of what was sent is lost. What it costs when it fires in
/// vain is one segment, and with SACK the window comes back.
const MARGIN: Micros = 200_000;

/// RFC 6298 2.5: a bound of 60 s at least.
const LONGEST: Micros = 60_000_000;

/// Sixteen doublings of the shortest are more than the longest.
const MAX_BACKOFF: u32 = 16;

/// How much of it is left when what timed out gets through.
const EASED_BACKOFF: u32 = 2;

/// RFC 8985 6.2, step 1: the shortest round trip is forgotten after five minutes, for the path may have changed.
const MIN_RTT_AGE: Micros = 300_000_000;

/// One connection's measurements.
#[derive(Clone, Debug)]
pub(super) struct Rto {
    srtt: Option<Micros>,
    rttvar: Micros,
    /// RTO without backoff.
    base: Micros,
    backoff: u32,
    /// What timed out gets through again.
    eased: bool,
    /// The shortest of the last minutes, and when it was.
    min: Option<(Micros, Instant)>,
}

impl Rto {
    /// Nothing measured yet.
    pub(super) fn new() -> Rto {
        Rto {
            srtt: None,
            rttvar: 0,
            base: FIRST,
            backoff: 0,
            eased: false,
            min: None,
        }
    }

    /// A round trip of something that was sent once only (Karn: RFC 6298 section 3).
    pub(super) fn measured(&mut self, now: Instant, rtt: Micros) {
        let rtt = rtt.min(LONGEST);
        let srtt = match self.srtt {
            // RFC 6298 2.2
            None => {
                self.rttvar = rtt / 2;
                rtt
            }
            // RFC 6298 2.3: alpha is 1/8, beta is 1/4.
            Some(srtt) => {
                self.rttvar = (3 * self.rttvar + srtt.abs_diff(rtt)) / 4;
                (7 * srtt + rtt) / 8
            }
        };
        self.srtt = Some(srtt);
        self.base = (srtt + (4 * self.rttvar).max(MARGIN)).min(LONGEST);
        // RFC 6298 section 5: computed anew, it has no backoff.
        self.backoff = 0;
        self.note_shortest(now, rtt);
    }

    fn note_shortest(&mut self, now: Instant, rtt: Micros) {
        let keeps = self
            .min
            .is_some_and(|(min, since)| min < rtt && elapsed(now, since) < MIN_RTT_AGE);
        if !keeps {
            self.min = Some((rtt, now));
        }
    }

    /// RFC 6298 5.7: a SYN of ours was lost, data begins.
    pub(super) fn syn_was_lost(&mut self) {
        self.backoff = 0;
        if self.srtt.is_none() {
            self.base = AFTER_LOST_SYN;
        }
    }

    /// RFC 6298 5.5: the timer has fired.
    pub(super) fn back_off(&mut self) {
        self.backoff = self.shift().saturating_add(1).min(MAX_BACKOFF);
        self.eased = false;
    }

    /// While what timed out is sent again and gets through, all of it is ambiguous and nothing can be measured: a long
    /// backoff would make each further loss cost a minute. For new data it counts until there is a measurement.
    pub(super) fn ease(&mut self, eased: bool) {
        self.eased = eased;
    }

    fn shift(&self) -> u32 {
        if self.eased {
            self.backoff.min(EASED_BACKOFF)
        } else {
            self.backoff
        }
    }

    /// The timer fired for reasons that are no more.
    pub(super) fn forget_backoff(&mut self) {
        self.backoff = 0;
    }

    /// RTO, with its backoff.
    pub(super) fn get(&self) -> Micros {
        (self.base << self.shift()).min(LONGEST)
    }

    pub(super) fn srtt(&self) -> Option<Micros> {
        self.srtt
    }

    /// The shortest round trip of the last minutes.
    pub(super) fn min_rtt(&self) -> Option<Micros> {
        self.min.map(|(min, _)| min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    #[test]
    fn rfc6298_2_the_first_measurement_and_those_that_follow() {
        let mut rto = Rto::new();
        assert_eq!((rto.get(), rto.srtt()), (1_000_000, None));
        rto.measured(NOW, 400_000);
        assert_eq!(rto.srtt(), Some(400_000));
        assert_eq!(rto.get(), 400_000 + 4 * 200_000);
        rto.measured(NOW, 480_000);
        assert_eq!(rto.srtt(), Some(410_000));
        assert_eq!(rto.get(), 410_000 + 4 * 170_000);
    }

    #[test]
    fn rfc6298_2_4_a_short_round_trip_leaves_time_for_a_delayed_acknowledgement() {
        let mut rto = Rto::new();
        for _ in 0..100 {
            rto.measured(NOW, 50);
        }
        assert_eq!(rto.get(), 200_050);
    }

    #[test]
    fn rfc6298_5_5_it_doubles_up_to_a_minute_and_a_measurement_ends_that() {
        let mut rto = Rto::new();
        let mut seconds = Vec::new();
        for _ in 0..40 {
            seconds.push(rto.get() / 1_000_000);
            rto.back_off();
        }
        assert_eq!(seconds[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(seconds[39], 60);
        rto.measured(NOW, 20_000);
        assert_eq!(rto.get(), 220_000);
    }

    #[test]
    fn rfc6298_5_7_after_a_lost_syn_it_is_three_seconds() {
        let mut rto = Rto::new();
        rto.back_off();
        rto.syn_was_lost();
        assert_eq!(rto.get(), 3_000_000);
        rto.measured(NOW, 100_000);
        rto.syn_was_lost();
        assert_eq!(rto.get(), 300_000, "what was measured is known better");
    }

    #[test]
    fn rfc8985_6_2_the_shortest_round_trip_is_forgotten_in_time() {
        let mut rto = Rto::new();
        rto.measured(NOW, 10_000);
        rto.measured(later_by(299), 30_000);
        assert_eq!(rto.min_rtt(), Some(10_000));
        rto.measured(later_by(301), 30_000);
        assert_eq!(rto.min_rtt(), Some(30_000));
    }

    #[test]
    fn no_round_trip_is_too_long_to_count() {
        let mut rto = Rto::new();
        for _ in 0..10 {
            rto.measured(NOW, u64::MAX);
            assert_eq!(rto.get(), LONGEST);
        }
    }

    fn later_by(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }
}
