//! The seam between xhcid's files and what moves the bytes: QEMU's controller, or devices that follow a script.
//!
//! Commands to the controller take microseconds and are waited for; transfers take as long as the device likes, so they
//! are submitted and come back as events.

use std::fmt;

use syscall::error::Result;

/// The most bytes of one transfer: what a single TRB holds (xHCI 1.2, 6.4.1.1), which is where xhcid stops.
pub const MAX_TRANSFER: usize = 65_536;

/// A root port of the controller, counted from 1. There are no hubs in the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u8);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A setup packet (USB 2.0, 9.3, table 9-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// bmRequestType: direction, type and recipient.
    pub request_type: u8,
    /// bRequest.
    pub request: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// wLength: the most bytes of the data stage.
    pub length: u16,
}

impl Setup {
    /// CLEAR_FEATURE, GET_DESCRIPTOR, SET_CONFIGURATION, SET_INTERFACE (USB 2.0, 9.4, table 9-4).
    pub const CLEAR_FEATURE: u8 = 1;
    /// See [`Setup::CLEAR_FEATURE`].
    pub const GET_DESCRIPTOR: u8 = 6;
    /// See [`Setup::CLEAR_FEATURE`].
    pub const SET_CONFIGURATION: u8 = 9;
    /// See [`Setup::CLEAR_FEATURE`].
    pub const SET_INTERFACE: u8 = 11;

    /// Whether the data stage goes to the host.
    pub fn is_in(&self) -> bool {
        self.request_type & 0x80 != 0
    }

    /// The eight bytes on the wire.
    pub fn to_bytes(self) -> [u8; 8] {
        let ([v0, v1], [i0, i1], [l0, l1]) = (
            self.value.to_le_bytes(),
            self.index.to_le_bytes(),
            self.length.to_le_bytes(),
        );
        [self.request_type, self.request, v0, v1, i0, i1, l0, l1]
    }

    /// GET_DESCRIPTOR of the device (9.4.3); `index` is the language of strings.
    pub fn get_descriptor(kind: u8, number: u8, index: u16, length: u16) -> Self {
        Self {
            request_type: 0x80,
            request: Self::GET_DESCRIPTOR,
            value: u16::from(kind) << 8 | u16::from(number),
            index,
            length,
        }
    }

    /// SET_CONFIGURATION (9.4.7).
    pub fn set_configuration(value: u8) -> Self {
        Self {
            request_type: 0,
            request: Self::SET_CONFIGURATION,
            value: value.into(),
            index: 0,
            length: 0,
        }
    }

    /// SET_INTERFACE (9.4.10).
    pub fn set_interface(interface: u8, alternate: u8) -> Self {
        Self {
            request_type: 1,
            request: Self::SET_INTERFACE,
            value: alternate.into(),
            index: interface.into(),
            length: 0,
        }
    }

    /// CLEAR_FEATURE(ENDPOINT_HALT) (9.4.1).
    pub fn clear_halt(endpoint: u8) -> Self {
        Self {
            request_type: 2,
            request: Self::CLEAR_FEATURE,
            value: 0,
            index: endpoint.into(),
            length: 0,
        }
    }
}

/// What a controller has to know of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// bEndpointAddress: number, and 0x80 for IN.
    pub address: u8,
    /// bmAttributes; the low two bits: 0 control, 1 isochronous, 2 bulk, 3 interrupt.
    pub attributes: u8,
    /// wMaxPacketSize, in bytes.
    pub max_packet_size: u16,
    /// bInterval.
    pub interval: u8,
}

impl Endpoint {
    /// Whether data goes to the host.
    pub fn is_in(&self) -> bool {
        self.address & 0x80 != 0
    }
}

/// A transfer to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// On endpoint 0; `data` is the data stage of one to the device, empty for the others.
    Control {
        /// The setup packet.
        setup: Setup,
        /// What goes to the device.
        data: Vec<u8>,
    },
    /// From the device: at most `length` bytes.
    In {
        /// The endpoint's address.
        endpoint: u8,
        /// Bytes.
        length: usize,
    },
    /// To the device; without data it is a zero-length packet.
    Out {
        /// The endpoint's address.
        endpoint: u8,
        /// The bytes.
        data: Vec<u8>,
    },
}

/// A transfer that was submitted, until it is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All bytes were moved.
    Success,
    /// Fewer, and that is all there is.
    Short,
    /// The endpoint is halted.
    Stalled,
    /// Anything else: the device is gone, or the wire failed.
    Failed,
}

/// The end of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which.
    pub ticket: Ticket,
    /// How.
    pub outcome: Outcome,
    /// Bytes moved.
    pub transferred: usize,
    /// Those that came from the device.
    pub data: Vec<u8>,
}

/// What happened on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusEvent {
    /// A device was plugged in and its port is enabled.
    Attached(Port),
    /// A device was pulled out. Its transfers have been completed before, as failed.
    Detached(Port),
    /// A transfer ended.
    Completed(Completion),
}

/// The state of an endpoint, numbered as in its context (xHCI 1.2, table 6-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Not configured.
    Disabled,
    /// Moves data.
    Running,
    /// Stalled.
    Halted,
    /// Waits for its doorbell.
    Stopped,
    /// Something is wrong with its ring.
    Error,
}

/// A host controller with its ports.
pub trait Bus {
    /// A descriptor of this process that has `EVENT_READ` when something happened; then [`Bus::next_event`] until None.
    fn fd(&self) -> usize;

    /// The oldest thing that happened and was not told yet. Devices that are there at the start are told as attached.
    fn next_event(&mut self) -> Option<BusEvent>;

    /// Gives the device of a port an address: it answers on endpoint 0 from now on.
    fn address(&mut self, port: Port) -> Result<()>;

    /// Prepares these endpoints and forgets those of before. The device is told by its own SET_CONFIGURATION.
    fn configure(&mut self, port: Port, endpoints: &[Endpoint]) -> Result<()>;

    /// Starts a transfer of at most [`MAX_TRANSFER`] bytes; its end is an event.
    fn submit(&mut self, port: Port, transfer: Transfer) -> Result<Ticket>;

    /// The state of an endpoint.
    fn state(&self, port: Port, endpoint: u8) -> EndpointState;

    /// Makes a halted endpoint usable for the controller again; what was queued is dropped. The device's own halt is
    /// cleared by CLEAR_FEATURE.
    fn reset(&mut self, port: Port, endpoint: u8) -> Result<()>;

    /// Forgets the device of a port.
    fn release(&mut self, port: Port);
}
