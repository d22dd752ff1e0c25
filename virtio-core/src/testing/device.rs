//! The registers of a virtio PCI device, made of plain values.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::memory::TestMemory;
use super::ring::DeviceQueue;
use crate::features::Features;
use crate::pci::Structures;
use crate::registers::Registers;

/// Where the structures lie in the one BAR of the device.
const COMMON: usize = 0;
const ISR: usize = 0x1000;
const CONFIG: usize = 0x2000;
const NOTIFY: usize = 0x3000;
const BAR: usize = 0x4000;

/// One queue as the registers tell of it.
#[derive(Clone, Debug, Default)]
pub struct FakeQueue {
    /// The largest size, then the size that the driver chose.
    pub size: u16,
    /// A lie: the size that reads back once the driver has written one.
    pub size_reads: Option<u16>,
    /// The driver has written a size.
    pub size_written: bool,
    /// The MSI-X vector.
    pub vector: u16,
    /// The driver has enabled the queue.
    pub enabled: bool,
    /// `queue_notify_off`.
    pub notify_off: u16,
    /// Device addresses of descriptor table, available ring and used ring.
    pub parts: [u64; 3],
}

/// What the device is made of. Tests change it as they like.
#[derive(Clone, Debug, Default)]
pub struct FakeState {
    /// The device status.
    pub status: u8,
    /// Every status that the driver wrote.
    pub statuses: Vec<u8>,
    /// What is offered.
    pub offered: u64,
    /// What the driver accepted.
    pub accepted: u64,
    /// `config_generation`.
    pub generation: u8,
    /// The generation grows at every read.
    pub generation_runs: bool,
    /// The device-specific configuration.
    pub config: Vec<u8>,
    /// The queues.
    pub queues: Vec<FakeQueue>,
    /// The vector for configuration changes.
    pub config_vector: u16,
    /// How many vectors the device can map.
    pub vectors: u16,
    /// The interrupt status.
    pub isr: u8,
    /// Doorbells, by offset into the notification structure and value written.
    pub doorbells: Vec<(usize, u16)>,
    /// `notify_off_multiplier`.
    pub notify_multiplier: u32,
    /// Bytes of the notification structure.
    pub notify_length: u32,
    /// Status bits that the device does not keep.
    pub drops_status: u8,
    /// Reads of the status after a reset that do not give 0 yet.
    pub reset_takes: u32,
    /// The device is gone: all reads give ones.
    pub gone: bool,
    /// What the driver did that it must not do.
    pub offences: Vec<String>,
    selected: [u32; 3],
    resetting: u32,
}

/// The registers, shared between the driver and the test.
#[derive(Clone)]
pub struct FakeDevice {
    state: Arc<Mutex<FakeState>>,
    memory: TestMemory,
}

impl FakeDevice {
    /// A device that offers `offered` and has queues of these largest sizes.
    pub fn new(memory: &TestMemory, offered: Features, queue_sizes: &[u16]) -> Self {
        let queues = queue_sizes.iter().zip(0..).map(|(size, number)| FakeQueue {
            size: *size,
            vector: 0xffff,
            notify_off: number,
            ..FakeQueue::default()
        });
        let state = FakeState {
            offered: offered.0,
            queues: queues.collect(),
            config_vector: 0xffff,
            vectors: 4,
            notify_multiplier: 4,
            notify_length: 0x1000,
            config: alloc::vec![0; 64],
            ..FakeState::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            memory: memory.clone(),
        }
    }

    /// The state, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vendor capabilities as pcid hands them out.
    pub fn capabilities(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let structures = [
            (1, COMMON, 56),
            (2, NOTIFY, state.notify_length),
            (3, ISR, 1),
            (4, CONFIG, state.config.len() as u32),
        ];
        let capability = |(kind, offset, length): (u8, usize, u32)| {
            let mut bytes = alloc::vec![kind, 0, 0, 0, 0];
            bytes.extend((offset as u32).to_le_bytes());
            bytes.extend(length.to_le_bytes());
            if kind == 2 {
                bytes.extend(state.notify_multiplier.to_le_bytes());
            }
            bytes
        };
        structures.into_iter().map(capability).collect()
    }

    /// The registers as a driver finds them.
    ///
    /// # Panics
    /// The test has made capabilities that are of no use.
    pub fn transport(&self) -> crate::pci::Transport {
        let bars = [Some(BAR as u64), None, None, None, None, None];
        let structures = Structures::parse(&self.capabilities(), &bars);
        let bound = structures
            .and_then(|structures| structures.transport(|_| Ok(Arc::new(self.clone()) as _)));
        match bound {
            Ok(transport) => transport,
            Err(error) => panic!("{error}"),
        }
    }

    /// The device's end of queue `index`, from its beginning.
    ///
    /// # Panics
    /// There is no such queue, or the driver has not enabled it.
    pub fn queue(&self, index: usize) -> DeviceQueue {
        let state = self.state();
        let queue = state.queues.get(index).filter(|queue| queue.enabled);
        let queue = queue.unwrap_or_else(|| panic!("queue {index} of {:?}", state.queues));
        let [descriptors, available, used] = queue.parts;
        DeviceQueue {
            memory: self.memory.clone(),
            size: queue.size,
            descriptors,
            available,
            used,
            event_index: Features(state.accepted).contains(Features::EVENT_IDX),
            next: 0,
            used_index: 0,
        }
    }
}

impl FakeState {
    /// The driver made this mistake.
    fn offend(&mut self, offence: String) {
        self.offences.push(offence);
    }

    fn write_status(&mut self, status: u8) {
        self.statuses.push(status);
        if status == 0 {
            self.reset();
            return;
        }
        // virtio 2.1.1: the driver must not clear a bit but by a reset, and sets them in this order.
        let order = [0, 1, 3, 0xb, 0xf];
        let sound = order
            .windows(2)
            .any(|step| self.status & 0xf == step[0] && status & 0xf == step[1]);
        if !sound && status & 0x80 == 0 {
            self.offend(format!("status {status:#x} after {:#x}", self.status));
        }
        self.status = status & !self.drops_status | self.status & 0x40;
    }

    fn reset(&mut self) {
        self.resetting = self.reset_takes;
        self.accepted = 0;
        self.isr = 0;
        self.config_vector = 0xffff;
        for queue in &mut self.queues {
            queue.enabled = false;
            queue.vector = 0xffff;
        }
        if self.resetting == 0 {
            self.status = 0;
        }
    }

    fn read_status(&mut self) -> u8 {
        if self.resetting > 0 {
            self.resetting -= 1;
            if self.resetting == 0 {
                self.status = 0;
                return self.status | 0x80;
            }
        }
        self.status
    }

    fn read_generation(&mut self) -> u8 {
        let generation = self.generation;
        if self.generation_runs {
            self.generation = generation.wrapping_add(1);
        }
        generation
    }

    fn selected_queue(&mut self) -> Option<&mut FakeQueue> {
        self.queues.get_mut(self.selected[2] as usize)
    }

    fn read_common(&mut self, offset: usize) -> u32 {
        let queue = self
            .selected_queue()
            .map(|queue| queue.clone())
            .unwrap_or_default();
        match offset {
            4 if self.selected[0] < 2 => (self.offered >> (32 * self.selected[0])) as u32,
            12 if self.selected[1] < 2 => (self.accepted >> (32 * self.selected[1])) as u32,
            16 => self.config_vector.into(),
            18 => self.queues.len() as u32,
            20 => self.read_status().into(),
            21 => self.read_generation().into(),
            22 => self.selected[2],
            24 => queue
                .size_reads
                .filter(|_| queue.size_written)
                .unwrap_or(queue.size)
                .into(),
            26 => queue.vector.into(),
            28 => queue.enabled.into(),
            30 => queue.notify_off.into(),
            32..56 => (queue.parts[(offset - 32) / 8] >> (8 * (offset % 8))) as u32,
            _ => 0,
        }
    }

    fn write_common(&mut self, offset: usize, value: u32) {
        let vectors = self.vectors;
        let mappable = move |value: u32| {
            if value < vectors.into() {
                value as u16
            } else {
                0xffff
            }
        };
        match offset {
            0 => self.selected[0] = value,
            8 => self.selected[1] = value,
            12 if self.status & 8 != 0 => {
                self.offend(format!("features {value:#x} after FEATURES_OK"))
            }
            12 if self.selected[1] == 0 => {
                self.accepted = self.accepted >> 32 << 32 | u64::from(value)
            }
            12 => self.accepted = self.accepted & 0xffff_ffff | u64::from(value) << 32,
            16 => self.config_vector = mappable(value),
            20 => self.write_status(value as u8),
            22 => self.selected[2] = value,
            24..56 if self.status & 0xc != 8 => {
                self.offend(format!("queue register {offset} in {:#x}", self.status))
            }
            24..56 => self.write_queue(offset, value, mappable(value)),
            _ => self.offend(format!("common register {offset} = {value:#x}")),
        }
    }

    fn write_queue(&mut self, offset: usize, value: u32, vector: u16) {
        let Some(queue) = self.selected_queue() else {
            return;
        };
        if queue.enabled {
            return self.offend(format!(
                "queue register {offset} = {value:#x} while enabled"
            ));
        }
        match offset {
            24 => (queue.size, queue.size_written) = (value as u16, true),
            26 => queue.vector = vector,
            28 => queue.enabled = value == 1,
            32..56 => {
                let part = &mut queue.parts[(offset - 32) / 8];
                let shift = 8 * (offset % 8);
                *part = *part & !(0xffff_ffff << shift) | u64::from(value) << shift;
            }
            _ => {}
        }
    }

    fn ring(&mut self, offset: usize, queue: u16) {
        if self.status & 4 == 0 {
            self.offend(format!("doorbell of queue {queue} before DRIVER_OK"));
        }
        self.doorbells.push((offset, queue));
    }

    fn read(&mut self, offset: usize, width: usize) -> u32 {
        match offset {
            _ if self.gone => u32::MAX,
            0..56 => self.read_common(offset),
            ISR => core::mem::take(&mut self.isr).into(),
            CONFIG..NOTIFY => {
                let bytes = self.config.iter().skip(offset - CONFIG).take(width);
                bytes
                    .rev()
                    .fold(0, |value, byte| value << 8 | u32::from(*byte))
            }
            _ => 0,
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        match offset {
            _ if self.gone => {}
            0..56 => self.write_common(offset, value),
            NOTIFY..BAR => self.ring(offset - NOTIFY, value as u16),
            _ => self.offend(format!("register {offset:#x} = {value:#x}")),
        }
    }
}

impl Registers for FakeDevice {
    fn length(&self) -> usize {
        BAR
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.state().read(offset, 1) as u8
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.state().read(offset, 2) as u16
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.state().read(offset, 4)
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.state().write(offset, value.into());
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.state().write(offset, value.into());
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.state().write(offset, value);
    }
}
