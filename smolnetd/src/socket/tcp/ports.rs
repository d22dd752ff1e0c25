//! Local ports: who is bound to which, who listens, and which one an active open gets (RFC 6056).

use core::net::SocketAddr;
use std::collections::HashMap;

use super::TcpId;
use crate::error::SocketError;
use crate::flow::table::Keyed;
use crate::ip::ZonedAddr;
use crate::socket::bound::Bound;

/// The ports that are given out: upper half, as most systems do.
const EPHEMERAL_FIRST: u16 = 32_768;
const EPHEMERAL_COUNT: u32 = 32_768;

/// What a socket is bound to: an address, or any, and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalEnd {
    /// The address.
    pub address: Bound,
    /// The port; 0 for one that is to be chosen.
    pub port: u16,
}

impl From<SocketAddr> for LocalEnd {
    /// An unspecified IPv6 address is any address of both families.
    fn from(end: SocketAddr) -> LocalEnd {
        LocalEnd {
            address: Bound::of(end, false),
            port: end.port(),
        }
    }
}

impl LocalEnd {
    /// The end as it is shown.
    pub fn socket_addr(self) -> SocketAddr {
        self.address.with_port(self.port)
    }
}

/// A socket that is bound.
#[derive(Clone, Copy, Debug)]
struct Binding {
    address: Bound,
    id: TcpId,
    reuse: bool,
    listening: bool,
}

/// What sockets hold. The ports of connections are not listed here: they are taken as long as the flow table has
/// them, so that none can be forgotten.
#[derive(Debug)]
pub(super) struct Ports {
    bound: HashMap<u16, Vec<Binding>, Keyed>,
    listeners: HashMap<LocalEnd, TcpId, Keyed>,
    /// RFC 6056 3.3.3: next_ephemeral.
    next: u32,
}

impl Ports {
    pub(super) fn new(key: Keyed) -> Ports {
        Ports {
            bound: HashMap::with_hasher(key),
            listeners: HashMap::with_hasher(key),
            next: 0,
        }
    }

    /// Is any socket bound to this port?
    pub(super) fn is_bound(&self, port: u16) -> bool {
        self.bound.contains_key(&port)
    }

    pub(super) fn bind(
        &mut self,
        local: LocalEnd,
        id: TcpId,
        reuse: bool,
    ) -> Result<(), SocketError> {
        let others = self.bound.entry(local.port).or_default();
        let taken = |other: &Binding| {
            other.address.overlaps(local.address) && !(reuse && other.reuse && !other.listening)
        };
        if others.iter().any(taken) {
            return Err(SocketError::AddressInUse);
        }
        others.push(Binding {
            address: local.address,
            id,
            reuse,
            listening: false,
        });
        Ok(())
    }

    pub(super) fn listen(&mut self, local: LocalEnd, id: TcpId) -> Result<(), SocketError> {
        let bindings = self.bound.entry(local.port).or_default();
        if bindings
            .iter()
            .any(|other| other.id != id && other.listening && other.address.overlaps(local.address))
        {
            return Err(SocketError::AddressInUse);
        }
        for binding in bindings.iter_mut().filter(|binding| binding.id == id) {
            binding.listening = true;
        }
        self.listeners.insert(local, id);
        Ok(())
    }

    pub(super) fn release(&mut self, local: LocalEnd, id: TcpId) {
        if let Some(bindings) = self.bound.get_mut(&local.port) {
            bindings.retain(|binding| binding.id != id);
            if bindings.is_empty() {
                self.bound.remove(&local.port);
            }
        }
        if self.listeners.get(&local) == Some(&id) {
            self.listeners.remove(&local);
        }
    }

    /// Who listens there: for that address, else for any of its family, else for any.
    pub(super) fn listener(&self, local: SocketAddr) -> Option<TcpId> {
        Bound::hearing(ZonedAddr::of(local))
            .into_iter()
            .find_map(|address| {
                let port = local.port();
                self.listeners.get(&LocalEnd { address, port })
            })
            .copied()
    }

    /// RFC 6056 3.3.3, simple hash-based selection: the first free port from a place that differs by destination and
    /// that an observer of other destinations cannot tell.
    pub(super) fn choose(&mut self, offset: u32, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        for _ in 0..EPHEMERAL_COUNT {
            let step = offset.wrapping_add(self.next) % EPHEMERAL_COUNT;
            self.next = self.next.wrapping_add(1);
            let port = EPHEMERAL_FIRST.checked_add(u16::try_from(step).ok()?)?;
            if !self.is_bound(port) && is_free(port) {
                return Some(port);
            }
        }
        None
    }
}
