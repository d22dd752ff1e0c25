//! The audit of device addresses: what the driver asserts about itself.

use super::*;
use crate::dma::SharedPages;
use crate::error::RegionKind;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use core::ops::Range;
use std::sync::Mutex;

/// An allocator that says of its memory what the test tells it to: the device address, and by how much it is shorter.
#[derive(Clone)]
struct Crooked {
    lie: fn(&SharedPages) -> (u64, usize),
    leases: Arc<Mutex<Vec<Weak<()>>>>,
}

impl Crooked {
    fn new(lie: fn(&SharedPages) -> (u64, usize)) -> Self {
        Self {
            lie,
            leases: Arc::default(),
        }
    }

    /// Every piece has the same address.
    fn always_the_same() -> Self {
        Self::new(|_| (MEMORY_AT, 0))
    }
}

impl DmaAllocator for Crooked {
    fn allocate(&self, length: usize, _: usize) -> Result<Box<dyn DmaMemory>, DmaError> {
        let pages = SharedPages::heap(MEMORY_AT, length);
        let (address, shorter_by) = (self.lie)(&pages);
        let lease = Arc::new(());
        self.leases
            .lock()
            .expect("no panic")
            .push(Arc::downgrade(&lease));
        let mut pages = pages.claiming(address, shorter_by);
        pages.lease = Some(lease);
        Ok(Box::new(pages))
    }
}

/// A pool of two buffers, or what the audit says to it.
fn pool(
    registers: Vec<Range<u64>>,
    lie: fn(&SharedPages) -> (u64, usize),
) -> Result<Pool, DmaError> {
    let crooked = Crooked::new(lie);
    let made = DmaSpace::new(Box::new(crooked.clone()), registers).pool(2, 100);
    let leases = crooked.leases.lock().expect("no panic");
    assert!(
        made.is_ok() || leases.iter().all(|lease| lease.strong_count() == 0),
        "what was refused is freed"
    );
    drop(leases);
    made
}

#[test]
fn honest_memory_passes() {
    let pool = pool(vec![0..MEMORY_AT, MEMORY_AT + 0x1000..u64::MAX], |_| {
        (MEMORY_AT, 0)
    })
    .expect("right between the windows");
    assert_eq!(
        (pool.count(), pool.free(), pool.buffer_length()),
        (2, 2, 100)
    );
}

#[test]
fn memory_shorter_than_asked_is_refused() {
    let error = pool(vec![], |_| (MEMORY_AT, 1)).expect_err("short");
    assert!(
        matches!(error, DmaError::TooShort { asked, given } if given == asked - 1),
        "{error}"
    );
}

#[test]
fn an_address_that_is_not_aligned_is_refused() {
    let error = pool(vec![], |_| (MEMORY_AT + 16, 0)).expect_err("crooked");
    assert_eq!(
        error,
        DmaError::Misaligned {
            address: DeviceAddress(MEMORY_AT + 16),
            alignment: 4096
        }
    );
}

#[test]
fn a_virtual_address_that_nobody_translated_is_refused() {
    let error = pool(vec![], |pages| (pages.pointer().as_ptr() as u64, 0)).expect_err("virtual");
    assert!(matches!(error, DmaError::NotTranslated { .. }), "{error}");
}

#[test]
fn memory_beyond_the_last_address_is_refused() {
    const LAST_PAGE: u64 = !0xfff;
    assert!(
        pool(vec![], |_| (LAST_PAGE, 0)).is_ok(),
        "the last page ends before 2^64, not beyond it"
    );
    let crooked = Crooked::new(|_| (LAST_PAGE, 0));
    let error = DmaSpace::new(Box::new(crooked), vec![])
        .pool(2, 8192)
        .map(|_| ());
    assert_eq!(
        error,
        Err(DmaError::BeyondLastAddress {
            address: DeviceAddress(LAST_PAGE)
        })
    );
}

#[test]
fn memory_in_a_register_window_is_refused() {
    for window in [
        MEMORY_AT..MEMORY_AT + 1,
        MEMORY_AT + 100..MEMORY_AT + 101,
        0..u64::MAX,
    ] {
        let error = pool(vec![0..1, window], |_| (MEMORY_AT, 0)).expect_err("registers");
        let expected = DmaError::Overlap {
            new: RegionKind::Pool,
            old: RegionKind::Registers,
            address: DeviceAddress(MEMORY_AT),
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn memory_that_was_handed_out_already_is_refused_until_it_is_freed() {
    let mut space = DmaSpace::new(Box::new(Crooked::always_the_same()), vec![]);
    let first = space.pool(1, 64).expect("the first");
    let expected = DmaError::Overlap {
        new: RegionKind::Pool,
        old: RegionKind::Pool,
        address: DeviceAddress(MEMORY_AT),
    };
    assert_eq!(space.pool(1, 64).map(|_| ()), Err(expected));
    let buffer = first.take();
    drop(first);
    assert_eq!(
        space.pool(1, 64).map(|_| ()),
        Err(expected),
        "a buffer still holds it"
    );
    drop(buffer);
    assert!(space.pool(1, 64).is_ok());
}

#[test]
fn a_pool_over_queue_memory_and_a_queue_over_a_pool_are_refused() {
    let bench = Bench::new(FLAGS, &[4, 4]);
    let mut space = DmaSpace::new(Box::new(Crooked::always_the_same()), vec![]);
    let mut device = bench.negotiate();
    let options = |index| QueueOptions {
        index,
        size: 4,
        vector: None,
        indirect: 0,
    };
    let queue = device.queue(options(0), &mut space).expect("the first");
    let overlap = |new, old| DmaError::Overlap {
        new,
        old,
        address: DeviceAddress(MEMORY_AT),
    };
    assert_eq!(
        space.pool(1, 64).map(|_| ()),
        Err(overlap(RegionKind::Pool, RegionKind::Queue))
    );
    let second = device.queue(options(1), &mut space).map(|_| ());
    assert_eq!(
        second,
        Err(QueueError::Memory(overlap(
            RegionKind::Queue,
            RegionKind::Queue
        )))
    );
    drop(device);
    drop(queue);
    let _pool = space.pool(1, 64).expect("the queue's memory was freed");
    let mut device = bench.negotiate();
    let queue = device.queue(options(0), &mut space).map(|_| ());
    assert_eq!(
        queue,
        Err(QueueError::Memory(overlap(
            RegionKind::Queue,
            RegionKind::Pool
        )))
    );
}

#[test]
fn no_memory_is_an_error_and_sizes_that_cannot_be_are_refused() {
    let mut space = DmaSpace::new(Box::new(TestMemory::new(MEMORY_AT, 4)), vec![]);
    assert!(matches!(
        space.pool(8, 4096),
        Err(DmaError::OutOfMemory { .. })
    ));
    for (count, length) in [
        (0, 64),
        (1, 0),
        (usize::MAX, 64),
        (1, usize::MAX),
        (1 << 20, 1 << 20),
    ] {
        assert_eq!(
            space.pool(count, length).map(|_| ()),
            Err(DmaError::BadSize),
            "{count} of {length}"
        );
    }
}

#[test]
fn every_posted_address_lies_inside_the_pool_and_outside_the_queue() {
    let mut line = Line::new(FLAGS, 64);
    line.fill();
    let pool = line.pool.device_range();
    let queue = line
        .bench
        .memory
        .allocated()
        .into_iter()
        .find(|range| *range != pool)
        .expect("the queue's memory");
    assert!(queue.end <= pool.start || pool.end <= queue.start);
    let mut seen: Vec<Range<u64>> = Vec::new();
    while let Some(chain) = line.end.pop() {
        for part in chain.parts {
            let range = part.address..part.address + u64::from(part.length);
            assert!(
                pool.start <= range.start && range.end <= pool.end,
                "{range:x?} outside {pool:x?}"
            );
            assert!(
                seen.iter()
                    .all(|other| range.end <= other.start || other.end <= range.start),
                "{range:x?} twice"
            );
            seen.push(range);
        }
    }
    assert_eq!(seen.len(), 64);
}

#[test]
fn queue_parts_are_aligned_apart_and_inside_their_allocation() {
    for size in (0..=15).map(|power| 1u16 << power) {
        let mut bench = Bench::with_pages(FLAGS, &[size], 1024);
        let mut device = bench.negotiate();
        let queue = bench.queue(&mut device, 0, size);
        let (end, n) = (bench.fake.queue(0), u64::from(size));
        let [inside] = &bench.memory.allocated()[..] else {
            panic!("one allocation")
        };
        // virtio 2.7: alignment 16, 2 and 4.
        assert_eq!(
            (end.descriptors % 16, end.available % 2, end.used % 4),
            (0, 0, 0),
            "size {size}"
        );
        let parts = [
            (end.descriptors, 16 * n),
            (end.available, 6 + 2 * n),
            (end.used, 6 + 8 * n),
        ];
        let mut after = inside.start;
        for (start, length) in parts {
            assert!(
                start >= after + 64,
                "size {size}: room for a canary before {start:#x}"
            );
            after = start + length;
        }
        assert!(
            after + 64 <= inside.end,
            "size {size}: {after:#x} in {inside:x?}"
        );
        assert!(queue.canaries_are_whole());
        bench.memory.write(end.used + 6 + 8 * n, &[0xff; 64]);
        assert!(
            !queue.canaries_are_whole(),
            "size {size}: the canary behind the used ring sees a write"
        );
    }
}

#[test]
fn chains_that_the_specification_forbids_are_given_back() {
    let mut line = Line::with_buffers(FLAGS, 4, 12, 128);
    let mut refused = |chain| {
        let refused = line.queue.post(chain).expect_err("forbidden");
        assert_eq!(line.queue.free(), 4, "nothing was used up");
        refused.error
    };
    let take = || line.pool.take().expect("free");
    assert_eq!(refused(Chain::readable(take(), 0..0)), PostError::BadRange);
    assert_eq!(
        refused(Chain::readable(take(), 100..129)),
        PostError::BadRange
    );
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = 9..3;
    assert_eq!(
        refused(Chain::readable(take(), reversed)),
        PostError::BadRange
    );
    assert_eq!(
        refused(Chain::readable(take(), usize::MAX..usize::MAX)),
        PostError::BadRange
    );
    assert_eq!(
        refused(Chain::writable(take()).then_readable(take(), 0..1)),
        PostError::ReadableAfterWritable
    );
    let long = (0..4).fold(Chain::writable(take()), |chain, _| {
        chain.then_writable(take())
    });
    assert_eq!(refused(long), PostError::TooLong);
    let other = DmaSpace::new(Box::new(TestMemory::new(0x1000, 4)), vec![])
        .pool(1, 64)
        .expect("memory");
    assert_eq!(
        refused(Chain::writable(other.take().expect("free"))),
        PostError::ForeignBuffer
    );
    assert_eq!(
        (line.pool.free(), line.pool.posted()),
        (12, 0),
        "every buffer went back to its pool"
    );
    line.assert_balance();
}

#[test]
fn a_buffer_that_is_marked_as_posted_is_not_posted_twice() {
    let mut line = Line::new(FLAGS, 4);
    let (first, second) = (line.buffer(), line.buffer());
    // No safe code can get here; the audit is there for the day when this crate is wrong.
    assert!(second.mark_posted());
    let refused = line
        .queue
        .post(Chain::readable(first, 0..1).then_writable(second))
        .expect_err("twice");
    assert_eq!(refused.error, PostError::PostedTwice);
    let [first, second] = &refused.chain.parts().collect::<Vec<_>>()[..] else {
        panic!("two parts")
    };
    assert!(
        !first.buffer.mark_taken(),
        "the first is not left behind as posted"
    );
    assert!(second.buffer.mark_taken());
}

#[test]
fn a_buffer_has_one_owner_at_a_time() {
    let line = Line::new(FLAGS, 4);
    let buffers: Vec<_> = core::iter::from_fn(|| line.pool.take()).collect();
    let mut ranges: Vec<_> = buffers
        .iter()
        .map(|buffer| (buffer.device_address(), buffer.length() as u64))
        .collect();
    ranges.sort();
    assert_eq!(buffers.len(), 4);
    assert!(
        ranges
            .windows(2)
            .all(|pair| pair[0].0.0 + pair[0].1 <= pair[1].0.0),
        "{ranges:x?}"
    );
    assert!(buffers.iter().all(|buffer| buffer.is_of(&line.pool)));
    drop(buffers);
    assert_eq!(line.pool.free(), 4);
}
