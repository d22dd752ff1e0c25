//! Memory of a machine that exists only in tests.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dma::arena::Arena;
use crate::dma::{DmaAllocator, DmaError, DmaMemory};

/// The driver's allocator and the device's view of the same memory. A clone is another handle to it.
///
/// What was freed is filled with 0xdd and never handed out again; a device that touches it is told so: the loads and
/// stores here panic outside memory that is allocated.
#[derive(Clone)]
pub struct TestMemory {
    arena: Arc<Arena>,
    allocated: Arc<Mutex<Vec<Range<u64>>>>,
}

impl TestMemory {
    /// Memory of `pages` pages of 4096 bytes, which the device finds from `address` on.
    pub fn new(address: u64, pages: usize) -> Self {
        Self::of(Arena::heap(address, pages))
    }

    pub(crate) fn of(arena: Arc<Arena>) -> Self {
        Self {
            arena,
            allocated: Arc::default(),
        }
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.allocated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The ranges of device addresses that are allocated now.
    pub fn allocated(&self) -> Vec<Range<u64>> {
        self.ranges().clone()
    }

    /// The offset of a device address in the arena.
    ///
    /// # Panics
    /// The bytes are not allocated: the test has caught a use after free, or a wild address.
    fn offset(&self, address: u64, length: u64) -> usize {
        let ranges = self.ranges();
        let end = address.saturating_add(length);
        let allocated = ranges
            .iter()
            .any(|range| range.start <= address && end <= range.end);
        assert!(
            allocated,
            "the device touches {address:#x}..{end:#x}; allocated is {ranges:#x?}"
        );
        (address - self.arena.whole.address().0) as usize
    }

    /// Reads bytes as the device.
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let offset = self.offset(address, length as u64);
        (offset..offset + length)
            .map(|at| self.arena.whole.load_u8(at))
            .collect()
    }

    /// Writes bytes as the device.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let offset = self.offset(address, bytes.len() as u64);
        bytes
            .iter()
            .zip(offset..)
            .for_each(|(byte, at)| self.arena.whole.store_u8(at, *byte));
    }

    /// Reads 16 bits as the device.
    pub fn load_u16(&self, address: u64, order: Ordering) -> u16 {
        self.arena.whole.load_u16(self.offset(address, 2), order)
    }

    /// Writes 16 bits as the device.
    pub fn store_u16(&self, address: u64, value: u16, order: Ordering) {
        self.arena
            .whole
            .store_u16(self.offset(address, 2), value, order);
    }

    /// Reads 32 bits as the device.
    pub fn load_u32(&self, address: u64) -> u32 {
        self.arena.whole.load_u32(self.offset(address, 4))
    }

    /// Writes 32 bits as the device.
    pub fn store_u32(&self, address: u64, value: u32) {
        self.arena.whole.store_u32(self.offset(address, 4), value);
    }
}

impl DmaAllocator for TestMemory {
    fn allocate(&self, length: usize, _alignment: usize) -> Result<Box<dyn DmaMemory>, DmaError> {
        let allocated = self.allocated.clone();
        let freed = move |start| {
            let mut ranges = allocated.lock().unwrap_or_else(PoisonError::into_inner);
            ranges.retain(|range: &Range<u64>| range.start != start);
        };
        let memory = self
            .arena
            .carve(length, freed)
            .ok_or(DmaError::OutOfMemory { length })?;
        let start = memory.device_address().0;
        self.ranges().push(start..start + length as u64);
        Ok(memory)
    }
}
