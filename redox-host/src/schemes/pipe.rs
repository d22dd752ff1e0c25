//! `pipe` (kernel scheme/pipe.rs): opening gives the reading end, `dup` with "write" (once) the writing end; also a way for files.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syscall::data::Stat;
use syscall::error::{EAGAIN, EBADF, EINVAL, ENOENT, EPIPE, Error, Result};
use syscall::flag::{CallFlags, EventFlags, MODE_FIFO, O_DIRECTORY, O_NONBLOCK};

use crate::context::Context;
use crate::event::Events;
use crate::files::{Description, MAX_FILES};
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat, put_text};
use crate::wait::{Condition, lock};

/// Bytes that a pipe holds.
const ROOM: usize = 65_536;

/// Bit of the number that tells the writing end from the reading one.
const WRITER: usize = 1;

struct Inside {
    bytes: VecDeque<u8>,
    files: VecDeque<Arc<Description>>,
    reader: bool,
    writer: bool,
    has_run_dup: bool,
}

struct Pipe {
    inside: Mutex<Inside>,
    readable: Condition,
    writable: Condition,
}

enum Handle {
    Root,
    Pipe(Arc<Pipe>),
}

/// The scheme.
pub(crate) struct PipeScheme {
    id: SchemeId,
    events: Arc<Events>,
    pipes: Mutex<HashMap<usize, Handle>>,
    next: AtomicUsize,
}

impl PipeScheme {
    /// The handle that opens pipes.
    pub(crate) const ROOT: usize = 0;

    pub(crate) fn new(id: SchemeId, events: Arc<Events>) -> Self {
        Self {
            id,
            events,
            pipes: Mutex::new(HashMap::from([(Self::ROOT, Handle::Root)])),
            next: AtomicUsize::new(2),
        }
    }

    fn get(&self, number: usize) -> Result<Arc<Pipe>> {
        match lock(&self.pipes).get(&(number & !WRITER)) {
            Some(Handle::Pipe(pipe)) => Ok(Arc::clone(pipe)),
            _ => Err(Error::new(EBADF)),
        }
    }

    /// The pipe of a reading (`writer` false) or writing end.
    fn end(&self, number: usize, writer: bool) -> Result<Arc<Pipe>> {
        if (number & WRITER != 0) != writer {
            return Err(Error::new(EBADF));
        }
        self.get(number)
    }

    fn add(&self, handle: Handle) -> usize {
        let number = self.next.fetch_add(2, Ordering::Relaxed);
        lock(&self.pipes).insert(number, handle);
        number
    }

    fn open_writer(&self, number: usize, name: &[u8], exact: bool) -> Result<Opened> {
        let pipe = self.get(number)?;
        if !(name == b"write" || !exact && name.starts_with(b"write")) {
            return Err(Error::new(EINVAL));
        }
        if std::mem::replace(&mut lock(&pipe.inside).has_run_dup, true) {
            return Err(Error::new(EBADF));
        }
        Ok(Opened::local(number | WRITER))
    }

    fn told_reader(&self, number: usize, pipe: &Pipe) {
        self.events
            .trigger(self.id, number & !WRITER, EventFlags::EVENT_READ);
        pipe.readable.notify();
    }

    fn told_writer(&self, number: usize, pipe: &Pipe) {
        self.events
            .trigger(self.id, number | WRITER, EventFlags::EVENT_WRITE);
        pipe.writable.notify();
    }
}

impl KernelScheme for PipeScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        let is_root = match lock(&self.pipes).get(&(number & !WRITER)) {
            Some(Handle::Root) => true,
            Some(Handle::Pipe(_)) => false,
            None => return Err(Error::new(EBADF)),
        };
        if !is_root {
            return self.open_writer(number & !WRITER, path.as_bytes(), true);
        }
        match path.trim_start_matches('/') {
            // The namespace manager gives the scheme's root, below which the kernel makes a pipe of each "".
            "" if flags & O_DIRECTORY != 0 => return Ok(Opened::local(self.add(Handle::Root))),
            "" => {}
            "scheme-root" => return Ok(Opened::local(self.add(Handle::Root))),
            _ => return Err(Error::new(ENOENT)),
        }
        let inside = Inside {
            bytes: VecDeque::new(),
            files: VecDeque::new(),
            reader: true,
            writer: true,
            has_run_dup: false,
        };
        let pipe = Pipe {
            inside: Mutex::new(inside),
            readable: Condition::default(),
            writable: Condition::default(),
        };
        Ok(Opened::local(self.add(Handle::Pipe(Arc::new(pipe)))))
    }

    fn dup(&self, _cx: &Arc<Context>, number: usize, buf: &[u8]) -> Result<Opened> {
        if number & WRITER != 0 {
            return Err(Error::new(EBADF));
        }
        self.open_writer(number, buf, false)
    }

    fn read(&self, cx: &Arc<Context>, number: usize, buf: &mut [u8], flags: u32) -> Result<usize> {
        let pipe = self.end(number, false)?;
        loop {
            let mut inside = lock(&pipe.inside);
            let count = buf.len().min(inside.bytes.len());
            if count > 0 {
                for (slot, byte) in buf.iter_mut().zip(inside.bytes.drain(..count)) {
                    *slot = byte;
                }
                drop(inside);
                self.told_writer(number, &pipe);
                return Ok(count);
            }
            if buf.is_empty() || !inside.writer {
                return Ok(0);
            }
            if flags as usize & O_NONBLOCK != 0 {
                return Err(Error::new(EAGAIN));
            }
            pipe.readable.wait(cx, inside, None)?;
        }
    }

    fn write(&self, cx: &Arc<Context>, number: usize, buf: &[u8], flags: u32) -> Result<usize> {
        let pipe = self.end(number, true)?;
        loop {
            let mut inside = lock(&pipe.inside);
            if !inside.reader {
                return Err(Error::new(EPIPE));
            }
            let count = buf.len().min(ROOM.saturating_sub(inside.bytes.len()));
            if count > 0 {
                inside.bytes.extend(&buf[..count]);
                drop(inside);
                self.told_reader(number, &pipe);
                return Ok(count);
            }
            if buf.is_empty() {
                return Ok(0);
            }
            if flags as usize & O_NONBLOCK != 0 {
                return Err(Error::new(EAGAIN));
            }
            pipe.writable.wait(cx, inside, None)?;
        }
    }

    fn fd_write(
        &self,
        cx: &Arc<Context>,
        number: usize,
        files: Vec<Arc<Description>>,
        _flags: CallFlags,
        _metadata: &[u64],
    ) -> Result<usize> {
        let pipe = self.end(number, true)?;
        loop {
            let mut inside = lock(&pipe.inside);
            if !inside.reader {
                return Err(Error::new(EPIPE));
            }
            let room = MAX_FILES.saturating_sub(inside.files.len());
            if files.is_empty() || room > 0 {
                let count = files.len().min(room);
                let mut files = files;
                inside.files.extend(files.drain(..count));
                drop(inside);
                if count > 0 {
                    self.told_reader(number, &pipe);
                }
                return Ok(count);
            }
            pipe.writable.wait(cx, inside, None)?;
        }
    }

    fn fd_read(
        &self,
        cx: &Arc<Context>,
        number: usize,
        wanted: usize,
        _flags: CallFlags,
        _metadata: &[u64],
    ) -> Result<Vec<Arc<Description>>> {
        let pipe = self.end(number, false)?;
        loop {
            let mut inside = lock(&pipe.inside);
            let count = wanted.min(inside.files.len());
            if count > 0 {
                let files = inside.files.drain(..count).collect();
                drop(inside);
                self.told_writer(number, &pipe);
                return Ok(files);
            }
            if wanted == 0 || !inside.writer {
                return Ok(Vec::new());
            }
            pipe.readable.wait(cx, inside, None)?;
        }
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, flags: EventFlags) -> Result<EventFlags> {
        let pipe = self.get(number)?;
        let inside = lock(&pipe.inside);
        Ok(if number & WRITER != 0 {
            if inside.bytes.len() < ROOM || !inside.reader {
                flags & EventFlags::EVENT_WRITE
            } else {
                EventFlags::empty()
            }
        } else if !inside.bytes.is_empty() || !inside.writer {
            flags & EventFlags::EVENT_READ
        } else {
            EventFlags::empty()
        })
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        Ok(put_text(buf, "/scheme/pipe/"))
    }

    fn fstat(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<()> {
        put_stat(
            buf,
            &Stat {
                st_mode: MODE_FIFO | 0o666,
                ..Stat::default()
            },
        )
    }

    fn close(&self, number: usize) {
        let Ok(pipe) = self.get(number) else {
            lock(&self.pipes).remove(&number);
            return;
        };
        let mut inside = lock(&pipe.inside);
        let done = if number & WRITER != 0 {
            inside.writer = false;
            !inside.reader
        } else {
            inside.reader = false;
            // Nobody will ever take what is inside. A writing end that was never made will never be closed either.
            !inside.writer || !inside.has_run_dup
        };
        let unread = if inside.reader {
            VecDeque::new()
        } else {
            std::mem::take(&mut inside.files)
        };
        drop(inside);
        if number & WRITER != 0 {
            self.told_reader(number, &pipe);
        } else {
            self.told_writer(number, &pipe);
        }
        let gone = if done {
            lock(&self.pipes).remove(&(number & !WRITER))
        } else {
            None
        };
        drop((unread, gone));
    }
}
