//! Datagrams both ways.

use std::net::SocketAddr;
use std::sync::Arc;

use libredox::Fd;
use socket_door::{HEAD, Head, end};
use syscall::error::{EAGAIN, EBADF, EINTR, ENODEV, ESRCH};
use syscall::flag::{CallFlags, EventFlags};

use super::room::Room;
use super::socket::{Errno, Lane, Outcome, Result, Socket, errno};
use super::{ROUNDS, echo, pair, questions};

/// The largest datagram in bytes.
const LARGEST: usize = 65_536;
/// relibc's room for a name and its slack.
const NAME: usize = 64 + 28;
const WORD: usize = size_of::<usize>();
/// Message flags of `SYS_CALL`: none, for the file does not wait.
const RECEIVE_MESSAGE: u64 = 5;

/// What a loop's buffer has to hold.
pub(super) const BUFFER: usize = 3 * WORD + NAME + LARGEST;

/// Where a datagram went, and the file that was made for it.
pub(super) type SentTo = (SocketAddr, Arc<Fd>);

/// What the program sends. An error is that of its next call.
pub(super) fn up(socket: &Socket, room: &Room, lane: &mut Lane, buffer: &mut [u8]) -> Outcome {
    for _ in 0..ROUNDS {
        if !lane.waiting.is_empty() {
            let waiting = core::mem::take(&mut lane.waiting);
            send(socket, room, lane, &waiting);
        } else {
            match pair::receive(&socket.end, buffer) {
                Ok(n @ 1..) => send(socket, room, lane, buffer.get(..n).unwrap_or_default()),
                Err(rustix::io::Errno::AGAIN) => return Outcome::Done,
                Ok(0) | Err(_) => lane.over = true,
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
    }
    Outcome::More
}

/// Sends one, or keeps it until there is room.
fn send(socket: &Socket, room: &Room, lane: &mut Lane, message: &[u8]) {
    let Some((head, payload)) = message.split_at_checked(HEAD) else {
        return;
    };
    let payload = match socket.name.echo {
        true => echo::request(payload),
        false => Ok(payload),
    };
    let sent = payload.and_then(|payload| match Head::decode(head) {
        Some(Head::Peer) => write(&*socket.file()?, payload),
        Some(Head::Address(to)) => send_to(socket, room, to, payload),
        _ => Ok(()),
    });
    match sent {
        Ok(()) => {}
        Err(EAGAIN) => {
            lane.waiting = message.to_vec();
            lane.blocked = true;
            room.watch_both(socket);
            // The file that had no room may be another one than the socket's own.
            if let Some((_, file)) = &*socket.sent_to() {
                room.watch_file(file.raw(), socket.id, EventFlags::EVENT_WRITE);
            }
        }
        Err(errno) => tell(socket, errno),
    }
}

/// `sendto`: dup with the address, and a write.
fn send_to(socket: &Socket, room: &Room, to: SocketAddr, payload: &[u8]) -> Result<()> {
    let last = socket.sent_to().clone().filter(|(known, _)| *known == to);
    let file = match last {
        Some((_, file)) => file,
        None => {
            let file = file_for(socket, room, to)?;
            *socket.sent_to() = Some((to, Arc::clone(&file)));
            file
        }
    };
    write(&file, payload)
}

/// A file by which datagrams go there.
fn file_for(socket: &Socket, room: &Room, to: SocketAddr) -> Result<Arc<Fd>> {
    if !socket.name.echo {
        let new = socket.file()?.dup(to.to_string().as_bytes());
        return Ok(Arc::new(Fd::new(new.map_err(errno)?)));
    }
    // The replies come on it, too.
    let file = Arc::new(echo::open(to)?);
    socket.put(Arc::clone(&file));
    room.watch(socket);
    Ok(file)
}

fn write(file: &Fd, payload: &[u8]) -> Result<()> {
    loop {
        match file.write(payload).map_err(errno) {
            Err(EINTR) => {}
            result => return result.map(drop),
        }
    }
}

fn tell(socket: &Socket, errno: Errno) {
    socket.remember(errno);
    let _ = pair::send(&socket.end, &[&Head::Error(errno).encode()], None);
}

/// What comes for the program.
pub(super) fn down(socket: &Socket, room: &Room, lane: &mut Lane, buffer: &mut [u8]) -> Outcome {
    for _ in 0..ROUNDS {
        if !lane.waiting.is_empty() {
            let waiting = core::mem::take(&mut lane.waiting);
            give(socket, room, lane, &[&waiting]);
        } else {
            let received = match socket.name.echo {
                true => receive_echo(socket, buffer),
                false => receive_one(socket, buffer),
            };
            match received {
                Ok((from, payload)) => {
                    let head = Head::Address(from).encode();
                    give(socket, room, lane, &[&head, payload]);
                }
                Err(EAGAIN) => return Outcome::Done,
                Err(EINTR) => {}
                // The stack is gone, or the file.
                Err(EBADF | ENODEV | ESRCH) => lane.over = true,
                Err(errno) => tell(socket, errno),
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
    }
    Outcome::More
}

/// Gives the program one, or keeps it until there is room.
fn give(socket: &Socket, room: &Room, lane: &mut Lane, parts: &[&[u8]]) {
    match pair::send(&socket.end, parts, None) {
        Ok(_) => {}
        Err(rustix::io::Errno::AGAIN) => {
            lane.waiting = parts.concat();
            lane.blocked = true;
            room.want_room(socket, true);
        }
        Err(_) => lane.over = true,
    }
}

/// A reply to an echo.
fn receive_echo<'b>(socket: &Socket, buffer: &'b mut [u8]) -> Result<(SocketAddr, &'b [u8])> {
    let Some((from, file)) = socket.sent_to().clone() else {
        return Err(EAGAIN);
    };
    let length = echo::receive(&file, socket.id, socket.name.v6, buffer)?;
    let message = buffer.get(..length).unwrap_or_default();
    Ok((SocketAddr::new(from.ip(), 0), message))
}

/// `recvfrom`, as the C library makes it.
fn receive_one<'b>(socket: &Socket, buffer: &'b mut [u8]) -> Result<(SocketAddr, &'b [u8])> {
    let file = socket.file()?;
    let buffer = buffer.get_mut(..BUFFER).unwrap_or_default();
    let request = [NAME, LARGEST, 0].map(usize::to_ne_bytes);
    let words = buffer.iter_mut().zip(request.as_flattened());
    words.for_each(|(to, from)| *to = *from);
    let flags = CallFlags::empty();
    file.call_rw(buffer, flags, &[RECEIVE_MESSAGE, 0])
        .map_err(errno)?;
    parse(buffer).ok_or(EAGAIN)
}

/// `[name length][name][payload length][payload]`
fn parse(answer: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (length, rest) = answer.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from_ne_bytes(*length))?;
    let (length, rest) = rest.split_first_chunk()?;
    let payload = rest.get(..usize::from_ne_bytes(*length))?;
    let path = core::str::from_utf8(name).ok()?;
    Some((end(questions::part(path, 3)?)?, payload))
}
