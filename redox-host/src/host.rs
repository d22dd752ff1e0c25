//! What the lab and the tests see of a machine: processes, interrupts, logs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::context::{self, Attachment, Context, Identity};
use crate::files::{Description, FileTable};
use crate::irq::IrqController;
use crate::machine::Machine;
use crate::ram::SharedRam;
use crate::wait::lock;

/// How long `kill` waits for calls that are under way. They end at once unless the sink of the log holds them.
const CALLS_END: Duration = Duration::from_secs(1);

/// What a machine is made of.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// The directory behind the `file` scheme: "/etc/net/dns" is `root/etc/net/dns`. None: there is no `file` scheme.
    pub root: Option<PathBuf>,
    /// Guest RAM behind physically contiguous memory. None: memory that no device reaches, with addresses that look like some.
    pub ram: Option<SharedRam>,
}

/// One machine. Clones are the same machine; when the last clone is dropped every process in it is killed.
/// Any number of machines can live in one Linux process, and know nothing of each other.
#[derive(Clone)]
pub struct Host(Arc<Power>);

/// Switches the machine off when the last `Host` goes.
struct Power(Arc<Machine>);

impl Drop for Power {
    fn drop(&mut self) {
        self.0.power_off();
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").finish()
    }
}

/// How much of the machine is in use: what must be as before once everything that was started has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processes that are alive.
    pub processes: usize,
    /// Scheme sockets that are open.
    pub sockets: usize,
    /// Requests to schemes whose answer nobody took yet.
    pub requests: usize,
    /// Subscriptions of event queues.
    pub subscriptions: usize,
    /// Bytes of guest RAM that are free.
    pub ram_free: u64,
    /// Bytes of anonymous memory that are free.
    pub anonymous_free: u64,
}

impl Host {
    /// Starts a machine without processes.
    pub fn new(config: HostConfig) -> io::Result<Host> {
        Ok(Host(Arc::new(Power(Machine::new(config)?))))
    }

    fn machine(&self) -> &Arc<Machine> {
        &self.0.0
    }

    /// Starts a daemon: `main` runs on a thread and in a process of its own; its result is the exit status.
    /// A process that could not be given a thread ends as panicked.
    pub fn spawn(&self, spec: ProcessSpec, main: impl FnOnce() -> i32 + Send + 'static) -> Process {
        let context = self.create(spec);
        let end = Arc::new(End::default());
        let process = Process {
            context: Arc::clone(&context),
            end: Arc::clone(&end),
        };
        let thread = std::thread::Builder::new().name(context.name().to_owned());
        let started = thread.spawn(move || {
            let attachment = Attachment::new(Arc::clone(&context));
            let result = catch_unwind(AssertUnwindSafe(main));
            let killed = context.is_dead();
            context.end();
            drop(attachment);
            end.set(match result {
                _ if killed => ExitStatus::Killed,
                Ok(status) => ExitStatus::Exited(status),
                Err(panic) => ExitStatus::Panicked(message(&*panic)),
            });
        });
        if let Err(error) = started {
            process.context.end();
            process.end.set(ExitStatus::Panicked(error.to_string()));
        }
        process
    }

    /// Makes the calling thread a process until the guard is dropped, which closes its descriptors and unmaps its memory.
    /// Nests: the guard gives the thread back to the process it belonged to before. Guards must be dropped in the reverse order.
    pub fn enter(&self, spec: ProcessSpec) -> Entered {
        Entered {
            attachment: Attachment::new(self.create(spec)),
            _here: PhantomData,
        }
    }

    fn create(&self, spec: ProcessSpec) -> Arc<Context> {
        let machine = self.machine();
        let mut files = FileTable::default();
        for (target, log) in [(0, false), (1, true), (2, true)] {
            if !spec.files.contains_key(&target) {
                let _ = files.insert_at(target, machine.open_standard(log), false);
            }
        }
        for (target, file) in spec.files {
            let _ = files.insert_at(target, file, false);
        }
        let namespace = match spec.namespace {
            NamespaceSpec::Root => machine.root_namespace(),
            NamespaceSpec::Of(namespace) => namespace,
            NamespaceSpec::Fork(names) => machine.fork_root_namespace(&names),
        };
        let namespace = files.insert(namespace, true, true).unwrap_or(usize::MAX);
        let context = Arc::new(Context::new(
            Arc::clone(machine),
            machine.next_pid(),
            spec.identity,
            files,
            namespace,
        ));
        machine.remember(&context);
        context
    }

    /// The interrupt controller.
    pub fn irq(&self) -> &IrqController {
        &self.machine().irq
    }

    /// The RAM that devices reach.
    pub fn ram(&self) -> &SharedRam {
        self.machine().memory.ram()
    }

    /// Where lines go that are written to descriptors 1 and 2, `/scheme/log` and `/scheme/debug`: pid, name of the process, the line without its end.
    /// Without a sink they are lost.
    pub fn set_log(&self, sink: impl Fn(usize, &str, &[u8]) + Send + Sync + 'static) {
        self.machine().log.set(Arc::new(sink));
    }

    /// Whether callers of a scheme whose socket is closed stay blocked until they are killed, as in kernels since March 2026 ("Fully remove the broken
    /// support for unmounting schemes"). Unless told they get ENODEV, as before and as documented.
    pub fn strand_callers_of_dead_schemes(&self, strand: bool) {
        self.machine()
            .sockets
            .strand
            .store(strand, Ordering::Relaxed);
    }

    /// What is in use.
    pub fn usage(&self) -> Usage {
        let machine = self.machine();
        Usage {
            processes: machine.processes(),
            sockets: machine.sockets.open(),
            requests: machine.sockets.pending(),
            subscriptions: machine.events.registrations(),
            ram_free: machine.memory.ram().free(),
            anonymous_free: machine.memory.free_anonymous(),
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

#[derive(Debug)]
enum NamespaceSpec {
    Root,
    Of(Arc<Description>),
    Fork(Vec<String>),
}

/// What a process starts with. Descriptors 0, 1 and 2 are there always: null, log, log, unless others are given.
#[derive(Debug)]
pub struct ProcessSpec {
    identity: Identity,
    files: BTreeMap<usize, Arc<Description>>,
    namespace: NamespaceSpec,
}

impl ProcessSpec {
    /// A process of that name with uid 0, gid 0, no environment, in the root namespace.
    pub fn new(name: impl Into<String>) -> Self {
        let identity = Identity {
            name: name.into(),
            uid: 0,
            gid: 0,
            env: BTreeMap::new(),
        };
        Self {
            identity,
            files: BTreeMap::new(),
            namespace: NamespaceSpec::Root,
        }
    }

    /// Its user (real and effective).
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.identity.uid = uid;
        self
    }

    /// Its group (real and effective).
    #[must_use]
    pub fn gid(mut self, gid: u32) -> Self {
        self.identity.gid = gid;
        self
    }

    /// Adds a variable to its environment, which `redox_host::env` reads.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.identity.env.insert(name.into(), value.into());
        self
    }

    /// Descriptor `target` of the new process is descriptor `raw` of `from`: the same description, as a child inherits it.
    /// EBADF when `raw` is not open.
    pub fn fd(mut self, target: usize, from: &Entered, raw: usize) -> syscall::Result<Self> {
        let file = from.attachment.context().files(|files| files.get(raw))?;
        self.files.insert(target, file);
        Ok(self)
    }

    /// The new process lives in the namespace in which `from` is now. ENODEV when that is none.
    pub fn namespace_of(mut self, from: &Entered) -> syscall::Result<Self> {
        self.namespace = NamespaceSpec::Of(from.attachment.context().namespace()?);
        Ok(self)
    }

    /// The new process lives in a namespace with those schemes of the root namespace only (those that exist when it starts); a name may end in `*`.
    /// It may not create schemes.
    #[must_use]
    pub fn schemes(mut self, names: &[&str]) -> Self {
        self.namespace = NamespaceSpec::Fork(names.iter().map(|name| (*name).to_owned()).collect());
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

#[derive(Debug, Default)]
struct End {
    status: Mutex<Option<ExitStatus>>,
    set: Condvar,
}

impl End {
    fn set(&self, status: ExitStatus) {
        *lock(&self.status) = Some(status);
        self.set.notify_all();
    }
}

/// A daemon that was started. Dropping this leaves it running.
#[derive(Clone, Debug)]
pub struct Process {
    context: Arc<Context>,
    end: Arc<End>,
}

/// The calling thread as a process, until this is dropped.
#[derive(Debug)]
pub struct Entered {
    attachment: Attachment,
    /// Stays on the thread it was made on.
    _here: PhantomData<*mut ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.attachment.context().end();
    }
}

impl Process {
    fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Whether its thread still runs. A killed process runs until its thread has noticed.
    pub fn is_running(&self) -> bool {
        lock(&self.end.status).is_none()
    }

    /// Waits for the end of its thread; None after `timeout`.
    pub fn wait(&self, timeout: Duration) -> Option<ExitStatus> {
        let status = lock(&self.end.status);
        match self
            .end
            .set
            .wait_timeout_while(status, timeout, |status| status.is_none())
        {
            Ok((status, _)) => status.clone(),
            Err(poisoned) => poisoned.into_inner().0.clone(),
        }
    }
}

impl Entered {
    fn context(&self) -> &Arc<Context> {
        self.attachment.context()
    }

    /// The process, for threads that should belong to it too.
    pub fn handle(&self) -> ContextHandle {
        ContextHandle(Arc::clone(self.context()))
    }
}

macro_rules! context_api {
    ($t:ty) => {
        impl $t {
            /// The process id.
            pub fn pid(&self) -> usize {
                self.context().pid()
            }
            /// The name it was started under.
            pub fn name(&self) -> &str {
                self.context().name()
            }
            /// SIGKILL: its descriptors are closed when this returns, its calls fail with ESRCH, blocked ones return. No Cancel is sent.
            pub fn kill(&self) {
                self.context().end();
                self.context().wait_for_calls(CALLS_END);
            }
            /// A signal: the call in which it is blocked is cancelled and gives EINTR. False, and no effect, when it is not blocked.
            pub fn interrupt(&self) -> bool {
                self.context().interrupt()
            }
            /// How often a blocking read of an event queue returned: the wake-ups of an event-driven daemon.
            pub fn wakeups(&self) -> u64 {
                self.context().wakeups()
            }
            /// How many system calls it made.
            pub fn syscalls(&self) -> u64 {
                self.context().syscalls()
            }
            /// How many descriptors are open, not counting the upper table, where the namespace is.
            pub fn open_fds(&self) -> usize {
                self.context().files(|files| files.open_lower())
            }
            /// How many mappings it has.
            pub fn mappings(&self) -> usize {
                self.context().memory().count()
            }
            /// How many of its threads are blocked in a call right now.
            pub fn parked(&self) -> usize {
                self.context().parked()
            }
            /// Waits until at least one of its threads is blocked in a call; false after `timeout`.
            pub fn wait_parked(&self, timeout: Duration) -> bool {
                self.context().wait_parked(1, timeout)
            }
        }
    };
}
context_api!(Process);
context_api!(Entered);
context_api!(ContextHandle);

/// A process, for threads that should belong to it.
#[derive(Clone, Debug)]
pub struct ContextHandle(Arc<Context>);

impl ContextHandle {
    fn context(&self) -> &Arc<Context> {
        &self.0
    }

    /// Makes the calling thread a further thread of the process until the guard is dropped.
    pub fn attach(&self) -> Attached {
        Attached {
            _attachment: Attachment::new(Arc::clone(&self.0)),
            _here: PhantomData,
        }
    }
}

/// The calling thread as a further thread of a process, until this is dropped.
#[derive(Debug)]
pub struct Attached {
    _attachment: Attachment,
    _here: PhantomData<*mut ()>,
}

/// The process of the calling thread.
pub fn current() -> Option<ContextHandle> {
    context::current().map(ContextHandle)
}

/// A variable of the environment of the calling thread's process.
pub fn env(name: &str) -> Option<String> {
    context::current()?.env(name).map(str::to_owned)
}
