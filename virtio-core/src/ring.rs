//! The split virtqueue as it lies in memory (virtio 2.7), and the order in which its words are read and written.
//!
//! Driver and device are two sides without a lock. Each shared word has one writer. What makes it work:
//!
//! - *Publish*: the driver writes descriptors and ring entries, then stores `avail.idx` with Release. A device that
//!   loads the index with Acquire sees everything before it. The other way round, `used.idx` is loaded with
//!   Acquire before used entries and buffers are read.
//! - *Doorbell or not*: the driver stores `avail.idx` and then loads what the device wants (`avail_event`, or the
//!   NO_NOTIFY flag), while the device stores what it wants and then loads `avail.idx`. Without a full fence between
//!   its store and its load on each side, both could miss the other's store, and the device would sleep for ever.
//! - *Interrupt or not*: the same, mirrored, for `used_event` / NO_INTERRUPT and `used.idx`.
//!
//! Acquire, Release and a SeqCst fence order normal memory between CPUs, which is what a device made of software
//! sees. With ORDER_PLATFORM the device may be hardware: the platform's own barriers stand in their place
//! ([`Barriers::Platform`]).
//!
//! The code is generic over [`Memory`], so that loom runs the same lines over its own atomics.

#![allow(unsafe_code)]

use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};

use crate::dma::{CANARY_LENGTH, LINE, Region};
use crate::features::Features;

/// Descriptor flag: the chain goes on (virtio 2.7.5).
pub(crate) const NEXT: u16 = 1;
/// Descriptor flag: the device writes this buffer.
pub(crate) const WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors.
pub(crate) const INDIRECT: u16 = 4;
/// Available ring flag: the driver wants no interrupt.
const NO_INTERRUPT: u16 = 1;
/// Used ring flag: the device wants no doorbell.
const NO_NOTIFY: u16 = 1;
/// Bytes of one descriptor.
const DESCRIPTOR: usize = 16;

/// Which barriers order the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barriers {
    /// Those between CPUs.
    Cpu,
    /// Those between CPUs and hardware (ORDER_PLATFORM).
    Platform,
}

impl Barriers {
    /// What the features ask for (virtio 6.1).
    pub(crate) fn agreed(accepted: Features) -> Self {
        if accepted.contains(Features::ORDER_PLATFORM) {
            Self::Platform
        } else {
            Self::Cpu
        }
    }

    /// Orders all that was read and written before against all that follows.
    pub(crate) fn full(self) {
        match self {
            Self::Cpu => fence(Ordering::SeqCst),
            Self::Platform => platform_barrier(),
        }
    }
}

impl core::fmt::Display for Barriers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Platform => "platform",
        })
    }
}

/// The words of a ring: little endian in memory, values in the CPU's order. Accesses without an `Ordering` are Relaxed.
pub(crate) trait Memory {
    fn load_u16(&self, offset: usize, order: Ordering) -> u16;
    fn store_u16(&self, offset: usize, value: u16, order: Ordering);
    fn load_u32(&self, offset: usize) -> u32;
    fn store_u32(&self, offset: usize, value: u32);
    fn store_u64(&self, offset: usize, value: u64);
    /// Orders everything before against everything after, between CPUs.
    fn full_fence(&self);
    /// Orders everything before against everything after, for hardware too.
    fn platform_barrier(&self);
}

impl Memory for Arc<Region> {
    fn load_u16(&self, offset: usize, order: Ordering) -> u16 {
        Region::load_u16(self, offset, order)
    }
    fn store_u16(&self, offset: usize, value: u16, order: Ordering) {
        Region::store_u16(self, offset, value, order);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        Region::load_u32(self, offset)
    }
    fn store_u32(&self, offset: usize, value: u32) {
        Region::store_u32(self, offset, value);
    }
    fn store_u64(&self, offset: usize, value: u64) {
        Region::store_u64(self, offset, value);
    }
    fn full_fence(&self) {
        Barriers::Cpu.full();
    }
    fn platform_barrier(&self) {
        Barriers::Platform.full();
    }
}

/// The strongest barrier of the platform: memory and registers, for every observer.
fn platform_barrier() {
    // The compiler must not move accesses over it either; the instructions below do not promise that by themselves.
    fence(Ordering::SeqCst);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a barrier has no operands and changes no register, flag or memory.
    unsafe {
        core::arch::asm!("mfence", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier has no operands and changes no register, flag or memory.
    unsafe {
        core::arch::asm!("dsb sy", options(nostack, preserves_flags));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: a barrier has no operands and changes no register, flag or memory.
    unsafe {
        core::arch::asm!("fence iorw, iorw", options(nostack, preserves_flags));
    }
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )))]
    compile_error!("name the barrier for hardware of this architecture");
}

/// Where the parts of a queue lie in its region, in bytes. Each part starts on a cache line of its own and stands
/// between canaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) size: u16,
    pub(crate) descriptors: usize,
    pub(crate) available: usize,
    pub(crate) used: usize,
    /// `size` tables of `table_entries` descriptors.
    pub(crate) tables: usize,
    pub(crate) table_entries: u16,
    pub(crate) length: usize,
}

impl Layout {
    /// The layout of a queue of `size` descriptors, a power of two up to 32768 (virtio 2.7), and of indirect tables of
    /// `table_entries` descriptors each.
    pub(crate) fn new(size: u16, table_entries: u16) -> Self {
        let n = usize::from(size);
        let after = |end: usize| end.next_multiple_of(LINE) + CANARY_LENGTH;
        // virtio 2.7: alignment 16, 2 and 4; sizes 16·n, 6 + 2·n and 6 + 8·n.
        let descriptors = after(0);
        let available = after(descriptors + DESCRIPTOR * n);
        let used = after(available + 6 + 2 * n);
        let tables = after(used + 6 + 8 * n);
        let length = after(tables + DESCRIPTOR * n * usize::from(table_entries));
        Self {
            size,
            descriptors,
            available,
            used,
            tables,
            table_entries,
            length,
        }
    }

    /// Where the canaries lie.
    pub(crate) fn canaries(&self) -> [usize; 5] {
        [
            self.descriptors,
            self.available,
            self.used,
            self.tables,
            self.length,
        ]
        .map(|part| part - CANARY_LENGTH)
    }
}

/// One element of the descriptor table (virtio 2.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) length: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

/// The driver's side of a split ring. It knows the layout and the orderings, and nothing of buffers.
pub(crate) struct Ring<M> {
    memory: M,
    layout: Layout,
    event_index: bool,
    barriers: Barriers,
}

impl<M: Memory> Ring<M> {
    /// A ring over zeroed memory of `layout.length` bytes.
    pub(crate) fn new(memory: M, layout: Layout, event_index: bool, barriers: Barriers) -> Self {
        Self {
            memory,
            layout,
            event_index,
            barriers,
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn barriers(&self) -> Barriers {
        self.barriers
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// Writes element `id` of the descriptor table.
    pub(crate) fn write_descriptor(&self, id: u16, descriptor: Descriptor) {
        self.write_at(
            self.layout.descriptors + DESCRIPTOR * usize::from(id),
            descriptor,
        );
    }

    /// Where the indirect table of descriptor `id` starts, in bytes from the start of the memory.
    pub(crate) fn table(&self, id: u16) -> usize {
        self.layout.tables + DESCRIPTOR * usize::from(id) * usize::from(self.layout.table_entries)
    }

    /// Writes an element of the indirect table of descriptor `id`.
    pub(crate) fn write_table_entry(&self, id: u16, entry: u16, descriptor: Descriptor) {
        self.write_at(self.table(id) + DESCRIPTOR * usize::from(entry), descriptor);
    }

    fn write_at(&self, at: usize, descriptor: Descriptor) {
        self.memory.store_u64(at, descriptor.address);
        self.memory.store_u32(at + 8, descriptor.length);
        self.memory
            .store_u16(at + 12, descriptor.flags, Ordering::Relaxed);
        self.memory
            .store_u16(at + 14, descriptor.next, Ordering::Relaxed);
    }

    fn slot(&self, index: u16) -> usize {
        usize::from(index & (self.layout.size - 1))
    }

    /// Writes the entry of the available ring for `index`. The device does not see it before `publish`.
    pub(crate) fn write_available(&self, index: u16, head: u16) {
        self.memory.store_u16(
            self.layout.available + 4 + 2 * self.slot(index),
            head,
            Ordering::Relaxed,
        );
    }

    /// Lets the device see all entries before `index` (virtio 2.7.13.3).
    pub(crate) fn publish(&self, index: u16) {
        if self.barriers == Barriers::Platform {
            self.memory.platform_barrier();
        }
        // Release: descriptors, ring entries and the bytes of the buffers are written, and the driver's reads of reused
        // buffers done, before the device can see the index.
        self.memory
            .store_u16(self.layout.available + 2, index, Ordering::Release);
    }

    /// Whether the device wants a doorbell for the entries from `old` up to `new`, which are published (virtio 2.7.13.4).
    pub(crate) fn wants_doorbell(&self, old: u16, new: u16) -> bool {
        // The store of `avail.idx` must be visible before what the device wants is read (see above).
        self.full_barrier();
        if self.event_index {
            // virtio 2.7.10: notify when the entry with index avail_event is among the new ones.
            let event = self.memory.load_u16(
                self.layout.used + 4 + 8 * usize::from(self.layout.size),
                Ordering::Relaxed,
            );
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.memory.load_u16(self.layout.used, Ordering::Relaxed) & NO_NOTIFY == 0
        }
    }

    /// `used.idx`. What the device wrote before it is visible after this call.
    pub(crate) fn used_index(&self) -> u16 {
        let index = self
            .memory
            .load_u16(self.layout.used + 2, Ordering::Acquire);
        if self.barriers == Barriers::Platform {
            self.memory.platform_barrier();
        }
        index
    }

    /// The used element for `index`: the id of the chain's first descriptor and the bytes written (virtio 2.7.8).
    pub(crate) fn used_element(&self, index: u16) -> (u32, u32) {
        let at = self.layout.used + 4 + 8 * self.slot(index);
        (self.memory.load_u32(at), self.memory.load_u32(at + 4))
    }

    /// Asks for an interrupt as soon as the used entry with index `event` is there (without EVENT_IDX: any entry), and
    /// returns `used.idx` as it is afterwards: an entry that the device used before it saw the wish rings no interrupt,
    /// so the caller must look at it now (virtio 2.7.7, 2.7.10).
    pub(crate) fn arm(&self, event: u16) -> u16 {
        if self.event_index {
            self.memory
                .store_u16(self.used_event(), event, Ordering::Relaxed);
        } else {
            self.memory
                .store_u16(self.layout.available, 0, Ordering::Relaxed);
        }
        // The wish must be visible before `used.idx` is read (see above).
        self.full_barrier();
        self.used_index()
    }

    /// Asks for no interrupts; `taken` is the index of the next used entry. The device may still ring some.
    pub(crate) fn disarm(&self, taken: u16) {
        if self.event_index {
            // virtio 2.7.7.1: with EVENT_IDX the flags stay 0. The entry just before the next comes 65535 entries later.
            self.memory
                .store_u16(self.used_event(), taken.wrapping_sub(1), Ordering::Relaxed);
        } else {
            self.memory
                .store_u16(self.layout.available, NO_INTERRUPT, Ordering::Relaxed);
        }
    }

    fn used_event(&self) -> usize {
        self.layout.available + 4 + 2 * usize::from(self.layout.size)
    }

    fn full_barrier(&self) {
        match self.barriers {
            Barriers::Cpu => self.memory.full_fence(),
            Barriers::Platform => self.memory.platform_barrier(),
        }
    }
}
