//! Devices that fail: they ask for a reset, do not finish one, vanish.

use super::*;

#[test]
fn device_needs_reset_under_traffic_is_seen_and_all_buffers_come_back() {
    let mut line = Line::new(EVENTS, 8);
    line.fill();
    assert!(line.end.receive(b"one"));
    line.bench.fake.state().status |= Status::DEVICE_NEEDS_RESET.0;
    assert!(line.device.status().needs_reset());
    assert_eq!(
        line.take().written_bytes(),
        b"one",
        "what it used before is still good"
    );
    let old = line.doorbell.clone();
    let rung = line.bench.fake.state().doorbells.len();
    let device = line.device.reset().expect("it resets");
    assert_eq!(line.queue.reclaim().expect("reset").len(), 7);
    assert_eq!(line.pool.free(), 8);
    old.ring();
    assert_eq!(
        line.bench.fake.state().doorbells.len(),
        rung,
        "a doorbell of the old life is dumb"
    );
    // And the device can be brought up again with the same pool.
    let device = device
        .acknowledge()
        .and_then(Device::driver)
        .and_then(|device| device.negotiate(&wishes()));
    let mut device = device.expect("a new life");
    let mut queue = line.bench.queue(&mut device, 0, 8);
    let device = device.driver_ok().expect("honest");
    assert_eq!(
        device.doorbell(&line.queue).map(|_| ()),
        Err(DeviceError::ForeignQueue),
        "the old queue is dead"
    );
    queue
        .post(Chain::writable(line.pool.take().expect("free")))
        .expect("room");
    assert!(
        device
            .doorbell(&queue)
            .expect("its own")
            .publish(&mut queue)
    );
    assert!(line.bench.fake.queue(0).receive(b"again"));
    assert_eq!(
        queue.take().expect("honest").expect("one").written_bytes(),
        b"again"
    );
    line.bench.assert_no_offence();
}

#[test]
fn a_reset_that_takes_its_time_is_waited_for() {
    let bench = Bench::new(FLAGS, &[4]);
    bench.fake.state().status = 0xf;
    bench.fake.state().reset_takes = POLLS - 1;
    assert!(Device::new(bench.fake.transport(), POLLS).is_ok());
}

#[test]
fn a_reset_that_never_ends_is_given_up_after_the_polls_that_were_allowed() {
    let bench = Bench::new(FLAGS, &[4]);
    bench.fake.state().status = 0xf;
    bench.fake.state().reset_takes = u32::MAX;
    let error = Device::new(bench.fake.transport(), POLLS)
        .map(|_| ())
        .expect_err("it never ends");
    assert_eq!(
        error,
        DeviceError::ResetNotDone {
            status: Status(0xf)
        }
    );
}

#[test]
fn a_device_that_does_not_stop_keeps_its_memory_for_ever() {
    let mut line = Line::new(FLAGS, 4);
    line.fill();
    line.bench.fake.state().reset_takes = u32::MAX;
    assert!(line.device.reset().is_err());
    assert!(line.queue.reclaim().is_none());
    drop((line.queue, line.pool, line.doorbell));
    assert_eq!(
        line.bench.memory.allocated().len(),
        2,
        "neither ring nor pool is freed under the device"
    );
    while line.end.receive(b"written by a device that should be dead") {}
}

#[test]
fn a_device_that_is_gone_is_called_so_at_every_step() {
    for step in 0..5 {
        let mut bench = Bench::new(FLAGS, &[4]);
        let gone = |now: i32| bench.fake.state().gone = now == step;
        let transport = bench.fake.transport();
        gone(0);
        let mut result = Device::new(transport, POLLS).and_then(|device| {
            gone(1);
            let device = device.acknowledge()?;
            gone(2);
            let device = device.driver()?;
            gone(3);
            device.negotiate(&wishes())
        });
        if step == 4
            && let Ok(device) = &mut result
        {
            bench.fake.state().gone = true;
            assert_eq!(device.status(), Status::GONE);
            assert!(device.queue(options(4), &mut bench.space).is_err());
            result = result
                .and_then(|device| device.driver_ok())
                .map(|_| unreachable!("it is gone"));
        }
        assert_eq!(result.map(|_| ()), Err(DeviceError::Gone), "step {step}");
    }
}

#[test]
fn a_device_that_vanishes_under_traffic_ends_in_a_fault_or_silence() {
    let mut line = Line::new(FLAGS, 4);
    line.fill();
    line.bench.fake.state().gone = true;
    assert!(line.device.status().is_gone() && !line.device.status().needs_reset());
    assert!(line.queue.take().expect("memory is still memory").is_none());
    line.doorbell.ring();
    assert_eq!(
        line.device.config(|config| config.read_u8(0)),
        Err(DeviceError::Gone)
    );
    assert_eq!(
        line.device.reset().map(|_| ()).expect_err("gone"),
        DeviceError::Gone
    );
}

#[test]
fn a_status_bit_that_is_not_kept_is_an_error() {
    let bench = Bench::new(FLAGS, &[4]);
    bench.fake.state().drops_status = Status::DRIVER.0;
    let device = Device::new(bench.fake.transport(), POLLS)
        .and_then(Device::acknowledge)
        .expect("so far");
    let error = device.driver().map(|_| ()).expect_err("not kept");
    assert_eq!(
        error,
        DeviceError::StatusNotKept {
            written: Status(3),
            read: Status(1)
        }
    );
}

#[test]
fn a_queue_of_another_device_has_no_doorbell_here() {
    let (one, other) = (Line::new(FLAGS, 4), Line::new(FLAGS, 4));
    assert_eq!(
        one.device.doorbell(&other.queue).map(|_| ()),
        Err(DeviceError::ForeignQueue)
    );
}
