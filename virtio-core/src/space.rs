//! The audit of device addresses, always on: all memory that one device may reach is allocated here, and nothing is
//! handed out that is misaligned, too short, untranslated, in a register window or in memory already handed out.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::dma::{DmaAllocator, DmaError, LINE, Pool, Region, RegionKind};

/// Which `DmaSpace` a buffer or queue came from; a number that no other space has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpaceId(u64);

/// Pools and queue memory start on a page, so that a page of theirs holds nothing else.
const PAGE: usize = 4096;

/// All the memory that one device may reach.
pub struct DmaSpace {
    id: SpaceId,
    allocator: Box<dyn DmaAllocator>,
    registers: Vec<Range<u64>>,
    regions: Vec<(RegionKind, Weak<Region>)>,
}

impl DmaSpace {
    /// A space without memory yet. `registers` are the physical address ranges of all BARs of the device.
    pub fn new(allocator: Box<dyn DmaAllocator>, registers: Vec<Range<u64>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = SpaceId(NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            id,
            allocator,
            registers,
            regions: Vec::new(),
        }
    }

    /// A pool of `count` buffers of `buffer_length` bytes each.
    ///
    /// # Errors
    /// No memory, or memory that the audit refuses.
    pub fn pool(&mut self, count: usize, buffer_length: usize) -> Result<Pool, DmaError> {
        let length = Pool::memory_length(count, buffer_length).ok_or(DmaError::BadSize)?;
        let region = self.allocate(RegionKind::Pool, length)?;
        Pool::cut(region, self.id, count, buffer_length)
    }

    pub(crate) fn id(&self) -> SpaceId {
        self.id
    }

    /// Allocates and audits.
    pub(crate) fn allocate(
        &mut self,
        kind: RegionKind,
        length: usize,
    ) -> Result<Arc<Region>, DmaError> {
        let region = Region::new(self.allocator.allocate(length, PAGE)?);
        self.audit(kind, &region, length)?;
        let region = Arc::new(region);
        self.regions.push((kind, Arc::downgrade(&region)));
        Ok(region)
    }

    fn audit(&mut self, kind: RegionKind, region: &Region, asked: usize) -> Result<(), DmaError> {
        let address = region.address();
        let pointer = region.pointer().as_ptr() as usize;
        if region.length() < asked {
            return Err(DmaError::TooShort {
                asked,
                given: region.length(),
            });
        }
        if !pointer.is_multiple_of(LINE) || !address.0.is_multiple_of(PAGE as u64) {
            return Err(DmaError::Misaligned {
                address,
                alignment: PAGE,
            });
        }
        if address.0 == pointer as u64 {
            return Err(DmaError::NotTranslated { address });
        }
        let end = address
            .0
            .checked_add(region.length() as u64)
            .ok_or(DmaError::BeyondLastAddress { address })?;
        match self.overlapped(&(address.0..end)) {
            Some(old) => Err(DmaError::Overlap {
                new: kind,
                old,
                address,
            }),
            None => Ok(()),
        }
    }

    /// What the range overlaps, if anything. Forgets regions that were freed.
    fn overlapped(&mut self, range: &Range<u64>) -> Option<RegionKind> {
        let overlaps = |start: u64, end: u64| start < range.end && range.start < end;
        if self
            .registers
            .iter()
            .any(|window| overlaps(window.start, window.end))
        {
            return Some(RegionKind::Registers);
        }
        self.regions.retain(|(_, region)| region.strong_count() > 0);
        self.regions.iter().find_map(|(kind, region)| {
            let region = region.upgrade()?;
            let start = region.address().0;
            overlaps(start, start.saturating_add(region.length() as u64)).then_some(*kind)
        })
    }
}

impl core::fmt::Debug for DmaSpace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DmaSpace")
            .field("registers", &self.registers)
            .finish_non_exhaustive()
    }
}
