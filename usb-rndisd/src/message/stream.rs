//! The frames in what bulk-IN transfers bring.
//!
//! Transfers make one stream of bytes: a message may share a transfer with others or be spread over
//! several, and what ends it is its MessageLength alone. A read of 64 bytes that was filled says
//! nothing, for QEMU's usb-net sends no zero-length packet behind a message that is a multiple of
//! 64.
//!
//! # What a message is
//! MessageType 1, a MessageLength from 44 to the largest transfer, and a frame within that length
//! and behind the header. Where a message should begin and there is none, the place in the stream
//! is lost, and counted once under the reason; the frames found from the next message on are handed
//! up again. A message whose frame is of no use (too short, too long, other parts out of range)
//! keeps its place in the stream: it alone is dropped.
//!
//! # How the place is found again
//! - **By search**: byte by byte for something that is a message in every respect, and behind which,
//!   as far as one can see, the stream ends or the next message begins. Payload that looks like a
//!   message can be mistaken for one here; as long as nothing is damaged nobody looks into payload.
//! - **In padding**: a frame is handed up when its last part is there, whatever MessageLength says
//!   further. The rest is padding, in which a message is looked for too: so a MessageLength that is
//!   too large swallows nothing.
//! - **At a transfer's start**: if a transfer ended within a message and the next one begins with
//!   what is a message in every respect, the first will never be finished and is dropped. (So a
//!   device that ends a transfer within a message had better not go on with such a payload.)
//!
//! Zero bytes between messages are padding: some devices add one instead of a zero-length packet.
//!
//! What cannot be told: a DataLength that is damaged to less than it was looks like padding, and the
//! frame is handed up cut short. RNDIS has no checksum; those of the protocols above are for that.
//!
//! # Bounds
//! The buffer is two transfers long and never grows. Each byte is looked at as the possible
//! beginning of a message once, and once more per read at most while it waits for the rest; a read
//! moves less than one message to make room.

use core::ops::Range;

use super::packet::{HEADER_LENGTH, Judged, Layout, judge};
use crate::counters::{Counter, Counters};

/// The most bytes that a device may put between two messages: PacketAlignmentFactor is 7 at most,
/// which aligns to 128 (RNDIS, REMOTE_NDIS_INITIALIZE_CMPLT).
const MAX_PADDING: usize = 127;

/// What was agreed on for the way from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveLimits {
    /// MaxTransferSize of the host's INITIALIZE: bytes of a transfer, and so of a message, at most.
    pub max_transfer: usize,
    /// The longest frame of this network, in bytes from the destination address on.
    pub max_frame: usize,
    /// MaxPacketsPerTransfer: messages in a transfer. It says what the device takes (RNDIS, REMOTE_NDIS_INITIALIZE_CMPLT),
    /// and binds the host; what the host takes is bounded by `max_transfer` alone. So a device that puts more into one
    /// breaks no rule that matters, and its frames are good: they are taken, and counted.
    pub max_packets: u32,
}

/// Whether a read took all that the device sends in one transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It ended: less came than was asked for.
    Ended,
    /// It may go on in the next read: as much came as was asked for.
    GoesOn,
}

/// What is known about the byte at the beginning of the unread ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A message begins there.
    Known,
    /// That many bytes of the last message's padding are left.
    Padding(usize),
    /// Nothing.
    Lost,
}

/// What a look at the unread bytes brought.
enum Step {
    Frame(Range<usize>),
    Again,
    Wait,
}

/// Whether a message was finished in its own transfer.
enum Cut {
    No,
    /// It was not: another begins here, in the next transfer.
    At(usize),
    /// It was not, and too little of the next transfer is there to tell whether it goes on in it.
    Unknown,
}

/// Whether a message begins at some place.
enum Candidate {
    Yes,
    No,
    /// Too little is there to tell.
    Unknown,
}

/// Finds the frames in a stream of bytes; see the [module](self).
///
/// Read a transfer into [`Stream::room`], say with [`Stream::filled`] how much came, and take frames
/// until there is none.
#[derive(Debug)]
pub struct Stream {
    limits: ReceiveLimits,
    buffer: Box<[u8]>,
    /// The bytes of `buffer` that are received and not yet used.
    unread: Range<usize>,
    place: Place,
    /// Where in `buffer` the newest transfer began, if it is known and still there.
    transfer_start: Option<usize>,
    /// The newest transfer has ended.
    has_ended: bool,
    /// Messages found in the newest transfer.
    packets: u32,
    /// All that can be told from the unread bytes was told.
    is_drained: bool,
    /// A frame that was found and not yet taken.
    next: Option<Range<usize>>,
    counters: Counters,
    /// How often bytes were looked at as the possible beginning of a message.
    #[cfg(test)]
    looks: core::cell::Cell<u64>,
}

impl Stream {
    /// A stream at the beginning of a transfer.
    #[must_use]
    pub fn new(limits: ReceiveLimits) -> Self {
        // With less no header would ever be whole.
        let limits = ReceiveLimits {
            max_transfer: limits.max_transfer.max(HEADER_LENGTH),
            ..limits
        };
        Self {
            limits,
            buffer: vec![0; limits.max_transfer.saturating_mul(2)].into_boxed_slice(),
            unread: 0..0,
            place: Place::Known,
            transfer_start: None,
            has_ended: true,
            packets: 0,
            is_drained: true,
            next: None,
            counters: Counters::default(),
            #[cfg(test)]
            looks: core::cell::Cell::default(),
        }
    }

    /// The adapter was reset, or is another one: what was not handed up never will be.
    pub fn restart(&mut self) {
        let mut lost = 0;
        while self.next.take().or_else(|| self.find()).is_some() {
            lost += 1;
        }
        lost += u64::from(!self.unread.is_empty());
        self.counters.add(Counter::RxLostInReset, lost);
        self.unread = 0..0;
        self.place = Place::Known;
        self.transfer_start = None;
        self.has_ended = true;
        self.packets = 0;
    }

    /// Where the next read of the bulk-IN endpoint goes: at least as long as the largest transfer.
    /// Empty as long as frames wait to be taken.
    pub fn room(&mut self) -> &mut [u8] {
        if !self.is_drained {
            return &mut [];
        }
        if self.unread.is_empty() {
            self.move_to_front();
        }
        if self.buffer.len().saturating_sub(self.unread.end) < self.limits.max_transfer {
            self.move_to_front();
        }
        self.buffer.get_mut(self.unread.end..).unwrap_or_default()
    }

    /// The first `length` bytes of [`Stream::room`] were read.
    pub fn filled(&mut self, length: usize, transfer: Transfer) {
        let start = self.unread.end;
        if self.has_ended && length > 0 {
            self.transfer_start = Some(start);
            self.packets = 0;
        }
        self.unread.end = start.saturating_add(length).min(self.buffer.len());
        self.has_ended = transfer == Transfer::Ended;
        self.is_drained = false;
    }

    /// Whether a frame waits.
    pub fn is_ready(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.find();
        }
        self.next.is_some()
    }

    /// The oldest frame that waits, from the destination address on.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        let range = self.next.take().or_else(|| self.find())?;
        let frame = self.buffer.get(range)?;
        self.counters.count(Counter::RxFrames);
        self.counters.add(Counter::RxBytes, frame.len() as u64);
        Some(frame)
    }

    /// What happened to what came.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    #[cfg(test)]
    pub(super) fn looks(&self) -> u64 {
        self.looks.get()
    }

    fn move_to_front(&mut self) {
        let start = self.unread.start;
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        self.transfer_start = self
            .transfer_start
            .and_then(|transfer| transfer.checked_sub(start));
    }

    fn find(&mut self) -> Option<Range<usize>> {
        loop {
            let step = match self.place {
                Place::Known => self.expect_message(),
                Place::Padding(_) | Place::Lost => self.search(),
            };
            match step {
                Step::Frame(frame) => return Some(frame),
                Step::Again => {}
                Step::Wait => {
                    self.is_drained = true;
                    return None;
                }
            }
        }
    }

    /// The place is known: a message begins here.
    fn expect_message(&mut self) -> Step {
        let zeros = leading_zeros(self.rest(self.unread.start));
        self.skip(zeros, Counter::RxPaddingBytes);
        if self.unread.is_empty() {
            return Step::Wait;
        }
        match self.judge(self.unread.start) {
            Judged::TooFew => Step::Wait,
            Judged::Damaged(reason) => {
                self.counters.count(reason);
                self.skip(1, Counter::RxGarbageBytes);
                self.place = Place::Lost;
                Step::Again
            }
            Judged::Message(layout) => match self.cut(self.unread.start, &layout) {
                Cut::At(transfer) => {
                    self.counters.count(Counter::RxCut);
                    self.unread.start = transfer;
                    Step::Again
                }
                Cut::No if self.unread.len() >= layout.end => self.take(&layout),
                Cut::No | Cut::Unknown => Step::Wait,
            },
        }
    }

    /// The message at the beginning is there, up to its padding.
    fn take(&mut self, layout: &Layout) -> Step {
        let message = self.unread.start;
        self.unread.start = message.saturating_add(layout.end);
        self.place = match layout.length.saturating_sub(layout.end) {
            0 => Place::Known,
            padding => Place::Padding(padding),
        };
        self.packets = self.packets.saturating_add(1);
        if self.packets > self.limits.max_packets {
            self.counters.count(Counter::RxPacketsOverAgreed);
        }
        match layout.refused {
            Some(reason) => {
                self.counters.count(reason);
                Step::Again
            }
            None => Step::Frame(
                message.saturating_add(layout.frame.start)
                    ..message.saturating_add(layout.frame.end),
            ),
        }
    }

    /// Looks for the next message, to the end of the padding if that is where we are.
    fn search(&mut self) -> Step {
        let (within, counter) = match self.place {
            Place::Padding(left) => (left, Counter::RxPaddingBytes),
            Place::Known | Place::Lost => (usize::MAX, Counter::RxGarbageBytes),
        };
        let mut passed = 0_usize;
        let mut found = None;
        while passed < within && found.is_none() {
            let at = self.unread.start.saturating_add(passed);
            if at >= self.unread.end {
                break;
            }
            match self.candidate(at) {
                Candidate::No => passed = passed.saturating_add(1),
                Candidate::Yes => found = Some(Step::Again),
                Candidate::Unknown => found = Some(Step::Wait),
            }
        }
        self.skip(passed, counter);
        if let Place::Padding(left) = &mut self.place {
            *left = left.saturating_sub(passed);
        }
        if passed == within || matches!(found, Some(Step::Again)) {
            self.place = Place::Known;
            return Step::Again;
        }
        Step::Wait
    }

    /// Whether a message begins at `at`, where nothing says so but the bytes themselves.
    fn candidate(&self, at: usize) -> Candidate {
        let layout = match self.judge(at) {
            Judged::Damaged(_) => return Candidate::No,
            Judged::TooFew => return Candidate::Unknown,
            Judged::Message(layout) => layout,
        };
        if layout.refused.is_some() || !self.is_followed_well(at.saturating_add(layout.length)) {
            return Candidate::No;
        }
        match self.cut(at, &layout) {
            Cut::At(_) => Candidate::No,
            // Only when it is there can one see what stands behind it.
            Cut::No if self.rest(at).len() >= layout.end => Candidate::Yes,
            Cut::No | Cut::Unknown => Candidate::Unknown,
        }
    }

    /// Whether the message at `at` was finished in its transfer, or another begins with the next.
    fn cut(&self, at: usize, layout: &Layout) -> Cut {
        let Some(transfer) = self
            .transfer_start
            .filter(|&start| at < start && start < at.saturating_add(layout.end))
        else {
            return Cut::No;
        };
        match self.judge(transfer) {
            Judged::Message(next)
                if next.refused.is_none()
                    && self.is_followed_well(transfer.saturating_add(next.length)) =>
            {
                Cut::At(transfer)
            }
            Judged::TooFew if !self.has_ended => Cut::Unknown,
            Judged::Message(_) | Judged::TooFew | Judged::Damaged(_) => Cut::No,
        }
    }

    /// Whether a message or nothing stands at `end`, the end of another, as far as the bytes are
    /// there.
    fn is_followed_well(&self, end: usize) -> bool {
        let rest = self.rest(end);
        let padding = leading_zeros(rest.get(..MAX_PADDING).unwrap_or(rest));
        match rest.get(padding..) {
            None | Some([]) => true,
            Some(_) => !matches!(self.judge(end.saturating_add(padding)), Judged::Damaged(_)),
        }
    }

    fn judge(&self, at: usize) -> Judged {
        #[cfg(test)]
        self.looks.set(self.looks.get().saturating_add(1));
        judge(self.rest(at), &self.limits)
    }

    /// The bytes received from `at` on.
    fn rest(&self, at: usize) -> &[u8] {
        self.buffer.get(at..self.unread.end).unwrap_or_default()
    }

    fn skip(&mut self, length: usize, counter: Counter) {
        let length = length.min(self.unread.len());
        self.unread.start = self.unread.start.saturating_add(length);
        self.counters.add(counter, length as u64);
    }
}

fn leading_zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == 0).count()
}
