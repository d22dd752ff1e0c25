//! Calls that no honest client makes. The scheme must answer each and go on.

use crate::support::*;
use redox_host::ProcessSpec;
use syscall::error::*;
use syscall::flag::{CallFlags, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, StdFsCallKind};
use syscall::{Stat, StdFsCallMeta};

/// A file call with this payload.
fn file_call(fd: usize, kind: u8, payload: &mut [u8], arg1: u64, arg2: u64) -> Result<usize> {
    Ok(libredox::call::call_rw(
        fd,
        payload,
        CallFlags::STD_FS,
        &[kind.into(), arg1, arg2],
    )?)
}

fn alive() {
    let (end, peer) = (
        open("lines/alive", O_RDWR),
        open("lines/alive.peer", O_RDWR),
    );
    write(&peer, "yes").unwrap();
    assert_eq!(read(&end).unwrap(), "yes");
}

#[test]
fn the_file_calls_of_an_honest_client_are_answered_in_both_forms() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let end = open("lines/a", O_RDWR);
    assert_eq!(end.stat().unwrap().st_size, 77);
    end.fsync().unwrap();
    end.fdatasync().unwrap();
    let mut stat = Stat::default();
    file_call(end.raw(), StdFsCallKind::Fstat as u8, &mut stat, 0, 0).unwrap();
    assert_eq!(stat.st_size, 77);
    file_call(end.raw(), StdFsCallKind::Fsync as u8, &mut [], 0, 0).unwrap();

    let directory = open("lines", O_RDONLY | O_DIRECTORY);
    let mut buffer = [0; 512];
    assert!(libredox::call::getdents(directory.raw(), &mut buffer, 0).unwrap() > 0);
    assert_eq!(
        errno(libredox::call::getdents(end.raw(), &mut buffer, 0)),
        ENOTDIR
    );
}

#[test]
fn a_stat_into_a_crooked_buffer_is_answered() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let end = open("lines/a", O_RDWR);
    let mut bytes = vec![0; 4 * size_of::<Stat>()];
    for offset in 0..16 {
        for length in [
            0,
            1,
            size_of::<Stat>() - 1,
            size_of::<Stat>() + 1,
            2 * size_of::<Stat>(),
        ] {
            let result = file_call(
                end.raw(),
                StdFsCallKind::Fstat as u8,
                &mut bytes[offset..offset + length],
                0,
                0,
            );
            assert_eq!(errno(result), EINVAL, "offset {offset}, length {length}");
        }
        let fitting = &mut bytes[offset..offset + size_of::<Stat>()];
        file_call(end.raw(), StdFsCallKind::Fstat as u8, fitting, 0, 0).unwrap();
        let mut stat = Stat::default();
        stat.copy_from_slice(fitting);
        assert_eq!(stat.st_size, 77, "offset {offset}");
    }
    alive();
}

#[test]
fn every_kind_of_file_call_with_any_arguments_is_answered() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let files = [
        open("lines/a", O_RDWR),
        open("lines", O_RDONLY | O_DIRECTORY),
    ];
    let mut bytes = vec![0xff; 4096];
    for file in &files {
        for kind in 0..=u8::MAX {
            for length in [0, 1, 16, 31, 32, 4095] {
                for argument in [0, 1, 19, 24, u64::from(u16::MAX), 1 << 63, u64::MAX] {
                    // Any answer will do; the locks overflow on the last two.
                    let _ = file_call(
                        file.raw(),
                        kind,
                        &mut bytes[1..1 + length],
                        argument,
                        argument,
                    );
                }
            }
        }
    }
    alive();
}

#[test]
fn calls_that_the_scheme_does_not_know_are_answered() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let end = open("lines/a", O_RDWR | O_NONBLOCK);
    for word in [0, 1, 4, 9, 255, u64::MAX] {
        let result = end.call_rw(&mut [0; 8], CallFlags::empty(), &[word, word, 0]);
        assert_eq!(errno(result), EOPNOTSUPP, "{word}");
    }
    assert_eq!(errno(end.dup(b"no such thing")), EINVAL);
    let sent = open("lines/b", O_RDWR);
    let handed_over = end.call_wo(&sent.raw().to_ne_bytes(), CallFlags::FD, &[]);
    assert_eq!(
        errno(handed_over),
        EOPNOTSUPP,
        "a descriptor sent is refused"
    );
    let wanted = end.call_ro(&mut [0; size_of::<usize>()], CallFlags::FD, &[]);
    assert_eq!(errno(wanted), EOPNOTSUPP, "a descriptor wanted is refused");
    alive();
}

#[test]
fn buffers_of_every_length_pass() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client"));
    let (end, peer) = (
        open("lines/a", O_RDWR | O_NONBLOCK),
        open("lines/a.peer", O_RDWR | O_NONBLOCK),
    );
    for length in [0, 1, 4095, 4096, 4097, 65_536, 1 << 20] {
        let message: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(end.write(&message).unwrap(), length);
        let mut buffer = vec![0; length];
        assert_eq!(peer.read(&mut buffer).unwrap(), length);
        assert_eq!(buffer, message);
    }
    // Nothing to put it into: the message is lost, and nothing else.
    end.write(b"lost").unwrap();
    assert_eq!(peer.read(&mut []).unwrap(), 0);
    alive();
}

#[test]
fn the_names_of_locks_in_the_metadata_are_no_users() {
    // `support::Lines::call` asserts that the third word of metadata does not become the caller's uid.
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("client").uid(1000));
    let end = open("lines/a", O_RDWR | O_NONBLOCK);
    let meta = StdFsCallMeta::new(StdFsCallKind::Fsync, 0, 0);
    let result = end.call_rw(&mut [0; 8], CallFlags::empty(), &[RECV_MSG, 0, 0]);
    assert_eq!(errno(result), EAGAIN);
    end.call_rw(&mut [], CallFlags::STD_FS, &meta).unwrap();
}
