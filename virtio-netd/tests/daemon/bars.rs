//! Registers mapped through pcid's channel.

use std::sync::{Arc, mpsc};

use pcid_interface::{Error as PciError, Function, MemoryType};
use redox_host::ProcessSpec;
use virtio_core::{DmaAllocator, DmaMemory, Registers};
use virtio_netd::redox::{MemoryScheme, Redox};
use virtio_netd::{Error, Platform};

use crate::card::{Manner, Wiring};
use crate::machine::Machine;
use crate::pcid::FUNCTION;

/// A machine whose pcid maps this memory for BAR 1, and where devices find that memory.
fn machine() -> (Machine, u64) {
    let machine = Machine::new(Wiring::MsiX(4), Manner::Sends);
    let pcid = machine.inside_pcid();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let _process = pcid.attach();
        let memory = MemoryScheme::open().unwrap().allocate(4096, 4096).unwrap();
        let (pointer, address) = (memory.pointer().as_ptr().addr(), memory.device_address().0);
        sender.send((pointer, address)).unwrap();
        // It is pcid's as long as there is a pcid.
        core::mem::forget::<Box<dyn DmaMemory>>(memory);
    });
    let (pointer, address) = receiver.recv().unwrap();
    machine.bar.set(pointer).unwrap();
    (machine, address)
}

#[test]
fn a_bar_is_mapped_as_memory_of_the_device_and_read_and_written_there() {
    let (machine, address) = machine();
    let process = machine.host.enter(ProcessSpec::new("driver"));
    let function = Function::open(FUNCTION).unwrap();
    let registers: Arc<dyn Registers> = Redox.registers(&function, 1).unwrap();
    assert_eq!(registers.length(), 64);
    registers.write_u32(8, 0x1234_5678);
    registers.write_u16(14, 0xabcd);
    registers.write_u8(3, 0x77);
    let mut seen = [0; 16];
    machine.host.ram().read(address, &mut seen).unwrap();
    assert_eq!(
        seen,
        [
            0, 0, 0, 0x77, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0, 0, 0xcd, 0xab
        ]
    );
    machine.host.ram().write(address, &[1, 2, 3, 4]).unwrap();
    assert_eq!(
        (registers.read_u32(0), registers.read_u16(2)),
        (0x0403_0201, 0x0403)
    );
    assert_eq!(
        (registers.read_u32(62), registers.read_u8(64)),
        (u32::MAX, u8::MAX),
        "outside"
    );
    let asked = machine.mapped.lock().unwrap().clone();
    assert_eq!(asked, [(1 << 61) | (1 << 59)], "BAR 1, uncacheable");
    assert_eq!(process.mappings(), 1);
    drop(registers);
    assert_eq!(process.mappings(), 0, "unmapped with its last user");
}

#[test]
fn what_is_no_memory_is_not_mapped() {
    let (machine, _) = machine();
    let _process = machine.host.enter(ProcessSpec::new("driver"));
    let function = Function::open(FUNCTION).unwrap();
    for bar in [2, 5, 6, 255] {
        let error = function.map_bar(bar, MemoryType::Uncacheable).unwrap_err();
        assert!(
            matches!(error, PciError::NoMemoryBar(number) if number == bar),
            "{error}"
        );
    }
    // BAR 0 is memory, but pcid will not have it mapped.
    let Err(error) = Redox.registers(&function, 0) else {
        panic!("it was mapped")
    };
    assert!(
        matches!(error, Error::Pci(PciError::System { .. })),
        "{error}"
    );
    assert!(error.to_string().starts_with("mmap BAR 0"), "{error}");
}

#[test]
fn a_function_that_is_not_there_is_said_to_be() {
    let machine = Machine::new(Wiring::MsiX(4), Manner::Sends);
    let _process = machine.host.enter(ProcessSpec::new("driver"));
    let error = Function::open("/scheme/pci/0000--00--05.0").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("open /scheme/pci/0000--00--05.0/channel: "),
        "{error}"
    );
}

#[test]
fn configuration_space_is_not_for_everybody() {
    let machine = Machine::new(Wiring::MsiX(4), Manner::Sends);
    let _process = machine.host.enter(ProcessSpec::new("driver"));
    let mut function = Function::open(FUNCTION).unwrap();
    let error = function.read_config(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ReadConfig(0): pcid refused: invalid bit pattern"
    );
    assert_eq!(
        function.features().unwrap(),
        [pcid_interface::Feature::MsiX],
        "and the channel goes on"
    );
}
