//! What a command failed with, in words.

use std::fmt;

use syscall::error::{ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT};

/// Why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The arguments make no sense; the text says how to call it.
    Usage(String),
    /// A call failed: what was being done, and with what error.
    Call {
        /// What was being done, for example `connecting to 10.0.2.2:80`.
        doing: String,
        /// The error number, of Redox.
        errno: i32,
    },
    /// The peer, the name server or the file did not answer as it should.
    Answer(String),
    /// Writing to the terminal or the output file failed.
    Output(std::io::Error),
}

impl Error {
    /// An error of a call made while `doing`.
    pub(crate) fn call(doing: impl Into<String>, error: libredox::error::Error) -> Error {
        Error::Call {
            doing: doing.into(),
            errno: error.errno(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) => write!(f, "usage: {text}"),
            Error::Call { doing, errno } => {
                let (text, advice) = (errno_text(*errno), advice(*errno));
                write!(f, "{doing}: {text} (error {errno}){advice}")
            }
            Error::Answer(text) => f.write_str(text),
            Error::Output(error) => write!(f, "writing the output: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Output(error)
    }
}

/// Redox's own words for its error numbers, which on the lab's host mean other things in places.
fn errno_text(errno: i32) -> &'static str {
    usize::try_from(errno)
        .ok()
        .and_then(|index| syscall::error::STR_ERROR.get(index).copied())
        .unwrap_or("unknown error")
}

/// What a user can look at.
fn advice(errno: i32) -> &'static str {
    match errno {
        ECONNREFUSED => "; no server listens on that port",
        ECONNRESET => "; the other side broke the connection off",
        ETIMEDOUT => "; no answer came: is that machine up, and the address right?",
        EHOSTUNREACH => "; no machine answers to that address",
        ENETUNREACH => "; there is no route to it, see /scheme/netcfg/route/list",
        _ => "",
    }
}
