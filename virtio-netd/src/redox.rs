//! The driver's machine when that is Redox: registers are mapped, memory is `/scheme/memory`,
//! interrupts are `/scheme/irq`.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use std::sync::Arc;

use libredox::Fd;
use libredox::call::{self, MmapArgs};
use libredox::flag::{MAP_PRIVATE, PROT_READ, PROT_WRITE};
use pcid_interface::msix::{self, Vector};
use pcid_interface::{Function, MappedBar, MemoryType};
use syscall::flag::{CallFlags, O_RDWR};
use virtio_core::{DeviceAddress, DmaAllocator, DmaError, DmaMemory, Registers};

use crate::error::Error;
use crate::platform::Platform;

/// The kernel's page, in bytes, on every machine that Redox runs on.
const PAGE: usize = 4096;

/// How memory for devices is cached: x86 keeps caches coherent with devices, the others are not
/// known to.
const CACHING: &str = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
    "wb"
} else {
    "uc"
};

/// Redox itself.
#[derive(Debug, Default)]
pub struct Redox;

impl Platform for Redox {
    fn registers(&mut self, function: &Function, bar: u8) -> Result<Arc<dyn Registers>, Error> {
        Ok(Arc::new(BarRegisters(
            function.map_bar(bar, MemoryType::Uncacheable)?,
        )))
    }

    fn memory(&mut self) -> Result<Box<dyn DmaAllocator>, Error> {
        Ok(Box::new(MemoryScheme::open()?))
    }

    fn vector(&mut self) -> Result<Option<Vector>, Error> {
        // A message is a write to a local APIC, and the kernel hands out its vectors for nothing
        // else.
        if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
            Ok(Some(msix::allocate_vector()?))
        } else {
            Ok(None)
        }
    }
}

/// A mapped BAR as virtio's registers: outside of it, and across alignments, all bits are one.
#[derive(Debug)]
struct BarRegisters(MappedBar);

impl Registers for BarRegisters {
    fn length(&self) -> usize {
        self.0.length()
    }

    fn read_u8(&self, offset: usize) -> u8 {
        self.0.read_u8(offset).unwrap_or(u8::MAX)
    }

    fn read_u16(&self, offset: usize) -> u16 {
        self.0.read_u16(offset).unwrap_or(u16::MAX)
    }

    fn read_u32(&self, offset: usize) -> u32 {
        self.0.read_u32(offset).unwrap_or(u32::MAX)
    }

    fn write_u8(&self, offset: usize, value: u8) {
        let _ = self.0.write_u8(offset, value);
    }

    fn write_u16(&self, offset: usize, value: u16) {
        let _ = self.0.write_u16(offset, value);
    }

    fn write_u32(&self, offset: usize, value: u32) {
        let _ = self.0.write_u32(offset, value);
    }
}

/// Physically contiguous memory from `/scheme/memory`.
///
/// It is opened once, while the driver still has a namespace; from then on its own descriptor is
/// enough.
pub struct MemoryScheme {
    root: Fd,
    translation: Fd,
}

impl core::fmt::Debug for MemoryScheme {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "MemoryScheme({})", self.root.raw())
    }
}

impl MemoryScheme {
    /// Opens the scheme. Needs uid 0.
    ///
    /// # Errors
    /// The scheme's.
    pub fn open() -> Result<Self, Error> {
        let failed =
            |error: libredox::error::Error| Error::system("open /scheme/memory")(error.into());
        let root = Fd::open("/scheme/memory/scheme-root", 0, 0).map_err(failed)?;
        let translation = root.openat("translation", 0, 0).map_err(failed)?;
        Ok(Self { root, translation })
    }

    /// The physical address of a virtual one.
    fn translate(&self, address: usize) -> libredox::error::Result<u64> {
        let mut word = address.to_ne_bytes();
        self.translation
            .call_ro(&mut word, CallFlags::empty(), &[])?;
        Ok(usize::from_ne_bytes(word) as u64)
    }

    /// The physical address of `memory`, of which every page must follow the one before.
    fn physical(&self, memory: &Mapping) -> Result<DeviceAddress, DmaError> {
        let base = memory.pointer.as_ptr() as usize;
        let first = self.translate(base).map_err(system)?;
        for offset in (0..memory.length).step_by(PAGE) {
            let page = self
                .translate(base.saturating_add(offset))
                .map_err(system)?;
            if page.checked_sub(first) != Some(offset as u64) {
                return Err(DmaError::Misaligned {
                    address: DeviceAddress(page),
                    alignment: PAGE,
                });
            }
        }
        Ok(DeviceAddress(first))
    }
}

fn system(error: libredox::error::Error) -> DmaError {
    DmaError::System {
        errno: error.errno(),
    }
}

impl DmaAllocator for MemoryScheme {
    fn allocate(&self, length: usize, alignment: usize) -> Result<Box<dyn DmaMemory>, DmaError> {
        if alignment > PAGE || !alignment.is_power_of_two() {
            return Err(DmaError::BadSize);
        }
        // The kernel takes powers of two of pages; asking for one gives the bytes in between a use.
        let length = length
            .checked_next_power_of_two()
            .map(|length| length.max(PAGE))
            .ok_or(DmaError::BadSize)?;
        let file = self
            .root
            .openat(
                &format!("zeroed@{CACHING}?phys_contiguous"),
                O_RDWR as i32,
                0,
            )
            .map_err(system)?;
        let memory = Mapping::new(&file, length).map_err(system)?;
        let address = self.physical(&memory)?;
        Ok(Box::new(SchemeMemory { memory, address }))
    }
}

/// Memory mapped into this process, until it is dropped.
#[derive(Debug)]
struct Mapping {
    pointer: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(file: &Fd, length: usize) -> libredox::error::Result<Self> {
        let arguments = MmapArgs {
            addr: ptr::null_mut(),
            length,
            // The C library's numbers, which are not the kernel's `MapFlags`.
            prot: PROT_READ | PROT_WRITE,
            // Private is how the kernel wants contiguous memory to be asked for; it is shared with
            // nobody but the device.
            flags: MAP_PRIVATE,
            fd: file.raw(),
            offset: 0,
        };
        // SAFETY: no address is asked for, so nothing that exists is replaced; the result is owned
        // by `Mapping`.
        let pointer = unsafe { call::mmap(arguments) }?;
        let pointer = NonNull::new(pointer.cast())
            .ok_or(libredox::error::Error::new(syscall::error::ENOMEM))?;
        Ok(Self { pointer, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and whoever drops it has no pointer into it
        // any more. A failure leaves it mapped; there is nobody left whom it would help to know.
        let _ = unsafe { call::munmap(self.pointer.as_ptr().cast(), self.length) };
    }
}

/// Contiguous memory and where the device finds it.
#[derive(Debug)]
struct SchemeMemory {
    memory: Mapping,
    address: DeviceAddress,
}

// SAFETY: a mapping belongs to the address space, not to the thread that made it, and
// `SchemeMemory` owns it alone.
unsafe impl Send for SchemeMemory {}

// SAFETY: the mapping is private, readable, writable and zeroed, stays where it is until it is
// dropped, and no one else knows of it. Every page of it was translated, and they follow each other
// from `address` on, so that the device finds the same bytes there; the kernel does not move pages.
unsafe impl DmaMemory for SchemeMemory {
    fn pointer(&self) -> NonNull<u8> {
        self.memory.pointer
    }

    fn device_address(&self) -> DeviceAddress {
        self.address
    }

    fn length(&self) -> usize {
        self.memory.length
    }
}
