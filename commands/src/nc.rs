//! `nc`: a TCP connection between the network and the terminal.

use libredox::protocol::SocketCall;
use netscheme::reactor::{Event, Reactor};
use syscall::error::{EAGAIN, EWOULDBLOCK};
use syscall::flag::EventFlags;

use crate::address::Family;
use crate::connect::connect;
use crate::fd::{OpenedFile, set_nonblocking};
use crate::stream::Deadline;
use crate::{Error, Terminal, dns};

const USAGE: &str = "nc [-4 | -6] HOST PORT, or nc [-4 | -6] -l PORT";
const INPUT: usize = 0;
const SOCKET: usize = 1;
/// Bytes moved at once.
const CHUNK: usize = 16 * 1024;

pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut family = Family::Any;
    words.retain(|word| match Family::of_option(word) {
        None => true,
        Some(wanted) => {
            family = wanted;
            false
        }
    });
    let usage = || Error::Usage(USAGE.into());
    let port = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|&p| p != 0)
            .ok_or_else(usage)
    };
    let socket = match words.as_slice() {
        ["-l", number] => {
            let listener = listen(family, port(number)?)?;
            writeln!(terminal.err, "nc: waiting on port {number}")?;
            terminal.err.flush()?;
            let connection = listener.dup("listen")?;
            writeln!(terminal.err, "nc: connected: {}", connection.fpath()?)?;
            connection
        }
        [host, number] => {
            let port = port(number)?;
            connect(
                &dns::lookup(host, family, terminal.seed, Deadline::NEVER)?,
                port,
                Deadline::NEVER,
            )?
        }
        _ => return Err(usage()),
    };
    Pump::new(socket, terminal)?.run()
}

/// Listens on every address, of both families unless one is named. A server that knows no IPv6 listens on IPv4's.
fn listen(family: Family, port: u16) -> Result<OpenedFile, Error> {
    let both = || OpenedFile::listen_at(&format!("[::]:{port}"));
    match family {
        Family::V4 => OpenedFile::listen(port),
        Family::V6 => both(),
        Family::Any => both().or_else(|_| OpenedFile::listen(port)),
    }
}

/// Moves bytes both ways until both sides have ended.
struct Pump<'a, 't> {
    socket: OpenedFile,
    reactor: Reactor,
    terminal: &'a mut Terminal<'t>,
    /// Read from the input and not yet taken by the socket.
    outgoing: Vec<u8>,
    input_open: bool,
    sending: bool,
    receiving: bool,
}

impl<'a, 't> Pump<'a, 't> {
    fn new(socket: OpenedFile, terminal: &'a mut Terminal<'t>) -> Result<Self, Error> {
        let failed = |e: syscall::Error| Error::call("waiting for input", e.into());
        let reactor = Reactor::new().map_err(failed)?;
        socket.set_nonblocking(true)?;
        set_nonblocking(terminal.input, true)?;
        let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        reactor.watch(socket.raw(), SOCKET, both).map_err(failed)?;
        reactor
            .watch(terminal.input, INPUT, EventFlags::EVENT_READ)
            .map_err(failed)?;
        Ok(Pump {
            socket,
            reactor,
            terminal,
            outgoing: Vec::new(),
            input_open: true,
            sending: true,
            receiving: true,
        })
    }

    fn run(&mut self) -> Result<(), Error> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            self.send()?;
            self.receive()?;
            if !self.receiving {
                return Ok(());
            }
            self.reactor
                .wait(None, &mut events)
                .map_err(|e| Error::call("waiting for input", e.into()))?;
        }
    }

    /// From the input to the socket, until one of them would block.
    fn send(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK];
        while self.sending {
            if self.outgoing.is_empty() && self.input_open {
                match libredox::call::read(self.terminal.input, &mut buffer) {
                    Ok(0) => self.input_open = false,
                    Ok(n) => self
                        .outgoing
                        .extend_from_slice(buffer.get(..n).unwrap_or_default()),
                    Err(e) if would_block(e.errno()) => return Ok(()),
                    Err(e) => return Err(Error::call("reading the input", e)),
                }
            }
            if self.outgoing.is_empty() {
                // The input has ended: so does our half of the connection, and the peer's answer still comes.
                self.sending = false;
                return shutdown_write(&self.socket);
            }
            match self.socket.write(&self.outgoing) {
                Ok(n) => drop(self.outgoing.drain(..n.min(self.outgoing.len()))),
                Err(Error::Call { errno, .. }) if would_block(errno) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// From the socket to the output, until it would block.
    fn receive(&mut self) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK];
        while self.receiving {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.receiving = false,
                Ok(n) => self
                    .terminal
                    .out
                    .write_all(buffer.get(..n).unwrap_or_default())?,
                Err(Error::Call { errno, .. }) if would_block(errno) => break,
                Err(error) => return Err(error),
            }
        }
        self.terminal.out.flush()?;
        Ok(())
    }
}

fn would_block(errno: i32) -> bool {
    matches!(errno, EAGAIN | EWOULDBLOCK)
}

/// `shutdown(SHUT_WR)`.
fn shutdown_write(socket: &OpenedFile) -> Result<(), Error> {
    const SHUT_WR: u64 = 1;
    libredox::call::call_wo(
        socket.raw(),
        &[],
        syscall::CallFlags::empty(),
        &[SocketCall::Shutdown as u64, SHUT_WR],
    )
    .map(drop)
    .map_err(|e| Error::call("ending our half of the connection", e))
}
