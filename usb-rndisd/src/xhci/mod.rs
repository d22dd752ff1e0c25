//! Client of the files that xhcid serves for a device: `/scheme/<controller>/port<port>/…`.
//!
//! ```text
//!   descriptors           all descriptors of the device, JSON; only one read of the whole gives it whole
//!   configure             chooses configuration and alternate setting
//!   request               control transfers: a JSON line, then exactly as many bytes as it says
//!   endpoints/N/ctl       announces a transfer of endpoint N, and says how it ended
//!   endpoints/N/data      its bytes
//! ```
//!
//! A transfer on an endpoint is three calls: `ctl` is told direction and length, the bytes go through `data`, `ctl` says
//! how many they were. With a non-blocking `data` file, the first read only starts the transfer, and reads say
//! `EWOULDBLOCK` until it is over. There is one transfer at a time on an endpoint.
//!
//! The port's directory stays open, and all files are opened from it, so that this works in the null namespace, too.

use core::fmt;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{
    EAGAIN, EBADF, EBADFD, EINTR, EIO, ENODEV, ENOENT, ENXIO, EPIPE, EWOULDBLOCK,
};
use syscall::flag::{O_DIRECTORY, O_RDONLY, O_WRONLY};

use crate::endpoints::{Choice, Device, Pipe};

mod control;
mod endpoint;
mod json;

pub use control::ControlPipe;
pub use endpoint::{Arrival, InPipe, OutPipe, Progress};

/// The most bytes of one transfer that xhcid makes.
pub const LARGEST_TRANSFER: usize = 65536;

/// The most bytes of descriptors that are read. Their JSON is some ten times as long as they are, and a configuration
/// has 64 KiB at most.
const DESCRIPTORS_LIMIT: u64 = 4 << 20;

/// Why a file of xhcid's was of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The system or xhcid answered with an error.
    System {
        /// What was being done.
        asked: &'static str,
        /// The answer.
        error: syscall::Error,
    },
    /// What was read or the number of bytes taken is nothing that xhcid should say.
    Malformed {
        /// The file.
        file: &'static str,
    },
    /// A transfer ended in a way that is neither an end nor a stall: the device does not answer, or is gone.
    Failed {
        /// The endpoint's number.
        endpoint: u8,
    },
    /// A transfer failed or was left behind, and xhcid still waits for it: it starts no other on this endpoint.
    Wedged {
        /// The endpoint's number.
        endpoint: u8,
    },
}

impl Error {
    /// Whether this is how files of a device that was unplugged answer.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::System { error, .. } => {
                matches!(
                    error.errno,
                    ENODEV | EBADF | EBADFD | ENOENT | ENXIO | EPIPE
                )
            }
            Self::Malformed { .. } | Self::Failed { .. } | Self::Wedged { .. } => false,
        }
    }

    /// Whether this is how a halted endpoint answers, and how one of a device that vanishes may.
    #[must_use]
    pub fn is_io(&self) -> bool {
        matches!(self, Self::System { error, .. } if error.errno == EIO)
    }

    /// Whether this says "not yet": the scheme's number, or what a server of ours makes of it.
    fn is_not_yet(&self) -> bool {
        matches!(self, Self::System { error, .. } if matches!(error.errno, EWOULDBLOCK | EAGAIN))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { asked, error } => write!(f, "{asked}: {error}"),
            Self::Malformed { file } => write!(f, "xhcid's answer from {file} makes no sense"),
            Self::Failed { endpoint } => write!(f, "a transfer on endpoint {endpoint} failed"),
            Self::Wedged { endpoint } => write!(
                f,
                "xhcid holds a transfer on endpoint {endpoint} for unfinished that will never finish; only unplugging helps"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// A device, as the port that it is plugged into.
pub struct Port {
    directory: Fd,
}

impl Port {
    /// Opens `/scheme/<scheme>/port<port>`. Needs uid 0.
    ///
    /// # Errors
    /// There is no such controller or nothing in that port.
    pub fn open(scheme: &str, port: &str) -> Result<Self, Error> {
        let path = format!("/scheme/{scheme}/port{port}");
        let flags = (O_RDONLY | O_DIRECTORY | O_CLOEXEC) as i32;
        let directory = call("open the port", || Fd::open(&path, flags, 0))?;
        Ok(Self { directory })
    }

    /// The device's descriptors.
    ///
    /// # Errors
    /// They cannot be read, or are not there yet.
    pub fn descriptors(&self) -> Result<Device, Error> {
        let malformed = || Error::Malformed {
            file: "descriptors",
        };
        let file = open_in(&self.directory, "descriptors", O_RDONLY)?;
        let size = call("stat the descriptors", || file.stat())?.st_size;
        let size = u64::try_from(size)
            .ok()
            .filter(|&size| size <= DESCRIPTORS_LIMIT)
            .ok_or_else(malformed)?;
        let mut text = vec![0; usize::try_from(size).map_err(|_| malformed())?];
        let length = call("read the descriptors", || file.read(&mut text))?;
        let text = text.get(..length).ok_or_else(malformed)?;
        serde_json::from_slice(text).map_err(|_| malformed())
    }

    /// Sets the configuration, and the alternate setting of the data interface if it has several.
    ///
    /// # Errors
    /// xhcid or the device refuses.
    pub fn configure(&self, choice: &Choice) -> Result<(), Error> {
        let file = open_in(&self.directory, "configure", O_WRONLY)?;
        let configure = json::Configure {
            config_desc: choice.configuration,
            interface_desc: choice.alternate.map(|_| choice.data_interface),
            alternate_setting: choice.alternate,
            hub_ports: None,
        };
        write_json(&file, "configure", &configure)
    }

    /// Opens the files of an endpoint that gives data, in transfers of `length` bytes at most; it must have been
    /// configured.
    ///
    /// # Errors
    /// xhcid's.
    pub fn open_in(&self, pipe: &Pipe, length: usize) -> Result<InPipe, Error> {
        endpoint::Files::open(&self.directory, pipe).and_then(|files| InPipe::new(files, length))
    }

    /// Opens the files of an endpoint that takes data; it must have been configured.
    ///
    /// # Errors
    /// xhcid's.
    pub fn open_out(&self, pipe: &Pipe) -> Result<OutPipe, Error> {
        endpoint::Files::open(&self.directory, pipe).and_then(OutPipe::new)
    }

    /// The control pipe, for requests to `interface`.
    #[must_use]
    pub fn into_control(self, interface: u8) -> ControlPipe {
        ControlPipe::new(self.directory, interface)
    }
}

/// Makes a call, again as long as a signal interrupts it.
fn call<T>(
    asked: &'static str,
    mut make: impl FnMut() -> libredox::error::Result<T>,
) -> Result<T, Error> {
    loop {
        match make() {
            Err(error) if error.errno() == EINTR => {}
            result => {
                return result.map_err(|error| Error::System {
                    asked,
                    error: error.into(),
                });
            }
        }
    }
}

fn open_in(directory: &Fd, path: &str, flags: usize) -> Result<Fd, Error> {
    let flags = (flags | O_CLOEXEC) as i32;
    call("open a file of the port", || {
        directory.openat(path, flags, 0)
    })
}

/// Writes `value`, all of it at once.
fn write_json(file: &Fd, name: &'static str, value: &impl serde::Serialize) -> Result<(), Error> {
    let malformed = Error::Malformed { file: name };
    let text = serde_json::to_vec(value).map_err(|_| malformed.clone())?;
    match call(name, || file.write(&text))? {
        length if length == text.len() => Ok(()),
        _ => Err(malformed),
    }
}
