//! A virtio network card: registers, MSI-X table, and a device that works as soon as its doorbell
//! rings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redox_host::Host;
use virtio_core::testing::{DeviceQueue, FakeDevice, TestMemory};
use virtio_core::{Features, Registers};

pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const HEADER: usize = 12;
/// Where the fake device has its interrupt status and its doorbells.
const ISR: usize = 0x1000;
const NOTIFY: usize = 0x3000;

/// How the card interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// By messages; so many vectors are in its table.
    MsiX(u16),
    /// By this line.
    Line(u8),
}

/// What the card does with frames that the driver sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Sends them, and keeps them for the test.
    Sends,
    /// Sends them, and receives each as if a peer had sent it back.
    Echoes,
    /// Leaves them where they are.
    Stalls,
    /// Asks for a reset at the first of each life.
    Breaks,
}

/// The card, shared between the registers that the driver has and the test.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) fake: FakeDevice,
    pub(crate) memory: TestMemory,
    host: Host,
    wiring: Wiring,
    state: Arc<Mutex<State>>,
}

struct State {
    manner: Manner,
    receive: Option<DeviceQueue>,
    transmit: Option<DeviceQueue>,
    sent: Vec<Vec<u8>>,
    table: Vec<u8>,
}

impl Card {
    pub(crate) fn new(host: &Host, wiring: Wiring, manner: Manner) -> Self {
        let memory = TestMemory::new(0x10_0000, 8192);
        // Bits 5 and 16: MAC and STATUS.
        let offered =
            Features::VERSION_1 | Features::EVENT_IDX | Features::bit(5) | Features::bit(16);
        let fake = FakeDevice::new(&memory, offered, &[16, 16]);
        fake.state().config[..8].copy_from_slice(&[MAC.as_slice(), &[1, 0]].concat());
        let state = State {
            manner,
            receive: None,
            transmit: None,
            sent: Vec::new(),
            table: vec![0xff; 64],
        };
        Self {
            fake,
            memory,
            host: host.clone(),
            wiring,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wiring(&self) -> Wiring {
        self.wiring
    }

    pub(crate) fn set_manner(&self, manner: Manner) {
        self.state().manner = manner;
        if manner != Manner::Stalls {
            self.work();
        }
    }

    /// The frames sent so far.
    pub(crate) fn take_sent(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.state().sent)
    }

    /// Frames arrive from the network, one interrupt for all; how many found a buffer.
    pub(crate) fn deliver(&self, frames: &[Vec<u8>]) -> usize {
        let (delivered, interrupt) = self.state().deliver(frames);
        if interrupt {
            self.interrupt(0, 1);
        }
        delivered
    }

    /// The link goes up or down.
    pub(crate) fn set_link(&self, up: bool) {
        {
            let mut state = self.fake.state();
            state.config[6] = up.into();
            state.generation = state.generation.wrapping_add(1);
        }
        self.interrupt(1, 2);
    }

    /// The card asks to be reset (virtio 2.1.2).
    pub(crate) fn needs_reset(&self) {
        self.fake.state().status |= 64;
        self.interrupt(1, 2);
    }

    /// Raises the interrupt of the queues (0, bit 1 of the status) or of the configuration (1, bit
    /// 2).
    fn interrupt(&self, vector: u16, status: u8) {
        match self.wiring {
            Wiring::MsiX(vectors) => self.message(vector.min(vectors - 1)),
            Wiring::Line(line) => {
                self.fake.state().isr |= status;
                self.host.irq().raise_line(line);
            }
        }
    }

    /// Writes the message of an entry of the table, unless it is masked.
    pub(crate) fn message(&self, entry: u16) {
        let (address, data, control) = {
            let state = self.state();
            let word = |at: usize| u32::from_le_bytes(state.table[at..at + 4].try_into().unwrap());
            let at = usize::from(entry) * 16;
            assert_eq!(word(at + 4), 0, "the upper half of the address");
            (word(at), word(at + 8), word(at + 12))
        };
        if control & 1 == 0 {
            assert_eq!(address, 0xfee0_0000, "the local APIC of processor 0");
            self.host.irq().raise(u8::try_from(data - 32).unwrap());
        }
    }

    /// Does what a doorbell asks for.
    fn work(&self) {
        let mut echoes = Vec::new();
        let mut broken = false;
        let mut interrupt = false;
        {
            let mut state = self.state();
            let manner = state.manner;
            let State {
                transmit: Some(queue),
                sent,
                ..
            } = &mut *state
            else {
                return;
            };
            while manner != Manner::Stalls && !broken {
                let Some(chain) = queue.pop() else {
                    // Asleep until the next doorbell, unless something came meanwhile.
                    if queue.want_doorbell(true) {
                        continue;
                    } else {
                        break;
                    }
                };
                let part = chain.parts[0];
                let frame = queue
                    .memory
                    .read(part.address, part.length as usize)
                    .split_off(HEADER);
                interrupt |= queue.push(chain.head, 0);
                broken = manner == Manner::Breaks;
                match manner {
                    Manner::Echoes => echoes.push(frame),
                    _ => sent.push(frame),
                }
            }
        }
        if interrupt {
            self.interrupt(0, 1);
        }
        if !echoes.is_empty() {
            self.deliver(&echoes);
        }
        if broken {
            self.needs_reset();
        }
    }

    /// After DRIVER_OK the card knows its queues; after a reset it has none.
    fn on_status(&self, status: u8) {
        let mut state = self.state();
        if status == 0 {
            (state.receive, state.transmit) = (None, None);
        } else if status & 4 != 0 {
            (state.receive, state.transmit) = (Some(self.fake.queue(0)), Some(self.fake.queue(1)));
        }
    }
}

impl State {
    fn deliver(&mut self, frames: &[Vec<u8>]) -> (usize, bool) {
        let Some(queue) = &mut self.receive else {
            return (0, false);
        };
        let (mut delivered, mut interrupt) = (0, false);
        for frame in frames {
            let Some(chain) = queue.pop() else { break };
            let mut bytes = vec![0; HEADER];
            bytes[10] = 1;
            bytes.extend(frame);
            queue.memory.write(chain.parts[0].address, &bytes);
            interrupt |= queue.push(chain.head, bytes.len() as u32);
            delivered += 1;
        }
        (delivered, interrupt)
    }
}

impl Registers for Card {
    fn length(&self) -> usize {
        self.fake.length()
    }
    fn read_u8(&self, offset: usize) -> u8 {
        let value = self.fake.read_u8(offset);
        if offset == ISR
            && let Wiring::Line(line) = self.wiring
        {
            self.host.irq().lower_line(line);
        }
        value
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.fake.read_u16(offset)
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.fake.read_u32(offset)
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.fake.write_u8(offset, value);
        if offset == 20 {
            self.on_status(value);
        }
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.fake.write_u16(offset, value);
        if offset >= NOTIFY {
            self.work();
        }
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.fake.write_u32(offset, value);
    }
}

/// The BAR with the card's MSI-X table.
pub(crate) struct Table(pub(crate) Card);

impl Registers for Table {
    fn length(&self) -> usize {
        64
    }
    fn read_u8(&self, _offset: usize) -> u8 {
        panic!("the table is read by 32 bits")
    }
    fn read_u16(&self, _offset: usize) -> u16 {
        panic!("the table is read by 32 bits")
    }
    fn read_u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.0.state().table[offset..offset + 4].try_into().unwrap())
    }
    fn write_u8(&self, _offset: usize, _value: u8) {
        panic!("the table is written by 32 bits")
    }
    fn write_u16(&self, _offset: usize, _value: u16) {
        panic!("the table is written by 32 bits")
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.0.state().table[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
}
