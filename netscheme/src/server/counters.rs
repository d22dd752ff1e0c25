//! What a server counts.

/// What a server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of all kinds.
    pub requests: u64,
    /// Calls that were parked.
    pub parked: u64,
    /// Calls that would have waited and were refused, because too many did.
    pub refused_parking: u64,
    /// Requests whose arguments were refused before they were decoded.
    pub refused_malformed: u64,
    /// Calls cancelled by a signal while they waited.
    pub cancelled: u64,
    /// Calls whose deadline came.
    pub expired: u64,
    /// Answers and events that the kernel refused.
    pub unanswered: u64,
}

impl Counters {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Counters {
            requests,
            parked,
            refused_parking,
            refused_malformed,
            cancelled,
            expired,
            unanswered,
        } = *self;
        [
            ("requests", requests),
            ("parked", parked),
            ("refused_parking", refused_parking),
            ("refused_malformed", refused_malformed),
            ("cancelled", cancelled),
            ("expired", expired),
            ("unanswered", unanswered),
        ]
        .into_iter()
    }
}
