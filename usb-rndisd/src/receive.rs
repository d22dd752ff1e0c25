//! The receive half: transfers from the bulk-IN endpoint become frames.
//!
//! As soon as a transfer is over the next one is started, while the frames of the last are still being read: it goes into a
//! buffer beside the stream's, and what it brings waits there. Then nothing more is started until the stream has room, and
//! the device waits: that is the backpressure.

use crate::control::Control;
use crate::counters::{Counter, Counters};
use crate::error::Error;
use crate::message::{ReceiveLimits, Stream, Transfer};
use crate::xhci::{Arrival, InPipe};

/// Transfers without a frame of one turn: a device that sends nothing else must not stop the rest.
const PER_TURN: usize = 32;

/// The receive half of the adapter.
pub(crate) struct Receive {
    pipe: InPipe,
    stream: Stream,
    /// Where a transfer is started, and where it ends if that is before the stream has room.
    aside: Vec<u8>,
    /// How the transfer in `aside` ended.
    waiting: Option<Arrival>,
    /// The transfer under way may be over: only then it is worth a call.
    look: bool,
    /// xhcid posts an event when a transfer is over.
    tells: bool,
    /// There was no end to what came: it goes on in the next turn.
    unfinished: bool,
    counters: Counters,
}

impl Receive {
    /// The half over an endpoint whose transfers are as `limits` say.
    pub(crate) fn new(pipe: InPipe, limits: ReceiveLimits, tells: bool) -> Self {
        Self {
            aside: vec![0; pipe.length()],
            pipe,
            stream: Stream::new(limits),
            waiting: None,
            look: true,
            tells,
            unfinished: false,
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

    /// Whether a transfer is under way whose end somebody must notice: as long as a frame is there, nobody need.
    pub(crate) fn is_armed(&mut self) -> bool {
        self.pipe.is_armed() && !self.stream.is_ready()
    }

    /// Whether there is a frame. If not, a transfer is under way, or there is more to do in this turn.
    ///
    /// # Errors
    /// The endpoint is of no more use.
    pub(crate) fn is_ready(&mut self, control: &mut Control) -> Result<bool, Error> {
        for _ in 0..PER_TURN {
            if self.stream.is_ready() {
                self.start(control)?;
                return Ok(true);
            }
            let Some(arrival) = self.arrival(control)? else {
                return Ok(false);
            };
            self.fill(arrival);
        }
        self.unfinished = true;
        Ok(false)
    }

    /// Whether a turn has ended too early: then no event tells of what is left. Asked once.
    pub(crate) fn take_unfinished(&mut self) -> bool {
        core::mem::take(&mut self.unfinished)
    }

    /// The oldest frame, if [`Receive::is_ready`].
    pub(crate) fn next_frame(&mut self) -> Option<&[u8]> {
        // Nobody looked at the transfer that was started beside this frame, unless xhcid tells.
        self.look |= !self.tells;
        self.stream.next_frame()
    }

    /// The device was reset: what it sent before is of no use.
    pub(crate) fn restart(&mut self) {
        self.stream.restart();
        self.waiting = None;
    }

    /// Transfers that ended.
    pub(crate) fn transfers(&self) -> u64 {
        self.counters.get(Counter::RxTransfers)
    }

    /// What happened to this half.
    pub(crate) fn counters(&self) -> [&Counters; 2] {
        [self.stream.counters(), &self.counters]
    }

    /// A transfer that is over, its bytes in the stream's room, which is free.
    fn arrival(&mut self, control: &mut Control) -> Result<Option<Arrival>, Error> {
        self.start(control)?;
        if let Some(arrival) = self.waiting.take() {
            let length = arrival.length();
            let room = self.stream.room().get_mut(..length);
            if let (Some(to), Some(from)) = (room, self.aside.get(..length)) {
                to.copy_from_slice(from);
            }
            return Ok(Some(arrival));
        }
        if !self.look {
            return Ok(None);
        }
        match self.pipe.take(self.stream.room())? {
            Arrival::NotYet => {
                self.look = false;
                Ok(None)
            }
            Arrival::Stalled => {
                control.recover(|pipe| self.pipe.restart(pipe))?;
                Ok(Some(Arrival::Stalled))
            }
            arrival => Ok(Some(arrival)),
        }
    }

    /// Starts a transfer, if none is under way and what it may bring at once has a place.
    fn start(&mut self, control: &mut Control) -> Result<(), Error> {
        if self.pipe.is_armed() || self.waiting.is_some() {
            return Ok(());
        }
        match self.pipe.take(&mut self.aside)? {
            // From here on its end is told, by an event or by the timer.
            Arrival::NotYet => self.look = false,
            Arrival::Stalled => {
                control.recover(|pipe| self.pipe.restart(pipe))?;
                self.waiting = Some(Arrival::Stalled);
            }
            arrival => self.waiting = Some(arrival),
        }
        Ok(())
    }

    /// Hands the stream what lies in its room.
    fn fill(&mut self, arrival: Arrival) {
        self.counters.count(Counter::RxTransfers);
        match arrival {
            Arrival::Short(length) => self.stream.filled(length, Transfer::Ended),
            Arrival::Full(length) => self.stream.filled(length, Transfer::GoesOn),
            Arrival::Empty | Arrival::Stalled | Arrival::NotYet => {
                self.counters.count(Counter::RxTransfersEmpty);
                self.stream.filled(0, Transfer::Ended);
            }
        }
    }
}
