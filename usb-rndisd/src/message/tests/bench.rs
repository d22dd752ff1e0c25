//! Messages as a device makes them, and a stream that is pushed piece by piece.

use crate::counters::Counter;
use crate::message::packet::{HEADER_LENGTH, Header};
use crate::message::{ReceiveLimits, Stream, Transfer};

pub(super) const LIMITS: ReceiveLimits = ReceiveLimits {
    max_transfer: 2048,
    max_frame: 1518,
    max_packets: 16,
};

/// A frame that is like no other number's of this length.
pub(super) fn frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..length)
        .map(|at| (at as u32 ^ number) as u8 | 2)
        .collect();
    let end = frame.len().min(10);
    frame[6..end].copy_from_slice(&(number | 0x0202_0202).to_be_bytes()[..end - 6]);
    frame
}

/// A neighbour advertisement (RFC 4861, 4.4) of fe80::2 to fe80::1, with the target's link-layer
/// address.
pub(super) fn neighbour_advertisement() -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend([
        0x52, 0x54, 0, 0x12, 0x34, 0x57, 0x52, 0x56, 0, 0, 0, 2, 0x86, 0xdd,
    ]);
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend([136, 0, 0x3b, 0x5c, 0xe0, 0, 0, 0]);
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend([2, 1, 0x52, 0x56, 0, 0, 0, 2]);
    frame
}

/// A message with `header` and then `frame`.
pub(super) fn message_with(header: Header, frame: &[u8]) -> Vec<u8> {
    let mut message = vec![0; HEADER_LENGTH];
    assert!(header.write(&mut message));
    message.extend_from_slice(frame);
    message
}

/// The message of a frame, with nothing behind it.
pub(super) fn message(frame: &[u8]) -> Vec<u8> {
    message_with(Header::of_frame(frame.len(), 0), frame)
}

/// The message of a frame with `padding` zero bytes behind it.
pub(super) fn padded(frame: &[u8], padding: usize) -> Vec<u8> {
    let mut message = message_with(Header::of_frame(frame.len(), padding), frame);
    message.resize(message.len() + padding, 0);
    message
}

/// A stream under test.
pub(super) struct Bench {
    pub(super) stream: Stream,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            stream: Stream::new(LIMITS),
        }
    }

    /// A read brought `bytes`; the frames that this made.
    pub(super) fn read(&mut self, bytes: &[u8], transfer: Transfer) -> Vec<Vec<u8>> {
        let room = self.stream.room();
        assert!(
            room.len() >= LIMITS.max_transfer,
            "{} bytes of room for the next transfer",
            room.len()
        );
        room[..bytes.len()].copy_from_slice(bytes);
        self.stream.filled(bytes.len(), transfer);
        self.take()
    }

    /// A whole transfer in one read.
    pub(super) fn transfer(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.read(bytes, Transfer::Ended)
    }

    /// A transfer in reads of `size` bytes. The last is told from the others only when it is
    /// shorter.
    pub(super) fn in_reads_of(&mut self, size: usize, transfer: &[u8]) -> Vec<Vec<u8>> {
        transfer
            .chunks(size)
            .flat_map(|read| {
                let ended = if read.len() < size {
                    Transfer::Ended
                } else {
                    Transfer::GoesOn
                };
                self.read(read, ended)
            })
            .collect()
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.stream.counters().get(counter)
    }

    /// Every reason to drop a message that was counted, with its number.
    pub(super) fn drops(&self) -> Vec<(&'static str, u64)> {
        Counter::ALL
            .iter()
            .filter(|counter| counter.name().starts_with("rx_drop"))
            .map(|&counter| (counter.name(), self.count(counter)))
            .filter(|&(_, number)| number > 0)
            .collect()
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while self.stream.is_ready() {
            frames.extend(self.stream.next_frame().map(<[u8]>::to_vec));
        }
        assert_eq!(self.stream.next_frame(), None);
        frames
    }
}

/// Numbers that look random and are the same every time (xorshift64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
