//! The control channel, from INITIALIZE to HALT: messages and time come in, control transfers and
//! events go out. Nothing here reads a clock, makes a transfer or waits.
//!
//! ```text
//!           ┌──────────┐ filter set ┌──────┐ KEEPALIVE answered badly, or not ┌───────────┐
//!  new ───► │ Starting ├──────────► │  Up  ├────────────────────────────────► │ Resetting │
//!           └────┬─────┘            └─┬──▲─┘                                  └──┬─────┬──┘
//!                │               halt │  └────────── filter set again ───────────┘     │
//!                │               ┌────▼─────┐ sent, or given up ┌────────┐             │
//!                │               │ Halting  ├──────────────────►│ Halted │             │
//!                │               └──────────┘                   └────────┘             │
//!                └───────────────────────► Failed ◄────────────────────────────────────┘
//! ```
//!
//! One command is out at a time, and repeated a bounded number of times. RESPONSE_AVAILABLE on the
//! interrupt endpoint makes the session ask for the response; since not every device and controller
//! delivers it, the session also asks by itself, at growing intervals, as long as a command is
//! out. When none is, the only timer is that of KEEPALIVE.
//!
//! What a device says unasked for (an indication, a KEEPALIVE of its own) is taken at any time,
//! in the middle of a command too.
//!
//! ```text
//!   mod        what goes in and out      command    the commands and their patience
//!   exchange   a command and its answer  reply      what answers mean
//!   adapter    what is known about the adapter
//! ```

mod adapter;
mod command;
mod error;
mod exchange;
mod reply;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use netscheme::frame::{LinkState, Mac};
use netscheme::time::Instant;

use self::command::Command;
use self::exchange::Exchange;
use crate::counters::{Counter, Counters};
use crate::message::Control;
use crate::message::control::filter;

pub use adapter::{Adapter, MacSource};
pub use error::SessionError;

/// Bytes that a response is asked for with: what Microsoft's host asks for (RNDIS over USB).
const RESPONSE_LENGTH: usize = 1025;
/// How long HALT may take before the session ends without it.
const HALT_PATIENCE: Duration = Duration::from_secs(1);
/// Resets in a row, without a sign of life in between, after which the device is given up.
const MAX_RESETS: u32 = 3;

/// How a session is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The adapter's address if the device has none of its own; made of random bytes.
    pub local_mac: Mac,
    /// The largest transfer that the host reads or writes, in bytes.
    pub max_transfer: u32,
    /// wMaxPacketSize of the bulk-OUT endpoint, in bytes.
    pub packet_size: u16,
    /// Groups whose frames are wanted. All of them come anyhow, where the device can do that.
    pub multicast: Vec<Mac>,
    /// How long nothing is heard from the device before it is asked whether it lives.
    pub keepalive: Duration,
}

impl Options {
    /// What suits everybody: transfers of 16 KiB, and KeepAliveTimeoutPeriod of RNDIS.
    #[must_use]
    pub fn new(local_mac: Mac, packet_size: u16) -> Self {
        Self {
            local_mac,
            max_transfer: 16 << 10,
            packet_size,
            multicast: Vec::new(),
            keepalive: Duration::from_secs(5),
        }
    }
}

/// A control transfer to make. There is one at a time: tell how it went before asking for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// SEND_ENCAPSULATED_COMMAND with these bytes; then [`Session::handle_sent`].
    Send(Vec<u8>),
    /// GET_ENCAPSULATED_RESPONSE; then [`Session::handle_response`] or
    /// [`Session::handle_no_response`].
    Ask {
        /// wLength, in bytes.
        length: usize,
    },
}

/// A control transfer that failed: the device stalled it, or it was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferFailed;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The adapter is up: see [`Session::adapter`].
    Up,
    /// The link changed.
    Link(LinkState),
    /// The device was reset: what it was sending or receiving is lost.
    Reset,
    /// HALT is done with.
    Halted,
    /// The adapter cannot be used.
    Failed(SessionError),
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The adapter is being brought up.
    Starting,
    /// Frames pass.
    Up,
    /// The device is being reset.
    Resetting,
    /// The device is being told that this is the end.
    Halting,
    /// The end.
    Halted,
    /// The end, because of an error.
    Failed,
}

/// The transfer that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    Command,
    Answer,
    Halt,
    Response,
}

/// A control session; see the [module](self).
///
/// After each `handle_…` do what [`Session::poll_action`] says until it says nothing, take the
/// events, and come back with [`Session::handle_timeout`] at [`Session::deadline`].
#[derive(Debug)]
pub struct Session {
    options: Options,
    state: State,
    adapter: Adapter,
    /// Commands still to be sent, first to last. Never more than one of the lists of [`Command`].
    plan: VecDeque<Command>,
    /// The command that is out.
    exchange: Option<Exchange>,
    under_way: Option<UnderWay>,
    /// The device asked with this request id whether the host lives.
    to_answer: Option<u32>,
    /// HALT is still to be sent.
    to_halt: bool,
    /// When [`State::Halting`] ends by itself.
    halt_until: Instant,
    /// The response is to be asked for now.
    to_ask: bool,
    /// Responses in a row that nobody waited for.
    unexpected: u32,
    last_request_id: u32,
    /// When the device was last heard.
    heard: Instant,
    /// Resets since it last said that it lives.
    resets: u32,
    /// The device has refused INITIALIZE once.
    initialize_refused: bool,
    /// The device does not hand up all frames.
    promiscuous_refused: bool,
    /// Frames passed once.
    was_up: bool,
    /// At most one of each kind: the newest.
    events: VecDeque<Event>,
    counters: Counters,
}

impl Session {
    /// A session with a device that was just configured.
    #[must_use]
    pub fn new(now: Instant, options: Options) -> Self {
        let mut session = Self {
            state: State::Starting,
            adapter: Adapter::new(&options),
            plan: Command::BRING_UP.into(),
            exchange: None,
            under_way: None,
            to_answer: None,
            to_halt: false,
            halt_until: Instant::MAX,
            to_ask: false,
            unexpected: 0,
            last_request_id: 0,
            heard: now,
            resets: 0,
            initialize_refused: false,
            promiscuous_refused: false,
            was_up: false,
            events: VecDeque::new(),
            counters: Counters::default(),
            options,
        };
        session.next_command(now);
        session
    }

    /// The next control transfer, if one is to be made and none is under way.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.under_way.is_some() {
            return None;
        }
        let (under_way, message) = if self.to_halt {
            self.to_halt = false;
            let request_id = self.next_request_id();
            (UnderWay::Halt, Control::Halt { request_id }.encode())
        } else if let Some(request_id) = self.to_answer.take() {
            self.counters.count(Counter::KeepAlivesAnswered);
            let status = crate::message::control::status::SUCCESS;
            let answer = Control::KeepAliveComplete { request_id, status };
            (UnderWay::Answer, answer.encode())
        } else if let Some(message) = self.command_to_send() {
            (UnderWay::Command, message)
        } else if self.to_ask {
            self.to_ask = false;
            self.under_way = Some(UnderWay::Response);
            self.counters.count(Counter::ControlAsked);
            return Some(Action::Ask {
                length: RESPONSE_LENGTH,
            });
        } else {
            return None;
        };
        self.under_way = Some(under_way);
        self.counters.count(Counter::ControlSent);
        Some(Action::Send(message))
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Session::handle_timeout`] is to be called, if nothing comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Halted | State::Failed => None,
            State::Halting => Some(self.halt_until),
            State::Starting | State::Up | State::Resetting => match &self.exchange {
                Some(exchange) => Some(exchange.deadline()),
                None => Some(self.keepalive_at()),
            },
        }
    }

    /// A message was sent, or not.
    pub fn handle_sent(&mut self, now: Instant, result: Result<(), TransferFailed>) {
        if result.is_err() {
            self.counters.count(Counter::ControlStalled);
        }
        match self.under_way.take() {
            Some(UnderWay::Command) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.sent(now, result);
                }
            }
            Some(UnderWay::Halt) if self.state == State::Halting => self.halted(),
            // The device asks again if the answer did not reach it.
            Some(_) | None => {}
        }
    }

    /// The device's response: what was read, however much of it is the message.
    pub fn handle_response(&mut self, now: Instant, response: &[u8]) {
        self.under_way = None;
        if self.is_talking() {
            self.on_response(now, response);
        }
    }

    /// The device was asked for a response and gave none.
    pub fn handle_no_response(&mut self) {
        self.under_way = None;
        self.unexpected = 0;
        self.counters.count(Counter::ControlStalled);
    }

    /// Something came on the interrupt endpoint. Whatever it says, it can only mean that the device
    /// has a response: RESPONSE_AVAILABLE is the only notification of RNDIS, and not every device
    /// gets its bytes right.
    pub fn handle_notification(&mut self) {
        if self.is_talking() {
            self.to_ask = true;
        }
    }

    /// Something came on the bulk-IN endpoint: the device lives.
    pub fn handle_traffic(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// The time of [`Session::deadline`] has come. Too early is no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Halted | State::Failed => {}
            State::Halting => {
                if now >= self.halt_until {
                    self.halted();
                }
            }
            State::Starting | State::Up | State::Resetting => match &mut self.exchange {
                Some(exchange) => match exchange.timeout(now) {
                    exchange::Timeout::Early => {}
                    exchange::Timeout::Ask => self.to_ask = true,
                    exchange::Timeout::Repeat => self.counters.count(Counter::ControlRepeated),
                    exchange::Timeout::GivenUp => {
                        self.counters.count(Counter::ControlNoAnswer);
                        self.give_up(now);
                    }
                },
                None => {
                    if now >= self.keepalive_at() {
                        self.counters.count(Counter::KeepAlivesSent);
                        self.begin(now, Command::KeepAlive);
                    }
                }
            },
        }
    }

    /// Says HALT to the device, then ends; [`Event::Halted`] comes in any case.
    pub fn halt(&mut self, now: Instant) {
        if !self.is_talking() {
            return;
        }
        self.forget_work();
        self.state = State::Halting;
        self.to_halt = true;
        self.halt_until = now.saturating_add(HALT_PATIENCE);
    }

    /// Where the session is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The adapter, once it was up.
    #[must_use]
    pub fn adapter(&self) -> Option<&Adapter> {
        self.was_up.then_some(&self.adapter)
    }

    /// What happened on the control channel.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether what the device says is of interest.
    fn is_talking(&self) -> bool {
        matches!(self.state, State::Starting | State::Up | State::Resetting)
    }

    fn keepalive_at(&self) -> Instant {
        self.heard.saturating_add(self.options.keepalive)
    }

    /// The bits of the packet filter: every frame that is for this host. A device that does not know
    /// the host's address cannot tell which those are.
    fn packet_filter(&self) -> u32 {
        let mut bits = filter::DIRECTED | filter::BROADCAST | filter::ALL_MULTICAST;
        if !self.options.multicast.is_empty() {
            bits |= filter::MULTICAST;
        }
        if self.adapter.mac_source == MacSource::Local && !self.promiscuous_refused {
            bits |= filter::PROMISCUOUS;
        }
        bits
    }

    fn next_request_id(&mut self) -> u32 {
        self.last_request_id = self.last_request_id.checked_add(1).unwrap_or(1);
        self.last_request_id
    }

    fn tell(&mut self, event: Event) {
        let kind = core::mem::discriminant(&event);
        self.events
            .retain(|other| core::mem::discriminant(other) != kind);
        self.events.push_back(event);
    }

    fn forget_work(&mut self) {
        self.plan.clear();
        self.exchange = None;
        self.to_answer = None;
        self.to_ask = false;
    }

    fn halted(&mut self) {
        self.forget_work();
        self.to_halt = false;
        self.state = State::Halted;
        self.tell(Event::Halted);
    }

    fn fail(&mut self, error: SessionError) {
        self.forget_work();
        self.state = State::Failed;
        self.tell(Event::Failed(error));
    }
}
