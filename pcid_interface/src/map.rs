//! Base address registers, mapped through the channel.
#![allow(unsafe_code)]

use core::fmt;
use core::ptr::{self, NonNull};

use libredox::call::{self, MmapArgs};
use libredox::flag::{MAP_SHARED, PROT_READ, PROT_WRITE};

use crate::error::Error;
use crate::function::Function;

/// How the processor treats accesses to a mapping; the number goes into the offset of the `mmap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryType {
    /// Cached, written back.
    Writeback = 0,
    /// Not cached, every access in order: what registers want.
    Uncacheable = 1,
    /// Not cached, writes gathered.
    WriteCombining = 2,
}

/// A memory BAR in this process's address space, until it is dropped.
///
/// Every access is volatile, naturally aligned and inside the BAR; one that would not be is not
/// made.
pub struct MappedBar {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the address space, not to the thread that made it, and `MappedBar`
// owns it alone.
unsafe impl Send for MappedBar {}
// SAFETY: as above; every access through `&MappedBar` is one volatile instruction on registers,
// which the device takes one after another.
unsafe impl Sync for MappedBar {}

impl fmt::Debug for MappedBar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MappedBar({:p}, {} bytes)", self.base, self.length)
    }
}

impl Function {
    /// Maps the whole of BAR `bar`.
    ///
    /// # Errors
    /// [`Error::NoMemoryBar`] when there is no memory there, or more than can be mapped; that of
    /// `mmap`.
    pub fn map_bar(&self, bar: u8, memory_type: MemoryType) -> Result<MappedBar, Error> {
        let registers = &self.arguments().function.bars;
        let (_, size) = registers
            .get(usize::from(bar))
            .and_then(|bar| bar.memory())
            .ok_or(Error::NoMemoryBar(bar))?;
        let length = usize::try_from(size)
            .ok()
            .filter(|&size| size != 0 && isize::try_from(size).is_ok())
            .ok_or(Error::NoMemoryBar(bar))?;
        let arguments = MmapArgs {
            addr: ptr::null_mut(),
            length,
            // The C library's numbers, which are not the kernel's `MapFlags`.
            prot: PROT_READ | PROT_WRITE,
            flags: MAP_SHARED,
            fd: self.channel().raw(),
            offset: mmap_offset(bar, memory_type),
        };
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is owned
        // by `MappedBar`.
        let base = unsafe { call::mmap(arguments) }
            .map_err(|error| Error::system(format!("mmap BAR {bar} of {length} bytes"), error))?;
        NonNull::new(base.cast())
            .map(|base| MappedBar { base, length })
            .ok_or(Error::NoMemoryBar(bar))
    }
}

/// The offset that tells pcid which BAR to map and how: the BAR in bits 63 to 61, the memory type
/// in bits 60 and 59.
fn mmap_offset(bar: u8, memory_type: MemoryType) -> u64 {
    (u64::from(bar) << 61) | ((memory_type as u64) << 59)
}

macro_rules! access {
    ($type:ty, $read:ident, $write:ident, $bits:literal) => {
        #[doc = concat!("Reads ", $bits, " bits at `offset` bytes; `None` when they are not all inside or not aligned.")]
        #[must_use]
        pub fn $read(&self, offset: usize) -> Option<$type> {
            let at = self.at::<$type>(offset)?;
            // SAFETY: `at` checked that the access is inside the mapping, which lives as long as
            // `self`, and aligned.
            Some(unsafe { at.read_volatile() })
        }

        #[doc = concat!("Writes ", $bits, " bits at `offset` bytes; `None` when they are not all inside or not aligned.")]
        pub fn $write(&self, offset: usize, value: $type) -> Option<()> {
            let at = self.at::<$type>(offset)?;
            // SAFETY: as for the read; the mapping is writable, and what it holds are registers,
            // not Rust values.
            unsafe { at.write_volatile(value) };
            Some(())
        }
    };
}

impl MappedBar {
    /// Bytes mapped.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Where the BAR starts, valid for [`MappedBar::length`] bytes as long as `self` lives.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    access!(u8, read_u8, write_u8, "8");
    access!(u16, read_u16, write_u16, "16");
    access!(u32, read_u32, write_u32, "32");

    fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        // A mapping starts on a page, so the offset alone decides the alignment.
        if end > self.length || !offset.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `offset` is less than the length of the mapping, which is no more than
        // `isize::MAX`.
        Some(unsafe { self.base.as_ptr().add(offset) }.cast())
    }
}

impl Drop for MappedBar {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `map_bar` made, and nothing can reach it through `self`
        // any more. A failure leaves the mapping where it is; there is nobody left whom it would
        // help to know.
        let _ = unsafe { call::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_the_mmap_names_the_bar_and_the_memory_type() {
        assert_eq!(mmap_offset(0, MemoryType::Writeback), 0);
        assert_eq!(
            mmap_offset(1, MemoryType::Uncacheable),
            0x2800_0000_0000_0000
        );
        assert_eq!(
            mmap_offset(5, MemoryType::WriteCombining),
            0xb000_0000_0000_0000
        );
    }

    #[test]
    fn an_access_outside_the_bar_or_across_an_alignment_is_not_made() {
        let mut memory = [0_u32; 4];
        let base = NonNull::from(&mut memory).cast::<u8>();
        let bar = core::mem::ManuallyDrop::new(MappedBar { base, length: 16 });
        assert_eq!(bar.write_u32(12, 0x1234_5678), Some(()));
        assert_eq!(bar.read_u32(12), Some(0x1234_5678));
        assert_eq!(bar.read_u16(12), Some(0x5678_u16.to_le()));
        assert_eq!(bar.read_u8(15), Some(0x12_u8));
        for offset in [13, 14, 15, 16, usize::MAX - 3, usize::MAX] {
            assert_eq!(bar.read_u32(offset), None, "offset {offset}");
            assert_eq!(bar.write_u32(offset, 0), None, "offset {offset}");
        }
        assert_eq!(
            (bar.read_u16(1), bar.read_u16(15), bar.read_u8(16)),
            (None, None, None)
        );
    }
}
