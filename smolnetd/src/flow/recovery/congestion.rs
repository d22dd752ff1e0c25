//! How much may be on its way: slow start (RFC 5681, HyStart++ of RFC 9406), then CUBIC (RFC 9438).

use smoltcp::time::Instant;

use super::cubic::Cubic;
use super::hystart::{self, HyStart};
use super::time::Micros;
use crate::flow::sequence::Seq;

/// No peer's window is larger (RFC 7323 2.3).
const MAX_WINDOW: usize = 1 << 30;

/// One connection's congestion window. All sizes are in octets.
#[derive(Clone, Debug)]
pub(super) struct Congestion {
    mss: usize,
    cwnd: usize,
    ssthresh: usize,
    cubic: Cubic,
    hystart: HyStart,
}

/// What an acknowledgement says of the network, when nothing is wrong with it.
pub(super) struct Growth {
    pub(super) now: Instant,
    pub(super) una: Seq,
    pub(super) nxt: Seq,
    /// Octets that arrived.
    pub(super) arrived: usize,
    /// The round trip that it measured.
    pub(super) rtt: Option<Micros>,
    pub(super) srtt: Option<Micros>,
    /// How many segments one acknowledgement may make of itself in a slow start that is not the first (RFC 3465 2.2
    /// and 2.3).
    pub(super) limit: usize,
}

impl Congestion {
    /// Over a path that carries segments of `mss`.
    pub(super) fn new(mss: usize) -> Congestion {
        Congestion {
            mss,
            cwnd: initial_window(mss),
            ssthresh: MAX_WINDOW,
            cubic: Cubic::default(),
            hystart: HyStart::default(),
        }
    }

    /// RFC 5681 3.1: a SYN was lost.
    pub(super) fn start_with_one(&mut self) {
        self.cwnd = self.mss;
    }

    pub(super) fn limit_mss(&mut self, mss: usize) {
        self.mss = mss;
    }

    pub(super) fn cwnd(&self) -> usize {
        self.cwnd.max(self.mss)
    }

    pub(super) fn ssthresh(&self) -> usize {
        self.ssthresh
    }

    /// RFC 5681 4.1: after a pause, nothing is known of the path any more.
    pub(super) fn restarted(&self) -> usize {
        self.cwnd().min(initial_window(self.mss))
    }

    /// Sending begins again, after a pause in which there was nothing to send.
    pub(super) fn resume(&mut self, pause: Micros, is_long: bool) {
        self.cubic.paused(pause);
        if is_long {
            // RFC 5681 4.1, and what slow start may come back to.
            self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
            self.cwnd = self.restarted();
            self.cubic.restart();
        }
    }

    /// RFC 9438 4.6: a loss, with `flight` on its way. The window follows when it is repaired.
    pub(super) fn reduce(&mut self, flight: usize) {
        self.cubic.lost(self.cwnd);
        self.ssthresh = self.threshold(flight);
    }

    /// The losses of one window are repaired.
    pub(super) fn recovered(&mut self) {
        self.cwnd = self.ssthresh.max(self.mss);
    }

    /// RFC 5681 3.1 and RFC 9438 4.8: the timer has fired. `flight` if that is news.
    pub(super) fn time_out(&mut self, flight: Option<usize>) {
        self.cubic.timed_out(self.cwnd);
        if let Some(flight) = flight {
            self.ssthresh = self.threshold(flight);
        }
        self.cwnd = self.mss;
    }

    /// `flight` has in it what arrived behind a hole.
    fn threshold(&self, flight: usize) -> usize {
        Cubic::reduced(flight.min(self.cwnd())).max(self.mss.saturating_mul(2))
    }

    /// RFC 4015 3.2: `before` was the state, and the reason to change it was none. What is on its way does not become a
    /// burst: slow start leads back.
    pub(super) fn restore(&mut self, before: &Congestion, pipe: usize) {
        let window = before
            .cwnd
            .min(pipe.saturating_add(initial_window(self.mss)));
        *self = Congestion {
            mss: self.mss,
            cwnd: self.cwnd.max(window),
            ssthresh: before.ssthresh.max(before.cwnd),
            ..before.clone()
        };
    }

    /// Octets arrived, and the window was full.
    pub(super) fn grow(&mut self, growth: &Growth) {
        if self.cwnd < self.ssthresh {
            self.slow_start(growth);
        } else {
            let srtt = growth.srtt.unwrap_or(0);
            self.cwnd = self
                .cubic
                .grown(growth.now, self.cwnd(), growth.arrived, self.mss, srtt);
        }
        self.cwnd = self.cwnd.min(MAX_WINDOW);
    }

    /// RFC 5681 3.1 with the byte counting of RFC 3465.
    fn slow_start(&mut self, growth: &Growth) {
        // RFC 9406 4.2: for the first slow start only.
        let is_first = self.ssthresh == MAX_WINDOW;
        let (limit, divisor) = if is_first {
            (hystart::LIMIT, self.hystart.divisor())
        } else {
            (growth.limit, 1)
        };
        let step = growth.arrived.min(self.mss.saturating_mul(limit)) / divisor;
        self.cwnd = self.cwnd.saturating_add(step);
        if is_first
            && self
                .hystart
                .acknowledged(growth.una, growth.nxt, growth.rtt)
        {
            self.ssthresh = self.cwnd;
        }
    }
}

/// RFC 6928 section 2.
fn initial_window(mss: usize) -> usize {
    mss.saturating_mul(10)
        .min(mss.saturating_mul(2).max(14_600))
}
