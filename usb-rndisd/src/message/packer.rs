//! Frames to send, packed into a bulk-OUT transfer where it is to be.
//!
//! Padding lies within the message before it, and its MessageLength says so: between messages for
//! PacketAlignmentFactor, and one byte behind the last where the transfer would end on a packet
//! boundary of the endpoint and so need a zero-length packet behind it (USB 2.0, 5.8.3). A byte that
//! no MessageLength counts would be the beginning of the next message for a device that, like
//! QEMU's usb-net, takes the transfers for a stream of bytes.

use core::ops::DerefMut;

use super::packet::{HEADER_LENGTH, Header, set_message_length};
use crate::counters::{Counter, Counters};

/// What was agreed on for the way to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransmitLimits {
    /// MaxTransferSize of INITIALIZE_CMPLT: bytes of a transfer at most.
    pub max_transfer: usize,
    /// MaxPacketsPerTransfer: messages in a transfer at most. One is always allowed.
    pub max_packets: u32,
    /// What each message's place in the transfer is a multiple of, in bytes: 2 to the power of
    /// PacketAlignmentFactor.
    pub alignment: usize,
    /// wMaxPacketSize of the bulk-OUT endpoint, in bytes.
    pub packet_size: usize,
}

impl TransmitLimits {
    /// The longest frame that a transfer takes, in bytes from the destination address on.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.max_transfer.saturating_sub(HEADER_LENGTH)
    }
}

/// A message's place in the transfer, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Message {
    start: usize,
    frame: usize,
}

impl Message {
    fn end(self) -> usize {
        self.start
            .saturating_add(HEADER_LENGTH)
            .saturating_add(self.frame)
    }
}

/// Packs frames into one transfer after the other.
#[derive(Debug)]
pub struct Packer<B> {
    buffer: B,
    limits: TransmitLimits,
    /// The last message of the transfer.
    last: Option<Message>,
    packets: u32,
    /// Room that was given for a frame.
    slot: Option<Message>,
    /// The transfer's bytes.
    length: usize,
    counters: Counters,
}

impl<B: DerefMut<Target = [u8]>> Packer<B> {
    /// Packs into `buffer`, of which no transfer takes more than `limits` allow.
    pub fn new(buffer: B, limits: TransmitLimits) -> Self {
        Self {
            buffer,
            limits,
            last: None,
            packets: 0,
            slot: None,
            length: 0,
            counters: Counters::default(),
        }
    }

    /// Room for a frame of `length` bytes, its contents not defined. `None` when there is none in
    /// this transfer, or in any: [`Packer::capacity`] tells the two apart. A slot that was not
    /// [committed](Packer::commit) is forgotten.
    pub fn slot(&mut self, length: usize) -> Option<&mut [u8]> {
        self.slot = None;
        if self.packets >= self.limits.max_packets.max(1) {
            return None;
        }
        let start = self
            .length
            .checked_next_multiple_of(self.limits.alignment.max(1))?;
        let message = Message {
            start,
            frame: length,
        };
        let frame = start.checked_add(HEADER_LENGTH)?;
        let end = frame.checked_add(length)?;
        if end > self.size() {
            return None;
        }
        let slot = self.buffer.get_mut(frame..end)?;
        self.slot = Some(message);
        Some(slot)
    }

    /// The frame in the last slot is written: it belongs to the transfer.
    pub fn commit(&mut self) {
        let Some(message) = self.slot.take() else {
            return;
        };
        self.pad(message.start);
        if let Some(bytes) = self.buffer.get_mut(message.start..) {
            Header::of_frame(message.frame, 0).write(bytes);
        }
        self.length = message.end();
        self.last = Some(message);
        self.packets = self.packets.saturating_add(1);
        self.counters.count(Counter::TxFrames);
        self.counters.add(Counter::TxBytes, message.frame as u64);
    }

    /// The bytes of the transfer, ready to be sent; call it once, then [`Packer::clear`].
    pub fn finish(&mut self) -> &[u8] {
        self.slot = None;
        let ends_on_a_boundary = self.length.checked_rem(self.limits.packet_size) == Some(0);
        // A transfer of the largest size fills what the device waits for, and so needs no end.
        if self.last.is_some() && ends_on_a_boundary && self.length < self.size() {
            self.pad(self.length.saturating_add(1));
        }
        if self.last.is_some() {
            self.counters.count(Counter::TxTransfers);
        }
        self.bytes()
    }

    /// The bytes of the transfer, after [`Packer::finish`].
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Begins the next transfer.
    pub fn clear(&mut self) {
        self.last = None;
        self.packets = 0;
        self.slot = None;
        self.length = 0;
    }

    /// Whether no frame was committed since the last [`Packer::clear`].
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Frames in the transfer.
    pub fn packets(&self) -> u32 {
        self.packets
    }

    /// The longest frame that an empty transfer takes, in bytes from the destination address on.
    pub fn capacity(&self) -> usize {
        self.size().saturating_sub(HEADER_LENGTH)
    }

    /// What was packed.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes of a transfer at most.
    fn size(&self) -> usize {
        self.limits.max_transfer.min(self.buffer.len())
    }

    /// Makes the last message longer, up to `end`. What stood in the buffer there is nobody's
    /// business.
    fn pad(&mut self, end: usize) {
        let Some(last) = self.last else {
            return;
        };
        if let Some(padding) = self.buffer.get_mut(self.length..end) {
            self.counters
                .add(Counter::TxPaddingBytes, padding.len() as u64);
            padding.fill(0);
        }
        if let Some(bytes) = self.buffer.get_mut(last.start..) {
            set_message_length(bytes, end.saturating_sub(last.start));
        }
        self.length = end;
    }
}
