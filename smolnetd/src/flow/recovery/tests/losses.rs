//! Losses that acknowledgements tell of.

use super::story::{RTT, Story};
use super::*;

/// Ten segments, of which the first acknowledgements are about to come.
fn ten(sack: bool) -> Story {
    let mut story = Story::new(sack);
    story.writes(10);
    story.passes(RTT);
    story
}

#[test]
fn rfc8985_6_2_three_behind_a_hole_mean_that_it_is_one() {
    let mut story = ten(true);
    assert_eq!(story.hears(0, &[(1, 2)]), []);
    assert_eq!(story.hears(0, &[(1, 3)]), []);
    assert_eq!(story.hears(0, &[(1, 4)]), [0]);
    assert_eq!(story.hears(0, &[(1, 10)]), [], "once");
    story.passes(RTT);
    assert_eq!(story.hears(10, &[]), []);
    assert_eq!(story.recovery.cwnd(), 7 * MSS, "RFC 9438 4.6: beta is 0.7");
    assert_eq!(story.recovery.deadline(), None);
}

#[test]
fn rfc8985_6_2_all_holes_of_a_window_are_filled_in_a_round_trip() {
    let mut story = ten(true);
    let mut left = Vec::new();
    for blocks in [
        &[(1, 2)][..],
        &[(1, 3)],
        &[(4, 5), (1, 3)],
        &[(4, 6), (1, 3)],
        &[(8, 9), (4, 6), (1, 3)],
        &[(8, 10), (4, 6), (1, 3)],
    ] {
        left.extend(story.hears(0, blocks));
    }
    assert_eq!(left, [0, 3, 6, 7]);
}

#[test]
fn rfc8985_6_2_what_is_lost_twice_is_sent_three_times() {
    let mut story = ten(true);
    story.writes(100);
    assert_eq!(story.hears(0, &[(1, 4)])[0], 0);
    // What leaves now leaves after it.
    story.passes(Duration::from_millis(1));
    let newer = story.hears(0, &[(1, 10)]);
    assert!(newer[0] >= 10, "{newer:?}");
    story.passes(RTT);
    let left = story.hears(0, &[(newer[0], newer[0] + 1), (1, 10)]);
    assert_eq!(left[0], 0, "that has arrived, it has not");
}

/// RFC 8985 6.2, step 4.
#[test]
fn rfc8985_6_2_reordering_is_waited_for_a_quarter_of_a_round_trip() {
    let mut story = ten(true);
    story.hears(0, &[(1, 2)]);
    story.hears(2, &[]);
    // So there is reordering here. The third is late as well.
    story.passes(Duration::from_millis(1));
    assert_eq!(story.hears(2, &[(3, 9)]), []);
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired, left), (25, Fired::Reordering, vec![2]));
}

#[test]
fn rfc8985_6_2_what_came_late_but_in_time_is_not_sent_again() {
    let mut story = ten(true);
    story.hears(0, &[(1, 2)]);
    story.hears(2, &[]);
    story.hears(2, &[(3, 9)]);
    story.passes(Duration::from_millis(20));
    assert_eq!(story.hears(10, &[]), []);
    assert_eq!(story.recovery.deadline(), None);
    assert!(story.recovery.cwnd() >= 10 * MSS);
}

/// RFC 8985 6.2, step 4: a DSACK, and it is waited for longer.
#[test]
fn rfc8985_6_2_what_was_sent_in_vain_makes_it_more_patient() {
    let mut story = ten(true);
    story.hears(0, &[(1, 2)]);
    story.hears(2, &[]);
    story.hears(2, &[(3, 10)]);
    assert_eq!(story.waits().2, [2]);
    story.hears(10, &[(2, 3)]);
    story.writes(10);
    story.passes(RTT);
    story.hears(10, &[(11, 12)]);
    let (wait, fired, _) = story.waits();
    assert_eq!((wait, fired), (50, Fired::Reordering));
}

/// RFC 2883, RFC 4015: the peer has got everything twice that was sent again, so nothing was lost.
#[test]
fn rfc4015_a_loss_that_was_none_is_undone() {
    let mut story = Story::new(true);
    let ack = story.grows_to(40);
    let before = story.recovery.cwnd();
    story.passes(RTT);
    let left = story.hears(ack, &[(ack + 1, ack + 5)]);
    assert_eq!(left[0], ack);
    story.passes(Duration::from_millis(1));
    story.hears(ack + 5, &[]);
    assert!(story.recovery.cwnd() < before);
    story.passes(RTT);
    story.is_told(ack + 5, &[(ack, ack + 1)]);
    let now = story.recovery.cwnd();
    assert!(now + MSS >= before, "{now} after {before}");
}

#[test]
fn rfc3042_the_first_two_duplicates_each_send_a_new_segment() {
    for sack in [true, false] {
        let mut story = Story::new(sack);
        story.writes(100);
        story.passes(RTT);
        let blocks: [&[(usize, usize)]; 2] = if sack {
            [&[(1, 2)], &[(1, 3)]]
        } else {
            [&[], &[]]
        };
        assert_eq!(story.hears(0, blocks[0]), [10]);
        assert_eq!(story.hears(0, blocks[1]), [11]);
    }
}

#[test]
fn rfc5681_3_2_the_third_duplicate_sends_the_segment_again() {
    let mut story = ten(false);
    assert_eq!(story.hears(0, &[]), []);
    assert_eq!(story.hears(0, &[]), []);
    assert_eq!(story.hears(0, &[]), [0]);
    for _ in 0..6 {
        assert_eq!(story.hears(0, &[]), [], "once");
    }
    story.passes(RTT);
    assert_eq!(story.hears(10, &[]), []);
    assert_eq!(story.recovery.cwnd(), 7 * MSS);
    assert_eq!(story.recovery.deadline(), None);
}

#[test]
fn rfc6582_3_2_a_partial_acknowledgement_sends_the_next_hole() {
    let mut story = ten(false);
    let left: Vec<usize> = (0..8).flat_map(|_| story.hears(0, &[])).collect();
    assert_eq!(left, [0]);
    story.passes(RTT);
    assert_eq!(story.hears(4, &[]), [4]);
    story.passes(RTT);
    assert_eq!(story.hears(10, &[]), []);
    assert_eq!(
        story.recovery.cwnd(),
        7 * MSS,
        "one loss as far as congestion goes"
    );
}

/// RFC 6582 3.2, step 2: duplicates of what was sent again in vain are no loss.
#[test]
fn rfc6582_3_2_duplicates_after_a_repair_are_no_news() {
    let mut story = ten(false);
    for _ in 0..3 {
        story.hears(0, &[]);
    }
    story.writes(100);
    story.hears(10, &[]);
    for _ in 0..5 {
        assert!(story.hears(10, &[]).iter().all(|&number| number > 10));
    }
}

/// RFC 5681 section 2: data, or another window, and it is no duplicate.
#[test]
fn rfc5681_2_what_carries_something_is_no_duplicate() {
    let mut story = ten(false);
    for _ in 0..10 {
        story.recovery.acknowledged(
            story.now,
            &Acknowledgement {
                ack: story.recovery.una(),
                blocks: &[],
                bare: false,
            },
        );
        assert_eq!(story.leave(), []);
    }
}
