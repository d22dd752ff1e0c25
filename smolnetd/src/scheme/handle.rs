//! What a client's file descriptor on a socket scheme stands for.

use core::net::SocketAddr;
use core::time::Duration;

use netscheme::readiness::Readiness;
use syscall::flag::O_NONBLOCK;

use crate::socket::{Owner, SocketId};

/// What an open file of a socket scheme is.
#[derive(Debug)]
pub(crate) enum Handle {
    /// The scheme's root, from which paths are opened.
    Root,
    /// A socket, or one that is still to be: opened with an empty path.
    Socket(SocketHandle),
    /// A setting of a socket, opened by `dup`.
    Setting {
        /// The socket's handle.
        of: usize,
        /// Which setting.
        setting: Setting,
        /// Whose file it is.
        owner: Owner,
    },
}

impl Handle {
    /// Whose file it is: the namespace opens the root on everybody's behalf.
    pub(crate) fn owner(&self) -> Owner {
        match self {
            Handle::Root => Owner::ROOT,
            Handle::Socket(handle) => handle.owner,
            Handle::Setting { owner, .. } => *owner,
        }
    }
}

/// A descriptor of a socket. Several may share one socket: `dup` makes more.
#[derive(Debug)]
pub(crate) struct SocketHandle {
    /// None until the socket is bound, connected or sent from.
    pub(crate) socket: Option<SocketId>,
    /// Where datagrams written here go. It belongs to the descriptor: `sendto` is a dup with an address.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) owner: Owner,
    /// `O_*` flags as set by open and fcntl.
    pub(crate) flags: usize,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) readiness: Readiness,
    /// Nothing is read from this descriptor any more; writing is ended in the socket itself.
    pub(crate) read_ended: bool,
    /// The call that is connecting it and waits.
    pub(crate) connecting: Option<redox_scheme::Id>,
}

impl SocketHandle {
    pub(crate) fn new(owner: Owner, flags: usize) -> SocketHandle {
        SocketHandle {
            socket: None,
            remote: None,
            owner,
            flags,
            read_timeout: None,
            write_timeout: None,
            readiness: Readiness::default(),
            read_ended: false,
            connecting: None,
        }
    }

    /// A descriptor that `dup` makes from this one: the same settings, nobody watching yet.
    pub(crate) fn sibling(&self, socket: Option<SocketId>, remote: Option<SocketAddr>) -> Self {
        SocketHandle {
            socket,
            remote,
            readiness: Readiness::default(),
            connecting: None,
            ..*self
        }
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.flags & O_NONBLOCK != 0
    }
}

/// The settings that are files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// 16 bytes of `timespec`; zero is "no timeout".
    ReadTimeout,
    /// As the read timeout.
    WriteTimeout,
    /// One byte: the TTL.
    HopLimit,
}

impl Setting {
    pub(crate) fn parse(path: &str) -> Option<Setting> {
        match path {
            "read_timeout" => Some(Setting::ReadTimeout),
            "write_timeout" => Some(Setting::WriteTimeout),
            "hop_limit" => Some(Setting::HopLimit),
            _ => None,
        }
    }
}

/// Reads a `timespec`: seconds as i64 and nanoseconds as i32 or i64 with the upper half unused, native byte order.
/// `None` if it is none; `Some(None)` is zero, "no timeout".
pub(crate) fn parse_timespec(bytes: &[u8]) -> Option<Option<Duration>> {
    let seconds = i64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
    let nanos = i32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    let seconds = u64::try_from(seconds).ok()?;
    let nanos = u32::try_from(nanos).ok().filter(|&n| n < 1_000_000_000)?;
    let duration = Duration::new(seconds, nanos);
    Some((!duration.is_zero()).then_some(duration))
}

/// The same way back: 16 bytes.
pub(crate) fn write_timespec(timeout: Option<Duration>) -> Vec<u8> {
    let timeout = timeout.unwrap_or_default();
    let nanos = u64::from(timeout.subsec_nanos());
    [timeout.as_secs(), nanos].map(u64::to_ne_bytes).concat()
}

/// As `getsockopt` has it, a `timeval`: seconds and microseconds.
pub(crate) fn write_timeval(timeout: Option<Duration>) -> Vec<u8> {
    let timeout = timeout.unwrap_or_default();
    let micros = u64::from(timeout.subsec_micros());
    [timeout.as_secs(), micros].map(u64::to_ne_bytes).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_zero_means_none_and_not_at_once() {
        assert_eq!(parse_timespec(&[0; 16]), Some(None));
        let timeout = Some(Duration::from_millis(1500));
        assert_eq!(parse_timespec(&write_timespec(timeout)), Some(timeout));
    }

    #[test]
    fn a_timeout_that_is_none_is_refused() {
        let negative = [(-1i64).to_ne_bytes(), [0; 8]].concat();
        let many_nanos = [[0; 8], 1_000_000_000u64.to_ne_bytes()].concat();
        for bytes in [&negative[..], &many_nanos, &[0; 11]] {
            assert_eq!(parse_timespec(bytes), None);
        }
    }
}
