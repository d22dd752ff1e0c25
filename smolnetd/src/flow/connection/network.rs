//! The network's side of a connection.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

use super::{Connection, Context, Holder, Served, mss_for};
use crate::counters::count;
use crate::engine::Wire;
use crate::error::SocketError;
use crate::flow::FlowKey;
use crate::flow::congestion::DUPLICATES;
use crate::flow::segment::{Control, Segment, tcp_in};
use crate::flow::sequence::Seq;
use crate::guard::{Repair, Standing, Verdict};
use crate::output::{Output, Path};
use crate::socket::tcp::Reason;

/// Segments that a flow may emit before the next flow's turn.
const QUANTUM: usize = 32;
/// A connection attempt that has no answer after this long has sent its SYN twice.
const SECOND_SYN: Duration = Duration::from_secs(2);

impl Connection {
    /// A segment of this connection came in.
    pub fn ingress<O: Output>(
        &mut self,
        cx: &mut Context<'_, O>,
        segment: &Segment,
        packet: &[u8],
    ) {
        let standing = Standing {
            state: self.state(),
            una: self.una(),
            rcv_nxt: self.rcv_nxt(),
            unacknowledged: self.socket().send_queue(),
        };
        if self.refuses_data(segment, standing) {
            count(&mut cx.counters.data_after_close);
            self.abort(None);
            return;
        }
        match self.guard.judge(segment, standing) {
            Verdict::Pass => self.feed(cx, segment, packet),
            Verdict::Repair(repair) => {
                if repair.clear_fin || repair.ack.is_some() {
                    count(&mut cx.counters.repaired);
                }
                if let Some(copy) = repaired(packet, repair) {
                    self.feed(cx, segment, &copy);
                }
            }
            Verdict::Challenge(reason) => self.challenge(cx, reason),
            Verdict::Drop(reason) => count(reason(cx.counters)),
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
            && segment
                .ack
                .is_some_and(|ack| !ack.before(at.una) && !ack.after(self.guard.snd_nxt()))
    }

    fn feed<O: Output>(&mut self, cx: &mut Context<'_, O>, segment: &Segment, packet: &[u8]) {
        let before = self.socket().state();
        self.heard = cx.now;
        let lost = self.hand_over(cx, packet);
        // In SYN-SENT the reply was a RST: the peer will ask for it again.
        self.owes_ack |= lost && before != State::SynSent;
        let after = self.socket().state();
        if before == State::SynSent && matches!(after, State::Established | State::SynReceived) {
            self.irs = Some(segment.seq);
            self.guard.peer_syn(segment);
        }
        self.established |= !matches!(
            after,
            State::SynSent | State::SynReceived | State::Closed | State::Listen
        );
        if after == State::Closed && before != State::Closed && segment.control == TcpControl::Rst {
            self.error = match before {
                State::SynSent | State::SynReceived => Some(SocketError::ConnectionRefused),
                State::LastAck | State::Closing => None,
                _ => Some(SocketError::ConnectionReset),
            };
        }
        self.advance(cx);
        self.steer(cx);
    }

    /// Gives smoltcp a packet. True if a reply was owed at once and found no room.
    fn hand_over<O: Output>(&mut self, cx: &mut Context<'_, O>, packet: &[u8]) -> bool {
        let path = self.way(cx.path);
        let mut wire = Wire::new(cx.now, &path, cx.out, &mut self.guard);
        cx.engine.ingress(&mut self.set, packet, &mut wire);
        wire.reply_lost
    }

    /// The path as the socket's owner wants it.
    fn way(&self, path: &Path) -> Path {
        Path {
            hop_limit: self.socket().hop_limit().unwrap_or(path.hop_limit),
            ..*path
        }
    }

    /// Notes how far the peer has acknowledged.
    fn advance<O: Output>(&mut self, cx: &mut Context<'_, O>) {
        let una = self.una();
        self.guard.acknowledged_to(una);
        if una.after(self.una) {
            self.una = una;
            self.progress = cx.now;
            self.soft_error = None;
            cx.out.confirm(cx.now, cx.path);
        }
    }

    /// Has smoltcp do what congestion control wants, in the only language that it understands: acknowledgements that
    /// say nothing new but the window, or, three times the same, that something was lost.
    fn steer<O: Output>(&mut self, cx: &mut Context<'_, O>) {
        let in_vain = self.is_connecting() && cx.now >= self.opened + SECOND_SYN;
        if self.guard.congestion().take_stuck() || in_vain {
            cx.out.doubt(cx.now, cx.path);
        }
        let show = self.guard.congestion().take_showing();
        let resend = self.guard.congestion().take_resend();
        // In LAST-ACK smoltcp takes no window from what acknowledges nothing.
        let hears = matches!(
            self.socket().state(),
            State::Established | State::FinWait1 | State::CloseWait | State::Closing
        );
        if !hears {
            return;
        }
        if resend {
            // Another window first: whatever was counted as duplicate before is forgotten, and three will be three.
            let window = self.guard.window_to_show();
            let other = if window > 1 { window - 1 } else { 2 };
            self.hint(cx, other);
            self.hint(cx, window);
            for _ in 0..DUPLICATES {
                self.hint(cx, window);
            }
        } else if show {
            let window = self.guard.window_to_show();
            self.hint(cx, window);
        }
    }

    /// Has smoltcp hear an acknowledgement of what it knows to be acknowledged, with this window.
    fn hint<O: Output>(&mut self, cx: &mut Context<'_, O>, window: u16) {
        let peer = FlowKey {
            local: cx.key.remote,
            remote: cx.key.local,
        };
        let ack = Control::ack(peer, self.rcv_nxt(), self.una(), window);
        let mut packet = vec![0; ack.length()];
        ack.write(&mut packet);
        self.hand_over(cx, &packet);
    }

    /// RFC 5961 section 7: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, but not too often.
    fn challenge<O: Output>(&mut self, cx: &mut Context<'_, O>, reason: Reason) {
        count(reason(cx.counters));
        if !self.guard.may_challenge(cx.now) {
            count(&mut cx.counters.challenges_suppressed);
        } else if self.acknowledge(cx) {
            count(&mut cx.counters.challenges);
        } else {
            self.owes_ack = true;
        }
    }

    fn acknowledge<O: Output>(&self, cx: &mut Context<'_, O>) -> bool {
        let seq = self.guard.ack_seq(self.una());
        Control::ack(cx.key, seq, self.rcv_nxt(), self.window()).send(cx.now, cx.path, cx.out)
    }

    /// Ends what has taken too long, then emits what is to be sent, as far as there is room and others may wait.
    pub fn serve<O: Output>(&mut self, cx: &mut Context<'_, O>) -> Served {
        self.time_out(cx);
        if self.owes_ack && self.state() != State::Closed {
            if !self.acknowledge(cx) {
                return Served::Blocked;
            }
            self.owes_ack = false;
        }
        let path = self.way(cx.path);
        self.guard.start_run();
        for _ in 0..QUANTUM {
            if self.guard.runs_wild() {
                count(&mut cx.counters.engine_storms);
                self.fail(Some(SocketError::ConnectionAborted));
            }
            if self.is_over() {
                return Served::Idle;
            }
            self.steer(cx);
            let mut wire = Wire::new(cx.now, &path, cx.out, &mut self.guard);
            let emitted = cx.engine.egress(&mut self.set, &mut wire);
            if wire.starved {
                return self.starve(cx);
            }
            cx.counters.segments_sent = cx.counters.segments_sent.wrapping_add(wire.emitted as u64);
            if !emitted {
                return Served::Idle;
            }
        }
        Served::More
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

    /// There is no room for what smoltcp has to send. A RST does not wait for it if patience has ended.
    fn starve<O>(&mut self, cx: &Context<'_, O>) -> Served {
        let is_late = self.patience(cx.limits).is_some_and(|at| at <= cx.now);
        if is_late && self.state() == State::Closed {
            self.fail(None);
            return Served::Idle;
        }
        Served::Blocked
    }

    /// The path carries packets of `mtu` bytes only.
    pub fn limit_mtu(&mut self, mtu: u16) {
        let mss = mss_for(mtu, self.headers);
        self.guard.congestion().limit_mss(mss);
    }

    /// Another way leads to the peer: what did not arrive by the former one is tried again.
    pub fn path_changed(&mut self) {
        let una = self.una();
        self.guard.congestion().path_changed(una);
    }

    /// What is on its way does not arrive: it is to be sent again, at once. That it does not is `news`, or was known
    /// and may be under repair.
    pub fn send_again(&mut self, news: bool) {
        let (una, end) = (self.una(), self.guard.snd_nxt());
        self.guard.congestion().path_lost(una, end, news);
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
