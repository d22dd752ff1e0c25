//! Datagrams both ways.

use std::net::SocketAddr;
use std::sync::Arc;

use libredox::Fd;
use socket_door::{HEAD, Head, end};
use syscall::error::{EAGAIN, EBADF, EINTR, ENODEV, ESRCH};
use syscall::flag::CallFlags;

use super::socket::{Errno, Result, Socket, Watch, Woken, Writer, beside, errno};
use super::{pair, questions};

/// The largest datagram in bytes.
const LARGEST: usize = 65_536;
/// relibc's room for a name and its slack.
const NAME: usize = 64 + 28;
const WORD: usize = size_of::<usize>();
/// Message flags of `SYS_CALL`: none, for the file does not wait.
const RECEIVE_MESSAGE: u64 = 5;

/// Until the program has closed it.
pub(super) fn run(socket: &Arc<Socket>) {
    let receiving = Arc::clone(socket);
    let receiver = beside("receiver", move || {
        let _ = receive(&receiving);
    });
    send(socket);
    socket.end_receiver();
    if let Some(receiver) = receiver {
        let _ = receiver.join();
    }
}

/// What the program sends. An error is that of its next call.
fn send(socket: &Socket) {
    let mut buffer = vec![0; HEAD + LARGEST];
    let mut last = None;
    while let Ok(n @ 1..) = pair::receive(&socket.end, &mut buffer) {
        let (head, payload) = match buffer.get(..n).and_then(|all| all.split_at_checked(HEAD)) {
            Some((head, payload)) => (Head::decode(head), payload),
            None => continue,
        };
        let sent = match head {
            Some(Head::Peer) => socket.file().and_then(|file| write(&file, payload)),
            Some(Head::Address(to)) => send_to(socket, to, payload, &mut last),
            _ => continue,
        };
        if let Err(errno) = sent {
            tell(socket, errno);
        }
    }
}

/// `sendto`: dup with the address, and a write. The last one is kept, for the next is often to the same.
fn send_to(
    socket: &Socket,
    to: SocketAddr,
    payload: &[u8],
    last: &mut Option<(SocketAddr, Arc<Fd>)>,
) -> Result<()> {
    let file = match last {
        Some((known, file)) if *known == to => Arc::clone(file),
        _ => {
            let path = to.to_string();
            let new = socket.file()?.dup(path.as_bytes()).map_err(errno)?;
            let new = Arc::new(Fd::new(new));
            *last = Some((to, Arc::clone(&new)));
            new
        }
    };
    write(&file, payload)
}

fn write(file: &Arc<Fd>, payload: &[u8]) -> Result<()> {
    match payload {
        // A datagram without content is one all the same.
        [] => file.write(&[]).map(drop).map_err(errno),
        payload => Writer::new(Arc::clone(file)).write_all(payload),
    }
}

fn tell(socket: &Socket, errno: Errno) {
    socket.remember(errno);
    let _ = pair::send(&socket.end, &[&Head::Error(errno).encode()], None);
}

/// What comes for the program.
fn receive(socket: &Socket) -> Result<()> {
    let mut watch = Watch::for_reading(socket)?;
    let mut buffer = vec![0; 3 * WORD + NAME + LARGEST];
    loop {
        match receive_one(socket, &mut buffer) {
            Ok((from, payload)) => {
                let head = Head::Address(from).encode();
                if pair::send(&socket.end, &[&head, payload], None).is_err() {
                    return Ok(());
                }
            }
            Err(EAGAIN) if watch.wait() == Woken::End => return Ok(()),
            Err(EAGAIN | EINTR) => {}
            // The stack is gone, or the file.
            Err(errno @ (EBADF | ENODEV | ESRCH)) => return Err(errno),
            Err(errno) => tell(socket, errno),
        }
    }
}

/// `recvfrom`, as the C library makes it.
fn receive_one<'b>(socket: &Socket, buffer: &'b mut [u8]) -> Result<(SocketAddr, &'b [u8])> {
    let file = socket.file()?;
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
