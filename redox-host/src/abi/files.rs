//! Files: opening, reading, writing, their status.

use libredox::data::{Stat, StatVfs, TimeSpec};
use syscall::error::{EINVAL, ENOSYS, Error};
use syscall::flag::{CallFlags, StdFsCallKind};

use super::{bytes, bytes_mut, with};
use crate::{numbers, sys};

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_open_v1(path: *const u8, len: usize, flags: u32, mode: u16) -> usize {
    // SAFETY: promised by the caller.
    let path = unsafe { bytes(path, len) };
    with(|cx| {
        sys::open(
            cx,
            path,
            numbers::open_flags(flags as usize) | usize::from(mode),
        )
    })
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_openat_v1(
    fd: usize,
    path: *const u8,
    len: usize,
    flags: u32,
    fcntl_flags: u32,
) -> usize {
    // SAFETY: promised by the caller.
    let path = unsafe { bytes(path, len) };
    let fcntl_flags = numbers::status_flags(fcntl_flags as usize) as u32;
    with(|cx| {
        sys::openat(
            cx,
            fd,
            path,
            numbers::openat_flags(flags as usize),
            fcntl_flags,
        )
    })
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_dup_v1(fd: usize, buf: *const u8, len: usize) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes(buf, len) };
    with(|cx| sys::dup(cx, fd, buf))
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_dup2_v1(
    old_fd: usize,
    new_fd: usize,
    buf: *const u8,
    len: usize,
) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes(buf, len) };
    with(|cx| sys::dup2(cx, old_fd, new_fd, buf))
}

/// # Safety
/// As for `bytes_mut`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_read_v1(fd: usize, base: *mut u8, len: usize) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes_mut(base, len) };
    with(|cx| sys::read(cx, fd, buf))
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_write_v1(fd: usize, base: *const u8, len: usize) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes(base, len) };
    with(|cx| sys::write(cx, fd, buf))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fchmod_v1(fd: usize, mode: u16) -> usize {
    with(|cx| {
        sys::std_fs_call(cx, fd, StdFsCallKind::Fchmod, u64::from(mode), 0, &mut []).map(|_| 0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_fchown_v1(_fd: usize, _uid: u32, _gid: u32) -> usize {
    with(|_| Err(Error::new(ENOSYS)))
}

/// # Safety
/// As for `bytes_mut`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_getdents_v0(fd: usize, base: *mut u8, len: usize, opaque: u64) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes_mut(base, len) };
    with(|cx| sys::getdents(cx, fd, buf, opaque))
}

/// # Safety
/// `dst` points to room for a `Stat`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fstat_v1(fd: usize, dst: *mut Stat) -> usize {
    with(|cx| {
        let stat = sys::fstat(cx, fd)?;
        // SAFETY: promised by the caller; all zeroes is a value of this plain structure.
        unsafe { dst.write_bytes(0, 1) };
        // SAFETY: as above, and now initialised.
        let Some(dst) = (unsafe { dst.as_mut() }) else {
            return Err(Error::new(EINVAL));
        };
        dst.st_dev = stat.st_dev;
        dst.st_ino = stat.st_ino;
        dst.st_mode = u32::from(stat.st_mode);
        dst.st_nlink = stat.st_nlink.into();
        dst.st_uid = stat.st_uid;
        dst.st_gid = stat.st_gid;
        dst.st_size = stat.st_size.cast_signed();
        dst.st_blksize = stat.st_blksize.into();
        dst.st_blocks = stat.st_blocks.cast_signed();
        (dst.st_atime, dst.st_atime_nsec) =
            (stat.st_atime.cast_signed(), stat.st_atime_nsec.into());
        (dst.st_mtime, dst.st_mtime_nsec) =
            (stat.st_mtime.cast_signed(), stat.st_mtime_nsec.into());
        (dst.st_ctime, dst.st_ctime_nsec) =
            (stat.st_ctime.cast_signed(), stat.st_ctime_nsec.into());
        Ok(0)
    })
}

/// # Safety
/// `dst` points to room for a `StatVfs`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fstatvfs_v1(fd: usize, dst: *mut StatVfs) -> usize {
    with(|cx| {
        let mut stat = syscall::data::StatVfs::default();
        sys::std_fs_call(cx, fd, StdFsCallKind::Fstatvfs, 0, 0, &mut stat)?;
        // SAFETY: promised by the caller; all zeroes is a value of this plain structure.
        unsafe { dst.write_bytes(0, 1) };
        // SAFETY: as above, and now initialised.
        let Some(dst) = (unsafe { dst.as_mut() }) else {
            return Err(Error::new(EINVAL));
        };
        dst.f_bsize = stat.f_bsize.into();
        dst.f_frsize = stat.f_bsize.into();
        (dst.f_blocks, dst.f_bfree, dst.f_bavail) = (stat.f_blocks, stat.f_bfree, stat.f_bavail);
        Ok(0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_fsync_v1(fd: usize) -> usize {
    with(|cx| sys::std_fs_call(cx, fd, StdFsCallKind::Fsync, 0, 0, &mut []).map(|_| 0))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fdatasync_v1(fd: usize) -> usize {
    with(|cx| sys::std_fs_call(cx, fd, StdFsCallKind::Fsync, 0, 0, &mut []).map(|_| 0))
}

#[unsafe(no_mangle)]
extern "C" fn redox_ftruncate_v0(fd: usize, len: usize) -> usize {
    with(|cx| sys::std_fs_call(cx, fd, StdFsCallKind::Ftruncate, len as u64, 0, &mut []).map(|_| 0))
}

/// # Safety
/// `times` points to two `TimeSpec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_futimens_v1(fd: usize, times: *const TimeSpec) -> usize {
    with(|cx| {
        if times.is_null() {
            return Err(Error::new(ENOSYS));
        }
        // SAFETY: promised by the caller.
        let times = unsafe { times.cast::<[TimeSpec; 2]>().read() };
        let mut payload = [0; 32];
        for (chunk, time) in payload.chunks_exact_mut(16).zip(times) {
            let time = syscall::data::TimeSpec {
                tv_sec: time.tv_sec,
                tv_nsec: time.tv_nsec as i32,
            };
            chunk.copy_from_slice(&time);
        }
        sys::std_fs_call(cx, fd, StdFsCallKind::Futimens, 0, 0, &mut payload).map(|_| 0)
    })
}

/// # Safety
/// As for `bytes_mut`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fpath_v1(fd: usize, base: *mut u8, len: usize) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes_mut(base, len) };
    with(|cx| sys::fpath(cx, fd, buf))
}

/// # Safety
/// As for `bytes_mut`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_relpathat_v0(
    dirfd: usize,
    fd: usize,
    base: *mut u8,
    len: usize,
) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes_mut(base, len) };
    let flags = (CallFlags::STD_FS | CallFlags::READ).bits();
    with(|cx| {
        sys::call(
            cx,
            &[dirfd, fd],
            buf,
            flags,
            &[StdFsCallKind::Relpathat as u64, 0, 0],
        )
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_close_v1(fd: usize) -> usize {
    with(|cx| sys::close(cx, fd))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fcntl_v0(fd: usize, cmd: usize, arg: usize) -> usize {
    with(|cx| sys::fcntl(cx, fd, cmd, arg))
}
