//! What was received and is not read yet, and what came before its turn.

use core::ops::Range;

/// Blocks that a segment can report: what fits beside no other option in 40 octets of them (RFC 2018 section 3).
pub const MAX_BLOCKS: usize = 4;

/// What became of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// By how many octets RCV.NXT moves on: this segment's, and those behind it that had come before.
    pub in_order: usize,
    /// Octets of the segment that were not there before.
    pub fresh: usize,
    /// The first octets in a row that were there before, or had been read, as a part of the segment: what a D-SACK
    /// reports (RFC 2883 section 4).
    pub duplicate: Option<Range<usize>>,
}

/// Why nothing of a segment was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It reaches beyond the window.
    BeyondWindow,
    /// It would be one range of octets too many that came before their turn.
    TooManyRanges,
}

/// Octets received: those in order wait to be read, those before their turn for what is missing before them.
#[derive(Debug, Default)]
pub struct ReceiveBuffer {}

impl ReceiveBuffer {
    /// An empty buffer. It holds no memory before the first octet comes; how much may come is the window's to say.
    pub fn new() -> ReceiveBuffer {
        ReceiveBuffer::default()
    }

    /// Takes the octets of a segment that begins at `offset` from RCV.NXT (negative: before it) and lies within
    /// `window` octets from RCV.NXT.
    ///
    /// # Errors
    /// [`Refused`]: nothing was taken, and nothing that was there has changed.
    pub fn insert(
        &mut self,
        _offset: i32,
        _data: &[u8],
        _window: usize,
    ) -> Result<Inserted, Refused> {
        Ok(Inserted::default())
    }

    /// Octets in order that nobody has read.
    pub fn unread(&self) -> usize {
        0
    }

    /// Octets that came before their turn.
    pub fn out_of_order(&self) -> usize {
        0
    }

    /// Reads the first octets, and tells how many.
    pub fn read(&mut self, _buffer: &mut [u8]) -> usize {
        0
    }

    /// Looks at the first octets, and tells how many.
    pub fn peek(&self, _buffer: &mut [u8]) -> usize {
        0
    }

    /// What came before its turn, as offsets from RCV.NXT: the block that changed last first (RFC 2018 section 4).
    pub fn blocks(&self) -> [Option<Range<usize>>; MAX_BLOCKS] {
        [const { None }; MAX_BLOCKS]
    }

    /// Forgets what came before its turn (RFC 2018 section 8 lets a receiver), and tells how many octets that were.
    pub fn discard_out_of_order(&mut self) -> usize {
        0
    }

    /// Nothing of it is needed any more.
    pub fn clear(&mut self) {}

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        0
    }
}
