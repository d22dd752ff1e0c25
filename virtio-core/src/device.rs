//! A device from reset to reset, one type per step (virtio 3.1.1, 4.1.4.3).
//!
//! ```text
//! Device<Reset> ─acknowledge→ <Acknowledged> ─driver→ <Known> ─negotiate→ <FeaturesOk> ─queue…─driver_ok→ <Running>
//!       ↑                                                                                                      │
//!       └────────────────────────────────────────────── reset ─────────────────────────────────────────────────┘
//! ```
//! A step that fails sets FAILED, and so does dropping a device on the way. Dropping a running device resets it.
//! Doorbells come from a running device only, so that none can ring before DRIVER_OK:
//!
//! ```compile_fail,E0599
//! use virtio_core::{Device, SplitQueue, device::FeaturesOk};
//! fn too_early(device: &Device<FeaturesOk>, queue: &SplitQueue) {
//!     device.doorbell(queue);
//! }
//! ```

use alloc::sync::Arc;

use crate::epoch::Epoch;
use crate::error::DeviceError;
use crate::features::{Agreed, Features, Wishes};
use crate::notify::Doorbell;
pub use crate::notify::{InterruptStatus, Interrupted};
use crate::pci::Transport;
use crate::queue::SplitQueue;
use crate::registers::Registers;
use crate::status::Status;

mod setup;

pub use setup::QueueOptions;

/// Offsets in the common configuration (virtio 4.1.4.3).
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0;
    pub(super) const DEVICE_FEATURE: usize = 4;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 8;
    pub(super) const DRIVER_FEATURE: usize = 12;
    pub(super) const CONFIG_MSIX_VECTOR: usize = 16;
    pub(super) const NUM_QUEUES: usize = 18;
    pub(super) const DEVICE_STATUS: usize = 20;
    pub(super) const CONFIG_GENERATION: usize = 21;
    pub(super) const QUEUE_SELECT: usize = 22;
    pub(super) const QUEUE_SIZE: usize = 24;
    pub(super) const QUEUE_MSIX_VECTOR: usize = 26;
    pub(super) const QUEUE_ENABLE: usize = 28;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 30;
    pub(super) const QUEUE_DESC: usize = 32;
    pub(super) const QUEUE_DRIVER: usize = 40;
    pub(super) const QUEUE_DEVICE: usize = 48;
}

/// How often a configuration that changes while it is read is read again.
pub(crate) const CONFIG_TRIES: usize = 100;

/// A device that was reset.
#[derive(Debug)]
pub struct Reset(());
/// A device that was told that it was found.
#[derive(Debug)]
pub struct Acknowledged(());
/// A device that was told that the driver knows how to drive it.
#[derive(Debug)]
pub struct Known(());
/// A device that has accepted the features; its queues are made now.
#[derive(Debug)]
pub struct FeaturesOk(Agreed);
/// A device after DRIVER_OK.
#[derive(Debug)]
pub struct Running(Agreed);

/// A device in the state `S`.
#[derive(Debug)]
pub struct Device<S> {
    core: Core,
    state: S,
}

/// What all states share. Dropping it gives the device up.
#[derive(Debug)]
struct Core {
    transport: Transport,
    epoch: Arc<Epoch>,
    status: Status,
    reset_polls: u32,
}

impl Core {
    fn read_status(&self) -> Status {
        Status(self.transport.common.read_u8(common::DEVICE_STATUS))
    }

    fn write_status(&mut self, status: Status) {
        self.status = status;
        self.transport
            .common
            .write_u8(common::DEVICE_STATUS, status.0);
    }

    /// Sets one bit more, and sees that the device kept it.
    fn advance(&mut self, bit: Status) -> Result<(), DeviceError> {
        let written = self.status.with(bit);
        self.write_status(written);
        match self.read_status() {
            read if read.is_gone() => Err(DeviceError::Gone),
            read if !read.contains(written) => Err(DeviceError::StatusNotKept { written, read }),
            _ => Ok(()),
        }
    }

    /// virtio 4.1.4.3.2: "After writing 0 to device_status, the driver MUST wait for a read of device_status to return 0".
    fn reset(&mut self) -> Result<(), DeviceError> {
        self.write_status(Status::RESET);
        let mut status = self.read_status();
        for _ in 0..self.reset_polls {
            if status == Status::RESET {
                break;
            }
            core::hint::spin_loop();
            status = self.read_status();
        }
        match status {
            Status::RESET => {
                self.epoch.end();
                self.epoch = Arc::new(Epoch::new());
                Ok(())
            }
            Status::GONE => Err(DeviceError::Gone),
            status => Err(DeviceError::ResetNotDone { status }),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.epoch.is_running() {
            // The last chance to stop the device. If it does not stop, its queues leak rather than free their memory.
            _ = self.reset();
        } else if self.status != Status::RESET {
            // virtio 3.1.1: "If any of these steps go irrecoverably wrong, the driver SHOULD set the FAILED status bit".
            self.write_status(self.status.with(Status::FAILED));
            // DRIVER_OK was never written and never will be: the queues of this life are dead.
            self.epoch.end();
        }
    }
}

impl Device<Reset> {
    /// Resets the device. `reset_polls` bounds how often the status is read before the device is given up; a real one
    /// needs a few, an overloaded host a few thousand.
    ///
    /// # Errors
    /// The device does not come out of the reset.
    pub fn new(transport: Transport, reset_polls: u32) -> Result<Self, DeviceError> {
        let mut core = Core {
            transport,
            epoch: Arc::new(Epoch::new()),
            status: Status::RESET,
            reset_polls,
        };
        core.reset()?;
        Ok(Self {
            core,
            state: Reset(()),
        })
    }

    /// Tells the device that it was found (virtio 3.1.1, step 2).
    ///
    /// # Errors
    /// The device is gone or does not keep its status.
    pub fn acknowledge(mut self) -> Result<Device<Acknowledged>, DeviceError> {
        self.core.advance(Status::ACKNOWLEDGE)?;
        Ok(Device {
            core: self.core,
            state: Acknowledged(()),
        })
    }
}

impl Device<Acknowledged> {
    /// Tells the device that the driver knows how to drive it (virtio 3.1.1, step 3).
    ///
    /// # Errors
    /// The device is gone or does not keep its status.
    pub fn driver(mut self) -> Result<Device<Known>, DeviceError> {
        self.core.advance(Status::DRIVER)?;
        Ok(Device {
            core: self.core,
            state: Known(()),
        })
    }
}

impl Device<Known> {
    /// What the device offers.
    pub fn offered(&self) -> Features {
        let common = &self.core.transport.common;
        let half = |select| {
            common.write_u32(common::DEVICE_FEATURE_SELECT, select);
            u64::from(common.read_u32(common::DEVICE_FEATURE))
        };
        Features(half(0) | half(1) << 32)
    }

    /// Agrees on features (virtio 3.1.1, steps 4 to 6). The configuration may be read before.
    ///
    /// # Errors
    /// Something required is missing, or the device refuses the choice.
    pub fn negotiate(mut self, wishes: &Wishes) -> Result<Device<FeaturesOk>, DeviceError> {
        let offered = self.offered();
        let agreed = wishes
            .choose(offered)
            .map_err(|why| DeviceError::Features {
                why,
                offered: offered.named(wishes.names),
            })?;
        let accepted = agreed.accepted;
        let common = &self.core.transport.common;
        for (select, half) in [(0, accepted.0 as u32), (1, (accepted.0 >> 32) as u32)] {
            common.write_u32(common::DRIVER_FEATURE_SELECT, select);
            common.write_u32(common::DRIVER_FEATURE, half);
        }
        self.core
            .advance(Status::FEATURES_OK)
            .map_err(|error| match error {
                DeviceError::StatusNotKept { .. } => DeviceError::FeaturesRefused {
                    accepted: accepted.named(wishes.names),
                    declined: offered.without(accepted).named(wishes.names),
                },
                other => other,
            })?;
        Ok(Device {
            core: self.core,
            state: FeaturesOk(agreed),
        })
    }
}

impl Device<Running> {
    /// What was agreed on.
    pub fn agreed(&self) -> Agreed {
        self.state.0
    }

    /// The doorbell of a queue of this device.
    ///
    /// # Errors
    /// The queue is of another device, or of this one before its last reset.
    pub fn doorbell(&self, queue: &SplitQueue) -> Result<Doorbell, DeviceError> {
        if !Arc::ptr_eq(queue.epoch(), &self.core.epoch) {
            return Err(DeviceError::ForeignQueue);
        }
        Ok(Doorbell {
            registers: self.core.transport.notify.clone(),
            offset: queue.notify_offset(),
            queue: queue.index(),
            barriers: queue.barriers(),
            epoch: self.core.epoch.clone(),
        })
    }

    /// Stops the device. Once that was read back, its queues give their chains back
    /// ([`SplitQueue::reclaim`]), and it may be brought up anew.
    ///
    /// # Errors
    /// The device does not stop: its memory is leaked rather than used again.
    pub fn reset(mut self) -> Result<Device<Reset>, DeviceError> {
        self.core.reset()?;
        Ok(Device {
            core: self.core,
            state: Reset(()),
        })
    }
}

impl<S> Device<S> {
    /// The status as the device has it now: look here after a configuration interrupt for DEVICE_NEEDS_RESET.
    pub fn status(&self) -> Status {
        self.core.read_status()
    }

    /// The interrupt status register, which INTx needs and MSI-X does not; `None` if the device has none.
    pub fn interrupt_status(&self) -> Option<InterruptStatus> {
        self.core.transport.isr.clone().map(InterruptStatus)
    }

    /// Reads the device-specific configuration: `read` is called with its registers until the device did not change
    /// them meanwhile (virtio 2.5.1, 4.1.4.3.1). A device without any reads as all ones.
    ///
    /// # Errors
    /// It changed every time, or the device is gone.
    pub fn config<T>(&self, mut read: impl FnMut(&dyn Registers) -> T) -> Result<T, DeviceError> {
        let transport = &self.core.transport;
        let mut before = transport.common.read_u8(common::CONFIG_GENERATION);
        for _ in 0..CONFIG_TRIES {
            let value = read(&transport.config);
            let after = transport.common.read_u8(common::CONFIG_GENERATION);
            if before == after {
                // A device that is gone reads as ones all over, and would seem to have settled.
                let gone = after == u8::MAX && self.status().is_gone();
                return if gone {
                    Err(DeviceError::Gone)
                } else {
                    Ok(value)
                };
            }
            before = after;
        }
        Err(DeviceError::ConfigUnsettled)
    }

    /// Bytes of device-specific configuration.
    pub fn config_length(&self) -> usize {
        self.core.transport.config.length()
    }
}
