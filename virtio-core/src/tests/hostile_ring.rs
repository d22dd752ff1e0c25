//! A device that lies about what it used. No lie panics, loses a buffer or gives one to two owners.

use super::*;

#[test]
fn used_id_at_and_beyond_the_queue_size() {
    for id in [4, 5, 0xffff, 0x1_0000, u32::MAX] {
        let mut line = Line::new(EVENTS, 4);
        line.fill();
        line.end.write_used(0, id, 10);
        line.end.set_used_index(1);
        line.assert_ends_in(DeviceFault::UsedIdOutOfRange { id, size: 4 });
    }
}

#[test]
fn used_id_that_is_not_outstanding() {
    let mut line = Line::new(EVENTS, 4);
    let buffer = line.buffer();
    line.queue.post(Chain::writable(buffer)).expect("room");
    line.doorbell.publish(&mut line.queue);
    let head = line.end.pop().expect("posted").head;
    let other = (head + 1) % 4;
    line.end.push(other, 10);
    line.assert_ends_in(DeviceFault::UsedIdNotOutstanding { id: other });
}

#[test]
fn used_id_that_was_posted_and_never_published() {
    let mut line = Line::new(EVENTS, 4);
    let (published, secret) = (line.buffer(), line.buffer());
    line.queue.post(Chain::writable(published)).expect("room");
    line.doorbell.publish(&mut line.queue);
    let head = line.end.pop().expect("posted").head;
    line.queue.post(Chain::writable(secret)).expect("room");
    let guessed = (0..4).find(|id| {
        *id != head
            && line
                .end
                .memory
                .load_u32(line.end.descriptors + 16 * u64::from(*id))
                != 0
    });
    let guessed = guessed.expect("the descriptor of the second chain");
    line.end.push(guessed, 10);
    line.assert_ends_in(DeviceFault::UsedIdNotOutstanding { id: guessed });
}

#[test]
fn id_completed_twice() {
    let mut line = Line::new(FLAGS, 4);
    line.fill();
    let head = line.end.pop().expect("posted").head;
    line.end.push(head, 10);
    line.end.push(head, 10);
    assert_eq!(line.take().written, 10);
    line.assert_ends_in(DeviceFault::UsedIdNotOutstanding { id: head });
}

#[test]
fn used_id_in_the_middle_of_a_chain() {
    let mut line = Line::new(FLAGS, 4);
    let (header, body) = (line.buffer(), line.buffer());
    line.queue
        .post(Chain::readable(header, 0..12).then_writable(body))
        .expect("room");
    line.doorbell.publish(&mut line.queue);
    let chain = line.end.pop().expect("posted");
    assert_eq!(chain.parts.len(), 2);
    let second = line.end.memory.load_u16(
        line.end.descriptors + 16 * u64::from(chain.head) + 14,
        SeqCst,
    );
    line.end.push(second, 1);
    line.assert_ends_in(DeviceFault::UsedIdNotOutstanding { id: second });
}

#[test]
fn used_index_ahead_by_more_than_the_queue_size() {
    for ahead in [5, 6, 100, 32767] {
        let mut line = Line::new(EVENTS, 4);
        line.fill();
        line.end.set_used_index(ahead);
        line.assert_ends_in(DeviceFault::UsedIndexTooFarAhead {
            before: 0,
            now: ahead,
            outstanding: 4,
        });
    }
}

#[test]
fn used_index_ahead_by_more_than_the_device_has() {
    let mut line = Line::new(EVENTS, 4);
    let (one, two) = (line.buffer(), line.buffer());
    line.queue.post(Chain::writable(one)).expect("room");
    line.doorbell.publish(&mut line.queue);
    line.queue.post(Chain::writable(two)).expect("room");
    line.end.set_used_index(2);
    line.assert_ends_in(DeviceFault::UsedIndexTooFarAhead {
        before: 0,
        now: 2,
        outstanding: 1,
    });
}

#[test]
fn used_index_going_back() {
    let mut line = Line::new(EVENTS, 4);
    line.fill();
    assert!(line.end.receive(b"one") && line.end.receive(b"two"));
    assert_eq!((line.take().written, line.take().written), (3, 3));
    line.end.set_used_index(1);
    line.assert_ends_in(DeviceFault::UsedIndexWentBack { before: 2, now: 1 });
}

#[test]
fn used_index_going_back_below_what_is_still_to_be_taken_is_met_by_what_was_read_before() {
    let mut line = Line::new(EVENTS, 4);
    line.fill();
    assert!(line.end.receive(b"one") && line.end.receive(b"two"));
    assert_eq!(line.take().written_bytes(), b"one");
    line.end.set_used_index(0);
    assert_eq!(
        line.take().written_bytes(),
        b"two",
        "it was there when the index was read"
    );
    line.assert_ends_in(DeviceFault::UsedIndexWentBack { before: 2, now: 0 });
}

#[test]
fn used_length_longer_than_the_buffer() {
    for length in [129, 1514, 0x1_0000, u32::MAX] {
        let mut line = Line::new(EVENTS, 4);
        line.fill();
        let id = line.end.pop().expect("posted").head;
        line.end.push(id, length);
        line.assert_ends_in(DeviceFault::UsedLengthTooLong {
            id,
            length,
            room: 128,
        });
    }
}

#[test]
fn used_length_counts_what_is_to_be_written_only() {
    let mut line = Line::new(EVENTS, 4);
    let (header, body) = (line.buffer(), line.buffer());
    line.queue
        .post(Chain::readable(header, 0..100).then_writable(body))
        .expect("room");
    line.doorbell.publish(&mut line.queue);
    let id = line.end.pop().expect("posted").head;
    line.end.push(id, 129);
    line.assert_ends_in(DeviceFault::UsedLengthTooLong {
        id,
        length: 129,
        room: 128,
    });
}

#[test]
fn used_length_zero_and_shorter_than_a_header_show_no_stale_bytes() {
    let mut line = Line::new(EVENTS, 4);
    for _ in 0..4 {
        let mut buffer = line.buffer();
        buffer.bytes_mut().fill(0x55);
        line.queue.post(Chain::writable(buffer)).expect("room");
    }
    line.doorbell.publish(&mut line.queue);
    for bytes in [&b""[..], b"short"] {
        assert!(line.end.receive(bytes));
        let used = line.take();
        assert_eq!(
            (used.written as usize, used.written_bytes()),
            (bytes.len(), bytes)
        );
    }
    line.assert_balance();
}

#[test]
fn a_length_for_a_chain_that_was_only_read_is_counted_and_ignored() {
    let mut line = Line::new(EVENTS, 4);
    assert!(line.send(b"frame"));
    line.doorbell.publish(&mut line.queue);
    let head = line.end.pop().expect("posted").head;
    line.end.push(head, 4711);
    let used = line.take();
    assert_eq!((used.written, used.written_bytes()), (0, &b""[..]));
    assert_eq!(line.queue.stats().lengths_ignored, 1);
    assert_eq!(line.queue.fault(), None);
}

#[test]
fn a_descriptor_table_rewritten_by_the_device_changes_nothing() {
    for byte in [0, 0x5a, 0xff] {
        let mut line = Line::new(FLAGS, 8);
        let (header, body, tail) = (line.buffer(), line.buffer(), line.buffer());
        let indices = [header.index(), body.index(), tail.index()];
        let chain = Chain::readable(header, 0..12)
            .then_readable(body, 0..5)
            .then_writable(tail);
        line.queue.post(chain).expect("room");
        line.doorbell.publish(&mut line.queue);
        let head = line.end.pop().expect("posted").head;
        line.end.scribble(byte);
        line.end.push(head, 7);
        let used = line.take();
        assert_eq!(used.written, 7);
        assert_eq!(
            used.chain
                .parts()
                .map(|part| part.buffer.index())
                .collect::<Vec<_>>(),
            indices
        );
        assert_eq!(
            line.queue.free(),
            8,
            "all three descriptors are free, each once"
        );
        drop(used);
        // Every descriptor can be used again, and the table holds what the driver writes.
        line.end.set_used_index(1);
        line.fill();
        assert_eq!((line.queue.free(), line.queue.in_flight()), (0, 8));
        let mut heads = Vec::new();
        line.end.next = 1;
        while let Some(chain) = line.end.pop() {
            assert!(!heads.contains(&chain.head), "{} twice", chain.head);
            heads.push(chain.head);
        }
        assert_eq!(heads.len(), 8);
    }
}

#[test]
fn a_device_that_writes_beyond_its_buffer_is_caught_by_the_canary() {
    for (before, at) in [(false, 128), (true, 8)] {
        let mut line = Line::new(EVENTS, 4);
        line.fill();
        let chain = line.end.pop().expect("posted");
        let address = chain.parts[0].address;
        let at = if before { address - at } else { address + at };
        line.end.memory.write(at, b"!");
        line.end.push(chain.head, 128);
        line.assert_ends_in(DeviceFault::CanaryBroken { id: chain.head });
    }
}

#[test]
fn the_device_stops_using_buffers_and_the_driver_is_told_full_instead_of_waiting() {
    let mut line = Line::with_buffers(EVENTS, 4, 6, 64);
    for _ in 0..4 {
        assert!(line.send(b"frame"));
    }
    line.doorbell.publish(&mut line.queue);
    for _ in 0..1000 {
        let refused = line
            .queue
            .post(Chain::readable(line.buffer(), 0..5))
            .expect_err("the ring is full");
        assert_eq!(
            (refused.error, refused.chain.parts().count()),
            (PostError::Full, 1)
        );
        assert!(line.queue.take().expect("no lie").is_none());
        assert!(!line.queue.arm());
    }
    line.assert_balance();
    drop(line.device.reset().expect("it still resets"));
    assert_eq!(line.queue.reclaim().expect("reset").len(), 4);
}

#[test]
fn an_interrupt_before_driver_ok_finds_nothing_to_take() {
    let mut bench = Bench::new(EVENTS, &[4]);
    let mut device = bench.negotiate();
    let mut queue = bench.queue(&mut device, 0, 4);
    let pool = bench.space.pool(4, 64).expect("memory");
    queue
        .post(Chain::writable(pool.take().expect("free")))
        .expect("room");
    queue.publish();
    bench.fake.state().isr = 3;
    let interrupt = device.interrupt_status().expect("it has one");
    let reason = interrupt.read();
    assert!(reason.queue && reason.config);
    assert!(!interrupt.read().queue, "reading lowers the line");
    assert!(queue.take().expect("no lie").is_none());
    assert!(!queue.arm());
    let device = device.driver_ok().expect("honest");
    let doorbell = device.doorbell(&queue).expect("its own");
    assert!(
        doorbell.publish(&mut queue),
        "the doorbell for what was published before is still due"
    );
    assert!(bench.fake.queue(0).receive(b"first"));
    assert_eq!(
        queue.take().expect("honest").expect("one").written_bytes(),
        b"first"
    );
    bench.assert_no_offence();
}

#[test]
fn a_buffer_used_before_driver_ok_is_a_fault() {
    let mut bench = Bench::new(EVENTS, &[4]);
    let mut device = bench.negotiate();
    let mut queue = bench.queue(&mut device, 0, 4);
    let pool = bench.space.pool(4, 64).expect("memory");
    queue
        .post(Chain::writable(pool.take().expect("free")))
        .expect("room");
    queue.publish();
    assert!(bench.fake.queue(0).receive(b"early"));
    assert_eq!(
        queue.take().map(|_| ()),
        Err(DeviceFault::UsedBeforeDriverOk)
    );
    assert!(queue.reclaim().is_none(), "the device has not been reset");
    drop(device);
    assert_eq!(queue.reclaim().expect("given up").len(), 1);
    assert_eq!(pool.free(), 4);
}

#[test]
fn an_interrupt_storm_costs_a_look_each_and_changes_nothing() {
    let mut line = Line::new(FLAGS, 4);
    line.fill();
    let before = (
        line.queue.stats(),
        line.queue.free(),
        line.queue.in_flight(),
    );
    let interrupt = line.device.interrupt_status().expect("it has one");
    for _ in 0..10_000 {
        line.bench.fake.state().isr = 1;
        assert!(interrupt.read().queue);
        line.queue.disarm();
        assert!(line.queue.take().expect("no lie").is_none());
        assert!(!line.queue.arm());
    }
    assert_eq!(
        (
            line.queue.stats(),
            line.queue.free(),
            line.queue.in_flight()
        ),
        before
    );
    assert!(line.end.receive(b"at last"));
    assert_eq!(line.take().written_bytes(), b"at last");
    line.assert_balance();
}

#[test]
fn a_fault_on_one_queue_does_not_stop_the_other_direction() {
    let mut bench = Bench::new(EVENTS, &[4, 4]);
    let mut device = bench.negotiate();
    let (mut rx, mut tx) = (
        bench.queue(&mut device, 0, 4),
        bench.queue(&mut device, 1, 4),
    );
    let pool = bench.space.pool(8, 64).expect("memory");
    let device = device.driver_ok().expect("honest");
    rx.post(Chain::writable(pool.take().expect("free")))
        .expect("room");
    assert!(device.doorbell(&rx).expect("its own").publish(&mut rx));
    let mut rx_end = bench.fake.queue(0);
    let head = rx_end.pop().expect("posted").head;
    rx_end.push(head, 9999);
    assert!(rx.take().is_err());
    let mut frame = pool.take().expect("free");
    frame.bytes_mut()[..4].copy_from_slice(b"sent");
    tx.post(Chain::readable(frame, 0..4))
        .expect("the other direction goes on");
    assert!(device.doorbell(&tx).expect("its own").publish(&mut tx));
    assert_eq!(
        bench.fake.queue(1).transmit().as_deref(),
        Some(&b"sent"[..])
    );
    assert!(tx.take().expect("honest").is_some());
}
