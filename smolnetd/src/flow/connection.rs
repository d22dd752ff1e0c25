//! A connection in smoltcp's hands, with its guard, its timeouts and the words that a socket gets from it.

use core::fmt;
use core::net::SocketAddr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::segment::{Control, Segment, tcp_in};
use super::sequence::Seq;
use super::{FlowKey, HalfOpen};
use crate::counters::count;
use crate::engine::{Engine, Wire};
use crate::error::SocketError;
use crate::guard::{Guard, Repair, Standing, Verdict};
use crate::output::{Output, Path};
use crate::socket::Readiness;
use crate::socket::tcp::{Limits, Reason, TcpCounters, TcpId, TcpOptions};

/// Segments that a flow may emit before the next flow's turn.
const QUANTUM: usize = 32;

/// A connection is given up after so many probes without an answer.
const KEEP_ALIVE_PROBES: u32 = 9;

/// Who will read what a connection receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A socket.
    Socket(TcpId),
    /// Nobody yet: it waits in this listener's accept queue.
    Queued(TcpId),
    /// Nobody any more: it delivers what was written and ends.
    Orphan {
        /// Its place in the order of age.
        mark: u64,
        /// When its socket was closed.
        since: Instant,
    },
}

/// What serving a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It has nothing more to send now.
    Idle,
    /// It has more to send, after the others.
    More,
    /// Its link is full.
    Blocked,
}

/// What a socket can see of a connection, to tell whether it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    readiness: Readiness,
    received: usize,
}

impl View {
    /// Is there anything in `after` that somebody may have waited for?
    pub fn differs(self, after: View) -> bool {
        self.readiness != after.readiness || after.received > self.received
    }
}

/// A connection in any state from SYN-SENT on, or what is left of it for its socket to read.
pub struct Connection {
    set: SocketSet<'static>,
    handle: SocketHandle,
    guard: Guard,
    /// Who will read what it receives.
    pub holder: Holder,
    /// IRS, once known.
    irs: Option<Seq>,
    /// Octets read by the socket, on the circle of sequence numbers.
    consumed: u32,
    /// Octets written by the socket, likewise.
    written: u32,
    established: bool,
    over: bool,
    read_shut: bool,
    owes_ack: bool,
    error: Option<SocketError>,
    soft_error: Option<SocketError>,
    opened: Instant,
    heard: Instant,
    progress: Instant,
    una: Seq,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state())
            .field("holder", &self.holder)
            .field("guard", &self.guard)
            .field("received", &self.socket().recv_queue())
            .field("unacknowledged", &self.socket().send_queue())
            .field("error", &self.error)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn new(iss: Seq, mtu: u16, options: &TcpOptions, holder: Holder, now: Instant) -> Connection {
        // facts of smoltcp 0.14: from 65536 on it panics when a peer that scales windows fills the buffer.
        let receive = options.receive_buffer.clamp(1, usize::from(u16::MAX));
        let buffers = (SocketBuffer::new(vec![0; receive]), SocketBuffer::new(vec![0; options.send_buffer.max(1)]));
        let mut socket = Socket::new(buffers.0, buffers.1);
        socket.set_nagle_enabled(!options.no_delay);
        socket.set_keep_alive(options.keep_alive);
        socket.set_hop_limit(options.hop_limit);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        let step = usize::from(mtu.saturating_sub(40)).min(receive / 2).max(1);
        Connection {
            set,
            handle,
            guard: Guard::new(iss, step),
            holder,
            irs: None,
            consumed: 0,
            written: 0,
            established: false,
            over: false,
            read_shut: false,
            owes_ack: false,
            error: None,
            soft_error: None,
            opened: now,
            heard: now,
            progress: now,
            una: iss,
        }
    }

    /// An active open: its SYN leaves when it is served.
    ///
    /// # Errors
    /// The addresses are not such that a connection can be between them.
    pub fn active(
        now: Instant,
        key: FlowKey,
        path: &Path,
        iss: Seq,
        options: &TcpOptions,
        holder: Holder,
    ) -> Result<Connection, SocketError> {
        let mut connection = Connection::new(iss, path.mtu, options, holder, now);
        Engine::connect(now, path.mtu, connection.socket_mut(), key.local, key.remote, iss)
            .map_err(|_| SocketError::AddressNotAvailable)?;
        Ok(connection)
    }

    /// A passive open whose handshake is complete but for the ACK that is at hand. None if smoltcp does not see it so.
    pub fn passive(
        now: Instant,
        key: FlowKey,
        path: &Path,
        half: &HalfOpen,
        options: &TcpOptions,
    ) -> Option<Connection> {
        let mut connection = Connection::new(half.iss, path.mtu, options, Holder::Queued(half.listener), now);
        let syn = half.syn(key);
        let mut packet = vec![0; syn.length()];
        syn.write(&mut packet);
        connection.guard.peer_syn(&half.syn);
        connection.irs = Some(half.irs());
        // RFC 6298 section 3 (Karn): a SYN-ACK that was sent more than once measures nothing.
        let answered = if half.attempts == 1 { half.answered.unwrap_or(now) } else { now };
        let socket = (&mut connection.set, connection.handle);
        let guard = &mut connection.guard;
        let times = (half.since.min(answered), answered);
        Engine::replay_handshake(times, path.mtu, socket, key.local, &packet, guard).then_some(connection)
    }

    fn socket(&self) -> &Socket<'static> {
        self.set.get(self.handle)
    }

    fn socket_mut(&mut self) -> &mut Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The connection's state in the words of RFC 9293 3.3.2.
    pub fn state(&self) -> State {
        if self.over { State::Closed } else { self.socket().state() }
    }

    /// Has nothing come of it yet?
    pub fn is_connecting(&self) -> bool {
        !self.over && matches!(self.socket().state(), State::SynSent | State::SynReceived)
    }

    /// Was it ever established?
    pub fn was_established(&self) -> bool {
        self.established
    }

    /// Has smoltcp nothing more to do with it?
    pub fn is_over(&self) -> bool {
        self.over
            || match self.socket().state() {
                State::TimeWait => true,
                // With an address left, a RST is still to be sent.
                State::Closed => self.socket().remote_endpoint().is_none(),
                _ => false,
            }
    }

    /// Did it end as RFC 9293 wants it, with TIME-WAIT to come?
    pub fn is_time_wait(&self) -> bool {
        !self.over && self.socket().state() == State::TimeWait
    }

    /// RCV.NXT
    pub fn rcv_nxt(&self) -> Seq {
        let fin = match self.socket().state() {
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait => 1,
            _ => 0,
        };
        let Some(irs) = self.irs else { return Seq::default() };
        irs.plus(1).plus(self.consumed as usize).plus(self.socket().recv_queue()).plus(fin)
    }

    /// SND.UNA
    pub fn una(&self) -> Seq {
        let (syn, fin) = match self.socket().state() {
            State::SynSent | State::SynReceived => (0, 0),
            State::FinWait2 | State::TimeWait => (1, 1),
            _ => (1, 0),
        };
        let acknowledged = self.written as usize + syn + fin;
        self.guard.iss().plus(acknowledged).minus(self.socket().send_queue())
    }

    /// SND.NXT
    pub fn snd_nxt(&self) -> Seq {
        self.guard.snd_nxt()
    }

    /// The window that the peer was told last, in bytes.
    pub fn window(&self) -> u16 {
        self.guard.window(self.rcv_nxt())
    }

    /// What a socket can see of it.
    pub fn view(&self) -> View {
        View { readiness: self.readiness(), received: self.socket().recv_queue() }
    }

    /// Which calls would not block.
    pub fn readiness(&self) -> Readiness {
        if self.error.is_some() || self.is_over() {
            return Readiness::BOTH;
        }
        if self.is_connecting() {
            return Readiness::default();
        }
        let socket = self.socket();
        let room = socket.send_capacity().saturating_sub(socket.send_queue());
        // Not for every segment that is acknowledged: a writer is woken for something worth writing.
        let enough = socket.send_capacity().div_ceil(4);
        Readiness {
            readable: socket.can_recv() || self.read_shut || !socket.may_recv(),
            writable: !socket.may_send() || room >= enough,
        }
    }

    /// The pending error, once.
    pub fn take_error(&mut self) -> Option<SocketError> {
        self.error.take()
    }

    /// Reads, or looks at, what was received; 0 is the end of the stream. Data that came before an error is read
    /// before it.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`], the pending error, or [`SocketError::NotConnected`].
    pub fn receive(&mut self, buffer: &mut [u8], peek: bool) -> Result<usize, SocketError> {
        if buffer.is_empty() && self.error.is_none() {
            return Ok(0);
        }
        if self.socket().can_recv() {
            if peek {
                return self.socket_mut().peek_slice(buffer).map_err(|_| SocketError::NotConnected);
            }
            let length = self.socket_mut().recv_slice(buffer).map_err(|_| SocketError::NotConnected)?;
            self.consumed = self.consumed.wrapping_add(length as u32);
            return Ok(length);
        }
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        if !self.established {
            return Err(SocketError::NotConnected);
        }
        if self.read_shut || self.is_over() || !self.socket().may_recv() {
            return Ok(0);
        }
        Err(SocketError::WouldBlock)
    }

    /// Queues what fits of `data`.
    ///
    /// # Errors
    /// [`SocketError::WouldBlock`] if nothing fits, the pending error, [`SocketError::BrokenPipe`] after the sending
    /// side was shut down or the connection ended, [`SocketError::NotConnected`] if it never began.
    pub fn send(&mut self, now: Instant, data: &[u8]) -> Result<usize, SocketError> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        if self.is_connecting() {
            return Err(SocketError::WouldBlock);
        }
        if !self.established {
            return Err(SocketError::NotConnected);
        }
        if self.is_over() || !self.socket().may_send() {
            return Err(SocketError::BrokenPipe);
        }
        if self.socket().send_queue() == 0 {
            self.progress = now;
        }
        let length = self.socket_mut().send_slice(data).map_err(|_| SocketError::BrokenPipe)?;
        self.written = self.written.wrapping_add(length as u32);
        if length == 0 && !data.is_empty() { Err(SocketError::WouldBlock) } else { Ok(length) }
    }

    /// Nothing is read any more, once what is there has been.
    pub fn shut_read(&mut self) {
        self.read_shut = true;
    }

    /// FIN after what was written (RFC 9293 3.10.4).
    pub fn shut_write(&mut self, now: Instant) {
        if self.socket().may_send() {
            self.progress = now;
            self.socket_mut().close();
        }
    }

    /// Octets received that nobody has read.
    pub fn unread(&self) -> usize {
        self.socket().recv_queue()
    }

    /// RST (RFC 9293 3.10.5), if there is a peer that knows of us; it leaves when the flow is served.
    pub fn abort(&mut self, error: Option<SocketError>) {
        match self.state() {
            State::Closed => (),
            State::SynSent | State::TimeWait => self.fail(error),
            _ => {
                self.error = error.or(self.error);
                self.socket_mut().abort();
            }
        }
    }

    /// The end, without a word to the peer.
    pub fn fail(&mut self, error: Option<SocketError>) {
        if !self.is_over() {
            self.error = error.or(self.error);
        }
        self.over = true;
    }

    /// Applies what a socket's options say to a connection that exists.
    pub fn apply(&mut self, options: &TcpOptions) {
        let socket = self.socket_mut();
        socket.set_nagle_enabled(!options.no_delay);
        socket.set_keep_alive(options.keep_alive);
        socket.set_hop_limit(options.hop_limit);
    }

    /// An ICMP error about a segment of ours that is on its way or not yet acknowledged (RFC 5927 4.1)?
    pub fn is_in_flight(&self, sequence: Seq) -> bool {
        !sequence.before(self.una()) && sequence.before(self.guard.snd_nxt())
    }

    /// An ICMP error that may pass (RFC 1122 4.2.3.9): remembered as the reason if the connection times out. In
    /// SYN-SENT there is nothing to lose, and it ends the attempt.
    pub fn unreachable(&mut self, error: SocketError) {
        if self.state() == State::SynSent {
            self.fail(Some(error));
        } else {
            self.soft_error = Some(error);
        }
    }
}

/// The network's side.
impl Connection {
    /// A segment of this connection came in.
    pub fn ingress(
        &mut self,
        now: Instant,
        (segment, packet): (&Segment, &[u8]),
        path: &Path,
        engine: &mut Engine,
        counters: &mut TcpCounters,
        out: &mut impl Output,
    ) {
        let standing = Standing {
            state: self.state(),
            una: self.una(),
            rcv_nxt: self.rcv_nxt(),
            unacknowledged: self.socket().send_queue(),
        };
        if self.refuses_data(segment, standing) {
            count(&mut counters.data_after_close);
            self.abort(None);
            return;
        }
        match self.guard.judge(segment, standing) {
            Verdict::Pass => self.feed(now, segment, packet, path, engine, out),
            Verdict::Repair(repair) => {
                count(&mut counters.repaired);
                if let Some(copy) = repaired(packet, repair) {
                    self.feed(now, segment, &copy, path, engine, out);
                }
            }
            Verdict::Challenge(reason) => self.challenge(now, segment, reason, path, counters, out),
            Verdict::Drop(reason) => count(reason(counters)),
        }
    }

    /// RFC 1122 4.2.2.13: new data that nobody will ever read is refused with RST.
    fn refuses_data(&self, segment: &Segment, at: Standing) -> bool {
        matches!(self.holder, Holder::Orphan { .. })
            && matches!(at.state, State::FinWait1 | State::FinWait2)
            && segment.control != TcpControl::Rst
            && segment.control != TcpControl::Syn
            && segment.data > 0
            && segment.seq.since(at.rcv_nxt) <= 0
            && segment.seq.plus(segment.data).after(at.rcv_nxt)
            && segment.ack.is_some_and(|ack| !ack.before(at.una) && !ack.after(self.guard.snd_nxt()))
    }

    fn feed(
        &mut self,
        now: Instant,
        segment: &Segment,
        packet: &[u8],
        path: &Path,
        engine: &mut Engine,
        out: &mut impl Output,
    ) {
        let before = self.socket().state();
        self.heard = now;
        let mut wire = Wire::new(now, path, out, &mut self.guard);
        engine.ingress(&mut self.set, packet, &mut wire);
        // In SYN-SENT the reply was a RST: the peer will ask for it again.
        self.owes_ack |= wire.reply_lost && before != State::SynSent;
        let after = self.socket().state();
        if before == State::SynSent && matches!(after, State::Established | State::SynReceived) {
            self.irs = Some(segment.seq);
            self.guard.peer_syn(segment);
        }
        self.established |= !matches!(after, State::SynSent | State::SynReceived | State::Closed | State::Listen);
        if after == State::Closed && before != State::Closed && segment.control == TcpControl::Rst {
            self.error = match before {
                State::SynSent | State::SynReceived => Some(SocketError::ConnectionRefused),
                State::LastAck | State::Closing => None,
                _ => Some(SocketError::ConnectionReset),
            };
        }
        let una = self.una();
        if una.after(self.una) {
            self.una = una;
            self.progress = now;
            self.soft_error = None;
            out.confirm(now, path);
        }
    }

    /// RFC 5961 section 7: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, but not too often.
    fn challenge(
        &mut self,
        now: Instant,
        segment: &Segment,
        reason: Reason,
        path: &Path,
        counters: &mut TcpCounters,
        out: &mut impl Output,
    ) {
        count(reason(counters));
        if !self.guard.may_challenge(now) {
            count(&mut counters.challenges_suppressed);
        } else if self.acknowledge(now, segment.key, path, out) {
            count(&mut counters.challenges);
        } else {
            self.owes_ack = true;
        }
    }

    fn acknowledge(&self, now: Instant, key: FlowKey, path: &Path, out: &mut impl Output) -> bool {
        let seq = self.guard.ack_seq(self.una());
        Control::ack(key, seq, self.rcv_nxt(), self.window()).send(now, path, out)
    }

    /// Ends what has taken too long, then emits what is to be sent, as far as there is room and others may wait.
    pub fn serve(
        &mut self,
        now: Instant,
        key: FlowKey,
        path: &Path,
        limits: &Limits,
        engine: &mut Engine,
        counters: &mut TcpCounters,
        out: &mut impl Output,
    ) -> Served {
        self.time_out(now, limits, counters);
        if self.owes_ack && self.state() != State::Closed {
            if !self.acknowledge(now, key, path, out) {
                return Served::Blocked;
            }
            self.owes_ack = false;
        }
        self.guard.start_run();
        for _ in 0..QUANTUM {
            if self.guard.runs_wild() {
                count(&mut counters.engine_storms);
                self.fail(Some(SocketError::ConnectionAborted));
            }
            if self.is_over() {
                return Served::Idle;
            }
            let mut wire = Wire::new(now, path, out, &mut self.guard);
            let emitted = engine.egress(&mut self.set, &mut wire);
            if wire.starved {
                return Served::Blocked;
            }
            counters.segments_sent = counters.segments_sent.wrapping_add(wire.emitted as u64);
            if !emitted {
                return Served::Idle;
            }
        }
        Served::More
    }

    /// Is anything sent, or to be sent, that the peer must acknowledge?
    fn awaits_ack(&self) -> bool {
        self.socket().send_queue() > 0
            || matches!(self.socket().state(), State::FinWait1 | State::Closing | State::LastAck)
    }

    /// Its own deadlines, besides smoltcp's: each with what is to be said when it has passed.
    fn timeouts(&self, limits: &Limits) -> impl Iterator<Item = (Instant, Reason)> + use<> {
        let connecting: (Option<Instant>, Reason) = (
            self.is_connecting().then(|| self.opened + limits.connect_timeout),
            |counters| &mut counters.connect_timeouts,
        );
        let unanswered: (Option<Instant>, Reason) = (
            self.awaits_ack().then(|| self.heard.max(self.progress) + limits.retransmit_timeout),
            |counters| &mut counters.retransmit_timeouts,
        );
        let orphaned: (Option<Instant>, Reason) = (
            match self.holder {
                Holder::Orphan { since, .. } => {
                    let stalled = self.progress.max(since) + limits.orphan_timeout;
                    Some(stalled.min(since + limits.orphan_lifetime))
                }
                _ => None,
            },
            |counters| &mut counters.orphan_timeouts,
        );
        let silent: (Option<Instant>, Reason) = (
            self.socket().keep_alive().filter(|_| self.established).map(|interval| {
                let probes = interval.total_micros().saturating_mul(u64::from(KEEP_ALIVE_PROBES) + 1);
                self.heard + Duration::from_micros(probes)
            }),
            |counters| &mut counters.keep_alive_timeouts,
        );
        [connecting, unanswered, orphaned, silent].into_iter().filter_map(|(at, reason)| Some((at?, reason)))
    }

    fn time_out(&mut self, now: Instant, limits: &Limits, counters: &mut TcpCounters) {
        if self.is_over() {
            return;
        }
        let Some((_, reason)) = self.timeouts(limits).find(|&(at, _)| at <= now) else { return };
        if self.state() == State::Closed {
            // Even the RST found no room for so long.
            self.fail(None);
            return;
        }
        count(reason(counters));
        let error = self.soft_error.unwrap_or(SocketError::TimedOut);
        self.abort(Some(error));
    }

    /// When it is to be served next, if nothing happens before.
    pub fn deadline(&mut self, now: Instant, path: &Path, limits: &Limits, engine: &mut Engine) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let own = self.timeouts(limits).map(|(at, _)| at).min();
        let engine = engine.deadline(now, path.mtu, &self.set);
        [own, engine].into_iter().flatten().min()
    }

    /// Who it is, for those that show it.
    pub fn peer(&self) -> Option<SocketAddr> {
        let remote = self.socket().remote_endpoint()?;
        Some(SocketAddr::new(remote.addr.into(), remote.port))
    }
}

/// A copy of `packet` with what `repair` says. Its checksum is not renewed: it has been verified before.
fn repaired(packet: &[u8], repair: Repair) -> Option<Vec<u8>> {
    let mut copy = packet.to_vec();
    let mut tcp = tcp_in(&mut copy)?;
    if repair.clear_fin {
        tcp.set_fin(false);
    }
    if let Some(ack) = repair.ack {
        tcp.set_ack_number(ack.into());
    }
    if let Some(window) = repair.window {
        tcp.set_window_len(window);
    }
    Some(copy)
}
