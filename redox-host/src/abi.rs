//! The C functions that `libredox` and `redox_event` declare. Each works on the process of the calling thread; a thread that belongs to none
//! gets ESRCH. Results are as in Redox's ABI: a number, or the negative of one of Redox's errors.
#![allow(unsafe_code)]

use std::sync::Arc;

use libredox::data::{IoVec, SigAction, Stat, StatVfs, TimeSpec};
use syscall::error::{EINVAL, ENOSYS, ESRCH, Error, Result};
use syscall::flag::{CallFlags, EventFlags, O_CREAT, O_RDWR, StdFsCallKind};

use crate::context::{Context, current};
use crate::numbers;
use crate::scheme::Map;
use crate::sys;

/// A call of the current process.
fn with(work: impl FnOnce(&Arc<Context>) -> Result<usize>) -> usize {
    let result = match current() {
        Some(cx) => cx.call(work),
        None => Err(Error::new(ESRCH)),
    };
    Error::mux(result)
}

/// What the caller lends for reading.
///
/// # Safety
/// `base` points to `len` initialised bytes, or `len` is 0.
unsafe fn bytes<'a>(base: *const u8, len: usize) -> &'a [u8] {
    if len == 0 || base.is_null() {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(base, len) }
}

/// What the caller lends for writing.
///
/// # Safety
/// `base` points to `len` bytes that nobody else uses during the call, or `len` is 0.
unsafe fn bytes_mut<'a>(base: *mut u8, len: usize) -> &'a mut [u8] {
    if len == 0 || base.is_null() {
        return &mut [];
    }
    // SAFETY: promised by the caller. The bytes may be uninitialised: calls only write them, or copy them to where they are only bytes.
    unsafe { std::slice::from_raw_parts_mut(base, len) }
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_open_v1(path: *const u8, len: usize, flags: u32, mode: u16) -> usize {
    // SAFETY: promised by the caller.
    let path = unsafe { bytes(path, len) };
    with(|cx| sys::open(cx, path, numbers::open_flags(flags as usize) | usize::from(mode)))
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_openat_v1(fd: usize, path: *const u8, len: usize, flags: u32, fcntl_flags: u32) -> usize {
    // SAFETY: promised by the caller.
    let path = unsafe { bytes(path, len) };
    let fcntl_flags = numbers::status_flags(fcntl_flags as usize) as u32;
    with(|cx| sys::openat(cx, fd, path, numbers::openat_flags(flags as usize), fcntl_flags))
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
unsafe extern "C" fn redox_dup2_v1(old_fd: usize, new_fd: usize, buf: *const u8, len: usize) -> usize {
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
    with(|cx| sys::std_fs_call(cx, fd, StdFsCallKind::Fchmod, u64::from(mode), 0, &mut []).map(|_| 0))
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
        let Some(dst) = (unsafe { dst.as_mut() }) else { return Err(Error::new(EINVAL)) };
        dst.st_dev = stat.st_dev;
        dst.st_ino = stat.st_ino;
        dst.st_mode = u32::from(stat.st_mode);
        dst.st_nlink = stat.st_nlink.into();
        dst.st_uid = stat.st_uid;
        dst.st_gid = stat.st_gid;
        dst.st_size = stat.st_size.cast_signed();
        dst.st_blksize = stat.st_blksize.into();
        dst.st_blocks = stat.st_blocks.cast_signed();
        (dst.st_atime, dst.st_atime_nsec) = (stat.st_atime.cast_signed(), stat.st_atime_nsec.into());
        (dst.st_mtime, dst.st_mtime_nsec) = (stat.st_mtime.cast_signed(), stat.st_mtime_nsec.into());
        (dst.st_ctime, dst.st_ctime_nsec) = (stat.st_ctime.cast_signed(), stat.st_ctime_nsec.into());
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
        let Some(dst) = (unsafe { dst.as_mut() }) else { return Err(Error::new(EINVAL)) };
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
            let time = syscall::data::TimeSpec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec as i32 };
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
unsafe extern "C" fn redox_relpathat_v0(dirfd: usize, fd: usize, base: *mut u8, len: usize) -> usize {
    // SAFETY: promised by the caller.
    let buf = unsafe { bytes_mut(base, len) };
    let flags = (CallFlags::STD_FS | CallFlags::READ).bits();
    with(|cx| sys::call(cx, &[dirfd, fd], buf, flags, &[StdFsCallKind::Relpathat as u64, 0, 0]))
}

#[unsafe(no_mangle)]
extern "C" fn redox_close_v1(fd: usize) -> usize {
    with(|cx| sys::close(cx, fd))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_pid_v1() -> usize {
    with(|cx| Ok(cx.pid()))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_euid_v1() -> usize {
    with(|cx| Ok(cx.uid() as usize))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ruid_v1() -> usize {
    with(|cx| Ok(cx.uid() as usize))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_egid_v1() -> usize {
    with(|cx| Ok(cx.gid() as usize))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_rgid_v1() -> usize {
    with(|cx| Ok(cx.gid() as usize))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ens_v0() -> usize {
    // The number that the process manager keeps has no meaning any more.
    with(|_| Err(Error::new(ENOSYS)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_ns_v0() -> usize {
    with(|cx| cx.namespace_fd())
}

/// # Safety
/// `buf` is a slice that the caller owns.
#[expect(improper_ctypes_definitions, reason = "libredox declares it with a slice")]
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_get_proc_credentials_v1(_cap_fd: usize, _target_pid: usize, _buf: &mut [u8]) -> usize {
    // There is no process manager that could issue the capability.
    with(|_| Err(Error::new(ENOSYS)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_setrens_v1(_rns: usize, ens: usize) -> usize {
    with(|cx| sys::setrens(cx, ens))
}

/// # Safety
/// `names` points to `count` vectors, each of initialised bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_mkns_v1(names: *const IoVec, count: usize, flags: u32) -> usize {
    with(|cx| {
        if flags != 0 {
            return Err(Error::new(EINVAL));
        }
        let names = if count == 0 || names.is_null() {
            &[]
        } else {
            // SAFETY: promised by the caller.
            unsafe { std::slice::from_raw_parts(names, count) }
        };
        // SAFETY: promised by the caller.
        let names: Vec<&[u8]> = names.iter().map(|name| unsafe { bytes(name.iov_base.cast(), name.iov_len) }).collect();
        if names.iter().any(|name| str::from_utf8(name).is_err()) {
            return Err(Error::new(EINVAL));
        }
        sys::mkns(cx, &names)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_setns_v0(fd: usize) -> usize {
    with(|cx| sys::setns(cx, fd))
}

/// # Safety
/// As for `bytes`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_register_scheme_to_ns_v0(ns_fd: usize, name: *const u8, len: usize, cap_fd: usize) -> usize {
    // SAFETY: promised by the caller.
    let name = unsafe { bytes(name, len) };
    with(|cx| sys::register_scheme(cx, ns_fd, name, cap_fd))
}

#[unsafe(no_mangle)]
extern "C" fn redox_kill_v1(pid: usize, signal: u32) -> usize {
    with(|cx| sys::kill(cx, pid, signal))
}

#[unsafe(no_mangle)]
extern "C" fn redox_waitpid_v1(_pid: usize, _status: *mut i32, _options: u32) -> usize {
    // Processes have no children here.
    with(|_| Err(Error::new(syscall::error::ECHILD)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_sigprocmask_v1(_how: u32, _new: *const u64, _old: *mut u64) -> usize {
    with(|_| Err(Error::new(ENOSYS)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_sigaction_v1(_signal: u32, _new: *const SigAction, _old: *mut SigAction) -> usize {
    with(|_| Err(Error::new(ENOSYS)))
}

/// # Safety
/// `time` points to room for a `TimeSpec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_clock_gettime_v1(clock: usize, time: *mut TimeSpec) -> usize {
    with(|_| {
        // 0 is Linux's CLOCK_REALTIME and nothing on Redox.
        let clock = if clock == 0 { syscall::flag::CLOCK_REALTIME } else { clock };
        if (clock != syscall::flag::CLOCK_REALTIME && clock != syscall::flag::CLOCK_MONOTONIC) || time.is_null() {
            return Err(Error::new(EINVAL));
        }
        let now = crate::schemes::time::now(clock);
        let value = TimeSpec { tv_sec: (now / 1_000_000_000) as i64, tv_nsec: (now % 1_000_000_000) as i64 };
        // SAFETY: promised by the caller.
        unsafe { time.write(value) };
        Ok(0)
    })
}

/// # Safety
/// With MAP_FIXED the caller owns what it replaces.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_mmap_v1(addr: *mut (), len: usize, prot: u32, flags: u32, fd: usize, offset: u64) -> usize {
    let map = Map { offset: offset as usize, size: len, flags: numbers::map_flags(prot, flags), address: addr.addr() };
    with(|cx| sys::mmap(cx, fd, &map))
}

/// # Safety
/// The caller uses the range no more.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_munmap_v1(addr: *mut (), len: usize) -> usize {
    with(|cx| sys::munmap(cx, addr.addr(), len))
}

/// # Safety
/// `len` points to the number of bytes at `dst`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_strerror_v1(dst: *mut u8, len: *mut usize, error: u32) -> usize {
    let Some(text) = syscall::error::STR_ERROR.get(error as usize) else {
        return Error::mux(Err(Error::new(EINVAL)));
    };
    // SAFETY: promised by the caller.
    let room = unsafe { len.read() };
    // SAFETY: promised by the caller.
    unsafe { len.write(text.len()) };
    // SAFETY: promised by the caller.
    let dst = unsafe { bytes_mut(dst, room) };
    // The texts are ASCII, so any cut leaves UTF-8.
    crate::scheme::put_text(dst, text)
}

/// # Safety
/// As for `bytes_mut`; `metadata` points to `metadata_len` words.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sys_call_v0(fd: usize, payload: *mut u8, len: usize, flags: usize, metadata: *const u64, metadata_len: usize) -> usize {
    // SAFETY: promised by the caller.
    unsafe { sys_call(&[fd], payload, len, flags, metadata, metadata_len) }
}

/// # Safety
/// As for `redox_sys_call_v0`; `fds` points to `fds_len` numbers.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sys_call_multiple_v0(
    fds: *const usize,
    fds_len: usize,
    payload: *mut u8,
    len: usize,
    flags: usize,
    metadata: *const u64,
    metadata_len: usize,
) -> usize {
    // SAFETY: promised by the caller.
    let fds = if fds_len == 0 || fds.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(fds, fds_len) } };
    // SAFETY: promised by the caller.
    unsafe { sys_call(fds, payload, len, flags, metadata, metadata_len) }
}

/// # Safety
/// As for `redox_sys_call_v0`.
unsafe fn sys_call(fds: &[usize], payload: *mut u8, len: usize, flags: usize, metadata: *const u64, metadata_len: usize) -> usize {
    let metadata = if metadata_len == 0 || metadata.is_null() {
        &[]
    } else {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(metadata, metadata_len) }
    };
    let call = CallFlags::from_bits_retain(flags);
    if call.contains(CallFlags::READ) {
        // SAFETY: promised by the caller.
        let payload = unsafe { bytes_mut(payload, len) };
        return with(|cx| sys::call(cx, fds, payload, flags, metadata));
    }
    // Without READ the payload may be memory that must not be written: the scheme gets a copy. Without either there is no payload.
    // SAFETY: promised by the caller.
    let mut copy = if call.contains(CallFlags::WRITE) { unsafe { bytes(payload, len) }.to_vec() } else { Vec::new() };
    with(|cx| sys::call(cx, fds, &mut copy, flags, metadata))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_socket_token_v0(_fd: usize, _payload: *mut u8, _payload_len: usize) -> usize {
    // The tokens of Unix sockets belong to ipcd, which this machine has not.
    with(|_| Err(Error::new(ENOSYS)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fcntl_v0(fd: usize, cmd: usize, arg: usize) -> usize {
    with(|cx| sys::fcntl(cx, fd, cmd, arg))
}

/// `event::raw::RawEventV1`.
#[repr(C)]
struct RawEventV1 {
    fd: usize,
    user_data: usize,
    flags: u32,
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_create_v1(flags: u32) -> usize {
    with(|cx| {
        if flags != 0 {
            return Err(Error::new(EINVAL));
        }
        sys::open(cx, b"/scheme/event", numbers::O_CLOEXEC | O_CREAT | O_RDWR | 0o700)
    })
}

/// # Safety
/// `buf` points to room for `count` events.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_event_queue_get_events_v1(
    queue: usize,
    buf: *mut RawEventV1,
    count: usize,
    flags: u32,
    _timeout: *const TimeSpec,
    _sigset: *const libredox::data::SigSet,
) -> usize {
    // As relibc: one event a call, the timeout is not looked at.
    with(|cx| {
        if flags != 0 || count == 0 || buf.is_null() {
            return Err(Error::new(EINVAL));
        }
        let mut event = syscall::data::Event::default();
        sys::read(cx, queue, &mut event)?;
        let flags = event.flags & (EventFlags::EVENT_READ | EventFlags::EVENT_WRITE);
        // SAFETY: promised by the caller.
        unsafe { buf.write(RawEventV1 { fd: event.id, user_data: event.data, flags: flags.bits() as u32 }) };
        Ok(1)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_ctl_v1(queue: usize, fd: usize, flags: u32, user_data: usize) -> usize {
    with(|cx| {
        let flags = EventFlags::from_bits(flags as usize).ok_or(Error::new(EINVAL))?;
        let event = syscall::data::Event { id: fd, flags, data: user_data };
        sys::write(cx, queue, &event).map(|_| 0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_destroy_v1(queue: usize) -> usize {
    with(|cx| sys::close(cx, queue))
}
