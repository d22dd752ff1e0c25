//! Processes: who they are, their namespaces, signals, time, texts of errors.

use libredox::data::{IoVec, SigAction, TimeSpec};
use syscall::error::{ECHILD, EINVAL, ENOSYS, Error};
use syscall::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};

use super::{bytes, bytes_mut, with};
use crate::sys;

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
#[expect(
    improper_ctypes_definitions,
    reason = "libredox declares it with a slice"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_get_proc_credentials_v1(
    _cap_fd: usize,
    _target_pid: usize,
    _buf: &mut [u8],
) -> usize {
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
        let names: Vec<&[u8]> = names
            .iter()
            .map(|name| unsafe { bytes(name.iov_base.cast(), name.iov_len) })
            .collect();
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
unsafe extern "C" fn redox_register_scheme_to_ns_v0(
    ns_fd: usize,
    name: *const u8,
    len: usize,
    cap_fd: usize,
) -> usize {
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
    with(|_| Err(Error::new(ECHILD)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_sigprocmask_v1(_how: u32, _new: *const u64, _old: *mut u64) -> usize {
    with(|_| Err(Error::new(ENOSYS)))
}

#[unsafe(no_mangle)]
extern "C" fn redox_sigaction_v1(
    _signal: u32,
    _new: *const SigAction,
    _old: *mut SigAction,
) -> usize {
    with(|_| Err(Error::new(ENOSYS)))
}

/// # Safety
/// `time` points to room for a `TimeSpec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_clock_gettime_v1(clock: usize, time: *mut TimeSpec) -> usize {
    with(|_| {
        // 0 is Linux's CLOCK_REALTIME and nothing on Redox.
        let clock = if clock == 0 { CLOCK_REALTIME } else { clock };
        if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || time.is_null() {
            return Err(Error::new(EINVAL));
        }
        let now = crate::schemes::time::now(clock);
        let value = TimeSpec {
            tv_sec: (now / 1_000_000_000) as i64,
            tv_nsec: (now % 1_000_000_000) as i64,
        };
        // SAFETY: promised by the caller.
        unsafe { time.write(value) };
        Ok(0)
    })
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
