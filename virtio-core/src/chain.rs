//! Chains of buffers: what is posted to a queue and what comes back.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::dma::Buffer;
use crate::space::SpaceId;

/// One buffer of a chain, and which of its bytes the device gets.
#[derive(Debug)]
pub struct Part {
    /// The buffer.
    pub buffer: Buffer,
    /// The bytes of the buffer that are meant.
    pub range: Range<usize>,
    /// The device writes them; otherwise it reads them.
    pub writable: bool,
}

impl Part {
    fn device_readable(buffer: Buffer, range: Range<usize>) -> Self {
        Self {
            buffer,
            range,
            writable: false,
        }
    }

    fn device_writable(buffer: Buffer, range: Range<usize>) -> Self {
        Self {
            buffer,
            range,
            writable: true,
        }
    }
}

/// A chain of buffers: what the device reads first, then what it writes (virtio 2.7.4.2). A chain of one buffer needs
/// no memory of its own.
#[derive(Debug)]
pub struct Chain {
    first: Part,
    rest: Vec<Part>,
}

impl Chain {
    /// A chain that starts with `range` of a buffer for the device to read.
    pub fn readable(buffer: Buffer, range: Range<usize>) -> Self {
        Self {
            first: Part::device_readable(buffer, range),
            rest: Vec::new(),
        }
    }

    /// A chain that starts with a whole buffer for the device to write.
    pub fn writable(buffer: Buffer) -> Self {
        let range = 0..buffer.length();
        Self {
            first: Part::device_writable(buffer, range),
            rest: Vec::new(),
        }
    }

    /// The chain and another range for the device to read.
    #[must_use]
    pub fn then_readable(mut self, buffer: Buffer, range: Range<usize>) -> Self {
        self.rest.push(Part::device_readable(buffer, range));
        self
    }

    /// The chain and another whole buffer for the device to write.
    #[must_use]
    pub fn then_writable(mut self, buffer: Buffer) -> Self {
        let range = 0..buffer.length();
        self.rest.push(Part::device_writable(buffer, range));
        self
    }

    /// The parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        core::iter::once(&self.first).chain(&self.rest)
    }

    /// The parts, in order, with their buffers.
    pub fn into_parts(self) -> impl Iterator<Item = Part> {
        core::iter::once(self.first).chain(self.rest)
    }

    /// The first buffer, the only one of most chains. Others go back to their pools.
    pub fn into_buffer(self) -> Buffer {
        self.first.buffer
    }

    pub(crate) fn length(&self) -> usize {
        self.rest.len().saturating_add(1)
    }

    /// Bytes that the device may write, or what is wrong with the chain.
    pub(crate) fn check(&self, space: SpaceId) -> Result<u32, PostError> {
        let mut writable: u64 = 0;
        let mut readable: u64 = 0;
        for part in self.parts() {
            let length = part.range.end.saturating_sub(part.range.start) as u64;
            if length == 0 || part.range.end > part.buffer.length() {
                return Err(PostError::BadRange);
            }
            if part.buffer.space() != space {
                return Err(PostError::ForeignBuffer);
            }
            // virtio 2.7.4.2: "The driver MUST place any device-writable descriptor elements after any device-readable".
            match part.writable {
                true => writable = writable.saturating_add(length),
                false if writable > 0 => return Err(PostError::ReadableAfterWritable),
                false => readable = readable.saturating_add(length),
            }
        }
        // virtio 2.7.5.2: a chain of more than 2^32 bytes in total must not be.
        let total = writable.saturating_add(readable);
        u32::try_from(total).map_err(|_| PostError::BadRange)?;
        u32::try_from(writable).map_err(|_| PostError::BadRange)
    }
}

/// A chain that the device has used.
#[derive(Debug)]
pub struct Used {
    /// The chain as it was posted.
    pub chain: Chain,
    /// Bytes that the device wrote, from the first writable byte on: never more than the chain has room for. What lies
    /// behind is left over from earlier use.
    pub written: u32,
}

impl Used {
    /// The bytes that the device wrote into the first part of the chain; empty if that part was to be read.
    pub fn written_bytes(&self) -> &[u8] {
        let part = &self.chain.first;
        if !part.writable {
            return &[];
        }
        let written = (self.written as usize).min(part.range.end.saturating_sub(part.range.start));
        let end = part.range.start.saturating_add(written);
        part.buffer
            .bytes()
            .get(part.range.start..end)
            .unwrap_or(&[])
    }
}

/// Why a chain was not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostError {
    /// Not enough free descriptors now: take used chains first.
    Full,
    /// The chain is longer than the queue and its indirect tables can hold.
    TooLong,
    /// A part is empty, or reaches beyond its buffer, or the whole beyond 2^32 bytes.
    BadRange,
    /// A part for the device to read comes after one for it to write.
    ReadableAfterWritable,
    /// A buffer is not of the memory of this queue's device.
    ForeignBuffer,
    /// A buffer is marked as posted already: the audit caught a defect of this crate.
    PostedTwice,
    /// The device has broken the rules, or its life is over: it must be reset and the queue made anew.
    Broken,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::TooLong => "the chain is longer than the queue allows",
            Self::BadRange => "a part of the chain is empty or outside its buffer",
            Self::ReadableAfterWritable => "a device-readable part after a device-writable one",
            Self::ForeignBuffer => "a buffer from the memory of another device",
            Self::PostedTwice => "a buffer that is posted already",
            Self::Broken => "the device must be reset first",
        })
    }
}

impl core::error::Error for PostError {}

/// A chain that was not posted, and why.
#[derive(Debug)]
pub struct Refused {
    /// The chain, unharmed.
    pub chain: Chain,
    /// Why.
    pub error: PostError,
}
