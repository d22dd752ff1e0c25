//! Registers of a device: one BAR, or a window into one.

#![allow(unsafe_code)]

use alloc::sync::Arc;
use core::ptr::NonNull;

/// Registers within one BAR or window, by byte offset. Values are in the byte order of the CPU; virtio registers
/// are little endian, as is every CPU this crate is built for.
///
/// Accesses never fail: a device that has vanished, an offset outside and a misaligned offset read as all ones, and
/// writes there do nothing. That is what PCI itself does.
pub trait Registers: Send + Sync {
    /// Bytes in the window.
    fn length(&self) -> usize;
    /// Reads one byte.
    fn read_u8(&self, offset: usize) -> u8;
    /// Reads two bytes in one access.
    fn read_u16(&self, offset: usize) -> u16;
    /// Reads four bytes in one access.
    fn read_u32(&self, offset: usize) -> u32;
    /// Writes one byte.
    fn write_u8(&self, offset: usize, value: u8);
    /// Writes two bytes in one access.
    fn write_u16(&self, offset: usize, value: u16);
    /// Writes four bytes in one access.
    fn write_u32(&self, offset: usize, value: u32);

    /// Reads a 64-bit field as two 32-bit accesses, the low half first.
    // virtio 4.1.3.1: "For device configuration access, the driver MUST use ... 32-bit wide and aligned accesses for
    // 32-bit and 64-bit wide fields."
    fn read_u64(&self, offset: usize) -> u64 {
        let low = self.read_u32(offset);
        let high = self.read_u32(offset.saturating_add(4));
        u64::from(high) << 32 | u64::from(low)
    }

    /// Writes a 64-bit field as two 32-bit accesses, the low half first (virtio 4.1.3.1).
    fn write_u64(&self, offset: usize, value: u64) {
        self.write_u32(offset, value as u32);
        self.write_u32(offset.saturating_add(4), (value >> 32) as u32);
    }
}

/// Registers that are mapped into this address space.
#[derive(Debug)]
pub struct MappedRegisters {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the address space, not to a thread (`MappedRegisters::new`), and every access is one
// volatile instruction on registers, which the device serialises.
unsafe impl Send for MappedRegisters {}
// SAFETY: as above; there is no state beside the registers.
unsafe impl Sync for MappedRegisters {}

impl MappedRegisters {
    /// Takes `length` bytes of mapped registers that start at `base`.
    ///
    /// # Safety
    /// `base` must be the start of a mapping of at least `length` bytes of device registers that is readable and
    /// writable, that no Rust reference points into, and that stays until the returned value is dropped.
    pub unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self { base, length }
    }

    /// The address of a register of type `T`, if it lies inside and is aligned.
    fn register<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let address = (self.base.as_ptr() as usize).checked_add(offset)?;
        if end > self.length || !address.is_multiple_of(align_of::<T>()) {
            return None;
        }
        Some(self.base.as_ptr().wrapping_add(offset).cast())
    }

    fn read<T: Copy>(&self, offset: usize, outside: T) -> T {
        match self.register::<T>(offset) {
            // SAFETY: `register` checked bounds and alignment; the mapping is valid (`new`).
            Some(register) => unsafe { register.read_volatile() },
            None => outside,
        }
    }

    fn write<T: Copy>(&self, offset: usize, value: T) {
        if let Some(register) = self.register::<T>(offset) {
            // SAFETY: `register` checked bounds and alignment; the mapping is valid (`new`).
            unsafe { register.write_volatile(value) }
        }
    }
}

impl Registers for MappedRegisters {
    fn length(&self) -> usize {
        self.length
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.read(offset, u8::MAX)
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.read(offset, u16::MAX)
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.read(offset, u32::MAX)
    }
    fn write_u8(&self, offset: usize, value: u8) {
        self.write(offset, value);
    }
    fn write_u16(&self, offset: usize, value: u16) {
        self.write(offset, value);
    }
    fn write_u32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }
}

/// A part of some registers, for instance the common configuration inside its BAR.
#[derive(Clone)]
pub struct Window {
    registers: Arc<dyn Registers>,
    start: usize,
    length: usize,
}

impl Window {
    /// The `length` bytes from `start` on; `None` if they do not all lie inside `registers`.
    pub fn new(registers: Arc<dyn Registers>, start: usize, length: usize) -> Option<Self> {
        let end = start.checked_add(length)?;
        (end <= registers.length()).then_some(Self {
            registers,
            start,
            length,
        })
    }

    /// A window of no bytes.
    pub(crate) fn nothing(&self) -> Self {
        Self {
            length: 0,
            ..self.clone()
        }
    }

    /// The offset in the whole of an access of `width` bytes, if it stays inside.
    fn inside(&self, offset: usize, width: usize) -> Option<usize> {
        let end = offset.checked_add(width)?;
        (end <= self.length).then(|| self.start.saturating_add(offset))
    }
}

impl core::fmt::Debug for Window {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Window({:#x}..+{:#x})", self.start, self.length)
    }
}

impl Registers for Window {
    fn length(&self) -> usize {
        self.length
    }
    fn read_u8(&self, offset: usize) -> u8 {
        self.inside(offset, 1)
            .map_or(u8::MAX, |at| self.registers.read_u8(at))
    }
    fn read_u16(&self, offset: usize) -> u16 {
        self.inside(offset, 2)
            .map_or(u16::MAX, |at| self.registers.read_u16(at))
    }
    fn read_u32(&self, offset: usize) -> u32 {
        self.inside(offset, 4)
            .map_or(u32::MAX, |at| self.registers.read_u32(at))
    }
    fn write_u8(&self, offset: usize, value: u8) {
        if let Some(at) = self.inside(offset, 1) {
            self.registers.write_u8(at, value);
        }
    }
    fn write_u16(&self, offset: usize, value: u16) {
        if let Some(at) = self.inside(offset, 2) {
            self.registers.write_u16(at, value);
        }
    }
    fn write_u32(&self, offset: usize, value: u32) {
        if let Some(at) = self.inside(offset, 4) {
            self.registers.write_u32(at, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Eight-byte aligned memory standing in for a mapped BAR.
    fn mapped(memory: &mut [u64]) -> MappedRegisters {
        let base = NonNull::new(memory.as_mut_ptr().cast()).expect("a slice has an address");
        // SAFETY: the slice outlives the registers in these tests and is not touched meanwhile.
        unsafe { MappedRegisters::new(base, size_of_val(memory)) }
    }

    #[test]
    fn each_width_reads_what_it_wrote() {
        let mut memory = vec![0u64; 4];
        let registers = mapped(&mut memory);
        registers.write_u8(1, 0xa1);
        registers.write_u16(2, 0xb2b1);
        registers.write_u32(4, 0xc4c3_c2c1);
        registers.write_u64(8, 0x1122_3344_5566_7788);
        assert_eq!(registers.read_u8(1), 0xa1);
        assert_eq!(registers.read_u16(2), 0xb2b1);
        assert_eq!(registers.read_u32(4), 0xc4c3_c2c1);
        assert_eq!(registers.read_u64(8), 0x1122_3344_5566_7788);
        assert_eq!(
            registers.read_u32(8),
            0x5566_7788,
            "the low half comes first"
        );
    }

    #[test]
    fn outside_and_misaligned_read_all_ones_and_write_nothing() {
        let mut memory = vec![0u64; 2];
        let registers = mapped(&mut memory);
        for offset in [16, 17, usize::MAX - 1, usize::MAX] {
            registers.write_u8(offset, 0);
            registers.write_u16(offset, 0);
            registers.write_u32(offset, 0);
            assert_eq!(registers.read_u8(offset), 0xff, "offset {offset:#x}");
            assert_eq!(registers.read_u16(offset), 0xffff, "offset {offset:#x}");
            assert_eq!(registers.read_u64(offset), u64::MAX, "offset {offset:#x}");
        }
        registers.write_u32(2, 7);
        assert_eq!(registers.read_u32(2), u32::MAX, "misaligned");
        assert_eq!(
            registers.read_u64(12),
            u64::from(u32::MAX) << 32,
            "the half outside reads as ones"
        );
        assert_eq!(memory, [0, 0]);
    }

    #[test]
    fn a_window_neither_starts_nor_ends_outside() {
        let mut memory = vec![0u64; 2];
        let registers: Arc<dyn Registers> = Arc::new(mapped(&mut memory));
        assert!(Window::new(registers.clone(), 8, 9).is_none());
        assert!(Window::new(registers.clone(), usize::MAX, 2).is_none());
        let window = Window::new(registers.clone(), 4, 4).expect("inside");
        window.write_u32(0, 0xdead_beef);
        window.write_u32(4, 1);
        window.write_u8(4, 1);
        window.write_u16(3, 1);
        assert_eq!(registers.read_u32(4), 0xdead_beef);
        assert_eq!(registers.read_u32(8), 0);
        assert_eq!(
            (window.read_u8(4), window.read_u16(3), window.read_u32(1)),
            (0xff, 0xffff, u32::MAX)
        );
    }
}
