//! A machine that exists only in tests: memory, a virtio PCI device made of plain values, and the device's end of its
//! queues. For the tests of this crate and of drivers built on it.

// A defect that a test finds is a panic, also in the machinery of tests.
#![allow(clippy::panic)]

mod device;
mod memory;
mod ring;

pub use device::{FakeDevice, FakeQueue, FakeState};
pub use memory::TestMemory;
pub use ring::{DeviceChain, DevicePart, DeviceQueue};
