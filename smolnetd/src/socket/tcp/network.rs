//! What the network does: segments, time, room, and the loss of addresses and links.

use core::net::{IpAddr, SocketAddr};

use smoltcp::time::Instant;
use smoltcp::wire::TcpControl;

use super::calls::is_unicast;
use super::{IcmpError, Ingress, Kind, Listener, Socket, Tcp, TcpId};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::connection::{Holder, Served};
use crate::flow::half_open::Handshake;
use crate::flow::segment::{Control, Segment, SegmentError};
use crate::flow::sequence::Seq;
use crate::flow::time_wait::Late;
use crate::flow::{Connection, Flow, FlowId, FlowKey, HalfOpen, Phase, TimeWait};
use crate::output::{Arrival, Output, Path};
use crate::ports::LinkId;

/// RFC 1191 section 7: the sizes that links have, for routers that do not say theirs. Bytes, downwards.
const PLATEAUS: [u16; 8] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 552];

/// Path MTUs below are not believed (a router that needs less can fragment; RFC 1191 section 3 asks for 68 at
/// least, but each step down is an attacker's gain).
const MIN_PATH_MTU: u16 = 552;

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
        let segment = match Segment::parse(packet) {
            Ok(segment) => segment,
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
            Some(id) => self.flow_ingress(now, arrival, id, (&segment, packet), out),
            None => self.listener_ingress(now, arrival, &segment, None, out),
        };
        self.flows.settle();
        ingress
    }

    fn drop_segment(&mut self, reason: super::Reason) -> Ingress {
        count(reason(&mut self.counters));
        Ingress::Consumed
    }

    fn flow_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        id: FlowId,
        (segment, packet): (&Segment, &[u8]),
        out: &mut impl Output,
    ) -> Ingress {
        match self.flows.get(id).map(|flow| &flow.phase) {
            Some(Phase::HalfOpen(_)) => self.half_open_ingress(now, id, (segment, packet), out),
            Some(Phase::Open(_)) => self.connection_ingress(now, id, (segment, packet), out),
            Some(Phase::TimeWait(_)) => {
                return self.time_wait_ingress(now, arrival, id, segment, out);
            }
            None => (),
        }
        Ingress::Consumed
    }

    /// Answers a segment that nobody waits for with RST (RFC 9293 3.10.7.1), unless it is one itself or came from or
    /// for an address that no connection can have.
    pub fn refuse(&mut self, now: Instant, packet: &[u8], out: &mut impl Output) {
        let Ok(segment) = Segment::parse(packet) else {
            return;
        };
        let FlowKey { local, remote } = segment.key;
        let Some(reset) = Control::refusal(&segment) else {
            return;
        };
        if !is_unicast(remote.ip()) || !out.is_local(local.ip()) {
            return;
        }
        let path = out.path(local.ip(), remote.ip());
        if path.is_some_and(|path| reset.send(now, &path, out)) {
            count(&mut self.counters.refused);
        }
    }

    /// RFC 9293 3.10.7.2: LISTEN. `after` is where a former connection of the same name ended.
    fn listener_ingress(
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
        if !out.is_local(local.ip())
            || (out.is_local(remote.ip()) && !arrival.looped)
            || local == remote
        {
            return self.drop_segment(|counters| &mut counters.bad_address);
        }
        let Some(path) = out.path(local.ip(), remote.ip()) else {
            return self.drop_segment(|counters| &mut counters.no_route_back);
        };
        self.open_half(now, id, segment, path, after);
        Ingress::Consumed
    }

    fn open_half(
        &mut self,
        now: Instant,
        listener_id: TcpId,
        segment: &Segment,
        path: Path,
        after: Option<Seq>,
    ) {
        let mut iss = self.initial_sequence_number(now, &segment.key);
        if let Some(end) = after.filter(|end| !iss.after(*end)) {
            // RFC 1122 4.2.2.13: larger than the largest that the former connection used.
            iss = end.plus(1 << 16);
        }
        let Some(Socket {
            kind: Kind::Listener(listener),
            options,
            ..
        }) = self.sockets.get(&listener_id)
        else {
            return;
        };
        if listener.queue.len() >= listener.backlog {
            count(&mut self.counters.accept_queue_full);
            return;
        }
        let header = if segment.key.local.is_ipv4() { 40 } else { 60 };
        let half = HalfOpen {
            listener: listener_id,
            marks: (0, 0),
            syn: *segment,
            iss,
            window: u16::try_from(options.receive_buffer).unwrap_or(u16::MAX),
            mss: path.mtu.saturating_sub(header),
            since: now,
            answered: None,
            attempts: 0,
        };
        let full = listener.half_open.len() >= self.limits.half_open_per_listener;
        let oldest = if full {
            listener.half_open.oldest()
        } else {
            None
        };
        let full = self.half_open.len() >= self.limits.half_open;
        if let Some(oldest) = oldest.or_else(|| self.half_open.oldest().filter(|_| full)) {
            count(&mut self.counters.half_open_evicted);
            self.remove_flow(oldest);
        }
        let Some(id) = self
            .flows
            .insert(Flow::new(segment.key, path, Phase::HalfOpen(half)))
        else {
            return;
        };
        let Some(Socket {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(&listener_id)
        else {
            return;
        };
        let marks = (self.half_open.push(id), listener.half_open.push(id));
        if let Some(Flow {
            phase: Phase::HalfOpen(half),
            ..
        }) = self.flows.get_mut(id)
        {
            half.marks = marks;
        }
        self.flows.mark_dirty(id);
    }

    fn half_open_ingress(
        &mut self,
        now: Instant,
        id: FlowId,
        (segment, packet): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let Some(Flow {
            key,
            path,
            phase: Phase::HalfOpen(half),
            ..
        }) = self.flows.get_mut(id)
        else {
            return;
        };
        match half.receive(segment, *key) {
            Handshake::Complete => self.complete(now, id, (segment, packet), out),
            Handshake::Repeat => {
                if half.may_repeat(now) && half.syn_ack(*key).send(now, path, out) {
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
                if half.may_repeat(now) && control.send(now, path, out) {
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
        let Some(Flow {
            key,
            path,
            phase: Phase::HalfOpen(half),
            ..
        }) = self.flows.get(id)
        else {
            return;
        };
        let listener_id = half.listener;
        let Some(Socket {
            kind: Kind::Listener(listener),
            options,
            ..
        }) = self.sockets.get(&listener_id)
        else {
            return;
        };
        if listener.queue.len() >= listener.backlog {
            count(&mut self.counters.accept_queue_full);
            return;
        }
        let marks = half.marks;
        let Some(connection) = Connection::passive(now, *key, path, half, options) else {
            count(&mut self.counters.engine_refused);
            self.remove_flow(id);
            return;
        };
        self.forget_half_open(listener_id, marks);
        if let Some(flow) = self.flows.get_mut(id) {
            flow.phase = Phase::Open(Box::new(connection));
        }
        self.connection_ingress(now, id, (segment, packet), out);
        let Some(Flow {
            phase: Phase::Open(connection),
            ..
        }) = self.flows.get(id)
        else {
            return;
        };
        if !connection.was_established() {
            count(&mut self.counters.engine_refused);
            self.remove_flow(id);
            return;
        }
        count(&mut self.counters.passive_opens);
        if let Some(Socket {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(&listener_id)
        {
            listener.queue.push_back(id);
        }
        self.touch(listener_id);
    }

    fn connection_ingress(
        &mut self,
        now: Instant,
        id: FlowId,
        (segment, packet): (&Segment, &[u8]),
        out: &mut impl Output,
    ) {
        let before = self.view(id);
        if let Some(Flow {
            path,
            phase: Phase::Open(connection),
            ..
        }) = self.flows.get_mut(id)
        {
            connection.ingress(
                now,
                (segment, packet),
                path,
                &mut self.engine,
                &mut self.counters,
                out,
            );
        }
        self.flows.mark_dirty(id);
        self.tell(id, before);
        self.retire(now, id);
    }

    fn time_wait_ingress(
        &mut self,
        now: Instant,
        arrival: Arrival,
        id: FlowId,
        segment: &Segment,
        out: &mut impl Output,
    ) -> Ingress {
        let timeout = self.limits.time_wait_timeout;
        let Some(Flow {
            key,
            phase: Phase::TimeWait(time_wait),
            ..
        }) = self.flows.get_mut(id)
        else {
            return Ingress::Consumed;
        };
        let late = match time_wait.receive(segment) {
            // Only if somebody listens: otherwise the end is respected.
            Late::Reopen if self.ports.listener(key.local).is_none() => Late::Acknowledge,
            late => late,
        };
        match late {
            Late::Reopen => {
                count(&mut self.counters.time_wait_reopened);
                let end = time_wait.snd_nxt;
                self.remove_flow(id);
                return self.listener_ingress(now, arrival, segment, Some(end), out);
            }
            Late::FinAgain | Late::Acknowledge => {
                if matches!(late, Late::FinAgain) {
                    time_wait.restart(now, timeout);
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

    /// Due timers, then every flow that has something to send, as far as there is room.
    pub fn poll(&mut self, now: Instant, out: &mut impl Output) {
        // Nobody need have told that there is room: it is looked at again.
        for link in self.flows.blocked_links() {
            if out.has_room(link) {
                self.flows.unblock(link);
            }
        }
        self.flows.expire(now);
        while let Some(id) = self.flows.next_dirty() {
            self.serve(now, id, out);
        }
        self.flows.settle();
    }

    /// When [`Tcp::poll`] must be called next, if nothing else happens before. In the past: at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.flows.any_dirty() {
            Some(Instant::ZERO)
        } else {
            self.flows.next_deadline()
        }
    }

    fn serve(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        count(&mut self.counters.served);
        match self.flows.get(id).map(|flow| &flow.phase) {
            Some(Phase::HalfOpen(_)) => self.serve_half_open(now, id, out),
            Some(Phase::Open(_)) => self.serve_connection(now, id, out),
            Some(Phase::TimeWait(_)) => self.serve_time_wait(now, id, out),
            None => (),
        }
    }

    fn serve_half_open(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let Some(Flow {
            key,
            path,
            phase: Phase::HalfOpen(half),
            ..
        }) = self.flows.get_mut(id)
        else {
            return;
        };
        let end = half.since + self.limits.half_open_timeout;
        if end <= now {
            count(&mut self.counters.half_open_timeouts);
            self.remove_flow(id);
            return;
        }
        if half.due() <= now {
            if !half.syn_ack(*key).send(now, path, out) {
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

    fn serve_time_wait(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let Some(Flow {
            key,
            path,
            phase: Phase::TimeWait(time_wait),
            ..
        }) = self.flows.get_mut(id)
        else {
            return;
        };
        let until = time_wait.until;
        if until <= now {
            self.remove_flow(id);
            return;
        }
        let full = time_wait.owes_ack && !time_wait.ack(*key).send(now, path, out);
        time_wait.owes_ack = full;
        self.flows.schedule(id, Some(until));
        if full {
            self.flows.block(id);
        }
    }

    fn serve_connection(&mut self, now: Instant, id: FlowId, out: &mut impl Output) {
        let before = self.view(id);
        let Tcp {
            flows,
            engine,
            counters,
            limits,
            ..
        } = self;
        let Some(Flow {
            key,
            path,
            phase: Phase::Open(connection),
            ..
        }) = flows.get_mut(id)
        else {
            return;
        };
        let served = connection.serve(now, *key, path, limits, engine, counters, out);
        let mut deadline = connection.deadline(now, path, limits, engine);
        if served != Served::Blocked && deadline.is_some_and(|deadline| deadline <= now) {
            if served == Served::Idle {
                // It says that it has something to do and does nothing: it must not keep everyone busy.
                count(&mut counters.overdue);
            }
            deadline = Some(now + smoltcp::time::Duration::from_millis(1));
        }
        match served {
            Served::Idle => flows.schedule(id, deadline),
            Served::More => flows.mark_dirty(id),
            Served::Blocked => {
                flows.schedule(id, deadline.filter(|&deadline| deadline > now));
                flows.block(id);
            }
        }
        self.tell(id, before);
        self.retire(now, id);
    }

    /// A connection that is over leaves the flow table: for TIME-WAIT in its place, or for good. What was received
    /// stays for its socket.
    fn retire(&mut self, now: Instant, id: FlowId) {
        let Some(Flow {
            key,
            path,
            phase: Phase::Open(connection),
            ..
        }) = self.flows.get(id)
        else {
            return;
        };
        if !connection.is_over() || !self.flows.is_attached(id) {
            return;
        }
        let (key, path) = (*key, *path);
        let orphan = matches!(connection.holder, Holder::Orphan { .. });
        let time_wait = connection.is_time_wait().then(|| TimeWait {
            mark: 0,
            snd_nxt: connection.snd_nxt(),
            rcv_nxt: connection.rcv_nxt(),
            window: connection.window(),
            until: now + self.limits.time_wait_timeout,
            owes_ack: true,
            quiet_until: None,
        });
        if orphan {
            self.remove_flow(id);
        } else {
            self.flows.detach(id);
        }
        if let Some(time_wait) = time_wait {
            self.enter_time_wait(key, path, time_wait);
        }
    }

    fn enter_time_wait(&mut self, key: FlowKey, path: Path, time_wait: TimeWait) {
        let until = time_wait.until;
        let Some(id) = self
            .flows
            .insert(Flow::new(key, path, Phase::TimeWait(time_wait)))
        else {
            return;
        };
        let mark = self.time_wait.push(id);
        if let Some(Flow {
            phase: Phase::TimeWait(time_wait),
            ..
        }) = self.flows.get_mut(id)
        {
            time_wait.mark = mark;
        }
        self.flows.schedule(id, Some(until));
        self.flows.mark_dirty(id);
        if self.time_wait.len() > self.limits.time_wait
            && let Some(oldest) = self.time_wait.oldest()
        {
            count(&mut self.counters.time_wait_evicted);
            self.remove_flow(oldest);
        }
    }

    /// Takes a flow out, and out of every list that bounds its kind.
    pub(super) fn remove_flow(&mut self, id: FlowId) {
        match self.flows.remove(id).map(|flow| flow.phase) {
            Some(Phase::HalfOpen(half)) => self.forget_half_open(half.listener, half.marks),
            Some(Phase::TimeWait(time_wait)) => self.time_wait.remove(time_wait.mark),
            Some(Phase::Open(connection)) => {
                if let Holder::Orphan { mark, .. } = connection.holder {
                    self.orphans.remove(mark);
                }
            }
            None => (),
        }
    }

    fn forget_half_open(&mut self, listener: TcpId, (mark, listener_mark): (u64, u64)) {
        self.half_open.remove(mark);
        if let Some(Socket {
            kind: Kind::Listener(Listener { half_open, .. }),
            ..
        }) = self.sockets.get_mut(&listener)
        {
            half_open.remove(listener_mark);
        }
    }

    /// A link that had no room has some again: its flows go on at the next [`Tcp::poll`].
    pub fn room_again(&mut self, link: LinkId) {
        self.flows.unblock(link);
    }

    /// An adapter has gone: its flows end with [`SocketError::NetworkDown`].
    pub fn link_gone(&mut self, now: Instant, link: LinkId) {
        self.flows.unblock(link);
        self.fail_where(now, SocketError::NetworkDown, |flow| flow.path.link == link);
    }

    /// An address is no longer ours: its flows end with [`SocketError::ConnectionAborted`], without a word to the
    /// peer, to whom nothing can be said any more.
    pub fn address_gone(&mut self, now: Instant, address: IpAddr) {
        self.fail_where(now, SocketError::ConnectionAborted, |flow| {
            flow.key.local.ip() == address
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
            let Some(flow) = self.flows.get_mut(id) else {
                continue;
            };
            if let Phase::Open(connection) = &mut flow.phase {
                connection.fail(Some(error));
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
        let _ = now;
        let ids: Vec<FlowId> = self.flows.ids().collect();
        for id in ids {
            let Some(flow) = self.flows.get_mut(id) else {
                continue;
            };
            let Some(path) = out.path(flow.key.local.ip(), flow.key.remote.ip()) else {
                continue;
            };
            if path != flow.path {
                flow.path = path;
                self.flows.release(id);
            }
        }
    }

    /// An ICMP error that quotes a segment from `local` to `remote` with this sequence number: believed only if the
    /// segment may still be on its way (RFC 5927 4.1).
    pub fn icmp_error(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        sequence: u32,
        error: IcmpError,
    ) {
        let key = FlowKey { local, remote };
        let Some(id) = self.flows.find(&key) else {
            return;
        };
        let before = self.view(id);
        let Some(Flow {
            path,
            phase: Phase::Open(connection),
            ..
        }) = self.flows.get_mut(id)
        else {
            return;
        };
        if !connection.is_in_flight(Seq(sequence)) {
            count(&mut self.counters.icmp_not_in_flight);
            return;
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
            IcmpError::PacketTooBig { mtu } => path.mtu = path_mtu(path.mtu, mtu),
        }
        self.flows.mark_dirty(id);
        self.tell(id, before);
        self.retire(now, id);
    }
}

/// RFC 1191: the path MTU after a router named `told`, in bytes. It never grows by such a message.
fn path_mtu(current: u16, told: u16) -> u16 {
    let told = if told == 0 {
        PLATEAUS
            .into_iter()
            .find(|&plateau| plateau < current)
            .unwrap_or(0)
    } else {
        told
    };
    // Steps of four keep the number of different MTUs, and with it of interfaces, small.
    told.max(MIN_PATH_MTU).min(current) & !3
}
