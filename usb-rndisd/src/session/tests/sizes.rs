//! Stories of addresses, sizes and versions that make no sense, or not the usual.

use super::bench::{Bench, Device, LOCAL, MAC};
use crate::counters::Counter;
use crate::message::control::{message_type, oid};
use crate::session::tests::bench::Instead;
use crate::session::{Event, MacSource, SessionError, State};

fn up(change: impl FnOnce(&mut Device)) -> Bench {
    let mut bench = Bench::new(change);
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up, "{:?}", bench.events);
    bench
}

fn fails(change: impl FnOnce(&mut Device)) -> SessionError {
    let mut bench = Bench::new(change);
    bench.run_to_rest();
    assert_eq!(bench.session.adapter(), None);
    match bench.events[..] {
        [Event::Failed(error)] => error,
        ref other => panic!("it came up: {other:?}"),
    }
}

fn last_filter(bench: &Bench) -> String {
    bench.commands().last().cloned().unwrap_or_default()
}

#[test]
fn a_mac_of_length_other_than_six() {
    for length in [1, 5, 7, 48] {
        let bench = up(|device| {
            device
                .values
                .insert(oid::CURRENT_ADDRESS_802_3, vec![2; length]);
        });
        assert_eq!(bench.adapter().mac, MAC, "the permanent one");
        assert_eq!(bench.adapter().mac_source, MacSource::Permanent);
        assert_eq!(bench.count(Counter::ControlBufferLength), 1);
        assert_eq!(last_filter(&bench), "SET 0001010e [0d, 00, 00, 00]");
    }
}

#[test]
fn a_mac_that_is_zero_or_a_group() {
    for mac in [[0; 6], [1, 0, 0x5e, 0, 0, 1], [0xff; 6]] {
        let bench = up(|device| {
            device
                .values
                .insert(oid::CURRENT_ADDRESS_802_3, mac.to_vec());
            device
                .values
                .insert(oid::PERMANENT_ADDRESS_802_3, mac.to_vec());
        });
        assert_eq!(bench.adapter().mac, LOCAL);
        assert_eq!(bench.adapter().mac_source, MacSource::Local);
        assert_eq!(bench.count(Counter::ControlBadAddress), 2);
    }
}

/// The device does not know the address that the host uses, so it has to hand up all frames.
#[test]
fn a_device_without_an_address() {
    let without = |device: &mut Device| {
        device.values.remove(&oid::CURRENT_ADDRESS_802_3);
        device.values.remove(&oid::PERMANENT_ADDRESS_802_3);
    };
    let bench = up(without);
    assert_eq!(bench.adapter().mac, LOCAL);
    assert_eq!(last_filter(&bench), "SET 0001010e [2d, 00, 00, 00]");
    assert_eq!(bench.count(Counter::ControlBadAddress), 0);

    let mut bench = Bench::new(without);
    while bench.commands().len() < 7 {
        bench.step();
    }
    bench.device.script.push_back(Instead::Status(0xc000_00bb));
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(
        bench.commands()[7..],
        [
            "SET 0001010e [2d, 00, 00, 00]",
            "SET 0001010e [0d, 00, 00, 00]"
        ],
        "if it cannot, it hands up what it thinks is right"
    );
}

#[test]
fn a_packet_filter_that_is_refused_is_the_end() {
    let error = fails(|device| {
        device
            .always
            .insert(message_type::SET, Instead::Status(0xc001_0015));
    });
    let (command, status) = ("SET of the packet filter", 0xc001_0015);
    assert_eq!(error, SessionError::Refused { command, status });
    assert_eq!(
        error.to_string(),
        "the device refuses SET of the packet filter with status 0xc0010015"
    );
}

#[test]
fn the_mtu_that_the_device_says() {
    for (says, mtu, frame, refused) in [
        (1500_u32, 1500, 1518, 0),
        (1400, 1400, 1518, 0),
        (68, 68, 1518, 0),
        (67, 1500, 1518, 1),
        (0, 1500, 1518, 1),
        (4000, 4000, 4018, 0),
        (65535, 8134, 8152, 0),
        (u32::MAX, 8134, 8152, 0),
    ] {
        let bench = up(|device| {
            device.initialize.max_transfer = 8192;
            device
                .values
                .insert(oid::GEN_MAXIMUM_FRAME_SIZE, says.to_le_bytes().to_vec());
        });
        assert_eq!(bench.adapter().mtu, mtu, "it says {says}");
        assert_eq!(bench.adapter().receive.max_frame, frame, "it says {says}");
        assert_eq!(
            bench.count(Counter::ControlBadMtu),
            refused,
            "it says {says}"
        );
    }
}

#[test]
fn a_number_of_too_few_bytes() {
    let bench = up(|device| {
        device
            .values
            .insert(oid::GEN_MAXIMUM_FRAME_SIZE, vec![1, 4]);
        device.values.insert(oid::GEN_LINK_SPEED, vec![9]);
        device
            .values
            .insert(oid::GEN_MEDIA_CONNECT_STATUS, vec![1, 0, 0]);
    });
    assert_eq!(bench.adapter().mtu, 1500);
    assert!(bench.adapter().link.up && bench.adapter().link.speed_mbps.is_none());
    assert_eq!(bench.count(Counter::ControlBufferLength), 3);
}

#[test]
fn the_speeds_that_are_none() {
    for units in [0_u32, 1, 9999] {
        let bench = up(|device| {
            device
                .values
                .insert(oid::GEN_LINK_SPEED, units.to_le_bytes().to_vec());
        });
        assert_eq!(bench.adapter().link.speed_mbps, None);
    }
    let bench = up(|device| {
        device.values.insert(oid::GEN_LINK_SPEED, vec![0xff; 4]);
    });
    assert_eq!(
        bench.adapter().link.speed_mbps,
        Some(429_496),
        "all that 32 bits can say"
    );
}

#[test]
fn a_smaller_transfer_makes_a_smaller_mtu() {
    for (max_transfer, mtu) in [(1558, 1500), (1557, 1499), (600, 542), (126, 68)] {
        let bench = up(|device| device.initialize.max_transfer = max_transfer);
        assert_eq!(bench.adapter().mtu, mtu);
        assert_eq!(bench.adapter().transmit.max_transfer, max_transfer as usize);
        assert_eq!(bench.adapter().transmit.capacity(), usize::from(mtu) + 14);
    }
}

#[test]
fn a_transfer_too_small_for_any_frame() {
    for max_transfer in [0, 44, 58, 125] {
        let error = fails(|device| device.initialize.max_transfer = max_transfer);
        assert_eq!(error, SessionError::TransferTooSmall { max_transfer });
    }
}

#[test]
fn a_larger_transfer_than_this_host_ever_makes() {
    for max_transfer in [16384, 16385, u32::MAX] {
        let bench = up(|device| device.initialize.max_transfer = max_transfer);
        assert_eq!(bench.adapter().transmit.max_transfer, 16384);
        assert_eq!(bench.adapter().mtu, 1500);
    }
}

#[test]
fn packets_and_alignment() {
    for (packets, factor, agreed) in [
        (0, 0, (1, 1)),
        (1, 0, (1, 1)),
        (8, 0, (8, 1)),
        (8, 3, (8, 8)),
        (8, 7, (8, 128)),
        (8, 8, (1, 1)),
        (8, 31, (1, 1)),
        (8, 32, (1, 1)),
        (u32::MAX, u32::MAX, (1, 1)),
        (u32::MAX, 2, (u32::MAX, 4)),
    ] {
        let bench = up(|device| {
            device.initialize.max_packets = packets;
            device.initialize.alignment_factor = factor;
        });
        let transmit = bench.adapter().transmit;
        assert_eq!(
            (transmit.max_packets, transmit.alignment),
            agreed,
            "{packets} packets, factor {factor}"
        );
        assert_eq!(bench.adapter().receive.max_packets, packets.max(1));
    }
}

#[test]
fn another_version() {
    for (major, minor) in [(0, 0), (0, 9), (2, 0), (u32::MAX, 1)] {
        let error = fails(|device| {
            (device.initialize.major, device.initialize.minor) = (major, minor);
        });
        assert_eq!(error, SessionError::Version { major, minor });
    }
    let bench = up(|device| device.initialize.minor = 7);
    assert_eq!(
        bench.events,
        [Event::Up],
        "a later minor version speaks this one too"
    );
}

#[test]
fn something_else_than_ethernet() {
    let error = fails(|device| device.initialize.medium = 9);
    assert_eq!(error, SessionError::NotEthernet { medium: 9 });
    assert_eq!(
        error.to_string(),
        "the device is no Ethernet adapter: its medium is 9"
    );
}
