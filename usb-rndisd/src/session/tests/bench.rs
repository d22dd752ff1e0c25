//! A device that answers as QEMU's usb-net does, unless its test wants something else of it.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use netscheme::frame::Mac;
use netscheme::time::Instant;

use crate::counters::Counter;
use crate::message::Control;
use crate::message::control::{InitializeComplete, oid, status};
use crate::session::{Action, Adapter, Event, Options, Session, State, TransferFailed};

pub(super) const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
pub(super) const LOCAL: Mac = Mac([0x02, 1, 2, 3, 4, 5]);

/// What becomes of one command, instead of what the device would do with it.
#[derive(Clone, Debug)]
pub(super) enum Instead {
    /// The transfer stalls.
    Stall,
    /// Nothing is ever answered.
    Silence,
    /// These bytes are answered.
    Bytes(Vec<u8>),
    /// The answer comes, after these other ones.
    After(Vec<Vec<u8>>),
    /// The answer has this status.
    Status(u32),
    /// The answer has another request id, as much higher.
    RequestId(u32),
}

/// The device.
pub(super) struct Device {
    pub(super) initialize: InitializeComplete,
    /// What it knows, by OID; all others it answers with success and nothing, as QEMU does.
    pub(super) values: BTreeMap<u32, Vec<u8>>,
    /// What it does with the next commands.
    pub(super) script: VecDeque<Instead>,
    /// What it does with each command of this MessageType, whatever comes first.
    pub(super) always: BTreeMap<u32, Instead>,
    /// What it answers when asked, oldest first.
    pub(super) responses: VecDeque<Vec<u8>>,
    /// Every command that it got.
    pub(super) commands: Vec<Vec<u8>>,
    /// How often it was asked, and when last.
    pub(super) asked: Vec<Instant>,
}

impl Device {
    fn new() -> Self {
        let number = |number: u32| number.to_le_bytes().to_vec();
        Self {
            initialize: InitializeComplete {
                major: 1,
                device_flags: 1,
                max_packets: 1,
                max_transfer: 1580,
                ..InitializeComplete::default()
            },
            values: BTreeMap::from([
                (oid::PERMANENT_ADDRESS_802_3, MAC.0.to_vec()),
                (oid::CURRENT_ADDRESS_802_3, MAC.0.to_vec()),
                (oid::GEN_MAXIMUM_FRAME_SIZE, number(1500)),
                (oid::GEN_LINK_SPEED, number(100_000)),
                (oid::GEN_MEDIA_CONNECT_STATUS, number(0)),
            ]),
            script: VecDeque::new(),
            always: BTreeMap::new(),
            responses: VecDeque::new(),
            commands: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn command(&mut self, command: &[u8]) -> Result<(), TransferFailed> {
        self.commands.push(command.to_vec());
        let kind = u32::from(command[0]);
        let instead = self
            .always
            .get(&kind)
            .cloned()
            .or_else(|| self.script.pop_front());
        let answer = |device: &Self, status, shift| device.answer(command, status, shift);
        match instead {
            Some(Instead::Stall) => return Err(TransferFailed),
            Some(Instead::Silence) => {}
            Some(Instead::Bytes(bytes)) => self.responses.push_back(bytes),
            Some(Instead::After(before)) => {
                self.responses.extend(before);
                self.responses.extend(answer(self, status::SUCCESS, 0));
            }
            Some(Instead::Status(status)) => self.responses.extend(answer(self, status, 0)),
            Some(Instead::RequestId(shift)) => {
                self.responses.extend(answer(self, status::SUCCESS, shift));
            }
            None => self.responses.extend(answer(self, status::SUCCESS, 0)),
        }
        Ok(())
    }

    /// The answer to `command`, with this status and the request id so much higher.
    fn answer(&self, command: &[u8], status: u32, shift: u32) -> Option<Vec<u8>> {
        let message = match Control::decode(command).expect("a message of the host's") {
            Control::Initialize { request_id, .. } => {
                Control::InitializeComplete(InitializeComplete {
                    request_id: request_id.wrapping_add(shift),
                    status,
                    ..self.initialize
                })
            }
            Control::Query {
                request_id, oid, ..
            } => Control::QueryComplete {
                request_id: request_id.wrapping_add(shift),
                status,
                buffer: self.values.get(&oid).map_or(&[], |value| value),
            },
            Control::Set { request_id, .. } => Control::SetComplete {
                request_id: request_id.wrapping_add(shift),
                status,
            },
            Control::Reset => Control::ResetComplete {
                status,
                addressing_reset: 1,
            },
            Control::KeepAlive { request_id } => Control::KeepAliveComplete {
                request_id: request_id.wrapping_add(shift),
                status,
            },
            _ => return None,
        };
        Some(message.encode())
    }

    /// Bytes of a read of 1025, as a controller gives them that does not say how many came.
    fn respond(&mut self) -> Vec<u8> {
        let mut response = self.responses.pop_front().unwrap_or_else(|| vec![0]);
        response.resize(1025, 0);
        response
    }
}

/// A session with that device.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) device: Device,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
}

impl Bench {
    /// Plugged in, and nothing said yet; `change` makes another device of it.
    pub(super) fn new(change: impl FnOnce(&mut Device)) -> Self {
        Self::with_options(Options::new(LOCAL, 64), change)
    }

    pub(super) fn with_options(options: Options, change: impl FnOnce(&mut Device)) -> Self {
        let now = Instant::from_secs(100);
        let mut device = Device::new();
        change(&mut device);
        Self {
            session: Session::new(now, options),
            device,
            now,
            events: Vec::new(),
        }
    }

    /// An adapter that is up; what it was asked until then is forgotten.
    pub(super) fn up() -> Self {
        let mut bench = Self::new(|_| {});
        bench.run_to_rest();
        assert_eq!(bench.session.state(), State::Up);
        bench.device.commands.clear();
        bench.device.asked.clear();
        bench.events.clear();
        bench
    }

    /// Makes every transfer that the session wants now, and takes what happened.
    pub(super) fn act(&mut self) {
        self.transfer();
        self.events
            .extend(core::iter::from_fn(|| self.session.poll_event()));
    }

    /// Makes every transfer that the session wants now.
    pub(super) fn transfer(&mut self) {
        let mut transfers = 0;
        while self.transfer_one() {
            transfers += 1;
            assert!(transfers < 100, "it never comes to rest");
        }
    }

    /// Makes one transfer, if the session wants any.
    pub(super) fn transfer_one(&mut self) -> bool {
        let Some(action) = self.session.poll_action() else {
            return false;
        };
        assert_eq!(self.session.poll_action(), None, "one transfer at a time");
        match action {
            Action::Send(command) => {
                let result = self.device.command(&command);
                self.session.handle_sent(self.now, result);
            }
            Action::Ask { length } => {
                assert_eq!(length, 1025);
                self.device.asked.push(self.now);
                let response = self.device.respond();
                self.session.handle_response(self.now, &response);
            }
        }
        true
    }

    /// The device is not there any more: every transfer fails, until the session gives up.
    pub(super) fn unplug(&mut self) {
        while self.session.deadline().is_some() {
            while let Some(action) = self.session.poll_action() {
                match action {
                    Action::Send(_) => self.session.handle_sent(self.now, Err(TransferFailed)),
                    Action::Ask { .. } => self.session.handle_no_response(),
                }
            }
            self.now = self
                .session
                .deadline()
                .map_or(self.now, |at| self.now.max(at));
            self.session.handle_timeout(self.now);
        }
        self.act();
    }

    /// Goes on to the next deadline.
    pub(super) fn step(&mut self) {
        self.act();
        if let Some(deadline) = self.session.deadline() {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.act();
        }
    }

    /// Goes on until the session has nothing to do but to wait for its next keepalive, or is over.
    pub(super) fn run_to_rest(&mut self) {
        for _ in 0..500 {
            self.act();
            match self.session.deadline() {
                Some(deadline) if !self.is_at_rest() => {
                    self.now = self.now.max(deadline);
                    self.session.handle_timeout(self.now);
                }
                _ => return,
            }
        }
        panic!("it never comes to rest: {:?}", self.session);
    }

    /// Lets so much time pass, doing what is to be done meanwhile.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        self.act();
        while let Some(deadline) = self.session.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(deadline);
            self.session.handle_timeout(self.now);
            self.act();
        }
        self.now = end;
    }

    /// The device says something unasked for, and rings.
    pub(super) fn says(&mut self, message: Control<'_>) {
        self.device.responses.push_back(message.encode());
        self.session.handle_notification();
        self.act();
    }

    pub(super) fn adapter(&self) -> &Adapter {
        self.session.adapter().expect("an adapter that was up")
    }

    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.session.counters().get(counter)
    }

    /// The names of the commands that the device got, in order.
    pub(super) fn commands(&self) -> Vec<String> {
        self.device
            .commands
            .iter()
            .map(|command| name(command))
            .collect()
    }

    fn is_at_rest(&self) -> bool {
        self.session.state() == State::Up
            && self.session.exchange.is_none()
            && self.session.plan.is_empty()
    }
}

fn name(command: &[u8]) -> String {
    match Control::decode(command).expect("a message of the host's") {
        Control::Initialize { max_transfer, .. } => format!("INITIALIZE {max_transfer}"),
        Control::Query { oid, buffer, .. } => format!("QUERY {oid:08x} {}", buffer.len()),
        Control::Set { oid, buffer, .. } => format!("SET {oid:08x} {buffer:02x?}"),
        Control::KeepAlive { .. } => "KEEPALIVE".into(),
        Control::KeepAliveComplete { request_id, status } => {
            format!("KEEPALIVE_CMPLT {request_id:x} {status}")
        }
        Control::Reset => "RESET".into(),
        Control::Halt { .. } => "HALT".into(),
        other => panic!("a host does not say {other:?}"),
    }
}
