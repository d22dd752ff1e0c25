//! What routers and routes say.

use super::story::{RTT, Story, at};
use super::*;

#[test]
fn rfc1191_6_4_what_was_too_big_is_sent_again_and_the_window_stays() {
    let mut story = Story::new(true);
    story.writes(10);
    let window = story.recovery.cwnd();
    story.recovery.limit_mss(500);
    story.recovery.path_lost(story.now, true);
    assert_eq!(story.recovery.next_lost(), Some((at(0), 500)), "at once");
    assert_eq!(story.leave().len(), 20);
    story.recovery.path_lost(story.now, false);
    assert_eq!(story.leave(), [], "once for one loss");
    story.recovery.path_lost(story.now, true);
    assert_eq!(story.leave().len(), 20, "it was too big again");
    story.passes(RTT);
    story.hears(10, &[]);
    assert!(story.recovery.cwnd() >= window);
    assert_eq!(story.recovery.deadline(), None);
}

#[test]
fn nothing_on_its_way_is_nothing_lost() {
    let mut story = Story::new(true);
    story.recovery.path_lost(story.now, true);
    story.recovery.path_changed(story.now);
    assert_eq!(story.leave(), []);
    assert_eq!(story.recovery.deadline(), None);
}

#[test]
fn another_path_is_tried_at_once() {
    for sack in [true, false] {
        let mut story = Story::new(sack);
        story.writes(10);
        story.recovery.path_changed(story.now);
        assert_eq!(story.leave(), [], "nothing has timed out");
        while story.recovery.rto() < Duration::from_secs(10) {
            story.waits();
        }
        story.recovery.path_changed(story.now);
        assert_eq!(story.leave(), [0]);
        assert_eq!(story.recovery.rto(), Duration::from_millis(300));
    }
}

#[test]
fn a_segment_may_grow_again_and_one_may_always_leave() {
    let mut story = Story::new(true);
    story.recovery.limit_mss(50_000);
    assert_eq!(story.recovery.allowance(story.now), 50_000);
}

#[test]
fn a_segment_is_never_smaller_than_reason() {
    let mut story = Story::new(true);
    story.recovery.limit_mss(0);
    assert_eq!(story.recovery.mss(), MIN_MSS);
    assert_eq!(story.writes(1).len(), 1, "and one may always leave");
}
