//! Where the driver sleeps, and what wakes it: events, deadlines, and the timer where xhcid posts no events.

use netscheme::reactor::{Event, Reactor, Watcher};
use netscheme::{Instant, clock};
use syscall::flag::EventFlags;

use crate::error::Error;
use crate::options::Endpoints;
use crate::poll::Poll;

/// What a wake-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The scheme's socket.
    Scheme,
    /// The endpoint of frames received.
    BulkIn,
    /// The endpoint of frames sent.
    BulkOut,
    /// The endpoint of notifications.
    Notifications,
}

impl Token {
    /// How many there are.
    const ALL: usize = 4;
    /// Those of endpoints.
    pub(crate) const ENDPOINTS: [Self; 3] = [Self::BulkIn, Self::BulkOut, Self::Notifications];
}

/// A wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wake {
    /// When.
    pub(crate) now: Instant,
    /// It was time to look at all endpoints.
    is_due: bool,
    /// By token: whether an event came.
    came: [bool; Token::ALL],
}

impl Wake {
    /// As if everything had happened that can.
    pub(crate) fn everywhere(now: Instant) -> Self {
        Self {
            now,
            is_due: true,
            came: [true; Token::ALL],
        }
    }

    /// Whether it is for `token`.
    pub(crate) fn is_for(&self, token: Token) -> bool {
        let came = self.came.get(token as usize).is_some_and(|came| *came);
        came || (self.is_due && token != Token::Scheme)
    }
}

/// The event queue, and the timer if endpoints are not in it.
pub(crate) struct Sleep {
    reactor: Reactor,
    poll: Option<Poll>,
    events: Vec<Event>,
}

impl Sleep {
    pub(crate) fn new(endpoints: Endpoints) -> Result<Self, Error> {
        Ok(Self {
            reactor: Reactor::new().map_err(Error::system("open an event queue"))?,
            poll: (endpoints != Endpoints::Events).then(Poll::default),
            events: Vec::new(),
        })
    }

    /// Whether an event tells of each transfer's end.
    pub(crate) fn is_told(&self) -> bool {
        self.poll.is_none()
    }

    /// What others have it wake up by, under tokens of this module.
    pub(crate) fn watcher(&self) -> Watcher {
        self.reactor.watcher()
    }

    /// Wakes up for `fd` from now on; for endpoints, where they can.
    pub(crate) fn watch(&self, fd: usize, token: Token) -> Result<(), Error> {
        if token != Token::Scheme && self.poll.is_some() {
            return Ok(());
        }
        let flags = match token {
            Token::BulkOut => EventFlags::EVENT_WRITE,
            Token::Scheme | Token::BulkIn | Token::Notifications => EventFlags::EVENT_READ,
        };
        self.reactor
            .watch(fd, token as usize, flags)
            .map_err(Error::system("watch for events"))
    }

    /// Sleeps until something happens, `deadline` comes, or it is time to look at endpoints, of which some are `armed`.
    pub(crate) fn until(&mut self, deadline: Option<Instant>, armed: bool) -> Result<Wake, Error> {
        let mut due = None;
        if let Some(poll) = &mut self.poll {
            poll.plan(clock::now(), armed);
            due = poll.due();
        }
        let deadline = deadline.into_iter().chain(due).min();
        self.reactor
            .wait(deadline, &mut self.events)
            .map_err(Error::system("wait for events"))?;
        let now = clock::now();
        let mut came = [false; Token::ALL];
        for event in &self.events {
            if let Some(came) = came.get_mut(event.token) {
                *came = true;
            }
        }
        let is_due = self.poll.as_mut().is_some_and(|poll| poll.is_due(now));
        Ok(Wake { now, is_due, came })
    }

    /// What a turn has found. Returns whether it was the timer's.
    pub(crate) fn looked(&mut self, wake: &Wake, found: bool) -> bool {
        match &mut self.poll {
            Some(poll) if wake.is_due || found => {
                poll.looked(found);
                wake.is_due
            }
            Some(_) | None => false,
        }
    }
}
