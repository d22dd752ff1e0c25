//! What was sent and when, and what is known of it.
//!
//! The octets from SND.UNA to SND.NXT are a row of bursts without gaps: what left at about the same time and has had
//! the same fate is one entry. A transfer at full speed is some tens of entries and one for each hole.

use std::collections::VecDeque;

use smoltcp::time::Instant;

use super::time::{Micros, elapsed};
use crate::flow::sequence::Seq;

/// Entries at most. What would need more is not noted: SACK blocks are advice (RFC 2018 section 8), and the timer is
/// there for what is forgotten.
const MAX_BURSTS: usize = 1024;

/// Octets on their way at most, so that sequence numbers can be compared.
const MAX_OUTSTANDING: usize = 1 << 30;

/// What is known of octets that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: they may be on their way.
    Flying,
    /// The peer has them and said so (RFC 2018).
    Sacked,
    /// They are thought to be lost and have not been sent again since.
    Lost,
}

/// Octets that were sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) start: Seq,
    pub(super) end: Seq,
    /// When the last of them left, the last time.
    pub(super) sent: Instant,
    /// The run that the last of them left in: runs are numbered as they left, and within each the order is that of
    /// sequence numbers.
    pub(super) run: u64,
    pub(super) fate: Fate,
    /// Was it not the first time?
    pub(super) repeated: bool,
}

impl Burst {
    /// Octets.
    pub(super) fn length(&self) -> usize {
        usize::try_from(self.end.since(self.start)).unwrap_or(0)
    }

    /// Has it left for the first time, and is nothing known of it?
    fn is_fresh(&self) -> bool {
        self.fate == Fate::Flying && !self.repeated
    }

    /// Are both the same to everybody?
    fn is_like(&self, next: &Burst) -> bool {
        let same = self.repeated == next.repeated && self.run == next.run;
        self.fate == next.fate && (same || self.fate == Fate::Sacked)
    }
}

/// What becomes of an entry that would have to be split, when there are too many.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Full {
    /// Nothing.
    Skip,
    /// All of it has the fate of a part.
    Widen,
}

/// The row.
#[derive(Debug)]
pub(super) struct Scoreboard {
    una: Seq,
    nxt: Seq,
    bursts: VecDeque<Burst>,
    flying: usize,
    sacked: usize,
    lost: usize,
    /// The end of what was sent more than once.
    repeated_to: Seq,
    /// The present run: its number, when it began and where it will go on.
    run: (u64, Instant, Seq),
    /// When the first of the last entry left.
    opened: Instant,
}

impl Scoreboard {
    /// Nothing sent yet; `start` will be the first.
    pub(super) fn new(start: Seq) -> Scoreboard {
        Scoreboard {
            una: start,
            nxt: start,
            bursts: VecDeque::new(),
            flying: 0,
            sacked: 0,
            lost: 0,
            repeated_to: start,
            run: (0, Instant::ZERO, start),
            opened: Instant::ZERO,
        }
    }

    pub(super) fn una(&self) -> Seq {
        self.una
    }

    pub(super) fn nxt(&self) -> Seq {
        self.nxt
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bursts.is_empty()
    }

    /// Octets of each fate.
    pub(super) fn count(&self, fate: Fate) -> usize {
        match fate {
            Fate::Flying => self.flying,
            Fate::Sacked => self.sacked,
            Fate::Lost => self.lost,
        }
    }

    /// SND.NXT - SND.UNA
    pub(super) fn outstanding(&self) -> usize {
        usize::try_from(self.nxt.since(self.una)).unwrap_or(0)
    }

    /// Octets that may still be added.
    pub(super) fn room(&self) -> usize {
        MAX_OUTSTANDING.saturating_sub(self.outstanding())
    }

    /// Octets of heap memory.
    pub(super) fn held(&self) -> usize {
        self.bursts
            .capacity()
            .saturating_mul(core::mem::size_of::<Burst>())
    }

    fn total(&mut self, fate: Fate) -> &mut usize {
        match fate {
            Fate::Flying => &mut self.flying,
            Fate::Sacked => &mut self.sacked,
            Fate::Lost => &mut self.lost,
        }
    }

    fn counted(&mut self, burst: &Burst, is_in: bool) {
        let length = burst.length();
        let total = self.total(burst.fate);
        *total = if is_in {
            total.saturating_add(length)
        } else {
            total.saturating_sub(length)
        };
    }

    /// The number of the run that [seq, end) leaves in: what leaves at once and in order is one.
    fn run(&mut self, now: Instant, seq: Seq, end: Seq) -> u64 {
        let (number, began, next) = self.run;
        let same = began == now && next == seq;
        let number = if same { number } else { number.wrapping_add(1) };
        self.run = (number, now, end);
        number
    }

    /// New octets left, behind all others. How many fitted. What left within `slack` counts as having left at once, with
    /// the last of it: then nothing is thought lost too early.
    pub(super) fn append(&mut self, now: Instant, length: usize, slack: Option<Micros>) -> usize {
        let length = length.min(self.room());
        if length == 0 {
            return 0;
        }
        let (start, end) = (self.nxt, self.nxt.plus(length));
        let run = self.run(now, start, end);
        let near = slack.is_some_and(|slack| elapsed(now, self.opened) <= slack);
        let burst = Burst {
            start,
            end,
            sent: now,
            run,
            fate: Fate::Flying,
            repeated: false,
        };
        let is_full = self.bursts.len() >= MAX_BURSTS;
        match self.bursts.back_mut() {
            Some(last) if last.is_like(&burst) => last.end = burst.end,
            Some(last) if last.is_fresh() && near => {
                *last = Burst {
                    start: last.start,
                    ..burst
                };
            }
            Some(last) if is_full => {
                let before = *last;
                *last = Burst {
                    start: before.start,
                    ..burst
                };
                self.counted(&before, false);
                self.flying = self.flying.saturating_add(before.length());
            }
            _ => {
                self.opened = now;
                self.bursts.push_back(burst);
            }
        }
        self.nxt = burst.end;
        self.flying = self.flying.saturating_add(length);
        length
    }

    /// Everything before `ack` has arrived; `each` hears of it, in order.
    pub(super) fn acknowledge(&mut self, ack: Seq, mut each: impl FnMut(&Burst)) {
        while let Some(front) = self.bursts.front_mut() {
            if !front.start.before(ack) {
                break;
            }
            let mut gone = *front;
            if front.end.after(ack) {
                gone.end = ack;
                front.start = ack;
            } else {
                self.bursts.pop_front();
            }
            self.counted(&gone, false);
            each(&gone);
        }
        self.una = self.una.latest(ack);
        self.nxt = self.nxt.latest(ack);
        self.repeated_to = self.repeated_to.latest(ack);
        if self.bursts.is_empty() {
            // An idle connection holds no memory.
            self.bursts = VecDeque::new();
        }
    }

    /// Is there something to be said of this range? As offsets that cannot be mistaken: RFC 2018's blocks lie behind
    /// SND.UNA (if they began there, SEG.ACK would be another) and before SND.NXT.
    pub(super) fn has(&self, left: Seq, right: Seq) -> bool {
        let [left, right, nxt] = [left, right, self.nxt].map(|at| at.0.wrapping_sub(self.una.0));
        0 < left && left < right && right <= nxt
    }

    /// The peer has [left, right); `each` hears of what was not known.
    pub(super) fn select(&mut self, left: Seq, right: Seq, mut each: impl FnMut(&Burst)) {
        if self.has(left, right) {
            self.edit(left, right, Full::Skip, |burst| {
                if burst.fate != Fate::Sacked {
                    each(burst);
                    burst.fate = Fate::Sacked;
                }
            });
        }
    }

    /// [seq, seq + length) left again. How much of it there is.
    pub(super) fn resend(&mut self, now: Instant, seq: Seq, length: usize) -> usize {
        let mut sent = 0;
        let run = self.run(now, seq, seq.plus(length));
        self.edit(seq, seq.plus(length), Full::Widen, |burst| {
            if burst.fate != Fate::Sacked {
                sent += burst.length();
                burst.fate = Fate::Flying;
                burst.repeated = true;
                burst.sent = now;
                burst.run = run;
            }
        });
        self.repeated_to = self.repeated_to.latest(seq.plus(length));
        sent
    }

    /// Is everything here in the order in which it left, and nothing behind it known to have arrived?
    pub(super) fn is_in_order(&self) -> bool {
        self.sacked == 0 && !self.una.before(self.repeated_to)
    }

    /// The first entry.
    pub(super) fn front(&self) -> Option<&Burst> {
        self.bursts.front()
    }

    /// The first `length` octets are lost.
    pub(super) fn lose_front(&mut self, length: usize) -> usize {
        let mut lost = 0;
        self.edit(self.una, self.una.plus(length), Full::Widen, |burst| {
            if burst.fate != Fate::Lost {
                lost += burst.length();
                burst.fate = Fate::Lost;
            }
        });
        lost
    }

    /// Whatever has not arrived is lost.
    pub(super) fn lose_all(&mut self) {
        self.judge(|burst| match burst.fate {
            Fate::Sacked => Fate::Sacked,
            _ => Fate::Lost,
        });
    }

    /// Has the peer SACKed what comes next and yet not acknowledged it (RFC 2018 section 8)?
    pub(super) fn is_reneged(&self) -> bool {
        self.bursts
            .front()
            .is_some_and(|front| front.fate == Fate::Sacked)
    }

    /// Everybody's fate may be another: `verdict` says which. Returns how many octets became lost.
    pub(super) fn judge(&mut self, mut verdict: impl FnMut(&Burst) -> Fate) -> usize {
        let mut lost = 0_usize;
        let mut totals = [0_usize; 3];
        for burst in &mut self.bursts {
            let fate = verdict(burst);
            if fate == Fate::Lost && burst.fate != Fate::Lost {
                lost = lost.saturating_add(burst.length());
            }
            burst.fate = fate;
            let total = match fate {
                Fate::Flying => &mut totals[0],
                Fate::Sacked => &mut totals[1],
                Fate::Lost => &mut totals[2],
            };
            *total = total.saturating_add(burst.length());
        }
        [self.flying, self.sacked, self.lost] = totals;
        lost
    }

    /// The first lost range.
    pub(super) fn first_lost(&self) -> Option<(Seq, usize)> {
        if self.lost == 0 {
            return None;
        }
        let mut lost = self
            .bursts
            .iter()
            .skip_while(|burst| burst.fate != Fate::Lost)
            .take_while(|burst| burst.fate == Fate::Lost);
        let start = lost.next()?;
        let end = lost.last().map_or(start.end, |burst| burst.end);
        Some((start.start, usize::try_from(end.since(start.start)).ok()?))
    }

    /// The last octets, `length` at most.
    pub(super) fn tail(&self, length: usize) -> Option<(Seq, usize)> {
        let length = length.min(self.outstanding());
        (length > 0).then(|| (self.nxt.minus(length), length))
    }

    /// Where the octet `at` is, or the end of the row.
    fn find(&self, at: Seq) -> usize {
        let offset = |seq: Seq| seq.0.wrapping_sub(self.una.0);
        self.bursts
            .partition_point(|burst| offset(burst.end) <= offset(at))
    }

    /// Makes a new entry begin at `at`, within that of `index`. False if there is no room for it.
    fn split(&mut self, index: usize, at: Seq) -> bool {
        if self.bursts.len() >= MAX_BURSTS {
            return false;
        }
        let Some(burst) = self.bursts.get_mut(index) else {
            return false;
        };
        let rest = Burst {
            start: at,
            ..*burst
        };
        burst.end = at;
        self.bursts.insert(index + 1, rest);
        true
    }

    /// Changes what is in [left, right), and joins what has become alike.
    fn edit(&mut self, left: Seq, right: Seq, full: Full, mut change: impl FnMut(&mut Burst)) {
        let right = if right.after(self.nxt) {
            self.nxt
        } else {
            right
        };
        let left = left.latest(self.una);
        if !left.before(right) {
            return;
        }
        let mut index = self.find(left);
        while let Some(&burst) = self.bursts.get(index) {
            if !burst.start.before(right) {
                break;
            }
            if burst.start.before(left) && self.split(index, left) {
                index += 1;
                continue;
            }
            let is_cut = burst.end.after(right) && self.split(index, right);
            let sticks_out = burst.start.before(left) || (burst.end.after(right) && !is_cut);
            if sticks_out && full == Full::Skip {
                index += 1;
                continue;
            }
            self.change_one(index, &mut change);
            index = self.join(index) + 1;
        }
        // What follows may be like the last one.
        self.join(index);
    }

    fn change_one(&mut self, index: usize, change: &mut impl FnMut(&mut Burst)) {
        let Some(&before) = self.bursts.get(index) else {
            return;
        };
        let mut after = before;
        change(&mut after);
        self.counted(&before, false);
        self.counted(&after, true);
        if let Some(burst) = self.bursts.get_mut(index) {
            *burst = after;
        }
    }

    /// Makes one entry of that of `index` and the one before, if they are alike. Returns where it is now.
    fn join(&mut self, index: usize) -> usize {
        let Some(previous) = index.checked_sub(1) else {
            return index;
        };
        let Some(&next) = self.bursts.get(index) else {
            return index;
        };
        match self.bursts.get_mut(previous) {
            Some(burst) if burst.is_like(&next) => {
                burst.end = next.end;
                self.bursts.remove(index);
                previous
            }
            _ => index,
        }
    }
}
