//! Losses found by counting (RFC 5681 3.2, RFC 6582), for peers that know no SACK.

/// RFC 5681 3.2.
const DUPLICATES: u32 = 3;

/// The state per connection.
#[derive(Debug, Default)]
pub(super) struct Reno {
    duplicates: u32,
    /// Octets that have left the network according to duplicates, wherever they were (RFC 6675's pipe without SACK).
    gone: usize,
}

impl Reno {
    pub(super) fn gone(&self) -> usize {
        self.gone
    }

    pub(super) fn forget(&mut self) {
        *self = Reno::default();
    }

    /// A duplicate: a segment has arrived, but not the next one. `outstanding` is what is not acknowledged. True if it
    /// is the third.
    pub(super) fn duplicate(&mut self, mss: usize, outstanding: usize) -> bool {
        self.duplicates = self.duplicates.saturating_add(1);
        self.gone = self
            .gone
            .saturating_add(mss)
            .min(outstanding.saturating_sub(mss));
        self.duplicates == DUPLICATES
    }

    /// RFC 6582 3.2, step 3: `acknowledged` octets, the first segment of which was the hole and the rest what duplicates
    /// had told of. Returns what is news.
    pub(super) fn progress(&mut self, acknowledged: usize, mss: usize) -> usize {
        let known = acknowledged.saturating_sub(mss).min(self.gone);
        self.gone -= known;
        acknowledged - known
    }
}
