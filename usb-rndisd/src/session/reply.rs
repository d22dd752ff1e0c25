//! What the device says, asked for or not.

use netscheme::frame::LinkState;
use netscheme::time::Instant;

use super::adapter::speed_mbps;
use super::command::{Command, Item};
use super::{Event, MacSource, Session, SessionError, State};
use crate::counters::Counter;
use crate::message::control::{InitializeComplete, status};
use crate::message::{Control, DecodeError};

/// Responses in a row that nobody waited for, after which the device is not asked for more of them
/// at once.
const MAX_UNEXPECTED: u32 = 16;

/// The answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer<'a> {
    status: u32,
    content: Content<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content<'a> {
    Initialize(InitializeComplete),
    Query(&'a [u8]),
    Nothing,
}

impl Session {
    pub(super) fn on_response(&mut self, now: Instant, response: &[u8]) {
        let message = match Control::decode(response) {
            Ok(message) => message,
            Err(error) => {
                self.counters.count(error.counter());
                match error {
                    DecodeError::Nothing => self.unexpected = 0,
                    _ => self.ask_for_more(),
                }
                return;
            }
        };
        self.heard = self.heard.max(now);
        match self.on_message(now, message) {
            Ok(()) => self.unexpected = 0,
            Err(reason) => {
                if let Some(reason) = reason {
                    self.counters.count(reason);
                }
                self.ask_for_more();
            }
        }
    }

    /// What was said was not what was waited for: that may stand behind it.
    fn ask_for_more(&mut self) {
        self.unexpected = self.unexpected.saturating_add(1);
        if self.unexpected <= MAX_UNEXPECTED {
            self.to_ask = true;
        }
    }

    /// Takes a message; an error when it does not answer the command, with the reason if it is no
    /// message that a device may send.
    fn on_message(&mut self, now: Instant, message: Control<'_>) -> Result<(), Option<Counter>> {
        match message {
            Control::KeepAlive { request_id } => {
                self.to_answer = Some(request_id);
                Err(None)
            }
            Control::IndicateStatus { status, .. } => {
                self.on_indication(now, status);
                Err(None)
            }
            message => {
                let answer = self.answer(message).map_err(Some)?;
                self.on_answer(now, answer);
                Ok(())
            }
        }
    }

    /// Whether `message` answers the command that is out, and how.
    fn answer<'a>(&self, message: Control<'a>) -> Result<Answer<'a>, Counter> {
        let Some(exchange) = &self.exchange else {
            return Err(Counter::ControlType);
        };
        let (request_id, status, content) = match (exchange.command, message) {
            (Command::Initialize, Control::InitializeComplete(reply)) => {
                (reply.request_id, reply.status, Content::Initialize(reply))
            }
            (
                Command::Query(_),
                Control::QueryComplete {
                    request_id,
                    status,
                    buffer,
                },
            ) => (request_id, status, Content::Query(buffer)),
            (
                Command::SetPacketFilter | Command::SetMulticastList,
                Control::SetComplete { request_id, status },
            )
            | (Command::KeepAlive, Control::KeepAliveComplete { request_id, status }) => {
                (request_id, status, Content::Nothing)
            }
            // The only answer without a request id.
            (Command::Reset, Control::ResetComplete { status, .. }) => {
                (exchange.request_id, status, Content::Nothing)
            }
            _ => return Err(Counter::ControlType),
        };
        if request_id != exchange.request_id {
            return Err(Counter::ControlRequestId);
        }
        Ok(Answer { status, content })
    }

    fn on_answer(&mut self, now: Instant, answer: Answer<'_>) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let command = exchange.command;
        if answer.status != status::SUCCESS {
            self.counters.count(Counter::ControlRefused);
            return self.on_refused(now, command, answer.status);
        }
        match (command, answer.content) {
            (Command::Initialize, Content::Initialize(reply)) => {
                if let Err(error) = self.adapter.agree(&reply) {
                    return self.fail(error);
                }
            }
            (Command::Query(item), Content::Query(buffer)) => self.on_value(item, buffer),
            (Command::KeepAlive, _) => self.resets = 0,
            (Command::Reset, _) => {
                // Whatever AddressingReset says: a filter that is set twice is still the same.
                self.plan = Command::AFTER_RESET.into();
                self.tell(Event::Reset);
            }
            _ => {}
        }
        self.next_command(now);
    }

    fn on_refused(&mut self, now: Instant, command: Command, status: u32) {
        match command {
            Command::Query(_) | Command::SetMulticastList => self.next_command(now),
            Command::KeepAlive => self.reset(now),
            Command::SetPacketFilter
                if self.adapter.mac_source == MacSource::Local && !self.promiscuous_refused =>
            {
                self.promiscuous_refused = true;
                self.begin(now, Command::SetPacketFilter);
            }
            // It may be up still from a driver that was killed: HALT takes every device back to its beginning (RNDIS,
            // REMOTE_NDIS_HALT_MSG).
            Command::Initialize if !self.initialize_refused => {
                self.initialize_refused = true;
                self.to_halt = true;
                self.begin(now, Command::Initialize);
            }
            Command::Initialize | Command::SetPacketFilter | Command::Reset => {
                self.fail(SessionError::Refused {
                    command: command.name(),
                    status,
                });
            }
        }
    }

    /// What the device knows. An empty buffer is what some answer for an item that they do not have.
    fn on_value(&mut self, item: Item, buffer: &[u8]) {
        let source = match item {
            Item::CurrentAddress => MacSource::Current,
            _ => MacSource::Permanent,
        };
        let number = buffer.first_chunk().copied().map(u32::from_le_bytes);
        match (item, number) {
            (Item::CurrentAddress | Item::PermanentAddress, _) => {
                self.adapter.set_mac(buffer, source, &mut self.counters);
            }
            (_, None) => {
                if !buffer.is_empty() {
                    self.counters.count(Counter::ControlBufferLength);
                }
            }
            (Item::MaximumFrameSize, Some(bytes)) => {
                self.adapter.set_mtu(bytes, &mut self.counters);
            }
            (Item::MediaConnectStatus, Some(value)) => {
                self.change_link(|link| link.up = value == 0)
            }
            (Item::LinkSpeed, Some(units)) => {
                self.change_link(|link| link.speed_mbps = speed_mbps(units))
            }
            (Item::PhysicalMedium, Some(medium)) => self.adapter.physical_medium = Some(medium),
        }
    }

    fn on_indication(&mut self, now: Instant, what: u32) {
        self.counters.count(Counter::Indications);
        match what {
            status::MEDIA_CONNECT => {
                self.change_link(|link| link.up = true);
                // It may be faster or slower than before.
                let speed = Command::Query(Item::LinkSpeed);
                if self.state == State::Up && !self.plan.contains(&speed) {
                    self.plan.push_back(speed);
                    if self.exchange.is_none() {
                        self.next_command(now);
                    }
                }
            }
            status::MEDIA_DISCONNECT => self.change_link(|link| link.up = false),
            _ => self.counters.count(Counter::IndicationsUnknown),
        }
    }

    fn change_link(&mut self, change: impl FnOnce(&mut LinkState)) {
        let before = self.adapter.link;
        change(&mut self.adapter.link);
        if self.adapter.link == before {
            return;
        }
        if self.adapter.link.up != before.up {
            self.counters.count(Counter::LinkChanges);
        }
        if self.state != State::Starting {
            self.tell(Event::Link(self.adapter.link));
        }
    }
}
