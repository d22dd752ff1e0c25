//! `/scheme/netcfg`: the configuration as a tree of small text files.
//!
//! [`nodes`] is the one table of what there is; here are the open files. A read shows the state at the time of its
//! first byte. Each write is one or more whole lines, checked at once: a line that makes no sense answers EINVAL and
//! changes nothing. What was accepted is applied by fsync, which answers if it cannot be, or by close.

mod accept;
mod edit;
mod nodes;
mod show;
mod shown;
#[cfg(test)]
mod tests;

use netscheme::directory;
use netscheme::handles::Handles;
use netscheme::network::announce;
use netscheme::readiness::Readiness;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use smoltcp::time::Instant;
use syscall::Stat;
use syscall::dirent::{DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EINVAL, EISDIR, EMFILE, EMSGSIZE, ENOBUFS, ENOENT, ENOTDIR, Error, Result,
};
use syscall::flag::{
    EventFlags, F_GETFL, F_SETFL, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY,
};
use syscall::schemev2::NewFdFlags;

use super::errno::errno;
use crate::adapters::Adapters;
use crate::stack::{Change, Stack};
use edit::Edit;
use nodes::{Found, Node};
use shown::Shown;

/// Open files, all users together, and how many of them are for root alone: whoever fills the table with the others
/// does not lock the administrator out.
const MOST_HANDLES: usize = 4096;
const RESERVED_HANDLES: usize = 64;
/// Bytes that the files of others than root show, all together: a list of all sockets is long.
const MOST_SHOWN: usize = 64 << 20;
/// Bytes that may be written between two commits.
const LARGEST_WRITE: usize = 16 * 1024;

enum Handle {
    Directory { path: String },
    File(Box<File>),
}

impl Handle {
    fn lists_sockets(&self) -> bool {
        matches!(self, Handle::File(file) if file.node.lists_sockets())
    }
}

struct File {
    node: &'static Node,
    /// The `*` of the node's path: an adapter's name.
    link: Option<String>,
    path: String,
    uid: u32,
    shown: Shown,
    /// Accepted and not applied yet.
    edits: Vec<Edit>,
    written: usize,
    readiness: Readiness,
}

/// The open files of `netcfg`.
pub(crate) struct NetcfgScheme {
    handles: Handles<Handle>,
    /// How many of them list the sockets: while there are none, what sockets do costs nothing here.
    socket_lists: usize,
    /// The end of a pipe that drivers announce themselves through; see [`netscheme::network::announce`].
    announcer: usize,
}

impl NetcfgScheme {
    pub(crate) fn new(announcer: usize) -> NetcfgScheme {
        NetcfgScheme {
            handles: Handles::new(MOST_HANDLES),
            socket_lists: 0,
            announcer,
        }
    }

    pub(crate) fn root(&mut self) -> Result<usize> {
        self.insert(Handle::Directory {
            path: String::new(),
        })
    }

    /// May somebody open one more file?
    fn check_room(&self, uid: u32) -> Result<()> {
        let most = match uid {
            0 => MOST_HANDLES,
            _ => MOST_HANDLES - RESERVED_HANDLES,
        };
        match self.handles.len() < most {
            true => Ok(()),
            false => Err(Error::new(EMFILE)),
        }
    }

    /// Bytes that the files of others than root show.
    fn shown(&self) -> usize {
        let snapshot = |handle: &Handle| match handle {
            Handle::File(file) if file.uid != 0 => file.shown.len(),
            _ => 0,
        };
        self.handles
            .iter()
            .map(|(_, handle)| snapshot(handle))
            .sum()
    }

    fn insert(&mut self, handle: Handle) -> Result<usize> {
        let lists = handle.lists_sockets();
        let number = self
            .handles
            .insert(handle)
            .map_err(|_| Error::new(EMFILE))?;
        self.socket_lists += usize::from(lists);
        Ok(number)
    }

    fn remove(&mut self, number: usize) {
        if let Some(handle) = self.handles.remove(number) {
            let lists = usize::from(handle.lists_sockets());
            self.socket_lists = self.socket_lists.saturating_sub(lists);
        }
    }

    fn file_mut(&mut self, number: usize) -> Result<&mut File> {
        match self.handles.get_mut(number) {
            Some(Handle::File(file)) => Ok(file),
            Some(Handle::Directory { .. }) => Err(Error::new(EISDIR)),
            None => Err(Error::new(EBADF)),
        }
    }

    /// The files that show what changed: each begins anew after its end, and whoever watches it is told.
    pub(crate) fn changed(&mut self, change: Change) -> Vec<(usize, EventFlags)> {
        let mut told = Vec::new();
        if matches!(change, Change::Socket(_) | Change::Sockets) && self.socket_lists == 0 {
            return told;
        }
        for (number, handle) in self.handles.iter_mut() {
            if let Handle::File(file) = handle
                && file.node.shows(change)
            {
                file.shown.change();
                let flags = EventFlags::EVENT_READ;
                let posted = file.readiness.arrived(flags, flags);
                told.push((number, posted));
            }
        }
        told
    }
}

/// `netcfg` together with the stack, for the time of a turn.
pub(crate) struct NetcfgView<'a> {
    pub(crate) scheme: &'a mut NetcfgScheme,
    pub(crate) stack: &'a mut Stack,
    pub(crate) adapters: &'a Adapters,
    /// How often the daemon has woken up so far.
    pub(crate) wakeups: u64,
    pub(crate) now: Instant,
}

impl NetcfgView<'_> {
    fn place(&self, link: Option<&str>) -> nodes::Place<'_> {
        nodes::Place {
            stack: self.stack,
            adapters: self.adapters,
            link: link.and_then(|name| self.stack.link_by_name(name)),
            wakeups: self.wakeups,
            now: self.now,
        }
    }

    fn show(&self, node: &Node, link: Option<&str>) -> Result<Vec<u8>> {
        let read = node.read.ok_or(Error::new(EACCES))?;
        let place = self.place(link);
        if link.is_some() && place.link.is_none() {
            return Err(Error::new(ENOENT));
        }
        Ok(read(&place).into_bytes())
    }

    /// Gives a driver the pipe by which it says that it is there.
    fn hand_out_announcer(&self, caller: &CallerCtx) -> Result<OpenResult> {
        if caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        let fd = libredox::call::dup(self.scheme.announcer, [])?;
        Ok(OpenResult::OtherScheme { fd })
    }

    /// Applies what was accepted, in order, up to the first failure; the rest is forgotten.
    fn commit(&mut self, number: usize) -> Result<()> {
        let file = self.scheme.file_mut(number)?;
        file.written = 0;
        let edits = core::mem::take(&mut file.edits);
        for edit in edits {
            edit.apply(self.stack, self.now).map_err(errno)?;
        }
        Ok(())
    }

    fn accept(&mut self, number: usize, text: &str) -> Result<()> {
        let file = self.scheme.file_mut(number)?;
        let parse = file.node.write.ok_or(Error::new(EACCES))?;
        let link = file.link.clone();
        let place = self.place(link.as_deref());
        let mut accepted = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            accepted.push(parse(line, &place).map_err(errno)?);
        }
        if accepted.is_empty() {
            return Err(Error::new(EINVAL));
        }
        let file = self.scheme.file_mut(number)?;
        for edit in accepted {
            edit.append_to(&mut file.edits);
        }
        Ok(())
    }
}

impl SchemeSync for NetcfgView<'_> {
    fn scheme_root(&mut self) -> Result<usize> {
        self.scheme.root()
    }

    fn openat(
        &mut self,
        number: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        let base = match self.scheme.handles.get(number) {
            Some(Handle::Directory { path }) => path,
            Some(Handle::File(_)) => return Err(Error::new(ENOTDIR)),
            None => return Err(Error::new(EBADF)),
        };
        let path = nodes::join(base, path).ok_or(Error::new(EINVAL))?;
        self.scheme.check_room(caller.uid)?;
        if path == announce::NODE {
            return self.hand_out_announcer(caller);
        }
        let links = self.stack.links().map(|link| link.name());
        let handle = match nodes::find(&path, links) {
            None => return Err(Error::new(ENOENT)),
            Some(_) if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL => {
                return Err(Error::new(syscall::EEXIST));
            }
            Some(Found::Directory) => Handle::Directory { path },
            Some(Found::File { .. }) if flags & O_DIRECTORY != 0 => {
                return Err(Error::new(ENOTDIR));
            }
            Some(Found::File { node, link }) => {
                let writes = !matches!(flags & O_ACCMODE, O_RDONLY | 0);
                if writes && (node.write.is_none() || caller.uid != 0) {
                    return Err(Error::new(EACCES));
                }
                Handle::File(Box::new(File {
                    node,
                    link: link.map(str::to_owned),
                    path,
                    uid: caller.uid,
                    shown: Shown::default(),
                    edits: Vec::new(),
                    written: 0,
                    readiness: Readiness::default(),
                }))
            }
        };
        Ok(OpenResult::ThisScheme {
            number: self.scheme.insert(handle)?,
            flags: NewFdFlags::empty(),
        })
    }

    fn read(
        &mut self,
        number: usize,
        buffer: &mut [u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let file = self.scheme.file_mut(number)?;
        if file.shown.is_due() {
            let (node, link, uid) = (file.node, file.link.clone(), file.uid);
            let text = self.show(node, link.as_deref())?;
            if uid != 0 && self.scheme.shown().saturating_add(text.len()) > MOST_SHOWN {
                return Err(Error::new(ENOBUFS));
            }
            self.scheme.file_mut(number)?.shown.begin(text);
        }
        let file = self.scheme.file_mut(number)?;
        file.readiness.acted(EventFlags::EVENT_READ);
        Ok(file.shown.read(buffer))
    }

    fn write(
        &mut self,
        number: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        caller: &CallerCtx,
    ) -> Result<usize> {
        let file = self.scheme.file_mut(number)?;
        // Both who opened it and who writes now: a descriptor that wandered gives nobody rights.
        if file.uid != 0 || caller.uid != 0 {
            return Err(Error::new(EACCES));
        }
        if file.written.saturating_add(buffer.len()) > LARGEST_WRITE {
            return Err(Error::new(EMSGSIZE));
        }
        file.written = file.written.saturating_add(buffer.len());
        let text = core::str::from_utf8(buffer).map_err(|_| Error::new(EINVAL))?;
        self.accept(number, text)?;
        Ok(buffer.len())
    }

    fn fsync(&mut self, number: usize, _caller: &CallerCtx) -> Result<()> {
        match self.scheme.handles.get(number) {
            Some(Handle::Directory { .. }) => Ok(()),
            Some(Handle::File(_)) => self.commit(number),
            None => Err(Error::new(EBADF)),
        }
    }

    /// `O_TRUNC` of a write-only file, and `ftruncate(0)`: nothing to do.
    fn ftruncate(&mut self, number: usize, _length: u64, _caller: &CallerCtx) -> Result<()> {
        self.scheme.file_mut(number).map(drop)
    }

    fn fcntl(
        &mut self,
        number: usize,
        command: usize,
        _argument: usize,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        // Nothing here ever waits, so that O_NONBLOCK changes nothing; the kernel keeps the flags.
        match (self.scheme.handles.get(number), command) {
            (Some(_), F_GETFL | F_SETFL) => Ok(0),
            (Some(_), _) => Err(Error::new(EINVAL)),
            (None, _) => Err(Error::new(EBADF)),
        }
    }

    fn fevent(
        &mut self,
        number: usize,
        flags: EventFlags,
        _caller: &CallerCtx,
    ) -> Result<EventFlags> {
        match self.scheme.handles.get_mut(number) {
            Some(Handle::File(file)) => {
                let ready = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
                Ok(file.readiness.watch(flags, ready))
            }
            Some(Handle::Directory { .. }) => Ok(flags),
            None => Err(Error::new(EBADF)),
        }
    }

    fn fpath(&mut self, number: usize, buffer: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        match self.scheme.handles.get(number) {
            Some(Handle::File(file)) => Ok(directory::path(buffer, "netcfg", &file.path)),
            Some(Handle::Directory { path }) => Ok(directory::path(buffer, "netcfg", path)),
            None => Err(Error::new(EBADF)),
        }
    }

    fn fstat(&mut self, number: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        match self.scheme.handles.get(number) {
            Some(Handle::Directory { .. }) => directory::stat_directory(stat, 0o555),
            Some(Handle::File(file)) => {
                let size = self
                    .show(file.node, file.link.as_deref())
                    .map_or(0, |text| text.len());
                directory::stat_file(stat, file.node.mode(), size as u64);
            }
            None => return Err(Error::new(EBADF)),
        }
        Ok(())
    }

    fn getdents<'buf>(
        &mut self,
        number: usize,
        buffer: DirentBuf<&'buf mut [u8]>,
        opaque: u64,
    ) -> Result<DirentBuf<&'buf mut [u8]>> {
        let path = match self.scheme.handles.get(number) {
            Some(Handle::Directory { path }) => path,
            Some(Handle::File(_)) => return Err(Error::new(ENOTDIR)),
            None => return Err(Error::new(EBADF)),
        };
        let links: Vec<&str> = self.stack.links().map(|link| link.name()).collect();
        let children = nodes::children(path, &links);
        let entries = children.iter().map(|child| {
            let kind = match child.is_directory {
                true => DirentKind::Directory,
                false => DirentKind::Regular,
            };
            (child.name, kind)
        });
        directory::list(buffer, opaque, entries)
    }

    fn on_close(&mut self, number: usize) {
        if let Some(Handle::File(file)) = self.scheme.handles.get(number)
            && !file.edits.is_empty()
            && let Err(error) = self.commit(number)
        {
            log::warn!("netcfg: what was written could not be applied at close: {error}");
        }
        self.scheme.remove(number);
    }
}

impl netscheme::Scheme for NetcfgView<'_> {}
