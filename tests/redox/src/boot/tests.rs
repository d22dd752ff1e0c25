//! A QEMU that is a shell, or sleeps.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::*;

#[test]
fn a_qemu_that_does_not_start_is_noticed_at_once_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let qemu = Program::new("sh", "dash").unwrap();
    let qemu = qemu.args(["-c", "echo no such machine >&2; exit 1"]);
    let qemu = qemu.start().unwrap();
    qemu.wait_for_errors("no such machine", QEMU).unwrap();
    let started = Instant::now();
    let error = accept(&listener, &qemu, started + QEMU).unwrap_err();
    assert!(started.elapsed() < QEMU / 2);
    assert!(error.to_string().contains("no such machine"), "{error}");
}

#[test]
fn a_qemu_that_does_not_connect_is_left_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let qemu = Program::new("sleep", "coreutils").unwrap().arg("60");
    let qemu = qemu.start().unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    assert!(accept(&listener, &qemu, deadline).is_err());
}

/// Set where this program is started by itself, as a harness that will end before its QEMU.
const ENDS_BY: &str = "HARNESS_ENDS_BY";

/// Starts the test of this name again as a process of its own, and gives it with the number of the QEMU that it started.
fn harness(name: &str, ends_by: &str) -> (Child, Pid) {
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ENDS_BY, ends_by)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(harness.stdout.take().unwrap()).lines();
    let number = lines.find_map(|line| line.unwrap().strip_prefix("QEMU ")?.parse().ok());
    (harness, Pid::from_raw(number.unwrap()).unwrap())
}

/// The other side of it: a QEMU is started, told of, and left to whatever comes.
fn be_a_harness(ends_by: &str) {
    let qemu = Program::new("sh", "dash").unwrap();
    let qemu = qemu
        .args(["-c", "echo up; exec sleep 600"])
        .start()
        .unwrap();
    // Before this, it may still be one of the programs that start it.
    qemu.wait_for_output("up", QEMU).unwrap();
    println!("\nQEMU {}", qemu.id());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert!(ends_by != "panic", "the harness has a bug");
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn qemu_ends_with_the_harness_in_whatever_way_that_ends() {
    if let Ok(ends_by) = std::env::var(ENDS_BY) {
        return be_a_harness(&ends_by);
    }
    let name = "boot::tests::qemu_ends_with_the_harness_in_whatever_way_that_ends";
    for ends_by in ["panic", "Ctrl-C", "kill"] {
        let (mut harness, qemu) = harness(name, ends_by);
        // It is the same process whose end is waited for, whoever gets its number afterwards.
        let qemu = pidfd_open(qemu, PidfdFlags::empty()).unwrap();
        let own = Pid::from_child(&harness);
        match ends_by {
            "panic" => harness.stdin.take().unwrap().write_all(b"go on\n").unwrap(),
            "Ctrl-C" => kill_process(own, Signal::INT).unwrap(),
            _ => kill_process(own, Signal::KILL).unwrap(),
        }
        let status = harness.wait().unwrap();
        assert!(!status.success(), "{ends_by}");
        assert_eq!(status.signal().is_none(), ends_by == "panic", "{status}");
        let mut fds = [PollFd::new(&qemu, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        assert_eq!(
            poll(&mut fds, Some(&limit)),
            Ok(1),
            "{ends_by}: QEMU runs on"
        );
    }
}
