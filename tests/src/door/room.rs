//! What is behind the door: the sockets of all programs, and where the two loops wait for them.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags as Ready};
use syscall::error::{EMFILE, ENFILE};
use syscall::flag::EventFlags;

use super::pair;
use super::socket::{Result, Socket};

/// Sockets of all programs together.
const MOST_SOCKETS: usize = 4096;
/// Errors kept of sockets that are gone; the oldest are forgotten.
const MOST_ERRORS: usize = 1024;
/// How long what has ended may take to be gone.
pub(super) const GOING: Duration = Duration::from_secs(2);
/// Pairs of loops. A call to the stack waits for its answer: the more are under way, the more the stack answers at once.
const LOOPS: usize = 8;

/// What a loop hears of a socket's pair: once for each change, never the same twice.
const HEARD: Ready = Ready::IN.union(Ready::RDHUP).union(Ready::ET);

/// Where one pair of loops waits.
pub(super) struct Waits {
    /// That of the programs' side: ends of pairs, under the numbers of their sockets.
    pub(super) epoll: OwnedFd,
    /// That of the stack's side: its event queue, which is there as soon as it runs.
    queue: AtomicUsize,
}

impl Waits {
    /// The stack's loop waits here.
    pub(super) fn for_stack_at(&self, queue: usize) {
        self.queue.store(queue, Ordering::Release);
    }

    fn new() -> rustix::io::Result<Waits> {
        Ok(Waits {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            queue: AtomicUsize::new(0),
        })
    }
}

pub(crate) struct Room {
    /// Where programs ask.
    pub(super) listener: OwnedFd,
    /// Where the loops wait: each socket belongs to one pair of them.
    waits: Vec<Waits>,
    sockets: Mutex<BTreeMap<u64, Arc<Socket>>>,
    /// Why connections have ended that are gone already, and nobody has asked.
    errors: Mutex<BTreeMap<u64, i32>>,
    gone: Condvar,
    next: AtomicU64,
    /// Makes the names of sockets the machine's own.
    owner: u64,
    about: String,
    down: (Mutex<bool>, Condvar),
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Room").finish()
    }
}

impl Room {
    pub(super) fn new(listener: OwnedFd, owner: u64, about: String) -> rustix::io::Result<Room> {
        let waits: rustix::io::Result<Vec<Waits>> = (0..LOOPS).map(|_| Waits::new()).collect();
        Ok(Room {
            listener,
            waits: waits?,
            sockets: Mutex::default(),
            errors: Mutex::default(),
            gone: Condvar::new(),
            next: AtomicU64::new(1),
            owner,
            about,
            down: Default::default(),
        })
    }

    pub(super) fn owner(&self) -> u64 {
        self.owner
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Socket>> {
        self.lock().get(&id).cloned()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Where the loops wait.
    pub(super) fn waits(&self) -> &[Waits] {
        &self.waits
    }

    fn waits_for(&self, id: u64) -> Option<&Waits> {
        let index = usize::try_from(id).ok()?.checked_rem(self.waits.len())?;
        self.waits.get(index)
    }

    /// Hears from now on what comes from the socket's file, and at once if something is there already.
    pub(super) fn watch(&self, socket: &Socket) {
        if let Ok(file) = socket.file() {
            self.watch_file(file.raw(), socket.id, EventFlags::EVENT_READ);
        }
    }

    /// The same, and that it has room. Only for who waits for that: after each write the file says that it has room, as soon
    /// as anything happens on it.
    pub(super) fn watch_both(&self, socket: &Socket) {
        if let Ok(file) = socket.file() {
            let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
            self.watch_file(file.raw(), socket.id, both);
        }
    }

    /// The same of one file of several.
    pub(super) fn watch_file(&self, file: usize, id: u64, flags: EventFlags) {
        let event = syscall::Event {
            id: file,
            flags,
            data: usize::try_from(id).unwrap_or(usize::MAX),
        };
        if let Some(waits) = self.waits_for(id) {
            let _ = libredox::call::write(waits.queue.load(Ordering::Acquire), &event);
        }
    }

    /// Hears, or does not any more, when the program's end has room for more.
    pub(super) fn want_room(&self, socket: &Socket, wanted: bool) {
        let flags = if wanted { HEARD | Ready::OUT } else { HEARD };
        let data = EventData::new_u64(socket.id);
        if let Some(waits) = self.waits_for(socket.id) {
            let _ = epoll::modify(&waits.epoll, socket.end.as_fd(), data, flags);
        }
    }

    /// Are there as many sockets as there may be?
    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= MOST_SOCKETS
    }

    /// Keeps a new socket, and hears of it from now on.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn keep(&self, socket: Socket) -> Result<()> {
        let socket = Arc::new(socket);
        {
            let mut sockets = self.lock();
            if sockets.len() >= MOST_SOCKETS {
                return Err(ENFILE);
            }
            sockets.insert(socket.id, Arc::clone(&socket));
        }
        let data = EventData::new_u64(socket.id);
        let added = self
            .waits_for(socket.id)
            .is_some_and(|waits| epoll::add(&waits.epoll, socket.end.as_fd(), data, HEARD).is_ok());
        if !added {
            self.forget(&socket);
            return Err(EMFILE);
        }
        if !socket.is_new() {
            self.watch(&socket);
        }
        Ok(())
    }

    /// Forgets a socket for which there is nothing left to do.
    pub(super) fn reap(&self, socket: &Socket) {
        if socket.is_over() {
            self.forget(socket);
        }
    }

    fn forget(&self, socket: &Socket) {
        // The file is closed before anybody hears that the socket is gone.
        socket.close();
        self.keep_error(socket.id, socket.take_error());
        self.lock().remove(&socket.id);
        self.gone.notify_all();
    }

    fn keep_error(&self, id: u64, errno: i32) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errno != 0 {
            errors.insert(id, errno);
        }
        if errors.len() > MOST_ERRORS {
            errors.pop_first();
        }
    }

    /// SO_ERROR, once, even of a connection that is gone; 0 for none.
    pub(super) fn take_error(&self, id: u64) -> i32 {
        let living = self.find(id).map_or(0, |socket| socket.take_error());
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        match living {
            0 => errors.remove(&id).unwrap_or(0),
            errno => errno,
        }
    }

    /// Waits until there are no sockets any more; whether that came within a moment.
    pub(super) fn wait_until_unused(&self) -> bool {
        let waited = self
            .gone
            .wait_timeout_while(self.lock(), GOING, |sockets| !sockets.is_empty());
        waited.is_ok_and(|(sockets, _)| sockets.is_empty())
    }

    /// The sockets that their programs have closed, whether that was heard of or not.
    pub(super) fn closed(&self) -> Vec<Arc<Socket>> {
        let sockets = self.lock();
        let closed = sockets
            .values()
            .filter(|socket| pair::is_hung_up(socket.end.as_fd()));
        closed.cloned().collect()
    }

    /// Waits until somebody asks to end it all.
    pub(super) fn wait_for_down(&self) {
        let (asked, changed) = &self.down;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        while !*asked {
            asked = changed.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends what [`Room::wait_for_down`] waits for.
    pub(super) fn take_down(&self) {
        *self.down.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.down.1.notify_all();
    }

    /// What `status` shows.
    pub(super) fn status(&self) -> String {
        let sockets = self.lock().len();
        format!("{} {sockets}", self.about)
    }
}
