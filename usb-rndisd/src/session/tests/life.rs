//! Stories of bringing an adapter up, waiting, and saying goodbye.

use core::time::Duration;

use netscheme::frame::{LinkState, Mac};

use super::bench::{Bench, Instead, LOCAL, MAC};
use crate::counters::Counter;
use crate::message::control::message_type;
use crate::session::{Action, Event, MacSource, Options, SessionError, State};

#[test]
fn qemus_usb_net_is_brought_up() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.session.state(), State::Starting);
    let started = bench.now;
    bench.run_to_rest();
    assert_eq!(
        bench.commands(),
        [
            "INITIALIZE 16384",
            "QUERY 01010102 48",
            "QUERY 00010106 0",
            "QUERY 00010202 0",
            "QUERY 00010114 0",
            "QUERY 00010107 0",
            "SET 0001010e [0d, 00, 00, 00]",
        ]
    );
    assert_eq!(bench.events, [Event::Up]);
    let adapter = bench.adapter();
    assert_eq!((adapter.mac, adapter.mac_source), (MAC, MacSource::Current));
    assert_eq!(adapter.mtu, 1500);
    assert_eq!(
        adapter.link,
        LinkState {
            up: true,
            speed_mbps: Some(10)
        }
    );
    assert_eq!(adapter.physical_medium, None);
    assert_eq!(
        (adapter.transmit.max_transfer, adapter.transmit.packet_size),
        (1580, 64)
    );
    assert_eq!(
        (adapter.transmit.max_packets, adapter.transmit.alignment),
        (1, 1)
    );
    assert_eq!(
        (adapter.receive.max_transfer, adapter.receive.max_frame),
        (16384, 1518)
    );
    let took = bench.now.since(started);
    assert!(
        took < Duration::from_millis(20),
        "{took:?} without one notification"
    );
}

#[test]
fn an_adapter_is_not_known_before_it_is_up() {
    let mut bench = Bench::new(|_| {});
    while bench.session.state() == State::Starting {
        assert_eq!(bench.session.adapter(), None);
        bench.step();
    }
    assert!(bench.session.adapter().is_some());
}

#[test]
fn response_available_makes_it_ask_at_once() {
    let mut bench = Bench::new(|_| {});
    let started = bench.now;
    for _ in 0..7 {
        bench.act();
        bench.session.handle_notification();
        bench.act();
    }
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.now, started, "no timer was needed");
    assert_eq!(bench.device.asked.len(), 7, "once for each command");
}

#[test]
fn without_a_notification_it_asks_less_and_less_often() {
    let mut bench = Bench::new(|device| {
        device
            .always
            .insert(message_type::INITIALIZE, Instead::Silence);
    });
    let started = bench.now;
    bench.wait(Duration::from_millis(4999));
    let times: Vec<_> = bench
        .device
        .asked
        .iter()
        .map(|time| time.since(started).as_millis())
        .collect();
    assert_eq!(times[..10], [1, 3, 7, 15, 31, 63, 127, 255, 511, 767]);
    assert_eq!(times.len(), 26);
    assert_eq!(bench.count(Counter::ControlNothing), 26);
    assert_eq!(
        bench.commands().len(),
        1,
        "and has not repeated the command yet"
    );
}

#[test]
fn nothing_wakes_while_idle_but_the_keepalive() {
    let mut bench = Bench::up();
    assert_eq!(
        bench.session.deadline().map(|at| at.since(bench.now)),
        Some(Duration::from_secs(5))
    );
    bench.wait(Duration::from_millis(4999));
    assert_eq!(bench.device.asked, []);
    assert_eq!(bench.commands(), Vec::<String>::new());
}

#[test]
fn a_timer_that_rings_too_early_is_no_harm() {
    let mut bench = Bench::new(|_| {});
    for _ in 0..10 {
        bench.session.handle_timeout(bench.now);
        bench.act();
    }
    assert_eq!(bench.device.asked, []);
    bench.run_to_rest();
    assert_eq!(bench.commands().len(), 7);
}

#[test]
fn groups_are_named_to_the_device_before_frames_pass() {
    let groups = vec![Mac([1, 0, 0x5e, 0, 0, 1]), Mac([0x33, 0x33, 0, 0, 0, 1])];
    let options = Options {
        multicast: groups,
        ..Options::new(LOCAL, 64)
    };
    let mut bench = Bench::with_options(options, |_| {});
    bench.run_to_rest();
    assert_eq!(
        bench.commands()[6..],
        [
            "SET 01010103 [01, 00, 5e, 00, 00, 01, 33, 33, 00, 00, 00, 01]",
            "SET 0001010e [0f, 00, 00, 00]",
        ]
    );
}

#[test]
fn the_device_that_refuses_the_multicast_list_works_all_the_same() {
    let options = Options {
        multicast: vec![Mac([1, 0, 0x5e, 0, 0, 1])],
        ..Options::new(LOCAL, 64)
    };
    let mut bench = Bench::with_options(options, |_| {});
    while bench.commands().len() < 6 {
        bench.step();
    }
    bench.device.script.push_back(Instead::Status(0xc000_00bb));
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.count(Counter::ControlRefused), 1);
}

#[test]
fn goodbye() {
    let mut bench = Bench::up();
    bench.session.halt(bench.now);
    assert_eq!(bench.session.state(), State::Halting);
    bench.act();
    assert_eq!(bench.commands(), ["HALT"]);
    assert_eq!(bench.events, [Event::Halted]);
    assert_eq!(bench.session.state(), State::Halted);
    assert_eq!(bench.session.deadline(), None);
    bench.session.halt(bench.now);
    bench.session.handle_notification();
    bench.act();
    assert_eq!(bench.commands(), ["HALT"], "once, and nothing behind it");
}

#[test]
fn goodbye_in_the_middle_of_a_command() {
    let mut bench = Bench::new(|_| {});
    assert!(matches!(bench.session.poll_action(), Some(Action::Send(_))));
    bench.session.halt(bench.now);
    assert_eq!(bench.session.poll_action(), None, "a transfer is under way");
    bench.session.handle_sent(bench.now, Ok(()));
    bench.act();
    assert_eq!(bench.commands(), ["HALT"]);
    assert_eq!(bench.events, [Event::Halted]);
}

#[test]
fn goodbye_to_a_device_that_does_not_listen() {
    let mut bench = Bench::up();
    bench.device.script.push_back(Instead::Stall);
    bench.session.halt(bench.now);
    bench.act();
    assert_eq!(bench.events, [Event::Halted]);

    let mut bench = Bench::up();
    bench.session.halt(bench.now);
    assert!(bench.session.poll_action().is_some(), "and it never ends");
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.events, [Event::Halted]);
    bench.session.handle_sent(bench.now, Ok(()));
    bench.act();
    assert_eq!(bench.events, [Event::Halted], "once");
}

/// Whatever was just sent or answered when the device went away, the session gives up in bounded
/// time.
#[test]
fn unplug_at_every_step() {
    for steps in 0..50 {
        let mut bench = Bench::new(|_| {});
        for _ in 0..steps {
            if !bench.transfer_one() {
                bench.now = bench.session.deadline().expect("it is not over");
                bench.session.handle_timeout(bench.now);
            }
        }
        let unplugged = bench.now;
        bench.unplug();
        let end = bench.events.last();
        assert!(
            matches!(end, Some(Event::Failed(_))),
            "step {steps}: {end:?}"
        );
        let took = bench.now.since(unplugged);
        assert!(took <= Duration::from_secs(15), "step {steps}: {took:?}");
    }
}

#[test]
fn unplugged_while_it_was_up() {
    let mut bench = Bench::up();
    for kind in [message_type::KEEPALIVE, message_type::RESET] {
        bench.device.always.insert(kind, Instead::Stall);
    }
    bench.wait(Duration::from_secs(10));
    let command = "RESET";
    assert_eq!(
        bench.events,
        [Event::Failed(SessionError::NoAnswer { command })]
    );
    assert_eq!(bench.session.deadline(), None);
    assert!(bench.session.adapter().is_some(), "what was known of it is");
}
