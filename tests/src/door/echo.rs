//! Sockets of ICMP's echo, which `ping` opens: the program sends and receives whole messages (RFC 792, RFC 4443 4), the scheme
//! has a file for each host, on which go the sequence number and what follows it. The identifier is the stack's affair, as it
//! is Linux's. One host at a time: what is sent to another one ends the listening to the first.

use std::net::SocketAddr;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EINVAL, EIO};
use syscall::flag::{O_NONBLOCK, O_RDWR};

use super::socket::{Result, errno};
use crate::checksum::checksum;

/// Type, code, checksum and identifier: what the scheme leaves out.
const LEFT_OUT: usize = 6;
/// The types of request and reply, and those of ICMPv6.
const REQUEST: u8 = 8;
const REPLY: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// The file for the echoes of a host.
pub(super) fn open(to: SocketAddr) -> Result<Fd> {
    let zone = match to {
        SocketAddr::V6(end) if end.scope_id() != 0 => format!("%{}", end.scope_id()),
        _ => String::new(),
    };
    let path = format!("/scheme/icmp/echo/{}{zone}", to.ip());
    let flags = i32::try_from(O_RDWR | O_NONBLOCK | O_CLOEXEC).map_err(|_| EIO)?;
    Fd::open(&path, flags, 0).map_err(errno)
}

/// What the scheme wants of a request.
pub(super) fn request(message: &[u8]) -> Result<&[u8]> {
    match message {
        [REQUEST | REQUEST_V6, 0, _, _, _, _, rest @ ..] if rest.len() >= 2 => Ok(rest),
        _ => Err(EINVAL),
    }
}

/// Reads one reply of that file as the program wants it, to the start of the buffer; its length.
pub(super) fn receive(file: &Fd, id: u64, v6: bool, buffer: &mut [u8]) -> Result<usize> {
    let (head, rest) = buffer.split_at_mut_checked(LEFT_OUT).ok_or(EIO)?;
    let length = LEFT_OUT + file.read(rest).map_err(errno)?;
    let [a, b] = identifier(id).to_be_bytes();
    head.copy_from_slice(&[if v6 { REPLY_V6 } else { REPLY }, 0, 0, 0, a, b]);
    if !v6 {
        let [a, b] = checksum(buffer.get(..length).unwrap_or_default()).to_be_bytes();
        buffer
            .iter_mut()
            .skip(2)
            .zip([a, b])
            .for_each(|(to, from)| *to = from);
    }
    Ok(length)
}

/// The identifier that the program sees: as with Linux, not what it wrote.
pub(super) fn identifier(id: u64) -> u16 {
    u16::try_from(id % 0xffff).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_are_sent_without_what_the_scheme_adds() {
        assert_eq!(request(&[8, 0, 1, 2, 3, 4, 0, 7, 9]), Ok(&[0, 7, 9][..]));
        assert_eq!(request(&[0, 0, 1, 2, 3, 4, 0, 7, 9]), Err(EINVAL));
        assert_eq!(request(&[8, 0, 1, 2, 3, 4, 0]), Err(EINVAL));
        assert_eq!(request(&[]), Err(EINVAL));
    }

    #[test]
    fn identifiers_are_never_zero() {
        assert_eq!(identifier(0), 1);
        assert_eq!(identifier(0xfffe), 0xffff);
        assert_eq!(identifier(0xffff), 1);
    }
}
