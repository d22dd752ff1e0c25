//! Stories of answers that are none, wrong, late, or said by nobody.

use core::time::Duration;

use super::bench::{Bench, Instead, LOCAL};
use crate::counters::Counter;
use crate::message::Control;
use crate::message::control::{InitializeComplete, message_type, status};
use crate::session::{Action, Event, MacSource, SessionError, State, TransferFailed};

#[test]
fn no_reply_at_all() {
    let mut bench = Bench::new(|device| {
        device
            .always
            .insert(message_type::INITIALIZE, Instead::Silence);
    });
    let started = bench.now;
    bench.run_to_rest();
    assert_eq!(bench.commands(), ["INITIALIZE 16384"; 3]);
    assert_eq!(bench.now.since(started), Duration::from_secs(15));
    let command = "INITIALIZE";
    assert_eq!(
        bench.events,
        [Event::Failed(SessionError::NoAnswer { command })]
    );
    assert_eq!(bench.session.state(), State::Failed);
    assert_eq!(bench.session.deadline(), None);
    assert_eq!(bench.session.poll_action(), None);
    assert_eq!(bench.count(Counter::ControlRepeated), 2);
    assert_eq!(bench.count(Counter::ControlNoAnswer), 1);
}

#[test]
fn the_transfer_that_never_ends() {
    let mut bench = Bench::new(|_| {});
    assert!(matches!(bench.session.poll_action(), Some(Action::Send(_))));
    bench.wait(Duration::from_secs(15));
    assert_eq!(bench.session.state(), State::Failed);
    assert_eq!(
        bench.commands(),
        Vec::<String>::new(),
        "nothing else was begun meanwhile"
    );
}

#[test]
fn a_stall_is_tried_again_soon() {
    let mut bench = Bench::new(|device| device.script.extend([Instead::Stall, Instead::Stall]));
    let started = bench.now;
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert!(bench.now.since(started) < Duration::from_millis(300));
    assert_eq!(bench.count(Counter::ControlStalled), 2);
}

#[test]
fn asking_stalls_and_then_does_not() {
    let mut bench = Bench::new(|_| {});
    let Some(Action::Send(_)) = bench.session.poll_action() else {
        panic!("no command");
    };
    bench.session.handle_sent(bench.now, Ok(()));
    for _ in 0..5 {
        bench.now = bench.session.deadline().unwrap();
        bench.session.handle_timeout(bench.now);
        assert!(matches!(
            bench.session.poll_action(),
            Some(Action::Ask { .. })
        ));
        bench.session.handle_no_response();
    }
    assert_eq!(bench.count(Counter::ControlStalled), 5);
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
}

/// A wrong answer is counted under what is wrong with it, the right one behind it is taken, and the
/// command is not repeated.
#[test]
fn an_answer_that_is_wrong_before_the_one_that_is_right() {
    let complete = |request_id| {
        Control::SetComplete {
            request_id,
            status: status::SUCCESS,
        }
        .encode()
    };
    let mut outside = Control::QueryComplete {
        request_id: 1,
        status: status::SUCCESS,
        buffer: &[1, 2, 3, 4],
    }
    .encode();
    outside[20] = 17;
    let initialize = InitializeComplete {
        request_id: 77,
        major: 9,
        ..InitializeComplete::default()
    };
    for (wrong, reason) in [
        (complete(1), Counter::ControlType),
        (
            vec![9, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0],
            Counter::ControlType,
        ),
        (
            Control::Halt { request_id: 1 }.encode(),
            Counter::ControlType,
        ),
        (Control::Reset.encode(), Counter::ControlType),
        (
            vec![5, 0, 0, 0x80, 12, 0, 0, 0, 1, 0, 0, 0],
            Counter::ControlLength,
        ),
        (vec![2, 0, 0, 0x80, 51, 0, 0, 0], Counter::ControlLength),
        (
            vec![2, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff],
            Counter::ControlLength,
        ),
        (vec![5], Counter::ControlLength),
        (outside, Counter::ControlBufferRange),
        (
            Control::InitializeComplete(initialize).encode(),
            Counter::ControlRequestId,
        ),
    ] {
        let mut bench = Bench::new(|device| {
            device.script.push_back(Instead::After(vec![wrong.clone()]));
        });
        bench.run_to_rest();
        assert_eq!(bench.session.state(), State::Up, "{wrong:02x?}");
        assert_eq!(bench.count(reason), 1, "{wrong:02x?} is {}", reason.name());
        assert_eq!(bench.count(Counter::ControlRepeated), 0);
    }
}

#[test]
fn a_reply_with_another_request_id_does_not_count() {
    let mut bench = Bench::new(|device| device.script.push_back(Instead::RequestId(1)));
    bench.run_to_rest();
    assert_eq!(bench.commands()[..2], ["INITIALIZE 16384"; 2]);
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.count(Counter::ControlRequestId), 1);
    let first = Control::decode(&bench.device.commands[0]);
    assert_eq!(
        first,
        Control::decode(&bench.device.commands[1]),
        "repeated under the same id"
    );
}

#[test]
fn a_late_answer_is_an_answer_and_the_second_one_is_not() {
    let mut bench = Bench::new(|device| device.script.push_back(Instead::Silence));
    bench.wait(Duration::from_secs(5));
    assert_eq!(bench.commands(), ["INITIALIZE 16384"; 2]);
    // Both are answered at once.
    let answer = bench
        .device
        .responses
        .back()
        .cloned()
        .expect("the answer to the second");
    bench.device.responses.push_back(answer);
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(
        bench.count(Counter::ControlType),
        1,
        "an INITIALIZE_CMPLT to a QUERY"
    );
}

/// What a device hears that refuses the first command.
const AGAIN: [&str; 3] = ["INITIALIZE 16384", "HALT", "INITIALIZE 16384"];

#[test]
fn what_is_refused_for_good() {
    let refused = Instead::Status(status::FAILURE);
    let mut bench = Bench::new(|device| {
        device.always.insert(message_type::INITIALIZE, refused);
    });
    bench.run_to_rest();
    let (command, status) = ("INITIALIZE", status::FAILURE);
    assert_eq!(
        bench.events,
        [Event::Failed(SessionError::Refused { command, status })]
    );
    assert_eq!(bench.commands(), AGAIN);
}

/// The driver before was killed and said no HALT.
#[test]
fn a_device_that_is_up_from_an_earlier_driver_is_halted_first() {
    let mut bench = Bench::new(|device| device.script.push_back(Instead::Status(status::FAILURE)));
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.commands()[..3], AGAIN);
    assert_eq!(bench.count(Counter::ControlRefused), 1);
}

/// The device may stall HALT, too.
#[test]
fn a_halt_that_stalls_is_no_reason_to_give_up() {
    let mut bench = Bench::new(|device| {
        device.script.push_back(Instead::Status(status::FAILURE));
        device.always.insert(message_type::HALT, Instead::Stall);
    });
    bench.run_to_rest();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.count(Counter::ControlStalled), 1);
}

/// QEMU's usb-net answers what it does not know with success and nothing; others refuse, stall, or
/// keep silent.
#[test]
fn queries_that_the_device_does_not_know() {
    for (instead, most) in [
        (None, Duration::from_millis(50)),
        (
            Some(Instead::Status(status::NOT_SUPPORTED)),
            Duration::from_millis(50),
        ),
        (Some(Instead::Stall), Duration::from_secs(2)),
        (Some(Instead::Silence), Duration::from_secs(13)),
        (
            Some(Instead::Bytes(vec![0xff; 30])),
            Duration::from_secs(13),
        ),
    ] {
        let mut bench = Bench::new(|device| {
            device.values.clear();
            if let Some(instead) = &instead {
                device.always.insert(message_type::QUERY, instead.clone());
            }
        });
        let started = bench.now;
        bench.run_to_rest();
        assert_eq!(bench.session.state(), State::Up, "{instead:?}");
        let took = bench.now.since(started);
        assert!(took < most, "{instead:?} took {took:?}");
        let adapter = bench.adapter();
        assert_eq!((adapter.mac, adapter.mac_source), (LOCAL, MacSource::Local));
        assert_eq!((adapter.mtu, adapter.link.up), (1500, true));
    }
}

#[test]
fn the_device_that_never_stops_talking() {
    let mut bench = Bench::up();
    let garbage = vec![0xff; 16];
    bench.device.responses.extend(vec![garbage; 1000]);
    bench.session.handle_notification();
    bench.act();
    assert_eq!(
        bench.device.asked.len(),
        17,
        "and then no more until it rings again"
    );
    bench.session.handle_notification();
    bench.act();
    assert_eq!(bench.device.asked.len(), 18);
    bench.device.responses.clear();
    bench.session.handle_notification();
    bench.act();
    bench.says(Control::KeepAlive { request_id: 5 });
    assert_eq!(
        bench.commands(),
        ["KEEPALIVE_CMPLT 5 0"],
        "it is heard again"
    );
}

#[test]
fn notifications_with_nothing_behind_them() {
    let mut bench = Bench::up();
    for _ in 0..1000 {
        bench.session.handle_notification();
        bench.session.handle_notification();
        bench.act();
    }
    assert_eq!(
        bench.device.asked.len(),
        1000,
        "one question each, none of them its own idea"
    );
    assert_eq!(bench.count(Counter::ControlNothing), 1000);
    assert_eq!(bench.session.state(), State::Up);
}

#[test]
fn replies_that_nobody_waits_for() {
    let mut bench = Bench::up();
    for message in [
        Control::SetComplete {
            request_id: 1,
            status: 0,
        },
        Control::KeepAliveComplete {
            request_id: 8,
            status: 1,
        },
        Control::ResetComplete {
            status: 0,
            addressing_reset: 1,
        },
    ] {
        bench.says(message);
    }
    assert_eq!(bench.count(Counter::ControlType), 3);
    assert_eq!(bench.events, []);
    assert_eq!(bench.commands(), Vec::<String>::new());
}

#[test]
fn results_of_transfers_that_were_never_asked_for() {
    let mut bench = Bench::up();
    bench.session.handle_sent(bench.now, Ok(()));
    bench.session.handle_sent(bench.now, Err(TransferFailed));
    bench.session.handle_no_response();
    bench.session.handle_response(bench.now, &[]);
    bench.act();
    assert_eq!(bench.session.state(), State::Up);
    assert_eq!(bench.events, []);
}
