//! SYS_CALL: metadata, flags, and files that travel (kernel syscall/fs.rs, scheme/user.rs).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use libredox::call as redox;
use redox_scheme::{RequestKind, Response, SignalBehavior};
use syscall::CallFlags;
use syscall::flag::{FmoveFdFlags, FobtainFdFlags, O_RDONLY, O_RDWR, UPPER_FDTBL_TAG};
use syscall::schemev2::{Cqe, CqeOpcode, Opcode, SqeFlags};

fn opened(host: &redox_host::Host, name: &str) -> (Daemon, redox_host::Entered, usize) {
    let daemon = Daemon::start(host, name);
    let me = client(host);
    daemon.start_job(|raw| raw.accept_open(1));
    let fd = open(&format!("/scheme/{name}/"), O_RDWR).unwrap();
    (daemon, me, fd)
}

#[test]
fn a_call_carries_three_words_and_the_payload_both_ways() {
    let host = host();
    let (daemon, me, fd) = opened(&host, "words");
    let served = daemon.start_job(|raw| {
        let sqe = raw.next();
        let before = payload(&sqe).to_vec();
        payload(&sqe).copy_from_slice(b"back");
        raw.answer(sqe.tag, Ok(2));
        (sqe, before)
    });
    let mut payload = *b"ping";
    assert_eq!(
        redox::call_rw(fd, &mut payload, CallFlags::empty(), &[5, 6, 7, 8]).unwrap(),
        2
    );
    assert_eq!(&payload, b"back");
    let (sqe, before) = served.recv_timeout(LONG).unwrap();
    assert_eq!(before, b"ping");
    assert_eq!(
        (sqe.opcode, sqe.args[0], sqe.args[2]),
        (Opcode::Call as u8, 1, 4)
    );
    assert_eq!(
        sqe.args[3..],
        [5, 6, 7],
        "no uid and gid here, and no fourth word"
    );
    assert_eq!(sqe.caller, me.pid() as u64);
}

#[test]
fn a_payload_that_is_only_read_is_not_written_back() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "ro");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        payload(&sqe).fill(0);
        raw.answer(sqe.tag, Ok(0));
    });
    let payload = *b"constant";
    redox::call_wo(fd, &payload, CallFlags::empty(), &[]).unwrap();
    assert_eq!(&payload, b"constant");
}

#[test]
fn flags_that_the_kernel_does_not_know_are_refused() {
    let host = host();
    let (_daemon, _me, fd) = opened(&host, "unknown");
    for bit in [17, 18, 19, 20, 40] {
        let flags = CallFlags::from_bits_retain(1 << bit);
        assert_eq!(
            errno(redox::call_rw(fd, &mut [], flags, &[])),
            syscall::EINVAL,
            "bit {bit}"
        );
    }
}

#[test]
fn calls_on_kernel_schemes_are_not_supported() {
    let host = host();
    let _me = client(&host);
    let queue = event_queue();
    assert_eq!(
        errno(redox::call_rw(queue, &mut [0; 8], CallFlags::empty(), &[1])),
        syscall::EOPNOTSUPP
    );
    assert_eq!(
        errno(redox::call_rw(
            99usize,
            &mut [0; 8],
            CallFlags::empty(),
            &[1]
        )),
        syscall::EBADF
    );
}

#[test]
fn a_call_on_two_files_names_both() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "two");
    daemon.start_job(|raw| raw.accept_open(2));
    let other = open("/scheme/two/", O_RDWR).unwrap();
    let served = daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(0));
        sqe
    });
    redox::call_rw(&[fd, other][..], &mut [], CallFlags::empty(), &[5, 6, 7]).unwrap();
    let sqe = served.recv_timeout(LONG).unwrap();
    assert_eq!(sqe.sqe_flags.bits(), SqeFlags::MULTIPLE_IDS.bits());
    assert_eq!(
        (sqe.args[0], sqe.args[3..].to_vec()),
        (1, vec![5, 6, 2]),
        "two words, then the second handle"
    );
    let null = open("/scheme/null", O_RDWR).unwrap();
    assert_eq!(
        errno(redox::call_rw(
            &[fd, null][..],
            &mut [],
            CallFlags::empty(),
            &[]
        )),
        syscall::EXDEV
    );
}

#[test]
fn consume_takes_the_descriptor_before_the_call() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "consume");
    daemon.start_job(|raw| {
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(0));
    });
    redox::call_rw(fd, &mut [], CallFlags::CONSUME, &[]).unwrap();
    assert_eq!(errno(redox::close(fd)), syscall::EBADF);
    assert_eq!(daemon.run(Raw::next).opcode, Opcode::CloseMsg as u8);
}

/// The next request, which must be one of sent files.
fn next_send(raw: &Raw) -> redox_scheme::SendFdRequest {
    match raw
        .socket
        .next_request(SignalBehavior::Restart)
        .unwrap()
        .unwrap()
        .kind()
    {
        RequestKind::SendFd(request) => request,
        _ => panic!("not a Sendfd"),
    }
}

#[test]
fn a_file_sent_leaves_the_sender_and_arrives_at_the_provider() {
    let host = host();
    let (daemon, me, fd) = opened(&host, "send");
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    let served = daemon.start_job(|raw| {
        let request = next_send(raw);
        let about = (
            request.id(),
            request.num_fds(),
            request.arg(),
            request.caller().pid,
        );
        let mut fds = [usize::MAX];
        request
            .obtain_fd(&raw.socket, FobtainFdFlags::empty(), &mut fds)
            .unwrap();
        redox::write(fds[0], b"sent").unwrap();
        raw.socket
            .write_response(Response::ok(1, request), SignalBehavior::Restart)
            .unwrap();
        (about, fds[0])
    });
    assert_eq!(
        redox::call_wo(fd, &writer.to_ne_bytes(), CallFlags::FD, &[42]).unwrap(),
        1
    );
    assert_eq!(errno(redox::close(writer)), syscall::EBADF);
    let mut buf = [0; 8];
    assert_eq!(redox::read(pipe, &mut buf).unwrap(), 4);
    let (about, obtained) = served.recv_timeout(LONG).unwrap();
    assert_eq!(about, (1, 1, 42, me.pid()));
    assert_eq!(obtained & UPPER_FDTBL_TAG, 0);
}

#[test]
fn a_file_sent_and_not_taken_is_closed() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "drop");
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    daemon.start_job(|raw| {
        let request = next_send(raw);
        raw.socket
            .write_response(Response::ok(0, request), SignalBehavior::Restart)
            .unwrap();
    });
    redox::call_wo(fd, &writer.to_ne_bytes(), CallFlags::FD, &[]).unwrap();
    assert_eq!(
        redox::read(pipe, &mut [0; 1]).unwrap(),
        0,
        "end of file: nobody can write any more"
    );
}

#[test]
fn a_cloned_file_stays_with_the_sender_and_an_exclusive_one_must_be_alone() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "clone");
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let held = redox::dup(pipe, b"").unwrap();
    assert_eq!(
        errno(redox::call_wo(
            fd,
            &pipe.to_ne_bytes(),
            CallFlags::FD | CallFlags::FD_CLONE | CallFlags::FD_EXCLUSIVE,
            &[]
        )),
        syscall::EBUSY
    );
    daemon.start_job(|raw| {
        let request = next_send(raw);
        let mut fds = [usize::MAX];
        request
            .obtain_fd(&raw.socket, FobtainFdFlags::UPPER_TBL, &mut fds)
            .unwrap();
        assert!(fds[0] & UPPER_FDTBL_TAG != 0);
        raw.socket
            .write_response(Response::ok(0, request), SignalBehavior::Restart)
            .unwrap();
    });
    redox::call_wo(
        fd,
        &pipe.to_ne_bytes(),
        CallFlags::FD | CallFlags::FD_CLONE,
        &[],
    )
    .unwrap();
    redox::close(pipe).unwrap();
    redox::close(held).unwrap();
    assert_eq!(
        errno(redox::call_wo(
            fd,
            &99usize.to_ne_bytes(),
            CallFlags::FD,
            &[]
        )),
        syscall::EBADF
    );
    assert_eq!(
        errno(redox::call_wo(fd, &[0; 7], CallFlags::FD, &[])),
        syscall::EINVAL
    );
}

#[test]
fn a_provider_gives_files_when_it_is_asked_for_them() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "recv");
    let served = daemon.start_job(|raw| {
        let RequestKind::RecvFd(request) = raw
            .socket
            .next_request(SignalBehavior::Restart)
            .unwrap()
            .unwrap()
            .kind()
        else {
            panic!("not a Recvfd")
        };
        let about = (request.id(), request.num_fds(), request.metadata().to_vec());
        let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
        let writer = redox::dup(pipe, b"write").unwrap();
        redox::write(writer, b"gift").unwrap();
        request
            .move_fd(&raw.socket, FmoveFdFlags::empty(), &[pipe])
            .unwrap();
        let gone = errno(redox::close(pipe));
        raw.socket
            .write_response(
                Response::return_external_multiple_fds(1, request),
                SignalBehavior::Restart,
            )
            .unwrap();
        (about, gone)
    });
    let mut fds = usize::MAX.to_ne_bytes();
    assert_eq!(
        redox::call_ro(fd, &mut fds, CallFlags::FD, &[7, 8]).unwrap(),
        1
    );
    let pipe = usize::from_ne_bytes(fds);
    let mut buf = [0; 8];
    assert_eq!(redox::read(pipe, &mut buf).unwrap(), 4);
    assert_eq!(
        served.recv_timeout(LONG).unwrap(),
        ((1, 1, vec![7, 8]), syscall::EBADF)
    );
}

#[test]
fn a_provider_that_answers_a_wish_for_files_with_a_number_breaks_the_call() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "broken");
    daemon.start_job(|raw| {
        for answer in [Ok(1), Err(syscall::EACCES)] {
            let sqe = raw.next();
            raw.answer(sqe.tag, answer);
        }
    });
    let mut fds = usize::MAX.to_ne_bytes();
    assert_eq!(
        errno(redox::call_ro(fd, &mut fds, CallFlags::FD, &[])),
        syscall::EIO
    );
    assert_eq!(
        errno(redox::call_ro(fd, &mut fds, CallFlags::FD, &[])),
        syscall::EACCES
    );
}

#[test]
fn obtain_in_an_answer_takes_one_file() {
    let host = host();
    let (daemon, _me, fd) = opened(&host, "obtain");
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let obtained = daemon.start_job(|raw| {
        let sqe = raw.next();
        let obtain = |at: usize| Cqe {
            flags: CqeOpcode::ObtainFd as u8,
            ..regular(sqe.tag, Ok(at))
        };
        let first = raw.write(&[obtain(30)]).unwrap();
        let second = errno(raw.write(&[obtain(31)]));
        raw.answer(sqe.tag, Ok(0));
        (first, second, redox::close(30).is_ok())
    });
    redox::call_wo(fd, &pipe.to_ne_bytes(), CallFlags::FD, &[]).unwrap();
    assert_eq!(
        obtained.recv_timeout(LONG).unwrap(),
        (16, syscall::ENOENT, true)
    );
}

#[test]
fn files_travel_through_pipes_too() {
    let host = host();
    let _me = client(&host);
    let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(pipe, b"write").unwrap();
    let null = open("/scheme/null", O_RDWR).unwrap();
    redox::call_wo(writer, &null.to_ne_bytes(), CallFlags::FD, &[]).unwrap();
    let mut fds = usize::MAX.to_ne_bytes();
    assert_eq!(
        redox::call_ro(pipe, &mut fds, CallFlags::FD, &[]).unwrap(),
        1
    );
    assert_eq!(redox::write(usize::from_ne_bytes(fds), b"abc").unwrap(), 3);
}
