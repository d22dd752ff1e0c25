//! The control channel: does what the session asks for, and tells it what came of it.
//!
//! A device says that it has a response by a notification on its interrupt endpoint (CDC 1.2, 6.3.1: RESPONSE_AVAILABLE). Not
//! all do, or not always; how to live with that is the session's business.

use netscheme::Instant;

use crate::control::Control;
use crate::counters::{Counter, Counters};
use crate::error::Error;
use crate::session::{Action, Event, Session, TransferFailed};
use crate::xhci::{self, Arrival, InPipe};

/// Control transfers, and notifications, of one turn: a device that always has more to say must not stop the frames.
const PER_TURN: usize = 16;
/// Bytes of a notification at most. One of RNDIS has 8.
pub(crate) const NOTIFICATION: usize = 64;

/// The session and its ways to the device, but for the control pipe.
pub(crate) struct Channel {
    session: Session,
    notifications: Option<InPipe>,
    /// The transfer of notifications may be over.
    look: bool,
    response: Vec<u8>,
    counters: Counters,
}

impl Channel {
    /// A channel with an endpoint of notifications, if the device has one.
    pub(crate) fn new(session: Session, notifications: Option<InPipe>) -> Self {
        Self {
            session,
            notifications,
            look: true,
            response: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The session.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The file of which xhcid posts events, if the device sends notifications.
    pub(crate) fn fd(&self) -> Option<usize> {
        self.notifications.as_ref().map(InPipe::fd)
    }

    /// An event, or the timer, says that there may be a notification.
    pub(crate) fn signal(&mut self) {
        self.look = true;
    }

    /// Whether a transfer is under way, so that somebody must notice its end.
    pub(crate) fn is_armed(&self) -> bool {
        self.notifications.as_ref().is_some_and(InPipe::is_armed)
    }

    /// When the session wants to be called even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// Frames came: the device lives.
    pub(crate) fn on_traffic(&mut self, now: Instant) {
        self.session.handle_traffic(now);
    }

    /// What changed.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// Transfers of notifications that ended.
    pub(crate) fn transfers(&self) -> u64 {
        self.counters.get(Counter::Notifications)
    }

    /// What happened here.
    pub(crate) fn counters(&self) -> [&Counters; 2] {
        [self.session.counters(), &self.counters]
    }

    /// Takes notifications, notices timeouts and does what the session wants. Returns whether there is more to do.
    ///
    /// # Errors
    /// The device is gone, or is of no use.
    pub(crate) fn turn(&mut self, control: &mut Control) -> Result<bool, Error> {
        self.listen(control)?;
        if self
            .session
            .deadline()
            .is_some_and(|deadline| deadline <= control.now)
        {
            self.session.handle_timeout(control.now);
        }
        for _ in 0..PER_TURN {
            let Some(action) = self.session.poll_action() else {
                return Ok(self.look && self.notifications.is_some());
            };
            self.act(action, control)?;
        }
        Ok(true)
    }

    /// Tells the device that the driver ends, if it still listens.
    pub(crate) fn halt(&mut self, control: &mut Control) {
        self.session.halt(control.now);
        // It is the end, whatever the device says to it.
        let _ = self.turn(control);
    }

    fn act(&mut self, action: Action, control: &mut Control) -> Result<(), Error> {
        let now = control.now;
        match action {
            Action::Send(command) => {
                let sent = told(control.pipe.send(&command))?;
                self.session.handle_sent(now, sent);
            }
            Action::Ask { length } => {
                self.response.resize(length, 0);
                match told(control.pipe.fetch(&mut self.response))? {
                    Ok(()) => self.session.handle_response(now, &self.response),
                    Err(TransferFailed) => self.session.handle_no_response(),
                }
            }
        }
        Ok(())
    }

    fn listen(&mut self, control: &mut Control) -> Result<(), Error> {
        for _ in 0..PER_TURN {
            let Some(pipe) = self.notifications.as_mut().filter(|_| self.look) else {
                return Ok(());
            };
            match pipe.take(&mut [0; NOTIFICATION]) {
                Ok(Arrival::NotYet) => self.look = false,
                Ok(Arrival::Empty) => {}
                Ok(Arrival::Short(_) | Arrival::Full(_)) => {
                    self.counters.count(Counter::Notifications);
                    self.session.handle_notification();
                }
                Ok(Arrival::Stalled) => control.recover(|control| pipe.restart(control))?,
                Err(error) if error.is_gone() => return Err(error.into()),
                Err(error) => {
                    log::warn!("no more notifications from the device: {error}");
                    self.notifications = None;
                }
            }
        }
        Ok(())
    }
}

/// What the session is told of a control transfer; an error if the device is gone.
fn told(result: Result<(), xhci::Error>) -> Result<Result<(), TransferFailed>, Error> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(error) if error.is_gone() => Err(error.into()),
        Err(error) => {
            log::debug!("a control transfer failed: {error}");
            Ok(Err(TransferFailed))
        }
    }
}
