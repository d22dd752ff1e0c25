//! What a program does with the descriptors of its sockets: see the script.

use super::{Lab, text};
use crate::traffic::LINUX;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/stories/programs/descriptors.py"
);

#[test]
fn descriptors_are_copied_inherited_passed_on_and_counted() {
    let Some(lab) = Lab::start() else { return };
    let (code, said) = lab.code(&format!("/usr/bin/python3 {SCRIPT}"), "python3");
    assert_eq!(code, Some(0), "{said}");
    println!("{said}");
    lab.all_is_given_back();
}

/// So that the script says what is true: it passes over Linux's own sockets too.
#[test]
fn descriptors_of_linux_do_the_same() {
    let Some(lab) = Lab::start() else { return };
    lab.run_on_linux(&format!("/usr/bin/python3 {SCRIPT}"), "python3");
}

/// gethostbyname and its kin, by which `getent` asks.
#[test]
fn older_programs_look_names_up_too() {
    let Some(lab) = Lab::start() else { return };
    let _names = lab.name_server();
    let script = "print(*__import__('socket').gethostbyname_ex('www.lab.test'))";
    let answer = lab.run(&format!("/usr/bin/python3 -c {script}"), "python3");
    assert_eq!(text(&answer), format!("www.lab.test [] ['{LINUX}']\n"));
    let answer = lab.run("getent hosts www.lab.test", "libc-bin");
    assert!(text(&answer).starts_with(&LINUX.to_string()));
    // 2: there is no such name.
    assert_eq!(
        lab.code("getent hosts nobody.lab.test", "libc-bin").0,
        Some(2)
    );
    lab.all_is_given_back();
}
