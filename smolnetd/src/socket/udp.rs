//! UDP (RFC 768, RFC 8200 8.1): which socket a datagram is for, which ports are free, and the datagram's form.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use smoltcp::wire::UdpPacket;

use super::bound::Bound;
use super::{Owner, SocketId};
use crate::counters::counters;
use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::quota::{Quota, Share};
use crate::secret::Secret;

/// Length in bytes of a UDP header.
pub(crate) const UDP_HEADER_LENGTH: usize = 8;

/// Ports that are given out to who asks for none (RFC 6335 6: the dynamic ports).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;
/// Who may have how many of these: whoever wants to send needs one.
const EPHEMERAL_PORTS: Share = Share {
    all: 16_384,
    of_user: 12_288,
    for_root: 1024,
};

counters! {
    /// What UDP saw, and why it dropped what it dropped.
    pub struct UdpCounters {
        /// Datagrams received, in order or not.
        received,
        /// Datagrams queued for a socket; one that several sockets get counts once for each.
        delivered,
        /// Datagrams sent.
        sent,
        /// Dropped: shorter than a header, or than its length says.
        bad_length,
        /// Dropped: checksum, or none over IPv6.
        bad_checksum,
        /// Dropped: destination port 0, which no socket can have.
        bad_port,
        /// Dropped: no socket has that port.
        no_port,
        /// Dropped: the socket's queue was full.
        queue_full,
        /// Dropped: the queues of all sockets of its user together held as much as they may.
        user_memory_full,
        /// Dropped: the queues of all sockets together held as much as they may.
        memory_full,
    }
}

/// Why a datagram was dropped: the counter it falls under.
pub(crate) type Reason = fn(&mut UdpCounters) -> &mut u64;

/// A UDP datagram that came in, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'p> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) data: &'p [u8],
}

impl<'p> Incoming<'p> {
    pub(crate) fn parse(
        payload: &'p [u8],
        source: IpAddr,
        destination: IpAddr,
    ) -> Result<Incoming<'p>, Reason> {
        let packet = UdpPacket::new_checked(payload)
            .map_err(|_| -> Reason { |counters| &mut counters.bad_length })?;
        // RFC 8200 8.1: over IPv6 it cannot be left out.
        let missing = source.is_ipv6() && packet.checksum() == 0;
        if missing || !packet.verify_checksum(&source.into(), &destination.into()) {
            return Err(|counters| &mut counters.bad_checksum);
        }
        if packet.dst_port() == 0 {
            return Err(|counters| &mut counters.bad_port);
        }
        Ok(Incoming {
            source_port: packet.src_port(),
            destination_port: packet.dst_port(),
            data: packet.payload(),
        })
    }
}

/// Writes a datagram that carries `data`, filling `datagram` (8 bytes longer than `data`). Over IPv4 the checksum could
/// be left out and is not (RFC 1122 4.1.3.4).
pub(crate) fn write(datagram: &mut [u8], source: SocketAddr, destination: SocketAddr, data: &[u8]) {
    let Ok(length) = u16::try_from(datagram.len()) else {
        return;
    };
    if datagram.len() < UDP_HEADER_LENGTH {
        return;
    }
    let mut packet = UdpPacket::new_unchecked(datagram);
    packet.set_src_port(source.port());
    packet.set_dst_port(destination.port());
    packet.set_len(length);
    for (to, from) in packet.payload_mut().iter_mut().zip(data) {
        *to = *from;
    }
    if source.is_ipv4() == destination.is_ipv4() {
        packet.fill_checksum(&source.ip().into(), &destination.ip().into());
    }
}

/// What a UDP socket listens to: everything that reaches `port`, unless `local` or `peer` say less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) port: u16,
    pub(crate) local: Bound,
    pub(crate) peer: Option<SocketAddr>,
}

/// The least binding of a port, in the order of the table.
const FIRST: Bound = Bound::Any;

/// Which sockets have which ports.
#[derive(Debug)]
pub(crate) struct UdpTable {
    // By port first: the sockets of one port stand side by side.
    bindings: BTreeSet<(Binding, SocketId)>,
    /// The ports that somebody has.
    held: PortSet,
    /// How many dynamic ports each user's sockets have.
    dynamic: Quota,
    secret: Secret,
    chosen: u64,
    pub(crate) counters: UdpCounters,
}

impl UdpTable {
    pub(crate) fn new(secret: Secret) -> UdpTable {
        UdpTable {
            bindings: BTreeSet::new(),
            held: PortSet([0; 1024]),
            dynamic: Quota::new(EPHEMERAL_PORTS),
            secret,
            chosen: 0,
            counters: UdpCounters::default(),
        }
    }

    /// May `owner` have one more port if it is `port`?
    ///
    /// # Errors
    /// `AddressNotAvailable` when others need those that are left.
    pub(crate) fn check(&self, port: u16, owner: Owner) -> Result<(), SocketError> {
        let is_free = owner.is_privileged() || !EPHEMERAL.contains(&port);
        match is_free || self.dynamic.check(owner, 1).is_ok() {
            true => Ok(()),
            false => Err(SocketError::AddressNotAvailable),
        }
    }

    pub(crate) fn insert(&mut self, binding: Binding, id: SocketId, owner: Owner) {
        if self.bindings.insert((binding, id)) && EPHEMERAL.contains(&binding.port) {
            self.dynamic.take(owner, 1);
        }
        self.held.set(binding.port, true);
    }

    pub(crate) fn remove(&mut self, binding: Binding, id: SocketId, owner: Owner) {
        if self.bindings.remove(&(binding, id)) && EPHEMERAL.contains(&binding.port) {
            self.dynamic.give_back(owner, 1);
        }
        let held = self.holders(binding.port).next().is_some();
        self.held.set(binding.port, held);
    }

    /// The sockets that have `port`, whatever else they ask for.
    pub(crate) fn holders(&self, port: u16) -> impl Iterator<Item = (Binding, SocketId)> {
        let first = (
            Binding {
                port,
                local: FIRST,
                peer: None,
            },
            SocketId(0),
        );
        self.bindings
            .range(first..)
            .take_while(move |(binding, _)| binding.port == port)
            .copied()
    }

    /// The socket that a datagram is for: of those it fits, the one that asks for the most; of equals the youngest.
    pub(crate) fn find(&self, local: SocketAddr, peer: SocketAddr) -> Option<SocketId> {
        let port = local.port();
        let [one, family, any] = Bound::hearing(ZonedAddr::of(local));
        [
            (one, Some(peer)),
            (family, Some(peer)),
            (any, Some(peer)),
            (one, None),
            (family, None),
            (any, None),
        ]
        .into_iter()
        .find_map(|(local, peer)| {
            let binding = Binding { port, local, peer };
            self.bindings
                .range((binding, SocketId(0))..=(binding, SocketId(u64::MAX)))
                .next_back()
                .map(|(_, id)| *id)
        })
    }

    /// The sockets that a broadcast or multicast datagram is for: all that it fits, a copy for each (RFC 1122 3.3.4.2
    /// hands such a packet to whoever listens on the link).
    pub(crate) fn find_all(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> impl Iterator<Item = SocketId> {
        self.holders(local.port())
            .filter(move |(binding, _)| binding.local.hears(ZonedAddr::of(local)))
            .filter(move |(binding, _)| binding.peer.is_none_or(|theirs| theirs == peer))
            .map(|(_, id)| id)
    }

    /// Would a socket bound to `local` and `port` get what another already gets? Sockets of which `shares` is true
    /// are no hindrance.
    pub(crate) fn is_taken(
        &self,
        local: Bound,
        port: u16,
        shares: impl Fn(SocketId) -> bool,
    ) -> bool {
        self.holders(port)
            .any(|(other, id)| local.overlaps(other.local) && !shares(id))
    }

    /// A free port, none if there is none: RFC 6056 3.3.3, an offset that only we can compute for each peer, and a
    /// counter. A port is free again as soon as no socket has it.
    pub(crate) fn ephemeral(&mut self, local: Bound, peer: Option<SocketAddr>) -> Option<u16> {
        let span = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        self.chosen = self.chosen.wrapping_add(1);
        // Without a peer the counter itself goes through the hash: every choice is a new random one (3.3.1).
        let offset = match peer {
            Some(peer) => {
                let start = self.secret.hash("udp port", (local, peer));
                start.wrapping_add(self.chosen)
            }
            None => self.secret.hash("udp port", self.chosen),
        };
        (0..span)
            .filter_map(|step| u16::try_from(offset.wrapping_add(step) % span).ok())
            .map(|place| EPHEMERAL.start().saturating_add(place))
            .find(|port| !self.held.contains(*port))
    }
}

/// A set of ports: looking for a free one must not cost a search for each that is not.
#[derive(Debug)]
struct PortSet([u64; 1024]);

impl PortSet {
    fn contains(&self, port: u16) -> bool {
        let word = self.0.get(usize::from(port >> 6));
        word.is_some_and(|word| word >> (port & 63) & 1 == 1)
    }

    fn set(&mut self, port: u16, held: bool) {
        let bit = 1 << (port & 63);
        if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
            *word = if held { *word | bit } else { *word & !bit };
        }
    }
}

#[cfg(test)]
mod tests;
