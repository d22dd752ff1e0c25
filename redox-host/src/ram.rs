//! Memory that can be mapped more than once: guest RAM behind the scheme `memory`, and what stands behind anonymous mappings.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};
use syscall::error::{ENOMEM, Error, Result};

use crate::wait::lock;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// What is left to others at the start of guest RAM unless told: firmware lives there.
const RESERVED: u64 = 1 << 20;

/// Memory that a file backs and that devices reach: the device address of a byte is its offset in the file.
/// Clones are the same memory.
#[derive(Clone, Debug)]
pub struct SharedRam(Arc<Ram>);

#[derive(Debug)]
struct Ram {
    file: File,
    path: Option<PathBuf>,
    size: u64,
    /// Device address of offset 0: zero for guest RAM, beyond every device for anonymous memory.
    base: u64,
    /// Free ranges: offset → length, both whole pages, never adjacent.
    free: Mutex<BTreeMap<u64, u64>>,
}

impl SharedRam {
    /// Creates (or truncates) the file at `path` with `size` bytes, all zero. A `size` that is not whole pages is an error.
    pub fn create(path: &Path, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.set_len(size)?;
        Self::new(file, Some(path.to_path_buf()), size, 0)
    }

    /// Uses the file at `path` as it is, with the size that it has.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let size = file.metadata()?.len();
        Self::new(file, Some(path.to_path_buf()), size, 0)
    }

    /// Memory without a name; `base` is the device address of its first byte.
    pub(crate) fn anonymous(size: u64, base: u64) -> io::Result<Self> {
        let file = File::from(memfd_create("redox-host", MemfdFlags::CLOEXEC)?);
        file.set_len(size)?;
        Self::new(file, None, size, base)
    }

    fn new(file: File, path: Option<PathBuf>, size: u64, base: u64) -> io::Result<Self> {
        if size == 0 || !size.is_multiple_of(PAGE as u64) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the size of RAM must be whole pages",
            ));
        }
        let ram = Self(Arc::new(Ram {
            file,
            path,
            size,
            base,
            free: Mutex::new(BTreeMap::from([(0, size)])),
        }));
        Ok(ram.reserve(RESERVED))
    }

    /// Leaves the first `bytes` (rounded up to pages) to others: nothing is allocated there. 1 MiB unless told; less than before gives memory back.
    /// To be called before anything is allocated.
    #[must_use]
    pub fn reserve(self, bytes: u64) -> Self {
        let start = bytes.next_multiple_of(PAGE as u64).min(self.0.size);
        let mut free = lock(&self.0.free);
        free.clear();
        if start < self.0.size {
            free.insert(start, self.0.size - start);
        }
        drop(free);
        self
    }

    /// Copies memory at device address `addr` into `buf`; an error when the range is outside.
    pub fn read(&self, addr: u64, buf: &mut [u8]) -> io::Result<()> {
        self.check(addr, buf.len())?;
        self.0.file.read_exact_at(buf, addr)
    }

    /// Copies `buf` into memory at device address `addr`; an error when the range is outside.
    pub fn write(&self, addr: u64, buf: &[u8]) -> io::Result<()> {
        self.check(addr, buf.len())?;
        self.0.file.write_all_at(buf, addr)
    }

    fn check(&self, addr: u64, len: usize) -> io::Result<()> {
        match addr.checked_add(len as u64) {
            Some(end) if end <= self.0.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{len} bytes at {addr:#x} are not in the RAM of {:#x}",
                    self.0.size
                ),
            )),
        }
    }

    /// Bytes of the whole memory.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Where the file lies; None for anonymous memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Bytes that can still be allocated: what a driver took and did not give back is missing.
    pub fn free(&self) -> u64 {
        lock(&self.0.free).values().sum()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    /// Whole zeroed pages in one piece, aligned to `align` bytes (a power of two, at least a page).
    pub(crate) fn allocate(&self, bytes: u64, align: u64) -> Result<Arc<Frames>> {
        let len = bytes
            .checked_next_multiple_of(PAGE as u64)
            .ok_or(Error::new(ENOMEM))?;
        let mut free = lock(&self.0.free);
        let place = free.iter().find_map(|(&start, &room)| {
            let offset = start.checked_next_multiple_of(align)?;
            let end = offset.checked_add(len)?;
            (end <= start + room).then_some((start, room, offset))
        });
        let (start, room, offset) = place.ok_or(Error::new(ENOMEM))?;
        free.remove(&start);
        if offset > start {
            free.insert(start, offset - start);
        }
        if offset + len < start + room {
            free.insert(offset + len, start + room - offset - len);
        }
        drop(free);
        let frames = Arc::new(Frames {
            ram: self.clone(),
            offset,
            len,
        });
        frames.zero()?;
        Ok(frames)
    }
}

/// Pages of a RAM that someone uses. They are free again when the last user drops them.
#[derive(Debug)]
pub(crate) struct Frames {
    ram: SharedRam,
    offset: u64,
    len: u64,
}

impl Frames {
    pub(crate) fn ram(&self) -> &SharedRam {
        &self.ram
    }

    /// Offset of the first byte in the RAM's file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Device address of the byte at `offset`.
    pub(crate) fn device_address(&self, offset: u64) -> u64 {
        self.ram.0.base + self.offset + offset
    }

    fn zero(&self) -> Result<()> {
        // A hole in the file reads as zeroes and costs nothing; where the file system has no holes the zeroes are written.
        if fallocate(
            self.ram.fd(),
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            self.offset,
            self.len,
        )
        .is_ok()
        {
            return Ok(());
        }
        let zeroes = [0; PAGE];
        for page in 0..self.len / PAGE as u64 {
            let at = self.offset + page * PAGE as u64;
            self.ram
                .0
                .file
                .write_all_at(&zeroes, at)
                .map_err(|_| Error::new(ENOMEM))?;
        }
        Ok(())
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // The bytes stay until the pages are used again: a device that still writes there meets nobody, and nobody reads what it wrote.
        let mut free = lock(&self.ram.0.free);
        let (mut start, mut len) = (self.offset, self.len);
        if let Some((&before, &room)) = free.range(..start).next_back()
            && before + room == start
        {
            free.remove(&before);
            (start, len) = (before, room + len);
        }
        if let Some(room) = free.remove(&(start + len)) {
            len += room;
        }
        free.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_given_back_in_any_order_become_one_range_again() {
        let ram = SharedRam::anonymous(1 << 20, 0).unwrap().reserve(0);
        let pieces: Vec<_> = (0..8)
            .map(|_| ram.allocate(PAGE as u64, PAGE as u64).unwrap())
            .collect();
        assert_eq!(ram.free(), (1 << 20) - 8 * PAGE as u64);
        let mut pieces: Vec<_> = pieces.into_iter().map(Some).collect();
        for i in [3, 1, 2, 7, 0, 6, 4, 5] {
            pieces[i] = None;
        }
        assert_eq!(*lock(&ram.0.free), BTreeMap::from([(0, 1 << 20)]));
    }

    #[test]
    fn memory_is_zero_even_where_the_last_owner_left_bytes() {
        let ram = SharedRam::anonymous(64 * PAGE as u64, 0)
            .unwrap()
            .reserve(0);
        let frames = ram.allocate(2 * PAGE as u64, PAGE as u64).unwrap();
        let at = frames.device_address(0);
        ram.write(at, b"left behind").unwrap();
        drop(frames);
        let again = ram.allocate(2 * PAGE as u64, PAGE as u64).unwrap();
        assert_eq!(again.device_address(0), at);
        let mut bytes = [1; 16];
        ram.read(at, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 16]);
    }

    #[test]
    fn reading_outside_is_an_error() {
        let ram = SharedRam::anonymous(PAGE as u64, 0).unwrap();
        assert!(ram.read(PAGE as u64 - 1, &mut [0; 2]).is_err());
        assert!(ram.write(u64::MAX, &[0; 2]).is_err());
        assert!(ram.read(PAGE as u64 - 2, &mut [0; 2]).is_ok());
    }
}
