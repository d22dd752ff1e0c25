//! What leaves, and in which order: RFC 9293 3.8.4 to 3.8.6, and what [`Recovery`] wants sent again.
//!
//! [`Connection::next`] decides and touches nothing; then, if the link has room, the segment is written where it will be
//! sent from, its data straight out of the send buffer.
//!
//! [`Recovery`]: crate::flow::recovery::Recovery

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::{Connection, Context, Served};
use crate::counters::count;
use crate::flow::recovery::Fired;
use crate::flow::segment::{Control, SackBlocks};
use crate::flow::sequence::Seq;
use crate::flow::state::State;
use crate::output::{Output, Path};

/// Segments that a flow may emit before the next flow's turn.
const QUANTUM: usize = 32;

/// A connection attempt that has no answer after this long has sent its SYN twice.
const SECOND_SYN: Duration = Duration::from_secs(2);

/// What a connection sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// <SEQ=ISS><CTL=SYN>
    Syn,
    /// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
    SynAck,
    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
    Ack,
    /// <SEQ=SND.NXT-1><ACK=RCV.NXT><CTL=ACK>, which nobody finds acceptable and everybody answers: into a closed window.
    WindowProbe,
    /// The same, into silence (RFC 9293 3.8.4).
    KeepAlive,
    /// Data, a FIN, or both.
    Text(Text),
}

/// A part of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) seq: Seq,
    /// Octets of data.
    pub(super) data: usize,
    /// And a FIN behind them.
    pub(super) fin: bool,
}

impl Text {
    /// Octets of sequence space.
    fn length(self) -> usize {
        self.data.saturating_add(usize::from(self.fin))
    }
}

impl Connection {
    /// Ends what has taken too long, then emits what is to be sent, as far as there is room and others may wait.
    pub fn serve<O: Output>(&mut self, cx: &mut Context<'_, O>) -> Served {
        self.time_out(cx);
        if self.owes_reset {
            return self.send_reset(cx);
        }
        if self.is_over() {
            return Served::Idle;
        }
        self.fire(cx);
        let path = self.way(cx.path);
        for _ in 0..QUANTUM {
            let Some(next) = self.next(cx.now) else {
                self.arm_persist(cx.now);
                return Served::Idle;
            };
            if !cx.out.has_room(path.link) {
                return Served::Blocked;
            }
            self.emit(cx, &path, next);
        }
        Served::More
    }

    /// The path as the socket's owner wants it.
    pub(super) fn way(&self, path: &Path) -> Path {
        Path {
            hop_limit: self.settings.hop_limit.unwrap_or(path.hop_limit),
            ..*path
        }
    }

    /// The retransmission timer and its companions.
    fn fire<O: Output>(&mut self, cx: &mut Context<'_, O>) {
        let mut in_vain = false;
        while let Some(fired) = self.recovery.expire(cx.now) {
            if fired == Fired::Timeout {
                count(&mut cx.counters.retransmission_timeouts);
                in_vain |= self.is_connecting() && cx.now >= self.timers.opened() + SECOND_SYN;
            }
        }
        if self.recovery.take_stuck() || in_vain {
            cx.out.doubt(cx.now, cx.path);
        }
    }

    /// What is to be sent next, in the order of importance.
    pub(super) fn next(&self, now: Instant) -> Option<Next> {
        let lost = self.recovery.next_lost();
        match self.state {
            State::SynSent => {
                let first = self.snd_nxt() == self.iss;
                return (first || lost.is_some()).then_some(Next::Syn);
            }
            State::SynReceived if self.owes_syn_ack || lost.is_some() => {
                return Some(Next::SynAck);
            }
            _ => (),
        }
        let due = self.acks.is_due(now);
        if due && self.reports_blocks() {
            // On its own: segments of data have no options, so that all have one size.
            return Some(Next::Ack);
        }
        lost.and_then(|(seq, length)| self.part(seq, length))
            .or_else(|| self.new_text(now))
            .or_else(|| {
                let (seq, length) = self.recovery.next_probe()?;
                self.part(seq, length)
            })
            .map(Next::Text)
            .or_else(|| self.persist(now))
            .or_else(|| self.wants_keep_alive(now).then_some(Next::KeepAlive))
            .or_else(|| due.then_some(Next::Ack))
    }

    /// The segment of `length` octets from `seq` on, of what was sent before. A path may be narrower than the least that
    /// [`Recovery`](crate::flow::recovery::Recovery) reckons with.
    fn part(&self, seq: Seq, length: usize) -> Option<Text> {
        let seq = seq.latest(self.snd_una());
        let left = usize::try_from(self.written_end().since(seq)).unwrap_or(0);
        let data = length.min(left).min(self.mss());
        let text = Text {
            seq,
            data,
            fin: self.state.owes_fin() && length > left && data == left,
        };
        (text.length() > 0).then_some(text)
    }

    /// Octets that were written and have not left, and whether a FIN follows that has not left either.
    pub(super) fn unsent(&self) -> (usize, bool) {
        let left = self.written_end().since(self.snd_nxt());
        (
            usize::try_from(left).unwrap_or(0),
            self.state.owes_fin() && left >= 0,
        )
    }

    /// Octets of the peer's window that are not used yet: SND.UNA + SND.WND - SND.NXT.
    pub(super) fn usable_window(&self) -> usize {
        let end = self.snd_una().plus(self.snd_wnd as usize);
        usize::try_from(end.since(self.snd_nxt())).unwrap_or(0)
    }

    /// The next new segment that is worth sending and may leave.
    fn new_text(&self, now: Instant) -> Option<Text> {
        let (unsent, owes_fin) = self.unsent();
        let usable = self.usable_window();
        let data = unsent.min(self.mss()).min(usable);
        let text = Text {
            seq: self.snd_nxt(),
            data,
            fin: owes_fin && data == unsent && data < usable,
        };
        let may = text.length() > 0
            && self.is_worth_sending(text, unsent)
            // A FIN weighs nothing: the window of one segment is as large as a full one.
            && text.data.max(1) <= self.recovery.allowance(now);
        may.then_some(text)
    }

    /// RFC 9293 3.8.6.2.1 (sender's silly window syndrome) and 3.7.4 (Nagle): a full segment; or all there is, when
    /// nothing is on its way, or nobody wants to wait, or nothing will follow it; or half of the largest window seen.
    fn is_worth_sending(&self, text: Text, unsent: usize) -> bool {
        let alone = !self.is_in_flight() || self.settings.no_delay;
        let half = self.max_snd_wnd as usize / 2;
        text.data >= self.mss()
            || text.fin
            || alone && (text.data == unsent || text.data >= half.max(1))
    }

    fn emit<O: Output>(&mut self, cx: &mut Context<'_, O>, path: &Path, next: Next) {
        let header = self.header(cx, path, next);
        cx.counters.segments_sent = cx.counters.segments_sent.wrapping_add(1);
        if next == Next::WindowProbe {
            count(&mut cx.counters.window_probes);
        }
        let Next::Text(text) = next else {
            header.send(cx.now, path, cx.out);
            return self.has_sent(cx.now, next);
        };
        let outgoing = &self.outgoing;
        let offset = usize::try_from(text.seq.since(self.recovery.una())).unwrap_or(0);
        header.send_with(cx.now, path, cx.out, text.data, |slot| {
            outgoing.copy(offset, slot);
        });
        self.has_sent(cx.now, next);
    }

    fn header<O>(&mut self, cx: &Context<'_, O>, path: &Path, next: Next) -> Control {
        self.restrain_window();
        let seq = self.seq_of(next);
        let window = match next {
            // RFC 7323 2.2: never scaled.
            Next::Syn | Next::SynAck => {
                self.syn_window = self.window.syn();
                self.syn_window
            }
            _ => self
                .window
                .advertise(self.rcv_nxt, self.incoming.unread(), self.path_mss),
        };
        let mut header = Control {
            hop_limit: path.hop_limit,
            traffic_class: self.settings.traffic_class,
            ..Control::ack(cx.key, seq, self.rcv_nxt, window)
        };
        match next {
            Next::Syn => {
                header.ack = None;
                self.add_syn_options(&mut header, true, true);
            }
            Next::SynAck => self.add_syn_options(&mut header, self.scaling.is_some(), self.sack),
            Next::Ack if self.sack => header.sack = self.blocks(),
            Next::Ack | Next::WindowProbe | Next::KeepAlive => (),
            Next::Text(text) => {
                header.push = text.data > 0 && text.seq.plus(text.data) == self.written_end();
                if text.fin {
                    header.control = TcpControl::Fin;
                }
            }
        }
        header
    }

    fn seq_of(&self, next: Next) -> Seq {
        match next {
            Next::Syn | Next::SynAck => self.iss,
            Next::Ack => self.ack_seq(),
            Next::WindowProbe | Next::KeepAlive => self.snd_nxt().minus(1),
            Next::Text(text) => text.seq,
        }
    }

    /// RFC 9293 3.7.1, RFC 7323 2.2, RFC 2018 section 2.
    fn add_syn_options(&self, header: &mut Control, scale: bool, sack: bool) {
        header.control = TcpControl::Syn;
        header.mss = Some(u16::try_from(self.path_mss).unwrap_or(u16::MAX));
        header.window_scale = scale.then_some(self.syn_shift);
        header.sack_permitted = sack;
    }

    /// SND.NXT for a segment without data; but not beyond the peer's window, if that has shrunk, or it would not be
    /// acceptable to it. A window that only lost what its shift cannot say has not (RFC 7323 2.4).
    fn ack_seq(&self) -> Seq {
        let end = self.snd_una().plus(self.snd_wnd as usize);
        let unit = 1 << self.scaling.map_or(0, |scaling| scaling.theirs.min(14));
        if self.snd_nxt().since(end) < unit {
            self.snd_nxt()
        } else {
            end
        }
    }

    fn reports_blocks(&self) -> bool {
        self.sack && (self.incoming.out_of_order() > 0 || self.acks.reports_duplicate())
    }

    /// RFC 2018 section 4, RFC 2883.
    fn blocks(&self) -> SackBlocks {
        let blocks = self.incoming.blocks().into_iter().flatten();
        self.acks.blocks(
            blocks.map(|block| (self.rcv_nxt.plus(block.start), self.rcv_nxt.plus(block.end))),
        )
    }

    fn has_sent(&mut self, now: Instant, next: Next) {
        match next {
            Next::Syn | Next::SynAck => {
                self.syn_repeated |= next == Next::Syn && self.snd_nxt() != self.iss;
                self.owes_syn_ack = false;
                self.recovery.sent(now, self.iss, 1);
            }
            Next::Ack => (),
            Next::KeepAlive => self.timers.keep_alive(now),
            Next::WindowProbe => self.has_probed(now),
            Next::Text(text) => {
                if !self.is_in_flight() {
                    self.timers.progress(now);
                }
                self.recovery.sent(now, text.seq, text.length());
            }
        }
        if next != Next::Syn {
            self.acks.sent();
        }
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: RFC 9293 3.10.5. When patience has ended it does not wait for room.
    fn send_reset<O: Output>(&mut self, cx: &mut Context<'_, O>) -> Served {
        let path = self.way(cx.path);
        let reset = Control {
            control: TcpControl::Rst,
            hop_limit: path.hop_limit,
            ..Control::ack(cx.key, self.snd_nxt(), self.rcv_nxt, 0)
        };
        let late = self.patience(cx.limits).is_some_and(|at| at <= cx.now);
        if !reset.send(cx.now, &path, cx.out) && !late {
            return Served::Blocked;
        }
        self.owes_reset = false;
        Served::Idle
    }
}
