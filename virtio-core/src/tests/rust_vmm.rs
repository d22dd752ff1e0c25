//! Against a device end by other hands: rust-vmm's `virtio-queue` over `vm-memory`.

use super::*;
use std::io::{Read, Write};
use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemoryMmap};

/// A driver's queue of ours and a device's queue of theirs, over the same guest memory.
struct Pair {
    guest: GuestMemoryMmap,
    theirs: Queue,
    line: Line,
}

impl Pair {
    fn new(offered: Features, size: u16) -> Self {
        let guest: GuestMemoryMmap =
            GuestMemoryMmap::from_ranges(&[(GuestAddress(MEMORY_AT), 4 << 20)]).expect("memory");
        let memory = TestMemory::guest(&guest, MEMORY_AT, 1024);
        let fake = FakeDevice::new(&memory, offered, &[size]);
        let space = DmaSpace::new(Box::new(memory.clone()), Vec::new());
        let mut bench = Bench {
            memory,
            fake,
            space,
        };
        let mut device = bench.negotiate();
        let queue = bench.queue(&mut device, 0, size);
        let pool = bench
            .space
            .pool(usize::from(size) * 4, 256)
            .expect("memory");
        let device = device.driver_ok().expect("honest");
        let doorbell = device.doorbell(&queue).expect("its own");
        let end = bench.fake.queue(0);
        let mut theirs = Queue::new(size).expect("a size");
        theirs.set_size(size);
        let halves = |address: u64| (Some(address as u32), Some((address >> 32) as u32));
        let (low, high) = halves(end.descriptors);
        theirs.set_desc_table_address(low, high);
        let (low, high) = halves(end.available);
        theirs.set_avail_ring_address(low, high);
        let (low, high) = halves(end.used);
        theirs.set_used_ring_address(low, high);
        theirs.set_event_idx(offered.contains(Features::EVENT_IDX));
        theirs.set_ready(true);
        assert!(
            theirs.is_valid(&guest),
            "their device finds the queue in order"
        );
        Self {
            guest,
            theirs,
            line: Line {
                bench,
                device,
                queue,
                doorbell,
                pool,
                end,
            },
        }
    }

    /// The device takes all there is: it reads what is to be read and answers with it, reversed. Whether it interrupts.
    fn echo(&mut self) -> bool {
        let mut interrupt = false;
        while let Some(chain) = self.theirs.pop_descriptor_chain(&self.guest) {
            let head = chain.head_index();
            let mut bytes = Vec::new();
            chain
                .clone()
                .reader(&self.guest)
                .expect("their reader")
                .read_to_end(&mut bytes)
                .expect("readable");
            bytes.reverse();
            let mut writer = chain.writer(&self.guest).expect("their writer");
            let written = bytes.len().min(writer.available_bytes());
            writer.write_all(&bytes[..written]).expect("writable");
            self.theirs
                .add_used(&self.guest, head, written as u32)
                .expect("a good id");
            interrupt |= self
                .theirs
                .needs_notification(&self.guest)
                .expect("a good ring");
        }
        interrupt
    }
}

const OFFERS: [Features; 4] = [
    FLAGS,
    EVENTS,
    FLAGS.with(Features::INDIRECT_DESC),
    EVENTS
        .with(Features::INDIRECT_DESC)
        .with(Features::ORDER_PLATFORM),
];

#[test]
fn frames_go_out_in_order_and_whole() {
    for offered in OFFERS {
        let mut pair = Pair::new(offered, 16);
        for round in 0..100u8 {
            for number in 0..16 {
                assert!(pair.line.send(&[round, number]));
            }
            pair.line.doorbell.publish(&mut pair.line.queue);
            for number in 0..16 {
                let chain = pair
                    .theirs
                    .pop_descriptor_chain(&pair.guest)
                    .expect("published");
                let head = chain.head_index();
                let mut bytes = Vec::new();
                chain
                    .reader(&pair.guest)
                    .expect("their reader")
                    .read_to_end(&mut bytes)
                    .expect("readable");
                assert_eq!(bytes, [round, number], "{offered:?}");
                pair.theirs
                    .add_used(&pair.guest, head, 0)
                    .expect("a good id");
            }
            (0..16).for_each(|_| assert_eq!(pair.line.take().written, 0));
        }
        pair.line.assert_balance();
    }
}

#[test]
fn chains_of_headers_and_bodies_come_back_answered() {
    for offered in OFFERS {
        let mut pair = Pair::new(offered, 16);
        for round in 0..200usize {
            let (mut header, mut body) = (pair.line.buffer(), pair.line.buffer());
            let (reply, more) = (pair.line.buffer(), pair.line.buffer());
            let length = 1 + round % 250;
            header.bytes_mut()[..12].copy_from_slice(b"virtio_net_h");
            body.bytes_mut()[..length].fill(round as u8);
            let chain = Chain::readable(header, 0..12).then_readable(body, 0..length);
            pair.line
                .queue
                .post(chain.then_writable(reply).then_writable(more))
                .expect("room");
            pair.line.doorbell.publish(&mut pair.line.queue);
            pair.echo();
            let used = pair.line.take();
            assert_eq!(used.written as usize, 12 + length, "{offered:?}");
            let parts: Vec<_> = used.chain.into_parts().collect();
            let mut answer = [parts[2].buffer.bytes(), parts[3].buffer.bytes()].concat();
            answer.truncate(12 + length);
            answer.reverse();
            assert_eq!(&answer[..12], b"virtio_net_h");
            assert!(
                answer[12..].iter().all(|byte| *byte == round as u8),
                "{offered:?} {round}"
            );
        }
        pair.line.assert_balance();
    }
}

#[test]
fn their_device_and_our_driver_agree_on_who_must_be_woken() {
    for offered in OFFERS {
        let mut pair = Pair::new(offered, 8);
        // The device sleeps; the first frame must ring.
        assert!(
            !pair
                .theirs
                .enable_notification(&pair.guest)
                .expect("a good ring")
        );
        assert!(
            pair.line.send(b"1") && pair.line.doorbell.publish(&mut pair.line.queue),
            "{offered:?}"
        );
        // While it is awake nothing rings, and it finds out itself by looking again.
        pair.theirs
            .disable_notification(&pair.guest)
            .expect("a good ring");
        let rang = pair.line.send(b"2") && pair.line.doorbell.publish(&mut pair.line.queue);
        assert!(!rang, "{offered:?}: the device is awake");
        assert!(
            pair.theirs
                .enable_notification(&pair.guest)
                .expect("a good ring"),
            "{offered:?}: it looks again"
        );
        // The driver is not armed: no interrupt. It arms, and looks again.
        pair.line.queue.disarm();
        // (Theirs does not know the flag that spares interrupts; it knows the event.)
        let interrupted = pair.echo();
        assert!(
            !interrupted || !pair.theirs.event_idx_enabled(),
            "{offered:?}"
        );
        assert!(pair.line.queue.arm(), "{offered:?}: two are there");
        assert_eq!((pair.line.take().written, pair.line.take().written), (0, 0));
        // Armed and asleep: the next used chain interrupts.
        assert!(!pair.line.queue.arm());
        assert!(
            !pair
                .theirs
                .enable_notification(&pair.guest)
                .expect("a good ring")
        );
        assert!(
            pair.line.send(b"3") && pair.line.doorbell.publish(&mut pair.line.queue),
            "{offered:?}"
        );
        assert!(
            pair.echo(),
            "{offered:?}: the driver sleeps and must be woken"
        );
        pair.line.take();
        pair.line.assert_balance();
    }
}

#[test]
fn seventy_thousand_frames_pass_the_wrap_of_the_indices() {
    for offered in [FLAGS, EVENTS] {
        let mut pair = Pair::new(offered, 8);
        pair.line.fill();
        for number in 0..70_000u32 {
            let chain = pair
                .theirs
                .pop_descriptor_chain(&pair.guest)
                .expect("the ring is never dry");
            let head = chain.head_index();
            chain
                .writer(&pair.guest)
                .expect("their writer")
                .write_all(&number.to_le_bytes())
                .expect("writable");
            pair.theirs
                .add_used(&pair.guest, head, 4)
                .expect("a good id");
            let used = pair.line.take();
            assert_eq!(used.written_bytes(), number.to_le_bytes());
            pair.line
                .queue
                .post(Chain::writable(used.chain.into_buffer()))
                .expect("room");
            pair.line.queue.publish();
        }
        pair.line.assert_balance();
    }
}
