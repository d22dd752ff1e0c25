//! The client: asks, and prints what came of it.

mod events;
mod parked;

use std::io::{self, Write};

use libredox::call;
use libredox::error::Result;
use libredox::protocol::O_CLOEXEC;
use syscall::CallFlags;
use syscall::flag::{
    EventFlags, F_GETFL, F_SETFD, F_SETFL, MapFlags, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY,
    O_RDWR,
};

use crate::pages::{PAGE, Pages};
use crate::{Part, Worlds};

const SIGKILL: u32 = 9;
const SIGUSR1: u32 = 10;
const READ: usize = EventFlags::EVENT_READ.bits();
const WRITE: usize = EventFlags::EVENT_WRITE.bits();

/// The client's side of the machine.
struct Client<'a> {
    worlds: &'a mut dyn Worlds,
    out: &'a mut dyn Write,
    control: usize,
    log: usize,
    provider: usize,
}

/// Reads once and tells; what the reader process does.
pub(crate) fn read_once(from: usize, to: usize) -> Result<()> {
    let mut buf = [0; 4];
    let line = match call::read(from, &mut buf) {
        Ok(count) => format!("read {count}: {:?}", String::from_utf8_lossy(&buf)),
        Err(error) => format!("error {}", error.errno()),
    };
    call::write(to, line.as_bytes())?;
    Ok(())
}

/// Opens a file of the provider's for this process alone.
fn open(name: &str, flags: usize) -> Result<usize> {
    call::open(
        format!("/scheme/transcript/{name}"),
        (flags | O_CLOEXEC) as i32,
        0,
    )
}

/// A duplicate for this process alone.
fn dup(fd: usize, path: &[u8]) -> Result<usize> {
    let new = call::dup(fd, path)?;
    call::fcntl(new, F_SETFD, O_CLOEXEC)?;
    Ok(new)
}

/// The two ends of a pipe: the reading one for this process alone, the writing one to be inherited.
fn pipe() -> Result<(usize, usize)> {
    let reader = call::open("/scheme/pipe", (O_RDONLY | O_CLOEXEC) as i32, 0)?;
    let writer = call::dup(reader, b"write")?;
    Ok((reader, writer))
}

/// Everything that comes out of a pipe until its other end is closed.
fn read_to_end(fd: usize) -> Result<String> {
    let mut text = Vec::new();
    let mut buf = [0; 256];
    loop {
        match call::read(fd, &mut buf)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            count => text.extend_from_slice(buf.get(..count).unwrap_or_default()),
        }
    }
}

fn shown<T: std::fmt::Display>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value}"),
        Err(error) => format!("error {}", error.errno()),
    }
}

fn done<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("error {}", error.errno()),
    }
}

/// Runs the whole transcript in the calling process, which must be root, and prints to `out`. An error is one of the program's own means
/// (pipes, control), not an observation.
pub fn run(worlds: &mut dyn Worlds, out: &mut dyn Write) -> io::Result<()> {
    let (ready, tell) = pipe()?;
    let provider = worlds.start(Part::Provider { ready: tell }, &[tell]);
    call::close(tell)?;
    let said = read_to_end(ready)?;
    call::close(ready)?;
    if said != "!" {
        return Err(io::Error::other("the provider did not start"));
    }
    let (control, log) = (open("ctl", O_RDWR)?, open("log", O_RDONLY)?);
    let mut client = Client {
        worlds,
        out,
        control,
        log,
        provider,
    };
    client.opening()?;
    client.reading()?;
    client.parking()?;
    client.signals()?;
    client.events()?;
    client.calls()?;
    client.files()?;
    client.memory()?;
    client.death()
}

impl Client<'_> {
    fn title(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "# {title}")
    }

    fn say(&mut self, what: &str, saw: &str) -> io::Result<()> {
        writeln!(self.out, "{what}: {saw}")
    }

    /// Prints what the provider was asked since last time.
    fn asked(&mut self) -> io::Result<()> {
        let mut buf = [0; 4096];
        let count = call::read(self.log, &mut buf)?;
        for line in String::from_utf8_lossy(buf.get(..count).unwrap_or_default()).lines() {
            writeln!(self.out, "    provider: {line}")?;
        }
        Ok(())
    }

    /// Gives the provider a command; when this returns it was carried out, events and all.
    fn tell(&self, command: &str) -> Result<()> {
        call::write(self.control, command.as_bytes())?;
        // It does what a command asked for after it answered; the next request waits for that.
        self.until(0, "anything")
    }

    /// Sleeps until the provider's log has `lines` lines with `text`.
    fn until(&self, lines: usize, text: &str) -> Result<()> {
        let fd = open(&format!("until/{lines}/{text}"), O_RDONLY)?;
        call::read(fd, &mut [0; 1])?;
        call::close(fd)
    }

    fn opening(&mut self) -> io::Result<()> {
        self.title("opening")?;
        self.say(
            "open data",
            &done(open("data", O_RDWR | O_NONBLOCK).and_then(call::close)),
        )?;
        self.say(
            "open with a mode",
            &done(
                call::open(
                    "/scheme/transcript/data",
                    (O_RDWR | O_CREAT | O_CLOEXEC) as i32,
                    0o640,
                )
                .and_then(call::close),
            ),
        )?;
        self.say("open nothing", &done(open("nothing", O_RDWR)))?;
        self.say(
            "open a scheme that is not",
            &done(call::open("/scheme/transcript.not/x", O_RDWR as i32, 0)),
        )?;
        let root = open("", O_RDWR | O_DIRECTORY)?;
        let data = call::openat(root, "data", (O_RDWR | O_CLOEXEC) as i32, O_NONBLOCK as u32)?;
        self.say(
            "openat a path too long",
            &done(call::openat(root, "x".repeat(4097), O_RDWR as i32, 0)),
        )?;
        let mut path = [0; 64];
        let count = call::fpath(data, &mut path)?;
        self.say(
            "fpath",
            &String::from_utf8_lossy(path.get(..count).unwrap_or_default()),
        )?;
        self.say(
            "dup without a path",
            &done(dup(data, b"").and_then(call::close)),
        )?;
        self.say(
            "dup with a path",
            &done(dup(data, b"twin").and_then(call::close)),
        )?;
        self.say("dup with another path", &done(dup(data, b"other")))?;
        self.say("fsync", &done(call::fsync(data)))?;
        call::close(data)?;
        call::close(root)?;
        self.say("close twice", &done(call::close(root)))?;
        self.asked()
    }

    fn reading(&mut self) -> io::Result<()> {
        self.title("reading and writing")?;
        let data = open("data", O_RDWR | O_NONBLOCK)?;
        let id = self.id(data)?;
        let mut buf = *b"........";
        self.say(
            "read nothing, non-blocking",
            &shown(call::read(data, &mut buf)),
        )?;
        let again = open("again", O_RDWR)?;
        self.say(
            "read from a scheme that says EAGAIN",
            &shown(call::read(again, &mut buf)),
        )?;
        self.tell(&format!("put {id} hello"))?;
        self.say("read", &shown(call::read(data, &mut buf)))?;
        self.say(
            "the buffer, copied back whole",
            &format!("{:?}", String::from_utf8_lossy(&buf)),
        )?;
        self.say("write", &shown(call::write(data, b"to the provider")))?;
        self.say("write nothing", &shown(call::write(data, b"")))?;
        self.say("set flags", &shown(call::fcntl(data, F_SETFL, 0)))?;
        self.say(
            "flags, but for O_CLOEXEC",
            &format!("{:#x}", call::fcntl(data, F_GETFL, 0)? & !O_CLOEXEC),
        )?;
        self.tell(&format!("put {id} again"))?;
        self.say("read, blocking now", &shown(call::read(data, &mut buf)))?;
        call::close(again)?;
        call::close(data)?;
        self.asked()
    }

    fn calls(&mut self) -> io::Result<()> {
        self.title("calls")?;
        let echo = open("echo", O_RDWR)?;
        let mut payload = *b"shout";
        self.say(
            "call",
            &shown(call::call_rw(
                echo,
                &mut payload,
                CallFlags::empty(),
                &[1, 2, 3],
            )),
        )?;
        self.say("payload", &String::from_utf8_lossy(&payload))?;
        // In memory that can be written: the kernel writes every payload back, or says EFAULT.
        let mut only_in = Vec::new();
        only_in.extend_from_slice(b"only in");
        self.say(
            "call with one word",
            &shown(call::call_wo(echo, &only_in, CallFlags::empty(), &[7])),
        )?;
        self.say(
            "call with a flag that is not",
            &shown(call::call_rw(
                echo,
                &mut payload,
                CallFlags::from_bits_retain(1 << 40),
                &[],
            )),
        )?;
        let data = open("data", O_RDWR)?;
        self.say(
            "call that the scheme has not",
            &shown(call::call_rw(data, &mut payload, CallFlags::empty(), &[])),
        )?;
        call::close(data)?;
        call::close(echo)?;
        self.asked()
    }

    fn files(&mut self) -> io::Result<()> {
        self.title("files that travel")?;
        let piped = open("pipe", O_RDONLY)?;
        self.say(
            "a file of another scheme, opened through this one",
            &format!("{:?}", read_to_end(piped)?),
        )?;
        call::close(piped)?;
        let mailbox = open("mailbox", O_RDWR)?;
        let (reader, writer) = pipe()?;
        self.say(
            "send the writing end of a pipe",
            &shown(call::call_wo(
                mailbox,
                &writer.to_ne_bytes(),
                CallFlags::FD,
                &[5],
            )),
        )?;
        self.say("it is no more ours", &done(call::write(writer, b"x")))?;
        let mut fd = usize::MAX.to_ne_bytes();
        self.say(
            "get it back",
            &shown(call::call_ro(mailbox, &mut fd, CallFlags::FD, &[8, 9])),
        )?;
        let back = usize::from_ne_bytes(fd);
        call::write(back, b"round trip")?;
        call::close(back)?;
        self.say("through it", &read_to_end(reader)?)?;
        call::close(reader)?;
        let mut none = usize::MAX.to_ne_bytes();
        self.say(
            "get what is not there",
            &shown(call::call_ro(mailbox, &mut none, CallFlags::FD, &[])),
        )?;
        call::close(mailbox)?;
        self.asked()
    }

    fn memory(&mut self) -> io::Result<()> {
        self.title("shared memory")?;
        let shared = open("shared", O_RDWR)?;
        let id = self.id(shared)?;
        self.say(
            "map privately",
            &done(Pages::map(shared, PAGE, MapFlags::MAP_PRIVATE, 0)),
        )?;
        self.say(
            "map too much",
            &done(Pages::map(shared, 3 * PAGE, MapFlags::MAP_SHARED, 0)),
        )?;
        self.say(
            "map at half a page",
            &done(Pages::map(shared, PAGE, MapFlags::MAP_SHARED, 2048)),
        )?;
        let pages = Pages::map(shared, 2 * PAGE, MapFlags::MAP_SHARED, 0)?;
        call::close(shared)?;
        self.tell("page 1 42")?;
        self.say("what the provider wrote", &pages.get(1).to_string())?;
        pages.set(0, 99);
        self.tell("see 0")?;
        self.say("unmap", &done(pages.unmap()))?;
        self.until(1, &format!("close {id}"))?;
        self.asked()
    }

    fn death(&mut self) -> io::Result<()> {
        self.title("the provider is killed")?;
        let data = open("data", O_RDWR)?;
        let echo = open("echo", O_RDWR)?;
        let second = dup(data, b"")?;
        let watch = call::open("/scheme/event", (O_RDWR | O_CLOEXEC) as i32, 0)?;
        call::kill(self.provider, SIGKILL)?;
        self.worlds.wait(self.provider)?;
        self.say("read", &shown(call::read(data, &mut [0; 4])))?;
        self.say("write", &shown(call::write(data, b"x")))?;
        self.say(
            "call",
            &shown(call::call_rw(echo, &mut [0; 4], CallFlags::empty(), &[])),
        )?;
        self.say("subscribe", &done(self.subscribe(watch, data, 1, READ)))?;
        self.say(
            "dup without a path",
            &done(dup(data, b"").and_then(call::close)),
        )?;
        self.say("dup with a path", &done(dup(data, b"twin")))?;
        self.say("open", &done(open("data", O_RDWR)))?;
        self.say("close one of two", &done(call::close(second)))?;
        self.say("close the last", &done(call::close(data)))?;
        self.say("and again", &done(call::close(data)))?;
        call::close(watch)?;
        self.say("register the name again", &register_again())
    }
}

/// Registers a second scheme under the name of the dead one.
fn register_again() -> String {
    let result = redox_scheme::Socket::create().and_then(|socket| {
        redox_scheme::scheme::register_scheme_inner(&socket, crate::provider::NAME, 0)
    });
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("error {}", error.errno),
    }
}
