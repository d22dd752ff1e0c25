//! The calls that receive and send, all as [`messages`](crate::messages).

use core::ffi::{c_int, c_long, c_uint, c_void};
use core::net::SocketAddr;

use libc::{iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};
use socket_door::Name;

use crate::address;
use crate::messages::{receive, send};
use crate::sys::{Result, call, checked, ours, returned, status};

/// # Safety
/// As the system call wants them.
unsafe fn plain(number: c_long, arguments: [usize; 6]) -> ssize_t {
    // SAFETY: the caller's arguments, as they are.
    returned(checked(unsafe { call(number, arguments) }))
}

fn vector(base: *const c_void, length: size_t) -> [iovec; 1] {
    [iovec {
        iov_base: base.cast_mut(),
        iov_len: length,
    }]
}

/// # Safety
/// `first` points to so many vectors.
unsafe fn vectors<'a>(first: *const iovec, count: usize) -> Result<&'a [iovec]> {
    match (count, first.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(libc::EFAULT),
        (1025.., _) => Err(libc::EMSGSIZE),
        // SAFETY: as the caller says.
        _ => Ok(unsafe { core::slice::from_raw_parts(first, count) }),
    }
}

/// read(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's arguments, as they are.
    unsafe {
        match ours(fd) {
            None => plain(
                libc::SYS_read,
                [fd as usize, buffer.addr(), length, 0, 0, 0],
            ),
            Some(_) => recv(fd, buffer, length, 0),
        }
    }
}

/// What a fortified program calls.
#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    room: size_t,
) -> ssize_t {
    if length > room {
        std::process::abort();
    }
    // SAFETY: the caller's arguments, as they are.
    unsafe { read(fd, buffer, length) }
}

/// readv(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, first: *const iovec, count: c_int) -> ssize_t {
    let Some(name) = ours(fd) else {
        // SAFETY: the caller's arguments, as they are.
        return unsafe {
            plain(
                libc::SYS_readv,
                [fd as usize, first.addr(), count as usize, 0, 0, 0],
            )
        };
    };
    // SAFETY: the caller's vectors.
    returned(unsafe {
        vectors(first, usize::try_from(count).unwrap_or(usize::MAX))
            .and_then(|all| receive(fd, name, all, 0))
            .map(|received| received.length)
    })
}

/// recv(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller's arguments, as they are.
    unsafe {
        recvfrom(
            fd,
            buffer,
            length,
            flags,
            core::ptr::null_mut(),
            core::ptr::null_mut(),
        )
    }
}

/// What a fortified program calls.
#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    if length > room {
        std::process::abort();
    }
    // SAFETY: the caller's arguments, as they are.
    unsafe { recv(fd, buffer, length, flags) }
}

/// recvfrom(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> ssize_t {
    let Some(name) = ours(fd) else {
        let arguments = [
            fd as usize,
            buffer.addr(),
            length,
            flags as usize,
            address.addr(),
            address_length.addr(),
        ];
        // SAFETY: the caller's arguments, as they are.
        return unsafe { plain(libc::SYS_recvfrom, arguments) };
    };
    // SAFETY: the caller's buffer.
    let received = unsafe { receive(fd, name, &vector(buffer, length), flags) };
    returned(received.map(|received| {
        match received.from {
            // SAFETY: the caller's room.
            Some(from) => unsafe { address::write(from, address, address_length) },
            // SAFETY: null, or the caller's to write.
            None => unsafe {
                if let Some(length) = address_length.as_mut() {
                    *length = 0;
                }
            },
        }
        received.length
    }))
}

/// What a fortified program calls.
#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    room: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_length: *mut socklen_t,
) -> ssize_t {
    if length > room {
        std::process::abort();
    }
    // SAFETY: the caller's arguments, as they are.
    unsafe { recvfrom(fd, buffer, length, flags, address, address_length) }
}

/// recvmsg(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    match ours(fd) {
        // SAFETY: the caller's arguments, as they are.
        None => unsafe {
            plain(
                libc::SYS_recvmsg,
                [fd as usize, message.addr(), flags as usize, 0, 0, 0],
            )
        },
        // SAFETY: the caller's message.
        Some(name) => returned(unsafe { receive_message(fd, name, message, flags) }),
    }
}

/// # Safety
/// As recvmsg(2) wants it.
unsafe fn receive_message(
    fd: c_int,
    name: Name,
    message: *mut msghdr,
    flags: c_int,
) -> Result<usize> {
    // SAFETY: the caller's message and what it points to.
    unsafe {
        let message = message.as_mut().ok_or(libc::EFAULT)?;
        let all = vectors(message.msg_iov, message.msg_iovlen)?;
        let received = receive(fd, name, all, flags)?;
        match received.from {
            Some(from) => {
                address::write(from, message.msg_name.cast(), &raw mut message.msg_namelen)
            }
            None => message.msg_namelen = 0,
        }
        message.msg_controllen = 0;
        message.msg_flags = received.flags;
        Ok(received.length)
    }
}

/// recvmmsg(2): what is there, and the first of it even if it has to be waited for.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    first: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [
            fd as usize,
            first.addr(),
            count as usize,
            flags as usize,
            timeout.addr(),
            0,
        ];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_recvmmsg, arguments) }));
    };
    let mut flags = flags & !libc::MSG_WAITFORONE;
    // SAFETY: the caller's messages.
    status(unsafe {
        each(first, count, |message| {
            let length = receive_message(fd, name, &raw mut message.msg_hdr, flags)?;
            flags |= libc::MSG_DONTWAIT;
            Ok(length)
        })
    })
}

/// Does something with each message until it fails; how many went well.
///
/// # Safety
/// `first` points to so many messages.
unsafe fn each(
    first: *mut mmsghdr,
    count: c_uint,
    mut act: impl FnMut(&mut mmsghdr) -> Result<usize>,
) -> Result<usize> {
    if first.is_null() || count == 0 {
        return Ok(0);
    }
    // SAFETY: as the caller says.
    let messages = unsafe { core::slice::from_raw_parts_mut(first, count as usize) };
    let mut done = 0;
    for message in messages {
        match act(message) {
            Ok(length) => message.msg_len = c_uint::try_from(length).unwrap_or(c_uint::MAX),
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
        done += 1;
    }
    Ok(done)
}

/// write(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's arguments, as they are.
    unsafe {
        match ours(fd) {
            None => plain(
                libc::SYS_write,
                [fd as usize, buffer.addr(), length, 0, 0, 0],
            ),
            Some(name) => returned(send(fd, name, &vector(buffer, length), None, 0)),
        }
    }
}

/// writev(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, first: *const iovec, count: c_int) -> ssize_t {
    let Some(name) = ours(fd) else {
        // SAFETY: the caller's arguments, as they are.
        return unsafe {
            plain(
                libc::SYS_writev,
                [fd as usize, first.addr(), count as usize, 0, 0, 0],
            )
        };
    };
    // SAFETY: the caller's vectors.
    returned(unsafe {
        vectors(first, usize::try_from(count).unwrap_or(usize::MAX))
            .and_then(|all| send(fd, name, all, None, 0))
    })
}

/// send(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_length: socklen_t,
) -> ssize_t {
    let Some(name) = ours(fd) else {
        let arguments = [
            fd as usize,
            buffer.addr(),
            length,
            flags as usize,
            address.addr(),
            address_length as usize,
        ];
        // SAFETY: the caller's arguments, as they are.
        return unsafe { plain(libc::SYS_sendto, arguments) };
    };
    // SAFETY: the caller's buffer and address.
    returned(unsafe {
        destination(address, address_length)
            .and_then(|to| send(fd, name, &vector(buffer, length), to, flags))
    })
}

mod exported {
    use super::{c_int, c_void, size_t, ssize_t};

    /// send(2)
    #[unsafe(no_mangle)]
    unsafe extern "C" fn send(
        fd: c_int,
        buffer: *const c_void,
        length: size_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the caller's arguments, as they are.
        unsafe { super::sendto(fd, buffer, length, flags, core::ptr::null(), 0) }
    }
}

/// # Safety
/// `address` is null or points to `length` bytes.
unsafe fn destination(address: *const sockaddr, length: socklen_t) -> Result<Option<SocketAddr>> {
    if address.is_null() || length == 0 {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { address::read(address, length) }
}

/// sendmsg(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    match ours(fd) {
        // SAFETY: the caller's arguments, as they are.
        None => unsafe {
            plain(
                libc::SYS_sendmsg,
                [fd as usize, message.addr(), flags as usize, 0, 0, 0],
            )
        },
        // SAFETY: the caller's message.
        Some(name) => returned(unsafe { send_message(fd, name, message, flags) }),
    }
}

/// # Safety
/// As sendmsg(2) wants it.
unsafe fn send_message(
    fd: c_int,
    name: Name,
    message: *const msghdr,
    flags: c_int,
) -> Result<usize> {
    // SAFETY: the caller's message and what it points to.
    unsafe {
        let message = message.as_ref().ok_or(libc::EFAULT)?;
        let all = vectors(message.msg_iov, message.msg_iovlen)?;
        let to = destination(message.msg_name.cast(), message.msg_namelen)?;
        send(fd, name, all, to, flags)
    }
}

/// sendmmsg(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmmsg(
    fd: c_int,
    first: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [
            fd as usize,
            first.addr(),
            count as usize,
            flags as usize,
            0,
            0,
        ];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_sendmmsg, arguments) }));
    };
    // SAFETY: the caller's messages.
    status(unsafe {
        each(first, count, |message| {
            send_message(fd, name, &raw const message.msg_hdr, flags)
        })
    })
}

/// syscall(2), by which libuv sends and receives many datagrams at once. The C declaration takes any number of
/// arguments; on the machines of `sys` they stand where those of this one do.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // SAFETY: the caller's arguments, as they are.
    unsafe {
        match number {
            libc::SYS_sendmmsg => {
                sendmmsg(a as c_int, b as *mut mmsghdr, c as c_uint, d as c_int).into()
            }
            libc::SYS_recvmmsg => recvmmsg(
                a as c_int,
                b as *mut mmsghdr,
                c as c_uint,
                d as c_int,
                e as *mut timespec,
            )
            .into(),
            _ => plain(number, [a, b, c, d, e, f]) as c_long,
        }
    }
}
