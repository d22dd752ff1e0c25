//! The driver's ends of the pipes by which a stack of ours has its frames.
//!
//! A call to a scheme costs Redox two switches of the process and new mappings in both; bytes in a pipe cost a copy each
//! way, and nobody waits for anybody: who writes goes on, and an event wakes who reads. And a pipe whose other end has
//! died says so, where a call to a scheme that has died never returns.
//!
//! Whoever has found a pipe empty, or full, is told of the next write to it, or read from it, by an event.

use core::ops::Range;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EAGAIN, EPIPE, EWOULDBLOCK, Error, Result};
use syscall::flag::{EventFlags, O_DIRECTORY, O_FCNTL_MASK, O_NONBLOCK, O_RDONLY};

use super::Counters;
use crate::network::server::Nic;
use crate::network::{bundle, uninterrupted};
use crate::reactor::Watcher;

/// Bytes between the card and a pipe: more than the longest frame, and than what a pipe holds.
const ROOM: usize = 17 * 4096;
/// Reads or writes of a pipe in one turn.
const PER_TURN: usize = 8;

/// Where new pipes come from. To be found before the null namespace is entered, and so that nobody has to be asked for
/// one while a call is served.
pub(in crate::network) struct Source(Fd);

impl Source {
    /// The root of the kernel's pipes.
    ///
    /// # Errors
    /// What the system answered.
    pub(in crate::network) fn find() -> Result<Source> {
        let flags = (O_DIRECTORY | O_CLOEXEC) as i32;
        let root = libredox::call::openat(libredox::call::getns()?, "/scheme/pipe", flags, 0)?;
        Ok(Source(Fd::new(root)))
    }

    /// A new pipe whose ends never block: for reading, and for writing.
    fn pipe(&self) -> Result<(Fd, Fd)> {
        let flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
        let fcntl_flags = (flags & O_FCNTL_MASK) as u32;
        let reader = self.0.openat("", flags as i32, fcntl_flags)?;
        let writer = Fd::new(reader.dup(b"write")?);
        Ok((reader, writer))
    }
}

/// Who is woken up by a pipe, and under which token.
#[derive(Clone)]
pub(super) struct Wake {
    pub(super) watcher: Watcher,
    pub(super) token: usize,
}

/// What a pipe's turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing is left; an event, or an interrupt, tells of the next.
    Done,
    /// The other side has no room; an event, or an interrupt, tells when it has.
    Full,
    /// There may be more, and nobody will say so.
    More,
}

/// Received frames on their way to the stack.
pub(super) struct Inlet {
    pipe: Fd,
    bytes: Box<[u8]>,
    /// What of `bytes` the pipe has not taken yet.
    left: Range<usize>,
    wake: Option<Wake>,
    is_watched: bool,
}

impl Inlet {
    /// A new one, and the end of the pipe for who reads it.
    pub(super) fn new(source: &Source, wake: Option<Wake>) -> Result<(Inlet, Fd)> {
        let (reader, pipe) = source.pipe()?;
        let inlet = Inlet {
            pipe,
            bytes: vec![0; ROOM].into(),
            left: 0..0,
            wake,
            is_watched: false,
        };
        Ok((inlet, reader))
    }

    /// Whether anybody has the other end.
    pub(super) fn is_read(&self) -> bool {
        !matches!(write(&self.pipe, &[]), Err(Error { errno: EPIPE }))
    }

    /// Gives what `nic` has received to the pipe, as far as there is room.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn turn(&mut self, nic: &mut impl Nic, counters: &mut Counters) -> Result<Turn> {
        let turn = self.pump(nic, counters)?;
        self.watch_room(turn == Turn::Full)?;
        Ok(turn)
    }

    /// How many frames were taken from the card and are not in the pipe, or not whole.
    pub(super) fn lost(&self) -> u64 {
        let (mut at, mut lost) = (0, 0);
        while let Some((frame, _)) = self.bytes.get(at..self.left.end).and_then(bundle::take) {
            at += bundle::size(frame.len());
            lost += u64::from(at > self.left.start);
        }
        lost
    }

    fn pump(&mut self, nic: &mut impl Nic, counters: &mut Counters) -> Result<Turn> {
        for _ in 0..PER_TURN {
            if self.left.is_empty() {
                self.gather(nic, counters);
            }
            let left = self.bytes.get(self.left.clone()).unwrap_or_default();
            if left.is_empty() {
                return Ok(Turn::Done);
            }
            match write(&self.pipe, left) {
                Ok(written) => self.left.start += written,
                Err(Error {
                    errno: EAGAIN | EWOULDBLOCK,
                }) => return Ok(Turn::Full),
                Err(error) => return Err(error),
            }
        }
        Ok(Turn::More)
    }

    /// Takes as many frames as there is room for.
    fn gather(&mut self, nic: &mut impl Nic, counters: &mut Counters) {
        let longest = bundle::longest(nic.mtu());
        let mut used = 0;
        while let Some(room) = self.bytes.get_mut(used..).filter(|r| r.len() >= longest) {
            let Some(frame) = nic.receive() else {
                break;
            };
            match bundle::put(room, &frame) {
                Some(size) => used += size,
                None => counters.rx_truncated += 1,
            }
        }
        self.left = 0..used;
    }

    /// Is told of room only while it waits for some: else every read of the stack would be an event.
    fn watch_room(&mut self, waits: bool) -> Result<()> {
        let fd = self.pipe.raw();
        if let Some(Wake { watcher, token }) = &self.wake
            && waits != self.is_watched
        {
            match waits {
                true => watcher.watch(fd, *token, EventFlags::EVENT_WRITE)?,
                false => watcher.unwatch(fd, *token)?,
            }
            self.is_watched = waits;
        }
        Ok(())
    }
}

/// Frames to send, from the stack.
pub(super) struct Outlet {
    pipe: Fd,
    bytes: Box<[u8]>,
    /// What of `bytes` was read and not sent yet: at its end, perhaps a part of a frame.
    held: Range<usize>,
}

impl Outlet {
    /// A new one, and the end of the pipe for who writes to it.
    pub(super) fn new(source: &Source, wake: Option<&Wake>) -> Result<(Outlet, Fd)> {
        let (pipe, writer) = source.pipe()?;
        if let Some(Wake { watcher, token }) = wake {
            watcher.watch(pipe.raw(), *token, EventFlags::EVENT_READ)?;
        }
        let outlet = Outlet {
            pipe,
            bytes: vec![0; 2 * ROOM].into(),
            held: 0..0,
        };
        Ok((outlet, writer))
    }

    /// Whether anybody has the other end. That nobody has shows behind all that is in the pipe only, so there is room
    /// for that behind what a full card has left here.
    pub(super) fn is_written(&mut self) -> bool {
        loop {
            match self.read() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => return error.errno != EPIPE,
            }
        }
    }

    /// Takes over what `before`, which nobody writes to any more, has not sent: its last frame, if that came in part, is
    /// lost.
    pub(super) fn succeed(&mut self, before: Outlet) {
        let Outlet { bytes, held, .. } = before;
        let mut whole = held.start;
        while let Some((frame, _)) = bytes.get(whole..held.end).and_then(bundle::take) {
            whole += bundle::size(frame.len());
        }
        (self.bytes, self.held) = (bytes, held.start..whole);
    }

    /// Gives the frames in the pipe to `transmit`, until that answers EWOULDBLOCK. What else it answers is its affair.
    ///
    /// # Errors
    /// Nobody writes any more, and everything is sent.
    pub(super) fn turn(
        &mut self,
        mut transmit: impl FnMut(&[u8]) -> Result<usize>,
    ) -> Result<Turn> {
        let mut is_empty = false;
        for _ in 0..PER_TURN {
            while let Some((frame, _)) = bundle::take(self.held()) {
                let size = bundle::size(frame.len());
                if let Err(Error { errno: EWOULDBLOCK }) = transmit(frame) {
                    return Ok(Turn::Full);
                }
                self.held.start += size;
            }
            if is_empty {
                return Ok(Turn::Done);
            }
            match self.read() {
                Ok(all) => is_empty = all,
                Err(Error {
                    errno: EAGAIN | EWOULDBLOCK,
                }) => return Ok(Turn::Done),
                Err(error) => return Err(error),
            }
        }
        Ok(Turn::More)
    }

    fn held(&self) -> &[u8] {
        self.bytes.get(self.held.clone()).unwrap_or_default()
    }

    /// Reads behind what is held; whether that was all. EPIPE at the pipe's end.
    fn read(&mut self) -> Result<bool> {
        self.bytes.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        let room = self.bytes.get_mut(self.held.end..).unwrap_or_default();
        match uninterrupted(|| self.pipe.read(&mut *room))? {
            0 if !room.is_empty() => Err(Error::new(EPIPE)),
            length => {
                self.held.end += length;
                Ok(length < room.len())
            }
        }
    }
}

fn write(pipe: &Fd, bytes: &[u8]) -> Result<usize> {
    uninterrupted(|| pipe.write(bytes))
}
