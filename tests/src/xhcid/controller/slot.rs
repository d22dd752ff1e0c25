//! A device as the controller knows it: its slot, contexts and rings (xHCI 1.2, 4.5, 6.2).

use std::collections::{BTreeMap, VecDeque};

use syscall::error::{EBUSY, EIO, Error, Result};

use super::memory::{GuestMemory, Piece};
use super::ring::{Memory, ProducerRing};
use super::trb::Trb;
use crate::xhcid::bus::{
    Completion, Endpoint, EndpointState, MAX_TRANSFER, Outcome, Ticket, Transfer,
};

/// The device context index of endpoint 0 (4.8.1).
pub(super) const DEFAULT_CONTROL: u8 = 1;
/// Attempts before the controller gives up (6.2.3: CErr).
const ERROR_COUNT: u32 = 3;
const FULL_SPEED: u32 = 1;
const LOW_SPEED: u32 = 2;
const HIGH_SPEED: u32 = 3;

/// The device context index of an endpoint's address.
pub(super) const fn index_of(address: u8) -> u8 {
    match address & 0x0f {
        0 => DEFAULT_CONTROL,
        number => number << 1 | address >> 7,
    }
}

/// A transfer that the controller has.
struct Descriptor {
    ticket: Ticket,
    /// The address of its last TRB: an event for it ends the transfer.
    last: u64,
    buffer: Piece,
    length: usize,
    to_host: bool,
    /// The bytes that were moved, when an event before the last told.
    short: Option<usize>,
}

/// A ring of transfers.
pub(super) struct Pipe {
    ring: ProducerRing,
    _memory: Piece,
    queued: VecDeque<Descriptor>,
    /// Buffers that were used and can be used again.
    buffers: Vec<Piece>,
    pub(super) halted: bool,
}

/// A device.
pub(super) struct Slot {
    pub(super) number: u8,
    pub(super) port: u8,
    speed: u32,
    context: u64,
    output: Piece,
    input: Piece,
    pub(super) pipes: BTreeMap<u8, Pipe>,
    /// It was pulled out.
    pub(super) gone: bool,
}

impl Pipe {
    fn new(memory: &GuestMemory) -> Result<Self> {
        let (ring, piece) = memory.ring()?;
        Ok(Self {
            ring,
            _memory: piece,
            queued: VecDeque::new(),
            buffers: Vec::new(),
            halted: false,
        })
    }

    /// Queues a transfer; the doorbell is still to be rung. EBUSY when the ring is full.
    pub(super) fn queue(
        &mut self,
        memory: &GuestMemory,
        ticket: Ticket,
        transfer: &Transfer,
    ) -> Result<()> {
        let buffer = self.buffers.pop();
        let buffer = buffer.map_or_else(|| memory.piece(MAX_TRANSFER), Ok)?;
        let address = buffer.address();
        let (trbs, length, to_host) = match transfer {
            Transfer::Control { setup, data } => {
                memory.write(address, data);
                let stages = [
                    Trb::setup(*setup),
                    Trb::data(address, *setup),
                    Trb::status(*setup),
                ];
                let stages = stages.into_iter().enumerate();
                let stages = stages.filter(|(stage, _)| *stage != 1 || setup.length != 0);
                (
                    stages.map(|(_, trb)| trb).collect(),
                    setup.length.into(),
                    setup.is_in(),
                )
            }
            Transfer::In { length, .. } => {
                (vec![Trb::normal(address, *length as u32)], *length, true)
            }
            Transfer::Out { data, .. } => {
                memory.write(address, data);
                (
                    vec![Trb::normal(address, data.len() as u32)],
                    data.len(),
                    false,
                )
            }
        };
        let pushed = self
            .ring
            .push(memory, &trbs)
            .map_err(|_| Error::new(EBUSY))?;
        self.queued.push_back(Descriptor {
            ticket,
            last: pushed.last().copied().unwrap_or_default(),
            buffer,
            length,
            to_host,
            short: None,
        });
        Ok(())
    }

    /// A transfer event came: the end of the oldest transfer, unless it only tells of its data stage (4.10.1.1).
    pub(super) fn event(&mut self, memory: &GuestMemory, event: Trb) -> Option<Completion> {
        self.ring.consumed(event.parameter);
        let oldest = self.queued.front_mut()?;
        let outcome = event.outcome();
        let left = usize::try_from(event.residue()).unwrap_or(usize::MAX);
        if outcome == Outcome::Short && event.parameter != oldest.last {
            oldest.short = Some(oldest.length.saturating_sub(left));
            return None;
        }
        let done = self.queued.pop_front()?;
        let transferred = match (outcome, done.short) {
            (Outcome::Success | Outcome::Short, Some(moved)) => moved,
            // The status stage has no bytes of its own.
            (Outcome::Success | Outcome::Short, None) => done.length.saturating_sub(left),
            (Outcome::Stalled | Outcome::Failed, _) => 0,
        };
        self.halted = matches!(outcome, Outcome::Stalled | Outcome::Failed);
        let mut data = vec![0; if done.to_host { transferred } else { 0 }];
        memory.read(done.buffer.address(), &mut data);
        self.buffers.push(done.buffer);
        let short = transferred < done.length && outcome == Outcome::Success;
        Some(Completion {
            ticket: done.ticket,
            outcome: if short { Outcome::Short } else { outcome },
            transferred,
            data,
        })
    }

    /// Drops what is queued: their tickets. The controller is told separately.
    pub(super) fn forget(&mut self) -> Vec<Ticket> {
        self.ring.forget();
        let Self {
            queued, buffers, ..
        } = self;
        let forgotten = queued.drain(..).map(|of| {
            buffers.push(of.buffer);
            of.ticket
        });
        forgotten.collect()
    }

    /// Where the controller goes on after a reset.
    pub(super) fn pointer(&self) -> u64 {
        self.ring.pointer()
    }
}

impl Slot {
    /// A slot with endpoint 0, whose contexts are ready for Address Device (4.3.3). `speed` is as in PORTSC.
    pub(super) fn new(
        memory: &GuestMemory,
        number: u8,
        port: u8,
        speed: u32,
        context: u64,
    ) -> Result<Self> {
        // The input context has one more in front: 33 contexts of 64 bytes at most.
        let (output, input) = (memory.piece(4096)?, memory.piece(4096)?);
        let control = Pipe::new(memory)?;
        let slot = Self {
            number,
            port,
            speed,
            context,
            output,
            input,
            pipes: BTreeMap::from([(DEFAULT_CONTROL, control)]),
            gone: false,
        };
        let max_packet_size = match speed {
            LOW_SPEED => 8,
            FULL_SPEED | HIGH_SPEED => 64,
            _ => 512,
        };
        let endpoint = Endpoint {
            address: 0,
            attributes: 0,
            max_packet_size,
            interval: 0,
        };
        slot.begin_input(memory, 0, 1 << DEFAULT_CONTROL, DEFAULT_CONTROL);
        slot.write_endpoint(memory, endpoint)?;
        Ok(slot)
    }

    /// Where the controller keeps its contexts.
    pub(super) fn output(&self) -> u64 {
        self.output.address()
    }

    /// What is written for a command.
    pub(super) fn input(&self) -> u64 {
        self.input.address()
    }

    /// New rings for these endpoints, and an input context for Configure Endpoint that drops those of before (4.6.6).
    pub(super) fn prepare(&mut self, memory: &GuestMemory, endpoints: &[Endpoint]) -> Result<()> {
        let before = self.pipes.keys().filter(|index| **index != DEFAULT_CONTROL);
        let drop: u32 = before.map(|index| 1 << index).sum();
        self.pipes.retain(|index, _| *index == DEFAULT_CONTROL);
        // Alternate settings share endpoints.
        for endpoint in endpoints {
            self.pipes
                .insert(index_of(endpoint.address), Pipe::new(memory)?);
        }
        let indices = self.pipes.keys().filter(|index| **index != DEFAULT_CONTROL);
        let add: u32 = indices.map(|index| 1 << index).sum();
        let last = self.pipes.keys().last().copied().unwrap_or(DEFAULT_CONTROL);
        self.begin_input(memory, drop, add, last);
        endpoints
            .iter()
            .try_for_each(|of| self.write_endpoint(memory, *of))
    }

    /// The input control context and the slot context (6.2.5.1, 6.2.2).
    fn begin_input(&self, memory: &GuestMemory, drop: u32, add: u32, last: u8) {
        let input = self.input.address();
        memory.write(input, &[0; 2112]);
        memory.write_words(input, &[drop, add | 1]);
        let slot = [
            u32::from(last) << 27 | self.speed << 20,
            u32::from(self.port) << 16,
        ];
        memory.write_words(input + self.context, &slot);
    }

    /// An endpoint context (6.2.3).
    fn write_endpoint(&self, memory: &GuestMemory, endpoint: Endpoint) -> Result<()> {
        let index = index_of(endpoint.address);
        let pipe = self.pipes.get(&index).ok_or(Error::new(EIO))?;
        let kind = match endpoint.attributes & 3 {
            0 => 4,
            kind => u32::from(kind) + if endpoint.is_in() { 4 } else { 0 },
        };
        let packet = u32::from(endpoint.max_packet_size & 0x7ff);
        let average = if kind == 4 { 8 } else { packet };
        let ring = pipe.pointer();
        let words = [
            self.interval(endpoint) << 16,
            ERROR_COUNT << 1 | kind << 3 | packet << 16,
            ring as u32,
            (ring >> 32) as u32,
            average | packet << 16,
        ];
        let at = self.input.address() + self.context * (u64::from(index) + 1);
        memory.write_words(at, &words);
        Ok(())
    }

    /// The interval as a power of two of 125 µs (6.2.3.6).
    fn interval(&self, endpoint: Endpoint) -> u32 {
        let given = u32::from(endpoint.interval.max(1));
        match (endpoint.attributes & 3, self.speed) {
            (0 | 2, _) => 0,
            (_, FULL_SPEED | LOW_SPEED) => (3 + given.ilog2()).min(10),
            _ => (given - 1).min(15),
        }
    }

    /// The state that the controller wrote into an endpoint's context.
    pub(super) fn state(&self, memory: &GuestMemory, endpoint: u8) -> EndpointState {
        let at = self.output.address() + self.context * u64::from(index_of(endpoint));
        match memory.read_u32(at) & 7 {
            0 => EndpointState::Disabled,
            1 => EndpointState::Running,
            2 => EndpointState::Halted,
            3 => EndpointState::Stopped,
            _ => EndpointState::Error,
        }
    }
}
