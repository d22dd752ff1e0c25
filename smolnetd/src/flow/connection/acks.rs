//! The acknowledgements that the peer is owed, and when.

use smoltcp::time::{Duration, Instant};

use crate::flow::segment::SackBlocks;
use crate::flow::sequence::Seq;

/// How long an acknowledgement waits for company: for an answer that takes it along, or for a second segment. RFC 9293
/// 3.8.6.3 allows half a second. A peer that holds back a small segment until the one before is acknowledged (Nagle)
/// waits as long, and that is felt; at ten milliseconds it is not, and a hundred small segments a second are nothing.
const DELAY: Duration = Duration::from_millis(10);

/// RFC 5961 section 7: ten challenge ACKs in five seconds, one at a time.
pub const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);

/// Is an acknowledgement owed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owed {
    #[default]
    Nothing,
    /// By then at the latest.
    Until(Instant),
    Now,
}

/// What one connection owes.
#[derive(Clone, Debug, Default)]
pub(super) struct Acks {
    owed: Owed,
    /// Octets in order that came since the last acknowledgement left.
    octets: usize,
    /// What came again, to be reported once (RFC 2883).
    duplicate: Option<(Seq, Seq)>,
    /// No challenge ACK before.
    challenge_at: Option<Instant>,
}

impl Acks {
    /// At once.
    pub(super) fn owe_now(&mut self) {
        self.owed = Owed::Now;
    }

    /// `octets` came in order: as many as are `worth` one are acknowledged at once, fewer can wait a little.
    pub(super) fn owe_for(&mut self, now: Instant, octets: usize, worth: usize) {
        self.octets = self.octets.saturating_add(octets);
        if self.octets >= worth {
            self.owed = Owed::Now;
        } else if self.owed == Owed::Nothing {
            self.owed = Owed::Until(now + DELAY);
        }
    }

    /// At once, and it reports these octets as having come again.
    pub(super) fn owe_for_duplicate(&mut self, left: Seq, right: Seq) {
        self.duplicate = Some((left, right));
        self.owed = Owed::Now;
    }

    /// As a challenge (RFC 5961): false, and nothing is owed, if it is too early for another.
    pub(super) fn owe_challenge(&mut self, now: Instant) -> bool {
        let allowed = self.challenge_at.is_none_or(|at| now >= at);
        if allowed {
            self.challenge_at = Some(now + CHALLENGE_INTERVAL);
            self.owed = Owed::Now;
        }
        allowed
    }

    /// Is one to leave by itself now?
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.owed {
            Owed::Nothing => false,
            Owed::Until(at) => at <= now,
            Owed::Now => true,
        }
    }

    /// Has something come that was not acknowledged yet?
    pub(super) fn are_owed(&self) -> bool {
        self.owed != Owed::Nothing
    }

    /// When one is to leave by itself, if none is due already.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.owed {
            Owed::Until(at) => Some(at),
            Owed::Nothing | Owed::Now => None,
        }
    }

    /// The blocks to report: what came again first (RFC 2883 section 4), then the others.
    pub(super) fn blocks(&self, others: impl Iterator<Item = (Seq, Seq)>) -> SackBlocks {
        let mut all = self.duplicate.into_iter().chain(others);
        core::array::from_fn(|_| all.next())
    }

    /// Has something come again that is to be reported?
    pub(super) fn reports_duplicate(&self) -> bool {
        self.duplicate.is_some()
    }

    /// An acknowledgement has left, alone or on data.
    pub(super) fn sent(&mut self) {
        self.owed = Owed::Nothing;
        self.octets = 0;
        self.duplicate = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5961_7_challenges_are_half_a_second_apart() {
        let mut acks = Acks::default();
        let start = Instant::from_secs(5);
        assert!(acks.owe_challenge(start));
        assert!(acks.is_due(start));
        acks.sent();
        assert!(!acks.owe_challenge(start + Duration::from_millis(499)));
        assert!(!acks.is_due(start + Duration::from_millis(499)));
        assert!(acks.owe_challenge(start + Duration::from_millis(500)));
    }

    #[test]
    fn rfc2883_4_what_came_again_is_the_first_block_and_is_told_once() {
        let mut acks = Acks::default();
        let block = |n| (Seq(n), Seq(n + 1));
        let others = || [block(10), block(20), block(30)].into_iter();
        acks.owe_for_duplicate(Seq(1), Seq(2));
        let reported = [Some(block(1)), Some(block(10)), Some(block(20))];
        assert_eq!(acks.blocks(others()), reported);
        acks.sent();
        assert_eq!(acks.blocks(others()), [10, 20, 30].map(|n| Some(block(n))));
        assert_eq!(acks.blocks(core::iter::empty()), [None; 3]);
    }
}
