//! What the tests share: a machine, a provider that is told by the test what to answer, and short names for calls.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses a part"
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use libredox::call as redox;
use redox_host::{Entered, Host, HostConfig, Process, ProcessSpec};
use redox_scheme::{Request, SignalBehavior, Socket, scheme::register_scheme_inner};
use syscall::flag::{O_NONBLOCK, O_RDWR};
use syscall::schemev2::{Cqe, CqeOpcode, Opcode, Sqe};

pub const LONG: Duration = Duration::from_secs(20);

pub fn host() -> Host {
    Host::new(HostConfig::default()).unwrap()
}

pub fn client(host: &Host) -> Entered {
    host.enter(ProcessSpec::new("client"))
}

/// A number of Redox from libredox's error.
pub fn errno<T: std::fmt::Debug>(result: libredox::error::Result<T>) -> i32 {
    result.unwrap_err().errno()
}

pub fn open(path: &str, flags: usize) -> libredox::error::Result<usize> {
    redox::open(path, flags as i32, 0)
}

pub fn openat(fd: usize, path: &str, flags: usize) -> libredox::error::Result<usize> {
    redox::openat(fd, path, flags as i32, 0)
}

/// The raw end of a scheme: reads requests and writes answers as bytes, so that tests see what is on the wire.
pub struct Raw {
    pub socket: Socket,
}

impl Raw {
    /// Creates a scheme `name` whose root is handle 0.
    pub fn create(name: &str) -> Self {
        let socket = Socket::create().unwrap();
        register_scheme_inner(&socket, name, 0).unwrap();
        Self { socket }
    }

    pub fn fd(&self) -> usize {
        self.socket.inner().raw()
    }

    /// The next request, blocking.
    pub fn next(&self) -> Sqe {
        let mut bytes = [0; 64];
        assert_eq!(redox::read(self.fd(), &mut bytes).unwrap(), 64);
        sqe(&bytes)
    }

    /// All requests that are there, without blocking.
    pub fn drain(&self) -> Vec<Sqe> {
        let mut bytes = [0; 64 * 64];
        redox::fcntl(self.fd(), syscall::F_SETFL, O_NONBLOCK).unwrap();
        let result = redox::read(self.fd(), &mut bytes);
        redox::fcntl(self.fd(), syscall::F_SETFL, 0).unwrap();
        match result {
            Ok(count) => bytes[..count]
                .chunks(64)
                .map(|chunk| sqe(chunk.try_into().unwrap()))
                .collect(),
            Err(error) => {
                assert_eq!(error.errno(), syscall::EAGAIN);
                Vec::new()
            }
        }
    }

    pub fn write(&self, cqes: &[Cqe]) -> libredox::error::Result<usize> {
        let bytes: Vec<u8> = cqes.iter().flat_map(|cqe| cqe.to_vec()).collect();
        redox::write(self.fd(), &bytes)
    }

    pub fn answer(&self, tag: u32, result: Result<usize, i32>) {
        assert_eq!(self.write(&[regular(tag, result)]).unwrap(), 16);
    }

    /// Serves opens until one came for `path`; the new handle is `number`.
    pub fn accept_open(&self, number: usize) -> Sqe {
        let sqe = self.next();
        assert_eq!(sqe.opcode, Opcode::OpenAt as u8, "{sqe:?}");
        self.answer(sqe.tag, Ok(number));
        sqe
    }
}

pub fn sqe(bytes: &[u8; 64]) -> Sqe {
    let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    Sqe {
        opcode: bytes[0],
        sqe_flags: syscall::schemev2::SqeFlags::from_bits_retain(bytes[1]),
        _rsvd: u16::from_ne_bytes([bytes[2], bytes[3]]),
        tag: u32::from_ne_bytes(bytes[4..8].try_into().unwrap()),
        args: std::array::from_fn(|i| word(8 + 8 * i)),
        caller: word(56),
    }
}

pub fn regular(tag: u32, result: Result<usize, i32>) -> Cqe {
    let result = syscall::Error::mux(result.map_err(syscall::Error::new)) as u64;
    Cqe {
        flags: CqeOpcode::RespondRegular as u8,
        extra_raw: [0; 3],
        tag,
        result,
    }
}

pub fn post_event(id: usize, flags: usize) -> Cqe {
    Cqe {
        flags: CqeOpcode::SendFevent as u8,
        extra_raw: [0; 3],
        tag: flags as u32,
        result: id as u64,
    }
}

/// Something that a daemon does.
type Job = Box<dyn FnOnce(&Raw) + Send>;

/// A daemon that does one thing after another, as the test tells it: every job runs on its thread, in its process.
pub struct Daemon {
    pub process: Process,
    jobs: Sender<Job>,
}

impl Daemon {
    /// Starts it with a scheme of that name, registered when this returns.
    pub fn start(host: &Host, name: &str) -> Self {
        Self::start_as(host, name, ProcessSpec::new(format!("{name}d")))
    }

    pub fn start_as(host: &Host, name: &str, spec: ProcessSpec) -> Self {
        let (jobs, todo): (Sender<Job>, Receiver<_>) = channel();
        let (ready, is_ready) = channel();
        let name = name.to_owned();
        let process = host.spawn(spec, move || {
            let raw = Raw::create(&name);
            ready.send(()).unwrap();
            for job in todo {
                job(&raw);
            }
            0
        });
        is_ready.recv_timeout(LONG).unwrap();
        Self { process, jobs }
    }

    /// Starts a job and gives what it will give.
    pub fn start_job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Raw) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (done, is_done) = channel();
        self.jobs
            .send(Box::new(move |raw| {
                let _ = done.send(job(raw));
            }))
            .unwrap();
        is_done
    }

    /// Runs a job.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce(&Raw) -> T + Send + 'static) -> T {
        self.start_job(job).recv_timeout(LONG).unwrap()
    }
}

/// Runs `work` on a process of its own while the test goes on.
pub fn background<T: Send + 'static>(
    host: &Host,
    spec: ProcessSpec,
    work: impl FnOnce() -> T + Send + 'static,
) -> (Process, Receiver<T>) {
    let (done, is_done) = channel();
    let process = host.spawn(spec, move || {
        let _ = done.send(work());
        0
    });
    (process, is_done)
}

pub fn event_queue() -> usize {
    open("/scheme/event", O_RDWR).unwrap()
}

pub fn subscribe(
    queue: usize,
    fd: usize,
    data: usize,
    flags: usize,
) -> libredox::error::Result<()> {
    let event = syscall::Event {
        id: fd,
        flags: syscall::EventFlags::from_bits_retain(flags),
        data,
    };
    redox::write(queue, &event).map(|count| assert_eq!(count, 24))
}

/// Events that are there now: (fd, flags, data).
pub fn events_now(queue: usize) -> Vec<(usize, usize, usize)> {
    let mut bytes = [0; 24 * 64];
    redox::fcntl(queue, syscall::F_SETFL, O_NONBLOCK).unwrap();
    let result = redox::read(queue, &mut bytes);
    redox::fcntl(queue, syscall::F_SETFL, 0).unwrap();
    match result {
        Ok(count) => parse_events(&bytes[..count]),
        Err(error) => {
            assert_eq!(error.errno(), syscall::EAGAIN);
            Vec::new()
        }
    }
}

/// Waits for at least one event.
pub fn wait_events(queue: usize) -> Vec<(usize, usize, usize)> {
    let mut bytes = [0; 24 * 64];
    let count = redox::read(queue, &mut bytes).unwrap();
    parse_events(&bytes[..count])
}

fn parse_events(bytes: &[u8]) -> Vec<(usize, usize, usize)> {
    let word =
        |chunk: &[u8], i: usize| usize::from_ne_bytes(chunk[i * 8..i * 8 + 8].try_into().unwrap());
    bytes
        .chunks(24)
        .map(|chunk| (word(chunk, 0), word(chunk, 1), word(chunk, 2)))
        .collect()
}

/// Requests as redox-scheme parses them.
pub fn read_requests(socket: &Socket) -> Vec<Request> {
    let mut requests = Vec::with_capacity(16);
    socket
        .read_requests(&mut requests, SignalBehavior::Restart)
        .unwrap();
    requests
}

/// The payload of a request, as its provider sees it.
#[allow(unsafe_code)]
pub fn payload(sqe: &Sqe) -> &'static mut [u8] {
    // SAFETY: the kernel lends the memory until the request is answered; tests use it only before.
    unsafe {
        std::slice::from_raw_parts_mut(
            std::ptr::with_exposed_provenance_mut(sqe.args[1] as usize),
            sqe.args[2] as usize,
        )
    }
}

/// Names in what getdents gave. Entries are padded with NULs, which the iterator of redox_syscall takes for part of the name.
pub fn entry_names(bytes: &[u8]) -> Vec<String> {
    let name = |raw: &[u8]| {
        String::from_utf8(raw.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap()
    };
    syscall::dirent::DirentIter::new(bytes)
        .map(|entry| name(entry.unwrap().1))
        .collect()
}
