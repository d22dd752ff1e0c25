//! RFC 9293 3.10.7.4, seventh and eighth: the data, and the FIN behind it.

use smoltcp::wire::TcpControl;

use super::{Connection, Context, Holder};
use crate::counters::count;
use crate::flow::buffer::Inserted;
use crate::flow::memory::FLOOR;
use crate::flow::segment::Segment;
use crate::flow::sequence::Seq;
use crate::flow::state::State;

impl Connection {
    /// An acceptable segment's data and FIN.
    pub(super) fn text<O>(&mut self, cx: &mut Context<'_, O>, segment: &Segment, data: &[u8]) {
        if !self.state.may_receive() {
            // "This should not occur since a FIN has been received from the remote side. Ignore the segment text."
            return;
        }
        let syn = usize::from(segment.control == TcpControl::Syn);
        let seq = segment.seq.plus(syn);
        if self.refuses(seq.plus(data.len())) {
            count(&mut cx.counters.data_after_close);
            return self.abort(None);
        }
        let taken = self.within_window(seq, data);
        let whole = taken.len() == data.len();
        if !whole {
            self.acks.owe_now();
        }
        if whole && segment.control == TcpControl::Fin {
            self.note_fin(seq.plus(data.len()));
        }
        if !taken.is_empty() {
            self.insert(cx, seq, taken);
        }
        self.take_fin();
    }

    /// RFC 1122 4.2.2.13: new data that nobody will ever read is refused with RST.
    fn refuses(&self, end: Seq) -> bool {
        let orphan = matches!(self.holder, Holder::Orphan { .. });
        orphan && self.state != State::Established && end.after(self.rcv_nxt)
    }

    /// As much of the data as lies before the window's edge, and before the peer's FIN.
    fn within_window<'d>(&self, seq: Seq, data: &'d [u8]) -> &'d [u8] {
        let window_end = self.rcv_nxt.plus(self.window.promised(self.rcv_nxt));
        let end = match self.peer_fin {
            Some(fin) if fin.before(window_end) => fin,
            _ => window_end,
        };
        let room = usize::try_from(end.since(seq)).unwrap_or(0);
        data.get(..room).unwrap_or(data)
    }

    fn insert<O>(&mut self, cx: &mut Context<'_, O>, seq: Seq, data: &[u8]) {
        let offset = seq.since(self.rcv_nxt);
        let window = self.window.promised(self.rcv_nxt);
        if !self.has_memory_for(cx, offset) {
            return self.acks.owe_now();
        }
        let had_holes = self.incoming.out_of_order() > 0;
        self.rcv_mss = self.rcv_mss.max(data.len()).min(self.path_mss);
        let Ok(inserted) = self.incoming.insert(offset, data, window) else {
            count(&mut cx.counters.too_many_holes);
            return self.acks.owe_now();
        };
        if inserted.in_order > 0 {
            self.rcv_nxt = self.rcv_nxt.plus(inserted.in_order);
        }
        self.owe_for_text(cx, seq, &inserted, had_holes);
    }

    /// Is there memory for data at `offset` from RCV.NXT? What comes early is refused first: the window was promised for
    /// it, but it is of no use yet. With nothing left at all it is forgotten even when it was there (RFC 2018 section 8),
    /// and of what is in order a program that has read nothing gets only a little: what was promised is broken then as
    /// if the network had lost it.
    fn has_memory_for<O>(&mut self, cx: &mut Context<'_, O>, offset: i32) -> bool {
        if offset > 0 {
            let enough = self.held() < self.share.most;
            if !enough {
                count(&mut cx.counters.early_without_memory);
            }
            return enough;
        }
        if !self.share.exhausted {
            return true;
        }
        if self.incoming.discard_out_of_order() > 0 {
            count(&mut cx.counters.forgotten_without_memory);
        }
        let enough = self.incoming.unread() < FLOOR;
        if !enough {
            count(&mut cx.counters.dropped_without_memory);
        }
        enough
    }

    /// RFC 5681 4.2: what came before its turn, and what filled a hole, is acknowledged at once; RFC 2883: what came
    /// again, too, and named.
    fn owe_for_text<O>(
        &mut self,
        cx: &mut Context<'_, O>,
        seq: Seq,
        inserted: &Inserted,
        had_holes: bool,
    ) {
        match &inserted.duplicate {
            Some(part) if self.sack => {
                let (left, right) = (seq.plus(part.start), seq.plus(part.end));
                self.acks.owe_for_duplicate(left, right);
            }
            Some(_) => self.acks.owe_now(),
            None if had_holes || inserted.in_order == 0 => self.acks.owe_now(),
            None => {
                let worth = self.worth_an_ack();
                self.acks.owe_for(cx.now, inserted.in_order, worth);
            }
        }
    }

    /// RFC 9293 3.8.6.3 (SHLD-19): every second full segment is acknowledged; and half of a window, when segments are as
    /// large as that, or the peer would wait with nothing left that it may send.
    fn worth_an_ack(&self) -> usize {
        self.rcv_mss
            .saturating_mul(2)
            .min(self.window.capacity() / 2)
    }

    /// The peer's FIN stands at `fin`, where it stays: a peer has one end.
    fn note_fin(&mut self, fin: Seq) {
        self.peer_fin = self.peer_fin.or(Some(fin));
        self.acks.owe_now();
    }

    /// Eighth, check the FIN bit: it counts when all that precedes it is there.
    fn take_fin(&mut self) {
        if self.peer_fin.is_none_or(|fin| self.rcv_nxt.before(fin)) {
            return;
        }
        self.rcv_nxt = self.rcv_nxt.plus(1);
        self.acks.owe_now();
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.end(State::TimeWait),
            _ => (),
        }
        self.incoming.discard_out_of_order();
    }
}
