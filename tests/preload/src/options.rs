//! getsockopt(2) and setsockopt(2).

use core::ffi::{c_int, c_ulong, c_void};
use core::fmt::Write;

use libc::socklen_t;
use socket_door::Name;

use crate::control::take_error;
use crate::door::ask;
use crate::messages::{next_length, pending_error};
use crate::sys::{Result, call, checked, ours, status};

/// The longest value of an option that is sent on, in bytes.
const LONGEST_VALUE: usize = 256;

/// Those that the pair keeps by itself.
fn is_native(level: c_int, option: c_int) -> bool {
    level == libc::SOL_SOCKET
        && matches!(
            option,
            libc::SO_RCVTIMEO | libc::SO_SNDTIMEO | libc::SO_RCVLOWAT
        )
}

/// Says that the level is meant as it stands, even if it is zero.
const MEANT: u64 = 1 << 32;

/// The level and the name of an option as the stack wants them.
///
/// # Errors
/// The socket is of another protocol, or nobody knows the option.
fn which(name: Name, level: c_int, option: c_int) -> Result<String> {
    // The last names that Linux has.
    let last = match level {
        libc::SOL_SOCKET => 83,
        libc::IPPROTO_IP => 52,
        libc::IPPROTO_TCP if name.stream => 45,
        libc::IPPROTO_IPV6 if name.v6 => 80,
        libc::IPPROTO_UDP if !name.stream => 104,
        // Raw sockets' own, and those of ICMP.
        libc::IPPROTO_ICMPV6 | libc::IPPROTO_RAW if name.echo => 104,
        _ => return Err(libc::ENOPROTOOPT),
    };
    if !(0..=last).contains(&option) {
        return Err(libc::ENOPROTOOPT);
    }
    let level = MEANT | u64::from(level.unsigned_abs());
    Ok(format!("{level} {option}"))
}

/// May it be accepted though the stack does not know it, as Redox's C library does? Not if a program counts on it.
fn may_be_forgotten(level: c_int, option: c_int) -> bool {
    let counted_on = [libc::SO_REUSEPORT, libc::SO_BINDTODEVICE];
    level != libc::SOL_SOCKET || !counted_on.contains(&option)
}

/// setsockopt(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    let length = length as usize;
    let name = ours(fd).filter(|_| !is_native(level, option));
    let Some(name) = name else {
        let arguments = [
            fd as usize,
            level as usize,
            option as usize,
            value.addr(),
            length,
            0,
        ];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_setsockopt, arguments) }));
    };
    if value.is_null() || length > LONGEST_VALUE {
        return status(Err(libc::EINVAL));
    }
    // SAFETY: the caller's value has that length.
    let bytes = unsafe { core::slice::from_raw_parts(value.cast::<u8>(), length) };
    status(set(name, level, option, bytes).map(|_| 0))
}

fn set(name: Name, level: c_int, option: c_int, value: &[u8]) -> Result<()> {
    let mut text = format!("set {} {} ", name.id, which(name, level, option)?);
    for byte in value {
        let _ = write!(text, "{byte:02x}");
    }
    match ask(&text) {
        Ok(_) => Ok(()),
        Err(libc::ENOPROTOOPT | libc::EOPNOTSUPP) if may_be_forgotten(level, option) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// getsockopt(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let name = ours(fd).filter(|_| !is_native(level, option));
    let Some(name) = name else {
        let arguments = [
            fd as usize,
            level as usize,
            option as usize,
            value.addr(),
            length.addr(),
            0,
        ];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_getsockopt, arguments) }));
    };
    if value.is_null() || length.is_null() {
        return status(Err(libc::EFAULT));
    }
    if (level, option) == (libc::SOL_SOCKET, libc::SO_ERROR) {
        // The pair has one of its own after a failed connect, which is taken too.
        let arguments = [
            fd as usize,
            level as usize,
            option as usize,
            value.addr(),
            length.addr(),
            0,
        ];
        // SAFETY: the caller's arguments, as they are; the value is written again below.
        let _ = unsafe { call(libc::SYS_getsockopt, arguments) };
    }
    status(option_of(fd, name, level, option).map(|bytes| {
        // SAFETY: the caller's room has that length.
        unsafe {
            let room = bytes.len().min(*length as usize);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), room);
            *length = room as socklen_t;
        }
        0
    }))
}

fn option_of(fd: c_int, name: Name, level: c_int, option: c_int) -> Result<Vec<u8>> {
    let known = match (level, option) {
        (libc::SOL_SOCKET, libc::SO_ERROR) => {
            let pending = || pending_error(fd, name).filter(|_| !name.stream);
            pending().or_else(|| take_error(name)).unwrap_or(0)
        }
        (libc::SOL_SOCKET, libc::SO_TYPE) if name.stream => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_DGRAM,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if name.stream => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if name.echo && name.v6 => libc::IPPROTO_ICMPV6,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if name.echo => libc::IPPROTO_ICMP,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_UDP,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) if name.v6 => libc::AF_INET6,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => libc::AF_INET,
        (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => {
            let answer = ask(&format!("listens {}", name.id))?;
            c_int::from(answer.text == "1")
        }
        _ => {
            let which = which(name, level, option)?;
            let answer = ask(&format!("get {} {which}", name.id))?;
            return Ok(unhex(&answer.text));
        }
    };
    Ok(known.to_ne_bytes().to_vec())
}

/// ioctl(2). The C declaration takes any number of arguments; on the machines of `sys` the third stands where that of this
/// one does.
#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int {
    match ours(fd) {
        // Of a pair's next datagram the head is none of the program's.
        Some(name) if !name.stream && request == libc::FIONREAD => {
            let count = core::ptr::with_exposed_provenance_mut::<c_int>(argument);
            // SAFETY: null, or the caller's to write.
            let Some(count) = (unsafe { count.as_mut() }) else {
                return status(Err(libc::EFAULT));
            };
            *count = c_int::try_from(next_length(fd)).unwrap_or(c_int::MAX);
            0
        }
        _ => {
            let arguments = [fd as usize, request as usize, argument, 0, 0, 0];
            // SAFETY: the caller's arguments, as they are.
            status(checked(unsafe { call(libc::SYS_ioctl, arguments) }))
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .filter_map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
