//! Stories of the card's lives: coming up, changing, being reset.

use netscheme::frame::{LinkState, Mac};
use netscheme::network::server::Nic;
use virtio_core::{DeviceError, Features, QueueError};

use super::bench::{Bench, CARD, Card, EVENTS, PLAIN, RANDOM, frame};
use crate::config::{MAC, MTU, SPEED_DUPLEX, STATUS};
use crate::counters::Counter;
use crate::error::Error;

const NEEDS_RESET: u8 = 64;

/// Why the card does not come up.
fn refusal(card: &Card) -> Error {
    match card.try_start() {
        Ok(_) => panic!("it came up"),
        Err(error) => error,
    }
}

#[test]
fn the_doorbell_before_driver_ok() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    assert_eq!(bench.card.fake.state().statuses, [0, 1, 3, 0xb, 0xf]);
    bench.assert_whole();
    assert!(
        !bench.card.fake.state().doorbells.is_empty(),
        "it rang for its buffers, afterwards"
    );
    bench.revive();
    assert_eq!(bench.card.fake.state().offences, Vec::<String>::new());
}

#[test]
fn only_what_is_used_is_accepted() {
    let everything = Features(u64::MAX);
    let bench = Bench::new(everything, [8, 8]);
    let accepted = Features(bench.card.fake.state().accepted);
    let used = EVENTS | SPEED_DUPLEX | Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
    assert_eq!(
        accepted, used,
        "the MTU is 0 in this configuration, and so not accepted"
    );
}

#[test]
fn both_queues_ring_one_vector_and_the_configuration_another() {
    let bench = Bench::new(EVENTS, [8, 8]);
    let state = bench.card.fake.state();
    assert_eq!(
        (
            state.queues[0].vector,
            state.queues[1].vector,
            state.config_vector
        ),
        (0, 0, 1)
    );
}

#[test]
fn the_card_has_an_address() {
    assert_eq!(Bench::new(EVENTS, [8, 8]).nic.mac(), Mac(CARD));
}

#[test]
fn no_mac_feature_at_all() {
    let bench = Bench::new(EVENTS.without(MAC), [8, 8]);
    let Mac(mac) = bench.nic.mac();
    assert_eq!(mac[1..], RANDOM[1..]);
    assert_eq!(mac[0] & 3, 2, "locally administered, of one station");
}

#[test]
fn a_multicast_or_zero_address() {
    for wrong in [
        [0; 6],
        [0xff; 6],
        [0x01, 0, 0x5e, 0, 0, 1],
        [0x33, 0x33, 0, 0, 0, 1],
    ] {
        let card = Card::new(EVENTS, [8, 8]);
        card.set_config(0, &wrong);
        let mut bench = card.start();
        let mac = bench.nic.mac();
        assert!(
            mac.is_unicast() && mac != Mac(wrong),
            "{mac} for {wrong:02x?}"
        );
        bench.revive();
        assert_eq!(
            bench.nic.mac(),
            mac,
            "it keeps the address that it has once told"
        );
    }
}

#[test]
fn an_mtu_below_68() {
    for mtu in [0_u16, 1, 67] {
        let card = Card::new(EVENTS | MTU, [8, 8]);
        card.set_config(10, &mtu.to_le_bytes());
        let mut bench = card.start();
        assert!(
            !Features(bench.card.fake.state().accepted).contains(MTU),
            "an MTU of {mtu} is not agreed to"
        );
        assert_eq!(bench.nic.mtu(), 1500);
        bench.assert_works();
    }
}

#[test]
fn an_mtu_of_its_own() {
    for mtu in [68_u16, 1400, 9000, u16::MAX] {
        let card = Card::new(EVENTS | MTU, [256, 256]);
        card.set_config(10, &mtu.to_le_bytes());
        let mut bench = card.start();
        assert!(Features(bench.card.fake.state().accepted).contains(MTU));
        assert_eq!(bench.nic.mtu(), mtu);
        let full = frame(1, usize::from(mtu) + 14);
        bench.deliver(&full).unwrap();
        assert_eq!(
            bench.read(),
            Some(full.clone()),
            "a frame of full size, MTU {mtu}"
        );
        bench.nic.transmit(&full).unwrap();
        bench.nic.flush();
        assert_eq!(bench.send_next().map(|(sent, _)| sent), Some(full));
        let memory: u64 = bench
            .card
            .memory
            .allocated()
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        assert!(memory < 10 << 20, "{memory} bytes for an MTU of {mtu}");
        bench.assert_works();
    }
}

#[test]
fn a_queue_of_size_0() {
    for (sizes, missing) in [([0, 8], 0), ([8, 0], 1)] {
        let error = refusal(&Card::new(EVENTS, sizes));
        assert!(
            matches!(error, Error::Queue(QueueError::Unavailable { index }) if index == missing),
            "{error}"
        );
    }
}

#[test]
fn queues_of_odd_sizes() {
    for (offered, expected) in [(1, 1), (3, 2), (255, 128), (1024, 1024), (32768, 1024)] {
        let mut bench = Bench::new(EVENTS, [offered, offered]);
        assert_eq!(
            (bench.stat("rx_ring_size"), bench.stat("tx_ring_size")),
            (expected, expected)
        );
        bench.assert_works();
    }
}

#[test]
fn features_ok_refused() {
    let card = Card::new(EVENTS, [8, 8]);
    card.fake.state().drops_status = 8;
    let error = refusal(&card);
    assert!(
        matches!(error, Error::Device(DeviceError::FeaturesRefused { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("MAC"),
        "the features are named: {error}"
    );
    assert_eq!(
        card.fake.state().statuses.last(),
        Some(&0x8b),
        "the card is told that it was given up"
    );
}

#[test]
fn a_card_from_before_virtio_1() {
    let error = refusal(&Card::new(PLAIN.without(Features::VERSION_1), [8, 8]));
    assert!(error.to_string().contains("VERSION_1"), "{error}");
}

#[test]
fn a_configuration_that_never_settles() {
    let card = Card::new(EVENTS, [8, 8]);
    card.fake.state().generation_runs = true;
    let error = refusal(&card);
    assert!(
        matches!(error, Error::Device(DeviceError::ConfigUnsettled)),
        "{error}"
    );
    card.fake.state().generation_runs = false;
    let mut bench = card.start();
    bench.card.fake.state().generation_runs = true;
    bench.card.set_config(6, &[0, 0]);
    bench.config_interrupt();
    assert_eq!(
        (bench.link(), bench.count(Counter::ConfigUnsettled)),
        (LinkState::UP, 1),
        "what was known stands"
    );
    assert_eq!(bench.nic.trouble(), None);
}

#[test]
fn the_link_goes_down_and_up() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    assert_eq!(bench.link(), LinkState::UP);
    for (status, up) in [(0, false), (0, false), (1, true), (3, true), (2, false)] {
        bench.card.set_config(6, &[status, 0]);
        bench.config_interrupt();
        assert_eq!(bench.link().up, up, "status {status}");
    }
    assert_eq!(bench.count(Counter::LinkChanges), 3);
    assert_eq!(bench.count(Counter::ConfigInterrupts), 5);
    bench.assert_works();
}

#[test]
fn a_card_that_cannot_tell_has_a_link_that_is_up() {
    let card = Card::new(EVENTS.without(STATUS), [8, 8]);
    card.set_config(6, &[0, 0]);
    assert_eq!(card.start().link(), LinkState::UP);
}

#[test]
fn a_card_that_tells_its_speed() {
    let card = Card::new(EVENTS | SPEED_DUPLEX, [8, 8]);
    card.set_config(12, &25_000_u32.to_le_bytes());
    assert_eq!(
        card.start().link(),
        LinkState {
            up: true,
            speed_mbps: Some(25_000)
        }
    );
}

#[test]
fn device_needs_reset_under_traffic() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for number in 0..3 {
        bench.deliver(&frame(number, 60)).unwrap();
        bench.nic.transmit(&frame(number, 60)).unwrap();
    }
    bench.nic.flush();
    bench.send_next().unwrap();
    bench.interrupt();
    assert_eq!(bench.read(), Some(frame(0, 60)));
    bench.card.fake.state().status |= NEEDS_RESET;
    bench.config_interrupt();
    let trouble = bench.nic.trouble().unwrap();
    assert!(trouble.contains("DEVICE_NEEDS_RESET"), "{trouble}");
    bench.revive();
    assert_eq!(bench.nic.trouble(), None);
    assert_eq!(
        (
            bench.count(Counter::NeedsReset),
            bench.count(Counter::Resets)
        ),
        (1, 1)
    );
    assert_eq!(
        bench.count(Counter::TxLostInReset),
        2,
        "of three frames one was sent"
    );
    assert_eq!(
        (bench.stat("rx_posted"), bench.stat("tx_free")),
        (8, 8),
        "everything is posted anew"
    );
    bench.assert_works();
}

#[test]
fn needs_reset_before_anything_else_and_after_every_reset() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    for life in 1..=20 {
        bench.card.fake.state().status |= NEEDS_RESET;
        bench.config_interrupt();
        assert!(bench.nic.trouble().is_some());
        bench.revive();
        assert_eq!(bench.count(Counter::Resets), life);
    }
    bench.assert_works();
}

#[test]
fn a_card_that_does_not_come_back_is_tried_again() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    bench.card.fake.state().drops_status = 8;
    assert!(bench.nic.revive().is_err());
    let trouble = bench.nic.trouble().expect("a driver without a device");
    assert!(trouble.contains("not brought up"), "{trouble}");
    assert_eq!(bench.read(), None);
    assert!(
        bench.nic.transmit(&frame(1, 60)).is_err() || !bench.nic.can_receive(),
        "and nothing panics meanwhile"
    );
    bench.interrupt();
    bench.config_interrupt();
    bench.card.fake.state().drops_status = 0;
    bench.revive();
    assert_eq!(
        (bench.nic.trouble(), bench.count(Counter::Resets)),
        (None, 2)
    );
    bench.assert_works();
}

#[test]
fn a_card_that_does_not_stop_gets_nothing_of_its_memory_taken_back() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    bench.card.fake.state().reset_takes = u32::MAX;
    let error = bench.nic.revive().unwrap_err();
    assert!(
        matches!(error, Error::Device(DeviceError::ResetNotDone { .. })),
        "{error}"
    );
    assert!(bench.nic.trouble().is_some());
    assert!(
        bench.deliver(&frame(1, 60)).is_some(),
        "the card writes on, into memory that is still its own"
    );
    let memory = bench.card.memory.clone();
    drop(bench);
    assert_eq!(
        memory.allocated().len(),
        3,
        "and keeps both rings and the receive buffers for ever"
    );
}

#[test]
fn a_card_that_is_gone() {
    let mut bench = Bench::new(EVENTS, [8, 8]);
    bench.card.fake.state().gone = true;
    bench.interrupt();
    bench.config_interrupt();
    assert_eq!(bench.read(), None);
    let trouble = bench.nic.trouble().expect("all registers read as ones");
    assert!(trouble.contains("gone"), "{trouble}");
    assert!(matches!(
        bench.nic.revive(),
        Err(Error::Device(DeviceError::Gone))
    ));
}

#[test]
fn a_card_that_ends_while_it_runs_is_stopped() {
    let bench = Bench::new(EVENTS, [8, 8]);
    let fake = bench.card.fake.clone();
    let memory = bench.card.memory.clone();
    drop(bench);
    assert_eq!(fake.state().status, 0, "reset");
    assert_eq!(memory.allocated(), [], "and its memory freed");
}
