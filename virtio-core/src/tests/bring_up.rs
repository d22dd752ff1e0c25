//! How an honest device is brought up, step by step.

use super::*;

#[test]
fn the_status_goes_reset_acknowledge_driver_features_ok_driver_ok() {
    let mut bench = Bench::new(EVENTS, &[4]);
    let mut device = bench.negotiate();
    let queue = bench.queue(&mut device, 0, 4);
    let device = device.driver_ok().expect("honest");
    assert_eq!(bench.fake.state().statuses, [0, 1, 3, 0xb, 0xf]);
    assert!(bench.fake.state().queues[0].enabled);
    drop(device);
    assert_eq!(
        bench.fake.state().statuses.last(),
        Some(&0),
        "dropping a running device resets it"
    );
    drop(queue);
    assert!(
        bench.memory.allocated().is_empty(),
        "and then its memory is free"
    );
    bench.assert_no_offence();
}

#[test]
fn a_driver_that_gives_up_on_the_way_sets_failed() {
    let bench = Bench::new(EVENTS, &[4]);
    let device = Device::new(bench.fake.transport(), POLLS).expect("honest");
    drop(device);
    assert_eq!(bench.fake.state().statuses, [0], "nothing was begun");
    drop(
        Device::new(bench.fake.transport(), POLLS)
            .and_then(Device::acknowledge)
            .expect("honest"),
    );
    assert_eq!(bench.fake.state().statuses, [0, 0, 1, 0x81]);
    drop(bench.negotiate());
    assert_eq!(bench.fake.state().statuses.last(), Some(&0x8b));
    bench.assert_no_offence();
}

#[test]
fn sixty_four_bit_addresses_are_written_as_two_halves() {
    let mut bench = Bench::new(EVENTS, &[4]);
    let mut device = bench.negotiate();
    let queue = bench.queue(&mut device, 0, 4);
    let parts = bench.fake.state().queues[0].parts;
    assert!(
        parts.iter().all(|part| part >> 32 == MEMORY_AT >> 32),
        "{parts:x?}"
    );
    drop((device, queue));
    bench.assert_no_offence();
}

#[test]
fn a_queue_that_is_dropped_before_driver_ok_is_not_freed_under_the_device() {
    let mut bench = Bench::new(EVENTS, &[4]);
    let mut device = bench.negotiate();
    drop(bench.queue(&mut device, 0, 4));
    let device = device.driver_ok().expect("honest");
    assert_eq!(
        bench.memory.allocated().len(),
        1,
        "the device has its address and is now live"
    );
    drop(device);
}

#[test]
fn a_queue_that_is_dropped_while_the_device_runs_leaks_rather_than_frees() {
    let mut line = Line::new(EVENTS, 4);
    line.fill();
    drop(line.queue);
    drop(line.pool);
    let late = line.end.receive(b"written after the queue was dropped");
    assert!(
        late,
        "the memory is still there: the device touches nothing that was freed"
    );
    assert_eq!(line.bench.memory.allocated().len(), 2);
}

#[test]
fn the_offered_features_are_read_in_both_halves() {
    let bench = Bench::new(Features(0x8000_0001_9000_0021), &[4]);
    let device = Device::new(bench.fake.transport(), POLLS)
        .and_then(Device::acknowledge)
        .and_then(Device::driver);
    let device = device.expect("honest");
    assert_eq!(device.offered(), Features(0x8000_0001_9000_0021));
    let wanted = Features::bit(5) | Features::bit(63) | Features::bit(7);
    let device = device
        .negotiate(&Wishes { wanted, ..wishes() })
        .expect("honest");
    let accepted = Features::VERSION_1 | Features::bit(5) | Features::bit(63);
    assert_eq!(
        (device.agreed().accepted, bench.fake.state().accepted),
        (accepted, accepted.0)
    );
    assert_eq!(device.queue_count(), 1);
}

#[test]
fn a_buffer_travels_there_and_back_by_flags_and_by_events() {
    for offered in [
        FLAGS,
        EVENTS,
        EVENTS | Features::INDIRECT_DESC,
        EVENTS | Features::ORDER_PLATFORM,
    ] {
        let mut line = Line::new(offered, 8);
        let (mut header, mut body, reply) = (line.buffer(), line.buffer(), line.buffer());
        header.bytes_mut()[..6].copy_from_slice(b"header");
        body.bytes_mut()[10..14].copy_from_slice(b"body");
        let chain = Chain::readable(header, 0..6)
            .then_readable(body, 10..14)
            .then_writable(reply);
        line.queue.post(chain).expect("room");
        let indirect = offered.contains(Features::INDIRECT_DESC);
        assert_eq!(
            line.queue.posted(),
            if indirect { 1 } else { 3 },
            "{offered:?}"
        );
        assert!(line.doorbell.publish(&mut line.queue));
        assert_eq!(
            (line.queue.posted(), line.queue.in_flight()),
            (0, if indirect { 1 } else { 3 })
        );
        let chain = line.end.pop().expect("published");
        let read = chain.parts.iter().filter(|part| !part.writable);
        let read: Vec<u8> = read
            .flat_map(|part| line.end.memory.read(part.address, part.length as usize))
            .collect();
        assert_eq!(read, b"headerbody", "{offered:?}");
        line.end.memory.write(chain.parts[2].address, b"reply");
        line.end.push(chain.head, 5);
        let used = line.take();
        assert_eq!(
            (used.written, used.written_bytes()),
            (5, &b""[..]),
            "the first part is to be read"
        );
        let reply = used.chain.into_parts().nth(2).expect("three parts").buffer;
        assert_eq!(&reply.bytes()[..5], b"reply");
        drop(reply);
        line.assert_balance();
        assert_eq!(line.pool.free(), 8);
    }
}

#[test]
fn a_chain_longer_than_the_indirect_tables_is_laid_into_the_ring() {
    let mut line = Line::with_buffers(EVENTS | Features::INDIRECT_DESC, 8, 16, 64);
    let chain = |line: &Line, parts: usize| {
        (1..parts).fold(Chain::writable(line.buffer()), |chain, _| {
            chain.then_writable(line.buffer())
        })
    };
    for (parts, descriptors) in [(4, 1), (5, 5), (8, 8), (1, 1), (2, 1)] {
        line.queue.post(chain(&line, parts)).expect("room");
        assert_eq!(line.queue.posted(), descriptors, "{parts} parts");
        line.doorbell.publish(&mut line.queue);
        assert_eq!(
            line.end
                .pop()
                .map(|chain| (chain.parts.len(), line.end.push(chain.head, 0)).0),
            Some(parts)
        );
        assert_eq!(line.take().chain.parts().count(), parts);
    }
    line.assert_balance();
}

#[test]
fn the_doorbell_rings_only_when_the_device_wants_it() {
    for offered in [FLAGS, EVENTS] {
        let mut line = Line::with_buffers(offered, 8, 16, 64);
        assert!(
            line.send(b"1") && line.doorbell.publish(&mut line.queue),
            "{offered:?}: the first rings"
        );
        assert!(
            !line.doorbell.publish(&mut line.queue),
            "nothing new, no doorbell"
        );
        line.end.transmit();
        assert!(!line.end.want_doorbell(false));
        for _ in 0..3 {
            assert!(
                line.send(b"2") && !line.doorbell.publish(&mut line.queue),
                "{offered:?}: not wanted"
            );
        }
        assert!(
            line.end.want_doorbell(true),
            "the device sees them by looking again"
        );
        while line.end.transmit().is_some() {}
        assert!(!line.end.want_doorbell(true));
        assert!(
            line.send(b"3") && line.doorbell.publish(&mut line.queue),
            "{offered:?}: wanted again"
        );
        let stats = line.queue.stats();
        assert_eq!(
            (stats.doorbells, stats.doorbells_spared, stats.posted),
            (2, 3, 5)
        );
        line.bench.assert_no_offence();
    }
}

#[test]
fn interrupts_come_when_armed_and_not_before() {
    for offered in [FLAGS, EVENTS] {
        let mut line = Line::new(offered, 8);
        line.fill();
        let use_one =
            |end: &mut DeviceQueue| end.pop().is_some_and(|chain| end.push(chain.head, 1));
        assert!(!use_one(&mut line.end), "{offered:?}: not armed");
        assert!(line.queue.arm(), "{offered:?}: one is there already");
        line.take();
        assert!(!line.queue.arm(), "{offered:?}: now there is none");
        assert!(use_one(&mut line.end), "{offered:?}: armed");
        line.queue.disarm();
        line.take();
        assert!(!use_one(&mut line.end), "{offered:?}: disarmed");
        line.take();
        assert!(!line.queue.arm_after(3));
        let rang = [
            use_one(&mut line.end),
            use_one(&mut line.end),
            use_one(&mut line.end),
        ];
        let expected = if offered == EVENTS {
            [false, false, true]
        } else {
            [true; 3]
        };
        assert_eq!(rang, expected, "{offered:?}: the third at the latest");
        assert!(line.queue.arm_after(3), "{offered:?}: three are there");
        (0..3).for_each(|_| _ = line.take());
        assert!(
            !line.queue.arm_after(1000),
            "the device has two more, so the second rings"
        );
        assert_eq!(
            (use_one(&mut line.end), use_one(&mut line.end)),
            (offered == FLAGS, true)
        );
    }
}
