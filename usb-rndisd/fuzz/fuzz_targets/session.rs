//! The control session against a device that answers as the input says: well, badly, late, or not
//! at all, and says things of its own in between.

#![no_main]

mod input;

use std::time::Duration;

use input::Input;
use libfuzzer_sys::fuzz_target;
use netscheme::frame::Mac;
use netscheme::time::Instant;
use redox_host as _;
use usb_rndisd::message::Control;
use usb_rndisd::message::control::{InitializeComplete, status};
use usb_rndisd::session::{Action, Event, Options, Session, State, TransferFailed};

const LOCAL: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// The answer of a device that is in order but for what the input says.
fn answer(command: &[u8], input: &mut Input<'_>) -> Option<Vec<u8>> {
    let odd = input.byte();
    let status = if odd & 1 == 0 {
        status::SUCCESS
    } else {
        input.number()
    };
    let other = if odd & 2 == 0 { 0 } else { input.number() };
    let answer = match Control::decode(command).expect("the session's own message") {
        Control::Initialize { request_id, .. } => Control::InitializeComplete(InitializeComplete {
            request_id: request_id ^ other,
            status,
            major: if odd & 4 == 0 { 1 } else { input.number() },
            medium: u32::from(odd & 8 != 0),
            max_packets: input.byte().into(),
            max_transfer: if odd & 16 == 0 { 1580 } else { input.number() },
            alignment_factor: input.byte().into(),
            ..InitializeComplete::default()
        }),
        Control::Query { request_id, .. } => {
            let length = input.byte() % 9;
            let buffer = input.bytes(length.into());
            return Some(
                Control::QueryComplete {
                    request_id: request_id ^ other,
                    status,
                    buffer,
                }
                .encode(),
            );
        }
        Control::Set { request_id, .. } => Control::SetComplete {
            request_id: request_id ^ other,
            status,
        },
        Control::Reset => Control::ResetComplete {
            status,
            addressing_reset: other,
        },
        Control::KeepAlive { request_id } => Control::KeepAliveComplete {
            request_id: request_id ^ other,
            status,
        },
        Control::Halt { .. } | Control::KeepAliveComplete { .. } => return None,
        other => panic!("no message of a host: {other:?}"),
    };
    Some(answer.encode())
}

/// What the device says when asked.
fn respond(session: &mut Session, now: Instant, queue: &mut Vec<Vec<u8>>, input: &mut Input<'_>) {
    match input.byte() % 8 {
        0 => {
            let length = input.byte();
            session.handle_response(now, input.bytes(length.into()));
        }
        1 => session.handle_no_response(),
        2 => session.handle_response(
            now,
            &Control::KeepAlive {
                request_id: input.number(),
            }
            .encode(),
        ),
        3 => {
            let status =
                [status::MEDIA_CONNECT, status::MEDIA_DISCONNECT, 7][usize::from(input.byte() % 3)];
            session.handle_response(
                now,
                &Control::IndicateStatus {
                    status,
                    buffer: &[],
                }
                .encode(),
            );
        }
        4 => session.handle_response(now, &[0]),
        _ if queue.is_empty() => session.handle_response(now, &[0]),
        _ => {
            let mut response = queue.remove(0);
            response.resize(1025, input.byte());
            session.handle_response(now, &response);
        }
    }
}

/// Does what the session wants done, at most so many things at a time.
fn act(session: &mut Session, now: Instant, queue: &mut Vec<Vec<u8>>, input: &mut Input<'_>) {
    let mut asked = 0;
    while let Some(action) = session.poll_action() {
        assert_eq!(session.poll_action(), None, "two transfers at a time");
        match action {
            Action::Send(command) => {
                if input.byte() % 8 == 0 {
                    session.handle_sent(now, Err(TransferFailed));
                } else {
                    queue.extend(answer(&command, input));
                    queue.truncate(8);
                    session.handle_sent(now, Ok(()));
                }
            }
            Action::Ask { length } => {
                assert!(length >= 64);
                asked += 1;
                assert!(asked < 200, "it asks for ever");
                respond(session, now, queue, input);
            }
        }
    }
}

fn check(session: &mut Session) {
    let mut events = 0;
    while let Some(event) = session.poll_event() {
        events += 1;
        if let Event::Failed(error) = event {
            assert!(!error.to_string().is_empty());
        }
    }
    assert!(events <= 5, "{events} events at once");
    if let Some(adapter) = session.adapter() {
        assert!(adapter.mac.is_unicast());
        assert!(adapter.mtu >= 68);
        assert!(adapter.transmit.capacity() >= usize::from(adapter.mtu) + 14);
        assert!(adapter.transmit.alignment <= 128 && adapter.transmit.max_packets >= 1);
        assert!(adapter.receive.max_frame >= usize::from(adapter.mtu) + 14);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let mut now = Instant::from_secs(1);
    let mut session = Session::new(now, Options::new(LOCAL, 64));
    let mut queue = Vec::new();
    while !input.0.is_empty() {
        act(&mut session, now, &mut queue, &mut input);
        check(&mut session);
        match input.byte() % 15 {
            0..=9 => {
                let Some(deadline) = session.deadline() else {
                    break;
                };
                now = now.max(deadline);
                // The second is for the keepalive that became due behind a command.
                session.handle_timeout(now);
                session.handle_timeout(now);
                assert!(
                    session.deadline().is_none_or(|next| next > now),
                    "a deadline that does not move is a busy loop"
                );
            }
            10 => now = now.saturating_add(Duration::from_micros(input.number().into())),
            11 => session.handle_timeout(now),
            12 => session.handle_notification(),
            13 => session.handle_traffic(now),
            _ => {
                if input.byte() == 0 {
                    session.halt(now);
                }
            }
        }
    }
    // From here on the device is silent: every command's patience ends.
    for _ in 0..1000 {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(_) => session.handle_sent(now, Ok(())),
                Action::Ask { .. } => session.handle_no_response(),
            }
        }
        check(&mut session);
        let Some(deadline) = session.deadline() else {
            break;
        };
        now = deadline;
        session.handle_timeout(now);
    }
    assert!(
        matches!(session.state(), State::Halted | State::Failed),
        "{session:?}"
    );
});
