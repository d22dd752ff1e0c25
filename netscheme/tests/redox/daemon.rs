//! What a daemon does at its start.

use std::sync::{Arc, Mutex};

use crate::support::*;
use log::LevelFilter;
use netscheme::daemon::{self, NotReported};
use netscheme::{logging, random};
use redox_host::ProcessSpec;
use syscall::error::{EBADF, ENODEV, Error};
use syscall::flag::{O_RDONLY, O_RDWR};

#[test]
fn init_hears_one_byte_and_then_the_end() {
    let host = host();
    let init = host.enter(ProcessSpec::new("init"));
    let pipe = open("pipe", O_RDWR);
    let write_end = libredox::Fd::new(pipe.dup(b"write").unwrap());
    let spec = ProcessSpec::new("daemon")
        .fd(7, &init, write_end.raw())
        .unwrap()
        .env("INIT_NOTIFY", "7");
    drop(write_end);
    let process = host.spawn(spec, || {
        daemon::ready(redox_host::env("INIT_NOTIFY").as_deref()).unwrap();
        // A second time there is nobody to tell any more.
        let again = daemon::ready(redox_host::env("INIT_NOTIFY").as_deref());
        assert_eq!(again, Err(NotReported::Failed(Error::new(EBADF))));
        0
    });
    let mut byte = [0xff; 2];
    assert_eq!(pipe.read(&mut byte).unwrap(), 1);
    assert_eq!(byte[0], 0);
    assert_eq!(status(&process), 0);
    assert_eq!(
        pipe.read(&mut byte).unwrap(),
        0,
        "the daemon closed its end"
    );
}

#[test]
fn a_stale_init_notify_does_not_end_the_daemon() {
    let host = host();
    let _entered = host.enter(ProcessSpec::new("daemon"));
    assert_eq!(
        daemon::ready(Some("77")),
        Err(NotReported::Failed(Error::new(EBADF)))
    );
}

#[test]
fn nothing_opens_in_the_null_namespace_but_what_is_open_stays() {
    let host = host();
    let (_provider, _window) = provider(&host, "lines", Options::default());
    let _entered = host.enter(ProcessSpec::new("daemon"));
    let (end, peer) = (open("lines/a", O_RDWR), open("lines/a.peer", O_RDWR));
    daemon::enter_null_namespace().unwrap();
    assert_eq!(errno(try_open("lines/a", O_RDONLY)), ENODEV);
    write(&peer, "still open").unwrap();
    assert_eq!(read(&end).unwrap(), "still open");
}

#[test]
fn two_seeds_differ() {
    let host = host();
    let _entered = host.enter(ProcessSpec::new("daemon"));
    let (first, second) = (random::seed().unwrap(), random::seed().unwrap());
    assert_ne!(first, second);
    assert_ne!(first, [0; 32]);
}

#[test]
fn the_lines_of_two_daemons_bear_their_names() {
    let host = host();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    host.set_log(move |_, _, line| {
        sink.lock()
            .unwrap()
            .push(String::from_utf8(line.to_vec()).unwrap())
    });
    let daemon = |name: &'static str, level| {
        host.spawn(ProcessSpec::new(name), move || {
            logging::init(name, level);
            log::warn!("no room for frame {}", 3);
            log::debug!("details");
            0
        })
    };
    assert_eq!(status(&daemon("smolnetd", LevelFilter::Info)), 0);
    assert_eq!(status(&daemon("virtio-netd", LevelFilter::Debug)), 0);
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "smolnetd: warn: no room for frame 3",
            "virtio-netd: warn: no room for frame 3",
            "virtio-netd: debug: details",
        ]
    );
}
