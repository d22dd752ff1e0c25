//! LISTEN and SYN-RECEIVED.

use smoltcp::time::Instant;
use smoltcp::wire::TcpControl;

use super::super::{Ingress, Kind, Listener, Socket, Tcp, TcpId, TcpOptions};
use crate::counters::count;
use crate::flow::connection::Holder;
use crate::flow::half_open::{Handshake, Offer};
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::flow::{Agreed, Connection, Flow, FlowId, FlowKey, HalfOpen, Phase};
use crate::output::{Arrival, Output, Path};

impl Tcp {
    /// RFC 9293 3.10.7.2: LISTEN. `after` is where a former connection of the same name ended.
    pub(super) fn listener_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        (segment, data): (&Segment, &[u8]),
        after: Option<Seq>,
        out: &mut impl Output,
    ) -> Ingress {
        let FlowKey { local, remote } = segment.key;
        let Some(id) = self.ports.listener(local) else {
            count(&mut self.counters.no_flow);
            return Ingress::NoFlow;
        };
        let cookie = match (segment.control, segment.ack) {
            (TcpControl::Rst, _) => return self.drop_segment(|counters| &mut counters.unexpected),
            (TcpControl::Syn, None) => None,
            (TcpControl::Syn, Some(_)) => {
                count(&mut self.counters.no_flow);
                return Ingress::NoFlow;
            }
            (_, Some(ack)) => Some(ack.minus(1)),
            _ => return self.drop_segment(|counters| &mut counters.not_syn),
        };
        // RFC 1122 4.2.3.10, and nobody but ourselves is ourselves.
        let forged = out.is_local(remote) && !arrival.looped;
        if forged || !out.is_local(local) || local == remote {
            return self.drop_segment(|counters| &mut counters.bad_address);
        }
        let Some(path) = out.path(local, remote) else {
            return self.drop_segment(|counters| &mut counters.no_route_back);
        };
        match cookie {
            Some(cookie) => self.cookie_ingress(now, (id, path), cookie, (segment, data), out),
            None => self.syn_ingress(now, (id, path), segment, after, out),
        }
    }

    fn syn_ingress(
        &mut self,
        now: Instant,
        (id, path): (TcpId, Path),
        segment: &Segment,
        after: Option<Seq>,
        out: &mut impl Output,
    ) -> Ingress {
        let Some((listener, options)) = self.listener_mut(id) else {
            return Ingress::Consumed;
        };
        if listener.is_full() {
            return self.drop_segment(|counters| &mut counters.accept_queue_full);
        }
        let (key, source) = (segment.key, segment.key.remote.ip());
        let offer = Offer::of(&options, key, &path);
        let bounds = (self.limits.half_open_per_listener, self.limits.half_open);
        if !self.half_open.has_room(id, source, bounds) {
            self.send_cookie(now, (id, path), segment, &offer, out);
            return Ingress::Consumed;
        }
        let mut iss = self.initial_sequence_number(now, &key);
        if let Some(end) = after.filter(|end| !iss.after(*end)) {
            // RFC 1122 4.2.2.13: larger than the largest that the former connection used.
            iss = end.plus(1 << 16);
        }
        let half = HalfOpen::new(now, id, segment, iss, offer);
        if let Some(flow) = self
            .flows
            .insert(Flow::new(key, path, Phase::HalfOpen(half)))
        {
            self.half_open.insert(id, flow, source);
            self.flows.mark_dirty(flow);
        }
        Ingress::Consumed
    }

    pub(super) fn listener_mut(&mut self, id: TcpId) -> Option<(&mut Listener, TcpOptions)> {
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
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some((key, path, half)) = self.flows.half_open_mut(id) else {
            return;
        };
        match half.receive(segment, key) {
            Handshake::Complete => self.complete(now, id, (segment, data), out),
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
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some((key, path, half)) = self.flows.half_open_mut(id) else {
            return;
        };
        let (listener, agreed) = (half.listener, half.agreed());
        if self
            .listener_mut(listener)
            .is_none_or(|(listener, _)| listener.is_full())
        {
            count(&mut self.counters.accept_queue_full);
            return;
        }
        self.remove_flow(id);
        self.establish(now, (listener, path), (key, &agreed), (segment, data), out);
    }

    /// A handshake has come to its end with `segment`: the connection begins, and waits to be accepted.
    pub(super) fn establish(
        &mut self,
        now: Instant,
        (id, path): (TcpId, Path),
        (key, agreed): (FlowKey, &Agreed),
        (segment, data): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some((_, options)) = self.listener_mut(id) else {
            return;
        };
        let owner = self.sockets.get(&id).map(|socket| socket.owner);
        let holder = Holder::Queued(id);
        let connection = Connection::passive(now, key, &path, agreed, holder, &options);
        let flow = Flow::new(key, path, Phase::Open(Box::new(connection)));
        let Some(flow) = self.flows.insert(flow) else {
            return;
        };
        self.open_account(flow, owner.map_or(0, |owner| owner.uid));
        self.connection_ingress(now, flow, (segment, data), out);
        count(&mut self.counters.passive_opens);
        if let Some((listener, _)) = self.listener_mut(id) {
            listener.queue.push_back(flow);
        }
        self.touch(id);
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
}
