//! A device whose registers say anything at all.

use super::*;
use alloc::sync::Arc;
use proptest::prelude::*;
use std::sync::Mutex;

const OPTIONS: QueueOptions = QueueOptions {
    index: 0,
    size: 64,
    vector: None,
    indirect: 0,
};

/// Registers of which every read gives another value of a list, over and over.
struct Noise(Mutex<core::iter::Cycle<alloc::vec::IntoIter<u32>>>);

impl Noise {
    fn next(&self) -> u32 {
        let mut values = self.0.lock().expect("no panic");
        values.next().unwrap_or_default()
    }
}

impl Registers for Noise {
    fn length(&self) -> usize {
        0x4000
    }
    fn read_u8(&self, _: usize) -> u8 {
        self.next() as u8
    }
    fn read_u16(&self, _: usize) -> u16 {
        self.next() as u16
    }
    fn read_u32(&self, _: usize) -> u32 {
        self.next()
    }
    fn write_u8(&self, _: usize, _: u8) {}
    fn write_u16(&self, _: usize, _: u16) {}
    fn write_u32(&self, _: usize, _: u32) {}
}

/// Values that get through many of the checks, and values that do not.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(0),
        4 => Just(0xf),
        2 => Just(256),
        2 => 0..0x100u32,
        1 => any::<u32>(),
    ]
}

/// What an honest device answers to the reads of this bring-up: reset, two steps, features in halves, FEATURES_OK,
/// vector, a configuration between two generations, queue size, not enabled, size, doorbell, DRIVER_OK.
const HONEST: [u32; 16] = [0, 1, 3, 0, 1, 0xb, 0, 5, 0, 0, 5, 64, 0, 64, 0, 0xf];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_registers_say_the_bring_up_ends_and_nothing_leaks_before_driver_ok(
        honest in 0..=HONEST.len(),
        noise in proptest::collection::vec(value(), 1..40),
    ) {
        let values: Vec<u32> = HONEST.into_iter().take(honest).chain(noise).collect();
        let memory = TestMemory::new(MEMORY_AT, 1024);
        let mut space = DmaSpace::new(Box::new(memory.clone()), Vec::new());
        let structures = crate::pci::Structures::parse(
            &FakeDevice::new(&memory, FLAGS, &[]).capabilities(),
            &[Some(0x4000), None, None, None, None, None],
        );
        let noise: Arc<dyn Registers> = Arc::new(Noise(Mutex::new(values.into_iter().cycle())));
        let transport = structures.and_then(|found| found.transport(|_| Ok(noise.clone())));
        let mut running = false;
        let result = Device::new(transport.expect("a good layout"), POLLS)
            .and_then(Device::acknowledge)
            .and_then(Device::driver)
            .and_then(|device| device.negotiate(&wishes()));
        if let Ok(mut device) = result {
            _ = device.set_config_vector(Some(0));
            _ = device.config(|config| config.read_u64(0));
            let queue = device.queue(OPTIONS, &mut space);
            let device = device.driver_ok();
            running = true;
            if let (Ok(mut queue), Ok(device)) = (queue, device) {
                let doorbell = device.doorbell(&queue).expect("its own");
                doorbell.publish(&mut queue);
                prop_assert!(queue.take().is_ok_and(|used| used.is_none()), "memory is not registers");
                _ = device.reset();
            }
        }
        prop_assert!(running || memory.allocated().is_empty());
    }
}
