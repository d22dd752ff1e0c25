//! `irq` (kernel scheme/irq.rs): a file per interrupt. A read tells how often it rang and never blocks, a write of that number acknowledges,
//! an event comes for each time it rings, and only for those after the subscription.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syscall::data::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EACCES, EBADF, EEXIST, EINVAL, EIO, EISDIR, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{EventFlags, MODE_CHR, MODE_DIR, O_CREAT, O_DIRECTORY, O_STAT};

use crate::context::Context;
use crate::irq::{IrqController, LEGACY, TOTAL};
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat, put_text, root_only};
use crate::wait::lock;

/// Bytes of a count.
const WORD: usize = size_of::<usize>();

#[derive(Clone, Copy)]
enum Handle {
    Irq {
        irq: u8,
        /// The count that was acknowledged last through this handle.
        acknowledged: usize,
    },
    /// What can be reserved on a CPU.
    Available(u8),
    Phandle(u32),
    TopLevel,
    Bsp,
}

/// The scheme.
pub(crate) struct IrqScheme {
    controller: Arc<IrqController>,
    open: Mutex<HashMap<usize, Handle>>,
    next: AtomicUsize,
}

impl IrqScheme {
    /// The handle that opens others.
    pub(crate) const ROOT: usize = 0;

    pub(crate) fn new(controller: Arc<IrqController>) -> Self {
        Self {
            controller,
            open: Mutex::default(),
            next: AtomicUsize::new(1),
        }
    }

    fn get(&self, number: usize) -> Result<Handle> {
        lock(&self.open)
            .get(&number)
            .copied()
            .ok_or(Error::new(EBADF))
    }

    fn add(&self, handle: Handle) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Handle::Irq { irq, .. } = handle {
            self.controller.add_handle(number, irq);
        }
        lock(&self.open).insert(number, handle);
        number
    }

    /// An interrupt that only one may have: O_CREAT reserves it, O_STAT only looks.
    fn exclusive(&self, irq: u8, flags: usize) -> Result<Handle> {
        if flags & (O_CREAT | O_STAT) == 0 {
            return Err(Error::new(EINVAL));
        }
        if flags & O_STAT == 0 && !self.controller.reserve(irq) {
            return Err(Error::new(EEXIST));
        }
        Ok(Handle::Irq {
            irq,
            acknowledged: 0,
        })
    }

    fn open_on_cpu(&self, path: &str, flags: usize) -> Result<Handle> {
        let (cpu, rest) = path.split_at_checked(2).ok_or(Error::new(ENOENT))?;
        let cpu = u8::from_str_radix(cpu, 16).map_err(|_| Error::new(ENOENT))?;
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() {
            return Ok(Handle::Available(cpu));
        }
        let irq: u8 = rest
            .strip_prefix('/')
            .and_then(|irq| irq.parse().ok())
            .ok_or(Error::new(ENOENT))?;
        if irq < LEGACY && cpu == 0 {
            Ok(Handle::Irq {
                irq,
                acknowledged: 0,
            })
        } else if irq < TOTAL {
            self.exclusive(irq, flags)
        } else {
            Err(Error::new(ENOENT))
        }
    }

    fn open_phandle(&self, path: &str, flags: usize) -> Result<Handle> {
        let (phandle, specifier) = path.split_once('/').unwrap_or((path, ""));
        let phandle = phandle.parse().map_err(|_| Error::new(ENOENT))?;
        if specifier.is_empty() {
            return if self.controller.phandle_exists(phandle) {
                Ok(Handle::Phandle(phandle))
            } else {
                Err(Error::new(ENOENT))
            };
        }
        let numbers = specifier
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()
            .map_err(|_| Error::new(ENOENT))?;
        if flags & (O_CREAT | O_STAT) == 0 {
            return Err(Error::new(EINVAL));
        }
        let irq = self
            .controller
            .phandle(phandle, &numbers)
            .ok_or(Error::new(ENOENT))?;
        self.exclusive(irq, flags)
    }
}

impl KernelScheme for IrqScheme {
    fn id(&self) -> SchemeId {
        self.controller.id()
    }

    fn openat(
        &self,
        cx: &Arc<Context>,
        number: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number != Self::ROOT {
            return Err(Error::new(EACCES));
        }
        root_only(cx)?;
        let path = path.trim_start_matches('/');
        let handle = if path.is_empty() {
            if flags & (O_DIRECTORY | O_STAT) == 0 {
                return Err(Error::new(EISDIR));
            }
            Handle::TopLevel
        } else if path == "bsp" {
            Handle::Bsp
        } else if let Some(path) = path.strip_prefix("cpu-") {
            self.open_on_cpu(path, flags)?
        } else if let Some(path) = path.strip_prefix("phandle-") {
            self.open_phandle(path, flags)?
        } else {
            let irq: u8 = path.parse().map_err(|_| Error::new(ENOENT))?;
            if irq >= LEGACY {
                return Err(Error::new(ENOENT));
            }
            Handle::Irq {
                irq,
                acknowledged: 0,
            }
        };
        let positioned = matches!(
            handle,
            Handle::TopLevel | Handle::Available(_) | Handle::Phandle(_)
        );
        Ok(Opened::Local {
            number: self.add(handle),
            positioned,
        })
    }

    fn read_at(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        _offset: u64,
        _flags: u32,
    ) -> Result<usize> {
        let count = match self.get(number)? {
            Handle::Irq { irq, acknowledged } => {
                Some(self.controller.count(irq)).filter(|count| *count != acknowledged)
            }
            Handle::Bsp => Some(0),
            Handle::Available(_) | Handle::TopLevel | Handle::Phandle(_) => {
                return Err(Error::new(EISDIR));
            }
        };
        let word = buf.first_chunk_mut::<WORD>().ok_or(Error::new(EINVAL))?;
        match count {
            Some(count) => {
                *word = count.to_ne_bytes();
                Ok(WORD)
            }
            None => Ok(0),
        }
    }

    fn write(&self, _cx: &Arc<Context>, number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        let Handle::Irq { irq, .. } = self.get(number)? else {
            return Err(Error::new(EBADF));
        };
        let ack = usize::from_ne_bytes(*buf.first_chunk::<WORD>().ok_or(Error::new(EINVAL))?);
        if ack != self.controller.count(irq) {
            return Ok(0);
        }
        if let Some(Handle::Irq { acknowledged, .. }) = lock(&self.open).get_mut(&number) {
            *acknowledged = ack;
        }
        self.controller.acknowledge(irq);
        Ok(WORD)
    }

    fn getdents(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        header_size: u16,
        opaque: u64,
    ) -> Result<usize> {
        let mut entries = DirentBuf::new(buf, header_size).ok_or(Error::new(EIO))?;
        match self.get(number)? {
            Handle::TopLevel if opaque == 0 => {
                entries.entry(DirEntry {
                    inode: 0,
                    next_opaque_id: 1,
                    kind: DirentKind::CharDev,
                    name: "bsp",
                })?;
                entries.entry(DirEntry {
                    inode: 0,
                    next_opaque_id: 1,
                    kind: DirentKind::Directory,
                    name: "cpu-00",
                })?;
            }
            Handle::TopLevel => {}
            Handle::Available(cpu) => {
                let irqs = if cpu == 0 {
                    self.controller.available()
                } else {
                    Vec::new()
                };
                // As in the kernel: the next position is a vector, but is taken as a number of entries to skip; and no part of a list is given
                // when the buffer is too small for all of it.
                for irq in irqs
                    .into_iter()
                    .skip(usize::try_from(opaque).unwrap_or(usize::MAX))
                {
                    let name = irq.to_string();
                    entries.entry(DirEntry {
                        inode: 0,
                        next_opaque_id: u64::from(irq) + 33,
                        kind: DirentKind::CharDev,
                        name: &name,
                    })?;
                }
            }
            Handle::Irq { .. } | Handle::Bsp | Handle::Phandle(_) => {
                return Err(Error::new(ENOTDIR));
            }
        }
        Ok(entries.finalize())
    }

    fn fevent(&self, _cx: &Arc<Context>, _number: usize, _flags: EventFlags) -> Result<EventFlags> {
        Ok(EventFlags::empty())
    }

    fn fstat(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<()> {
        let file = |mode, st_ino| Stat {
            st_mode: MODE_CHR | mode,
            st_size: WORD as u64,
            st_blocks: 1,
            st_blksize: WORD as u32,
            st_ino,
            st_nlink: 1,
            ..Stat::default()
        };
        let directory = |mode, st_ino| Stat {
            st_mode: MODE_DIR | mode,
            st_ino,
            st_nlink: 2,
            ..Stat::default()
        };
        let stat = match self.get(number)? {
            Handle::Irq { irq, .. } => file(0o600, u64::from(irq)),
            Handle::Bsp => file(0o400, 0x8001_0000_0000_0000),
            Handle::Available(cpu) => {
                directory(0o700, 0x8000_0000_0000_0000 | u64::from(cpu) << 32)
            }
            Handle::Phandle(phandle) => {
                directory(0o700, 0x8003_0000_0000_0000 | u64::from(phandle) << 32)
            }
            Handle::TopLevel => directory(0o500, 0x8002_0000_0000_0000),
        };
        put_stat(buf, &stat)
    }

    fn fpath(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<usize> {
        let path = match self.get(number)? {
            Handle::Irq { irq, .. } => format!("irq:{irq}"),
            Handle::Bsp => "irq:bsp".to_owned(),
            Handle::Available(cpu) => format!("irq:cpu-{cpu:2x}"),
            Handle::Phandle(phandle) => format!("irq:phandle-{phandle}"),
            Handle::TopLevel => "irq:".to_owned(),
        };
        Ok(put_text(buf, &path))
    }

    fn close(&self, number: usize) {
        self.controller.remove_handle(number);
        lock(&self.open).remove(&number);
    }
}
