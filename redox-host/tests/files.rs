//! Descriptors and descriptions: dup, close, flags, paths, status (kernel syscall/fs.rs, relibc's libredox.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use libredox::call as redox;
use redox_host::{ProcessSpec, calls};
use syscall::data::Stat;
use syscall::flag::{O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, UPPER_FDTBL_TAG};
use syscall::schemev2::{Cqe, CqeOpcode, Opcode};

/// A client with one open file of a daemon, which is handle 1.
fn opened(host: &redox_host::Host, name: &str) -> (Daemon, redox_host::Entered, usize) {
    let daemon = Daemon::start(host, name);
    let me = client(host);
    daemon.start_job(|raw| raw.accept_open(1));
    let fd = open(&format!("/scheme/{name}/"), O_RDWR).unwrap();
    (daemon, me, fd)
}

#[test]
fn dup_without_a_path_is_the_kernels_and_shares_the_description() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "share");
    let other = redox::dup(fd, b"").unwrap();
    assert!(other != fd);
    redox::close(fd).unwrap();
    assert!(
        daemon.run(Raw::drain).is_empty(),
        "neither Dup nor CloseMsg"
    );
    redox::close(other).unwrap();
    assert_eq!(
        daemon.run(Raw::next).opcode,
        Opcode::CloseMsg as u8,
        "at the last reference"
    );
}

#[test]
fn dup_with_a_path_asks_the_scheme_and_inherits_the_flags() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "listen");
    let flags_before = {
        let served = daemon.start_job(|raw| {
            let sqe = raw.next();
            raw.answer(sqe.tag, Ok(0));
        });
        redox::fcntl(fd, syscall::F_SETFL, O_NONBLOCK).unwrap();
        served.recv_timeout(LONG).unwrap();
        O_RDWR | O_NONBLOCK
    };
    let served = daemon.start_job(|raw| {
        let sqe = raw.next();
        let path = payload(&sqe).to_vec();
        raw.answer(sqe.tag, Ok(2));
        let read = raw.next();
        raw.answer(read.tag, Ok(0));
        (sqe, path, read)
    });
    let accepted = redox::dup(fd, b"listen").unwrap();
    redox::read(accepted, &mut [0; 1]).unwrap();
    let (dup, path, read) = served.recv_timeout(LONG).unwrap();
    assert_eq!(
        (dup.opcode, dup.args[0], path.as_slice()),
        (Opcode::Dup as u8, 1, &b"listen"[..])
    );
    assert_eq!(read.args[0], 2);
    assert_eq!(read.args[4], flags_before as u64);
}

#[test]
fn dup2_replaces_and_closes_what_was_there() {
    let host = host();
    let (daemon, me, fd) = opened(&host, "dup2");
    daemon.start_job(|raw| raw.accept_open(2));
    let other = open("/scheme/dup2/", O_RDONLY).unwrap();
    assert_eq!(redox::dup2(fd, other, b"").unwrap(), other);
    let closed = daemon.run(Raw::next);
    assert_eq!((closed.opcode, closed.args[0]), (Opcode::CloseMsg as u8, 2));
    assert_eq!(redox::dup2(fd, fd, b"").unwrap(), fd);
    assert_eq!(redox::dup2(fd, 50, b"").unwrap(), 50);
    assert_eq!(errno(redox::dup2(fd, 70_000, b"")), syscall::EMFILE);
    assert_eq!(errno(redox::dup2(40, 41, b"")), syscall::EBADF);
    assert_eq!(me.open_fds(), 3 + 3);
}

#[test]
fn the_lowest_free_number_is_taken() {
    let host = host();
    let _me = client(&host);
    let a = open("/scheme/null", O_RDWR).unwrap();
    let b = open("/scheme/null", O_RDWR).unwrap();
    assert_eq!((a, b), (3, 4));
    redox::close(a).unwrap();
    assert_eq!(open("/scheme/null", O_RDWR).unwrap(), 3);
    // relibc takes no heed of the lowest number that F_DUPFD asks for, only of the table.
    assert_eq!(redox::fcntl(b, syscall::F_DUPFD, 100).unwrap(), 5);
    assert!(redox::fcntl(b, syscall::F_DUPFD, UPPER_FDTBL_TAG).unwrap() & UPPER_FDTBL_TAG != 0);
}

#[test]
fn getfl_and_setfl_ask_the_scheme_first_and_then_are_the_kernels() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "fl");
    let served = daemon.start_job(|raw| {
        let get = raw.next();
        raw.answer(get.tag, Ok(0xbad));
        let set = raw.next();
        raw.answer(set.tag, Ok(0xbad));
        let refused = raw.next();
        raw.answer(refused.tag, Err(syscall::EOPNOTSUPP));
        let get_again = raw.next();
        raw.answer(get_again.tag, Ok(0));
        (get, set)
    });
    assert_eq!(
        redox::fcntl(fd, syscall::F_GETFL, 0).unwrap(),
        O_RDWR,
        "not what the scheme said"
    );
    assert_eq!(
        redox::fcntl(fd, syscall::F_SETFL, O_NONBLOCK | O_RDONLY).unwrap(),
        0
    );
    assert_eq!(
        errno(redox::fcntl(fd, syscall::F_SETFL, 0)),
        syscall::EOPNOTSUPP
    );
    assert_eq!(
        redox::fcntl(fd, syscall::F_GETFL, 0).unwrap(),
        O_RDWR | O_NONBLOCK,
        "the access mode stays; the refused call changed nothing"
    );
    let (get, set) = served.recv_timeout(LONG).unwrap();
    assert_eq!(
        (get.opcode, get.args[1]),
        (Opcode::Fcntl as u8, syscall::F_GETFL as u64)
    );
    assert_eq!(
        (set.args[1], set.args[2]),
        (syscall::F_SETFL as u64, (O_NONBLOCK | O_RDONLY) as u64)
    );
}

#[test]
fn descriptor_flags_never_reach_the_scheme() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "fd");
    const CLOEXEC: usize = libredox::protocol::O_CLOEXEC;
    assert_eq!(redox::fcntl(fd, syscall::F_GETFD, 0).unwrap(), 0);
    redox::fcntl(fd, syscall::F_SETFD, CLOEXEC).unwrap();
    assert_eq!(redox::fcntl(fd, syscall::F_GETFD, 0).unwrap(), CLOEXEC);
    redox::fcntl(fd, syscall::F_DUPFD, 0).unwrap();
    assert!(daemon.run(Raw::drain).is_empty());
    assert_eq!(
        redox::fcntl(
            open("/scheme/null", O_RDWR | CLOEXEC).unwrap(),
            syscall::F_GETFD,
            0
        )
        .unwrap(),
        CLOEXEC
    );
}

#[test]
fn fpath_is_the_schemes() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "path");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        assert_eq!(sqe.opcode, Opcode::Fpath as u8);
        payload(&sqe)[..6].copy_from_slice(b"/a/b/c");
        raw.answer(sqe.tag, Ok(6));
    });
    let mut buf = [0; 32];
    let count = redox::fpath(fd, &mut buf).unwrap();
    assert_eq!(&buf[..count], b"/a/b/c");
}

/// What the daemon sees of one call.
fn seen(
    daemon: &Daemon,
    answer: Result<usize, i32>,
    call: impl FnOnce(),
) -> syscall::schemev2::Sqe {
    let served = daemon.start_job(move |raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, answer);
        sqe
    });
    call();
    served.recv_timeout(LONG).unwrap()
}

#[test]
fn fsync_fstat_and_getdents_of_libredox_are_std_fs_calls() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "stdfs");
    use syscall::flag::StdFsCallKind as Kind;
    let sqe = seen(&daemon, Ok(0), || redox::fsync(fd).unwrap());
    assert_eq!(
        (sqe.opcode, sqe.args[3] as u8),
        (Opcode::StdFsCall as u8, Kind::Fsync as u8)
    );
    assert_eq!(sqe.args[0], 1);
    let sqe = seen(&daemon, Ok(0), || redox::fdatasync(fd).unwrap());
    assert_eq!(
        (sqe.opcode, sqe.args[3] as u8),
        (Opcode::StdFsCall as u8, Kind::Fsync as u8)
    );
    let sqe = seen(&daemon, Ok(0), || {
        assert_eq!(redox::fstat(fd).unwrap().st_size, 0)
    });
    assert_eq!(
        (sqe.opcode, sqe.args[3] as u8, sqe.args[2]),
        (
            Opcode::StdFsCall as u8,
            Kind::Fstat as u8,
            size_of::<Stat>() as u64
        )
    );
    let sqe = seen(&daemon, Ok(0), || {
        assert_eq!(redox::getdents(fd, &mut [0; 512], 77).unwrap(), 0)
    });
    assert_eq!(
        (sqe.opcode, sqe.args[3] as u8),
        (Opcode::StdFsCall as u8, Kind::Getdents as u8)
    );
    assert_eq!(
        (sqe.args[4], sqe.args[5]),
        (77, 19),
        "position and size of a header, where other calls have uid and gid"
    );
    let sqe = seen(&daemon, Ok(0), || redox::ftruncate(fd, 5).unwrap());
    assert_eq!((sqe.args[3] as u8, sqe.args[4]), (Kind::Ftruncate as u8, 5));
}

#[test]
fn sync_data_of_std_is_a_plain_fsync() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "plain");
    let sqe = seen(&daemon, Ok(0), || calls::fdatasync(fd).unwrap());
    assert_eq!((sqe.opcode, sqe.args[0]), (Opcode::Fsync as u8, 1));
}

#[test]
fn a_schemes_status_becomes_libredoxs() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "stat");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        let stat = Stat {
            st_mode: 0o100_640,
            st_size: 1234,
            st_uid: 7,
            st_mtime: 99,
            st_mtime_nsec: 5,
            st_dev: 3,
            ..Stat::default()
        };
        payload(&sqe).copy_from_slice(&stat);
        raw.answer(sqe.tag, Ok(0));
    });
    let stat = redox::fstat(fd).unwrap();
    assert_eq!(
        (
            stat.st_mode,
            stat.st_size,
            stat.st_uid,
            stat.st_mtime,
            stat.st_mtime_nsec,
            stat.st_dev
        ),
        (0o100_640, 1234, 7, 99, 5, 3)
    );
}

#[test]
fn a_scheme_without_getdents_is_read_by_name() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "legacy");
    daemon.start_job(|raw| {
        let call = raw.next();
        raw.answer(call.tag, Err(syscall::EOPNOTSUPP));
        let read = raw.next();
        assert_eq!((read.opcode, read.args[3]), (Opcode::Read as u8, 6));
        payload(&read)[..8].copy_from_slice(b"eth0\nlo\n");
        raw.answer(read.tag, Ok(8));
    });
    let mut buf = [0; 256];
    let count = redox::getdents(fd, &mut buf, 6).unwrap();
    assert_eq!(entry_names(&buf[..count]), ["eth0"]);
}

#[test]
fn on_detach_comes_at_the_next_close_of_a_descriptor_once_asked_for() {
    let host = host();
    let (daemon, me, fd) = opened(&host, "detach");
    let other = redox::dup(fd, b"").unwrap();
    redox::close(redox::dup(fd, b"").unwrap()).unwrap();
    assert!(daemon.run(Raw::drain).is_empty(), "nobody asked yet");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.write(&[Cqe {
            flags: CqeOpcode::RespondAndNotifyOnDetach as u8,
            ..regular(sqe.tag, Ok(0))
        }])
        .unwrap();
    });
    redox::fsync(fd).unwrap();
    redox::close(other).unwrap();
    let sqe = daemon.run(Raw::next);
    assert_eq!(
        (sqe.opcode, sqe.args[0], sqe.caller),
        (Opcode::Detach as u8, 1, me.pid() as u64)
    );
}

#[test]
fn a_scheme_can_answer_with_any_file_of_its_own() {
    let host = host();
    let daemon = Daemon::start(&host, "other");
    let _me = client(&host);
    let provider = daemon.start_job(|raw| {
        let open = raw.next();
        let pipe = self::open("/scheme/pipe", O_RDWR | O_CREAT).unwrap();
        let writer = redox::dup(pipe, b"write").unwrap();
        raw.write(&[Cqe {
            flags: CqeOpcode::RespondWithFd as u8,
            ..regular(open.tag, Ok(pipe))
        }])
        .unwrap();
        let gone = errno(redox::close(pipe));
        redox::write(writer, b"through").unwrap();
        gone
    });
    let pipe = open("/scheme/other/pipe", O_RDONLY).unwrap();
    assert_eq!(
        provider.recv_timeout(LONG).unwrap(),
        syscall::EBADF,
        "the descriptor left the provider"
    );
    let mut buf = [0; 16];
    assert_eq!(redox::read(pipe, &mut buf).unwrap(), 7);
    assert_eq!(&buf[..7], b"through");
}

#[test]
fn a_process_inherits_what_its_specification_names() {
    let host = host();
    let me = client(&host);
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    let spec = ProcessSpec::new("child")
        .fd(9, &me, writer)
        .unwrap()
        .env("NOTIFY", "9");
    assert_eq!(
        ProcessSpec::new("none").fd(9, &me, 99).unwrap_err().errno,
        syscall::EBADF
    );
    redox::close(writer).unwrap();
    let child = host.spawn(spec, || {
        let fd = redox_host::env("NOTIFY").unwrap().parse().unwrap();
        redox::write(fd, b"!").unwrap();
        0
    });
    let mut buf = [0; 1];
    assert_eq!(redox::read(pipe, &mut buf).unwrap(), 1);
    child.wait(LONG).unwrap();
    assert_eq!(
        redox::read(pipe, &mut buf).unwrap(),
        0,
        "the writing end went with the child"
    );
}
