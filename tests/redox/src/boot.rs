//! A Redox in QEMU, from power to the prompt. QEMU ends with it.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::network::Namespace;
use lab::{Context, Error, Process, Program, Result, RunDirectory};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::arguments::{Accelerator, Boot, Machine, Network, Nic};
use crate::console::Console;
use crate::recovery::{Login, PATIENCE, recover};

/// QEMU has to reach for its sockets in this time.
const QEMU: Duration = Duration::from_secs(20);
/// Boot loader and system; a processor made by a program takes its time.
const BOOT: Duration = Duration::from_secs(180);
/// How long the console is listened to before the key is pressed (again).
const PAUSE: Duration = Duration::from_secs(2);
/// What the boot loader asks, if it speaks on the serial line at all.
const LOADER: &str = "Arrow keys";
const LOGIN: &str = "login: ";

/// What to boot.
#[derive(Clone, Copy)]
pub(crate) struct Spec<'a> {
    pub(crate) machine: Machine,
    pub(crate) accelerator: Accelerator,
    pub(crate) nic: Nic,
    pub(crate) network: Network,
    /// The disk, which is not written to.
    pub(crate) disk: &'a Path,
    pub(crate) forward: (u16, u16),
    /// Who logs in first.
    pub(crate) login: &'a Login,
    /// When everything ends.
    pub(crate) end: Instant,
}

/// A Redox that runs.
pub(crate) struct Redox<L: FnMut(&str)> {
    pub(crate) console: Console<L>,
    pub(crate) computer: Computer,
    /// Who is logged in, or was last.
    pub(crate) login: Login,
}

/// What a Redox runs on. QEMU ends with it, by its own id, and when the harness ends in whatever way.
pub(crate) struct Computer {
    monitor: UnixStream,
    qemu: Process,
}

/// Starts QEMU in `namespace`; what the console says goes to the run's log, and the packets to the file `pcap` there.
pub(crate) fn start(
    spec: &Spec<'_>,
    namespace: &Namespace,
    run: &Arc<RunDirectory>,
    pcap: &str,
) -> Result<Redox<impl FnMut(&str) + use<>>> {
    // Paths of sockets are short.
    let sockets = tempfile::tempdir().context("a folder for sockets")?;
    let (serial, monitor) = (sockets.path().join("s"), sockets.path().join("m"));
    let listeners =
        [&serial, &monitor].map(|path| UnixListener::bind(path).context(path.display()));
    let [serial_listener, monitor_listener] = listeners;
    let boot = Boot {
        machine: spec.machine,
        accelerator: spec.accelerator,
        nic: spec.nic,
        network: spec.network,
        disk: spec.disk,
        serial: &serial,
        monitor: &monitor,
        pcap: &run.file(pcap),
        forward: spec.forward,
    };
    let (name, package) = spec.machine.qemu();
    let arguments = boot.arguments();
    run.log(
        "harness",
        format!("{name} {}", arguments.join(" ")).as_bytes(),
    );
    let qemu = Program::new(name, package)?
        .args(arguments)
        .inside(Some(namespace))
        .start()?;
    let deadline = spec.end.min(Instant::now() + QEMU);
    let serial = accept(&serial_listener?, &qemu, deadline)?;
    let monitor = accept(&monitor_listener?, &qemu, deadline)?;
    let log = run.clone();
    let log = move |line: &str| log.log("redox", line.as_bytes());
    Ok(Redox {
        console: Console::new(serial, spec.end, log),
        computer: Computer { monitor, qemu },
        login: spec.login.clone(),
    })
}

impl<L: FnMut(&str)> Redox<L> {
    /// Boots to the login, and logs in. The time from the loader to the login.
    pub(crate) fn boot(&mut self) -> Result<Duration> {
        let time = self.computer.boot(&mut self.console)?;
        self.login.enter(&mut self.console)?;
        Ok(time)
    }

    /// Leaves the shell and logs in as somebody else.
    pub(crate) fn become_user(&mut self, login: &Login) -> Result<()> {
        self.console.log_out()?;
        self.login = login.clone();
        self.login.enter(&mut self.console)
    }

    /// Gets back to the prompt from whatever runs; see [`recover`].
    pub(crate) fn recover(&mut self) -> Result<&'static str> {
        let Redox {
            console,
            computer,
            login,
        } = self;
        recover(console, login, PATIENCE, |console| {
            computer.command("system_reset")?;
            computer.boot(console).map(drop)
        })
    }
}

impl Computer {
    /// A line for QEMU's monitor.
    pub(crate) fn command(&mut self, line: &str) -> Result<()> {
        self.monitor
            .write_all(format!("{line}\n").as_bytes())
            .context("QEMU's monitor")
    }

    /// Waits for the login, and presses Enter when the boot loader waits for it.
    fn boot<L: FnMut(&str)>(&mut self, console: &mut Console<L>) -> Result<Duration> {
        let started = Instant::now();
        let deadline = started + BOOT;
        let mut pressed = None;
        loop {
            // Once it speaks, the key has been heard: another one might be taken by what comes after the loader.
            let patience = match pressed.is_some() && console.has_spoken() {
                true => deadline,
                false => deadline.min(Instant::now() + PAUSE),
            };
            let texts: &[&str] = match pressed {
                None => &[LOGIN, LOADER],
                Some(_) => &[LOGIN],
            };
            let found = console.look_for(texts, patience);
            match found.map_err(|error| self.ended(&error))? {
                Some(0) => return Ok(pressed.unwrap_or(started).elapsed()),
                None if Instant::now() >= deadline || console.is_over() => {
                    return Err(self.no_login());
                }
                _ => self.command("sendkey ret")?,
            }
            pressed = Some(Instant::now());
        }
    }

    /// The console is gone, most likely because QEMU is: what that said of it.
    fn ended(&mut self, error: &Error) -> Error {
        // Its end is at hand, if it is not there yet.
        let _ = self.qemu.wait(PAUSE);
        let said = self.qemu.errors();
        let said = String::from_utf8_lossy(&said);
        Error::new(format!(
            "{error}; QEMU said: {}; --accel tcg does without this machine's KVM",
            said.trim()
        ))
    }

    fn no_login(&mut self) -> Error {
        let errors = self.qemu.errors();
        let errors = String::from_utf8_lossy(&errors);
        Error::new(format!(
            "no login on the serial console within {BOOT:?} (QEMU {}; {})",
            if self.qemu.is_running() {
                "runs"
            } else {
                "has ended"
            },
            errors.trim()
        ))
    }
}

/// The next connection; an error when QEMU ends before, or `deadline` passes.
fn accept(listener: &UnixListener, qemu: &Process, deadline: Instant) -> Result<UnixStream> {
    let pidfd: OwnedFd = qemu.pidfd().as_fd().try_clone_to_owned()?;
    let mut fds = [
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(&pidfd, PollFlags::IN),
    ];
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    poll(&mut fds, Some(&left))?;
    let [connection, _] = fds;
    if connection.revents().is_empty() {
        let errors = qemu.errors();
        let errors = String::from_utf8_lossy(&errors);
        return Err(Error::new(format!(
            "QEMU does not start: {}",
            errors.trim()
        )));
    }
    Ok(listener.accept()?.0)
}

#[cfg(test)]
mod tests;
