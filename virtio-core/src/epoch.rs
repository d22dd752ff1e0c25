//! From one reset of a device to the next: whether the device may be using memory.

use core::sync::atomic::{AtomicU8, Ordering};

/// One life of a device, shared by the device, its queues and its doorbells.
#[derive(Debug)]
pub(crate) struct Epoch(AtomicU8);

const SETUP: u8 = 0;
const RUNNING: u8 = 1;
const OVER: u8 = 2;

impl Epoch {
    /// A life that begins: the device was reset and has not seen DRIVER_OK.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(SETUP))
    }

    /// DRIVER_OK is about to be written: from now on the device uses memory.
    pub(crate) fn start(&self) {
        self.0.store(RUNNING, Ordering::Release);
    }

    /// The reset of the device was read back: it has stopped using memory.
    pub(crate) fn end(&self) {
        self.0.store(OVER, Ordering::Release);
    }

    /// The device uses no memory of this life any more, and never will.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) == OVER
    }

    /// Between DRIVER_OK and the reset.
    pub(crate) fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) == RUNNING
    }

    /// Before DRIVER_OK.
    pub(crate) fn is_setup(&self) -> bool {
        self.0.load(Ordering::Acquire) == SETUP
    }
}
