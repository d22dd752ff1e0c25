//! Where a PCI function sits.

use std::fmt;

use crate::error::{Error, Result};

/// Where a function sits. Prints as pcid names it, "0000--00--04.0".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Bus number. The lab's machines have one bus, in segment 0.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// The device's function 0 on bus 0.
    pub const fn slot(device: u8) -> Self {
        Self {
            bus: 0,
            device,
            function: 0,
        }
    }

    pub(super) fn config_address(self, offset: u8) -> u32 {
        let Self {
            bus,
            device,
            function,
        } = self;
        1 << 31
            | u32::from(bus) << 16
            | u32::from(device & 0x1f) << 11
            | u32::from(function & 7) << 8
            | u32::from(offset & 0xfc)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "0000--{:02x}--{:02x}.{:x}",
            self.bus, self.device, self.function
        )
    }
}

/// A function number written as pcid does: "0000--00--04.0", hexadecimal throughout, segment 0.
impl std::str::FromStr for PciAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(format!("not the address of a PCI function: {text:?}"));
        let hex = |digits: &str| u16::from_str_radix(digits, 16).map_err(|_| wrong());
        let (segment, rest) = text.split_once("--").ok_or_else(wrong)?;
        let (bus, rest) = rest.split_once("--").ok_or_else(wrong)?;
        let (device, function) = rest.split_once('.').ok_or_else(wrong)?;
        match (hex(segment)?, hex(bus)?, hex(device)?, hex(function)?) {
            (0, bus @ 0..=0xff, device @ 0..=0x1f, function @ 0..=7) => Ok(Self {
                bus: bus as u8,
                device: device as u8,
                function: function as u8,
            }),
            _ => Err(wrong()),
        }
    }
}
