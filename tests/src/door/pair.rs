//! The pairs of Linux's sockets between a program and the lab.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recvmsg,
    sendmsg, socketpair, sockopt,
};
use socket_door::Name;

/// What a pair holds in bytes, each way; the kernel doubles it for its own needs.
const BUFFER: usize = 128 << 10;

/// The lab's end, which bears the name, and the program's.
pub(super) fn make(name: Name, owner: u64) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let kind = match name.stream {
        true => SocketType::STREAM,
        false => SocketType::SEQPACKET,
    };
    let (here, there) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new_abstract_name(name.text(owner).as_bytes())?;
    bind(&here, &address)?;
    sockopt::set_socket_send_buffer_size(&here, BUFFER)?;
    sockopt::set_socket_send_buffer_size(&there, BUFFER)?;
    Ok((here, there))
}

/// Has the other end been closed by everybody, or both directions ended?
pub(super) fn is_hung_up(end: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(end, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&now)).is_ok_and(|_| hung_up(&polled[0]))
}

fn hung_up(polled: &PollFd<'_>) -> bool {
    polled.revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Receives what is there; 0 is the end, AGAIN nothing.
pub(super) fn receive(end: &impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let mut vectors = [IoSliceMut::new(buffer)];
    let mut nothing = RecvAncillaryBuffer::default();
    let message = recvmsg(end, &mut vectors, &mut nothing, RecvFlags::DONTWAIT)?;
    Ok(message.bytes)
}

/// Takes so many bytes away that are there.
pub(super) fn take(end: &impl AsFd, mut bytes: usize) -> rustix::io::Result<()> {
    let mut buffer = vec![0; 32 << 10];
    while bytes > 0 {
        let room = bytes.min(buffer.len());
        match receive(end, buffer.get_mut(..room).unwrap_or_default())? {
            0 => return Ok(()),
            n => bytes = bytes.saturating_sub(n),
        }
    }
    Ok(())
}

/// Receives together with a descriptor.
pub(super) fn receive_with_fd(
    end: &impl AsFd,
    buffer: &mut [u8],
) -> rustix::io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = RecvAncillaryBuffer::new(&mut space);
    let mut vectors = [IoSliceMut::new(buffer)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(end, &mut vectors, &mut passed, flags)?;
    let fd = passed.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((message.bytes, fd))
}

/// Sends the parts as one message, on a stream perhaps not all of it; AGAIN when there is no room.
pub(super) fn send(
    end: &impl AsFd,
    parts: &[&[u8]],
    fd: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<usize> {
    let vectors: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut passed = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        passed.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(end, &vectors, &mut passed, flags)
}
