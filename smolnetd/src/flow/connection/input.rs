//! A segment arrives: RFC 9293 3.10.7, step by step, with RFC 5961.

use smoltcp::wire::TcpControl;

use super::{Connection, Context};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::segment::{Control, Segment};
use crate::flow::sequence::Seq;
use crate::flow::state::State;
use crate::output::Output;
use crate::socket::tcp::Reason;

impl Connection {
    /// A segment of this connection came in, with its data. What is owed for it leaves when the connection is served.
    pub fn ingress<O: Output>(&mut self, cx: &mut Context<'_, O>, segment: &Segment, data: &[u8]) {
        match self.state {
            State::Closed | State::Listen | State::TimeWait => count(&mut cx.counters.after_end),
            State::SynSent => self.syn_sent(cx, segment, data),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => self.synchronized(cx, segment, data),
        }
    }

    /// RFC 9293 3.10.7.4, in its order.
    fn synchronized<O: Output>(&mut self, cx: &mut Context<'_, O>, segment: &Segment, data: &[u8]) {
        // First, check the sequence number.
        if !self.is_acceptable(segment) {
            return self.not_acceptable(cx, segment);
        }
        // Second, check the RST bit.
        if segment.control == TcpControl::Rst {
            return self.reset_by_peer(cx, segment);
        }
        // Third, check security: there is none here.
        // Fourth, check the SYN bit: RFC 5961 4.2 challenges whoever sent it.
        if segment.control == TcpControl::Syn {
            return self.challenge(cx, |counters| &mut counters.syn_in_connection);
        }
        // Fifth, check the ACK field.
        let Some(ack) = segment.ack else {
            return count(&mut cx.counters.no_ack);
        };
        if !self.check_ack(cx, segment, ack) {
            return;
        }
        self.timers.hear(cx.now);
        self.acknowledged(cx, segment, ack);
        if self.is_over() {
            return;
        }
        // Sixth, check the URG bit: urgent data is data (RFC 6093 section 6).
        // Seventh, process the segment text. Eighth, check the FIN bit.
        self.text(cx, segment, data);
    }

    /// First step: RFC 9293 3.4's test, made for segments that may be larger than the window.
    fn is_acceptable(&self, segment: &Segment) -> bool {
        let window = i64::try_from(self.window.promised(self.rcv_nxt)).unwrap_or(i64::MAX);
        let begin = i64::from(segment.seq.since(self.rcv_nxt));
        let length = i64::try_from(segment.length()).unwrap_or(i64::MAX);
        if length == 0 || window == 0 {
            // An acknowledgement that was sent behind a whole window of data stands at the window's edge. And with a
            // closed window, what the peer probes it with still brings a valid ACK.
            return begin == 0 || (0..=window).contains(&begin) && length == 0;
        }
        begin < window && begin.saturating_add(length) > 0
    }

    /// First step, else: "an acknowledgment should be sent in reply (unless the RST bit is set […])". If there is nothing
    /// in the segment it is one that nobody will miss, and the reply could be answered in the same way for ever: it is
    /// sent like a challenge.
    fn not_acceptable<O>(&mut self, cx: &mut Context<'_, O>, segment: &Segment) {
        match segment.control {
            TcpControl::Rst => count(&mut cx.counters.rst_out_of_window),
            TcpControl::Syn => self.challenge(cx, |counters| &mut counters.syn_in_connection),
            _ if segment.length() == 0 => {
                self.challenge(cx, |counters| &mut counters.out_of_window);
            }
            _ => {
                count(&mut cx.counters.out_of_window);
                let (left, right) = (segment.seq, segment.seq.plus(segment.data));
                if self.sack && segment.data > 0 && !right.after(self.rcv_nxt) {
                    // RFC 2883 4.1: all of it was there before.
                    self.acks.owe_for_duplicate(left, right);
                } else {
                    self.acks.owe_now();
                }
            }
        }
    }

    /// Second step, with RFC 5961 3.2: only the exact RST ends a connection.
    fn reset_by_peer<O>(&mut self, cx: &mut Context<'_, O>, segment: &Segment) {
        if segment.seq != self.rcv_nxt {
            return self.challenge(cx, |counters| &mut counters.rst_in_window);
        }
        self.error = match self.state {
            State::SynReceived => Some(SocketError::ConnectionRefused),
            State::Closing | State::LastAck => None,
            _ => Some(SocketError::ConnectionReset),
        };
        self.end(State::Closed);
    }

    /// Fifth step: may this acknowledgement be believed?
    fn check_ack<O: Output>(
        &mut self,
        cx: &mut Context<'_, O>,
        segment: &Segment,
        ack: Seq,
    ) -> bool {
        if self.state == State::SynReceived {
            // "If the segment acknowledgment is not acceptable, form a reset segment": SND.UNA < SEG.ACK =< SND.NXT.
            let acceptable = ack.after(self.snd_una()) && !ack.after(self.snd_nxt());
            if !acceptable {
                count(&mut cx.counters.ack_of_unsent);
                self.refuse_ack(cx, ack);
            }
            return acceptable;
        }
        if ack.after(self.snd_nxt()) {
            self.challenge(cx, |counters| &mut counters.ack_of_unsent);
            return false;
        }
        // RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK.
        if ack.before(self.snd_una().minus(self.max_snd_wnd as usize)) {
            self.challenge(cx, |counters| &mut counters.ack_too_old);
            return false;
        }
        if ack.before(self.snd_una()) && segment.length() == 0 {
            count(&mut cx.counters.ack_old);
            return false;
        }
        true
    }

    /// RFC 5961 section 7: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, but not too often.
    fn challenge<O>(&mut self, cx: &mut Context<'_, O>, reason: Reason) {
        count(reason(cx.counters));
        if self.acks.owe_challenge(cx.now) {
            count(&mut cx.counters.challenges);
        } else {
            count(&mut cx.counters.challenges_suppressed);
        }
    }

    /// <SEQ=SEG.ACK><CTL=RST>. Without room for it there is none: the peer will ask for it again.
    pub(super) fn refuse_ack<O: Output>(&self, cx: &mut Context<'_, O>, ack: Seq) {
        let path = self.way(cx.path);
        let reset = Control {
            ack: None,
            control: TcpControl::Rst,
            hop_limit: path.hop_limit,
            ..Control::ack(cx.key, ack, Seq(0), 0)
        };
        reset.send(cx.now, &path, cx.out);
    }
}
