//! An adapter that follows a script, xhcid with its driver, and a client of the driver's scheme: no QEMU.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::xhcid::bus::Port;
use lab::xhcid::scripted::{BULK_IN, Rndis, RndisSpec, ScriptedBus};
use lab::xhcid::{Detach, Driver, DriverArguments, Endpoints, RNDIS_CLASSES, Xhcid, XhcidSpec};
use netscheme::frame::{FrameSink, FrameSource, LinkState, Slot};
use netscheme::network::client::{Adapter, Control, Receiver, Transmitter};
use netscheme::reactor::Reactor;
use netscheme::{clock, logging};
use redox_host::{ContextHandle, Entered, ExitStatus, Host, HostConfig, Process, ProcessSpec};
use syscall::flag::EventFlags;
use usb_rndisd::Options;

pub(crate) use crate::common::SOON;

/// The port that adapters are plugged into here.
pub(crate) const PORT: Port = Port(5);
/// How the driver's scheme is called, without `network.`.
pub(crate) const NAME: &str = "usb-usb.pci-0000-00-06.0_xhci+5";

/// What a story changes of the usual.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) endpoints: Endpoints,
    pub(crate) detach: Detach,
    /// After how long without a word the device is asked whether it lives.
    pub(crate) keepalive: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            endpoints: Endpoints::Events,
            detach: Detach::Fails,
            keepalive: Duration::from_secs(60),
        }
    }
}

impl Manner {
    pub(crate) fn endpoints(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            ..Self::default()
        }
    }
}

/// A machine with USB.
pub(crate) struct Bench {
    pub(crate) host: Arc<Host>,
    pub(crate) bus: ScriptedBus,
    pub(crate) xhcid: Xhcid,
    log: Arc<Mutex<Vec<String>>>,
    /// The driver's process, for a story to look into.
    pub(crate) inside: Arc<Mutex<Option<ContextHandle>>>,
}

/// The driver as xhcid starts it.
fn driver(manner: Manner, inside: Arc<Mutex<Option<ContextHandle>>>) -> Driver {
    Driver::new("usb-rndisd", &RNDIS_CLASSES, move |arguments| {
        logging::init("usb-rndisd", log::LevelFilter::Debug);
        *inside.lock().unwrap() = redox_host::current();
        let DriverArguments {
            scheme,
            port,
            interface,
            ..
        } = arguments;
        let endpoints = match manner.endpoints {
            Endpoints::Blocking => "blocking",
            Endpoints::NonBlocking => "nonblocking",
            Endpoints::Events => "events",
        };
        let line = format!("{scheme} {port} {interface} --endpoints {endpoints}");
        let mut options = Options::parse(line.split(' ').map(str::to_owned)).unwrap();
        options.keepalive = manner.keepalive;
        let Err(error) = usb_rndisd::run(&options);
        log::error!("{error}");
        1
    })
}

impl Bench {
    /// A machine with nothing plugged in.
    pub(crate) fn new(manner: Manner) -> Self {
        let host = Arc::new(Host::new(HostConfig::default()).unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        host.set_log(move |_, name, line| {
            let line = format!("{name}: {}", String::from_utf8_lossy(line));
            lines.lock().unwrap().push(line);
        });
        let bus = ScriptedBus::new().unwrap();
        let inside = Arc::default();
        let spec = XhcidSpec::new("pci-0000-00-06.0")
            .endpoints(manner.endpoints)
            .detach(manner.detach)
            .stale_notify()
            .driver(driver(manner, Arc::clone(&inside)));
        let xhcid = Xhcid::spawn(&host, spec, bus.open(&host)).unwrap();
        Self {
            host,
            bus,
            xhcid,
            log,
            inside,
        }
    }

    /// Plugs an adapter in.
    pub(crate) fn plug(&self, spec: RndisSpec) -> Rndis {
        Rndis::plug(&self.bus, PORT, spec)
    }

    /// Waits until the driver listens to the device, which is when its scheme is there.
    pub(crate) fn wait_up(&self) -> Process {
        let up = || self.bus.is_armed(PORT, BULK_IN);
        assert!(self.bus.wait_until(SOON, up), "{}", self.log());
        self.driver()
    }

    /// The driver of the port.
    pub(crate) fn driver(&self) -> Process {
        self.xhcid.wait_for_driver(PORT, SOON).unwrap()
    }

    /// The driver ends by itself and says why.
    pub(crate) fn assert_ends(&self, driver: &Process, why: &str) {
        let status = driver.wait(Duration::from_secs(60));
        assert_eq!(status, Some(ExitStatus::Exited(1)), "{}", self.log());
        assert!(
            self.log().contains(why),
            "{why:?} is not in: {}",
            self.log()
        );
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().concat()
    }

    /// A machine with this adapter, driver and client.
    pub(crate) fn running(manner: Manner, spec: RndisSpec) -> (Self, Rndis, Client) {
        let bench = Self::new(manner);
        let adapter = bench.plug(spec);
        bench.wait_up();
        let client = Client::open(&bench.host).unwrap_or_else(|| panic!("{}", bench.log()));
        (bench, adapter, client)
    }
}

const DATA: usize = 0;
const LINK: usize = 1;

/// Who reads and writes frames: the calling thread, by the code that the stack uses.
pub(crate) struct Client {
    control: Control,
    receiver: Receiver,
    transmitter: Transmitter,
    reactor: Reactor,
    link: EventFlags,
    /// Dropped last: the files belong to this process.
    _process: Entered,
}

impl Client {
    /// Opens the adapter; `None` when there is none.
    pub(crate) fn open(host: &Host) -> Option<Self> {
        let process = host.enter(ProcessSpec::new("client"));
        let (control, receiver, transmitter) = Adapter::open(NAME).ok()?.split();
        let reactor = Reactor::new().unwrap();
        let (fd, flags) = control.data_watch();
        reactor.watch(fd, DATA, flags).unwrap();
        let (fd, flags) = control.link_watch().unwrap();
        reactor.watch(fd, LINK, flags).unwrap();
        Some(Self {
            control,
            receiver,
            transmitter,
            reactor,
            link: EventFlags::empty(),
            _process: process,
        })
    }

    /// Waits for events; false when none came.
    pub(crate) fn wait(&mut self, time: Duration) -> bool {
        let mut events = Vec::new();
        let deadline = clock::now().saturating_add(time);
        self.reactor.wait(Some(deadline), &mut events).unwrap();
        for event in &events {
            match event.token {
                DATA if event.flags.contains(EventFlags::EVENT_WRITE) => {
                    self.transmitter.on_writable();
                }
                LINK => self.link |= event.flags,
                _ => {}
            }
        }
        !events.is_empty()
    }

    /// The next frame, which must come.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        self.frame_within(SOON)
            .unwrap_or_else(|| panic!("no frame came: {:?}", self.control.stats()))
    }

    fn frame_within(&mut self, time: Duration) -> Option<Vec<u8>> {
        let deadline = clock::now().saturating_add(time);
        loop {
            if let Some(frame) = self.receiver.next_frame() {
                return Some(frame.to_vec());
            }
            let left = deadline.since(clock::now());
            if left.is_zero() || self.receiver.failure().is_some() {
                return None;
            }
            self.wait(left);
        }
    }

    /// A frame that is there already.
    pub(crate) fn frame_now(&mut self) -> Option<Vec<u8>> {
        self.receiver.next_frame().map(|frame| frame.to_vec())
    }

    /// Sends a frame, waiting for room if need be.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        while !self.transmitter.has_room() {
            assert!(self.wait(SOON), "no room: {:?}", self.control.stats());
        }
        if let Some(mut slot) = self.transmitter.slot(frame.len()) {
            slot.copy_from_slice(frame);
            slot.commit();
        }
        self.transmitter.flush();
    }

    /// Frames that wait in the client because the driver has no room.
    pub(crate) fn queued(&self) -> usize {
        self.transmitter.queued()
    }

    /// Waits until the driver has taken everything.
    pub(crate) fn drain(&mut self) {
        while self.queued() > 0 {
            self.drain_some();
        }
    }

    /// Sends something of what waits, if anything does.
    pub(crate) fn drain_some(&mut self) {
        let before = self.transmitter.queued();
        while before > 0 && self.transmitter.queued() == before {
            assert!(self.wait(SOON), "no room: {:?}", self.control.stats());
        }
    }

    /// Waits until the link is as wanted; by events, not by asking.
    pub(crate) fn wait_link(&mut self, up: bool) -> LinkState {
        while self.control.link().up != up {
            if core::mem::take(&mut self.link).is_empty() {
                assert!(self.wait(SOON), "the link stays {}", self.control.link());
            } else {
                self.control.on_link_event();
            }
        }
        self.control.link()
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// A counter of the driver.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.control.stats();
        let stat = stats.iter().find(|(known, _)| known == name);
        stat.unwrap_or_else(|| panic!("no {name} in {stats:?}")).1
    }

    /// Asks the driver for a counter until it is as wanted.
    pub(crate) fn wait_stat(&self, name: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        let deadline = clock::now().saturating_add(SOON);
        loop {
            let value = self.stat(name);
            if wanted(value) {
                return value;
            }
            assert!(
                clock::now() < deadline,
                "{name} is {value}: {:?}",
                self.control.stats()
            );
            std::thread::yield_now();
        }
    }

    /// Whether the driver is gone, as far as the last call has shown.
    pub(crate) fn is_gone(&mut self) -> bool {
        while self.receiver.failure().is_none() {
            if self.receiver.next_frame().is_none() && self.receiver.failure().is_none() {
                self.wait(SOON);
            }
        }
        true
    }
}

/// A frame that no other call gives.
pub(crate) fn frame(length: usize) -> Vec<u8> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut frame: Vec<u8> = (0..length)
        .map(|at| (at as u32).wrapping_mul(number) as u8 | 1)
        .collect();
    frame[..4].copy_from_slice(&number.to_be_bytes());
    frame
}
