//! Processes: how they end, what they leave behind (nothing), and that machines do not know each other.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

use std::time::Duration;

use libredox::call::{self as redox, MmapArgs};
use redox_host::{ExitStatus, Host, ProcessSpec, env};
use syscall::flag::{O_RDONLY, O_RDWR};
use syscall::schemev2::Opcode;

#[test]
fn an_exit_status_is_what_main_returned() {
    let host = host();
    let process = host.spawn(ProcessSpec::new("three"), || 3);
    assert_eq!(process.wait(LONG), Some(ExitStatus::Exited(3)));
    assert!(!process.is_running());
    assert_eq!(
        process.wait(Duration::ZERO),
        Some(ExitStatus::Exited(3)),
        "asked again"
    );
    assert_eq!(host.usage().processes, 0);
}

#[test]
fn a_panic_is_reported_and_cleaned_up_while_others_go_on() {
    let host = host();
    let other = Daemon::start(&host, "other");
    let daemon = Daemon::start(&host, "panics");
    daemon.start_job(|_| panic!("out of {}", "order"));
    assert_eq!(
        daemon.process.wait(LONG),
        Some(ExitStatus::Panicked("out of order".into()))
    );
    assert_eq!(daemon.process.open_fds(), 0);
    let _me = client(&host);
    assert_eq!(errno(open("/scheme/panics/", O_RDONLY)), syscall::ENODEV);
    other.start_job(|raw| raw.accept_open(1));
    assert!(open("/scheme/other/", O_RDONLY).is_ok());
}

#[test]
fn a_process_has_its_own_identity_and_environment() {
    let host = host();
    let me = host.enter(ProcessSpec::new("me").uid(7).gid(8).env("A", "1"));
    assert_eq!(
        (
            redox::getpid().unwrap(),
            redox::geteuid().unwrap(),
            redox::getegid().unwrap()
        ),
        (me.pid(), 7, 8)
    );
    assert_eq!((env("A"), env("B")), (Some("1".into()), None));
    let (other, seen) = background(&host, ProcessSpec::new("other").env("B", "2"), || {
        (redox::getpid().unwrap(), env("A"), env("B"))
    });
    assert_eq!(
        seen.recv_timeout(LONG).unwrap(),
        (other.pid(), None, Some("2".into()))
    );
    assert_eq!((other.name(), me.name()), ("other", "me"));
}

#[test]
fn a_thread_without_a_process_cannot_call() {
    std::thread::spawn(|| {
        assert_eq!(errno(redox::getpid()), syscall::ESRCH);
        assert_eq!(errno(open("/scheme/null", O_RDWR)), syscall::ESRCH);
        assert!(redox_host::current().is_none());
    })
    .join()
    .unwrap();
}

#[test]
fn a_thread_returns_to_the_process_it_came_from() {
    let host = host();
    let outer = client(&host);
    {
        let inner = client(&host);
        assert_eq!(redox::getpid().unwrap(), inner.pid());
    }
    assert_eq!(redox::getpid().unwrap(), outer.pid());
}

#[test]
fn kill_reaches_processes_of_the_same_machine_only() {
    let host = host();
    let foreign = common::host();
    // So that the numbers of the two machines differ.
    let _pads = [client(&host), client(&host)].map(drop);
    let (process, _) = background(&host, ProcessSpec::new("sleeper"), || {
        let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
        redox::read(pipe, &mut [0; 1]).map_err(|error| error.errno())
    });
    assert!(process.wait_parked(LONG));
    {
        let _elsewhere = client(&foreign);
        assert_eq!(errno(redox::kill(process.pid(), 9)), syscall::ESRCH);
    }
    {
        let _user = host.enter(ProcessSpec::new("user").uid(1000));
        assert_eq!(errno(redox::kill(process.pid(), 9)), syscall::EPERM);
    }
    let _me = client(&host);
    redox::kill(process.pid(), 0).unwrap();
    redox::kill(process.pid(), 9).unwrap();
    assert_eq!(process.wait(LONG), Some(ExitStatus::Killed));
    assert_eq!(errno(redox::kill(process.pid(), 0)), syscall::ESRCH);
}

#[test]
fn machines_do_not_know_each_other() {
    let (one, two) = (host(), host());
    let _daemon = Daemon::start(&one, "only");
    let _same_name = Daemon::start(&two, "only");
    drop(two);
    let _me = client(&one);
    assert!(open("/scheme/null", O_RDWR).is_ok());
    assert_eq!(one.usage().sockets, 1);
}

#[test]
fn the_last_host_switches_the_machine_off() {
    let host = host();
    let clone = host.clone();
    let (process, _) = background(&host, ProcessSpec::new("sleeper"), || {
        let queue = event_queue();
        redox::read(queue, &mut [0; 24]).map_err(|error| error.errno())
    });
    assert!(process.wait_parked(LONG));
    drop(host);
    assert!(process.is_running());
    drop(clone);
    assert_eq!(process.wait(LONG), Some(ExitStatus::Killed));
}

fn linux_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn linux_mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .filter(|line| line.contains("memfd:redox-host"))
        .count()
}

/// One life: a provider with a parked caller and a lent page, a client that maps it; then the provider is killed.
fn live_and_die(host: &Host, round: usize) {
    let name = format!("round{round}");
    let daemon = Daemon::start(host, &name);
    let served = daemon.start_job(move |raw| {
        let lent = map_anonymous();
        raw.accept_open(1);
        let sqe = raw.next();
        raw.answer(sqe.tag, Ok(lent));
        raw.next().opcode
    });
    let (client_process, result) = background(host, ProcessSpec::new("client"), move || {
        let fd = open(&format!("/scheme/{name}/"), O_RDWR).unwrap();
        let queue = event_queue();
        let pipe = open("/scheme/pipe", O_RDONLY).unwrap();
        subscribe(queue, pipe, 0, 1).unwrap();
        map(fd);
        redox::read(fd, &mut [0; 8]).map_err(|error| error.errno())
    });
    assert_eq!(served.recv_timeout(LONG).unwrap(), Opcode::Read as u8);
    daemon.process.kill();
    assert_eq!(result.recv_timeout(LONG).unwrap(), Err(syscall::ENODEV));
    client_process.wait(LONG).unwrap();
    let process = daemon.process.clone();
    drop(daemon);
    process.wait(LONG).unwrap();
    let _me = client(host);
    redox_host::calls::unlinkat(redox::getns().unwrap(), &format!("/scheme/round{round}"), 0)
        .unwrap();
}

#[allow(unsafe_code)]
fn map(fd: usize) -> usize {
    // SAFETY: a fresh mapping changes no memory that is in use.
    unsafe {
        redox::mmap(MmapArgs {
            addr: std::ptr::null_mut(),
            length: 4096,
            prot: 6,
            flags: 1,
            fd,
            offset: 0,
        })
    }
    .unwrap()
    .addr()
}

fn map_anonymous() -> usize {
    map(usize::MAX)
}

#[test]
fn a_thousand_lives_leave_nothing_behind() {
    let host = host();
    live_and_die(&host, 0);
    let (usage, maps) = (host.usage(), linux_mappings());
    for round in 1..=1000 {
        live_and_die(&host, round);
    }
    assert_eq!(host.usage(), usage);
    // Tests beside this one have mappings and files of their own: look at what is this machine's, then only for a trend in the rest.
    assert!(
        linux_mappings() < maps + 100,
        "{} mappings, {maps} before",
        linux_mappings()
    );
    assert!(linux_fds() < 500, "{} files", linux_fds());
}

#[test]
fn ten_thousand_opens_leave_nothing_behind() {
    let host = host();
    let daemon = Daemon::start(&host, "opens");
    let me = client(&host);
    let before = (host.usage(), me.open_fds());
    daemon.start_job(|raw| {
        let mut closed = 0;
        while closed < 10_000 {
            let sqe = raw.next();
            if sqe.opcode == Opcode::OpenAt as u8 {
                raw.answer(sqe.tag, Ok(closed));
            } else {
                closed += 1;
            }
        }
    });
    for _ in 0..10_000 {
        redox::close(open("/scheme/opens/", O_RDONLY).unwrap()).unwrap();
    }
    daemon.run(|_| ());
    assert_eq!((host.usage(), me.open_fds()), before);
}
