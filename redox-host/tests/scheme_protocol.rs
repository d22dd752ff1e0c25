//! Requests and answers on scheme sockets, to the byte.
#![allow(missing_docs)]

mod common;
use common::*;

use libredox::call as redox;
use syscall::flag::{O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR};
use syscall::schemev2::Opcode;

#[test]
fn a_request_is_64_bytes_with_opcode_tag_arguments_and_caller() {
    let host = host();
    let daemon = Daemon::start(&host, "wire");
    let me = host.enter(redox_host::ProcessSpec::new("client").uid(1000).gid(100));
    let served = daemon.start_job(|raw| {
        let open = raw.accept_open(7);
        let read = raw.next();
        raw.answer(read.tag, Ok(3));
        (open, read)
    });
    let fd = redox::open("/scheme/wire/some/path", (O_RDWR | O_NONBLOCK) as i32, 0o640).unwrap();
    assert_eq!(redox::read(fd, &mut [0; 5]).unwrap(), 3);
    let (open, read) = served.recv_timeout(LONG).unwrap();
    assert_eq!(open.opcode, Opcode::OpenAt as u8);
    assert_eq!(open.args[0], 0, "the root handle");
    assert_eq!(open.args[2], 9, "length of some/path");
    assert_eq!(open.args[3], (O_RDWR | O_NONBLOCK | 0o640) as u64, "flags, with the mode in the lower half");
    assert_eq!(open.args[4], O_NONBLOCK as u64, "fcntl flags");
    assert_eq!(open.args[5], 1000 | 100 << 32, "uid and gid");
    assert_eq!(open.caller, me.pid() as u64);
    assert_eq!(read.opcode, Opcode::Read as u8);
    assert_eq!((read.args[0], read.args[2], read.args[3]), (7, 5, u64::MAX), "no offset unless positioned");
    assert_eq!(read.args[4] & O_NONBLOCK as u64, O_NONBLOCK as u64);
    assert_eq!(read.args[5], 1000 | 100 << 32);
    let _ = (O_CREAT, O_RDONLY);
}
