//! Registers of a memory BAR, reached over the qtest socket: what a mapping is on Redox.

use virtio_core::Registers;

use super::qtest::{Qtest, Width};

/// A window of physical addresses that a BAR decodes.
#[derive(Clone, Debug)]
pub struct QtestRegisters {
    qtest: Qtest,
    base: u64,
    length: usize,
}

impl QtestRegisters {
    /// The `length` bytes of registers that start at the physical address `base`.
    pub fn new(qtest: &Qtest, base: u64, length: usize) -> Self {
        Self {
            qtest: qtest.clone(),
            base,
            length,
        }
    }

    /// The physical address of an access, when it is aligned and inside.
    fn address(&self, offset: usize, width: usize) -> Option<u64> {
        let end = offset.checked_add(width)?;
        let inside = end <= self.length && offset.is_multiple_of(width);
        inside
            .then(|| self.base.checked_add(offset as u64))
            .flatten()
    }

    fn read(&self, offset: usize, width: Width, bytes: usize) -> u64 {
        self.address(offset, bytes)
            .map_or(u64::MAX, |address| self.qtest.read(width, address))
    }

    fn write(&self, offset: usize, width: Width, bytes: usize, value: u64) {
        if let Some(address) = self.address(offset, bytes) {
            self.qtest.write(width, address, value);
        }
    }
}

impl Registers for QtestRegisters {
    fn length(&self) -> usize {
        self.length
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.read(offset, Width::Byte, 1) as u8
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.read(offset, Width::Word, 2) as u16
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.read(offset, Width::Long, 4) as u32
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.write(offset, Width::Byte, 1, value.into());
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.write(offset, Width::Word, 2, value.into());
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.write(offset, Width::Long, 4, value.into());
    }
}
