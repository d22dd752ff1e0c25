//! The scheme `pci`: a folder for each function, with its channel in it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EINVAL, EISDIR, ENODEV, ENOENT, ENOLCK, ENOTDIR, Error, Result,
};
use syscall::flag::MapFlags;
use syscall::schemev2::NewFdFlags;

use super::wire::Request;
use super::{LegacyLine, function};
use crate::machine::{PciAddress, PciBus, PciFunction};

const CHANNEL: &str = "channel";

/// The functions that there are; cards come and go.
pub(super) type Functions = Arc<Mutex<BTreeMap<PciAddress, PciFunction>>>;

/// What the scheme knows.
pub(super) struct PcidScheme {
    bus: PciBus,
    functions: Functions,
    line: LegacyLine,
    handles: BTreeMap<usize, Handle>,
    next_handle: usize,
}

enum Handle {
    Root,
    Function(PciAddress),
    /// The bytes of an answer that have not been read yet: the next request has to wait for the last of them.
    Channel(PciAddress, VecDeque<u8>),
}

impl PcidScheme {
    pub(super) fn new(bus: PciBus, functions: Functions, line: LegacyLine) -> Self {
        Self {
            bus,
            functions,
            line,
            handles: BTreeMap::new(),
            next_handle: 1,
        }
    }

    fn add(&mut self, handle: Handle) -> usize {
        let number = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(number, handle);
        number
    }

    fn function(&self, at: PciAddress) -> Result<PciFunction> {
        let functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        functions.get(&at).copied().ok_or(Error::new(ENODEV))
    }

    fn open_channel(&mut self, at: PciAddress) -> Result<Handle> {
        let function = self.function(at)?;
        let in_use = self
            .handles
            .values()
            .any(|handle| matches!(handle, Handle::Channel(other, _) if *other == at));
        if in_use {
            return Err(Error::new(ENOLCK));
        }
        function::enable(&self.bus, &function);
        Ok(Handle::Channel(at, VecDeque::new()))
    }

    fn open_path(&mut self, path: &str) -> Result<Handle> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let Some(name) = parts.next() else {
            return Ok(Handle::Root);
        };
        let at = name.parse().map_err(|_| Error::new(ENOENT))?;
        self.function(at).map_err(|_| Error::new(ENOENT))?;
        match (parts.next(), parts.next()) {
            (None, _) => Ok(Handle::Function(at)),
            (Some(CHANNEL), None) => self.open_channel(at),
            _ => Err(Error::new(ENOENT)),
        }
    }

    fn path(&self, id: usize) -> Result<String> {
        Ok(match self.handles.get(&id).ok_or(Error::new(EBADF))? {
            Handle::Root => "/scheme/pci".into(),
            Handle::Function(at) => format!("/scheme/pci/{at}"),
            Handle::Channel(at, _) => format!("/scheme/pci/{at}/{CHANNEL}"),
        })
    }

    fn names(&self, id: usize) -> Result<Vec<(String, DirentKind)>> {
        match self.handles.get(&id).ok_or(Error::new(EBADF))? {
            Handle::Root => {
                let functions = self
                    .functions
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                Ok(functions
                    .keys()
                    .map(|at| (at.to_string(), DirentKind::Directory))
                    .collect())
            }
            Handle::Function(_) => Ok(vec![(CHANNEL.into(), DirentKind::CharDev)]),
            Handle::Channel(..) => Err(Error::new(ENOTDIR)),
        }
    }
}

impl SchemeSync for PcidScheme {
    fn scheme_root(&mut self) -> Result<usize> {
        Ok(self.add(Handle::Root))
    }

    fn openat(
        &mut self,
        directory: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        if caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        let path = match self.handles.get(&directory).ok_or(Error::new(EBADF))? {
            Handle::Root => path.to_owned(),
            Handle::Function(at) => format!("{at}/{path}"),
            Handle::Channel(..) => return Err(Error::new(ENOTDIR)),
        };
        let handle = self.open_path(&path)?;
        let flags = match handle {
            Handle::Channel(..) => NewFdFlags::empty(),
            Handle::Root | Handle::Function(_) => NewFdFlags::POSITIONED,
        };
        Ok(OpenResult::ThisScheme {
            number: self.add(handle),
            flags,
        })
    }

    fn read(
        &mut self,
        id: usize,
        buf: &mut [u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.handles.get_mut(&id).ok_or(Error::new(EBADF))? {
            Handle::Root | Handle::Function(_) => Err(Error::new(EISDIR)),
            Handle::Channel(_, unread) if unread.is_empty() => Err(Error::new(EINVAL)),
            Handle::Channel(_, unread) => {
                let length = unread.len().min(buf.len());
                for (to, from) in buf.iter_mut().zip(unread.drain(..length)) {
                    *to = from;
                }
                Ok(length)
            }
        }
    }

    fn write(
        &mut self,
        id: usize,
        buf: &[u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let at = match self.handles.get(&id).ok_or(Error::new(EBADF))? {
            Handle::Root | Handle::Function(_) => return Err(Error::new(EISDIR)),
            Handle::Channel(_, unread) if !unread.is_empty() => return Err(Error::new(EINVAL)),
            Handle::Channel(at, _) => *at,
        };
        let request: Request = bincode::deserialize(buf).map_err(|_| Error::new(EINVAL))?;
        let response = function::answer(&self.bus, &self.function(at)?, self.line, &request);
        log::debug!("pcid: {at}: {request:?} -> {response:?}");
        let body = bincode::serialize(&response).map_err(|_| Error::new(EINVAL))?;
        let mut answer = VecDeque::from((body.len() as u64).to_le_bytes().to_vec());
        answer.extend(body);
        self.handles.insert(id, Handle::Channel(at, answer));
        Ok(buf.len())
    }

    fn fcntl(
        &mut self,
        _id: usize,
        _cmd: usize,
        _arg: usize,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        Ok(0)
    }

    fn fpath(&mut self, id: usize, buf: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        let path = self.path(id)?;
        let length = path.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(path.bytes()) {
            *to = from;
        }
        Ok(length)
    }

    fn getdents<'buf>(
        &mut self,
        id: usize,
        mut buf: DirentBuf<&'buf mut [u8]>,
        opaque_offset: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        let first = usize::try_from(opaque_offset).unwrap_or(usize::MAX);
        for (index, (name, kind)) in self.names(id)?.iter().enumerate().skip(first) {
            let entry = DirEntry {
                inode: 0,
                next_opaque_id: index as u64 + 1,
                name,
                kind: *kind,
            };
            if buf.entry(entry).is_err() {
                break;
            }
        }
        Ok(buf)
    }

    /// A real pcid maps BARs here. These registers are on a socket, in no one's memory.
    fn mmap_prep(
        &mut self,
        _id: usize,
        _offset: u64,
        _size: usize,
        _flags: MapFlags,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        Err(Error::new(ENODEV))
    }

    fn on_close(&mut self, id: usize) {
        self.handles.remove(&id);
    }
}
