//! How far a socket of ours has come. The descriptor itself remembers it, after every dup, fork, exec and passing on: in
//! SO_PRIORITY, which means nothing to a pair.

use core::ffi::c_int;

use crate::sys;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// As it was made.
    Fresh = 0,
    /// It has a peer, or will have one.
    Connected = 1,
    Listening = 2,
}

/// How far the socket is.
pub(crate) fn of(fd: c_int) -> Stage {
    let mut value: c_int = 0;
    sys::get(fd, libc::SO_PRIORITY, &mut value);
    match value {
        1 => Stage::Connected,
        2 => Stage::Listening,
        _ => Stage::Fresh,
    }
}

/// It has come that far.
pub(crate) fn enter(fd: c_int, stage: Stage) {
    sys::set(fd, libc::SO_PRIORITY, &(stage as c_int));
}
