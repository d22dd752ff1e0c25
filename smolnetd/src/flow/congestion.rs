//! Congestion control (RFC 5681, NewReno of RFC 6582), enforced from outside: smoltcp is shown a window that is the
//! smaller of the peer's and this one. Its own controllers start with one segment and cannot be told otherwise; this
//! one starts with ten (RFC 6928) and goes on after several losses in one window without waiting for the timer.

use super::sequence::Seq;

/// Duplicate acknowledgements that mean a loss (RFC 5681 3.2), for smoltcp as for us.
pub const DUPLICATES: u32 = 3;

/// smoltcp takes no smaller segment size from a peer.
const MIN_MSS: usize = 48;

/// RFC 9293 3.7.1: the segment size of a peer that names none.
const DEFAULT_MSS: usize = 536;

/// Far above any window.
const MAX_WINDOW: usize = 1 << 30;

/// One connection's congestion window. All sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Congestion {
    /// SMSS
    mss: usize,
    cwnd: usize,
    ssthresh: usize,
    /// Acknowledged in congestion avoidance, towards the next step.
    credit: usize,
    duplicates: u32,
    last_ack: Option<Seq>,
    /// RFC 6582: in fast recovery until this is acknowledged.
    recover: Option<Seq>,
    /// What is recovered was not lost to congestion.
    innocent: bool,
    /// After a timeout, until this is acknowledged: another timeout is no news (RFC 5681 3.1).
    timed_out: Option<Seq>,
    /// The end of what smoltcp sent last; it goes back there after a timeout.
    position: Seq,
    /// Up to here the window was full: only what is acknowledged before says that it may grow.
    full_to: Seq,
    /// A lost segment will be sent again, and that is no timeout.
    resending: bool,
    /// The next hole is to be sent again at once.
    wants_resend: bool,
    /// smoltcp must be shown the window, though no segment came.
    wants_showing: bool,
    /// The timer has fired again for what it had fired for before.
    stuck: bool,
}

impl Congestion {
    /// Of a connection that starts at `iss`, over a path that carries segments of `mss` bytes.
    pub fn new(iss: Seq, mss: usize) -> Congestion {
        let mss = mss.max(MIN_MSS);
        Congestion {
            mss,
            cwnd: initial_window(mss),
            ssthresh: MAX_WINDOW,
            credit: 0,
            duplicates: 0,
            last_ack: None,
            recover: None,
            innocent: false,
            timed_out: None,
            position: iss,
            full_to: iss,
            resending: false,
            wants_resend: false,
            wants_showing: false,
            stuck: false,
        }
    }

    /// The handshake: the peer's segment size counts from now on, and a SYN of ours that was lost means one segment to
    /// begin with (RFC 5681 3.1). `ack` is what the peer's SYN acknowledged, if it did.
    pub fn start(&mut self, peer_mss: Option<u16>, syn_repeated: bool, ack: Option<Seq>) {
        self.last_ack = ack;
        let peer_mss = peer_mss
            .filter(|&mss| mss > 0)
            .map_or(DEFAULT_MSS, usize::from);
        self.mss = self.mss.min(peer_mss).max(MIN_MSS);
        self.cwnd = if syn_repeated {
            self.mss
        } else {
            initial_window(self.mss)
        };
    }

    /// The path carries less than was thought.
    pub fn limit_mss(&mut self, mss: usize) {
        self.mss = self.mss.min(mss).max(MIN_MSS);
    }

    /// What is on its way is lost because it was too big, which says nothing of congestion: it is sent again without
    /// the window's getting smaller (RFC 1191 6.4), the next hole with each acknowledgement. What is under repair already
    /// begins anew only for `news`.
    pub fn path_lost(&mut self, una: Seq, end: Seq, news: bool) {
        let repaired = self.recover.is_some() && !news;
        if self.position.after(una) && self.timed_out.is_none() && !repaired {
            self.innocent |= self.recover.is_none();
            self.recover = Some(end);
            self.wants_resend = true;
        }
    }

    /// Packets take another way from here on: what timed out on the former one is tried again at once, and not when the
    /// timer, which has been backing off, fires next.
    pub fn path_changed(&mut self, una: Seq) {
        self.wants_resend |= self.timed_out.is_some() && self.position.after(una);
    }

    /// The window to be shown: whole segments, one at least.
    pub fn window(&self) -> usize {
        (self.cwnd / self.mss).max(1).saturating_mul(self.mss)
    }

    /// Is the next hole to be sent again at once? Once: the caller sees to it.
    pub fn take_resend(&mut self) -> bool {
        let wants = core::mem::take(&mut self.wants_resend);
        if wants {
            self.duplicates = DUPLICATES;
            self.resending = true;
        }
        wants
    }

    /// Must smoltcp be shown the window? Once.
    pub fn take_showing(&mut self) -> bool {
        core::mem::take(&mut self.wants_showing)
    }

    /// RFC 5681 4.1: after a pause, nothing is known of the path any more.
    pub fn restart_after_idle(&mut self) {
        let restart = self.cwnd.min(initial_window(self.mss));
        self.wants_showing |= restart != self.cwnd;
        self.cwnd = restart;
    }

    /// `length` octets left from `seq` on, into a window that is not closed. `end` is the end of all that ever left.
    pub fn sent(&mut self, seq: Seq, length: usize, una: Seq, end: Seq) {
        if seq.before(una) {
            // A keep-alive probe.
            return;
        }
        if !seq.before(self.position) {
            self.position = seq.plus(length);
            if self.flight(una).saturating_add(self.mss) > self.window() {
                self.full_to = self.position;
            }
        } else if self.resending && seq == una {
            self.resending = false;
        } else {
            self.time_out(una, end);
            self.position = seq.plus(length);
        }
    }

    /// Has the same been sent again and again, since this was last asked, without an answer?
    pub fn take_stuck(&mut self) -> bool {
        core::mem::take(&mut self.stuck)
    }

    /// RFC 5681 3.1: the retransmission timer has fired, and smoltcp begins again from SND.UNA.
    fn time_out(&mut self, una: Seq, end: Seq) {
        self.stuck |= self.timed_out.is_some();
        if self.timed_out.is_none() {
            self.ssthresh = self.half_flight(una);
        }
        self.timed_out = Some(end);
        self.recover = None;
        self.innocent = false;
        self.duplicates = 0;
        self.credit = 0;
        self.resending = false;
        self.wants_resend = false;
        self.cwnd = self.mss;
        self.wants_showing = true;
    }

    fn flight(&self, una: Seq) -> usize {
        usize::try_from(self.position.since(una)).unwrap_or(0)
    }

    fn half_flight(&self, una: Seq) -> usize {
        (self.flight(una) / 2).max(self.mss.saturating_mul(2))
    }

    /// An acceptable segment acknowledges up to `ack`, which is not before `una`. `bare` is one that carries nothing
    /// else, not even another window: if it is not new, it is a duplicate.
    pub fn acknowledged(&mut self, ack: Seq, una: Seq, end: Seq, bare: bool) {
        if ack.after(una) {
            self.duplicates = 0;
            self.last_ack = Some(ack);
            self.new_data(ack, una);
        } else if bare && self.last_ack == Some(ack) && ack.before(self.position) {
            self.duplicates = self.duplicates.saturating_add(1);
            if self.duplicates == DUPLICATES {
                self.lost(una, end);
            }
        } else {
            self.duplicates = 0;
            self.last_ack = Some(ack);
        }
    }

    /// RFC 5681 3.2, step 2: smoltcp sends the segment again by itself. Losses from before a timeout, or from the
    /// window that is being repaired, are no news (RFC 6582 3.2).
    fn lost(&mut self, una: Seq, end: Seq) {
        self.resending = true;
        if self.recover.is_none() && self.timed_out.is_none() {
            self.ssthresh = self.half_flight(una);
            self.recover = Some(end);
        }
    }

    fn new_data(&mut self, ack: Seq, una: Seq) {
        let count = usize::try_from(ack.since(una)).unwrap_or(0);
        self.position = self.position.latest(ack);
        self.resending = false;
        if self.timed_out.is_some_and(|end| !ack.before(end)) {
            self.timed_out = None;
        }
        match self.recover {
            Some(end) if ack.before(end) => self.wants_resend = true,
            Some(_) if core::mem::take(&mut self.innocent) => self.recover = None,
            Some(_) => {
                // RFC 6582 3.2, step 3, full acknowledgement.
                let flight = self.flight(ack).max(self.mss);
                self.cwnd = self.ssthresh.min(flight.saturating_add(self.mss));
                self.recover = None;
                self.credit = 0;
            }
            None if una.before(self.full_to) => self.grow(count),
            None => (),
        }
    }

    /// RFC 5681 3.1 with the byte counting of RFC 3465.
    fn grow(&mut self, count: usize) {
        if self.cwnd < self.ssthresh {
            let most = if self.timed_out.is_some() { 1 } else { 2 };
            let step = count.min(self.mss.saturating_mul(most));
            self.cwnd = self.cwnd.saturating_add(step).min(MAX_WINDOW);
        } else {
            self.credit = self.credit.saturating_add(count);
            if self.credit >= self.cwnd {
                self.credit -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(self.mss).min(MAX_WINDOW);
            }
        }
    }
}

/// RFC 6928 section 2.
fn initial_window(mss: usize) -> usize {
    mss.saturating_mul(10)
        .min(mss.saturating_mul(2).max(14_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: usize = 1000;

    /// A sender that always has data: fills the window, segment by segment.
    struct Sender {
        congestion: Congestion,
        una: Seq,
        next: Seq,
    }

    impl Sender {
        fn new() -> Sender {
            let start = Seq(u32::MAX - 5000);
            let mut congestion = Congestion::new(start, MSS);
            congestion.start(Some(1000), false, Some(start));
            Sender {
                congestion,
                una: start,
                next: start,
            }
        }

        fn fills(&mut self) -> usize {
            let mut segments = 0;
            while usize::try_from(self.next.since(self.una)).unwrap_or(0) + MSS
                <= self.congestion.window()
            {
                self.congestion
                    .sent(self.next, MSS, self.una, self.next.plus(MSS));
                self.next = self.next.plus(MSS);
                segments += 1;
            }
            segments
        }

        fn is_told(&mut self, segments: usize) {
            let ack = self.una.plus(segments * MSS);
            self.congestion.acknowledged(ack, self.una, self.next, true);
            self.una = self.una.latest(ack);
        }

        fn grows_to(&mut self, segments: usize) {
            while self.congestion.window() < segments * MSS {
                self.fills();
                self.is_told(1);
            }
            self.fills();
        }
    }

    #[test]
    fn ten_segments_to_begin_with_and_twice_as_many_each_round() {
        let mut sender = Sender::new();
        assert_eq!(sender.fills(), 10);
        for _ in 0..10 {
            sender.is_told(1);
        }
        assert_eq!(sender.fills(), 20);
        assert_eq!(initial_window(1460), 14_600);
        assert_eq!(initial_window(536), 5360);
        assert_eq!(initial_window(9000), 18_000);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut sender = Sender::new();
        for _ in 0..100 {
            sender
                .congestion
                .sent(sender.next, MSS, sender.una, sender.next.plus(MSS));
            sender.next = sender.next.plus(MSS);
            sender.is_told(1);
        }
        assert_eq!(sender.congestion.window(), 10 * MSS);
    }

    #[test]
    fn three_duplicates_halve_the_window_once_the_loss_is_repaired() {
        let mut sender = Sender::new();
        sender.grows_to(40);
        sender.is_told(0);
        for _ in 0..10 {
            sender.is_told(0);
        }
        let una = sender.una;
        sender.congestion.sent(una, MSS, una, sender.next);
        assert!(
            !sender.congestion.take_showing(),
            "sent again by the third duplicate, not by the timer"
        );
        sender.is_told(40);
        assert_eq!(sender.congestion.ssthresh, 20 * MSS);
        assert!(sender.congestion.window() <= 20 * MSS);
        sender.grows_to(20);
        for _ in 0..20 {
            sender.is_told(1);
        }
        sender.fills();
        assert_eq!(
            sender.congestion.window(),
            21 * MSS,
            "one segment a round from there on"
        );
    }

    #[test]
    fn the_second_hole_is_sent_again_at_once() {
        let mut sender = Sender::new();
        sender.grows_to(40);
        for _ in 0..4 {
            sender.is_told(0);
        }
        sender
            .congestion
            .sent(sender.una, MSS, sender.una, sender.next);
        assert!(!sender.congestion.take_resend());
        sender.is_told(7);
        assert!(
            sender.congestion.take_resend(),
            "RFC 6582: a partial acknowledgement"
        );
        sender
            .congestion
            .sent(sender.una, MSS, sender.una, sender.next);
        assert!(!sender.congestion.take_showing());
        sender.is_told(33);
        assert!(!sender.congestion.take_resend());
        assert_eq!(sender.congestion.recover, None);
    }

    #[test]
    fn rfc1191_6_4_what_was_too_big_is_sent_again_and_the_window_stays() {
        let mut sender = Sender::new();
        sender.grows_to(20);
        let window = sender.congestion.window();
        sender.congestion.limit_mss(500);
        sender.congestion.path_lost(sender.una, sender.next, true);
        assert!(sender.congestion.take_resend(), "at once");
        sender.congestion.path_lost(sender.una, sender.next, false);
        assert!(!sender.congestion.take_resend(), "once for one loss");
        let end = sender.next;
        while sender.una.before(end) {
            sender.congestion.sent(sender.una, 500, sender.una, end);
            let ack = sender.una.plus(500);
            sender.congestion.acknowledged(ack, sender.una, end, true);
            sender.una = ack;
            assert_eq!(
                sender.congestion.take_resend(),
                ack.before(end),
                "hole by hole"
            );
        }
        assert_eq!(sender.congestion.window(), window);
        assert!(!sender.congestion.take_showing(), "no timeout was seen");
    }

    #[test]
    fn a_timeout_leaves_one_segment() {
        let mut sender = Sender::new();
        sender.grows_to(40);
        let una = sender.una;
        sender.congestion.sent(una, MSS, una, sender.next);
        assert!(sender.congestion.take_showing());
        assert_eq!(sender.congestion.window(), MSS);
        assert_eq!(sender.congestion.ssthresh, 20 * MSS);
        assert!(!sender.congestion.take_stuck(), "once is no sign");
        sender.congestion.sent(una, MSS, una, sender.next);
        assert!(sender.congestion.take_stuck());
        assert_eq!(
            sender.congestion.ssthresh,
            20 * MSS,
            "the second for the same segment is no news"
        );
        sender.is_told(1);
        assert_eq!(sender.congestion.window(), 2 * MSS);
    }

    #[test]
    fn a_lost_syn_means_one_segment() {
        let mut congestion = Congestion::new(Seq(0), MSS);
        congestion.start(Some(800), true, None);
        assert_eq!(congestion.window(), 800);
        congestion.start(None, false, None);
        assert_eq!(congestion.window(), 5360);
    }

    #[test]
    fn after_a_pause_it_begins_again() {
        let mut sender = Sender::new();
        sender.grows_to(40);
        sender.is_told(40);
        sender.congestion.restart_after_idle();
        assert!(sender.congestion.take_showing());
        assert_eq!(sender.congestion.window(), 10 * MSS);
    }
}
