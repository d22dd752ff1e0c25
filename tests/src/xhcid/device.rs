//! A device that is attached, as xhcid keeps it: its descriptors, and for each endpoint where its driver is.

use std::collections::BTreeMap;

use syscall::error::{EBADF, EBADFD, EINVAL, EIO, EWOULDBLOCK, Error, Result};

use super::bus::{Completion, Endpoint, MAX_TRANSFER, Outcome, Ticket};
use super::json::{DevDesc, PortTransferStatus, XhciEndpCtlDirection};

/// A device.
pub(super) struct Device {
    pub(super) descriptors: DevDesc,
    /// `descriptors`, as it is read.
    pub(super) json: Vec<u8>,
    /// The value of the configuration that was chosen.
    pub(super) configuration: Option<u8>,
    /// By xhcid's number of the endpoint, which counts from 1.
    pub(super) endpoints: BTreeMap<u8, EndpointFile>,
}

/// Where the driver of an endpoint is. It belongs to the endpoint: whoever opens its files finds it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was asked.
    Idle,
    /// "Status" was asked.
    StatusAsked,
    /// "Transfer" was asked: `data` has moved `transferred` of `count` bytes.
    Data {
        direction: XhciEndpCtlDirection,
        count: u32,
        transferred: u32,
    },
    /// The result waits to be read.
    Result(PortTransferStatus),
}

/// A transfer that a call which did not wait has started.
#[derive(Debug)]
pub(super) enum Flight {
    Armed(Ticket),
    Landed(Completion),
}

/// An endpoint and its stage.
#[derive(Debug)]
pub(super) struct EndpointFile {
    pub(super) endpoint: Endpoint,
    pub(super) stage: Stage,
    pub(super) flight: Option<Flight>,
}

impl Device {
    pub(super) fn new(descriptors: DevDesc) -> Self {
        let json = serde_json::to_vec(&descriptors).unwrap_or_default();
        Self {
            descriptors,
            json,
            configuration: None,
            endpoints: BTreeMap::new(),
        }
    }

    /// The endpoints of configuration `value`, in the order of their numbers. EBADFD when there is no such, EIO for what
    /// xhcid cannot drive.
    pub(super) fn endpoints_of(&self, value: u8) -> Result<Vec<Endpoint>> {
        let all = &self.descriptors.config_descs;
        let configuration = all.iter().find(|of| of.configuration_value == value);
        let endpoints: Vec<Endpoint> = configuration
            .ok_or(Error::new(EBADFD))?
            .endpoints()
            .collect();
        let control = endpoints.iter().any(|of| of.attributes & 3 == 0);
        if control || endpoints.len() >= 31 {
            return Err(Error::new(EIO));
        }
        Ok(endpoints)
    }

    /// Configuration `value` was chosen: its endpoints have never been used.
    pub(super) fn configured(&mut self, value: u8, endpoints: &[Endpoint]) {
        self.configuration = Some(value);
        let files = endpoints.iter().map(|endpoint| EndpointFile {
            endpoint: *endpoint,
            stage: Stage::Idle,
            flight: None,
        });
        self.endpoints = (1..).zip(files).collect();
    }

    /// What Redox's xhcid takes for endpoint `number` when it looks for its state: it looks in the first interface only.
    pub(super) fn endpoint_by_first_interface(&self, number: u8) -> Result<u8> {
        let first = self.descriptors.config_descs.first();
        let interface = first.and_then(|of| of.interface_descs.first());
        let endpoints = &interface.ok_or(Error::new(EIO))?.endpoints;
        let index = usize::from(number).checked_sub(1);
        let endpoint = index.and_then(|index| endpoints.get(index));
        Ok(endpoint.ok_or(Error::new(EBADFD))?.address)
    }

    /// The endpoint whose transfer `ticket` is.
    pub(super) fn endpoint_in_flight(&mut self, ticket: Ticket) -> Option<&mut EndpointFile> {
        self.endpoints
            .values_mut()
            .find(|file| matches!(file.flight, Some(Flight::Armed(armed)) if armed == ticket))
    }
}

impl EndpointFile {
    /// Whether a call on `data` in this direction with `length` bytes is in order now.
    pub(super) fn expect(&self, wanted: XhciEndpCtlDirection, length: usize) -> Result<()> {
        let Stage::Data {
            direction,
            count,
            transferred,
        } = self.stage
        else {
            return Err(Error::new(EBADF));
        };
        if direction != wanted {
            return Err(Error::new(EBADF));
        }
        let left = count.saturating_sub(transferred) as usize;
        if length == 0 || length > left || length > MAX_TRANSFER {
            return Err(Error::new(EINVAL));
        }
        Ok(())
    }

    /// A transfer of `data` ended. `recoverable`: a driver can read how it failed.
    pub(super) fn ended(&mut self, completion: &Completion, recoverable: bool) -> Result<usize> {
        let moved = u32::try_from(completion.transferred).unwrap_or(u32::MAX);
        let result = PortTransferStatus {
            kind: completion.outcome.into(),
            bytes_transferred: moved,
        };
        if matches!(completion.outcome, Outcome::Stalled | Outcome::Failed) {
            // Redox's xhcid leaves the endpoint as it is, so that no more can be asked of it.
            if recoverable {
                self.stage = Stage::Result(result);
            }
            return Err(Error::new(EIO));
        }
        if let Stage::Data {
            count, transferred, ..
        } = &mut self.stage
        {
            *transferred = transferred.saturating_add(moved);
            if *transferred >= *count || completion.outcome == Outcome::Short {
                self.stage = Stage::Result(result);
            }
        }
        Ok(completion.transferred)
    }

    /// The transfer that was started earlier, when it has ended. EWOULDBLOCK when it has not.
    pub(super) fn landed(&mut self) -> Result<Completion> {
        match self.flight.take() {
            Some(Flight::Landed(completion)) => Ok(completion),
            flight => {
                self.flight = flight;
                Err(Error::new(EWOULDBLOCK))
            }
        }
    }
}
