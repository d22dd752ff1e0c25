//! Stories of links that go down and up, and other things that a device says by itself.

use netscheme::frame::LinkState;

use super::bench::{Bench, Instead};
use crate::counters::Counter;
use crate::message::Control;
use crate::message::control::{oid, status};
use crate::session::{Event, State};

const CONNECT: Control<'_> = Control::IndicateStatus {
    status: status::MEDIA_CONNECT,
    buffer: &[],
};
const DISCONNECT: Control<'_> = Control::IndicateStatus {
    status: status::MEDIA_DISCONNECT,
    buffer: &[],
};

fn link(up: bool, speed_mbps: u32) -> Event {
    Event::Link(LinkState {
        up,
        speed_mbps: Some(speed_mbps),
    })
}

#[test]
fn the_cable_is_pulled_and_another_is_plugged_in() {
    let mut bench = Bench::up();
    bench.says(DISCONNECT);
    assert_eq!(bench.events, [link(false, 10)]);
    assert!(!bench.adapter().link.up);
    bench.events.clear();
    bench
        .device
        .values
        .insert(oid::GEN_LINK_SPEED, 10_000_000_u32.to_le_bytes().to_vec());
    bench.says(CONNECT);
    bench.run_to_rest();
    assert_eq!(bench.events, [link(true, 1000)], "one event for both");
    assert_eq!(bench.commands(), ["QUERY 00010107 0"]);
    assert_eq!(bench.count(Counter::LinkChanges), 2);
    assert_eq!(bench.count(Counter::Indications), 2);
}

#[test]
fn what_is_said_twice_changes_nothing() {
    let mut bench = Bench::up();
    bench.says(CONNECT);
    bench.run_to_rest();
    assert_eq!(bench.events, []);
    bench.says(DISCONNECT);
    bench.says(DISCONNECT);
    assert_eq!(bench.events, [link(false, 10)]);
}

#[test]
fn a_link_that_was_down_from_the_start() {
    let mut bench = Bench::new(|device| {
        device
            .values
            .insert(oid::GEN_MEDIA_CONNECT_STATUS, vec![1, 0, 0, 0]);
    });
    bench.run_to_rest();
    assert_eq!(bench.events, [Event::Up], "the adapter tells");
    assert!(!bench.adapter().link.up);
    bench.says(CONNECT);
    assert_eq!(bench.events[1..], [link(true, 10)]);
}

#[test]
fn an_indication_in_the_middle_of_every_command() {
    let mut bench = Bench::new(|device| {
        for number in 0..7 {
            let indication = if number % 2 == 0 { DISCONNECT } else { CONNECT };
            device
                .script
                .push_back(Instead::After(vec![indication.encode()]));
        }
    });
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.commands().len(), 7, "none was repeated");
    assert_eq!(bench.count(Counter::Indications), 7);
    assert!(!bench.adapter().link.up, "the last one counts");
}

#[test]
fn the_link_comes_up_in_the_middle_of_a_keepalive() {
    let mut bench = Bench::up();
    bench.says(DISCONNECT);
    bench
        .device
        .script
        .push_back(Instead::After(vec![CONNECT.encode()]));
    bench.wait(core::time::Duration::from_secs(6));
    assert_eq!(bench.commands(), ["KEEPALIVE", "QUERY 00010107 0"]);
    assert!(bench.adapter().link.up);
}

#[test]
fn many_changes_that_nobody_takes_are_one_event() {
    let mut bench = Bench::up();
    for number in 0..15 {
        let indication = if number % 2 == 0 { DISCONNECT } else { CONNECT };
        bench.device.responses.push_back(indication.encode());
    }
    bench.session.handle_notification();
    bench.transfer();
    assert_eq!(bench.count(Counter::LinkChanges), 15);
    assert_eq!(
        bench.session.poll_event(),
        Some(link(false, 10)),
        "the newest"
    );
    assert_eq!(bench.session.poll_event(), None);
}

#[test]
fn an_indication_that_nobody_knows() {
    let mut bench = Bench::up();
    for status in [0, 0x4001_000a, u32::MAX] {
        bench.says(Control::IndicateStatus {
            status,
            buffer: &[1, 2, 3],
        });
    }
    assert_eq!(bench.count(Counter::IndicationsUnknown), 3);
    assert_eq!(bench.events, []);
}
