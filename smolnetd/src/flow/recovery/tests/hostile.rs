//! What a peer says that cannot be.

use proptest::prelude::*;

use super::story::{RTT, Story, at};
use super::*;

/// RFC 2018: blocks lie between SEG.ACK and SND.NXT.
#[test]
fn rfc2018_blocks_that_cannot_be_change_nothing() {
    let mut story = Story::new(true);
    story.writes(10);
    story.hears(2, &[]);
    let [una, nxt] = [story.recovery.una(), story.recovery.nxt()];
    let half = 1 << 31;
    for block in [
        (una, una.plus(1)),
        (una.plus(1), nxt.plus(1)),
        (una.minus(5), una.plus(5)),
        (una.minus(5), nxt.plus(5)),
        (una.plus(5), una.plus(5)),
        (una.plus(6), una.plus(5)),
        (nxt, nxt.plus(1)),
        (nxt.plus(1), una.plus(1)),
        (una.plus(1), una.plus(1).plus(half)),
        (una.plus(half), nxt.plus(half)),
        (una.plus(half), nxt),
        (una.plus(half - 1), una.plus(half + 1)),
    ] {
        let news = story.recovery.acknowledged(
            story.now,
            &Acknowledgement {
                ack: una,
                blocks: &[block; 4],
                bare: true,
            },
        );
        assert_eq!(news, News::default(), "{block:?}");
        assert_eq!(story.recovery.in_flight(), 8 * MSS, "{block:?}");
        assert_eq!(story.leave(), [], "{block:?}");
    }
}

#[test]
fn overlapping_blocks_count_once() {
    let mut story = Story::new(true);
    story.writes(10);
    let news = story.is_told(0, &[(3, 7), (4, 6), (5, 9), (3, 9)]);
    assert_eq!(news.sacked, 6 * MSS);
    assert_eq!(story.is_told(0, &[(3, 9)]).sacked, 0);
}

/// Every other octet: the log is full and says no more; everything arrives all the same.
#[test]
fn a_peer_that_makes_a_thousand_holes_gets_no_more_memory() {
    let mut story = Story::new(true);
    let ack = story.grows_to(100);
    let una = story.recovery.una();
    for hole in 0..20_000 {
        let left = una.plus(1 + 2 * hole);
        story.recovery.acknowledged(
            story.now,
            &Acknowledgement {
                ack: una,
                blocks: &[(left, left.plus(1))],
                bare: true,
            },
        );
        story.leave();
    }
    assert!(
        story.recovery.held() <= 2048 * 40,
        "{}",
        story.recovery.held()
    );
    let end = usize::try_from(story.recovery.nxt().since(at(0))).expect("some") / MSS;
    assert!(end > ack);
    story.passes(RTT);
    story.hears(end, &[]);
    assert_eq!(story.recovery.una(), at(end));
}

/// Repairs with a full log do not turn in circles.
#[test]
fn a_full_log_still_repairs() {
    let mut story = Story::new(true);
    story.grows_to(100);
    let una = story.recovery.una();
    for hole in 0..2000 {
        let left = una.plus(1 + 40 * hole);
        story.is_told(0, &[]);
        story.recovery.acknowledged(
            story.now,
            &Acknowledgement {
                ack: una,
                blocks: &[(left, left.plus(1))],
                bare: true,
            },
        );
    }
    for _ in 0..20 {
        let left = story.waits().2;
        assert!(left.len() <= 2000, "{}", left.len());
    }
}

#[test]
fn an_old_acknowledgement_changes_nothing() {
    let mut story = Story::new(true);
    story.writes(10);
    story.hears(5, &[]);
    let before = format!("{:?}", story.recovery);
    assert_eq!(story.is_told(4, &[(6, 7)]), News::default());
    assert_eq!(format!("{:?}", story.recovery), before);
}

#[test]
fn no_length_is_too_large() {
    let mut story = Story::new(true);
    for length in [usize::MAX, 1 << 40, u32::MAX as usize, 1 << 31, 1 << 30] {
        story.recovery.sent(story.now, story.recovery.nxt(), length);
        story.recovery.sent(story.now, story.recovery.una(), length);
    }
    assert!(story.recovery.nxt().since(story.recovery.una()) <= 1 << 30);
    assert_eq!(story.recovery.allowance(story.now), 0);
}

/// What may happen to a sender.
#[derive(Clone, Debug)]
enum Event {
    Writes(usize),
    Sends(u32, usize),
    Hears(u32, Vec<(u32, u32)>, bool),
    Passes(u64),
    Fires,
    Router(usize, bool),
    Route,
}

fn event() -> impl Strategy<Value = Event> {
    let near = prop_oneof![
        8 => 0..40_000_u32,
        1 => any::<u32>(),
        1 => (0..10_000_u32).prop_map(|back| back.wrapping_neg()),
    ];
    let block = (near.clone(), near.clone());
    prop_oneof![
        (0..30_usize).prop_map(Event::Writes),
        (near.clone(), 0..50_000_usize).prop_map(|(at, length)| Event::Sends(at, length)),
        (
            0..20_000_u32,
            prop::collection::vec(block, 0..6),
            any::<bool>()
        )
            .prop_map(|(ack, blocks, bare)| Event::Hears(ack, blocks, bare)),
        prop_oneof![0..400_000_u64, 0..1_u64 << 40].prop_map(Event::Passes),
        Just(Event::Fires),
        (0..2000_usize, any::<bool>()).prop_map(|(mss, news)| Event::Router(mss, news)),
        Just(Event::Route),
    ]
}

fn happens(story: &mut Story, event: Event) {
    let (una, now) = (story.recovery.una(), story.now);
    match event {
        Event::Writes(segments) => {
            story.writes(segments);
        }
        Event::Sends(at, length) => story
            .recovery
            .sent(now, Seq(una.0.wrapping_add(at)), length),
        Event::Hears(ack, blocks, bare) => {
            let far = |offset: u32| Seq(una.0.wrapping_add(offset));
            let blocks: Vec<_> = blocks.iter().map(|&(l, r)| (far(l), far(r))).collect();
            let nxt = story.recovery.nxt();
            let ack = if far(ack).after(nxt) { nxt } else { far(ack) };
            story.recovery.acknowledged(
                now,
                &Acknowledgement {
                    ack,
                    blocks: &blocks,
                    bare,
                },
            );
        }
        Event::Passes(micros) => {
            story.now = time::later(now, micros);
        }
        Event::Fires => {
            if let Some(due) = story.recovery.deadline() {
                story.now = now.max(due);
                while story.recovery.expire(story.now).is_some() {}
            }
        }
        Event::Router(mss, news) => {
            story.recovery.limit_mss(mss);
            story.recovery.path_lost(now, news);
        }
        Event::Route => story.recovery.path_changed(now),
    }
    let left = story.leave();
    assert!(left.len() < 100_000, "no end of it");
}

proptest! {
    /// Whatever happens, in whatever order: nothing panics, every octet has one fate, and as long as something is not
    /// acknowledged a timer runs.
    #[test]
    fn whatever_happens_the_log_is_whole(
        sack in any::<bool>(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut story = Story::new(sack);
        for event in events {
            happens(&mut story, event);
            let log = &story.recovery.log;
            let sum: usize = [Fate::Flying, Fate::Sacked, Fate::Lost]
                .map(|fate| log.count(fate))
                .iter()
                .sum();
            prop_assert_eq!(sum, log.outstanding());
            prop_assert_eq!(log.is_empty(), log.una() == log.nxt());
            prop_assert_eq!(story.recovery.deadline().is_some(), !log.is_empty());
        }
    }
}
