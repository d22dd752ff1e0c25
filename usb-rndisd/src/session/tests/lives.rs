//! Stories of keepalives and resets: whether the other side lives.

use core::time::Duration;

use super::bench::{Bench, Instead};
use crate::counters::Counter;
use crate::message::Control;
use crate::message::control::{message_type, status};
use crate::session::{Event, SessionError, State};

#[test]
fn five_seconds_of_silence() {
    let mut bench = Bench::up();
    bench.wait(Duration::from_secs(16));
    assert_eq!(bench.commands(), ["KEEPALIVE"; 3]);
    assert_eq!(bench.count(Counter::KeepAlivesSent), 3);
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.events, []);
}

#[test]
fn traffic_puts_the_keepalive_off() {
    let mut bench = Bench::up();
    for _ in 0..100 {
        bench.wait(Duration::from_secs(1));
        bench.session.handle_traffic(bench.now);
    }
    assert_eq!(bench.commands(), Vec::<String>::new());
    bench.wait(Duration::from_millis(4990));
    assert_eq!(bench.commands(), Vec::<String>::new());
    bench.wait(Duration::from_millis(20));
    assert_eq!(bench.commands(), ["KEEPALIVE"]);
}

#[test]
fn the_device_asks_and_is_answered_with_its_request_id() {
    let mut bench = Bench::up();
    bench.says(Control::KeepAlive {
        request_id: 0xdead_beef,
    });
    assert_eq!(bench.commands(), ["KEEPALIVE_CMPLT deadbeef 0"]);
    assert_eq!(bench.count(Counter::KeepAlivesAnswered), 1);
    assert_eq!(
        bench.device.asked.len(),
        2,
        "something else could stand behind it"
    );
}

#[test]
fn the_device_asks_in_the_middle_of_every_command() {
    let mut bench = Bench::new(|device| {
        for request_id in 0..7 {
            let keepalive = Control::KeepAlive { request_id }.encode();
            device.script.push_back(Instead::After(vec![keepalive]));
            // For the answer to the keepalive.
            device.script.push_back(Instead::Silence);
        }
    });
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.commands().len(), 14);
    assert_eq!(bench.commands()[13], "KEEPALIVE_CMPLT 6 0");
    assert_eq!(bench.count(Counter::ControlRepeated), 0);
}

/// RNDIS, REMOTE_NDIS_KEEPALIVE_CMPLT: with another status than success the host resets the device,
/// and then sets what the device has forgotten.
#[test]
fn a_bad_answer_is_followed_by_a_reset_and_the_packet_filter() {
    let mut bench = Bench::up();
    bench
        .device
        .script
        .push_back(Instead::Status(status::FAILURE));
    bench.wait(Duration::from_secs(6));
    assert_eq!(
        bench.commands(),
        ["KEEPALIVE", "RESET", "SET 0001010e [0d, 00, 00, 00]"]
    );
    assert_eq!(bench.events, [Event::Reset]);
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.count(Counter::Resets), 1);
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.count(Counter::Resets), 1, "it lives");
}

#[test]
fn no_answer_at_all_is_a_bad_answer() {
    let mut bench = Bench::up();
    bench
        .device
        .script
        .extend([Instead::Silence, Instead::Silence, Instead::Silence]);
    bench.wait(Duration::from_secs(12));
    assert_eq!(
        bench.commands(),
        [
            "KEEPALIVE",
            "KEEPALIVE",
            "KEEPALIVE",
            "RESET",
            "SET 0001010e [0d, 00, 00, 00]"
        ]
    );
    assert_eq!(bench.events, [Event::Reset]);
    assert_eq!(bench.count(Counter::ControlRepeated), 2);
    assert_eq!(bench.count(Counter::ControlNoAnswer), 1);
}

#[test]
fn an_answer_to_another_keepalive_is_none() {
    let mut bench = Bench::up();
    bench.device.script.push_back(Instead::RequestId(1));
    bench.wait(Duration::from_secs(8));
    assert_eq!(bench.commands(), ["KEEPALIVE", "KEEPALIVE"]);
    assert_eq!(bench.count(Counter::ControlRequestId), 1);
    assert_eq!(bench.session.state(), State::Up);
}

#[test]
fn the_state_between_reset_and_packet_filter() {
    let mut bench = Bench::up();
    bench
        .device
        .script
        .extend([Instead::Status(1), Instead::Silence]);
    bench.wait(Duration::from_secs(6));
    assert_eq!(bench.session.state(), State::Resetting);
    assert!(bench.session.adapter().is_some());
    bench.wait(Duration::from_secs(2));
    assert_eq!(
        bench.session.state(),
        State::Up,
        "the second RESET was answered"
    );
}

#[test]
fn a_reset_that_is_refused_or_not_answered_is_the_end() {
    let mut bench = Bench::up();
    bench
        .device
        .script
        .extend([Instead::Status(1), Instead::Status(0xc000_0001)]);
    bench.wait(Duration::from_secs(6));
    let (command, status) = ("RESET", 0xc000_0001);
    assert_eq!(
        bench.events,
        [Event::Failed(SessionError::Refused { command, status })]
    );

    let mut bench = Bench::up();
    bench.device.script.push_back(Instead::Status(1));
    bench
        .device
        .always
        .insert(message_type::RESET, Instead::Silence);
    bench.wait(Duration::from_secs(12));
    assert_eq!(
        bench.events,
        [Event::Failed(SessionError::NoAnswer { command })]
    );
    assert_eq!(bench.commands(), ["KEEPALIVE", "RESET", "RESET", "RESET"]);
}

#[test]
fn the_device_that_is_no_better_after_a_reset_is_given_up() {
    let mut bench = Bench::up();
    bench
        .device
        .always
        .insert(message_type::KEEPALIVE, Instead::Status(1));
    bench.wait(Duration::from_secs(600));
    assert_eq!(bench.count(Counter::Resets), 3);
    let end = Event::Failed(SessionError::KeepsFailing { resets: 3 });
    assert_eq!(
        bench.events,
        [Event::Reset, Event::Reset, Event::Reset, end]
    );
}
