//! The kernel's door for Linux programs: their internet sockets are smolnetd's.
//!
//! A program runs with the library of `tests/preload` and asks here (`socket_door` has the words) for what its C library
//! would ask the kernel of Redox: the calls that are made on its behalf are those that relibc makes, by `open`, `dup`,
//! `SYS_CALL` and `fpath`, in one process of the machine.
//!
//! Each socket is a pair of Linux's, one end the program's, the other held here, and threads that move what comes on one
//! side to the other: one that lives as long as the socket and sends, one that receives or accepts. They sleep in a read of the pair
//! or in an event queue. Why a pair and not the scheme's file by proxy: the program gets a real descriptor, with all
//! that the kernel of Linux does for one (epoll's edges, fork, passing on), no shared state to be kept right in a foreign process,
//! and backpressure by nothing but full buffers; the price is one more copy each way.
//!
//! A socket ends when the last descriptor of its other end is closed, which the kernel tells (POLLHUP), however
//! the program ended.

mod connect;
mod datagram;
mod pair;
mod questions;
mod socket;
mod stream;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redox_host::{ContextHandle, Process, ProcessSpec};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen,
    shutdown, socket_with,
};
use tempfile::TempDir;

use crate::error::{Context, Result};
use crate::stack::Stack;
use socket::Socket;

pub use questions::ask;

/// Sockets of all programs together.
const MOST_SOCKETS: usize = 2048;
/// Errors kept of sockets that are gone; the oldest are forgotten.
const MOST_ERRORS: usize = 1024;
/// Questions that may wait for a thread.
const BACKLOG: i32 = 1024;
/// How long what has ended may take to be gone.
const GOING: Duration = Duration::from_secs(2);

/// The door of a running stack. Dropping it ends the programs' sockets.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    _folder: TempDir,
    room: Arc<Room>,
    process: Process,
}

/// What is behind the door.
pub(crate) struct Room {
    listener: OwnedFd,
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

impl Door {
    /// Opens the door of a stack, in a folder of its own: names of Unix sockets must be short.
    pub fn open(stack: &Stack) -> Result<Door> {
        let folder = crate::scratch::folder()?;
        let path = folder.path().join("door");
        let kind = SocketType::SEQPACKET;
        let listener = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .context("a socket")?;
        let address = SocketAddrUnix::new(&path).context(path.display())?;
        bind(&listener, &address).context(path.display())?;
        listen(&listener, BACKLOG).context(path.display())?;
        let room = Arc::new(Room {
            listener,
            sockets: Mutex::default(),
            errors: Mutex::default(),
            gone: Condvar::new(),
            next: AtomicU64::new(1),
            owner: crate::seed(),
            about: stack.machine().run().path().display().to_string(),
            down: Default::default(),
        });
        let served = Arc::clone(&room);
        let process = stack
            .host()
            .spawn(ProcessSpec::new("programs"), move || serve(&served));
        Ok(Door {
            path,
            _folder: folder,
            room,
            process,
        })
    }

    /// Where it is: what [`socket_door::DOOR`] tells the programs.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.room.lock().len()
    }

    /// Waits until there are no more sockets; whether that came within a moment.
    pub fn wait_until_unused(&self) -> bool {
        self.room.wait_until(|sockets| sockets.is_empty())
    }

    /// Waits until somebody asks to end it all.
    pub fn wait_for_down(&self) {
        let (asked, changed) = &self.room.down;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        while !*asked {
            asked = changed.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = shutdown(&self.room.listener, Shutdown::Both);
        for socket in self.room.lock().values() {
            socket.hang_up();
        }
        self.wait_until_unused();
        self.process.kill();
        self.process.wait(GOING);
    }
}

/// Takes questions until the door is shut.
fn serve(room: &Arc<Room>) -> i32 {
    let Some(process) = redox_host::current() else {
        return 1;
    };
    loop {
        match accept(&room.listener) {
            Ok(question) => {
                let room = Arc::clone(room);
                thread(&process, "question", move || {
                    questions::answer(&room, &question)
                });
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
            Err(_) => return 0,
        }
    }
}

/// Starts a further thread of the process; whether there is one.
fn thread(process: &ContextHandle, name: &str, main: impl FnOnce() + Send + 'static) -> bool {
    let process = process.clone();
    let thread = std::thread::Builder::new()
        .name(name.into())
        .stack_size(512 << 10);
    let started = thread.spawn(move || {
        let _attached = process.attach();
        main();
    });
    started.is_ok()
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: u64) -> Option<Arc<Socket>> {
        self.lock().get(&id).cloned()
    }

    /// Keeps a new socket and starts its life. `None` when there are too many.
    fn keep(self: &Arc<Self>, socket: Socket) -> Option<Arc<Socket>> {
        let socket = Arc::new(socket);
        {
            let mut sockets = self.lock();
            if sockets.len() >= MOST_SOCKETS {
                return None;
            }
            sockets.insert(socket.id, Arc::clone(&socket));
        }
        let (room, living) = (Arc::clone(self), Arc::clone(&socket));
        let process = redox_host::current()?;
        let started = thread(&process, "socket", move || {
            living.live(&room);
            room.forget(living.id);
        });
        if !started {
            self.forget(socket.id);
        }
        started.then_some(socket)
    }

    fn forget(&self, id: u64) {
        // The file is closed before anybody hears that the socket is gone.
        let last = self.find(id);
        if let Some(last) = last {
            last.close();
            self.keep_error(id, last.take_error());
        }
        self.lock().remove(&id);
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
    fn take_error(&self, id: u64) -> i32 {
        let living = self.find(id).map_or(0, |socket| socket.take_error());
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        match living {
            0 => errors.remove(&id).unwrap_or(0),
            errno => errno,
        }
    }

    fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn wait_until(&self, wanted: impl Fn(&BTreeMap<u64, Arc<Socket>>) -> bool) -> bool {
        let waited = self
            .gone
            .wait_timeout_while(self.lock(), GOING, |sockets| !wanted(sockets));
        waited.is_ok_and(|(sockets, _)| wanted(&sockets))
    }

    /// Waits until the sockets are gone whose programs have closed them already: on Linux, `close` has given the port back
    /// when it returns.
    fn finish_closed(&self) {
        let closed: Vec<u64> = {
            let sockets = self.lock();
            let closed = sockets
                .iter()
                .filter(|(_, socket)| pair::is_hung_up(socket.end.as_fd()));
            closed.map(|(id, _)| *id).collect()
        };
        self.wait_until(|sockets| !closed.iter().any(|id| sockets.contains_key(id)));
    }

    /// Ends what [`Door::wait_for_down`] waits for.
    fn take_down(&self) {
        *self.down.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.down.1.notify_all();
    }

    /// What `status` shows.
    fn status(&self) -> String {
        let sockets = self.lock().len();
        format!("{} {sockets}", self.about)
    }
}
