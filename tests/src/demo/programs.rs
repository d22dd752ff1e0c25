//! `./demo run`, `up`, `status` and `down`: programs of Linux over smolnetd, and a machine that stays for several of them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use lab::{Context, Door, Error, Result, ask, runs_folder};

use crate::options::Options;
use crate::session::Session;

/// The library, where cargo puts it: beside this program.
const LIBRARY: &str = "libredox_sockets.so";
/// What the machine that is up says when it is.
const UP: &str = "up ";

/// The link to the door of the machine that is up.
fn link() -> PathBuf {
    runs_folder().join("up")
}

/// The door of the machine that is up, and what it says of itself.
fn machine_that_is_up() -> Option<(PathBuf, String)> {
    let door = std::fs::read_link(link()).ok()?;
    let status = ask(&door, "status").ok()?;
    Some((door, status))
}

/// Runs a program on the machine that is up, or on one of its own; how it ended.
pub(crate) fn run(options: &Options, program: &[String]) -> Result<ExitCode> {
    if let Some((door, _)) = machine_that_is_up() {
        return run_at(&door, program);
    }
    let session = Session::start(options)?;
    session.wait_for_network(options)?;
    let door = Door::open(&session.stack)?;
    let code = run_at(door.path(), program);
    door.wait_until_unused();
    drop(door);
    session.keep_pcap(options)?;
    code
}

/// The library to preload.
pub(crate) fn library() -> Result<PathBuf> {
    let library = std::env::current_exe().context("this program's path")?;
    let library = library.with_file_name(LIBRARY);
    match library.is_file() {
        true => Ok(library),
        false => Err(Error::new(format!("{} is missing", library.display()))),
    }
}

fn run_at(door: &Path, program: &[String]) -> Result<ExitCode> {
    let (name, arguments) = program.split_first().context("a program")?;
    let library = library()?;
    let status = Command::new(name)
        .args(arguments)
        .env("LD_PRELOAD", library)
        .env(socket_door::DOOR, door)
        .status()
        .context(name)?;
    // As the shell tells a signal.
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Starts a machine that stays: this program once more, in a session of its own, with these options.
pub(crate) fn up() -> Result<()> {
    if let Some((_, status)) = machine_that_is_up() {
        return Err(Error::new(format!("there is one: {}", describe(&status))));
    }
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.pop();
    arguments.push("serve".into());
    let program = std::env::current_exe().context("this program's path")?;
    let mut command = Command::new("setsid");
    command
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().context("setsid")?;
    let output = child.stdout.take().context("its output")?;
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .context("its output")?;
    match line.strip_prefix(UP) {
        Some(text) => {
            print!("up: {text}");
            Ok(())
        }
        None => Err(Error::new("the machine did not start")),
    }
}

/// What `up` leaves running, until `down`.
pub(crate) fn serve(options: &Options) -> Result<()> {
    let session = Session::start(options)?;
    session.wait_for_network(options)?;
    let door = Door::open(&session.stack)?;
    let folder = session.stack.machine().run().path().to_owned();
    // What stands there is left of one that was killed.
    let _ = std::fs::remove_file(link());
    std::os::unix::fs::symlink(door.path(), link()).context(link().display())?;
    let address = session
        .stack
        .wait_for_ipv4("eth0", std::time::Duration::ZERO);
    let address = address.unwrap_or_else(|_| "no IPv4 address".into());
    println!("{UP}{address}, {}", folder.display());
    std::io::stdout().flush().context("the output")?;
    door.wait_for_down();
    let _ = std::fs::remove_file(link());
    drop(door);
    session.keep_pcap(options)
}

fn describe(status: &str) -> String {
    match status.rsplit_once(' ') {
        Some((folder, sockets)) => format!("{sockets} sockets of programs, {folder}"),
        None => status.to_owned(),
    }
}

pub(crate) fn status() -> Result<()> {
    match machine_that_is_up() {
        Some((_, status)) => println!("up: {}", describe(&status)),
        None => println!("no machine is up"),
    }
    Ok(())
}

pub(crate) fn down() -> Result<()> {
    let Some((door, _)) = machine_that_is_up() else {
        return Err(Error::new("no machine is up"));
    };
    ask(&door, "down")?;
    println!("down");
    Ok(())
}
