//! What the network does: segments, time, room, and the loss of addresses and links.

mod cookies;
mod handshake;
mod service;
mod trouble;

use smoltcp::time::Instant;

use super::calls::is_unicast;
use super::{Ingress, Reason, Tcp};
use crate::counters::count;
use crate::flow::connection::Context;
use crate::flow::segment::{Control, Segment, SegmentError};
use crate::flow::time_wait::Late;
use crate::flow::{Connection, FlowId, FlowKey, Phase};
use crate::output::{Arrival, Output};

impl Tcp {
    /// A whole IP packet that carries TCP, its IP header already checked by the stack. Replies that cannot wait go to
    /// `out`; the rest follows in [`Tcp::poll`].
    pub fn ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        packet: &[u8],
        out: &mut impl Output,
    ) -> Ingress {
        count(&mut self.counters.segments_received);
        let (segment, data) = match Segment::parse(packet) {
            Ok((segment, data)) => (segment.on(arrival.link), data),
            Err(SegmentError::Malformed) => {
                return self.drop_segment(|counters| &mut counters.malformed);
            }
            Err(SegmentError::Checksum) => {
                return self.drop_segment(|counters| &mut counters.bad_checksum);
            }
        };
        let FlowKey { local, remote } = segment.key;
        if !is_unicast(local.ip()) || !is_unicast(remote.ip()) {
            return self.drop_segment(|counters| &mut counters.bad_address);
        }
        let ingress = match self.flows.find(&segment.key) {
            Some(id) => self.flow_ingress(now, arrival, id, (&segment, data), out),
            None => self.listener_ingress(now, arrival, (&segment, data), None, out),
        };
        self.flows.settle();
        ingress
    }

    fn drop_segment(&mut self, reason: Reason) -> Ingress {
        count(reason(&mut self.counters));
        Ingress::Consumed
    }

    fn flow_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        id: FlowId,
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) -> Ingress {
        match self.flows.get(id).map(|flow| &flow.phase) {
            Some(Phase::HalfOpen(_)) => self.half_open_ingress(now, id, (segment, data), out),
            Some(Phase::Open(_)) => self.connection_ingress(now, id, (segment, data), out),
            Some(Phase::TimeWait(_)) => {
                return self.time_wait_ingress(now, arrival, id, segment, out);
            }
            None => (),
        }
        Ingress::Consumed
    }

    /// Answers a segment that nobody waits for with RST (RFC 9293 3.10.7.1), unless it is one itself or came from or
    /// for an address that no connection can have.
    pub fn refuse(&mut self, now: Instant, arrival: Arrival, packet: &[u8], out: &mut impl Output) {
        let Ok((segment, _)) = Segment::parse(packet) else {
            return;
        };
        let segment = segment.on(arrival.link);
        let FlowKey { local, remote } = segment.key;
        let Some(reset) = Control::refusal(&segment) else {
            return;
        };
        if !is_unicast(remote.ip()) || !out.is_local(local) {
            return;
        }
        let path = out.path(local, remote);
        if path.is_some_and(|path| reset.send(now, &path, out)) {
            count(&mut self.counters.refused);
        }
    }

    fn connection_ingress(
        &mut self,
        now: Instant,
        id: FlowId,
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let before = self.view(id);
        self.with_context(now, id, out, |connection, cx| {
            connection.ingress(cx, segment, data)
        });
        self.flows.mark_dirty(id);
        self.tell(id, before);
        self.retire(now, id);
    }

    /// Does something with a connection in the circumstances of now.
    fn with_context<O: Output, R>(
        &mut self,
        now: Instant,
        id: FlowId,
        out: &mut O,
        f: impl FnOnce(&mut Connection, &mut Context<'_, O>) -> R,
    ) -> Option<R> {
        self.with_flow(id, |lent| {
            let mut cx = Context {
                now,
                key: lent.key,
                path: &lent.path,
                limits: lent.limits,
                counters: lent.counters,
                out,
            };
            f(lent.connection, &mut cx)
        })
    }

    fn time_wait_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        id: FlowId,
        segment: &Segment,
        out: &mut impl Output,
    ) -> Ingress {
        let listener = self.ports.listener(segment.key.local);
        let listener = listener.and_then(|listener| self.listener_mut(listener));
        let has_room = listener.map(|(listener, _)| !listener.is_full());
        let Some((_, _, time_wait)) = self.flows.time_wait_mut(id) else {
            return Ingress::Consumed;
        };
        let late = match (time_wait.receive(segment), has_room) {
            // Only if somebody listens: otherwise the end is respected.
            (Late::Reopen, None) => Late::Acknowledge,
            // The peer will ask again.
            (Late::Reopen, Some(false)) => Late::Drop(|counters| &mut counters.accept_queue_full),
            (late, _) => late,
        };
        match late {
            Late::Reopen => {
                count(&mut self.counters.time_wait_reopened);
                let end = time_wait.snd_nxt;
                self.remove_flow(id);
                return self.listener_ingress(now, arrival, (segment, &[]), Some(end), out);
            }
            Late::FinAgain | Late::Acknowledge => {
                if matches!(late, Late::FinAgain) {
                    time_wait.restart(now, self.limits.time_wait_timeout);
                }
                if time_wait.owe_ack(now) {
                    count(&mut self.counters.challenges);
                } else {
                    count(&mut self.counters.challenges_suppressed);
                }
                self.flows.mark_dirty(id);
            }
            Late::Drop(reason) => count(reason(&mut self.counters)),
        }
        Ingress::Consumed
    }
}
