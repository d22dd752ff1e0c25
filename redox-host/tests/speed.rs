//! What a call costs: two wake-ups and little else. Printed, not judged, for the machine may be busy with other things.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use std::time::Instant;

use libredox::call as redox;
use syscall::flag::O_RDWR;
use syscall::schemev2::Opcode;

#[test]
fn calls_of_every_size_are_answered_one_after_another() {
    let host = host();
    let daemon = Daemon::start(&host, "speed");
    let _me = client(&host);
    let served = daemon.start_job(|raw| {
        raw.accept_open(1);
        let mut count = 0;
        loop {
            let sqe = raw.next();
            if sqe.opcode == Opcode::CloseMsg as u8 {
                return count;
            }
            count += 1;
            raw.answer(sqe.tag, Ok(sqe.args[2] as usize));
        }
    });
    let fd = open("/scheme/speed/", O_RDWR).unwrap();
    let mut calls = 0;
    for len in [64, 1514, 65_536] {
        let mut buf = vec![0; len];
        let start = Instant::now();
        for _ in 0..2000 {
            assert_eq!(redox::read(fd, &mut buf).unwrap(), len);
        }
        calls += 2000;
        println!("{len} bytes: {:?} a call", start.elapsed() / 2000);
    }
    redox::close(fd).unwrap();
    assert_eq!(served.recv_timeout(LONG).unwrap(), calls);
}
