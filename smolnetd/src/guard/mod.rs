//! What may not reach smoltcp's TCP, and what may only once repaired. Not a filter without memory: each flow's guard
//! knows the sequence state of its flow, from what it saw leave and from what the socket holds.
//!
//! smoltcp 0.14 as it is would empty its send buffer for an acknowledgement of what was never sent, give up a
//! connection for any RST in the window, accept a FIN beyond the window and lose the bytes before it, answer a SYN
//! in a connection not at all, drop data that comes with an old acknowledgement, take a window from the past, and
//! offer windows of one byte. The rules below are those of RFC 9293 3.10.7.4 and RFC 5961, in their order. Congestion
//! control works from here too, by the window that smoltcp is shown.

use smoltcp::socket::tcp::State;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{TcpControl, TcpPacket};

use crate::flow::congestion::Congestion;
use crate::flow::segment::{Segment, tcp_in};
use crate::flow::sequence::Seq;
use crate::socket::tcp::Reason;

/// RFC 5961 section 7: ten challenge ACKs in five seconds, one at a time.
pub const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);

/// What is to be done with a segment.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// smoltcp may have it.
    Pass,
    /// smoltcp may have a copy with these changes.
    Repair(Repair),
    /// Dropped, and answered with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, but not too often.
    Challenge(Reason),
    /// Dropped.
    Drop(Reason),
}

/// The changes that make a segment harmless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Clear FIN: it lies beyond the window, and so does some of the data before it.
    pub clear_fin: bool,
    /// Put this acknowledgement in: the segment's own is older than what was acknowledged since.
    pub ack: Option<Seq>,
    /// Put this window in: the segment is older than the one that told the window.
    pub window: Option<u16>,
}

/// Where the socket stands, in the words of RFC 9293 3.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The connection's state.
    pub state: State,
    /// SND.UNA
    pub una: Seq,
    /// RCV.NXT
    pub rcv_nxt: Seq,
    /// Octets of data that were written and are not acknowledged yet, sent or not.
    pub unacknowledged: usize,
}

/// One flow's guard.
#[derive(Clone, Debug)]
pub struct Guard {
    /// ISS
    iss: Seq,
    /// SND.NXT at its highest: the end of everything that ever left.
    snd_nxt: Seq,
    /// SND.UNA
    una: Seq,
    /// Has anything left yet? Has a SYN left twice?
    sent: bool,
    syn_repeated: bool,
    /// How much may be on its way.
    congestion: Congestion,
    /// The window that smoltcp was shown last, in bytes.
    shown: u32,
    /// SND.WND in bytes, SND.WL1 and SND.WL2.
    snd_wnd: u32,
    snd_wl1: Seq,
    snd_wl2: Seq,
    /// MAX.SND.WND of RFC 5961 section 5.
    max_snd_wnd: u32,
    /// Snd.Wind.Shift of RFC 7323.
    peer_shift: u8,
    /// The right edge of the receive window as smoltcp last told it.
    engine_edge: Seq,
    /// The right edge of the receive window as the peer has seen it, at its furthest; none before the first.
    edge: Option<Seq>,
    /// The window that our SYN offered.
    syn_window: u16,
    /// Windows are not opened by less than this many bytes.
    window_step: u32,
    /// No challenge ACK before.
    challenge_at: Option<Instant>,
    /// Segments without data, SYN or FIN that left one after the other.
    empty_run: u32,
}

impl Guard {
    /// The guard of a flow that will start at `iss`, over a path that carries segments of `mss` bytes, into a buffer of
    /// `receive_buffer` bytes.
    pub fn new(iss: Seq, mss: usize, receive_buffer: usize) -> Guard {
        // RFC 9293 3.8.6.2.2: the smaller of a segment and half the buffer.
        let window_step = mss.min(receive_buffer / 2).max(1);
        Guard {
            iss,
            snd_nxt: iss,
            una: iss,
            sent: false,
            syn_repeated: false,
            congestion: Congestion::new(iss, mss),
            shown: 0,
            snd_wnd: 0,
            snd_wl1: Seq::default(),
            snd_wl2: Seq::default(),
            max_snd_wnd: 0,
            peer_shift: 0,
            engine_edge: Seq::default(),
            edge: None,
            syn_window: 0,
            window_step: u32::try_from(window_step).unwrap_or(u32::MAX),
            challenge_at: None,
            empty_run: 0,
        }
    }

    /// SND.UNA is now this.
    pub fn acknowledged_to(&mut self, una: Seq) {
        self.una = una;
    }

    /// The flow's congestion control.
    pub fn congestion(&mut self) -> &mut Congestion {
        &mut self.congestion
    }

    /// The window for smoltcp to see, as on the wire: the smaller of the peer's and the congestion window, and not 0
    /// unless the peer's is.
    pub fn window_to_show(&mut self) -> u16 {
        let window = u32::try_from(self.congestion.window()).unwrap_or(u32::MAX);
        let shown = (self.snd_wnd.min(window) >> self.peer_shift).max(u32::from(self.snd_wnd > 0));
        let shown = u16::try_from(shown).unwrap_or(u16::MAX);
        self.shown = u32::from(shown) << self.peer_shift;
        shown
    }

    /// ISS
    pub fn iss(&self) -> Seq {
        self.iss
    }

    /// SND.NXT at its highest.
    pub fn snd_nxt(&self) -> Seq {
        self.snd_nxt
    }

    /// The sequence number for a segment of ours without data: SND.NXT, but not beyond the peer's window, where a
    /// window probe may have taken it.
    pub fn ack_seq(&self, una: Seq) -> Seq {
        let window_end = una.plus(self.snd_wnd as usize);
        if self.snd_nxt.after(window_end) {
            window_end
        } else {
            self.snd_nxt
        }
    }

    /// The window to advertise with `rcv_nxt`: what was offered before, no more and no less.
    pub fn window(&self, rcv_nxt: Seq) -> u16 {
        let open = self.edge.map_or(0, |edge| edge.since(rcv_nxt).max(0));
        u16::try_from(open).unwrap_or(u16::MAX)
    }

    /// Starts to count segments that say nothing new.
    pub fn start_run(&mut self) {
        self.empty_run = 0;
    }

    /// Has smoltcp fallen into sending the same acknowledgement without end? Two in a row have their reasons.
    pub fn runs_wild(&self) -> bool {
        self.empty_run > 8
    }

    /// May a challenge ACK leave now? Counts as if it did.
    pub fn may_challenge(&mut self, now: Instant) -> bool {
        let allowed = self.challenge_at.is_none_or(|at| now >= at);
        if allowed {
            self.challenge_at = Some(now + CHALLENGE_INTERVAL);
        }
        allowed
    }

    /// Judges a segment that came for a connection that stands at `at`.
    pub fn judge(&mut self, segment: &Segment, at: Standing) -> Verdict {
        match at.state {
            State::Closed | State::Listen | State::TimeWait => {
                Verdict::Drop(|counters| &mut counters.after_end)
            }
            State::SynSent => self.judge_syn_sent(segment),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => self.judge_synchronized(segment, at),
        }
    }

    /// RFC 9293 3.10.7.3. smoltcp answers unacceptable acknowledgements with RST itself.
    fn judge_syn_sent(&mut self, segment: &Segment) -> Verdict {
        let acceptable = |ack: Seq| self.sent && ack.after(self.iss) && !ack.after(self.snd_nxt);
        match (segment.control, segment.ack) {
            _ if !self.sent => Verdict::Drop(|counters| &mut counters.unexpected),
            (TcpControl::Rst, Some(ack)) if acceptable(ack) => Verdict::Pass,
            (TcpControl::Rst, _) => Verdict::Drop(|counters| &mut counters.rst_out_of_window),
            (TcpControl::Syn, Some(ack)) if !acceptable(ack) => Verdict::Pass,
            (TcpControl::Syn, _) => self.open_window(segment),
            (_, Some(ack)) if !acceptable(ack) => Verdict::Pass,
            _ => Verdict::Drop(|counters| &mut counters.unexpected),
        }
    }

    /// The peer's SYN tells its segment size and its window, which is not scaled yet.
    fn open_window(&mut self, segment: &Segment) -> Verdict {
        self.congestion
            .start(segment.mss, self.syn_repeated, segment.ack);
        let window = u16::try_from(self.congestion.window()).unwrap_or(u16::MAX);
        self.shown = u32::from(window.min(segment.window));
        if window >= segment.window {
            return Verdict::Pass;
        }
        Verdict::Repair(Repair {
            window: Some(window),
            ..Repair::default()
        })
    }

    /// RFC 9293 3.10.7.4.
    fn judge_synchronized(&mut self, segment: &Segment, at: Standing) -> Verdict {
        match segment.control {
            TcpControl::Rst => return self.judge_rst(segment, at),
            // RFC 5961 4.2: whatever its sequence number.
            TcpControl::Syn => {
                return Verdict::Challenge(|counters| &mut counters.syn_in_connection);
            }
            TcpControl::None | TcpControl::Psh | TcpControl::Fin => (),
        }
        let Some(ack) = segment.ack else {
            return Verdict::Drop(|counters| &mut counters.no_ack);
        };
        // RFC 9293 3.10.7.4 fifth: what has not been sent cannot be acknowledged.
        if ack.after(self.snd_nxt) {
            return Verdict::Challenge(|counters| &mut counters.ack_of_unsent);
        }
        // RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK.
        if ack.before(at.una.minus(self.max_snd_wnd as usize)) {
            return Verdict::Challenge(|counters| &mut counters.ack_too_old);
        }
        if !self.is_acceptable(segment, at.rcv_nxt) {
            return Verdict::Pass;
        }
        if ack.before(at.una) && segment.length() == 0 {
            return Verdict::Drop(|counters| &mut counters.ack_old);
        }
        self.repair(segment, ack, at)
    }

    /// RFC 5961 3.2: only the exact RST ends a connection.
    fn judge_rst(&self, segment: &Segment, at: Standing) -> Verdict {
        if segment.seq == at.rcv_nxt {
            return Verdict::Pass;
        }
        if segment.seq.after(at.rcv_nxt) && self.edge.is_some_and(|edge| segment.seq.before(edge)) {
            return Verdict::Challenge(|counters| &mut counters.rst_in_window);
        }
        Verdict::Drop(|counters| &mut counters.rst_out_of_window)
    }

    /// An acceptable segment: what must be changed in it, and the window that it tells.
    fn repair(&mut self, segment: &Segment, ack: Seq, at: Standing) -> Verdict {
        let mut repair = Repair::default();
        if ack.before(at.una) {
            repair.ack = Some(at.una);
        }
        if self.tells_window(segment, ack, at.una) {
            self.snd_wl1 = segment.seq;
            self.snd_wl2 = ack;
            self.snd_wnd = u32::from(segment.window) << self.peer_shift;
            self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
        }
        let shown = self.shown;
        self.window_to_show();
        let bare = segment.length() == 0 && self.shown == shown;
        let newest = ack.latest(at.una);
        self.congestion
            .acknowledged(newest, at.una, self.snd_nxt, bare);
        let mut window = self.window_to_show();
        // smoltcp leaves its window probe timer running when what it probed with is acknowledged, and after FIN such a
        // probe is sent again and again without a pause. With nothing to send, the window is no matter: not 0 will do.
        let all = at.una.plus(at.unacknowledged);
        if window == 0 && at.unacknowledged > 0 && !ack.before(all) {
            window = 1;
            self.shown = 1 << self.peer_shift;
        }
        repair.window = (window != segment.window).then_some(window);
        // The FIN comes after data, some of which is beyond the window and will be cut off.
        let data_end = segment.seq.plus(segment.data);
        repair.clear_fin = segment.control == TcpControl::Fin && data_end.after(self.engine_edge);
        if repair == Repair::default() {
            Verdict::Pass
        } else {
            Verdict::Repair(repair)
        }
    }

    /// RFC 9293 3.10.7.4: is this segment newer than the one that told the window? An acknowledgement of new data
    /// always is, though it may come on data sent again, with a sequence number from before.
    fn tells_window(&self, segment: &Segment, ack: Seq, una: Seq) -> bool {
        if ack.before(una) {
            return false;
        }
        ack.after(una)
            || self.snd_wl1.before(segment.seq)
            || (self.snd_wl1 == segment.seq && !ack.before(self.snd_wl2))
    }

    /// The acceptability test of RFC 9293 3.4, with smoltcp's edge. What fails it is only answered with an ACK.
    fn is_acceptable(&self, segment: &Segment, rcv_nxt: Seq) -> bool {
        let inside = |seq: Seq| !seq.before(rcv_nxt) && seq.before(self.engine_edge);
        if segment.data == 0 {
            return segment.seq == rcv_nxt || inside(segment.seq);
        }
        inside(segment.seq) || inside(segment.end().minus(1))
    }

    /// The peer's SYN: where its windows start and how they are scaled from now on (RFC 7323 2.2: only when both
    /// sides offered it; we always do, and where we must not, the peer did not).
    pub fn peer_syn(&mut self, segment: &Segment) {
        self.peer_shift = segment.window_scale.unwrap_or(0);
        self.snd_wnd = u32::from(segment.window);
        self.max_snd_wnd = self.snd_wnd;
        self.snd_wl1 = segment.seq;
        self.snd_wl2 = segment.ack.unwrap_or(self.iss);
        // smoltcp takes what our SYN offered as counted from the peer's SYN.
        self.engine_edge = segment.seq.plus(self.syn_window.into());
        self.edge = Some(segment.seq.plus(1).plus(self.syn_window.into()));
    }

    /// The same for a handshake that was gone through without smoltcp: `repeated` if the SYN-ACK was lost once.
    pub fn passive_syn(&mut self, segment: &Segment, repeated: bool) {
        self.peer_syn(segment);
        self.shown = u32::from(segment.window);
        self.congestion.start(segment.mss, repeated, None);
    }

    /// A packet of this flow, as smoltcp wrote it, on its way out: remembers what it says. The window may be taken
    /// back in place to what the peer already has.
    pub fn departing(&mut self, packet: &mut [u8]) {
        let Some(mut tcp) = tcp_in(packet) else {
            return;
        };
        if tcp.rst() {
            // In SYN-SENT its sequence number is the peer's invention.
            return;
        }
        self.sends(&tcp);
        if tcp.ack() {
            self.tells_edge(&mut tcp);
        }
    }

    fn sends(&mut self, tcp: &TcpPacket<&mut [u8]>) {
        let seq = Seq::from(tcp.seq_number());
        if tcp.syn() && !self.sent {
            self.iss = seq;
            self.snd_nxt = seq;
        }
        if tcp.syn() {
            self.syn_repeated |= self.sent;
            self.syn_window = tcp.window_len();
        }
        self.sent = true;
        self.empty_run = if tcp.segment_len() == 0 {
            self.empty_run.saturating_add(1)
        } else {
            0
        };
        let length = tcp.segment_len();
        // What goes into a closed window is a probe.
        if length > 0 && self.snd_wnd > 0 && !tcp.syn() {
            self.congestion.sent(seq, length, self.una, self.snd_nxt);
        }
        self.snd_nxt = self.snd_nxt.latest(seq.plus(length));
    }

    /// RFC 9293 3.8.6.2.2: the window grows by a step worth sending for, or not at all. smoltcp is told nothing: it
    /// accepts more than the peer was offered, which does no harm.
    fn tells_edge(&mut self, tcp: &mut TcpPacket<&mut [u8]>) {
        let ack = Seq::from(tcp.ack_number());
        let edge = ack.plus(tcp.window_len().into());
        self.engine_edge = edge;
        let opened = self.edge.map_or(i32::MAX, |told| edge.since(told));
        if opened <= 0 {
            return;
        }
        if tcp.syn() || opened.unsigned_abs() >= self.window_step {
            self.edge = Some(edge);
            return;
        }
        let window = self.window(ack);
        let checksum = adjust_checksum(tcp.checksum(), tcp.window_len(), window);
        tcp.set_window_len(window);
        tcp.set_checksum(checksum);
    }
}

/// RFC 1624: the checksum after one 16-bit field went from `old` to `new`.
fn adjust_checksum(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests;
