//! Mappings, SYS_CALL and event queues.

use libredox::data::TimeSpec;
use syscall::error::{EINVAL, ENOSYS, Error};
use syscall::flag::{CallFlags, EventFlags, O_CREAT, O_RDWR};

use super::{bytes, bytes_mut, with};
use crate::scheme::Map;
use crate::{numbers, sys};

/// # Safety
/// With MAP_FIXED the caller owns what it replaces.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_mmap_v1(
    addr: *mut (),
    len: usize,
    prot: u32,
    flags: u32,
    fd: usize,
    offset: u64,
) -> usize {
    let map = Map {
        offset: offset as usize,
        size: len,
        flags: numbers::map_flags(prot, flags),
        address: addr.addr(),
    };
    with(|cx| sys::mmap(cx, fd, &map))
}

/// # Safety
/// The caller uses the range no more.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_munmap_v1(addr: *mut (), len: usize) -> usize {
    with(|cx| sys::munmap(cx, addr.addr(), len))
}

/// # Safety
/// As for `bytes_mut`; `metadata` points to `metadata_len` words.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sys_call_v0(
    fd: usize,
    payload: *mut u8,
    len: usize,
    flags: usize,
    metadata: *const u64,
    metadata_len: usize,
) -> usize {
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
    let fds = if fds_len == 0 || fds.is_null() {
        &[]
    } else {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(fds, fds_len) }
    };
    // SAFETY: promised by the caller.
    unsafe { sys_call(fds, payload, len, flags, metadata, metadata_len) }
}

/// # Safety
/// As for `redox_sys_call_v0`.
unsafe fn sys_call(
    fds: &[usize],
    payload: *mut u8,
    len: usize,
    flags: usize,
    metadata: *const u64,
    metadata_len: usize,
) -> usize {
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
    let mut copy = if call.contains(CallFlags::WRITE) {
        // SAFETY: promised by the caller.
        unsafe { bytes(payload, len) }.to_vec()
    } else {
        Vec::new()
    };
    with(|cx| sys::call(cx, fds, &mut copy, flags, metadata))
}

#[unsafe(no_mangle)]
extern "C" fn redox_get_socket_token_v0(
    _fd: usize,
    _payload: *mut u8,
    _payload_len: usize,
) -> usize {
    // The tokens of Unix sockets belong to ipcd, which this machine has not.
    with(|_| Err(Error::new(ENOSYS)))
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
        sys::open(
            cx,
            b"/scheme/event",
            numbers::O_CLOEXEC | O_CREAT | O_RDWR | 0o700,
        )
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
        unsafe {
            buf.write(RawEventV1 {
                fd: event.id,
                user_data: event.data,
                flags: flags.bits() as u32,
            })
        };
        Ok(1)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_ctl_v1(
    queue: usize,
    fd: usize,
    flags: u32,
    user_data: usize,
) -> usize {
    with(|cx| {
        let flags = EventFlags::from_bits(flags as usize).ok_or(Error::new(EINVAL))?;
        let event = syscall::data::Event {
            id: fd,
            flags,
            data: user_data,
        };
        sys::write(cx, queue, &event).map(|_| 0)
    })
}

#[unsafe(no_mangle)]
extern "C" fn redox_event_queue_destroy_v1(queue: usize) -> usize {
    with(|cx| sys::close(cx, queue))
}
