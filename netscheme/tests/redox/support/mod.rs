//! What the tests share: a provider of the scheme of [`lines`], clients, and a window to look through.

pub(crate) mod card;
mod lines;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use libredox::Fd;
use netscheme::reactor::Reactor;
use netscheme::server::Counters;
use netscheme::{Server, clock};
use redox_host::{Host, HostConfig, Process, ProcessSpec};
use syscall::error::{Error, Result};
use syscall::flag::EventFlags;

pub(crate) use lines::Lines;

/// Messages that wait in one direction at most.
pub(crate) const ROOM: usize = 2;
/// How long a test waits for what must happen; it happens at once unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The first word of a call by which a client receives a message, as `recvmsg` does.
pub(crate) const RECV_MSG: u64 = 5;
/// Its flag that it wants two messages or none.
pub(crate) const WAIT_ALL: u64 = 256;

/// A machine without anything on it.
pub(crate) fn host() -> Host {
    Host::new(HostConfig {
        root: None,
        ram: None,
    })
    .unwrap()
}

/// What a provider shows of itself after each turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) parked: usize,
    pub(crate) counters: Counters,
    pub(crate) turns: u64,
    /// It is no more.
    pub(crate) ended: bool,
}

/// Where it shows it.
#[derive(Clone, Default)]
pub(crate) struct Window(Arc<(Mutex<Seen>, Condvar)>);

impl Window {
    pub(crate) fn show(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits until the provider shows what `wanted` accepts.
    pub(crate) fn wait(&self, what: &str, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let (lock, condition) = &*self.0;
        let guard = lock.lock().unwrap();
        let waiting = |seen: &mut Seen| !wanted(seen) && !seen.ended;
        let (seen, timeout) = condition
            .wait_timeout_while(guard, PATIENCE, waiting)
            .unwrap();
        assert!(
            !timeout.timed_out() && !seen.ended,
            "never seen: {what}; last {seen:?}"
        );
        *seen
    }

    /// Shows the end of the provider when it is dropped, so that a test does not wait for one that
    /// panicked.
    pub(crate) fn until_the_end(&self) -> End {
        End(self.clone())
    }
}

pub(crate) struct End(Window);

impl Drop for End {
    fn drop(&mut self) {
        self.0.show(|seen| seen.ended = true);
    }
}

/// Starts the test's scheme as `/scheme/<name>` and returns once it is there.
pub(crate) fn provider(host: &Host, name: &'static str, options: Options) -> (Process, Window) {
    let window = Window::default();
    let shown = window.clone();
    let process = host.spawn(ProcessSpec::new(name), move || {
        let _end = shown.until_the_end();
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
pub(crate) struct Options {
    pub(crate) parking_limit: Option<usize>,
    /// How long a read may wait, and the error it then gets.
    pub(crate) read_timeout: Option<(Duration, i32)>,
}

/// A daemon's main loop, as every daemon has it.
pub(crate) fn serve(server: &mut Server, scheme: &mut Lines, window: &Window) -> i32 {
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

/// Opens `/scheme/<path>`.
pub(crate) fn open(path: &str, flags: usize) -> Fd {
    try_open(path, flags).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn try_open(path: &str, flags: usize) -> Result<Fd> {
    Ok(Fd::open(&format!("/scheme/{path}"), flags as i32, 0)?)
}

/// One message.
pub(crate) fn read(file: &Fd) -> Result<String> {
    let mut buffer = [0; 256];
    let length = file.read(&mut buffer)?;
    Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

pub(crate) fn write(file: &Fd, message: &str) -> Result<()> {
    file.write(message.as_bytes())?;
    Ok(())
}

/// The error number of what must fail.
pub(crate) fn errno<T>(result: Result<T, impl Into<Error>>) -> i32 {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.into().errno,
    }
}

/// Starts a client that makes one call and ends with its error number, 0 when it succeeds; returns
/// once the provider has parked that call, its `parked`-th.
pub(crate) fn blocked_client(
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
pub(crate) fn status(client: &Process) -> i32 {
    match client.wait(PATIENCE) {
        Some(redox_host::ExitStatus::Exited(status)) => status,
        other => panic!("the client did not return: {other:?}"),
    }
}
