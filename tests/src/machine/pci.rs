//! PCI as a machine without firmware has it: nobody has given out addresses yet, so the lab does.

use std::sync::{Arc, Mutex, PoisonError};

use super::address::PciAddress;
use super::qtest::{Qtest, Width};
use crate::error::{Context, Result};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_SIZE: u16 = 256;
/// Where BARs go: above RAM and below the I/O APIC, and above the ports of the chipset.
const MEMORY_WINDOW: std::ops::Range<u64> = 0xe000_0000..0xfec0_0000;
const PORT_WINDOW: std::ops::Range<u64> = 0xc000..0x1_0000;

const COMMAND: u8 = 0x04;
const STATUS: u8 = 0x06;
const REVISION_AND_CLASS: u8 = 0x08;
const HEADER_TYPE: u8 = 0x0e;
const FIRST_BAR: u8 = 0x10;
const SUBSYSTEM_ID: u8 = 0x2e;
const CAPABILITIES_POINTER: u8 = 0x34;
const INTERRUPT_LINE: u8 = 0x3c;
const INTERRUPT_PIN: u8 = 0x3d;

/// "I/O space, memory space and bus master": bits 0 to 2 of the command register.
pub const COMMAND_ENABLE: u16 = 0b111;
/// "Interrupt disable": bit 10 of the command register.
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS_CAPABILITIES: u16 = 1 << 4;

/// A base address register with the address that the lab gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Not implemented, or the upper half of the one before.
    None,
    /// 32-bit memory: physical address and bytes.
    Memory32 {
        /// Physical address.
        address: u32,
        /// Bytes.
        size: u32,
    },
    /// 64-bit memory: physical address and bytes.
    Memory64 {
        /// Physical address.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// I/O ports: the first one and how many.
    Port {
        /// First port.
        address: u16,
        /// How many.
        size: u16,
    },
}

impl Bar {
    /// Physical address and bytes, if it is memory.
    pub fn memory(self) -> Option<(u64, u64)> {
        match self {
            Bar::Memory32 { address, size } => Some((address.into(), size.into())),
            Bar::Memory64 { address, size } => Some((address, size)),
            Bar::None | Bar::Port { .. } => None,
        }
    }
}

/// What the first registers of a function say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciId {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
    /// Subsystem ID: for transitional virtio the type of device.
    pub subsystem: u16,
    /// Class code.
    pub class: u8,
    /// Subclass code.
    pub subclass: u8,
    /// Programming interface.
    pub interface: u8,
    /// Revision.
    pub revision: u8,
}

/// One entry of the capability list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is: 0x05 MSI, 0x09 vendor-specific, 0x11 MSI-X.
    pub id: u8,
    /// Where it starts in configuration space.
    pub offset: u8,
}

impl Capability {
    /// The id of a vendor-specific capability.
    pub const VENDOR: u8 = 0x09;
    /// The id of MSI-X.
    pub const MSIX: u8 = 0x11;
}

/// Configuration space of the whole machine. Clones are the same bus.
#[derive(Clone, Debug)]
pub struct PciBus {
    qtest: Qtest,
    /// An access is two: the address, then the data. This keeps them together and knows what is free.
    windows: Arc<Mutex<Windows>>,
}

#[derive(Debug)]
struct Windows {
    memory: std::ops::Range<u64>,
    ports: std::ops::Range<u64>,
}

impl PciBus {
    /// The bus of the machine behind `qtest`, where no BAR has been given out.
    pub fn new(qtest: &Qtest) -> Self {
        let windows = Windows {
            memory: MEMORY_WINDOW,
            ports: PORT_WINDOW,
        };
        Self {
            qtest: qtest.clone(),
            windows: Arc::new(Mutex::new(windows)),
        }
    }

    /// Reads configuration space. An offset that the width does not divide reads the aligned one below.
    pub fn read(&self, at: PciAddress, offset: u8, width: Width) -> u32 {
        let _together = self.lock();
        self.qtest.port_out(
            Width::Long,
            CONFIG_ADDRESS,
            at.config_address(offset).into(),
        );
        self.qtest.port_in(width, data_port(offset, width)) as u32
    }

    /// Writes configuration space.
    pub fn write(&self, at: PciAddress, offset: u8, width: Width, value: u32) {
        let _together = self.lock();
        self.qtest.port_out(
            Width::Long,
            CONFIG_ADDRESS,
            at.config_address(offset).into(),
        );
        self.qtest
            .port_out(width, data_port(offset, width), value.into());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read_u8(&self, at: PciAddress, offset: u8) -> u8 {
        self.read(at, offset, Width::Byte) as u8
    }

    pub(super) fn read_u16(&self, at: PciAddress, offset: u8) -> u16 {
        self.read(at, offset, Width::Word) as u16
    }

    pub(super) fn read_u32(&self, at: PciAddress, offset: u8) -> u32 {
        self.read(at, offset, Width::Long)
    }

    /// Whether a function answers there.
    pub fn is_present(&self, at: PciAddress) -> bool {
        self.read_u16(at, 0) != 0xffff
    }

    /// Every function of bus 0.
    pub fn scan(&self) -> Vec<PciAddress> {
        let mut found = Vec::new();
        for device in 0..32 {
            let first = PciAddress::slot(device);
            if !self.is_present(first) {
                continue;
            }
            let functions = if self.read_u8(first, HEADER_TYPE) & 0x80 != 0 {
                8
            } else {
                1
            };
            let all = (0..functions).map(|function| PciAddress { function, ..first });
            found.extend(all.filter(|at| self.is_present(*at)));
        }
        found
    }

    /// What the function is.
    pub fn id(&self, at: PciAddress) -> PciId {
        let [revision, interface, subclass, class] =
            self.read_u32(at, REVISION_AND_CLASS).to_le_bytes();
        PciId {
            vendor: self.read_u16(at, 0),
            device: self.read_u16(at, 2),
            subsystem: self.read_u16(at, SUBSYSTEM_ID),
            class,
            subclass,
            interface,
            revision,
        }
    }

    /// The capability list, in its order. A list that loops is cut where it does.
    pub fn capabilities(&self, at: PciAddress) -> Vec<Capability> {
        if self.read_u16(at, STATUS) & STATUS_CAPABILITIES == 0 {
            return Vec::new();
        }
        let mut list: Vec<Capability> = Vec::new();
        let mut offset = self.read_u8(at, CAPABILITIES_POINTER) & 0xfc;
        while offset != 0 && !list.iter().any(|seen| seen.offset == offset) {
            let [id, next, ..] = self.read_u32(at, offset).to_le_bytes();
            list.push(Capability { id, offset });
            offset = next & 0xfc;
        }
        list
    }

    /// The bytes of a capability that says its own length in its third byte, as vendor-specific ones do.
    pub fn vendor_capability(&self, at: PciAddress, capability: Capability) -> Vec<u8> {
        let [_, _, length, _] = self.read_u32(at, capability.offset).to_le_bytes();
        let start = u16::from(capability.offset);
        let end = start.saturating_add(length.into()).min(CONFIG_SIZE);
        (start..end)
            .map(|offset| self.read_u8(at, offset as u8))
            .collect()
    }

    /// Sizes the BARs and gives each an address (PCI Local Bus 3.0, 6.2.5.1). The function does not decode meanwhile.
    pub fn assign_bars(&self, at: PciAddress) -> Result<[Bar; 6]> {
        let command = self.read_u16(at, COMMAND);
        self.write(at, COMMAND, Width::Word, (command & !COMMAND_ENABLE).into());
        let mut bars = [Bar::None; 6];
        let mut index = 0;
        while let Some(slot) = bars.get_mut(index) {
            *slot = self.assign_bar(at, FIRST_BAR + 4 * index as u8)?;
            index += if matches!(slot, Bar::Memory64 { .. }) {
                2
            } else {
                1
            };
        }
        self.write(at, COMMAND, Width::Word, command.into());
        Ok(bars)
    }

    fn assign_bar(&self, at: PciAddress, offset: u8) -> Result<Bar> {
        self.write(at, offset, Width::Long, u32::MAX);
        let low = self.read_u32(at, offset);
        if low == 0 {
            return Ok(Bar::None);
        }
        if low & 1 != 0 {
            let size = u64::from(!(low & !0b11) as u16) + 1;
            let address = take(&mut self.lock().ports, size).context("no ports left for BARs")?;
            self.write(at, offset, Width::Long, address as u32);
            return Ok(Bar::Port {
                address: address as u16,
                size: size as u16,
            });
        }
        let wide = low >> 1 & 0b11 == 0b10;
        let mut mask = u64::from(low & !0xf) | u64::from(u32::MAX) << 32;
        if wide {
            self.write(at, offset + 4, Width::Long, u32::MAX);
            mask = u64::from(low & !0xf) | u64::from(self.read_u32(at, offset + 4)) << 32;
        }
        let size = (!mask).wrapping_add(1);
        let address =
            take(&mut self.lock().memory, size).context("no memory addresses left for BARs")?;
        self.write(at, offset, Width::Long, address as u32);
        if wide {
            self.write(at, offset + 4, Width::Long, (address >> 32) as u32);
            return Ok(Bar::Memory64 { address, size });
        }
        Ok(Bar::Memory32 {
            address: address as u32,
            size: size as u32,
        })
    }

    /// Decodes memory and ports, and lets the function be bus master.
    pub fn enable(&self, at: PciAddress) {
        let command = self.read_u16(at, COMMAND) | COMMAND_ENABLE;
        self.write(at, COMMAND, Width::Word, command.into());
    }

    /// The interrupt pin: 0 none, 1 INTA to 4 INTD.
    pub fn interrupt_pin(&self, at: PciAddress) -> u8 {
        self.read_u8(at, INTERRUPT_PIN)
    }

    /// Tells the driver its interrupt line, as firmware does: the register is a note, hardware ignores it.
    pub fn set_interrupt_line(&self, at: PciAddress, line: u8) {
        self.write(at, INTERRUPT_LINE, Width::Byte, line.into());
    }

    /// The note about the interrupt line.
    pub fn interrupt_line(&self, at: PciAddress) -> u8 {
        self.read_u8(at, INTERRUPT_LINE)
    }

    /// Sets or clears bits of the command register.
    pub fn change_command(&self, at: PciAddress, set: u16, clear: u16) {
        let command = (self.read_u16(at, COMMAND) | set) & !clear;
        self.write(at, COMMAND, Width::Word, command.into());
    }

    /// The command register.
    pub fn command(&self, at: PciAddress) -> u16 {
        self.read_u16(at, COMMAND)
    }
}

fn data_port(offset: u8, width: Width) -> u16 {
    let low = match width {
        Width::Byte => offset & 3,
        Width::Word => offset & 2,
        Width::Long | Width::Quad => 0,
    };
    CONFIG_DATA + u16::from(low)
}

/// Takes `size` aligned addresses off the front of `window`.
fn take(window: &mut std::ops::Range<u64>, size: u64) -> Option<u64> {
    if !size.is_power_of_two() {
        return None;
    }
    let start = window.start.checked_next_multiple_of(size)?;
    let end = start.checked_add(size)?;
    (end <= window.end).then(|| {
        window.start = end;
        start
    })
}
