//! What was written and is not acknowledged yet.

/// The octets from SND.UNA on: what is on its way, and behind it what has not left yet.
#[derive(Debug, Default)]
pub struct SendBuffer {
    limit: usize,
}

impl SendBuffer {
    /// An empty buffer for up to `limit` octets. It holds no memory before the first is written.
    pub fn new(limit: usize) -> SendBuffer {
        SendBuffer { limit }
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
        0
    }

    /// Is everything acknowledged?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets that can be written.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    /// Takes what fits of `data`, and tells how many octets that were.
    pub fn write(&mut self, _data: &[u8]) -> usize {
        0
    }

    /// Copies octets for a segment, from the `offset`th after SND.UNA on, and tells how many there were.
    pub fn copy(&self, _offset: usize, _segment: &mut [u8]) -> usize {
        0
    }

    /// The peer has the first `octets`: SND.UNA moves on. More than there are empty the buffer.
    pub fn acknowledge(&mut self, _octets: usize) {}

    /// Nothing of it is needed any more.
    pub fn clear(&mut self) {}

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        0
    }
}
