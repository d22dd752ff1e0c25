//! CUBIC (RFC 9438): in congestion avoidance the window is a function of time since the last loss, flat round where
//! that happened. In whole octets and milliseconds: 2^30 octets and ten minutes are the most that occurs in it.

use smoltcp::time::Instant;

use super::time::{Micros, elapsed, later};

/// Beyond this the window is at its bound anyway.
const MAX_MILLIS: u64 = 600_000;

/// W_est is kept with so many bits after the point.
const FRACTION: u32 = 10;

/// A congestion avoidance stage (RFC 9438 4.1.2).
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// epoch_start
    start: Instant,
    /// Where the function is flat.
    origin: u64,
    /// K, in milliseconds.
    k: u64,
    /// W_est, in fractions of octets.
    w_est: u64,
    /// Octets times octets that the window grew and that make no whole octet yet.
    credit: u64,
}

/// The state per connection. Sizes are octets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cubic {
    w_max: usize,
    cwnd_prior: usize,
    epoch: Option<Epoch>,
}

impl Cubic {
    /// RFC 9438 4.6: beta_cubic is 0.7.
    pub(super) fn reduced(window: usize) -> usize {
        window / 10 * 7 + window % 10 * 7 / 10
    }

    /// A loss, with this window.
    pub(super) fn lost(&mut self, cwnd: usize) {
        // RFC 9438 4.7: fast convergence, room for others. (1 + 0.7) / 2 is 0.85.
        self.w_max = if cwnd < self.w_max {
            cwnd / 100 * 85 + cwnd % 100 * 85 / 100
        } else {
            cwnd
        };
        self.cwnd_prior = cwnd;
        self.epoch = None;
    }

    /// RFC 9438 4.8: after a timeout the first stage begins where slow start ends.
    pub(super) fn timed_out(&mut self, cwnd: usize) {
        self.cwnd_prior = cwnd;
        self.w_max = 0;
        self.epoch = None;
    }

    /// RFC 9438 5.8: time in which nothing was to be sent does not count.
    pub(super) fn paused(&mut self, pause: Micros) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start = later(epoch.start, pause);
        }
    }

    /// The window was given up for another reason than a loss.
    pub(super) fn restart(&mut self) {
        self.epoch = None;
    }

    /// The window after `acked` more octets have arrived.
    pub(super) fn grown(
        &mut self,
        now: Instant,
        cwnd: usize,
        acked: usize,
        mss: usize,
        srtt: Micros,
    ) -> usize {
        let (w_max, cwnd_prior) = (self.w_max as u64, self.cwnd_prior as u64);
        let (cwnd, acked, mss) = (cwnd.max(1) as u64, acked as u64, mss.max(1) as u64);
        let epoch = self
            .epoch
            .get_or_insert_with(|| Epoch::new(now, cwnd, w_max, mss));
        let w_est = epoch.estimate(cwnd, acked, mss, cwnd_prior);
        // RFC 9438 4.4 and 4.5: towards W_cubic(t + RTT), but by half at most in a round trip.
        let time = elapsed(now, epoch.start).saturating_add(srtt);
        let target = epoch.w_cubic(time, mss).clamp(cwnd, cwnd + cwnd / 2);
        epoch.credit = epoch
            .credit
            .saturating_add((target - cwnd).saturating_mul(acked));
        let step = epoch.credit / cwnd;
        epoch.credit %= cwnd;
        let grown = cwnd.saturating_add(step).max(w_est);
        usize::try_from(grown).unwrap_or(usize::MAX)
    }
}

impl Epoch {
    fn new(now: Instant, cwnd: u64, w_max: u64, mss: u64) -> Epoch {
        // RFC 9438 4.2: K = cbrt((W_max - cwnd_epoch) / C), with sizes in segments, time in seconds and C = 0.4.
        let below = w_max.saturating_sub(cwnd);
        Epoch {
            start: now,
            origin: w_max.max(cwnd),
            k: cube_root(below.saturating_mul(2_500_000_000) / mss),
            w_est: cwnd << FRACTION,
            credit: 0,
        }
    }

    /// RFC 9438 4.3: what Reno would have, so that nobody has less of a short path for being CUBIC.
    fn estimate(&mut self, cwnd: u64, acked: u64, mss: u64, cwnd_prior: u64) -> u64 {
        let grown = (mss.saturating_mul(acked) << FRACTION) / cwnd;
        // alpha_cubic is 3 * (1 - 0.7) / (1 + 0.7) until the former window is reached, then 1.
        let step = if self.w_est >> FRACTION < cwnd_prior {
            grown / 17 * 9 + grown % 17 * 9 / 17
        } else {
            grown
        };
        self.w_est = self.w_est.saturating_add(step);
        self.w_est >> FRACTION
    }

    /// RFC 9438 4.2: W_cubic(t) = C * (t - K)^3 + W_max.
    fn w_cubic(&self, time: Micros, mss: u64) -> u64 {
        let millis = time / 1000;
        let distance = millis.abs_diff(self.k).min(MAX_MILLIS);
        // Cubic milliseconds times octets times 0.4, in two steps that fit.
        let cube = distance * distance * distance / 1_000_000;
        let offset = cube.saturating_mul(mss.saturating_mul(4)) / 10_000;
        if millis < self.k {
            self.origin.saturating_sub(offset)
        } else {
            self.origin.saturating_add(offset)
        }
    }
}

/// Rounded down.
fn cube_root(number: u64) -> u64 {
    // 2^21 cubed is 2^63.
    let mut root = 0_u64;
    for bit in (0..21).rev() {
        let next = root | 1 << bit;
        if next * next * next <= number {
            root = next;
        }
    }
    root
}
