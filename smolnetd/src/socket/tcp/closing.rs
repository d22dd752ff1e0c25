//! How sockets are given back, and what goes on without them.

use smoltcp::time::{Duration, Instant};

use super::memory::Lent;
use super::{Kind, Listener, Tcp, TcpId};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::FlowId;
use crate::flow::connection::Holder;

impl Tcp {
    /// Gives the socket back. What was written is delivered in the background, then FIN, for as long as the linger time
    /// says if there is one; with data unread, or a linger time of 0, RST (RFC 1122 4.2.2.13).
    pub fn close(&mut self, now: Instant, id: TcpId) {
        let Some(socket) = self.sockets.remove(&id) else {
            return;
        };
        if let Some(bound) = socket.bound {
            self.ports.release(bound, id);
        }
        match socket.kind {
            Kind::Idle => (),
            Kind::Listener(listener) => self.close_listener(now, id, listener),
            Kind::Connection(flow) => self.close_connection(now, flow, socket.options.linger),
        }
        self.flows.settle();
    }

    /// Gives the socket back with RST.
    pub fn abort(&mut self, now: Instant, id: TcpId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.options.linger = Some(Duration::ZERO);
        }
        self.close(now, id);
    }

    /// Ends whatever the socket was and leaves it as it was when it was opened, but for its options (connect to
    /// AF_UNSPEC).
    ///
    /// # Errors
    /// [`SocketError::BadSocket`]
    pub fn disconnect(&mut self, now: Instant, id: TcpId) -> Result<(), SocketError> {
        let socket = self.socket(id)?;
        let kind = core::mem::replace(&mut socket.kind, Kind::Idle);
        let bound = socket.bound.take();
        if let Some(bound) = bound {
            self.ports.release(bound, id);
        }
        match kind {
            Kind::Idle => (),
            Kind::Listener(listener) => self.close_listener(now, id, listener),
            Kind::Connection(flow) => self.close_connection(now, flow, Some(Duration::ZERO)),
        }
        self.touch(id);
        Ok(())
    }

    fn close_listener(&mut self, now: Instant, id: TcpId, listener: Listener) {
        for flow in self.half_open.of(id) {
            self.remove_flow(flow);
        }
        for flow in listener.queue {
            // RFC 9293 3.10.4 knows no such case; nobody will ever read it.
            self.orphan(flow, now, true);
        }
    }

    fn close_connection(&mut self, now: Instant, flow: FlowId, linger: Option<Duration>) {
        let Some((_, _, connection)) = self.flows.connection_mut(flow) else {
            return;
        };
        if connection.is_over() || connection.is_connecting() && !connection.was_established() {
            // Nothing is owed to the peer, or nothing is known to it but a SYN (RFC 9293 3.10.4).
            self.remove_flow(flow);
            return;
        }
        let unread = connection.unread() > 0;
        if unread {
            count(&mut self.counters.closed_unread);
        }
        let account = connection.account.as_ref();
        let exhausted = account.is_some_and(|account| self.memory.share(account).exhausted)
            && connection.unacknowledged() > 0;
        if exhausted {
            count(&mut self.counters.orphans_without_memory);
        }
        if let Some(time) = linger {
            connection.linger(now + time.min(self.limits.orphan_lifetime));
        }
        let reset = unread || exhausted || linger == Some(Duration::ZERO);
        self.orphan(flow, now, reset);
    }

    /// The flow goes on without a holder, to end with RST or FIN.
    fn orphan(&mut self, id: FlowId, now: Instant, reset: bool) {
        let mark = self.orphans.push(id);
        let over = self.with_flow(id, |Lent { connection, .. }| {
            connection.holder = Holder::Orphan { mark, since: now };
            if reset {
                connection.abort(None);
            } else {
                connection.shut_write(now);
            }
            connection.is_over()
        });
        match over {
            Some(true) => return self.remove_flow(id),
            Some(false) => (),
            None => return self.orphans.remove(mark),
        }
        self.flows.mark_dirty(id);
        if self.orphans.len() > self.limits.orphans
            && let Some(oldest) = self.orphans.oldest()
        {
            count(&mut self.counters.orphans_evicted);
            self.remove_flow(oldest);
        }
    }
}
