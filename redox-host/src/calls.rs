//! Calls that programs on Redox make past `libredox` 0.1, through std or the C library. Each works on the process of the calling thread.

use std::sync::Arc;

use syscall::error::{ESRCH, Error, Result};

use crate::context::{Context, current};
use crate::sys;

fn with<T>(work: impl FnOnce(&Arc<Context>) -> Result<T>) -> Result<T> {
    current().ok_or(Error::new(ESRCH))?.call(work)
}

/// Removes `path` below the directory or namespace `fd` (SYS_UNLINKAT). `unlinkat(getns()?, "/scheme/name", 0)` takes a scheme's name out of a namespace.
pub fn unlinkat(fd: usize, path: &str, flags: usize) -> Result<()> {
    with(|cx| sys::unlinkat(cx, fd, path.as_bytes(), flags).map(|_| ()))
}

/// Opens bytes as a path, which need not be UTF-8, below `fd` (SYS_OPENAT_INTO). `flags` are Redox's.
pub fn openat(fd: usize, path: &[u8], flags: usize, fcntl_flags: u32) -> Result<usize> {
    with(|cx| sys::openat(cx, fd, path, flags, fcntl_flags))
}

/// `File::sync_data` of std: SYS_FSYNC, which a scheme sees as Fsync and not as a StdFsCall.
pub fn fdatasync(fd: usize) -> Result<()> {
    with(|cx| sys::sys_fsync(cx, fd).map(|_| ()))
}

/// Reads at an offset (SYS_READ2).
pub fn pread(fd: usize, buf: &mut [u8], offset: u64) -> Result<usize> {
    with(|cx| sys::pread(cx, fd, buf, offset))
}

/// Sets the offset of a file that has one (SYS_LSEEK); `whence` is one of `syscall::flag::SEEK_*`.
pub fn lseek(fd: usize, pos: i64, whence: usize) -> Result<usize> {
    with(|cx| sys::lseek(cx, fd, pos, whence))
}

/// Makes a namespace with those schemes of the current one and gives its descriptor.
pub fn mkns(names: &[&str]) -> Result<usize> {
    let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    with(|cx| sys::mkns(cx, &names))
}
