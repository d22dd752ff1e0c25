//! Addresses as C has them.

use core::ffi::c_int;
use core::mem::{size_of, zeroed};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

/// An address as C has it.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub(super) storage: sockaddr_storage,
    pub(super) length: socklen_t,
}

impl Address {
    /// Room for any.
    pub(super) fn room() -> Address {
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
    pub(super) fn end(&self) -> Option<SocketAddr> {
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

    pub(super) fn at(&self) -> *const sockaddr {
        (&raw const self.storage).cast()
    }
}
