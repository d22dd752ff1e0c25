//! connect, as the C library makes it: `dup` with the peer's address on a file that does not wait, and again to hear what
//! has become of it.

use std::os::fd::OwnedFd;

use syscall::error::{EAGAIN, EALREADY, ECONNRESET, EINPROGRESS, EINVAL, EISCONN};

use super::pair;
use super::questions::{error, ok, say};
use super::room::Room;
use super::socket::{Result, Socket, Stage, errno};

/// A connect that is under way.
pub(super) struct Connecting {
    address: String,
    /// The program waits for the answer here; without it, it does something else meanwhile.
    question: Option<OwnedFd>,
    /// How many bytes the program has filled its end with, so that it is not writable; unknown until it says so.
    filled: Option<usize>,
    /// What came of it.
    outcome: Option<Result<()>>,
}

/// What a connect has come to.
#[derive(Debug)]
pub(super) enum Progress {
    /// It will be decided later.
    UnderWay,
    /// The same, and the program still has to say on this question how much it has filled.
    Filling(OwnedFd),
    /// It is over, well or not.
    Decided,
}

/// Starts to connect. A program that does not wait is answered EINPROGRESS.
pub(super) fn begin(
    room: &Room,
    socket: &Socket,
    address: &str,
    waits: bool,
    question: OwnedFd,
) -> Progress {
    let started = start(socket, address);
    let answer = match started {
        Err(EINPROGRESS | EAGAIN) if socket.name.stream => {
            return under_way(room, socket, address, waits, question);
        }
        Ok(()) => ok(""),
        Err(errno) => error(errno),
    };
    if started.is_ok() {
        established(socket);
        room.watch(socket);
    }
    say(&question, &answer, None);
    Progress::Decided
}

fn start(socket: &Socket, address: &str) -> Result<()> {
    if !socket.name.stream {
        socket.replace(address)?;
        if socket.name.echo
            && let Ok(to) = address.parse()
        {
            *socket.sent_to() = Some((to, socket.file()?));
        }
        return Ok(());
    }
    match socket.stage() {
        Stage::Connected => return Err(EISCONN),
        Stage::Listening | Stage::Failed => return Err(EINVAL),
        Stage::Idle => {}
    }
    match *socket.connecting() {
        Some(_) => Err(EALREADY),
        None => attempt(socket, address),
    }
}

fn under_way(
    room: &Room,
    socket: &Socket,
    address: &str,
    waits: bool,
    question: OwnedFd,
) -> Progress {
    let mut connecting = Connecting {
        address: address.to_owned(),
        question: None,
        filled: waits.then_some(0),
        outcome: None,
    };
    let filling = if waits {
        connecting.question = Some(question);
        None
    } else {
        say(&question, &error(EINPROGRESS), None);
        Some(question)
    };
    *socket.connecting() = Some(connecting);
    // Tells at once if it is decided already.
    room.watch_both(socket);
    filling.map_or(Progress::UnderWay, Progress::Filling)
}

/// The program has filled its end.
pub(super) fn filled(socket: &Socket, bytes: usize) -> Progress {
    if let Some(connecting) = &mut *socket.connecting() {
        connecting.filled = Some(bytes);
    }
    settle(socket)
}

/// The file has something to say: asks what has become of the connect.
pub(super) fn proceed(socket: &Socket) -> Progress {
    if let Some(connecting) = &mut *socket.connecting()
        && connecting.outcome.is_none()
    {
        match attempt(socket, &connecting.address) {
            Err(EINPROGRESS | EALREADY | EAGAIN) => {}
            Err(EISCONN) => connecting.outcome = Some(Ok(())),
            outcome => connecting.outcome = Some(outcome),
        }
    }
    settle(socket)
}

/// How far it is.
fn attempt(socket: &Socket, address: &str) -> Result<()> {
    let second = socket.file()?.dup(address.as_bytes()).map_err(errno)?;
    let _ = libredox::call::close(second);
    Ok(())
}

/// Tells the program, once the outcome is known and how to tell it.
fn settle(socket: &Socket) -> Progress {
    let mut connecting = socket.connecting();
    let decided = connecting
        .as_ref()
        .and_then(|known| known.outcome.zip(known.filled));
    let Some((outcome, filled)) = decided else {
        return Progress::UnderWay;
    };
    let question = connecting.take().and_then(|known| known.question);
    drop(connecting);
    match (outcome, question) {
        (Ok(()), question) => {
            // The edge that a program waits for which does not wait in the call.
            let _ = pair::take(&socket.end, filled);
            established(socket);
            if let Some(question) = question {
                say(&question, &ok(""), None);
            }
        }
        // The socket may try again.
        (Err(errno), Some(question)) => say(&question, &error(errno), None),
        (Err(errno), None) => {
            socket.remember(errno);
            socket.enter(Stage::Failed);
        }
    }
    Progress::Decided
}

fn established(socket: &Socket) {
    if socket.name.stream {
        socket.enter(Stage::Connected);
    }
}

/// Gives up a connect that is under way, if there is one.
pub(super) fn abort(socket: &Socket) -> bool {
    let Some(connecting) = socket.connecting().take() else {
        return false;
    };
    if let Some(question) = connecting.question {
        say(&question, &error(ECONNRESET), None);
    }
    let _ = socket.replace("disconnect");
    true
}
