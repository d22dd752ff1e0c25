//! Requests that are answered later, cancelled, or never: parking, signals, SIGKILL, the death of a provider.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use libredox::call as redox;
use redox_host::{ExitStatus, ProcessSpec};
use syscall::flag::{O_RDONLY, O_RDWR};
use syscall::schemev2::{Opcode, SqeFlags};

/// What a read gave, and the buffer after it.
type Outcome = (Result<usize, i32>, [u8; 4]);

/// A client that opens `path` and reads once; gives the result and what it read.
fn reader(
    host: &redox_host::Host,
    path: &'static str,
) -> (redox_host::Process, std::sync::mpsc::Receiver<Outcome>) {
    background(host, ProcessSpec::new("reader"), move || {
        let fd = open(path, O_RDONLY).unwrap();
        let mut buf = *b"....";
        let result = redox::read(fd, &mut buf).map_err(|error| error.errno());
        (result, buf)
    })
}

#[test]
fn parked_requests_are_answered_in_any_order() {
    let host = host();
    let daemon = Daemon::start(&host, "order");
    let readers: Vec<_> = (0..3).map(|_| reader(&host, "/scheme/order/")).collect();
    daemon.run(|raw| {
        let mut parked = Vec::new();
        while parked.len() < 3 {
            let sqe = raw.next();
            if sqe.opcode == Opcode::OpenAt as u8 {
                raw.answer(sqe.tag, Ok(sqe.caller as usize));
            } else {
                parked.push(sqe);
            }
        }
        for (i, sqe) in parked.iter().rev().enumerate() {
            payload(sqe).fill(b'0' + sqe.args[0] as u8 % 10);
            raw.answer(sqe.tag, Ok(i));
        }
    });
    for (process, result) in readers {
        let (result, buf) = result.recv_timeout(LONG).unwrap();
        assert!(result.is_ok());
        assert_eq!(
            buf,
            [b'0' + process.pid() as u8 % 10; 4],
            "everybody has its own answer"
        );
    }
}

#[test]
fn another_thread_of_the_provider_may_answer() {
    let host = host();
    let daemon = Daemon::start(&host, "threads");
    let (_, result) = reader(&host, "/scheme/threads/");
    daemon.run(|raw| {
        raw.accept_open(1);
        let sqe = raw.next();
        let me = redox_host::current().unwrap();
        let socket = raw.fd();
        std::thread::spawn(move || {
            let _attached = me.attach();
            payload(&sqe).fill(b'T');
            redox::write(socket, &regular(sqe.tag, Ok(4))).unwrap();
        })
        .join()
        .unwrap();
    });
    assert_eq!(result.recv_timeout(LONG).unwrap(), (Ok(4), *b"TTTT"));
}

#[test]
fn a_signal_sends_cancel_and_the_answer_to_the_original_tag_ends_the_call() {
    let host = host();
    for (answer, expected) in [
        (Err(syscall::ECANCELED), Err(syscall::EINTR)),
        (Err(syscall::EINTR), Err(syscall::EINTR)),
        (Ok(2), Ok(2)),
        (Err(syscall::EPIPE), Err(syscall::EPIPE)),
    ] {
        let daemon = Daemon::start(&host, "cancel");
        let (process, result) = reader(&host, "/scheme/cancel/");
        let read = daemon.run(|raw| {
            raw.accept_open(1);
            raw.next()
        });
        assert!(process.wait_parked(LONG));
        assert!(process.interrupt());
        let cancel = daemon.run(Raw::next);
        assert_eq!(cancel.opcode, Opcode::Cancel as u8);
        assert_eq!(cancel.sqe_flags.bits(), SqeFlags::ONEWAY.bits());
        assert_eq!(
            (cancel.tag, cancel.caller, cancel.args),
            (read.tag, 0, [0; 6])
        );
        // A second signal sends no second Cancel.
        process.interrupt();
        assert!(daemon.run(Raw::drain).is_empty());
        daemon.run(move |raw| raw.answer(read.tag, answer));
        assert_eq!(result.recv_timeout(LONG).unwrap().0, expected);
        forget(&host, "/scheme/cancel", &daemon);
    }
}

/// Ends a daemon and takes its name away.
fn forget(host: &redox_host::Host, name: &str, daemon: &Daemon) {
    daemon.process.kill();
    let _me = client(host);
    redox_host::calls::unlinkat(redox::getns().unwrap(), name, 0).unwrap();
}

#[test]
fn eintr_without_a_cancel_becomes_eio() {
    let host = host();
    let daemon = Daemon::start(&host, "eio");
    for (answer, expected) in [
        (syscall::EINTR, syscall::EIO),
        (syscall::ECANCELED, syscall::ECANCELED),
        (syscall::EWOULDBLOCK, 41),
        (syscall::EAGAIN, 11),
    ] {
        let (_, result) = reader(&host, "/scheme/eio/");
        daemon.run(move |raw| {
            raw.accept_open(1);
            let sqe = raw.next();
            raw.answer(sqe.tag, Err(answer));
            // Whoever read is gone now.
            assert_eq!(raw.next().opcode, Opcode::CloseMsg as u8);
        });
        assert_eq!(result.recv_timeout(LONG).unwrap().0, Err(expected));
    }
}

#[test]
fn a_signal_to_a_process_that_runs_does_nothing() {
    let host = host();
    let me = client(&host);
    assert!(!me.interrupt());
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    redox::write(writer, b"x").unwrap();
    assert_eq!(redox::read(pipe, &mut [0; 1]).unwrap(), 1);
}

#[test]
fn sigkill_sends_no_cancel_and_closes_what_the_process_had() {
    let host = host();
    let daemon = Daemon::start(&host, "kill");
    let (process, _result) = reader(&host, "/scheme/kill/");
    let read = daemon.run(|raw| {
        raw.accept_open(5);
        raw.next()
    });
    assert!(process.wait_parked(LONG));
    process.kill();
    assert_eq!(process.open_fds(), 0, "at once");
    assert_eq!(process.wait(LONG), Some(ExitStatus::Killed));
    let after = daemon.run(Raw::drain);
    assert_eq!(
        after.iter().map(|sqe| sqe.opcode).collect::<Vec<_>>(),
        [Opcode::CloseMsg as u8],
        "{after:?}"
    );
    // The payload is still there for the provider, and the late answer is taken.
    daemon.run(move |raw| {
        payload(&read).fill(b'!');
        raw.answer(read.tag, Ok(4));
        assert_eq!(
            errno(raw.write(&[regular(read.tag, Ok(4))])),
            syscall::EBADFD,
            "the request is over"
        );
    });
}

#[test]
fn a_killed_process_gets_esrch_from_every_call_and_changes_nothing_more() {
    let host = host();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (process, results) = background(&host, ProcessSpec::new("zombie"), move || {
        let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
        // Killed while it runs, not while it sleeps in a call.
        gone.recv().unwrap();
        [
            errno(open("/scheme/null", O_RDWR)),
            errno(redox::read(pipe, &mut [0; 1])),
            errno(redox::dup(pipe, b"write")),
            errno(redox::close(pipe)),
            errno(redox::getpid()),
            errno(redox::write(1, b"I live\n")),
        ]
    });
    while process.open_fds() < 4 {
        std::thread::yield_now();
    }
    process.kill();
    go.send(()).unwrap();
    assert_eq!(results.recv_timeout(LONG).unwrap(), [syscall::ESRCH; 6]);
    assert_eq!(process.wait(LONG), Some(ExitStatus::Killed));
}

#[test]
fn a_closed_socket_gives_its_callers_enodev() {
    let host = host();
    let daemon = Daemon::start(&host, "dead");
    let me = client(&host);
    daemon.start_job(|raw| raw.accept_open(1));
    let mine = open("/scheme/dead/", O_RDWR).unwrap();
    let (_, result) = reader(&host, "/scheme/dead/");
    daemon.run(|raw| {
        raw.accept_open(2);
        raw.next()
    });
    daemon.process.kill();
    assert_eq!(
        result.recv_timeout(LONG).unwrap().0,
        Err(syscall::ENODEV),
        "blocked calls return"
    );
    assert_eq!(errno(redox::read(mine, &mut [0; 1])), syscall::ENODEV);
    assert_eq!(errno(redox::dup(mine, b"x")), syscall::ENODEV);
    assert_eq!(errno(openat(mine, "x", O_RDONLY)), syscall::ENODEV);
    assert_eq!(
        errno(redox::fcntl(mine, syscall::F_GETFL, 0)),
        syscall::ENODEV
    );
    assert!(
        redox::dup(mine, b"").is_ok(),
        "dup without a path is the kernel's alone"
    );
    assert_eq!(
        errno(open("/scheme/dead/", O_RDWR)),
        syscall::ENODEV,
        "the name still leads to the dead scheme"
    );
    let open_before = me.open_fds();
    assert!(redox::close(mine).is_ok());
    assert_eq!(errno(redox::close(mine)), syscall::EBADF);
    assert_eq!(me.open_fds(), open_before - 1);
}

#[test]
fn closing_the_last_descriptor_of_a_dead_file_says_enodev_and_closes_it() {
    let host = host();
    let daemon = Daemon::start(&host, "deadfile");
    let me = client(&host);
    daemon.start_job(|raw| raw.accept_open(1));
    let fd = open("/scheme/deadfile/", O_RDWR).unwrap();
    daemon.process.kill();
    let open_before = me.open_fds();
    assert_eq!(errno(redox::close(fd)), syscall::ENODEV);
    assert_eq!(me.open_fds(), open_before - 1);
}

#[test]
fn a_newer_kernel_leaves_the_callers_of_a_dead_scheme_waiting() {
    let host = host();
    host.strand_callers_of_dead_schemes(true);
    let daemon = Daemon::start(&host, "stranded");
    let (process, result) = reader(&host, "/scheme/stranded/");
    daemon.run(|raw| {
        raw.accept_open(2);
        raw.next()
    });
    assert!(process.wait_parked(LONG));
    daemon.process.kill();
    process.interrupt();
    assert!(process.wait_parked(LONG));
    assert!(
        result.try_recv().is_err(),
        "neither the death nor a signal ends the call"
    );
    process.kill();
    assert_eq!(process.wait(LONG), Some(ExitStatus::Killed));
}

#[test]
fn the_name_of_a_dead_scheme_stands_until_it_is_unlinked() {
    let host = host();
    let daemon = Daemon::start(&host, "name");
    let _me = client(&host);
    let register = || {
        let socket = redox_scheme::Socket::create().unwrap();
        redox_scheme::scheme::register_scheme_inner(&socket, "name", 0).map(|()| socket)
    };
    assert_eq!(
        register().err().unwrap().errno,
        syscall::EEXIST,
        "while the first lives"
    );
    daemon.process.kill();
    assert_eq!(
        register().err().unwrap().errno,
        syscall::EEXIST,
        "and after it died"
    );
    let namespace = redox::getns().unwrap();
    redox_host::calls::unlinkat(namespace, "/scheme/name", 0).unwrap();
    assert_eq!(
        redox_host::calls::unlinkat(namespace, "/scheme/name", 0)
            .unwrap_err()
            .errno,
        syscall::ENODEV
    );
    assert!(register().is_ok());
}

#[test]
fn an_exit_closes_files_like_a_kill() {
    let host = host();
    let daemon = Daemon::start(&host, "exit");
    let (process, _) = background(&host, ProcessSpec::new("client"), || {
        open("/scheme/exit/", O_RDONLY).unwrap()
    });
    let seen = daemon.run(|raw| {
        raw.accept_open(3);
        raw.next()
    });
    assert_eq!((seen.opcode, seen.args[0]), (Opcode::CloseMsg as u8, 3));
    assert_eq!(process.wait(LONG), Some(ExitStatus::Exited(0)));
}

#[test]
fn a_close_while_another_thread_reads_does_not_reach_the_scheme() {
    let host = host();
    let daemon = Daemon::start(&host, "held");
    let me = client(&host);
    daemon.start_job(|raw| raw.accept_open(1));
    let fd = open("/scheme/held/", O_RDONLY).unwrap();
    let handle = me.handle();
    let reader = std::thread::spawn(move || {
        let _attached = handle.attach();
        redox::read(fd, &mut [0; 4])
    });
    let read = daemon.run(Raw::next);
    redox::close(fd).unwrap();
    assert!(
        daemon.run(Raw::drain).is_empty(),
        "the call holds the description"
    );
    daemon.run(move |raw| raw.answer(read.tag, Ok(1)));
    assert_eq!(reader.join().unwrap().unwrap(), 1);
    assert_eq!(daemon.run(Raw::next).opcode, Opcode::CloseMsg as u8);
}
