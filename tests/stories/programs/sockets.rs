//! What a program sees of its sockets.

use super::Lab;
use crate::traffic::LINUX;

/// The calls that a socket pair would answer otherwise, from errors to edges: see the script.
#[test]
fn sockets_of_a_program_behave_as_those_of_linux() {
    let Some(lab) = Lab::start() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/stories/sockets.py");
    lab.run(&format!("/usr/bin/python3 {script} {LINUX}"), "python3");
    lab.all_is_given_back();
}

/// So that the script says what is true: it passes over Linux's own sockets too.
#[test]
fn sockets_of_linux_behave_as_those_of_linux() {
    let Some(lab) = Lab::start() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/stories/sockets.py");
    lab.run_on_linux(&format!("/usr/bin/python3 {script} {LINUX}"), "python3");
}
