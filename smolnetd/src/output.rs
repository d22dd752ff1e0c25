//! The way out of the TCP engine: where its flows put their IP packets.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;

use crate::ports::LinkId;

/// How packets of one flow leave: what the route table and the link said when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The adapter.
    pub link: LinkId,
    /// On which adapter addresses that mean nothing without one are understood: that which has the destination, when
    /// packets to ourselves leave by the loopback link.
    pub zone: LinkId,
    /// Our address on the packets.
    pub source: IpAddr,
    /// The neighbour that takes them: the destination itself when it is on the link.
    pub next_hop: IpAddr,
    /// Largest IP packet in bytes, IP header included.
    pub mtu: u16,
    /// What packets start with unless a socket says otherwise: IPv4's TTL, or the link's hop limit (RFC 4861 6.3.4).
    pub hop_limit: u8,
}

/// How a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The adapter.
    pub link: LinkId,
    /// From this machine itself, through the loopback queue: only then may its source be an address of ours.
    pub looped: bool,
}

/// What the TCP engine asks of the stack: room, routes, and to have its packets written in place.
pub trait Output {
    /// Is there room for one more packet on `link`? While true, the next [`Output::emit`] on it calls its `fill`:
    /// what is sent is counted as sent, so room must be known before. False is taken as "not now": flows wait
    /// for [`crate::socket::tcp::Tcp::room_again`]. A link that is down or gone says true and drops.
    fn has_room(&self, link: LinkId) -> bool;

    /// Has `fill` write an IP packet of exactly `length` bytes where it will be sent from; an IPv6 one gets the path's
    /// hop limit and the flow's label. What cannot be sent after
    /// all (the next hop does not answer, the link is down) is dropped and counted there: TCP sends it again.
    fn emit(&mut self, now: Instant, path: &Path, length: usize, fill: impl FnOnce(&mut [u8]));

    /// The way from `local`, whose address is ours, to `remote`, whatever their ports; none without a route.
    fn path(&self, local: SocketAddr, remote: SocketAddr) -> Option<Path>;

    /// Is this a unicast address of ours, on whatever link unless it names one?
    fn is_local(&self, end: SocketAddr) -> bool;

    /// The peer acknowledged new data: the next hop of `path` is reachable (RFC 4861 7.3.1).
    fn confirm(&mut self, now: Instant, path: &Path);

    /// The peer has not answered to what was sent again and again: it may be the next hop that is gone (RFC 1122
    /// 3.3.1.4, negative advice). Whoever has no next hops has nothing to look after.
    fn doubt(&mut self, _now: Instant, _path: &Path) {}
}
