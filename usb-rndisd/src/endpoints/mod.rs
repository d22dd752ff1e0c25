//! Which configuration, interfaces and endpoints of a device carry its network: a pure choice from its descriptors.
//!
//! A network function over RNDIS is a pair of interfaces. The control interface is found by its class; it may have an
//! interrupt endpoint for notifications. The data interface has a bulk endpoint each way; a union descriptor names it
//! (CDC 1.2, 5.2.3.2), and where there is none, or one that leads nowhere, it is the interface that follows.
//!
//! xhcid calls an endpoint by its place: 1 is the first endpoint of the configuration's first interface descriptor,
//! and the count runs on through all of its interface descriptors, alternate settings included.

use core::fmt;

mod descriptors;

pub use descriptors::{Configuration, Device, Endpoint, Extra, Interface};

/// The classes, subclasses and protocols of the control interfaces that speak RNDIS.
pub const RNDIS_INTERFACES: [Class; 4] = [
    // Communications, abstract control model, vendor specific: RNDIS as it was specified, and QEMU's.
    Class(0x02, 0x02, 0xff),
    // Wireless controller, RF, Remote NDIS: phones that share their connection.
    Class(0xe0, 0x01, 0x03),
    // Miscellaneous, RNDIS over Ethernet: newer Android.
    Class(0xef, 0x04, 0x01),
    // Miscellaneous, sync, ActiveSync: Windows Mobile.
    Class(0xef, 0x01, 0x01),
];

/// Class, subclass and protocol of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub u8, pub u8, pub u8);

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(class, subclass, protocol) = self;
        write!(f, "{class:02x}/{subclass:02x}/{protocol:02x}")
    }
}

/// An endpoint to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// What xhcid calls it.
    pub number: u8,
    /// Its own address, direction included (USB 2.0, 9.6.6).
    pub address: u8,
    /// The most bytes of one of its packets.
    pub packet_size: u16,
}

/// What of a device to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The value of the configuration (not its place).
    pub configuration: u8,
    /// The number of the control interface, to which commands are addressed.
    pub control_interface: u8,
    /// The number of the data interface.
    pub data_interface: u8,
    /// Its alternate setting, if it has more than one. A device whose interface has one may refuse to be told which
    /// (USB 2.0, 9.4.10).
    pub alternate: Option<u8>,
    /// Where notifications come from, if the device sends any.
    pub notifications: Option<Pipe>,
    /// Where frames come from.
    pub bulk_in: Pipe,
    /// Where frames go.
    pub bulk_out: Pipe,
    /// How many RNDIS functions come before this one in the configuration.
    pub function: usize,
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChoiceError {
    /// No configuration has an interface of that number.
    NoInterface {
        /// The number asked for.
        interface: u8,
    },
    /// That interface does not speak RNDIS.
    NotRndis {
        /// The number asked for.
        interface: u8,
        /// What it is.
        class: Class,
    },
    /// No interface follows that could carry the frames.
    NoDataInterface {
        /// The control interface.
        interface: u8,
    },
    /// The data interface has no setting with a bulk endpoint each way whose packets have a size.
    NoBulkPair {
        /// The data interface.
        interface: u8,
    },
    /// The endpoint comes after so many others that xhcid has no number for it.
    EndpointNumber,
}

impl fmt::Display for ChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface { interface } => write!(f, "the device has no interface {interface}"),
            Self::NotRndis { interface, class } => {
                write!(
                    f,
                    "interface {interface} is {class} and does not speak RNDIS ("
                )?;
                for (place, class) in RNDIS_INTERFACES.iter().enumerate() {
                    write!(f, "{}{class}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(")")
            }
            Self::NoDataInterface { interface } => {
                write!(
                    f,
                    "no data interface belongs to control interface {interface}"
                )
            }
            Self::NoBulkPair { interface } => {
                write!(
                    f,
                    "data interface {interface} has no usable pair of bulk endpoints"
                )
            }
            Self::EndpointNumber => {
                f.write_str("the device has more endpoints than xhcid can count")
            }
        }
    }
}

impl std::error::Error for ChoiceError {}

/// Chooses for the function whose control interface has the number `interface`, in the first configuration that has
/// such a function and all that it needs.
///
/// # Errors
/// [`ChoiceError`]: what the first configuration that comes near lacks.
pub fn choose(device: &Device, interface: u8) -> Result<Choice, ChoiceError> {
    let mut nearest = ChoiceError::NoInterface { interface };
    for configuration in &device.configurations {
        match Candidate::find(configuration, interface).and_then(Candidate::choose) {
            Ok(choice) => return Ok(choice),
            Err(error) if error.nearness() > nearest.nearness() => nearest = error,
            Err(_) => {}
        }
    }
    Err(nearest)
}

impl ChoiceError {
    /// How much of what is needed was there.
    fn nearness(self) -> u8 {
        match self {
            Self::NoInterface { .. } => 0,
            Self::NotRndis { .. } => 1,
            Self::NoDataInterface { .. } => 2,
            Self::NoBulkPair { .. } => 3,
            Self::EndpointNumber => 4,
        }
    }
}

/// A function of a configuration that may do.
struct Candidate<'a> {
    configuration: &'a Configuration,
    /// The place of the control interface's descriptor.
    place: usize,
    control: &'a Interface,
}

impl<'a> Candidate<'a> {
    fn find(configuration: &'a Configuration, interface: u8) -> Result<Self, ChoiceError> {
        let mut of_number =
            configuration
                .interfaces
                .iter()
                .enumerate()
                .filter(|(_, descriptor)| {
                    descriptor.number == interface && descriptor.alternate_setting == 0
                });
        let (place, control) = of_number
            .next()
            .ok_or(ChoiceError::NoInterface { interface })?;
        if !speaks_rndis(control) {
            return Err(ChoiceError::NotRndis {
                interface,
                class: control.triple(),
            });
        }
        Ok(Self {
            configuration,
            place,
            control,
        })
    }

    fn choose(self) -> Result<Choice, ChoiceError> {
        let mut missing = ChoiceError::NoDataInterface {
            interface: self.control.number,
        };
        for number in self.data_interfaces() {
            match self.with_data(number) {
                Ok(choice) => return Ok(choice),
                Err(error) if error.nearness() > missing.nearness() => missing = error,
                Err(_) => {}
            }
        }
        Err(missing)
    }

    /// The numbers of the interfaces that may carry the frames, the likeliest first.
    fn data_interfaces(&self) -> impl Iterator<Item = u8> {
        let control = self.control.number;
        let named = self
            .control
            .extras
            .iter()
            .flat_map(move |extra| extra.union_of(control));
        let after = self
            .configuration
            .interfaces
            .iter()
            .skip(self.place.saturating_add(1));
        let next = after
            .map(|descriptor| descriptor.number)
            .find(move |&number| number != control);
        named.filter(move |&number| number != control).chain(next)
    }

    fn with_data(&self, number: u8) -> Result<Choice, ChoiceError> {
        let settings = || {
            let all = self.configuration.interfaces.iter().enumerate();
            all.filter(move |(_, descriptor)| descriptor.number == number)
        };
        if settings().next().is_none() {
            return Err(ChoiceError::NoDataInterface {
                interface: self.control.number,
            });
        }
        // xhcid sets up the endpoints of all settings, each over the last one of the same address: of two settings
        // that would do, the controller knows the later one's.
        let mut usable = settings().filter_map(|(place, descriptor)| {
            let bulk_in = first(descriptor, |endpoint| {
                endpoint.is_bulk() && endpoint.is_in()
            })?;
            let bulk_out = first(descriptor, |endpoint| {
                endpoint.is_bulk() && !endpoint.is_in()
            })?;
            Some((place, descriptor, bulk_in, bulk_out))
        });
        let (place, data, bulk_in, bulk_out) = usable
            .next_back()
            .ok_or(ChoiceError::NoBulkPair { interface: number })?;
        let notifications = first(self.control, |endpoint| {
            endpoint.is_interrupt() && endpoint.is_in()
        });
        let pipe = |place, within| self.pipe(place, within).ok_or(ChoiceError::EndpointNumber);
        Ok(Choice {
            configuration: self.configuration.value,
            control_interface: self.control.number,
            data_interface: number,
            alternate: (settings().count() > 1).then_some(data.alternate_setting),
            notifications: notifications
                .map(|within| pipe(self.place, within))
                .transpose()?,
            bulk_in: pipe(place, bulk_in)?,
            bulk_out: pipe(place, bulk_out)?,
            function: self.functions_before(),
        })
    }

    /// The endpoint at `within` of the interface descriptor at `place`, with xhcid's number for it.
    fn pipe(&self, place: usize, within: usize) -> Option<Pipe> {
        let interfaces = &self.configuration.interfaces;
        let endpoint = interfaces.get(place)?.endpoints.get(within)?;
        let before: usize = interfaces
            .iter()
            .take(place)
            .map(|descriptor| descriptor.endpoints.len())
            .sum();
        let number = before.checked_add(within)?.checked_add(1)?;
        Some(Pipe {
            number: u8::try_from(number).ok()?,
            address: endpoint.address,
            packet_size: endpoint.packet_size(),
        })
    }

    fn functions_before(&self) -> usize {
        let before = self.configuration.interfaces.iter().take(self.place);
        before
            .filter(|descriptor| descriptor.alternate_setting == 0 && speaks_rndis(descriptor))
            .count()
    }
}

fn speaks_rndis(interface: &Interface) -> bool {
    RNDIS_INTERFACES.contains(&interface.triple())
}

/// The place of the first endpoint that is `wanted` and can carry anything.
fn first(interface: &Interface, wanted: impl Fn(&Endpoint) -> bool) -> Option<usize> {
    let usable = |endpoint: &Endpoint| endpoint.is_addressable() && endpoint.packet_size() > 0;
    interface
        .endpoints
        .iter()
        .position(|endpoint| usable(endpoint) && wanted(endpoint))
}

#[cfg(test)]
mod tests;
