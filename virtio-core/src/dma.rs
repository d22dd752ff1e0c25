//! Memory that a device can reach, and buffers cut from it.

#![allow(unsafe_code)]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;
#[cfg(any(test, feature = "testing"))]
use core::sync::atomic::AtomicU8;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::bits::Bits;
pub use crate::error::{DmaError, RegionKind};
use crate::space::SpaceId;

/// Bytes of known content before and after each buffer and each part of a queue, in debug and test builds. A device
/// that writes past its buffer damages one of them before it damages anything that matters.
pub(crate) const CANARY_LENGTH: usize = if cfg!(any(test, debug_assertions)) {
    64
} else {
    0
};
const CANARY: u64 = 0xc0a1_e5ca_9a41_e5ca;
/// Buffers and queue parts start on a cache line of their own.
pub(crate) const LINE: usize = 64;

/// An address as the device uses it: a physical address, or what the platform's IOMMU makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceAddress(pub u64);

impl fmt::Display for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// One piece of memory that the device can reach, contiguous for the CPU and for the device. It is freed when dropped.
///
/// # Safety
/// Until it is dropped, `pointer()` must be valid for reads and writes of `length()` bytes, must not change, and
/// nothing but the device and the holder of this value may touch those bytes. `device_address()` must be where the
/// device finds the very same bytes, all `length()` of them. Fresh memory must be zeroed.
pub unsafe trait DmaMemory: Send {
    /// Where the CPU finds the memory.
    fn pointer(&self) -> NonNull<u8>;
    /// Where the device finds it.
    fn device_address(&self) -> DeviceAddress;
    /// Bytes.
    fn length(&self) -> usize;
}

/// Where memory that the device can reach comes from.
pub trait DmaAllocator: Send {
    /// At least `length` zeroed bytes whose pointer and device address are multiples of `alignment`, a power of two.
    fn allocate(&self, length: usize, alignment: usize) -> Result<Box<dyn DmaMemory>, DmaError>;
}

impl<T: DmaAllocator + Sync> DmaAllocator for Arc<T> {
    fn allocate(&self, length: usize, alignment: usize) -> Result<Box<dyn DmaMemory>, DmaError> {
        (**self).allocate(length, alignment)
    }
}

/// Audited memory of known use. The only access to it is by atomic loads and stores, and by the slices of [`Buffer`].
pub(crate) struct Region {
    base: NonNull<u8>,
    address: DeviceAddress,
    length: usize,
    /// Frees the memory.
    _memory: Box<dyn DmaMemory>,
}

// SAFETY: the memory may be used from every thread (`DmaMemory: Send`, and nobody else touches it). `Region` itself only
// does atomic accesses; slices are made by `Buffer`, which is the one owner of its range.
unsafe impl Send for Region {}
// SAFETY: as above; `_memory` is never used through a shared reference.
unsafe impl Sync for Region {}

impl Region {
    /// Takes memory over. `space.rs` audits it.
    pub(crate) fn new(memory: Box<dyn DmaMemory>) -> Self {
        Self {
            base: memory.pointer(),
            address: memory.device_address(),
            length: memory.length(),
            _memory: memory,
        }
    }

    pub(crate) fn address(&self) -> DeviceAddress {
        self.address
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn pointer(&self) -> NonNull<u8> {
        self.base
    }

    /// Where the `T` at `offset` is. Offsets come from this crate's own arithmetic, never from a device: one outside
    /// is a bug here and must not become an access outside.
    fn cell<T>(&self, offset: usize) -> *mut T {
        let inside = offset
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= self.length);
        assert!(
            inside && offset.is_multiple_of(align_of::<T>()),
            "offset {offset:#x} in a region of {:#x}",
            self.length
        );
        self.base.as_ptr().wrapping_add(offset).cast()
    }

    pub(crate) fn load_u16(&self, offset: usize, order: Ordering) -> u16 {
        // SAFETY: `cell` checked bounds and alignment (regions are aligned to 64 bytes or more); the memory is valid
        // while `self` lives; both sides access it by single loads and stores only.
        u16::from_le(unsafe { AtomicU16::from_ptr(self.cell(offset)) }.load(order))
    }

    pub(crate) fn store_u16(&self, offset: usize, value: u16, order: Ordering) {
        // SAFETY: as in `load_u16`.
        unsafe { AtomicU16::from_ptr(self.cell(offset)) }.store(value.to_le(), order);
    }

    pub(crate) fn load_u32(&self, offset: usize) -> u32 {
        // SAFETY: as in `load_u16`.
        u32::from_le(unsafe { AtomicU32::from_ptr(self.cell(offset)) }.load(Ordering::Relaxed))
    }

    pub(crate) fn store_u32(&self, offset: usize, value: u32) {
        // SAFETY: as in `load_u16`.
        unsafe { AtomicU32::from_ptr(self.cell(offset)) }.store(value.to_le(), Ordering::Relaxed);
    }

    fn load_u64(&self, offset: usize) -> u64 {
        // SAFETY: as in `load_u16`.
        u64::from_le(unsafe { AtomicU64::from_ptr(self.cell(offset)) }.load(Ordering::Relaxed))
    }

    pub(crate) fn store_u64(&self, offset: usize, value: u64) {
        // SAFETY: as in `load_u16`.
        unsafe { AtomicU64::from_ptr(self.cell(offset)) }.store(value.to_le(), Ordering::Relaxed);
    }

    /// Writes the canary that starts at `offset`. Nothing in release builds.
    pub(crate) fn plant_canary(&self, offset: usize) {
        for at in (offset..offset + CANARY_LENGTH).step_by(8) {
            self.store_u64(at, CANARY);
        }
    }

    /// Whether the canary that starts at `offset` is as it was written. Always true in release builds.
    pub(crate) fn canary_is_whole(&self, offset: usize) -> bool {
        (offset..offset + CANARY_LENGTH)
            .step_by(8)
            .all(|at| self.load_u64(at) == CANARY)
    }
}

struct PoolShared {
    region: Arc<Region>,
    space: SpaceId,
    buffer_length: usize,
    stride: usize,
    count: usize,
    /// The buffers that nobody owns. A `Buffer` value exists for exactly those that are not in here.
    free: Bits,
    /// The buffers that a queue has given to the device.
    posted: Bits,
}

impl PoolShared {
    fn offset(&self, index: usize) -> usize {
        CANARY_LENGTH + index * self.stride
    }
}

/// Buffers of equal size, cut from one piece of memory. A clone is another handle to the same buffers; the memory
/// lives as long as any handle or buffer.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<PoolShared>,
}

impl Pool {
    /// Bytes of memory for a pool, or `None` if the sizes cannot be.
    pub(crate) fn memory_length(count: usize, buffer_length: usize) -> Option<usize> {
        let stride = Self::stride(buffer_length)?;
        let length = count.checked_mul(stride)?.checked_add(CANARY_LENGTH)?;
        let fits = count > 0 && buffer_length > 0 && u32::try_from(length).is_ok();
        fits.then_some(length)
    }

    fn stride(buffer_length: usize) -> Option<usize> {
        buffer_length
            .checked_next_multiple_of(LINE)?
            .checked_add(CANARY_LENGTH)
    }

    /// Cuts an audited region of at least `memory_length` bytes. See `DmaSpace::pool`.
    pub(crate) fn cut(
        region: Arc<Region>,
        space: SpaceId,
        count: usize,
        buffer_length: usize,
    ) -> Result<Self, DmaError> {
        let asked = Self::memory_length(count, buffer_length).ok_or(DmaError::BadSize)?;
        if region.length() < asked {
            return Err(DmaError::TooShort {
                asked,
                given: region.length(),
            });
        }
        let stride = Self::stride(buffer_length).ok_or(DmaError::BadSize)?;
        region.plant_canary(0);
        for index in 0..count {
            region.plant_canary(CANARY_LENGTH + index * stride + stride - CANARY_LENGTH);
        }
        let (free, posted) = (Bits::full(count), Bits::empty(count));
        Ok(Self {
            shared: Arc::new(PoolShared {
                region,
                space,
                buffer_length,
                stride,
                count,
                free,
                posted,
            }),
        })
    }

    /// A free buffer, with whatever its last user left in it; `None` if all are in use.
    pub fn take(&self) -> Option<Buffer> {
        let index = self.shared.free.remove_any()?;
        Some(Buffer {
            pool: self.shared.clone(),
            index,
        })
    }

    /// All buffers, free or not.
    pub fn count(&self) -> usize {
        self.shared.count
    }

    /// Buffers that nobody owns.
    pub fn free(&self) -> usize {
        self.shared.free.count()
    }

    /// Buffers that are posted to a queue.
    pub fn posted(&self) -> usize {
        self.shared.posted.count()
    }

    /// Bytes in each buffer.
    pub fn buffer_length(&self) -> usize {
        self.shared.buffer_length
    }

    /// The device addresses of the whole pool.
    pub fn device_range(&self) -> Range<u64> {
        let start = self.shared.region.address().0;
        start..start.saturating_add(self.shared.region.length() as u64)
    }

    /// Whether all canaries are as they were written. Always true in release builds.
    pub fn canaries_are_whole(&self) -> bool {
        let shared = &self.shared;
        (0..=shared.count).all(|index| shared.region.canary_is_whole(index * shared.stride))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (free, posted) = (self.free(), self.posted());
        write!(
            f,
            "Pool({} of {} B, {free} free, {posted} posted)",
            self.count(),
            self.buffer_length()
        )
    }
}

/// A buffer of a pool. This value is its one owner: while the driver holds it, its bytes are the driver's; posting
/// moves it into the queue; dropping it gives it back to the pool.
///
/// The bytes stay what their last user wrote: read no more than the device said it wrote ([`crate::Used::written`]).
pub struct Buffer {
    pool: Arc<PoolShared>,
    index: usize,
}

impl Buffer {
    /// The bytes, all of them.
    pub fn bytes(&self) -> &[u8] {
        let start = self.pool.region.cell::<u8>(self.pool.offset(self.index));
        // SAFETY: `Pool::cut` laid this range inside the region and apart from every other; this value is its one
        // owner, and the device does not have it (a posted buffer is inside a queue, which never calls this).
        unsafe { core::slice::from_raw_parts(start, self.pool.buffer_length) }
    }

    /// The bytes, all of them, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.pool.region.cell::<u8>(self.pool.offset(self.index));
        // SAFETY: as in `bytes`, and `self` is borrowed uniquely.
        unsafe { core::slice::from_raw_parts_mut(start, self.pool.buffer_length) }
    }

    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.pool.buffer_length
    }

    /// The number of the buffer in its pool, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Where the device finds the first byte.
    pub fn device_address(&self) -> DeviceAddress {
        DeviceAddress(
            self.pool
                .region
                .address()
                .0
                .saturating_add(self.pool.offset(self.index) as u64),
        )
    }

    /// Whether the buffer is of this pool.
    pub fn is_of(&self, pool: &Pool) -> bool {
        Arc::ptr_eq(&self.pool, &pool.shared)
    }

    pub(crate) fn space(&self) -> SpaceId {
        self.pool.space
    }

    /// The device gets the buffer; false if it has it already.
    pub(crate) fn mark_posted(&self) -> bool {
        self.pool.posted.insert(self.index)
    }

    /// The device has given the buffer back; false if it did not have it.
    pub(crate) fn mark_taken(&self) -> bool {
        self.pool.posted.remove(self.index)
    }

    /// Whether the canaries before and after are as they were written. Always true in release builds.
    pub(crate) fn canaries_are_whole(&self) -> bool {
        let start = self.pool.offset(self.index) - CANARY_LENGTH;
        self.pool.region.canary_is_whole(start)
            && self.pool.region.canary_is_whole(start + self.pool.stride)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.free.insert(self.index);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Buffer({} at {}, {} B)",
            self.index,
            self.device_address(),
            self.length()
        )
    }
}

/// Pages for tests, on the heap or in a guest: the driver's end holds one handle to them, the device's end another,
/// and neither makes a reference to the bytes but as `Region` and `Buffer` do.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone)]
pub(crate) struct SharedPages {
    base: NonNull<u8>,
    address: DeviceAddress,
    length: usize,
    _keep: Arc<dyn core::any::Any + Send + Sync>,
    /// What the driver's handle alone holds, so that it can be seen when it is gone.
    pub(crate) lease: Option<Arc<()>>,
}

// SAFETY: the memory belongs to no thread, and `_keep` is `Send`.
#[cfg(any(test, feature = "testing"))]
unsafe impl Send for SharedPages {}

// SAFETY: `_keep` keeps the memory; it was zeroed when it was made; the device's end uses it as a device does. The
// address is what the device's end knows it by, or one that the audit refuses.
#[cfg(any(test, feature = "testing"))]
unsafe impl DmaMemory for SharedPages {
    fn pointer(&self) -> NonNull<u8> {
        self.base
    }
    fn device_address(&self) -> DeviceAddress {
        self.address
    }
    fn length(&self) -> usize {
        self.length
    }
}

#[cfg(any(test, feature = "testing"))]
impl SharedPages {
    /// `length` zeroed bytes on the heap, on a page boundary, which the device knows by `address`.
    pub(crate) fn heap(address: u64, length: usize) -> Self {
        #[repr(align(4096))]
        struct Page {
            _words: [AtomicU64; 512],
        }
        let page = || Page {
            _words: [const { AtomicU64::new(0) }; 512],
        };
        let pages: Arc<[Page]> = (0..length.div_ceil(4096)).map(|_| page()).collect();
        Self {
            // The words are atomic: what the pointer is used for is allowed through a shared reference.
            base: NonNull::from(&*pages).cast(),
            address: DeviceAddress(address),
            length,
            _keep: Arc::new(pages),
            lease: None,
        }
    }

    /// The same pages that say of themselves what is not so, for the audit to refuse.
    #[cfg(test)]
    pub(crate) fn claiming(mut self, address: u64, shorter_by: usize) -> Self {
        self.address = DeviceAddress(address);
        self.length = self.length.saturating_sub(shorter_by);
        self
    }

    /// `length` bytes of a rust-vmm guest, which are at the same address for the device.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn guest(
        memory: &vm_memory::GuestMemoryMmap,
        address: u64,
        length: usize,
    ) -> Option<Self> {
        use vm_memory::{GuestAddress, GuestMemoryBackend};
        let slice = memory.get_slice(GuestAddress(address), length).ok()?;
        Some(Self {
            base: NonNull::new(slice.ptr_guard_mut().as_ptr())?,
            address: DeviceAddress(address),
            length,
            _keep: Arc::new(memory.clone()),
            lease: None,
        })
    }
}

#[cfg(any(test, feature = "testing"))]
impl Region {
    pub(crate) fn load_u8(&self, offset: usize) -> u8 {
        // SAFETY: as in `load_u16`.
        unsafe { AtomicU8::from_ptr(self.cell(offset)) }.load(Ordering::Relaxed)
    }

    pub(crate) fn store_u8(&self, offset: usize, value: u8) {
        // SAFETY: as in `load_u16`.
        unsafe { AtomicU8::from_ptr(self.cell(offset)) }.store(value, Ordering::Relaxed);
    }
}
