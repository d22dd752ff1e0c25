//! What became of fragments.

use super::datagram::Trouble;
use crate::counters::counters;

counters! {
    /// What became of fragments, and why they were dropped.
    pub struct FragmentCounters {
        /// Fragments received.
        received,
        /// Datagrams that became whole.
        reassembled,
        /// Fragments that were there already, to the byte.
        duplicates,
        /// Dropped: not the last, and no multiple of eight bytes long.
        bad_length,
        /// Dropped: without any data.
        empty,
        /// Dropped: beyond the end of the largest packet.
        too_long,
        /// Dropped: a first fragment without the whole header chain (RFC 7112).
        incomplete_header_chain,
        /// Datagrams given up: a fragment overlapped another (RFC 5722).
        overlap,
        /// Datagrams given up: fragments did not agree about its end.
        inconsistent_end,
        /// Datagrams given up: more fragments than there may be.
        too_many_fragments,
        /// Dropped: a fragment of a datagram that was given up.
        of_given_up,
        /// Datagrams given up to make room.
        evicted,
        /// Datagrams given up because they did not become whole in time.
        timed_out,
        /// Dropped: a datagram that became whole and was a fragment again.
        nested,
        /// Datagrams of our own that were cut.
        split,
        /// Fragments of our own that were sent.
        sent,
        /// Datagrams of our own of which a part had to wait for room on the link.
        held_back,
    }
}

impl FragmentCounters {
    pub(super) fn of(&mut self, trouble: Trouble) -> &mut u64 {
        match trouble {
            Trouble::Duplicate => &mut self.duplicates,
            Trouble::Overlap => &mut self.overlap,
            Trouble::InconsistentEnd => &mut self.inconsistent_end,
            Trouble::TooManyFragments => &mut self.too_many_fragments,
            Trouble::GivenUp => &mut self.of_given_up,
        }
    }
}
