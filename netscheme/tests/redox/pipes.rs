//! Frames by pipes, between a driver and a stack.

use libredox::Fd;
use netscheme::Instant;
use netscheme::frame::{FrameSink, FrameSource};
use redox_host::ProcessSpec;
use syscall::error::*;
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use crate::support::card::{DATA, adapter, driver, events, numbered, send};
use crate::support::*;

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;

#[test]
fn a_full_card_holds_the_frames_back_and_loses_none() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 4);
    let (_control, _receiver, mut transmitter, mut reactor) = adapter("eth");
    let accepted = (0..10_000)
        .take_while(|number| send(&mut transmitter, &numbered(number % 1000)))
        .count();
    assert!(
        (256..=1000).contains(&accepted),
        "a bounded number of frames waits: {accepted}"
    );
    assert!(!transmitter.has_room());
    card.wait_sent(4);
    let mut sent = 4;
    while sent < accepted {
        card.interrupt(|card| card.room = 50);
        sent = accepted.min(sent + 50);
        card.wait_sent(sent);
        // Where the driver has taken from the pipe for it, that has room for what still waits here.
        let mut events = Vec::new();
        reactor.wait(Some(Instant::ZERO), &mut events).unwrap();
        if events.iter().any(|event| event.flags.contains(WRITE)) {
            transmitter.on_writable();
        }
    }
    let frames = card.look(|card| core::mem::take(&mut card.sent));
    assert!(
        frames
            .iter()
            .enumerate()
            .all(|(number, frame)| *frame == numbered(number % 1000))
    );
    assert_eq!(transmitter.queued(), 0);
    assert!(transmitter.counters().tx_queue_full > 0);
}

#[test]
fn frames_of_one_turn_cost_one_doorbell() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 1000);
    let (_control, _receiver, mut transmitter, _reactor) = adapter("eth");
    for number in 0..100 {
        assert!(send(&mut transmitter, &numbered(number)));
    }
    assert_eq!(
        card.look(|card| card.sent.len()),
        0,
        "nothing goes out before the flush"
    );
    let dropped = transmitter.slot(60);
    drop(dropped);
    transmitter.flush();
    card.wait_sent(100);
    let (sent, doorbells) = card.look(|card| (card.sent.len(), card.doorbells));
    assert_eq!(sent, 100, "a slot that was not committed is not sent");
    assert_eq!(doorbells, 1);
}

#[test]
fn frames_cost_the_drivers_scheme_no_call() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", usize::MAX);
    let (_control, mut receiver, mut transmitter, mut reactor) = adapter("eth");
    // The window shows what was so at the start of a turn.
    let requests = || {
        let turns = window.wait("any turn", |_| true).turns;
        card.interrupt(|_| {});
        let seen = window.wait("another turn", |seen| seen.turns > turns);
        seen.counters.requests
    };
    let before = requests();
    for number in 1..=100 {
        assert!(send(&mut transmitter, &numbered(number)));
        transmitter.flush();
        card.wait_sent(number);
        card.interrupt(|card| card.received.push_back(numbered(number)));
        assert_eq!(events(&mut reactor), [(DATA, READ)]);
        let frame = receiver.next_frame();
        assert_eq!(frame.as_deref(), Some(&numbered(number)[..]));
        assert!(receiver.next_frame().is_none());
    }
    let calls = requests() - before;
    assert_eq!(calls, 0, "for a hundred frames each way");
}

#[test]
fn what_the_stack_does_not_read_stays_in_the_card_and_arrives_in_order() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 8);
    let (_control, mut receiver, _transmitter, mut reactor) = adapter("eth");
    // More than two pipes and the driver's buffer hold; frames are cut at the pipe's end, and go on where they were.
    card.interrupt(|card| card.received.extend((0..1000).map(numbered)));
    window.wait("the pipe is full", |_| {
        card.look(|card| card.received.len() < 900)
    });
    assert!(card.look(|card| card.received.len()) > 500);
    let mut number = 0;
    while number < 1000 {
        assert_eq!(events(&mut reactor), [(DATA, READ)]);
        while let Some(frame) = receiver.next_frame() {
            assert_eq!(*frame, numbered(number), "frame {number}");
            number += 1;
        }
    }
    assert_eq!(card.look(|card| card.received.len()), 0);
    assert!(receiver.failure().is_none());
}

#[test]
fn frames_for_a_stack_that_is_gone_are_counted() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 8);
    drop(adapter("eth"));
    card.interrupt(|card| card.received.extend((0..10).map(numbered)));
    window.wait("they are taken", |_| {
        card.look(|card| card.received.is_empty())
    });
    let (control, _receiver, _transmitter, _reactor) = adapter("eth");
    let stats = control.stats();
    assert!(stats.contains(&("rx_no_reader".into(), 10)), "{stats:?}");
}

#[test]
fn a_driver_that_is_killed_is_heard_of_at_once() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (driver, card, _window) = driver(&host, &entered, "eth", 8);
    let (_control, mut receiver, _transmitter, mut reactor) = adapter("eth");
    card.interrupt(|card| card.received.push_back(numbered(1)));
    assert_eq!(events(&mut reactor), [(DATA, READ)]);
    driver.kill();
    assert_eq!(events(&mut reactor), [(DATA, READ)]);
    assert_eq!(
        receiver.next_frame().as_deref(),
        Some(&numbered(1)[..]),
        "what it had given is not lost"
    );
    while receiver.failure().is_none() {
        assert!(receiver.next_frame().is_none());
    }
    assert_eq!(receiver.failure(), Some(Error::new(ENODEV)));
}

#[test]
fn the_pipes_of_a_stack_that_died_are_its_successors() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    let first = adapter("eth");
    assert_eq!(errno(try_open("network.eth/rx", O_RDONLY)), EBUSY);
    assert_eq!(errno(try_open("network.eth/tx", O_WRONLY)), EBUSY);
    assert_eq!(errno(try_open("network.eth", O_RDWR)), EBUSY);
    drop(first);
    let (_control, mut receiver, mut transmitter, mut reactor) = adapter("eth");
    card.interrupt(|card| card.received.push_back(numbered(2)));
    assert_eq!(events(&mut reactor), [(DATA, READ)]);
    assert_eq!(receiver.next_frame().as_deref(), Some(&numbered(2)[..]));
    assert!(send(&mut transmitter, &numbered(3)));
    transmitter.flush();
    card.wait_sent(1);
    // Each pipe has one direction.
    assert_eq!(errno(try_open("network.eth/rx", O_WRONLY)), EACCES);
    assert_eq!(errno(try_open("network.eth/tx", O_RDONLY)), EACCES);
}

#[test]
fn who_reads_frames_one_by_one_after_a_stack_with_pipes_gets_the_first_of_them() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 8);
    drop(adapter("eth"));
    let data = open("network.eth", O_RDWR | O_NONBLOCK);
    let turns = window.wait("any turn", |_| true).turns;
    card.interrupt(|card| card.received.extend((0..3).map(numbered)));
    window.wait("another turn", |seen| seen.turns > turns);
    let mut frame = [0; 2048];
    for number in 0..3 {
        let length = data.read(&mut frame).unwrap();
        assert_eq!(frame[..length], numbered(number), "frame {number}");
    }
}

#[test]
fn frames_that_a_stack_left_in_the_driver_are_counted_when_another_comes_at_once() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 8);
    let first = adapter("eth");
    card.interrupt(|card| card.received.extend((0..1000).map(numbered)));
    window.wait("the pipe is full", |_| {
        card.look(|card| card.received.len() < 900)
    });
    // Nothing more is to be dropped for want of a reader than what the driver has taken.
    let waiting = card.look(|card| core::mem::take(&mut card.received).len());
    let sizes = (0..1000 - waiting).map(|number| numbered(number).len() + 2);
    let mut whole = 0;
    let in_pipe = sizes
        .take_while(|size| {
            whole += size;
            whole <= 65_536
        })
        .count();
    let kept = 1000 - waiting - in_pipe;
    assert!(kept > 0);
    drop(first);
    let (control, _receiver, _transmitter, _reactor) = adapter("eth");
    let stats = control.stats();
    assert!(
        stats.contains(&("rx_no_reader".into(), kept as u64)),
        "{kept}: {stats:?}"
    );
}

#[test]
fn what_a_stack_left_to_a_full_card_is_sent_before_its_successors_frames() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 0);
    let mut first = adapter("eth");
    let accepted = (0..10_000)
        .take_while(|number| send(&mut first.2, &numbered(number % 1000)))
        .count();
    drop(first);
    let (control, _receiver, mut transmitter, _reactor) = adapter("eth");
    assert_eq!(control.data_watch().1, READ, "it has the pipes");
    assert!(send(&mut transmitter, b"the successor's"));
    transmitter.flush();
    card.interrupt(|card| card.room = usize::MAX);
    window.wait("the successor's frame", |_| {
        card.look(|card| card.sent.last().is_some_and(|last| last.len() == 15))
    });
    let mut frames = card.look(|card| core::mem::take(&mut card.sent));
    frames.pop();
    // What waited in the stack itself has died with it, and what did not get into the pipe whole.
    assert!((200..accepted).contains(&frames.len()), "{}", frames.len());
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(*frame, numbered(number % 1000), "frame {number}");
    }
}

/// Writes all of it, as the driver makes room for it.
fn write_all(pipe: &Fd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => {
                assert_eq!(error.errno(), EAGAIN);
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn what_a_stack_writes_that_is_no_frame_costs_nothing_but_itself() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    let good = [&60_u16.to_le_bytes()[..], &numbered(0)].concat();
    let tx = open("network.eth/tx", O_WRONLY | O_NONBLOCK);
    // Empty, shorter than a header, longer than any: and in whatever pieces it comes.
    let longest = [&[0xff, 0xff][..], &[0; 65_535]].concat();
    for bad in [&[0, 0][..], &[1, 0, 7], &longest, &longest] {
        write_all(&tx, bad);
    }
    for byte in &good {
        write_all(&tx, core::slice::from_ref(byte));
    }
    card.wait_sent(1);
    // Half a frame, and nobody to write the rest.
    write_all(&tx, &good[..30]);
    drop(tx);
    let tx = open("network.eth/tx", O_WRONLY | O_NONBLOCK);
    write_all(&tx, &good);
    card.wait_sent(2);
    assert_eq!(
        card.look(|card| card.sent.clone()),
        [numbered(0), numbered(0)]
    );
    let stats = read(&open("network.eth/stats", O_RDONLY)).unwrap();
    assert!(stats.contains("tx_too_short 2\ntx_too_long 2\n"), "{stats}");
}

#[test]
fn nobody_but_root_opens_the_pipes() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, _card, _window) = driver(&host, &entered, "eth", 8);
    redox_host::as_user(1000, || {
        assert_eq!(errno(try_open("network.eth/rx", O_RDONLY)), EACCES);
        assert_eq!(errno(try_open("network.eth/tx", O_WRONLY)), EACCES);
    });
}

#[test]
fn the_largest_frame_that_a_card_may_promise_does_not_stop_those_behind_it() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    card.look(|card| card.mtu = u16::MAX);
    let (control, mut receiver, mut transmitter, mut reactor) = adapter("eth");
    let largest = vec![7; usize::from(control.mtu()) + 14];
    assert!(send(&mut transmitter, &largest));
    assert!(send(&mut transmitter, &numbered(1)));
    transmitter.flush();
    card.wait_sent(1);
    transmitter.on_writable();
    card.wait_sent(2);
    card.interrupt(|card| card.received.push_back(largest.clone()));
    // That the pipe to the driver, which was full, has room again may have been said before.
    let read = |&(_, flags): &(usize, EventFlags)| flags.contains(READ);
    while !events(&mut reactor).iter().any(read) {}
    assert!(receiver.next_frame().as_deref() == Some(&largest[..]));
}

#[test]
fn a_burst_arrives_whole_and_in_order_with_one_event() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    let (_control, mut receiver, _transmitter, mut reactor) = adapter("eth");
    for _ in 0..3 {
        card.interrupt(|card| card.received.extend((0..300).map(numbered)));
        assert_eq!(events(&mut reactor), [(DATA, READ)]);
        for number in 0..300 {
            assert_eq!(
                receiver.next_frame().as_deref(),
                Some(&numbered(number)[..]),
                "frame {number}"
            );
        }
        assert!(receiver.next_frame().is_none());
    }
}
