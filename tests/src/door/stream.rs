//! Connections and listeners: bytes one way, bytes the other way, callers.

use std::os::fd::AsFd;
use std::sync::Arc;

use libredox::Fd;
use rustix::net::{Shutdown, shutdown};
use socket_door::CALLER;
use syscall::error::{EAGAIN, ECONNABORTED, EINTR};
use syscall::flag::CallFlags;

use super::socket::{Result, Socket, Stage, Watch, Woken, Writer, beside, errno};
use super::{Room, pair, questions};

/// Bytes moved at once.
const CHUNK: usize = 64 << 10;

/// A connection that stands, until both have closed or it has failed.
pub(super) fn run(socket: &Arc<Socket>) {
    let receiving = Arc::clone(socket);
    let receiver = beside("receiver", move || match download(&receiving) {
        // Nobody will send any more. The program may.
        Ok(()) => drop(shutdown(&receiving.end, Shutdown::Write)),
        Err(errno) => receiving.fail(errno),
    });
    match upload(socket) {
        // After FIN: until the program has closed, or the peer has ended too.
        Ok(()) => pair::wait_for_end(socket.end.as_fd()),
        Err(errno) => socket.fail(errno),
    }
    socket.end_receiver();
    if let Some(receiver) = receiver {
        let _ = receiver.join();
    }
}

/// What the program writes, to its end; then FIN.
fn upload(socket: &Socket) -> Result<()> {
    let file = socket.file()?;
    let mut writer = Writer::new(Arc::clone(&file));
    let mut buffer = vec![0; CHUNK];
    while let Ok(n @ 1..) = pair::receive(&socket.end, &mut buffer) {
        writer.write_all(buffer.get(..n).unwrap_or_default())?;
    }
    if !pair::is_hung_up(socket.end.as_fd()) {
        let _ = questions::shut_down(&file, 1);
    }
    Ok(())
}

/// What the peer sends, to its FIN.
fn download(socket: &Socket) -> Result<()> {
    let file = socket.file()?;
    let mut watch = Watch::for_reading(socket)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer).map_err(errno) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                if pair::send_all(&socket.end, bytes).is_err() {
                    return Ok(());
                }
            }
            Err(EAGAIN) if watch.wait() == Woken::End => return Ok(()),
            Err(EAGAIN | EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Takes the connections of a listener and hands them to the program, until it has none any more.
pub(super) fn accept(room: &Arc<Room>, listener: &Socket) {
    let Ok(mut watch) = Watch::for_reading(listener) else {
        return;
    };
    loop {
        let accepted = listener
            .file()
            .and_then(|file| file.dup(b"listen").map_err(errno));
        match accepted {
            Ok(fd) => {
                if hand_over(room, listener, Fd::new(fd)).is_none() {
                    return;
                }
            }
            Err(EAGAIN) if watch.wait() == Woken::End => return,
            Err(EAGAIN | EINTR | ECONNABORTED) => {}
            Err(errno) => return listener.remember(errno),
        }
    }
}

/// One connection; `None` when nobody takes them any more.
fn hand_over(room: &Arc<Room>, listener: &Socket, file: Fd) -> Option<()> {
    let mut name = [0; 256];
    let n = file
        .call_ro(&mut name, CallFlags::empty(), &[questions::GET_PEER_NAME])
        .unwrap_or(0);
    let path = String::from_utf8_lossy(name.get(..n)?).into_owned();
    let mut caller = [0; CALLER];
    let text = questions::part(&path, 3).unwrap_or_default();
    caller
        .iter_mut()
        .zip(text.bytes())
        .for_each(|(to, from)| *to = from);
    let (stream, v6) = (true, listener.name.v6);
    // Without room for it the connection is closed again, as with a full table of Linux's.
    let Ok((socket, program)) = Socket::of(room, file, stream, v6, Stage::Connected) else {
        return Some(());
    };
    room.keep(socket)?;
    let sent = pair::send(&listener.end, &[&caller], Some(program.as_fd()));
    sent.is_ok().then_some(())
}
