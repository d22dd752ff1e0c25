//! Receiving and sending on a socket of ours, whatever the call.

use core::ffi::c_int;
use core::net::SocketAddr;

use libc::iovec;
use socket_door::{HEAD, Head, Name, in_family};

use crate::address;
use crate::control::take_error;
use crate::door::ask;
use crate::stage::{self, Stage};
use crate::sys::{self, Result};

/// UDP's largest payload: the 16 bits of IPv4's length hold both headers (RFC 768, RFC 791), those of IPv6's only UDP's
/// (RFC 8200 3).
const LARGEST_OVER_IPV4: usize = 65_507;
const LARGEST_OVER_IPV6: usize = 65_527;
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
    if stage::of(fd) != Stage::Connected {
        return Err(libc::ENOTCONN);
    }
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
        Some(Head::Error(errno)) => {
            // It is told once.
            let _ = take_error(name);
            Err(errno)
        }
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
    // A connection has its peer already.
    let to = to.filter(|_| !name.stream);
    let to = to.map(|to| address::of_family(to, name)).transpose()?;
    let head = to.map_or(Head::Peer, Head::Address).encode();
    let mut all = Vec::new();
    let stage = stage::of(fd);
    if !name.stream {
        let length = vectors.iter().map(|vector| vector.iov_len).sum();
        check_datagram(fd, name, stage, to, length)?;
        all.push(sys::vector(&head));
    }
    all.extend(vectors.iter().take(MOST_VECTORS - 1));
    let sent = match stage {
        // A connection that was never made is a broken pipe.
        Stage::Fresh | Stage::Listening if name.stream => Err(libc::EPIPE),
        // SAFETY: the head is ours, the rest the caller's.
        _ => unsafe { sys::sendmsg(fd, &sys::header(&mut all), quiet) },
    };
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

/// What the stack would say of a datagram: the pair takes any.
fn check_datagram(
    fd: c_int,
    name: Name,
    stage: Stage,
    to: Option<SocketAddr>,
    length: usize,
) -> Result<()> {
    let over_ipv4 = |end: SocketAddr| end.ip().to_canonical().is_ipv4();
    let largest = match to.map_or(!name.v6, over_ipv4) {
        true => LARGEST_OVER_IPV4,
        false => LARGEST_OVER_IPV6,
    };
    match to {
        _ if length > largest => Err(libc::EMSGSIZE),
        Some(to) if to.port() == 0 && !name.echo => Err(libc::EINVAL),
        Some(_) if name.echo => Ok(()),
        // Whether there is a way to there, and leave.
        Some(to) => ask(&format!("reach {} {to}", name.id)).map(drop),
        None if stage == Stage::Fresh => Err(libc::EDESTADDRREQ),
        // What befell the one before is told by the next call, whichever it is.
        None => pending_error(fd, name).map_or(Ok(()), Err),
    }
}

/// The error that is the next to be received, which is told and gone then.
pub(crate) fn pending_error(fd: c_int, name: Name) -> Option<c_int> {
    let head = next_head(fd, libc::MSG_PEEK)?;
    let Head::Error(errno) = Head::decode(&head)? else {
        return None;
    };
    next_head(fd, 0);
    let _ = take_error(name);
    Some(errno)
}

/// The head of the next datagram, if there is one.
fn next_head(fd: c_int, flags: c_int) -> Option<[u8; HEAD]> {
    let head = [0; HEAD];
    let mut vectors = [sys::vector(&head)];
    let mut header = sys::header(&mut vectors);
    // SAFETY: the head is ours.
    let length = unsafe { sys::recvmsg(fd, &mut header, flags | libc::MSG_DONTWAIT) };
    // SAFETY: the kernel wrote it, behind the compiler's back.
    (length == Ok(HEAD)).then(|| unsafe { (&raw const head).read_volatile() })
}

/// The length of the next datagram; 0 if there is none.
pub(crate) fn next_length(fd: c_int) -> usize {
    let head = [0; HEAD];
    let mut vectors = [sys::vector(&head)];
    let mut header = sys::header(&mut vectors);
    let flags = libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: the head is ours.
    let length = unsafe { sys::recvmsg(fd, &mut header, flags) };
    length.unwrap_or(0).saturating_sub(HEAD)
}
