//! `memory`: anonymous memory, physically contiguous memory for DMA, and the addresses of both (kernel scheme/memory.rs).

use std::sync::Arc;

use syscall::error::{EACCES, EBADF, EINVAL, ENOENT, EOPNOTSUPP, Error, Result};
use syscall::flag::MapFlags;

use crate::context::Context;
use crate::files::Description;
use crate::memory::FrameRange;
use crate::ram::{PAGE, SharedRam};
use crate::scheme::{KernelScheme, Map, Opened, SchemeId, put_text};

/// Kinds of handle; with PHYS_CONTIGUOUS they are the handle's number.
const ALLOCATED: usize = 0;
const PHYSICAL: usize = 1;
const TRANSLATION: usize = 2;
const PHYS_CONTIGUOUS: usize = 1 << 16;

/// The scheme.
pub(crate) struct MemoryScheme {
    id: SchemeId,
    /// What devices reach.
    ram: SharedRam,
    /// What they do not.
    anonymous: SharedRam,
}

impl MemoryScheme {
    /// The handle that opens others.
    pub(crate) const ROOT: usize = usize::MAX;

    pub(crate) fn new(id: SchemeId, ram: SharedRam, anonymous: SharedRam) -> Self {
        Self { id, ram, anonymous }
    }

    /// The RAM that devices reach.
    pub(crate) fn ram(&self) -> &SharedRam {
        &self.ram
    }

    /// Bytes of anonymous memory that are not in use.
    pub(crate) fn free_anonymous(&self) -> u64 {
        self.anonymous.free()
    }

    /// Memory that belongs to no file. Private or shared makes no difference within one process: the pages can be lent to others either way.
    pub(crate) fn map_anonymous(&self, cx: &Context, map: &Map, contiguous: bool) -> Result<usize> {
        if map.size == 0 || !map.address.is_multiple_of(PAGE) {
            return Err(Error::new(EINVAL));
        }
        let frames = if contiguous {
            if map.flags.contains(MapFlags::MAP_SHARED) {
                return Err(Error::new(EOPNOTSUPP));
            }
            // The buddy allocator gives powers of two, aligned to their size; the mapping itself has the pages asked for.
            let size = (map.size.max(PAGE) as u64)
                .checked_next_power_of_two()
                .ok_or(Error::new(EINVAL))?;
            self.ram.allocate(size, size)?
        } else {
            self.anonymous.allocate(map.size as u64, PAGE as u64)?
        };
        cx.memory()
            .map(FrameRange { frames, start: 0 }, map, true, None)
    }
}

/// The number of the handle behind a path such as `zeroed@wb?phys_contiguous`.
fn parse(path: &str) -> Result<(usize, bool)> {
    let (kind, rest) = path.split_once('@').unwrap_or((path, ""));
    let (cache, flags) = rest.split_once('?').unwrap_or((rest, ""));
    let kind = match kind {
        "" | "zeroed" => ALLOCATED,
        "physical" => PHYSICAL,
        "translation" => TRANSLATION,
        "scheme-root" => return Ok((MemoryScheme::ROOT, true)),
        _ => return Err(Error::new(ENOENT)),
    };
    let ordinary = match cache {
        "" | "wb" => true,
        "wc" | "uc" | "dev" => false,
        _ => return Err(Error::new(ENOENT)),
    };
    let mut number = kind;
    for flag in flags.split(',') {
        match flag {
            "phys_contiguous" => number |= PHYS_CONTIGUOUS,
            "" => {}
            _ => return Err(Error::new(ENOENT)),
        }
    }
    Ok((number, ordinary && number == ALLOCATED))
}

impl KernelScheme for MemoryScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        cx: &Arc<Context>,
        number: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number != Self::ROOT {
            return Err(Error::new(EACCES));
        }
        if path.len() > 64 {
            return Err(Error::new(ENOENT));
        }
        let (number, for_everybody) = parse(path.trim_start_matches('/'))?;
        if cx.uid() != 0 && !for_everybody {
            return Err(Error::new(EACCES));
        }
        Ok(Opened::local(number))
    }

    fn call(
        &self,
        cx: &Arc<Context>,
        numbers: &[usize],
        payload: &mut [u8],
        _metadata: &[u64],
    ) -> Result<usize> {
        let &[number] = numbers else {
            return Err(Error::new(EINVAL));
        };
        match number & 0xFF {
            TRANSLATION => {
                let word = payload.first_chunk_mut::<8>().ok_or(Error::new(EINVAL))?;
                let physical = cx.memory().translate(usize::from_ne_bytes(*word))?;
                *word = physical.to_ne_bytes();
                Ok(0)
            }
            ALLOCATED | PHYSICAL => Err(Error::new(EOPNOTSUPP)),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn mmap(&self, cx: &Arc<Context>, file: &Arc<Description>, map: &Map) -> Result<usize> {
        match file.number & 0xFF {
            ALLOCATED => self.map_anonymous(cx, map, file.number & PHYS_CONTIGUOUS != 0),
            // No register window lies in this address space: the lab's registers are not memory.
            PHYSICAL | TRANSLATION => Err(Error::new(EOPNOTSUPP)),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        Ok(put_text(buf, "/scheme/memory/"))
    }
}
