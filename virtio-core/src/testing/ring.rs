//! The device's end of a split virtqueue: honest by default, a liar where a test wants one.

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use super::memory::TestMemory;

/// One descriptor of a chain, as the device found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePart {
    /// Its device address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// The device may write it.
    pub writable: bool,
}

/// A chain that the device has taken from the available ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChain {
    /// The id: the number of its first descriptor.
    pub head: u16,
    /// Its descriptors, those of an indirect table in place of the one that leads there.
    pub parts: Vec<DevicePart>,
}

/// The device's end of one queue. It trusts the driver: what makes no sense panics, for then the test has found a defect.
#[derive(Clone)]
pub struct DeviceQueue {
    /// The memory of the machine.
    pub memory: TestMemory,
    /// Descriptors.
    pub size: u16,
    /// Device address of the descriptor table.
    pub descriptors: u64,
    /// Device address of the available ring.
    pub available: u64,
    /// Device address of the used ring.
    pub used: u64,
    /// EVENT_IDX was negotiated.
    pub event_index: bool,
    /// Next entry of the available ring to take.
    pub next: u16,
    /// Next entry of the used ring to write; `used.idx`.
    pub used_index: u16,
}

impl DeviceQueue {
    /// `avail.idx`.
    pub fn available_index(&self) -> u16 {
        self.memory.load_u16(self.available + 2, Ordering::Acquire)
    }

    /// The next chain, if the driver has published one.
    pub fn pop(&mut self) -> Option<DeviceChain> {
        if self.available_index() == self.next {
            return None;
        }
        let slot = u64::from(self.next % self.size);
        let head = self
            .memory
            .load_u16(self.available + 4 + 2 * slot, Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        Some(DeviceChain {
            head,
            parts: self.follow(self.descriptors, head, self.size),
        })
    }

    fn follow(&self, table: u64, head: u16, entries: u16) -> Vec<DevicePart> {
        let mut parts = Vec::new();
        let mut id = head;
        loop {
            assert!(
                id < entries && parts.len() < usize::from(entries),
                "chain of {head}: {parts:?}, then {id}"
            );
            let at = table + 16 * u64::from(id);
            let low = u64::from(self.memory.load_u32(at));
            let address = u64::from(self.memory.load_u32(at + 4)) << 32 | low;
            let length = self.memory.load_u32(at + 8);
            let flags = self.memory.load_u16(at + 12, Ordering::Relaxed);
            if flags & 4 != 0 {
                assert!(
                    flags == 4 && parts.is_empty(),
                    "an indirect descriptor stands alone"
                );
                return self.follow(address, 0, (length / 16) as u16);
            }
            parts.push(DevicePart {
                address,
                length,
                writable: flags & 2 != 0,
            });
            if flags & 1 == 0 {
                return parts;
            }
            id = self.memory.load_u16(at + 14, Ordering::Relaxed);
        }
    }

    /// Uses a chain: `written` bytes were written. Whether the driver wants an interrupt for it.
    pub fn push(&mut self, head: u16, written: u32) -> bool {
        self.write_used(self.used_index, u32::from(head), written);
        let old = self.used_index;
        self.used_index = old.wrapping_add(1);
        self.set_used_index(self.used_index);
        fence(Ordering::SeqCst);
        if self.event_index {
            let event = self.memory.load_u16(
                self.available + 4 + 2 * u64::from(self.size),
                Ordering::Relaxed,
            );
            event == old
        } else {
            self.memory.load_u16(self.available, Ordering::Relaxed) & 1 == 0
        }
    }

    /// Asks for a doorbell at the next chain, or for none; then whether there is a chain already.
    pub fn want_doorbell(&self, wanted: bool) -> bool {
        if self.event_index {
            let event = if wanted {
                self.next
            } else {
                self.next.wrapping_sub(1)
            };
            self.memory.store_u16(
                self.used + 4 + 8 * u64::from(self.size),
                event,
                Ordering::Relaxed,
            );
        } else {
            self.memory
                .store_u16(self.used, u16::from(!wanted), Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        wanted && self.available_index() != self.next
    }

    /// Takes a chain that the device writes, fills it with `bytes` as far as they go, and uses it. False if there is none.
    pub fn receive(&mut self, bytes: &[u8]) -> bool {
        let Some(chain) = self.pop() else {
            return false;
        };
        let mut rest = bytes;
        for part in chain.parts.iter().filter(|part| part.writable) {
            let (now, later) = rest.split_at(rest.len().min(part.length as usize));
            self.memory.write(part.address, now);
            rest = later;
        }
        self.push(chain.head, (bytes.len() - rest.len()) as u32);
        true
    }

    /// Takes a chain that the device reads, uses it, and returns its bytes.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        let chain = self.pop()?;
        let bytes = chain.parts.iter().filter(|part| !part.writable);
        let bytes = bytes
            .flat_map(|part| self.memory.read(part.address, part.length as usize))
            .collect();
        self.push(chain.head, 0);
        Some(bytes)
    }

    /// A lie: writes the used element for `index`, whatever it is.
    pub fn write_used(&self, index: u16, id: u32, written: u32) {
        let at = self.used + 4 + 8 * u64::from(index % self.size);
        self.memory.store_u32(at, id);
        self.memory.store_u32(at + 4, written);
    }

    /// A lie: writes `used.idx`, whatever it is.
    pub fn set_used_index(&self, index: u16) {
        self.memory
            .store_u16(self.used + 2, index, Ordering::Release);
    }

    /// A lie: fills descriptor table and available ring, which are the driver's, with `byte`.
    pub fn scribble(&self, byte: u8) {
        let size = usize::from(self.size);
        self.memory
            .write(self.descriptors, &alloc::vec![byte; 16 * size]);
        self.memory
            .write(self.available, &alloc::vec![byte; 6 + 2 * size]);
    }
}
