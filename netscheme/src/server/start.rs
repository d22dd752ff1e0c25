//! How a scheme gets its name.
//!
//! A name stays registered when its scheme dies. Opening anything under a dead scheme fails with
//! `ENODEV`, while a live one answers for itself; that tells a second start from a restart. Between
//! that look and the removal of the dead name, another process could do the same: init starts
//! services one after the other, so nothing guards against it.

use core::fmt;

use libredox::protocol::O_CLOEXEC;
use redox_scheme::Socket;
use syscall::StdFsCallMeta;
use syscall::error::{EEXIST, ENODEV, EOPNOTSUPP, Error};
use syscall::flag::{CallFlags, O_DIRECTORY, O_RDONLY, StdFsCallKind};

/// A path that no scheme serves: only whether anybody answers matters.
const PROBE: &str = ".alive";

/// Why a scheme could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// A live scheme holds the name.
    NameHeld {
        /// The name.
        name: String,
    },
    /// The system refused.
    System {
        /// The scheme's name.
        name: String,
        /// What was being done.
        step: &'static str,
        /// The answer.
        error: Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NameHeld { name } => {
                write!(
                    f,
                    "/scheme/{name} is served already: another instance is running"
                )
            }
            StartError::System { name, step, error } => {
                write!(f, "/scheme/{name}: {step}: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// A socket whose scheme is registered as `name`.
pub(super) fn start(name: &str, root_handle: usize) -> Result<Socket, StartError> {
    let namespace = libredox::call::getns().map_err(Error::from);
    let namespace = namespace.map_err(failed(name, "cannot find the namespace"))?;
    match try_start(namespace, name, root_handle) {
        Err(StartError::NameHeld { .. }) if is_dead(namespace, name) => {
            let removed = remove(namespace, name);
            removed.map_err(failed(name, "cannot remove the name of a dead scheme"))?;
            log::info!("/scheme/{name}: taking over the name of a scheme that has ended");
            try_start(namespace, name, root_handle)
        }
        result => result,
    }
}

/// One attempt. Each has a socket of its own: a registration that is refused closes the root it was
/// to register, and a later one on the same socket would be told of that as if it were its own.
fn try_start(namespace: usize, name: &str, root_handle: usize) -> Result<Socket, StartError> {
    let socket = Socket::nonblock().map_err(failed(name, "cannot create a scheme"))?;
    let root = socket.create_this_scheme_fd(0, root_handle, 0, 0);
    let root = root.map_err(failed(name, "cannot make its root"))?;
    match libredox::call::register_scheme_to_ns(namespace, name, root).map_err(Error::from) {
        Ok(()) => Ok(socket),
        Err(Error { errno: EEXIST }) => Err(StartError::NameHeld {
            name: name.to_owned(),
        }),
        Err(error) => Err(failed(name, "cannot register")(error)),
    }
}

fn failed(name: &str, step: &'static str) -> impl FnOnce(Error) -> StartError {
    let name = name.to_owned();
    move |error| StartError::System { name, step, error }
}

fn is_dead(namespace: usize, name: &str) -> bool {
    let probe = || {
        let path = format!("/scheme/{name}");
        let root = libredox::call::openat(namespace, path, (O_DIRECTORY | O_CLOEXEC) as i32, 0)?;
        libredox::Fd::new(root).openat(PROBE, (O_RDONLY | O_CLOEXEC) as i32, 0)
    };
    probe().is_err_and(|error| error.errno() == ENODEV)
}

/// Takes `name` out of the namespace.
fn remove(namespace: usize, name: &str) -> Result<(), Error> {
    let path = format!("/scheme/{name}");
    let call = StdFsCallMeta::new(StdFsCallKind::Unlinkat, 0, 0);
    match libredox::call::call_wo(namespace, path.as_bytes(), CallFlags::STD_FS, &call) {
        // A namespace manager from before redox_scheme 0.12 knows only the system call, which neither
        // `libredox` nor the C library offers on a namespace. It is no system call of Linux.
        Err(error) if error.errno() == EOPNOTSUPP => {
            syscall::unlinkat(namespace, &path, 0).map(|_| ())
        }
        result => result.map(|_| ()).map_err(Error::from),
    }
}
