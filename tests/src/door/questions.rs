//! What programs and the commands of the lab ask, and the answers.

use std::fmt::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use libredox::Fd;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use socket_door::LONGEST;
use syscall::error::{EADDRINUSE, EBADF, EINVAL, ENOENT, ENOTCONN, EOPNOTSUPP, ETIMEDOUT};
use syscall::flag::CallFlags;

use super::connect::{self, Progress};
use super::loops::Turns;
use super::room::Room;
use super::socket::{Errno, Result, Socket, Stage, Way, errno};
use super::{echo, pair};
use crate::error::{Context, Error};
use crate::stack::CommandOutput;

/// Verbs of `SYS_CALL` on a socket (relibc's `SocketCall`).
const SET_OPTION: u64 = 2;
const GET_OPTION: u64 = 3;
pub(super) const GET_PEER_NAME: u64 = 8;
const SHUTDOWN: u64 = 9;

pub(super) fn ok(text: &str) -> String {
    format!("ok {text}")
}

pub(super) fn error(errno: Errno) -> String {
    format!("error {errno}")
}

/// Who asked and has gone is not answered.
pub(super) fn say(question: &OwnedFd, text: &str, fd: Option<BorrowedFd<'_>>) {
    let _ = pair::send(question, &[text.as_bytes()], fd);
}

/// Asks the lab whose door is at `path`; the answer, or an error that says that there is none.
///
/// # Errors
/// Nobody is there, or they refuse.
pub fn ask(path: &Path, text: &str) -> crate::error::Result<String> {
    let kind = SocketType::SEQPACKET;
    let question = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new(path).context(path.display())?;
    rustix::net::connect(&question, &address).context(path.display())?;
    pair::send(&question, &[text.as_bytes()], None)?;
    let mut buffer = vec![0; LONGEST];
    let (n, _) = pair::receive_with_fd(&question, &mut buffer)?;
    let answer = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
    let text = answer.strip_prefix("ok ").map(str::to_owned);
    text.ok_or_else(|| Error::new(format!("{}: {answer:?}", path.display())))
}

/// Reads what is said on a question; nothing when its asker has gone.
pub(super) fn read(question: &OwnedFd) -> String {
    let mut buffer = [0; LONGEST];
    let n = pair::receive(question, &mut buffer).unwrap_or(0);
    String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned()
}

/// What follows a question.
pub(super) enum Next {
    Answered,
    /// This became of the socket's connect.
    Turn(Arc<Socket>, Progress),
}

/// Answers one question, or sees to it that it will be. What is done is done as the user who asks.
pub(super) fn answer(turns: &mut Turns, question: OwnedFd, text: &str) -> Next {
    let asker = rustix::net::sockopt::socket_peercred(&question);
    let uid = asker.map_or(NOBODY, |asker| asker.uid.as_raw());
    redox_host::as_user(uid, || answer_to(turns, question, text))
}

/// Who has gone before it was seen who it was.
const NOBODY: u32 = 65_534;

fn answer_to(turns: &mut Turns, question: OwnedFd, text: &str) -> Next {
    let room = Arc::clone(&turns.room);
    let words: Vec<&str> = text.split(' ').collect();
    // Datagrams that were sent before the question go before it: to the peer, and with the options, of that time.
    if let [_, id, ..] = words.as_slice()
        && let Ok(socket) = find(&room, id)
        && !socket.name.stream
    {
        turns.turn(&socket, Way::Up, false);
    }
    match words.as_slice() {
        ["socket", scheme, family] => match make(turns, scheme, *family == "6") {
            Ok(program) => say(&question, &ok(""), Some(program.as_fd())),
            Err(errno) => say(&question, &error(errno), None),
        },
        ["connect", id, address, how] => match find(&room, id) {
            Ok(socket) => {
                let waits = *how == "wait";
                let progress = connect::begin(&room, &socket, address, waits, question);
                return Next::Turn(socket, progress);
            }
            Err(errno) => say(&question, &error(errno), None),
        },
        ["resolve", family, name] => look_up(family, name, question),
        ["down"] => {
            say(&question, &ok(""), None);
            room.take_down();
        }
        words => {
            let answer = plain(turns, words);
            say(
                &question,
                &answer.map_or_else(error, |text| ok(&text)),
                None,
            );
        }
    }
    Next::Answered
}

fn make(turns: &mut Turns, scheme: &str, v6: bool) -> Result<OwnedFd> {
    if turns.room.is_full() {
        turns.finish_closed();
    }
    let (socket, program) = Socket::open(&turns.room, scheme, v6)?;
    turns.room.keep(socket)?;
    Ok(program)
}

fn find(room: &Room, id: &str) -> Result<Arc<Socket>> {
    let id = id.parse().map_err(|_| EBADF)?;
    room.find(id).ok_or(ENOTCONN)
}

/// Questions whose answers are words.
fn plain(turns: &mut Turns, words: &[&str]) -> Result<String> {
    let nothing = |()| String::new();
    let room = &*Arc::clone(&turns.room);
    match *words {
        ["bind", id, address] => bind(turns, &*find(room, id)?, address).map(nothing),
        ["listen", id] => listen(room, &*find(room, id)?).map(nothing),
        ["listens", id] => {
            let listens = find(room, id)?.stage() == Stage::Listening;
            Ok(u8::from(listens).to_string())
        }
        ["disconnect", id] => disconnect(room, &*find(room, id)?).map(nothing),
        ["reach", id, address] => reach(&*find(room, id)?, address).map(nothing),
        ["shutdown", id, how] => {
            let how = how.parse().map_err(|_| EINVAL)?;
            let socket = find(room, id)?;
            match connect::abort(&socket) {
                true => Ok(String::new()),
                false => shut_down(&*socket.file()?, how).map(nothing),
            }
        }
        ["name", id] => own_name(&*find(room, id)?),
        ["peer", id] => peer_name(&*find(room, id)?),
        ["error", id] => Ok(room.take_error(id.parse().map_err(|_| EBADF)?).to_string()),
        ["set", id, level, option, value] => {
            set_option(&*find(room, id)?, [level, option], value).map(nothing)
        }
        ["get", id, level, option] => get_option(&*find(room, id)?, [level, option]),
        ["status"] => Ok(room.status()),
        _ => Err(EINVAL),
    }
}

/// Puts another file in the place of the socket's, and hears of that.
fn replace(room: &Room, socket: &Socket, path: &str) -> Result<()> {
    socket.replace(path)?;
    if !socket.is_new() {
        room.watch(socket);
    }
    Ok(())
}

/// The C library's connect to AF_UNSPEC. A connection's bytes are in pairs that cannot be used again.
fn disconnect(room: &Room, socket: &Socket) -> Result<()> {
    match socket.name.stream {
        true => Err(EOPNOTSUPP),
        false => replace(room, socket, "disconnect"),
    }
}

/// Could a datagram leave for there? The first half of `sendto`, whose error is the program's at once.
fn reach(socket: &Socket, address: &str) -> Result<()> {
    if socket.name.echo {
        return Ok(());
    }
    let way = socket.file()?.dup(address.as_bytes()).map_err(errno)?;
    drop(Fd::new(way));
    Ok(())
}

fn bind(turns: &mut Turns, socket: &Socket, address: &str) -> Result<()> {
    if socket.name.echo {
        return Err(EOPNOTSUPP);
    }
    let path = format!("/{address}");
    match replace(&turns.room, socket, &path) {
        Err(EADDRINUSE) => {
            turns.finish_closed();
            replace(&turns.room, socket, &path)
        }
        result => result,
    }
}

/// The C library's `listen` does nothing: who is bound listens. Who is not is bound to some port first.
fn listen(room: &Room, socket: &Socket) -> Result<()> {
    if !socket.name.stream {
        return Err(EOPNOTSUPP);
    }
    match socket.stage() {
        Stage::Connected | Stage::Failed => return Err(EINVAL),
        Stage::Listening => return Ok(()),
        Stage::Idle => {}
    }
    if own_name(socket)?.ends_with(":0") {
        let any = if socket.name.v6 { "[::]" } else { "0.0.0.0" };
        socket.replace(&format!("/{any}:0"))?;
    }
    socket.enter(Stage::Listening);
    room.watch(socket);
    Ok(())
}

/// A part of `/scheme/tcp/REMOTE/LOCAL`: 3 is the remote end, 4 the local one.
pub(super) fn part(path: &str, index: usize) -> Option<&str> {
    path.split('/').nth(index)
}

fn own_name(socket: &Socket) -> Result<String> {
    if socket.name.echo {
        let any = if socket.name.v6 { "[::]" } else { "0.0.0.0" };
        return Ok(format!("{any}:{}", echo::identifier(socket.id)));
    }
    let mut buffer = [0; 256];
    let n = socket.file()?.fpath(&mut buffer).map_err(errno)?;
    let path = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
    let local = part(&path, 4).ok_or(EINVAL)?;
    // What was never bound has the family of nobody: it is any end of the program's family.
    Ok(match local {
        "0.0.0.0:0" if socket.name.v6 => "[::]:0".into(),
        local => local.to_owned(),
    })
}

fn peer_name(socket: &Socket) -> Result<String> {
    let mut buffer = [0; 256];
    let file = socket.file()?;
    let n = file
        .call_ro(&mut buffer, CallFlags::empty(), &[GET_PEER_NAME])
        .map_err(errno)?;
    let path = String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned();
    part(&path, 3).map(str::to_owned).ok_or(ENOTCONN)
}

pub(super) fn shut_down(file: &Fd, how: u64) -> Result<()> {
    let metadata = [SHUTDOWN, how];
    file.call_wo(&[], CallFlags::empty(), &metadata)
        .map(drop)
        .map_err(errno)
}

fn numbers([level, option]: [&str; 2]) -> Result<[u64; 2]> {
    let number = |text: &str| text.parse().map_err(|_| EINVAL);
    Ok([number(level)?, number(option)?])
}

fn set_option(socket: &Socket, which: [&str; 2], value: &str) -> Result<()> {
    let [level, option] = numbers(which)?;
    let bytes: Vec<u8> = value
        .as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    set(socket, [level, option], &bytes)
}

fn set(socket: &Socket, [level, option]: [u64; 2], value: &[u8]) -> Result<()> {
    // Echoes have no options, and `ping` asks for many.
    if socket.name.echo {
        return Ok(());
    }
    let file = socket.file()?;
    file.call_wo(value, CallFlags::empty(), &[SET_OPTION, option, level])
        .map(drop)
        .map_err(errno)
}

/// SO_LINGER of no time: the close is a reset.
pub(super) fn end_with_reset(socket: &Socket) -> Result<()> {
    let (sol_socket, so_linger) = (1, 13);
    let value = [1_i32, 0].map(i32::to_ne_bytes);
    set(socket, [sol_socket, so_linger], value.as_flattened())
}

fn get_option(socket: &Socket, which: [&str; 2]) -> Result<String> {
    let [level, option] = numbers(which)?;
    let mut buffer = [0; 64];
    let file = socket.file()?;
    let metadata = [GET_OPTION, option, level];
    let n = file
        .call_ro(&mut buffer, CallFlags::empty(), &metadata)
        .map_err(errno)?;
    let mut text = String::new();
    for byte in buffer.get(..n).unwrap_or_default() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Answers with the addresses of a name, in a thread of its own, for it takes time.
fn look_up(family: &str, name: &str, question: OwnedFd) {
    let Some(process) = redox_host::current() else {
        return;
    };
    let (family, name) = (family.to_owned(), name.to_owned());
    let thread = std::thread::Builder::new().name("resolver".into());
    // Without a thread the question ends without an answer.
    let _ = thread.spawn(move || {
        let _attached = process.attach();
        let answer = resolve(&family, &name);
        say(
            &question,
            &answer.map_or_else(error, |text| ok(&text)),
            None,
        );
    });
}

/// The addresses of a name, as the lab's own `dns` finds them.
fn resolve(family: &str, name: &str) -> Result<String> {
    let option = match family {
        "4" => Some("-4"),
        "6" => Some("-6"),
        _ => None,
    };
    let arguments: Vec<String> = option
        .into_iter()
        .chain([name])
        .map(str::to_owned)
        .collect();
    let dns = CommandOutput::of("dns", &arguments);
    match dns.result {
        Ok(()) => Ok(String::from_utf8_lossy(&dns.out).trim().replace('\n', " ")),
        Err(commands::Error::Answer(_)) => Err(ENOENT),
        Err(_) => Err(ETIMEDOUT),
    }
}
