//! Devices that are pulled out, and drivers that end.

use std::time::Duration;

use lab::xhcid::scripted::message::{HALT, INITIALIZE, word};
use lab::xhcid::scripted::{Answer, BULK_IN, RndisSpec};
use lab::xhcid::{Detach, Endpoints};
use libredox::Fd;
use redox_host::{ExitStatus, Host, ProcessSpec};
use syscall::flag::O_RDWR;
use usb_rndisd::Options;

use super::bench::{Bench, Client, Manner, NAME, PORT, SOON, frame};
use super::channel::initialize_refused;

/// A driver started by hand for the adapter of the port.
fn start_by_hand(bench: &Bench, endpoints: &str) -> redox_host::Process {
    let line = format!("{} {PORT} 0 --endpoints {endpoints}", bench.xhcid.scheme());
    let options = Options::parse(line.split(' ').map(str::to_owned)).unwrap();
    bench.host.spawn(ProcessSpec::new("usb-rndisd"), move || {
        netscheme::logging::init("usb-rndisd", log::LevelFilter::Debug);
        let Err(error) = usb_rndisd::run(&options);
        log::error!("{error}");
        1
    })
}

/// A client of the adapter that `driver` brings up.
fn open_when_up(bench: &Bench, driver: &redox_host::Process) -> Client {
    loop {
        assert!(driver.is_running(), "{}", bench.log());
        match Client::open(&bench.host) {
            Some(client) => return client,
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn plugged_out_the_process_ends_and_the_scheme_with_it() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let (bench, adapter, mut client) =
            Bench::running(Manner::endpoints(endpoints), RndisSpec::new());
        let driver = bench.driver();
        adapter.unplug();
        assert!(client.is_gone());
        assert!(
            Client::open(&bench.host).is_none(),
            "nobody finds it any more"
        );
        drop(client);
        bench.assert_ends(&driver, "the device was unplugged");
        assert!(Client::open(&bench.host).is_none());
    }
}

#[test]
fn whoever_watches_the_adapter_is_woken_up_when_it_is_pulled_out() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    while client.wait(Duration::ZERO) {}
    adapter.unplug();
    assert!(client.wait(SOON), "without having asked for anything");
    assert!(client.is_gone());
}

#[test]
fn plugged_in_again_it_has_the_same_name() {
    let bench = Bench::new(Manner::default());
    for _ in 0..5 {
        let adapter = bench.plug(RndisSpec::new());
        let driver = bench.wait_up();
        let mut client = Client::open(&bench.host).unwrap();
        let back = frame(60);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back);
        drop(client);
        adapter.unplug();
        bench.assert_ends(&driver, "the device was unplugged");
        assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
    }
}

#[test]
fn the_device_is_pulled_out_at_every_step_of_the_bring_up() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let bench = Bench::new(Manner::endpoints(endpoints));
        let before = bench.bus.steps();
        let adapter = bench.plug(RndisSpec::new());
        let driver = bench.wait_up();
        let steps = bench.bus.steps() - before;
        assert!(
            steps > 20,
            "address, descriptors, configuration, a dozen messages: {steps}"
        );
        adapter.unplug();
        assert_eq!(driver.wait(SOON), Some(ExitStatus::Exited(1)));
        assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
        for step in 0..steps {
            let before = bench.bus.steps();
            bench.bus.unplug_after(step, PORT);
            bench.plug(RndisSpec::new());
            let reached = || bench.bus.steps() > before + step;
            assert!(bench.bus.wait_until(SOON, reached), "step {step}");
            assert!(bench.xhcid.wait_for_port(PORT, false, SOON), "step {step}");
            for driver in bench.xhcid.drivers(PORT) {
                assert!(driver.wait(SOON).is_some(), "step {step}: {}", bench.log());
            }
            assert!(Client::open(&bench.host).is_none(), "step {step}");
        }
        let adapter = bench.plug(RndisSpec::new());
        bench.wait_up();
        let mut client = Client::open(&bench.host).unwrap();
        let back = frame(60);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back, "and after all that it works");
    }
}

/// What the machine holds when nothing is plugged in and no request is under way: processes, sockets, subscriptions.
/// An answer may still be on its way to who has moved on, and tells nobody of its end.
fn held(host: &Host) -> [usize; 3] {
    let started = std::time::Instant::now();
    while host.usage().requests > 0 {
        assert!(started.elapsed() < SOON, "a request is never answered");
        std::thread::yield_now();
    }
    let usage = host.usage();
    [usage.processes, usage.sockets, usage.subscriptions]
}

/// Memory, files and threads of this program: pages, and numbers.
fn resident() -> [usize; 3] {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    let entries = |path: &str| std::fs::read_dir(path).unwrap().count();
    [pages, entries("/proc/self/fd"), entries("/proc/self/task")]
}

/// Set for the program in which nothing else runs.
const ALONE: &str = "STORY_ALONE";

/// Runs the story `name` again in a program of its own, where what it leaves behind can be seen; false if this is it.
fn runs_alone_elsewhere(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let mut alone = std::process::Command::new(program);
    let output = alone
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&text)
    );
    true
}

/// Plugs an adapter in, lets frames pass both ways, and pulls it out while they do.
fn cycle(bench: &Bench) {
    let adapter = bench.plug(RndisSpec::new().peer(|frame| vec![frame.to_vec()]));
    let driver = bench.wait_up();
    let mut client = Client::open(&bench.host).unwrap_or_else(|| panic!("{}", bench.log()));
    (0..5).for_each(|_| client.send(&frame(200)));
    assert_eq!(client.frame().len(), 200);
    // The rest is on its way: what came back was sent, and what was sent was to be sent.
    let (received, there, sent) = (
        client.stat("rx_frames"),
        adapter.frames().len() as u64,
        client.stat("tx_frames"),
    );
    assert!(1 <= received && received <= there && there <= sent && sent <= 5);
    adapter.unplug();
    assert!(client.is_gone());
    drop(client);
    assert!(driver.wait(SOON).is_some(), "{}", bench.log());
    assert!(bench.xhcid.wait_for_port(PORT, false, SOON));
}

#[test]
fn a_thousand_times_pulled_out_under_traffic_and_plugged_in_again() {
    /// Of each of the two ways in which an xhcid lets its drivers go.
    const CYCLES: usize = 500;
    /// 8 MiB: the buffers of one adapter in each cycle would be five times that.
    const PAGES: usize = 2048;
    let name = "usb::plugging::a_thousand_times_pulled_out_under_traffic_and_plugged_in_again";
    if runs_alone_elsewhere(name) {
        return;
    }
    for detach in [Detach::Fails, Detach::Kills] {
        let bench = Bench::new(Manner {
            detach,
            ..Manner::default()
        });
        (0..50).for_each(|_| cycle(&bench));
        let (machine, files) = (held(&bench.host), bench.xhcid.process().open_fds());
        let [pages, program_files, threads] = resident();
        (50..CYCLES).for_each(|_| cycle(&bench));
        // One leaked in each cycle would be hundreds more; what was still going at first may be gone.
        let (machine_now, files_now) = (held(&bench.host), bench.xhcid.process().open_fds());
        let mut pairs = machine_now.iter().zip(&machine);
        assert!(
            pairs.all(|(now, first)| now <= first) && files_now <= files,
            "{machine_now:?} and {files_now} files, at first {machine:?} and {files}"
        );
        let started = std::time::Instant::now();
        // A thread whose process has ended may still be on its way out.
        while resident()[2] > threads && started.elapsed() < SOON {
            std::thread::yield_now();
        }
        let after = resident();
        println!("{detach:?}: {after:?} after {CYCLES} cycles, {pages} pages after 50");
        assert!(
            after[0] <= pages + PAGES,
            "{} pages, at first {pages}",
            after[0]
        );
        assert_eq!(after[1], program_files, "files");
        assert!(
            after[2] <= threads,
            "{} threads, at first {threads}",
            after[2]
        );
    }
}

#[test]
fn killed_and_started_again_it_goes_on_with_the_transfer_that_was_left() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let (bench, adapter, client) =
            Bench::running(Manner::endpoints(endpoints), RndisSpec::new());
        drop(client);
        let driver = bench.driver();
        driver.kill();
        assert_eq!(driver.wait(SOON), Some(ExitStatus::Killed));
        let word = if endpoints == Endpoints::Events {
            "events"
        } else {
            "nonblocking"
        };
        let requests = adapter.requests().len();
        let second = start_by_hand(&bench, word);
        assert!(adapter.wait_until(SOON, |adapter| adapter.requests().len() > requests));
        let mut client = open_when_up(&bench, &second);
        for _ in 0..3 {
            let back = frame(60);
            adapter.send_frame(&back);
            assert_eq!(client.frame(), back, "{endpoints:?}");
        }
        second.kill();
    }
}

/// RNDIS lets a device that is up refuse INITIALIZE; the driver that was killed said no HALT.
#[test]
fn killed_and_started_again_it_halts_a_device_that_is_up_still() {
    let mut is_up = false;
    let spec = RndisSpec::new().script(move |request| {
        let was_up = is_up;
        match word(request, 0) {
            INITIALIZE => is_up = true,
            HALT => is_up = false,
            _ => return Answer::Usual,
        }
        match was_up && is_up {
            true => Answer::Messages(vec![initialize_refused(request)]),
            false => Answer::Usual,
        }
    });
    let (bench, adapter, client) = Bench::running(Manner::default(), spec);
    drop(client);
    let driver = bench.driver();
    driver.kill();
    assert_eq!(driver.wait(SOON), Some(ExitStatus::Killed));
    let before = adapter.requests().len();
    let second = start_by_hand(&bench, "events");
    let mut client = open_when_up(&bench, &second);
    let back = frame(60);
    adapter.send_frame(&back);
    assert_eq!(client.frame(), back);
    let requests = adapter.request_types().split_off(before);
    assert_eq!(requests[..3], [INITIALIZE, HALT, INITIALIZE]);
    second.kill();
}

#[test]
fn a_second_driver_for_the_same_adapter_ends_and_the_first_goes_on() {
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let requests = adapter.requests().len();
    let second = start_by_hand(&bench, "events");
    bench.assert_ends(&second, "is served already: another instance is running");
    assert_eq!(
        adapter.requests().len(),
        requests,
        "the device has heard nothing of it"
    );
    let back = frame(60);
    adapter.send_frame(&back);
    assert_eq!(client.frame(), back);
}

#[test]
fn an_inherited_init_notify_is_not_touched() {
    // The descriptor is open and is something else: the bench's drivers have the variable, and this one the file too.
    let bench = Bench::new(Manner::default());
    let init = bench.host.enter(ProcessSpec::new("init"));
    let reader = Fd::open("/scheme/pipe", syscall::flag::O_RDONLY as i32, 0).unwrap();
    let writer = Fd::new(reader.dup(b"write").unwrap());
    let adapter = bench.plug(RndisSpec::new());
    let first = bench.wait_up();
    first.kill();
    first.wait(SOON).unwrap();
    let spec = ProcessSpec::new("usb-rndisd")
        .fd(3, &init, writer.raw())
        .unwrap()
        .env("INIT_NOTIFY", "3");
    let line = format!("{} {PORT} 0 --endpoints events", bench.xhcid.scheme());
    let options = Options::parse(line.split(' ').map(str::to_owned)).unwrap();
    drop(writer);
    let driver = bench.host.spawn(spec, move || {
        let Err(_) = usb_rndisd::run(&options);
        1
    });
    while Fd::open(&format!("/scheme/network.{NAME}/mac"), O_RDWR as i32, 0).is_err() {
        std::thread::yield_now();
    }
    adapter.unplug();
    driver.wait(SOON).unwrap();
    assert_eq!(
        reader.read(&mut [0]).unwrap(),
        0,
        "not a byte, and then the end"
    );
}

#[test]
fn the_driver_has_given_up_its_namespace() {
    let (bench, _adapter, client) = Bench::running(Manner::default(), RndisSpec::new());
    drop(client);
    let inside = bench.inside.lock().unwrap().clone().unwrap();
    let thread = std::thread::spawn(move || {
        let _process = inside.attach();
        Fd::open(&format!("/scheme/network.{NAME}/mac"), O_RDWR as i32, 0).is_err()
    });
    assert!(thread.join().unwrap());
    assert!(bench.bus.is_armed(PORT, BULK_IN));
}
