//! Stories of frames to send.

use netscheme::frame::{FrameSink, Slot};
use netscheme::network::server::{Full, Nic};

use super::bench::{Bench, EVENTS, PLAIN, frame};
use crate::counters::Counter;

#[test]
fn the_second_transmit_that_never_completed() {
    for offered in [PLAIN, EVENTS] {
        let mut bench = Bench::new(offered, [8, 8]);
        for number in 1..=3 {
            assert_eq!(
                bench.nic.transmit(&frame(number, 60)),
                Ok(()),
                "nobody waits for the one before"
            );
            bench.nic.flush();
        }
        for number in 1..=3 {
            assert_eq!(
                bench.send_next(),
                Some((frame(number, 60), false)),
                "sent, and nobody is woken for it"
            );
        }
        assert_eq!(bench.tx.pop(), None);
        bench.assert_whole();
    }
}

#[test]
fn a_full_ring_is_backpressure_and_half_an_empty_one_its_end() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for number in 0..8 {
        assert_eq!(bench.nic.transmit(&frame(number, 60)), Ok(()));
    }
    assert_eq!(bench.nic.transmit(&frame(8, 60)), Err(Full));
    assert!(!bench.nic.can_transmit());
    assert_eq!(bench.count(Counter::TxFull), 1);
    let rung: Vec<_> = (0..8)
        .map(|_| {
            bench
                .send_next()
                .expect("a frame that was shown when the ring was full")
                .1
        })
        .collect();
    assert_eq!(
        rung,
        [false, false, false, true, false, false, false, false],
        "one interrupt, at half of them"
    );
    bench.interrupt();
    assert!(bench.nic.can_transmit());
    assert_eq!(bench.nic.transmit(&frame(8, 60)), Ok(()));
    bench.nic.flush();
    assert_eq!(bench.send_next(), Some((frame(8, 60), false)));
    assert_eq!(bench.count(Counter::TxFrames), 9);
    bench.assert_whole();
}

#[test]
fn without_event_idx_a_full_ring_is_told_of_its_first_room() {
    let mut bench = Bench::new(PLAIN, [8, 8]);
    while bench.nic.transmit(&frame(1, 60)).is_ok() {}
    assert_eq!(
        bench.send_next().map(|(_, interrupt)| interrupt),
        Some(true)
    );
    bench.interrupt();
    assert_eq!(bench.nic.transmit(&frame(2, 60)), Ok(()));
    assert_eq!(bench.nic.transmit(&frame(3, 60)), Err(Full));
}

#[test]
fn room_made_while_the_ring_was_being_armed_is_seen() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for number in 0..8 {
        bench.nic.transmit(&frame(number, 60)).unwrap();
    }
    bench.nic.flush();
    for _ in 0..5 {
        bench.send_next().unwrap();
    }
    assert!(
        bench.nic.can_transmit(),
        "the device was done before anybody asked"
    );
    assert_eq!(bench.stat("tx_free"), 5);
    bench.assert_whole();
}

#[test]
fn slots_are_freed_when_the_ring_needs_them_and_not_before() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for number in 0..10_000 {
        assert_eq!(
            bench.nic.transmit(&frame(number, 1514)),
            Ok(()),
            "frame {number}"
        );
        bench.nic.flush();
        assert_eq!(
            bench.send_next(),
            Some((frame(number, 1514), false)),
            "no interrupt for frame {number}"
        );
    }
    assert_eq!(bench.count(Counter::TxFull), 0);
    bench.assert_whole();
}

#[test]
fn the_doorbell_rings_once_for_a_batch() {
    let mut bench = Bench::new(EVENTS, [8, 64]);
    let before = bench.card.fake.state().doorbells.len();
    for number in 0..32 {
        bench.nic.transmit(&frame(number, 60)).unwrap();
    }
    assert_eq!(
        bench.tx.available_index(),
        0,
        "the device sees nothing of a batch before its end"
    );
    bench.nic.flush();
    assert_eq!(bench.card.fake.state().doorbells.len(), before + 1);
    assert_eq!(core::iter::from_fn(|| bench.send_next()).count(), 32);
}

#[test]
fn the_longest_frame_and_one_byte_more() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    let longest = bench.nic.transmit_half().capacity();
    assert_eq!(longest, 1518, "1500, the Ethernet header and a VLAN tag");
    assert_eq!(bench.nic.transmit(&frame(1, longest)), Ok(()));
    bench.nic.flush();
    assert_eq!(
        bench.send_next().map(|(frame, _)| frame.len()),
        Some(longest)
    );
    assert!(bench.nic.transmit_half().slot(longest + 1).is_none());
    assert!(bench.nic.transmit_half().slot(usize::MAX).is_none());
    assert_eq!(bench.count(Counter::TxFull), 0, "too long is not full");
}

#[test]
fn a_slot_that_was_not_committed_is_given_back() {
    let mut bench = Bench::new(EVENTS, [2, 2]);
    for _ in 0..10 {
        let mut slot = bench.nic.transmit_half().slot(60).expect("room");
        slot.fill(1);
        drop(slot);
    }
    let mut slot = bench.nic.transmit_half().slot(60).unwrap();
    slot.copy_from_slice(&frame(7, 60));
    slot.commit();
    bench.nic.flush();
    assert_eq!(bench.send_next().map(|(sent, _)| sent), Some(frame(7, 60)));
    assert_eq!(
        bench.send_next(),
        None,
        "what was not committed is not sent"
    );
    bench.assert_whole();
}

#[test]
fn the_device_that_stops_using_buffers_blocks_writers_and_nobody_else() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    while bench.nic.transmit(&frame(1, 60)).is_ok() {}
    for number in 0..100 {
        assert_eq!(bench.nic.transmit(&frame(1, 60)), Err(Full));
        bench.deliver(&frame(number, 60)).unwrap();
        bench.interrupt();
        assert_eq!(
            bench.read(),
            Some(frame(number, 60)),
            "the other direction goes on"
        );
    }
    assert_eq!(
        bench.nic.trouble(),
        None,
        "a peer that takes nothing is no defect of the device"
    );
    assert_eq!(bench.stat("tx_posted"), 8);
    bench.assert_whole();
}
