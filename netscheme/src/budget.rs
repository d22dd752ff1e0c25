//! How often something may go wrong before it is not worth another try.

use core::time::Duration;
use std::collections::VecDeque;

use crate::time::Instant;

/// The times something went wrong of late: so many, within so long, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    most: usize,
    within: Duration,
    spent: VecDeque<Instant>,
}

impl Budget {
    /// `most` times within any time of that length.
    pub fn new(most: usize, within: Duration) -> Self {
        Self {
            most,
            within,
            spent: VecDeque::with_capacity(most),
        }
    }

    /// It went wrong again; whether that may be put up with.
    #[must_use = "what is spent is to be acted upon"]
    pub fn spend(&mut self, now: Instant) -> bool {
        self.spent.retain(|&then| now.since(then) < self.within);
        let left = self.spent.len() < self.most;
        if left {
            self.spent.push_back(now);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_in_a_short_time_is_too_much_and_forgotten_after_it() {
        let mut budget = Budget::new(3, Duration::from_secs(60));
        assert!((0..3).all(|second| budget.spend(Instant::from_secs(second))));
        assert!(!budget.spend(Instant::from_secs(59)));
        assert!(
            budget.spend(Instant::from_secs(60)),
            "the first is a minute ago"
        );
        assert!(!budget.spend(Instant::from_secs(60)));
        assert!((4..100).all(|minute| budget.spend(Instant::from_secs(minute * 60))));
    }
}
