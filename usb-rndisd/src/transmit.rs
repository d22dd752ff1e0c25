//! The transmit half: frames become transfers to the bulk-OUT endpoint.
//!
//! One transfer is under way while the next one fills. A frame waits for no other: what fills is sent at the end of a turn
//! unless a transfer is under way, and then with all that has gathered by its end. When both are full there is no room, and
//! whoever wants to write waits.

use crate::control::Control;
use crate::counters::{Counter, Counters};
use crate::error::Error;
use crate::message::{Packer, TransmitLimits};
use crate::xhci::{OutPipe, Progress};

/// The transmit half of the adapter.
pub(crate) struct Transmit {
    pipe: OutPipe,
    filling: Packer<Vec<u8>>,
    sending: Packer<Vec<u8>>,
    /// The transfer under way may be over: only then it is worth a call.
    look: bool,
    /// xhcid posts an event when a transfer is over.
    tells: bool,
    counters: Counters,
}

impl Transmit {
    /// The half over an endpoint on which no transfer is under way.
    pub(crate) fn new(pipe: OutPipe, limits: TransmitLimits, tells: bool) -> Self {
        let packer = || Packer::new(vec![0; limits.max_transfer], limits);
        Self {
            pipe,
            filling: packer(),
            sending: packer(),
            look: false,
            tells,
            counters: Counters::default(),
        }
    }

    /// The file of which xhcid posts events.
    pub(crate) fn fd(&self) -> usize {
        self.pipe.fd()
    }

    /// An event, or the timer, says that the transfer may be over.
    pub(crate) fn signal(&mut self) {
        self.look = true;
    }

    /// Whether a transfer is under way, so that somebody must notice its end.
    pub(crate) fn is_armed(&self) -> bool {
        self.is_sending()
    }

    /// Takes a frame; whether there was room.
    ///
    /// # Errors
    /// The endpoint is of no more use.
    pub(crate) fn put(&mut self, frame: &[u8], control: &mut Control) -> Result<bool, Error> {
        if frame.len() > self.filling.capacity() {
            // It would never have room.
            self.counters.count(Counter::TxTooLong);
            return Ok(true);
        }
        if self.fill(frame) {
            return Ok(true);
        }
        self.advance(control)?;
        let has_room = self.fill(frame);
        if !has_room {
            self.counters.count(Counter::TxFull);
        }
        Ok(has_room)
    }

    /// Whether there is room for any frame.
    ///
    /// # Errors
    /// The endpoint is of no more use.
    pub(crate) fn is_ready(&mut self, control: &mut Control) -> Result<bool, Error> {
        if !self.has_room() {
            self.advance(control)?;
        }
        Ok(self.has_room())
    }

    /// Ends the transfer that is over, and begins the next one if there is anything to send.
    ///
    /// # Errors
    /// The endpoint is of no more use.
    pub(crate) fn advance(&mut self, control: &mut Control) -> Result<(), Error> {
        if self.is_sending() {
            if !core::mem::take(&mut self.look) {
                return Ok(());
            }
            self.push(control)?;
        }
        while !self.is_sending() && !self.filling.is_empty() {
            core::mem::swap(&mut self.filling, &mut self.sending);
            self.sending.finish();
            self.push(control)?;
        }
        Ok(())
    }

    /// Transfers that ended.
    pub(crate) fn transfers(&self) -> u64 {
        self.counters.get(Counter::TxTransfersEnded)
    }

    /// What happened to this half.
    pub(crate) fn counters(&self) -> [&Counters; 3] {
        [
            self.filling.counters(),
            self.sending.counters(),
            &self.counters,
        ]
    }

    fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }

    fn has_room(&mut self) -> bool {
        let longest = self.filling.capacity();
        self.filling.slot(longest).is_some()
    }

    fn fill(&mut self, frame: &[u8]) -> bool {
        let Some(slot) = self.filling.slot(frame.len()) else {
            return false;
        };
        slot.copy_from_slice(frame);
        self.filling.commit();
        true
    }

    /// Goes on with the transfer in `sending`.
    fn push(&mut self, control: &mut Control) -> Result<(), Error> {
        let mut progress = self.pipe.push(self.sending.bytes())?;
        if progress == Progress::NotYet && !self.tells {
            // Where no event comes, the transfer may well be over by now.
            progress = self.pipe.push(self.sending.bytes())?;
        }
        match progress {
            Progress::NotYet => return Ok(()),
            Progress::Done => {}
            Progress::Cut(_) => self.counters.count(Counter::TxCut),
            Progress::Stalled => {
                self.counters.count(Counter::TxHalted);
                control.recover(|pipe| self.pipe.restart(pipe))?;
            }
        }
        self.counters.count(Counter::TxTransfersEnded);
        self.sending.clear();
        Ok(())
    }
}
