//! What the messages carry, as pcid's `driver_interface` lays it down. The order of fields and
//! variants *is* the format.

use core::fmt;

use crate::wire::{DecodeError, Reader, Wire, wire_struct};

/// Where a function is in the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PciAddress {
    /// Segment group.
    pub segment: u16,
    /// Bus within the segment.
    pub bus: u8,
    /// Device on the bus, 0 to 31.
    pub device: u8,
    /// Function of the device, 0 to 7.
    pub function: u8,
}
wire_struct!(PciAddress {
    segment: u16,
    bus: u8,
    device: u8,
    function: u8
});

impl fmt::Display for PciAddress {
    /// As Redox prints it, `0000:00:04.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.segment, self.bus, self.device, self.function
        )
    }
}

/// A base address register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bar {
    /// Not implemented, or the upper half of the one before.
    #[default]
    None,
    /// Memory below 4 GiB.
    Memory32 {
        /// Physical address.
        address: u32,
        /// Bytes.
        size: u32,
    },
    /// Memory anywhere; takes the next register's place too.
    Memory64 {
        /// Physical address.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// I/O ports from this one.
    Port(u16),
}

impl Bar {
    /// Physical address and size in bytes, when this is memory.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Memory32 { address, size } => Some((address.into(), size.into())),
            Self::Memory64 { address, size } => Some((address, size)),
            Self::None | Self::Port(_) => None,
        }
    }
}

impl Wire for Bar {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::None => 0_u32.put(out),
            Self::Memory32 { address, size } => {
                1_u32.put(out);
                address.put(out);
                size.put(out);
            }
            Self::Memory64 { address, size } => {
                2_u32.put(out);
                address.put(out);
                size.put(out);
            }
            Self::Port(port) => {
                3_u32.put(out);
                port.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.variant()? {
            0 => Self::None,
            1 => Self::Memory32 {
                address: Wire::take(reader)?,
                size: Wire::take(reader)?,
            },
            2 => Self::Memory64 {
                address: Wire::take(reader)?,
                size: Wire::take(reader)?,
            },
            3 => Self::Port(Wire::take(reader)?),
            index => {
                return Err(DecodeError::Variant {
                    of: "PciBar",
                    index,
                });
            }
        })
    }
}

/// The option ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciRom {
    /// Physical address.
    pub address: u32,
    /// Bytes.
    pub size: u32,
    /// Whether it is decoded.
    pub enabled: bool,
}
wire_struct!(PciRom {
    address: u32,
    size: u32,
    enabled: bool
});

/// An interrupt line as a device tree describes it: a controller and the cells that name one of its
/// inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhandledInterrupt {
    /// The interrupt controller.
    pub phandle: u32,
    /// The specifier, as many of these as `cells` says.
    pub address: [u32; 3],
    /// How many cells the controller's specifiers have.
    pub cells: usize,
}
wire_struct!(PhandledInterrupt {
    phandle: u32,
    address: [u32; 3],
    cells: usize
});

/// The line of INTx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyInterruptLine {
    /// The IRQ on machines with a PIC or I/O APIC.
    pub irq: u8,
    /// The line on machines with a device tree; it then stands instead of `irq`.
    pub phandled: Option<PhandledInterrupt>,
}
wire_struct!(LegacyInterruptLine { irq: u8, phandled: Option<PhandledInterrupt> });

/// Who made the function and what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FullDeviceId {
    /// Vendor.
    pub vendor_id: u16,
    /// Device, in the vendor's numbers.
    pub device_id: u16,
    /// Base class.
    pub class: u8,
    /// Sub-class.
    pub subclass: u8,
    /// Programming interface.
    pub interface: u8,
    /// Revision.
    pub revision: u8,
}
wire_struct!(FullDeviceId {
    vendor_id: u16,
    device_id: u16,
    class: u8,
    subclass: u8,
    interface: u8,
    revision: u8
});

/// Everything that pcid tells about a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PciFunction {
    /// Where it is.
    pub address: PciAddress,
    /// Its base address registers.
    pub bars: [Bar; 6],
    /// Its option ROM.
    pub rom: Option<PciRom>,
    /// Its INTx line, when it has one.
    pub legacy_interrupt_line: Option<LegacyInterruptLine>,
    /// What it is.
    pub full_device_id: FullDeviceId,
}
wire_struct!(PciFunction {
    address: PciAddress,
    bars: [Bar; 6],
    rom: Option<PciRom>,
    legacy_interrupt_line: Option<LegacyInterruptLine>,
    full_device_id: FullDeviceId,
});

impl PciFunction {
    /// The name that goes into names of schemes, `pci-0000-00-04.0`: a colon may not stand in one.
    #[must_use]
    pub fn name(&self) -> String {
        format!("pci-{}", self.address).replace(':', "-")
    }
}

/// What pcid hands a driver at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubdriverArguments {
    /// The function that the channel is for.
    pub function: PciFunction,
}
wire_struct!(SubdriverArguments {
    function: PciFunction
});

/// Implements [`Wire`] for an enum whose variants have no fields.
macro_rules! wire_plain_enum {
    ($type:ident as $name:literal { $($index:literal => $variant:ident),* $(,)? }) => {
        impl Wire for $type {
            const MIN_LENGTH: usize = 4;

            fn put(&self, out: &mut Vec<u8>) {
                let index: u32 = match self { $(Self::$variant => $index),* };
                index.put(out);
            }

            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match reader.variant()? {
                    $($index => Ok(Self::$variant),)*
                    index => Err(DecodeError::Variant { of: $name, index }),
                }
            }
        }
    };
}

/// A capability that pcid manages for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Message signalled interrupts.
    Msi,
    /// Message signalled interrupts, extended.
    MsiX,
}
wire_plain_enum!(Feature as "PciFeature" { 0 => Msi, 1 => MsiX });

/// Whether a feature is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureStatus {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}
wire_plain_enum!(FeatureStatus as "FeatureStatus" { 0 => Enabled, 1 => Disabled });

/// The MSI capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiInfo {
    /// Logarithm, base 2, of the number of vectors that the function can use.
    pub log2_multiple_message_capable: u8,
    /// Whether the message's address may be above 4 GiB.
    pub is_64bit: bool,
    /// Whether vectors can be masked one by one.
    pub has_per_vector_masking: bool,
}
wire_struct!(MsiInfo {
    log2_multiple_message_capable: u8,
    is_64bit: bool,
    has_per_vector_masking: bool
});

/// The MSI-X capability (PCI Local Bus 3.0, 6.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixInfo {
    /// The BAR that holds the vector table.
    pub table_bar: u8,
    /// Where in it the table starts, in bytes.
    pub table_offset: u32,
    /// Entries in the table, of 16 bytes each.
    pub table_size: u16,
    /// The BAR that holds the pending bits.
    pub pba_bar: u8,
    /// Where in it they start, in bytes.
    pub pba_offset: u32,
}
wire_struct!(MsixInfo {
    table_bar: u8,
    table_offset: u32,
    table_size: u16,
    pba_bar: u8,
    pba_offset: u32
});

/// What is known of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureInfo {
    /// Of MSI.
    Msi(MsiInfo),
    /// Of MSI-X.
    MsiX(MsixInfo),
}

impl Wire for FeatureInfo {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Msi(info) => {
                0_u32.put(out);
                info.put(out);
            }
            Self::MsiX(info) => {
                1_u32.put(out);
                info.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.variant()? {
            0 => Wire::take(reader).map(Self::Msi),
            1 => Wire::take(reader).map(Self::MsiX),
            index => Err(DecodeError::Variant {
                of: "PciFeatureInfo",
                index,
            }),
        }
    }
}

/// The write with which a function signals an interrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageAddressAndData {
    /// Where it writes, a physical address.
    pub address: u64,
    /// What it writes.
    pub data: u32,
}
wire_struct!(MessageAddressAndData {
    address: u64,
    data: u32
});

/// Changes to the MSI capability; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsiSetFeatureInfo {
    /// Logarithm, base 2, of the number of vectors in use.
    pub multi_message_enable: Option<u8>,
    /// The message.
    pub message_address_and_data: Option<MessageAddressAndData>,
    /// A set bit masks the vector of that number.
    pub mask_bits: Option<u32>,
}
wire_struct!(MsiSetFeatureInfo { multi_message_enable: Option<u8>, message_address_and_data: Option<MessageAddressAndData>, mask_bits: Option<u32> });

/// Changes to a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetFeatureInfo {
    /// To MSI.
    Msi(MsiSetFeatureInfo),
    /// To MSI-X.
    MsiX {
        /// Whether all vectors are masked at once.
        function_mask: Option<bool>,
    },
}

impl Wire for SetFeatureInfo {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Msi(info) => {
                0_u32.put(out);
                info.put(out);
            }
            Self::MsiX { function_mask } => {
                1_u32.put(out);
                function_mask.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.variant()? {
            0 => Wire::take(reader).map(Self::Msi),
            1 => Ok(Self::MsiX {
                function_mask: Wire::take(reader)?,
            }),
            index => Err(DecodeError::Variant {
                of: "SetFeatureInfo",
                index,
            }),
        }
    }
}

/// A vendor-specific capability (id 9), from the byte after its length on: its id, next pointer and
/// length are not sent. For virtio, byte 0 is therefore `cfg_type` (virtio 1.2, 4.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorCapability {
    /// The bytes.
    pub data: Vec<u8>,
}
wire_struct!(VendorCapability { data: Vec<u8> });
