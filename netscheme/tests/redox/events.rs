//! The reactor, and what a scheme tells it.

use std::sync::mpsc;
use std::time::Duration;

use crate::support::*;
use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, Server, clock};
use redox_host::ProcessSpec;
use syscall::error::EAGAIN;
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDWR};

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;

/// What becomes ready before `deadline` comes.
fn wait(reactor: &mut Reactor, deadline: Instant) -> Vec<Event> {
    let mut events = Vec::new();
    reactor.wait(Some(deadline), &mut events).unwrap();
    events
}

fn soon() -> Instant {
    clock::now().saturating_add(PATIENCE)
}

#[test]
fn a_deadline_wakes_once_and_not_before_its_time() {
    let host = host();
    let _entered = host.enter(ProcessSpec::new("daemon"));
    let mut reactor = Reactor::new().unwrap();
    for nanos in [1, 300_000, 999_999, 1_000_001, 20_000_000] {
        let before = reactor.wakeups();
        let deadline = clock::now().saturating_add(Duration::from_nanos(nanos));
        assert_eq!(wait(&mut reactor, deadline), []);
        assert!(clock::now() >= deadline, "{nanos} ns: woken too early");
        assert_eq!(reactor.wakeups(), before + 1);
    }
}

#[test]
fn a_deadline_that_is_past_collects_what_is_ready() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let mut reactor = Reactor::new().unwrap();
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR),
    );
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
    reactor.watch(end.raw(), 7, READ).unwrap();
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
    write(&peer, "x").unwrap();
    assert_eq!(
        wait(&mut reactor, soon()),
        [Event {
            token: 7,
            flags: READ
        }]
    );
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
}

#[test]
fn what_was_ready_before_the_watch_is_reported() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let mut reactor = Reactor::new().unwrap();
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR),
    );
    write(&peer, "early").unwrap();
    reactor.watch(end.raw(), 7, READ | WRITE).unwrap();
    assert_eq!(
        wait(&mut reactor, soon()),
        [Event {
            token: 7,
            flags: READ | WRITE
        }]
    );
}

#[test]
fn only_edges_are_posted_and_none_is_missed() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let mut reactor = Reactor::new().unwrap();
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR),
    );
    reactor.watch(end.raw(), 7, READ).unwrap();
    for _ in 0..100 {
        write(&peer, "one").unwrap();
        write(&peer, "two").unwrap();
        assert_eq!(
            wait(&mut reactor, soon()),
            [Event {
                token: 7,
                flags: READ
            }]
        );
        assert_eq!([read(&end).unwrap(), read(&end).unwrap()], ["one", "two"]);
        assert_eq!(errno(read(&end)), EAGAIN);
    }
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
}

#[test]
fn a_writer_hears_that_there_is_room_again() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let mut reactor = Reactor::new().unwrap();
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR),
    );
    reactor.watch(end.raw(), 7, WRITE).unwrap();
    assert_eq!(
        wait(&mut reactor, soon()),
        [Event {
            token: 7,
            flags: WRITE
        }]
    );
    while write(&end, "filler").is_ok() {}
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
    read(&peer).unwrap();
    assert_eq!(
        wait(&mut reactor, soon()),
        [Event {
            token: 7,
            flags: WRITE
        }]
    );
}

#[test]
fn an_unwatched_file_says_nothing_more() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let mut reactor = Reactor::new().unwrap();
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR),
    );
    reactor.watch(end.raw(), 7, READ).unwrap();
    reactor.unwatch(end.raw(), 7).unwrap();
    write(&peer, "unheard").unwrap();
    assert_eq!(wait(&mut reactor, Instant::ZERO), []);
    assert!(
        reactor.watch(4_000, 1, READ).is_err(),
        "a descriptor that is not open"
    );
}

#[test]
fn a_signal_ends_the_sleep_without_events() {
    let host = host();
    let (asleep, told) = mpsc::channel();
    let sleeper = host.spawn(ProcessSpec::new("daemon"), move || {
        let mut reactor = Reactor::new().unwrap();
        let mut events = vec![Event {
            token: 1,
            flags: READ,
        }];
        asleep.send(()).unwrap();
        reactor.wait(None, &mut events).unwrap();
        events.len() as i32
    });
    told.recv().unwrap();
    assert!(sleeper.wait_parked(PATIENCE));
    sleeper.interrupt();
    assert_eq!(status(&sleeper), 0);
}

/// The interrupt that woke nobody, at the level of the scheme: what comes after the last look and
/// before the sleep must end the sleep.
#[test]
fn a_request_between_the_last_look_and_the_sleep_wakes_the_daemon() {
    let host = host();
    let (looked, go) = mpsc::channel();
    let (sent, resume) = mpsc::channel();
    let provider = host.spawn(ProcessSpec::new("lines"), move || {
        let mut scheme = Lines::new(Options::default());
        let mut server = Server::create("lines", scheme.root).unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.watch(server.fd(), 3, READ).unwrap();
        for _ in 0..3 {
            // The last look: there is nothing.
            while server.serve(&mut scheme, clock::now()).unwrap().requests > 0 {
                server.flush().unwrap();
            }
            wait(&mut reactor, Instant::ZERO);
            looked.send(()).unwrap();
            // Now somebody calls; when that call is under way the daemon goes to sleep.
            resume.recv().unwrap();
            assert_eq!(
                wait(&mut reactor, soon()),
                [Event {
                    token: 3,
                    flags: READ
                }]
            );
            assert_eq!(server.serve(&mut scheme, clock::now()).unwrap().requests, 1);
            server.flush().unwrap();
        }
        0
    });
    for _ in 0..3 {
        go.recv().unwrap();
        let client = host.spawn(ProcessSpec::new("client"), || {
            errno(try_open("lines/.none", O_RDWR))
        });
        assert!(client.wait_parked(PATIENCE));
        sent.send(()).unwrap();
        assert_eq!(status(&client), syscall::error::ENOENT);
    }
    assert_eq!(status(&provider), 0);
}

#[test]
fn an_idle_daemon_is_not_woken() {
    let host = host();
    let (provider, window) = provider(&host, "lines", Options::default());
    let client = blocked_client(&host, &window, 1, ProcessSpec::new("reader"), || {
        read(&open("lines/a", O_RDWR)).map(|_| ())
    });
    assert!(provider.wait_parked(PATIENCE));
    let (wakeups, syscalls) = (provider.wakeups(), provider.syscalls());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        (provider.wakeups(), provider.syscalls()),
        (wakeups, syscalls)
    );
    client.kill();
}

#[test]
fn a_burst_of_requests_is_one_wake_up_and_several_turns() {
    const CLIENTS: usize = 600;
    let host = host();
    let (looked, go) = mpsc::channel();
    let (sent, resume) = mpsc::channel();
    let provider = host.spawn(ProcessSpec::new("lines"), move || {
        let mut scheme = Lines::new(Options::default());
        let mut server = Server::create("lines", scheme.root).unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.watch(server.fd(), 3, READ).unwrap();
        looked.send(()).unwrap();
        resume.recv().unwrap();
        assert_eq!(
            wait(&mut reactor, soon()),
            [Event {
                token: 3,
                flags: READ
            }]
        );
        let first = server.serve(&mut scheme, clock::now()).unwrap();
        assert!(first.more && first.requests < CLIENTS, "{first:?}");
        let second = server.serve(&mut scheme, clock::now()).unwrap();
        assert_eq!(
            (first.requests + second.requests, second.more),
            (CLIENTS, false)
        );
        assert!(server.flush().unwrap());
        assert_eq!(
            wait(&mut reactor, Instant::ZERO),
            [],
            "nothing stale is left to wake it again"
        );
        0
    });
    go.recv().unwrap();
    let call = || errno(try_open("lines/.none", O_RDWR));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| host.spawn(ProcessSpec::new("client"), call))
        .collect();
    assert!(clients.iter().all(|client| client.wait_parked(PATIENCE)));
    sent.send(()).unwrap();
    assert!(
        clients
            .iter()
            .all(|client| status(client) == syscall::error::ENOENT)
    );
    assert_eq!(status(&provider), 0);
}
