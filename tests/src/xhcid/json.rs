//! What is written into xhcid's files and read from them: JSON with serde's names of Redox's own structures.

use serde::{Deserialize, Serialize};

use super::bus::{EndpointState, Outcome};

/// `descriptors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DevDesc {
    pub(super) kind: u8,
    pub(super) usb: u16,
    pub(super) class: u8,
    pub(super) sub_class: u8,
    pub(super) protocol: u8,
    pub(super) packet_size: u8,
    pub(super) vendor: u16,
    pub(super) product: u16,
    pub(super) release: u16,
    pub(super) manufacturer_str: Option<String>,
    pub(super) product_str: Option<String>,
    pub(super) serial_str: Option<String>,
    pub(super) config_descs: Vec<ConfDesc>,
}

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfDesc {
    pub(super) kind: u8,
    pub(super) configuration_value: u8,
    pub(super) configuration: Option<String>,
    pub(super) attributes: u8,
    pub(super) max_power: u8,
    pub(super) interface_descs: Vec<IfDesc>,
    pub(super) unknown_descs: Vec<UnknownDesc>,
}

/// One alternate setting of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IfDesc {
    pub(super) kind: u8,
    pub(super) number: u8,
    pub(super) alternate_setting: u8,
    pub(super) class: u8,
    pub(super) sub_class: u8,
    pub(super) protocol: u8,
    /// xhcid does not read interface names.
    pub(super) interface_str: Option<String>,
    pub(super) endpoints: Vec<EndpDesc>,
    pub(super) unknown_descs: Vec<UnknownDesc>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndpDesc {
    pub(super) kind: u8,
    pub(super) address: u8,
    pub(super) attributes: u8,
    pub(super) max_packet_size: u16,
    pub(super) interval: u8,
    pub(super) ssc: Option<SuperSpeedCmp>,
    pub(super) sspc: Option<SuperSpeedPlusIsochCmp>,
}

/// The companion of a SuperSpeed endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SuperSpeedCmp {
    pub(super) kind: u8,
    pub(super) max_burst: u8,
    pub(super) attributes: u8,
    pub(super) bytes_per_interval: u16,
}

/// The companion of an isochronous SuperSpeedPlus endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SuperSpeedPlusIsochCmp {
    pub(super) kind: u8,
    pub(super) bytes_per_interval: u32,
}

/// A descriptor that xhcid passes on as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnknownDesc {
    pub(super) len: u8,
    pub(super) kind: u8,
    pub(super) all_bytes: Vec<u8>,
}

/// Written to `configure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfigureEndpointsReq {
    /// The configuration's value, whatever the name says.
    pub(super) config_desc: u8,
    pub(super) interface_desc: Option<u8>,
    pub(super) alternate_setting: Option<u8>,
    pub(super) hub_ports: Option<u8>,
}

/// Written to `request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PortReq {
    pub(super) direction: PortReqDirection,
    pub(super) req_type: PortReqTy,
    pub(super) req_recipient: PortReqRecipient,
    pub(super) request: u8,
    pub(super) value: u16,
    pub(super) index: u16,
    pub(super) length: u16,
    pub(super) transfers_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PortReqDirection {
    HostToDevice,
    DeviceToHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PortReqTy {
    Class,
    Vendor,
    Standard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PortReqRecipient {
    Device,
    Interface,
    Endpoint,
    Other,
    VendorSpecific,
}

impl PortReq {
    /// bmRequestType (USB 2.0, table 9-2).
    pub(super) fn request_type(&self) -> u8 {
        let direction = match self.direction {
            PortReqDirection::HostToDevice => 0,
            PortReqDirection::DeviceToHost => 0x80,
        };
        let kind = match self.req_type {
            PortReqTy::Standard => 0,
            PortReqTy::Class => 1 << 5,
            PortReqTy::Vendor => 2 << 5,
        };
        let recipient = match self.req_recipient {
            PortReqRecipient::Device => 0,
            PortReqRecipient::Interface => 1,
            PortReqRecipient::Endpoint => 2,
            PortReqRecipient::Other => 3,
            PortReqRecipient::VendorSpecific => 31,
        };
        direction | kind | recipient
    }
}

/// Written to `endpoints/N/ctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum XhciEndpCtlReq {
    Transfer {
        direction: XhciEndpCtlDirection,
        count: u32,
    },
    Reset {
        no_clear_feature: bool,
    },
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum XhciEndpCtlDirection {
    Out,
    In,
    NoData,
}

/// Read from `endpoints/N/ctl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum XhciEndpCtlRes {
    Status(EndpointStatus),
    TransferResult(PortTransferStatus),
    Pending,
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EndpointStatus {
    Disabled,
    Enabled,
    Halted,
    Stopped,
    Error,
}

impl From<EndpointState> for EndpointStatus {
    fn from(state: EndpointState) -> Self {
        match state {
            EndpointState::Disabled => Self::Disabled,
            EndpointState::Running => Self::Enabled,
            EndpointState::Halted => Self::Halted,
            EndpointState::Stopped => Self::Stopped,
            EndpointState::Error => Self::Error,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PortTransferStatus {
    pub(super) kind: PortTransferStatusKind,
    pub(super) bytes_transferred: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PortTransferStatusKind {
    Success,
    ShortPacket,
    Stalled,
    Unknown,
}

impl From<Outcome> for PortTransferStatusKind {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Short => Self::ShortPacket,
            Outcome::Stalled => Self::Stalled,
            Outcome::Failed => Self::Unknown,
        }
    }
}
