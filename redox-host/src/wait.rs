//! Blocking: a thread sleeps until something wakes it, a signal interrupts it, or its process is killed.
//!
//! No lock is held while a thread sleeps. A thread announces itself (`Waiter::prepare`), then puts itself on the wait list of what it waits for
//! while it still holds the lock of that thing, then lets the lock go and sleeps: a wake-up in between is kept in the waiter's state, so none is lost.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use syscall::error::{EAGAIN, EINTR, EINVAL, ESRCH, Error, Result};

use crate::context::Context;

/// Locks without regard to poison: a panic of one process is its own affair, never that of the machine.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WOKEN: u32 = 1;
const INTERRUPTED: u32 = 2;
const KILLED: u32 = 4;
const BLOCKED: u32 = 8;

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What was waited for may have happened.
    Notified,
    /// A signal came.
    Interrupted,
    /// SIGKILL came.
    Killed,
    /// The deadline passed.
    TimedOut,
}

/// One thread, as others see it when they want to wake it.
#[derive(Debug)]
pub(crate) struct Waiter {
    state: AtomicU32,
    thread: Thread,
}

impl Waiter {
    /// A waiter for the calling thread.
    pub(crate) fn current() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU32::new(0),
            thread: std::thread::current(),
        })
    }

    /// From now on wake-ups count. Must come before the thread is put on a wait list.
    pub(crate) fn prepare(&self) {
        // Only KILLED outlives a sleep. The thread itself is the only one that clears bits, so a plain read-modify-write is enough.
        self.state.fetch_and(KILLED, Ordering::AcqRel);
        self.state.fetch_or(BLOCKED, Ordering::AcqRel);
    }

    /// Sleeps until a reason comes; one that came since `prepare` counts.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Woken {
        loop {
            let state = self.state.load(Ordering::Acquire);
            if let Some(woken) = reason(state) {
                self.state.fetch_and(KILLED, Ordering::AcqRel);
                return woken;
            }
            match deadline {
                None => std::thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        // A reason that came at the last moment wins over the deadline.
                        let state = self.state.fetch_and(KILLED, Ordering::AcqRel);
                        return reason(state).unwrap_or(Woken::TimedOut);
                    }
                    std::thread::park_timeout(left);
                }
            }
        }
    }

    /// What is waited for may have happened.
    pub(crate) fn wake(&self) {
        self.state.fetch_or(WOKEN, Ordering::AcqRel);
        self.thread.unpark();
    }

    /// A signal: only a thread that is blocked (or about to be) notices. Says whether it did.
    pub(crate) fn interrupt(&self) -> bool {
        let noticed = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state & BLOCKED != 0).then_some(state | INTERRUPTED)
            })
            .is_ok();
        if noticed {
            self.thread.unpark();
        }
        noticed
    }

    /// SIGKILL: this sleep and every later one ends at once.
    pub(crate) fn kill(&self) {
        self.state.fetch_or(KILLED, Ordering::AcqRel);
        self.thread.unpark();
    }
}

fn reason(state: u32) -> Option<Woken> {
    if state & KILLED != 0 {
        Some(Woken::Killed)
    } else if state & WOKEN != 0 {
        Some(Woken::Notified)
    } else if state & INTERRUPTED != 0 {
        Some(Woken::Interrupted)
    } else {
        None
    }
}

/// A wait list.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    waiters: Mutex<Vec<Arc<Waiter>>>,
}

impl Condition {
    /// Wakes every thread on the list.
    pub(crate) fn notify(&self) {
        for waiter in lock(&self.waiters).drain(..) {
            waiter.wake();
        }
    }

    /// Sleeps; `guard` protects what is waited for and is released after the thread is on the list.
    /// EINTR after a signal, ESRCH after SIGKILL; `Ok(false)` when `deadline` passed.
    pub(crate) fn wait<G>(
        &self,
        cx: &Context,
        guard: G,
        deadline: Option<Instant>,
    ) -> Result<bool> {
        let waiter = crate::context::current_waiter();
        waiter.prepare();
        lock(&self.waiters).push(Arc::clone(&waiter));
        drop(guard);
        let woken = cx.sleep(&waiter, deadline);
        if woken == Woken::Notified {
            return Ok(true);
        }
        lock(&self.waiters).retain(|other| !Arc::ptr_eq(other, &waiter));
        match woken {
            Woken::Killed => Err(Error::new(ESRCH)),
            Woken::Interrupted => Err(Error::new(EINTR)),
            Woken::Notified | Woken::TimedOut => Ok(false),
        }
    }
}

/// Items of a fixed size that a read of a file takes, oldest first (kernel sync/wait_queue.rs).
#[derive(Debug)]
pub(crate) struct WaitQueue<T> {
    items: Mutex<VecDeque<T>>,
    condition: Condition,
}

/// An item that a read hands out as bytes.
pub(crate) trait Item {
    /// Its size on the wire.
    const SIZE: usize;
    /// Appends its bytes.
    fn put(&self, bytes: &mut Vec<u8>);
}

impl<T: Item> WaitQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            condition: Condition::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.items).is_empty()
    }

    pub(crate) fn send(&self, item: T) {
        lock(&self.items).push_back(item);
        self.condition.notify();
    }

    pub(crate) fn clear(&self) {
        lock(&self.items).clear();
    }

    /// Copies as many items as fit into `buf`. A buffer smaller than one item gets the start of the first, which stays in the queue.
    /// Empty: EAGAIN when it may not block (EINVAL when no item would fit), `Ok(None)` when `deadline` passed.
    pub(crate) fn receive(
        &self,
        cx: &Context,
        buf: &mut [u8],
        block: bool,
        deadline: Option<Instant>,
    ) -> Result<Option<usize>> {
        loop {
            let mut items = lock(&self.items);
            if !items.is_empty() {
                return Ok(Some(take(&mut items, buf)));
            }
            if block {
                if !self.condition.wait(cx, items, deadline)? && deadline.is_some() {
                    return Ok(None);
                }
            } else if buf.is_empty() {
                return Ok(Some(0));
            } else if buf.len() < T::SIZE {
                return Err(Error::new(EINVAL));
            } else {
                return Err(Error::new(EAGAIN));
            }
        }
    }
}

fn take<T: Item>(items: &mut VecDeque<T>, buf: &mut [u8]) -> usize {
    let mut bytes = Vec::with_capacity(buf.len().min(items.len().saturating_mul(T::SIZE)));
    for item in items.iter() {
        if bytes.len() >= buf.len() {
            break;
        }
        item.put(&mut bytes);
    }
    let count = bytes.len().min(buf.len());
    buf[..count].copy_from_slice(&bytes[..count]);
    items.drain(..count / T::SIZE);
    count
}
