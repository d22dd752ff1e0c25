//! `time`: clocks, and timers that cannot be taken back (kernel scheme/time.rs, context/timeout.rs).
//! The kernel looks at its timers at every tick of the PIT, about 4 ms; here they fire when they are due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::time::{ClockId, clock_getres, clock_gettime};
use syscall::error::{EACCES, EBADF, EINVAL, ENOENT, Error, Result};
use syscall::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME, EventFlags};

use crate::context::Context;
use crate::event::Events;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_text};
use crate::wait::lock;

/// `syscall::data::TimeSpec`: seconds i64, nanoseconds i32, padding.
const TIMESPEC: usize = 16;

fn linux_clock(clock: usize) -> ClockId {
    if clock == CLOCK_REALTIME {
        ClockId::Realtime
    } else {
        ClockId::Monotonic
    }
}

/// A clock in nanoseconds; Redox's numbers of clocks.
pub(crate) fn now(clock: usize) -> i128 {
    nanos(clock_gettime(linux_clock(clock)))
}

fn nanos(time: rustix::time::Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

/// A timer: when (nanoseconds of its clock), which clock, whose handle, in which order it was set.
type Timer = (i128, usize, usize, u64);

#[derive(Default)]
struct Set {
    /// One heap per clock, the earliest first.
    realtime: BinaryHeap<Reverse<Timer>>,
    monotonic: BinaryHeap<Reverse<Timer>>,
    order: u64,
    running: bool,
    stopped: bool,
}

impl Set {
    fn heap(&mut self, clock: usize) -> &mut BinaryHeap<Reverse<Timer>> {
        if clock == CLOCK_REALTIME {
            &mut self.realtime
        } else {
            &mut self.monotonic
        }
    }

    /// Takes what is due; says how long until the next is.
    fn due(&mut self) -> (Vec<Timer>, Option<Duration>) {
        let mut due = Vec::new();
        let mut wait: Option<i128> = None;
        for clock in [CLOCK_REALTIME, CLOCK_MONOTONIC] {
            let now = now(clock);
            let heap = self.heap(clock);
            while let Some(Reverse(timer)) = heap.peek() {
                if timer.0 > now {
                    let left = timer.0 - now;
                    wait = Some(wait.map_or(left, |wait| wait.min(left)));
                    break;
                }
                due.extend(heap.pop().map(|Reverse(timer)| timer));
            }
        }
        (
            due,
            wait.map(|ns| Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))),
        )
    }
}

/// The timers of a machine, and the thread that fires them (it exists once a timer was set).
pub(crate) struct Timers {
    events: Arc<Events>,
    set: Mutex<Set>,
    changed: Condvar,
}

impl Timers {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            set: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn add(self: &Arc<Self>, scheme: SchemeId, number: usize, clock: usize, at: i128) {
        let mut set = lock(&self.set);
        let order = set.order;
        set.order += 1;
        set.heap(clock).push(Reverse((at, scheme, number, order)));
        let start = !set.running && !set.stopped;
        set.running |= start;
        drop(set);
        if start {
            let timers = Arc::clone(self);
            std::thread::spawn(move || timers.run());
        }
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut set = lock(&self.set);
        while !set.stopped {
            let (due, wait) = set.due();
            if !due.is_empty() {
                drop(set);
                for (_, scheme, number, _) in due {
                    self.events.trigger(scheme, number, EventFlags::EVENT_READ);
                }
                set = lock(&self.set);
                continue;
            }
            set = match wait {
                Some(wait) => self
                    .changed
                    .wait_timeout(set, wait)
                    .map_or_else(|e| e.into_inner().0, |(set, _)| set),
                None => self
                    .changed
                    .wait(set)
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
            };
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        lock(&self.set).stopped = true;
        self.changed.notify_all();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Default,
    GetTime,
    GetRes,
    Timer,
}

/// The scheme.
pub(crate) struct TimeScheme {
    id: SchemeId,
    timers: Arc<Timers>,
    open: Mutex<HashMap<usize, (usize, Kind)>>,
    next: AtomicUsize,
}

impl TimeScheme {
    /// The handle that opens clocks.
    pub(crate) const ROOT: usize = 0;

    pub(crate) fn new(id: SchemeId, timers: Arc<Timers>) -> Self {
        Self {
            id,
            timers,
            open: Mutex::default(),
            next: AtomicUsize::new(1),
        }
    }

    fn get(&self, number: usize) -> Result<(usize, Kind)> {
        lock(&self.open)
            .get(&number)
            .copied()
            .ok_or(Error::new(EBADF))
    }
}

impl KernelScheme for TimeScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number != Self::ROOT {
            return Err(Error::new(EACCES));
        }
        let mut parts = path.split('/');
        let clock = parts
            .next()
            .and_then(|clock| clock.parse().ok())
            .ok_or(Error::new(ENOENT))?;
        let kind = match parts.next() {
            None | Some("") => Kind::Default,
            Some("gettime") => Kind::GetTime,
            Some("getres") => Kind::GetRes,
            Some("timer") => Kind::Timer,
            Some(_) => return Err(Error::new(ENOENT)),
        };
        if clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC {
            return Err(Error::new(ENOENT));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, (clock, kind));
        Ok(Opened::local(number))
    }

    fn read(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        _flags: u32,
    ) -> Result<usize> {
        let (clock, kind) = self.get(number)?;
        let mut count = 0;
        for chunk in buf.chunks_exact_mut(TIMESPEC) {
            let time = match kind {
                Kind::Default | Kind::GetTime => now(clock),
                Kind::GetRes => nanos(clock_getres(linux_clock(clock))),
                Kind::Timer => return Err(Error::new(EINVAL)),
            };
            chunk.copy_from_slice(&syscall::data::TimeSpec::from_nanos(time.max(0) as u128));
            count += TIMESPEC;
        }
        Ok(count)
    }

    fn write(&self, _cx: &Arc<Context>, number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        let (clock, kind) = self.get(number)?;
        let mut count = 0;
        for chunk in buf.chunks_exact(TIMESPEC) {
            if !matches!(kind, Kind::Default | Kind::Timer) {
                return Err(Error::new(EINVAL));
            }
            let seconds = chunk.first_chunk().map_or(0, |b| i64::from_ne_bytes(*b));
            let rest = chunk
                .get(8..12)
                .and_then(|b| b.try_into().ok())
                .map_or(0, i32::from_ne_bytes);
            self.timers.add(
                self.id,
                number,
                clock,
                i128::from(seconds) * 1_000_000_000 + i128::from(rest),
            );
            count += TIMESPEC;
        }
        Ok(count)
    }

    fn fpath(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<usize> {
        let (clock, kind) = self.get(number)?;
        let kind = match kind {
            Kind::Default => "",
            Kind::GetTime => "gettime",
            Kind::GetRes => "getres",
            Kind::Timer => "timer",
        };
        Ok(put_text(buf, &format!("/scheme/time/{clock}/{kind}")))
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, _flags: EventFlags) -> Result<EventFlags> {
        self.get(number).map(|_| EventFlags::empty())
    }

    fn fsync(&self, _cx: &Arc<Context>, number: usize) -> Result<()> {
        self.get(number).map(|_| ())
    }

    fn close(&self, number: usize) {
        lock(&self.open).remove(&number);
    }
}
