//! Daemons and programs that end, hard or by signal, and start again.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use commands::OpenedFile;
use lab::Stack;
use lab::peers::EchoServer;
use redox_host::{ExitStatus, ProcessSpec};
use syscall::error::EINTR;
use syscall::flag::O_RDWR;

use crate::common::{SOON, configured, exchange, is_leased_default, machine, ping};

const AT_ONCE: Duration = Duration::from_secs(2);
const LINK: &str = "/scheme/netcfg/ifaces/eth0/link";

/// A program that reads from an echo socket that nobody answers; its exit status is the error number.
fn blocked_ping(stack: &Stack) -> redox_host::Process {
    let (opened, wait) = std::sync::mpsc::channel();
    let process = stack.host().spawn(ProcessSpec::new("ping"), move || {
        let socket = OpenedFile::open("/scheme/icmp/echo/10.0.2.99", O_RDWR).unwrap();
        opened.send(()).unwrap();
        match socket.read(&mut [0; 64]) {
            Err(commands::Error::Call { errno, .. }) => errno,
            other => panic!("{other:?}"),
        }
    });
    wait.recv_timeout(SOON).unwrap();
    assert!(process.wait_parked(SOON), "the read does not wait");
    process
}

#[test]
fn ctrl_c_on_a_blocked_ping_ends_it_at_once() {
    let stack = configured(machine());
    let process = blocked_ping(&stack);
    assert!(process.interrupt());
    assert_eq!(process.wait(AT_ONCE), Some(ExitStatus::Exited(EINTR)));
    ping(&stack, "10.0.2.2");
}

#[test]
fn a_program_killed_while_it_waits_leaves_nothing_behind() {
    let stack = configured(machine());
    let before = stack.host().usage();
    for _ in 0..20 {
        let process = blocked_ping(&stack);
        process.kill();
        assert_eq!(process.wait(AT_ONCE), Some(ExitStatus::Killed));
    }
    ping(&stack, "127.0.0.1");
    let after = stack.host().usage();
    assert_eq!(
        (after.requests, after.processes),
        (before.requests, before.processes)
    );
}

#[test]
fn a_second_smolnetd_says_who_holds_the_name() {
    let mut stack = configured(machine());
    let first = stack.smolnetd().unwrap().clone();
    let error = stack.start_smolnetd().unwrap_err().to_string();
    assert!(error.contains("/scheme/ip is served already"), "{error}");
    assert!(first.is_running());
    ping(&stack, "10.0.2.2");
}

#[test]
fn a_second_driver_for_the_same_card_is_refused_and_the_first_goes_on() {
    let mut stack = configured(machine());
    let error = stack.start_driver(0).unwrap_err().to_string();
    println!("{error}");
    ping(&stack, "10.0.2.2");
}

#[test]
fn smolnetd_killed_and_started_again_finds_its_adapter() {
    let mut stack = configured(machine());
    for _ in 0..3 {
        let old = stack.smolnetd().unwrap().clone();
        old.kill();
        assert_eq!(old.wait(AT_ONCE), Some(ExitStatus::Killed));
        stack.start_smolnetd().unwrap();
        stack.wait_for_ipv4("eth0", SOON).unwrap();
        ping(&stack, "10.0.2.2");
    }
}

#[test]
fn the_driver_killed_and_started_again_is_found_and_connections_go_on() {
    let server = EchoServer::tcp(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
    let mut stack = configured(machine());
    let peer = (Ipv4Addr::new(10, 0, 2, 2), server.address().port()).into();
    let here = stack.enter("client");
    let connection = OpenedFile::connect(peer).unwrap();
    exchange(&connection, b"before");
    for _ in 0..3 {
        let driver = stack.drivers().first().unwrap().clone();
        driver.kill();
        assert_eq!(driver.wait(AT_ONCE), Some(ExitStatus::Killed));
        stack.start_driver(0).unwrap();
        exchange(&connection, b"after the driver came back");
    }
    drop(connection);
    drop(here);
    stack
        .wait_for(LINK, SOON, |text| text.starts_with("up"))
        .unwrap();
    ping(&stack, "10.0.2.2");
    let names = stack.command("ls /scheme/netcfg/ifaces").out;
    assert_eq!(
        String::from_utf8_lossy(&names),
        "eth0/\nlo/\n",
        "the same name"
    );
}

#[test]
fn without_a_card_the_schemes_answer_and_a_card_that_comes_later_is_found() {
    let mut stack = Stack::start_hardware(machine()).unwrap();
    stack.start_smolnetd().unwrap();
    ping(&stack, "127.0.0.1");
    let done = stack.command("curl http://10.0.2.2/");
    let error = done.result.unwrap_err().to_string();
    assert!(error.contains("unreachable"), "{error}");
    stack.start_driver(0).unwrap();
    stack
        .wait_for("/scheme/netcfg/route/list", SOON, |text| {
            text.lines().any(is_leased_default)
        })
        .unwrap();
    ping(&stack, "10.0.2.2");
}

#[test]
fn an_idle_machine_sleeps() {
    let stack = configured(machine());
    let here = stack.enter("idle");
    let socket = OpenedFile::open("/scheme/udp/0.0.0.0:0/0.0.0.0:4000", O_RDWR).unwrap();
    let driver = stack.drivers().first().unwrap();
    let smolnetd = stack.smolnetd().unwrap();
    // What the start left to do (announcing the address, neighbour states) is done within this time.
    let quiet = || (driver.wakeups(), smolnetd.wakeups());
    let started = std::time::Instant::now();
    let mut before = quiet();
    let mut since = started;
    while since.elapsed() < Duration::from_secs(10) {
        assert!(
            started.elapsed() < Duration::from_secs(90),
            "never idle: {before:?}"
        );
        // Measuring, not waiting for anything: nothing may happen for ten seconds.
        std::thread::sleep(Duration::from_millis(100));
        if quiet() != before {
            before = quiet();
            since = std::time::Instant::now();
        }
    }
    drop(socket);
    drop(here);
}
