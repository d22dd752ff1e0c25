//! A network card whose other side is the test.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use libredox::Fd;
use netscheme::frame::{FrameSink, LinkState, Mac, Slot};
use netscheme::network::client::{Adapter, Control, Receiver, Transmitter};
use netscheme::network::server::{Full, NetworkServer, Nic};
use netscheme::reactor::Reactor;
use netscheme::{Instant, clock};
use redox_host::{Entered, Host, Process, ProcessSpec};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDWR};

use super::{PATIENCE, Window, open};

pub(crate) const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// What the card holds.
pub(crate) struct State {
    pub(crate) received: VecDeque<Vec<u8>>,
    pub(crate) sent: Vec<Vec<u8>>,
    /// Frames that still fit into its ring.
    pub(crate) room: usize,
    pub(crate) doorbells: usize,
    pub(crate) link: LinkState,
    pub(crate) mtu: u16,
    /// It was pulled out.
    pub(crate) gone: bool,
}

/// The test's side of the card: its state, and the line that interrupts the driver.
pub(crate) struct Card {
    state: Arc<Shared>,
    line: Fd,
}

/// What both sides see, and that the driver has done something to it.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Card {
    /// Changes the card's state and interrupts the driver.
    pub(crate) fn interrupt(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.line.write(&[1]).unwrap();
    }

    /// Looks at the card, or changes it without a word to the driver.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock())
    }

    /// Waits until the driver has sent `frames` frames in all and rung for them.
    pub(crate) fn wait_sent(&self, frames: usize) {
        let waits = |state: &mut State| state.sent.len() < frames || state.doorbells == 0;
        let guard = self.state.lock();
        let (state, timeout) = (self.state.changed)
            .wait_timeout_while(guard, PATIENCE, waits)
            .unwrap();
        let sent = state.sent.len();
        assert!(!timeout.timed_out(), "{sent} of {frames} frames were sent");
    }
}

/// The driver's side.
struct Driver(Arc<Shared>);

impl Nic for Driver {
    type Frame<'a> = Vec<u8>;
    fn receive(&mut self) -> Option<Vec<u8>> {
        self.0.lock().received.pop_front()
    }
    fn can_receive(&mut self) -> bool {
        !self.0.lock().received.is_empty()
    }
    fn transmit(&mut self, frame: &[u8]) -> Result<(), Full> {
        let mut state = self.0.lock();
        state.room = state.room.checked_sub(1).ok_or(Full)?;
        state.sent.push(frame.to_vec());
        self.0.changed.notify_all();
        Ok(())
    }
    fn can_transmit(&mut self) -> bool {
        self.0.lock().room > 0
    }
    fn flush(&mut self) {
        self.0.lock().doorbells += 1;
        self.0.changed.notify_all();
    }
    fn mac(&self) -> Mac {
        MAC
    }
    fn mtu(&self) -> u16 {
        self.0.lock().mtu
    }
    fn link(&self) -> LinkState {
        self.0.lock().link
    }
    fn stats(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [("tx_frames", self.0.lock().sent.len() as u64)].into_iter()
    }
}

/// Starts a driver of a card that has `room`, as `/scheme/network.<adapter>`; returns once it serves.
pub(crate) fn driver(
    host: &Host,
    entered: &Entered,
    adapter: &'static str,
    room: usize,
) -> (Process, Card, Window) {
    let state = State {
        received: VecDeque::new(),
        sent: Vec::new(),
        room,
        doorbells: 0,
        link: LinkState::UP,
        mtu: 1500,
        gone: false,
    };
    let state = Arc::new(Shared {
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    let interrupts = open("pipe", O_RDWR | O_NONBLOCK);
    let line = Fd::new(interrupts.dup(b"write").unwrap());
    let spec = ProcessSpec::new(adapter)
        .fd(9, entered, interrupts.raw())
        .unwrap();
    let window = Window::default();
    let (theirs, shown) = (Driver(Arc::clone(&state)), window.clone());
    let process = host.spawn(spec, move || run(adapter, theirs, &shown));
    window.wait("the driver's first turn", |seen| seen.turns > 0);
    (process, Card { state, line }, window)
}

/// A driver's main loop.
fn run(adapter: &str, nic: Driver, window: &Window) -> i32 {
    const SCHEME: usize = 0;
    const INTERRUPT: usize = 1;
    let _end = window.until_the_end();
    let mut server = NetworkServer::create(adapter, nic).unwrap();
    let interrupts = Fd::new(9);
    let mut reactor = Reactor::new().unwrap();
    server.watch(reactor.watcher(), SCHEME).unwrap();
    reactor
        .watch(interrupts.raw(), INTERRUPT, EventFlags::EVENT_READ)
        .unwrap();
    let mut events = Vec::new();
    let (mut more, mut over) = (true, false);
    loop {
        window.show(|seen| {
            seen.parked = server.parked();
            seen.counters = server.counters();
            seen.turns += 1;
        });
        if reactor
            .wait(more.then_some(Instant::ZERO), &mut events)
            .is_err()
        {
            return 0;
        }
        more = match server.on_requests(clock::now()) {
            Ok(more) => more,
            Err(_) => return 0,
        };
        if events.iter().any(|event| event.token == INTERRUPT) {
            // The frames of an interrupt may have been seen before it, and its byte be taken with another's.
            let _ = interrupts.read(&mut [0; 64]);
            more |= server.on_interrupt().unwrap();
            if server.nic().0.lock().gone {
                more |= server.end().unwrap();
                over = true;
            }
        }
        if over && !server.is_used() {
            return 0;
        }
    }
}

/// Waits for events on `reactor` and returns them as (token, flags).
pub(crate) fn events(reactor: &mut Reactor) -> Vec<(usize, EventFlags)> {
    let mut events = Vec::new();
    reactor
        .wait(Some(clock::now().saturating_add(PATIENCE)), &mut events)
        .unwrap();
    assert!(!events.is_empty(), "nothing became ready");
    events
        .iter()
        .map(|event| (event.token, event.flags))
        .collect()
}

/// Tokens of an adapter's files.
pub(crate) const DATA: usize = 10;
pub(crate) const LINK: usize = 11;

/// Opens an adapter and watches it.
pub(crate) fn adapter(name: &str) -> (Control, Receiver, Transmitter, Reactor) {
    let (control, receiver, mut transmitter) = Adapter::open(name).unwrap().split();
    let reactor = Reactor::new().unwrap();
    let (fd, flags) = control.data_watch();
    reactor.watch(fd, DATA, flags).unwrap();
    transmitter.wake(reactor.watcher(), DATA);
    if let Some((fd, flags)) = control.link_watch() {
        reactor.watch(fd, LINK, flags).unwrap();
    }
    (control, receiver, transmitter, reactor)
}

/// Queues a frame, if there is room.
pub(crate) fn send(transmitter: &mut Transmitter, frame: &[u8]) -> bool {
    let Some(mut slot) = transmitter.slot(frame.len()) else {
        return false;
    };
    slot.copy_from_slice(frame);
    slot.commit();
    true
}

/// A frame that is known by its content and its length.
pub(crate) fn numbered(number: usize) -> Vec<u8> {
    let mut frame = vec![0; 60 + number];
    frame[..8].copy_from_slice(&(number as u64).to_le_bytes());
    frame
}
