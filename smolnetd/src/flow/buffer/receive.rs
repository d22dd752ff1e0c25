//! What was received and is not read yet, and what came before its turn.

use core::ops::Range;

use super::chunks::Chunks;

/// Blocks that a segment can report: what fits beside no other option in 40 octets of them (RFC 2018 section 3).
pub const MAX_BLOCKS: usize = 4;

/// Ranges of octets that came before their turn. One lost segment makes one: of the 2,900 segments in a window of
/// 4 MiB that is every eleventh. Who makes more than that by sending crumbs costs us no more than walking this list.
pub(super) const MAX_RANGES: usize = 256;

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

/// Octets in a row that came before their turn. Positions count from the first octet of the connection and are not
/// on the circle of sequence numbers.
#[derive(Clone, Copy, Debug)]
struct Early {
    start: u64,
    end: u64,
    /// When a segment last fell into it, in segments that came early.
    touched: u64,
}

impl Early {
    fn length(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// Octets received: those in order wait to be read, those before their turn for what is missing before them.
///
/// Octets that are there never change. When segments overlap, what came first stays: it may have been acknowledged, or
/// reported in a block, or been looked at by the program, and a peer that says something else of it afterwards (or
/// somebody who speaks in its name) is not to be believed over what was said before.
#[derive(Debug, Default)]
pub struct ReceiveBuffer {
    /// From the first octet that is not read.
    octets: Chunks,
    unread: usize,
    /// The position of RCV.NXT.
    next: u64,
    /// In order of position; none touches another, or RCV.NXT.
    early: Vec<Early>,
    /// Octets in all of them.
    early_octets: usize,
    /// Segments that came early so far.
    touches: u64,
}

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
    pub fn insert(&mut self, offset: i32, data: &[u8], window: usize) -> Result<Inserted, Refused> {
        let before = usize::try_from(i64::from(offset).saturating_neg()).unwrap_or(0);
        let (old, data) = data.split_at(before.min(data.len()));
        let mut inserted = Inserted {
            duplicate: (!old.is_empty()).then_some(0..old.len()),
            ..Inserted::default()
        };
        if data.is_empty() {
            return Ok(inserted);
        }
        let offset = usize::try_from(offset).unwrap_or(0);
        if offset.saturating_add(data.len()) > window {
            return Err(Refused::BeyondWindow);
        }
        if offset == 0 && self.early.is_empty() {
            self.octets.put(self.unread, data);
            self.advance(data.len());
            (inserted.in_order, inserted.fresh) = (data.len(), data.len());
            return Ok(inserted);
        }
        let start = self.next + offset as u64;
        let met = self.met(start, start + data.len() as u64);
        if met.is_empty() && offset > 0 && self.early.len() >= MAX_RANGES {
            return Err(Refused::TooManyRanges);
        }
        let duplicate = self.fill(start, data, met.clone(), &mut inserted.fresh);
        inserted.duplicate = inserted
            .duplicate
            .or(duplicate.map(|part| part.start + old.len()..part.end + old.len()));
        inserted.in_order = self.join(start, start + data.len() as u64, met);
        Ok(inserted)
    }

    /// Which of the early ranges overlap or touch the octets from `start` to `end`?
    fn met(&self, start: u64, end: u64) -> Range<usize> {
        let first = self.early.partition_point(|early| early.end < start);
        let behind = self.early.partition_point(|early| early.start <= end);
        first..behind
    }

    /// Puts those octets of `data` in their places that are not in the ranges `met`. Counts them, and tells the first
    /// part of `data` that was there.
    fn fill(
        &mut self,
        start: u64,
        data: &[u8],
        met: Range<usize>,
        fresh: &mut usize,
    ) -> Option<Range<usize>> {
        let mut duplicate = None;
        let mut at = 0;
        let within = |position: u64| (position.saturating_sub(start) as usize).min(data.len());
        let place = self.unread + (start - self.next) as usize;
        for early in self.early.get(met).unwrap_or_default() {
            let known = within(early.start)..within(early.end);
            let missing = data.get(at..known.start).unwrap_or_default();
            self.octets.put(place + at, missing);
            *fresh += missing.len();
            at = known.end;
            if !known.is_empty() {
                duplicate = duplicate.or(Some(known));
            }
        }
        let missing = data.get(at..).unwrap_or_default();
        self.octets.put(place + at, missing);
        *fresh += missing.len();
        duplicate
    }

    /// Makes one range of the octets from `start` to `end` and the ranges `met`, and tells how far RCV.NXT moves on.
    fn join(&mut self, start: u64, end: u64, met: Range<usize>) -> usize {
        self.touches += 1;
        let mut joined = Early {
            start,
            end,
            touched: self.touches,
        };
        for early in self.early.drain(met.clone()) {
            self.early_octets -= early.length();
            joined.start = joined.start.min(early.start);
            joined.end = joined.end.max(early.end);
        }
        if joined.start > self.next {
            self.early_octets += joined.length();
            self.early.insert(met.start, joined);
            return 0;
        }
        if self.early.is_empty() {
            self.early = Vec::new();
        }
        let octets = (joined.end - self.next) as usize;
        self.advance(octets);
        octets
    }

    /// RCV.NXT moves on.
    fn advance(&mut self, octets: usize) {
        self.next += octets as u64;
        self.unread += octets;
    }

    /// Octets in order that nobody has read.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// Octets that came before their turn.
    pub fn out_of_order(&self) -> usize {
        self.early_octets
    }

    /// Reads the first octets, and tells how many.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let length = self.peek(buffer);
        self.unread -= length;
        self.octets.drop_first(length);
        self.release();
        length
    }

    /// Looks at the first octets, and tells how many.
    pub fn peek(&self, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(self.unread);
        self.octets.copy(0, buffer.split_at_mut(length).0);
        length
    }

    /// What came before its turn, as offsets from RCV.NXT. RFC 2018 section 4: the first block is the one that the
    /// last segment fell into, the others those of the segments before it.
    pub fn blocks(&self) -> [Option<Range<usize>>; MAX_BLOCKS] {
        let mut latest: [Option<&Early>; MAX_BLOCKS] = [None; MAX_BLOCKS];
        for early in &self.early {
            let mut candidate = Some(early);
            for place in &mut latest {
                let touched = |block: &Option<&Early>| block.map_or(0, |early| early.touched);
                if touched(&candidate) > touched(place) {
                    core::mem::swap(place, &mut candidate);
                }
            }
        }
        let offset = |position: u64| (position - self.next) as usize;
        latest.map(|block| block.map(|early| offset(early.start)..offset(early.end)))
    }

    /// Forgets what came before its turn (RFC 2018 section 8 lets a receiver), and tells how many octets that were.
    pub fn discard_out_of_order(&mut self) -> usize {
        let octets = self.out_of_order();
        self.forget_early();
        self.octets.keep_first(self.unread);
        self.release();
        octets
    }

    /// Nothing of it is needed any more.
    pub fn clear(&mut self) {
        self.unread = 0;
        self.forget_early();
        self.release();
    }

    fn forget_early(&mut self) {
        self.early = Vec::new();
        self.early_octets = 0;
    }

    /// Gives the memory back when nothing is in it.
    fn release(&mut self) {
        if self.unread == 0 && self.early.is_empty() {
            self.octets.clear();
        }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.octets.held() + self.early.capacity() * size_of::<Early>()
    }
}
