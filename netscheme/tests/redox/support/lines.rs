//! A small scheme to test the server with.
//!
//! Every path is a line between two ends, `NAME` and `NAME.peer`: what is written at one end is read
//! at the other, in whole messages, and at most [`ROOM`] of them wait in each direction.

use std::collections::{BTreeMap, VecDeque};

use netscheme::handles::Handles;
use netscheme::readiness::Readiness;
use netscheme::{CallKind, Instant, Scheme, Server, directory};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::dirent::{DirentBuf, DirentKind};
use syscall::error::*;
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, O_DIRECTORY, O_NONBLOCK, O_RDWR};
use syscall::schemev2::NewFdFlags;

use super::{Options, RECV_MSG, ROOM, WAIT_ALL};

struct File {
    line: String,
    /// Whether this is the peer's end.
    peer: bool,
    flags: usize,
    readiness: Readiness,
}

#[derive(Default)]
struct Line {
    /// Messages for the end and for the peer.
    queues: [VecDeque<Vec<u8>>; 2],
    hung_up: bool,
}

/// The scheme.
pub(crate) struct Lines {
    files: Handles<Option<File>>,
    lines: BTreeMap<String, Line>,
    pub(crate) root: usize,
    options: Options,
    /// Lines on which something changed.
    changed: Vec<String>,
}

impl Lines {
    pub(crate) fn new(options: Options) -> Self {
        let mut files = Handles::new(100_000);
        let root = files.insert(None).unwrap();
        Self {
            files,
            lines: BTreeMap::new(),
            root,
            options,
            changed: Vec::new(),
        }
    }

    /// Runs again what may go on, posts what became ready.
    pub(crate) fn settle(&mut self, server: &mut Server) {
        while let Some(name) = self.changed.pop() {
            let hung_up = self.lines.get(&name).is_some_and(|line| line.hung_up);
            for handle in self.handles_on(&name) {
                if hung_up {
                    server.close_parked(handle, ECONNRESET);
                } else {
                    server.retry(self, handle);
                }
            }
            for handle in self.handles_on(&name) {
                let ready = self.ready(handle);
                let Some(Some(file)) = self.files.get_mut(handle) else {
                    continue;
                };
                let edges = file.readiness.arrived(ready, EventFlags::EVENT_READ);
                server.post(handle, edges);
            }
        }
    }

    fn handles_on(&self, name: &str) -> Vec<usize> {
        let files = self.files.iter();
        files
            .filter(|(_, file)| file.as_ref().is_some_and(|file| file.line == name))
            .map(|(id, _)| id)
            .collect()
    }

    fn file(&self, id: usize) -> Result<&File> {
        self.files
            .get(id)
            .and_then(Option::as_ref)
            .ok_or(Error::new(EBADF))
    }

    fn ready(&self, id: usize) -> EventFlags {
        let mut ready = EventFlags::empty();
        if let Ok(file) = self.file(id)
            && let Some(line) = self.lines.get(&file.line)
        {
            ready.set(
                EventFlags::EVENT_READ,
                !line.queues[usize::from(file.peer)].is_empty(),
            );
            ready.set(
                EventFlags::EVENT_WRITE,
                line.queues[usize::from(!file.peer)].len() < ROOM,
            );
        }
        ready
    }

    /// Messages that wait for this end.
    fn waiting(&self, id: usize) -> Result<usize> {
        let file = self.file(id)?;
        let line = self.lines.get(&file.line).ok_or(Error::new(EIO))?;
        Ok(line.queues[usize::from(file.peer)].len())
    }

    fn receive(&mut self, id: usize, buffer: &mut [u8]) -> Result<usize> {
        let file = self.file(id)?;
        let (name, peer) = (file.line.clone(), file.peer);
        let line = self.lines.get_mut(&name).ok_or(Error::new(EIO))?;
        let Some(message) = line.queues[usize::from(peer)].pop_front() else {
            if let Some(Some(file)) = self.files.get_mut(id) {
                file.readiness.would_block(EventFlags::EVENT_READ);
            }
            return Err(Error::new(EWOULDBLOCK));
        };
        let length = message.len().min(buffer.len());
        buffer[..length].copy_from_slice(&message[..length]);
        self.changed.push(name);
        Ok(length)
    }
}

impl SchemeSync for Lines {
    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        fcntl: u32,
        _: &CallerCtx,
    ) -> Result<OpenResult> {
        assert!(
            matches!(self.files.get(dir), Some(None)),
            "only the root is a directory"
        );
        if path.starts_with('.') {
            return Err(Error::new(ENOENT));
        }
        if path.is_empty() || flags & O_DIRECTORY != 0 {
            let number = self.files.insert(None).unwrap();
            return Ok(OpenResult::ThisScheme {
                number,
                flags: NewFdFlags::empty(),
            });
        }
        let (name, peer) = match path.strip_suffix(".peer") {
            Some(name) => (name, true),
            None => (path, false),
        };
        self.lines.entry(name.to_owned()).or_default();
        let file = File {
            line: name.to_owned(),
            peer,
            flags: flags | fcntl as usize,
            readiness: Readiness::default(),
        };
        let number = self
            .files
            .insert(Some(file))
            .map_err(|_| Error::new(EMFILE))?;
        Ok(OpenResult::ThisScheme {
            number,
            flags: NewFdFlags::empty(),
        })
    }

    /// `accept` waits for a message, as a listener waits for a connection, and opens what it names.
    fn dup(&mut self, id: usize, buffer: &[u8], caller: &CallerCtx) -> Result<OpenResult> {
        if buffer != b"accept" {
            return Err(Error::new(EINVAL));
        }
        let mut name = [0; 64];
        let length = self.receive(id, &mut name)?;
        let name = String::from_utf8(name[..length].to_vec()).unwrap();
        self.openat(self.root, &name, O_RDWR, 0, caller)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _: u64,
        _: u32,
        _: &CallerCtx,
    ) -> Result<usize> {
        self.receive(id, buffer)
    }

    fn write(&mut self, id: usize, buffer: &[u8], _: u64, _: u32, _: &CallerCtx) -> Result<usize> {
        let file = self.file(id)?;
        let (name, peer) = (file.line.clone(), file.peer);
        let line = self.lines.get_mut(&name).ok_or(Error::new(EIO))?;
        if buffer == b"hang up" {
            line.hung_up = true;
        } else if line.queues[usize::from(!peer)].len() >= ROOM {
            return Err(Error::new(EWOULDBLOCK));
        } else {
            line.queues[usize::from(!peer)].push_back(buffer.to_vec());
        }
        self.changed.push(name);
        Ok(buffer.len())
    }

    fn call(
        &mut self,
        id: usize,
        payload: &mut [u8],
        metadata: &[u64],
        caller: &CallerCtx,
    ) -> Result<usize> {
        assert_eq!(
            caller.uid,
            u32::MAX,
            "the third word of metadata is not a user"
        );
        match metadata {
            [RECV_MSG, WAIT_ALL, ..] if self.waiting(id)? < 2 => Err(Error::new(EWOULDBLOCK)),
            [RECV_MSG, ..] => self.receive(id, payload),
            _ => Err(Error::new(EOPNOTSUPP)),
        }
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _: &CallerCtx) -> Result<EventFlags> {
        let ready = self.ready(id);
        match self.files.get_mut(id) {
            Some(Some(file)) => Ok(file.readiness.watch(flags, ready)),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn fcntl(
        &mut self,
        id: usize,
        command: usize,
        argument: usize,
        _: &CallerCtx,
    ) -> Result<usize> {
        let Some(Some(file)) = self.files.get_mut(id) else {
            return Err(Error::new(EBADF));
        };
        match command {
            F_GETFL => Ok(file.flags),
            F_SETFL => {
                file.flags = argument;
                Ok(0)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _: &CallerCtx) -> Result<()> {
        match self.files.get(id) {
            Some(None) => directory::stat_directory(stat, 0o555),
            Some(Some(_)) => directory::stat_file(stat, 0o666, 77),
            None => return Err(Error::new(EBADF)),
        }
        Ok(())
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        buffer: DirentBuf<&'buf mut [u8]>,
        opaque: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        match self.files.get(id) {
            Some(None) => directory::list(
                buffer,
                opaque,
                self.lines
                    .keys()
                    .map(|name| (name.as_str(), DirentKind::Regular)),
            ),
            _ => Err(Error::new(ENOTDIR)),
        }
    }

    /// Files that can be locked have an inode: the server must not let that reach the locks.
    fn inode(&self, id: usize) -> Result<usize> {
        Ok(id)
    }

    fn on_close(&mut self, id: usize) {
        assert!(self.files.remove(id).is_some(), "closed twice: {id:#x}");
    }
}

impl Scheme for Lines {
    fn nonblocking(&self, handle: usize) -> bool {
        self.file(handle)
            .is_ok_and(|file| file.flags & O_NONBLOCK != 0)
    }

    fn park_deadline(
        &self,
        _handle: usize,
        kind: CallKind,
        now: Instant,
    ) -> Option<(Instant, i32)> {
        let (timeout, errno) = self
            .options
            .read_timeout
            .filter(|_| kind == CallKind::Read)?;
        Some((now.saturating_add(timeout), errno))
    }
}
