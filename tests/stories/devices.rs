//! The same driver on every shape of QEMU's card.

use lab::machine::{Chipset, MachineSpec};
use lab::pcid::LegacyLine;
use lab::{Stack, StackSpec};

use crate::common::{SOON, configured, is_leased_default, machine, nic, ping, run};

fn works(spec: StackSpec) -> Stack {
    let stack = configured(spec);
    ping(&stack, "10.0.2.2");
    run(&stack, "ping -c 2 -i 0.01 -s 1472 10.0.2.2");
    stack
}

fn log(stack: &Stack) -> String {
    std::fs::read_to_string(stack.machine().run().log_path()).unwrap()
}

#[test]
fn a_modern_card_with_message_signalled_interrupts() {
    let stack = works(machine());
    assert!(log(&stack).contains("interrupts by MSI-X"));
}

#[test]
fn a_transitional_card_through_its_modern_capabilities() {
    works(StackSpec::new(MachineSpec::new().nic(nic().transitional())));
}

#[test]
fn a_card_without_msix_on_an_interrupt_line() {
    let stack = works(StackSpec::new(MachineSpec::new().nic(nic().without_msix())));
    assert!(!log(&stack).contains("interrupts by MSI-X"));
}

#[test]
fn a_machine_without_messages_falls_back_to_the_line() {
    works(machine().without_messages());
}

#[test]
fn an_interrupt_line_that_is_named_by_a_phandle() {
    let line = LegacyLine::Phandle { controller: 3 };
    let machine = MachineSpec::new().nic(nic().without_msix());
    works(StackSpec::new(machine).legacy_line(line));
}

#[test]
fn the_old_chipset_too() {
    let machine = MachineSpec::new()
        .chipset(Chipset::Pc)
        .nic(nic().without_msix());
    works(StackSpec::new(machine));
}

#[test]
fn a_cable_pulled_and_plugged_in_again_is_seen_and_the_network_goes_on() {
    let stack = works(machine());
    let link = "/scheme/netcfg/ifaces/eth0/link";
    let qmp = stack.machine().qmp();
    for _ in 0..3 {
        qmp.set_link("net0", false).unwrap();
        stack
            .wait_for(link, SOON, |text| text.starts_with("down"))
            .unwrap();
        let done = stack.command("ping -c 1 10.0.2.2");
        assert!(done.result.is_err());
        qmp.set_link("net0", true).unwrap();
        stack
            .wait_for(link, SOON, |text| text.starts_with("up"))
            .unwrap();
        let route = |text: &str| text.lines().any(is_leased_default);
        stack
            .wait_for("/scheme/netcfg/route/list", SOON, route)
            .unwrap();
        ping(&stack, "10.0.2.2");
    }
}
