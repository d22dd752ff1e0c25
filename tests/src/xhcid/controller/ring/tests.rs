//! Rings against a controller of a few lines: it reads what has its cycle bit and follows links.

use std::cell::RefCell;

use super::super::trb::*;
use super::*;
use crate::xhcid::bus::Setup;

const BASE: u64 = 0x4000;

struct Pages(RefCell<Vec<u8>>);

impl Pages {
    fn new() -> Self {
        Self(RefCell::new(vec![0; 0x8000]))
    }

    fn trb(&self, address: u64) -> Trb {
        let mut bytes = [0; 16];
        self.read(address, &mut bytes);
        Trb::from_bytes(bytes)
    }
}

impl Memory for Pages {
    fn read(&self, address: u64, bytes: &mut [u8]) {
        let at = address as usize;
        bytes.copy_from_slice(&self.0.borrow()[at..at + bytes.len()]);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        let at = address as usize;
        self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The other end of a producer ring.
struct Reader {
    at: u64,
    cycle: u32,
}

impl Reader {
    fn new() -> Self {
        Self {
            at: BASE,
            cycle: CYCLE,
        }
    }

    /// The next TRB, if it has been handed over, and where it was.
    fn next(&mut self, memory: &Pages) -> Option<(u64, Trb)> {
        loop {
            let trb = memory.trb(self.at);
            if trb.control & CYCLE != self.cycle {
                return None;
            }
            if trb.kind() == 6 {
                assert_eq!(trb.parameter, BASE);
                assert_ne!(trb.control & 2, 0, "toggles the cycle");
                self.at = BASE;
                self.cycle ^= CYCLE;
                continue;
            }
            let at = self.at;
            self.at += TRB;
            return Some((at, trb));
        }
    }
}

fn normal(number: u64) -> Trb {
    Trb::normal(number, 64)
}

#[test]
fn what_is_pushed_is_read_in_order_round_and_round_over_the_link() {
    let (memory, mut ring, mut reader) = (Pages::new(), ProducerRing::new(BASE, 8), Reader::new());
    assert_eq!(reader.next(&memory), None, "an empty ring");
    for number in 0..1000 {
        let address = ring.push(&memory, &[normal(number)]).unwrap()[0];
        let (at, trb) = reader.next(&memory).unwrap();
        assert_eq!((at, trb.parameter), (address, number));
        assert_eq!(
            reader.next(&memory),
            None,
            "nothing of the last round is read again"
        );
        ring.consumed(address);
    }
}

#[test]
fn the_cycle_bit_turns_at_the_link_and_the_pointer_tells_it() {
    let (memory, mut ring) = (Pages::new(), ProducerRing::new(BASE, 8));
    assert_eq!(ring.pointer(), BASE | 1);
    for number in 0..7 {
        let address = ring.push(&memory, &[normal(number)]).unwrap()[0];
        assert_eq!(memory.trb(address).control & CYCLE, CYCLE);
        ring.consumed(address);
    }
    assert_eq!(ring.pointer(), BASE, "second round, cycle 0");
    let link = memory.trb(BASE + 7 * TRB);
    assert_eq!(
        (link.kind(), link.control & CYCLE),
        (6, CYCLE),
        "of the first round"
    );
    let address = ring.push(&memory, &[normal(7)]).unwrap()[0];
    assert_eq!(memory.trb(address).control & CYCLE, 0);
}

#[test]
fn a_full_ring_takes_no_more_and_loses_nothing() {
    for start in 0..7 {
        let (memory, mut ring) = (Pages::new(), ProducerRing::new(BASE, 8));
        let mut reader = Reader::new();
        for number in 0..start {
            let address = ring.push(&memory, &[normal(number)]).unwrap()[0];
            reader.next(&memory).unwrap();
            ring.consumed(address);
        }
        let mut pushed = 0;
        while ring.push(&memory, &[normal(100 + pushed)]).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed, 6, "seven TRBs and a link, one stays free");
        assert_eq!(ring.push(&memory, &[normal(0), normal(0)]), Err(Full));
        for number in 0..pushed {
            let (at, trb) = reader.next(&memory).unwrap();
            assert_eq!(trb.parameter, 100 + number);
            ring.consumed(at);
        }
        assert_eq!(reader.next(&memory), None);
        assert!(
            ring.push(&memory, &[normal(0)]).is_ok(),
            "and takes them again"
        );
    }
}

#[test]
fn a_descriptor_of_several_is_seen_whole_also_across_the_link() {
    let setup = Setup::get_descriptor(1, 0, 0, 18);
    let stages = [
        Trb::setup(setup),
        Trb::data(0x9000, setup),
        Trb::status(setup),
    ];
    let (memory, mut ring, mut reader) = (Pages::new(), ProducerRing::new(BASE, 8), Reader::new());
    for round in 0..50 {
        let addresses = ring.push(&memory, &stages).unwrap();
        for (address, stage) in addresses.iter().zip(stages) {
            let (at, trb) = reader.next(&memory).unwrap();
            assert_eq!((at, trb.kind()), (*address, stage.kind()), "round {round}");
        }
        ring.consumed(addresses[2]);
    }
}

#[test]
fn the_first_trb_of_a_descriptor_changes_hands_last() {
    /// Looks at the ring whenever something is written to it.
    struct Watched<'a>(&'a Pages, RefCell<usize>);
    impl Memory for Watched<'_> {
        fn read(&self, address: u64, bytes: &mut [u8]) {
            self.0.read(address, bytes);
        }
        fn write(&self, address: u64, bytes: &[u8]) {
            self.0.write(address, bytes);
            let mut reader = Reader::new();
            let seen = std::iter::from_fn(|| reader.next(self.0)).count();
            assert!(seen == 0 || seen == 3, "{seen} of three");
            *self.1.borrow_mut() = seen;
        }
    }
    let pages = Pages::new();
    let memory = Watched(&pages, RefCell::new(0));
    let mut ring = ProducerRing::new(BASE, 8);
    ring.push(&memory, &[normal(1), normal(2), normal(3)])
        .unwrap();
    assert_eq!(*memory.1.borrow(), 3);
}

#[test]
fn a_link_inside_a_descriptor_is_chained() {
    let (memory, mut ring) = (Pages::new(), ProducerRing::new(BASE, 4));
    let chained = Trb {
        control: normal(0).control | CHAIN,
        ..normal(0)
    };
    let address = ring.push(&memory, &[normal(0), normal(0)]).unwrap()[1];
    ring.consumed(address);
    ring.push(&memory, &[chained, normal(1)]).unwrap();
    assert_ne!(memory.trb(BASE + 3 * TRB).control & CHAIN, 0);
}

#[test]
fn what_is_forgotten_gives_its_room_back() {
    let (memory, mut ring) = (Pages::new(), ProducerRing::new(BASE, 8));
    while ring.push(&memory, &[normal(0)]).is_ok() {}
    ring.forget();
    for number in 0..6 {
        ring.push(&memory, &[normal(number)]).unwrap();
    }
    ring.consumed(u64::MAX);
    ring.consumed(BASE + 1);
    ring.consumed(BASE + 7 * TRB);
    assert_eq!(
        ring.push(&memory, &[normal(0)]),
        Err(Full),
        "addresses that are none free nothing"
    );
}

#[test]
fn events_are_taken_once_and_the_cycle_turns_without_a_link() {
    let (memory, mut ring) = (Pages::new(), EventRing::new(BASE, 4));
    let (mut at, mut cycle) = (0, CYCLE);
    assert_eq!(ring.next(&memory), None);
    for number in 0..100 {
        let event = Trb {
            parameter: number,
            status: 1 << 24,
            control: TRANSFER_EVENT << 10 | cycle,
        };
        memory.write(BASE + TRB * at, &event.to_bytes());
        at += 1;
        if at == 4 {
            (at, cycle) = (0, cycle ^ CYCLE);
        }
        assert_eq!(ring.next(&memory), Some(event));
        assert_eq!(ring.next(&memory), None);
        assert_eq!(ring.pointer(), BASE + TRB * at);
    }
}

#[test]
fn trbs_are_laid_out_as_the_specification_draws_them() {
    // 6.4.1.2.1, 6.4.1.2.2, 6.4.1.2.3: GET_DESCRIPTOR of 18 bytes.
    let setup = Setup::get_descriptor(1, 0, 0, 18);
    assert_eq!(
        Trb::setup(setup).to_bytes(),
        [0x80, 6, 0, 1, 0, 0, 18, 0, 8, 0, 0, 0, 0x40, 8, 3, 0]
    );
    assert_eq!(
        Trb::data(0x1234, setup).to_bytes()[8..],
        [18, 0, 0, 0, 4, 12, 1, 0]
    );
    assert_eq!(
        Trb::status(setup).to_bytes()[8..],
        [0, 0, 0, 0, 0x20, 16, 0, 0]
    );
    // 6.4.1.1, 6.4.3.x: a transfer, and commands for slot 3, endpoint context 5.
    assert_eq!(
        Trb::normal(0x5000, 65_536).to_bytes(),
        [0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x24, 4, 0, 0]
    );
    assert_eq!(Trb::reset_endpoint(3, 5).control, 0x0305_3800);
    assert_eq!(Trb::set_dequeue_pointer(0x4001, 3, 5).control, 0x0305_4000);
    let event = Trb {
        parameter: 0x0500_0000,
        status: 13 << 24 | 40,
        control: 0x0305_8001,
    };
    assert_eq!(
        (event.kind(), event.slot(), event.index(), event.port()),
        (TRANSFER_EVENT, 3, 5, 5)
    );
    assert_eq!((event.code(), event.residue()), (13, 40));
}
