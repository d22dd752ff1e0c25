//! How the card rings.

use pcid_interface::{LegacyInterruptLine, PhandledInterrupt};
use syscall::flag::EventFlags;

use crate::card::{Manner, Wiring};
use crate::machine::{Client, Machine, Watch, frame, read, try_read};

const READ: EventFlags = EventFlags::EVENT_READ;

/// Frames both ways, and the link going down, with the driver asleep each time.
fn assert_rings(machine: &Machine, client: &Client) {
    let file = client.frames();
    let link = client.open("link", syscall::flag::O_RDONLY);
    let mut text = [0; 8];
    link.read(&mut text).unwrap();
    let (mut frames, mut changes) = (Watch::new(&file, READ), Watch::new(&link, READ));
    for round in 0..50 {
        let down = frame(60);
        machine.card.deliver(std::slice::from_ref(&down));
        assert_eq!(frames.wait(), READ, "round {round}");
        assert_eq!(read(&file), down);
        assert_eq!(try_read(&file), None, "and the driver is asleep again");
    }
    machine.card.set_link(false);
    assert_eq!(changes.wait(), READ);
    assert_eq!(client.text("link"), "down\n");
    client.assert_whole();
}

#[test]
fn by_messages_with_a_vector_for_changes() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    assert_eq!(machine.host.irq().reserved().len(), 2);
    let state = machine.card.fake.state();
    assert_eq!(
        (
            state.queues[0].vector,
            state.queues[1].vector,
            state.config_vector
        ),
        (0, 0, 1)
    );
    drop(state);
    assert_rings(&machine, &client);
    assert_eq!(
        machine.host.irq().stray_acks(),
        0,
        "a message is never acknowledged"
    );
}

#[test]
fn by_messages_with_one_vector_for_everything() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(1), Manner::Sends);
    assert_eq!(machine.host.irq().reserved().len(), 1);
    assert_eq!(machine.card.fake.state().config_vector, 0);
    assert_rings(&machine, &client);
}

#[test]
fn by_a_line() {
    let machine = Machine::new(Wiring::Line(11), Manner::Sends);
    machine.host.irq().connect_line(11, |_| {});
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    let client = Client::new(&machine.host);
    assert_rings(&machine, &client);
    assert_eq!(machine.card.fake.state().queues[0].vector, 0xffff);
}

#[test]
fn by_a_line_of_a_device_tree() {
    let phandled = PhandledInterrupt {
        phandle: 32770,
        address: [0, 4, 1],
        cells: 3,
    };
    let line = LegacyInterruptLine {
        irq: 0,
        phandled: Some(phandled),
    };
    let machine = Machine::with(Wiring::Line(9), Manner::Sends, |pcid| {
        pcid.line = Some(line)
    });
    machine.host.irq().connect_phandle(32770, &[0, 4, 1], 9);
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    assert_rings(&machine, &Client::new(&machine.host));
}

#[test]
fn a_line_that_another_device_raised_is_let_go() {
    let machine = Machine::new(Wiring::Line(11), Manner::Sends);
    machine.host.irq().connect_line(11, |_| {});
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    let client = Client::new(&machine.host);
    for spurious in 1..=20 {
        // The other device lets go of the line at the reading of ours; its own driver would do so
        // in time.
        machine.host.irq().raise_line(11);
        while client.stat("interrupts_spurious") < spurious {
            std::thread::yield_now();
        }
    }
    assert_rings(&machine, &client);
}

#[test]
fn the_line_that_was_up_before_the_driver_listened() {
    let machine = Machine::new(Wiring::Line(11), Manner::Sends);
    machine.host.irq().connect_line(11, |_| {});
    machine.host.irq().raise_line(11);
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    assert_rings(&machine, &Client::new(&machine.host));
}

#[test]
fn without_any_interrupt_it_says_so_and_ends() {
    let machine = Machine::with(Wiring::Line(11), Manner::Sends, |pcid| pcid.line = None);
    let (driver, notify) = machine.start();
    drop(notify);
    machine.assert_ends(&driver, "neither usable MSI-X vectors nor an INTx line");
}

#[test]
fn a_card_that_is_none_is_left_alone() {
    let machine = Machine::with(Wiring::MsiX(4), Manner::Sends, |pcid| {
        pcid.device_id = 0x1042
    });
    let (driver, notify) = machine.start();
    drop(notify);
    machine.assert_ends(&driver, "1af4:1042 is no virtio network card");
    assert!(
        machine.card.fake.state().statuses.is_empty(),
        "it was not touched"
    );
}

#[test]
fn the_transitional_number_is_bound_through_its_modern_capabilities() {
    let machine = Machine::with(Wiring::MsiX(4), Manner::Sends, |pcid| {
        pcid.device_id = 0x1000
    });
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    assert_rings(&machine, &Client::new(&machine.host));
}
