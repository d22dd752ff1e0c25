//! A TCP connection whose calls end by a deadline, and the deadlines that a user sets.

use core::time::Duration;

use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, clock};
use syscall::error::{EAGAIN, EWOULDBLOCK};
use syscall::flag::EventFlags;

use crate::Error;
use crate::fd::OpenedFile;

/// Until when something may take, and which option says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    until: Option<Instant>,
    limit: Duration,
    option: &'static str,
}

impl Deadline {
    /// As long as it takes.
    pub(crate) const NEVER: Deadline = Deadline {
        until: None,
        limit: Duration::MAX,
        option: "",
    };

    /// What `option` limits to `limit`, from `now` on.
    pub(crate) fn new(option: &'static str, limit: Duration, now: Instant) -> Deadline {
        Deadline::at(option, limit, now.saturating_add(limit))
    }

    /// What `option` limited to `limit` some time ago, so that it ends at `until`.
    pub(crate) fn at(option: &'static str, limit: Duration, until: Instant) -> Deadline {
        Deadline {
            until: Some(until),
            limit,
            option,
        }
    }

    /// The one that comes first.
    pub(crate) fn earlier(self, other: Deadline) -> Deadline {
        match (self.until, other.until) {
            (Some(a), Some(b)) if b < a => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    pub(crate) fn until(self) -> Option<Instant> {
        self.until
    }

    /// An error if it has passed; `doing` is what is not done.
    pub(crate) fn check(self, doing: &str) -> Result<(), Error> {
        match self.until.is_some_and(|until| clock::now() >= until) {
            true => Err(self.error(doing)),
            false => Ok(()),
        }
    }

    /// That it has passed.
    pub(crate) fn error(self, doing: &str) -> Error {
        Error::Answer(format!(
            "{doing}: not done within the {} s of {}",
            self.limit.as_secs_f64(),
            self.option
        ))
    }
}

/// What bytes go through: TCP itself, or TLS over it.
pub(crate) trait Transport {
    /// Reads once; 0 is the end, `None` that `until` came first.
    fn read_until(
        &mut self,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Result<Option<usize>, Error>;

    /// Writes everything.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// A connection that does not wait longer than its deadline.
pub(crate) struct TcpStream {
    socket: OpenedFile,
    peer: String,
    reactor: Reactor,
    events: Vec<Event>,
    deadline: Deadline,
}

impl TcpStream {
    /// Takes a connection to `peer`.
    pub(crate) fn new(
        socket: OpenedFile,
        peer: String,
        deadline: Deadline,
    ) -> Result<TcpStream, Error> {
        socket.set_nonblocking(true)?;
        let failed = |e: syscall::Error| Error::call("waiting for an answer", e.into());
        let reactor = Reactor::new().map_err(failed)?;
        let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        reactor.watch(socket.raw(), 0, both).map_err(failed)?;
        Ok(TcpStream {
            socket,
            peer,
            reactor,
            events: Vec::new(),
            deadline,
        })
    }

    /// From here on another deadline holds.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Writes what goes at once, and forgets the rest: for a farewell.
    pub(crate) fn write_at_once(&self, bytes: &[u8]) {
        // Whoever has gone needs no farewell.
        let _ = self.socket.write(bytes);
    }

    /// Waits for the connection to change; false when `until` came first.
    fn wait(&mut self, doing: &str, until: Option<Instant>) -> Result<bool, Error> {
        self.deadline.check(doing)?;
        let now = clock::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(false);
        }
        let first = match (until, self.deadline.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.reactor
            .wait(first, &mut self.events)
            .map_err(|e| Error::call("waiting for an answer", e.into()))?;
        Ok(true)
    }
}

impl Transport for TcpStream {
    fn read_until(
        &mut self,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Result<Option<usize>, Error> {
        loop {
            match self.socket.read(buffer) {
                Ok(n) => return Ok(Some(n)),
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(error),
            }
            let doing = format!("waiting for an answer of {}", self.peer);
            if !self.wait(&doing, until)? {
                return Ok(None);
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(0) => return Err(Error::Answer(format!("{} takes no more", self.peer))),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if would_block(&error) => {
                    let doing = format!("sending to {}", self.peer);
                    self.wait(&doing, None)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn would_block(error: &Error) -> bool {
    matches!(
        error,
        Error::Call {
            errno: EAGAIN | EWOULDBLOCK,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_limits_counts_and_says_its_name() {
        let now = Instant::from_secs(1000);
        let long = Deadline::new("--max-time", Duration::from_secs(9), now);
        let short = Deadline::new("--connect-timeout", Duration::from_millis(1500), now);
        for deadline in [long.earlier(short), short.earlier(long)] {
            assert_eq!(deadline.until(), Some(Instant::from_millis(1_001_500)));
            let text = deadline.error("connecting").to_string();
            assert!(text.contains("1.5 s of --connect-timeout"), "{text}");
        }
        assert_eq!(Deadline::NEVER.earlier(long).until(), long.until());
        assert_eq!(long.earlier(Deadline::NEVER).until(), long.until());
    }
}
