//! Control transfers, by the `request` file.

use libredox::Fd;
use syscall::flag::O_RDWR;

use super::json::{Direction, Recipient, Request, RequestType};
use super::{Error, call, open_in, write_json};

/// SEND_ENCAPSULATED_COMMAND (CDC PSTN 1.2, 6.3.1).
const SEND_ENCAPSULATED_COMMAND: u8 = 0;
/// GET_ENCAPSULATED_RESPONSE (CDC PSTN 1.2, 6.3.2).
const GET_ENCAPSULATED_RESPONSE: u8 = 1;
/// CLEAR_FEATURE (USB 2.0, 9.4.1).
const CLEAR_FEATURE: u8 = 1;
/// The feature ENDPOINT_HALT (USB 2.0, table 9-6).
const ENDPOINT_HALT: u16 = 0;

/// The control pipe of a device, for one interface.
pub struct ControlPipe {
    directory: Fd,
    interface: u8,
    /// `None` until it is needed. xhcid does not survive a second use of a file on which a transfer failed.
    file: Option<Fd>,
}

impl ControlPipe {
    pub(super) fn new(directory: Fd, interface: u8) -> Self {
        Self {
            directory,
            interface,
            file: None,
        }
    }

    /// Sends a command.
    ///
    /// # Errors
    /// The device stalls or is gone, or the command is longer than a control transfer.
    pub fn send(&mut self, command: &[u8]) -> Result<(), Error> {
        let length = length(command)?;
        let request = self.class(Direction::HostToDevice, SEND_ENCAPSULATED_COMMAND, length);
        self.transfer(&request, |file| {
            match call("write a control transfer's data", || file.write(command))? {
                written if written == command.len() => Ok(()),
                _ => Err(Error::Malformed { file: "request" }),
            }
        })
    }

    /// Fetches a response into `buffer`. How long it is, only the response itself says: what comes behind it is zero.
    ///
    /// # Errors
    /// The device stalls or is gone, or the buffer is longer than a control transfer.
    pub fn fetch(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        // Nothing of the response before must be taken for this one's.
        buffer.fill(0);
        let length = length(buffer)?;
        let request = self.class(Direction::DeviceToHost, GET_ENCAPSULATED_RESPONSE, length);
        self.transfer(&request, |file| {
            match call("read a control transfer's data", || file.read(buffer))? {
                read if read == buffer.len() => Ok(()),
                _ => Err(Error::Malformed { file: "request" }),
            }
        })
    }

    /// Tells the device that the endpoint of `address` is to work again.
    ///
    /// # Errors
    /// The device stalls or is gone.
    pub fn clear_halt(&mut self, address: u8) -> Result<(), Error> {
        let request = Request {
            direction: Direction::HostToDevice,
            req_type: RequestType::Standard,
            req_recipient: Recipient::Endpoint,
            request: CLEAR_FEATURE,
            value: ENDPOINT_HALT,
            index: address.into(),
            length: 0,
            transfers_data: false,
        };
        self.transfer(&request, |_| Ok(()))
    }

    fn class(&self, direction: Direction, request: u8, length: u16) -> Request {
        Request {
            direction,
            req_type: RequestType::Class,
            req_recipient: Recipient::Interface,
            request,
            value: 0,
            index: self.interface.into(),
            length,
            transfers_data: true,
        }
    }

    /// Writes the request and lets `data` move its bytes.
    fn transfer(
        &mut self,
        request: &Request,
        data: impl FnOnce(&Fd) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let file = match self.file.take() {
            Some(file) => file,
            None => open_in(&self.directory, "request", O_RDWR)?,
        };
        write_json(&file, "request", request)?;
        data(&file)?;
        self.file = Some(file);
        Ok(())
    }
}

fn length(bytes: &[u8]) -> Result<u16, Error> {
    u16::try_from(bytes.len()).map_err(|_| Error::Malformed { file: "request" })
}
