//! A process: what the kernel keeps for it. Its threads are ordinary threads that were attached to it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use syscall::error::{ENODEV, ESRCH, Error, Result};

use crate::bounce::Bounce;
use crate::files::{Description, FileTable};
use crate::machine::Machine;
use crate::memory::AddressSpace;
use crate::wait::{Waiter, Woken, lock};

/// A process.
pub(crate) struct Context {
    pid: usize,
    name: String,
    uid: u32,
    gid: u32,
    env: BTreeMap<String, String>,
    machine: Arc<Machine>,
    files: Mutex<FileTable>,
    /// The descriptor of its namespace; usize::MAX for none.
    namespace: AtomicUsize,
    memory: AddressSpace,
    /// Payloads of calls that it will never answer, kept until its threads have ended.
    quarantine: Mutex<Vec<Arc<Bounce>>>,
    dead: AtomicBool,
    threads: Mutex<Vec<Arc<Waiter>>>,
    wakeups: AtomicU64,
    syscalls: AtomicU64,
    /// Calls under way.
    calls: AtomicUsize,
    parked: Parked,
}

/// How many threads sleep, and who wants to know.
#[derive(Default)]
struct Parked {
    count: Mutex<usize>,
    changed: Condvar,
}

thread_local! {
    static CURRENT: RefCell<Vec<(Arc<Context>, Arc<Waiter>)>> = const { RefCell::new(Vec::new()) };
    /// The user that a thread is instead of its process's: on Redox each thread has its own.
    static USER: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Does something as a thread that has changed its effective user, and changes it back.
pub fn as_user<R>(uid: u32, act: impl FnOnce() -> R) -> R {
    let before = USER.replace(Some(uid));
    let done = act();
    USER.set(before);
    done
}

/// The process of the calling thread.
pub(crate) fn current() -> Option<Arc<Context>> {
    CURRENT.with_borrow(|stack| stack.last().map(|(cx, _)| Arc::clone(cx)))
}

/// The calling thread as a sleeper; only for threads that are in a call.
pub(crate) fn current_waiter() -> Arc<Waiter> {
    CURRENT
        .with_borrow(|stack| stack.last().map(|(_, waiter)| Arc::clone(waiter)))
        .unwrap_or_else(Waiter::current)
}

/// What a process is made with.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) env: BTreeMap<String, String>,
}

impl Context {
    /// A process without threads; `namespace` is a number in `files`.
    pub(crate) fn new(
        machine: Arc<Machine>,
        pid: usize,
        identity: Identity,
        files: FileTable,
        namespace: usize,
    ) -> Self {
        let Identity {
            name,
            uid,
            gid,
            env,
        } = identity;
        Self {
            pid,
            name,
            uid,
            gid,
            env,
            machine,
            files: Mutex::new(files),
            namespace: AtomicUsize::new(namespace),
            memory: AddressSpace::default(),
            quarantine: Mutex::default(),
            dead: AtomicBool::new(false),
            threads: Mutex::default(),
            wakeups: AtomicU64::new(0),
            syscalls: AtomicU64::new(0),
            calls: AtomicUsize::new(0),
            parked: Parked::default(),
        }
    }

    pub(crate) fn pid(&self) -> usize {
        self.pid
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The effective user of the calling thread, if it is one of this process.
    pub(crate) fn uid(&self) -> u32 {
        let is_own = || {
            CURRENT.with_borrow(|stack| {
                stack
                    .last()
                    .is_some_and(|(cx, _)| core::ptr::eq(&**cx, self))
            })
        };
        USER.get().filter(|_| is_own()).unwrap_or(self.uid)
    }

    pub(crate) fn gid(&self) -> u32 {
        self.gid
    }

    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    pub(crate) fn memory(&self) -> &AddressSpace {
        &self.memory
    }

    /// Works on the table of descriptors. What `work` takes out of it must be dropped after this returns.
    pub(crate) fn files<T>(&self, work: impl FnOnce(&mut FileTable) -> T) -> T {
        work(&mut lock(&self.files))
    }

    /// Puts a description at the lowest free number.
    pub(crate) fn insert(&self, file: Arc<Description>, close_on_exec: bool) -> Result<usize> {
        self.store(|files| files.insert(file, false, close_on_exec))
    }

    /// Puts a description at the lowest free number of the upper table.
    pub(crate) fn insert_upper(&self, file: Arc<Description>) -> Result<usize> {
        self.store(|files| files.insert(file, true, true))
    }

    /// Puts a description at `fd`, which must be free.
    pub(crate) fn insert_at(&self, fd: usize, file: Arc<Description>) -> Result<usize> {
        self.store(|files| files.insert_at(fd, file, false))
    }

    fn store(
        &self,
        work: impl FnOnce(&mut FileTable) -> Result<usize, (Error, Arc<Description>)>,
    ) -> Result<usize> {
        // The description of a failed insertion is dropped here, with the table unlocked.
        self.files(work).map_err(|(error, _file)| error)
    }

    /// The namespace of the process; ENODEV when it has none.
    pub(crate) fn namespace(&self) -> Result<Arc<Description>> {
        let fd = self.namespace_fd()?;
        self.files(|files| files.get(fd))
    }

    pub(crate) fn namespace_fd(&self) -> Result<usize> {
        match self.namespace.load(Ordering::Relaxed) {
            usize::MAX => Err(Error::new(ENODEV)),
            fd => Ok(fd),
        }
    }

    /// Gives the number of the namespace before.
    pub(crate) fn set_namespace(&self, fd: usize) -> usize {
        self.namespace.swap(fd, Ordering::Relaxed)
    }

    /// A system call: ESRCH for the dead.
    pub(crate) fn call<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T>,
    ) -> Result<T> {
        self.syscalls.fetch_add(1, Ordering::Relaxed);
        // Either this call is seen by whoever ends the process and then waits for it, or it sees that the process has ended.
        self.calls.fetch_add(1, Ordering::SeqCst);
        let result = if self.is_dead() {
            Err(Error::new(ESRCH))
        } else {
            work(self)
        };
        if self.calls.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_dead() {
            drop(lock(&self.parked.count));
            self.parked.changed.notify_all();
        }
        result
    }

    /// Waits until the calls that were under way when the process was ended have returned: then every file they held is closed.
    /// Gives up after `timeout`, for a sink of the log may itself wait for the caller.
    pub(crate) fn wait_for_calls(&self, timeout: Duration) {
        let guard = lock(&self.parked.count);
        let busy = |_: &mut usize| self.calls.load(Ordering::SeqCst) > 0;
        drop(self.parked.changed.wait_timeout_while(guard, timeout, busy));
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Keeps payloads that its threads may still use.
    pub(crate) fn quarantine(&self, payloads: Vec<Arc<Bounce>>) {
        if !payloads.is_empty() {
            lock(&self.quarantine).extend(payloads);
        }
    }

    /// Sleeps in a call.
    pub(crate) fn sleep(&self, waiter: &Waiter, deadline: Option<Instant>) -> Woken {
        self.change_parked(|count| count.saturating_add(1));
        let woken = waiter.sleep(deadline);
        self.change_parked(|count| count.saturating_sub(1));
        woken
    }

    fn change_parked(&self, change: impl FnOnce(usize) -> usize) {
        let mut count = lock(&self.parked.count);
        *count = change(*count);
        drop(count);
        self.parked.changed.notify_all();
    }

    /// How many threads sleep in a call.
    pub(crate) fn parked(&self) -> usize {
        *lock(&self.parked.count)
    }

    /// Waits until at least `threads` sleep in a call.
    pub(crate) fn wait_parked(&self, threads: usize, timeout: Duration) -> bool {
        let count = lock(&self.parked.count);
        let result = self
            .parked
            .changed
            .wait_timeout_while(count, timeout, |count| *count < threads);
        result.is_ok_and(|(count, _)| *count >= threads)
    }

    pub(crate) fn count_wakeup(&self) {
        self.wakeups.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wakeups(&self) -> u64 {
        self.wakeups.load(Ordering::Relaxed)
    }

    pub(crate) fn syscalls(&self) -> u64 {
        self.syscalls.load(Ordering::Relaxed)
    }

    /// A signal: every thread that sleeps in a call is interrupted. Says whether one was.
    pub(crate) fn interrupt(&self) -> bool {
        lock(&self.threads)
            .iter()
            .filter(|thread| thread.interrupt())
            .count()
            > 0
    }

    /// SIGKILL, or the end of an exit: closes every descriptor at once; no call has an effect any more; who sleeps wakes.
    /// Mappings and payloads stay until the last thread is detached, for Linux cannot stop a thread.
    pub(crate) fn end(self: &Arc<Self>) {
        if self.dead.swap(true, Ordering::SeqCst) {
            return;
        }
        lock(&self.threads).iter().for_each(|thread| thread.kill());
        let files = self.files(FileTable::close_all);
        for file in &files {
            detach(self.pid, file);
        }
        drop(files);
        self.machine.forget(self.pid);
        self.release_if_gone();
    }

    fn release_if_gone(self: &Arc<Self>) {
        if !self.is_dead() || !lock(&self.threads).is_empty() {
            return;
        }
        for gone in self.memory.unmap_all() {
            // Nobody is left who could wait for the answer or be told of an error.
            let _ = gone.notify(self, false);
        }
        let payloads = std::mem::take(&mut *lock(&self.quarantine));
        drop(payloads);
    }
}

/// A descriptor of `file` was closed.
pub(crate) fn detach(pid: usize, file: &Description) {
    if file.notify_on_detach.load(Ordering::Relaxed)
        && let Ok(scheme) = file.scheme()
    {
        scheme.detach(pid, file.number);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// While it lives the calling thread belongs to a process.
#[derive(Debug)]
pub(crate) struct Attachment {
    context: Arc<Context>,
    waiter: Arc<Waiter>,
}

impl Attachment {
    /// Attaches the calling thread; it may belong to another process already, to which it returns.
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let waiter = Waiter::current();
        lock(&context.threads).push(Arc::clone(&waiter));
        if context.is_dead() {
            waiter.kill();
        }
        CURRENT.with_borrow_mut(|stack| stack.push((Arc::clone(&context), Arc::clone(&waiter))));
        Self { context, waiter }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|stack| {
            stack.retain(|(_, waiter)| !Arc::ptr_eq(waiter, &self.waiter))
        });
        lock(&self.context.threads).retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
        self.context.release_if_gone();
    }
}
