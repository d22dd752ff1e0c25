//! Tests that this machine cannot run fail, unless the person says that they may be skipped; then they are counted.

use std::fs::OpenOptions;
use std::io::Write;

use crate::network;

/// The variable that allows tests which need a TAP to be skipped where there cannot be one: "1".
pub const ALLOW_NO_TAP: &str = "LAB_ALLOW_NO_TAP";

/// The variable that names a file to which every skipped test adds its line, for the summary at the end.
pub const SKIPPED_FILE: &str = "LAB_SKIPPED_FILE";

/// True when the test can have a TAP in a namespace of its own. Where it cannot, the test fails with the reason, or,
/// when [`ALLOW_NO_TAP`] is "1", is told to return by a false, and counted.
///
/// # Panics
/// When there can be no TAP and nothing allows to skip the test: that is how a test fails.
#[must_use = "return from the test when this is false"]
pub fn requires_tap() -> bool {
    requires("a TAP", network::tap_available())
}

/// The same for tests that need a namespace and no TAP: root of a user namespace (`unshare -Ur`) can have one.
///
/// # Panics
/// As [`requires_tap`].
#[must_use = "return from the test when this is false"]
pub fn requires_namespace() -> bool {
    requires("a network namespace", network::namespace_available())
}

#[expect(clippy::panic, reason = "a test that cannot run has failed")]
fn requires(what: &str, available: Result<(), String>) -> bool {
    let Err(reason) = available else { return true };
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    if std::env::var(ALLOW_NO_TAP).is_ok_and(|value| value == "1") {
        count(&format!("skipped: {name}: {reason}\n"));
        return false;
    }
    panic!(
        "{name} needs {what}: {reason}. Run as root, or set {ALLOW_NO_TAP}=1 to skip the tests that need one."
    );
}

fn count(line: &str) {
    // Not eprint!: the test harness would keep it to itself, for the test passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(SKIPPED_FILE) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
