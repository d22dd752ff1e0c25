//! A socket of a program: the scheme's file on one side, the pair on the other.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use netscheme::reactor::Reactor;
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{Shutdown, shutdown};
use socket_door::Name;
use syscall::error::{EAGAIN, EBADF, EINTR, EIO, ENOBUFS, EWOULDBLOCK};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDONLY, O_RDWR};

use super::{Room, datagram, pair, stream};

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

/// A socket.
pub(crate) struct Socket {
    pub(super) id: u64,
    pub(super) name: Name,
    /// The lab's end of the pair.
    pub(super) end: OwnedFd,
    /// The scheme's file; bind and connect put another in its place, as dup2 does.
    file: Mutex<Option<Arc<Fd>>>,
    stage: Mutex<Stage>,
    /// Says that the stage has changed.
    moved: OwnedFd,
    /// What befell it and nobody asked about yet.
    error: AtomicI32,
    /// Orders for the thread that receives.
    orders: Fd,
    receiver: Fd,
}

/// What the receiving thread is told: look at the new file, or end.
const ANEW: u8 = b'n';
const END: u8 = b'e';

const FILE: usize = 0;
const ORDERS: usize = 1;

impl Socket {
    /// Opens a socket as the C library does; it is not kept yet.
    pub(super) fn open(room: &Room, stream: bool, v6: bool) -> Result<(Socket, OwnedFd)> {
        let path = if stream { "/scheme/tcp" } else { "/scheme/udp" };
        let flags = i32::try_from(O_RDWR | O_NONBLOCK | O_CLOEXEC).map_err(|_| EIO)?;
        let file = Fd::open(path, flags, 0).map_err(errno)?;
        Socket::of(room, file, stream, v6, Stage::Idle)
    }

    /// A socket of that file; and the program's end.
    pub(super) fn of(
        room: &Room,
        file: Fd,
        stream: bool,
        v6: bool,
        stage: Stage,
    ) -> Result<(Socket, OwnedFd)> {
        let id = room.next_id();
        let name = Name { id, stream, v6 };
        let (end, program) = pair::make(name, room.owner).map_err(|e| e.raw_os_error())?;
        let flags = i32::try_from(O_RDONLY | O_CLOEXEC).map_err(|_| EIO)?;
        let receiver = Fd::open("/scheme/pipe", flags, 0).map_err(errno)?;
        let orders = Fd::new(receiver.dup(b"write").map_err(errno)?);
        let moved = eventfd(u32::from(stage != Stage::Idle), EventfdFlags::CLOEXEC);
        let socket = Socket {
            id,
            name,
            end,
            file: Mutex::new(Some(Arc::new(file))),
            stage: Mutex::new(stage),
            moved: moved.map_err(|_| ENOBUFS)?,
            error: AtomicI32::new(0),
            orders,
            receiver,
        };
        Ok((socket, program))
    }

    /// The scheme's file.
    pub(super) fn file(&self) -> Result<Arc<Fd>> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.clone().ok_or(EBADF)
    }

    /// dup with a path and dup2: another file in the place of this one.
    pub(super) fn replace(&self, path: &str) -> Result<()> {
        let new = Fd::new(self.file()?.dup(path.as_bytes()).map_err(errno)?);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = Some(Arc::new(new));
        drop(file);
        let _ = self.orders.write(&[ANEW]);
        Ok(())
    }

    pub(super) fn close(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = None;
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next stage begins.
    pub(super) fn enter(&self, next: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = next;
        let _ = rustix::io::write(&self.moved, &1u64.to_ne_bytes());
    }

    /// The connection has failed: the program hears of it by the end of what it reads, and asks.
    pub(super) fn fail(&self, errno: Errno) {
        self.error.store(errno, Ordering::Relaxed);
        self.hang_up();
    }

    /// Remembers an error of which the program hears when it asks.
    pub(super) fn remember(&self, errno: Errno) {
        self.error.store(errno, Ordering::Relaxed);
    }

    /// SO_ERROR: once.
    pub(super) fn take_error(&self) -> Errno {
        self.error.swap(0, Ordering::Relaxed)
    }

    /// Ends both directions of the pair.
    pub(super) fn hang_up(&self) {
        let _ = shutdown(&self.end, Shutdown::Both);
    }

    /// Ends the receiving thread, whatever it waits for.
    pub(super) fn end_receiver(&self) {
        let _ = self.orders.write(&[END]);
    }

    /// From here to the end of the socket.
    pub(super) fn live(self: &Arc<Self>, room: &Arc<Room>) {
        match self.name.stream {
            true => self.live_as_stream(room),
            false => datagram::run(self),
        }
        // A pair that is closed with bytes unread, as a failed connect leaves it, has an error for its other end:
        // that is readiness for reading and for writing at once.
        if self.stage() != Stage::Failed {
            self.hang_up();
        }
    }

    fn live_as_stream(self: &Arc<Self>, room: &Arc<Room>) {
        let mut acceptor = None;
        while !pair::wait_for_hangup(self.end.as_fd(), self.moved.as_fd()) {
            let _ = rustix::io::read(&self.moved, &mut [0u8; 8]);
            match self.stage() {
                Stage::Idle => {}
                Stage::Failed => break,
                Stage::Connected => {
                    stream::run(self);
                    break;
                }
                Stage::Listening if acceptor.is_none() => {
                    let (room, listener) = (Arc::clone(room), Arc::clone(self));
                    acceptor = beside("acceptor", move || stream::accept(&room, &listener));
                }
                Stage::Listening => {}
            }
        }
        self.end_receiver();
        if let Some(acceptor) = acceptor {
            let _ = acceptor.join();
        }
    }
}

/// A thread of the same process beside this one.
pub(super) fn beside(
    name: &str,
    main: impl FnOnce() + Send + 'static,
) -> Option<std::thread::JoinHandle<()>> {
    let process = redox_host::current()?;
    let thread = std::thread::Builder::new()
        .name(name.into())
        .stack_size(512 << 10);
    let body = move || {
        let _attached = process.attach();
        main();
    };
    thread.spawn(body).ok()
}

/// Where a thread sleeps that receives, accepts or connects: until the file is ready, or there are orders.
pub(super) struct Watch<'s> {
    socket: &'s Socket,
    flags: EventFlags,
    reactor: Reactor,
    events: Vec<netscheme::reactor::Event>,
}

/// What woke it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// Look at the file.
    Ready,
    /// There is another file, which is watched already.
    Anew,
    /// It is over.
    End,
}

impl<'s> Watch<'s> {
    /// Watches the socket's file for data or connections.
    pub(super) fn for_reading(socket: &'s Socket) -> Result<Watch<'s>> {
        Watch::new(socket, EventFlags::EVENT_READ)
    }

    /// Watches the socket's file.
    pub(super) fn new(socket: &'s Socket, flags: EventFlags) -> Result<Watch<'s>> {
        let reactor = Reactor::new().map_err(|e| e.errno)?;
        let orders = socket.receiver.raw();
        reactor
            .watch(orders, ORDERS, EventFlags::EVENT_READ)
            .map_err(|e| e.errno)?;
        let watch = Watch {
            socket,
            flags,
            reactor,
            events: Vec::new(),
        };
        watch.look_anew()?;
        Ok(watch)
    }

    fn look_anew(&self) -> Result<()> {
        let file = self.socket.file()?;
        let watched = self.reactor.watch(file.raw(), FILE, self.flags);
        watched.map_err(|e| e.errno)
    }

    /// Sleeps.
    pub(super) fn wait(&mut self) -> Woken {
        loop {
            if self.reactor.wait(None, &mut self.events).is_err() {
                return Woken::End;
            }
            if self.events.iter().any(|event| event.token == ORDERS) {
                let mut orders = [0; 16];
                let n = self.socket.receiver.read(&mut orders).unwrap_or(0);
                let orders = orders.get(..n).unwrap_or_default();
                if orders.is_empty() || orders.contains(&END) || self.look_anew().is_err() {
                    return Woken::End;
                }
                return Woken::Anew;
            }
            if !self.events.is_empty() {
                return Woken::Ready;
            }
        }
    }
}

/// Writes all of it to a file that does not wait, sleeping while there is no room.
pub(super) struct Writer {
    file: Arc<Fd>,
    reactor: Option<Reactor>,
}

impl Writer {
    pub(super) fn new(file: Arc<Fd>) -> Writer {
        Writer {
            file,
            reactor: None,
        }
    }

    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes).map_err(errno) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(EAGAIN) => self.wait()?,
                Err(EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Waits for room, or for the end of the connection. The first watch reports what is ready already.
    fn wait(&mut self) -> Result<()> {
        let reactor = match &mut self.reactor {
            Some(reactor) => reactor,
            none => {
                let reactor = Reactor::new().map_err(|e| e.errno)?;
                let flags = EventFlags::EVENT_WRITE;
                reactor
                    .watch(self.file.raw(), FILE, flags)
                    .map_err(|e| e.errno)?;
                none.insert(reactor)
            }
        };
        reactor.wait(None, &mut Vec::new()).map_err(|e| e.errno)
    }
}
