//! LISTEN and SYN-RECEIVED.

use smoltcp::time::Instant;
use smoltcp::wire::TcpControl;

use super::super::{Ingress, Kind, Listener, Socket, Tcp, TcpId};
use crate::counters::count;
use crate::flow::half_open::Handshake;
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::flow::{Connection, Flow, FlowId, FlowKey, HalfOpen, Phase};
use crate::output::{Arrival, Output, Path};

impl Tcp {
    /// RFC 9293 3.10.7.2: LISTEN. `after` is where a former connection of the same name ended.
    pub(super) fn listener_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        segment: &Segment,
        after: Option<Seq>,
        out: &mut impl Output,
    ) -> Ingress {
        let FlowKey { local, remote } = segment.key;
        let Some(id) = self.ports.listener(local) else {
            count(&mut self.counters.no_flow);
            return Ingress::NoFlow;
        };
        match (segment.control, segment.ack) {
            (TcpControl::Rst, _) => return self.drop_segment(|counters| &mut counters.unexpected),
            (_, Some(_)) => {
                count(&mut self.counters.no_flow);
                return Ingress::NoFlow;
            }
            (TcpControl::Syn, None) => (),
            _ => return self.drop_segment(|counters| &mut counters.not_syn),
        }
        // RFC 1122 4.2.3.10, and nobody but ourselves is ourselves.
        let forged = out.is_local(remote) && !arrival.looped;
        if forged || !out.is_local(local) || local == remote {
            return self.drop_segment(|counters| &mut counters.bad_address);
        }
        let Some(path) = out.path(local, remote) else {
            return self.drop_segment(|counters| &mut counters.no_route_back);
        };
        self.open_half(now, id, segment, path, after);
        Ingress::Consumed
    }

    fn open_half(
        &mut self,
        now: Instant,
        id: TcpId,
        segment: &Segment,
        path: Path,
        after: Option<Seq>,
    ) {
        let mut iss = self.initial_sequence_number(now, &segment.key);
        if let Some(end) = after.filter(|end| !iss.after(*end)) {
            // RFC 1122 4.2.2.13: larger than the largest that the former connection used.
            iss = end.plus(1 << 16);
        }
        let Some((listener, options)) = self.listener_mut(id) else {
            return;
        };
        if listener.queue.len() >= listener.backlog {
            count(&mut self.counters.accept_queue_full);
            return;
        }
        let window = u16::try_from(options.receive_buffer).unwrap_or(u16::MAX);
        let half = HalfOpen::new(now, id, segment, iss, window, path.mtu);
        self.make_room_for_half(id);
        let flow = Flow::new(segment.key, path, Phase::HalfOpen(half));
        let Some(flow) = self.flows.insert(flow) else {
            return;
        };
        let mark = self.half_open.push(flow);
        let Some((listener, _)) = self.listener_mut(id) else {
            return;
        };
        let marks = (mark, listener.half_open.push(flow));
        if let Some((_, _, half)) = self.flows.half_open_mut(flow) {
            half.marks = marks;
        }
        self.flows.mark_dirty(flow);
    }

    /// The bounds on half-open connections: the oldest of the listener's goes, or the oldest of all.
    fn make_room_for_half(&mut self, id: TcpId) {
        let (most, most_in_all) = (self.limits.half_open_per_listener, self.limits.half_open);
        let oldest_in_all = self
            .half_open
            .oldest()
            .filter(|_| self.half_open.len() >= most_in_all);
        let Some((listener, _)) = self.listener_mut(id) else {
            return;
        };
        let oldest = listener
            .half_open
            .oldest()
            .filter(|_| listener.half_open.len() >= most);
        if let Some(oldest) = oldest.or(oldest_in_all) {
            count(&mut self.counters.half_open_evicted);
            self.remove_flow(oldest);
        }
    }

    fn listener_mut(&mut self, id: TcpId) -> Option<(&mut Listener, super::super::TcpOptions)> {
        match self.sockets.get_mut(&id)? {
            Socket {
                kind: Kind::Listener(listener),
                options,
                ..
            } => Some((listener, *options)),
            _ => None,
        }
    }

    pub(super) fn half_open_ingress(
        &mut self,
        now: Instant,
        id: FlowId,
        (segment, packet): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some((key, path, half)) = self.flows.half_open_mut(id) else {
            return;
        };
        match half.receive(segment, key) {
            Handshake::Complete => self.complete(now, id, (segment, packet), out),
            Handshake::Repeat => {
                if half.may_repeat(now) && half.syn_ack(key).send(now, &path, out) {
                    half.has_answered(now);
                    count(&mut self.counters.syn_acks);
                }
            }
            Handshake::Reset => {
                count(&mut self.counters.half_open_resets);
                self.remove_flow(id);
            }
            Handshake::Answer(control, reason) => {
                count(reason(&mut self.counters));
                if half.may_repeat(now) && control.send(now, &path, out) {
                    count(&mut self.counters.challenges);
                } else {
                    count(&mut self.counters.challenges_suppressed);
                }
            }
            Handshake::Drop(reason) => count(reason(&mut self.counters)),
        }
    }

    /// The last ACK of a handshake: the connection begins, if there is room for it in the accept queue. Without room
    /// the ACK is as good as lost, and comes again with the peer's data.
    fn complete(
        &mut self,
        now: Instant,
        id: FlowId,
        (segment, packet): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some((key, path, half)) = self.flows.half_open_mut(id) else {
            return;
        };
        let half = half.clone();
        let Some((listener, options)) = self.listener_mut(half.listener) else {
            return;
        };
        if listener.queue.len() >= listener.backlog {
            count(&mut self.counters.accept_queue_full);
            return;
        }
        let connection = Connection::passive(now, key, &path, &half, &options);
        if let (Some(connection), Some(flow)) = (connection, self.flows.get_mut(id)) {
            flow.phase = Phase::Open(Box::new(connection));
            self.forget_half_open(half.listener, half.marks);
            self.connection_ingress(now, id, (segment, packet), out);
        }
        if self
            .flows
            .connection(id)
            .is_none_or(|connection| !connection.was_established())
        {
            count(&mut self.counters.engine_refused);
            self.remove_flow(id);
            return;
        }
        count(&mut self.counters.passive_opens);
        if let Some((listener, _)) = self.listener_mut(half.listener) {
            listener.queue.push_back(id);
        }
        self.touch(half.listener);
    }

    pub(super) fn serve_half_open(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let Some((key, path, half)) = self.flows.half_open_mut(id) else {
            return;
        };
        let end = half.since + self.limits.half_open_timeout;
        if end <= now {
            count(&mut self.counters.half_open_timeouts);
            self.remove_flow(id);
            return;
        }
        if half.due() <= now {
            if !half.syn_ack(key).send(now, &path, out) {
                self.flows.schedule(id, Some(end));
                self.flows.block(id);
                return;
            }
            half.has_answered(now);
            count(&mut self.counters.syn_acks);
        }
        let due = half.due().min(end);
        self.flows.schedule(id, Some(due));
    }

    pub(super) fn forget_half_open(&mut self, listener: TcpId, (mark, listener_mark): (u64, u64)) {
        self.half_open.remove(mark);
        if let Some((listener, _)) = self.listener_mut(listener) {
            listener.half_open.remove(listener_mark);
        }
    }
}
