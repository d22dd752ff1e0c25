//! RFC 9293 3.10.7.4, fifth: what the peer has, and how much more it takes.

use super::{Connection, Context};
use crate::counters::count;
use crate::flow::recovery::Acknowledgement;
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::flow::state::State;
use crate::output::Output;

impl Connection {
    /// An acceptable segment acknowledges up to `ack`, which has been checked.
    pub(super) fn acknowledged<O: Output>(
        &mut self,
        cx: &mut Context<'_, O>,
        segment: &Segment,
        ack: Seq,
    ) {
        let window = self.snd_wnd;
        self.update_window(segment, ack);
        let bare = segment.length() == 0 && self.snd_wnd == window;
        if self.state == State::SynReceived {
            return self.syn_acknowledged(cx, ack);
        }
        let (una, end) = (self.snd_una(), self.written_end());
        self.tell_recovery(cx, segment, ack, bare);
        if !ack.after(una) {
            return;
        }
        let octets = usize::try_from(ack.since(una)).unwrap_or(0);
        self.outgoing.acknowledge(octets);
        self.grow_send_buffer();
        self.progress(cx);
        if self.state.owes_fin() && ack.after(end) {
            self.fin_acknowledged();
        }
    }

    fn tell_recovery<O>(
        &mut self,
        cx: &mut Context<'_, O>,
        segment: &Segment,
        ack: Seq,
        bare: bool,
    ) {
        let mut blocks = [(Seq(0), Seq(0)); 3];
        let mut count_of_blocks = 0;
        if self.sack {
            for (place, block) in blocks.iter_mut().zip(segment.sack.iter().flatten()) {
                *place = *block;
                count_of_blocks += 1;
            }
        }
        let acknowledgement = Acknowledgement {
            ack,
            blocks: blocks.get(..count_of_blocks).unwrap_or_default(),
            bare,
        };
        let news = self.recovery.acknowledged(cx.now, &acknowledgement);
        if news.lost > 0 {
            count(&mut cx.counters.losses);
        }
    }

    /// SND.WND, if this segment is newer than the one that told it last. An acknowledgement of new data always is, though
    /// it may come on data sent again, with a sequence number from before.
    fn update_window(&mut self, segment: &Segment, ack: Seq) {
        if ack.before(self.snd_una()) {
            return;
        }
        let newer = ack.after(self.snd_una())
            || self.snd_wl1.before(segment.seq)
            || (self.snd_wl1 == segment.seq && !ack.before(self.snd_wl2));
        if newer {
            let shift = self.scaling.map_or(0, |scaling| scaling.theirs);
            self.snd_wnd = u32::from(segment.window) << shift.min(14);
            self.max_snd_wnd = self.max_snd_wnd.max(self.snd_wnd);
            self.snd_wl1 = segment.seq;
            self.snd_wl2 = ack;
        }
    }

    /// Something new was acknowledged: the peer is there, and so is the next hop.
    pub(super) fn progress<O: Output>(&mut self, cx: &mut Context<'_, O>) {
        self.timers.progress(cx.now);
        self.soft_error = None;
        cx.out.confirm(cx.now, cx.path);
    }

    /// Twice the congestion window keeps the way filled while what was lost is sent again. No more than there is memory
    /// for, but again as much as at first when there is.
    fn grow_send_buffer(&mut self) {
        let wanted = self
            .recovery
            .cwnd()
            .saturating_mul(2)
            .max(self.settings.send_start)
            .min(self.settings.send_most)
            .min(self.share.beside(self.incoming.held()));
        if wanted > self.outgoing.limit() {
            self.outgoing.set_limit(wanted);
        }
    }

    /// "If our FIN is now acknowledged […]", state by state.
    fn fin_acknowledged(&mut self) {
        match self.state {
            State::FinWait1 => self.state = State::FinWait2,
            State::Closing => self.end(State::TimeWait),
            State::LastAck => self.end(State::Closed),
            _ => (),
        }
    }
}
