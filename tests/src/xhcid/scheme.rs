//! The files of `/scheme/usb.*`, as Redox's xhcid serves them.
//!
//! Whatever waits for the device blocks everybody: so it is on Redox, where xhcid has one thread for its scheme. The
//! exception is `data` of an endpoint that was opened with O_NONBLOCK, where [`Endpoints`] says so.

mod control;
mod endpoint;
mod node;

use std::collections::BTreeMap;

use netscheme::directory;
use netscheme::handles::Handles;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::error::{EACCES, EAGAIN, EBADF, EIO, EISDIR, EMFILE, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{
    EventFlags, MODE_CHR, MODE_DIR, MODE_FILE, O_DIRECTORY, O_NONBLOCK, O_RDWR, O_STAT, O_WRONLY,
};
use syscall::schemev2::NewFdFlags;

use super::bus::Port;
use super::descriptors;
use super::device::Device;
use super::hub::Hub;
use super::spec::{Endpoints, XhcidSpec};
use node::{Handle, Node, RequestStage};

/// Files that may be open at a time.
const HANDLE_LIMIT: usize = 1024;

/// The devices and what is open of them.
pub(super) struct XhciScheme {
    pub(super) spec: XhcidSpec,
    pub(super) hub: Hub,
    devices: BTreeMap<Port, Device>,
    handles: Handles<Handle>,
    /// A driver asked for its own device to be detached or attached: for the daemon, after the answer.
    pub(super) asked: Vec<(Port, Asked)>,
}

/// What was written to a port's `attach` or `detach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Attach,
    Detach,
}

impl XhciScheme {
    pub(super) fn new(spec: XhcidSpec, hub: Hub) -> Self {
        Self {
            spec,
            hub,
            devices: BTreeMap::new(),
            handles: Handles::new(HANDLE_LIMIT),
            asked: Vec::new(),
        }
    }

    /// A device came: it gets an address and its descriptors are read. Gives the interfaces of its first configuration,
    /// alternate setting 0.
    pub(super) fn attach(&mut self, port: Port) -> Result<Vec<super::json::IfDesc>> {
        self.hub.bus.address(port)?;
        let hub = &mut self.hub;
        let read = descriptors::read(|setup| hub.control(port, setup, Vec::new()).ok());
        let device = Device::new(read.ok_or(Error::new(EIO))?);
        let first = device.descriptors.config_descs.first();
        let interfaces = first.map_or(&[][..], |of| &of.interface_descs);
        let interfaces = interfaces
            .iter()
            .filter(|of| of.alternate_setting == 0)
            .cloned()
            .collect();
        self.devices.insert(port, device);
        Ok(interfaces)
    }

    /// A device is gone; whoever watches one of its files is to look.
    pub(super) fn detach(&mut self, port: Port) {
        self.devices.remove(&port);
        self.hub.bus.release(port);
        for (_, handle) in self.handles.iter_mut() {
            if handle.node.port() == Some(port) {
                handle.readiness.would_block(EventFlags::all());
            }
        }
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(id).ok_or(Error::new(EBADF))
    }

    /// The device of a port, or this error.
    fn device(&self, port: Port, errno: i32) -> Result<&Device> {
        self.devices.get(&port).ok_or(Error::new(errno))
    }

    fn add(&mut self, handle: Handle) -> Result<usize> {
        let added = self.handles.insert(handle);
        added.map_err(|_| Error::new(EMFILE))
    }

    /// What a directory or `descriptors` has in it, ENOENT when there is no such.
    fn content(&self, node: Node) -> Result<Vec<u8>> {
        let lines = |names: Vec<String>| names.iter().map(|name| format!("{name}\n")).collect();
        let text: String = match node {
            Node::Top => lines(
                self.devices
                    .keys()
                    .map(|port| format!("port{port}"))
                    .collect(),
            ),
            Node::Port(port) => {
                let configured = self.device(port, ENOENT)?.configuration.is_some();
                let names = ["descriptors", "endpoints", "configure"];
                let names = names.iter().take(if configured { 2 } else { 3 });
                lines(names.map(ToString::to_string).collect())
            }
            Node::Descriptors(port) => return Ok(self.device(port, ENOENT)?.json.clone()),
            Node::Endpoints(port) => {
                let device = self.device(port, ENOENT)?;
                lines(device.endpoints.keys().map(ToString::to_string).collect())
            }
            Node::Endpoint(port, number)
            | Node::Control(port, number)
            | Node::Data(port, number) => {
                let device = self.device(port, ENOENT)?;
                device.endpoints.get(&number).ok_or(Error::new(ENOENT))?;
                match node {
                    Node::Endpoint(..) => "ctl\ndata\n".into(),
                    _ => String::new(),
                }
            }
            _ => String::new(),
        };
        Ok(text.into_bytes())
    }

    fn state(&self, port: Port) -> Option<&'static str> {
        let configured = self.devices.get(&port)?.configuration.is_some();
        Some(if configured {
            "configured"
        } else {
            "addressed"
        })
    }

    fn read_state(&mut self, id: usize, port: Port, buffer: &mut [u8], at: u64) -> Result<usize> {
        let state = self.state(port).ok_or(Error::new(EBADF))?;
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        handle.state_read = Some(state);
        handle.readiness.acted(EventFlags::EVENT_READ);
        Ok(directory::read_at(state.as_bytes(), at, buffer))
    }

    /// What of a handle is ready now.
    fn ready(&self, handle: &Handle) -> EventFlags {
        match handle.node {
            Node::Data(port, number) => self.data_ready(port, number),
            Node::State(port) => match self.state(port) {
                Some(state) if handle.state_read == Some(state) => EventFlags::empty(),
                _ => EventFlags::EVENT_READ,
            },
            _ => EventFlags::EVENT_READ,
        }
    }

    /// What to post to whom, since the last time.
    pub(super) fn edges(&mut self) -> Vec<(usize, EventFlags)> {
        let ready: Vec<_> = self
            .handles
            .iter()
            .map(|(id, handle)| (id, self.ready(handle)))
            .collect();
        let edges = ready.into_iter().filter_map(|(id, ready)| {
            let edge = self.handles.get_mut(id)?.readiness.update(ready);
            (!edge.is_empty()).then_some((id, edge))
        });
        edges.collect()
    }
}

impl SchemeSync for XhciScheme {
    fn scheme_root(&mut self) -> Result<usize> {
        self.add(Handle::root())
    }

    fn openat(
        &mut self,
        directory: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        let path = path.trim_start_matches('/');
        let node = match self.handle(directory)? {
            Handle { is_root: true, .. } => Node::parse(path),
            Handle {
                node: Node::Port(port),
                ..
            } => Node::parse(format!("port{port}/{path}").trim_end_matches('/')),
            _ => return Err(Error::new(EACCES)),
        };
        if caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        let node = node?;
        let flags = flags | fcntl_flags as usize;
        let stat = flags & O_STAT != 0;
        match (node.is_directory(), flags & O_DIRECTORY != 0) {
            (true, false) if !stat => return Err(Error::new(EISDIR)),
            (false, true) if !stat => return Err(Error::new(ENOTDIR)),
            _ => {}
        }
        if node.is_trigger() && flags & O_RDWR != O_WRONLY && !stat {
            return Err(Error::new(EACCES));
        }
        let content = self.content(node)?;
        let number = self.add(Handle::new(node, content))?;
        Ok(OpenResult::ThisScheme {
            number,
            flags: NewFdFlags::POSITIONED,
        })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let handle = self.handle(id)?;
        match handle.node {
            _ if handle.is_root => Err(Error::new(EBADF)),
            node if node.is_directory() || matches!(node, Node::Descriptors(_)) => {
                Ok(read_content(&handle.content, offset, buffer))
            }
            Node::State(port) => self.read_state(id, port, buffer, offset),
            Node::Request(port) => self.read_request(id, port, buffer),
            Node::Control(port, number) => self.read_control(port, number, buffer),
            Node::Data(port, number) => {
                let wait = flags as usize & O_NONBLOCK == 0;
                self.read_data(id, port, number, buffer, wait)
            }
            _ => Err(Error::new(EBADF)),
        }
    }

    fn write(
        &mut self,
        id: usize,
        bytes: &[u8],
        _offset: u64,
        flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)?.node {
            Node::Configure(port) => self.configure(port, bytes)?,
            Node::Attach(port) if self.devices.contains_key(&port) => {
                return Err(Error::new(EAGAIN));
            }
            Node::Attach(port) => self.asked.push((port, Asked::Attach)),
            Node::Detach(port) => self.asked.push((port, Asked::Detach)),
            Node::Request(port) => self.write_request(id, port, bytes)?,
            Node::Control(port, number) => self.write_control(port, number, bytes)?,
            Node::Data(port, number) => {
                let wait = flags as usize & O_NONBLOCK == 0;
                return self.write_data(id, port, number, bytes, wait);
            }
            _ => return Err(Error::new(EBADF)),
        }
        Ok(bytes.len())
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        let handle = self.handle(id)?;
        stat.st_mode = match handle.node {
            node if node.is_directory() => MODE_DIR,
            Node::Descriptors(_) => MODE_FILE,
            node if node.is_trigger() => MODE_CHR | 0o200,
            _ => MODE_CHR,
        };
        stat.st_size = match handle.request {
            RequestStage::ToDevice(setup) | RequestStage::ToHost(setup) => setup.length.into(),
            RequestStage::Idle | RequestStage::Spent => handle.content.len() as u64,
        };
        Ok(())
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        // It calls itself "xhci" here, whatever the scheme's name is.
        let path = self.handle(id)?.node.to_string();
        Ok(directory::path(buffer, "xhci", &path))
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _caller: &CallerCtx) -> Result<EventFlags> {
        let ready = self.ready(self.handle(id)?);
        if self.spec.endpoints != Endpoints::Events {
            // Nothing is ever ready, which is what a scheme says that knows no events.
            return Ok(EventFlags::empty());
        }
        let handle = self.handles.get_mut(id).ok_or(Error::new(EBADF))?;
        Ok(handle.readiness.watch(flags, ready))
    }

    fn on_close(&mut self, id: usize) {
        self.handles.remove(id);
    }
}

/// A read of a text, with xhcid's idea of an offset: it shortens the read and does not move it. Who reads a text in one
/// piece sees nothing of it.
fn read_content(content: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let length = content.len().min(buffer.len()).saturating_sub(offset);
    directory::read_at(content.get(..length).unwrap_or_default(), 0, buffer)
}
