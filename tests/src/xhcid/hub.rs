//! The bus as the daemon uses it: transfers that are waited for, and what happens meanwhile kept for later.

use std::collections::VecDeque;

use netscheme::reactor::Reactor;
use syscall::error::{EIO, Error, Result};
use syscall::flag::EventFlags;

use super::bus::{Bus, BusEvent, Completion, Outcome, Port, Setup, Transfer};

/// A bus and what it told while somebody waited for something else.
pub(super) struct Hub {
    pub(super) bus: Box<dyn Bus>,
    kept: VecDeque<BusEvent>,
    /// Its own queue: the daemon's events are left where they are.
    reactor: Reactor,
}

impl Hub {
    pub(super) fn new(bus: Box<dyn Bus>) -> Result<Self> {
        let reactor = Reactor::new()?;
        reactor.watch(bus.fd(), 0, EventFlags::EVENT_READ)?;
        Ok(Self {
            bus,
            kept: VecDeque::new(),
            reactor,
        })
    }

    /// What happened and was not looked at yet.
    pub(super) fn next_event(&mut self) -> Option<BusEvent> {
        self.kept.pop_front().or_else(|| self.bus.next_event())
    }

    /// Makes a transfer and waits for its end, however long that takes: so does Redox's xhcid, and nobody else is served
    /// meanwhile.
    pub(super) fn transfer(&mut self, port: Port, transfer: Transfer) -> Result<Completion> {
        let ticket = self.bus.submit(port, transfer)?;
        let mut events = Vec::new();
        loop {
            while let Some(event) = self.bus.next_event() {
                match event {
                    BusEvent::Completed(done) if done.ticket == ticket => return Ok(done),
                    other => self.kept.push_back(other),
                }
            }
            self.reactor.wait(None, &mut events)?;
        }
    }

    /// A control transfer that must work; what came from the device. EIO when it does not.
    pub(super) fn control(&mut self, port: Port, setup: Setup, data: Vec<u8>) -> Result<Vec<u8>> {
        let done = self.transfer(port, Transfer::Control { setup, data })?;
        match done.outcome {
            Outcome::Success | Outcome::Short => Ok(done.data),
            Outcome::Stalled | Outcome::Failed => Err(Error::new(EIO)),
        }
    }
}
