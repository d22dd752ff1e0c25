//! Making sockets, naming them, connecting and accepting.

use core::ffi::c_int;
use core::net::SocketAddr;

use libc::{sockaddr, socklen_t};
use socket_door::{CALLER, Name, end, in_family};

use crate::address;
use crate::door::{Question, ask, receive_with_fd};
use crate::stage::{self, Stage};
use crate::sys::{self, Result, call, checked, ours, status};

const KIND: c_int = 0xf;

/// socket(2)
#[unsafe(no_mangle)]
extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if !matches!(domain, libc::AF_INET | libc::AF_INET6) {
        let arguments = [domain as usize, kind as usize, protocol as usize, 0, 0, 0];
        // SAFETY: no memory is involved.
        return status(checked(unsafe { call(libc::SYS_socket, arguments) }));
    }
    status(make(domain, kind, protocol))
}

fn make(domain: c_int, kind: c_int, protocol: c_int) -> Result<usize> {
    let scheme = match (kind & KIND, protocol) {
        (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP | libc::IPPROTO_MPTCP) => "tcp",
        (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => "udp",
        (libc::SOCK_DGRAM, libc::IPPROTO_ICMP) if domain == libc::AF_INET => "icmp",
        (libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6) if domain == libc::AF_INET6 => "icmp",
        (libc::SOCK_STREAM | libc::SOCK_DGRAM | libc::SOCK_RAW, _) => {
            return Err(libc::EPROTONOSUPPORT);
        }
        _ => return Err(libc::ESOCKTNOSUPPORT),
    };
    let family = if domain == libc::AF_INET6 { 6 } else { 4 };
    let answer = ask(&format!("socket {scheme} {family}"))?;
    let fd = answer.fd.ok_or(libc::ENOBUFS)?;
    set_flags(fd, kind);
    usize::try_from(fd).map_err(|_| libc::EMFILE)
}

/// SOCK_NONBLOCK and SOCK_CLOEXEC on a descriptor that came with O_CLOEXEC.
fn set_flags(fd: c_int, flags: c_int) {
    let fcntl = |command: c_int, value: c_int| {
        let arguments = [fd as usize, command as usize, value as usize, 0, 0, 0];
        // SAFETY: these commands take a number.
        let _ = unsafe { call(libc::SYS_fcntl, arguments) };
    };
    if flags & libc::SOCK_CLOEXEC == 0 {
        fcntl(libc::F_SETFD, 0);
    }
    if flags & libc::SOCK_NONBLOCK != 0 {
        fcntl(libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK);
    }
}

fn may_wait(fd: c_int) -> bool {
    let arguments = [fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0];
    // SAFETY: no memory is involved.
    let flags = checked(unsafe { call(libc::SYS_fcntl, arguments) });
    flags.is_ok_and(|flags| flags & libc::O_NONBLOCK as usize == 0)
}

/// bind(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [fd as usize, address.addr(), length as usize, 0, 0, 0];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_bind, arguments) }));
    };
    // SAFETY: the caller's address, as bind(2) wants it.
    let address = unsafe { address::read(address, length) };
    let bound = address.and_then(|end| {
        let end = end.ok_or(libc::EAFNOSUPPORT)?;
        if end.is_ipv4() && name.v6 {
            return Err(libc::EINVAL);
        }
        let end = address::of_family(end, name)?;
        ask(&format!("bind {} {end}", name.id))
    });
    status(bound.map(|_| 0))
}

/// listen(2)
#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [fd as usize, backlog as usize, 0, 0, 0, 0];
        // SAFETY: no memory is involved.
        return status(checked(unsafe { call(libc::SYS_listen, arguments) }));
    };
    status(ask(&format!("listen {}", name.id)).map(|_| {
        stage::enter(fd, Stage::Listening);
        0
    }))
}

/// connect(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [fd as usize, address.addr(), length as usize, 0, 0, 0];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_connect, arguments) }));
    };
    // SAFETY: the caller's address, as connect(2) wants it.
    let connected = match unsafe { address::read(address, length) } {
        Ok(Some(end)) => address::of_family(end, name).and_then(|end| connect_to(fd, name, end)),
        Ok(None) => ask(&format!("disconnect {}", name.id)).map(|_| {
            stage::enter(fd, Stage::Fresh);
            0
        }),
        Err(errno) => Err(errno),
    };
    status(connected)
}

fn connect_to(fd: c_int, name: Name, end: SocketAddr) -> Result<usize> {
    if stage::of(fd) == Stage::Listening {
        return Err(libc::EISCONN);
    }
    let how = match may_wait(fd) || !name.stream {
        true => "wait",
        false => "later",
    };
    let question = Question::ask(&format!("connect {} {end} {how}", name.id))?;
    question.wait_as_long_as(fd);
    match question.answer() {
        Ok(_) => {
            stage::enter(fd, Stage::Connected);
            Ok(0)
        }
        Err(libc::EINPROGRESS) => {
            stage::enter(fd, Stage::Connected);
            question.say(&fill(fd).to_string())?;
            Err(libc::EINPROGRESS)
        }
        // SO_SNDTIMEO is over; the attempt goes on.
        Err(libc::EAGAIN) => {
            stage::enter(fd, Stage::Connected);
            Err(libc::EINPROGRESS)
        }
        Err(errno) => Err(errno),
    }
}

/// shutdown(2)
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    status(
        match ours(fd) {
            Some(name) => may_shut_down(fd, name, how),
            None => Ok(0),
        }
        .and_then(|_| {
            let arguments = [fd as usize, how as usize, 0, 0, 0, 0];
            // SAFETY: no memory is involved.
            checked(unsafe { call(libc::SYS_shutdown, arguments) })
        }),
    )
}

/// What a pair does not know of it. That it ends, the lab sees.
fn may_shut_down(fd: c_int, name: Name, how: c_int) -> Result<usize> {
    match stage::of(fd) {
        _ if !(0..=2).contains(&how) => Err(libc::EINVAL),
        Stage::Fresh if !name.stream => Err(libc::ENOTCONN),
        // Another thread may wait for its connection.
        Stage::Fresh | Stage::Listening => ask(&format!("shutdown {} {how}", name.id)).map(|_| 0),
        Stage::Connected => Ok(0),
    }
}

/// Makes the descriptor unwritable; how many bytes that took.
fn fill(fd: c_int) -> usize {
    let block = [0; 32 << 10];
    let mut vectors = [sys::vector(&block)];
    let header = sys::header(&mut vectors);
    let mut filled = 0;
    // SAFETY: the block outlives the calls.
    while let Ok(n) = unsafe { sys::sendmsg(fd, &header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) }
    {
        filled += n;
    }
    filled
}

/// accept(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    // SAFETY: the caller's arguments, as they are.
    unsafe { accept4(fd, address, length, 0) }
}

/// accept4(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [
            fd as usize,
            address.addr(),
            length.addr(),
            flags as usize,
            0,
            0,
        ];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(libc::SYS_accept4, arguments) }));
    };
    match stage::of(fd) {
        _ if !name.stream => return status(Err(libc::EOPNOTSUPP)),
        Stage::Listening => {}
        _ => return status(Err(libc::EINVAL)),
    }
    let mut caller = [0; CALLER];
    let accepted = receive_with_fd(fd, &mut caller, libc::MSG_CMSG_CLOEXEC);
    // Without a descriptor it is the end of a listener that was shut down, or never was one.
    let accepted = accepted.and_then(|(_, accepted)| accepted.ok_or(libc::EINVAL));
    status(accepted.and_then(|accepted| {
        set_flags(accepted, flags);
        stage::enter(accepted, Stage::Connected);
        let text = String::from_utf8_lossy(&caller);
        if let Some(end) = end(text.trim_end_matches('\0')) {
            // SAFETY: the caller's room, as accept(2) wants it.
            unsafe { address::write(in_family(end, name.v6), address, length) };
        }
        usize::try_from(accepted).map_err(|_| libc::EMFILE)
    }))
}

/// getsockname(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the caller's arguments, as they are.
    unsafe { name_of(fd, "name", libc::SYS_getsockname, address, length) }
}

/// getpeername(2)
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the caller's arguments, as they are.
    unsafe { name_of(fd, "peer", libc::SYS_getpeername, address, length) }
}

/// # Safety
/// As getsockname(2) wants them.
unsafe fn name_of(
    fd: c_int,
    which: &str,
    number: core::ffi::c_long,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    let Some(name) = ours(fd) else {
        let arguments = [fd as usize, address.addr(), length.addr(), 0, 0, 0];
        // SAFETY: the caller's arguments, as they are.
        return status(checked(unsafe { call(number, arguments) }));
    };
    let answer = ask(&format!("{which} {}", name.id));
    let answer = answer.and_then(|answer| end(&answer.text).ok_or(libc::ENOTCONN));
    status(answer.map(|end| {
        // SAFETY: the caller's room.
        unsafe { address::write(in_family(end, name.v6), address, length) };
        0
    }))
}

/// The error that befell a connection, once.
pub(crate) fn take_error(name: Name) -> Option<c_int> {
    let answer = ask(&format!("error {}", name.id)).ok()?;
    answer.text.parse().ok().filter(|&errno| errno != 0)
}
