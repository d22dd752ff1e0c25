//! The controller itself, without files.

use netscheme::reactor::Reactor;
use redox_host::{ExitStatus, ProcessSpec};

use super::*;
use crate::xhcid::bus::{
    Bus, BusEvent, Completion, Endpoint, EndpointState, Outcome, Setup, Transfer,
};
use crate::xhcid::scripted::message;

/// Works with the controller itself, without files, in a process of its own.
pub(super) fn with_controller(work: impl FnOnce(&mut dyn Bus, Port) + Send + 'static) {
    let machine = Machine::start(&MachineSpec::new().nic(nic())).unwrap();
    let host = host(&machine);
    let open = controller::of(&machine, &host).unwrap();
    let port = Port(machine.usb_port(0).unwrap());
    let process = host.spawn(ProcessSpec::new("controller"), move || {
        let mut bus = open().unwrap();
        assert_eq!(bus.next_event(), Some(BusEvent::Attached(port)));
        bus.address(port).unwrap();
        work(&mut *bus, port);
        0
    });
    assert_eq!(process.wait(SOON), Some(ExitStatus::Exited(0)));
}

/// A bulk endpoint of full speed.
pub(super) const fn bulk(address: u8) -> Endpoint {
    Endpoint {
        address,
        attributes: 2,
        max_packet_size: 64,
        interval: 0,
    }
}

/// Makes a transfer and sleeps until its end, which is all that happens meanwhile.
pub(super) fn finish(bus: &mut dyn Bus, port: Port, transfer: Transfer) -> Completion {
    let mut reactor = Reactor::new().unwrap();
    reactor.watch(bus.fd(), 0, READ).unwrap();
    let ticket = bus.submit(port, transfer).unwrap();
    let mut events = Vec::new();
    let event = loop {
        match bus.next_event() {
            Some(event) => break event,
            None => reactor.wait(None, &mut events).unwrap(),
        }
    };
    let BusEvent::Completed(done) = event else {
        panic!("{event:?}");
    };
    assert_eq!(done.ticket, ticket);
    done
}

#[test]
fn an_endpoint_that_stalls_goes_on_after_a_reset() {
    with_controller(|bus, port| {
        // The device has no endpoint 3: it stalls whatever is sent there.
        bus.configure(port, &[bulk(0x03), bulk(0x02)]).unwrap();
        let configure = Transfer::Control {
            setup: Setup::set_configuration(2),
            data: Vec::new(),
        };
        assert_eq!(finish(bus, port, configure).outcome, Outcome::Success);
        let out = |endpoint| Transfer::Out {
            endpoint,
            data: message::packet(&[0; 60], 1),
        };
        for _ in 0..600 {
            assert_eq!(finish(bus, port, out(0x03)).outcome, Outcome::Stalled);
            assert_eq!(bus.state(port, 0x03), EndpointState::Halted);
            assert_eq!(finish(bus, port, out(0x02)).outcome, Outcome::Success);
            bus.reset(port, 0x03).unwrap();
            assert_eq!(bus.state(port, 0x03), EndpointState::Stopped);
        }
        assert_eq!(bus.state(port, 0x82), EndpointState::Disabled);
    });
}

#[test]
fn what_is_under_way_fails_when_other_endpoints_are_configured() {
    with_controller(|bus, port| {
        bus.configure(port, &[bulk(0x82)]).unwrap();
        let waits = bus
            .submit(
                port,
                Transfer::In {
                    endpoint: 0x82,
                    length: 64,
                },
            )
            .unwrap();
        bus.configure(port, &[bulk(0x02)]).unwrap();
        let done = match bus.next_event() {
            Some(BusEvent::Completed(done)) => done,
            other => panic!("{other:?}"),
        };
        assert_eq!((done.ticket, done.outcome), (waits, Outcome::Failed));
        assert_eq!(bus.state(port, 0x82), EndpointState::Disabled);
        assert_eq!(bus.state(port, 0x02), EndpointState::Running);
        let gone = bus.submit(
            port,
            Transfer::In {
                endpoint: 0x82,
                length: 64,
            },
        );
        assert!(gone.is_err());
    });
}
