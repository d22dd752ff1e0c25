//! Received frames: from the device's buffers to whoever reads, and the buffers back.

use core::ops::Deref;

use netscheme::frame::{ETHERNET_HEADER, FrameSource};
use virtio_core::{Buffer, Chain, Doorbell, Pool, PostError, SplitQueue, Used};

use crate::counters::{Counter, Counters};
use crate::header::{HEADER_LENGTH, Header};

/// Buffers given back that are shown to the device together, at most: it neither waits for the end
/// of a burst nor is told of each.
const PUBLISH_BATCH: u16 = 32;

/// How often in a row the device may fill its buffers with frames of no use before it is taken for
/// broken: a driver that tried for ever would hang.
const MOST_USELESS_ROUNDS: u32 = 64;

/// The receive half of the adapter.
///
/// All buffers of the pool are the device's, but for those of frames that are lent. The used ring
/// is the queue of frames that wait: when nobody reads, the device runs out of buffers and drops
/// what it cannot place, which costs nothing here.
#[derive(Debug)]
pub struct Receive {
    pool: Pool,
    queue: SplitQueue,
    doorbell: Doorbell,
    /// The oldest frame that waits, found and found good.
    next: Option<Used>,
    /// The device gives useless frames faster than they can be dropped.
    is_flooded: bool,
    counters: Counters,
}

impl Receive {
    /// The half over a queue of a running device that has all buffers of `pool`; see [`fill`].
    pub(crate) fn new(pool: Pool, queue: SplitQueue, doorbell: Doorbell) -> Self {
        let mut receive = Self {
            pool,
            queue,
            doorbell,
            next: None,
            is_flooded: false,
            counters: Counters::default(),
        };
        receive.publish();
        receive
    }

    /// Goes on with the same counters over the queue of the device's next life.
    pub(crate) fn renew(&mut self, pool: Pool, queue: SplitQueue, doorbell: Doorbell) {
        let counters = core::mem::take(&mut self.counters);
        *self = Self {
            counters,
            ..Self::new(pool, queue, doorbell)
        };
    }

    /// Whether a frame waits. Those of no use are dropped on the way, and their buffers shown to
    /// the device at the next [`Receive::publish`]: so there is an end to them, whatever the device
    /// does.
    pub fn is_ready(&mut self) -> bool {
        while self.next.is_none() {
            // A fault is kept by the queue, where the adapter finds it.
            let Ok(Some(used)) = self.queue.take() else {
                return false;
            };
            match check(&used, &mut self.counters) {
                Ok(()) => self.next = Some(used),
                Err(reason) => {
                    self.counters.count(reason);
                    self.post(used.chain.into_buffer());
                }
            }
        }
        true
    }

    /// Shows the device all buffers that were given back, and rings if it asked for that.
    pub fn publish(&mut self) {
        if self.doorbell.publish(&mut self.queue) {
            self.counters.count(Counter::RxDoorbells);
        }
    }

    /// Asks for an interrupt at the next frame, and looks again: true when one waits already. Sleep
    /// only after false.
    pub fn arm(&mut self) -> bool {
        for _ in 0..MOST_USELESS_ROUNDS {
            self.publish();
            // A frame that waits for a reader needs no interrupt: its reader knows.
            if self.next.is_some() {
                return true;
            }
            if !self.queue.arm() {
                return false;
            }
            // What there is may all be of no use, and the interrupt was asked for before it: then
            // once more.
            if self.is_ready() {
                return true;
            }
        }
        self.is_flooded = true;
        false
    }

    /// Asks for no interrupts.
    pub fn disarm(&mut self) {
        self.queue.disarm();
    }

    /// What is wrong with the device, as far as this half can tell.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.queue.fault() {
            Some(fault) => Some(format!("receive queue: {fault}")),
            None => self
                .is_flooded
                .then(|| "receive queue: nothing but useless frames".to_owned()),
        }
    }

    /// The device was reset: all buffers go back to the pool.
    pub(crate) fn retire(&mut self) {
        self.next = None;
        drop(self.queue.reclaim());
    }

    /// Buffers in all.
    #[must_use]
    pub fn ring_size(&self) -> usize {
        self.pool.count()
    }

    /// Buffers that the device has, or is to be shown next.
    #[must_use]
    pub fn posted(&self) -> usize {
        self.pool.posted()
    }

    /// Buffers of frames that wait or are lent. With [`Receive::posted`] they make
    /// [`Receive::ring_size`], or a buffer was lost.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pool
            .count()
            .saturating_sub(self.pool.free())
            .saturating_sub(self.pool.posted())
    }

    /// What happened to this half.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn post(&mut self, buffer: Buffer) {
        match self.queue.post(Chain::writable(buffer)) {
            Ok(()) => {}
            // The device broke the rules. The reset that follows posts everything anew.
            Err(refused) if refused.error == PostError::Broken => {}
            Err(_) => self.counters.count(Counter::RxNotReposted),
        }
    }

    fn give_back(&mut self, buffer: Buffer) {
        self.post(buffer);
        if self.queue.posted() >= PUBLISH_BATCH.min(self.queue.size() / 4) {
            self.publish();
        }
    }
}

/// Posts every buffer of `pool` to a queue that has room for them; how many that were. For a device
/// that does not run yet.
pub(crate) fn fill(pool: &Pool, queue: &mut SplitQueue) -> Result<usize, PostError> {
    let mut posted = 0_usize;
    while let Some(buffer) = pool.take() {
        queue
            .post(Chain::writable(buffer))
            .map_err(|refused| refused.error)?;
        posted = posted.saturating_add(1);
    }
    Ok(posted)
}

/// Whether the frame can be handed up, and the reason to drop it when not.
fn check(used: &Used, counters: &mut Counters) -> Result<(), Counter> {
    let (header, frame) = Header::split(used.written_bytes()).ok_or(Counter::RxShortOfHeader)?;
    if frame.len() < ETHERNET_HEADER {
        return Err(Counter::RxRunt);
    }
    if header.num_buffers != 1 {
        // virtio 5.1.6.4.1 wants 1 of the device even without MRG_RXBUF. Real ones send 0 or
        // rubbish, with a frame that is whole.
        counters.count(Counter::RxNumBuffersOdd);
    }
    header.check(frame.len())
}

/// A received frame, lent: its buffer goes back to the device when this is dropped.
#[derive(Debug)]
pub struct ReceivedFrame<'a> {
    receive: &'a mut Receive,
    used: Option<Used>,
}

impl Deref for ReceivedFrame<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let written = self.used.as_ref().map_or(&[][..], Used::written_bytes);
        written.get(HEADER_LENGTH..).unwrap_or_default()
    }
}

impl Drop for ReceivedFrame<'_> {
    fn drop(&mut self) {
        if let Some(used) = self.used.take() {
            self.receive.give_back(used.chain.into_buffer());
        }
    }
}

impl FrameSource for Receive {
    type Frame<'a> = ReceivedFrame<'a>;

    fn next_frame(&mut self) -> Option<ReceivedFrame<'_>> {
        if !self.is_ready() {
            return None;
        }
        let frame = ReceivedFrame {
            used: self.next.take(),
            receive: self,
        };
        let length = frame.len() as u64;
        frame.receive.counters.count(Counter::RxFrames);
        frame.receive.counters.add(Counter::RxBytes, length);
        Some(frame)
    }
}
