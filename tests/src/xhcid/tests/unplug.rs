//! A device that is pulled out, with its files open.

use netscheme::reactor::Reactor;
use redox_host::ExitStatus;
use syscall::error::{EBADF, EBADFD, EIO, ENOENT};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDONLY, O_RDWR};

use super::*;
use crate::xhcid::scripted::BULK_IN;

#[test]
fn a_driver_whose_device_is_pulled_out_is_killed() {
    let driver = Driver::new("usb-rndisd", &RNDIS_CLASSES, |arguments| {
        let port = Client::open(&arguments.scheme, arguments.port).unwrap();
        port.configure(2).unwrap();
        let bulk_in = port.nonblocking(2);
        bulk_in.arm(64).unwrap();
        bulk_in.wait(EventFlags::EVENT_READ);
        0
    });
    let bench = bench_with(spec(Endpoints::Events).driver(driver), RndisSpec::new());
    for _ in 0..20 {
        let driver = bench.xhcid.wait_for_driver(PORT, SOON).unwrap();
        assert!(
            bench
                .bus
                .wait_until(SOON, || bench.bus.is_armed(PORT, BULK_IN))
        );
        bench.adapter.unplug();
        assert_eq!(driver.wait(SOON), Some(ExitStatus::Killed));
        assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
        Rndis::plug(&bench.bus, PORT, RndisSpec::new());
    }
}

#[test]
fn files_of_a_device_that_is_gone_fail_as_redoxs_do() {
    let bench = bench_with(
        spec(Endpoints::Events).detach(Detach::Fails),
        RndisSpec::new(),
    );
    bench.client.configure(2).unwrap();
    let (bulk_in, bulk_out) = (bench.client.nonblocking(2), bench.client.nonblocking(3));
    let state = bench.client.file("state", O_RDONLY).unwrap();
    let request = bench.client.file("request", O_RDWR).unwrap();
    bulk_in.arm(64).unwrap();
    bulk_out.transfer("Out", 64).unwrap();
    let mut reactor = Reactor::new().unwrap();
    let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
    reactor.watch(bulk_in.data.raw(), 0, both).unwrap();
    state.read(&mut [0; 16]).unwrap();
    let mut removal = Reactor::new().unwrap();
    removal
        .watch(state.raw(), 0, EventFlags::EVENT_READ)
        .unwrap();
    bench.adapter.unplug();
    assert_eq!(
        bulk_in.wait_on(&mut reactor),
        both,
        "so that everybody looks"
    );
    assert_eq!(bulk_in.wait_on(&mut removal), EventFlags::EVENT_READ);
    assert_eq!(bulk_in.read(64).unwrap_err().errno, EBADF);
    assert_eq!(bulk_in.answer().unwrap_err().errno, EBADF);
    assert_eq!(bulk_out.write(&[0; 64]).unwrap_err().errno, EBADFD);
    assert_eq!(bulk_out.transfer("Out", 64).unwrap_err().errno, EBADF);
    assert_eq!(state.read(&mut [0; 16]).unwrap_err().errno(), EBADF);
    assert_eq!(bench.client.configure(2).unwrap_err().errno, EBADFD);
    let text = r#"{"direction":"HostToDevice","req_type":"Class","req_recipient":"Interface","request":0,"value":0,"index":0,"length":0,"transfers_data":false}"#;
    assert_eq!(request.write(text.as_bytes()).unwrap_err().errno(), EBADF);
    let open = |path: &str| bench.client.refused(path, O_RDWR | O_NONBLOCK);
    assert_eq!(open("endpoints/2/data"), ENOENT);
}

#[test]
fn a_read_that_blocks_the_controller_ends_when_the_device_is_pulled_out() {
    let bench = bench(Endpoints::Blocking);
    let bulk_in = bench.client.endpoint(2, 0).unwrap();
    bulk_in.transfer("In", 64).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let armed = || bench.bus.is_armed(PORT, BULK_IN);
            assert!(bench.bus.wait_until(SOON, armed));
            bench.adapter.unplug();
        });
        assert_eq!(bulk_in.read(64).unwrap_err().errno, EIO);
    });
    assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
}

#[test]
fn pulled_out_at_every_step_of_being_attached_and_plugged_in_again_it_works() {
    let bench = bench_with(
        spec(Endpoints::Events).detach(Detach::Fails),
        RndisSpec::new(),
    );
    let steps = bench.bus.steps();
    assert!(steps >= 9, "address, descriptors, strings: {steps}");
    let mut adapter = bench.adapter.clone();
    for step in 0..steps {
        adapter.unplug();
        assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
        let before = bench.bus.steps();
        bench.bus.unplug_after(step, PORT);
        Rndis::plug(&bench.bus, PORT, RndisSpec::new());
        assert!(
            bench
                .bus
                .wait_until(SOON, || bench.bus.steps() > before + step),
            "step {step}"
        );
        adapter = Rndis::plug(&bench.bus, PORT, RndisSpec::new());
        assert!(
            bench.xhcid.wait_for_port(PORT, true, SOON),
            "after step {step}"
        );
        bench.client.configure(2).unwrap();
    }
}
