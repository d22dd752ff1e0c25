//! REMOTE_NDIS_PACKET_MSG: what stands before a frame.

use core::ops::Range;

use netscheme::frame::ETHERNET_HEADER;

use super::bytes::{OFFSETS_FROM, part, put_u32, u32_at};
use super::stream::ReceiveLimits;
use crate::counters::Counter;

/// MessageType of this message.
pub const PACKET: u32 = 1;
/// Bytes before the frame, in a message with nothing but a frame.
pub const HEADER_LENGTH: usize = 44;

/// Where the fields are, in bytes from the message's first.
mod offset {
    pub(super) const TYPE: usize = 0;
    pub(super) const LENGTH: usize = 4;
    pub(super) const DATA: usize = 8;
    pub(super) const OUT_OF_BAND: usize = 16;
    pub(super) const OUT_OF_BAND_ELEMENTS: usize = 24;
    pub(super) const PACKET_INFO: usize = 28;
}

/// An offset, counted from the message's byte 8, and a length; both in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
}

impl Part {
    fn read(bytes: &[u8], offset: usize) -> Self {
        Self {
            offset: u32_at(bytes, offset),
            length: u32_at(bytes, offset.saturating_add(4)),
        }
    }

    fn write(self, bytes: &mut [u8], offset: usize) {
        put_u32(bytes, offset, self.offset);
        put_u32(bytes, offset.saturating_add(4), self.length);
    }

    fn within(self, message: usize) -> Option<Range<usize>> {
        part(self.offset, self.length, HEADER_LENGTH, message)
    }
}

/// The fields as they stand in the message; nothing about them is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// MessageType.
    pub message_type: u32,
    /// MessageLength: bytes of the whole message, header and padding included.
    pub message_length: u32,
    /// DataOffset, DataLength: the frame.
    pub data: Part,
    /// OutOfBandDataOffset, OutOfBandDataLength.
    pub out_of_band: Part,
    /// NumOutOfBandDataElements.
    pub out_of_band_elements: u32,
    /// PerPacketInfoOffset, PerPacketInfoLength.
    pub packet_info: Part,
}

impl Header {
    /// The header of a frame of `length` bytes right behind it, with `padding` bytes behind the
    /// frame.
    #[must_use]
    pub fn of_frame(length: usize, padding: usize) -> Self {
        let message = HEADER_LENGTH.saturating_add(length).saturating_add(padding);
        Self {
            message_type: PACKET,
            message_length: u32::try_from(message).unwrap_or(u32::MAX),
            data: Part {
                offset: (HEADER_LENGTH - OFFSETS_FROM) as u32,
                length: u32::try_from(length).unwrap_or(u32::MAX),
            },
            ..Self::default()
        }
    }

    /// The header that `bytes` begin with; `None` when they are fewer.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= HEADER_LENGTH).then(|| Self {
            message_type: u32_at(bytes, offset::TYPE),
            message_length: u32_at(bytes, offset::LENGTH),
            data: Part::read(bytes, offset::DATA),
            out_of_band: Part::read(bytes, offset::OUT_OF_BAND),
            out_of_band_elements: u32_at(bytes, offset::OUT_OF_BAND_ELEMENTS),
            packet_info: Part::read(bytes, offset::PACKET_INFO),
        })
    }

    /// Writes the header into the first 44 bytes of `bytes`, the reserved fields too; returns
    /// whether there were as many.
    pub fn write(&self, bytes: &mut [u8]) -> bool {
        let Some(bytes) = bytes.get_mut(..HEADER_LENGTH) else {
            return false;
        };
        bytes.fill(0);
        put_u32(bytes, offset::TYPE, self.message_type);
        put_u32(bytes, offset::LENGTH, self.message_length);
        self.data.write(bytes, offset::DATA);
        self.out_of_band.write(bytes, offset::OUT_OF_BAND);
        put_u32(
            bytes,
            offset::OUT_OF_BAND_ELEMENTS,
            self.out_of_band_elements,
        );
        self.packet_info.write(bytes, offset::PACKET_INFO);
        true
    }
}

/// Makes the message at the beginning of `bytes` say that it is `length` bytes long.
pub(super) fn set_message_length(bytes: &mut [u8], length: usize) {
    put_u32(
        bytes,
        offset::LENGTH,
        u32::try_from(length).unwrap_or(u32::MAX),
    );
}

/// Where the parts of a message are that can be told from the next one. All in bytes from its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The frame.
    pub(super) frame: Range<usize>,
    /// The end of the last part; from here to `length` there is padding.
    pub(super) end: usize,
    /// The end of the message, as it says itself.
    pub(super) length: usize,
    /// Why the frame is of no use, though the message has its place in the stream.
    pub(super) refused: Option<Counter>,
}

/// What the bytes at some place of the stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// A message.
    Message(Layout),
    /// The beginning of a message's header, as far as it is there.
    TooFew,
    /// No message, or one with a damaged header.
    Damaged(Counter),
}

/// Judges the bytes from some place of the stream on.
pub(super) fn judge(bytes: &[u8], limits: &ReceiveLimits) -> Judged {
    let message_type = PACKET.to_le_bytes();
    let known = bytes.len().min(message_type.len());
    if bytes.get(..known) != message_type.get(..known) {
        return Judged::Damaged(Counter::RxNoMessage);
    }
    if bytes.len() < OFFSETS_FROM {
        return Judged::TooFew;
    }
    let length = usize::try_from(u32_at(bytes, offset::LENGTH)).unwrap_or(usize::MAX);
    if !(HEADER_LENGTH..=limits.max_transfer).contains(&length) {
        return Judged::Damaged(Counter::RxMessageLength);
    }
    match Header::read(bytes) {
        None => Judged::TooFew,
        Some(header) => match header.data.within(length) {
            None => Judged::Damaged(Counter::RxDataRange),
            Some(frame) => Judged::Message(layout(&header, frame, length, limits)),
        },
    }
}

fn layout(header: &Header, frame: Range<usize>, length: usize, limits: &ReceiveLimits) -> Layout {
    let mut end = frame.end;
    let mut refused = None;
    for (part, reason) in [
        (header.out_of_band, Counter::RxOutOfBandRange),
        (header.packet_info, Counter::RxPacketInfoRange),
    ] {
        // What is empty has no place: its offset is 0 then (RNDIS, REMOTE_NDIS_PACKET_MSG), and matters to nobody.
        if part.length == 0 {
            continue;
        }
        match part.within(length) {
            Some(part) => end = end.max(part.end),
            None => refused = Some(reason),
        }
    }
    if frame.len() < ETHERNET_HEADER {
        refused = Some(Counter::RxRunt);
    } else if frame.len() > limits.max_frame {
        refused = Some(Counter::RxTooLong);
    }
    Layout {
        frame,
        end,
        length,
        refused,
    }
}
