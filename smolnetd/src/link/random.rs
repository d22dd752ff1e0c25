//! Numbers that no one outside can guess, from a seed that the caller gives.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use smoltcp::time::Duration;

/// A keyed hash of a counter: for transaction identifiers and for the jitter of timers.
#[derive(Debug)]
pub(super) struct Random {
    seed: u64,
    /// Tells generators of one seed apart.
    stream: u64,
    counter: u64,
}

impl Random {
    pub(super) fn new(seed: u64, stream: u64) -> Random {
        Random {
            seed,
            stream,
            counter: 0,
        }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut hasher = SipHasher13::new_with_keys(self.seed, self.stream);
        hasher.write_u64(self.counter);
        hasher.finish()
    }

    pub(super) fn next_u32(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.next_u64().to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// Six bytes for a nonce (RFC 7527 section 4.1).
    pub(super) fn next_nonce(&mut self) -> [u8; 6] {
        let [nonce @ .., _, _] = self.next_u64().to_be_bytes();
        nonce
    }

    /// A duration from `low` on and below `high`, to the microsecond; `low` when there is none between.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.total_micros().saturating_sub(low.total_micros());
        let offset = self.next_u64().checked_rem(span).unwrap_or(0);
        Duration::from_micros(low.total_micros().saturating_add(offset))
    }
}
