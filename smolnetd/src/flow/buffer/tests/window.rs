//! What the peer is told, and what it makes of it.

use proptest::prelude::*;
use smoltcp::time::{Duration, Instant};

use super::super::ReceiveWindow;
use crate::flow::sequence::Seq;

const MSS: usize = 1460;

/// Our end and the peer's idea of it.
struct Ends {
    window: ReceiveWindow,
    shift: u8,
    rcv_nxt: Seq,
    unread: usize,
    /// The edge that the peer computed from the last segment, and the rightmost that it ever did.
    seen: Seq,
    furthest: Seq,
}

impl Ends {
    /// A connection whose first octet has the number `first`.
    fn new(first: Seq, capacity: usize, limit: usize) -> Ends {
        let shift = ReceiveWindow::shift_for(limit);
        let mut window = ReceiveWindow::new(capacity, limit);
        let offered = window.syn();
        window.start(Instant::ZERO, first, offered, Some(shift));
        let edge = first.plus(usize::from(offered));
        Ends {
            window,
            shift,
            rcv_nxt: first,
            unread: 0,
            seen: edge,
            furthest: edge,
        }
    }

    /// Octets that the peer may send.
    fn usable(&self) -> usize {
        self.furthest.since(self.rcv_nxt) as usize
    }

    /// As much as the peer may send of `octets` comes.
    fn come(&mut self, octets: usize) {
        let octets = octets.min(self.usable());
        self.rcv_nxt = self.rcv_nxt.plus(octets);
        self.unread += octets;
    }

    /// An acknowledgement leaves. What it says, in octets.
    fn acknowledge(&mut self) -> usize {
        let field = self.window.advertise(self.rcv_nxt, self.unread, MSS);
        self.seen = self.rcv_nxt.plus(usize::from(field) << self.shift);
        self.furthest = self.furthest.latest(self.seen);
        usize::from(field) << self.shift
    }

    /// The program reads up to `octets`.
    fn read(&mut self, octets: usize) {
        self.unread -= octets.min(self.unread);
    }

    fn is_update_due(&self) -> bool {
        self.window.is_update_due(self.rcv_nxt, self.unread, MSS)
    }

    /// What must hold after an acknowledgement, when the edges were `seen` and `promised` before it.
    fn check(&self, seen: Seq, promised: Seq) -> Result<(), TestCaseError> {
        let (unit, capacity) = (1_i32 << self.shift, self.window.capacity());
        let edge = self.rcv_nxt.plus(self.window.promised(self.rcv_nxt));
        prop_assert_eq!(
            edge,
            self.furthest,
            "what the peer ever saw is what is taken"
        );
        prop_assert!(!edge.before(promised), "the edge moved left");
        let back = seen.since(self.seen);
        prop_assert!(back < unit, "the peer saw the edge move left by {}", back);
        let room = self.unread + self.window.promised(self.rcv_nxt);
        prop_assert!(room <= capacity, "{room} octets of {capacity}");
        if back > 0 {
            prop_assert!(room + unit as usize > capacity, "there was room to say so");
        }
        // RFC 9293 3.8.6.2.2
        let forth = edge.since(promised);
        let least = MSS.min(capacity / 2) as i32;
        prop_assert!(
            forth < unit || forth >= least,
            "a silly window of {}",
            forth
        );
        Ok(())
    }
}

proptest! {
    #[test]
    fn rfc_9293_3_8_6_the_edge_never_moves_left(
        first in any::<u32>(),
        capacity in prop_oneof![2048..70_000_usize, 100_000..2_000_000_usize],
        growth in 1..16_usize,
        steps in proptest::collection::vec((0..3_u8, prop_oneof![0..10_usize, 0..3000_usize, 0..90_000_usize]), 0..200),
    ) {
        let mut ends = Ends::new(Seq(first), capacity, capacity.saturating_mul(growth));
        for (what, octets) in steps {
            match what {
                0 => ends.read(octets),
                _ => ends.come(octets),
            }
            let promised = ends.rcv_nxt.plus(ends.window.promised(ends.rcv_nxt));
            let seen = ends.seen;
            ends.acknowledge();
            ends.check(seen, promised)?;
        }
        // Whatever came before: what was read can be sent again.
        ends.read(usize::MAX);
        let offer = ends.acknowledge();
        let capacity = capacity.min(65_535 << ends.shift);
        prop_assert!(offer + MSS.min(capacity / 2) + (1 << ends.shift) > capacity, "{} of {}", offer, capacity);
        prop_assert!(!ends.is_update_due());
    }

    #[test]
    fn rfc_9293_3_8_6_less_capacity_takes_nothing_back(
        first in any::<u32>(),
        capacities in proptest::collection::vec(0..300_000_usize, 1..40),
        octets in 1..5000_usize,
    ) {
        let mut ends = Ends::new(Seq(first), 65_535, 300_000);
        for capacity in capacities {
            ends.window.set_capacity(capacity, capacity);
            ends.come(octets);
            let promised = ends.rcv_nxt.plus(ends.window.promised(ends.rcv_nxt));
            ends.acknowledge();
            let edge = ends.rcv_nxt.plus(ends.window.promised(ends.rcv_nxt));
            prop_assert!(!edge.before(promised));
            prop_assert_eq!(edge, ends.furthest);
            // No promise beyond the new capacity.
            let room = ends.unread + ends.window.promised(ends.rcv_nxt);
            prop_assert!(edge == promised || room <= capacity);
            ends.read(octets / 2);
        }
    }
}

/// RFC 7323 2.3: the least shift that does, up to 14.
#[test]
fn rfc_7323_2_3_the_shift_is_the_least_that_can_say_the_limit() {
    for (limit, shift) in [
        (0, 0),
        (65_535, 0),
        (65_536, 1),
        (131_070, 1),
        (131_071, 2),
        (65_535 << 6, 6),
        (4 << 20, 7),
        (65_535 << 14, 14),
        (usize::MAX, 14),
    ] {
        assert_eq!(ReceiveWindow::shift_for(limit), shift, "for {limit}");
    }
}

/// RFC 7323 2.2: the window of a SYN is never scaled; a peer that does not scale gets 16 bits of octets for ever.
#[test]
fn rfc_7323_2_2_a_peer_that_does_not_scale_is_told_65535_at_most() {
    let mut window = ReceiveWindow::new(1 << 20, 4 << 20);
    assert_eq!(window.syn(), 65_535);
    window.start(Instant::ZERO, Seq(1), 65_535, None);
    assert_eq!(window.advertise(Seq(1), 0, MSS), 65_535);
    assert_eq!(window.promised(Seq(1)), 65_535);
    assert_eq!(window.advertise(Seq(60_001), 0, MSS), 65_535);
    assert_eq!(ReceiveWindow::new(3000, 1 << 20).syn(), 3000);
}

/// RFC 7323 2.4: the peer sends an octet at a time and the program reads nothing. While there is room the window stays
/// where it is in units, and the edge goes with RCV.NXT; then it closes, and every octet that was promised is taken.
#[test]
fn rfc_7323_2_4_single_octets_close_a_scaled_window_without_a_broken_promise() {
    // Units of 128.
    let mut ends = Ends::new(Seq(u32::MAX - 3000), 20_000, 4 << 20);
    ends.window.set_capacity(20_050, 4 << 20);
    let mut told = ends.acknowledge();
    assert_eq!(told, 156 * 128);
    while ends.usable() > 0 {
        let promised = ends.rcv_nxt.plus(ends.window.promised(ends.rcv_nxt));
        let seen = ends.seen;
        ends.come(1);
        let offer = ends.acknowledge();
        assert!(offer <= told, "the window opened");
        told = offer;
        ends.check(seen, promised).expect("no promise broken");
    }
    assert_eq!((told, ends.unread), (0, 20_050));
}

/// RFC 9293 3.8.6.2.2: a program that reads octet by octet does not open a closed window octet by octet.
#[test]
fn rfc_9293_3_8_6_2_2_a_closed_window_opens_for_a_segment() {
    let mut ends = Ends::new(Seq(7), 65_535, 65_535);
    ends.come(65_535);
    assert_eq!(ends.acknowledge(), 0);
    for _ in 1..MSS {
        ends.read(1);
        assert!(!ends.is_update_due());
        assert_eq!(ends.acknowledge(), 0);
    }
    ends.read(1);
    assert!(ends.is_update_due());
    assert_eq!(ends.acknowledge(), MSS);
    assert!(!ends.is_update_due());
}

/// The same where half of the buffer is less than a segment.
#[test]
fn rfc_9293_3_8_6_2_2_a_small_buffer_opens_by_its_half() {
    let mut ends = Ends::new(Seq(7), 2048, 2048);
    ends.come(2048);
    assert_eq!(ends.acknowledge(), 0);
    ends.read(1023);
    assert!(!ends.is_update_due());
    ends.read(1);
    assert!(ends.is_update_due());
    assert_eq!(ends.acknowledge(), 1024);
}

/// A program that keeps up with its peer causes no segments of its own: the window is told with what is acknowledged
/// anyway.
#[test]
fn a_window_that_is_still_wide_is_not_worth_a_segment() {
    let mut ends = Ends::new(Seq(7), 65_535, 65_535);
    ends.come(30_000);
    ends.read(30_000);
    assert!(!ends.is_update_due());
    ends.come(5000);
    ends.read(5000);
    assert!(ends.is_update_due(), "half of it is gone");
}

/// Reads `octets` in each of `rounds` round trips of 50 ms, in four parts. Each capacity that it came to.
fn capacities(window: &mut ReceiveWindow, octets: &[usize]) -> Vec<usize> {
    let round_trip = Duration::from_millis(50);
    let mut now = Instant::from_secs(100);
    window.start(now, Seq(1), 65_535, Some(7));
    let round = |octets: &usize| {
        for _ in 0..4 {
            now += round_trip / 4;
            window.read(now, octets / 4, Some(round_trip));
        }
        window.capacity()
    };
    octets.iter().map(round).collect()
}

#[test]
fn a_window_grows_to_twice_what_is_read_in_a_round_trip() {
    let mut window = ReceiveWindow::new(65_536, 1 << 20);
    // Slow start: the peer fills each window, and each is read.
    let read = [20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 640_000];
    let grown = [65_536, 80_000, 160_000, 320_000, 640_000, 1 << 20, 1 << 20];
    assert_eq!(capacities(&mut window, &read), grown);
    // It is not taken away again: it costs nothing.
    assert_eq!(capacities(&mut window, &[100, 0]), [1 << 20, 1 << 20]);
}

#[test]
fn what_is_read_slowly_needs_no_larger_window() {
    let mut window = ReceiveWindow::new(65_536, 1 << 20);
    assert_eq!(capacities(&mut window, &[32_768; 100]), [65_536; 100]);
}

#[test]
fn a_window_grows_no_further_than_it_can_be_said() {
    let mut window = ReceiveWindow::new(65_535, 1 << 20);
    window.start(Instant::ZERO, Seq(1), 65_535, None);
    assert!(!window.read(Instant::from_secs(2), 500_000, None));
    assert_eq!(window.capacity(), 65_535);

    // A round trip that was never measured is taken for a second.
    window.start(Instant::ZERO, Seq(1), 65_535, Some(4));
    assert!(!window.read(Instant::from_millis(999), 100_000, None));
    assert!(window.read(Instant::from_millis(1000), 100_000, None));
    assert_eq!(window.capacity(), 400_000);
}

/// Memory is short, and later it is not.
#[test]
fn without_memory_a_window_shrinks_to_what_was_promised_and_then_to_what_there_is() {
    let mut ends = Ends::new(Seq(u32::MAX - 20_000), 65_535, 65_535);
    ends.window.restrain(8192);
    assert_eq!(ends.acknowledge(), 65_535);
    // What is read at once opens nothing while more is promised than there is memory for.
    while ends.usable() > 8192 {
        let before = ends.usable();
        ends.come(MSS);
        ends.read(MSS);
        assert!(ends.acknowledge() < before);
    }
    ends.come(MSS);
    ends.read(MSS);
    assert_eq!(ends.acknowledge(), 8192);
    assert!(
        !ends.window.read(Instant::from_secs(60), 1 << 20, None),
        "no growth"
    );
    ends.window.restrain(usize::MAX);
    assert!(ends.is_update_due());
    assert_eq!(ends.acknowledge(), 65_535);
}

#[test]
fn no_number_is_too_large() {
    let mut window = ReceiveWindow::new(usize::MAX, usize::MAX);
    window.start(Instant::ZERO, Seq(u32::MAX), u16::MAX, Some(u8::MAX));
    assert_eq!(window.advertise(Seq(u32::MAX), 0, usize::MAX), u16::MAX);
    assert_eq!(window.promised(Seq(u32::MAX)), 65_535 << 14);
    assert_eq!(window.promised(Seq(u32::MAX - 1).plus(1 << 31)), 0);
    window.read(Instant::from_secs(9), usize::MAX, None);
    window.read(Instant::from_secs(99), usize::MAX, Some(Duration::ZERO));
    window.set_capacity(0, 0);
    assert!(!window.is_update_due(Seq(5), usize::MAX, 0));
    window.advertise(Seq(5), usize::MAX, 0);
}
