//! Both ends of `/scheme/network.*`.

use std::collections::BTreeSet;

use crate::support::card::{DATA, LINK, MAC, adapter, driver, events, numbered, send};
use crate::support::*;
use netscheme::daemon;
use netscheme::frame::{FrameSink, FrameSource, LinkState};
use netscheme::network::client::Adapter;
use netscheme::network::discover::{Discovery, Namespace};
use netscheme::reactor::Reactor;
use redox_host::ProcessSpec;
use syscall::error::*;
use syscall::flag::{EventFlags, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR};

const READ: EventFlags = EventFlags::EVENT_READ;

#[test]
fn the_1514_byte_frame_passes_both_ways() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    let (control, mut receiver, mut transmitter, mut reactor) = adapter("eth");
    assert_eq!(
        (control.name(), control.mac(), control.mtu(), control.link()),
        ("eth", MAC, 1500, LinkState::UP)
    );
    card.interrupt(|card| card.received.push_back(vec![1; 1514]));
    assert_eq!(events(&mut reactor), [(DATA, READ)]);
    assert_eq!(receiver.next_frame().as_deref(), Some(&[1; 1514][..]));
    assert!(receiver.next_frame().is_none());

    assert!(send(&mut transmitter, &[2; 1514]));
    transmitter.flush();
    card.wait_sent(1);
    assert_eq!(card.look(|card| card.sent.clone()), [vec![2; 1514]]);
    assert!(
        transmitter.slot(1519).is_none(),
        "no room for what no adapter can send"
    );
    assert_eq!(control.stats().first(), Some(&("tx_frames".to_owned(), 1)));
}

#[test]
fn a_blocked_reader_gets_the_frame_that_interrupts() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("test"));
    let (_driver, card, window) = driver(&host, &entered, "eth", 8);
    let reader = blocked_client(&host, &window, 1, ProcessSpec::new("reader"), || {
        let mut buffer = [0; 2048];
        let length = open("network.eth", O_RDWR).read(&mut buffer)?;
        assert_eq!(buffer[..length], [7; 60]);
        Ok(())
    });
    card.interrupt(|card| card.received.push_back(vec![7; 60]));
    assert_eq!(status(&reader), 0);
}

#[test]
fn a_link_that_goes_down_wakes_the_stack() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 8);
    let (mut control, _receiver, _transmitter, mut reactor) = adapter("eth");
    let fast = LinkState {
        up: true,
        speed_mbps: Some(10_000),
    };
    for state in [LinkState::DOWN, fast, LinkState::DOWN] {
        card.interrupt(|card| card.link = state);
        assert_eq!(events(&mut reactor), [(LINK, READ)]);
        assert_eq!(control.on_link_event(), state);
    }
}

#[test]
fn a_driver_that_ended_is_noticed_and_its_successor_found() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (first, _card, _window) = driver(&host, &entered, "eth", 8);
    let namespace = Namespace::current().unwrap();
    let mut discovery = Discovery::default();
    assert_eq!(
        discovery.update(namespace.adapters().unwrap()).appeared,
        ["eth"]
    );
    daemon::enter_null_namespace().unwrap();
    assert!(
        Adapter::open("eth").is_err(),
        "the null namespace has no adapters"
    );
    let (_, mut receiver, mut transmitter) = Adapter::open_in(&namespace, "eth").unwrap().split();

    first.kill();
    assert!(first.wait(PATIENCE).is_some());
    assert!(send(&mut transmitter, &[0; 60]));
    transmitter.flush();
    assert_eq!(transmitter.failure().map(|error| error.errno), Some(ENODEV));
    assert_eq!(
        (transmitter.counters().tx_driver_gone, transmitter.queued()),
        (1, 0)
    );
    assert!(!send(&mut transmitter, &[0; 60]));
    assert!(receiver.next_frame().is_none());
    assert_eq!(receiver.failure().map(|error| error.errno), Some(ENODEV));
    assert!(Adapter::open_in(&namespace, "eth").is_err());
    discovery.forget("eth");

    // The test's own process has no pipes in the null namespace: another one starts the successor.
    let starter = host.enter(ProcessSpec::new("init"));
    let (_second, card, _window) = driver(&host, &starter, "eth", 8);
    drop(starter);
    assert_eq!(
        discovery.update(namespace.adapters().unwrap()).appeared,
        ["eth"]
    );
    let (_, _receiver, mut transmitter) = Adapter::open_in(&namespace, "eth").unwrap().split();
    assert!(send(&mut transmitter, &[5; 60]));
    transmitter.flush();
    card.wait_sent(1);
    assert_eq!(card.look(|card| card.sent.clone()), [vec![5; 60]]);
}

#[test]
fn adapters_that_come_later_are_found_from_the_null_namespace() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let namespace = Namespace::current().unwrap();
    daemon::enter_null_namespace().unwrap();
    assert_eq!(namespace.adapters().unwrap(), BTreeSet::new());
    drop(entered);

    let starter = host.enter(ProcessSpec::new("init"));
    let namespace = Namespace::current().unwrap();
    let (_first, _card, _window) = driver(&host, &starter, "pci-0000-00-03.0_virtio_net", 8);
    let (_second, _card2, _window2) = driver(&host, &starter, "usb-usb.pci-0000-00-04.0_xhci+1", 8);
    let (_other, _seen) = provider(&host, "networking", Options::default());
    let found: Vec<String> = namespace.adapters().unwrap().into_iter().collect();
    assert_eq!(
        found,
        [
            "pci-0000-00-03.0_virtio_net",
            "usb-usb.pci-0000-00-04.0_xhci+1"
        ]
    );
    for name in found {
        Adapter::open_in(&namespace, &name).unwrap();
    }
}

#[test]
fn upstreams_stack_finds_what_it_expects() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd of upstream"));
    let (_driver, card, _window) = driver(&host, &entered, "eth", 1);
    let data = open("network.eth", O_RDWR | O_NONBLOCK);
    let mut mac = Vec::new();
    let file = open("network.eth/mac", O_RDONLY);
    assert_eq!(file.stat().unwrap().st_size, 6);
    let mut buffer = [0; 32];
    loop {
        let length = file.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        mac.extend_from_slice(&buffer[..length]);
    }
    assert_eq!(mac, MAC.0);

    let mut buffer = [0; 1500];
    assert_eq!(errno(data.read(&mut buffer)), EAGAIN);
    card.interrupt(|card| card.received.extend([vec![1; 1514], vec![2; 60]]));
    let reactor = &mut Reactor::new().unwrap();
    reactor.watch(data.raw(), DATA, READ).unwrap();
    assert_eq!(events(reactor), [(DATA, READ)]);
    assert_eq!(
        data.read(&mut buffer).unwrap(),
        1500,
        "cut to its buffer, as upstream's drivers do"
    );
    assert_eq!(data.read(&mut buffer).unwrap(), 60);
    assert_eq!(data.write(&[3; 1514]).unwrap(), 1514);
    assert_eq!(errno(data.write(&[3; 1514])), EAGAIN);
}

#[test]
fn a_listing_of_the_adapter_shows_its_files() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("ls"));
    let (_driver, _card, _window) = driver(&host, &entered, "eth", 1);
    let directory = open("network.eth", O_RDONLY | O_DIRECTORY);
    let mut buffer = [0; 1024];
    let length = libredox::call::getdents(directory.raw(), &mut buffer, 0).unwrap();
    let listed = |name: &str| {
        let mut windows = buffer[..length].windows(name.len());
        windows.any(|window| window == name.as_bytes())
    };
    assert!(listed("rx") && listed("tx"));
    for name in ["mac", "mtu", "link", "stats"] {
        assert!(listed(name), "{name}");
        let file = directory.openat(name, O_RDONLY as i32, 0).unwrap();
        assert!(file.read(&mut [0; 64]).unwrap() > 0, "{name}");
    }
    let _writer = open("network.eth", O_RDWR);
    assert_eq!(errno(try_open("network.eth", O_RDWR)), EBUSY);
    assert_eq!(errno(try_open("network.eth/none", O_RDWR)), ENOENT);
}

/// A driver as upstream's are: two files, no event for room, an error for any other file.
struct Upstream {
    received: Vec<Vec<u8>>,
    sent: std::sync::mpsc::Sender<Vec<u8>>,
    busy: bool,
}

impl redox_scheme::scheme::SchemeSync for Upstream {
    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        _: usize,
        _: u32,
        _: &redox_scheme::CallerCtx,
    ) -> Result<redox_scheme::OpenResult> {
        let number = match (dir, path) {
            (0, "") => 1,
            (0, "mac") => 2,
            _ => return Err(Error::new(EINVAL)),
        };
        Ok(redox_scheme::OpenResult::ThisScheme {
            number,
            flags: syscall::schemev2::NewFdFlags::empty(),
        })
    }
    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _: u64,
        _: u32,
        _: &redox_scheme::CallerCtx,
    ) -> Result<usize> {
        let data = match id {
            1 => self.received.pop().ok_or(Error::new(EWOULDBLOCK))?,
            _ => MAC.0.to_vec(),
        };
        buffer[..data.len()].copy_from_slice(&data);
        Ok(data.len())
    }
    fn write(
        &mut self,
        _: usize,
        buffer: &[u8],
        _: u64,
        _: u32,
        _: &redox_scheme::CallerCtx,
    ) -> Result<usize> {
        self.busy = !self.busy;
        if self.busy {
            return Err(Error::new(EIO));
        }
        self.sent.send(buffer.to_vec()).unwrap();
        Ok(buffer.len())
    }
}

impl netscheme::Scheme for Upstream {}

#[test]
fn a_driver_of_upstreams_is_used_by_reads_and_writes_alone() {
    let host = host();
    let (ready, started) = std::sync::mpsc::channel();
    let (sent, frames) = std::sync::mpsc::channel();
    let _driver = host.spawn(ProcessSpec::new("e1000d"), move || {
        let mut scheme = Upstream {
            received: vec![vec![2; 60], vec![1; 1514]],
            sent,
            busy: false,
        };
        let mut server = netscheme::Server::create("network.pci-0000-00-03.0_e1000", 0).unwrap();
        let mut reactor = Reactor::new().unwrap();
        reactor.watch(server.fd(), 0, READ).unwrap();
        ready.send(()).unwrap();
        let mut events = Vec::new();
        while reactor.wait(None, &mut events).is_ok() {
            let served = server.serve(&mut scheme, netscheme::clock::now());
            if served.is_err() || server.flush().is_err() {
                break;
            }
        }
        0
    });
    started.recv().unwrap();
    let _entered = host.enter(ProcessSpec::new("smolnetd"));
    let (control, mut receiver, mut transmitter) =
        Adapter::open("pci-0000-00-03.0_e1000").unwrap().split();
    assert_eq!(
        (control.mac(), control.mtu(), control.link()),
        (MAC, 1500, LinkState::UP)
    );
    assert_eq!((control.link_watch(), control.stats()), (None, vec![]));
    assert_eq!(receiver.next_frame().as_deref(), Some(&[1; 1514][..]));
    assert_eq!(receiver.next_frame().as_deref(), Some(&[2; 60][..]));
    assert!(receiver.next_frame().is_none() && receiver.failure().is_none());

    // It fails every other write: those frames are lost, counted, and hold up no others.
    for number in 0..6 {
        assert!(send(&mut transmitter, &numbered(number)));
    }
    transmitter.flush();
    let frames: Vec<Vec<u8>> = frames.try_iter().collect();
    assert_eq!(frames, [numbered(1), numbered(3), numbered(5)]);
    assert_eq!(
        (transmitter.counters().tx_refused, transmitter.queued()),
        (3, 0)
    );
}

#[test]
fn a_driver_whose_card_is_gone_says_so_until_its_files_are_closed() {
    let host = host();
    let entered = host.enter(ProcessSpec::new("smolnetd"));
    let (driver, card, _window) = driver(&host, &entered, "eth", 8);
    let (control, mut receiver, mut transmitter, mut reactor) = adapter("eth");
    card.interrupt(|card| card.gone = true);
    // Each file tells it by an event of its own, in one wake-up or in several.
    let tells = |&(token, flags): &(usize, EventFlags)| token == DATA && flags.contains(READ);
    while !events(&mut reactor).iter().any(tells) {}
    assert!(receiver.next_frame().is_none());
    assert_eq!(receiver.failure(), Some(Error::new(ENODEV)));
    assert!(send(&mut transmitter, &[1; 60]));
    transmitter.flush();
    assert_eq!(transmitter.failure(), Some(Error::new(ENODEV)));
    assert_eq!(Adapter::open("eth").err(), Some(Error::new(ENODEV)));
    assert!(driver.is_running(), "as long as somebody has it open");
    drop((control, receiver, transmitter));
    assert!(driver.wait(PATIENCE).is_some(), "and no longer");
}
