//! Memory for devices from `/scheme/memory`.

use redox_host::{Host, HostConfig, ProcessSpec};
use virtio_core::{DmaAllocator, DmaSpace};
use virtio_netd::redox::MemoryScheme;

#[test]
fn the_device_finds_the_bytes_where_it_is_told_that_they_are() {
    let host = Host::new(HostConfig::default()).unwrap();
    let process = host.enter(ProcessSpec::new("driver"));
    let memory = MemoryScheme::open().unwrap();
    netscheme::daemon::enter_null_namespace().unwrap();
    let free = host.ram().free();
    let mut space = DmaSpace::new(Box::new(memory), Vec::new());
    let pool = space.pool(20, 1600).unwrap();
    let mut buffers: Vec<_> = core::iter::from_fn(|| pool.take()).collect();
    assert_eq!(buffers.len(), 20);
    for (number, buffer) in (0..).zip(&mut buffers) {
        assert!(
            buffer.bytes().iter().all(|&byte| byte == 0),
            "fresh memory is zeroed"
        );
        buffer.bytes_mut().fill(number);
        let mut seen = [0; 1600];
        host.ram()
            .read(buffer.device_address().0, &mut seen)
            .unwrap();
        assert_eq!(seen, [number; 1600], "what the driver wrote");
        host.ram()
            .write(buffer.device_address().0, &[0x55; 1600])
            .unwrap();
        assert_eq!(buffer.bytes(), [0x55; 1600], "what the device wrote");
    }
    assert_eq!(process.mappings(), 1);
    drop((buffers, pool, space));
    assert_eq!(
        (process.mappings(), host.ram().free()),
        (0, free),
        "given back"
    );
}

#[test]
fn what_cannot_be_had_is_an_error() {
    let host = Host::new(HostConfig::default()).unwrap();
    let _process = host.enter(ProcessSpec::new("driver"));
    let memory = MemoryScheme::open().unwrap();
    assert!(memory.allocate(usize::MAX, 4096).is_err());
    assert!(
        memory.allocate(1 << 45, 4096).is_err(),
        "more than there is"
    );
    assert!(
        memory.allocate(4096, 8192).is_err(),
        "the kernel aligns to pages"
    );
}

#[test]
fn only_root_has_memory_for_devices() {
    let host = Host::new(HostConfig::default()).unwrap();
    let _process = host.enter(ProcessSpec::new("nobody").uid(1000));
    let refused = match MemoryScheme::open() {
        Err(_) => true,
        Ok(memory) => memory.allocate(4096, 4096).is_err(),
    };
    assert!(refused);
}
