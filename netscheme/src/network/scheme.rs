//! The files of one adapter, as the driver serves them. Knows nothing of sockets and events.

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::dirent::{DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EBUSY, EINVAL, EISDIR, EMFILE, ENODEV, ENOENT, ENOTDIR, EWOULDBLOCK, Error,
    Result,
};
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, O_ACCMODE, O_FCNTL_MASK, O_RDONLY, O_WRONLY};
use syscall::schemev2::NewFdFlags;

use crate::directory;
use crate::frame::LinkState;
use crate::handles::Handles;
use crate::network::server::Nic;
use crate::reactor::Watcher;
use crate::readiness::Readiness;
use crate::server::Scheme;

mod frames;
mod node;
pub(super) mod pipes;

use node::{Handle, NODES, Node, Source, Text};
use pipes::{Inlet, Outlet, Turn, Wake};

/// Files of one adapter that may be open at a time.
const HANDLE_LIMIT: usize = 256;
/// Frames without a reader that are dropped in one turn.
const DROPS_PER_TURN: usize = 1024;

/// What the scheme drops, refuses or cuts, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    rx_no_reader: u64,
    rx_truncated: u64,
    tx_too_short: u64,
    tx_too_long: u64,
}

impl Counters {
    fn iter(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Counters {
            rx_no_reader,
            rx_truncated,
            tx_too_short,
            tx_too_long,
        } = self;
        [
            ("rx_no_reader", rx_no_reader),
            ("rx_truncated", rx_truncated),
            ("tx_too_short", tx_too_short),
            ("tx_too_long", tx_too_long),
        ]
        .into_iter()
    }
}

pub(super) struct NetworkScheme<N> {
    name: String,
    pub(super) nic: N,
    handles: Handles<Handle>,
    /// What the tree's root is called.
    pub(super) root: usize,
    /// The handle that frames are for: two readers would steal them from each other.
    reader: Option<usize>,
    counters: Counters,
    /// The pipe for received frames, in place of a reader's handle.
    inlet: Option<Inlet>,
    /// The pipe for frames to send.
    outlet: Option<Outlet>,
    pipes: Option<pipes::Source>,
    wake: Option<Wake>,
    /// Frames were queued since the last doorbell.
    doorbell: bool,
    /// The card is gone: every file says so, until it is closed.
    ended: bool,
}

impl<N: Nic> NetworkScheme<N> {
    pub(super) fn new(name: String, nic: N) -> Self {
        let mut handles = Handles::new(HANDLE_LIMIT);
        let root = Handle {
            node: Node::Root,
            flags: 0,
            readiness: Readiness::default(),
        };
        // The first handle of a table that is empty: there is room.
        let root = handles.insert(root).unwrap_or_default();
        Self {
            name,
            nic,
            handles,
            root,
            reader: None,
            inlet: None,
            outlet: None,
            pipes: None,
            wake: None,
            counters: Counters::default(),
            doorbell: false,
            ended: false,
        }
    }

    pub(super) fn data_handles(&self) -> impl Iterator<Item = usize> {
        let data = self
            .handles
            .iter()
            .filter(|(_, handle)| matches!(handle.node, Node::Data));
        data.map(|(id, _)| id)
    }

    /// The card is gone. The stack hears of it by the ends of its pipes.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.doorbell = false;
        // In this order: who hears of the end of what it reads finds that nobody takes what it writes, too.
        self.outlet = None;
        self.inlet = None;
    }

    /// Frames may go by pipes, too: from `source`, and whoever has the other ends wakes `wake`.
    pub(super) fn offer_pipes(&mut self, source: pipes::Source) {
        self.pipes = Some(source);
    }

    /// Pipes wake the driver so.
    pub(super) fn set_wake(&mut self, watcher: Watcher, token: usize) {
        self.wake = Some(Wake { watcher, token });
    }

    /// Whether a file is open, beside the tree's root that the namespace holds.
    pub(super) fn is_used(&self) -> bool {
        let mut handles = self.handles.iter();
        handles.any(|(_, handle)| !matches!(handle.node, Node::Root))
    }

    /// ENODEV once the card is gone.
    fn alive(&self) -> Result<()> {
        match self.ended {
            true => Err(Error::new(ENODEV)),
            false => Ok(()),
        }
    }

    /// Ends a turn: frames go between the card and the pipes, those that nobody will read back to the device, and those
    /// queued go out. Returns whether there may be more of any: the device and the stack can be faster than this.
    pub(super) fn settle(&mut self) -> bool {
        let more = self.take_from_pipe();
        if core::mem::take(&mut self.doorbell) {
            self.nic.flush();
        }
        if self.ended {
            return false;
        }
        if let Some(inlet) = &mut self.inlet {
            match inlet.turn(&mut self.nic, &mut self.counters) {
                Ok(turn) => {
                    // A card that is polled stands still only when what it has got already was looked at.
                    if turn == Turn::Full {
                        self.nic.can_receive();
                    }
                    return more || turn == Turn::More;
                }
                Err(_) => self.close_inlet(),
            }
        }
        if self.reader.is_some() {
            return more;
        }
        for _ in 0..DROPS_PER_TURN {
            if self.nic.receive().is_none() {
                return more;
            }
            self.counters.rx_no_reader += 1;
        }
        true
    }

    /// Opens a pipe: `rx` to be read from, `tx` to be written to, each by one at a time.
    fn open_pipe(&mut self, name: &str, flags: usize) -> Result<OpenResult> {
        let source = self.pipes.as_ref().ok_or(Error::new(ENOENT))?;
        let access = if name == "rx" { O_RDONLY } else { O_WRONLY };
        if flags & O_ACCMODE != access {
            return Err(Error::new(EACCES));
        }
        if name == "rx" {
            if self.reader.is_some() || self.inlet.as_ref().is_some_and(Inlet::is_read) {
                return Err(Error::new(EBUSY));
            }
            let (inlet, end) = Inlet::new(source, self.wake.clone())?;
            self.close_inlet();
            self.inlet = Some(inlet);
            return Ok(OpenResult::OtherScheme { fd: end.into_raw() });
        }
        if self.outlet.as_mut().is_some_and(Outlet::is_written) {
            return Err(Error::new(EBUSY));
        }
        let (mut outlet, end) = Outlet::new(source, self.wake.as_ref())?;
        if let Some(before) = self.outlet.take() {
            outlet.succeed(before);
        }
        self.outlet = Some(outlet);
        Ok(OpenResult::OtherScheme { fd: end.into_raw() })
    }

    /// What to post to whom.
    pub(super) fn edges(&mut self, arrived: EventFlags) -> Vec<(usize, EventFlags)> {
        let Self {
            nic,
            handles,
            reader,
            ended,
            ..
        } = self;
        let edges = handles.iter_mut().map(|(id, handle)| {
            let ready = match ended {
                true => EventFlags::EVENT_READ | EventFlags::EVENT_WRITE,
                false => ready(nic, *reader == Some(id), handle),
            };
            let edge = match &handle.node {
                Node::Data => handle.readiness.arrived(ready, arrived),
                // The card's state may change at any moment, so every look may be news.
                Node::Text(Text {
                    source: Source::Link,
                    ..
                }) => handle.readiness.arrived(ready, EventFlags::EVENT_READ),
                Node::Root | Node::Mac | Node::Text(_) => handle.readiness.update(ready),
            };
            (id, edge)
        });
        edges.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(id).ok_or(Error::new(EBADF))
    }

    /// The client of `id` read or wrote, with this result.
    fn acted(&mut self, id: usize, flags: EventFlags, result: &Result<usize>) {
        let Some(handle) = self.handles.get_mut(id) else {
            return;
        };
        match result {
            Err(Error { errno: EWOULDBLOCK }) => handle.readiness.would_block(flags),
            _ => handle.readiness.acted(flags),
        }
    }

    /// The text of a file, while the link is `link`.
    fn render(&self, source: Source, link: LinkState) -> String {
        match source {
            Source::Mtu => format!("{}\n", self.nic.mtu()),
            Source::Link => format!("{link}\n"),
            Source::Stats => {
                let counters = self.nic.stats().chain(self.counters.iter());
                counters
                    .map(|(name, value)| format!("{name} {value}\n"))
                    .collect()
            }
        }
    }

    fn read_text(&mut self, id: usize, buffer: &mut [u8]) -> Result<usize> {
        let Node::Text(text) = &self.handle(id)?.node else {
            return Err(Error::new(EBADF));
        };
        let fresh = text.is_at_start().then(|| {
            let link = self.nic.link();
            (self.render(text.source, link), link)
        });
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        handle.readiness.acted(EventFlags::EVENT_READ);
        match &mut handle.node {
            Node::Text(text) => Ok(text.read(fresh, buffer)),
            Node::Root | Node::Data | Node::Mac => Err(Error::new(EBADF)),
        }
    }
}

/// What of `handle` is ready now.
fn ready<N: Nic>(nic: &mut N, reader: bool, handle: &Handle) -> EventFlags {
    match &handle.node {
        Node::Root => EventFlags::empty(),
        Node::Data => {
            let mut ready = EventFlags::empty();
            ready.set(EventFlags::EVENT_READ, reader && nic.can_receive());
            ready.set(
                EventFlags::EVENT_WRITE,
                handle.flags & O_WRONLY != 0 && nic.can_transmit(),
            );
            ready
        }
        Node::Text(Text {
            source: Source::Link,
            link,
            ..
        }) if *link == Some(nic.link()) => EventFlags::empty(),
        Node::Mac | Node::Text(_) => EventFlags::EVENT_READ,
    }
}

impl<N: Nic> SchemeSync for NetworkScheme<N> {
    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if !matches!(self.handle(dir)?.node, Node::Root) {
            return Err(Error::new(ENOTDIR));
        }
        if caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        self.alive()?;
        if let name @ ("rx" | "tx") = path.trim_matches('/') {
            return self.open_pipe(name, flags);
        }
        let node = Node::at(path, flags)?;
        let reads = matches!(node, Node::Data) && flags & O_RDONLY != 0;
        let is_read = self.reader.is_some() || self.inlet.as_ref().is_some_and(Inlet::is_read);
        if reads && is_read {
            return Err(Error::new(EBUSY));
        }
        // Only `mac` has a position, as upstream's drivers have it.
        let positioned = match node {
            Node::Mac => NewFdFlags::POSITIONED,
            _ => NewFdFlags::empty(),
        };
        let handle = Handle {
            node,
            flags: flags | fcntl_flags as usize,
            readiness: Readiness::default(),
        };
        let number = self
            .handles
            .insert(handle)
            .map_err(|_| Error::new(EMFILE))?;
        if reads {
            // One that nobody reads would take the frames.
            self.close_inlet();
            self.reader = Some(number);
        }
        Ok(OpenResult::ThisScheme {
            number,
            flags: positioned,
        })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)?.node {
            Node::Root => Err(Error::new(EISDIR)),
            Node::Data if self.reader != Some(id) => Err(Error::new(EBADF)),
            Node::Data => {
                let result = self.receive(buffer);
                self.acted(id, EventFlags::EVENT_READ, &result);
                result
            }
            Node::Mac => Ok(directory::read_at(&self.nic.mac().0, offset, buffer)),
            Node::Text(_) => self.read_text(id, buffer),
        }
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let handle = self.handle(id)?;
        match handle.node {
            Node::Data if handle.flags & O_WRONLY != 0 => {
                let result = self.transmit(buffer);
                self.acted(id, EventFlags::EVENT_WRITE, &result);
                result
            }
            Node::Data => Err(Error::new(EBADF)),
            Node::Root | Node::Mac | Node::Text(_) => Err(Error::new(EINVAL)),
        }
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _caller: &CallerCtx) -> Result<EventFlags> {
        let reader = self.reader == Some(id);
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        let ready = match self.ended {
            true => EventFlags::EVENT_READ | EventFlags::EVENT_WRITE,
            false => ready(&mut self.nic, reader, handle),
        };
        Ok(handle.readiness.watch(flags, ready))
    }

    fn fcntl(
        &mut self,
        id: usize,
        command: usize,
        argument: usize,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        match command {
            F_GETFL => Ok(handle.flags),
            F_SETFL => {
                let kept = handle.flags & !O_FCNTL_MASK;
                handle.flags = kept | (argument & O_FCNTL_MASK);
                Ok(0)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        let node = match &self.handle(id)?.node {
            Node::Root | Node::Data => "",
            Node::Mac => "mac",
            Node::Text(Text {
                source: Source::Mtu,
                ..
            }) => "mtu",
            Node::Text(Text {
                source: Source::Link,
                ..
            }) => "link",
            Node::Text(Text {
                source: Source::Stats,
                ..
            }) => "stats",
        };
        Ok(directory::path(buffer, &self.name, node))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        match &self.handle(id)?.node {
            Node::Root => directory::stat_directory(stat, 0o500),
            Node::Data => directory::stat_file(stat, 0o600, 0),
            Node::Mac => directory::stat_file(stat, 0o400, 6),
            Node::Text(text) => {
                let size = self.render(text.source, self.nic.link()).len() as u64;
                directory::stat_file(stat, 0o400, size);
            }
        }
        Ok(())
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        buffer: DirentBuf<&'buf mut [u8]>,
        opaque: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        match self.handle(id)?.node {
            Node::Root => {
                let entries = NODES.iter().map(|name| (*name, DirentKind::Regular));
                directory::list(buffer, opaque, entries)
            }
            _ => Err(Error::new(ENOTDIR)),
        }
    }

    fn on_close(&mut self, id: usize) {
        self.handles.remove(id);
        if self.reader == Some(id) {
            self.reader = None;
        }
    }
}

impl<N: Nic> Scheme for NetworkScheme<N> {}

#[cfg(test)]
mod tests;
