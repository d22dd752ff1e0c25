//! An ideal receiver: reports what it has (RFC 2018), what it got twice (RFC 2883), and acknowledges every second
//! segment that comes in order (RFC 5681 4.2).

use super::*;

/// How long it waits for a second segment.
const DELAY: Duration = Duration::from_millis(40);

/// What it sends.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) ack: Seq,
    pub(super) blocks: Vec<(Seq, Seq)>,
}

/// Everything that arrived from `start` on.
#[derive(Debug)]
pub(super) struct Receiver {
    sack: bool,
    pub(super) rcv_nxt: Seq,
    /// Behind holes, the most recent first.
    islands: Vec<(Seq, Seq)>,
    waiting: Option<Instant>,
    delay: Option<Duration>,
    /// Octets that came and had come before.
    pub(super) in_vain: usize,
}

impl Receiver {
    pub(super) fn new(start: Seq, sack: bool) -> Receiver {
        Receiver {
            sack,
            rcv_nxt: start,
            islands: Vec::new(),
            waiting: None,
            delay: Some(DELAY),
            in_vain: 0,
        }
    }

    /// It acknowledges every segment.
    pub(super) fn is_eager(&mut self) {
        self.delay = None;
    }

    /// When it will not wait any longer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting
    }

    /// It waits no longer.
    pub(super) fn speaks(&mut self) -> Answer {
        self.waiting = None;
        self.answer(None)
    }

    pub(super) fn hears(&mut self, now: Instant, seq: Seq, length: usize) -> Option<Answer> {
        let end = seq.plus(length);
        let is_known = |&(left, right): &(Seq, Seq)| !left.after(seq) && !right.before(end);
        if !end.after(self.rcv_nxt) || self.islands.iter().any(is_known) {
            self.in_vain += length;
            self.waiting = None;
            return Some(self.answer(Some((seq, end))));
        }
        let in_order = !seq.after(self.rcv_nxt) && self.islands.is_empty();
        self.takes(seq, end);
        if let Some(delay) = self.delay
            && in_order
            && self.waiting.is_none()
        {
            self.waiting = Some(now + delay);
            return None;
        }
        self.waiting = None;
        Some(self.answer(None))
    }

    fn takes(&mut self, seq: Seq, end: Seq) {
        let (mut left, mut right) = (seq, end);
        let mut new = Vec::new();
        for &(start, stop) in &self.islands {
            if start.after(right) || stop.before(left) {
                new.push((start, stop));
            } else {
                left = if start.before(left) { start } else { left };
                right = right.latest(stop);
            }
        }
        if left.after(self.rcv_nxt) {
            new.insert(0, (left, right));
        } else {
            self.rcv_nxt = self.rcv_nxt.latest(right);
        }
        self.islands = new;
    }

    fn answer(&self, twice: Option<(Seq, Seq)>) -> Answer {
        let mut blocks: Vec<_> = twice
            .into_iter()
            .chain(self.islands.iter().copied())
            .collect();
        blocks.truncate(if self.sack { 4 } else { 0 });
        Answer {
            ack: self.rcv_nxt,
            blocks,
        }
    }
}
