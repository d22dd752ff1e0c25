//! Memory for octets, in chunks that come with them and go with them.

use std::collections::VecDeque;

/// Bytes of memory in a chunk. A segment of 1460 octets lies in one of them or in two, and what a chunk costs to come
/// and go is small beside copying 4 KiB.
pub(super) const CHUNK: usize = 4096;

/// The least of a chunk. As long as there is but one it is no larger than it must be: a connection that sends a line
/// and waits for an answer holds a line.
const LEAST: usize = 256;

/// Octets by their place from the first that is still needed. Places that nothing was put into hold whatever.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// All of one size but the last in use, which is as long as what it was given so far.
    chunks: VecDeque<Vec<u8>>,
    /// Octets at the head of the first that are needed no more.
    gone: usize,
    /// Bytes of memory in all chunks.
    bytes: usize,
}

impl Chunks {
    /// Puts `data` in its place. What is allocated is where it goes, not what lies before it.
    pub(super) fn put(&mut self, place: usize, mut data: &[u8]) {
        let mut place = self.gone.saturating_add(place);
        while !data.is_empty() {
            let (index, start) = (place / CHUNK, place % CHUNK);
            let (piece, rest) = data.split_at(data.len().min(CHUNK - start));
            self.put_into(index, start, piece);
            place = place.saturating_add(piece.len());
            data = rest;
        }
    }

    /// Puts what does not reach beyond it into a chunk.
    fn put_into(&mut self, index: usize, start: usize, data: &[u8]) {
        if index >= self.chunks.len() {
            self.chunks.resize_with(index.saturating_add(1), Vec::new);
        }
        let alone = self.chunks.len() == 1;
        let Some(chunk) = self.chunks.get_mut(index) else {
            return;
        };
        let end = start + data.len();
        let before = chunk.capacity();
        if before < end {
            let size = if alone {
                end.next_power_of_two().max(LEAST)
            } else {
                CHUNK
            };
            chunk.reserve_exact(size - chunk.len());
            self.bytes = self.bytes - before + chunk.capacity();
        }
        if chunk.len() < start {
            chunk.resize(start, 0);
        }
        // What comes in order is not filled with zeros before.
        let (over, new) = data.split_at(data.len().min(chunk.len() - start));
        if let Some(place) = chunk.get_mut(start..start + over.len()) {
            place.copy_from_slice(over);
        }
        chunk.extend_from_slice(new);
    }

    /// Copies what was put into the places from `place` on.
    pub(super) fn copy(&self, place: usize, mut out: &mut [u8]) {
        let mut place = self.gone.saturating_add(place);
        while !out.is_empty() {
            let chunk = self.chunks.get(place / CHUNK);
            let Some(piece) = chunk.and_then(|chunk| chunk.get(place % CHUNK..)) else {
                return;
            };
            let length = piece.len().min(out.len());
            if length == 0 {
                return;
            }
            let (filled, rest) = out.split_at_mut(length);
            filled.copy_from_slice(piece.split_at(length).0);
            place = place.saturating_add(length);
            out = rest;
        }
    }

    /// The first `octets` are needed no more.
    pub(super) fn drop_first(&mut self, octets: usize) {
        let gone = self.gone.saturating_add(octets);
        let whole = (gone / CHUNK).min(self.chunks.len());
        for chunk in self.chunks.drain(..whole) {
            self.bytes -= chunk.capacity();
        }
        self.gone = gone % CHUNK;
    }

    /// Only the first `octets` are needed.
    pub(super) fn keep_first(&mut self, octets: usize) {
        let whole = self.gone.saturating_add(octets).div_ceil(CHUNK);
        while self.chunks.len() > whole {
            let chunk = self.chunks.pop_back();
            self.bytes -= chunk.map_or(0, |chunk| chunk.capacity());
        }
    }

    /// Nothing is needed: not even the list of the chunks is kept.
    pub(super) fn clear(&mut self) {
        *self = Chunks::default();
    }

    /// Bytes of memory held, the list of the chunks with them.
    pub(super) fn held(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<Vec<u8>>()
    }
}
