//! The receiving half of an adapter.

use core::ops::Deref;
use std::sync::Arc;

use libredox::Fd;
use syscall::error::{EAGAIN, ENODEV, EWOULDBLOCK, Error};

use super::buffer::Buffer;
use super::{Framing, is_fatal, read};
use crate::frame::FrameSource;
use crate::network::bundle;

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
            buffer: framing.buffer(capacity),
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

    /// Reads what fits behind what was not handed on. False when nothing waits, or the driver is gone.
    fn fill(&mut self) -> bool {
        self.buffer.keep_from(self.taken);
        self.taken = 0;
        let held = self.buffer.length;
        let room = self.buffer.all().get_mut(held..).unwrap_or_default();
        match read(self.data.raw(), room) {
            // The other end of the pipe was closed.
            Ok(0) if self.framing == Framing::Pipe => {
                self.failure = Some(Error::new(ENODEV));
                false
            }
            Ok(length) => {
                self.buffer.length = held.saturating_add(length);
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

    /// What was read and not handed on.
    fn waiting(&self) -> &[u8] {
        self.buffer.frame().get(self.taken..).unwrap_or_default()
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
            self.taken = self.buffer.length;
            return self.fill().then(|| Received(self.buffer.frame()));
        }
        // A part of a frame waits for the rest of it.
        while bundle::take(self.waiting()).is_none() {
            if !self.fill() {
                return None;
            }
        }
        let at = self.taken;
        let length = bundle::take(self.waiting()).map(|(frame, _)| frame.len())?;
        self.taken = at.saturating_add(bundle::size(length));
        let (frame, _) = self.buffer.frame().get(at..).and_then(bundle::take)?;
        Some(Received(frame))
    }
}
