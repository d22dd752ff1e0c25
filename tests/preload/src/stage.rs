//! How far a socket of ours has come. The descriptor itself remembers it, after every dup, fork, exec and passing on: in
//! SO_PRIORITY, which means nothing to a pair.

use core::ffi::c_int;
use core::mem::size_of;

use crate::sys::{call, checked};

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
    let mut length = size_of::<c_int>();
    let arguments = arguments(fd, (&raw mut value).addr(), (&raw mut length).addr());
    // SAFETY: both point to variables of ours of that size; the length's lower half is the kernel's.
    let _ = checked(unsafe { call(libc::SYS_getsockopt, arguments) });
    match value {
        1 => Stage::Connected,
        2 => Stage::Listening,
        _ => Stage::Fresh,
    }
}

/// It has come that far.
pub(crate) fn enter(fd: c_int, stage: Stage) {
    let value = stage as c_int;
    let arguments = arguments(fd, (&raw const value).addr(), size_of::<c_int>());
    // SAFETY: the value has that length.
    let _ = checked(unsafe { call(libc::SYS_setsockopt, arguments) });
}

fn arguments(fd: c_int, value: usize, length: usize) -> [usize; 6] {
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_PRIORITY as usize);
    [fd as usize, level, option, value, length, 0]
}
