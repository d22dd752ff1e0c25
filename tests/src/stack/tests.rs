//! The daemons on the machine, without any traffic yet.

use std::path::Path;

use super::*;
use crate::machine::{Chipset, NicSpec};
use crate::network::{Netdev, Slirp};

const LINK: &str = "/scheme/network.pci-0000-00-04.0_virtio_net/link";

fn start(machine: MachineSpec, nic: NicSpec, change: impl FnOnce(StackSpec) -> StackSpec) -> Stack {
    let mut stack = Stack::start_hardware(change(StackSpec::new(machine.nic(nic)))).unwrap();
    stack.start_driver(0).unwrap();
    stack
}

fn card() -> NicSpec {
    NicSpec::virtio(Netdev::Slirp(Slirp::new()))
}

/// The driver hears of a change by an interrupt only.
fn the_link_goes_down_and_the_driver_knows(stack: &Stack) {
    let up = stack
        .wait_for(LINK, DAEMON, |text| text.starts_with("up"))
        .unwrap();
    stack.machine().qmp().set_link("nic0", false).unwrap();
    let down = stack
        .wait_for(LINK, DAEMON, |text| text.starts_with("down"))
        .unwrap();
    assert_ne!(up, down);
}

#[test]
fn a_driver_hears_of_its_link_by_msi_x() {
    let stack = start(MachineSpec::new(), card(), |spec| spec);
    the_link_goes_down_and_the_driver_knows(&stack);
    assert!(!stack.host().irq().reserved().is_empty());
}

#[test]
fn a_driver_hears_of_its_link_by_a_line_of_the_q35() {
    let stack = start(MachineSpec::new(), card().without_msix(), |spec| spec);
    the_link_goes_down_and_the_driver_knows(&stack);
}

#[test]
fn a_driver_hears_of_its_link_by_a_line_of_the_pc_with_a_transitional_card() {
    let machine = MachineSpec::new().chipset(Chipset::Pc);
    let stack = start(machine, card().transitional().without_msix(), |spec| spec);
    the_link_goes_down_and_the_driver_knows(&stack);
}

#[test]
fn a_driver_hears_of_its_link_by_a_line_with_a_phandle() {
    let line = LegacyLine::Phandle { controller: 0x8002 };
    let stack = start(MachineSpec::new(), card(), |spec| {
        spec.legacy_line(line).without_messages()
    });
    the_link_goes_down_and_the_driver_knows(&stack);
    let reserved = stack.host().irq().reserved();
    assert_eq!(
        reserved.len(),
        1,
        "the line itself, for a device tree's has to be: {reserved:?}"
    );
}

#[test]
fn a_driver_is_killed_and_another_takes_its_card() {
    let mut stack = start(MachineSpec::new(), card(), |spec| spec);
    let first = stack.drivers()[0].clone();
    first.kill();
    assert!(first.wait(DAEMON).is_some());
    stack.start_driver(0).unwrap();
    the_link_goes_down_and_the_driver_knows(&stack);
}

#[test]
fn a_second_driver_for_one_card_is_told_that_it_has_one() {
    let mut stack = start(MachineSpec::new(), card(), |spec| spec);
    let error = stack.start_driver(0).unwrap_err().to_string();
    assert!(
        error.contains("/scheme/pci/0000--00--04.0/channel"),
        "{error}"
    );
}

#[test]
fn a_daemon_that_ends_before_it_serves_is_reported_with_its_last_words() {
    let stack = start(MachineSpec::new(), card(), |spec| spec);
    let main = || {
        logging::init("hopeless", LevelFilter::Info);
        log::error!("no hope");
        7
    };
    let error = stack
        .start_daemon("hopeless", |spec, _| Ok(spec), main)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Exited(7)") && error.contains("no hope"),
        "{error}"
    );
}

#[test]
fn a_stack_that_is_dropped_ends_its_daemons_and_its_machine() {
    let stack = start(MachineSpec::new(), card(), |spec| spec);
    let (driver, pcid) = (stack.drivers()[0].clone(), stack.pcid().process().clone());
    let qemu = stack.machine().qemu_id();
    drop(stack);
    assert!(!driver.is_running() && !pcid.is_running());
    assert!(!Path::new(&format!("/proc/{qemu}")).exists());
}
