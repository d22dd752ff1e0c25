//! A scripted console at the other end of a socket pair.

use std::thread;

use super::*;

const SOON: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(10);

/// The other side: says and hears in turn, by its script; keeps the line until the script's end.
enum Step {
    Says(&'static [u8]),
    /// A line is typed; a terminal sends it back.
    Hears(&'static str),
}
use Step::{Hears, Says};

fn scripted(script: Vec<Step>) -> (Console<impl FnMut(&str)>, thread::JoinHandle<UnixStream>) {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.set_read_timeout(Some(LONG)).unwrap();
    let other = thread::spawn(move || {
        for step in script {
            match step {
                // Byte by byte: nothing depends on how the line cuts it.
                Says(bytes) => bytes.chunks(1).for_each(|b| there.write_all(b).unwrap()),
                Hears(line) => {
                    let mut typed = vec![0; line.len() + 1];
                    there.read_exact(&mut typed).unwrap();
                    assert_eq!(String::from_utf8(typed).unwrap(), format!("{line}\r"));
                    there.write_all(format!("{line}\r\n").as_bytes()).unwrap();
                }
            }
        }
        there
    });
    (Console::new(here, |_| {}), other)
}

fn logged_in(then: Vec<Step>) -> (Console<impl FnMut(&str)>, thread::JoinHandle<UnixStream>) {
    let mut script = vec![
        Says(b"kernel: hello\r\n\r\nredox login: "),
        Hears("root"),
        Says(b"password: "),
        Hears("secret"),
        Says(b"\x1b[1;32mWelcome to Redox\x1b[0m\r\n\x1b]0;root: ~\x07\x1b[38;5;9mroot\x1b[m:/# "),
    ];
    script.extend(then);
    let (mut console, other) = scripted(script);
    console.log_in("root", "secret", LONG).unwrap();
    assert_eq!(console.prompt, "root:/# ");
    (console, other)
}

#[test]
fn a_command_gives_what_it_printed_and_its_status() {
    let (mut console, _other) = logged_in(vec![
        Hears("ping -c 1 host"),
        Says(b"64 bytes from host\r\nno line end\xc3\xa4root:/# "),
        Hears("echo status $?"),
        Says(b"status 3\r\nroot:/# "),
        Hears("true"),
        Says(b"root:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
    ]);
    let done = console.run("ping -c 1 host", LONG).unwrap();
    assert_eq!(
        (done.status, done.output.as_str()),
        (3, "64 bytes from host\nno line end\u{e4}")
    );
    let done = console.run("true", LONG).unwrap();
    assert_eq!((done.status, done.output.as_str()), (0, ""));
}

#[test]
fn something_can_be_done_while_a_command_runs() {
    let (mut console, _other) = logged_in(vec![
        Hears("nc -l 7"),
        Says(b"listening on port 7\r\n"),
        Says(b"hello\r\nroot:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
    ]);
    console.start("nc -l 7").unwrap();
    console
        .expect("listening on", Instant::now() + LONG)
        .unwrap();
    let done = console.finish(LONG).unwrap();
    assert!(done.output.ends_with("hello\n"), "{done:?}");
}

#[test]
fn what_does_not_end_is_left_in_time_and_the_error_shows_the_last_words() {
    let (mut console, _other) = logged_in(vec![Hears("ping"), Says(b"PING 127.0.0.1\r\n")]);
    let started = Instant::now();
    let error = console.run("ping", SOON).unwrap_err().to_string();
    assert!(started.elapsed() < LONG / 2);
    assert!(
        error.contains("in vain") && error.contains("PING 127.0.0.1"),
        "{error}"
    );
}

#[test]
fn a_console_that_never_asks_who_is_there_is_left_in_time() {
    let (mut console, _other) = scripted(vec![Says(b"panic in the kernel\r\n")]);
    let error = console.log_in("root", "", SOON).unwrap_err().to_string();
    assert!(error.contains("panic in the kernel"), "{error}");
}

#[test]
fn a_console_that_ends_is_an_error_at_once() {
    let (mut console, other) = logged_in(vec![Hears("reboot")]);
    let started = Instant::now();
    console.start("reboot").unwrap();
    drop(other.join().unwrap());
    let error = console.finish(LONG).unwrap_err().to_string();
    assert!(error.contains("is gone"), "{error}");
    assert!(started.elapsed() < LONG / 2);
}

#[test]
fn a_console_that_does_not_stop_is_left() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let other = thread::spawn(move || {
        // Ends when nobody reads any more.
        while there.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let mut console = Console::new(here, |_| {});
    let error = console.log_in("root", "", LONG).unwrap_err().to_string();
    assert!(error.contains("does not stop"), "{error}");
    drop(console);
    other.join().unwrap();
}

#[test]
fn a_shell_that_says_no_status_is_an_error() {
    let (mut console, _other) = logged_in(vec![
        Hears("true"),
        Says(b"root:/# "),
        Hears("echo status $?"),
        Says(b"status $?\r\nroot:/# "),
    ]);
    let error = console.run("true", LONG).unwrap_err().to_string();
    assert!(error.contains("no status"), "{error}");
}

#[test]
fn whole_lines_are_logged_once() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(b"one\r\n\x1b[1mtwo\r\nlog").unwrap();
    let mut lines = Vec::new();
    let mut console = Console::new(here, |line| lines.push(line.to_owned()));
    let deadline = Instant::now() + LONG;
    assert_eq!(
        console.look_for(&["never", "log"], deadline).unwrap(),
        Some(1)
    );
    there.write_all(b"in: \r\n").unwrap();
    console.expect("login: \n", deadline).unwrap();
    console.forget();
    drop(console);
    assert_eq!(lines, ["one", "two", "login: "]);
}
