//! One event queue and one deadline: where a daemon sleeps.
//!
//! Redox's event queues are edge triggered and do not coalesce: every trigger is one 24-byte record.
//! Subscribing reports at once what is ready already, so nothing is lost between opening a file and
//! watching it; after that a file must be read until it would block before the daemon sleeps.

use std::sync::Arc;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EAGAIN, EINTR, EIO, Error};
use syscall::flag::{EVENT_TIMEOUT_ID, EventFlags, O_RDWR};

use crate::clock;
use crate::time::Instant;

/// Bytes of one event record: id, flags and data, a native word each.
const RECORD: usize = 3 * size_of::<usize>();
/// Records taken by one read of the queue.
const BATCH: usize = 64;
/// Further reads of one wake-up, when each before it filled the buffer.
const DRAIN_LIMIT: usize = 64;

/// Something became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The token that [`Reactor::watch`] was given.
    pub token: usize,
    /// What became ready.
    pub flags: EventFlags,
}

/// Says what wakes a [`Reactor`] up. Who keeps files of its own that come and go has one.
#[derive(Clone)]
pub struct Watcher {
    queue: Arc<Fd>,
}

impl Watcher {
    /// Reports `flags` of `fd` under `token` from now on. What is ready already is reported by the
    /// next [`Reactor::wait`].
    ///
    /// # Errors
    /// What the queue answered.
    pub fn watch(&self, fd: usize, token: usize, flags: EventFlags) -> Result<(), Error> {
        self.write(fd, flags, token)
    }

    /// Ends what [`Watcher::watch`] began with the same `fd` and `token`. Must come before `fd` is
    /// closed: the queue finds the file by its descriptor. Events already queued may still come.
    ///
    /// # Errors
    /// What the queue answered.
    pub fn unwatch(&self, fd: usize, token: usize) -> Result<(), Error> {
        self.write(fd, EventFlags::empty(), token)
    }

    fn write(&self, id: usize, flags: EventFlags, data: usize) -> Result<(), Error> {
        let event = syscall::Event { id, flags, data };
        match libredox::call::write(self.queue.raw(), &event)? {
            RECORD => Ok(()),
            _ => Err(Error::new(EIO)),
        }
    }
}

/// The event queue of a daemon, its only place to block.
pub struct Reactor {
    watcher: Watcher,
    buffer: Vec<u8>,
    wakeups: u64,
}

impl Reactor {
    /// Opens an event queue of its own.
    pub fn new() -> Result<Self, Error> {
        let queue = Fd::open("/scheme/event", (O_RDWR | O_CLOEXEC) as i32, 0)?;
        Ok(Self {
            watcher: Watcher {
                queue: Arc::new(queue),
            },
            buffer: vec![0; RECORD * BATCH],
            wakeups: 0,
        })
    }

    /// What this reactor's files are added by.
    pub fn watcher(&self) -> Watcher {
        self.watcher.clone()
    }

    /// [`Watcher::watch`].
    ///
    /// # Errors
    /// What the queue answered.
    pub fn watch(&self, fd: usize, token: usize, flags: EventFlags) -> Result<(), Error> {
        self.watcher.watch(fd, token, flags)
    }

    /// [`Watcher::unwatch`].
    ///
    /// # Errors
    /// What the queue answered.
    pub fn unwatch(&self, fd: usize, token: usize) -> Result<(), Error> {
        self.watcher.unwatch(fd, token)
    }

    /// Replaces the contents of `events` by what became ready, each token once, blocking until
    /// something does or `deadline` has come. A deadline already past collects what is there and does
    /// not block.
    ///
    /// Returns without events when the deadline came or a signal interrupted the sleep.
    ///
    /// # Errors
    /// What the queue answered; it is of no more use then.
    pub fn wait(
        &mut self,
        deadline: Option<Instant>,
        events: &mut Vec<Event>,
    ) -> Result<(), Error> {
        events.clear();
        let timeout = deadline.map(|deadline| timeout_millis(deadline, clock::now()));
        let mut length = self.read(timeout)?;
        self.wakeups = self.wakeups.saturating_add(1);
        merge(&self.buffer, length, events);
        // A scheme's socket says once per request that it is readable: a burst fills the buffer, and
        // what is left would each be a wake-up for nothing.
        for _ in 0..DRAIN_LIMIT {
            if length < self.buffer.len() {
                break;
            }
            length = self.read(Some(0))?;
            merge(&self.buffer, length, events);
        }
        Ok(())
    }

    /// Reads events into the buffer for `timeout` milliseconds at most; returns the bytes read, 0 when
    /// there are none.
    fn read(&mut self, timeout: Option<usize>) -> Result<usize, Error> {
        if let Some(millis) = timeout {
            // One-shot: it holds for the read below and for no other.
            self.watcher
                .write(EVENT_TIMEOUT_ID, EventFlags::EVENT_READ, millis)?;
        }
        match libredox::call::read(self.fd(), &mut self.buffer[..]).map_err(Error::from) {
            Err(Error {
                errno: EINTR | EAGAIN,
            }) => Ok(0),
            result => result,
        }
    }

    /// How often [`Reactor::wait`] returned: an idle daemon's does not grow.
    pub fn wakeups(&self) -> u64 {
        self.wakeups
    }

    /// The queue's own descriptor.
    pub fn fd(&self) -> usize {
        self.watcher.queue.raw()
    }
}

/// Milliseconds to sleep until `deadline`, rounded up so that the sleep never ends before it (a
/// deadline half a millisecond away would otherwise be a busy loop); 0 when it is past.
fn timeout_millis(deadline: Instant, now: Instant) -> usize {
    let nanos = deadline.nanos().saturating_sub(now.nanos());
    usize::try_from(nanos.div_ceil(1_000_000)).unwrap_or(usize::MAX)
}

/// Adds the events in the first `length` bytes of `buffer`, those of one token as one.
fn merge(buffer: &[u8], length: usize, events: &mut Vec<Event>) {
    for event in parse(buffer.get(..length).unwrap_or_default()) {
        match events.iter_mut().find(|known| known.token == event.token) {
            Some(known) => known.flags |= event.flags,
            None => events.push(event),
        }
    }
}

/// The events in `bytes`, without the record that only says that the time is over.
fn parse(bytes: &[u8]) -> impl Iterator<Item = Event> + '_ {
    bytes.chunks_exact(RECORD).filter_map(|record| {
        let mut words = record.chunks_exact(size_of::<usize>()).map(|word| {
            let mut bytes = [0; size_of::<usize>()];
            bytes.copy_from_slice(word);
            usize::from_ne_bytes(bytes)
        });
        let (id, flags, token) = (words.next()?, words.next()?, words.next()?);
        (id != EVENT_TIMEOUT_ID).then_some(Event {
            token,
            flags: EventFlags::from_bits_retain(flags),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_less_than_a_millisecond_away_sleeps_a_whole_one() {
        let now = Instant::from_secs(1);
        assert_eq!(timeout_millis(Instant::from_nanos(1_000_000_001), now), 1);
        assert_eq!(timeout_millis(Instant::from_nanos(1_001_000_000), now), 1);
        assert_eq!(timeout_millis(Instant::from_nanos(1_001_000_001), now), 2);
    }

    #[test]
    fn a_deadline_that_is_past_does_not_sleep() {
        let now = Instant::from_secs(1);
        assert_eq!(timeout_millis(now, now), 0);
        assert_eq!(timeout_millis(Instant::ZERO, now), 0);
        assert!(timeout_millis(Instant::MAX, now) > 1_000_000);
    }

    #[test]
    fn many_events_of_one_file_are_one() {
        let mut bytes = Vec::new();
        for number in 0..BATCH {
            let flags = [EventFlags::EVENT_READ, EventFlags::EVENT_WRITE][number % 2];
            bytes.extend_from_slice(&syscall::Event {
                id: 3,
                flags,
                data: number / 32,
            });
        }
        let mut events = Vec::new();
        merge(&bytes, bytes.len(), &mut events);
        let flags = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        assert_eq!(
            events,
            [Event { token: 0, flags }, Event { token: 1, flags }]
        );
    }

    #[test]
    fn the_end_of_the_timeout_is_not_an_event() {
        let mut bytes = Vec::new();
        for (id, flags, data) in [
            (7, EventFlags::EVENT_READ, 70),
            (EVENT_TIMEOUT_ID, EventFlags::EVENT_READ, 5),
            (8, EventFlags::EVENT_READ | EventFlags::EVENT_WRITE, 80),
        ] {
            bytes.extend_from_slice(&syscall::Event { id, flags, data });
        }
        bytes.push(1); // half a record, which no kernel sends
        bytes.extend_from_slice(b"beyond what was read");
        let mut events = Vec::new();
        merge(&bytes, 73, &mut events);
        assert_eq!(
            events,
            [
                Event {
                    token: 70,
                    flags: EventFlags::EVENT_READ
                },
                Event {
                    token: 80,
                    flags: EventFlags::EVENT_READ | EventFlags::EVENT_WRITE
                },
            ]
        );
    }
}
