//! The SYNs: SYN-SENT, and what the two ends agree upon.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpControl;

use super::{Connection, Context};
use crate::counters::count;
use crate::error::SocketError;
use crate::flow::recovery::{Acknowledgement, Handshake};
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::flow::state::State;
use crate::flow::{Agreed, Scaling};
use crate::output::Output;

impl Connection {
    /// RFC 9293 3.10.7.3, in its order.
    pub(super) fn syn_sent<O: Output>(
        &mut self,
        cx: &mut Context<'_, O>,
        segment: &Segment,
        data: &[u8],
    ) {
        if self.snd_nxt() == self.iss {
            // Our SYN has not left: nobody can know of us.
            return count(&mut cx.counters.unexpected);
        }
        if !self.check_syn_sent(cx, segment) {
            return;
        }
        // Third, check the security. Fourth, check the SYN bit. Fifth, if neither is set, drop the segment.
        if segment.control != TcpControl::Syn {
            return count(&mut cx.counters.unexpected);
        }
        self.timers.hear(cx.now);
        self.agree(cx.now, &self.agreement(segment));
        match segment.ack {
            Some(ack) => {
                self.syn_acknowledged(cx, ack);
                self.acks.owe_now();
                self.text(cx, segment, data);
            }
            None => {
                // Both ends open at once (RFC 9293 3.5, figure 8). Data that comes along will come again.
                self.state = State::SynReceived;
                self.owes_syn_ack = true;
            }
        }
    }

    /// The first and the second step: does the segment go on to the third?
    fn check_syn_sent<O: Output>(&mut self, cx: &mut Context<'_, O>, segment: &Segment) -> bool {
        // First, check the ACK bit.
        let acceptable = |ack: Seq| ack.after(self.iss) && !ack.after(self.snd_nxt());
        let acknowledges = segment.ack.is_some_and(acceptable);
        let reset = segment.control == TcpControl::Rst;
        if reset && !acknowledges {
            count(&mut cx.counters.rst_out_of_window);
            return false;
        }
        if let Some(ack) = segment.ack.filter(|_| !acknowledges) {
            count(&mut cx.counters.ack_of_unsent);
            self.refuse_ack(cx, ack);
            return false;
        }
        // Second, check the RST bit.
        if reset {
            self.error = Some(SocketError::ConnectionRefused);
            self.end(State::Closed);
        }
        !reset
    }

    /// What our SYN and the peer's, which this is, come to.
    fn agreement(&self, syn: &Segment) -> Agreed {
        Agreed {
            iss: self.iss,
            irs: syn.seq,
            peer_mss: syn.mss,
            // RFC 7323 2.2: the window of a SYN is never scaled.
            peer_window: u32::from(syn.window),
            window: self.syn_window,
            // RFC 7323 2.2: only if both had it. We always do.
            scaling: syn.window_scale.map(|theirs| Scaling {
                ours: self.syn_shift,
                theirs,
            }),
            sack: syn.sack_permitted,
            sent: None,
            repeated: self.syn_repeated,
        }
    }

    /// Takes over what a handshake came to.
    fn agree(&mut self, now: Instant, agreed: &Agreed) {
        self.irs = agreed.irs;
        self.rcv_nxt = agreed.irs.plus(1);
        self.peer_mss = agreed
            .peer_mss
            .filter(|&mss| mss > 0)
            .unwrap_or(self.peer_mss);
        self.snd_wnd = agreed.peer_window;
        self.max_snd_wnd = agreed.peer_window;
        self.snd_wl1 = agreed.irs;
        self.snd_wl2 = agreed.iss;
        self.scaling = agreed.scaling;
        self.sack = agreed.sack;
        self.syn_repeated = agreed.repeated;
        let shift = agreed.scaling.map(|scaling| scaling.ours);
        self.window.start(now, self.rcv_nxt, agreed.window, shift);
        self.recovery.limit_mss(self.mss());
    }

    /// The handshake is complete, and was gone through by somebody else.
    pub(super) fn take_over(&mut self, now: Instant, agreed: &Agreed) {
        self.agree(now, agreed);
        self.snd_wl2 = agreed.iss.plus(1);
        self.establish(now, agreed.sent.map(|sent| now - sent));
    }

    /// The peer has our SYN.
    pub(super) fn syn_acknowledged<O: Output>(&mut self, cx: &mut Context<'_, O>, ack: Seq) {
        let acknowledgement = Acknowledgement {
            ack,
            blocks: &[],
            bare: false,
        };
        self.recovery.acknowledged(cx.now, &acknowledgement);
        self.snd_wl2 = ack;
        self.establish(cx.now, None);
        self.progress(cx);
    }

    /// ESTABLISHED.
    pub(super) fn establish(&mut self, now: Instant, round_trip: Option<Duration>) {
        self.state = State::Established;
        self.established = true;
        self.owes_syn_ack = false;
        self.recovery.started(
            now,
            &Handshake {
                sack: self.sack,
                repeated: self.syn_repeated,
                round_trip,
            },
        );
    }
}
