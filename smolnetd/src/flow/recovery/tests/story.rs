//! A sender whose segments have numbers, and what it does.

use super::*;

/// The round trip that its handshake took.
pub(super) const RTT: Duration = Duration::from_millis(100);

/// Just before the circle closes.
const START: Seq = Seq(u32::MAX - 4500);

pub(super) struct Story {
    pub(super) recovery: Recovery,
    pub(super) now: Instant,
    /// Segments that are still to be sent.
    backlog: usize,
}

/// The number `segment` begins here.
pub(super) fn at(segment: usize) -> Seq {
    START.plus(segment * MSS)
}

impl Story {
    pub(super) fn new(sack: bool) -> Story {
        let mut recovery = Recovery::new(START, 9000);
        let now = Instant::from_secs(100);
        recovery.limit_mss(1000);
        recovery.started(
            now,
            &Handshake {
                sack,
                repeated: false,
                round_trip: Some(RTT),
            },
        );
        Story {
            recovery,
            now,
            backlog: 0,
        }
    }

    /// The application writes so many segments. Which leave?
    pub(super) fn writes(&mut self, segments: usize) -> Vec<usize> {
        self.backlog += segments;
        self.leave()
    }

    pub(super) fn passes(&mut self, time: Duration) {
        self.now += time;
    }

    /// What leaves now, by number.
    pub(super) fn leave(&mut self) -> Vec<usize> {
        let number = |seq: Seq| seq.0.wrapping_sub(START.0) as usize / MSS;
        let mut left = Vec::new();
        while let Some((seq, length)) = self.recovery.next_lost() {
            assert!(
                left.len() < 100_000,
                "no end: {seq} {length} {:?}",
                self.recovery
            );
            self.recovery.sent(self.now, seq, length);
            left.push(number(seq));
        }
        while self.backlog > 0 && self.recovery.allowance(self.now) >= MSS {
            left.push(number(self.recovery.nxt()));
            self.recovery.sent(self.now, self.recovery.nxt(), MSS);
            self.backlog -= 1;
        }
        if let Some((seq, length)) = self.recovery.next_probe() {
            self.recovery.sent(self.now, seq, length);
            left.push(number(seq));
        }
        left
    }

    /// Everything before number `ack` has arrived, and these ranges. Which leave?
    pub(super) fn hears(&mut self, ack: usize, blocks: &[(usize, usize)]) -> Vec<usize> {
        self.is_told(ack, blocks);
        self.leave()
    }

    pub(super) fn is_told(&mut self, ack: usize, blocks: &[(usize, usize)]) -> News {
        let blocks: Vec<_> = blocks.iter().map(|&(l, r)| (at(l), at(r))).collect();
        self.hears_exactly(at(ack), &blocks)
    }

    /// The same in sequence numbers, whatever they are.
    pub(super) fn hears_exactly(&mut self, ack: Seq, blocks: &[(Seq, Seq)]) -> News {
        let acknowledgement = Acknowledgement {
            ack,
            blocks,
            bare: true,
        };
        self.recovery.acknowledged(self.now, &acknowledgement)
    }

    /// Until a timer fires: after so many milliseconds, which, and what leaves then.
    pub(super) fn waits(&mut self) -> (u64, Fired, Vec<usize>) {
        let due = self.recovery.deadline().expect("a timer");
        let wait = (due - self.now).total_millis();
        self.now = self.now.max(due);
        let fired = self.recovery.expire(self.now).expect("it fires");
        (wait, fired, self.leave())
    }

    /// Fills the window of at least so many segments, all of it acknowledged but the last.
    pub(super) fn grows_to(&mut self, segments: usize) -> usize {
        self.writes(1_000_000);
        let mut ack = 0;
        while self.recovery.cwnd() < segments * MSS {
            self.passes(RTT / (self.recovery.in_flight() / MSS).max(1) as u32);
            ack += 1;
            self.hears(ack, &[]);
        }
        ack
    }
}
