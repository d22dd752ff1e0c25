//! What a daemon tells init, and how it gives up what it does not need.

use core::fmt;

use syscall::error::{EBADF, EINTR, Error};

/// Why init was not told that the daemon is ready. The daemon itself is not hurt by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReported {
    /// The daemon was not started by init: there is no `INIT_NOTIFY`.
    Absent,
    /// The value is no descriptor, or the write failed with this error. A daemon started by another
    /// daemon may inherit a stale one.
    Failed(Error),
}

impl fmt::Display for NotReported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReported::Absent => f.write_str("not started by init"),
            NotReported::Failed(error) => write!(f, "init could not be told: {error}"),
        }
    }
}

/// Tells init that the daemon serves: one byte into the descriptor that `INIT_NOTIFY` names, which is
/// then closed. `value` is that variable's value, read by the caller. Init blocks until the byte
/// comes or the process ends, so this comes after the schemes are registered, and once.
///
/// # Errors
/// [`NotReported`], to be logged at most.
pub fn ready(value: Option<&str>) -> Result<(), NotReported> {
    let value = value.ok_or(NotReported::Absent)?;
    let fd = value
        .trim()
        .parse()
        .map_err(|_| NotReported::Failed(Error::new(EBADF)))?;
    while let Err(error) = libredox::call::write(fd, &[0]) {
        if error.errno() != EINTR {
            return Err(NotReported::Failed(error.into()));
        }
    }
    // The descriptor is init's pipe, and there is nothing else to say through it.
    let _ = libredox::call::close(fd);
    Ok(())
}

/// Enters the null namespace: no scheme can be opened by name from here on, except `memory` and
/// `pipe`. Whatever the daemon needs must be open by now.
///
/// # Errors
/// What the system answered; the daemon then still has its old namespace and should end.
pub fn enter_null_namespace() -> Result<(), Error> {
    libredox::call::setrens(0, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_init_did_not_start_goes_on() {
        assert_eq!(ready(None), Err(NotReported::Absent));
        for value in ["", "x", "-1", "99999999999999999999999", "3 4"] {
            assert_eq!(
                ready(Some(value)),
                Err(NotReported::Failed(Error::new(EBADF))),
                "{value:?}"
            );
        }
    }
}
