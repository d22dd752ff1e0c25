//! getsockopt(2) and setsockopt(2).

use core::ffi::{c_int, c_void};
use core::fmt::Write;

use libc::socklen_t;
use socket_door::Name;

use crate::control::take_error;
use crate::door::ask;
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
    let mut text = format!("set {} {level} {option} ", name.id);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    status(match ask(&text) {
        Ok(_) => Ok(0),
        // As Redox's C library does.
        Err(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => Ok(0),
        Err(errno) => Err(errno),
    })
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
    status(option_of(name, level, option).map(|bytes| {
        // SAFETY: the caller's room has that length.
        unsafe {
            let room = bytes.len().min(*length as usize);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), room);
            *length = room as socklen_t;
        }
        0
    }))
}

fn option_of(name: Name, level: c_int, option: c_int) -> Result<Vec<u8>> {
    let known = match (level, option) {
        (libc::SOL_SOCKET, libc::SO_ERROR) => take_error(name).unwrap_or(0),
        (libc::SOL_SOCKET, libc::SO_TYPE) if name.stream => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_DGRAM,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) if name.stream => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_UDP,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) if name.v6 => libc::AF_INET6,
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => libc::AF_INET,
        (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => {
            let answer = ask(&format!("listens {}", name.id))?;
            c_int::from(answer.text == "1")
        }
        _ => {
            let answer = ask(&format!("get {} {level} {option}", name.id))?;
            return Ok(unhex(&answer.text));
        }
    };
    Ok(known.to_ne_bytes().to_vec())
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .filter_map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
