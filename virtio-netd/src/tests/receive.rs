//! Stories of received frames.

use netscheme::network::server::Nic;

use super::bench::{Bench, EVENTS, PLAIN, frame};
use crate::counters::Counter;

#[test]
fn the_rx_ring_that_was_never_given_back() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for number in 0..1000 {
        assert!(
            bench.deliver(&frame(number, 60)).is_some(),
            "no buffer left for frame {number}"
        );
        bench.interrupt();
        assert_eq!(bench.read(), Some(frame(number, 60)));
        assert_eq!(bench.read(), None);
    }
    assert_eq!(
        bench.stat("rx_posted"),
        8,
        "the ring is as full as at the start"
    );
    assert_eq!(bench.count(Counter::RxFrames), 1000);
    assert_eq!(bench.count(Counter::RxBytes), 60_000);
    bench.assert_whole();
}

#[test]
fn the_ring_index_that_wrapped_around() {
    let mut bench = Bench::new(EVENTS, [4, 4]);
    for number in 0..70_000 {
        assert!(
            bench.deliver(&frame(number, 14)).is_some(),
            "no buffer left for frame {number}"
        );
        assert_eq!(bench.read(), Some(frame(number, 14)));
        bench.nic.transmit(&frame(number, 14)).unwrap();
        bench.nic.flush();
        assert!(
            bench
                .send_next()
                .is_some_and(|(sent, _)| sent == frame(number, 14)),
            "frame {number}"
        );
    }
    bench.assert_whole();
}

#[test]
fn the_burst_of_which_only_the_newest_was_seen() {
    for offered in [PLAIN, EVENTS] {
        let mut bench = Bench::new(offered, [64, 8]);
        let burst: Vec<_> = (0..64).map(|number| frame(number, 100)).collect();
        burst
            .iter()
            .for_each(|frame| _ = bench.deliver(frame).expect("a buffer"));
        assert_eq!(bench.deliver(&frame(99, 100)), None, "the ring is used up");
        bench.interrupt();
        assert_eq!(
            bench.read_all(),
            burst,
            "all of them, in their order, after one interrupt"
        );
        bench.assert_whole();
    }
}

#[test]
fn the_interrupt_that_woke_nobody() {
    for offered in [PLAIN, EVENTS] {
        let mut bench = Bench::new(offered, [8, 8]);
        for round in 0..20 {
            assert_eq!(bench.read(), None);
            assert_eq!(
                bench.deliver(&frame(round, 60)),
                Some(true),
                "round {round}: a sleeping driver is to be woken"
            );
            bench.interrupt();
            assert_eq!(
                bench.deliver(&frame(100 + round, 60)),
                Some(false),
                "round {round}: one that is at work is not"
            );
            assert_eq!(bench.read(), Some(frame(round, 60)));
            assert!(
                bench.nic.can_receive(),
                "round {round}: the second came without an interrupt and is seen all the same"
            );
            assert_eq!(bench.read(), Some(frame(100 + round, 60)));
        }
        bench.assert_whole();
    }
}

#[test]
fn the_frame_that_waits_for_a_reader_needs_no_further_interrupts() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    assert!(!bench.nic.can_receive());
    assert_eq!(bench.deliver(&frame(1, 60)), Some(true));
    bench.interrupt();
    assert!(bench.nic.can_receive(), "asked for, and not read");
    for number in 2..8 {
        assert_eq!(
            bench.deliver(&frame(number, 60)),
            Some(false),
            "frame {number}"
        );
        assert!(bench.nic.can_receive());
    }
    assert_eq!(bench.read_all().len(), 7);
}

#[test]
fn the_1514_byte_frame() {
    let mut bench = Bench::new(EVENTS, [4, 4]);
    for length in [14, 59, 60, 1513, 1514, 1518] {
        let frame = frame(9, length);
        bench.deliver(&frame).unwrap();
        assert_eq!(bench.read(), Some(frame), "{length} bytes");
    }
    bench.assert_whole();
}

#[test]
fn the_long_frame_left_nothing_behind_in_the_short_one() {
    let mut bench = Bench::new(EVENTS, [1, 1]);
    bench.deliver(&[0xee; 1514]).unwrap();
    assert_eq!(bench.read().map(|frame| frame.len()), Some(1514));
    bench.deliver(&frame(5, 60)).unwrap();
    assert_eq!(
        bench.read(),
        Some(frame(5, 60)),
        "60 bytes, and none of the frame before"
    );
}

#[test]
fn a_frame_lent_for_long_keeps_its_buffer_and_no_other() {
    let mut bench = Bench::new(EVENTS, [4, 4]);
    bench.deliver(&frame(1, 60)).unwrap();
    let lent = bench.nic.receive().unwrap();
    assert_eq!(*lent, frame(1, 60));
    drop(lent);
    assert_eq!(
        (bench.stat("rx_posted"), bench.stat("rx_in_flight")),
        (4, 0)
    );
    bench.deliver(&frame(2, 60)).unwrap();
    assert!(bench.nic.can_receive());
    assert_eq!(
        (bench.stat("rx_posted"), bench.stat("rx_in_flight")),
        (3, 1),
        "found, and waiting for its reader"
    );
    bench.assert_whole();
}

#[test]
fn the_doorbell_rings_once_for_many_buffers() {
    let mut bench = Bench::new(PLAIN, [64, 8]);
    let before = bench.card.fake.state().doorbells.len();
    for number in 0..64 {
        bench.deliver(&frame(number, 60)).unwrap();
    }
    bench.interrupt();
    assert_eq!(bench.read_all().len(), 64);
    let rung = bench.card.fake.state().doorbells.len() - before;
    assert!((1..=4).contains(&rung), "{rung} doorbells for 64 buffers");
}

#[test]
fn the_device_that_wants_no_doorbell_gets_none() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    bench.rx.want_doorbell(false);
    bench.tx.want_doorbell(false);
    let before = bench.card.fake.state().doorbells.len();
    for number in 0..100 {
        bench.deliver(&frame(number, 60)).unwrap();
        assert!(bench.read_all().len() == 1 && bench.nic.transmit(&frame(number, 60)).is_ok());
        bench.nic.flush();
        bench.send_next().unwrap();
    }
    assert_eq!(bench.card.fake.state().doorbells.len(), before);
}
