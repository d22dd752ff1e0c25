//! When to look at endpoints of which xhcid does not tell: the only poll of the project.
//!
//! An xhcid that has non-blocking endpoints but no events for them leaves nothing else. One timer serves all endpoints. It
//! runs only while a transfer is under way; every look that finds something makes it as fast as it gets, and after some
//! that find nothing it slows down to its slowest step by step. Where xhcid posts events, there is no such timer.

use core::time::Duration;

use netscheme::Instant;

/// The shortest time between two looks: less than what a controller's own interrupts are apart, and the least that the
/// event queue's timeout can express.
const FASTEST: Duration = Duration::from_millis(1);
/// The longest: how late a frame may be noticed that nobody waited for.
const SLOWEST: Duration = Duration::from_millis(16);
/// Looks without success before the timer slows down.
const PATIENCE: u32 = 50;

/// The timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    interval: Duration,
    fruitless: u32,
    due: Option<Instant>,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval: FASTEST,
            fruitless: 0,
            due: None,
        }
    }
}

impl Poll {
    /// Whether it is time to look; if so, the time of the next look is open until [`Poll::plan`].
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
        }
        due
    }

    /// What a look, or anything else that touched the endpoints, has found.
    pub(crate) fn looked(&mut self, found: bool) {
        if found {
            *self = Self {
                due: self.due,
                ..Self::default()
            };
        } else if self.fruitless < PATIENCE {
            self.fruitless = self.fruitless.saturating_add(1);
        } else {
            self.interval = self.interval.saturating_mul(2).min(SLOWEST);
        }
    }

    /// Sets the next look: none if nothing is `armed`, for then nothing can come.
    pub(crate) fn plan(&mut self, now: Instant, armed: bool) {
        let next = now.saturating_add(self.interval);
        self.due = armed.then(|| self.due.map_or(next, |due| due.min(next)));
    }

    /// The time of the next look.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the timer over `time` without finding anything; how often it looked.
    fn idle(poll: &mut Poll, now: &mut Instant, time: Duration) -> u32 {
        let end = now.saturating_add(time);
        let mut looks = 0;
        poll.plan(*now, true);
        while let Some(due) = poll.due().filter(|&due| due <= end) {
            *now = due;
            assert!(poll.is_due(*now));
            poll.looked(false);
            poll.plan(*now, true);
            looks += 1;
        }
        *now = end;
        looks
    }

    #[test]
    fn an_idle_adapter_is_looked_at_ever_more_seldom_but_never_less_than_a_bound() {
        let (mut poll, mut now) = (Poll::default(), Instant::from_secs(1));
        let first = idle(&mut poll, &mut now, Duration::from_millis(50));
        assert_eq!(first, 50, "every millisecond at first");
        idle(&mut poll, &mut now, Duration::from_secs(1));
        assert_eq!(
            idle(&mut poll, &mut now, Duration::from_secs(10)),
            625,
            "then every 16"
        );
    }

    #[test]
    fn a_frame_makes_it_fast_again_at_once() {
        let (mut poll, mut now) = (Poll::default(), Instant::from_secs(1));
        idle(&mut poll, &mut now, Duration::from_secs(2));
        now = poll.due().unwrap();
        assert!(poll.is_due(now));
        poll.looked(false);
        poll.plan(now, true);
        assert_eq!(poll.due(), Some(now.saturating_add(SLOWEST)));
        poll.looked(true);
        poll.plan(now, true);
        assert_eq!(
            poll.due(),
            Some(now.saturating_add(FASTEST)),
            "also the look already planned"
        );
    }

    #[test]
    fn it_stands_still_when_nothing_is_armed() {
        let (mut poll, now) = (Poll::default(), Instant::from_secs(1));
        poll.plan(now, true);
        assert!(poll.due().is_some());
        poll.plan(now, false);
        assert_eq!(poll.due(), None);
        assert!(!poll.is_due(Instant::MAX));
    }

    #[test]
    fn other_wake_ups_do_not_put_a_look_off() {
        let (mut poll, now) = (Poll::default(), Instant::from_secs(1));
        poll.plan(now, true);
        let due = poll.due();
        for micros in 1..900 {
            let now = now.saturating_add(Duration::from_micros(micros));
            assert!(!poll.is_due(now));
            poll.plan(now, true);
        }
        assert_eq!(poll.due(), due);
    }
}
