//! When to solicit routers: RFC 4861 section 6.3.7 and RFC 7559.

use smoltcp::time::{Duration, Instant};

use crate::link::backoff::Backoff;
use crate::link::random::Random;

/// RFC 4861 section 6.3.7: a random delay before the first solicitation, so that machines switched on together do not
/// all speak at once. MAX_RTR_SOLICITATION_DELAY allows a second; a user waits here, and a tenth of it parts them too.
const MAX_DELAY: Duration = Duration::from_millis(100);
/// RFC 7559 section 2: IRT, which is also the least time between two beginnings.
pub(super) const INTERVAL: Duration = Duration::from_secs(4);
/// RFC 7559 section 2: MRT.
const LONGEST: Duration = Duration::from_secs(3600);

/// Solicitations until there is a router.
#[derive(Debug)]
pub(super) struct Solicitor {
    backoff: Backoff,
    /// When the next one is due.
    at: Option<Instant>,
    sent: Option<Instant>,
}

impl Solicitor {
    pub(super) fn new() -> Solicitor {
        Solicitor {
            backoff: Backoff::new(INTERVAL, LONGEST),
            at: None,
            sent: None,
        }
    }

    /// The adapter has a carrier: from the beginning.
    pub(super) fn start(&mut self, now: Instant, random: &mut Random) {
        self.backoff.restart();
        self.at = Some(now + random.between(Duration::ZERO, MAX_DELAY));
    }

    /// There is no default router any more. Whoever makes them come and go does not make us speak more often.
    pub(super) fn resume(&mut self, now: Instant, random: &mut Random) {
        if self.at.is_none() {
            self.start(now, random);
            let earliest = self.sent.map(|sent| sent + INTERVAL);
            self.at = self.at.max(earliest);
        }
    }

    /// RFC 7559 section 2.1: there is a default router, or nothing to ask on.
    pub(super) fn stop(&mut self) {
        self.at = None;
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Is one to be sent now?
    pub(super) fn poll(&mut self, now: Instant, random: &mut Random) -> bool {
        if self.at.is_none_or(|at| at > now) {
            return false;
        }
        self.sent = Some(now);
        self.at = Some(now + self.backoff.next(random));
        true
    }
}
