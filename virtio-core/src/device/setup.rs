//! Making queues, between FEATURES_OK and DRIVER_OK (virtio 4.1.5.1).

use super::{Device, FeaturesOk, Running, common};
use crate::dma::RegionKind;
use crate::error::{DeviceError, QueueError};
use crate::features::{Agreed, Features};
use crate::queue::{QueueParts, SplitQueue};
use crate::registers::Registers;
use crate::ring::{Barriers, Layout};
use crate::space::DmaSpace;
use crate::status::Status;

/// No MSI-X vector, or the device's answer that it has none left (virtio 4.1.4.3).
const NO_VECTOR: u16 = 0xffff;
/// The largest split queue (virtio 2.7).
const LARGEST_QUEUE: u16 = 32768;

/// What a queue shall be like.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// The number of the queue in the device.
    pub index: u16,
    /// Descriptors wanted; the queue gets the largest power of two that neither this nor the device exceeds.
    pub size: u16,
    /// The MSI-X vector that rings when a buffer was used; `None` for INTx or for none at all.
    pub vector: Option<u16>,
    /// The longest chain that is laid into an indirect table, if the device can do that; 0 for no tables. Each
    /// descriptor gets a table of this many entries of 16 bytes.
    pub indirect: u16,
}

impl Device<FeaturesOk> {
    /// What was agreed on.
    pub fn agreed(&self) -> Agreed {
        self.state.0
    }

    /// How many queues the device has, with these features.
    pub fn queue_count(&self) -> u16 {
        self.core.transport.common.read_u16(common::NUM_QUEUES)
    }

    /// Sets the MSI-X vector that rings when the configuration changes; `None` for none (virtio 4.1.5.1.2).
    ///
    /// # Errors
    /// The device has no vector left.
    pub fn set_config_vector(&mut self, vector: Option<u16>) -> Result<(), DeviceError> {
        self.set_vector(common::CONFIG_MSIX_VECTOR, vector)
            .map_err(|vector| DeviceError::VectorRefused { vector })
    }

    /// Writes a vector and reads it back: the device answers NO_VECTOR when it could not map it.
    fn set_vector(&self, register: usize, vector: Option<u16>) -> Result<(), u16> {
        let common = &self.core.transport.common;
        common.write_u16(register, vector.unwrap_or(NO_VECTOR));
        match vector {
            Some(vector) if vector == NO_VECTOR || common.read_u16(register) != vector => {
                Err(vector)
            }
            _ => Ok(()),
        }
    }

    /// Makes a queue and enables it (virtio 4.1.5.1.3). Chains may be posted and published before `driver_ok`; the
    /// doorbell rings afterwards.
    ///
    /// # Errors
    /// The device has no such queue, breaks a rule, or there is no memory.
    pub fn queue(
        &mut self,
        options: QueueOptions,
        dma: &mut DmaSpace,
    ) -> Result<SplitQueue, QueueError> {
        let common = &self.core.transport.common;
        common.write_u16(common::QUEUE_SELECT, options.index);
        let size = self.choose_size(options.index, options.size)?;
        let notify_offset = self.doorbell_offset()?;
        self.set_vector(common::QUEUE_MSIX_VECTOR, options.vector)
            .map_err(|vector| QueueError::VectorRefused { vector })?;
        let layout = self.layout(size, options.indirect);
        let region = dma.allocate(RegionKind::Queue, layout.length)?;
        let address = |part: usize| region.address().0.saturating_add(part as u64);
        common.write_u64(common::QUEUE_DESC, address(layout.descriptors));
        common.write_u64(common::QUEUE_DRIVER, address(layout.available));
        common.write_u64(common::QUEUE_DEVICE, address(layout.used));
        let accepted = self.state.0.accepted;
        let queue = SplitQueue::new(QueueParts {
            region,
            layout,
            event_index: accepted.contains(Features::EVENT_IDX),
            barriers: Barriers::agreed(accepted),
            index: options.index,
            notify_offset,
            space: dma.id(),
            epoch: self.core.epoch.clone(),
        });
        common.write_u16(common::QUEUE_ENABLE, 1);
        Ok(queue)
    }

    fn layout(&self, size: u16, indirect: u16) -> Layout {
        let possible = self.state.0.accepted.contains(Features::INDIRECT_DESC);
        // virtio 2.7.5.3.1: a table is not longer than the queue. Tables of one entry would be of no use.
        let entries = indirect.min(size);
        Layout::new(size, if possible && entries > 1 { entries } else { 0 })
    }

    /// The largest power of two that neither the wish nor the device exceeds.
    fn choose_size(&self, index: u16, wish: u16) -> Result<u16, QueueError> {
        let common = &self.core.transport.common;
        let largest = common.read_u16(common::QUEUE_SIZE);
        // virtio 4.1.5.1.3: size 0 means that there is no such queue.
        if largest == 0 || wish == 0 {
            return Err(QueueError::Unavailable { index });
        }
        if common.read_u16(common::QUEUE_ENABLE) != 0 {
            return Err(QueueError::AlreadyEnabled { index });
        }
        // virtio 2.7: the size is a power of two. A device that offers another gets the next smaller one.
        let written = 1 << largest.min(wish).min(LARGEST_QUEUE).ilog2();
        common.write_u16(common::QUEUE_SIZE, written);
        match common.read_u16(common::QUEUE_SIZE) {
            read if read == written => Ok(written),
            read => Err(QueueError::SizeNotKept { written, read }),
        }
    }

    /// Where the doorbell of the selected queue lies (virtio 4.1.4.4). A multiplier of 0 means one doorbell for all.
    fn doorbell_offset(&self) -> Result<usize, QueueError> {
        let transport = &self.core.transport;
        let number = usize::from(transport.common.read_u16(common::QUEUE_NOTIFY_OFF));
        let offset = number.checked_mul(transport.notify_multiplier as usize);
        match offset {
            Some(offset) if offset.saturating_add(2) <= transport.notify.length() => Ok(offset),
            offset => Err(QueueError::DoorbellOutside { offset }),
        }
    }

    /// Makes the device live (virtio 3.1.1, step 8).
    ///
    /// # Errors
    /// The device is gone or does not keep its status.
    pub fn driver_ok(mut self) -> Result<Device<Running>, DeviceError> {
        // First the note, then the deed: from the write on the device may use its queues, which must be in memory.
        self.core.epoch.start();
        Barriers::Platform.full();
        self.core.advance(Status::DRIVER_OK)?;
        Ok(Device {
            core: self.core,
            state: Running(self.state.0),
        })
    }
}
