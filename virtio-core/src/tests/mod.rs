//! The crate as a whole against devices: scripted and hostile ones of its own, and rust-vmm's honest one.

mod any_registers;
mod audit;
mod bring_up;
mod failing_device;
mod hostile_device;
mod hostile_pci;
mod hostile_ring;
mod interleavings;
#[cfg(target_arch = "x86_64")]
mod loom;
mod ring;
#[cfg(target_arch = "x86_64")]
mod rust_vmm;
mod stories;
mod threads;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::device::{FeaturesOk, Running};
use crate::testing::{DeviceQueue, FakeDevice, TestMemory};
use crate::*;
use core::sync::atomic::Ordering::SeqCst;

/// Device addresses start above 4 GiB, so that a forgotten upper half shows.
const MEMORY_AT: u64 = 0x1_2000_0000;
/// How often the status is read after a reset.
const POLLS: u32 = 100;

const FLAGS: Features = Features::VERSION_1;
const EVENTS: Features = Features::VERSION_1.with(Features::EVENT_IDX);

/// The first queue, of this size, without a vector of its own.
fn options(size: u16) -> QueueOptions {
    QueueOptions {
        index: 0,
        size,
        vector: None,
        indirect: 0,
    }
}

/// A driver that wants all that this crate can do.
fn wishes() -> Wishes {
    let wanted = Features::EVENT_IDX | Features::INDIRECT_DESC;
    Wishes {
        wanted,
        platform_addresses: true,
        ..Wishes::default()
    }
}

/// A device after negotiation, and what goes with it.
struct Bench {
    memory: TestMemory,
    fake: FakeDevice,
    space: DmaSpace,
}

impl Bench {
    fn new(offered: Features, queue_sizes: &[u16]) -> Self {
        Self::with_pages(offered, queue_sizes, 64)
    }

    fn with_pages(offered: Features, queue_sizes: &[u16], pages: usize) -> Self {
        let memory = TestMemory::new(MEMORY_AT, pages);
        let fake = FakeDevice::new(&memory, offered, queue_sizes);
        let space = DmaSpace::new(Box::new(memory.clone()), Vec::new());
        Self {
            memory,
            fake,
            space,
        }
    }

    fn negotiate(&self) -> Device<FeaturesOk> {
        let device = Device::new(self.fake.transport(), POLLS)
            .and_then(Device::acknowledge)
            .and_then(Device::driver);
        device
            .and_then(|device| device.negotiate(&wishes()))
            .expect("an honest device")
    }

    fn queue(&mut self, device: &mut Device<FeaturesOk>, index: u16, size: u16) -> SplitQueue {
        device
            .queue(
                QueueOptions {
                    index,
                    size,
                    vector: None,
                    indirect: 4,
                },
                &mut self.space,
            )
            .expect("a queue")
    }

    /// The driver did nothing that it must not do.
    fn assert_no_offence(&self) {
        assert_eq!(
            self.fake.state().offences,
            Vec::<alloc::string::String>::new()
        );
    }
}

/// A running device with one queue, its pool, and the device's end.
struct Line {
    bench: Bench,
    device: Device<Running>,
    queue: SplitQueue,
    doorbell: Doorbell,
    pool: Pool,
    end: DeviceQueue,
}

impl Line {
    fn new(offered: Features, size: u16) -> Self {
        Self::with_buffers(offered, size, usize::from(size), 128)
    }

    fn with_buffers(offered: Features, size: u16, buffers: usize, buffer_length: usize) -> Self {
        let bytes = usize::from(size) * (26 + 4 * 16) + buffers * (buffer_length + 128);
        let mut bench = Bench::with_pages(offered, &[size], bytes / 4096 + 8);
        let mut device = bench.negotiate();
        let queue = bench.queue(&mut device, 0, size);
        let pool = bench.space.pool(buffers, buffer_length).expect("memory");
        let device = device.driver_ok().expect("an honest device");
        let doorbell = device.doorbell(&queue).expect("its own queue");
        let end = bench.fake.queue(0);
        Self {
            bench,
            device,
            queue,
            doorbell,
            pool,
            end,
        }
    }

    fn buffer(&self) -> Buffer {
        self.pool.take().expect("a free buffer")
    }

    /// Posts all free buffers that fit, for the device to write.
    fn fill(&mut self) {
        while self.queue.free() > 0 {
            let Some(buffer) = self.pool.take() else {
                break;
            };
            self.queue.post(Chain::writable(buffer)).expect("room");
        }
        self.doorbell.publish(&mut self.queue);
    }

    /// Posts a buffer that starts with `bytes`, for the device to read.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let Some(mut buffer) = self.pool.take() else {
            return false;
        };
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        self.queue
            .post(Chain::readable(buffer, 0..bytes.len()))
            .is_ok()
    }

    /// Takes a chain that must be there.
    fn take(&mut self) -> Used {
        self.queue
            .take()
            .expect("an honest device")
            .expect("a used chain")
    }

    /// Every descriptor and every buffer is somewhere, and nowhere twice.
    fn assert_balance(&self) {
        let queue = &self.queue;
        let sum =
            u32::from(queue.free()) + u32::from(queue.posted()) + u32::from(queue.in_flight());
        assert_eq!(sum, u32::from(queue.size()), "{queue:?}");
        assert!(
            self.pool.free() + self.pool.posted() <= self.pool.count(),
            "{:?}",
            self.pool
        );
        assert!(self.pool.canaries_are_whole() && queue.canaries_are_whole());
        self.bench.assert_no_offence();
    }

    /// The device broke the rules: the queue says so for ever, takes nothing more, and after a reset all buffers
    /// are back.
    fn assert_ends_in(mut self, fault: DeviceFault) {
        assert_eq!(self.queue.take().map(|_| ()), Err(fault));
        self.end.receive(b"more");
        assert_eq!(self.queue.take().map(|_| ()), Err(fault), "a fault stays");
        assert_eq!(self.queue.fault(), Some(fault));
        assert!(
            !self.queue.arm(),
            "there is nothing to look at in a broken queue"
        );
        if let Some(buffer) = self.pool.take() {
            let refused = self
                .queue
                .post(Chain::writable(buffer))
                .expect_err("the queue is broken");
            assert_eq!(refused.error, PostError::Broken);
        }
        let posted = self.pool.posted();
        assert!(self.queue.reclaim().is_none(), "the device may still write");
        assert_eq!(self.pool.posted(), posted);
        drop(self.device.reset().expect("an honest reset"));
        let chains = self.queue.reclaim().expect("the device was reset");
        assert_eq!(
            chains
                .iter()
                .map(|chain| chain.parts().count())
                .sum::<usize>(),
            posted
        );
        drop(chains);
        assert_eq!(
            (self.pool.free(), self.pool.posted()),
            (self.pool.count(), 0)
        );
    }
}
