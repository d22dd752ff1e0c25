//! A command that is out, until its answer comes or patience ends.

use core::time::Duration;

use netscheme::time::Instant;

use super::command::{Command, Item};
use super::{Event, MAX_RESETS, MacSource, Session, SessionError, State, TransferFailed};
use crate::counters::Counter;

/// How long after a command the device is first asked for its answer, unless it says before that it
/// has one.
const FIRST_ASK: Duration = Duration::from_millis(1);
/// The longest pause between two times of asking.
const MAX_ASK_PAUSE: Duration = Duration::from_millis(256);
/// How long after a stall a command is sent once more.
const STALL_PAUSE: Duration = Duration::from_millis(100);

/// A command, and how far it has come.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) command: Command,
    /// A repeated command keeps it: an answer is an answer, whichever time it was given for.
    pub(super) request_id: u32,
    attempts_left: u32,
    /// It is to be sent.
    to_send: bool,
    /// When this attempt ends.
    until: Instant,
    /// When the device is asked for the answer next; `None` until the command is sent.
    ask_at: Option<Instant>,
    pause: Duration,
}

/// What is to be done when time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeout {
    /// Nothing yet.
    Early,
    /// Ask for the answer.
    Ask,
    /// Send the command once more, which [`Exchange`] knows itself.
    Repeat,
    /// Nothing more.
    GivenUp,
}

impl Exchange {
    fn new(now: Instant, command: Command, request_id: u32) -> Self {
        let (attempts, patience) = command.patience();
        Self {
            command,
            request_id,
            attempts_left: attempts.saturating_sub(1),
            to_send: true,
            until: now.saturating_add(patience),
            ask_at: None,
            pause: FIRST_ASK,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.ask_at.map_or(self.until, |at| at.min(self.until))
    }

    /// The command's transfer is over.
    pub(super) fn sent(&mut self, now: Instant, result: Result<(), TransferFailed>) {
        match result {
            Ok(()) => {
                self.pause = FIRST_ASK;
                self.ask_at = Some(now.saturating_add(self.pause));
            }
            Err(TransferFailed) => self.until = self.until.min(now.saturating_add(STALL_PAUSE)),
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) -> Timeout {
        if now >= self.until {
            return self.repeat(now);
        }
        if self.ask_at.is_none_or(|at| now < at) {
            return Timeout::Early;
        }
        self.pause = self.pause.saturating_mul(2).min(MAX_ASK_PAUSE);
        self.ask_at = Some(now.saturating_add(self.pause));
        Timeout::Ask
    }

    fn repeat(&mut self, now: Instant) -> Timeout {
        let Some(left) = self.attempts_left.checked_sub(1) else {
            return Timeout::GivenUp;
        };
        self.attempts_left = left;
        self.to_send = true;
        self.ask_at = None;
        self.until = now.saturating_add(self.command.patience().1);
        Timeout::Repeat
    }
}

impl Session {
    /// Sends the next command of the plan that is needed; when there is none, the adapter is up.
    pub(super) fn next_command(&mut self, now: Instant) {
        while let Some(command) = self.plan.pop_front() {
            let is_needed = match command {
                Command::Query(Item::PermanentAddress) => {
                    self.adapter.mac_source == MacSource::Local
                }
                Command::SetMulticastList => !self.options.multicast.is_empty(),
                _ => true,
            };
            if is_needed {
                return self.begin(now, command);
            }
        }
        match self.state {
            State::Starting => {
                self.state = State::Up;
                self.was_up = true;
                self.tell(Event::Up);
            }
            State::Resetting => self.state = State::Up,
            State::Up | State::Halting | State::Halted | State::Failed => {}
        }
    }

    pub(super) fn begin(&mut self, now: Instant, command: Command) {
        let request_id = self.next_request_id();
        self.exchange = Some(Exchange::new(now, command, request_id));
    }

    /// The message of the command that is out, if it is to be sent now.
    pub(super) fn command_to_send(&mut self) -> Option<Vec<u8>> {
        let filter = self.packet_filter();
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.to_send)?;
        exchange.to_send = false;
        Some(
            exchange
                .command
                .encode(exchange.request_id, &self.options, filter),
        )
    }

    /// The command that is out will not be answered.
    pub(super) fn give_up(&mut self, now: Instant) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        match exchange.command {
            Command::Query(_) | Command::SetMulticastList => self.next_command(now),
            Command::KeepAlive => self.reset(now),
            command @ (Command::Initialize | Command::SetPacketFilter | Command::Reset) => {
                self.fail(SessionError::NoAnswer {
                    command: command.name(),
                });
            }
        }
    }

    /// The device does not say that it lives (RNDIS, REMOTE_NDIS_KEEPALIVE_CMPLT: then it is reset).
    pub(super) fn reset(&mut self, now: Instant) {
        if self.resets >= MAX_RESETS {
            return self.fail(SessionError::KeepsFailing {
                resets: self.resets,
            });
        }
        self.resets = self.resets.saturating_add(1);
        self.counters.count(Counter::Resets);
        self.state = State::Resetting;
        self.plan.clear();
        self.begin(now, Command::Reset);
    }
}
