//! What a program sees of its sockets: some four hundred cases (tests/sockets), the same over Linux and over smolnetd but
//! for a list of differences with their reasons.

use std::time::Duration;

use lab::Process;
use lab::network::Namespace;
use lab::requires_tap;

use crate::programs::{Lab, built};
use crate::traffic::{LINUX, OURS, on_tap_of};

/// All cases together; each has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(300);
/// What must be different over smolnetd.
const DIFFERENCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sockets/differences");

/// smolnetd at 10.9.0.2 and Linux at 10.9.0.1 with both families; no route leads further.
fn lab() -> Option<Lab> {
    if !requires_tap() {
        return None;
    }
    let namespace = Namespace::new().unwrap();
    let stack = on_tap_of(&namespace, None);
    Some(Lab::of((namespace, stack)))
}

/// Every case must have passed, or differed as it must.
fn all_pass(mut cases: Process) {
    let status = cases.wait(PATIENCE);
    let told = String::from_utf8_lossy(&cases.output()).into_owned();
    let errors = String::from_utf8_lossy(&cases.errors()).into_owned();
    let failed: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with("ok "))
        .collect();
    let failed = failed.join("\n");
    let passed = status.as_ref().is_ok_and(|status| status.success());
    assert!(passed, "{status:?}\n{failed}\n{errors}");
    println!("{failed}");
}

#[test]
fn sockets_of_linux_are_what_the_cases_say() {
    let Some(lab) = lab() else { return };
    let cases = built("socket-tests", "sockets");
    let line = format!("{} {OURS}", cases.display());
    all_pass(lab.peers().program(&line, "").unwrap().start().unwrap());
}

#[test]
fn sockets_over_smolnetd_are_what_the_cases_say_but_for_the_list() {
    let Some(lab) = lab() else { return };
    let cases = built("socket-tests", "sockets");
    let line = format!("{} --differences {DIFFERENCES} {LINUX}", cases.display());
    all_pass(lab.program(&line, "").start().unwrap());
    lab.all_is_given_back();
}
