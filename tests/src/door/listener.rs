//! Listeners: the connections that the stack has, handed to the program one by one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use libredox::Fd;
use socket_door::{CALLER, Name};
use syscall::error::{EAGAIN, ECONNABORTED, EINTR};
use syscall::flag::CallFlags;

use super::room::Room;
use super::socket::{Lane, Outcome, Socket, Stage, errno};
use super::{ROUNDS, pair, questions};

/// Takes connections until there are none, or the program has enough of them waiting.
pub(super) fn accept(listener: &Socket, room: &Arc<Room>, lane: &mut Lane) -> Outcome {
    for _ in 0..ROUNDS {
        if let Some(program) = lane.passed.take() {
            hand_over(listener, room, lane, program);
        } else {
            let accepted = listener
                .file()
                .and_then(|file| file.dup(b"listen").map_err(errno));
            match accepted {
                // Without room for it the connection is closed again, as with a full table of Linux's.
                Ok(fd) => {
                    if let Some((caller, program)) = welcome(room, listener, Fd::new(fd)) {
                        lane.waiting = caller;
                        hand_over(listener, room, lane, program);
                    }
                }
                Err(EAGAIN) => return Outcome::Done,
                Err(EINTR | ECONNABORTED) => {}
                Err(errno) => {
                    lane.over = true;
                    listener.fail(errno);
                }
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
    }
    Outcome::More
}

/// A connection becomes a socket: its caller's address as the program reads it, and the program's end.
fn welcome(room: &Arc<Room>, listener: &Socket, file: Fd) -> Option<(Vec<u8>, OwnedFd)> {
    let mut name = [0; 256];
    let n = file
        .call_ro(&mut name, CallFlags::empty(), &[questions::GET_PEER_NAME])
        .unwrap_or(0);
    let path = String::from_utf8_lossy(name.get(..n)?).into_owned();
    let mut caller = questions::part(&path, 3)?.as_bytes().to_vec();
    caller.resize(CALLER, 0);
    let name = Name {
        id: room.next_id(),
        ..listener.name
    };
    let (socket, program) = Socket::of(room, Some(file), name, Stage::Connected).ok()?;
    room.keep(socket).ok()?;
    Some((caller, program))
}

/// Sends what stands in the lane with this descriptor, or keeps both.
fn hand_over(listener: &Socket, room: &Room, lane: &mut Lane, program: OwnedFd) {
    match pair::send(&listener.end, &[&lane.waiting], Some(program.as_fd())) {
        Ok(_) => {}
        Err(rustix::io::Errno::AGAIN) => {
            lane.passed = Some(program);
            lane.blocked = true;
            room.want_room(listener, true);
        }
        // Nobody takes them any more.
        Err(_) => lane.over = true,
    }
}
