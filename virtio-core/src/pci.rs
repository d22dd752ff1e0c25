//! Virtio over PCI: finding the structures of a device (virtio 4.1.4).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::registers::{Registers, Window};

/// Capability id of vendor-specific capabilities.
const VENDOR: u8 = 0x09;
/// Capability id of MSI-X.
const MSIX: u8 = 0x11;
/// The common configuration up to `queue_device`, in bytes (virtio 4.1.4.3).
const COMMON_LENGTH: u32 = 56;

/// `cfg_type` of a virtio capability (virtio 4.1.4).
mod cfg_type {
    pub(super) const COMMON: u8 = 1;
    pub(super) const NOTIFY: u8 = 2;
    pub(super) const ISR: u8 = 3;
    pub(super) const DEVICE: u8 = 4;
}

/// Where a structure lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The BAR, 0 to 5.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
}

/// Why a capability was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// It ends before its fields do.
    Truncated,
    /// It names a BAR above 5, or one that is no memory BAR of the device.
    NoSuchBar {
        /// The BAR.
        bar: u8,
    },
    /// The structure does not lie inside its BAR.
    OutsideBar(Location),
    /// The structure is too short for its kind.
    TooShort(Location),
    /// The structure, or the notify multiplier, is not aligned as its kind must be.
    Misaligned(Location),
    /// A usable structure of its kind came before.
    SecondOfItsKind,
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PciError {
    /// No usable common configuration.
    NoCommonConfiguration,
    /// No usable notification structure.
    NoNotification,
    /// A BAR was mapped shorter than it was said to be.
    MappedTooShort(Location),
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommonConfiguration => {
                write!(f, "no usable common configuration among the capabilities")
            }
            Self::NoNotification => {
                write!(f, "no usable notification structure among the capabilities")
            }
            Self::MappedTooShort(Location {
                bar,
                offset,
                length,
            }) => {
                write!(
                    f,
                    "BAR {bar} was mapped too short for {length} bytes at {offset:#x}"
                )
            }
        }
    }
}

impl core::error::Error for PciError {}

/// The virtio structures of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structures {
    /// The common configuration.
    pub common: Location,
    /// The doorbells.
    pub notify: Location,
    /// Bytes between doorbells; 0 if there is one for all queues.
    pub notify_multiplier: u32,
    /// The interrupt status, which only INTx needs.
    pub isr: Option<Location>,
    /// The device-specific configuration.
    pub device: Option<Location>,
    /// What was passed over: the number of the capability, and why.
    pub skipped: Vec<(usize, Skipped)>,
}

/// One virtio capability, as `virtio_pci_cap` lays it out, without its first three bytes.
struct Capability<'a>(&'a [u8]);

impl Capability<'_> {
    fn byte(&self, at: usize) -> Result<u8, Skipped> {
        self.0.get(at).copied().ok_or(Skipped::Truncated)
    }

    fn le32(&self, at: usize) -> Result<u32, Skipped> {
        let bytes = self
            .0
            .get(at..)
            .and_then(|rest| rest.first_chunk::<4>())
            .ok_or(Skipped::Truncated)?;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// `bar`, `offset` and `length`, checked against the BAR's size and what the structure must be.
    fn locate(
        &self,
        bars: &[Option<u64>; 6],
        shortest: u32,
        alignment: u32,
    ) -> Result<Location, Skipped> {
        let (bar, offset, length) = (self.byte(1)?, self.le32(5)?, self.le32(9)?);
        let size = bars
            .get(usize::from(bar))
            .copied()
            .flatten()
            .ok_or(Skipped::NoSuchBar { bar })?;
        let location = Location {
            bar,
            offset,
            length,
        };
        if u64::from(offset).saturating_add(u64::from(length)) > size {
            return Err(Skipped::OutsideBar(location));
        }
        if length < shortest {
            return Err(Skipped::TooShort(location));
        }
        if !offset.is_multiple_of(alignment) {
            return Err(Skipped::Misaligned(location));
        }
        Ok(location)
    }
}

impl Structures {
    /// Finds the structures. Each of `vendor_capabilities` is one vendor-specific capability without its first three
    /// bytes (id, next, length), so that it starts with `cfg_type`. `bars` are the sizes in bytes of the memory BARs.
    ///
    /// Of each kind the first usable one is taken (virtio 4.1.4.1: "The driver SHOULD use the first instance of each
    /// virtio structure type they can support"); unknown kinds are ignored.
    ///
    /// # Errors
    /// The common configuration or the doorbells are missing.
    pub fn parse(
        vendor_capabilities: &[Vec<u8>],
        bars: &[Option<u64>; 6],
    ) -> Result<Self, PciError> {
        let (mut common, mut notify, mut isr, mut device) = (None, None, None, None);
        let mut skipped = Vec::new();
        for (number, bytes) in vendor_capabilities.iter().enumerate() {
            let capability = Capability(bytes);
            let found = match capability.byte(0) {
                Ok(cfg_type::COMMON) => {
                    keep(&mut common, capability.locate(bars, COMMON_LENGTH, 4))
                }
                Ok(cfg_type::NOTIFY) => keep(&mut notify, notification(&capability, bars)),
                Ok(cfg_type::ISR) => keep(&mut isr, capability.locate(bars, 1, 1)),
                Ok(cfg_type::DEVICE) => keep(&mut device, capability.locate(bars, 1, 4)),
                Ok(_) => Ok(()),
                Err(why) => Err(why),
            };
            if let Err(why) = found {
                skipped.push((number, why));
            }
        }
        let common = common.ok_or(PciError::NoCommonConfiguration)?;
        let (notify, notify_multiplier) = notify.ok_or(PciError::NoNotification)?;
        Ok(Self {
            common,
            notify,
            notify_multiplier,
            isr,
            device,
            skipped,
        })
    }

    /// The BARs that must be mapped, each once.
    pub fn bars(&self) -> Vec<u8> {
        let locations = [Some(self.common), Some(self.notify), self.isr, self.device];
        let mut bars: Vec<u8> = locations
            .into_iter()
            .flatten()
            .map(|location| location.bar)
            .collect();
        bars.sort_unstable();
        bars.dedup();
        bars
    }

    /// Binds the structures to registers. `map` maps a whole BAR and is called once for each of [`bars`](Self::bars).
    ///
    /// # Errors
    /// What `map` fails with, or a BAR that is shorter than it should be.
    pub fn transport<E: From<PciError>>(
        &self,
        mut map: impl FnMut(u8) -> Result<Arc<dyn Registers>, E>,
    ) -> Result<Transport, E> {
        let mut mapped = Vec::new();
        for bar in self.bars() {
            mapped.push((bar, map(bar)?));
        }
        let window = |location: Location| {
            let registers = mapped
                .iter()
                .find(|(bar, _)| *bar == location.bar)
                .map(|(_, registers)| registers.clone());
            registers
                .and_then(|registers| {
                    Window::new(
                        registers,
                        location.offset as usize,
                        location.length as usize,
                    )
                })
                .ok_or(PciError::MappedTooShort(location))
        };
        let common = window(self.common)?;
        let config = match self.device {
            Some(device) => window(device)?,
            None => common.nothing(),
        };
        Ok(Transport {
            notify: window(self.notify)?,
            notify_multiplier: self.notify_multiplier,
            isr: self.isr.map(window).transpose()?,
            common,
            config,
        })
    }
}

/// The notification structure and its multiplier (virtio 4.1.4.4.1: "an even power of 2, or 0", offset aligned to 2).
fn notification(
    capability: &Capability<'_>,
    bars: &[Option<u64>; 6],
) -> Result<(Location, u32), Skipped> {
    let location = capability.locate(bars, 2, 2)?;
    let multiplier = capability.le32(13)?;
    let fits = multiplier == 0 || (multiplier.is_power_of_two() && multiplier > 1);
    if fits {
        Ok((location, multiplier))
    } else {
        Err(Skipped::Misaligned(location))
    }
}

/// Keeps the first usable one.
fn keep<T>(kept: &mut Option<T>, found: Result<T, Skipped>) -> Result<(), Skipped> {
    let found = found?;
    if kept.is_some() {
        return Err(Skipped::SecondOfItsKind);
    }
    *kept = Some(found);
    Ok(())
}

/// The registers of a virtio device on PCI.
#[derive(Clone, Debug)]
pub struct Transport {
    pub(crate) common: Window,
    pub(crate) notify: Window,
    pub(crate) notify_multiplier: u32,
    pub(crate) isr: Option<Window>,
    pub(crate) config: Window,
}

/// The 256 bytes of PCI configuration space of a function.
pub trait ConfigSpace {
    /// Reads the four bytes at `offset`, a multiple of 4 below 256; the byte at `offset` is the lowest.
    fn read_u32(&self, offset: u8) -> u32;
}

/// The MSI-X capability (PCI 3.0, 6.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixCapability {
    /// Where the capability stands in configuration space; its message control is two bytes behind.
    pub position: u8,
    /// Entries of the table.
    pub entries: u16,
    /// The BAR that holds the table.
    pub table_bar: u8,
    /// Bytes from the start of that BAR.
    pub table_offset: u32,
}

/// What is wrong with a capability list; what was found before stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// It comes back to a capability that it has been at.
    Loop {
        /// Where.
        position: u8,
    },
    /// It leads into the header.
    IntoHeader {
        /// Where.
        position: u8,
    },
    /// A capability reaches beyond configuration space or is shorter than its own header.
    BadLength {
        /// Where.
        position: u8,
    },
}

/// What a walk over the capability list has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The vendor capabilities without their first three bytes, as [`Structures::parse`] takes them.
    pub vendor: Vec<Vec<u8>>,
    /// MSI-X, if the function has it.
    pub msix: Option<MsixCapability>,
    /// What was wrong with the list.
    pub fault: Option<ListFault>,
}

impl Capabilities {
    /// Walks the capability list of a function (PCI 3.0, 6.7). The walk ends, whatever the list says.
    pub fn walk(space: &dyn ConfigSpace) -> Self {
        let mut found = Self::default();
        // Status register, bit 4: there is a list.
        if space.read_u32(0x04) >> 16 & 0x10 == 0 {
            return found;
        }
        let mut visited = [false; 256];
        let mut position = byte(space, 0x34) & !3;
        while position != 0 && found.fault.is_none() {
            let place = visited.get_mut(usize::from(position));
            if position < 0x40 {
                found.fault = Some(ListFault::IntoHeader { position });
            } else if place.is_some_and(|visited| core::mem::replace(visited, true)) {
                found.fault = Some(ListFault::Loop { position });
            } else {
                found.visit(space, position);
                position = byte(space, position + 1) & !3;
            }
        }
        found
    }

    fn visit(&mut self, space: &dyn ConfigSpace, position: u8) {
        match byte(space, position) {
            VENDOR => {
                let length = byte(space, position + 2);
                match position.checked_add(length.saturating_sub(1)) {
                    Some(last) if length >= 3 => {
                        self.vendor
                            .push((position + 3..=last).map(|at| byte(space, at)).collect());
                    }
                    _ => self.fault = Some(ListFault::BadLength { position }),
                }
            }
            MSIX if position > 0xf4 => self.fault = Some(ListFault::BadLength { position }),
            MSIX if self.msix.is_none() => {
                let table = space.read_u32(position + 4);
                self.msix = Some(MsixCapability {
                    position,
                    entries: (space.read_u32(position) >> 16 & 0x7ff) as u16 + 1,
                    table_bar: (table & 7) as u8,
                    table_offset: table & !7,
                });
            }
            _ => {}
        }
    }
}

fn byte(space: &dyn ConfigSpace, offset: u8) -> u8 {
    let [a, b, c, d] = space.read_u32(offset & !3).to_le_bytes();
    match offset & 3 {
        0 => a,
        1 => b,
        2 => c,
        _ => d,
    }
}
