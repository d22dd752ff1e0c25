//! Lifetimes that may be infinite.

use smoltcp::time::{Duration, Instant};

/// RFC 4861 section 4.6.2: this many seconds are for ever.
const INFINITE: u32 = u32::MAX;

/// When something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// Then.
    At(Instant),
    /// Never.
    Forever,
}

impl Until {
    /// `seconds` from now, all ones being for ever.
    pub(super) fn after(now: Instant, seconds: u32) -> Until {
        if seconds == INFINITE {
            return Until::Forever;
        }
        Until::At(now + Duration::from_secs(seconds.into()))
    }

    /// Has it ended?
    pub(super) fn is_over(self, now: Instant) -> bool {
        self <= Until::At(now)
    }

    /// The time of the end, if there will be one.
    pub(super) fn instant(self) -> Option<Instant> {
        match self {
            Until::At(instant) => Some(instant),
            Until::Forever => None,
        }
    }
}
