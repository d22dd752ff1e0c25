//! Frames to send: written into a buffer of the ring, handed over in batches, never waited for.

use core::ops::{Deref, DerefMut};

use netscheme::frame::{FrameSink, Slot};
use virtio_core::{Buffer, Chain, Doorbell, Pool, PostError, SplitQueue};

use crate::counters::{Counter, Counters};
use crate::header::{HEADER_LENGTH, PLAIN};

/// The transmit half of the adapter.
///
/// A buffer that the device has sent stays in the ring until its room is needed, and no interrupt
/// tells of it. Only when all are in use is the device asked to ring once half of them are done;
/// until then there is no slot, and whoever wants to write waits.
#[derive(Debug)]
pub struct Transmit {
    pool: Pool,
    queue: SplitQueue,
    doorbell: Doorbell,
    /// The longest frame, in bytes from the destination address on.
    capacity: usize,
    counters: Counters,
}

impl Transmit {
    /// The half over an empty queue of a running device. `capacity` is the longest frame; the
    /// buffers of `pool` have room for it and a header.
    pub(crate) fn new(pool: Pool, queue: SplitQueue, doorbell: Doorbell, capacity: usize) -> Self {
        Self {
            pool,
            queue,
            doorbell,
            capacity,
            counters: Counters::default(),
        }
    }

    /// Goes on with the same counters over the queue of the device's next life.
    pub(crate) fn renew(
        &mut self,
        pool: Pool,
        queue: SplitQueue,
        doorbell: Doorbell,
        capacity: usize,
    ) {
        let counters = core::mem::take(&mut self.counters);
        *self = Self {
            counters,
            ..Self::new(pool, queue, doorbell, capacity)
        };
    }

    /// Whether there is room for a frame. When there is not, the device has been asked to ring when
    /// there is.
    pub fn is_ready(&mut self) -> bool {
        self.pool.free() > 0 || self.make_room()
    }

    /// Takes back what the device has sent; how many frames that were.
    pub fn reap(&mut self) -> usize {
        let mut reaped = 0_usize;
        // A fault is kept by the queue, where `fault` finds it.
        while let Ok(Some(_sent)) = self.queue.take() {
            reaped = reaped.saturating_add(1);
        }
        reaped
    }

    /// Asks for no interrupts.
    pub fn disarm(&mut self) {
        self.queue.disarm();
    }

    /// What is wrong with the device, as far as this half can tell.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.queue
            .fault()
            .map(|fault| format!("transmit queue: {fault}"))
    }

    /// The device was reset: all buffers go back to the pool. What it had sent is taken from what
    /// it had.
    pub(crate) fn retire(&mut self) {
        self.reap();
        let lost = self.queue.reclaim().unwrap_or_default().len();
        self.counters.add(Counter::TxLostInReset, lost as u64);
    }

    /// Buffers in all.
    #[must_use]
    pub fn ring_size(&self) -> usize {
        self.pool.count()
    }

    /// Buffers that the device has, or has sent and were not needed since, or is to be shown next.
    #[must_use]
    pub fn posted(&self) -> usize {
        self.pool.posted()
    }

    /// Buffers that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// What happened to this half.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn buffer(&mut self) -> Option<Buffer> {
        if let Some(buffer) = self.pool.take() {
            return Some(buffer);
        }
        self.make_room();
        self.pool.take()
    }

    /// Takes back what was sent, and asks for an interrupt if that was nothing.
    fn make_room(&mut self) -> bool {
        if self.reap() > 0 {
            return true;
        }
        // What the device was never shown it would never finish.
        self.flush();
        let half = self.queue.size() / 2;
        if self.queue.arm_after(half) {
            self.queue.disarm();
            self.reap();
        }
        self.pool.free() > 0
    }
}

/// Room for one frame in the transmit ring.
#[derive(Debug)]
pub struct TransmitSlot<'a> {
    transmit: &'a mut Transmit,
    buffer: Buffer,
    length: usize,
}

impl TransmitSlot<'_> {
    fn end(&self) -> usize {
        HEADER_LENGTH.saturating_add(self.length)
    }
}

impl Deref for TransmitSlot<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer
            .bytes()
            .get(HEADER_LENGTH..self.end())
            .unwrap_or_default()
    }
}

impl DerefMut for TransmitSlot<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let end = self.end();
        self.buffer
            .bytes_mut()
            .get_mut(HEADER_LENGTH..end)
            .unwrap_or_default()
    }
}

impl Slot for TransmitSlot<'_> {
    fn commit(mut self) {
        let end = self.end();
        if let Some(header) = self.buffer.bytes_mut().first_chunk_mut() {
            *header = PLAIN;
        }
        let Self {
            transmit,
            buffer,
            length,
        } = self;
        match transmit.queue.post(Chain::readable(buffer, 0..end)) {
            Ok(()) => {
                transmit.counters.count(Counter::TxFrames);
                transmit.counters.add(Counter::TxBytes, length as u64);
            }
            // The device broke the rules; the frame is lost as those are that it had.
            Err(refused) if refused.error == PostError::Broken => {
                transmit.counters.count(Counter::TxLostInReset)
            }
            Err(_) => transmit.counters.count(Counter::TxNotPosted),
        }
    }
}

impl FrameSink for Transmit {
    type Slot<'a> = TransmitSlot<'a>;

    fn slot(&mut self, length: usize) -> Option<TransmitSlot<'_>> {
        if length > self.capacity {
            return None;
        }
        if let Some(buffer) = self.buffer() {
            return Some(TransmitSlot {
                transmit: self,
                buffer,
                length,
            });
        }
        self.counters.count(Counter::TxFull);
        None
    }

    fn flush(&mut self) {
        if self.doorbell.publish(&mut self.queue) {
            self.counters.count(Counter::TxDoorbells);
        }
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}
