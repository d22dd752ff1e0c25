//! The controller's registers (xHCI 1.2, 5.3 to 5.6).

use syscall::error::{ENODEV, Error, Result};
use virtio_core::Registers;

use crate::machine::QtestRegisters;
use crate::xhcid::bus::Port;

/// Capability registers.
const HCSPARAMS1: usize = 0x04;
const HCSPARAMS2: usize = 0x08;
const HCCPARAMS1: usize = 0x10;
const DBOFF: usize = 0x14;
const RTSOFF: usize = 0x18;
/// Operational registers.
pub(super) const USBCMD: usize = 0x00;
pub(super) const USBSTS: usize = 0x04;
pub(super) const CRCR: usize = 0x18;
pub(super) const DCBAAP: usize = 0x30;
pub(super) const CONFIG: usize = 0x38;
const PORTSC: usize = 0x400;
/// Of interrupter 0, in the runtime registers.
pub(super) const IMAN: usize = 0x20;
pub(super) const ERSTSZ: usize = 0x28;
pub(super) const ERSTBA: usize = 0x30;
pub(super) const ERDP: usize = 0x38;

/// USBCMD and USBSTS.
pub(super) const RUN: u32 = 1;
pub(super) const RESET: u32 = 1 << 1;
pub(super) const INTERRUPTS: u32 = 1 << 2;
pub(super) const NOT_READY: u32 = 1 << 11;
/// IMAN: interrupt enable.
pub(super) const INTERRUPT_ENABLE: u32 = 1 << 1;
/// ERDP: the handler was busy. Written as one it allows the next interrupt.
pub(super) const HANDLER_BUSY: u32 = 1 << 3;

/// PORTSC (5.4.8): connected, reset, power; the bits that tell of changes, which are cleared by ones.
pub(super) const CONNECTED: u32 = 1;
pub(super) const PORT_RESET: u32 = 1 << 4;
pub(super) const PORT_POWER: u32 = 1 << 9;
pub(super) const CONNECT_CHANGE: u32 = 1 << 17;
pub(super) const CHANGES: u32 = 0x00fe_0000;

/// Where everything is.
pub(super) struct ControllerRegisters {
    bar: QtestRegisters,
    operational: usize,
    runtime: usize,
    doorbells: usize,
    pub(super) slots: u8,
    pub(super) ports: u8,
    /// Bytes of a context.
    pub(super) context: u64,
    /// Pages that it wants for itself.
    pub(super) scratchpads: u32,
}

impl ControllerRegisters {
    /// Finds them in BAR 0. ENODEV when QEMU is gone.
    pub(super) fn new(bar: QtestRegisters) -> Result<Self> {
        let [slots, _, _, ports] = bar.read_u32(HCSPARAMS1).to_le_bytes();
        let second = bar.read_u32(HCSPARAMS2);
        let registers = Self {
            operational: bar.read_u8(0).into(),
            runtime: bar.read_u32(RTSOFF) as usize & !0x1f,
            doorbells: bar.read_u32(DBOFF) as usize & !3,
            slots,
            ports,
            context: if bar.read_u32(HCCPARAMS1) & 1 << 2 != 0 {
                64
            } else {
                32
            },
            scratchpads: (second >> 21 & 0x1f) << 5 | second >> 27,
            bar,
        };
        match second {
            u32::MAX => Err(Error::new(ENODEV)),
            _ => Ok(registers),
        }
    }

    /// An operational register. ENODEV when QEMU is gone.
    pub(super) fn read(&self, offset: usize) -> Result<u32> {
        match self.bar.read_u32(self.operational.saturating_add(offset)) {
            u32::MAX => Err(Error::new(ENODEV)),
            value => Ok(value),
        }
    }

    pub(super) fn write(&self, offset: usize, value: u32) {
        self.bar
            .write_u32(self.operational.saturating_add(offset), value);
    }

    /// 64 bits as two halves: writing the upper one makes it count.
    pub(super) fn write_u64(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset.saturating_add(4), (value >> 32) as u32);
    }

    pub(super) fn write_runtime(&self, offset: usize, value: u32) {
        self.bar
            .write_u32(self.runtime.saturating_add(offset), value);
    }

    /// As [`Self::write_u64`].
    pub(super) fn write_runtime_u64(&self, offset: usize, value: u64) {
        self.write_runtime(offset, value as u32);
        self.write_runtime(offset.saturating_add(4), (value >> 32) as u32);
    }

    /// Tells that there is something on a ring: of commands (slot 0, index 0) or of an endpoint.
    pub(super) fn ring_doorbell(&self, slot: u8, index: u8) {
        let offset = self.doorbells.saturating_add(4 * usize::from(slot));
        self.bar.write_u32(offset, index.into());
    }

    pub(super) fn read_port(&self, port: Port) -> Result<u32> {
        self.read(port_status(port))
    }

    /// Power stays on; of the other bits those in `bits` are set, or cleared where ones clear.
    pub(super) fn write_port(&self, port: Port, bits: u32) {
        self.write(port_status(port), PORT_POWER | bits);
    }
}

/// Ports count from 1.
fn port_status(port: Port) -> usize {
    PORTSC + 16 * usize::from(port.0.saturating_sub(1))
}
