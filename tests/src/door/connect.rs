//! connect, as the C library makes it: `dup` with the peer's address on a file that does not wait, and again to hear what
//! has become of it.

use std::os::fd::OwnedFd;

use syscall::error::{EAGAIN, EALREADY, ECONNABORTED, EINPROGRESS, EISCONN};
use syscall::flag::EventFlags;

use super::pair;
use super::questions::{error, ok, say};
use super::socket::{Result, Socket, Stage, Watch, Woken, errno};

/// Connects and answers; in between, for a program that does not wait, EINPROGRESS.
pub(super) fn connect(socket: &Socket, address: &str, waits: bool, question: &OwnedFd) {
    if !socket.name.stream {
        let answer = socket.replace(address);
        return say(question, &answer.map_or_else(error, |()| ok("")), None);
    }
    if let Stage::Connected = socket.stage() {
        return say(question, &error(EISCONN), None);
    }
    match attempt(socket, address) {
        Err(EINPROGRESS | EAGAIN) if waits => {
            let done = wait(socket, address);
            if done.is_ok() {
                socket.enter(Stage::Connected);
            }
            say(question, &done.map_or_else(error, |()| ok("")), None);
        }
        Err(EINPROGRESS | EAGAIN) => {
            say(question, &error(EINPROGRESS), None);
            let filled = filled(question);
            let done = wait(socket, address);
            match done {
                Ok(()) => {
                    // The edge that the program waits for.
                    let _ = drain(socket, filled);
                    socket.enter(Stage::Connected);
                }
                Err(errno) => {
                    socket.remember(errno);
                    socket.enter(Stage::Failed);
                }
            }
        }
        Err(errno) => say(question, &error(errno), None),
        Ok(()) => {
            socket.enter(Stage::Connected);
            say(question, &ok(""), None);
        }
    }
}

/// How far it is.
fn attempt(socket: &Socket, address: &str) -> Result<()> {
    let file = socket.file()?;
    match file.dup(address.as_bytes()).map_err(errno) {
        Ok(second) => {
            let _ = libredox::call::close(second);
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}

/// Waits for the decision, as long as the program does.
fn wait(socket: &Socket, address: &str) -> Result<()> {
    let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
    let mut watch = Watch::new(socket, both)?;
    loop {
        match attempt(socket, address) {
            Ok(()) | Err(EISCONN) => return Ok(()),
            Err(EINPROGRESS | EALREADY | EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
        if watch.wait() == Woken::End {
            return Err(ECONNABORTED);
        }
    }
}

/// How many bytes the program has filled its end with.
fn filled(question: &OwnedFd) -> usize {
    let mut buffer = [0; 32];
    let n = pair::receive(question, &mut buffer).unwrap_or(0);
    let text = core::str::from_utf8(buffer.get(..n).unwrap_or_default());
    text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn drain(socket: &Socket, mut bytes: usize) -> rustix::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while bytes > 0 {
        let room = bytes.min(buffer.len());
        match pair::receive(&socket.end, buffer.get_mut(..room).unwrap_or_default())? {
            0 => return Ok(()),
            n => bytes = bytes.saturating_sub(n),
        }
    }
    Ok(())
}
