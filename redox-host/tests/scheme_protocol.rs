//! Requests and answers on scheme sockets, to the byte (kernel scheme/user.rs, redox_syscall schemev2.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use libredox::call as redox;
use redox_host::{ProcessSpec, calls};
use redox_scheme::{SignalBehavior, Socket};
use syscall::flag::{O_NONBLOCK, O_RDONLY, O_RDWR};
use syscall::schemev2::{Cqe, CqeOpcode, Opcode, SqeFlags};

#[test]
fn a_request_is_64_bytes_with_opcode_tag_arguments_and_caller() {
    let host = host();
    let daemon = Daemon::start(&host, "wire");
    let me = host.enter(ProcessSpec::new("client").uid(1000).gid(100));
    let served = daemon.start_job(|raw| {
        let open = raw.accept_open(7);
        let read = raw.next();
        raw.answer(read.tag, Ok(3));
        (open, read)
    });
    let fd = redox::open(
        "/scheme/wire/some/path",
        (O_RDWR | O_NONBLOCK) as i32,
        0o640,
    )
    .unwrap();
    assert_eq!(redox::read(fd, &mut [0; 5]).unwrap(), 3);
    let (open, read) = served.recv_timeout(LONG).unwrap();
    assert_eq!(open.opcode, Opcode::OpenAt as u8);
    assert_eq!(open.sqe_flags.bits(), 0);
    assert_eq!(open.args[0], 0, "the root handle");
    assert_eq!(open.args[2], 9, "length of some/path");
    assert_eq!(
        open.args[3],
        (O_RDWR | O_NONBLOCK | 0o640) as u64,
        "flags, with the mode in the lower half"
    );
    assert_eq!(open.args[4], O_NONBLOCK as u64, "fcntl flags");
    assert_eq!(open.args[5], 1000 | 100 << 32, "uid and gid");
    assert_eq!(open.caller, me.pid() as u64);
    assert_eq!(read.opcode, Opcode::Read as u8);
    assert_eq!(
        (read.args[0], read.args[2], read.args[3]),
        (7, 5, u64::MAX),
        "no offset unless positioned"
    );
    assert_eq!(
        read.args[4] & O_NONBLOCK as u64,
        O_NONBLOCK as u64,
        "the flags of the description"
    );
    assert_eq!(read.args[5], 1000 | 100 << 32);
}

#[test]
fn a_positioned_handle_gets_the_kernels_offset() {
    let host = host();
    let daemon = Daemon::start(&host, "pos");
    let _me = client(&host);
    let served = daemon.start_job(|raw| {
        let open = raw.next();
        let positioned = Cqe {
            extra_raw: [1, 0, 0],
            ..regular(open.tag, Ok(4))
        };
        raw.write(&[positioned]).unwrap();
        let mut offsets = Vec::new();
        for count in [3, 0, 2] {
            let sqe = raw.next();
            offsets.push(sqe.args[3]);
            raw.answer(sqe.tag, Ok(count));
        }
        offsets
    });
    let fd = open("/scheme/pos/", O_RDWR).unwrap();
    redox::read(fd, &mut [0; 8]).unwrap();
    redox::write(fd, b"x").unwrap();
    redox::read(fd, &mut [0; 8]).unwrap();
    assert_eq!(served.recv_timeout(LONG).unwrap(), [0, 3, 3]);
    calls::lseek(fd, 100, syscall::SEEK_SET).unwrap();
    let offset = daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(0));
        sqe.args[3]
    });
    redox::read(fd, &mut [0; 8]).unwrap();
    assert_eq!(offset.recv_timeout(LONG).unwrap(), 100);
}

#[test]
fn the_provider_sees_zeroes_and_the_whole_requested_length_is_copied_back() {
    let host = host();
    let daemon = Daemon::start(&host, "copy");
    let _me = client(&host);
    let seen = daemon.start_job(|raw| {
        raw.accept_open(1);
        let sqe = raw.next();
        let payload = payload(&sqe);
        let before = payload.to_vec();
        payload.fill(b'p');
        // It says two bytes; the kernel copies all eight back.
        raw.answer(sqe.tag, Ok(2));
        before
    });
    let fd = open("/scheme/copy/", O_RDONLY).unwrap();
    let mut buf = *b"caller's";
    assert_eq!(redox::read(fd, &mut buf).unwrap(), 2);
    assert_eq!(seen.recv_timeout(LONG).unwrap(), [0; 8]);
    assert_eq!(&buf, b"pppppppp");
}

#[test]
fn a_payload_has_the_callers_offset_in_its_page() {
    let host = host();
    let daemon = Daemon::start(&host, "page");
    let _me = client(&host);
    let addresses = daemon.start_job(|raw| {
        raw.accept_open(1);
        (0..3)
            .map(|_| {
                let sqe = raw.next();
                raw.answer(sqe.tag, Ok(0));
                sqe.args[1] as usize
            })
            .collect::<Vec<_>>()
    });
    let fd = open("/scheme/page/", O_RDONLY).unwrap();
    let mut buf = vec![0; 3 * 4096];
    for skip in [0, 1, 5000] {
        redox::read(fd, &mut buf[skip..]).unwrap();
    }
    let addresses = addresses.recv_timeout(LONG).unwrap();
    for (address, skip) in addresses.iter().zip([0, 1, 5000]) {
        assert_eq!(address % 4096, (buf.as_ptr().addr() + skip) % 4096);
    }
}

#[test]
fn an_empty_payload_is_neither_null_nor_an_address() {
    let host = host();
    let daemon = Daemon::start(&host, "empty");
    let _me = client(&host);
    let sqe = daemon.start_job(|raw| {
        let open = raw.accept_open(1);
        let read = raw.next();
        raw.answer(read.tag, Ok(0));
        (open, read)
    });
    let fd = open("/scheme/empty", O_RDONLY).unwrap();
    assert_eq!(redox::read(fd, &mut []).unwrap(), 0);
    let (open, read) = sqe.recv_timeout(LONG).unwrap();
    for sqe in [open, read] {
        assert_eq!((sqe.args[1], sqe.args[2]), (1 << 62, 0));
    }
}

#[test]
fn a_read_of_the_socket_gives_as_many_requests_as_fit() {
    let host = host();
    let daemon = Daemon::start(&host, "many");
    let _me = client(&host);
    let opened =
        daemon.start_job(|raw| (0..3).map(|i| raw.accept_open(i)).collect::<Vec<_>>().len());
    let fds: Vec<_> = (0..3)
        .map(|_| open("/scheme/many/", O_RDONLY).unwrap())
        .collect();
    assert_eq!(opened.recv_timeout(LONG).unwrap(), 3);
    for fd in fds {
        redox::close(fd).unwrap();
    }
    let (first, rest, none) = daemon.run(|raw| {
        let mut bytes = [0; 130];
        let first = redox::read(raw.fd(), &mut bytes).unwrap();
        let rest = raw.drain();
        redox::fcntl(raw.fd(), syscall::F_SETFL, O_NONBLOCK).unwrap();
        let none = [
            errno(redox::read(raw.fd(), &mut [0; 64])),
            errno(redox::read(raw.fd(), &mut [0; 63])),
        ];
        (first, rest.len(), none)
    });
    // 130 bytes hold two requests; what is left of the third is handed out too, but stays in the queue.
    assert_eq!((first, rest), (130, 1));
    assert_eq!(none, [syscall::EAGAIN, syscall::EINVAL]);
}

#[test]
fn a_bad_answer_after_a_good_one_is_a_short_count() {
    let host = host();
    let daemon = Daemon::start(&host, "short");
    let _me = client(&host);
    let counts = daemon.start_job(|raw| {
        let open = raw.next();
        let bad = regular(4711, Ok(0));
        let counts = (
            raw.write(&[regular(open.tag, Ok(1)), bad, bad]).unwrap(),
            errno(raw.write(&[bad])),
        );
        let unknown = Cqe { flags: 7, ..bad };
        (counts.0, counts.1, errno(raw.write(&[unknown])))
    });
    open("/scheme/short/", O_RDONLY).unwrap();
    assert_eq!(
        counts.recv_timeout(LONG).unwrap(),
        (16, syscall::EBADFD, syscall::EINVAL)
    );
}

#[test]
fn a_second_answer_to_one_request_is_refused() {
    let host = host();
    let daemon = Daemon::start(&host, "twice");
    let (_, opened) = background(&host, ProcessSpec::new("client"), || {
        open("/scheme/twice/", O_RDONLY)
    });
    let second = daemon.run(|raw| {
        let sqe = raw.next();
        // Both answers in one write: the second comes before the caller can have taken the first.
        raw.write(&[regular(sqe.tag, Ok(1)), regular(sqe.tag, Ok(2))])
            .unwrap()
    });
    assert_eq!(second, 16);
    assert!(opened.recv_timeout(LONG).unwrap().is_ok());
}

#[test]
fn bits_of_new_fd_flags_that_do_not_exist_are_refused() {
    let host = host();
    let daemon = Daemon::start(&host, "bits");
    let _me = client(&host);
    daemon.start_job(|raw| {
        let open = raw.next();
        raw.write(&[Cqe {
            extra_raw: [0x80, 0, 0],
            ..regular(open.tag, Ok(4))
        }])
        .unwrap();
    });
    assert_eq!(errno(open("/scheme/bits/", O_RDONLY)), syscall::EINVAL);
}

#[test]
fn a_call_on_the_socket_without_fd_is_not_supported() {
    let host = host();
    let _me = client(&host);
    let raw = Raw::create("kcall");
    let result = redox::call_rw(
        raw.fd(),
        &mut [0; 64],
        syscall::CallFlags::empty(),
        &[0, 1, 1],
    );
    assert_eq!(errno(result), syscall::EOPNOTSUPP);
}

#[test]
fn paths_are_checked_before_the_scheme_sees_them() {
    let host = host();
    let daemon = Daemon::start(&host, "paths");
    let _me = client(&host);
    let served = daemon.start_job(|raw| (raw.accept_open(1), raw.accept_open(2).args[2]));
    let root = open("/scheme/paths/", O_RDWR).unwrap();
    assert_eq!(
        calls::openat(root, b"\xff\xfe", O_RDONLY, 0)
            .unwrap_err()
            .errno,
        syscall::EINVAL
    );
    assert_eq!(
        errno(openat(root, &"x".repeat(4097), O_RDONLY)),
        syscall::ENAMETOOLONG
    );
    assert!(openat(root, &"x".repeat(4096), O_RDONLY).is_ok());
    assert_eq!(served.recv_timeout(LONG).unwrap().1, 4096);
    assert_eq!(errno(open("relative", O_RDONLY)), syscall::ENOENT);
    assert_eq!(errno(open("", O_RDONLY)), syscall::ENOENT);
    assert_eq!(errno(open("/scheme/nobody/x", O_RDONLY)), syscall::ENODEV);
}

#[test]
fn openat_passes_what_it_is_given() {
    let host = host();
    let daemon = Daemon::start(&host, "at");
    let _me = client(&host);
    let served = daemon.start_job(|raw| {
        raw.accept_open(5);
        let sqe = raw.next();
        let path = String::from_utf8(payload(&sqe).to_vec()).unwrap();
        raw.answer(sqe.tag, Ok(6));
        (sqe, path)
    });
    let root = open("/scheme/at/", O_RDWR).unwrap();
    redox::openat(
        root,
        "a/../b//c",
        (O_RDONLY | O_NONBLOCK) as i32,
        O_NONBLOCK as u32,
    )
    .unwrap();
    let (sqe, path) = served.recv_timeout(LONG).unwrap();
    assert_eq!(
        (sqe.args[0], path.as_str()),
        (5, "a/../b//c"),
        "paths are the scheme's to read"
    );
    assert_eq!(
        (sqe.args[3], sqe.args[4]),
        ((O_RDONLY | O_NONBLOCK) as u64, O_NONBLOCK as u64)
    );
}

#[test]
fn creating_a_scheme_needs_the_capability_and_root() {
    let host = host();
    let _me = host.enter(ProcessSpec::new("user").uid(1000));
    let cap = open("/scheme/namespace/scheme-creation-cap", O_RDONLY).unwrap();
    assert_eq!(errno(redox::dup(cap, b"create-scheme")), syscall::EACCES);
    assert_eq!(errno(redox::dup(cap, b"create")), syscall::EINVAL);
    let _root = host.enter(ProcessSpec::new("root"));
    let cap = open("/scheme/namespace/scheme-creation-cap", O_RDONLY).unwrap();
    assert!(redox::dup(cap, b"create-scheme").is_ok());
}

#[test]
fn sockets_of_redox_scheme_block_or_not_as_created() {
    let host = host();
    let _me = client(&host);
    let socket = Socket::nonblock().unwrap();
    assert_eq!(
        socket
            .next_request(SignalBehavior::Interrupt)
            .err()
            .unwrap()
            .errno,
        syscall::EAGAIN
    );
    let (process, result) = background(&host, ProcessSpec::new("blocked"), || {
        let socket = Socket::create().unwrap();
        socket
            .next_request(SignalBehavior::Interrupt)
            .err()
            .unwrap()
            .errno
    });
    assert!(process.wait_parked(LONG));
    process.interrupt();
    assert_eq!(result.recv_timeout(LONG).unwrap(), syscall::EINTR);
}

#[test]
fn simultaneous_write_and_read_of_the_library_is_not_supported_by_this_kernel() {
    let host = host();
    let daemon = Daemon::start(&host, "both");
    let errno = daemon.start_job(|raw| {
        let request = raw
            .socket
            .next_request(SignalBehavior::Restart)
            .unwrap()
            .unwrap();
        let redox_scheme::RequestKind::Call(call) = request.kind() else {
            panic!("not a call")
        };
        let tag = call.request_id();
        let error = raw
            .socket
            .write_response_and_await_next_request(
                SignalBehavior::Restart,
                redox_scheme::Response::ok(1, call),
            )
            .err()
            .unwrap();
        let _ = tag;
        raw.answer(0, Ok(1));
        error.errno
    });
    let _me = client(&host);
    open("/scheme/both/", O_RDONLY).unwrap();
    assert_eq!(errno.recv_timeout(LONG).unwrap(), syscall::EOPNOTSUPP);
}

#[test]
fn tags_are_the_lowest_free_ones() {
    let host = host();
    let daemon = Daemon::start(&host, "tags");
    let _me = client(&host);
    let tags = daemon.start_job(|raw| (0..3).map(|i| raw.accept_open(i).tag).collect::<Vec<_>>());
    for _ in 0..3 {
        open("/scheme/tags/", O_RDONLY).unwrap();
    }
    assert_eq!(tags.recv_timeout(LONG).unwrap(), [0, 0, 0]);
}

#[test]
fn a_close_message_is_one_way_and_says_nothing_of_its_caller() {
    let host = host();
    let daemon = Daemon::start(&host, "bye");
    let _me = client(&host);
    daemon.start_job(|raw| raw.accept_open(9));
    let fd = open("/scheme/bye/", O_RDONLY).unwrap();
    redox::close(fd).unwrap();
    let sqe = daemon.run(Raw::next);
    assert_eq!(sqe.opcode, Opcode::CloseMsg as u8);
    assert_eq!((sqe.tag, sqe.args, sqe.caller), (0, [9, 0, 0, 0, 0, 0], 0));
    assert_eq!(sqe.sqe_flags.bits(), SqeFlags::empty().bits());
    assert_eq!(CqeOpcode::RespondRegular as u8, 0);
}
