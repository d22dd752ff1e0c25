//! The ring's orderings under every interleaving and every reordering that the memory model allows.
//!
//! The lines of `ring.rs` run over loom's atomics. What is looked for: a sleep of one side that nobody ends, and an
//! index that is seen before what it stands for. Each model also runs with the barrier in question taken away, and
//! must then fail: so the models are known to see what they look for.

use crate::ring::{Barriers, Layout, Memory, Ring};
use alloc::sync::Arc;
use alloc::vec::Vec;
use loom::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use loom::thread;

/// What is taken away from the driver's side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    FullFence,
    Release,
    Acquire,
}

/// The shared words of a ring, each a loom atomic. Descriptors are left out: the ring entry stands for them.
struct Words {
    available: usize,
    used: usize,
    cells: Vec<AtomicU16>,
}

/// Words per part: what a queue of one entry has, `flags idx entry event` and `flags idx id length event`.
const PART: usize = 8;

impl Words {
    fn new(layout: &Layout) -> Self {
        let cells = (0..2 * PART).map(|_| AtomicU16::new(0)).collect();
        Self {
            available: layout.available,
            used: layout.used,
            cells,
        }
    }

    fn cell(&self, offset: usize) -> &AtomicU16 {
        match offset.checked_sub(self.used) {
            Some(in_used) => &self.cells[PART + in_used / 2],
            None => &self.cells[(offset - self.available) / 2],
        }
    }
}

/// One side's view of the words.
#[derive(Clone)]
struct Side {
    words: Arc<Words>,
    missing: Missing,
}

impl Memory for Side {
    fn load_u16(&self, offset: usize, order: Ordering) -> u16 {
        let order = if self.missing == Missing::Acquire {
            Ordering::Relaxed
        } else {
            order
        };
        self.words.cell(offset).load(order)
    }
    fn store_u16(&self, offset: usize, value: u16, order: Ordering) {
        let order = if self.missing == Missing::Release {
            Ordering::Relaxed
        } else {
            order
        };
        self.words.cell(offset).store(value, order);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        // Ids and lengths of these models fit into 16 bits; the upper half would only add interleavings.
        self.words.cell(offset).load(Ordering::Relaxed).into()
    }
    fn store_u32(&self, offset: usize, value: u32) {
        self.words
            .cell(offset)
            .store(value as u16, Ordering::Relaxed);
    }
    fn store_u64(&self, _: usize, _: u64) {}
    fn full_fence(&self) {
        if self.missing != Missing::FullFence {
            fence(Ordering::SeqCst);
        }
    }
    fn platform_barrier(&self) {
        self.full_fence();
    }
}

#[derive(Clone, Copy)]
struct Setup {
    event_index: bool,
    barriers: Barriers,
    missing: Missing,
}

const SETUPS: [(bool, Barriers); 4] = [
    (false, Barriers::Cpu),
    (true, Barriers::Cpu),
    (false, Barriers::Platform),
    (true, Barriers::Platform),
];

fn each_setup(missing: Missing, model: fn(Setup)) {
    for (event_index, barriers) in SETUPS {
        check(
            Setup {
                event_index,
                barriers,
                missing,
            },
            model,
        );
    }
}

fn check(setup: Setup, model: fn(Setup)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || model(setup));
}

/// The driver's ring and the device's plain view of the same words.
fn ring(setup: Setup) -> (Ring<Side>, Device) {
    let layout = Layout::new(1, 0);
    let words = Arc::new(Words::new(&layout));
    let side = |missing| Side {
        words: words.clone(),
        missing,
    };
    let ring = Ring::new(
        side(setup.missing),
        layout,
        setup.event_index,
        setup.barriers,
    );
    (
        ring,
        Device {
            memory: side(Missing::Nothing),
            layout,
            event_index: setup.event_index,
        },
    )
}

/// The device's end, written down independently of the driver's.
struct Device {
    memory: Side,
    layout: Layout,
    event_index: bool,
}

impl Device {
    fn no_doorbells(&self) {
        if self.event_index {
            self.memory
                .store_u16(self.layout.used + 12, 0xffff, Ordering::Relaxed);
        } else {
            self.memory
                .store_u16(self.layout.used, 1, Ordering::Relaxed);
        }
    }

    /// Asks for a doorbell at entry `next` and looks again.
    fn want_doorbell(&self, next: u16) -> u16 {
        if self.event_index {
            self.memory
                .store_u16(self.layout.used + 12, next, Ordering::Relaxed);
        } else {
            self.memory
                .store_u16(self.layout.used, 0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        self.available_index()
    }

    fn available_index(&self) -> u16 {
        self.memory
            .load_u16(self.layout.available + 2, Ordering::Acquire)
    }

    fn available_entry(&self) -> u16 {
        self.memory
            .load_u16(self.layout.available + 4, Ordering::Relaxed)
    }

    /// Uses entry `index` and says whether the driver wants an interrupt.
    fn push(&self, index: u16, id: u32) -> bool {
        self.memory.store_u32(self.layout.used + 4, id);
        self.memory.store_u16(
            self.layout.used + 2,
            index.wrapping_add(1),
            Ordering::Release,
        );
        fence(Ordering::SeqCst);
        if self.event_index {
            self.memory
                .load_u16(self.layout.available + 6, Ordering::Relaxed)
                == index
        } else {
            self.memory
                .load_u16(self.layout.available, Ordering::Relaxed)
                & 1
                == 0
        }
    }
}

/// The driver publishes an entry while the device goes to sleep.
fn publish_against_a_device_that_goes_to_sleep(setup: Setup) {
    let (ring, device) = ring(setup);
    device.no_doorbells();
    let driver = thread::spawn(move || {
        ring.write_available(0, 7);
        ring.publish(1);
        ring.wants_doorbell(0, 1)
    });
    let mut seen = device.available_index();
    if seen == 0 {
        seen = device.want_doorbell(0);
    }
    if seen == 1 {
        assert_eq!(
            device.available_entry(),
            7,
            "the index was seen before the entry"
        );
    }
    let rang = driver.join().expect("the driver");
    assert!(seen == 1 || rang, "the device sleeps and no doorbell rings");
}

/// The device uses an entry while the driver goes to sleep.
fn arm_against_a_device_that_uses(setup: Setup) {
    let (ring, device) = ring(setup);
    ring.disarm(0);
    let end = thread::spawn(move || device.push(0, 7));
    let mut seen = ring.used_index();
    if seen == 0 {
        seen = ring.arm(0);
    }
    if seen == 1 {
        assert_eq!(
            ring.used_element(0).0,
            7,
            "the index was seen before the element"
        );
    }
    let rang = end.join().expect("the device");
    assert!(
        seen == 1 || rang,
        "the driver sleeps and no interrupt comes"
    );
}

/// There and back: the device answers what the driver publishes, both go to sleep as they do in life.
fn there_and_back(setup: Setup) {
    let (ring, device) = ring(setup);
    device.no_doorbells();
    ring.disarm(0);
    let bell = Arc::new(AtomicBool::new(false));
    let rung = bell.clone();
    let end = thread::spawn(move || {
        if device.available_index() == 0 && device.want_doorbell(0) == 0 {
            // Asleep: the doorbell is what wakes it.
            while !rung.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        assert_eq!((device.available_index(), device.available_entry()), (1, 7));
        device.push(0, 7)
    });
    ring.write_available(0, 7);
    ring.publish(1);
    bell.store(ring.wants_doorbell(0, 1), Ordering::Release);
    let seen = ring.arm(0);
    if seen == 1 {
        assert_eq!(ring.used_element(0).0, 7);
    }
    let rang = end.join().expect("the device");
    assert!(
        seen == 1 || rang,
        "the driver sleeps and no interrupt comes"
    );
}

#[test]
fn no_doorbell_is_lost() {
    each_setup(
        Missing::Nothing,
        publish_against_a_device_that_goes_to_sleep,
    );
}

#[test]
fn no_interrupt_is_lost() {
    each_setup(Missing::Nothing, arm_against_a_device_that_uses);
}

#[test]
fn nothing_is_lost_there_and_back() {
    each_setup(Missing::Nothing, there_and_back);
}

/// The model fails, for each way of suppressing notifications.
fn must_fail(missing: Missing, model: fn(Setup)) {
    for event_index in [false, true] {
        let setup = Setup {
            event_index,
            barriers: Barriers::Cpu,
            missing,
        };
        let outcome = std::panic::catch_unwind(|| check(setup, model));
        assert!(
            outcome.is_err(),
            "the model is blind (EVENT_IDX: {event_index})"
        );
    }
}

#[test]
fn without_the_full_fence_a_doorbell_is_lost_and_the_model_sees_it() {
    must_fail(
        Missing::FullFence,
        publish_against_a_device_that_goes_to_sleep,
    );
}

#[test]
fn without_the_full_fence_an_interrupt_is_lost_and_the_model_sees_it() {
    must_fail(Missing::FullFence, arm_against_a_device_that_uses);
}

#[test]
fn without_release_an_entry_is_seen_too_late_and_the_model_sees_it() {
    must_fail(
        Missing::Release,
        publish_against_a_device_that_goes_to_sleep,
    );
}

#[test]
fn without_acquire_a_used_element_is_seen_too_late_and_the_model_sees_it() {
    must_fail(Missing::Acquire, arm_against_a_device_that_uses);
}
