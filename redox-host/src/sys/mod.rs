//! System calls, safe side: what the C functions of `abi.rs` and relibc's own wrappers do with a process (kernel syscall/fs.rs, relibc redox-rt sys.rs).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use syscall::data::{Stat, StdFsCallMeta};
use syscall::dirent::{DirentHeader, DirentKind};
use syscall::error::{
    EINVAL, ENAMETOOLONG, ENODEV, ENOENT, ENOSYS, EOPNOTSUPP, EOVERFLOW, Error, Result,
};
use syscall::flag::{
    F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, O_ACCMODE, O_FCNTL_MASK, SEEK_CUR, SEEK_END,
    SEEK_SET, StdFsCallKind, UPPER_FDTBL_TAG,
};

use crate::context::{Context, detach};
use crate::files::{Description, FileTable};
use crate::numbers;
use crate::ram::PAGE;
use crate::scheme::{KernelScheme, Opened};

/// Longest path.
const PATH_MAX: usize = PAGE;
mod call;
mod process;

pub(crate) use call::{call, mmap, munmap};
pub(crate) use process::{kill, mkns, register_scheme, setns, setrens};

type Cx = Arc<Context>;

fn path_of(raw: &[u8]) -> Result<&str> {
    if raw.len() > PATH_MAX {
        return Err(Error::new(ENAMETOOLONG));
    }
    str::from_utf8(raw).map_err(|_| Error::new(EINVAL))
}

fn file(cx: &Cx, fd: usize) -> Result<Arc<Description>> {
    cx.files(|files| files.get(fd))
}

/// A description for what a scheme opened.
fn describe(
    cx: &Cx,
    scheme: &Arc<dyn KernelScheme>,
    opened: Opened,
    flags: u32,
) -> Arc<Description> {
    match opened {
        Opened::Local { number, positioned } => Description::new(
            Arc::clone(scheme),
            Arc::clone(&cx.machine().events),
            number,
            flags,
            positioned,
            0,
        ),
        Opened::External(file) => file,
    }
}

/// `open` of relibc: through the namespace, then the scheme. `flags` has the mode in its lower half.
pub(crate) fn open(cx: &Cx, raw: &[u8], flags: usize) -> Result<usize> {
    let path = path_of(raw)?;
    // There is no current directory: only absolute paths and those of the old form `scheme:path` lead anywhere.
    if path.is_empty() || !(path.starts_with('/') || path.contains(':')) {
        return Err(Error::new(ENOENT));
    }
    let namespace = cx.namespace()?;
    open_in(cx, &namespace, path, flags, (flags & O_FCNTL_MASK) as u32)
}

fn open_in(
    cx: &Cx,
    directory: &Arc<Description>,
    path: &str,
    flags: usize,
    fcntl_flags: u32,
) -> Result<usize> {
    let scheme = directory.scheme()?;
    let opened = scheme.openat(cx, directory.number, path, flags, fcntl_flags)?;
    cx.insert(
        describe(cx, scheme, opened, flags as u32),
        flags & numbers::O_CLOEXEC != 0,
    )
}

/// SYS_OPENAT_INTO.
pub(crate) fn openat(
    cx: &Cx,
    fd: usize,
    raw: &[u8],
    flags: usize,
    fcntl_flags: u32,
) -> Result<usize> {
    let path = path_of(raw)?;
    open_in(cx, &file(cx, fd)?, path, flags, fcntl_flags)
}

/// SYS_UNLINKAT.
pub(crate) fn unlinkat(cx: &Cx, fd: usize, raw: &[u8], flags: usize) -> Result<usize> {
    let path = path_of(raw)?;
    let directory = file(cx, fd)?;
    directory
        .scheme()?
        .unlinkat(cx, directory.number, path, flags)
        .map(|()| 0)
}

fn duplicate(cx: &Cx, fd: usize, buf: &[u8]) -> Result<Arc<Description>> {
    let file = file(cx, fd)?;
    if buf.is_empty() {
        return Ok(file);
    }
    let scheme = file.scheme()?;
    let opened = scheme.dup(cx, file.number, buf)?;
    // The new description has the flags of the old one.
    Ok(describe(cx, scheme, opened, file.flags()))
}

/// SYS_DUP_INTO at the lowest free number.
pub(crate) fn dup(cx: &Cx, fd: usize, buf: &[u8]) -> Result<usize> {
    let file = duplicate(cx, fd, buf)?;
    cx.insert(file, false)
}

/// `dup` into the upper table, as relibc makes namespaces.
pub(crate) fn dup_upper(cx: &Cx, fd: usize, buf: &[u8]) -> Result<usize> {
    let file = duplicate(cx, fd, buf)?;
    cx.insert_upper(file)
}

/// SYS_DUP2.
pub(crate) fn dup2(cx: &Cx, fd: usize, new_fd: usize, buf: &[u8]) -> Result<usize> {
    if fd == new_fd && buf.is_empty() {
        return file(cx, fd).map(|_| new_fd);
    }
    let file = duplicate(cx, fd, buf)?;
    let mut old = None;
    let result = cx.files(|files: &mut FileTable| {
        old = files.remove(new_fd).ok();
        files.insert_at(new_fd, file, false)
    });
    if let Some(old) = old {
        detach(cx.pid(), &old);
    }
    result.map_err(|(error, _file)| error)
}

/// SYS_CLOSE. The descriptor is gone in any case; ENODEV when it was the last one of a dead scheme's file.
pub(crate) fn close(cx: &Cx, fd: usize) -> Result<usize> {
    let file = cx.files(|files| files.remove(fd))?;
    detach(cx.pid(), &file);
    let last_of_dead = file.scheme().is_err() && Arc::strong_count(&file) == 1;
    drop(file);
    if last_of_dead {
        Err(Error::new(ENODEV))
    } else {
        Ok(0)
    }
}

/// SYS_READ.
pub(crate) fn read(cx: &Cx, fd: usize, buf: &mut [u8]) -> Result<usize> {
    let file = file(cx, fd)?;
    let count =
        file.scheme()?
            .read_at(cx, file.number, buf, file.offset_for_scheme(), file.flags())?;
    file.advance(count);
    Ok(count)
}

/// SYS_WRITE.
pub(crate) fn write(cx: &Cx, fd: usize, buf: &[u8]) -> Result<usize> {
    let file = file(cx, fd)?;
    let count =
        file.scheme()?
            .write_at(cx, file.number, buf, file.offset_for_scheme(), file.flags())?;
    file.advance(count);
    Ok(count)
}

/// SYS_READ2 with an offset.
pub(crate) fn pread(cx: &Cx, fd: usize, buf: &mut [u8], offset: u64) -> Result<usize> {
    let file = file(cx, fd)?;
    file.scheme()?
        .read_at(cx, file.number, buf, offset, file.flags())
}

/// SYS_LSEEK.
pub(crate) fn lseek(cx: &Cx, fd: usize, pos: i64, whence: usize) -> Result<usize> {
    let file = file(cx, fd)?;
    let scheme = file.scheme()?;
    let from = match whence {
        SEEK_SET => 0,
        SEEK_CUR => file.offset.load(Ordering::Relaxed),
        SEEK_END => scheme.fsize(cx, file.number)?,
        _ => return Err(Error::new(EINVAL)),
    };
    let new = pos
        .checked_add_unsigned(from)
        .ok_or(Error::new(EOVERFLOW))?;
    let new = u64::try_from(new).map_err(|_| Error::new(EINVAL))?;
    file.offset.store(new, Ordering::Relaxed);
    Ok(new as usize)
}

/// SYS_FSYNC: what `File::sync_data` of std becomes.
pub(crate) fn sys_fsync(cx: &Cx, fd: usize) -> Result<usize> {
    let file = file(cx, fd)?;
    file.scheme()?.fsync(cx, file.number).map(|()| 0)
}

/// SYS_FPATH.
pub(crate) fn fpath(cx: &Cx, fd: usize, buf: &mut [u8]) -> Result<usize> {
    let file = file(cx, fd)?;
    file.scheme()?.fpath(cx, file.number, buf)
}

/// SYS_CALL with STD_FS on one descriptor.
pub(crate) fn std_fs_call(
    cx: &Cx,
    fd: usize,
    kind: StdFsCallKind,
    arg1: u64,
    arg2: u64,
    payload: &mut [u8],
) -> Result<usize> {
    let file = file(cx, fd)?;
    file.scheme()?.std_fs_call(
        cx,
        &[file.number],
        &file,
        kind,
        payload,
        StdFsCallMeta::new(kind, arg1, arg2),
    )
}

/// `fstat` of relibc.
pub(crate) fn fstat(cx: &Cx, fd: usize) -> Result<Stat> {
    let mut stat = Stat::default();
    std_fs_call(cx, fd, StdFsCallKind::Fstat, 0, 0, &mut stat)?;
    Ok(stat)
}

/// `getdents` of relibc: StdFsCall, and for schemes that have none one name of a plain read.
pub(crate) fn getdents(cx: &Cx, fd: usize, buf: &mut [u8], opaque: u64) -> Result<usize> {
    const HEADER: usize = size_of::<DirentHeader>();
    match std_fs_call(cx, fd, StdFsCallKind::Getdents, opaque, HEADER as u64, buf) {
        Err(Error {
            errno: EOPNOTSUPP | ENOSYS,
        }) => {}
        other => return other,
    }
    let (header, name) = buf.split_at_mut_checked(HEADER).ok_or(Error::new(EINVAL))?;
    let count = pread(cx, fd, name, opaque)?.min(name.len());
    if count == 0 {
        return Ok(0);
    }
    let (len, advance) = match name[..count].iter().position(|byte| *byte == b'\n') {
        Some(end) => (end, end + 1),
        None if count == name.len() => return Err(Error::new(EINVAL)),
        None => (count, name.len()),
    };
    name[len] = 0;
    let record_len = u16::try_from(HEADER + len + 1).map_err(|_| Error::new(ENAMETOOLONG))?;
    let entry = DirentHeader {
        inode: 0,
        next_opaque_id: opaque.saturating_add(advance as u64),
        record_len,
        kind: DirentKind::Unspecified as u8,
    };
    header.copy_from_slice(&entry);
    Ok(record_len.into())
}

/// `fcntl` of relibc and SYS_FCNTL. Descriptor flags stay in the process; everything else the scheme must allow first.
pub(crate) fn fcntl(cx: &Cx, fd: usize, cmd: usize, arg: usize) -> Result<usize> {
    const F_DUPFD_CLOEXEC: usize = libredox::protocol::F_DUPFD_CLOEXEC;
    match cmd {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let file = file(cx, fd)?;
            // relibc looks only at which table the argument names, not at the lowest number it asks for.
            if arg & UPPER_FDTBL_TAG != 0 {
                cx.insert_upper(file)
            } else {
                cx.insert(file, cmd == F_DUPFD_CLOEXEC)
            }
        }
        F_GETFD => cx
            .files(|files| files.close_on_exec(fd))
            .map(|on| if on { numbers::O_CLOEXEC } else { 0 }),
        F_SETFD => cx
            .files(|files| files.set_close_on_exec(fd, numbers::close_on_exec(arg)))
            .map(|()| 0),
        _ => {
            let file = file(cx, fd)?;
            let arg = if cmd == F_SETFL {
                numbers::status_flags(arg)
            } else {
                arg
            };
            file.scheme()?.fcntl(cx, file.number, cmd, arg)?;
            match cmd {
                F_GETFL => Ok(file.flags() as usize),
                F_SETFL => {
                    let flags = (file.flags() as usize & O_ACCMODE) | (arg & !O_ACCMODE);
                    file.flags.store(flags as u32, Ordering::Relaxed);
                    Ok(0)
                }
                _ => Err(Error::new(EINVAL)),
            }
        }
    }
}
