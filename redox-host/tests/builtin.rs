//! The schemes that are built in: time, pipe, null, zero, rand, log, file.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use libredox::call as redox;
use redox_host::{Host, HostConfig, ProcessSpec, calls};
use syscall::flag::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};

#[test]
fn null_takes_everything_and_gives_nothing_zero_gives_zeroes_rand_gives_anything() {
    let host = host();
    let _me = client(&host);
    let null = open("/scheme/null", O_RDWR).unwrap();
    assert_eq!(
        (
            redox::read(null, &mut [1; 4]).unwrap(),
            redox::write(null, b"abcd").unwrap()
        ),
        (0, 4)
    );
    let zero = open("/scheme/zero", O_RDWR).unwrap();
    let mut bytes = [1; 64];
    assert_eq!(redox::read(zero, &mut bytes).unwrap(), 64);
    assert_eq!(bytes, [0; 64]);
    let rand = open("/scheme/rand", O_RDONLY).unwrap();
    assert_eq!(redox::read(rand, &mut bytes).unwrap(), 64);
    assert_ne!(bytes, [0; 64]);
}

#[test]
fn clocks_can_be_read() {
    let host = host();
    let _me = client(&host);
    let seconds = |bytes: &[u8; 16]| i64::from_ne_bytes(bytes[..8].try_into().unwrap());
    let mut bytes = [0; 16];
    let realtime = open("/scheme/time/1", O_RDONLY).unwrap();
    assert_eq!(redox::read(realtime, &mut bytes).unwrap(), 16);
    let linux = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(seconds(&bytes).abs_diff(linux.cast_signed()) <= 1);
    assert!(
        redox::clock_gettime(1)
            .unwrap()
            .tv_sec
            .abs_diff(linux.cast_signed())
            <= 1,
        "Redox's number of the realtime clock"
    );
    let first = redox::clock_gettime(4).unwrap();
    let second = redox::clock_gettime(4).unwrap();
    assert!((second.tv_sec, second.tv_nsec) >= (first.tv_sec, first.tv_nsec));
    assert!(redox::clock_gettime(2).is_err());
    assert_eq!(errno(open("/scheme/time/2", O_RDONLY)), syscall::ENOENT);
    assert_eq!(
        errno(open("/scheme/time/4/never", O_RDONLY)),
        syscall::ENOENT
    );
    let resolution = open("/scheme/time/4/getres", O_RDWR).unwrap();
    assert_eq!(errno(redox::write(resolution, &[0; 16])), syscall::EINVAL);
}

#[test]
fn a_timer_rings_once_for_each_write_and_cannot_be_taken_back() {
    let host = host();
    let _me = client(&host);
    let timer = open("/scheme/time/4", O_RDWR).unwrap();
    let queue = event_queue();
    subscribe(queue, timer, 1, 1).unwrap();
    let now = redox::clock_gettime(4).unwrap();
    let after = |ms: i64| {
        let nanos = now.tv_nsec + ms * 1_000_000;
        syscall::TimeSpec {
            tv_sec: now.tv_sec + nanos / 1_000_000_000,
            tv_nsec: (nanos % 1_000_000_000) as i32,
        }
    };
    redox::write(timer, &after(40)).unwrap();
    redox::write(timer, &after(20)).unwrap();
    assert_eq!(wait_events(queue), [(timer, 1, 1)]);
    assert_eq!(wait_events(queue), [(timer, 1, 1)]);
    let late = redox::clock_gettime(4).unwrap();
    assert!((late.tv_sec, late.tv_nsec) >= (after(40).tv_sec, after(40).tv_nsec.into()));
}

#[test]
fn a_pipe_has_two_ends() {
    let host = host();
    let _me = client(&host);
    let reader = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = redox::dup(reader, b"write").unwrap();
    assert_eq!(
        errno(redox::dup(reader, b"write")),
        syscall::EBADF,
        "one writing end"
    );
    assert_eq!(errno(redox::dup(reader, b"read!")), syscall::EINVAL);
    assert_eq!(errno(redox::read(writer, &mut [0; 1])), syscall::EBADF);
    assert_eq!(errno(redox::write(reader, b"x")), syscall::EBADF);
    redox::fcntl(writer, syscall::F_SETFL, O_NONBLOCK).unwrap();
    redox::fcntl(reader, syscall::F_SETFL, O_NONBLOCK).unwrap();
    assert_eq!(errno(redox::read(reader, &mut [0; 1])), syscall::EAGAIN);
    assert_eq!(redox::write(writer, &[7; 100_000]).unwrap(), 65_536);
    assert_eq!(errno(redox::write(writer, b"x")), syscall::EAGAIN);
    let mut bytes = vec![0; 100_000];
    assert_eq!(redox::read(reader, &mut bytes).unwrap(), 65_536);
    redox::close(reader).unwrap();
    assert_eq!(errno(redox::write(writer, b"x")), syscall::EPIPE);
}

#[test]
fn a_reader_of_a_pipe_sleeps_until_there_is_something() {
    let host = host();
    let me = client(&host);
    let reader = open("/scheme/pipe", O_RDONLY).unwrap();
    let writer = openat(reader, "write", O_WRONLY).unwrap();
    let spec = ProcessSpec::new("reader").fd(5, &me, reader).unwrap();
    let (process, got) = background(&host, spec, || {
        let mut bytes = [0; 8];
        let count = redox::read(5, &mut bytes).unwrap();
        bytes[..count].to_vec()
    });
    assert!(process.wait_parked(LONG));
    redox::write(writer, b"wake").unwrap();
    assert_eq!(got.recv_timeout(LONG).unwrap(), b"wake");
}

#[test]
fn what_a_process_says_goes_to_the_log_line_by_line() {
    let host = host();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    host.set_log(move |pid, name, line| {
        sink.lock().unwrap().push((
            pid,
            name.to_owned(),
            String::from_utf8_lossy(line).into_owned(),
        ))
    });
    let me = host.enter(ProcessSpec::new("talker"));
    redox::write(1, b"one\ntw").unwrap();
    redox::write(1, b"o\nthree").unwrap();
    let log = open("/scheme/log", O_WRONLY).unwrap();
    redox::write(log, b"through the scheme\n").unwrap();
    let pid = me.pid();
    drop(me);
    let lines = lines.lock().unwrap();
    let said: Vec<_> = lines.iter().map(|(_, _, line)| line.as_str()).collect();
    assert_eq!(
        said,
        ["one", "two", "through the scheme", "three"],
        "the last without its end, when it closed"
    );
    assert!(
        lines
            .iter()
            .all(|(by, name, _)| *by == pid && name == "talker")
    );
}

fn with_root() -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc/net")).unwrap();
    std::fs::write(root.path().join("etc/net/dns"), b"10.0.2.3\n").unwrap();
    let host = Host::new(HostConfig {
        root: Some(root.path().to_path_buf()),
        ram: None,
    })
    .unwrap();
    (root, host)
}

#[test]
fn files_are_those_below_the_root() {
    let (root, host) = with_root();
    let _me = client(&host);
    let dns = open("/etc/net/dns", O_RDWR).unwrap();
    let mut bytes = [0; 4];
    assert_eq!(redox::read(dns, &mut bytes).unwrap(), 4);
    assert_eq!(
        redox::read(dns, &mut bytes).unwrap(),
        4,
        "from where the last ended"
    );
    assert_eq!(&bytes, b".2.3");
    assert_eq!(redox::fstat(dns).unwrap().st_size, 9);
    assert_eq!(calls::lseek(dns, -2, syscall::SEEK_END).unwrap(), 7);
    let new = redox::open("/etc/net/ip", (O_WRONLY | O_CREAT | O_EXCL) as i32, 0o600).unwrap();
    redox::write(new, b"10.0.").unwrap();
    redox::write(new, b"2.15\n").unwrap();
    redox::fsync(new).unwrap();
    assert_eq!(
        std::fs::read(root.path().join("etc/net/ip")).unwrap(),
        b"10.0.2.15\n"
    );
    assert_eq!(
        errno(redox::open(
            "/etc/net/ip",
            (O_WRONLY | O_CREAT | O_EXCL) as i32,
            0o600
        )),
        syscall::EEXIST
    );
    open("/etc/net/ip", O_WRONLY | O_TRUNC).unwrap();
    assert_eq!(std::fs::read(root.path().join("etc/net/ip")).unwrap(), b"");
    let append = open("/etc/net/dns", O_WRONLY | O_APPEND).unwrap();
    redox::write(append, b"more\n").unwrap();
    assert_eq!(
        std::fs::read(root.path().join("etc/net/dns")).unwrap(),
        b"10.0.2.3\nmore\n"
    );
    redox::ftruncate(append, 3).unwrap();
    assert_eq!(redox::fstat(append).unwrap().st_size, 3);
    assert_eq!(errno(open("/etc/net/none", O_RDONLY)), syscall::ENOENT);
    assert_eq!(errno(open("/etc/net", O_RDONLY)), syscall::EISDIR);
    assert_eq!(
        errno(open("/etc/net/dns", O_RDONLY | O_DIRECTORY)),
        syscall::ENOTDIR
    );
}

#[test]
fn directories_read_as_directories_and_open_what_is_in_them() {
    let (_root, host) = with_root();
    let _me = client(&host);
    let etc = open("/etc", O_RDONLY | O_DIRECTORY).unwrap();
    let mut buf = [0; 512];
    let count = redox::getdents(etc, &mut buf, 0).unwrap();
    assert_eq!(entry_names(&buf[..count]), ["net"]);
    assert_eq!(errno(redox::read(etc, &mut buf)), syscall::EISDIR);
    redox::setrens(0, 0).unwrap();
    let dns = openat(etc, "net/dns", O_RDONLY).unwrap();
    assert_eq!(
        redox::read(dns, &mut buf).unwrap(),
        9,
        "in the null namespace too"
    );
    calls::unlinkat(etc, "net/dns", 0).unwrap();
    assert_eq!(errno(openat(etc, "net/dns", O_RDONLY)), syscall::ENOENT);
}

#[test]
fn no_path_leads_out_of_the_root() {
    let (root, host) = with_root();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    symlink(outside.path(), root.path().join("way")).unwrap();
    symlink("../../../../../../etc/net/dns", root.path().join("up")).unwrap();
    symlink("/etc/net/dns", root.path().join("absolute")).unwrap();
    let _me = client(&host);
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(errno(open("/way/secret", O_RDONLY)), syscall::ENOENT);
    assert_eq!(
        errno(open(&format!("/../{name}/secret"), O_RDONLY)),
        syscall::ENOENT
    );
    let etc = open("/etc", O_RDONLY | O_DIRECTORY).unwrap();
    assert_eq!(
        errno(openat(etc, &format!("../../{name}/secret"), O_RDONLY)),
        syscall::ENOENT
    );
    for link in ["/up", "/absolute", "/etc/../../etc/net/dns"] {
        let fd = open(link, O_RDONLY).unwrap();
        assert_eq!(
            redox::read(fd, &mut [0; 64]).unwrap(),
            9,
            "{link} ends inside"
        );
    }
}
