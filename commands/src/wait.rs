//! Waiting for a non-blocking file with a deadline.

use core::time::Duration;

use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, clock};
use syscall::error::{EAGAIN, EWOULDBLOCK};
use syscall::flag::EventFlags;

use crate::Error;
use crate::fd::OpenedFile;

/// A file opened with `O_NONBLOCK`, together with the event queue that says when to look again.
pub(crate) struct Waiting {
    pub(crate) file: OpenedFile,
    reactor: Reactor,
    events: Vec<Event>,
}

impl Waiting {
    pub(crate) fn new(file: OpenedFile) -> Result<Waiting, Error> {
        let failed = |e: syscall::Error| Error::call("waiting for an answer", e.into());
        let reactor = Reactor::new().map_err(failed)?;
        reactor
            .watch(file.raw(), 0, EventFlags::EVENT_READ)
            .map_err(failed)?;
        Ok(Waiting {
            file,
            reactor,
            events: Vec::new(),
        })
    }

    /// Reads once, waiting until there is something to read; `None` when the deadline came first.
    pub(crate) fn read_until(
        &mut self,
        deadline: Instant,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Error> {
        self.until(deadline, |file| file.read(buffer))
    }

    /// The same for whatever asks the file for something.
    pub(crate) fn until<T>(
        &mut self,
        deadline: Instant,
        mut ask: impl FnMut(&OpenedFile) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            match ask(&self.file) {
                Ok(answer) => return Ok(Some(answer)),
                Err(Error::Call {
                    errno: EAGAIN | EWOULDBLOCK,
                    ..
                }) => {}
                Err(error) => return Err(error),
            }
            if clock::now() >= deadline {
                return Ok(None);
            }
            self.reactor
                .wait(Some(deadline), &mut self.events)
                .map_err(|e| Error::call("waiting for an answer", e.into()))?;
        }
    }
}

/// `now` plus a duration.
pub(crate) fn after(duration: Duration) -> Instant {
    clock::now().saturating_add(duration)
}
