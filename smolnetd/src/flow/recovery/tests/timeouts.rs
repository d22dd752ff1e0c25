//! When nothing is heard.

use super::story::{RTT, Story, at};
use super::*;

#[test]
fn rfc8985_7_3_a_probe_of_new_data_after_two_round_trips() {
    let mut story = Story::new(true);
    story.writes(11);
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired), (202, Fired::Probe));
    assert_eq!(left, [10], "though the window is full");
}

#[test]
fn rfc8985_7_3_a_probe_of_the_last_segment_and_then_the_timer() {
    let mut story = Story::new(true);
    story.writes(10);
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired, left), (202, Fired::Probe, vec![9]));
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired, left), (300, Fired::Timeout, vec![0]));
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired, left), (600, Fired::Timeout, vec![0]));
}

/// RFC 8985 7.4.2: the probe alone has repaired it, and the network has still lost something.
#[test]
fn rfc8985_7_4_2_a_repaired_tail_is_a_loss_all_the_same() {
    for (answer, window) in [(None, 13_300), (Some((9, 10)), 19_000)] {
        let mut story = Story::new(true);
        story.writes(10);
        story.passes(RTT);
        story.hears(9, &[]);
        let (_, fired, left) = story.waits();
        assert_eq!((fired, left), (Fired::Probe, vec![9]));
        story.passes(RTT);
        story.hears(10, &Vec::from_iter(answer));
        story.writes(1);
        story.passes(RTT);
        story.hears(11, &[]);
        assert_eq!(story.recovery.cwnd(), window, "{answer:?}");
    }
}

#[test]
fn rfc8985_7_2_a_lone_segment_may_be_acknowledged_late() {
    let mut story = Story::new(true);
    story.writes(1);
    let (wait, fired, _) = story.waits();
    assert_eq!(
        (wait, fired),
        (300, Fired::Probe),
        "with the retransmission timer at the latest"
    );
}

#[test]
fn rfc6298_5_a_timeout_leaves_one_segment_and_twice_the_time() {
    let mut story = Story::new(false);
    story.writes(100);
    let (wait, fired, left) = story.waits();
    assert_eq!((wait, fired, left), (300, Fired::Timeout, vec![0]));
    assert_eq!(story.recovery.cwnd(), MSS);
    assert!(!story.recovery.take_stuck(), "once is no sign");
    assert_eq!(story.waits(), (600, Fired::Timeout, vec![0]));
    assert!(story.recovery.take_stuck());
    assert!(!story.recovery.take_stuck(), "asked and answered");
    assert_eq!(story.waits().0, 1200);
    story.passes(RTT);
    assert_eq!(story.hears(1, &[]), [1, 2], "slow start");
    story.passes(RTT);
    assert_eq!(story.hears(2, &[]), [3, 4]);
    assert_eq!(story.recovery.rto(), Duration::from_millis(1200), "Karn");
    story.passes(RTT);
    story.hears(10, &[]);
    story.passes(RTT);
    story.hears(11, &[]);
    assert!(
        story.recovery.rto() < Duration::from_millis(500),
        "measured"
    );
}

/// An outage of minutes must not make each loss after it cost a minute.
#[test]
fn what_gets_through_again_ends_the_long_waits() {
    let mut story = Story::new(false);
    story.writes(10);
    while story.recovery.rto() < Duration::from_secs(60) {
        story.waits();
    }
    story.hears(1, &[]);
    assert_eq!(story.waits().0, 1200);
}

/// RFC 6298 section 3: which of both was acknowledged is not known.
#[test]
fn rfc6298_3_what_was_sent_twice_measures_nothing() {
    let mut story = Story::new(false);
    story.writes(1);
    story.waits();
    let srtt = story.recovery.srtt();
    story.passes(Duration::from_millis(3));
    story.hears(1, &[]);
    assert_eq!(story.recovery.srtt(), srtt);
}

/// RFC 8985 6.3: what has just been sent is not lost yet.
#[test]
fn rfc8985_6_3_a_timeout_does_not_give_up_what_has_just_left() {
    let mut story = Story::new(true);
    story.writes(9);
    story.waits();
    story.passes(Duration::from_millis(250));
    story.writes(1);
    let (_, fired, left) = story.waits();
    assert_eq!((fired, left), (Fired::Timeout, vec![0]));
    assert_eq!(
        story.recovery.in_flight(),
        2 * MSS,
        "the last and the first"
    );
}

/// RFC 2018 section 8: the peer may have thrown away what it said that it has.
#[test]
fn rfc2018_8_after_a_timeout_a_peer_that_reneged_gets_everything_again() {
    let mut story = Story::new(true);
    story.writes(10);
    story.passes(RTT);
    story.hears(0, &[(1, 10)]);
    story.passes(RTT);
    // The hole is filled, and what was SACKed is gone.
    story.hears(1, &[]);
    let (_, fired, mut left) = story.waits();
    assert_eq!(fired, Fired::Timeout);
    for ack in 2..=10 {
        story.passes(RTT);
        left.extend(story.hears(ack, &[]));
    }
    assert_eq!(left, (1..10).collect::<Vec<_>>());
    assert_eq!(story.recovery.una(), at(10));
}

/// RFC 6675 5.1: what was SACKed before a timeout is not sent again after it.
#[test]
fn rfc6675_5_1_after_a_timeout_what_arrived_is_not_sent_again() {
    let mut story = Story::new(true);
    story.writes(10);
    story.passes(RTT);
    assert_eq!(story.hears(0, &[(4, 9)]), [0, 1, 2, 3]);
    let mut left = Vec::new();
    while story.recovery.rto() < Duration::from_secs(1) {
        left = story.waits().2;
    }
    story.passes(RTT);
    left.extend(story.hears(1, &[(4, 9)]));
    story.passes(RTT);
    left.extend(story.hears(3, &[(4, 9)]));
    assert_eq!(left, [0, 1, 2, 3, 9]);
}

/// RFC 5682: the acknowledgements were only late.
#[test]
fn rfc5682_a_timeout_that_was_none_is_undone() {
    let mut story = Story::new(true);
    story.writes(10);
    let mut fired = Fired::Probe;
    while fired != Fired::Timeout {
        fired = story.waits().1;
    }
    assert_eq!(story.recovery.cwnd(), MSS);
    story.hears(2, &[]);
    assert!(story.recovery.cwnd() >= 10 * MSS);
    assert_eq!(story.leave(), [], "what is on its way is not sent again");
    story.hears(10, &[]);
    assert_eq!(story.recovery.deadline(), None);
}

#[test]
fn rfc6298_2_1_a_syn_waits_a_second_and_then_twice_as_long() {
    let mut recovery = Recovery::new(at(0), MSS);
    let mut now = Instant::from_secs(1);
    recovery.sent(now, at(0), 1);
    for seconds in [1, 2, 4] {
        let due = recovery.deadline().expect("a timer");
        assert_eq!(due - now, Duration::from_secs(seconds));
        now = due;
        assert_eq!(recovery.expire(now), Some(Fired::Timeout));
        assert_eq!(recovery.next_lost(), Some((at(0), 1)));
        recovery.sent(now, at(0), 1);
        assert_eq!(recovery.next_lost(), None);
    }
    assert!(recovery.take_stuck());
    let ack = Acknowledgement {
        ack: at(0).plus(1),
        blocks: &[],
        bare: false,
    };
    assert_eq!(recovery.acknowledged(now, &ack).acknowledged, 1);
    recovery.limit_mss(1000);
    let handshake = Handshake {
        repeated: true,
        ..Handshake::default()
    };
    recovery.started(now, &handshake);
    assert_eq!(recovery.srtt(), None);
    assert_eq!(
        (recovery.cwnd(), recovery.rto()),
        (MSS, Duration::from_secs(3))
    );
}

#[test]
fn rfc6298_2_2_an_answered_syn_is_a_measurement() {
    let mut recovery = Recovery::new(at(0), MSS);
    let now = Instant::from_secs(1);
    recovery.sent(now, at(0), 1);
    let ack = Acknowledgement {
        ack: at(0).plus(1),
        blocks: &[],
        bare: false,
    };
    recovery.acknowledged(now + RTT, &ack);
    // The peer named no segment size.
    recovery.limit_mss(536);
    recovery.started(now + RTT, &Handshake::default());
    assert_eq!(recovery.srtt(), Some(RTT));
    assert_eq!(recovery.deadline(), None);
    assert_eq!(recovery.allowance(now + RTT), 10 * 536, "RFC 9293 3.7.1");
}
