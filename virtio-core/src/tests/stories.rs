//! What went wrong elsewhere, told so that it cannot happen here.

use super::*;

#[test]
fn the_doorbell_before_driver_ok() {
    let mut bench = Bench::new(EVENTS, &[8, 8]);
    let mut device = bench.negotiate();
    let (mut rx, mut tx) = (
        bench.queue(&mut device, 0, 8),
        bench.queue(&mut device, 1, 8),
    );
    let pool = bench.space.pool(16, 64).expect("memory");
    // The receive queue is filled while the device is still being set up.
    while rx.free() > 0 {
        rx.post(Chain::writable(pool.take().expect("free")))
            .expect("room");
        rx.publish();
    }
    tx.post(Chain::readable(pool.take().expect("free"), 0..10))
        .expect("room");
    tx.publish();
    assert_eq!(
        bench.fake.state().doorbells,
        [],
        "no doorbell exists before DRIVER_OK (and none compiles)"
    );
    let device = device.driver_ok().expect("honest");
    for queue in [&mut rx, &mut tx] {
        let doorbell = device.doorbell(queue).expect("its own");
        assert!(
            doorbell.publish(queue),
            "what was published before rings now"
        );
    }
    assert_eq!(bench.fake.state().doorbells, [(0, 0), (4, 1)]);
    bench.assert_no_offence();
}

#[test]
fn the_memory_overwritten_after_driver_ok() {
    // A device that is live writes wherever it was told to, for as long as nobody has stopped it.
    let mut line = Line::with_buffers(EVENTS, 8, 16, 64);
    let bystanders: Vec<Buffer> = (0..8).map(|_| line.buffer()).collect();
    let mut bystanders = bystanders;
    bystanders
        .iter_mut()
        .for_each(|buffer| buffer.bytes_mut().fill(0x11));
    line.fill();
    // It fills every buffer to the brim and every used entry; nobody else's byte changes.
    while line.end.receive(&[0xee; 64]) {}
    for _ in 0..8 {
        assert_eq!(line.take().written_bytes(), [0xee; 64]);
    }
    assert!(
        bystanders
            .iter()
            .all(|buffer| buffer.bytes().iter().all(|byte| *byte == 0x11))
    );
    line.assert_balance();
    // The driver dies under traffic, everything in the wrong order: the device is stopped before its memory is freed.
    line.fill();
    drop(line.queue);
    drop(line.pool);
    drop(bystanders);
    assert!(
        line.end.receive(b"the device writes on"),
        "into memory that is still its own"
    );
    drop(line.device);
    assert_eq!(line.bench.fake.state().status, 0, "then it is stopped");
}

#[test]
fn the_rx_ring_that_was_never_given_back() {
    let mut line = Line::new(EVENTS, 64);
    line.fill();
    for number in 0..10_000u32 {
        assert!(
            line.end.receive(&number.to_le_bytes()),
            "the ring ran dry after {number} frames"
        );
        let used = line.take();
        assert_eq!(used.written_bytes(), number.to_le_bytes());
        line.queue
            .post(Chain::writable(used.chain.into_buffer()))
            .expect("its place is free");
        line.doorbell.publish(&mut line.queue);
        assert_eq!(line.queue.in_flight(), 64, "as full as at the start");
    }
    line.assert_balance();
}

#[test]
fn the_burst_of_which_only_the_newest_was_seen() {
    for offered in [FLAGS, EVENTS] {
        let mut line = Line::new(offered, 256);
        line.fill();
        assert!(!line.queue.arm());
        // One interrupt, two hundred frames.
        (0..200u8).for_each(|number| assert!(line.end.receive(&[number])));
        let seen: Vec<u8> = core::iter::from_fn(|| line.queue.take().expect("honest"))
            .map(|used| used.written_bytes()[0])
            .collect();
        assert_eq!(
            seen,
            (0..200).collect::<Vec<u8>>(),
            "all of them, in their order"
        );
        assert!(!line.queue.arm());
    }
}

#[test]
fn the_second_transmit_that_never_completed() {
    for offered in [FLAGS, EVENTS] {
        let mut line = Line::new(offered, 4);
        // Two frames go out one after the other, without anybody waiting for the first.
        assert!(line.send(b"first") && line.doorbell.publish(&mut line.queue));
        assert!(line.send(b"second"));
        let rang = line.doorbell.publish(&mut line.queue);
        assert_eq!(
            rang,
            offered == FLAGS,
            "with events, the doorbell of the first is still to be answered"
        );
        assert_eq!(line.end.transmit().as_deref(), Some(&b"first"[..]));
        assert_eq!(line.end.transmit().as_deref(), Some(&b"second"[..]));
        // Only one interrupt may have come, or none; looking once finds both.
        assert_eq!((line.take().written, line.take().written), (0, 0));
        assert!(line.queue.take().expect("honest").is_none());
        assert_eq!((line.queue.free(), line.pool.free()), (4, 4));
        // The completion that comes between the last look and the sleep is seen by looking again.
        assert!(line.send(b"third"));
        line.doorbell.publish(&mut line.queue);
        assert!(line.queue.take().expect("honest").is_none());
        line.end.transmit();
        assert!(line.queue.arm(), "no interrupt will come for it");
        assert_eq!(line.take().written, 0);
        assert!(!line.queue.arm());
    }
}

#[test]
fn the_indices_that_wrapped_at_65536() {
    for offered in [FLAGS, EVENTS] {
        let mut line = Line::with_buffers(offered, 8, 8, 64);
        let mut number = 0u32;
        while number < 70_000 {
            let batch = 1 + number % 8;
            (0..batch).for_each(|at| assert!(line.send(&(number + at).to_le_bytes())));
            assert!(
                line.end.want_doorbell(true) || line.doorbell.publish(&mut line.queue),
                "{offered:?} at {number}"
            );
            assert!(
                !line.queue.arm(),
                "{offered:?} at {number}: nothing is used yet"
            );
            for at in 0..batch {
                let chain = line.end.pop().expect("published");
                assert_eq!(
                    line.end.memory.load_u32(chain.parts[0].address),
                    number + at
                );
                let rang = line.end.push(chain.head, 0);
                assert_eq!(
                    rang,
                    at == 0 || offered == FLAGS,
                    "{offered:?} at {number}: the first rings, or all"
                );
            }
            (0..batch).for_each(|_| _ = line.take());
            number += batch;
        }
        assert!(line.queue.stats().taken > 65_536);
        line.assert_balance();
    }
}

#[test]
fn queues_of_every_size_fill_drain_and_fill_again() {
    for size in (0..=15).map(|power| 1u16 << power) {
        let mut line = Line::with_buffers(EVENTS, size, usize::from(size), 8);
        for _round in 0..2 {
            line.fill();
            assert_eq!(
                (line.queue.free(), line.queue.in_flight()),
                (0, size),
                "size {size}"
            );
            while line.end.receive(b"x") {}
            for _ in 0..size {
                assert_eq!(line.take().written, 1);
            }
            assert!(line.queue.take().expect("honest").is_none());
            assert_eq!(line.queue.free(), size);
        }
    }
}

#[test]
fn the_doorbell_that_was_never_asked_for_in_65536_entries() {
    // A device that polls takes everything, and the driver publishes without asking about doorbells all the while.
    let mut line = Line::new(EVENTS, 4);
    for _ in 0..65_536 {
        assert!(line.send(b"x"));
        line.queue.publish();
        assert!(line.end.transmit().is_some());
        line.take();
    }
    assert!(line.queue.notify_needed(), "65536 new entries are not none");
}
