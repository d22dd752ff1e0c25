//! What waits for many descriptors: poll(2), select(2), epoll(7).

use core::ffi::c_int;
use core::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Socket, checked, status};
use crate::errno::Result;

/// poll(2): what is true of each descriptor; all zeros when the time is over.
pub(crate) fn poll(wanted: &[(c_int, i16)], milliseconds: c_int) -> Result<Vec<i16>> {
    let entry = |&(fd, events): &(c_int, i16)| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let mut polled: Vec<libc::pollfd> = wanted.iter().map(entry).collect();
    let (at, count) = (polled.as_mut_ptr(), polled.len() as libc::nfds_t);
    // SAFETY: there are that many.
    status("poll", unsafe { libc::poll(at, count, milliseconds) })?;
    Ok(polled.iter().map(|entry| entry.revents).collect())
}

/// select(2) on one descriptor: readable, writable.
pub(crate) fn select(socket: &Socket, milliseconds: i64) -> Result<(bool, bool)> {
    let fd = socket.fd();
    let mut timeout = libc::timeval {
        tv_sec: (milliseconds / 1000) as _,
        tv_usec: (milliseconds % 1000 * 1000) as _,
    };
    let nobody = core::ptr::null_mut();
    // SAFETY: the sets are initialized before they are used, and the descriptor is below FD_SETSIZE here.
    unsafe {
        let (mut reading, mut writing): (libc::fd_set, libc::fd_set) = (zeroed(), zeroed());
        libc::FD_ZERO(&raw mut reading);
        libc::FD_ZERO(&raw mut writing);
        libc::FD_SET(fd, &raw mut reading);
        libc::FD_SET(fd, &raw mut writing);
        let (r, w) = (&raw mut reading, &raw mut writing);
        status(
            "select",
            libc::select(fd + 1, r, w, nobody, &raw mut timeout),
        )?;
        Ok((libc::FD_ISSET(fd, r), libc::FD_ISSET(fd, w)))
    }
}

/// An epoll(7) queue.
pub(crate) struct Queue(OwnedFd);

impl Queue {
    pub(crate) fn new() -> Result<Queue> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        status("epoll_create1", fd)?;
        // SAFETY: the call has just made it for us.
        Ok(Queue(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn add(&self, socket: &Socket, events: c_int) -> Result<()> {
        self.change(libc::EPOLL_CTL_ADD, socket, events)
    }

    pub(crate) fn modify(&self, socket: &Socket, events: c_int) -> Result<()> {
        self.change(libc::EPOLL_CTL_MOD, socket, events)
    }

    fn change(&self, what: c_int, socket: &Socket, events: c_int) -> Result<()> {
        // SAFETY: all zeros is an epoll_event.
        let mut event: libc::epoll_event = unsafe { zeroed() };
        event.events = events.cast_unsigned();
        // SAFETY: the event lives until the call has returned.
        status("epoll_ctl", unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), what, socket.fd(), &raw mut event)
        })
    }

    /// The events of the one descriptor that it is used with; `None` when the time is over.
    pub(crate) fn wait(&self, milliseconds: c_int) -> Result<Option<c_int>> {
        // SAFETY: all zeros is an epoll_event.
        let mut event: libc::epoll_event = unsafe { zeroed() };
        // SAFETY: there is room for one.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, milliseconds) };
        let count = checked("epoll_wait", count as isize)?;
        Ok((count > 0).then_some({ event.events }.cast_signed()))
    }
}
