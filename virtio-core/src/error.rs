//! What can go wrong with a device as a whole, while a queue is made, and with memory.

use core::fmt;

use crate::device::CONFIG_TRIES;
use crate::dma::DeviceAddress;
use crate::features::{Disagreement, Named};
use crate::status::Status;

/// Why a device could not be brought up, or what it did that it must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// The status did not read 0 after a reset, however often it was read.
    ResetNotDone {
        /// The status last read.
        status: Status,
    },
    /// Every register reads as ones: the device is no longer there.
    Gone,
    /// The device did not keep a status bit that the driver wrote.
    StatusNotKept {
        /// What was written.
        written: Status,
        /// What was read back.
        read: Status,
    },
    /// Driver and device do not agree on the features.
    Features {
        /// Why.
        why: Disagreement,
        /// What the device offered, by name.
        offered: Named,
    },
    /// The device cleared FEATURES_OK: it cannot work with what was accepted (virtio 3.1.1, step 6).
    FeaturesRefused {
        /// What was accepted.
        accepted: Named,
        /// What was offered and not accepted.
        declined: Named,
    },
    /// The configuration changed under every attempt to read it.
    ConfigUnsettled,
    /// The device has no MSI-X vector left for configuration changes (virtio 4.1.5.1.2).
    VectorRefused {
        /// The vector.
        vector: u16,
    },
    /// The queue is not of this device, or of its life before the last reset.
    ForeignQueue,
}

/// Why a queue could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The device has fewer queues, or says size 0.
    Unavailable {
        /// The queue.
        index: u16,
    },
    /// The queue is already enabled.
    AlreadyEnabled {
        /// The queue.
        index: u16,
    },
    /// The device did not keep the size that the driver chose.
    SizeNotKept {
        /// What was written.
        written: u16,
        /// What was read back.
        read: u16,
    },
    /// The device has no MSI-X vector left for the queue (virtio 4.1.5.1.2).
    VectorRefused {
        /// The vector.
        vector: u16,
    },
    /// The doorbell would lie outside the notification registers.
    DoorbellOutside {
        /// Its offset in bytes, if that can be said.
        offset: Option<usize>,
    },
    /// No memory for the queue, or memory that the audit refuses.
    Memory(DmaError),
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetNotDone { status } => write!(
                f,
                "the device does not come out of its reset, status {status}"
            ),
            Self::Gone => write!(f, "the device is gone: its registers read as ones"),
            Self::StatusNotKept { written, read } => {
                write!(f, "status {written} was written, {read} read back")
            }
            Self::Features { why, offered } => why.describe(*offered, f),
            Self::FeaturesRefused { accepted, declined } => write!(
                f,
                "the device refuses to work with the features accepted ({accepted}); it also offered {declined}"
            ),
            Self::ConfigUnsettled => write!(
                f,
                "the configuration changed {CONFIG_TRIES} times while it was read"
            ),
            Self::VectorRefused { vector } => {
                write!(f, "the device refuses MSI-X vector {vector} for changes")
            }
            Self::ForeignQueue => write!(f, "the queue is not of this device since its last reset"),
        }
    }
}

impl core::error::Error for DeviceError {}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { index } => write!(f, "the device has no queue {index}"),
            Self::AlreadyEnabled { index } => write!(f, "queue {index} is in use already"),
            Self::SizeNotKept { written, read } => {
                write!(f, "queue size {written} was written, {read} read back")
            }
            Self::VectorRefused { vector } => {
                write!(f, "the device refuses MSI-X vector {vector} for a queue")
            }
            Self::DoorbellOutside {
                offset: Some(offset),
            } => {
                write!(
                    f,
                    "a doorbell at {offset:#x}, outside the notification registers"
                )
            }
            Self::DoorbellOutside { offset: None } => write!(f, "a doorbell beyond all addresses"),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for QueueError {}

impl From<DmaError> for QueueError {
    fn from(error: DmaError) -> Self {
        Self::Memory(error)
    }
}

/// What a piece of memory is for, as the audit names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// The registers of the device.
    Registers,
    /// Descriptors, available ring, used ring and indirect tables of a queue.
    Queue,
    /// Buffers of a pool.
    Pool,
}

/// Why there is no memory, or what the audit of device addresses found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DmaError {
    /// The allocator has no more.
    OutOfMemory {
        /// Bytes asked for.
        length: usize,
    },
    /// The allocator failed with an error of the system.
    System {
        /// The errno.
        errno: i32,
    },
    /// No buffers, empty buffers, or more than 2^32 bytes asked for.
    BadSize,
    /// The allocator gave less than was asked for.
    TooShort {
        /// Bytes asked for.
        asked: usize,
        /// Bytes given.
        given: usize,
    },
    /// The allocator gave a pointer or device address that is not aligned as asked.
    Misaligned {
        /// The device address.
        address: DeviceAddress,
        /// The alignment asked for, in bytes.
        alignment: usize,
    },
    /// The device address is the pointer itself: somebody forgot to translate it.
    NotTranslated {
        /// The device address.
        address: DeviceAddress,
    },
    /// The memory would reach beyond the last address.
    BeyondLastAddress {
        /// The device address of its first byte.
        address: DeviceAddress,
    },
    /// Two pieces share device addresses.
    Overlap {
        /// What the new piece is for.
        new: RegionKind,
        /// What it overlaps.
        old: RegionKind,
        /// The device address of the new piece.
        address: DeviceAddress,
    },
}

impl fmt::Display for DmaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { length } => write!(f, "no {length} bytes of memory for the device"),
            Self::System { errno } => write!(
                f,
                "allocating memory for the device failed with errno {errno}"
            ),
            Self::BadSize => write!(f, "a pool or queue of a size that cannot be"),
            Self::TooShort { asked, given } => {
                write!(f, "asked for {asked} bytes of device memory, got {given}")
            }
            Self::Misaligned { address, alignment } => {
                write!(
                    f,
                    "device memory at {address} is not aligned to {alignment} bytes"
                )
            }
            Self::NotTranslated { address } => {
                write!(
                    f,
                    "device address {address} is the virtual address: it was never translated"
                )
            }
            Self::BeyondLastAddress { address } => {
                write!(f, "device memory at {address} reaches beyond 2^64")
            }
            Self::Overlap { new, old, address } => {
                write!(f, "{new:?} memory at {address} overlaps {old:?} memory")
            }
        }
    }
}

impl core::error::Error for DmaError {}
