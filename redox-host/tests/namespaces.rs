//! Namespaces (bootstrap's namespace manager, relibc's setrens and mkns).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use libredox::call as redox;
use redox_host::{ProcessSpec, calls};
use syscall::flag::{O_DIRECTORY, O_RDONLY, O_RDWR};

fn names(fd: usize, room: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut opaque = 0;
    loop {
        let mut buf = vec![0; room];
        let count = redox::getdents(fd, &mut buf, opaque).unwrap();
        if count == 0 {
            return all;
        }
        all.extend(entry_names(&buf[..count]));
        opaque = syscall::dirent::DirentIter::new(&buf[..count])
            .last()
            .unwrap()
            .unwrap()
            .0
            .next_opaque_id;
    }
}

#[test]
fn the_schemes_can_be_listed() {
    let host = host();
    let _daemon = Daemon::start(&host, "mine");
    let _me = client(&host);
    for path in ["/scheme", "/scheme/"] {
        let list = open(path, O_RDONLY | O_DIRECTORY).unwrap();
        let found = names(list, 4096);
        assert_eq!(found, names(list, 40), "in pieces, too");
        assert_eq!(
            found,
            [
                "debug", "event", "irq", "log", "memory", "mine", "null", "pipe", "rand", "time",
                "zero"
            ]
        );
        assert_eq!(redox::fstat(list).unwrap().st_mode & 0o170_000, 0o040_000);
    }
}

#[test]
fn the_null_namespace_has_memory_and_pipe_only() {
    let host = host();
    let daemon = Daemon::start(&host, "kept");
    let me = client(&host);
    daemon.start_job(|raw| {
        raw.accept_open(1);
        raw.accept_open(2);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(5));
    });
    let root = open("/scheme/kept/", O_RDWR).unwrap();
    let null = open("/scheme/null", O_RDWR).unwrap();
    assert_eq!(redox::setrens(0, 0).unwrap(), 0);
    assert_eq!(errno(open("/scheme/kept/x", O_RDWR)), syscall::ENODEV);
    assert_eq!(errno(open("/etc/net/dns", O_RDWR)), syscall::ENODEV);
    assert_eq!(errno(open("/scheme/event", O_RDWR)), syscall::ENODEV);
    assert_eq!(
        errno(open("/scheme/namespace/scheme-creation-cap", O_RDWR)),
        syscall::EACCES
    );
    assert!(open("/scheme/memory/zeroed", O_RDWR).is_ok());
    assert!(open("/scheme/pipe", O_RDWR).is_ok());
    let below = openat(root, "x", O_RDWR).unwrap();
    assert_eq!(
        redox::read(below, &mut [0; 8]).unwrap(),
        5,
        "what is open stays, and opens what is below"
    );
    assert_eq!(redox::write(null, b"abc").unwrap(), 3);
    let list = open("/scheme/", O_RDONLY | O_DIRECTORY).unwrap();
    assert_eq!(names(list, 512), ["memory", "pipe"]);
    drop(me);
}

#[test]
fn a_new_scheme_is_seen_in_the_namespace_it_was_registered_in() {
    let host = host();
    let _me = client(&host);
    let fork = calls::mkns(&["null", "kind.*"]).unwrap();
    let daemon = Daemon::start(&host, "kind.late");
    assert!(daemon.process.is_running());
    let old = redox::setns(fork).unwrap();
    assert_eq!(
        errno(open("/scheme/kind.late/", O_RDWR)),
        syscall::ENODEV,
        "a fork is a copy"
    );
    assert_eq!(redox::setns(old).unwrap(), fork);
    let again = calls::mkns(&["null", "kind.*", "nobody"]).unwrap();
    redox::setns(again).unwrap();
    let list = open("/scheme/", O_RDONLY | O_DIRECTORY).unwrap();
    assert_eq!(names(list, 512), ["kind.late", "null"]);
}

#[test]
fn forks_may_register_and_remove_but_not_create() {
    let host = host();
    let me = client(&host);
    let raw = Raw::create("first");
    let fork = calls::mkns(&["first"]).unwrap();
    redox::setns(fork).unwrap();
    let root = raw.socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
    redox::register_scheme_to_ns(fork, "second", root).unwrap();
    assert_eq!(
        errno(redox::close(root)),
        syscall::EBADF,
        "the root went to the namespace"
    );
    let root = raw.socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
    assert_eq!(
        errno(redox::register_scheme_to_ns(fork, "second", root)),
        syscall::EEXIST
    );
    let root = raw.socket.create_this_scheme_fd(0, 1, 0, 0).unwrap();
    assert_eq!(
        errno(redox::register_scheme_to_ns(fork, "sec/ond", root)),
        syscall::EINVAL
    );
    calls::unlinkat(fork, "/scheme/first", 0).unwrap();
    assert_eq!(errno(open("/scheme/first/", O_RDWR)), syscall::ENODEV);
    assert!(redox_scheme::Socket::create().is_err());
    drop(me);
}

#[test]
fn a_process_can_be_given_few_schemes() {
    let host = host();
    let _me = host.enter(
        ProcessSpec::new("user")
            .uid(1000)
            .schemes(&["null", "rand"]),
    );
    assert!(open("/scheme/null", O_RDWR).is_ok());
    assert_eq!(errno(open("/scheme/irq/bsp", O_RDONLY)), syscall::ENODEV);
}

#[test]
fn paths_of_the_old_form_and_of_the_file_system_find_their_scheme() {
    let host = host();
    let _me = client(&host);
    let old = open("time:4", O_RDONLY).unwrap();
    let mut path = [0; 32];
    let count = redox::fpath(old, &mut path).unwrap();
    assert_eq!(&path[..count], b"/scheme/time/4/");
    assert_eq!(
        errno(open("/etc/passwd", O_RDONLY)),
        syscall::ENODEV,
        "no file scheme in this machine"
    );
    assert_eq!(
        errno(open("/scheme/namespace/other", O_RDONLY)),
        syscall::EINVAL
    );
}
