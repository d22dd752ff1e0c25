//! Why a session came to its end, in words for the person who reads the log.

use core::fmt;

/// Why the adapter cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// A command got no answer, however often it was sent.
    NoAnswer {
        /// Which.
        command: &'static str,
    },
    /// A command that nothing works without was refused.
    Refused {
        /// Which.
        command: &'static str,
        /// The status that it was answered with.
        status: u32,
    },
    /// The device speaks another version of RNDIS.
    Version {
        /// Its MajorVersion.
        major: u32,
        /// Its MinorVersion.
        minor: u32,
    },
    /// The device is no Ethernet adapter.
    NotEthernet {
        /// Its medium (RNDIS_MEDIUM).
        medium: u32,
    },
    /// The device takes transfers in which no useful frame has room.
    TransferTooSmall {
        /// Its MaxTransferSize, in bytes.
        max_transfer: u32,
    },
    /// The device does not say that it lives, however often it is reset.
    KeepsFailing {
        /// How often it was reset.
        resets: u32,
    },
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { command } => write!(f, "the device does not answer {command}"),
            Self::Refused { command, status } => {
                write!(f, "the device refuses {command} with status {status:#010x}")
            }
            Self::Version { major, minor } => {
                write!(
                    f,
                    "the device speaks version {major}.{minor} of RNDIS, and this driver 1.0"
                )
            }
            Self::NotEthernet { medium } => {
                write!(
                    f,
                    "the device is no Ethernet adapter: its medium is {medium}"
                )
            }
            Self::TransferTooSmall { max_transfer } => {
                write!(
                    f,
                    "the device takes transfers of {max_transfer} bytes only, too small for a frame"
                )
            }
            Self::KeepsFailing { resets } => {
                write!(
                    f,
                    "the device keeps failing: after {resets} resets in a row it still does not say that it lives"
                )
            }
        }
    }
}

impl std::error::Error for SessionError {}
