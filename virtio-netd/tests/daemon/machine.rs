//! A machine with a card in it, the driver running on it, and a client of the driver's scheme.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use libredox::Fd;
use netscheme::logging;
use netscheme::reactor::{Event, Reactor};
use pcid_interface::msix::{self, Vector};
use pcid_interface::{Function, LegacyInterruptLine};
use redox_host::{ContextHandle, Entered, ExitStatus, Host, HostConfig, Process, ProcessSpec};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDONLY, O_RDWR};
use virtio_core::{DmaAllocator, Registers};
use virtio_netd::{Error, Options, Platform, run};

use crate::card::{Card, Manner, Table, Wiring};
use crate::pcid::{FUNCTION, Pcid};

/// Longer than anything here takes on the slowest machine; nothing waits for it to pass.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Where the driver serves the card.
pub(crate) const SCHEME: &str = "/scheme/network.pci-0000-00-04.0_virtio_net";

/// The machine that the card is in.
pub(crate) struct CardPlatform {
    pub(crate) card: Card,
    /// The process that uses it, for the test to look into.
    pub(crate) process: Arc<Mutex<Option<ContextHandle>>>,
}

impl CardPlatform {
    pub(crate) fn new(card: &Card) -> Self {
        Self {
            card: card.clone(),
            process: Arc::default(),
        }
    }
}

impl Platform for CardPlatform {
    fn registers(&mut self, _function: &Function, bar: u8) -> Result<Arc<dyn Registers>, Error> {
        Ok(if bar == 0 {
            Arc::new(self.card.clone())
        } else {
            Arc::new(Table(self.card.clone()))
        })
    }

    fn memory(&mut self) -> Result<Box<dyn DmaAllocator>, Error> {
        *self.process.lock().unwrap() = redox_host::current();
        Ok(Box::new(self.card.memory.clone()))
    }

    fn vector(&mut self) -> Result<Option<Vector>, Error> {
        Ok(Some(msix::allocate_vector()?))
    }

    fn line(&mut self, line: &LegacyInterruptLine) -> Result<Fd, Error> {
        Ok(line.open()?)
    }
}

pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) card: Card,
    /// What the driver logged.
    log: Arc<Mutex<Vec<String>>>,
    /// The driver's process.
    pub(crate) inside: Arc<Mutex<Option<ContextHandle>>>,
    /// What pcid maps for BAR 1.
    pub(crate) bar: Arc<OnceLock<usize>>,
    /// The offsets of the mappings that pcid was asked for.
    pub(crate) mapped: Arc<Mutex<Vec<u64>>>,
    pcid: Arc<OnceLock<ContextHandle>>,
    /// Keeps the sources of interrupts from looking readable.
    _sources: Vec<std::io::PipeWriter>,
}

impl Machine {
    /// A machine with a card and pcid, and no driver.
    pub(crate) fn new(wiring: Wiring, manner: Manner) -> Self {
        Self::with(wiring, manner, |_| {})
    }

    /// The same, with something about pcid changed.
    pub(crate) fn with(wiring: Wiring, manner: Manner, change: impl FnOnce(&mut Pcid)) -> Self {
        let host = Host::new(HostConfig::default()).unwrap();
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (reader, writer) = std::io::pipe().unwrap();
            readers.push(OwnedFd::from(reader));
            writers.push(writer);
        }
        host.irq().provide_msi_vectors(readers);
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        host.set_log(move |_, name, line| {
            lines
                .lock()
                .unwrap()
                .push(format!("{name}: {}", String::from_utf8_lossy(line)));
        });
        let card = Card::new(&host, wiring, manner);
        let mut pcid = Pcid::new(card.clone());
        change(&mut pcid);
        let (bar, mapped) = (Arc::clone(&pcid.bar), Arc::clone(&pcid.mapped));
        let process = Arc::clone(&pcid.process);
        let (ready, is_ready) = mpsc::channel();
        host.spawn(ProcessSpec::new("pcid"), move || pcid.run(&ready));
        is_ready.recv_timeout(LONG).expect("pcid serves");
        Self {
            host,
            card,
            log,
            inside: Arc::default(),
            bar,
            mapped,
            pcid: process,
            _sources: writers,
        }
    }

    /// Starts the driver.
    pub(crate) fn start(&self) -> (Process, Notify) {
        let notify = Notify::new(&self.host);
        let spec = ProcessSpec::new("virtio-netd")
            .fd(7, &notify.init, notify.writer)
            .unwrap();
        let mut platform = CardPlatform {
            process: Arc::clone(&self.inside),
            ..CardPlatform::new(&self.card)
        };
        let process = self.host.spawn(spec, move || {
            logging::init("virtio-netd", log::LevelFilter::Debug);
            let channel = Fd::open(&format!("{FUNCTION}/channel"), O_RDWR as i32, 0).unwrap();
            let options = Options {
                init_notify: Some("7".into()),
            };
            let Err(error) = run(&options, &mut platform, channel);
            log::error!("{error}");
            1
        });
        (process, notify)
    }

    /// A machine whose driver runs, and a client of it.
    pub(crate) fn running(wiring: Wiring, manner: Manner) -> (Self, Process, Client) {
        let machine = Self::new(wiring, manner);
        let (process, notify) = machine.start();
        notify.wait(&machine);
        drop(notify);
        let client = Client::new(&machine.host);
        (machine, process, client)
    }

    /// pcid's process.
    pub(crate) fn inside_pcid(&self) -> ContextHandle {
        self.pcid.get().unwrap().clone()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The driver ends by itself.
    pub(crate) fn assert_ends(&self, process: &Process, why: &str) {
        let status = process
            .wait(LONG)
            .unwrap_or_else(|| panic!("the driver goes on: {}", self.log()));
        assert_eq!(status, ExitStatus::Exited(1), "{}", self.log());
        assert!(
            self.log().contains(why),
            "{why:?} is not in: {}",
            self.log()
        );
    }
}

/// Init's end of `INIT_NOTIFY`.
pub(crate) struct Notify {
    init: Entered,
    reader: Fd,
    writer: usize,
}

impl Notify {
    fn new(host: &Host) -> Self {
        let init = host.enter(ProcessSpec::new("init"));
        let reader = Fd::open("/scheme/pipe", O_RDONLY as i32, 0).unwrap();
        let writer = reader.dup(b"write").unwrap();
        Self {
            init,
            reader,
            writer,
        }
    }

    /// Waits until the driver says that it is ready.
    pub(crate) fn wait(&self, machine: &Machine) {
        // Only the driver's end is left, so that its death ends the wait, too.
        libredox::call::close(self.writer).unwrap();
        let mut byte = [0];
        assert_eq!(
            self.reader.read(&mut byte).unwrap(),
            1,
            "it never became ready: {}",
            machine.log()
        );
    }
}

/// A process that uses the driver's scheme: the calling thread.
pub(crate) struct Client {
    pub(crate) _process: Entered,
}

impl Client {
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            _process: host.enter(ProcessSpec::new("client")),
        }
    }

    pub(crate) fn open(&self, node: &str, flags: usize) -> Fd {
        Fd::open(&format!("{SCHEME}/{node}"), flags as i32, 0).unwrap()
    }

    /// The data file, as a stack opens it.
    pub(crate) fn frames(&self) -> Fd {
        self.open("", O_RDWR | O_NONBLOCK)
    }

    pub(crate) fn text(&self, node: &str) -> String {
        let mut bytes = [0; 4096];
        let length = self.open(node, O_RDONLY).read(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        let text = self.text("stats");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    pub(crate) fn assert_whole(&self) {
        assert_eq!(
            self.stat("rx_posted") + self.stat("rx_in_flight"),
            self.stat("rx_ring_size")
        );
    }
}

/// Waits for events of one file.
pub(crate) struct Watch(Reactor);

impl Watch {
    pub(crate) fn new(file: &Fd, flags: EventFlags) -> Self {
        let reactor = Reactor::new().unwrap();
        reactor.watch(file.raw(), 0, flags).unwrap();
        Self(reactor)
    }

    /// The next event.
    pub(crate) fn wait(&mut self) -> EventFlags {
        self.within(LONG).expect("an event")
    }

    /// The events that are there already.
    pub(crate) fn now(&mut self) -> Option<EventFlags> {
        self.within(Duration::ZERO)
    }

    fn within(&mut self, time: Duration) -> Option<EventFlags> {
        let deadline = netscheme::clock::now().saturating_add(time);
        let mut events: Vec<Event> = Vec::new();
        self.0.wait(Some(deadline), &mut events).unwrap();
        (!events.is_empty()).then(|| {
            events
                .iter()
                .fold(EventFlags::empty(), |all, event| all | event.flags)
        })
    }
}

/// A frame that no other call gives.
pub(crate) fn frame(length: usize) -> Vec<u8> {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut frame = vec![number as u8; length];
    frame[..8].copy_from_slice(&number.to_be_bytes());
    frame
}

/// One frame of a file, which must be there.
pub(crate) fn read(file: &Fd) -> Vec<u8> {
    try_read(file).expect("a frame")
}

/// One frame of a file, if there is any.
pub(crate) fn try_read(file: &Fd) -> Option<Vec<u8>> {
    let mut bytes = vec![0xee; 2048];
    match file.read(&mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Some(bytes)
        }
        Err(error) if error.errno() == syscall::error::EAGAIN => None,
        Err(error) => panic!("errno {}", error.errno()),
    }
}
