//! A TCP connection to a machine of several addresses: RFC 8305, "Happy Eyeballs", without what needs a history.
//!
//! The addresses are tried in their order. One that refuses gives way to the next at once; one that is silent gets a
//! head start, and then goes on beside the next. The first that connects is taken.

use core::time::Duration;

use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, clock};
use syscall::error::{EALREADY, EINPROGRESS, EISCONN};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDWR};

use crate::Error;
use crate::address::Address;
use crate::fd::OpenedFile;
use crate::stream::Deadline;
use crate::wait::after;

/// RFC 8305 section 5: Connection Attempt Delay.
const HEAD_START: Duration = Duration::from_millis(250);

/// How an attempt goes.
enum Attempt {
    Connected(OpenedFile),
    Pending(OpenedFile),
    Failed(Error),
}

/// Connects to `port` of the first of `addresses` that answers.
///
/// # Errors
/// What the last attempt failed with, or that the deadline came first.
pub(crate) fn connect(
    addresses: &[Address],
    port: u16,
    deadline: Deadline,
) -> Result<OpenedFile, Error> {
    if let ([only], None) = (addresses, deadline.until()) {
        return OpenedFile::connect_to(&only.with_port(port));
    }
    let mut race = Race::new()?;
    for address in addresses {
        let late = || format!("connecting to {}", address.with_port(port));
        deadline.check(&late())?;
        match start(&address.with_port(port)) {
            Attempt::Connected(socket) => return blocking(socket),
            Attempt::Failed(error) => race.failure = Some(error),
            Attempt::Pending(socket) => {
                race.join(socket)?;
                let head_start = after(HEAD_START);
                let until = deadline.until().map_or(head_start, |d| d.min(head_start));
                if let Some(socket) = race.run(Some(until))? {
                    return blocking(socket);
                }
            }
        }
    }
    match race.run(deadline.until())? {
        Some(socket) => blocking(socket),
        None if !race.sockets.is_empty() => {
            let named: Vec<String> = addresses.iter().map(|a| a.with_port(port)).collect();
            Err(deadline.error(&format!("connecting to {}", named.join(" and "))))
        }
        None => Err(race
            .failure
            .unwrap_or_else(|| Error::Answer("there is no address to connect to".into()))),
    }
}

/// The attempts that are under way.
struct Race {
    sockets: Vec<OpenedFile>,
    reactor: Reactor,
    failure: Option<Error>,
}

impl Race {
    fn new() -> Result<Race, Error> {
        let reactor = Reactor::new().map_err(|e| Error::call("waiting for an answer", e.into()))?;
        Ok(Race {
            sockets: Vec::new(),
            reactor,
            failure: None,
        })
    }

    fn join(&mut self, socket: OpenedFile) -> Result<(), Error> {
        let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        self.reactor
            .watch(socket.raw(), 0, both)
            .map_err(|e| Error::call("waiting for an answer", e.into()))?;
        self.sockets.push(socket);
        Ok(())
    }

    /// Waits for one that connects; none when all have failed, or `until` has come and not all have.
    fn run(&mut self, until: Option<Instant>) -> Result<Option<OpenedFile>, Error> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let mut pending = Vec::new();
            for socket in self.sockets.drain(..) {
                match look(socket) {
                    Attempt::Connected(socket) => return Ok(Some(socket)),
                    Attempt::Pending(socket) => pending.push(socket),
                    Attempt::Failed(error) => self.failure = Some(error),
                }
            }
            self.sockets = pending;
            if self.sockets.is_empty() || until.is_some_and(|until| clock::now() >= until) {
                return Ok(None);
            }
            self.reactor
                .wait(until, &mut events)
                .map_err(|e| Error::call("waiting for an answer", e.into()))?;
        }
    }
}

/// Starts an attempt that does not wait.
fn start(peer: &str) -> Attempt {
    match OpenedFile::open("/scheme/tcp", O_RDWR | O_NONBLOCK) {
        Ok(socket) => look(socket.named(peer)),
        Err(error) => Attempt::Failed(error),
    }
}

/// A further connect tells what has become of the first, as of old.
fn look(socket: OpenedFile) -> Attempt {
    match socket.connect_again() {
        Ok(connected) => Attempt::Connected(connected),
        Err(Error::Call { errno: EISCONN, .. }) => Attempt::Connected(socket),
        Err(Error::Call {
            errno: EINPROGRESS | EALREADY,
            ..
        }) => Attempt::Pending(socket),
        Err(error) => Attempt::Failed(error),
    }
}

/// The caller waits for its reads and writes again.
fn blocking(socket: OpenedFile) -> Result<OpenedFile, Error> {
    socket.set_nonblocking(false)?;
    Ok(socket)
}
