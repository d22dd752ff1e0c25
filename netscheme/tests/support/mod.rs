//! A small scheme to test the server with, and what the tests share.
//!
//! Every path is a line between two ends, `NAME` and `NAME.peer`: what is written at one end is read
//! at the other, in whole messages, and at most [`ROOM`] of them wait in each direction.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod card;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use libredox::Fd;
use netscheme::handles::Handles;
use netscheme::reactor::Reactor;
use netscheme::readiness::Readiness;
use netscheme::server::Counters;
use netscheme::{CallKind, Instant, Scheme, Server, clock, directory};
use redox_host::{Host, HostConfig, Process, ProcessSpec};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::dirent::{DirentBuf, DirentKind};
use syscall::error::*;
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, O_DIRECTORY, O_NONBLOCK, O_RDWR};
use syscall::schemev2::NewFdFlags;

/// Messages that wait in one direction at most.
pub const ROOM: usize = 2;
/// How long a test waits for what must happen; it happens at once unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The first word of a call by which a client receives a message, as `recvmsg` does.
pub const RECV_MSG: u64 = 5;

/// A machine without anything on it.
pub fn host() -> Host {
    Host::new(HostConfig {
        root: None,
        ram: None,
    })
    .unwrap()
}

/// What a provider shows of itself after each turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub parked: usize,
    pub counters: Counters,
    pub turns: u64,
}

/// Where it shows it.
#[derive(Clone, Default)]
pub struct Window(Arc<(Mutex<Seen>, Condvar)>);

impl Window {
    pub fn show(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits until the provider shows what `wanted` accepts.
    pub fn wait(&self, what: &str, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let (lock, condition) = &*self.0;
        let guard = lock.lock().unwrap();
        let (seen, timeout) = condition
            .wait_timeout_while(guard, PATIENCE, |seen| !wanted(seen))
            .unwrap();
        assert!(!timeout.timed_out(), "never seen: {what}; last {seen:?}");
        *seen
    }
}

/// Starts the test's scheme as `/scheme/<name>` and returns once it is there.
pub fn provider(host: &Host, name: &'static str, options: Options) -> (Process, Window) {
    let window = Window::default();
    let shown = window.clone();
    let process = host.spawn(ProcessSpec::new(name), move || {
        let mut scheme = Lines::new(options);
        let mut server = Server::create(name, scheme.root).unwrap();
        if let Some(limit) = options.parking_limit {
            server.set_parking_limit(limit);
        }
        serve(&mut server, &mut scheme, &shown)
    });
    window.wait("the provider's first turn", |seen| seen.turns > 0);
    (process, window)
}

/// What a test wants of the scheme.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub parking_limit: Option<usize>,
    /// How long a read may wait, and the error it then gets.
    pub read_timeout: Option<(Duration, i32)>,
}

/// A daemon's main loop, as every daemon has it.
pub fn serve(server: &mut Server, scheme: &mut Lines, window: &Window) -> i32 {
    let mut reactor = Reactor::new().unwrap();
    reactor
        .watch(server.fd(), 0, EventFlags::EVENT_READ)
        .unwrap();
    let mut events = Vec::new();
    loop {
        let Ok(served) = server.serve(scheme, clock::now()) else {
            return 0;
        };
        scheme.settle(server);
        server.expire(scheme, clock::now());
        if server.flush().is_err() {
            return 0;
        }
        window.show(|seen| {
            seen.parked = server.parked();
            seen.counters = server.counters();
            seen.turns += 1;
        });
        if !served.more && reactor.wait(server.next_deadline(), &mut events).is_err() {
            return 0;
        }
    }
}

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
pub struct Lines {
    files: Handles<Option<File>>,
    lines: BTreeMap<String, Line>,
    pub root: usize,
    options: Options,
    /// Lines on which something changed.
    changed: Vec<String>,
}

impl Lines {
    pub fn new(options: Options) -> Self {
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
    pub fn settle(&mut self, server: &mut Server) {
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

/// Opens `/scheme/<path>`.
pub fn open(path: &str, flags: usize) -> Fd {
    try_open(path, flags).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn try_open(path: &str, flags: usize) -> Result<Fd> {
    Ok(Fd::open(&format!("/scheme/{path}"), flags as i32, 0)?)
}

/// One message.
pub fn read(file: &Fd) -> Result<String> {
    let mut buffer = [0; 256];
    let length = file.read(&mut buffer)?;
    Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

pub fn write(file: &Fd, message: &str) -> Result<()> {
    file.write(message.as_bytes())?;
    Ok(())
}

/// The error number of what must fail.
pub fn errno<T>(result: Result<T, impl Into<Error>>) -> i32 {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.into().errno,
    }
}

/// Starts a client that makes one call and ends with its error number, 0 when it succeeds; returns
/// once the provider has parked that call, its `parked`-th.
pub fn blocked_client(
    host: &Host,
    window: &Window,
    parked: usize,
    spec: ProcessSpec,
    call: impl FnOnce() -> Result<()> + Send + 'static,
) -> Process {
    let client = host.spawn(spec, move || {
        call().map_or_else(|error| error.errno, |()| 0)
    });
    window.wait("the call is parked", |seen| seen.parked == parked);
    client
}

/// How `client` ended.
pub fn status(client: &Process) -> i32 {
    match client.wait(PATIENCE) {
        Some(redox_host::ExitStatus::Exited(status)) => status,
        other => panic!("the client did not return: {other:?}"),
    }
}
