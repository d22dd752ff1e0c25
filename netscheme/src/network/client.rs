//! The stack's end of `/scheme/network.<name>/`: over two pipes where the driver has them, and else over reads and writes
//! of its data file.

use std::sync::Arc;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EBADF, EINVAL, EIO, ENODEV, EPIPE, Error};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use crate::frame::{DEFAULT_MTU, ETHERNET_HEADER, LinkState, Mac, VLAN_TAG};
use crate::network::discover::Namespace;
use crate::network::{SCHEME_PREFIX, uninterrupted};

mod buffer;
mod receiver;
mod transmitter;
pub use receiver::{Received, Receiver};
pub use transmitter::{QueueSlot, TransmitCounters, Transmitter};

use buffer::Buffer;

/// The smallest MTU that IPv4 allows (RFC 791, 3.2).
const MTU_MIN: u16 = 68;
/// The largest MTU whose frames have a length of two bytes, as they need in a pipe.
const MTU_MAX: u16 = u16::MAX - (ETHERNET_HEADER + VLAN_TAG) as u16;
/// Bytes of text that are read from `mtu`, `link` and `stats` at most.
const TEXT_LIMIT: usize = 64 * 1024;

/// How frames are told from each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Each is a read or a write of its own: upstream's drivers.
    One,
    /// They follow each other in a pipe ([`crate::network::bundle`]).
    Pipe,
}

impl Framing {
    /// The buffer to read frames of at most `capacity` bytes into.
    fn buffer(self, capacity: usize) -> Buffer {
        match self {
            Framing::One => Buffer::new(capacity),
            Framing::Pipe => Buffer::for_pipe(),
        }
    }
}

/// An adapter that a driver serves: what is known of it, and the two halves that carry its frames.
/// They may share one open file, which closes with the last of them.
pub struct Adapter {
    control: Control,
    receiver: Receiver,
    transmitter: Transmitter,
}

impl Adapter {
    /// Opens `/scheme/network.<name>`.
    ///
    /// # Errors
    /// What the driver answered for its data or its address; `EIO` when the address is no station's.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_with(name, |path, flags| {
            let flags = (flags | O_CLOEXEC) as i32;
            Ok(Fd::open(&format!("/scheme/{path}"), flags, 0)?)
        })
    }

    /// The same from within the null namespace, by way of the namespace that the daemon started in.
    ///
    /// # Errors
    /// Those of [`Adapter::open`].
    pub fn open_in(namespace: &Namespace, name: &str) -> Result<Self, Error> {
        Self::open_with(name, |path, flags| namespace.open(path, flags))
    }

    fn open_with(
        name: &str,
        open: impl Fn(&str, usize) -> Result<Fd, Error>,
    ) -> Result<Self, Error> {
        let scheme = format!("{SCHEME_PREFIX}{name}");
        let mac = read_mac(&open(&format!("{scheme}/mac"), O_RDONLY)?)?;
        // Upstream's drivers have none of these.
        let optional = |node: &str| open(&format!("{scheme}/{node}"), O_RDONLY).ok();
        let mtu = optional("mtu")
            .and_then(|mtu| read_mtu(&mtu))
            .unwrap_or(DEFAULT_MTU);
        let (link, stats) = (optional("link"), optional("stats"));
        let pipes = || {
            let rx = open(&format!("{scheme}/rx"), O_RDONLY | O_NONBLOCK)?;
            Ok::<_, Error>((rx, open(&format!("{scheme}/tx"), O_WRONLY | O_NONBLOCK)?))
        };
        let (rx, tx, framing) = match pipes() {
            Ok((rx, tx)) => (Arc::new(rx), Arc::new(tx), Framing::Pipe),
            Err(_) => {
                let data = Arc::new(open(&scheme, O_RDWR | O_NONBLOCK)?);
                (Arc::clone(&data), data, Framing::One)
            }
        };
        let capacity = usize::from(mtu) + ETHERNET_HEADER + VLAN_TAG;
        let receiver = Receiver::new(Arc::clone(&rx), framing, capacity);
        let transmitter = Transmitter::new(tx, framing, capacity);
        let name = name.to_owned();
        let mut control = Control {
            name,
            mac,
            mtu,
            link,
            link_state: LinkState::UP,
            stats,
            framing,
            data: rx,
        };
        control.on_link_event();
        Ok(Self {
            control,
            receiver,
            transmitter,
        })
    }

    /// The parts, each with an owner of its own from here on.
    pub fn split(self) -> (Control, Receiver, Transmitter) {
        let Self {
            control,
            receiver,
            transmitter,
        } = self;
        (control, receiver, transmitter)
    }
}

/// What is known of an adapter, and what to watch.
pub struct Control {
    name: String,
    mac: Mac,
    mtu: u16,
    link: Option<Fd>,
    link_state: LinkState,
    stats: Option<Fd>,
    framing: Framing,
    /// What frames are read from.
    data: Arc<Fd>,
}

impl Control {
    /// The adapter's name: its scheme's without `network.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The adapter's address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The largest payload of a frame in bytes; 1500 when the driver does not say, and 65,517 when it says more.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The link's state as last seen; up when the driver does not say.
    pub fn link(&self) -> LinkState {
        self.link_state
    }

    /// The descriptor that frames come from and what to watch it for, while any part of the adapter
    /// lives. After `EVENT_READ` take frames until there are none; `EVENT_WRITE` goes to
    /// [`Transmitter::on_writable`]. That of a pipe comes by [`Transmitter::wake`].
    pub fn data_watch(&self) -> (usize, EventFlags) {
        let flags = match self.framing {
            Framing::One => EventFlags::EVENT_READ | EventFlags::EVENT_WRITE,
            Framing::Pipe => EventFlags::EVENT_READ,
        };
        (self.data.raw(), flags)
    }

    /// The descriptor that says that the link changed, if the driver has one: call
    /// [`Control::on_link_event`] then.
    pub fn link_watch(&self) -> Option<(usize, EventFlags)> {
        let link = self.link.as_ref()?;
        Some((link.raw(), EventFlags::EVENT_READ))
    }

    /// Reads the link's state again and returns it.
    pub fn on_link_event(&mut self) -> LinkState {
        let text = self.link.as_ref().and_then(|link| read_text(link).ok());
        if let Some(state) = text.and_then(|text| text.parse().ok()) {
            self.link_state = state;
        }
        self.link_state
    }

    /// The driver's counters; empty when it has none.
    pub fn stats(&self) -> Vec<(String, u64)> {
        let text = self.stats.as_ref().and_then(|stats| read_text(stats).ok());
        parse_stats(&text.unwrap_or_default())
    }
}

/// Whether `error` says that the driver is gone.
fn is_fatal(error: Error) -> bool {
    matches!(error.errno, ENODEV | EBADF)
}

fn read(fd: usize, buffer: &mut [u8]) -> Result<usize, Error> {
    uninterrupted(|| libredox::call::read(fd, &mut *buffer))
}

fn write(fd: usize, buffer: &[u8]) -> Result<usize, Error> {
    uninterrupted(|| libredox::call::write(fd, buffer)).map_err(|error| match error.errno {
        // The other end of a pipe is closed by the driver's end only.
        EPIPE => Error::new(ENODEV),
        _ => error,
    })
}

/// Six raw bytes. A driver that has a group's address, or none, is broken.
fn read_mac(file: &Fd) -> Result<Mac, Error> {
    let mut mac = Mac::default();
    if read(file.raw(), &mut mac.0)? != mac.0.len() {
        return Err(Error::new(EIO));
    }
    match mac.is_unicast() {
        true => Ok(mac),
        false => Err(Error::new(EIO)),
    }
}

fn read_mtu(file: &Fd) -> Option<u16> {
    let mtu: u16 = read_text(file).ok()?.trim().parse().ok()?;
    (mtu >= MTU_MIN).then_some(mtu.min(MTU_MAX))
}

/// The whole of a short text file.
fn read_text(file: &Fd) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while text.len() < TEXT_LIMIT {
        match read(file.raw(), &mut buffer)? {
            0 => return String::from_utf8(text).map_err(|_| Error::new(EINVAL)),
            length => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    Err(Error::new(EINVAL))
}

/// Lines of a name, a space and a number; others are skipped.
fn parse_stats(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}
