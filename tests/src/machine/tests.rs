//! Against the real QEMU.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;
use virtio_core::Registers;

use super::*;
use crate::network::{Netdev, Slirp};

const SOON: Duration = Duration::from_secs(5);

fn slirp() -> Netdev {
    Netdev::Slirp(Slirp::new())
}

fn start(spec: MachineSpec) -> Machine {
    Machine::start(&spec).unwrap()
}

/// Whether the eventfd is signalled within a few seconds; takes the signal.
fn rings(fd: &OwnedFd) -> bool {
    let rings = wait::readable(&[fd.as_fd()], Some(SOON)).unwrap() == [true];
    rings && rustix::io::read(fd, &mut [0; 8]).is_ok()
}

/// The registers of the common configuration (virtio 1.2, 4.1.4.3), found through its capability.
fn common_configuration(machine: &Machine, nic: &PciFunction) -> (QtestRegisters, usize) {
    let bus = machine.bus();
    let capability = bus
        .capabilities(nic.address)
        .into_iter()
        .filter(|capability| capability.id == Capability::VENDOR)
        .map(|capability| bus.vendor_capability(nic.address, capability))
        .find(|bytes| bytes[3] == 1)
        .expect("a capability of type VIRTIO_PCI_CAP_COMMON_CFG");
    let offset = u32::from_le_bytes(capability[8..12].try_into().unwrap());
    (
        machine
            .registers(nic.bars[usize::from(capability[4])])
            .unwrap(),
        offset as usize,
    )
}

const DEVICE_STATUS: usize = 20;

/// Makes the card signal its configuration interrupt at the next change of its link: DRIVER_OK with no queues.
fn wake_up(common: &QtestRegisters, base: usize, config_msix_vector: u16) {
    const STATUS_FEATURE: u32 = 1 << 16;
    common.write_u8(base + DEVICE_STATUS, 0);
    assert_eq!(common.read_u8(base + DEVICE_STATUS), 0);
    common.write_u8(base + DEVICE_STATUS, 1 | 2);
    common.write_u32(base + 8, 0);
    common.write_u32(base + 12, STATUS_FEATURE);
    common.write_u32(base + 8, 1);
    common.write_u32(base + 12, 1);
    common.write_u8(base + DEVICE_STATUS, 1 | 2 | 8);
    assert_eq!(common.read_u8(base + DEVICE_STATUS) & 8, 8, "FEATURES_OK");
    common.write_u16(base + 16, config_msix_vector);
    common.write_u8(base + DEVICE_STATUS, 1 | 2 | 4 | 8);
}

#[test]
fn a_modern_card_is_found_with_its_five_virtio_capabilities() {
    let machine =
        start(MachineSpec::new().nic(NicSpec::virtio(slirp()).mac([0x52, 0x54, 0, 1, 2, 3])));
    let nic = machine.nic(0).unwrap();
    let id = machine.bus().id(nic.address);
    assert_eq!((id.vendor, id.device, id.class), (0x1af4, 0x1041, 2));
    let ids: Vec<u8> = machine
        .bus()
        .capabilities(nic.address)
        .iter()
        .map(|capability| capability.id)
        .collect();
    assert_eq!(
        ids.iter().filter(|id| **id == Capability::VENDOR).count(),
        5,
        "{ids:?}"
    );
    let msix = machine.bus().msix(nic.address).unwrap();
    assert_eq!(
        (msix.table_bar, msix.table_offset, msix.table_size),
        (1, 0, 4)
    );
    let (registers, base) = common_configuration(&machine, &nic);
    machine.bus().enable(nic.address);
    assert_eq!(
        registers.read_u8(base + DEVICE_STATUS),
        0,
        "after its reset"
    );
    assert_eq!(registers.read_u32(registers.length()), u32::MAX, "outside");
    assert_eq!(machine.qtest().failures(), 0);
}

#[test]
fn a_transitional_card_has_the_old_id_and_ports() {
    let machine = start(
        MachineSpec::new()
            .chipset(Chipset::Pc)
            .nic(NicSpec::virtio(slirp()).transitional()),
    );
    let nic = machine.nic(0).unwrap();
    let id = machine.bus().id(nic.address);
    assert_eq!((id.vendor, id.device, id.subsystem), (0x1af4, 0x1000, 1));
    assert!(
        matches!(nic.bars[0], Bar::Port { size: 32, .. }),
        "{:?}",
        nic.bars
    );
}

#[test]
fn the_link_goes_down_and_the_configuration_vector_rings_its_eventfd() {
    let machine = start(MachineSpec::new().nic(NicSpec::virtio(slirp())));
    let nic = machine.nic(0).unwrap();
    machine.bus().enable(nic.address);
    let msix = machine.bus().msix(nic.address).unwrap();
    let table = machine
        .registers(nic.bars[usize::from(msix.table_bar)])
        .unwrap();
    program_msix_entry(&table, 2, machine.msi_doorbell().message(7));
    machine.bus().set_msix_enabled(nic.address, &msix, true);
    let (common, base) = common_configuration(&machine, &nic);
    wake_up(&common, base, 2);
    let vectors = machine.msi_eventfds().unwrap();
    machine.qmp().set_link(&nic_name(0), false).unwrap();
    assert!(rings(&vectors[7]));
    let others: Vec<_> = vectors.iter().map(|fd| fd.as_fd()).collect();
    assert!(
        !wait::readable(&others, Some(Duration::ZERO))
            .unwrap()
            .contains(&true),
        "only that one"
    );
}

#[test]
fn a_doorbell_rung_by_hand_signals_its_eventfd() {
    let machine = start(MachineSpec::new().msi_vectors(3));
    let vectors = machine.msi_eventfds().unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in [2u16, 0] {
        let MsiMessage { address, data } = machine.msi_doorbell().message(vector);
        machine.qtest().write(Width::Long, address, data.into());
        assert!(rings(&vectors[usize::from(vector)]), "vector {vector}");
    }
}

fn the_interrupt_line_rises_with_the_isr_and_falls_when_it_is_read(chipset: Chipset) {
    let machine = start(
        MachineSpec::new()
            .chipset(chipset)
            .nic(NicSpec::virtio(slirp()).without_msix()),
    );
    let nic = machine.nic(0).unwrap();
    assert_eq!(machine.bus().msix(nic.address), None);
    let (seen, lines) = mpsc::channel();
    machine
        .on_interrupt_line(move |line, raised| seen.send((line, raised)).unwrap())
        .unwrap();
    machine.bus().enable(nic.address);
    let (common, base) = common_configuration(&machine, &nic);
    wake_up(&common, base, 0xffff);
    machine.qmp().set_link(&nic_name(0), false).unwrap();
    let line = machine.bus().interrupt_line(nic.address);
    assert!(INTERRUPT_LINES.contains(&line));
    assert_eq!(lines.recv_timeout(SOON), Ok((line, true)));
    let isr = machine
        .bus()
        .capabilities(nic.address)
        .into_iter()
        .map(|capability| machine.bus().vendor_capability(nic.address, capability))
        .find(|bytes| bytes.len() >= 12 && bytes[0] == Capability::VENDOR && bytes[3] == 3)
        .unwrap();
    let offset = u32::from_le_bytes(isr[8..12].try_into().unwrap());
    let registers = machine.registers(nic.bars[usize::from(isr[4])]).unwrap();
    assert_eq!(
        registers.read_u8(offset as usize) & 2,
        2,
        "configuration interrupt"
    );
    assert_eq!(lines.recv_timeout(SOON), Ok((line, false)));
}

#[test]
fn the_interrupt_line_of_a_q35() {
    the_interrupt_line_rises_with_the_isr_and_falls_when_it_is_read(Chipset::Q35);
}

#[test]
fn the_interrupt_line_of_a_pc() {
    the_interrupt_line_rises_with_the_isr_and_falls_when_it_is_read(Chipset::Pc);
}

#[test]
fn a_card_is_plugged_in_and_pulled_out_again() {
    let machine = start(
        MachineSpec::new()
            .chipset(Chipset::Pc)
            .argument("-netdev")
            .argument("user,id=late"),
    );
    let address = PciAddress::slot(9);
    assert!(
        machine.set_up_function(address).is_err(),
        "nothing there yet"
    );
    let device = json!({"driver": "virtio-net-pci", "id": "late0", "netdev": "late", "addr": "9", "romfile": ""});
    machine.qmp().device_add(device).unwrap();
    let nic = machine.set_up_function(address).unwrap();
    assert!(nic.bars[4].memory().is_some());
    machine.qmp().device_del("late0").unwrap();
    machine.eject(address);
    machine
        .qmp()
        .wait_for_event("DEVICE_DELETED", SOON)
        .unwrap();
    assert!(!machine.bus().is_present(address));
}

#[test]
fn qemu_refuses_to_start_and_its_words_are_passed_on() {
    let error = Machine::start(
        &MachineSpec::new()
            .argument("-device")
            .argument("no-such-card"),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("'no-such-card' is not a valid device model name"),
        "{text}"
    );
}

#[test]
fn qemu_is_killed_and_its_registers_read_all_ones() {
    let machine = start(MachineSpec::new().nic(NicSpec::virtio(slirp())));
    let nic = machine.nic(0).unwrap();
    machine.bus().enable(nic.address);
    let (common, base) = common_configuration(&machine, &nic);
    assert_eq!(common.read_u8(base + DEVICE_STATUS), 0);
    machine.qemu.signal(rustix::process::Signal::KILL).unwrap();
    assert_eq!(
        wait::readable(&[machine.qemu_pidfd().as_fd()], Some(SOON)).unwrap(),
        [true]
    );
    assert_eq!(common.read_u8(base + DEVICE_STATUS), 0xff);
    assert!(!machine.bus().is_present(nic.address));
}

#[test]
fn a_test_panics_and_nothing_of_its_machine_is_left() {
    let (tell, told) = mpsc::channel();
    let test = std::thread::spawn(move || {
        let machine = start(MachineSpec::new().named("panics"));
        let open = std::fs::read_dir(format!("/proc/{}/fd", machine.qemu_id())).unwrap();
        let ram = open
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let ram: Vec<_> = ram
            .filter(|path| path.to_string_lossy().contains("/ram"))
            .collect();
        tell.send((machine.qemu_id(), ram)).unwrap();
        std::panic::resume_unwind(Box::new("as a failing test does"));
    });
    assert!(test.join().is_err());
    let (id, ram) = told.recv().unwrap();
    assert!(
        !Path::new(&format!("/proc/{id}")).exists(),
        "QEMU {id} still runs"
    );
    assert!(
        ram.iter()
            .all(|path| path.to_string_lossy().ends_with("(deleted)")),
        "{ram:?}"
    );
}
