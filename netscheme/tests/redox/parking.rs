//! Calls that wait: how they end, and who goes first.

use std::time::Duration;

use crate::support::*;
use redox_host::ProcessSpec;
use syscall::error::*;
use syscall::flag::{CallFlags, O_NONBLOCK, O_RDWR};

#[test]
fn ctrl_c_on_a_blocked_read_is_answered_at_once() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let client = blocked_client(&host, &window, 1, ProcessSpec::new("ping"), || {
        read(&open("lines/a", O_RDWR)).map(|_| ())
    });
    client.interrupt();
    assert_eq!(status(&client), EINTR);
    let seen = window.wait("nothing is parked", |seen| seen.parked == 0);
    assert_eq!(seen.counters.cancelled, 1);
}

#[test]
fn a_killed_client_leaves_nothing_parked() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let client = blocked_client(&host, &window, 1, ProcessSpec::new("ping"), || {
        read(&open("lines/a", O_RDWR)).map(|_| ())
    });
    client.kill();
    window.wait("nothing is parked", |seen| seen.parked == 0);

    // The scheme goes on, and the line is as it was.
    let _entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    write(&peer, "still there").unwrap();
    assert_eq!(read(&end).unwrap(), "still there");
}

#[test]
fn a_line_that_is_hung_up_answers_whoever_waits_on_it() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let client = blocked_client(&host, &window, 1, ProcessSpec::new("reader"), || {
        read(&open("lines/a", O_RDWR)).map(|_| ())
    });
    let _entered = host.enter(ProcessSpec::new("client"));
    write(&open("lines/a.peer", O_RDWR), "hang up").unwrap();
    assert_eq!(status(&client), ECONNRESET);
    window.wait("nothing is parked", |seen| seen.parked == 0);
}

#[test]
fn a_blocked_reader_does_not_hide_a_blocked_writer_of_the_same_file() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    for _ in 0..ROOM {
        write(&end, "filler").unwrap();
    }
    // Both have the same open file, as two threads of a program have it.
    let shared = |name| ProcessSpec::new(name).fd(9, &entered, end.raw()).unwrap();
    let file = || libredox::Fd::new(9);
    let reader = blocked_client(&host, &window, 1, shared("reader"), move || {
        read(&file()).map(|_| ())
    });
    let writer = blocked_client(&host, &window, 2, shared("writer"), move || {
        write(&file(), "last")
    });

    assert_eq!(read(&peer).unwrap(), "filler");
    assert_eq!(
        status(&writer),
        0,
        "the writer had room while the reader still waited"
    );
    write(&peer, "answer").unwrap();
    assert_eq!(status(&reader), 0);
    assert_eq!(
        [read(&peer).unwrap(), read(&peer).unwrap()],
        ["filler", "last"]
    );
}

#[test]
fn readers_are_served_in_the_order_they_came() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    let readers: Vec<_> = (1..=4_usize)
        .map(|turn| {
            let spec = ProcessSpec::new("reader")
                .fd(9, &entered, end.raw())
                .unwrap();
            blocked_client(&host, &window, turn, spec, move || {
                let message = read(&libredox::Fd::new(9))?;
                assert_eq!(message, format!("message {turn}"));
                Ok(())
            })
        })
        .collect();
    for (index, reader) in readers.iter().enumerate() {
        write(&peer, &format!("message {}", index + 1)).unwrap();
        assert_eq!(status(reader), 0);
    }
}

#[test]
fn a_receiver_by_call_waits_in_line_with_the_readers() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    let shared = |name| ProcessSpec::new(name).fd(9, &entered, end.raw()).unwrap();
    let receiver = blocked_client(&host, &window, 1, shared("recvmsg"), || {
        let mut payload = [0; 8];
        let length =
            libredox::call::call_rw(9, &mut payload, CallFlags::empty(), &[RECV_MSG, 0, 0])?;
        assert_eq!(&payload[..length], b"first");
        Ok(())
    });
    let reader = blocked_client(&host, &window, 2, shared("read"), || {
        assert_eq!(read(&libredox::Fd::new(9))?, "second");
        Ok(())
    });
    write(&peer, "first").unwrap();
    write(&peer, "second").unwrap();
    assert_eq!((status(&receiver), status(&reader)), (0, 0));
}

/// Who is content with less than the one before it goes on when that one waits no more.
#[test]
fn who_waited_behind_a_call_that_was_given_up_is_looked_at_again() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    let shared = |name| ProcessSpec::new(name).fd(9, &entered, end.raw()).unwrap();
    write(&peer, "one").unwrap();
    let wants_two = blocked_client(&host, &window, 1, shared("recvmsg"), || {
        let verb = [RECV_MSG, WAIT_ALL, 0];
        libredox::call::call_rw(9, &mut [0; 8], CallFlags::empty(), &verb)?;
        Ok(())
    });
    let reader = blocked_client(&host, &window, 2, shared("read"), || {
        assert_eq!(read(&libredox::Fd::new(9))?, "one");
        Ok(())
    });
    wants_two.interrupt();
    assert_eq!((status(&wants_two), status(&reader)), (EINTR, 0));
}

#[test]
fn an_accept_waits_for_the_connection_and_opens_it() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let listener = blocked_client(&host, &window, 1, ProcessSpec::new("nc -l"), || {
        let listener = open("lines/listener", O_RDWR);
        let connection = libredox::Fd::new(listener.dup(b"accept")?);
        assert_eq!(read(&connection)?, "hello");
        Ok(())
    });
    let _entered = host.enter(ProcessSpec::new("nc"));
    write(&open("lines/connection.peer", O_RDWR), "hello").unwrap();
    write(&open("lines/listener.peer", O_RDWR), "connection").unwrap();
    assert_eq!(status(&listener), 0);
}

#[test]
fn a_non_blocking_file_is_told_eagain_and_nothing_is_parked() {
    let host = host();
    let (_provider, window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let end = open("lines/a", O_RDWR | O_NONBLOCK);
    assert_eq!(errno(read(&end)), EAGAIN);
    assert_eq!(errno(end.dup(b"accept")), EAGAIN);
    let received = end.call_rw(&mut [0; 8], CallFlags::empty(), &[RECV_MSG]);
    assert_eq!(errno(received), EAGAIN);
    for _ in 0..ROOM {
        write(&end, "filler").unwrap();
    }
    assert_eq!(errno(write(&end, "one too many")), EAGAIN);
    assert_eq!(window.wait("a turn", |_| true).counters.parked, 0);
}

#[test]
fn a_read_with_a_timeout_ends_with_the_error_that_the_scheme_chose() {
    let host = host();
    let options = Options {
        read_timeout: Some((Duration::from_millis(20), EAGAIN)),
        ..Options::default()
    };
    let (_provider, window) = provider(&host, "lines", options);
    let _entered = host.enter(ProcessSpec::new("client"));
    let end = open("lines/a", O_RDWR);
    let start = std::time::Instant::now();
    assert_eq!(errno(read(&end)), EAGAIN);
    assert!(
        start.elapsed() >= Duration::from_millis(20),
        "{:?}",
        start.elapsed()
    );
    let seen = window.wait("nothing is parked", |seen| seen.parked == 0);
    assert_eq!((seen.counters.parked, seen.counters.expired), (1, 1));
}

#[test]
fn more_waiting_calls_than_the_bound_are_refused_and_those_that_wait_are_served() {
    const BOUND: usize = 16;
    let host = host();
    let options = Options {
        parking_limit: Some(BOUND),
        ..Options::default()
    };
    let (_provider, window) = provider(&host, "lines", options);
    let waiting: Vec<_> = (1..=BOUND)
        .map(|turn| {
            blocked_client(
                &host,
                &window,
                turn,
                ProcessSpec::new("reader"),
                move || read(&open(&format!("lines/{turn}"), O_RDWR)).map(|_| ()),
            )
        })
        .collect();
    let _entered = host.enter(ProcessSpec::new("client"));
    let one_more = open("lines/more", O_RDWR);
    for _ in 0..BOUND {
        assert_eq!(errno(read(&one_more)), ENOBUFS);
    }
    for (index, client) in waiting.iter().enumerate() {
        write(
            &open(&format!("lines/{}.peer", index + 1), O_RDWR),
            "at last",
        )
        .unwrap();
        assert_eq!(status(client), 0);
    }
    let seen = window.wait("nothing is parked", |seen| seen.parked == 0);
    assert_eq!(seen.counters.refused_parking, BOUND as u64);
}
