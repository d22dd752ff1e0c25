//! Event queues (kernel event.rs, scheme/event.rs; relibc's event.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use std::time::{Duration, Instant};

use event::{EventFlags, RawEventQueue};
use libredox::call as redox;
use redox_host::ProcessSpec;
use syscall::flag::{EVENT_TIMEOUT_ID, O_NONBLOCK, O_RDONLY, O_RDWR};
use syscall::schemev2::Opcode;

const READ: usize = 1;
const WRITE: usize = 2;

/// A client with one open file of a daemon, which is handle 1, and an event queue.
fn opened(host: &redox_host::Host, name: &str) -> (Daemon, redox_host::Entered, usize, usize) {
    let daemon = Daemon::start(host, name);
    let me = client(host);
    daemon.start_job(|raw| raw.accept_open(1));
    let fd = open(&format!("/scheme/{name}/"), O_RDWR).unwrap();
    let queue = event_queue();
    (daemon, me, fd, queue)
}

/// Subscribes while the daemon answers Fevent with `ready`; gives the flags it was asked with.
fn subscribe_served(
    daemon: &Daemon,
    queue: usize,
    fd: usize,
    data: usize,
    flags: usize,
    ready: usize,
) -> u64 {
    let served = daemon.start_job(move |raw| {
        let sqe = raw.next();
        assert_eq!(sqe.opcode, Opcode::Fevent as u8, "{sqe:?}");
        raw.answer(sqe.tag, Ok(ready));
        sqe.args[1]
    });
    subscribe(queue, fd, data, flags).unwrap();
    served.recv_timeout(LONG).unwrap()
}

#[test]
fn a_subscription_asks_the_scheme_with_the_union_of_all_flags() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "union");
    let second = event_queue();
    let other = redox::dup(fd, b"").unwrap();
    assert_eq!(
        subscribe_served(&daemon, queue, fd, 1, READ, 0),
        READ as u64
    );
    assert_eq!(
        subscribe_served(&daemon, second, other, 2, WRITE, 0),
        (READ | WRITE) as u64,
        "another queue, another descriptor, one file"
    );
    assert_eq!(
        subscribe_served(&daemon, queue, fd, 1, 0, 0),
        WRITE as u64,
        "what is left after the first went"
    );
    assert_eq!(subscribe_served(&daemon, second, other, 2, 0, 0), 0);
    assert_eq!(host.usage().subscriptions, 0);
}

#[test]
fn readiness_returned_at_subscription_is_triggered_to_every_queue_that_overlaps() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "ready");
    let second = event_queue();
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    subscribe_served(&daemon, second, fd, 2, READ | WRITE, READ | WRITE);
    assert_eq!(
        events_now(queue),
        [(fd, READ, 1)],
        "only what it asked for, though it was subscribed before"
    );
    assert_eq!(events_now(second), [(fd, READ | WRITE, 2)]);
}

#[test]
fn every_post_is_an_event_of_its_own() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "edges");
    subscribe_served(&daemon, queue, fd, 77, READ | WRITE, 0);
    daemon.run(|raw| {
        raw.write(&[
            post_event(1, READ),
            post_event(1, READ),
            post_event(1, WRITE),
            post_event(2, READ),
        ])
        .unwrap()
    });
    assert_eq!(
        events_now(queue),
        [(fd, READ, 77), (fd, READ, 77), (fd, WRITE, 77)]
    );
    assert_eq!(
        events_now(queue),
        [],
        "edges: nothing more though nobody read the file"
    );
}

#[test]
fn posts_with_nobody_registered_are_lost() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "lost");
    daemon.run(|raw| raw.write(&[post_event(1, READ)]).unwrap());
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    assert_eq!(events_now(queue), []);
    subscribe_served(&daemon, queue, fd, 1, 0, 0);
    daemon.run(|raw| raw.write(&[post_event(1, READ)]).unwrap());
    assert_eq!(events_now(queue), []);
}

#[test]
fn a_post_with_flags_that_do_not_exist_is_refused() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "flags");
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    assert_eq!(
        daemon.run(|raw| errno(raw.write(&[post_event(1, 4)]))),
        syscall::EINVAL
    );
}

#[test]
fn a_refused_fevent_fails_the_subscription() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "refused");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, Err(syscall::EOPNOTSUPP));
    });
    assert_eq!(errno(subscribe(queue, fd, 1, READ)), syscall::EOPNOTSUPP);
    assert_eq!(errno(subscribe(queue, 99, 1, READ)), syscall::EBADF);
    assert_eq!(
        errno(subscribe(queue, queue, 1, READ)),
        syscall::EBADF,
        "not itself"
    );
}

#[test]
fn the_last_close_of_a_file_ends_its_subscriptions() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "ends");
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    redox::close(fd).unwrap();
    assert_eq!(host.usage().subscriptions, 0);
    daemon.run(|raw| raw.write(&[post_event(1, READ)]).unwrap());
    assert_eq!(events_now(queue), []);
}

#[test]
fn closing_the_queue_ends_its_subscriptions_without_a_word_to_the_scheme() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "silent");
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    redox::close(queue).unwrap();
    assert_eq!(host.usage().subscriptions, 0);
    assert!(daemon.run(Raw::drain).is_empty());
}

#[test]
fn a_read_takes_as_many_events_as_fit() {
    let host = host();
    let (daemon, _me, fd, queue) = opened(&host, "fit");
    subscribe_served(&daemon, queue, fd, 1, READ, 0);
    daemon.run(|raw| raw.write(&[post_event(1, READ); 5]).unwrap());
    let mut two = [0; 48];
    assert_eq!(redox::read(queue, &mut two).unwrap(), 48);
    assert_eq!(events_now(queue).len(), 3);
}

#[test]
fn an_empty_queue_says_eagain_when_it_may_not_block() {
    let host = host();
    let _me = client(&host);
    let queue = open("/scheme/event", O_RDWR | O_NONBLOCK).unwrap();
    assert_eq!(errno(redox::read(queue, &mut [0; 24])), syscall::EAGAIN);
    assert_eq!(errno(redox::read(queue, &mut [0; 23])), syscall::EINVAL);
}

#[test]
fn a_scheme_socket_is_readable_once_for_each_request() {
    let host = host();
    let provider = client(&host);
    let raw = Raw::create("socket");
    let queue = event_queue();
    subscribe(queue, raw.fd(), 5, READ).unwrap();
    assert_eq!(events_now(queue), []);
    let (one, _) = background(&host, ProcessSpec::new("one"), || {
        open("/scheme/socket/", O_RDONLY)
    });
    let (two, _) = background(&host, ProcessSpec::new("two"), || {
        open("/scheme/socket/", O_RDONLY)
    });
    assert!(one.wait_parked(LONG) && two.wait_parked(LONG));
    assert_eq!(events_now(queue), [(raw.fd(), READ, 5); 2]);
    // A subscription while requests wait tells of them, once.
    subscribe(queue, raw.fd(), 6, READ).unwrap();
    assert_eq!(events_now(queue), [(raw.fd(), READ, 6)]);
    assert_eq!(raw.drain().len(), 2);
    drop(provider);
}

#[test]
fn pipes_queues_and_timers_can_be_subscribed() {
    let host = host();
    let _me = client(&host);
    let queue = event_queue();
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    subscribe(queue, pipe, 1, READ).unwrap();
    subscribe(queue, writer, 2, WRITE).unwrap();
    assert_eq!(
        events_now(queue),
        [(writer, WRITE, 2)],
        "room at once, no bytes yet"
    );
    redox::write(writer, b"x").unwrap();
    assert_eq!(events_now(queue), [(pipe, READ, 1)]);
    let outer = event_queue();
    subscribe(outer, queue, 3, READ).unwrap();
    redox::write(writer, b"y").unwrap();
    assert_eq!(
        events_now(outer),
        [(queue, READ, 3)],
        "a queue that became readable"
    );
    assert_eq!(events_now(queue), [(pipe, READ, 1)]);
    let timer = open("/scheme/time/4", O_RDWR).unwrap();
    subscribe(queue, timer, 4, READ).unwrap();
    let now = redox::clock_gettime(4).unwrap();
    let due = syscall::TimeSpec {
        tv_sec: now.tv_sec,
        tv_nsec: now.tv_nsec as i32,
    };
    redox::write(timer, &due).unwrap();
    redox::write(timer, &due).unwrap();
    assert_eq!(wait_events(queue)[0], (timer, READ, 4));
}

#[test]
fn the_timeout_holds_for_the_next_blocking_read_only() {
    let host = host();
    let _me = client(&host);
    let queue = event_queue();
    subscribe(queue, EVENT_TIMEOUT_ID, 30, READ).unwrap();
    assert_eq!(
        events_now(queue),
        [],
        "a read that does not block leaves it alone"
    );
    let start = Instant::now();
    assert_eq!(wait_events(queue), [(EVENT_TIMEOUT_ID, READ, 30)]);
    assert!(start.elapsed() >= Duration::from_millis(30));
    let (process, events) = background(&host, ProcessSpec::new("second"), || {
        let queue = event_queue();
        subscribe(queue, EVENT_TIMEOUT_ID, 0, READ).unwrap();
        let first = wait_events(queue);
        // The timeout is used up: this one blocks until the signal.
        (first, errno(redox::read(queue, &mut [0; 24])))
    });
    // Its fourth call is the one that blocks.
    while process.syscalls() < 4 || !process.interrupt() {
        std::thread::yield_now();
    }
    assert_eq!(
        events.recv_timeout(LONG).unwrap(),
        (vec![(EVENT_TIMEOUT_ID, READ, 0)], syscall::EINTR)
    );
}

#[test]
fn a_timeout_can_be_taken_back_and_an_event_uses_it_up() {
    let host = host();
    let _me = client(&host);
    let queue = event_queue();
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    subscribe(queue, pipe, 1, READ).unwrap();
    subscribe(queue, EVENT_TIMEOUT_ID, 60_000, READ).unwrap();
    redox::write(writer, b"x").unwrap();
    assert_eq!(wait_events(queue), [(pipe, READ, 1)]);
    subscribe(queue, EVENT_TIMEOUT_ID, 0, READ).unwrap();
    subscribe(queue, EVENT_TIMEOUT_ID, 0, 0).unwrap();
    redox::write(writer, b"y").unwrap();
    assert_eq!(
        wait_events(queue),
        [(pipe, READ, 1)],
        "a timeout of nothing would have come first"
    );
}

#[test]
fn wakeups_count_returns_of_blocking_reads() {
    let host = host();
    let me = client(&host);
    let queue = event_queue();
    assert_eq!(me.wakeups(), 0);
    events_now(queue);
    assert_eq!(me.wakeups(), 0, "a look that does not block is no wake-up");
    subscribe(queue, EVENT_TIMEOUT_ID, 1, READ).unwrap();
    wait_events(queue);
    assert_eq!(me.wakeups(), 1);
}

#[test]
fn the_event_crate_sees_the_same_queues() {
    let host = host();
    let (daemon, _me, fd, _) = opened(&host, "crate");
    let queue = RawEventQueue::new().unwrap();
    let served = daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(WRITE));
        raw.write(&[post_event(1, READ)]).unwrap();
        sqe.args[1]
    });
    queue
        .subscribe(fd, 4711, EventFlags::READ | EventFlags::WRITE)
        .unwrap();
    assert_eq!(served.recv_timeout(LONG).unwrap(), 3);
    let mut seen: Vec<_> = (0..2)
        .map(|_| queue.next_event().unwrap())
        .map(|event| (event.fd, event.user_data, event.flags))
        .collect();
    // The post and the answer race, as they do on Redox.
    seen.sort_unstable();
    assert_eq!(seen, [(fd, 4711, 1), (fd, 4711, 2)]);
}
