//! Transfers on an endpoint: one at a time, started, looked at, over.

use libredox::Fd;
use syscall::flag::{O_NONBLOCK, O_RDWR};

use super::control::ControlPipe;
use super::json::{Answer, Command, ResultKind, TransferDirection};
use super::{Error, LARGEST_TRANSFER, call, open_in, write_json};
use crate::endpoints::Pipe;

/// The longest answer of a `ctl` file, in bytes.
const ANSWER: usize = 256;

/// The files of an endpoint.
pub(super) struct Files {
    ctl: Fd,
    data: Fd,
    pipe: Pipe,
}

impl Files {
    pub(super) fn open(directory: &Fd, pipe: &Pipe) -> Result<Self, Error> {
        let number = pipe.number;
        Ok(Self {
            ctl: open_in(directory, &format!("endpoints/{number}/ctl"), O_RDWR)?,
            data: open_in(
                directory,
                &format!("endpoints/{number}/data"),
                O_RDWR | O_NONBLOCK,
            )?,
            pipe: *pipe,
        })
    }

    /// Whether a driver that was killed has left a transfer behind that is not over. The result of one that is goes.
    fn is_pending(&self) -> Result<bool, Error> {
        Ok(self.answer()? == Answer::Pending)
    }

    fn announce(&self, direction: TransferDirection, count: usize) -> Result<(), Error> {
        let count = u32::try_from(count).map_err(|_| Error::Malformed { file: "ctl" })?;
        write_json(&self.ctl, "ctl", &Command::Transfer { direction, count })
    }

    fn answer(&self) -> Result<Answer, Error> {
        let mut text = [0; ANSWER];
        let length = call("read ctl", || self.ctl.read(&mut text))?;
        let text = text.get(..length).unwrap_or_default();
        serde_json::from_slice(text).map_err(|_| Error::Malformed { file: "ctl" })
    }

    /// What a failed call on `data` means: `Ok` if `ctl` says that the endpoint is halted.
    ///
    /// # Errors
    /// The failure, if it was another.
    fn is_halted(&self, error: Error) -> Result<(), Error> {
        if !error.is_io() {
            return Err(error);
        }
        match self.answer()? {
            Answer::TransferResult {
                kind: ResultKind::Stalled,
                ..
            } => Ok(()),
            Answer::Pending => Err(self.wedged()),
            Answer::TransferResult { .. } | Answer::Idle => Err(error),
        }
    }

    /// How the transfer stands, of which `data` has moved `moved` bytes.
    fn outcome(&self, moved: usize) -> Result<Outcome, Error> {
        match self.answer()? {
            Answer::Pending => Ok(Outcome::NotYet),
            Answer::TransferResult {
                kind: ResultKind::Stalled,
                ..
            } => Ok(Outcome::Stalled),
            Answer::TransferResult {
                kind: ResultKind::Unknown,
                ..
            } => Err(Error::Failed {
                endpoint: self.pipe.number,
            }),
            // Neither number is believed beyond the other.
            Answer::TransferResult {
                bytes_transferred, ..
            } => {
                let told = usize::try_from(bytes_transferred).unwrap_or(usize::MAX);
                Ok(Outcome::Moved(told.min(moved)))
            }
            Answer::Idle => Err(Error::Malformed { file: "ctl" }),
        }
    }

    fn wedged(&self) -> Error {
        Error::Wedged {
            endpoint: self.pipe.number,
        }
    }

    /// Gets a halted endpoint to work again, on the host's side and on the device's (USB 2.0, 9.4.5).
    fn restart(&self, control: &mut ControlPipe) -> Result<(), Error> {
        // xhcid would clear the halt of another endpoint: the device is told here.
        write_json(
            &self.ctl,
            "ctl",
            &Command::Reset {
                no_clear_feature: true,
            },
        )?;
        control.clear_halt(self.pipe.address)
    }
}

/// How a transfer stands.
enum Outcome {
    /// It is under way.
    NotYet,
    /// It ended, with so many bytes.
    Moved(usize),
    /// It ended, because the endpoint is halted.
    Stalled,
}

/// What an IN endpoint has. The first three are different things: nothing came yet; the device sent an end of transfer and
/// nothing before it; it sent less than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The transfer is under way.
    NotYet,
    /// It ended without a byte.
    Empty,
    /// It ended with so many bytes, fewer than were asked for: what lies behind them is nobody's.
    Short(usize),
    /// It ended with all that was asked for.
    Full(usize),
    /// The endpoint is halted ([`InPipe::restart`]).
    Stalled,
}

impl Arrival {
    /// Bytes that came.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Short(length) | Self::Full(length) => length,
            Self::NotYet | Self::Empty | Self::Stalled => 0,
        }
    }
}

/// An endpoint that gives data, in transfers of always the same length at most.
pub struct InPipe {
    files: Files,
    length: usize,
    is_armed: bool,
}

impl InPipe {
    /// Goes on with a transfer that is under way already: the last driver, which was this one, has asked for as much.
    pub(super) fn new(files: Files, length: usize) -> Result<Self, Error> {
        Ok(Self {
            is_armed: files.is_pending()?,
            files,
            length: length.min(LARGEST_TRANSFER),
        })
    }

    /// The file that becomes readable when a transfer is over, where xhcid tells.
    #[must_use]
    pub fn fd(&self) -> usize {
        self.files.data.raw()
    }

    /// Whether a transfer is under way.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.is_armed
    }

    /// The most bytes of a transfer.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Takes what came into the front of `buffer`, which is as long as a transfer at least. If no transfer is under way,
    /// one is started first.
    ///
    /// # Errors
    /// xhcid's; the endpoint is of no more use then.
    pub fn take(&mut self, buffer: &mut [u8]) -> Result<Arrival, Error> {
        let room = buffer.get_mut(..self.length);
        let room = room.ok_or(Error::Malformed { file: "data" })?;
        if !self.is_armed {
            self.files.announce(TransferDirection::In, self.length)?;
            self.is_armed = true;
        }
        let outcome = match call("read an endpoint", || self.files.data.read(room)) {
            Err(error) if error.is_not_yet() => return Ok(Arrival::NotYet),
            Err(error) => self.files.is_halted(error).map(|()| Outcome::Stalled)?,
            Ok(read) => self.files.outcome(read)?,
        };
        self.is_armed = false;
        match outcome {
            // It brought bytes and goes on: this is not how an end looks.
            Outcome::NotYet => Err(self.files.wedged()),
            Outcome::Stalled => Ok(Arrival::Stalled),
            Outcome::Moved(0) => Ok(Arrival::Empty),
            Outcome::Moved(length) if length < self.length => Ok(Arrival::Short(length)),
            Outcome::Moved(length) => Ok(Arrival::Full(length)),
        }
    }

    /// Gets the endpoint to work again after [`Arrival::Stalled`].
    ///
    /// # Errors
    /// It does not.
    pub fn restart(&mut self, control: &mut ControlPipe) -> Result<(), Error> {
        self.files.restart(control)
    }
}

/// How far a transfer to the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is under way, or waits for xhcid to take its bytes.
    NotYet,
    /// The device has all of it.
    Done,
    /// The device took so many bytes and no more.
    Cut(usize),
    /// The endpoint is halted ([`OutPipe::restart`]).
    Stalled,
}

/// How far the transfer of an OUT endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutState {
    /// There is none.
    Idle,
    /// It is announced; xhcid has not taken the bytes.
    Announced,
    /// xhcid has the bytes.
    Taken,
}

/// An endpoint that takes data.
pub struct OutPipe {
    files: Files,
    state: OutState,
}

impl OutPipe {
    pub(super) fn new(files: Files) -> Result<Self, Error> {
        // Nobody knows how many of whose bytes that would be.
        if files.is_pending()? {
            return Err(files.wedged());
        }
        Ok(Self {
            files,
            state: OutState::Idle,
        })
    }

    /// The file that becomes writable when a transfer is over, where xhcid tells.
    #[must_use]
    pub fn fd(&self) -> usize {
        self.files.data.raw()
    }

    /// Sends `bytes` as one transfer, step by step: to be called with the same bytes until it is over. The first step hands
    /// them over, the next asks how it went.
    ///
    /// xhcid takes the bytes and returns at once, or when the device has them: then the first step takes as long as the
    /// device does.
    ///
    /// # Errors
    /// xhcid's; the endpoint is of no more use then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress, Error> {
        let outcome = match self.state {
            OutState::Taken => self.files.outcome(bytes.len())?,
            OutState::Idle | OutState::Announced => self.hand_over(bytes)?,
        };
        if !matches!(outcome, Outcome::NotYet) {
            self.state = OutState::Idle;
        }
        Ok(match outcome {
            Outcome::NotYet => Progress::NotYet,
            Outcome::Stalled => Progress::Stalled,
            Outcome::Moved(moved) if moved < bytes.len() => Progress::Cut(moved),
            Outcome::Moved(_) => Progress::Done,
        })
    }

    fn hand_over(&mut self, bytes: &[u8]) -> Result<Outcome, Error> {
        if self.state == OutState::Idle {
            self.files.announce(TransferDirection::Out, bytes.len())?;
            self.state = OutState::Announced;
        }
        match call("write an endpoint", || self.files.data.write(bytes)) {
            Ok(_) => self.state = OutState::Taken,
            Err(error) if error.is_not_yet() => {}
            Err(error) => {
                self.files.is_halted(error)?;
                return Ok(Outcome::Stalled);
            }
        }
        Ok(Outcome::NotYet)
    }

    /// Gets the endpoint to work again after [`Progress::Stalled`].
    ///
    /// # Errors
    /// It does not.
    pub fn restart(&mut self, control: &mut ControlPipe) -> Result<(), Error> {
        self.files.restart(control)
    }
}
