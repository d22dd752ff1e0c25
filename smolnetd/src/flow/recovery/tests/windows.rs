//! How much may be on its way while all is well.

use super::story::{RTT, Story, at};
use super::*;

#[test]
fn rfc6928_ten_segments_to_begin_with_and_twice_as_many_each_round() {
    let mut story = Story::new(true);
    assert_eq!(story.writes(1000), (0..10).collect::<Vec<_>>());
    story.passes(RTT);
    let mut left = 0;
    for ack in 1..=10 {
        left += story.hears(ack, &[]).len();
    }
    assert_eq!(left, 20);
}

#[test]
fn rfc6928_2_few_large_segments_and_many_small_ones() {
    for (mss, window) in [(1460, 14_600), (536, 5360), (9000, 18_000), (1, 480)] {
        let mut recovery = Recovery::new(Seq(0), 65_000);
        recovery.limit_mss(mss);
        recovery.started(Instant::ZERO, &Handshake::default());
        assert_eq!(recovery.allowance(Instant::ZERO), window);
    }
}

#[test]
fn rfc9406_an_acknowledgement_of_many_counts_as_eight() {
    let mut story = Story::new(true);
    story.writes(1000);
    story.passes(RTT);
    story.hears(10, &[]);
    assert_eq!(story.recovery.cwnd(), 18 * MSS);
}

#[test]
fn rfc5681_3_1_a_window_that_is_not_used_does_not_grow() {
    let mut story = Story::new(true);
    for ack in 1..=100 {
        assert_eq!(story.writes(1).len(), 1);
        story.passes(RTT);
        story.hears(ack, &[]);
    }
    assert_eq!(story.recovery.cwnd(), 10 * MSS);
}

#[test]
fn rfc5681_4_1_after_a_pause_it_begins_again() {
    let mut story = Story::new(true);
    story.writes(10);
    story.passes(RTT);
    for ack in 1..=10 {
        story.hears(ack, &[]);
    }
    assert_eq!(story.recovery.allowance(story.now), 20 * MSS);
    story.passes(Duration::from_secs(1));
    assert_eq!(story.recovery.allowance(story.now), 10 * MSS);
    assert_eq!(story.writes(100).len(), 10);
    assert_eq!(story.recovery.cwnd(), 10 * MSS);
}

/// RFC 9438: flat round the window of the last loss, steeper the longer ago it is; never slower than Reno.
#[test]
fn rfc9438_the_window_is_a_function_of_time() {
    let mut story = Story::new(true);
    let mut ack = story.grows_to(100);
    // The next is lost.
    for arrived in 2..=4 {
        story.hears(ack, &[(ack + 1, ack + arrived)]);
    }
    let end = usize::try_from(story.recovery.nxt().since(at(0))).expect("some") / MSS;
    story.passes(RTT);
    story.hears(end, &[]);
    let beginning = story.recovery.cwnd();
    assert!((68 * MSS..74 * MSS).contains(&beginning), "{beginning}");
    ack = end;
    let mut windows = Vec::new();
    for _ in 0..80 {
        story.passes(RTT);
        let flight = story.recovery.in_flight() / MSS;
        for _ in 0..flight {
            ack += 1;
            story.hears(ack, &[]);
        }
        windows.push(story.recovery.cwnd() / MSS);
    }
    assert!(windows.is_sorted(), "{windows:?}");
    // K is the cube root of (100 - 70) / 0.4: 4.2 seconds.
    assert!((98..=104).contains(&windows[42]), "{windows:?}");
    let [early, flat, late] = [0, 38, 70].map(|n| windows[n + 8] - windows[n]);
    assert!(flat < early && flat < late, "{windows:?}");
}

#[test]
fn rfc5681_3_1_a_lost_syn_means_one_segment() {
    let mut recovery = Recovery::new(Seq(0), MSS);
    recovery.limit_mss(800);
    recovery.started(
        Instant::ZERO,
        &Handshake {
            repeated: true,
            ..Handshake::default()
        },
    );
    assert_eq!(recovery.allowance(Instant::ZERO), 800);
    assert_eq!(recovery.rto(), Duration::from_secs(3), "RFC 6298 5.7");
}

#[test]
fn an_idle_connection_holds_no_memory() {
    let mut story = Story::new(true);
    assert_eq!(story.recovery.held(), 0);
    story.writes(10);
    assert!(story.recovery.held() > 0);
    story.passes(RTT);
    story.hears(10, &[]);
    assert_eq!(story.recovery.held(), 0);
    assert_eq!(story.recovery.deadline(), None);
    let size = core::mem::size_of::<Recovery>();
    assert!(size <= 800, "{size}");
}

/// What is sent within a 32nd of a round trip is one entry of the log.
#[test]
fn a_large_window_is_not_a_long_list() {
    let mut story = Story::new(true);
    story.writes(1_000_000);
    story.passes(RTT);
    let mut ack = 0;
    for _ in 0..12 {
        let flight = story.recovery.in_flight() / MSS;
        for _ in 0..flight {
            story.passes(RTT / flight as u32);
            ack += 1;
            story.hears(ack, &[]);
        }
    }
    assert!(story.recovery.in_flight() > 1000 * MSS);
    let held = story.recovery.held();
    assert!(held <= 128 * 40, "{held} octets");
}
