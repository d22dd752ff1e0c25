//! How fast it is.

use std::time::{Duration, Instant};

use super::bus::{bulk, finish, with_controller};
use super::driver::Driver;
use super::*;
use crate::xhcid::bus::{Setup, Transfer};
use crate::xhcid::scripted::message;

/// The median of many runs.
fn median(mut work: impl FnMut(u16)) -> Duration {
    let run = |round| {
        let started = Instant::now();
        work(round);
        started.elapsed()
    };
    let mut times: Vec<Duration> = (0..3000).map(run).collect();
    times.sort();
    times[times.len() / 2]
}

/// A measurement, printed with `--nocapture`.
#[test]
#[ignore = "measures"]
fn how_fast_it_is() {
    with_controller(|bus, port| {
        let setup = Setup::get_descriptor(1, 0, 0, 18);
        let control = median(|_| {
            let data = Vec::new();
            finish(bus, port, Transfer::Control { setup, data });
        });
        println!("control round trip, no files: {control:?}");
        bus.configure(port, &[bulk(0x02)]).unwrap();
        let (setup, data) = (Setup::set_configuration(2), Vec::new());
        finish(bus, port, Transfer::Control { setup, data });
        let out = median(|_| {
            let data = message::packet(&[0xff; 1514], 1);
            finish(
                bus,
                port,
                Transfer::Out {
                    endpoint: 0x02,
                    data,
                },
            );
        });
        println!("full frame, no files: {out:?}");
    });
    let machine = MachineSpec::new().nic(nic()).without_capture();
    let bench = bench_on(machine, Endpoints::Events);
    let driver = Driver::start(&bench.client);
    let gateway = driver.resolve();
    let call = median(|_| drop(driver.bulk_out.answer()));
    println!("one call: {call:?}");
    let response = median(|_| drop(bench.client.get_response(1025)));
    println!("GET_ENCAPSULATED_RESPONSE, four calls: {response:?}");
    let echo = median(|round| driver.ping(gateway, round));
    println!("ICMP echo through the files: {echo:?}");
    let frame = [&[0xff; 12][..], &[0x88, 0xb5], &[0; 1500]].concat();
    let process = bench.xhcid.process();
    let before = (process.syscalls(), process.wakeups());
    let each = median(|_| driver.send(&frame));
    let calls = (process.syscalls() - before.0, process.wakeups() - before.1);
    println!(
        "for 3000 frames xhcid made {} calls and woke {} times",
        calls.0, calls.1
    );
    println!("a full frame sent through the files: {each:?}");
}
