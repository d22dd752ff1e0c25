//! The two halves of an adapter: frames from the driver, frames to the driver.

use core::ops::{Deref, DerefMut};
use std::collections::VecDeque;
use std::sync::Arc;

use libredox::Fd;
use syscall::error::{EAGAIN, EBADF, EINTR, ENODEV, EWOULDBLOCK, Error};

use crate::frame::{FrameSink, FrameSource, Slot};
use crate::network::bundle;

/// Frames that wait for the driver at most.
const QUEUE_LIMIT: usize = 256;

/// What a read or a write of the data file carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One frame: upstream's drivers.
    One,
    /// As many as fit ([`bundle`]).
    Bundle,
}

impl Framing {
    /// The buffer for frames of at most `capacity` bytes.
    fn room(self, capacity: usize) -> usize {
        match self {
            Framing::One => capacity,
            Framing::Bundle => size_of::<Pages>(),
        }
    }
}

/// Room for one frame. Whole pages on page boundaries: for a read, the kernel lends those to the
/// driver instead of copying them.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// Room for the frame of the largest MTU there is.
#[repr(align(4096))]
struct Pages([u8; 17 * 4096]);

/// A buffer and the length of the frame in it.
struct Buffer {
    memory: Memory,
    length: usize,
}

enum Memory {
    Page(Box<Page>),
    Pages(Box<Pages>),
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        let memory = match capacity {
            ..=4096 => Memory::Page(Box::new(Page([0; _]))),
            _ => Memory::Pages(Box::new(Pages([0; _]))),
        };
        Self { memory, length: 0 }
    }

    fn all(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Page(page) => &mut page.0,
            Memory::Pages(pages) => &mut pages.0,
        }
    }

    fn frame(&self) -> &[u8] {
        let all: &[u8] = match &self.memory {
            Memory::Page(page) => &page.0,
            Memory::Pages(pages) => &pages.0,
        };
        all.get(..self.length).unwrap_or_default()
    }
}

/// Frames from the driver.
pub struct Receiver {
    data: Arc<Fd>,
    framing: Framing,
    buffer: Buffer,
    /// What of the buffer was handed on.
    taken: usize,
    errors: u64,
    failure: Option<Error>,
}

impl Receiver {
    pub(super) fn new(data: Arc<Fd>, framing: Framing, capacity: usize) -> Self {
        Self {
            data,
            framing,
            buffer: Buffer::new(framing.room(capacity)),
            taken: 0,
            errors: 0,
            failure: None,
        }
    }

    /// Reads that failed.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The error by which the driver showed that it is gone, if it did: the adapter is of no more use.
    pub fn failure(&self) -> Option<Error> {
        self.failure
    }

    /// Reads what fits. False when nothing waits, or the driver is gone.
    fn fill(&mut self) -> bool {
        self.taken = 0;
        self.buffer.length = 0;
        match read(self.data.raw(), self.buffer.all()) {
            Ok(length) => {
                self.buffer.length = length;
                true
            }
            Err(Error {
                errno: EAGAIN | EWOULDBLOCK,
            }) => false,
            Err(error) => {
                self.errors += 1;
                self.failure = is_fatal(error).then_some(error).or(self.failure);
                false
            }
        }
    }
}

/// A received frame.
pub struct Received<'a>(&'a [u8]);

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl FrameSource for Receiver {
    type Frame<'a> = Received<'a>;

    fn next_frame(&mut self) -> Option<Received<'_>> {
        if self.framing == Framing::One {
            return self.fill().then(|| Received(self.buffer.frame()));
        }
        let waits = |bytes: &[u8], taken| bytes.get(taken..).and_then(bundle::take).is_some();
        if !waits(self.buffer.frame(), self.taken) && !self.fill() {
            return None;
        }
        let (frame, _) = self
            .buffer
            .frame()
            .get(self.taken..)
            .and_then(bundle::take)?;
        self.taken += bundle::size(frame.len());
        Some(Received(frame))
    }
}

/// What a transmit side drops or refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransmitCounters {
    /// Slots refused because the queue was full.
    pub tx_queue_full: u64,
    /// Frames that the driver refused.
    pub tx_refused: u64,
    /// Frames lost because the driver is gone.
    pub tx_driver_gone: u64,
}

/// Frames to the driver: a bounded queue of buffers.
pub struct Transmitter {
    data: Arc<Fd>,
    capacity: usize,
    /// Where the frames of one write are gathered.
    bundle: Option<Buffer>,
    queue: VecDeque<Buffer>,
    free: Vec<Buffer>,
    /// The driver has no room; an event comes when it has.
    blocked: bool,
    counters: TransmitCounters,
    failure: Option<Error>,
}

impl Transmitter {
    pub(super) fn new(data: Arc<Fd>, framing: Framing, capacity: usize) -> Self {
        let bundle = (framing == Framing::Bundle).then(|| Buffer::new(framing.room(capacity)));
        Self {
            data,
            capacity,
            bundle,
            queue: VecDeque::new(),
            free: Vec::new(),
            blocked: false,
            counters: TransmitCounters::default(),
            failure: None,
        }
    }

    /// Frames that wait for the driver.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is room for a frame.
    pub fn has_room(&self) -> bool {
        self.queue.len() < QUEUE_LIMIT && self.failure.is_none()
    }

    /// What was dropped or refused.
    pub fn counters(&self) -> TransmitCounters {
        self.counters
    }

    /// The error by which the driver showed that it is gone, if it did: the adapter is of no more use.
    pub fn failure(&self) -> Option<Error> {
        self.failure
    }

    /// The data file became writable: sends what waited for room.
    pub fn on_writable(&mut self) {
        self.blocked = false;
        self.flush();
    }

    /// Writes the frames at the head of the queue, in one call. Gives how many of them are done with.
    fn write_some(&mut self) -> Result<usize, Error> {
        let Some(bundle) = &mut self.bundle else {
            let Some(buffer) = self.queue.front() else {
                return Ok(0);
            };
            return write(self.data.raw(), buffer.frame()).map(|_| 1);
        };
        bundle.length = 0;
        for buffer in &self.queue {
            let used = bundle.length;
            let room = bundle.all().get_mut(used..).unwrap_or_default();
            let Some(size) = bundle::put(room, buffer.frame()) else {
                break;
            };
            bundle.length += size;
        }
        let written = write(self.data.raw(), bundle.frame())?;
        let mut frames = 0;
        let mut bytes = bundle.frame().get(..written).unwrap_or_default();
        while let Some((_, rest)) = bundle::take(bytes) {
            (bytes, frames) = (rest, frames + 1);
        }
        Ok(frames.max(1))
    }

    fn fail(&mut self, error: Error) {
        self.failure = Some(error);
        self.counters.tx_driver_gone += self.queue.len() as u64;
        self.free.extend(self.queue.drain(..));
    }
}

/// Room for a frame to the driver.
pub struct QueueSlot<'a> {
    transmitter: &'a mut Transmitter,
    /// Taken by commit, or by drop.
    buffer: Option<Buffer>,
}

impl Deref for QueueSlot<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.as_ref().map(Buffer::frame).unwrap_or_default()
    }
}

impl DerefMut for QueueSlot<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let Some(buffer) = &mut self.buffer else {
            return &mut [];
        };
        let length = buffer.length;
        buffer.all().get_mut(..length).unwrap_or_default()
    }
}

impl Slot for QueueSlot<'_> {
    fn commit(mut self) {
        self.transmitter.queue.extend(self.buffer.take());
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.transmitter.free.extend(self.buffer.take());
    }
}

impl FrameSink for Transmitter {
    type Slot<'a> = QueueSlot<'a>;

    fn slot(&mut self, length: usize) -> Option<QueueSlot<'_>> {
        if length > self.capacity || self.failure.is_some() {
            return None;
        }
        if self.queue.len() >= QUEUE_LIMIT && !self.blocked {
            // Nobody has handed these over yet, so no event will say that there is room again.
            self.flush();
        }
        if self.queue.len() >= QUEUE_LIMIT {
            self.counters.tx_queue_full += 1;
            return None;
        }
        let mut buffer = self
            .free
            .pop()
            .unwrap_or_else(|| Buffer::new(self.capacity));
        buffer.length = length;
        Some(QueueSlot {
            transmitter: self,
            buffer: Some(buffer),
        })
    }

    fn flush(&mut self) {
        while !self.blocked && !self.queue.is_empty() {
            let done = match self.write_some() {
                Ok(frames) => frames,
                Err(Error {
                    errno: EAGAIN | EWOULDBLOCK,
                }) => {
                    self.blocked = true;
                    return;
                }
                Err(error) if is_fatal(error) => return self.fail(error),
                Err(_) => {
                    self.counters.tx_refused += 1;
                    1
                }
            };
            let done = done.min(self.queue.len());
            self.free.extend(self.queue.drain(..done));
        }
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Whether `error` says that the driver is gone.
fn is_fatal(error: Error) -> bool {
    matches!(error.errno, ENODEV | EBADF)
}

pub(super) fn read(fd: usize, buffer: &mut [u8]) -> Result<usize, Error> {
    loop {
        match libredox::call::read(fd, buffer).map_err(Error::from) {
            Err(Error { errno: EINTR }) => {}
            result => return result,
        }
    }
}

fn write(fd: usize, buffer: &[u8]) -> Result<usize, Error> {
    loop {
        match libredox::call::write(fd, buffer).map_err(Error::from) {
            Err(Error { errno: EINTR }) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ETHERNET_HEADER, VLAN_TAG};

    #[test]
    fn every_mtu_has_room_for_its_frame() {
        for mtu in [68, 1500, 4078, 4079, 9000, u16::MAX] {
            let capacity = usize::from(mtu) + ETHERNET_HEADER + VLAN_TAG;
            let mut buffer = Buffer::new(capacity);
            assert!(buffer.all().len() >= capacity, "{mtu}");
            buffer.length = capacity;
            assert_eq!(buffer.frame().len(), capacity, "{mtu}");
        }
    }

    #[test]
    fn a_length_that_lies_is_no_frame() {
        let mut buffer = Buffer::new(1518);
        buffer.length = usize::MAX;
        assert_eq!(buffer.frame(), []);
    }
}
