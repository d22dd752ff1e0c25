//! A socket of a program: the scheme's file on one side, the pair on the other.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use rustix::net::{Shutdown, shutdown};
use socket_door::Name;
use syscall::error::{EAGAIN, EBADF, EINVAL, EIO, EWOULDBLOCK};
use syscall::flag::{O_NONBLOCK, O_RDWR};

use super::connect::Connecting;
use super::room::Room;
use super::{datagram, echo, listener, pair, stream};

/// An error number, which is the same on Redox and on Linux for all that sockets say.
pub(super) type Errno = i32;
pub(super) type Result<T> = core::result::Result<T, Errno>;

/// Redox has two numbers for one error of Linux.
pub(super) fn errno(error: libredox::error::Error) -> Errno {
    match error.errno() {
        EWOULDBLOCK => EAGAIN,
        errno => errno,
    }
}

/// How far a TCP socket has come. A UDP socket stays as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Connected,
    Listening,
    /// A connect that did not wait has failed.
    Failed,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the program to the stack.
    Up,
    /// From the stack to the program.
    Down,
}

/// Whether there is reason to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not before something happens.
    Done,
    /// Yes, when others have had their turn.
    More,
}

/// One way of a socket.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What one side has given and the other has not taken yet: bytes, or one datagram.
    pub(super) waiting: Vec<u8>,
    /// A descriptor that goes with it.
    pub(super) passed: Option<OwnedFd>,
    /// The taking side has no room: it says when it has.
    pub(super) blocked: bool,
    /// Nothing will come any more, or nobody takes it.
    pub(super) over: bool,
    /// How many bytes are asked for at once.
    pub(super) chunk: usize,
    /// The taking side was asked before to say when it has room.
    asked: bool,
}

impl Lane {
    /// There is no room: `ask` makes the taking side say when there is, from now on.
    pub(super) fn block(&mut self, ask: impl FnOnce()) {
        self.blocked = true;
        if !core::mem::replace(&mut self.asked, true) {
            ask();
        }
    }
}

/// A socket.
pub(super) struct Socket {
    pub(super) id: u64,
    pub(super) name: Name,
    /// The lab's end of the pair.
    pub(super) end: OwnedFd,
    /// The scheme's file; bind and connect put another in its place, as dup2 does.
    file: Mutex<Option<Arc<Fd>>>,
    stage: Mutex<Stage>,
    /// What befell it and nobody asked about yet.
    error: AtomicI32,
    /// The program has closed it, or both directions have ended.
    hung_up: AtomicBool,
    /// The connection has failed: nothing moves any more.
    broken: AtomicBool,
    up: Mutex<Lane>,
    down: Mutex<Lane>,
    connecting: Mutex<Option<Connecting>>,
    /// Where the last datagram with an address went, with its file: the next is often to the same.
    sent_to: Mutex<Option<datagram::SentTo>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Socket {
    /// Opens a socket of that scheme as the C library does; it is not kept yet. One for echoes has no file as long as it has no
    /// host.
    pub(super) fn open(room: &Room, scheme: &str, v6: bool) -> Result<(Socket, OwnedFd)> {
        let name = Name {
            id: room.next_id(),
            stream: scheme == "tcp",
            v6,
            echo: scheme == "icmp",
        };
        let path = match (name.stream, name.echo) {
            (_, true) => return Socket::of(room, None, name, Stage::Idle),
            (true, false) => "/scheme/tcp",
            (false, false) => "/scheme/udp",
        };
        let flags = i32::try_from(O_RDWR | O_NONBLOCK | O_CLOEXEC).map_err(|_| EIO)?;
        let file = Fd::open(path, flags, 0).map_err(errno)?;
        Socket::of(room, Some(file), name, Stage::Idle)
    }

    /// A socket of that file; and the program's end.
    pub(super) fn of(
        room: &Room,
        file: Option<Fd>,
        name: Name,
        stage: Stage,
    ) -> Result<(Socket, OwnedFd)> {
        let (end, program) = pair::make(name, room.owner()).map_err(|e| e.raw_os_error())?;
        let socket = Socket {
            id: name.id,
            name,
            end,
            file: Mutex::new(file.map(Arc::new)),
            stage: Mutex::new(stage),
            error: AtomicI32::new(0),
            hung_up: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            up: Mutex::default(),
            down: Mutex::default(),
            connecting: Mutex::default(),
            sent_to: Mutex::default(),
        };
        Ok((socket, program))
    }

    /// The scheme's file.
    pub(super) fn file(&self) -> Result<Arc<Fd>> {
        locked(&self.file).clone().ok_or(EBADF)
    }

    /// dup with a path and dup2: another file in the place of this one.
    pub(super) fn replace(&self, path: &str) -> Result<()> {
        let new = match self.name.echo {
            true => echo::open(path.parse().map_err(|_| EINVAL)?)?,
            false => Fd::new(self.file()?.dup(path.as_bytes()).map_err(errno)?),
        };
        self.put(Arc::new(new));
        Ok(())
    }

    /// Puts another file in the place of this one.
    pub(super) fn put(&self, file: Arc<Fd>) {
        // The socket has the peer that all of its descriptors have.
        *locked(&self.sent_to) = None;
        *locked(&self.file) = Some(file);
    }

    /// Closes the file, when nobody is in the middle of using it.
    pub(super) fn close(&self) {
        let (_up, _down) = (locked(&self.up), locked(&self.down));
        *locked(&self.sent_to) = None;
        *locked(&self.file) = None;
    }

    pub(super) fn stage(&self) -> Stage {
        *locked(&self.stage)
    }

    /// Can nothing come from its file yet?
    pub(super) fn is_new(&self) -> bool {
        self.name.stream && self.stage() == Stage::Idle
    }

    /// The next stage begins.
    pub(super) fn enter(&self, next: Stage) {
        *locked(&self.stage) = next;
    }

    pub(super) fn connecting(&self) -> MutexGuard<'_, Option<Connecting>> {
        locked(&self.connecting)
    }

    pub(super) fn sent_to(&self) -> MutexGuard<'_, Option<datagram::SentTo>> {
        locked(&self.sent_to)
    }

    /// The connection has failed: the program hears of it by the end of what it reads, and asks.
    pub(super) fn fail(&self, errno: Errno) {
        self.remember(errno);
        self.broken.store(true, Ordering::Relaxed);
        self.hang_up();
    }

    /// Remembers an error of which the program hears when it asks. The first is why the others follow.
    pub(super) fn remember(&self, errno: Errno) {
        let order = Ordering::Relaxed;
        let _ = self.error.compare_exchange(0, errno, order, order);
    }

    /// SO_ERROR: once.
    pub(super) fn take_error(&self) -> Errno {
        self.error.swap(0, Ordering::Relaxed)
    }

    /// Ends both directions of the pair.
    pub(super) fn hang_up(&self) {
        let _ = shutdown(&self.end, Shutdown::Both);
    }

    /// The pair has hung up.
    pub(super) fn has_hung_up(&self) {
        self.hung_up.store(true, Ordering::Relaxed);
    }

    /// Has the program closed it, as far as is known or can be seen?
    pub(super) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed) || pair::is_hung_up(self.end.as_fd())
    }

    /// Is there nothing left to do for it? What was written before a close is still sent.
    pub(super) fn is_over(&self) -> bool {
        let stage = self.stage();
        if stage == Stage::Failed {
            return true;
        }
        if !self.hung_up.load(Ordering::Relaxed) {
            return false;
        }
        let moves = stage == Stage::Connected || !self.name.stream;
        !moves || self.broken.load(Ordering::Relaxed) || locked(&self.up).over
    }

    /// Moves what can be moved that way, for a bounded time. `taker_has_room` says that the side that takes it has said so.
    pub(super) fn turn(
        &self,
        room: &Arc<Room>,
        way: Way,
        taker_has_room: bool,
        buffer: &mut [u8],
    ) -> Outcome {
        let lane = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        let mut lane = locked(lane);
        if taker_has_room && !lane.blocked {
            return Outcome::Done;
        }
        if taker_has_room {
            lane.blocked = false;
            if way == Way::Down {
                room.want_room(self, false);
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
        match (self.name.stream, self.stage(), way) {
            (false, _, Way::Up) => datagram::up(self, room, &mut lane, buffer),
            (false, _, Way::Down) => datagram::down(self, room, &mut lane, buffer),
            (true, Stage::Connected, Way::Up) => stream::up(self, room, &mut lane, buffer),
            (true, Stage::Connected, Way::Down) => stream::down(self, room, &mut lane, buffer),
            (true, Stage::Listening, Way::Down) => listener::accept(self, room, &mut lane),
            _ => Outcome::Done,
        }
    }
}
