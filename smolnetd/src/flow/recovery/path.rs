//! What routers and routes say.

use smoltcp::time::Instant;

use super::{MIN_MSS, Phase, Recovery};

impl Recovery {
    /// The path, and the peer, take segments of `mss` octets: less than was thought, or more again.
    pub fn limit_mss(&mut self, mss: usize) {
        self.mss = mss.max(MIN_MSS);
        self.congestion.limit_mss(self.mss);
    }

    /// What is on its way is lost because it was too big, which says nothing of congestion: it is sent again and the
    /// window stays (RFC 1191 6.4). What is under repair already begins anew only for `news`.
    pub fn path_lost(&mut self, now: Instant, news: bool) {
        let repairs = self.too_big.is_some() || !matches!(self.phase, Phase::Open);
        if self.log.is_empty() || (repairs && !news) {
            return;
        }
        self.too_big = Some(self.log.nxt());
        self.begin_again(now);
    }

    /// Packets take another way from here on: what timed out on the former one is tried again at once, and not when the
    /// timer, which has been backing off, fires next.
    pub fn path_changed(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Loss) && !self.log.is_empty() {
            self.rto.forget_backoff();
            self.begin_again(now);
        }
    }

    fn begin_again(&mut self, now: Instant) {
        self.log.lose_all();
        self.reno.forget();
        self.tail.forget();
        self.urgent = true;
        self.timers.start_over();
        self.arm(now, true);
    }

    /// Has the same been sent again and again, since this was last asked, without an answer?
    pub fn take_stuck(&mut self) -> bool {
        core::mem::take(&mut self.stuck)
    }
}
