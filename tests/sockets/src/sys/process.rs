//! Processes, users and signals.

use core::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::status;
use crate::errno::Result;

/// Does something in a forked child; whether it went well.
pub(crate) fn in_child(act: impl FnOnce() -> bool) -> Result<bool> {
    // SAFETY: the child has one thread, which ends in `_exit`.
    let child = unsafe { libc::fork() };
    status("fork", child)?;
    if child == 0 {
        let code = c_int::from(!act());
        // SAFETY: nothing of the parent's is unwound.
        unsafe { libc::_exit(code) };
    }
    let mut code = 0;
    // SAFETY: there is room for the status.
    status("waitpid", unsafe { libc::waitpid(child, &raw mut code, 0) })?;
    Ok(code == 0)
}

/// May this program do what only the system may?
pub(crate) fn is_root() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes another user for good.
pub(crate) fn become_user(uid: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    status("setuid", unsafe { libc::setuid(uid as _) })
}

static PIPES: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_pipe(_signal: c_int) {
    PIPES.fetch_add(1, Ordering::SeqCst);
}

/// Counts signals of broken pipes from here on.
pub(crate) fn count_pipes() {
    let handler = on_pipe as extern "C" fn(c_int);
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGPIPE, handler as libc::sighandler_t) };
}

/// How many signals of broken pipes there were.
pub(crate) fn pipes() -> usize {
    PIPES.load(Ordering::SeqCst)
}
