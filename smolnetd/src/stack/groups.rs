//! Sockets and multicast groups: who joins and leaves, by which link a group is spoken to, and who hears it.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;

use super::Stack;
use super::network::Network;
use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::link::GroupError;
use crate::output::Path;
use crate::ports::LinkId;
use crate::socket::SocketId;
use crate::socket::group::MAX_GROUPS;

impl Stack {
    /// Has a datagram socket hear what is sent to `group` on a link: on `link`, or on the one by which the group would
    /// be spoken to. Routers are told by the link (IGMPv3, MLDv2). The socket is to be bound to the port, and to any
    /// address or to the group's.
    ///
    /// # Errors
    /// `Invalid` for an address that is no group, `AddressInUse` if it is in it already, `NoDevice`, `NoBuffers` when
    /// it is in as many as it may be, or the link is; `NotSupported` for TCP.
    pub fn join_group(
        &mut self,
        now: Instant,
        id: SocketId,
        group: IpAddr,
        link: Option<LinkId>,
    ) -> Result<(), SocketError> {
        let membership = self.membership(id, group, link)?;
        let joined = &mut self.sockets.datagram_mut(id)?.multicast.joined;
        if joined.contains(&membership) {
            return Err(SocketError::AddressInUse);
        }
        if joined.len() >= MAX_GROUPS {
            return Err(SocketError::NoBuffers);
        }
        let link = self.network.links.get_mut(&membership.0);
        link.ok_or(SocketError::NoDevice)?
            .join(now, group)
            .map_err(|error| match error {
                GroupError::Invalid => SocketError::Invalid,
                GroupError::TooMany => SocketError::NoBuffers,
            })?;
        joined.push(membership);
        Ok(())
    }

    /// Takes that back.
    ///
    /// # Errors
    /// `AddressNotAvailable` if it is not in the group; `Invalid` and `NotSupported` as for joining.
    pub fn leave_group(
        &mut self,
        now: Instant,
        id: SocketId,
        group: IpAddr,
        link: Option<LinkId>,
    ) -> Result<(), SocketError> {
        // The way to the group may be another by now, or none: who names no link means the one that it joined on.
        let joined = &mut self.sockets.datagram_mut(id)?.multicast.joined;
        let place = joined
            .iter()
            .position(|(on, other)| *other == group && link.is_none_or(|link| link == *on));
        let place = place.ok_or(SocketError::AddressNotAvailable)?;
        let (link, group) = joined.remove(place);
        self.network.leave(now, link, group);
        Ok(())
    }

    /// A socket is closed: it leaves whatever it is in.
    pub(super) fn leave_groups(&mut self, now: Instant, id: SocketId) {
        let Ok(socket) = self.sockets.datagram_mut(id) else {
            return;
        };
        for (link, group) in core::mem::take(&mut socket.multicast.joined) {
            self.network.leave(now, link, group);
        }
    }

    /// On which link a socket means a group.
    fn membership(
        &self,
        id: SocketId,
        group: IpAddr,
        link: Option<LinkId>,
    ) -> Result<(LinkId, IpAddr), SocketError> {
        let socket = self.sockets.datagram(id)?;
        if !group.is_multicast() {
            return Err(SocketError::Invalid);
        }
        let link = match link.or(socket.multicast.link) {
            Some(link) => link,
            None => self.network.link_to_group(group)?,
        };
        Ok((link, group))
    }

    /// RFC 1112 6.1: what is sent to a group that this host is in on that link comes back to its members here.
    pub(super) fn loop_to_group(
        &mut self,
        path: &Path,
        from: SocketAddr,
        to: SocketAddr,
        data: &[u8],
    ) {
        if self.network.is_member(path.link, to.ip()) {
            let local = ZonedAddr::on(to.ip(), path.link).with_port(to.port());
            let peer = ZonedAddr::on(from.ip(), path.link).with_port(from.port());
            self.deliver_to_group(local, peer, data);
        }
    }

    /// A copy for every socket that hears it. True if there was one.
    pub(super) fn deliver_to_group(
        &mut self,
        local: SocketAddr,
        peer: SocketAddr,
        data: &[u8],
    ) -> bool {
        let ids: Vec<_> = self.udp.find_all(local, peer).collect();
        for id in &ids {
            self.deliver_udp(*id, peer, data);
        }
        !ids.is_empty()
    }
}

impl Network {
    fn leave(&mut self, now: Instant, link: LinkId, group: IpAddr) {
        // With a link that has gone, so have its groups.
        if let Some(link) = self.links.get_mut(&link) {
            link.leave(now, group);
        }
    }

    /// The way to a group over the link that a socket has chosen for such.
    ///
    /// # Errors
    /// As [`Network::path`].
    pub(super) fn path_to_group(
        &self,
        link: LinkId,
        to: ZonedAddr,
        bound: Option<ZonedAddr>,
    ) -> Result<Path, SocketError> {
        let zones = [to.zone, bound.and_then(|bound| bound.zone)];
        // RFC 4007 6: whoever says a link must mean the same.
        if zones.into_iter().flatten().any(|zone| zone != link) {
            return Err(SocketError::Invalid);
        }
        let source = bound.map(|bound| bound.address);
        self.path_over(link, to, to.address, source)
    }

    /// The link by which a group is spoken to.
    fn link_to_group(&self, group: IpAddr) -> Result<LinkId, SocketError> {
        match self.routes.lookup(group) {
            Some(route) => Ok(route.link),
            None => self.broadcast_link(None).ok_or(SocketError::NoDevice),
        }
    }
}
