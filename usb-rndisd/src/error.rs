//! Why the driver cannot work, in words for the person who reads the log.

use core::fmt;

use netscheme::server::{ServerError, StartError};

use crate::endpoints::ChoiceError;
use crate::session::SessionError;
use crate::xhci;

/// Why the driver cannot start or go on.
#[derive(Debug)]
pub enum Error {
    /// xhcid's endpoints block.
    Blocking,
    /// The device's descriptors describe no adapter.
    Choice(ChoiceError),
    /// xhcid refused something that the start needs.
    Xhci(xhci::Error),
    /// The device was unplugged.
    Gone,
    /// The device does not keep to RNDIS.
    Session(SessionError),
    /// The device halted an endpoint too often in too short a time.
    KeepsStalling {
        /// How often.
        times: usize,
    },
    /// A call of the operating system failed.
    System {
        /// What was being done.
        asked: &'static str,
        /// The error number.
        error: syscall::Error,
    },
    /// The scheme could not be started.
    Start(StartError),
    /// The scheme came to its end.
    Server(ServerError),
}

impl Error {
    pub(crate) fn system(asked: &'static str) -> impl FnOnce(syscall::Error) -> Self {
        move |error| Self::System { asked, error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocking => f.write_str(
                "xhcid's endpoints block: while this driver waited for a frame, no device of that controller would be \
                 served; it needs an xhcid with non-blocking endpoints and is told so by --endpoints nonblocking, or \
                 events if that xhcid posts them",
            ),
            Self::Choice(error) => error.fmt(f),
            Self::Xhci(error) => error.fmt(f),
            Self::Gone => f.write_str("the device was unplugged"),
            Self::Session(error) => error.fmt(f),
            Self::KeepsStalling { times } => {
                write!(f, "the device keeps halting its endpoints: {times} times in a row")
            }
            Self::System { asked, error } => write!(f, "{asked}: {error}"),
            Self::Start(error) => error.fmt(f),
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! from {
    ($($variant:ident($type:ty)),* $(,)?) => {$(
        impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from!(
    Choice(ChoiceError),
    Session(SessionError),
    Start(StartError),
    Server(ServerError),
);

impl From<xhci::Error> for Error {
    fn from(error: xhci::Error) -> Self {
        if error.is_gone() {
            Self::Gone
        } else {
            Self::Xhci(error)
        }
    }
}
