//! What every scheme can do, as the kernel sees it: user schemes (`scheme_socket.rs`) and those built in (`schemes/`).

use std::any::Any;
use std::sync::Arc;

use syscall::data::StdFsCallMeta;
use syscall::error::{EACCES, EBADF, EINVAL, ENOENT, EOPNOTSUPP, ESPIPE, Error, Result};
use syscall::flag::{CallFlags, EventFlags, MapFlags, StdFsCallKind};

use crate::context::Context;
use crate::files::Description;

/// Number of a scheme in this machine.
pub(crate) type SchemeId = usize;

/// What opening or duplicating gives.
pub(crate) enum Opened {
    /// A new handle of the same scheme.
    Local {
        /// The scheme's own number of it.
        number: usize,
        /// Whether the kernel keeps an offset for it (NewFdFlags::POSITIONED).
        positioned: bool,
    },
    /// A description of any scheme.
    External(Arc<Description>),
}

impl Opened {
    /// A handle without an offset.
    pub(crate) fn local(number: usize) -> Self {
        Self::Local {
            number,
            positioned: false,
        }
    }
}

/// Arguments of a mapping (`syscall::data::Map`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    /// Offset inside the file.
    pub(crate) offset: usize,
    /// Bytes, perhaps not whole pages.
    pub(crate) size: usize,
    /// Protection and kind.
    pub(crate) flags: MapFlags,
    /// Wanted address, 0 for any.
    pub(crate) address: usize,
}

/// A scheme. The defaults are those of the kernel (kernel scheme/mod.rs).
pub(crate) trait KernelScheme: Send + Sync + Any {
    /// Its number.
    fn id(&self) -> SchemeId;

    /// False once its socket is closed: then every call on its descriptions gives ENODEV.
    fn is_alive(&self) -> bool {
        true
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn unlinkat(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _path: &str,
        _flags: usize,
    ) -> Result<()> {
        Err(Error::new(ENOENT))
    }
    fn dup(&self, _cx: &Arc<Context>, _number: usize, _buf: &[u8]) -> Result<Opened> {
        Err(Error::new(EOPNOTSUPP))
    }
    /// `offset` is u64::MAX when the description has none.
    fn read_at(
        &self,
        cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        offset: u64,
        flags: u32,
    ) -> Result<usize> {
        if offset != u64::MAX {
            return Err(Error::new(ESPIPE));
        }
        self.read(cx, number, buf, flags)
    }
    fn write_at(
        &self,
        cx: &Arc<Context>,
        number: usize,
        buf: &[u8],
        offset: u64,
        flags: u32,
    ) -> Result<usize> {
        if offset != u64::MAX {
            return Err(Error::new(ESPIPE));
        }
        self.write(cx, number, buf, flags)
    }
    fn read(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _buf: &mut [u8],
        _flags: u32,
    ) -> Result<usize> {
        Err(Error::new(EBADF))
    }
    fn write(&self, _cx: &Arc<Context>, _number: usize, _buf: &[u8], _flags: u32) -> Result<usize> {
        Err(Error::new(EBADF))
    }
    fn fpath(&self, _cx: &Arc<Context>, _number: usize, _buf: &mut [u8]) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn fstat(&self, _cx: &Arc<Context>, _number: usize, _buf: &mut [u8]) -> Result<()> {
        Err(Error::new(EBADF))
    }
    fn getdents(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _buf: &mut [u8],
        _header_size: u16,
        _opaque: u64,
    ) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn fsync(&self, _cx: &Arc<Context>, _number: usize) -> Result<()> {
        Ok(())
    }
    fn ftruncate(&self, _cx: &Arc<Context>, _number: usize, _len: u64) -> Result<()> {
        Err(Error::new(EBADF))
    }
    fn fsize(&self, _cx: &Arc<Context>, _number: usize) -> Result<u64> {
        Err(Error::new(ESPIPE))
    }
    fn fcntl(&self, _cx: &Arc<Context>, _number: usize, _cmd: usize, _arg: usize) -> Result<usize> {
        Ok(0)
    }
    fn fevent(&self, _cx: &Arc<Context>, _number: usize, _flags: EventFlags) -> Result<EventFlags> {
        Ok(EventFlags::empty())
    }
    /// SYS_CALL; `numbers` has one or two entries.
    fn call(
        &self,
        _cx: &Arc<Context>,
        _numbers: &[usize],
        _payload: &mut [u8],
        _metadata: &[u64],
    ) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    /// SYS_CALL with FD and WRITE: descriptions go to the scheme.
    fn fd_write(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _files: Vec<Arc<Description>>,
        _flags: CallFlags,
        _metadata: &[u64],
    ) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    /// SYS_CALL with FD and READ: descriptions come from the scheme, at most `wanted`.
    fn fd_read(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _wanted: usize,
        _flags: CallFlags,
        _metadata: &[u64],
    ) -> Result<Vec<Arc<Description>>> {
        Err(Error::new(EOPNOTSUPP))
    }
    fn mmap(&self, _cx: &Arc<Context>, _file: &Arc<Description>, _map: &Map) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }
    /// A mapping of this scheme went. `wait` is false when the process that had it is gone already.
    fn munmap(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        _offset: usize,
        _size: usize,
        _flags: usize,
        _wait: bool,
    ) -> Result<()> {
        Err(Error::new(EOPNOTSUPP))
    }
    /// SYS_CALL with STD_FS (kernel scheme/mod.rs, translate_std_fs_call).
    fn std_fs_call(
        &self,
        cx: &Arc<Context>,
        numbers: &[usize],
        _file: &Arc<Description>,
        kind: StdFsCallKind,
        payload: &mut [u8],
        meta: StdFsCallMeta,
    ) -> Result<usize> {
        let (arg1, arg2) = (meta.arg1, meta.arg2);
        if matches!(kind, StdFsCallKind::Relpathat) {
            return Err(Error::new(EOPNOTSUPP));
        }
        let &[number] = numbers else {
            return Err(Error::new(EINVAL));
        };
        match kind {
            StdFsCallKind::Getdents => self.getdents(cx, number, payload, arg2 as u16, arg1),
            StdFsCallKind::Fstat => self.fstat(cx, number, payload).map(|()| 0),
            StdFsCallKind::Fsync => self.fsync(cx, number).map(|()| 0),
            StdFsCallKind::Ftruncate => self.ftruncate(cx, number, arg1).map(|()| 0),
            // Decoded by user schemes themselves, the namespace manager among them (redox-scheme 0.12).
            StdFsCallKind::Unlinkat => {
                let path = str::from_utf8(payload).map_err(|_| Error::new(EINVAL))?;
                let flags = usize::try_from(arg1).map_err(|_| Error::new(EINVAL))?;
                self.unlinkat(cx, number, path, flags).map(|()| 0)
            }
            StdFsCallKind::Fstatvfs | StdFsCallKind::Futimens | StdFsCallKind::Fchmod => {
                Err(Error::new(EBADF))
            }
            _ => Err(Error::new(EOPNOTSUPP)),
        }
    }
    /// A file descriptor of a description that asked for it was closed.
    fn detach(&self, _pid: usize, _number: usize) {}
    /// The last reference went.
    fn close(&self, _number: usize) {}
}

/// Copies a path or other text into the caller's buffer, as much as fits.
pub(crate) fn put_text(buf: &mut [u8], text: &str) -> usize {
    let count = text.len().min(buf.len());
    buf[..count].copy_from_slice(&text.as_bytes()[..count]);
    count
}

/// Copies a `Stat` into the caller's buffer, which must have room for all of it.
pub(crate) fn put_stat(buf: &mut [u8], stat: &syscall::data::Stat) -> Result<()> {
    let room = buf.get_mut(..stat.len()).ok_or(Error::new(EINVAL))?;
    room.copy_from_slice(stat);
    Ok(())
}

/// EACCES for whoever is not root.
pub(crate) fn root_only(cx: &Context) -> Result<()> {
    if cx.uid() == 0 {
        Ok(())
    } else {
        Err(Error::new(EACCES))
    }
}
