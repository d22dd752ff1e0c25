//! Connections: bytes one way, bytes the other way.

use rustix::net::{Shutdown, shutdown};
use syscall::error::{EAGAIN, EBADF, EINTR};

use super::room::Room;
use super::socket::{Errno, Lane, Outcome, Socket, errno};
use super::{CHUNK, ROUNDS, pair, questions};

/// The least that is asked of the stack at once: a read is paid for by the size of its buffer, for that is copied whole.
const SMALLEST: usize = 4 << 10;

/// What the program has written; at its end FIN.
pub(super) fn up(socket: &Socket, room: &Room, lane: &mut Lane, buffer: &mut [u8]) -> Outcome {
    for _ in 0..ROUNDS {
        if !lane.waiting.is_empty() {
            let waiting = core::mem::take(&mut lane.waiting);
            write(socket, room, lane, &waiting);
        } else {
            match pair::receive(&socket.end, buffer) {
                Ok(n @ 1..) => write(socket, room, lane, buffer.get(..n).unwrap_or_default()),
                Err(rustix::io::Errno::AGAIN) => return Outcome::Done,
                Ok(0) => end(socket, lane),
                Err(_) => {
                    // It was closed with something unread in it: the peer is to hear that (RFC 1122 4.2.2.13).
                    let _ = questions::end_with_reset(socket);
                    end(socket, lane);
                }
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
    }
    Outcome::More
}

/// The program writes no more. If it has closed the socket altogether, closing the file says so.
fn end(socket: &Socket, lane: &mut Lane) {
    lane.over = true;
    if let (false, Ok(file)) = (socket.is_hung_up(), socket.file()) {
        let _ = questions::shut_down(&file, 1);
    }
}

/// Writes as much as the stack has room for, and keeps the rest.
fn write(socket: &Socket, room: &Room, lane: &mut Lane, mut bytes: &[u8]) {
    let result = socket.file().and_then(|file| {
        while !bytes.is_empty() {
            match file.write(bytes).map_err(errno) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(EAGAIN) => {
            lane.waiting = bytes.to_vec();
            lane.block(|| room.watch_both(socket));
        }
        Err(errno) => fail(socket, lane, errno),
    }
}

/// The connection has failed; without its file it was the other way, which has said so.
fn fail(socket: &Socket, lane: &mut Lane, errno: Errno) {
    lane.over = true;
    if errno != EBADF {
        socket.fail(errno);
    }
}

/// What the peer sends, to its FIN.
pub(super) fn down(socket: &Socket, room: &Room, lane: &mut Lane, buffer: &mut [u8]) -> Outcome {
    lane.chunk = lane.chunk.clamp(SMALLEST, CHUNK);
    for _ in 0..ROUNDS {
        if !lane.waiting.is_empty() {
            let waiting = core::mem::take(&mut lane.waiting);
            give(socket, room, lane, &waiting);
        } else {
            let chunk = buffer.get_mut(..lane.chunk).unwrap_or_default();
            match socket
                .file()
                .and_then(|file| file.read(chunk).map_err(errno))
            {
                Ok(n @ 1..) => {
                    let bytes = chunk.get(..n).unwrap_or_default();
                    give(socket, room, lane, bytes);
                    lane.learn(n);
                }
                // Nobody will send any more. The program may.
                Ok(_) => {
                    lane.over = true;
                    let _ = shutdown(&socket.end, Shutdown::Write);
                }
                Err(EAGAIN) => return Outcome::Done,
                Err(EINTR) => {}
                Err(errno) => fail(socket, lane, errno),
            }
        }
        if lane.blocked || lane.over {
            return Outcome::Done;
        }
    }
    Outcome::More
}

/// Gives the program as much as it has room for, and keeps the rest.
fn give(socket: &Socket, room: &Room, lane: &mut Lane, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match pair::send(&socket.end, &[bytes], None) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::AGAIN) => {
                lane.waiting = bytes.to_vec();
                lane.blocked = true;
                return room.want_room(socket, true);
            }
            // The program reads no more.
            Err(_) => {
                lane.over = true;
                return;
            }
        }
    }
}

impl Lane {
    /// Asks for more the next time if all of it was filled, and for less if hardly any was.
    fn learn(&mut self, received: usize) {
        if received == self.chunk {
            self.chunk = self.chunk.saturating_mul(4).min(CHUNK);
        } else if received < self.chunk / 8 {
            self.chunk = (self.chunk / 4).max(SMALLEST);
        }
    }
}
