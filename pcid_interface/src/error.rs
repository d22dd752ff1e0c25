//! What can go wrong with the channel or with an interrupt: always what was asked, and what came.

use core::fmt;

use crate::message::{Request, Response, ServerError};
use crate::wire::{DecodeError, MAX_MESSAGE_LENGTH};

/// A failure, with what was asked in it.
#[derive(Debug)]
pub enum Error {
    /// A call of the operating system failed.
    System {
        /// The call and its object.
        asked: String,
        /// The error number.
        error: syscall::Error,
    },
    /// The channel took only a part of a request, which must go in one write.
    ShortWrite {
        /// The request.
        asked: Request,
        /// Bytes taken.
        written: usize,
    },
    /// The response ended before its time.
    Ended {
        /// The request.
        asked: Request,
        /// Bytes that were to come.
        wanted: usize,
        /// Bytes that came.
        came: usize,
    },
    /// The length before the response is more than a message may have.
    Length {
        /// The request.
        asked: Request,
        /// The length that came.
        length: u64,
    },
    /// The response is no message.
    Malformed {
        /// The request.
        asked: Request,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// pcid did not do it.
    Refused {
        /// The request.
        asked: Request,
        /// Its reason.
        reason: ServerError,
    },
    /// The response belongs to another request.
    Unexpected {
        /// The request.
        asked: Request,
        /// What came.
        came: Box<Response>,
    },
    /// There is no memory BAR of that number.
    NoMemoryBar(u8),
    /// The function has no INTx line.
    NoInterruptLine,
    /// A device tree's line has a number of cells that no path can be made of.
    InterruptCells(usize),
    /// No vector of the processor is free.
    NoFreeVector {
        /// The processor.
        cpu: u32,
    },
    /// What was read from `/scheme/irq` is not what it should be.
    Irq(String),
}

impl Error {
    pub(crate) fn system(asked: impl Into<String>, error: libredox::error::Error) -> Self {
        Self::System {
            asked: asked.into(),
            error: error.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { asked, error } => write!(f, "{asked}: {error}"),
            Self::ShortWrite { asked, written } => write!(
                f,
                "{asked:?}: pcid's channel took only {written} bytes of it"
            ),
            Self::Ended {
                asked,
                wanted,
                came,
            } => write!(
                f,
                "{asked:?}: the answer ended after {came} of {wanted} bytes"
            ),
            Self::Length { asked, length } => write!(
                f,
                "{asked:?}: an answer of {length} bytes, more than {MAX_MESSAGE_LENGTH}"
            ),
            Self::Malformed { asked, error } => {
                write!(f, "{asked:?}: the answer makes no sense: {error}")
            }
            Self::Refused { asked, reason } => write!(f, "{asked:?}: pcid refused: {reason}"),
            Self::Unexpected { asked, came } => {
                write!(f, "{asked:?}: the answer is to something else: {came:?}")
            }
            Self::NoMemoryBar(bar) => write!(f, "BAR {bar} is no memory that can be mapped"),
            Self::NoInterruptLine => f.write_str("the function has no INTx line"),
            Self::InterruptCells(cells) => write!(
                f,
                "an interrupt line of {cells} cells, where 1 to 3 are known"
            ),
            Self::NoFreeVector { cpu } => {
                write!(f, "no interrupt vector is free on processor {cpu}")
            }
            Self::Irq(what) => write!(f, "/scheme/irq: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed { error, .. } => Some(error),
            _ => None,
        }
    }
}
