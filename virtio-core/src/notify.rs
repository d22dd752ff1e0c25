//! What goes between driver and device while it runs: doorbells one way, interrupts the other.

use alloc::sync::Arc;

use crate::epoch::Epoch;
use crate::queue::SplitQueue;
use crate::registers::{Registers, Window};
use crate::ring::Barriers;

/// The doorbell of one queue (virtio 4.1.5.2).
#[derive(Clone, Debug)]
pub struct Doorbell {
    pub(crate) registers: Window,
    pub(crate) offset: usize,
    pub(crate) queue: u16,
    pub(crate) barriers: Barriers,
    pub(crate) epoch: Arc<Epoch>,
}

impl Doorbell {
    /// Tells the device to look at the queue. Does nothing once the device was reset.
    pub fn ring(&self) {
        if self.epoch.is_running() {
            // The device must find the entries when the doorbell rings.
            self.barriers.full();
            self.registers.write_u16(self.offset, self.queue);
        }
    }

    /// Publishes what was posted and rings if the device wants it; true if it did. Nothing happens to a queue that is
    /// not the doorbell's own.
    pub fn publish(&self, queue: &mut SplitQueue) -> bool {
        if queue.index() != self.queue || !Arc::ptr_eq(queue.epoch(), &self.epoch) {
            return false;
        }
        queue.publish();
        let wanted = queue.notify_needed();
        if wanted {
            self.ring();
        }
        wanted
    }
}

/// The interrupt status register (virtio 4.1.4.5).
#[derive(Clone, Debug)]
pub struct InterruptStatus(pub(crate) Window);

/// Why the device has interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// It has used a buffer of some queue.
    pub queue: bool,
    /// Its configuration or status has changed.
    pub config: bool,
}

impl InterruptStatus {
    /// Reads why the device has interrupted, and thereby lowers its INTx line. Both are false when it was another
    /// device on the same line.
    pub fn read(&self) -> Interrupted {
        let bits = self.0.read_u8(0);
        Interrupted {
            queue: bits & 1 != 0,
            config: bits & 2 != 0,
        }
    }
}
