//! Links, addresses, next hops and routes that go, and what ICMP tells.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;

use super::super::{IcmpError, Tcp};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::sequence::Seq;
use crate::flow::{Flow, FlowId, FlowKey, Phase};
use crate::ip::ZonedAddr;
use crate::output::Output;
use crate::path_mtu;
use crate::ports::LinkId;

impl Tcp {
    /// An adapter has gone: its flows end with [`SocketError::NetworkDown`].
    pub fn link_gone(&mut self, now: Instant, link: LinkId) {
        self.flows.unblock(link);
        self.fail_where(now, SocketError::NetworkDown, |flow| flow.path.link == link);
    }

    /// An address is no longer ours: its flows end with [`SocketError::ConnectionAborted`], without a word to the
    /// peer, to whom nothing can be said any more.
    pub fn address_gone(&mut self, now: Instant, address: impl Into<ZonedAddr>) {
        let address = address.into();
        self.fail_where(now, SocketError::ConnectionAborted, |flow| {
            ZonedAddr::of(flow.key.local) == address
        });
    }

    /// A next hop does not answer: connection attempts through it end with [`SocketError::HostUnreachable`]. Those
    /// that are established go on (RFC 1122 4.2.3.9).
    pub fn next_hop_unreachable(&mut self, now: Instant, link: LinkId, next_hop: IpAddr) {
        self.fail_where(now, SocketError::HostUnreachable, |flow| {
            let connecting =
                matches!(&flow.phase, Phase::Open(connection) if connection.is_connecting());
            connecting && flow.path.link == link && flow.path.next_hop == next_hop
        });
    }

    fn fail_where(&mut self, now: Instant, error: SocketError, which: impl Fn(&Flow) -> bool) {
        let ids: Vec<FlowId> = self
            .flows
            .ids()
            .filter(|&id| self.flows.get(id).is_some_and(&which))
            .collect();
        for id in ids {
            let before = self.view(id);
            let failed = self.with_flow(id, |lent| lent.connection.fail(Some(error)));
            if failed.is_some() {
                self.tell(id, before);
                self.retire(now, id);
            } else {
                self.remove_flow(id);
            }
        }
        self.flows.settle();
    }

    /// Routes changed: every flow asks for its path again. One that has none now keeps the old one: its packets are
    /// dropped there until a route comes back or patience ends.
    pub fn reroute(&mut self, now: Instant, out: &impl Output) {
        let ids: Vec<FlowId> = self.flows.ids().collect();
        for id in ids {
            let Some(flow) = self.flows.get_mut(id) else {
                continue;
            };
            let Some(path) = out.path(flow.key.local, flow.key.remote) else {
                continue;
            };
            if path == flow.path {
                continue;
            }
            let elsewhere = (path.link, path.next_hop) != (flow.path.link, flow.path.next_hop);
            flow.path = path;
            self.flows.release(id);
            if let Some((_, _, connection)) = self.flows.connection_mut(id) {
                connection.limit_mtu(path.mtu);
                if elsewhere {
                    connection.path_changed(now);
                    self.flows.mark_dirty(id);
                }
            }
        }
    }

    /// An ICMP error that quotes a segment from `local` to `remote` with this sequence number: believed only if the
    /// segment may still be on its way (RFC 5927 4.1). True if it was.
    pub fn icmp_error(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        sequence: u32,
        error: IcmpError,
    ) -> bool {
        let key = FlowKey { local, remote };
        let Some(id) = self.flows.find(&key) else {
            return false;
        };
        let before = self.view(id);
        let Some((_, _, connection)) = self.flows.connection_mut(id) else {
            return false;
        };
        if !connection.has_sent_and_waits_for(Seq(sequence)) {
            count(&mut self.counters.icmp_not_in_flight);
            return false;
        }
        count(&mut self.counters.icmp_errors);
        match error {
            IcmpError::PortUnreachable => connection.unreachable(SocketError::ConnectionRefused),
            IcmpError::HostUnreachable | IcmpError::Prohibited => {
                connection.unreachable(SocketError::HostUnreachable)
            }
            IcmpError::NetworkUnreachable => {
                connection.unreachable(SocketError::NetworkUnreachable)
            }
            IcmpError::PacketTooBig { mtu } => self.narrow(now, id, mtu),
        }
        self.flows.mark_dirty(id);
        self.tell(id, before);
        self.retire(now, id);
        true
    }

    /// The flow's path carries less than was thought: from here on segments are smaller, whatever was buffered before.
    /// What is on its way is lost and sent again at once (RFC 1191 6.4, RFC 8201 5.4).
    fn narrow(&mut self, now: Instant, id: FlowId, told: u16) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let (remote, current) = (flow.key.remote.ip(), flow.path.mtu);
        let lower = path_mtu::after_report(remote, current, told).ok();
        // Another flow to the same host may have heard of it before: what this one has on its way is lost all the same.
        if lower.is_none() && told != current && told & !3 != current {
            return;
        }
        let mtu = lower.unwrap_or(current);
        flow.path.mtu = mtu;
        if let Some((_, _, connection)) = self.flows.connection_mut(id) {
            connection.limit_mtu(mtu);
            connection.send_again(now, lower.is_some());
        }
    }
}
