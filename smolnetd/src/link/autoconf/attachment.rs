//! Is it the same network that the carrier came back on?
//!
//! RFC 4861 section 6.3.7 has a host solicit when it may have moved, and RFC 6059 recognises a network by a router and
//! a prefix known from before. The rule here: nothing is given up for a carrier that comes and goes. A router that we
//! know and that says a prefix that we know makes it the same network. If, for a while after the first advertisement,
//! none has, it is another one, and what has not been said since the carrier came goes.

use smoltcp::time::{Duration, Instant};

/// How long the routers that we know have, after another has spoken. RFC 4861 section 10: answers come half a second
/// late at most, and 3 seconds after the last (MIN_DELAY_BETWEEN_RAS).
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What is known of where we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Attachment {
    /// Where we were.
    #[default]
    Known,
    /// The carrier came back at that time; nobody has spoken yet.
    Returned { since: Instant },
    /// Only strangers have spoken.
    Doubtful { since: Instant, until: Instant },
}

impl Attachment {
    /// The carrier is back; `knows` says whether there is anything to lose.
    pub(super) fn returned(now: Instant, knows: bool) -> Attachment {
        if knows {
            Attachment::Returned { since: now }
        } else {
            Attachment::Known
        }
    }

    /// A router has spoken; is it one that we know, with a prefix that we know?
    pub(super) fn heard(&mut self, now: Instant, known: bool) {
        *self = match *self {
            _ if known => Attachment::Known,
            Attachment::Returned { since } => Attachment::Doubtful {
                since,
                until: now + PATIENCE,
            },
            other => other,
        };
    }

    /// Since when, if it has turned out to be another network.
    pub(super) fn is_elsewhere(&mut self, now: Instant) -> Option<Instant> {
        match *self {
            Attachment::Doubtful { since, until } if until <= now => {
                *self = Attachment::Known;
                Some(since)
            }
            _ => None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Attachment::Doubtful { until, .. } => Some(*until),
            _ => None,
        }
    }
}
