//! The layout of a split ring, and its notification arithmetic.

use crate::ring::{Barriers, Layout, Memory, Ring};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, Ordering};

#[test]
fn the_parts_have_the_sizes_and_alignments_of_the_specification() {
    for size in (0..=15).map(|power| 1u16 << power) {
        for entries in [0, 2, 16] {
            let layout = Layout::new(size, entries);
            let n = usize::from(size);
            let parts = [
                (layout.descriptors, 16 * n, 16),
                (layout.available, 6 + 2 * n, 2),
                (layout.used, 6 + 8 * n, 4),
                (layout.tables, 16 * n * usize::from(entries), 16),
            ];
            let mut end = 0;
            for (start, length, alignment) in parts {
                assert!(
                    start >= end && start % alignment == 0 && start % 64 == 0,
                    "{layout:?}"
                );
                end = start + length;
            }
            assert!(end <= layout.length);
        }
    }
}

/// A ring's words without a device.
struct Words(Vec<AtomicU16>);

impl Words {
    fn new(layout: &Layout) -> Self {
        Self((0..layout.length / 2).map(|_| AtomicU16::new(0)).collect())
    }
}

impl Memory for &Words {
    fn load_u16(&self, offset: usize, order: Ordering) -> u16 {
        self.0[offset / 2].load(order)
    }
    fn store_u16(&self, offset: usize, value: u16, order: Ordering) {
        self.0[offset / 2].store(value, order);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        let [low, high] = [0, 2].map(|at| u32::from(self.load_u16(offset + at, Ordering::Relaxed)));
        high << 16 | low
    }
    fn store_u32(&self, offset: usize, value: u32) {
        self.store_u16(offset, value as u16, Ordering::Relaxed);
        self.store_u16(offset + 2, (value >> 16) as u16, Ordering::Relaxed);
    }
    fn store_u64(&self, offset: usize, value: u64) {
        self.store_u32(offset, value as u32);
        self.store_u32(offset + 4, (value >> 32) as u32);
    }
    fn full_fence(&self) {}
    fn platform_barrier(&self) {}
}

#[test]
fn a_doorbell_is_wanted_when_the_event_is_among_the_new_entries_at_every_place_around_the_wrap() {
    let layout = Layout::new(4, 0);
    let words = Words::new(&layout);
    let ring = Ring::new(&words, layout, true, Barriers::Cpu);
    for old in [0, 1, 0x7fff, 0x8000, 0xfffd, 0xffff] {
        for added in 0..6 {
            for event in 0..8 {
                let new = u16::wrapping_add(old, added);
                let event_index = u16::wrapping_add(old, event).wrapping_sub(1);
                (&words).store_u16(layout.used + 4 + 8 * 4, event_index, Ordering::Relaxed);
                let wanted = ring.wants_doorbell(old, new);
                // The new entries are old, old + 1 … new - 1.
                let among =
                    (0..new.wrapping_sub(old)).any(|step| old.wrapping_add(step) == event_index);
                assert_eq!(
                    wanted, among,
                    "old {old:#x} new {new:#x} avail_event {event_index:#x}"
                );
            }
        }
    }
}

#[test]
fn words_are_where_the_specification_puts_them() {
    let layout = Layout::new(4, 0);
    let words = Words::new(&layout);
    let ring = Ring::new(&words, layout, true, Barriers::Cpu);
    let word = |offset| (&words).load_u16(offset, Ordering::Relaxed);
    ring.write_available(6, 3);
    ring.publish(7);
    ring.arm(0x1234);
    assert_eq!(word(layout.available), 0, "flags stay 0 with EVENT_IDX");
    assert_eq!(word(layout.available + 2), 7);
    assert_eq!(word(layout.available + 4 + 2 * 2), 3);
    assert_eq!(word(layout.available + 4 + 2 * 4), 0x1234);
    (&words).store_u16(layout.used + 2, 9, Ordering::Relaxed);
    (&words).store_u32(layout.used + 4 + 8, 2);
    (&words).store_u32(layout.used + 4 + 12, 1514);
    assert_eq!((ring.used_index(), ring.used_element(9)), (9, (2, 1514)));
    let flags = Ring::new(&words, layout, false, Barriers::Platform);
    flags.disarm(0);
    assert_eq!(word(layout.available), 1);
    flags.arm(0);
    assert_eq!(word(layout.available), 0);
    (&words).store_u16(layout.used, 1, Ordering::Relaxed);
    assert!(!flags.wants_doorbell(6, 7));
    (&words).store_u16(layout.used, 0, Ordering::Relaxed);
    assert!(flags.wants_doorbell(6, 7));
}
