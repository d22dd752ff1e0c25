//! Event queues (kernel event.rs, scheme/event.rs): edges, one 24-byte event per trigger and registration, never coalesced.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use syscall::data::Event;
use syscall::error::{EACCES, EBADF, Error, Result};
use syscall::flag::{EVENT_TIMEOUT_ID, EventFlags, O_NONBLOCK};

use crate::context::Context;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_text};
use crate::wait::{Item, WaitQueue, lock};

/// The number of the `event` scheme (`syscall::data::GlobalSchemes::Event`).
pub(crate) const EVENT_SCHEME: SchemeId = 2;

impl Item for Event {
    const SIZE: usize = 24;
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

struct Queue {
    number: usize,
    events: WaitQueue<Event>,
    /// Milliseconds for the next blocking read, once.
    timeout: Mutex<Option<usize>>,
}

struct Registration {
    queue: Weak<Queue>,
    queue_number: usize,
    /// The descriptor in the queue's process; with the queue it is the key.
    fd: usize,
    data: usize,
    flags: EventFlags,
}

/// Who wants to know of which file. Posts for which nobody is registered are lost.
#[derive(Default)]
pub(crate) struct Events {
    registry: Mutex<HashMap<(SchemeId, usize), Vec<Registration>>>,
}

impl Events {
    /// Posts `flags` of a file to every queue registered for any of them.
    pub(crate) fn trigger(&self, scheme: SchemeId, number: usize, flags: EventFlags) {
        if flags.is_empty() {
            return;
        }
        let mut touched = Vec::new();
        self.post(scheme, number, flags, &mut touched);
        // A queue that became readable is itself a file which others may watch.
        let mut done = Vec::new();
        while let Some(queue) = touched.pop() {
            if !done.contains(&queue) {
                done.push(queue);
                self.post(EVENT_SCHEME, queue, EventFlags::EVENT_READ, &mut touched);
            }
        }
    }

    fn post(&self, scheme: SchemeId, number: usize, flags: EventFlags, touched: &mut Vec<usize>) {
        let registry = lock(&self.registry);
        for registration in registry.get(&(scheme, number)).into_iter().flatten() {
            let common = flags & registration.flags;
            if common.is_empty() {
                continue;
            }
            if let Some(queue) = registration.queue.upgrade() {
                queue.events.send(Event {
                    id: registration.fd,
                    flags: common,
                    data: registration.data,
                });
                touched.push(registration.queue_number);
            }
        }
    }

    /// Registers, changes or (with no flags) removes; gives the union of what all queues want of that file now.
    fn register(
        &self,
        key: (SchemeId, usize),
        queue: &Arc<Queue>,
        fd: usize,
        data: usize,
        flags: EventFlags,
    ) -> EventFlags {
        let mut registry = lock(&self.registry);
        let list = registry.entry(key).or_default();
        list.retain(|r| !(r.queue_number == queue.number && r.fd == fd));
        if !flags.is_empty() {
            list.push(Registration {
                queue: Arc::downgrade(queue),
                queue_number: queue.number,
                fd,
                data,
                flags,
            });
        }
        let union = list
            .iter()
            .fold(EventFlags::empty(), |union, r| union | r.flags);
        if list.is_empty() {
            registry.remove(&key);
        }
        union
    }

    /// The last reference to a file went.
    pub(crate) fn unregister_file(&self, scheme: SchemeId, number: usize) {
        lock(&self.registry).remove(&(scheme, number));
    }

    fn unregister_queue(&self, queue: usize) {
        lock(&self.registry).retain(|_, list| {
            list.retain(|r| r.queue_number != queue);
            !list.is_empty()
        });
    }

    /// How many registrations there are.
    pub(crate) fn registrations(&self) -> usize {
        lock(&self.registry).values().map(Vec::len).sum()
    }
}

/// The `event` scheme.
pub(crate) struct EventScheme {
    events: Arc<Events>,
    queues: Mutex<HashMap<usize, Arc<Queue>>>,
    next: AtomicUsize,
}

/// The handle that opens queues.
pub(crate) const ROOT: usize = usize::MAX;

impl EventScheme {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            queues: Mutex::new(HashMap::new()),
            next: AtomicUsize::new(0),
        }
    }

    fn queue(&self, number: usize) -> Result<Arc<Queue>> {
        lock(&self.queues)
            .get(&number)
            .cloned()
            .ok_or(Error::new(EBADF))
    }

    /// One written event: a subscription, its end, or the timeout of the next blocking read.
    fn subscribe(&self, cx: &Arc<Context>, queue: &Arc<Queue>, event: Event) -> Result<()> {
        if event.id == EVENT_TIMEOUT_ID {
            *lock(&queue.timeout) = (!event.flags.is_empty()).then_some(event.data);
            return Ok(());
        }
        let file = cx.files(|files| files.get(event.id))?;
        let key = (file.scheme_even_dead().id(), file.number);
        if key == (EVENT_SCHEME, queue.number) {
            return Err(Error::new(EBADF));
        }
        let union = self
            .events
            .register(key, queue, event.id, event.data, event.flags);
        let ready = file.scheme()?.fevent(cx, file.number, union)?;
        self.events.trigger(key.0, key.1, ready);
        Ok(())
    }
}

impl KernelScheme for EventScheme {
    fn id(&self) -> SchemeId {
        EVENT_SCHEME
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        _path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number != ROOT {
            return Err(Error::new(EACCES));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let queue = Queue {
            number,
            events: WaitQueue::new(),
            timeout: Mutex::new(None),
        };
        lock(&self.queues).insert(number, Arc::new(queue));
        Ok(Opened::local(number))
    }

    fn read(&self, cx: &Arc<Context>, number: usize, buf: &mut [u8], flags: u32) -> Result<usize> {
        let queue = self.queue(number)?;
        if flags as usize & O_NONBLOCK != 0 {
            return Ok(queue.events.receive(cx, buf, false, None)?.unwrap_or(0));
        }
        let timeout = lock(&queue.timeout).take();
        let deadline =
            timeout.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms as u64)));
        let received = queue.events.receive(cx, buf, true, deadline);
        cx.count_wakeup();
        match (received?, timeout) {
            (Some(count), _) => Ok(count),
            (None, timeout) => {
                let event = Event {
                    id: EVENT_TIMEOUT_ID,
                    flags: EventFlags::EVENT_READ,
                    data: timeout.unwrap_or(0),
                };
                let count = event.len().min(buf.len());
                buf[..count].copy_from_slice(&event[..count]);
                Ok(count)
            }
        }
    }

    fn write(&self, cx: &Arc<Context>, number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        let queue = self.queue(number)?;
        let mut written = 0;
        for chunk in buf.chunks_exact(Event::SIZE) {
            self.subscribe(cx, &queue, parse(chunk))?;
            written += Event::SIZE;
        }
        Ok(written)
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        Ok(put_text(buf, "/scheme/event/"))
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, flags: EventFlags) -> Result<EventFlags> {
        let queue = self.queue(number)?;
        let mut ready = flags & EventFlags::EVENT_WRITE;
        if !queue.events.is_empty() {
            ready |= flags & EventFlags::EVENT_READ;
        }
        Ok(ready)
    }

    fn close(&self, number: usize) {
        self.events.unregister_queue(number);
        let queue = lock(&self.queues).remove(&number);
        drop(queue);
    }
}

/// The event in 24 bytes; bits of flags that have no meaning are kept, as the kernel keeps them.
fn parse(chunk: &[u8]) -> Event {
    let word = |i: usize| {
        chunk
            .get(i * 8..i * 8 + 8)
            .and_then(|b| b.try_into().ok())
            .map_or(0, usize::from_ne_bytes)
    };
    Event {
        id: word(0),
        flags: EventFlags::from_bits_retain(word(1)),
        data: word(2),
    }
}
