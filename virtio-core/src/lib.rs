//! Virtqueues and the virtio PCI transport.
//!
//! The crate knows no operating system: registers are reached through [`Registers`], memory that the device can
//! reach through [`DmaMemory`]; there is no clock, no call into a kernel and no log. A driver is put together so:
//!
//! 1. [`pci::Structures::parse`] finds the virtio structures in the vendor capabilities, `transport()` binds them to registers;
//! 2. [`Device::new`] → [`acknowledge`](Device::acknowledge) → [`driver`](Device::driver) →
//!    [`negotiate`](Device::negotiate) → [`queue`](Device::queue) (once per queue) → [`driver_ok`](Device::driver_ok);
//! 3. buffers of a [`Pool`] are [posted](SplitQueue::post), [published](SplitQueue::publish), announced by a
//!    [`Doorbell`] and [taken](SplitQueue::take) back with the number of bytes that the device wrote.
//!
//! # What holds whatever the device does
//! - A buffer has one owner: the pool, the driver or the queue. While the queue owns it nobody reads or writes its bytes.
//! - Every descriptor id and length that the device gives is checked against the driver's own copy of what was
//!   posted. A lie is a [`DeviceFault`]; from then on the queue takes nothing more from that device.
//! - Memory that a running device may write is not freed and not reused before a reset of the device was read back.
//! - Nothing blocks and every loop is bounded.
//!
//! "virtio" in comments is the Virtual I/O Device specification, version 1.2.

#![cfg_attr(not(test), no_std)]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod bits;
pub mod chain;
pub mod device;
pub mod dma;
mod epoch;
pub mod error;
pub mod fault;
pub mod features;
pub mod msix;
pub mod notify;
pub mod pci;
pub mod queue;
pub mod registers;
mod ring;
mod shadow;
pub mod space;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use chain::{Chain, Part, PostError, Refused, Used};
pub use device::{Device, QueueOptions};
pub use dma::{Buffer, DeviceAddress, DmaAllocator, DmaError, DmaMemory, Pool};
pub use error::{DeviceError, QueueError};
pub use fault::DeviceFault;
pub use features::{Features, Wishes};
pub use notify::{Doorbell, InterruptStatus, Interrupted};
pub use queue::{QueueStats, SplitQueue};
pub use registers::{MappedRegisters, Registers, Window};
pub use space::DmaSpace;
pub use status::Status;
