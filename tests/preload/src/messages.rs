//! Receiving and sending on a socket of ours, whatever the call.

use core::ffi::c_int;
use core::net::SocketAddr;

use libc::iovec;
use socket_door::{HEAD, Head, Name, in_family};

use crate::control::take_error;
use crate::sys::{self, Result};

/// UDP's largest payload over IPv4 (RFC 768, RFC 791).
const LARGEST_DATAGRAM: usize = 65_507;
/// As many vectors as the kernel takes.
const MOST_VECTORS: usize = 1024;

/// What was received.
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) from: Option<SocketAddr>,
    /// MSG_TRUNC and the like.
    pub(crate) flags: c_int,
}

/// Receives into the vectors.
///
/// # Safety
/// The vectors are the caller's to write.
pub(crate) unsafe fn receive(
    fd: c_int,
    name: Name,
    vectors: &[iovec],
    flags: c_int,
) -> Result<Received> {
    if flags & libc::MSG_ERRQUEUE != 0 {
        return Err(libc::EAGAIN);
    }
    if flags & libc::MSG_OOB != 0 {
        return Err(libc::EINVAL);
    }
    match name.stream {
        // SAFETY: as the caller says.
        true => unsafe { receive_bytes(fd, name, vectors, flags) },
        // SAFETY: as the caller says.
        false => unsafe { receive_datagram(fd, name, vectors, flags) },
    }
}

/// # Safety
/// As [`receive`].
unsafe fn receive_bytes(
    fd: c_int,
    name: Name,
    vectors: &[iovec],
    flags: c_int,
) -> Result<Received> {
    let mut all = vectors.to_vec();
    let mut header = sys::header(&mut all);
    // SAFETY: as the caller says.
    let length = unsafe { sys::recvmsg(fd, &mut header, flags & !libc::MSG_TRUNC) };
    let room = vectors.iter().any(|vector| vector.iov_len > 0);
    match length {
        // The end, or the end of it all.
        Ok(0) if room => match take_error(name) {
            Some(errno) => Err(errno),
            None => Ok(0),
        },
        Err(libc::ECONNRESET) => Err(take_error(name).unwrap_or(libc::ECONNRESET)),
        result => result,
    }
    .map(|length| Received {
        length,
        from: None,
        flags: 0,
    })
}

/// # Safety
/// As [`receive`].
unsafe fn receive_datagram(
    fd: c_int,
    name: Name,
    vectors: &[iovec],
    flags: c_int,
) -> Result<Received> {
    let head = [0; HEAD];
    let mut all = vec![sys::vector(&head)];
    all.extend(vectors.iter().take(MOST_VECTORS - 1));
    let mut header = sys::header(&mut all);
    // SAFETY: the head is ours, the rest the caller's.
    let length = unsafe { sys::recvmsg(fd, &mut header, flags) }?;
    // SAFETY: the kernel wrote it, behind the compiler's back.
    let head = unsafe { (&raw const head).read_volatile() };
    if length == 0 {
        return Ok(Received {
            length: 0,
            from: None,
            flags: 0,
        });
    }
    match Head::decode(&head) {
        Some(Head::Error(errno)) => Err(errno),
        Some(Head::Address(end)) => Ok(Received {
            length: length.saturating_sub(HEAD),
            from: Some(in_family(end, name.v6)),
            flags: header.msg_flags & libc::MSG_TRUNC,
        }),
        _ => Err(libc::EIO),
    }
}

/// Sends the vectors.
///
/// # Safety
/// The vectors are the caller's to read.
pub(crate) unsafe fn send(
    fd: c_int,
    name: Name,
    vectors: &[iovec],
    to: Option<SocketAddr>,
    flags: c_int,
) -> Result<usize> {
    if flags & libc::MSG_OOB != 0 {
        return Err(libc::EOPNOTSUPP);
    }
    let quiet = flags | libc::MSG_NOSIGNAL;
    let head = to.map_or(Head::Peer, Head::Address).encode();
    let mut all = Vec::new();
    if !name.stream {
        let length: usize = vectors.iter().map(|vector| vector.iov_len).sum();
        if length > LARGEST_DATAGRAM {
            return Err(libc::EMSGSIZE);
        }
        all.push(sys::vector(&head));
    }
    all.extend(vectors.iter().take(MOST_VECTORS - 1));
    // SAFETY: the head is ours, the rest the caller's.
    let sent = unsafe { sys::sendmsg(fd, &sys::header(&mut all), quiet) };
    match sent {
        Ok(n) if name.stream => Ok(n),
        Ok(n) => Ok(n.saturating_sub(HEAD)),
        Err(libc::EPIPE | libc::ECONNRESET) => {
            let errno = take_error(name).unwrap_or(libc::EPIPE);
            if errno == libc::EPIPE && name.stream && flags & libc::MSG_NOSIGNAL == 0 {
                // SAFETY: a signal to the calling thread, as the kernel would send it.
                unsafe { libc::raise(libc::SIGPIPE) };
            }
            Err(errno)
        }
        Err(errno) => Err(errno),
    }
}
