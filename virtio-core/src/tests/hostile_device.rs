//! A device that misbehaves while it is brought up, or when it should stop.

use super::*;
use crate::features::Disagreement;
use alloc::format;
use alloc::string::ToString;

fn known(bench: &Bench) -> Device<crate::device::Known> {
    let device = Device::new(bench.fake.transport(), POLLS).and_then(Device::acknowledge);
    device
        .and_then(Device::driver)
        .expect("an honest device so far")
}

#[test]
fn features_ok_refused_sets_failed_and_says_what_was_accepted() {
    let bench = Bench::new(EVENTS | Features::RING_PACKED, &[4]);
    let device = known(&bench);
    bench.fake.state().drops_status = Status::FEATURES_OK.0;
    let error = device.negotiate(&wishes()).expect_err("refused");
    let text = error.to_string();
    assert!(
        text.contains("EVENT_IDX VERSION_1") && text.contains("RING_PACKED"),
        "{text}"
    );
    assert_eq!(
        bench.fake.state().status & Status::FAILED.0,
        Status::FAILED.0
    );
    bench.assert_no_offence();
}

#[test]
fn a_legacy_device_without_version_1_is_named() {
    let bench = Bench::new(Features::EVENT_IDX, &[4]);
    let error = known(&bench).negotiate(&wishes()).expect_err("legacy");
    assert_eq!(
        error.to_string(),
        "the device offers no VERSION_1; it offers EVENT_IDX"
    );
    assert_eq!(bench.fake.state().statuses.last(), Some(&0x83), "FAILED");
}

#[test]
fn a_required_feature_that_is_missing_is_named_by_its_device_type() {
    let bench = Bench::new(EVENTS, &[4]);
    let wishes = Wishes {
        required: Features::bit(5),
        names: &[(5, "MAC")],
        ..wishes()
    };
    let error = known(&bench).negotiate(&wishes).expect_err("no MAC");
    assert_eq!(
        error.to_string(),
        "the device offers no MAC; it offers EVENT_IDX VERSION_1"
    );
}

#[test]
fn a_feature_that_nobody_has_written_yet_is_not_accepted_even_if_wished() {
    let packed = Features::RING_PACKED
        | Features::IN_ORDER
        | Features::NOTIFICATION_DATA
        | Features::RING_RESET;
    let bench = Bench::new(EVENTS | packed, &[4]);
    let device = known(&bench)
        .negotiate(&Wishes {
            wanted: packed,
            ..wishes()
        })
        .expect("without them");
    assert_eq!(device.agreed().accepted, FLAGS);
    let error = known(&bench)
        .negotiate(&Wishes {
            required: packed,
            ..wishes()
        })
        .expect_err("it cannot");
    assert!(
        matches!(
            error,
            DeviceError::Features {
                why: Disagreement::Unsupported { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn access_platform_offered_is_accepted_with_a_note_or_refused_with_a_message() {
    let bench = Bench::new(EVENTS | Features::ACCESS_PLATFORM, &[4]);
    let device = known(&bench)
        .negotiate(&wishes())
        .expect("addresses of the platform");
    assert!(device.agreed().accepted.contains(Features::ACCESS_PLATFORM));
    let note = device
        .agreed()
        .platform_note()
        .expect("worth a line in the log");
    assert!(
        note.contains("ACCESS_PLATFORM") && note.contains("IOMMU"),
        "{note}"
    );
    drop(device);
    let error = known(&bench)
        .negotiate(&Wishes {
            platform_addresses: false,
            ..wishes()
        })
        .expect_err("unknown addresses");
    assert!(error.to_string().contains("ACCESS_PLATFORM"), "{error}");
    assert_eq!(
        bench.fake.state().statuses.last(),
        Some(&0x83),
        "FAILED, and FEATURES_OK never tried"
    );
}

#[test]
fn order_platform_offered_is_accepted_and_the_queue_has_the_barriers_for_hardware() {
    let mut bench = Bench::new(EVENTS | Features::ORDER_PLATFORM, &[4]);
    let mut device = bench.negotiate();
    assert!(
        device
            .agreed()
            .platform_note()
            .expect("a note")
            .contains("barriers")
    );
    let mut queue = bench.queue(&mut device, 0, 4);
    assert!(
        format!("{queue:?}").contains("platform barriers"),
        "{queue:?}"
    );
    let pool = bench.space.pool(4, 64).expect("memory");
    let device = device.driver_ok().expect("honest");
    queue
        .post(Chain::writable(pool.take().expect("free")))
        .expect("room");
    assert!(
        device
            .doorbell(&queue)
            .expect("its own")
            .publish(&mut queue)
    );
    assert!(bench.fake.queue(0).receive(b"ordered"));
    assert_eq!(
        queue.take().expect("honest").expect("one").written_bytes(),
        b"ordered"
    );
    let plain = Bench::new(EVENTS, &[4]);
    assert_eq!(
        plain.negotiate().agreed().platform_note(),
        None,
        "nothing to say"
    );
}

#[test]
fn a_config_generation_that_never_settles_ends() {
    let bench = Bench::new(FLAGS, &[4]);
    let device = bench.negotiate();
    bench.fake.state().generation_runs = true;
    let mut reads = 0;
    let result = device.config(|config| {
        reads += 1;
        config.read_u16(10)
    });
    assert_eq!(result, Err(DeviceError::ConfigUnsettled));
    assert!(reads > 1 && reads <= 1000, "{reads} reads");
}

#[test]
fn a_configuration_that_changes_once_is_read_whole() {
    let bench = Bench::new(FLAGS, &[4]);
    bench.fake.state().config[..2].copy_from_slice(&[1, 1]);
    let device = bench.negotiate();
    let mut first = true;
    let value = device.config(|config| {
        let low = config.read_u8(0);
        if core::mem::take(&mut first) {
            let mut state = bench.fake.state();
            state.config[..2].copy_from_slice(&[2, 2]);
            state.generation += 1;
        }
        (low, config.read_u8(1))
    });
    assert_eq!(value, Ok((2, 2)), "never one byte old and one new");
    assert_eq!(
        device.config(|config| config.read_u32(64)),
        Ok(u32::MAX),
        "beyond the configuration"
    );
    assert_eq!(device.config_length(), 64);
}

#[test]
fn queue_size_zero_is_no_queue() {
    let mut bench = Bench::new(FLAGS, &[0]);
    let error = bench
        .negotiate()
        .queue(options(4), &mut bench.space)
        .expect_err("no queue");
    assert_eq!(error, QueueError::Unavailable { index: 0 });
}

#[test]
fn queue_sizes_that_are_no_power_of_two_are_rounded_down() {
    for (largest, wish, size) in [
        (255, 256, 128),
        (3, 256, 2),
        (256, 200, 128),
        (0xffff, 0xffff, 32768),
        (1, 9, 1),
    ] {
        let mut bench = Bench::with_pages(FLAGS, &[largest], 512);
        let queue = bench
            .negotiate()
            .queue(options(wish), &mut bench.space)
            .expect("a queue");
        assert_eq!(queue.size(), size, "of {largest}, wished {wish}");
        assert_eq!(bench.fake.state().queues[0].size, size);
    }
}

#[test]
fn a_queue_size_that_reads_back_larger_than_asked_is_refused() {
    let mut bench = Bench::new(FLAGS, &[256]);
    bench.fake.state().queues[0].size_reads = Some(256);
    let error = bench
        .negotiate()
        .queue(options(64), &mut bench.space)
        .expect_err("it does not keep 64");
    assert_eq!(
        error,
        QueueError::SizeNotKept {
            written: 64,
            read: 256
        }
    );
    assert!(!bench.fake.state().queues[0].enabled);
}

#[test]
fn a_queue_made_twice_is_refused() {
    let mut bench = Bench::new(FLAGS, &[4]);
    let mut device = bench.negotiate();
    let first = device
        .queue(options(4), &mut bench.space)
        .expect("the first");
    let error = device
        .queue(options(4), &mut bench.space)
        .expect_err("the second");
    assert_eq!(error, QueueError::AlreadyEnabled { index: 0 });
    drop(first);
    bench.assert_no_offence();
}

#[test]
fn notify_multiplier_zero_is_one_doorbell_for_all_queues() {
    let mut bench = Bench::new(FLAGS, &[4, 4, 4]);
    bench.fake.state().notify_multiplier = 0;
    let mut device = bench.negotiate();
    let queues: Vec<_> = (0..3)
        .map(|index| bench.queue(&mut device, index, 4))
        .collect();
    let device = device.driver_ok().expect("honest");
    queues
        .iter()
        .for_each(|queue| device.doorbell(queue).expect("its own").ring());
    assert_eq!(bench.fake.state().doorbells, [(0, 0), (0, 1), (0, 2)]);
}

#[test]
fn a_doorbell_outside_the_notification_registers_is_refused() {
    for (number, multiplier, length) in [
        (0xffff, 4, 0x1000),
        (1, 0x8000_0000, 0x1000),
        (1, 4, 5),
        (0xffff, 0x8000_0000, 2),
    ] {
        let mut bench = Bench::new(FLAGS, &[4]);
        {
            let mut state = bench.fake.state();
            state.queues[0].notify_off = number;
            (state.notify_multiplier, state.notify_length) = (multiplier, length);
        }
        let error = bench
            .negotiate()
            .queue(options(4), &mut bench.space)
            .expect_err("outside");
        assert!(
            matches!(error, QueueError::DoorbellOutside { .. }),
            "{error}"
        );
    }
}

#[test]
fn vectors_that_the_device_cannot_map_are_refused_by_number() {
    let mut bench = Bench::new(FLAGS, &[4]);
    let mut device = bench.negotiate();
    device.set_config_vector(Some(3)).expect("it has four");
    assert_eq!(
        device.set_config_vector(Some(4)),
        Err(DeviceError::VectorRefused { vector: 4 })
    );
    let none = device.set_config_vector(Some(0xffff));
    assert_eq!(
        none,
        Err(DeviceError::VectorRefused { vector: 0xffff }),
        "0xffff is no vector"
    );
    device
        .set_config_vector(None)
        .expect("none is always possible");
    let error = device
        .queue(
            QueueOptions {
                vector: Some(9),
                ..options(4)
            },
            &mut bench.space,
        )
        .expect_err("it has four");
    assert_eq!(error, QueueError::VectorRefused { vector: 9 });
    device
        .queue(
            QueueOptions {
                vector: Some(1),
                ..options(4)
            },
            &mut bench.space,
        )
        .expect("another vector will do");
    assert_eq!(bench.fake.state().queues[0].vector, 1);
}
