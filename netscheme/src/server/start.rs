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
use syscall::error::{EEXIST, ENODEV, Error};
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

pub(super) fn open_socket(name: &str) -> Result<Socket, StartError> {
    Socket::nonblock().map_err(failed(name, "cannot create a scheme"))
}

pub(super) fn register(socket: &Socket, name: &str, root_handle: usize) -> Result<(), StartError> {
    let namespace = libredox::call::getns()
        .map_err(Error::from)
        .map_err(failed(name, "cannot find the namespace"))?;
    match try_register(socket, namespace, name, root_handle) {
        Err(Error { errno: EEXIST }) if is_dead(namespace, name) => {
            remove(namespace, name)
                .map_err(failed(name, "cannot remove the name of a dead scheme"))?;
            log::info!("/scheme/{name}: taking over the name of a scheme that has ended");
            try_register(socket, namespace, name, root_handle)
        }
        result => result,
    }
    .map_err(|error| match error.errno {
        EEXIST => StartError::NameHeld {
            name: name.to_owned(),
        },
        _ => failed(name, "cannot register")(error),
    })
}

fn failed(name: &str, step: &'static str) -> impl FnOnce(Error) -> StartError {
    let name = name.to_owned();
    move |error| StartError::System { name, step, error }
}

fn try_register(
    socket: &Socket,
    namespace: usize,
    name: &str,
    root_handle: usize,
) -> Result<(), Error> {
    let root = socket.create_this_scheme_fd(0, root_handle, 0, 0)?;
    libredox::call::register_scheme_to_ns(namespace, name, root).map_err(|error| {
        // Whether a refused registration took the descriptor along is not defined; this thread opened
        // nothing since, so closing it twice hurts nobody.
        let _ = libredox::call::close(root);
        Error::from(error)
    })
}

fn is_dead(namespace: usize, name: &str) -> bool {
    let probe = || {
        let path = format!("/scheme/{name}");
        let root = libredox::call::openat(namespace, path, (O_DIRECTORY | O_CLOEXEC) as i32, 0)?;
        libredox::Fd::new(root).openat(PROBE, (O_RDONLY | O_CLOEXEC) as i32, 0)
    };
    probe().is_err_and(|error| error.errno() == ENODEV)
}

fn remove(namespace: usize, name: &str) -> Result<(), Error> {
    let path = format!("/scheme/{name}");
    let call = StdFsCallMeta::new(StdFsCallKind::Unlinkat, 0, 0);
    libredox::call::call_wo(namespace, path.as_bytes(), CallFlags::STD_FS, &call)?;
    Ok(())
}
