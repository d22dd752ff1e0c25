//! What was written and is not acknowledged yet.

use super::chunks::Chunks;

/// The octets from SND.UNA on: what is on its way, and behind it what has not left yet.
#[derive(Debug, Default)]
pub struct SendBuffer {
    octets: Chunks,
    length: usize,
    limit: usize,
}

impl SendBuffer {
    /// An empty buffer for up to `limit` octets. It holds no memory before the first is written.
    pub fn new(limit: usize) -> SendBuffer {
        SendBuffer {
            limit,
            ..SendBuffer::default()
        }
    }

    /// The most octets that it takes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the limit (SO_SNDBUF). What is there already stays.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Octets that are not acknowledged.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Is everything acknowledged?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Octets that can be written.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.length)
    }

    /// Takes what fits of `data`, and tells how many octets that were.
    pub fn write(&mut self, data: &[u8]) -> usize {
        let (fits, _) = data.split_at(data.len().min(self.room()));
        self.octets.put(self.length, fits);
        self.length += fits.len();
        fits.len()
    }

    /// Copies octets for a segment, from the `offset`th after SND.UNA on, and tells how many there were.
    pub fn copy(&self, offset: usize, segment: &mut [u8]) -> usize {
        let length = segment.len().min(self.length.saturating_sub(offset));
        self.octets.copy(offset, segment.split_at_mut(length).0);
        length
    }

    /// The peer has the first `octets`: SND.UNA moves on. More than there are empty the buffer.
    pub fn acknowledge(&mut self, octets: usize) {
        self.length = self.length.saturating_sub(octets);
        if self.length == 0 {
            self.octets.clear();
        } else {
            self.octets.drop_first(octets);
        }
    }

    /// Nothing of it is needed any more.
    pub fn clear(&mut self) {
        self.acknowledge(self.length);
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.octets.held()
    }
}
