//! SYS_CALL, files that travel, mappings.

use std::sync::Arc;

use syscall::data::StdFsCallMeta;
use syscall::error::{EBADF, EBUSY, EINVAL, EOPNOTSUPP, EXDEV, Error, Result};
use syscall::flag::{CallFlags, StdFsCallKind};

use super::{Cx, file};
use crate::scheme::Map;

/// Most words of metadata in a SYS_CALL.
const METADATA: usize = 3;
/// What the kernel knows of `CallFlags`: it is older than the crate, so the three bits above are not among them.
const CALL_FLAGS: CallFlags = CallFlags::CONSUME
    .union(CallFlags::WRITE)
    .union(CallFlags::READ)
    .union(CallFlags::FD)
    .union(CallFlags::FD_EXCLUSIVE)
    .union(CallFlags::FD_CLONE)
    .union(CallFlags::FD_UPPER)
    .union(CallFlags::FD_CLOEXEC)
    .union(CallFlags::STD_FS);

/// SYS_CALL.
pub(crate) fn call(
    cx: &Cx,
    fds: &[usize],
    payload: &mut [u8],
    flags: usize,
    metadata: &[u64],
) -> Result<usize> {
    let flags = CallFlags::from_bits(flags & !0xFF)
        .filter(|flags| CALL_FLAGS.contains(*flags))
        .ok_or(Error::new(EINVAL))?;
    let metadata = metadata.get(..METADATA).unwrap_or(metadata);
    if flags.contains(CallFlags::FD | CallFlags::WRITE) {
        return send_files(cx, one(fds)?, payload, flags, metadata);
    }
    if flags.contains(CallFlags::FD | CallFlags::READ) {
        return receive_files(cx, one(fds)?, payload, flags, metadata);
    }
    if !matches!(fds.len(), 1 | 2) {
        return Err(Error::new(EINVAL));
    }
    let consume = flags.contains(CallFlags::CONSUME);
    let files = fds
        .iter()
        .map(|fd| {
            cx.files(|files| {
                if consume {
                    files.remove(*fd)
                } else {
                    files.get(*fd)
                }
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let numbers: Vec<usize> = files.iter().map(|file| file.number).collect();
    let first = files.first().ok_or(Error::new(EBADF))?;
    if files
        .iter()
        .any(|file| file.scheme_even_dead().id() != first.scheme_even_dead().id())
    {
        return Err(Error::new(EXDEV));
    }
    let scheme = first.scheme()?;
    if !flags.contains(CallFlags::STD_FS) {
        return scheme.call(cx, &numbers, payload, metadata);
    }
    let &[kind, arg1, arg2] = metadata else {
        return Err(Error::new(EINVAL));
    };
    let kind = StdFsCallKind::try_from_raw(kind as u8).ok_or(Error::new(EOPNOTSUPP))?;
    scheme.std_fs_call(
        cx,
        &numbers,
        first,
        kind,
        payload,
        StdFsCallMeta::new(kind, arg1, arg2),
    )
}

fn one(fds: &[usize]) -> Result<usize> {
    match *fds {
        [fd] => Ok(fd),
        _ => Err(Error::new(EINVAL)),
    }
}

/// The numbers in a payload; EINVAL when it is not whole numbers.
fn fd_numbers(payload: &[u8]) -> Result<Vec<usize>> {
    let (words, rest) = payload.as_chunks::<{ size_of::<usize>() }>();
    if rest.is_empty() {
        Ok(words
            .iter()
            .map(|word| usize::from_ne_bytes(*word))
            .collect())
    } else {
        Err(Error::new(EINVAL))
    }
}

fn send_files(
    cx: &Cx,
    fd: usize,
    payload: &[u8],
    flags: CallFlags,
    metadata: &[u64],
) -> Result<usize> {
    let fds = fd_numbers(payload)?;
    let target = file(cx, fd)?;
    let scheme = target.scheme()?;
    let clone = flags.contains(CallFlags::FD_CLONE);
    let files = cx.files(|files| files.bulk(&fds, clone))?;
    let exclusive = flags & CallFlags::FD_EXCLUSIVE;
    if !exclusive.is_empty() && files.iter().any(|file| Arc::strong_count(file) > 1) {
        return Err(Error::new(EBUSY));
    }
    scheme.fd_write(cx, target.number, files, exclusive, metadata)?;
    Ok(fds.len())
}

fn receive_files(
    cx: &Cx,
    fd: usize,
    payload: &mut [u8],
    flags: CallFlags,
    metadata: &[u64],
) -> Result<usize> {
    let wanted = fd_numbers(payload)?;
    if wanted.is_empty() {
        return Err(Error::new(EINVAL));
    }
    let source = file(cx, fd)?;
    let files = source
        .scheme()?
        .fd_read(cx, source.number, wanted.len(), flags, metadata)?;
    if files.is_empty() {
        return Ok(0);
    }
    let upper = flags.contains(CallFlags::FD_UPPER);
    let close_on_exec = flags.contains(CallFlags::FD_CLOEXEC);
    let stored = cx
        .files(|table| table.bulk_insert(files, &wanted, upper, close_on_exec))
        .map_err(|(error, _files)| error)?;
    for (slot, fd) in payload.as_chunks_mut().0.iter_mut().zip(&stored) {
        *slot = fd.to_ne_bytes();
    }
    Ok(stored.len())
}

/// SYS_FMAP; `fd` usize::MAX is anonymous memory.
pub(crate) fn mmap(cx: &Cx, fd: usize, map: &Map) -> Result<usize> {
    if fd == usize::MAX {
        return cx.machine().memory.map_anonymous(cx, map, false);
    }
    let file = file(cx, fd)?;
    file.scheme()?.mmap(cx, &file, map)
}

/// SYS_FUNMAP. The first error of a scheme that was told is given; everything is unmapped in any case.
pub(crate) fn munmap(cx: &Cx, address: usize, size: usize) -> Result<usize> {
    let mut result = Ok(0);
    for gone in cx.memory().unmap(address, size)? {
        if let Err(error) = gone.notify(cx, true)
            && result.is_ok()
        {
            result = Err(error);
        }
    }
    result
}
