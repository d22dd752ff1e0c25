//! Commands that do not end, at a scripted console.

use super::*;
use crate::console::tests::Step::{Feels, Hears, Says};
use crate::console::tests::{LONG, logged_in};

const SOON: Duration = Duration::from_millis(50);

fn root() -> Login {
    Login::new("root", "secret")
}

fn never<L: FnMut(&str)>(_: &mut Console<L>) -> Result<()> {
    Err(Error::new("nobody was to restart it"))
}

#[test]
fn ctrl_c_is_enough_for_most() {
    let (mut console, _other) = logged_in(vec![
        Hears("ping 10.0.2.2"),
        Feels(Key::Interrupt),
        Says(b"^C\r\nroot:/# "),
        Hears("next"),
        Says(b"root:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
    ]);
    assert!(console.run("ping 10.0.2.2", SOON).is_err());
    let how = recover(&mut console, &root(), LONG, never).unwrap();
    assert_eq!(how, "interrupted");
    assert_eq!(console.run("next", LONG).unwrap().status, 0);
}

#[test]
fn what_takes_no_interrupt_is_left_and_killed_and_the_login_is_a_fresh_one() {
    let (mut console, _other) = logged_in(vec![
        Hears("/usr/bin/nc 10.0.2.2:7"),
        Feels(Key::Interrupt),
        Says(b"^C\r\n"),
        Feels(Key::Suspend),
        Says(b"^Z\r\nroot:/# "),
        Hears("ps"),
        Says(b"PID EUID EGID STAT NAME\r\n7 0 0 UB /usr/bin/smolnetd\r\n41 0 0 UZ nc\r\n42 0 0 UB /usr/bin/nc\r\nroot:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
        Hears("kill -9 42"),
        Says(b"root:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
        Hears("exit"),
        Says(b"\r\nredox login: "),
        Hears("root"),
        Says(b"password: "),
        Hears("secret"),
        Says(b"\r\nroot:/# "),
    ]);
    let command = "/usr/bin/nc 10.0.2.2:7";
    assert!(console.run(command, SOON).is_err());
    let how = recover(&mut console, &root(), SOON, never).unwrap();
    assert_eq!(how, "killed");
    assert_eq!(console.running(), None);
}

#[test]
fn a_shell_that_does_not_come_back_is_left_with_its_machine() {
    let (mut console, _other) = logged_in(vec![
        Hears("net cat /scheme/netcfg/stats"),
        Feels(Key::Interrupt),
        Feels(Key::Suspend),
        // The machine starts again.
        Says(b"loader\r\n\r\nredox login: "),
        Hears("root"),
        Says(b"password: "),
        Hears("secret"),
        Says(b"\r\nroot:/# "),
    ]);
    let command = "net cat /scheme/netcfg/stats";
    assert!(console.run(command, SOON).is_err());
    let mut restarted = false;
    let how = recover(&mut console, &root(), SOON, |console| {
        restarted = true;
        console.expect("login: ", Instant::now() + LONG)
    });
    assert_eq!(how.unwrap(), "ended by a restart of the machine");
    assert!(restarted);
    assert_eq!(console.running(), None);
}

#[test]
fn a_process_is_known_by_the_last_part_of_its_name_and_a_long_one_by_all_of_it() {
    let list = "PID   EUID  EGID  STAT  CPU  NAME\n\
                11    0     0     UB    0    /scheme/initfs/lib/drivers/virti\n\
                12    0     0     UB    0    /usr/lib/drivers/network/virtio-\n\
                12    0     0     UB    1    /usr/lib/drivers/network/virtio-\n\
                13    0     0     UB    0    [kernel] virtio\n\
                14    0     0     UZ    0    /usr/lib/drivers/network/virtio-\n";
    let driver = "/usr/lib/drivers/network/virtio-netd";
    assert_eq!(numbers(list, driver), [12], "and not the disk's");
    assert!(numbers(list, "virtio-netd").is_empty());
    assert_eq!(numbers("23 0 0 UR /usr/bin/smolnetd", "smolnetd"), [23]);
    assert!(numbers(list, "netd").is_empty());
    assert!(numbers("", "nc").is_empty());
}
