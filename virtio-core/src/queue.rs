//! The split virtqueue as a driver uses it: buffers go in, the same buffers come out.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use crate::chain::{Chain, Part, PostError, Refused, Used};
use crate::dma::Region;
use crate::epoch::Epoch;
use crate::fault::DeviceFault;
use crate::ring::{Barriers, Descriptor, INDIRECT, Layout, NEXT, Ring, WRITE};
use crate::shadow::Shadow;
use crate::space::SpaceId;

/// What has happened on a queue since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Chains posted.
    pub posted: u64,
    /// Chains published to the device.
    pub published: u64,
    /// Chains taken back.
    pub taken: u64,
    /// Times that the device wanted a doorbell after a publish.
    pub doorbells: u64,
    /// Times that it did not.
    pub doorbells_spared: u64,
    /// Chains without room to write for which the device said that it wrote (some do; nothing is read, so no harm).
    pub lengths_ignored: u64,
}

/// A split virtqueue (virtio 2.7). It owns the buffers that the device has.
///
/// The driver's loop, which loses no wake-up: take until there is nothing, post and publish, [`arm`](Self::arm), and
/// sleep only if that returned false.
///
/// Until a reset of the device was read back, the device may write to the queue's memory and buffers. A queue that is
/// dropped before leaks them. Reset (or drop) the device first, then [`reclaim`](Self::reclaim) or drop the queue.
pub struct SplitQueue {
    ring: Ring<Arc<Region>>,
    index: u16,
    notify_offset: usize,
    space: SpaceId,
    epoch: Arc<Epoch>,
    shadow: Shadow,
    /// Descriptors of chains that are posted and not yet published.
    unpublished: u16,
    /// Next entry of the available ring.
    available: u16,
    /// `avail.idx` as the device sees it.
    visible: u16,
    /// Entries made visible since `notify_needed` was last asked.
    unannounced: u32,
    /// Next entry of the used ring.
    used: u16,
    /// `used.idx` as last read and found plausible.
    used_seen: u16,
    fault: Option<DeviceFault>,
    stats: QueueStats,
}

/// How a queue comes to be: everything that `device.rs` found out.
pub(crate) struct QueueParts {
    pub(crate) region: Arc<Region>,
    pub(crate) layout: Layout,
    pub(crate) event_index: bool,
    pub(crate) barriers: Barriers,
    pub(crate) index: u16,
    pub(crate) notify_offset: usize,
    pub(crate) space: SpaceId,
    pub(crate) epoch: Arc<Epoch>,
}

impl SplitQueue {
    pub(crate) fn new(parts: QueueParts) -> Self {
        let QueueParts {
            region,
            layout,
            event_index,
            barriers,
            index,
            notify_offset,
            space,
            epoch,
        } = parts;
        for canary in layout.canaries() {
            region.plant_canary(canary);
        }
        let ring = Ring::new(region, layout, event_index, barriers);
        // Nobody wants interrupts before the first `arm`.
        ring.disarm(0);
        Self {
            ring,
            index,
            notify_offset,
            space,
            epoch,
            shadow: Shadow::new(layout.size),
            unpublished: 0,
            available: 0,
            visible: 0,
            unannounced: 0,
            used: 0,
            used_seen: 0,
            fault: None,
            stats: QueueStats::default(),
        }
    }

    /// The number of the queue in its device.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Descriptors in all: `free() + posted() + in_flight()`.
    pub fn size(&self) -> u16 {
        self.shadow.size()
    }

    /// Descriptors that are free.
    pub fn free(&self) -> u16 {
        self.shadow.free()
    }

    /// Descriptors of chains that are posted and not yet published.
    pub fn posted(&self) -> u16 {
        self.unpublished
    }

    /// Descriptors of chains that the device has.
    pub fn in_flight(&self) -> u16 {
        self.size() - self.free() - self.unpublished
    }

    /// What has happened so far.
    pub fn stats(&self) -> QueueStats {
        self.stats
    }

    /// What the device did wrong, if it did.
    pub fn fault(&self) -> Option<DeviceFault> {
        self.fault
    }

    pub(crate) fn epoch(&self) -> &Arc<Epoch> {
        &self.epoch
    }

    pub(crate) fn barriers(&self) -> Barriers {
        self.ring.barriers()
    }

    pub(crate) fn notify_offset(&self) -> usize {
        self.notify_offset
    }

    /// Posts a chain. The device sees it after the next `publish`.
    ///
    /// # Errors
    /// Gives the chain back with the reason.
    pub fn post(&mut self, chain: Chain) -> Result<(), Refused> {
        match self.admit(&chain) {
            Ok(Admitted { count, room, head }) => {
                self.shadow.enter(chain, count, room);
                self.ring.write_available(self.available, head);
                self.available = self.available.wrapping_add(1);
                self.unpublished = self.unpublished.saturating_add(count);
                self.stats.posted = self.shadow.posted();
                Ok(())
            }
            Err(error) => Err(Refused { chain, error }),
        }
    }

    /// Checks everything, marks the buffers as posted and writes the descriptors.
    fn admit(&self, chain: &Chain) -> Result<Admitted, PostError> {
        if self.fault.is_some() || self.epoch.is_over() {
            return Err(PostError::Broken);
        }
        let room = chain.check(self.space)?;
        let parts = u16::try_from(chain.length()).map_err(|_| PostError::TooLong)?;
        let indirect = parts > 1 && parts <= self.ring.layout().table_entries;
        let count = if indirect { 1 } else { parts };
        if count > self.size() {
            return Err(PostError::TooLong);
        }
        let (head, ids) = self.shadow.next(count).ok_or(PostError::Full)?;
        mark(chain)?;
        if indirect {
            self.write_table(head, parts, chain);
        } else {
            let following = ids.iter().skip(1).copied().map(Some).chain([None]);
            for ((part, id), next) in chain.parts().zip(ids).zip(following) {
                self.ring.write_descriptor(*id, descriptor(part, next));
            }
        }
        Ok(Admitted { count, room, head })
    }

    /// virtio 2.7.5.3: the table's entries are chained by their numbers, and its descriptor has no NEXT.
    fn write_table(&self, head: u16, parts: u16, chain: &Chain) {
        for (part, entry) in chain.parts().zip(0..parts) {
            let next = (entry + 1 < parts).then_some(entry + 1);
            self.ring
                .write_table_entry(head, entry, descriptor(part, next));
        }
        let address = self
            .ring
            .memory()
            .address()
            .0
            .saturating_add(self.ring.table(head) as u64);
        let length = u32::from(parts) * 16;
        self.ring.write_descriptor(
            head,
            Descriptor {
                address,
                length,
                flags: INDIRECT,
                next: 0,
            },
        );
    }

    /// Lets the device see what was posted. Ask [`notify_needed`](Self::notify_needed) next, or let
    /// [`Doorbell::publish`](crate::Doorbell::publish) do both.
    pub fn publish(&mut self) {
        if self.fault.is_some() || self.epoch.is_over() || self.visible == self.available {
            return;
        }
        self.ring.publish(self.available);
        let new = self.available.wrapping_sub(self.visible);
        self.visible = self.available;
        self.unannounced = self.unannounced.saturating_add(u32::from(new));
        self.unpublished = 0;
        self.stats.published = self.stats.posted;
    }

    /// Whether the device wants a doorbell for what was published since this was last asked (virtio 2.7.13.4).
    #[must_use]
    pub fn notify_needed(&mut self) -> bool {
        if self.unannounced == 0 || self.fault.is_some() || self.epoch.is_over() {
            return false;
        }
        // The 16-bit arithmetic of the ring cannot tell 65536 entries from none.
        let needed = match u16::try_from(mem::take(&mut self.unannounced)) {
            Ok(new) => self
                .ring
                .wants_doorbell(self.visible.wrapping_sub(new), self.visible),
            Err(_) => true,
        };
        if needed {
            self.stats.doorbells += 1;
        } else {
            self.stats.doorbells_spared += 1;
        }
        needed
    }

    /// The next chain that the device has used, if there is one.
    ///
    /// # Errors
    /// What the device did wrong. It stays so: the chains that it has come back only after a reset.
    pub fn take(&mut self) -> Result<Option<Used>, DeviceFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let taken = self.try_take();
        if let Err(fault) = taken {
            self.fault = Some(fault);
        }
        taken
    }

    fn try_take(&mut self) -> Result<Option<Used>, DeviceFault> {
        if self.used == self.used_seen {
            let now = self.ring.used_index();
            self.check_used_index(now)?;
            self.used_seen = now;
            if self.used == now {
                return Ok(None);
            }
        }
        let (id, length) = self.ring.used_element(self.used);
        let (id, written) = self.check_used_element(id, length)?;
        let chain = self.shadow.release(id);
        let chain = chain.ok_or(DeviceFault::UsedIdNotOutstanding { id })?;
        unmark(&chain);
        self.used = self.used.wrapping_add(1);
        self.stats.taken = self.stats.taken.saturating_add(1);
        Ok(Some(Used { chain, written }))
    }

    /// virtio 2.7.8: the index only grows, by one for each chain used.
    fn check_used_index(&self, now: u16) -> Result<(), DeviceFault> {
        let before = self.used;
        let outstanding = self.outstanding();
        if now.wrapping_sub(before) > outstanding {
            return Err(if now.wrapping_sub(before) > u16::MAX / 2 {
                DeviceFault::UsedIndexWentBack { before, now }
            } else {
                DeviceFault::UsedIndexTooFarAhead {
                    before,
                    now,
                    outstanding,
                }
            });
        }
        if now != before && self.epoch.is_setup() {
            return Err(DeviceFault::UsedBeforeDriverOk);
        }
        Ok(())
    }

    /// Chains that the device has: at most 32768, the largest queue.
    fn outstanding(&self) -> u16 {
        self.stats.published.saturating_sub(self.stats.taken) as u16
    }

    /// The id of an outstanding chain, and the bytes written into it.
    fn check_used_element(&mut self, id: u32, length: u32) -> Result<(u16, u32), DeviceFault> {
        let (id, posted) = self.shadow.find(id, self.stats.published)?;
        let (room, mut parts) = (posted.room, posted.chain.parts());
        if !parts.all(|part| part.buffer.canaries_are_whole()) {
            return Err(DeviceFault::CanaryBroken { id });
        }
        if length <= room {
            return Ok((id, length));
        }
        if room > 0 {
            return Err(DeviceFault::UsedLengthTooLong { id, length, room });
        }
        // Devices are known that say here how much they read. Nobody reads the chain, so that hurts nobody.
        self.stats.lengths_ignored = self.stats.lengths_ignored.saturating_add(1);
        Ok((id, 0))
    }

    /// Asks for an interrupt when the device uses the next chain, and looks again: true if there is something to take
    /// already, for which no interrupt may come. Sleep only after false.
    #[must_use]
    pub fn arm(&mut self) -> bool {
        self.arm_after(1)
    }

    /// As [`arm`](Self::arm), for an interrupt when `chains` more are used, or all that the device has if those are
    /// fewer. Without EVENT_IDX the device rings at every chain.
    #[must_use]
    pub fn arm_after(&mut self, chains: u16) -> bool {
        if self.fault.is_some() {
            return false;
        }
        let chains = chains.min(self.outstanding()).max(1);
        let now = self.ring.arm(self.used.wrapping_add(chains - 1));
        now.wrapping_sub(self.used) >= chains
    }

    /// Asks for no interrupts. Some may still come.
    pub fn disarm(&mut self) {
        self.ring.disarm(self.used);
    }

    /// Whether no canary around the queue's memory was damaged. Always true in release builds.
    pub fn canaries_are_whole(&self) -> bool {
        self.ring
            .layout()
            .canaries()
            .iter()
            .all(|canary| self.ring.memory().canary_is_whole(*canary))
    }

    /// All chains that the queue still has, once a reset of the device was read back; `None` before. The queue is of
    /// no more use then.
    pub fn reclaim(&mut self) -> Option<Vec<Chain>> {
        if !self.epoch.is_over() {
            return None;
        }
        let chains = self.shadow.clear();
        chains.iter().for_each(unmark);
        self.unpublished = 0;
        Some(chains)
    }
}

impl Drop for SplitQueue {
    fn drop(&mut self) {
        if self.reclaim().is_none() {
            // The device may still write: neither the ring nor the buffers may be used for anything else, ever.
            mem::forget(self.ring.memory().clone());
            mem::forget(self.shadow.clear());
        }
    }
}

impl core::fmt::Debug for SplitQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (free, posted, in_flight) = (self.free(), self.posted(), self.in_flight());
        write!(
            f,
            "SplitQueue({} of {}: {free} free, {posted} posted, {in_flight} in flight",
            self.index,
            self.size()
        )?;
        let barriers = self.ring.barriers();
        write!(
            f,
            ", used {}, {barriers} barriers, fault {:?})",
            self.used, self.fault
        )
    }
}

/// What `post` needs to know of a chain that nothing speaks against.
struct Admitted {
    /// Descriptors.
    count: u16,
    /// Bytes that the device may write.
    room: u32,
    head: u16,
}

fn descriptor(part: &Part, next: Option<u16>) -> Descriptor {
    let address = part
        .buffer
        .device_address()
        .0
        .saturating_add(part.range.start as u64);
    let length = part.range.end.saturating_sub(part.range.start) as u32;
    let flags = if part.writable { WRITE } else { 0 } | if next.is_some() { NEXT } else { 0 };
    Descriptor {
        address,
        length,
        flags,
        next: next.unwrap_or_default(),
    }
}

/// The buffers of the chain are posted; all of them or none.
fn mark(chain: &Chain) -> Result<(), PostError> {
    for (before, part) in chain.parts().enumerate() {
        if !part.buffer.mark_posted() {
            let marked = chain.parts().take(before);
            marked.for_each(|part| _ = part.buffer.mark_taken());
            return Err(PostError::PostedTwice);
        }
    }
    Ok(())
}

/// The buffers of the chain are no longer posted.
fn unmark(chain: &Chain) {
    for part in chain.parts() {
        let was_posted = part.buffer.mark_taken();
        debug_assert!(
            was_posted,
            "{:?} was in a queue without being posted",
            part.buffer
        );
    }
}
