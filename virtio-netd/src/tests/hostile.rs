//! What a hostile or broken card sends: none of it panics, hangs, shows stale bytes or stops the
//! other direction.

use std::sync::Arc;

use netscheme::network::server::Nic;
use virtio_core::pci::{PciError, Structures};
use virtio_core::testing::FakeDevice;
use virtio_core::{DmaSpace, Registers};

use super::bench::{Bench, Card, EVENTS, PLAIN, RANDOM, SOUND, frame};
use crate::counters::Counter;
use crate::hardware::Hardware;
use crate::header::HEADER_LENGTH;
use crate::nic::Adapter;

/// A header with its little-endian fields: flags, gso_type, hdr_len, gso_size, csum_start,
/// csum_offset, num_buffers.
fn header(
    flags: u8,
    gso_type: u8,
    gso_size: u16,
    csum: (u16, u16),
    num_buffers: u16,
) -> [u8; HEADER_LENGTH] {
    let mut header = [0; HEADER_LENGTH];
    header[0] = flags;
    header[1] = gso_type;
    header[4..6].copy_from_slice(&gso_size.to_le_bytes());
    header[6..8].copy_from_slice(&csum.0.to_le_bytes());
    header[8..10].copy_from_slice(&csum.1.to_le_bytes());
    header[10..12].copy_from_slice(&num_buffers.to_le_bytes());
    header
}

/// The card delivers `bytes`, and what comes of it is one count of `reason` and no frame.
fn assert_dropped(bytes: &[u8], written: u32, reason: Counter) {
    let mut bench = Bench::new(EVENTS, [4, 4]);
    bench.deliver_bytes(bytes, written).unwrap();
    bench.interrupt();
    assert_eq!(bench.read(), None, "{reason:?}");
    assert_eq!(
        (bench.count(reason), bench.count(Counter::RxFrames)),
        (1, 0),
        "{reason:?}"
    );
    assert_eq!(
        bench.nic.trouble(),
        None,
        "one bad frame is no reason to reset"
    );
    bench.assert_works();
}

fn assert_header_dropped(header: [u8; HEADER_LENGTH], reason: Counter) {
    let bytes = [&header[..], &frame(1, 60)].concat();
    assert_dropped(&bytes, bytes.len() as u32, reason);
}

#[test]
fn used_length_shorter_than_a_header_and_of_nothing() {
    for written in 0..HEADER_LENGTH as u32 {
        assert_dropped(&[0xee; 100], written, Counter::RxShortOfHeader);
    }
}

#[test]
fn a_frame_shorter_than_an_ethernet_header() {
    for length in 0..14 {
        let written = HEADER_LENGTH as u32 + length;
        assert_dropped(&[0; 100], written, Counter::RxRunt);
    }
}

#[test]
fn used_length_longer_than_the_buffer() {
    for excess in [1, 1000, u32::MAX - 1530] {
        let mut bench = Bench::new(EVENTS, [4, 4]);
        bench.deliver_bytes(&[0; 100], 1530 + excess).unwrap();
        bench.interrupt();
        assert_eq!(bench.read(), None);
        let trouble = bench.nic.trouble().expect("a queue that lies");
        assert!(trouble.starts_with("receive queue: "), "{trouble}");
        bench.revive();
        assert_eq!(
            (
                bench.count(Counter::DeviceFaults),
                bench.count(Counter::Resets)
            ),
            (1, 1)
        );
        bench.assert_works();
    }
}

#[test]
fn num_buffers_of_zero_or_many_without_mrg_rxbuf_is_one() {
    let mut bench = Bench::new(EVENTS, [4, 4]);
    for num_buffers in [0, 2, 3, 1000, u16::MAX] {
        bench
            .deliver_with(
                header(0, 0, 0, (0, 0), num_buffers),
                &frame(num_buffers.into(), 60),
            )
            .unwrap();
        assert_eq!(
            bench.read(),
            Some(frame(num_buffers.into(), 60)),
            "num_buffers {num_buffers}"
        );
    }
    assert_eq!(
        bench.count(Counter::RxNumBuffersOdd),
        5,
        "counted, and the frames used"
    );
    bench.assert_whole();
}

#[test]
fn checksum_fields_beyond_the_frame() {
    for csum in [
        (60, 0),
        (59, 0),
        (0, 59),
        (u16::MAX, u16::MAX),
        (0, u16::MAX),
    ] {
        assert_header_dropped(header(1, 0, 0, csum, 1), Counter::RxCsumOutOfRange);
    }
}

#[test]
fn a_checksum_left_to_a_driver_that_never_agreed_to_it() {
    assert_header_dropped(header(1, 0, 0, (34, 16), 1), Counter::RxCsumNotNegotiated);
}

#[test]
fn segments_of_no_size_of_unknown_type_or_not_agreed_on() {
    for gso_type in [1, 3, 4, 5, 0x81] {
        assert_header_dropped(header(0, gso_type, 0, (0, 0), 1), Counter::RxGsoSizeZero);
        assert_header_dropped(
            header(0, gso_type, 1448, (0, 0), 1),
            Counter::RxGsoNotNegotiated,
        );
    }
    for gso_type in [2, 6, 0x40, 0xff] {
        assert_header_dropped(header(0, gso_type, 1448, (0, 0), 1), Counter::RxGsoUnknown);
    }
}

#[test]
fn useless_frames_among_good_ones_cost_no_buffer_and_no_good_frame() {
    let mut bench = Bench::new(EVENTS, [16, 4]);
    for round in 0..500 {
        bench.deliver_bytes(&[0; 4], 4).unwrap();
        bench.deliver(&frame(round, 60)).unwrap();
        bench
            .deliver_with(header(1, 0, 0, (9000, 0), 1), &frame(0, 60))
            .unwrap();
        assert_eq!(bench.read_all(), [frame(round, 60)], "round {round}");
    }
    assert_eq!(
        (
            bench.count(Counter::RxShortOfHeader),
            bench.count(Counter::RxCsumOutOfRange)
        ),
        (500, 500)
    );
    bench.assert_whole();
}

#[test]
fn the_driver_sleeps_after_useless_frames_and_is_woken_by_the_next() {
    for offered in [PLAIN, EVENTS] {
        let mut bench = Bench::new(offered, [8, 4]);
        for _ in 0..5 {
            assert!(!bench.nic.can_receive());
            assert_eq!(bench.deliver_bytes(&[0; 4], 4), Some(true));
            // The next one comes before the driver looks: it has not asked for another interrupt.
            assert!(bench.deliver_bytes(&[0; 4], 4).is_some());
            bench.interrupt();
        }
        bench.assert_works();
    }
}

#[test]
fn a_queue_that_lies_about_ids_or_indices_is_reset() {
    type Lie = fn(&mut Bench);
    let lies: [(&str, Lie); 5] = [
        ("id beyond the queue", |bench| {
            bench.rx.write_used(bench.rx.used_index, 400, 60);
            bench.rx.set_used_index(bench.rx.used_index.wrapping_add(1));
        }),
        ("id used twice", |bench| {
            let head = bench.rx.pop().unwrap().head;
            bench.rx.push(head, 4);
            bench.rx.push(head, 4);
        }),
        ("index far ahead", |bench| {
            bench.rx.set_used_index(bench.rx.used_index.wrapping_add(9))
        }),
        ("index gone back", |bench| {
            bench.rx.set_used_index(bench.rx.used_index.wrapping_sub(1))
        }),
        ("sent what it never had", |bench| {
            bench.tx.write_used(bench.tx.used_index, 3, 0);
            bench.tx.set_used_index(bench.tx.used_index.wrapping_add(1));
        }),
    ];
    for (name, lie) in lies {
        let mut bench = Bench::new(EVENTS, [8, 8]);
        bench.assert_works();
        bench.nic.transmit(&frame(3, 60)).unwrap();
        bench.nic.flush();
        lie(&mut bench);
        bench.interrupt();
        assert_eq!(bench.read(), None, "{name}");
        assert!(bench.nic.trouble().is_some(), "{name} was believed");
        assert!(
            !bench.nic.can_receive(),
            "{name}: nothing more is taken from it"
        );
        bench.revive();
        assert_eq!(bench.nic.trouble(), None, "{name}");
        assert_eq!(
            bench.count(Counter::TxLostInReset),
            1,
            "{name}: the frame under way is counted"
        );
        assert_eq!(bench.stat("rx_posted"), 8, "{name}");
        bench.assert_works();
    }
}

#[test]
fn the_descriptor_table_rewritten_by_the_device_is_the_devices_own_loss() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    let heads: Vec<_> = (0..4).map(|_| bench.rx.pop().unwrap()).collect();
    bench.rx.scribble(0xff);
    for chain in &heads {
        bench.rx.memory.write(
            chain.parts[0].address,
            &[&SOUND[..], &frame(1, 60)].concat(),
        );
        bench.rx.push(chain.head, 72);
    }
    assert_eq!(
        bench.read_all(),
        vec![frame(1, 60); 4],
        "the driver never reads what it wrote there"
    );
    bench.assert_whole();
}

#[test]
fn interrupt_storm() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for _ in 0..100_000 {
        bench.interrupt();
        bench.config_interrupt();
    }
    assert_eq!(
        (
            bench.count(Counter::Interrupts),
            bench.count(Counter::Spurious)
        ),
        (200_000, 200_000)
    );
    assert_eq!(bench.nic.trouble(), None);
    bench.assert_works();
}

#[test]
fn a_used_frame_too_many_after_every_fault_ends_the_life_and_not_the_driver() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for life in 1..=50 {
        bench.deliver_bytes(&[], 60_000).unwrap();
        assert_eq!(bench.read(), None);
        bench.revive();
        assert_eq!(bench.count(Counter::Resets), life);
    }
    bench.assert_works();
    assert_eq!(
        bench.card.memory.allocated().len(),
        4,
        "two queues and two pools: a reset leaks nothing"
    );
}

/// A card that answers every doorbell by filling all buffers with four bytes of nothing.
struct Flood(FakeDevice);

impl Registers for Flood {
    fn length(&self) -> usize {
        self.0.length()
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.0.read_u8(offset)
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.0.read_u16(offset)
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.0.read_u32(offset)
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.0.write_u8(offset, value);
    }
    fn write_u16(&self, offset: usize, value: u16) {
        let rung = self.0.state().doorbells.len();
        self.0.write_u16(offset, value);
        if self.0.state().doorbells.len() == rung {
            return;
        }
        let mut queue = self.0.queue(0);
        // It has used all that it was given before.
        queue.used_index = queue
            .memory
            .load_u16(queue.used + 2, core::sync::atomic::Ordering::SeqCst);
        queue.next = queue.used_index;
        while let Some(chain) = queue.pop() {
            queue.push(chain.head, 4);
        }
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.0.write_u32(offset, value);
    }
}

#[test]
fn a_flood_of_useless_frames_does_not_hold_the_driver_for_ever() {
    let card = Card::new(PLAIN, [8, 8]);
    let sizes = [
        Some(card.fake.length() as u64),
        None,
        None,
        None,
        None,
        None,
    ];
    let structures = Structures::parse(&card.fake.capabilities(), &sizes).unwrap();
    let bind = |_| Ok::<_, PciError>(Arc::new(Flood(card.fake.clone())) as Arc<dyn Registers>);
    let hardware = Hardware {
        transport: structures.transport(bind).unwrap(),
        memory: DmaSpace::new(Box::new(card.memory.clone()), Vec::new()),
        queue_vector: None,
        config_vector: None,
        addresses_are_the_bus: true,
    };
    let mut nic = Adapter::start(hardware, || Ok(RANDOM)).unwrap();
    assert!(nic.receive().is_none(), "and this returned");
    let trouble = nic.trouble().expect("something is wrong with this card");
    assert!(trouble.contains("useless"), "{trouble}");
    let dropped = nic.receive_half().counters().get(Counter::RxShortOfHeader);
    assert!(
        (8..10_000).contains(&dropped),
        "{dropped} dropped before the card was given up"
    );
}

/// Random numbers that are the same in every run (Steele, Lea, Flood: SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The card, or somebody who uses the driver, does something at random, mostly within the rules.
fn do_anything(bench: &mut Bench, random: &mut Random) {
    let length = random.below(1600) as usize;
    match random.below(40) {
        0..8 => _ = bench.deliver(&frame(random.next(), length.max(14))),
        8..10 => {
            let bytes: Vec<_> = (0..length).map(|_| random.next() as u8).collect();
            bench.deliver_bytes(&bytes, length as u32);
        }
        10 => _ = bench.deliver_bytes(&[0xee; 64], random.next() as u32),
        11 => bench
            .rx
            .write_used(random.next() as u16, random.next() as u32, 60),
        12 => bench.rx.set_used_index(random.next() as u16),
        13 => bench
            .tx
            .write_used(random.next() as u16, random.below(9) as u32, 0),
        14 => bench
            .tx
            .set_used_index(bench.tx.used_index.wrapping_add(random.below(3) as u16)),
        15 => bench.rx.scribble(random.next() as u8),
        16 => bench
            .card
            .set_config(random.below(20) as usize, &[random.next() as u8]),
        17 => bench.card.fake.state().status |= random.next() as u8 & 0x40,
        18..22 => _ = bench.send_next(),
        22..26 => bench.interrupt(),
        26 => bench.config_interrupt(),
        27..33 => _ = bench.read(),
        33..38 => {
            _ = bench
                .nic
                .transmit(&frame(random.next(), length.clamp(14, 1518)))
        }
        38 => bench.nic.flush(),
        _ => _ = (bench.nic.can_receive(), bench.nic.can_transmit()),
    }
}

#[test]
fn a_card_that_does_anything_at_all() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut bench = Bench::new(if seed % 2 == 0 { EVENTS } else { PLAIN }, [8, 8]);
        for step in 0..300 {
            // A table that the card itself has spoilt is of no use to it until it is given another.
            let spoilt = bench.rx.available_index().wrapping_sub(bench.rx.next) > 8;
            if bench.nic.trouble().is_some() || spoilt {
                bench.revive();
                assert_eq!(bench.nic.trouble(), None, "seed {seed}, step {step}");
            }
            do_anything(&mut bench, &mut random);
            let (size, posted) = (bench.stat("rx_ring_size"), bench.stat("rx_posted"));
            assert_eq!(
                posted + bench.stat("rx_in_flight"),
                size,
                "seed {seed}, step {step}"
            );
        }
        bench.revive();
        bench.assert_works();
    }
}
