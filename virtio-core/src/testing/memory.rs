//! Memory of a machine that exists only in tests.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dma::{DmaAllocator, DmaError, DmaMemory, Region, SharedPages};

const PAGE: usize = 4096;

/// The driver's allocator and the device's view of the same memory. A clone is another handle to it.
///
/// Addresses are never handed out twice. A device that touches what is not allocated, or was freed, has found a defect:
/// the loads and stores here panic.
#[derive(Clone)]
pub struct TestMemory {
    machine: Arc<Mutex<Machine>>,
}

struct Machine {
    /// Makes pages that the device knows by this address.
    pages: Source,
    next: u64,
    end: u64,
    pieces: Vec<Piece>,
}

type Source = Box<dyn Fn(u64, usize) -> Option<SharedPages> + Send>;

/// One allocation as the device sees it.
struct Piece {
    region: Region,
    lease: Weak<()>,
}

impl Piece {
    fn range(&self) -> Range<u64> {
        let start = self.region.address().0;
        start..start + self.region.length() as u64
    }

    fn is_allocated(&self) -> bool {
        self.lease.strong_count() > 0
    }
}

impl TestMemory {
    /// Memory of `pages` pages of 4096 bytes, which the device finds from `address` on.
    pub fn new(address: u64, pages: usize) -> Self {
        Self::of(
            address,
            pages,
            Box::new(|address, length| Some(SharedPages::heap(address, length))),
        )
    }

    /// The memory of a rust-vmm guest.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn guest(guest: &vm_memory::GuestMemoryMmap, address: u64, pages: usize) -> Self {
        let guest = guest.clone();
        Self::of(
            address,
            pages,
            Box::new(move |address, length| SharedPages::guest(&guest, address, length)),
        )
    }

    fn of(address: u64, pages: usize, source: Source) -> Self {
        let end = address + (pages * PAGE) as u64;
        let machine = Machine {
            pages: source,
            next: address,
            end,
            pieces: Vec::new(),
        };
        Self {
            machine: Arc::new(Mutex::new(machine)),
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ranges of device addresses that are allocated now.
    pub fn allocated(&self) -> Vec<Range<u64>> {
        let machine = self.machine();
        machine
            .pieces
            .iter()
            .filter(|piece| piece.is_allocated())
            .map(Piece::range)
            .collect()
    }

    /// Lets `access` at the bytes from `address` on, as the device.
    fn at<T>(&self, address: u64, length: usize, access: impl FnOnce(&Region, usize) -> T) -> T {
        let machine = self.machine();
        let end = address.saturating_add(length as u64);
        let inside = |piece: &&Piece| {
            let range = piece.range();
            piece.is_allocated() && range.start <= address && end <= range.end
        };
        match machine.pieces.iter().find(inside) {
            Some(piece) => access(&piece.region, (address - piece.range().start) as usize),
            None => panic!("the device touches {address:#x}..{end:#x}, which is not allocated"),
        }
    }

    /// Reads bytes as the device.
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        self.at(address, length, |region, at| {
            (at..at + length).map(|at| region.load_u8(at)).collect()
        })
    }

    /// Writes bytes as the device.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.at(address, bytes.len(), |region, at| {
            bytes
                .iter()
                .zip(at..)
                .for_each(|(byte, at)| region.store_u8(at, *byte));
        });
    }

    /// Reads 16 bits as the device.
    pub fn load_u16(&self, address: u64, order: Ordering) -> u16 {
        self.at(address, 2, |region, at| region.load_u16(at, order))
    }

    /// Writes 16 bits as the device.
    pub fn store_u16(&self, address: u64, value: u16, order: Ordering) {
        self.at(address, 2, |region, at| region.store_u16(at, value, order));
    }

    /// Reads 32 bits as the device.
    pub fn load_u32(&self, address: u64) -> u32 {
        self.at(address, 4, |region, at| region.load_u32(at))
    }

    /// Writes 32 bits as the device.
    pub fn store_u32(&self, address: u64, value: u32) {
        self.at(address, 4, |region, at| region.store_u32(at, value));
    }
}

impl DmaAllocator for TestMemory {
    fn allocate(&self, length: usize, _alignment: usize) -> Result<Box<dyn DmaMemory>, DmaError> {
        let mut machine = self.machine();
        let address = machine.next;
        let end = address.saturating_add(length.next_multiple_of(PAGE) as u64);
        let pages = (machine.pages)(address, length).filter(|_| end <= machine.end);
        let mut pages = pages.ok_or(DmaError::OutOfMemory { length })?;
        let lease = Arc::new(());
        let region = Region::new(Box::new(pages.clone()));
        machine.pieces.retain(Piece::is_allocated);
        machine.pieces.push(Piece {
            region,
            lease: Arc::downgrade(&lease),
        });
        machine.next = end;
        pages.lease = Some(lease);
        Ok(Box::new(pages))
    }
}
