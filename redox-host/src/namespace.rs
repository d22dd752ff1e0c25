//! Namespaces: which schemes a process can open by name. On Redox a daemon (the namespace manager of `bootstrap`) serves them; here they are built in,
//! with its rules: permissions, forks that may not create schemes, names that stay when their scheme is dead.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redox_path::{RedoxPath, RedoxScheme};
use syscall::data::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EACCES, EBADF, EEXIST, EINVAL, EIO, ENODEV, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{CallFlags, EventFlags, MODE_DIR, MODE_FILE};

use crate::context::Context;
use crate::event::Events;
use crate::files::Description;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat};
use crate::wait::lock;

use libredox::protocol::{NsDup, NsPermissions};

/// A set of names.
#[derive(Debug)]
pub(crate) struct Names {
    schemes: Mutex<BTreeMap<String, Arc<Description>>>,
}

impl Names {
    pub(crate) fn new(schemes: BTreeMap<String, Arc<Description>>) -> Self {
        Self {
            schemes: Mutex::new(schemes),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Description>> {
        lock(&self.schemes).get(name).cloned()
    }

    /// A copy with only the schemes wanted: names, or beginnings that end in `*`. Names that nobody has are left out.
    fn fork(&self, wanted: &[&str]) -> Self {
        let matches = |name: &str| {
            wanted.iter().any(|want| {
                want.strip_suffix('*')
                    .map_or(*want == name, |start| name.starts_with(start))
            })
        };
        let schemes = lock(&self.schemes)
            .iter()
            .filter(|(name, _)| matches(name))
            .map(|(name, cap)| (name.clone(), Arc::clone(cap)))
            .collect();
        Self::new(schemes)
    }
}

#[derive(Clone)]
struct Access {
    names: Arc<Names>,
    permissions: NsPermissions,
}

impl Access {
    fn require(&self, permission: NsPermissions) -> Result<()> {
        if self.permissions.contains(permission) {
            Ok(())
        } else {
            Err(Error::new(EACCES))
        }
    }
}

#[derive(Clone)]
enum Handle {
    Access(Access),
    /// May register that one name.
    Register(Arc<Names>, String),
    List(Access),
}

/// The scheme whose files are namespaces.
pub(crate) struct Namespaces {
    id: SchemeId,
    events: Arc<Events>,
    /// What `/scheme/namespace/scheme-creation-cap` gives.
    creation: Arc<Description>,
    handles: Mutex<HashMap<usize, Handle>>,
    next: AtomicUsize,
}

impl Namespaces {
    pub(crate) fn new(id: SchemeId, events: Arc<Events>, creation: Arc<Description>) -> Self {
        Self {
            id,
            events,
            creation,
            handles: Mutex::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// The root namespace with every permission.
    pub(crate) fn open_root(self: &Arc<Self>, names: &Arc<Names>) -> Arc<Description> {
        let number = self.add(Handle::Access(Access {
            names: Arc::clone(names),
            permissions: NsPermissions::all(),
        }));
        Description::new(self.clone(), Arc::clone(&self.events), number, 0, false, 0)
    }

    /// A namespace with only those names of another, in which no schemes can be created.
    pub(crate) fn open_fork(self: &Arc<Self>, names: &Names, wanted: &[&str]) -> Arc<Description> {
        let number = self.add(Handle::Access(forked(names, wanted)));
        Description::new(self.clone(), Arc::clone(&self.events), number, 0, false, 0)
    }

    fn add(&self, handle: Handle) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.handles).insert(number, handle);
        number
    }

    fn handle(&self, number: usize, errno: i32) -> Result<Handle> {
        lock(&self.handles)
            .get(&number)
            .cloned()
            .ok_or(Error::new(errno))
    }

    fn access(&self, number: usize) -> Result<Access> {
        match self.handle(number, ENOENT)? {
            Handle::Access(access) => Ok(access),
            Handle::Register(..) | Handle::List(_) => Err(Error::new(ENOENT)),
        }
    }
}

/// Whoever lives in a fork cannot create schemes any more.
fn forked(names: &Names, wanted: &[&str]) -> Access {
    Access {
        names: Arc::new(names.fork(wanted)),
        permissions: NsPermissions::all().difference(NsPermissions::SCHEME_CREATE),
    }
}

/// `path` as a scheme and what that scheme is told.
fn split(path: &str) -> Result<(String, String)> {
    let path = RedoxPath::from_absolute(path).ok_or(Error::new(EINVAL))?;
    let (scheme, reference) = path.as_parts().ok_or(Error::new(EINVAL))?;
    Ok((scheme.as_ref().to_owned(), reference.as_ref().to_owned()))
}

fn word(buf: &[u8]) -> Result<(usize, &[u8])> {
    let (word, rest) = buf.split_first_chunk::<8>().ok_or(Error::new(EINVAL))?;
    Ok((usize::from_le_bytes(*word), rest))
}

/// Names as `mkns` writes them: each with its length before it.
fn parse_names(mut buf: &[u8]) -> Result<Vec<&str>> {
    let mut names = Vec::new();
    while !buf.is_empty() {
        let (len, rest) = word(buf)?;
        let (name, rest) = rest.split_at_checked(len).ok_or(Error::new(EINVAL))?;
        names.push(str::from_utf8(name).map_err(|_| Error::new(EINVAL))?);
        buf = rest;
    }
    Ok(names)
}

impl KernelScheme for Namespaces {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        cx: &Arc<Context>,
        number: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
    ) -> Result<Opened> {
        let access = self.access(number)?;
        let (scheme, reference) = split(path)?;
        match scheme.as_str() {
            "namespace" if reference == "scheme-creation-cap" => {
                access.require(NsPermissions::SCHEME_CREATE)?;
                Ok(Opened::External(Arc::clone(&self.creation)))
            }
            "namespace" => Err(Error::new(EINVAL)),
            "" => {
                access.require(NsPermissions::LIST)?;
                Ok(Opened::local(self.add(Handle::List(access))))
            }
            name => {
                let root = access.names.get(name).ok_or(Error::new(ENODEV))?;
                let scheme = root.scheme()?;
                Ok(
                    match scheme.openat(cx, root.number, &reference, flags, fcntl_flags)? {
                        Opened::Local { number, positioned } => {
                            let events = Arc::clone(&self.events);
                            Opened::External(Description::new(
                                Arc::clone(scheme),
                                events,
                                number,
                                flags as u32,
                                positioned,
                                0,
                            ))
                        }
                        external => external,
                    },
                )
            }
        }
    }

    fn unlinkat(&self, cx: &Arc<Context>, number: usize, path: &str, flags: usize) -> Result<()> {
        let access = self.access(number)?;
        let (scheme, reference) = split(path)?;
        if reference.is_empty() {
            access.require(NsPermissions::DELETE)?;
            let removed = lock(&access.names.schemes).remove(&scheme);
            return removed.map(drop).ok_or(Error::new(ENODEV));
        }
        let root = access.names.get(&scheme).ok_or(Error::new(ENODEV))?;
        root.scheme()?.unlinkat(cx, root.number, &reference, flags)
    }

    fn dup(&self, _cx: &Arc<Context>, number: usize, buf: &[u8]) -> Result<Opened> {
        let access = self.access(number)?;
        let (kind, payload) = word(buf)?;
        let handle = match NsDup::try_from_raw(kind).ok_or(Error::new(EINVAL))? {
            NsDup::ForkNs => Handle::Access(forked(&access.names, &parse_names(payload)?)),
            NsDup::ShrinkPermissions => {
                let permissions =
                    access.permissions & NsPermissions::from_bits_truncate(word(payload)?.0);
                Handle::Access(Access {
                    permissions,
                    ..access
                })
            }
            NsDup::IssueRegister => {
                let name = str::from_utf8(payload).map_err(|_| Error::new(EINVAL))?;
                let name = RedoxScheme::new(name).ok_or(Error::new(EINVAL))?;
                access.require(NsPermissions::INSERT)?;
                Handle::Register(access.names, name.as_ref().to_owned())
            }
        };
        Ok(Opened::local(self.add(handle)))
    }

    fn fd_write(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        files: Vec<Arc<Description>>,
        _flags: CallFlags,
        _metadata: &[u64],
    ) -> Result<usize> {
        let Handle::Register(names, name) = self.handle(number, ENOENT)? else {
            return Err(Error::new(EACCES));
        };
        let mut files = files.into_iter();
        match (files.next(), files.next()) {
            (None, _) => Ok(0),
            (Some(_), Some(_)) => Err(Error::new(EINVAL)),
            (Some(root), None) => {
                let mut schemes = lock(&names.schemes);
                if schemes.contains_key(&name) {
                    drop(schemes);
                    return Err(Error::new(EEXIST));
                }
                schemes.insert(name, root);
                Ok(1)
            }
        }
    }

    fn getdents(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        header_size: u16,
        opaque: u64,
    ) -> Result<usize> {
        let Handle::List(access) = self.handle(number, EBADF)? else {
            return Err(Error::new(ENOTDIR));
        };
        let mut entries = DirentBuf::new(buf, header_size).ok_or(Error::new(EIO))?;
        let names: Vec<String> = lock(&access.names.schemes).keys().cloned().collect();
        let first = usize::try_from(opaque).unwrap_or(usize::MAX);
        for (i, name) in names.iter().enumerate().skip(first) {
            let entry = DirEntry {
                kind: DirentKind::Unspecified,
                name,
                inode: 0,
                next_opaque_id: i as u64 + 1,
            };
            match entries.entry(entry) {
                Ok(()) => {}
                Err(Error { errno: EINVAL }) if i > first => break,
                Err(error) => return Err(error),
            }
        }
        Ok(entries.finalize())
    }

    fn fstat(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<()> {
        let st_mode = match self.handle(number, EBADF)? {
            Handle::List(_) => 0o444 | MODE_DIR,
            Handle::Access(_) | Handle::Register(..) => 0o666 | MODE_FILE,
        };
        put_stat(
            buf,
            &Stat {
                st_mode,
                ..Stat::default()
            },
        )
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, _flags: EventFlags) -> Result<EventFlags> {
        self.handle(number, EBADF).map(|_| EventFlags::empty())
    }

    fn close(&self, number: usize) {
        let handle = lock(&self.handles).remove(&number);
        drop(handle);
    }
}
