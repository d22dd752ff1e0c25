//! A scripted console at the other end of a socket pair.

use std::thread;

use super::*;

const SOON: Duration = Duration::from_millis(100);
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// The other side: says and hears in turn, by its script; keeps the line until the script's end.
pub(crate) enum Step {
    Says(&'static [u8]),
    /// A line is typed; a terminal sends it back.
    Hears(&'static str),
    /// A key is pressed.
    Feels(Key),
}
use Step::{Feels, Hears, Says};

type Scripted<L> = (Console<L>, thread::JoinHandle<UnixStream>);

pub(crate) fn scripted(script: Vec<Step>) -> Scripted<impl FnMut(&str)> {
    scripted_until(Instant::now() + LONG, script)
}

fn scripted_until(end: Instant, script: Vec<Step>) -> Scripted<impl FnMut(&str)> {
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
                Feels(key) => {
                    let mut pressed = [0];
                    there.read_exact(&mut pressed).unwrap();
                    assert_eq!(pressed, [key as u8]);
                }
            }
        }
        there
    });
    (Console::new(here, end, |_| {}), other)
}

pub(crate) fn logged_in(then: Vec<Step>) -> Scripted<impl FnMut(&str)> {
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
    let mut console = Console::new(here, Instant::now() + LONG, |_| {});
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
    let deadline = Instant::now() + LONG;
    let mut console = Console::new(here, deadline, |line| lines.push(line.to_owned()));
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

#[test]
fn a_user_without_a_password_is_not_asked_for_one() {
    let (mut console, _other) = scripted(vec![
        Says(b"redox login: "),
        Hears("user"),
        Says(b"welcome\r\nuser:~$ "),
        Hears("true"),
        Says(b"user:~$ "),
        Hears("echo status $?"),
        Says(b"status 0\r\nuser:~$ "),
    ]);
    console.log_in("user", "never asked for", LONG).unwrap();
    assert_eq!(console.run("true", LONG).unwrap().status, 0);
}

#[test]
fn the_shell_that_comes_back_after_a_key_is_at_its_prompt() {
    let (mut console, _other) = logged_in(vec![
        Hears("ping"),
        Says(b"PING 10.0.2.2\r\n"),
        Feels(Key::Interrupt),
        Says(b"^C\r\nroot:/# "),
        Hears("true"),
        Says(b"root:/# "),
        Hears("echo status $?"),
        Says(b"status 0\r\nroot:/# "),
    ]);
    assert!(console.run("ping", SOON).is_err());
    assert_eq!(console.running(), Some("ping"));
    assert!(console.press(Key::Interrupt, LONG).unwrap());
    assert_eq!(console.running(), None);
    assert_eq!(console.run("true", LONG).unwrap().status, 0);
}

#[test]
fn nothing_waits_beyond_the_end_of_the_time_for_everything() {
    let started = Instant::now();
    let (mut console, _other) = scripted_until(started + SOON, vec![Says(b"booting\r\n")]);
    let error = console.log_in("root", "", LONG).unwrap_err().to_string();
    assert!(started.elapsed() < LONG / 2);
    assert!(console.is_over());
    assert!(error.contains("time for everything"), "{error}");
}
