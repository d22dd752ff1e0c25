//! The address space of a process, as far as it was mapped through Redox calls (kernel context/memory.rs).
//! All processes share Linux's one address space, so a mapping of the same pages by another process is a second address for them.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex};

use rustix::mm::{MapFlags as LinuxMap, ProtFlags, mmap, munmap};
use syscall::error::{EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP, Error, Result};
use syscall::flag::{MapFlags, MunmapFlags};

use crate::context::Context;
use crate::files::Description;
use crate::ram::{Frames, PAGE};
use crate::scheme::Map;
use crate::wait::lock;

/// The file that a mapping came from; the mapping keeps it open.
#[derive(Clone, Debug)]
pub(crate) struct FileRef {
    pub(crate) file: Arc<Description>,
    /// Offset in the file of the first byte that is mapped.
    pub(crate) base_offset: usize,
}

/// Part of some frames.
#[derive(Clone, Debug)]
pub(crate) struct FrameRange {
    pub(crate) frames: Arc<Frames>,
    /// Offset of the first byte in `frames`, whole pages.
    pub(crate) start: u64,
}

#[derive(Clone, Debug)]
struct Mapping {
    len: usize,
    source: FrameRange,
    file: Option<FileRef>,
    writable: bool,
}

impl Mapping {
    /// The part of `len` bytes that starts `skip` bytes further on.
    fn part(&self, skip: usize, len: usize) -> Self {
        let mut part = self.clone();
        part.len = len;
        part.source.start += skip as u64;
        if let Some(file) = &mut part.file {
            file.base_offset += skip;
        }
        part
    }
}

/// A piece of a file that is mapped no more: its scheme must be told.
#[derive(Debug)]
pub(crate) struct Unmapped {
    file: FileRef,
    len: usize,
    flags: MunmapFlags,
}

impl Unmapped {
    /// Tells the scheme, waiting for its answer unless the process is gone; the file may be closed by this.
    pub(crate) fn notify(self, cx: &Arc<Context>, wait: bool) -> Result<()> {
        let FileRef { file, base_offset } = self.file;
        file.scheme()?.munmap(
            cx,
            file.number,
            base_offset,
            self.len,
            self.flags.bits(),
            wait,
        )
    }
}

/// The mappings of one process by address.
#[derive(Debug, Default)]
pub(crate) struct AddressSpace {
    maps: Mutex<BTreeMap<usize, Mapping>>,
}

impl AddressSpace {
    /// Maps `map.size` bytes (rounded up to pages) of `source` at a free address, or, with MAP_FIXED_NOREPLACE, at `map.address`.
    pub(crate) fn map(
        &self,
        source: FrameRange,
        map: &Map,
        shared: bool,
        file: Option<FileRef>,
    ) -> Result<usize> {
        let len = map
            .size
            .checked_next_multiple_of(PAGE)
            .ok_or(Error::new(EINVAL))?;
        if len as u64 > source.frames.len() - source.start {
            return Err(Error::new(EFAULT));
        }
        let writable = map.flags.contains(MapFlags::PROT_WRITE);
        let mut protection = ProtFlags::READ;
        protection.set(ProtFlags::WRITE, writable);
        let mut kind = if shared {
            LinuxMap::SHARED
        } else {
            LinuxMap::PRIVATE
        };
        let mut address = ptr::null_mut();
        if map.flags.contains(MapFlags::MAP_FIXED_NOREPLACE) {
            kind |= LinuxMap::FIXED_NOREPLACE;
            address = ptr::without_provenance_mut(map.address);
        } else if map.flags.contains(MapFlags::MAP_FIXED) {
            // Would replace memory of other processes: they share this address space.
            return Err(Error::new(EOPNOTSUPP));
        }
        let offset = source.frames.offset() + source.start;
        // SAFETY: without MAP_FIXED no memory that is in use changes; the file range exists.
        let base = unsafe {
            mmap(
                address,
                len,
                protection,
                kind,
                source.frames.ram().fd(),
                offset,
            )
        };
        let base = base
            .map_err(|e| {
                Error::new(if e == rustix::io::Errno::EXIST {
                    EEXIST
                } else {
                    ENOMEM
                })
            })?
            .addr();
        lock(&self.maps).insert(
            base,
            Mapping {
                len,
                source,
                file,
                writable,
            },
        );
        Ok(base)
    }

    /// The frames behind `size` bytes at `address`, which must lie in one mapping of this process (EFAULT).
    pub(crate) fn frames_at(&self, address: usize, size: usize) -> Result<FrameRange> {
        let maps = lock(&self.maps);
        let (base, mapping) = maps
            .range(..=address)
            .next_back()
            .ok_or(Error::new(EFAULT))?;
        let skip = address - base;
        if skip >= mapping.len || size > mapping.len - skip {
            return Err(Error::new(EFAULT));
        }
        Ok(mapping.part(skip, mapping.len - skip).source)
    }

    /// Device address of the byte at `address`; ENOENT when this process has nothing mapped there.
    pub(crate) fn translate(&self, address: usize) -> Result<u64> {
        let range = self
            .frames_at(address & !(PAGE - 1), PAGE)
            .map_err(|_| Error::new(ENOENT))?;
        Ok(range
            .frames
            .device_address(range.start + (address % PAGE) as u64))
    }

    /// Unmaps every page in the range that is mapped; pages beside it stay. Gives the pieces of files that went.
    pub(crate) fn unmap(&self, address: usize, size: usize) -> Result<Vec<Unmapped>> {
        let len = size
            .checked_next_multiple_of(PAGE)
            .filter(|len| *len != 0)
            .ok_or(Error::new(EINVAL))?;
        let end = address.checked_add(len).ok_or(Error::new(EINVAL))?;
        if !address.is_multiple_of(PAGE) {
            return Err(Error::new(EINVAL));
        }
        let mut gone = Vec::new();
        let mut maps = lock(&self.maps);
        let hit: Vec<usize> = maps
            .range(..end)
            .rev()
            .take_while(|(base, m)| *base + m.len > address)
            .map(|(base, _)| *base)
            .collect();
        for base in hit {
            let Some(mapping) = maps.remove(&base) else {
                continue;
            };
            let (from, to) = (address.max(base), end.min(base + mapping.len));
            if base < from {
                maps.insert(base, mapping.part(0, from - base));
            }
            if to < base + mapping.len {
                maps.insert(to, mapping.part(to - base, base + mapping.len - to));
            }
            gone.push((from, mapping.part(from - base, to - from)));
        }
        drop(maps);
        Ok(gone
            .into_iter()
            .filter_map(|(at, part)| release(at, part))
            .collect())
    }

    /// Unmaps everything.
    pub(crate) fn unmap_all(&self) -> Vec<Unmapped> {
        let maps = std::mem::take(&mut *lock(&self.maps));
        maps.into_iter()
            .filter_map(|(base, mapping)| release(base, mapping))
            .collect()
    }

    /// How many mappings there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.maps).len()
    }
}

fn release(at: usize, part: Mapping) -> Option<Unmapped> {
    // SAFETY: this range was mapped by `AddressSpace::map`, and the entry that said so was just removed; whoever asked for the unmapping
    // vouches, as on Redox, that the process uses the range no more.
    let result = unsafe { munmap(ptr::without_provenance_mut(at), part.len) };
    debug_assert!(result.is_ok());
    let mut flags = MunmapFlags::empty();
    flags.set(MunmapFlags::NEEDS_SYNC, part.writable);
    part.file.map(|file| Unmapped {
        file,
        len: part.len,
        flags,
    })
}
