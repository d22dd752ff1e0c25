//! The control pipe, and what it is needed for beside commands: endpoints that the device has halted.

use core::time::Duration;

use netscheme::Instant;
use netscheme::budget::Budget;

use crate::counters::{Counter, Counters};
use crate::error::Error;
use crate::xhci::{self, ControlPipe};

/// Halts that are put up with in [`WITHIN`].
const MOST_HALTS: usize = 8;
const WITHIN: Duration = Duration::from_secs(60);

/// The control pipe, and how often of late it had to mend an endpoint.
pub(crate) struct Control {
    pub(crate) pipe: ControlPipe,
    /// The time of this turn.
    pub(crate) now: Instant,
    halts: Budget,
    counters: Counters,
}

impl Control {
    pub(crate) fn new(pipe: ControlPipe) -> Self {
        Self {
            pipe,
            now: Instant::ZERO,
            halts: Budget::new(MOST_HALTS, WITHIN),
            counters: Counters::default(),
        }
    }

    /// Gets an endpoint to work again that the device has halted, by `restart`.
    ///
    /// # Errors
    /// It was halted too often, or does not work.
    pub(crate) fn recover(
        &mut self,
        restart: impl FnOnce(&mut ControlPipe) -> Result<(), xhci::Error>,
    ) -> Result<(), Error> {
        self.counters.count(Counter::Halts);
        if !self.halts.spend(self.now) {
            return Err(Error::KeepsStalling { times: MOST_HALTS });
        }
        log::warn!("the device has halted an endpoint; it is started again");
        Ok(restart(&mut self.pipe)?)
    }

    /// What happened here.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}
