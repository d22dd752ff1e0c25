//! Programs of the machine that the lab starts, and that end when the lab ends, however it ends.
//!
//! A [`Process`] is killed when it is dropped, and by the kernel (PR_SET_PDEATHSIG, which `setpriv` sets) when the lab
//! is killed itself. That signal follows the *thread* that started the program, so one thread, which lives as long as
//! the lab, starts them all.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{Context, Error, Result};
use crate::network::Namespace;
use crate::wait;

/// What is kept of each of a program's two outputs, in bytes. What comes later is read and forgotten.
const OUTPUT_KEPT: usize = 16 << 20;

/// A program to start.
#[derive(Debug)]
pub struct Program<'a> {
    path: PathBuf,
    arguments: Vec<OsString>,
    namespace: Option<&'a Namespace>,
    input: bool,
}

impl<'a> Program<'a> {
    /// The program of that name. `package` is the Debian package that brings it, for the error when it is missing.
    pub fn new(name: &str, package: &str) -> Result<Self> {
        let path = find(name).with_package(name, package)?;
        Ok(Self {
            path,
            arguments: Vec::new(),
            namespace: None,
            input: false,
        })
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// It runs in this namespace instead of the lab's own network.
    #[must_use]
    pub fn inside(mut self, namespace: Option<&'a Namespace>) -> Self {
        self.namespace = namespace;
        self
    }

    /// [`Process::take_input`] gives its standard input; without this it reads /dev/null.
    #[must_use]
    pub fn with_input(mut self) -> Self {
        self.input = true;
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<Process> {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut command = self.command()?;
        command
            .stdin(if self.input {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = spawn(command).context(format_args!("starting {name}"))?;
        Process::watch(name, child)
    }

    /// Starts it and waits for its end. An error when it fails or takes longer than `timeout`; its output otherwise.
    pub fn run(self, timeout: Duration) -> Result<Vec<u8>> {
        let mut process = self.start()?;
        let status = process.wait(timeout)?;
        if status.success() {
            return Ok(process.output());
        }
        let errors = process.errors();
        let errors = String::from_utf8_lossy(&errors);
        Err(Error::new(format!(
            "{} failed ({status}): {}",
            process.name,
            errors.trim()
        )))
    }

    fn command(&self) -> Result<Command> {
        let setpriv = find("setpriv").with_package("setpriv", "util-linux")?;
        let mut command = match self.namespace {
            None => Command::new(setpriv),
            Some(namespace) => {
                let mut command =
                    Command::new(find("nsenter").with_package("nsenter", "util-linux")?);
                command
                    .args(namespace.nsenter_arguments())
                    .arg("--")
                    .arg(setpriv);
                command
            }
        };
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.path)
            .args(&self.arguments);
        Ok(command)
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    output: Arc<Captured>,
    errors: Arc<Captured>,
}

impl Process {
    fn watch(name: String, mut child: Child) -> Result<Self> {
        let output = Arc::new(Captured::default());
        let errors = Arc::new(Captured::default());
        if let Some(stdout) = child.stdout.take() {
            output.clone().collect(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            errors.clone().collect(stderr);
        }
        let pidfd = pidfd_open(pid_of(&child), PidfdFlags::empty());
        match pidfd {
            Ok(pidfd) => Ok(Self {
                name,
                child,
                pidfd,
                output,
                errors,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context(format_args!("watching {name}"))
            }
        }
    }

    /// Its name, without folders.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when the program has ended.
    pub fn pidfd(&self) -> impl AsFd + '_ {
        self.pidfd.as_fd()
    }

    /// Its standard input, once, when [`Program::with_input`] asked for it. Dropping it is the end of the input.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it has written to its standard output so far.
    pub fn output(&self) -> Vec<u8> {
        self.output.bytes()
    }

    /// What it has written to its standard error so far.
    pub fn errors(&self) -> Vec<u8> {
        self.errors.bytes()
    }

    /// Waits until it has written `text` to its standard output; an error when it ended or `timeout` passed before.
    pub fn wait_for_output(&self, text: &str, timeout: Duration) -> Result<()> {
        self.output
            .wait_for(text, timeout)
            .context(self.description())
    }

    /// Waits until it has written `text` to its standard error; an error when it ended or `timeout` passed before.
    pub fn wait_for_errors(&self, text: &str, timeout: Duration) -> Result<()> {
        self.errors
            .wait_for(text, timeout)
            .context(self.description())
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.pidfd, signal).context(format_args!("signalling {}", self.name))
    }

    /// Waits for its end, by when all of its output has been collected. It keeps running after a `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let ended = wait::readable(&[self.pidfd.as_fd()], Some(timeout))?;
        if ended != [true] {
            return Err(Error::new(format!(
                "{} still runs after {timeout:?}",
                self.description()
            )));
        }
        let status = self.child.wait().context(self.description())?;
        self.output.wait_for_end();
        self.errors.wait_for_end();
        Ok(status)
    }

    fn description(&self) -> String {
        let errors = self.errors();
        let errors = String::from_utf8_lossy(&errors);
        if errors.trim().is_empty() {
            self.name.clone()
        } else {
            format!("{} (it said: {})", self.name, errors.trim())
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and wait() only collects it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// One output of a program, collected by a thread of its own so that the program never blocks on a full pipe.
#[derive(Debug, Default)]
struct Captured {
    state: Mutex<CapturedState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct CapturedState {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn collect(self: Arc<Self>, mut from: impl Read + Send + 'static) {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let mut state = self.lock();
                let room = OUTPUT_KEPT.saturating_sub(state.bytes.len()).min(length);
                state.bytes.extend(buffer.iter().take(room));
                drop(state);
                self.changed.notify_all();
            }
            self.lock().ended = true;
            self.changed.notify_all();
        });
    }

    fn lock(&self) -> MutexGuard<'_, CapturedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    fn wait_for(&self, text: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if String::from_utf8_lossy(&state.bytes).contains(text) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                let said = String::from_utf8_lossy(&state.bytes).into_owned();
                let why = if state.ended {
                    "it ended".into()
                } else {
                    format!("not within {timeout:?}")
                };
                return Err(Error::new(format!(
                    "waited for {text:?} ({why}), saw {said:?}"
                )));
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The pipe may be held open by a grandchild that outlives the program; a second is enough for what is in it.
    fn wait_for_end(&self) {
        let state = self.lock();
        let timeout = Duration::from_secs(1);
        drop(
            self.changed
                .wait_timeout_while(state, timeout, |state| !state.ended),
        );
    }
}

/// Looks where shells look, and where Debian keeps what only root has in its PATH.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

trait WithPackage {
    fn with_package(self, name: &str, package: &str) -> Result<PathBuf>;
}

impl WithPackage for Option<PathBuf> {
    fn with_package(self, name: &str, package: &str) -> Result<PathBuf> {
        self.context(format_args!("{name} is not installed: it comes with the Debian package {package} (apt install {package})"))
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` on the thread that lives as long as the lab.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever ordered it waits for the answer, so it can be delivered.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, inbox) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts programs is gone");
    spawner
        .send((command, answer))
        .map_err(|_| io::Error::other("the thread that starts programs is gone"))?;
    inbox.recv().map_err(gone)?
}
