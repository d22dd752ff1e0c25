//! What the lab and the tests see of a machine: processes, interrupts, logs.
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{IrqController, SharedRam};

/// What a machine is made of.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// The directory behind the `file` scheme: "/etc/net/dns" is `root/etc/net/dns`. None: no `file` scheme.
    pub root: Option<PathBuf>,
    /// Guest RAM behind the `memory` scheme. None: anonymous memory with made-up device addresses.
    pub ram: Option<SharedRam>,
}

/// One machine. Clones are the same machine; when the last clone is dropped every process in it is killed.
#[derive(Clone, Debug)]
pub struct Host(());

impl Host {
    /// Starts a machine without processes.
    pub fn new(_config: HostConfig) -> io::Result<Host> {
        Ok(Host(()))
    }
    /// Starts a daemon: `main` runs on a thread and in a context of its own; its result is the exit status.
    pub fn spawn(&self, _spec: ProcessSpec, _main: impl FnOnce() -> i32 + Send + 'static) -> Process {
        Process(())
    }
    /// Makes the calling thread a process until the guard is dropped (which closes its fds). Nests: the guard restores what was before.
    pub fn enter(&self, _spec: ProcessSpec) -> Entered {
        Entered(std::marker::PhantomData)
    }
    /// The interrupt controller.
    pub fn irq(&self) -> &IrqController {
        &IRQ
    }
    /// Where lines written to fds 1 and 2 and to `/scheme/log` and `/scheme/debug` go: (pid, name of the process, line without its end).
    pub fn set_log(&self, _sink: impl Fn(usize, &str, &[u8]) + Send + Sync + 'static) {}
}
static IRQ: IrqController = IrqController::placeholder();

/// What a process starts with. Fds 0, 1 and 2 are there always: null, log, log.
#[derive(Debug)]
pub struct ProcessSpec(());

impl ProcessSpec {
    /// A process of that name with uid 0, gid 0, no environment.
    pub fn new(_name: impl Into<String>) -> Self {
        Self(())
    }
    /// Its user (real and effective).
    #[must_use]
    pub fn uid(self, _uid: u32) -> Self {
        self
    }
    /// Its group.
    #[must_use]
    pub fn gid(self, _gid: u32) -> Self {
        self
    }
    /// Adds a variable to its environment, which `redox_host::env` reads.
    #[must_use]
    pub fn env(self, _name: impl Into<String>, _value: impl Into<String>) -> Self {
        self
    }
    /// Fd `target` of the new process is fd `raw` of `from` (the same description, as fork inherits it). EBADF when it is not open.
    pub fn fd(self, _target: usize, _from: &Entered, _raw: usize) -> syscall::Result<Self> {
        Ok(self)
    }
    /// The new process lives in the current namespace of `from` instead of a copy of the root namespace.
    #[must_use]
    pub fn namespace_of(self, _from: &Entered) -> Self {
        self
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// `main` returned.
    Exited(i32),
    /// SIGKILL.
    Killed,
    /// `main` panicked with this message.
    Panicked(String),
}

/// A daemon that was started. Dropping this leaves it running.
#[derive(Clone, Debug)]
pub struct Process(());

/// The calling thread as a process.
#[derive(Debug)]
pub struct Entered(std::marker::PhantomData<*mut ()>);

macro_rules! context_api { ($t:ty) => { impl $t {
    /// The process id.
    pub fn pid(&self) -> usize { 0 }
    /// The name it was started under.
    pub fn name(&self) -> &str { "" }
    /// SIGKILL: all its fds close at once, its calls fail with ESRCH from now on; blocked calls return.
    pub fn kill(&self) {}
    /// A signal: the call in which it is blocked is cancelled (EINTR); nothing when it is not blocked.
    pub fn interrupt(&self) {}
    /// How often a blocking read of an event queue returned: the wake-ups of an event-driven daemon.
    pub fn wakeups(&self) -> u64 { 0 }
    /// How many system calls it made.
    pub fn syscalls(&self) -> u64 { 0 }
    /// How many fds are open.
    pub fn open_fds(&self) -> usize { 0 }
    /// How many of its threads are blocked in a call right now.
    pub fn parked(&self) -> usize { 0 }
    /// Waits until at least one of its threads is blocked in a call; false after `timeout`.
    pub fn wait_parked(&self, _timeout: Duration) -> bool { false }
} } }
context_api!(Process);
context_api!(Entered);

impl Process {
    /// Whether its thread still runs.
    pub fn is_running(&self) -> bool {
        false
    }
    /// Waits for the end of its thread; None after `timeout`.
    pub fn wait(&self, _timeout: Duration) -> Option<ExitStatus> {
        None
    }
}

/// A context to which further threads can be attached.
#[derive(Clone, Debug)]
pub struct ContextHandle(());

impl ContextHandle {
    /// Makes the calling thread a further thread of that process until the guard is dropped.
    pub fn attach(&self) -> Attached {
        Attached(std::marker::PhantomData)
    }
}

/// Guard of `ContextHandle::attach`.
#[derive(Debug)]
pub struct Attached(std::marker::PhantomData<*mut ()>);

/// The context of the calling thread.
pub fn current() -> Option<ContextHandle> {
    None
}

/// A variable of the environment of the calling thread's process.
pub fn env(_name: &str) -> Option<String> {
    None
}
