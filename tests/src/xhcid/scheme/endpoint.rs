//! `endpoints/N/ctl` and `endpoints/N/data`.

use syscall::error::{EBADF, EBADFD, EBADMSG, EIO, EPROTO, EWOULDBLOCK, Error, Result};
use syscall::flag::EventFlags;

use super::XhciScheme;
use crate::xhcid::bus::{Completion, EndpointState, Outcome, Port, Setup, Transfer};
use crate::xhcid::device::{EndpointFile, Flight, Stage};
use crate::xhcid::json::{
    PortTransferStatus, XhciEndpCtlDirection, XhciEndpCtlReq, XhciEndpCtlRes,
};
use crate::xhcid::spec::Endpoints;

impl XhciScheme {
    fn endpoint(&mut self, port: Port, number: u8, errno: i32) -> Result<&mut EndpointFile> {
        let device = self.devices.get_mut(&port);
        device
            .and_then(|device| device.endpoints.get_mut(&number))
            .ok_or(Error::new(errno))
    }

    fn recoverable(&self) -> bool {
        self.spec.endpoints == Endpoints::Events
    }

    pub(super) fn write_control(&mut self, port: Port, number: u8, bytes: &[u8]) -> Result<()> {
        let stage = self.endpoint(port, number, EBADF)?.stage;
        let request: XhciEndpCtlReq =
            serde_json::from_slice(bytes).map_err(|_| Error::new(EBADMSG))?;
        if stage != Stage::Idle {
            return Err(Error::new(EBADF));
        }
        let next = match request {
            XhciEndpCtlReq::Status => Stage::StatusAsked,
            XhciEndpCtlReq::Reset { no_clear_feature } => {
                return self.reset(port, number, !no_clear_feature);
            }
            XhciEndpCtlReq::Transfer {
                direction: XhciEndpCtlDirection::NoData,
                ..
            } => Stage::Result(self.transfer_nothing(port, number)?),
            XhciEndpCtlReq::Transfer { direction, count } => Stage::Data {
                direction,
                count,
                transferred: 0,
            },
        };
        self.endpoint(port, number, EBADF)?.stage = next;
        Ok(())
    }

    /// "NoData": a packet of no bytes, which is waited for.
    fn transfer_nothing(&mut self, port: Port, number: u8) -> Result<PortTransferStatus> {
        let endpoint = self.endpoint(port, number, EBADF)?.endpoint;
        let transfer = match endpoint.is_in() {
            true => Transfer::In {
                endpoint: endpoint.address,
                length: 0,
            },
            false => Transfer::Out {
                endpoint: endpoint.address,
                data: Vec::new(),
            },
        };
        let done = self.hub.transfer(port, transfer)?;
        match done.outcome {
            Outcome::Success | Outcome::Short if done.transferred == 0 => Ok(PortTransferStatus {
                kind: done.outcome.into(),
                bytes_transferred: 0,
            }),
            _ => Err(Error::new(EIO)),
        }
    }

    fn reset(&mut self, port: Port, number: u8, clear_feature: bool) -> Result<()> {
        if self.endpoint_state(port, number)? != EndpointState::Halted {
            return Err(Error::new(EPROTO));
        }
        let address = self.endpoint(port, number, EBADFD)?.endpoint.address;
        self.hub.bus.reset(port, address)?;
        if clear_feature {
            // Redox's xhcid clears the halt of endpoint 0, whichever it is.
            let endpoint = if self.recoverable() { address } else { 0 };
            self.hub
                .control(port, Setup::clear_halt(endpoint), Vec::new())?;
        }
        Ok(())
    }

    fn endpoint_state(&mut self, port: Port, number: u8) -> Result<EndpointState> {
        let address = match self.recoverable() {
            true => self.endpoint(port, number, EBADFD)?.endpoint.address,
            false => self
                .device(port, EBADFD)?
                .endpoint_by_first_interface(number)?,
        };
        Ok(self.hub.bus.state(port, address))
    }

    pub(super) fn read_control(
        &mut self,
        port: Port,
        number: u8,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let stage = self.endpoint(port, number, EBADF)?.stage;
        let answer = match stage {
            Stage::Idle => XhciEndpCtlRes::Idle,
            Stage::Data { .. } => XhciEndpCtlRes::Pending,
            Stage::Result(result) => {
                self.endpoint(port, number, EBADF)?.stage = Stage::Idle;
                XhciEndpCtlRes::TransferResult(result)
            }
            Stage::StatusAsked => {
                self.endpoint(port, number, EBADF)?.stage = Stage::Idle;
                XhciEndpCtlRes::Status(self.endpoint_state(port, number)?.into())
            }
        };
        let text = serde_json::to_vec(&answer).map_err(|_| Error::new(EIO))?;
        let room = buffer.get_mut(..text.len()).ok_or(Error::new(EIO))?;
        room.copy_from_slice(&text);
        Ok(text.len())
    }

    pub(super) fn read_data(
        &mut self,
        id: usize,
        port: Port,
        number: u8,
        buffer: &mut [u8],
        wait: bool,
    ) -> Result<usize> {
        let wait = wait || self.spec.endpoints == Endpoints::Blocking;
        let file = self.endpoint(port, number, EBADF)?;
        file.expect(XhciEndpCtlDirection::In, buffer.len())?;
        let transfer = Transfer::In {
            endpoint: file.endpoint.address,
            length: buffer.len(),
        };
        let done = match &file.flight {
            None if wait => self.hub.transfer(port, transfer)?,
            None => {
                let ticket = self.hub.bus.submit(port, transfer)?;
                self.endpoint(port, number, EBADF)?.flight = Some(Flight::Armed(ticket));
                return Err(self.would_block(id, EventFlags::EVENT_READ));
            }
            Some(Flight::Armed(_)) => return Err(self.would_block(id, EventFlags::EVENT_READ)),
            Some(Flight::Landed(_)) => file.landed()?,
        };
        if let Some(handle) = self.handles.get_mut(id) {
            handle.readiness.acted(EventFlags::EVENT_READ);
        }
        let recoverable = self.recoverable();
        // The device may have gone while it was waited for.
        let ended = self
            .endpoint(port, number, EBADF)?
            .ended(&done, recoverable)?;
        for (to, from) in buffer.iter_mut().zip(&done.data) {
            *to = *from;
        }
        Ok(ended)
    }

    pub(super) fn write_data(
        &mut self,
        id: usize,
        port: Port,
        number: u8,
        bytes: &[u8],
        wait: bool,
    ) -> Result<usize> {
        let events = self.spec.endpoints == Endpoints::Events;
        let file = self.endpoint(port, number, EBADFD)?;
        file.expect(XhciEndpCtlDirection::Out, bytes.len())?;
        if file.flight.is_some() {
            return Err(self.would_block(id, EventFlags::EVENT_WRITE));
        }
        let transfer = Transfer::Out {
            endpoint: file.endpoint.address,
            data: bytes.to_vec(),
        };
        if wait || !events {
            let done = self.hub.transfer(port, transfer)?;
            let recoverable = self.recoverable();
            return self
                .endpoint(port, number, EBADFD)?
                .ended(&done, recoverable);
        }
        let ticket = self.hub.bus.submit(port, transfer)?;
        self.endpoint(port, number, EBADFD)?.flight = Some(Flight::Armed(ticket));
        // Its end is news, even if it comes before the next look.
        self.would_block(id, EventFlags::EVENT_WRITE);
        Ok(bytes.len())
    }

    /// A transfer that nobody waits for has ended.
    pub(in crate::xhcid) fn completed(&mut self, done: Completion) {
        let recoverable = self.recoverable();
        let mut devices = self.devices.values_mut();
        let Some(file) = devices.find_map(|device| device.endpoint_in_flight(done.ticket)) else {
            log::debug!("xhcid: {:?} ended for nobody", done.ticket);
            return;
        };
        if file.endpoint.is_in() {
            file.flight = Some(Flight::Landed(done));
        } else {
            file.flight = None;
            // How it ended is read from `ctl`.
            let _ = file.ended(&done, recoverable);
        }
    }

    fn would_block(&mut self, id: usize, flags: EventFlags) -> Error {
        if let Some(handle) = self.handles.get_mut(id) {
            handle.readiness.would_block(flags);
        }
        Error::new(EWOULDBLOCK)
    }

    /// Reading is ready when a transfer has ended, writing when none is under way, both when the device is gone.
    pub(super) fn data_ready(&self, port: Port, number: u8) -> EventFlags {
        let device = self.devices.get(&port);
        let file = device.and_then(|device| device.endpoints.get(&number));
        match file.map(|file| &file.flight) {
            None => EventFlags::EVENT_READ | EventFlags::EVENT_WRITE,
            Some(Some(Flight::Landed(_))) => EventFlags::EVENT_READ,
            Some(Some(Flight::Armed(_))) => EventFlags::empty(),
            Some(None) => EventFlags::EVENT_WRITE,
        }
    }
}
