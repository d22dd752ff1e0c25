//! MSI-X (PCI Local Bus 3.0, 6.8.2): interrupts that are writes to memory.

use super::address::PciAddress;
use super::pci::{Capability, PciBus};
use super::qtest::Width;

const MSIX_ENABLE: u16 = 1 << 15;
const MSIX_FUNCTION_MASK: u16 = 1 << 14;

/// The MSI-X capability (PCI Local Bus 3.0, 6.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msix {
    /// Where the capability is in configuration space.
    pub offset: u8,
    /// Entries of the table.
    pub table_size: u16,
    /// Which BAR the table is in.
    pub table_bar: u8,
    /// Where in it, in bytes.
    pub table_offset: u32,
    /// Which BAR the pending bits are in.
    pub pba_bar: u8,
    /// Where in it, in bytes.
    pub pba_offset: u32,
}

/// Where an MSI is written, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Physical address.
    pub address: u64,
    /// The 32 bits written there.
    pub data: u32,
}

/// Writes entry `index` of an MSI-X table and unmasks it (6.8.2: address, data, then vector control, 16 bytes each).
pub fn program_msix_entry(table: &impl virtio_core::Registers, index: u16, message: MsiMessage) {
    let entry = 16 * usize::from(index);
    table.write_u32(entry, message.address as u32);
    table.write_u32(entry + 4, (message.address >> 32) as u32);
    table.write_u32(entry + 8, message.data);
    table.write_u32(entry + 12, 0);
}

impl PciBus {
    /// MSI-X of the function, if it has it.
    pub fn msix(&self, at: PciAddress) -> Option<Msix> {
        let capability = self
            .capabilities(at)
            .into_iter()
            .find(|capability| capability.id == Capability::MSIX)?;
        let control = self.read_u16(at, capability.offset + 2);
        let table = self.read_u32(at, capability.offset + 4);
        let pba = self.read_u32(at, capability.offset + 8);
        Some(Msix {
            offset: capability.offset,
            table_size: (control & 0x7ff) + 1,
            table_bar: (table & 7) as u8,
            table_offset: table & !7,
            pba_bar: (pba & 7) as u8,
            pba_offset: pba & !7,
        })
    }

    /// Turns MSI-X on or off.
    pub fn set_msix_enabled(&self, at: PciAddress, msix: &Msix, enabled: bool) {
        let control = self.read_u16(at, msix.offset + 2) & !MSIX_ENABLE;
        let control = control | if enabled { MSIX_ENABLE } else { 0 };
        self.write(at, msix.offset + 2, Width::Word, control.into());
    }

    /// Masks or unmasks all vectors at once.
    pub fn set_msix_function_mask(&self, at: PciAddress, msix: &Msix, masked: bool) {
        let control = self.read_u16(at, msix.offset + 2) & !MSIX_FUNCTION_MASK;
        let control = control | if masked { MSIX_FUNCTION_MASK } else { 0 };
        self.write(at, msix.offset + 2, Width::Word, control.into());
    }
}
