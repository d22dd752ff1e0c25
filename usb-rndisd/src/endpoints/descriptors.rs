//! A device's descriptors, as xhcid gives them: JSON, of which what is of no use here is left out.

use serde::Deserialize;

use super::Class;

/// The descriptor type of what a class adds to an interface (USB 2.0, 9.4; CDC 1.2, table 12).
const CS_INTERFACE: u8 = 0x24;
/// The functional descriptor that says which interfaces belong together (CDC 1.2, table 13).
const UNION: u8 = 0x06;

/// A device: its configurations, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// The configurations.
    #[serde(rename = "config_descs")]
    pub configurations: Vec<Configuration>,
}

/// A configuration (USB 2.0, 9.6.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Configuration {
    /// `bConfigurationValue`.
    #[serde(rename = "configuration_value")]
    pub value: u8,
    /// The interface descriptors as they come: one for each alternate setting of each interface.
    #[serde(rename = "interface_descs")]
    pub interfaces: Vec<Interface>,
}

/// An alternate setting of an interface (USB 2.0, 9.6.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Interface {
    /// `bInterfaceNumber`.
    pub number: u8,
    /// `bAlternateSetting`.
    pub alternate_setting: u8,
    /// `bInterfaceClass`.
    pub class: u8,
    /// `bInterfaceSubClass`.
    pub sub_class: u8,
    /// `bInterfaceProtocol`.
    pub protocol: u8,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// What stands between the interface descriptor and the next one, and is none that xhcid knows.
    #[serde(rename = "unknown_descs", default)]
    pub extras: Vec<Extra>,
}

impl Interface {
    /// Class, subclass and protocol.
    #[must_use]
    pub fn triple(&self) -> Class {
        Class(self.class, self.sub_class, self.protocol)
    }
}

/// An endpoint (USB 2.0, 9.6.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// `bEndpointAddress`.
    pub address: u8,
    /// `bmAttributes`.
    pub attributes: u8,
    /// `wMaxPacketSize`.
    pub max_packet_size: u16,
}

impl Endpoint {
    /// Whether data comes from the device.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.address & 0x80 != 0
    }

    /// Whether its transfer type is bulk.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        self.attributes & 3 == 2
    }

    /// Whether its transfer type is interrupt.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        self.attributes & 3 == 3
    }

    /// Whether its number is one that an endpoint of an interface can have: 0 is the control pipe's.
    #[must_use]
    pub fn is_addressable(&self) -> bool {
        self.address & 0x0f != 0
    }

    /// Bytes of its packets: the lower eleven bits, above which periodic endpoints count packets.
    #[must_use]
    pub fn packet_size(&self) -> u16 {
        self.max_packet_size & 0x7ff
    }
}

/// A descriptor of a kind that xhcid does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Extra {
    /// The whole descriptor, its length and type included.
    #[serde(rename = "all_bytes")]
    pub bytes: Vec<u8>,
}

impl Extra {
    /// The interfaces that this descriptor puts under `control`; none if it is no union of that interface
    /// (CDC 1.2, 5.2.3.2: length, type, subtype, control interface, subordinate interfaces).
    pub(super) fn union_of(&self, control: u8) -> impl Iterator<Item = u8> {
        let subordinates = match self.bytes.as_slice() {
            [length, CS_INTERFACE, UNION, interface, rest @ ..] if *interface == control => {
                let claimed = usize::from(*length).saturating_sub(4);
                rest.get(..claimed.min(rest.len())).unwrap_or_default()
            }
            _ => &[],
        };
        subordinates.iter().copied()
    }
}
