//! Addresses as C has them.

use core::ffi::c_int;
use core::mem::size_of;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{sockaddr, sockaddr_in, sockaddr_in6, socklen_t};
use socket_door::{Name, in_family};

use crate::sys::Result;

/// An address that a program gave; `None` is AF_UNSPEC.
///
/// # Safety
/// `address` points to `length` bytes, or is null.
pub(crate) unsafe fn read(
    address: *const sockaddr,
    length: socklen_t,
) -> Result<Option<SocketAddr>> {
    let length = length as usize;
    if address.is_null() || length < size_of::<libc::sa_family_t>() {
        return Err(libc::EINVAL);
    }
    // SAFETY: there are enough bytes for a family; the fields of the others are read when theirs are there too.
    let family = unsafe { (&raw const (*address).sa_family).read_unaligned() };
    match c_int::from(family) {
        libc::AF_UNSPEC => Ok(None),
        libc::AF_INET if length >= size_of::<sockaddr_in>() => {
            // SAFETY: as above.
            let end = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(end.sin_addr.s_addr));
            Ok(Some((ip, u16::from_be(end.sin_port)).into()))
        }
        // RFC 2553's structure had no scope.
        libc::AF_INET6 if length >= size_of::<sockaddr_in6>() => {
            // SAFETY: as above.
            let end = unsafe { address.cast::<sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(end.sin6_addr.s6_addr);
            let port = u16::from_be(end.sin6_port);
            Ok(Some(
                SocketAddrV6::new(ip, port, 0, end.sin6_scope_id).into(),
            ))
        }
        libc::AF_INET | libc::AF_INET6 => Err(libc::EINVAL),
        _ => Err(libc::EAFNOSUPPORT),
    }
}

/// The address as a socket of that family takes it. One of IPv4 on a socket of IPv6 is written as IPv6's (RFC 4291
/// 2.5.5.2).
pub(crate) fn of_family(end: SocketAddr, name: Name) -> Result<SocketAddr> {
    match end {
        SocketAddr::V6(_) if !name.v6 => Err(libc::EAFNOSUPPORT),
        // Of a stream the kernel misses the bytes that IPv6's structure has more.
        SocketAddr::V4(_) if name.v6 && name.stream => Err(libc::EINVAL),
        end => Ok(in_family(end, name.v6)),
    }
}

/// Both structures, one behind the other: the larger, and how much of it is used.
pub(crate) fn bytes(end: SocketAddr) -> ([u8; size_of::<sockaddr_in6>()], usize) {
    let port = end.port().to_be_bytes();
    let (family, rest, length) = match end {
        SocketAddr::V4(end) => (
            libc::AF_INET,
            [&port[..], &end.ip().octets()].concat(),
            size_of::<sockaddr_in>(),
        ),
        SocketAddr::V6(end) => (
            libc::AF_INET6,
            [
                &port[..],
                &end.flowinfo().to_be_bytes(),
                &end.ip().octets(),
                &end.scope_id().to_ne_bytes(),
            ]
            .concat(),
            size_of::<sockaddr_in6>(),
        ),
    };
    let mut bytes = [0; size_of::<sockaddr_in6>()];
    let family = (family as libc::sa_family_t).to_ne_bytes();
    let fields = family.into_iter().chain(rest);
    bytes
        .iter_mut()
        .zip(fields)
        .for_each(|(to, from)| *to = from);
    (bytes, length)
}

/// Gives an address to a program: as much as it has room for, and the whole length.
///
/// # Safety
/// Both are null, or `length` points to the number of bytes that may be written at `address`.
pub(crate) unsafe fn write(end: SocketAddr, address: *mut sockaddr, length: *mut socklen_t) {
    if address.is_null() || length.is_null() {
        return;
    }
    let (bytes, full) = bytes(end);
    // SAFETY: the caller vouches for the room.
    unsafe {
        let room = full.min(*length as usize);
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), address.cast(), room);
        *length = full as socklen_t;
    }
}
