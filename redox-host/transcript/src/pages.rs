//! Memory that is lent and mapped: the only part that needs `unsafe`.
#![allow(unsafe_code)]

use std::ptr::with_exposed_provenance_mut;

use libredox::call::{self, MmapArgs};
use libredox::error::Result;
use syscall::flag::MapFlags;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// Pages of this process.
pub(crate) struct Pages {
    address: usize,
    len: usize,
}

impl Pages {
    /// Maps `len` bytes of `fd` (usize::MAX for memory of nobody).
    pub(crate) fn map(fd: usize, len: usize, flags: MapFlags, offset: u64) -> Result<Self> {
        let prot = ((MapFlags::PROT_READ | MapFlags::PROT_WRITE).bits() >> 16) as u32;
        let args = MmapArgs {
            addr: std::ptr::null_mut(),
            length: len,
            prot,
            flags: flags.bits() as u32,
            fd,
            offset,
        };
        // SAFETY: a fresh mapping changes no memory that is in use.
        let address = unsafe { call::mmap(args) }?.expose_provenance();
        Ok(Self { address, len })
    }

    /// Where they are.
    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// The first byte of page `page`.
    pub(crate) fn get(&self, page: usize) -> u8 {
        assert!((page + 1) * PAGE <= self.len);
        // SAFETY: inside the mapping; the other process may write it, which a volatile read of a byte stands.
        unsafe { with_exposed_provenance_mut::<u8>(self.address + page * PAGE).read_volatile() }
    }

    /// Sets the first byte of page `page`.
    pub(crate) fn set(&self, page: usize, byte: u8) {
        assert!((page + 1) * PAGE <= self.len);
        // SAFETY: as in `get`.
        unsafe {
            with_exposed_provenance_mut::<u8>(self.address + page * PAGE).write_volatile(byte)
        }
    }

    /// Unmaps them.
    pub(crate) fn unmap(self) -> Result<()> {
        // SAFETY: `self` is gone after this, and with it every way to the pages.
        unsafe { call::munmap(with_exposed_provenance_mut(self.address), self.len) }
    }
}
