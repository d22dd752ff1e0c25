//! The C library's calls, as functions that keep their promises. Unsafe lives here and nowhere else in this program.
#![allow(unsafe_code)]

use core::ffi::{c_int, c_void};
use core::mem::{size_of, zeroed};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{iovec, msghdr, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

use crate::errno::{Failed, Result};

/// relibc's number, which the libc crate does not have for it, is Linux's.
const MSG_NOSIGNAL: c_int = 0x4000;

/// The answer of a call, or its error.
fn checked(call: &'static str, result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Failed::last(call))
}

fn status(call: &'static str, result: c_int) -> Result<()> {
    checked(call, result as isize).map(drop)
}

/// An address as C has it.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    storage: sockaddr_storage,
    length: socklen_t,
}

impl Address {
    /// Room for any.
    fn room() -> Address {
        Address {
            // SAFETY: all zeros is a sockaddr_storage.
            storage: unsafe { zeroed() },
            length: size_of::<sockaddr_storage>() as socklen_t,
        }
    }

    pub(crate) fn of(end: SocketAddr) -> Address {
        let mut address = Address::room();
        match end {
            SocketAddr::V4(end) => {
                let to = (&raw mut address.storage).cast::<sockaddr_in>();
                // SAFETY: the storage is larger, and aligned for any address.
                let to = unsafe { &mut *to };
                to.sin_family = libc::AF_INET as libc::sa_family_t;
                to.sin_port = end.port().to_be();
                to.sin_addr.s_addr = u32::from(*end.ip()).to_be();
                address.length = size_of::<sockaddr_in>() as socklen_t;
            }
            SocketAddr::V6(end) => {
                let to = (&raw mut address.storage).cast::<sockaddr_in6>();
                // SAFETY: as above.
                let to = unsafe { &mut *to };
                to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                to.sin6_port = end.port().to_be();
                to.sin6_addr.s6_addr = end.ip().octets();
                to.sin6_scope_id = end.scope_id();
                address.length = size_of::<sockaddr_in6>() as socklen_t;
            }
        }
        address
    }

    /// Nobody's address, by which `connect` disconnects.
    pub(crate) fn unspecified() -> Address {
        let mut address = Address::room();
        address.storage.ss_family = libc::AF_UNSPEC as libc::sa_family_t;
        address.length = size_of::<sockaddr>() as socklen_t;
        address
    }

    /// The first bytes of it only.
    pub(crate) fn cut(self, length: usize) -> Address {
        Address {
            length: length as socklen_t,
            ..self
        }
    }

    /// The end that it names, if it is one of the internet's.
    fn end(&self) -> Option<SocketAddr> {
        match c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                let from = (&raw const self.storage).cast::<sockaddr_in>();
                // SAFETY: the storage is larger, and aligned for any address.
                let from = unsafe { &*from };
                let ip = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr));
                Some((ip, u16::from_be(from.sin_port)).into())
            }
            libc::AF_INET6 => {
                let from = (&raw const self.storage).cast::<sockaddr_in6>();
                // SAFETY: as above.
                let from = unsafe { &*from };
                let ip = Ipv6Addr::from(from.sin6_addr.s6_addr);
                let port = u16::from_be(from.sin6_port);
                Some(SocketAddrV6::new(ip, port, 0, from.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    fn at(&self) -> *const sockaddr {
        (&raw const self.storage).cast()
    }
}

/// What `recvmsg` gave.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) length: usize,
    pub(crate) from: Option<SocketAddr>,
    pub(crate) flags: c_int,
}

/// A descriptor, mostly of a socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// socket(2)
    pub(crate) fn new(domain: c_int, kind: c_int, protocol: c_int) -> Result<Socket> {
        // SAFETY: no memory is involved.
        Socket::own("socket", unsafe { libc::socket(domain, kind, protocol) })
    }

    fn own(call: &'static str, fd: c_int) -> Result<Socket> {
        status(call, fd)?;
        // SAFETY: the call has just made it for us.
        Ok(Socket(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn fd(&self) -> c_int {
        self.0.as_raw_fd()
    }

    pub(crate) fn bind(&self, end: SocketAddr) -> Result<()> {
        self.bind_to(&Address::of(end))
    }

    pub(crate) fn bind_to(&self, address: &Address) -> Result<()> {
        // SAFETY: the address has that length.
        status("bind", unsafe {
            libc::bind(self.fd(), address.at(), address.length)
        })
    }

    pub(crate) fn connect(&self, end: SocketAddr) -> Result<()> {
        self.connect_to(&Address::of(end))
    }

    pub(crate) fn connect_to(&self, address: &Address) -> Result<()> {
        // SAFETY: the address has that length.
        status("connect", unsafe {
            libc::connect(self.fd(), address.at(), address.length)
        })
    }

    pub(crate) fn disconnect(&self) -> Result<()> {
        self.connect_to(&Address::unspecified())
    }

    pub(crate) fn listen(&self, backlog: c_int) -> Result<()> {
        // SAFETY: no memory is involved.
        status("listen", unsafe { libc::listen(self.fd(), backlog) })
    }

    pub(crate) fn accept(&self) -> Result<(Socket, SocketAddr)> {
        let mut from = Address::room();
        let at = (&raw mut from.storage).cast();
        // SAFETY: there is room for that length.
        let fd = unsafe { libc::accept(self.fd(), at, &raw mut from.length) };
        let socket = Socket::own("accept", fd)?;
        let end = from.end().ok_or(Failed::answer("accept"))?;
        Ok((socket, end))
    }

    /// accept4(2)
    #[cfg(feature = "linux")]
    pub(crate) fn accept_with(&self, flags: c_int) -> Result<Socket> {
        let nobody = core::ptr::null_mut();
        // SAFETY: the address may be null.
        let fd = unsafe { libc::accept4(self.fd(), nobody, core::ptr::null_mut(), flags) };
        Socket::own("accept4", fd)
    }

    pub(crate) fn local(&self) -> Result<SocketAddr> {
        self.name("getsockname", libc::getsockname)
    }

    pub(crate) fn peer(&self) -> Result<SocketAddr> {
        self.name("getpeername", libc::getpeername)
    }

    fn name(
        &self,
        call: &'static str,
        function: unsafe extern "C" fn(c_int, *mut sockaddr, *mut socklen_t) -> c_int,
    ) -> Result<SocketAddr> {
        let mut address = Address::room();
        let at = (&raw mut address.storage).cast();
        // SAFETY: there is room for that length.
        status(call, unsafe {
            function(self.fd(), at, &raw mut address.length)
        })?;
        address.end().ok_or(Failed::answer(call))
    }

    /// getsockname with room for a few bytes: how many it wanted to write.
    pub(crate) fn length_of_name(&self, room: usize) -> Result<usize> {
        let mut address = Address::room();
        address.length = room as socklen_t;
        let at = (&raw mut address.storage).cast();
        // SAFETY: there is room for more than that.
        status("getsockname", unsafe {
            libc::getsockname(self.fd(), at, &raw mut address.length)
        })?;
        Ok(address.length as usize)
    }

    pub(crate) fn shutdown(&self, how: c_int) -> Result<()> {
        // SAFETY: no memory is involved.
        status("shutdown", unsafe { libc::shutdown(self.fd(), how) })
    }

    pub(crate) fn send(&self, bytes: &[u8], flags: c_int) -> Result<usize> {
        let (at, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: the bytes have that length.
        checked("send", unsafe {
            libc::send(self.fd(), at, length, flags | MSG_NOSIGNAL)
        })
    }

    /// send(2) that is allowed its signal.
    pub(crate) fn send_with_signal(&self, bytes: &[u8]) -> Result<usize> {
        let (at, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: the bytes have that length.
        checked("send", unsafe { libc::send(self.fd(), at, length, 0) })
    }

    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<usize> {
        let to = Address::of(to);
        let (at, length) = (bytes.as_ptr().cast(), bytes.len());
        let flags = MSG_NOSIGNAL;
        // SAFETY: the bytes and the address have those lengths.
        checked("sendto", unsafe {
            libc::sendto(self.fd(), at, length, flags, to.at(), to.length)
        })
    }

    pub(crate) fn receive(&self, room: &mut [u8], flags: c_int) -> Result<usize> {
        let (at, length) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: there is room for that length.
        checked("recv", unsafe { libc::recv(self.fd(), at, length, flags) })
    }

    pub(crate) fn receive_from(
        &self,
        room: &mut [u8],
        flags: c_int,
    ) -> Result<(usize, Option<SocketAddr>)> {
        let mut from = Address::room();
        let (at, length) = (room.as_mut_ptr().cast(), room.len());
        let name = (&raw mut from.storage).cast();
        // SAFETY: there is room for those lengths.
        let received = checked("recvfrom", unsafe {
            libc::recvfrom(self.fd(), at, length, flags, name, &raw mut from.length)
        })?;
        Ok((received, from.end().filter(|_| from.length > 0)))
    }

    pub(crate) fn send_message(&self, parts: &[&[u8]], to: Option<SocketAddr>) -> Result<usize> {
        let to = to.map(Address::of);
        let mut vectors: Vec<iovec> = parts.iter().map(|part| vector(part)).collect();
        let mut message = message(&mut vectors);
        if let Some(to) = &to {
            message.msg_name = to.at().cast_mut().cast();
            message.msg_namelen = to.length;
        }
        // SAFETY: the message points to what lives until the call has returned.
        checked("sendmsg", unsafe {
            libc::sendmsg(self.fd(), &raw const message, MSG_NOSIGNAL)
        })
    }

    pub(crate) fn receive_message(&self, parts: &mut [&mut [u8]], flags: c_int) -> Result<Message> {
        let mut from = Address::room();
        let mut vectors: Vec<iovec> = parts.iter().map(|part| vector(part)).collect();
        let mut message = message(&mut vectors);
        message.msg_name = (&raw mut from.storage).cast();
        message.msg_namelen = from.length;
        // SAFETY: the message points to room that lives until the call has returned.
        let length = checked("recvmsg", unsafe {
            libc::recvmsg(self.fd(), &raw mut message, flags)
        })?;
        Ok(Message {
            length,
            from: from.end().filter(|_| message.msg_namelen > 0),
            flags: message.msg_flags,
        })
    }

    pub(crate) fn read(&self, room: &mut [u8]) -> Result<usize> {
        let (at, length) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: there is room for that length.
        checked("read", unsafe { libc::read(self.fd(), at, length) })
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize> {
        let (at, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: the bytes have that length.
        checked("write", unsafe { libc::write(self.fd(), at, length) })
    }

    pub(crate) fn read_parts(&self, parts: &mut [&mut [u8]]) -> Result<usize> {
        let vectors: Vec<iovec> = parts.iter().map(|part| vector(part)).collect();
        // SAFETY: the vectors point to room that lives until the call has returned.
        checked("readv", unsafe {
            libc::readv(self.fd(), vectors.as_ptr(), vectors.len() as c_int)
        })
    }

    pub(crate) fn write_parts(&self, parts: &[&[u8]]) -> Result<usize> {
        let vectors: Vec<iovec> = parts.iter().map(|part| vector(part)).collect();
        // SAFETY: the vectors point to bytes that live until the call has returned.
        checked("writev", unsafe {
            libc::writev(self.fd(), vectors.as_ptr(), vectors.len() as c_int)
        })
    }

    pub(crate) fn set(&self, level: c_int, option: c_int, value: &[u8]) -> Result<()> {
        let (at, length) = (value.as_ptr().cast(), value.len() as socklen_t);
        // SAFETY: the value has that length.
        status("setsockopt", unsafe {
            libc::setsockopt(self.fd(), level, option, at, length)
        })
    }

    pub(crate) fn get(&self, level: c_int, option: c_int, room: usize) -> Result<Vec<u8>> {
        let mut value = vec![0_u8; room];
        let mut length = room as socklen_t;
        let at = value.as_mut_ptr().cast();
        // SAFETY: there is room for that length.
        status("getsockopt", unsafe {
            libc::getsockopt(self.fd(), level, option, at, &raw mut length)
        })?;
        value.truncate(length as usize);
        Ok(value)
    }

    /// fcntl(2) with a number.
    pub(crate) fn control(&self, command: c_int, argument: c_int) -> Result<c_int> {
        // SAFETY: these commands take a number.
        let result = unsafe { libc::fcntl(self.fd(), command, argument) };
        status("fcntl", result)?;
        Ok(result)
    }

    /// FIONREAD
    pub(crate) fn unread(&self) -> Result<c_int> {
        let mut count: c_int = 0;
        // SAFETY: the command writes an int.
        status("ioctl", unsafe {
            libc::ioctl(self.fd(), libc::FIONREAD as _, &raw mut count)
        })?;
        Ok(count)
    }

    /// FIONBIO
    pub(crate) fn set_nonblocking_by_ioctl(&self, on: bool) -> Result<()> {
        let mut value = c_int::from(on);
        // SAFETY: the command reads an int.
        status("ioctl", unsafe {
            libc::ioctl(self.fd(), libc::FIONBIO as _, &raw mut value)
        })
    }

    pub(crate) fn duplicate(&self) -> Result<Socket> {
        // SAFETY: no memory is involved.
        Socket::own("dup", unsafe { libc::dup(self.fd()) })
    }
}

fn vector(bytes: &[u8]) -> iovec {
    iovec {
        iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
        iov_len: bytes.len(),
    }
}

fn message(vectors: &mut [iovec]) -> msghdr {
    // SAFETY: all zeros is a msghdr.
    let mut message: msghdr = unsafe { zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    message
}

/// A file that is no socket.
pub(crate) fn pipe() -> Result<(Socket, Socket)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two.
    status("pipe", unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    let [read, write] = ends;
    Ok((Socket::own("pipe", read)?, Socket::own("pipe", write)?))
}

/// poll(2): what is true of each descriptor; all zeros when the time is over.
pub(crate) fn poll(wanted: &[(c_int, i16)], milliseconds: c_int) -> Result<Vec<i16>> {
    let entry = |&(fd, events): &(c_int, i16)| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut polled: Vec<libc::pollfd> = wanted.iter().map(entry).collect();
    let (at, count) = (polled.as_mut_ptr(), polled.len() as libc::nfds_t);
    // SAFETY: there are that many.
    status("poll", unsafe { libc::poll(at, count, milliseconds) })?;
    Ok(polled.iter().map(|entry| entry.revents).collect())
}

/// select(2) on one descriptor: readable, writable.
pub(crate) fn select(socket: &Socket, milliseconds: i64) -> Result<(bool, bool)> {
    let fd = socket.fd();
    let mut timeout = libc::timeval {
        tv_sec: (milliseconds / 1000) as _,
        tv_usec: (milliseconds % 1000 * 1000) as _,
    };
    let nobody = core::ptr::null_mut();
    // SAFETY: the sets are initialized before they are used, and the descriptor is below FD_SETSIZE here.
    unsafe {
        let (mut reading, mut writing): (libc::fd_set, libc::fd_set) = (zeroed(), zeroed());
        libc::FD_ZERO(&raw mut reading);
        libc::FD_ZERO(&raw mut writing);
        libc::FD_SET(fd, &raw mut reading);
        libc::FD_SET(fd, &raw mut writing);
        let (r, w) = (&raw mut reading, &raw mut writing);
        status(
            "select",
            libc::select(fd + 1, r, w, nobody, &raw mut timeout),
        )?;
        Ok((libc::FD_ISSET(fd, r), libc::FD_ISSET(fd, w)))
    }
}

/// An epoll(7) queue.
pub(crate) struct Queue(OwnedFd);

impl Queue {
    pub(crate) fn new() -> Result<Queue> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        status("epoll_create1", fd)?;
        // SAFETY: the call has just made it for us.
        Ok(Queue(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn add(&self, socket: &Socket, events: c_int) -> Result<()> {
        self.change(libc::EPOLL_CTL_ADD, socket, events)
    }

    pub(crate) fn modify(&self, socket: &Socket, events: c_int) -> Result<()> {
        self.change(libc::EPOLL_CTL_MOD, socket, events)
    }

    fn change(&self, what: c_int, socket: &Socket, events: c_int) -> Result<()> {
        // SAFETY: all zeros is an epoll_event.
        let mut event: libc::epoll_event = unsafe { zeroed() };
        event.events = events.cast_unsigned();
        // SAFETY: the event lives until the call has returned.
        status("epoll_ctl", unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), what, socket.fd(), &raw mut event)
        })
    }

    /// The events of the one descriptor that it is used with; `None` when the time is over.
    pub(crate) fn wait(&self, milliseconds: c_int) -> Result<Option<c_int>> {
        // SAFETY: all zeros is an epoll_event.
        let mut event: libc::epoll_event = unsafe { zeroed() };
        // SAFETY: there is room for one.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, milliseconds) };
        let count = checked("epoll_wait", count as isize)?;
        Ok((count > 0).then_some({ event.events }.cast_signed()))
    }
}

/// Does something in a forked child; whether it went well.
pub(crate) fn in_child(act: impl FnOnce() -> bool) -> Result<bool> {
    // SAFETY: the child has one thread, which ends in `_exit`.
    let child = unsafe { libc::fork() };
    status("fork", child)?;
    if child == 0 {
        let code = c_int::from(!act());
        // SAFETY: nothing of the parent's is unwound.
        unsafe { libc::_exit(code) };
    }
    let mut code = 0;
    // SAFETY: there is room for the status.
    status("waitpid", unsafe { libc::waitpid(child, &raw mut code, 0) })?;
    Ok(code == 0)
}

/// May this program do what only the system may?
pub(crate) fn is_root() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes another user for good.
pub(crate) fn become_user(uid: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    status("setuid", unsafe { libc::setuid(uid as _) })
}

static PIPES: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_pipe(_signal: c_int) {
    PIPES.fetch_add(1, Ordering::SeqCst);
}

/// Counts signals of broken pipes from here on.
pub(crate) fn count_pipes() {
    let handler = on_pipe as extern "C" fn(c_int);
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGPIPE, handler as libc::sighandler_t) };
}

/// How many signals of broken pipes there were.
pub(crate) fn pipes() -> usize {
    PIPES.load(Ordering::SeqCst)
}
