//! A bus whose devices follow a script: for everything that QEMU's cannot do.
//!
//! [`ScriptedBus`] is both ends: xhcid's, as a [`Bus`], and the test's, which plugs devices in, lets them say things and
//! pulls them out. Nothing happens by a clock: a device that is slow is one that the test lets go later. [`Rndis`] is an
//! adapter that speaks RNDIS; any other is a [`Device`].

mod descriptors;
mod host;
pub mod message;
mod pipe;
mod rndis;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libredox::Fd;
use redox_host::Host;
use rustix::event::{EventfdFlags, eventfd};
use syscall::error::{EIO, Error as Errno};
use syscall::flag::{O_CREAT, O_RDWR};

use super::bus::{Bus, BusEvent, Completion, Outcome, Port, Setup, Ticket};
use crate::error::{Context, Result};
use host::HostEnd;
use pipe::Pipe;

pub use descriptors::Descriptors;
pub use rndis::{Answer, BULK_IN, BULK_OUT, INTERRUPT, Rndis, RndisSpec};

/// A device that follows a script. The bus answers GET_DESCRIPTOR, SET_CONFIGURATION, SET_INTERFACE and CLEAR_FEATURE
/// for it.
pub trait Device: Send {
    /// What it says it is.
    fn descriptors(&self) -> &Descriptors;

    /// Any other control transfer; `data` came from the host.
    fn control(&mut self, setup: Setup, data: &[u8], wire: &mut Wire) -> Reply;

    /// A transfer from the host to `endpoint`.
    fn receive(&mut self, endpoint: u8, data: &[u8], wire: &mut Wire) -> Reply;
}

/// What a device answers to a control transfer or to data from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done; these bytes go to the host, cut off at what it asked for. Without meaning for a transfer from it.
    Done(Vec<u8>),
    /// A stall.
    Stall,
    /// Nothing, until [`ScriptedBus::answer`].
    Hold,
}

/// What a device does besides answering, gathered during one of its turns.
#[derive(Debug, Default)]
pub struct Wire {
    sent: Vec<(u8, Vec<u8>)>,
    stalled: Vec<u8>,
}

impl Wire {
    /// Bytes for the host on an IN endpoint: one transfer, which ends with them. A host that asked for fewer finds the
    /// rest in its next transfer; a transfer of none is an empty one.
    pub fn send(&mut self, endpoint: u8, bytes: impl Into<Vec<u8>>) {
        self.sent.push((endpoint, bytes.into()));
    }

    /// Halts an endpoint: its next transfer, or the one that waits, is a stall.
    pub fn stall(&mut self, endpoint: u8) {
        self.stalled.push(endpoint);
    }
}

/// The bus. Clones are the same.
#[derive(Clone)]
pub struct ScriptedBus(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something happened that a test may wait for.
    changed: Condvar,
    /// xhcid's interrupt.
    ring: OwnedFd,
}

#[derive(Default)]
struct State {
    plugged: BTreeMap<Port, Plugged>,
    events: VecDeque<BusEvent>,
    tickets: u64,
    steps: usize,
    unplug: Option<(usize, Port)>,
    /// How often something happened.
    changes: u64,
}

struct Plugged {
    device: Box<dyn Device>,
    pipes: BTreeMap<u8, Pipe>,
    /// Transfers that were not answered: on endpoint 0 with their setup packet, or from the host.
    held: VecDeque<(Ticket, Held)>,
    configuration: Option<u8>,
}

enum Held {
    Control(Setup),
    Out(usize),
}

impl ScriptedBus {
    /// A bus with nothing on it.
    pub fn new() -> Result<Self> {
        let ring = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            ring,
        })))
    }

    /// xhcid's end, for [`super::Xhcid::spawn`]. It is to be opened once.
    pub fn open(&self, host: &Host) -> impl FnOnce() -> Result<Box<dyn Bus>> + Send + 'static {
        let bus = self.clone();
        let ring = bus.0.ring.try_clone();
        let number = ring.map(|ring| host.irq().provide_msi_vectors(vec![ring]).first().copied());
        move || {
            let number = number?.context("no free interrupt")?;
            let path = format!("/scheme/irq/cpu-00/{number}");
            let interrupt = Fd::open(&path, (O_RDWR | O_CREAT) as i32, 0).context(path)?;
            Ok(Box::new(HostEnd { bus, interrupt }))
        }
    }

    /// Plugs a device in, whatever was there before.
    pub fn plug(&self, port: Port, device: impl Device + 'static) {
        self.unplug(port);
        let plugged = Plugged {
            device: Box::new(device),
            pipes: BTreeMap::new(),
            held: VecDeque::new(),
            configuration: None,
        };
        let mut state = self.lock();
        state.plugged.insert(port, plugged);
        state.events.push_back(BusEvent::Attached(port));
        self.happened(state);
    }

    /// Pulls the device out: what was under way fails.
    pub fn unplug(&self, port: Port) {
        let mut state = self.lock();
        state.unplug(port);
        self.happened(state);
    }

    /// Pulls the device out when the host has taken `steps` more steps: before it is given an address, configured, or
    /// makes its next transfer. Zero is the next one.
    pub fn unplug_after(&self, steps: usize, port: Port) {
        let mut state = self.lock();
        state.unplug = Some((state.steps.saturating_add(steps), port));
    }

    /// How many such steps the host has taken so far.
    pub fn steps(&self) -> usize {
        self.lock().steps
    }

    /// The value of the configuration that the host chose; None when there is no device or it has none.
    pub fn configuration(&self, port: Port) -> Option<u8> {
        self.lock().plugged.get(&port)?.configuration
    }

    /// Whether the host waits for something on this IN endpoint.
    pub fn is_armed(&self, port: Port, endpoint: u8) -> bool {
        let state = self.lock();
        let pipe = state
            .plugged
            .get(&port)
            .and_then(|on| on.pipes.get(&endpoint));
        pipe.is_some_and(Pipe::is_armed)
    }

    /// Lets the device do something of its own accord. False when there is none.
    pub fn act(&self, port: Port, act: impl FnOnce(&mut Wire)) -> bool {
        let mut wire = Wire::default();
        act(&mut wire);
        let mut state = self.lock();
        let there = state.plugged.contains_key(&port);
        state.carry_out(port, wire);
        self.happened(state);
        there
    }

    /// Answers the oldest transfer that the device held back; false when there is none.
    pub fn answer(&self, port: Port, reply: Reply) -> bool {
        let mut state = self.lock();
        let held = state
            .plugged
            .get_mut(&port)
            .and_then(|on| on.held.pop_front());
        let Some((ticket, held)) = held else {
            return false;
        };
        state.answer(port, ticket, held, reply);
        self.happened(state);
        true
    }

    /// Waits until `wanted`, which is asked whenever something happened; false after `timeout`.
    pub fn wait_until(&self, timeout: Duration, mut wanted: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = self.lock().changes;
            if wanted() {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let same = |state: &mut State| state.changes == seen;
            let waited = self.0.changed.wait_timeout_while(self.lock(), left, same);
            if waited.is_ok_and(|(_, timeout)| timeout.timed_out()) {
                return wanted();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The test did something: xhcid is to look.
    fn happened(&self, mut state: MutexGuard<'_, State>) {
        state.changes = state.changes.wrapping_add(1);
        drop(state);
        self.0.changed.notify_all();
        // Full only when xhcid has not looked for ever, and then it will.
        let _ = rustix::io::write(&self.0.ring, &1u64.to_ne_bytes());
    }
}

impl State {
    fn unplug(&mut self, port: Port) {
        let Some(gone) = self.plugged.remove(&port) else {
            return;
        };
        let waiting = gone.pipes.into_values().flat_map(Pipe::into_waiting);
        let tickets: Vec<Ticket> = gone
            .held
            .iter()
            .map(|(ticket, _)| *ticket)
            .chain(waiting)
            .collect();
        for ticket in tickets {
            self.complete(ticket, Outcome::Failed, 0, Vec::new());
        }
        self.events.push_back(BusEvent::Detached(port));
    }

    /// The host takes a step: it is the last one of a device that is to be pulled out now.
    fn step(&mut self, port: Port) -> syscall::Result<&mut Plugged> {
        if let Some((at, victim)) = self.unplug
            && self.steps >= at
        {
            self.unplug = None;
            self.unplug(victim);
        }
        self.steps = self.steps.saturating_add(1);
        self.plugged.get_mut(&port).ok_or(Errno::new(EIO))
    }

    fn complete(&mut self, ticket: Ticket, outcome: Outcome, transferred: usize, data: Vec<u8>) {
        self.events.push_back(BusEvent::Completed(Completion {
            ticket,
            outcome,
            transferred,
            data,
        }));
    }

    /// What a device did in its turn.
    fn carry_out(&mut self, port: Port, wire: Wire) {
        let Some(on) = self.plugged.get_mut(&port) else {
            return;
        };
        let mut done = Vec::new();
        for (endpoint, bytes) in wire.sent {
            match on.pipes.get_mut(&endpoint) {
                Some(pipe) => done.extend(pipe.send(bytes)),
                None => log::debug!("scripted device: endpoint {endpoint:#x} is not configured"),
            }
        }
        for endpoint in wire.stalled {
            let pipe = on.pipes.get_mut(&endpoint);
            done.extend(pipe.and_then(Pipe::stall));
        }
        self.events
            .extend(done.into_iter().map(BusEvent::Completed));
    }

    fn answer(&mut self, port: Port, ticket: Ticket, held: Held, reply: Reply) {
        match (held, reply) {
            (held, Reply::Hold) => {
                if let Some(on) = self.plugged.get_mut(&port) {
                    on.held.push_back((ticket, held));
                }
            }
            (_, Reply::Stall) => self.complete(ticket, Outcome::Stalled, 0, Vec::new()),
            (Held::Out(length), Reply::Done(_)) => {
                self.complete(ticket, Outcome::Success, length, Vec::new());
            }
            (Held::Control(setup), Reply::Done(mut data)) => {
                let asked = usize::from(setup.length);
                if !setup.is_in() {
                    return self.complete(ticket, Outcome::Success, asked, Vec::new());
                }
                data.truncate(asked);
                let outcome = if data.len() < asked {
                    Outcome::Short
                } else {
                    Outcome::Success
                };
                self.complete(ticket, outcome, data.len(), data);
            }
        }
    }
}
