//! The sending half of an adapter.

use core::ops::{Deref, DerefMut};
use std::collections::VecDeque;
use std::sync::Arc;

use libredox::Fd;
use syscall::error::{EAGAIN, EWOULDBLOCK, Error};
use syscall::flag::EventFlags;

use super::buffer::Buffer;
use super::{Framing, is_fatal, write};
use crate::frame::{FrameSink, Slot};
use crate::network::bundle;
use crate::reactor::Watcher;

/// Frames that wait for the driver at most.
const QUEUE_LIMIT: usize = 256;

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

/// The way through a pipe.
struct Pipe {
    /// Frames that were taken from the queue for one write.
    bundle: Buffer,
    /// Bytes of it that are written.
    written: usize,
    /// Who is told, and under which token, when a full pipe has room again.
    wake: Option<(Watcher, usize)>,
}

/// Frames to the driver: a bounded queue of buffers.
pub struct Transmitter {
    data: Arc<Fd>,
    capacity: usize,
    /// None where each frame is a write of its own.
    pipe: Option<Pipe>,
    queue: VecDeque<Buffer>,
    free: Vec<Buffer>,
    /// The driver has no room; an event comes when it has.
    blocked: bool,
    counters: TransmitCounters,
    failure: Option<Error>,
}

impl Transmitter {
    pub(super) fn new(data: Arc<Fd>, framing: Framing, capacity: usize) -> Self {
        let pipe = (framing == Framing::Pipe).then(|| Pipe {
            bundle: Buffer::for_pipe(),
            written: 0,
            wake: None,
        });
        Self {
            data,
            capacity,
            pipe,
            queue: VecDeque::new(),
            free: Vec::new(),
            blocked: false,
            counters: TransmitCounters::default(),
            failure: None,
        }
    }

    /// An event of `watcher` under `token` says `EVENT_WRITE` when the driver has room again after it had none; then
    /// call [`Transmitter::on_writable`].
    pub fn wake(&mut self, watcher: Watcher, token: usize) {
        if let Some(pipe) = &mut self.pipe {
            pipe.wake = Some((watcher, token));
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

    /// The driver has room: sends what waited for it.
    pub fn on_writable(&mut self) {
        if core::mem::take(&mut self.blocked)
            && let Some(Pipe { wake: Some((watcher, token)), .. }) = &self.pipe
            // An event for nothing is all that comes of it when this fails.
            && let Err(error) = watcher.unwatch(self.data.raw(), *token)
        {
            log::debug!("a pipe is watched on: {error}");
        }
        self.flush();
    }

    /// There was no room. Events tell of room in a pipe only while somebody waits for it: each read of the driver would
    /// be one.
    fn wait_for_room(&mut self) {
        self.blocked = true;
        if let Some(Pipe {
            wake: Some((watcher, token)),
            ..
        }) = &self.pipe
            && let Err(error) = watcher.watch(self.data.raw(), *token, EventFlags::EVENT_WRITE)
        {
            self.fail(error);
        }
    }

    /// Writes what is at the head of the queue, in one call. False when nothing is left.
    fn write_some(&mut self) -> Result<bool, Error> {
        let Some(pipe) = &mut self.pipe else {
            let Some(buffer) = self.queue.front() else {
                return Ok(false);
            };
            write(self.data.raw(), buffer.frame())?;
            self.free.extend(self.queue.pop_front());
            return Ok(true);
        };
        if pipe.written == pipe.bundle.length {
            (pipe.written, pipe.bundle.length) = (0, 0);
            while let Some(buffer) = self.queue.front() {
                let used = pipe.bundle.length;
                let room = pipe.bundle.all().get_mut(used..).unwrap_or_default();
                let Some(size) = bundle::put(room, buffer.frame()) else {
                    break;
                };
                pipe.bundle.length += size;
                self.free.extend(self.queue.pop_front());
            }
        }
        match pipe.bundle.frame().get(pipe.written..) {
            None | Some([]) => Ok(false),
            Some(bytes) => {
                pipe.written += write(self.data.raw(), bytes)?;
                Ok(true)
            }
        }
    }

    fn fail(&mut self, error: Error) {
        self.failure = Some(error);
        self.counters.tx_driver_gone += self.queue.len() as u64;
        self.free.extend(self.queue.drain(..));
        if let Some(pipe) = &mut self.pipe {
            self.counters.tx_driver_gone += pipe.forget();
        }
    }
}

impl Pipe {
    /// Forgets what was not written; how many frames of it did not get through whole.
    fn forget(&mut self) -> u64 {
        let (mut at, mut lost) = (0, 0);
        while let Some((frame, _)) = self.bundle.frame().get(at..).and_then(bundle::take) {
            at += bundle::size(frame.len());
            lost += u64::from(at > self.written);
        }
        (self.written, self.bundle.length) = (0, 0);
        lost
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
        while !self.blocked && self.failure.is_none() {
            match self.write_some() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Error {
                    errno: EAGAIN | EWOULDBLOCK,
                }) => self.wait_for_room(),
                Err(error) if is_fatal(error) || self.pipe.is_some() => self.fail(error),
                Err(_) => {
                    self.counters.tx_refused += 1;
                    self.free.extend(self.queue.pop_front());
                }
            }
        }
    }

    fn capacity(&self) -> usize {
        self.capacity
    }
}
