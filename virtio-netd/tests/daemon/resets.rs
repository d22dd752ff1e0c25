//! A card that breaks while it is in use.

use syscall::flag::EventFlags;

use crate::card::{Manner, Wiring};
use crate::machine::{Machine, Watch, frame, read};

const READ: EventFlags = EventFlags::EVENT_READ;

#[test]
fn device_needs_reset_under_traffic_costs_frames_and_nothing_else() {
    for wiring in [Wiring::MsiX(4), Wiring::MsiX(1), Wiring::Line(11)] {
        let (machine, _driver, client) = Machine::running(wiring, Manner::Echoes);
        let file = client.frames();
        let mut watch = Watch::new(&file, READ);
        for life in 1..=5 {
            let ping = frame(60);
            file.write(&ping).unwrap();
            assert_eq!(watch.wait(), READ, "{wiring:?}, life {life}");
            assert_eq!(read(&file), ping, "the same file goes on");
            machine.card.needs_reset();
            while client.stat("resets") < life {
                std::thread::yield_now();
            }
        }
        let ping = frame(60);
        file.write(&ping).unwrap();
        watch.wait();
        assert_eq!(read(&file), ping);
        assert_eq!(
            (client.stat("device_needs_reset"), client.stat("rx_posted")),
            (5, 16)
        );
        assert!(
            machine.log().contains("DEVICE_NEEDS_RESET"),
            "{}",
            machine.log()
        );
        client.assert_whole();
    }
}

#[test]
fn the_device_that_keeps_failing_is_given_up() {
    let (machine, driver, client) = Machine::running(Wiring::MsiX(4), Manner::Breaks);
    let file = client.frames();
    while driver.is_running() {
        if file.write(&frame(60)).is_err() {
            break;
        }
    }
    machine.assert_ends(&driver, "the device keeps failing: after 8 resets");
    assert_eq!(
        machine.card.fake.state().status & 4,
        0,
        "and it was stopped"
    );
}

#[test]
fn the_device_that_was_pulled_out_ends_its_driver() {
    let (machine, driver, _client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    machine.card.fake.state().gone = true;
    machine.card.message(1);
    machine.assert_ends(&driver, "the device is gone");
}

#[test]
fn the_device_that_never_comes_up_is_said_to_at_the_start() {
    let machine = Machine::new(Wiring::MsiX(4), Manner::Sends);
    machine.card.fake.state().drops_status = 8;
    let (driver, notify) = machine.start();
    drop(notify);
    machine.assert_ends(
        &driver,
        "the device refuses to work with the features accepted",
    );
}
