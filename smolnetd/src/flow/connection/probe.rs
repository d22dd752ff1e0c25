//! Probes: into a window that is closed (RFC 9293 3.8.6.1), and into silence (3.8.4).

use smoltcp::time::{Duration, Instant};

use super::Connection;
use super::output::{Next, Text};

/// Probes are never further apart than the longest retransmission timeout (RFC 6298 2.5).
const PERSIST_MAX: Duration = Duration::from_secs(60);

/// RFC 9293 3.8.6.2.1: a window that is small but open is used all the same after this long at most.
const OVERRIDE_MAX: Duration = Duration::from_secs(1);

/// The persist timer: something is to be sent, nothing is on its way, and the peer's window does not let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Persist {
    pub(super) at: Instant,
    /// How often the peer was probed already.
    attempts: u32,
}

impl Connection {
    /// After all has been sent that may be: waits for the window, if that is what is missing.
    pub(super) fn arm_persist(&mut self, now: Instant) {
        let stalled = self.is_stalled();
        let interval = self.persist_interval(0);
        let persist = self.timers.persist_mut();
        if !stalled {
            *persist = None;
        } else if persist.is_none() {
            *persist = Some(Persist {
                at: now + interval,
                attempts: 0,
            });
        }
    }

    /// Nothing is on its way that would be answered, and there is something to send.
    fn is_stalled(&self) -> bool {
        let established = !self.is_connecting() && !self.is_over();
        established && !self.is_in_flight() && self.unsent() != (0, false)
    }

    /// SHLD-29, SHLD-30: the first probe after a retransmission timeout, then exponentially further apart; but so often
    /// that a peer which is there is heard before the user's patience ends.
    fn persist_interval(&self, attempts: u32) -> Duration {
        let first = self.recovery.rto();
        let doubled = first * (1 << attempts.min(10));
        let most = if self.usable_window() > 0 {
            OVERRIDE_MAX
        } else {
            PERSIST_MAX
        };
        let patience = self.settings.user_timeout.map_or(most, |time| time / 2);
        doubled.min(most).min(patience.max(first))
    }

    /// What is sent when the window has been closed, or silly, for too long: all that it takes, or a question.
    ///
    /// RFC 9293 3.8.6.1 would have the question be an octet of data. But if both ends ask at once and both have just
    /// opened their windows, both octets are taken, neither end knows, and each one's acknowledgements are old to the
    /// other, for ever. A segment that stands before the window and has nothing in it is answered as well.
    pub(super) fn persist(&self, now: Instant) -> Option<Next> {
        let due = self
            .timers
            .persist()
            .is_some_and(|persist| persist.at <= now);
        if !due || !self.is_stalled() {
            return None;
        }
        let (unsent, owes_fin) = self.unsent();
        let usable = self.usable_window();
        if usable == 0 {
            return Some(Next::WindowProbe);
        }
        let data = unsent.min(self.mss()).min(usable);
        Some(Next::Text(Text {
            seq: self.snd_nxt(),
            data,
            fin: owes_fin && data == unsent && data < usable,
        }))
    }

    /// The peer was asked for its window.
    pub(super) fn has_probed(&mut self, now: Instant) {
        let attempts = self
            .timers
            .persist()
            .map_or(0, |persist| persist.attempts)
            .saturating_add(1);
        *self.timers.persist_mut() = Some(Persist {
            at: now + self.persist_interval(attempts),
            attempts,
        });
    }

    /// Is a keep-alive probe to leave? Only when nothing else asks the peer for an answer.
    pub(super) fn wants_keep_alive(&self, now: Instant) -> bool {
        self.keep_alive_at().is_some_and(|at| at <= now)
    }

    /// When the next keep-alive probe is due.
    pub(super) fn keep_alive_at(&self) -> Option<Instant> {
        let keep_alive = self.settings.keep_alive?;
        let quiet = self.established && !self.is_over() && !self.is_in_flight();
        if !quiet || self.timers.persist().is_some() {
            return None;
        }
        match self.timers.keep_alives() {
            0 => Some(self.timers.heard() + keep_alive.idle),
            sent if sent < keep_alive.count => Some(self.timers.kept_alive() + keep_alive.interval),
            _ => None,
        }
    }
}
