//! What one acknowledgement says of what was sent.

use smoltcp::time::Instant;

use super::scoreboard::{Burst, Fate};
use super::time::{Micros, elapsed};
use crate::flow::sequence::Seq;

/// Something that arrived, and when it had left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) sent: Instant,
    run: u64,
    end: Seq,
}

impl Arrival {
    fn of(burst: &Burst) -> Arrival {
        Arrival {
            sent: burst.sent,
            run: burst.run,
            end: burst.end,
        }
    }

    /// RFC 8985 6.2: RACK_sent_after.
    pub(super) fn is_after(&self, burst: &Burst) -> bool {
        self.is_later_than(&Arrival::of(burst))
    }

    /// Clocks do not tell what left first among what leaves at once; runs do.
    pub(super) fn is_later_than(&self, other: &Arrival) -> bool {
        self.run > other.run || (self.run == other.run && self.end.after(other.end))
    }
}

/// The sum of it.
#[derive(Debug)]
pub(super) struct Delivery {
    now: Instant,
    min_rtt: Option<Micros>,
    /// The end of what was known to have arrived, before this.
    fack: Seq,
    /// SND.UNA went on by so much.
    pub(super) acknowledged: usize,
    /// Octets that were not known to have arrived.
    pub(super) delivered: usize,
    /// Of these, beyond SEG.ACK.
    pub(super) sacked: usize,
    /// Octets that had been thought lost and had not been sent again: they never were.
    pub(super) refuted: usize,
    /// RFC 8985 6.2, step 2: of what arrived, what left last.
    pub(super) latest: Option<Arrival>,
    /// RFC 8985 6.2, step 3: something arrived after what had been sent after it.
    pub(super) reordered: bool,
    /// When it left that was longest on its way, if nothing of it was sent twice (Karn: RFC 6298 section 3).
    first: Option<Instant>,
    /// Was something of what SEG.ACK newly covers sent twice?
    is_ambiguous: bool,
}

impl Delivery {
    /// Nothing yet, at `now`.
    pub(super) fn new(now: Instant, min_rtt: Option<Micros>, fack: Seq) -> Delivery {
        Delivery {
            now,
            min_rtt,
            fack,
            acknowledged: 0,
            delivered: 0,
            sacked: 0,
            refuted: 0,
            latest: None,
            reordered: false,
            first: None,
            is_ambiguous: false,
        }
    }

    /// SEG.ACK covers this.
    pub(super) fn acknowledged(&mut self, burst: &Burst) {
        self.acknowledged = self.acknowledged.saturating_add(burst.length());
        self.is_ambiguous |= burst.repeated && burst.fate != Fate::Sacked;
        self.arrived(burst);
    }

    /// A block covers this.
    pub(super) fn sacked(&mut self, burst: &Burst) {
        self.sacked = self.sacked.saturating_add(burst.length());
        self.arrived(burst);
    }

    fn arrived(&mut self, burst: &Burst) {
        if burst.fate == Fate::Sacked {
            return;
        }
        self.delivered = self.delivered.saturating_add(burst.length());
        if burst.repeated {
            // RFC 8985 6.2, step 2: sooner than can be, so it was the former one.
            let rtt = elapsed(self.now, burst.sent);
            if self.min_rtt.is_some_and(|min| rtt < min) {
                return;
            }
        } else {
            if burst.fate == Fate::Lost {
                self.refuted = self.refuted.saturating_add(burst.length());
            }
            self.reordered |= burst.end.before(self.fack);
            self.first = Some(self.first.map_or(burst.sent, |first| first.min(burst.sent)));
        }
        if self.latest.is_none_or(|latest| !latest.is_after(burst)) {
            self.latest = Some(Arrival::of(burst));
        }
    }

    /// The round trip that it measured, if it did.
    pub(super) fn rtt(&self) -> Option<Micros> {
        let first = self.first.filter(|_| !self.is_ambiguous)?;
        Some(elapsed(self.now, first))
    }
}
