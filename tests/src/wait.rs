//! Waiting for a file descriptor, with an end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Which of `fds` can be read (or has been hung up), in their order; none of them after `timeout`.
pub(crate) fn readable(
    fds: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> rustix::io::Result<Vec<bool>> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    loop {
        let left =
            deadline.map(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
        match poll(&mut polled, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// Tells threads that wait for a file descriptor to end instead.
#[derive(Debug)]
pub struct Stop(OwnedFd);

impl Stop {
    /// Not stopped yet.
    pub fn new() -> rustix::io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// From now on every [`Stop::wait_readable`] answers false.
    pub fn stop(&self) {
        // The counter cannot overflow by one stop, which is all that makes this write fail.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        readable(&[self.0.as_fd()], Some(Duration::ZERO)).is_ok_and(|ready| ready == [true])
    }

    /// What can be read once it was stopped.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits until `fd` can be read; false when it was stopped first.
    pub fn wait_readable(&self, fd: impl AsFd) -> bool {
        match readable(&[fd.as_fd(), self.0.as_fd()], None) {
            Ok(ready) => ready == [true, false],
            Err(_) => false,
        }
    }
}
