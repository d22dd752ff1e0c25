//! `file`: a directory of the host as the root file system. No path leads out of it: Linux resolves `..` and links as if it were the root.
//! Permissions are those of the Linux user who runs the machine, not those of the process's uid.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use syscall::data::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EBADF, EINVAL, EIO, EISDIR, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{
    AT_REMOVEDIR, EventFlags, O_ACCMODE, O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW,
    O_RDONLY, O_RDWR, O_STAT, O_TRUNC, O_WRONLY,
};

use crate::context::Context;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat, put_text};
use crate::wait::lock;

struct Open {
    /// Path inside the root, without a slash at either end.
    path: String,
    fd: OwnedFd,
    /// The entries of a directory when it was opened, sorted; None for other files.
    entries: Option<Vec<(String, DirentKind, u64)>>,
    flags: usize,
}

/// The scheme.
pub(crate) struct FileScheme {
    id: SchemeId,
    root: OwnedFd,
    open: Mutex<HashMap<usize, Arc<Open>>>,
    next: AtomicUsize,
}

/// Linux's numbers of errors are Redox's, but for the one that Linux has twice.
fn error(errno: Errno) -> Error {
    Error::new(errno.raw_os_error())
}

impl FileScheme {
    /// The handle of the root directory.
    pub(crate) const ROOT: usize = 0;

    pub(crate) fn new(id: SchemeId, root: &Path) -> std::io::Result<Self> {
        let root = rustix::fs::openat(
            CWD,
            root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            id,
            root,
            open: Mutex::default(),
            next: AtomicUsize::new(1),
        })
    }

    fn get(&self, number: usize) -> Result<Arc<Open>> {
        lock(&self.open)
            .get(&number)
            .cloned()
            .ok_or(Error::new(EBADF))
    }

    /// `path` relative to the directory `number`, from the root.
    fn resolve(&self, number: usize, path: &str) -> Result<String> {
        let path = path.trim_matches('/');
        if number == Self::ROOT {
            return Ok(path.to_owned());
        }
        let base = self.get(number)?;
        Ok(if path.is_empty() {
            base.path.clone()
        } else {
            format!("{}/{path}", base.path)
        })
    }

    fn open_path(&self, path: &str, flags: usize) -> Result<OwnedFd> {
        let mut linux = match flags & O_ACCMODE {
            O_RDWR => OFlags::RDWR,
            O_WRONLY => OFlags::WRONLY,
            O_RDONLY => OFlags::RDONLY,
            _ => OFlags::RDONLY | OFlags::PATH,
        } | OFlags::CLOEXEC;
        linux.set(OFlags::CREATE, flags & O_CREAT != 0);
        linux.set(OFlags::EXCL, flags & O_EXCL != 0);
        linux.set(OFlags::TRUNC, flags & O_TRUNC != 0);
        linux.set(OFlags::DIRECTORY, flags & O_DIRECTORY != 0);
        linux.set(OFlags::NOFOLLOW, flags & O_NOFOLLOW != 0);
        if flags & O_DIRECTORY != 0 {
            // Linux opens directories for reading only, and lists none that were opened as a mere path.
            linux = (linux - OFlags::PATH - OFlags::RDWR - OFlags::WRONLY) | OFlags::RDONLY;
        }
        let mode = if flags & O_CREAT != 0 {
            Mode::from_bits_truncate((flags & 0o777) as u32)
        } else {
            Mode::empty()
        };
        let path = if path.is_empty() { "." } else { path };
        rustix::fs::openat2(
            &self.root,
            path,
            linux,
            mode,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
        .map_err(error)
    }

    /// The directory that holds the last part of `path`, and that part.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(name, "" | "." | "..") {
            return Err(Error::new(EINVAL));
        }
        Ok((self.open_path(directory, O_RDONLY | O_DIRECTORY)?, name))
    }
}

fn list(fd: &OwnedFd) -> Result<Vec<(String, DirentKind, u64)>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(fd).map_err(error)? {
        let entry = entry.map_err(error)?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Directory => DirentKind::Directory,
            FileType::RegularFile => DirentKind::Regular,
            FileType::Symlink => DirentKind::Symlink,
            _ => DirentKind::Unspecified,
        };
        entries.push((name.to_owned(), kind, entry.ino()));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

impl KernelScheme for FileScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        let path = self.resolve(number, path)?;
        let fd = self.open_path(&path, flags)?;
        let stat = rustix::fs::fstat(&fd).map_err(error)?;
        let entries = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if flags & O_DIRECTORY != 0 => Some(list(&fd)?),
            FileType::Directory if flags & O_STAT == 0 => return Err(Error::new(EISDIR)),
            _ => None,
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(
            number,
            Arc::new(Open {
                path,
                fd,
                entries,
                flags,
            }),
        );
        Ok(Opened::Local {
            number,
            positioned: true,
        })
    }

    fn unlinkat(&self, _cx: &Arc<Context>, number: usize, path: &str, flags: usize) -> Result<()> {
        let path = self.resolve(number, path)?;
        let (directory, name) = self.parent(&path)?;
        let flags = if flags & AT_REMOVEDIR != 0 {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        rustix::fs::unlinkat(directory, name, flags).map_err(error)
    }

    fn read_at(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        offset: u64,
        _flags: u32,
    ) -> Result<usize> {
        let open = self.get(number)?;
        if open.entries.is_some() {
            return Err(Error::new(EISDIR));
        }
        rustix::io::pread(&open.fd, buf, offset).map_err(error)
    }

    fn write_at(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &[u8],
        offset: u64,
        flags: u32,
    ) -> Result<usize> {
        let open = self.get(number)?;
        let append = (open.flags | flags as usize) & O_APPEND != 0;
        let offset = if append {
            rustix::fs::fstat(&open.fd).map_err(error)?.st_size as u64
        } else {
            offset
        };
        rustix::io::pwrite(&open.fd, buf, offset).map_err(error)
    }

    fn getdents(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        header_size: u16,
        opaque: u64,
    ) -> Result<usize> {
        let open = self.get(number)?;
        let entries = open.entries.as_ref().ok_or(Error::new(ENOTDIR))?;
        let mut out = DirentBuf::new(buf, header_size).ok_or(Error::new(EIO))?;
        let first = usize::try_from(opaque).unwrap_or(usize::MAX);
        for (i, (name, kind, inode)) in entries.iter().enumerate().skip(first) {
            match out.entry(DirEntry {
                inode: *inode,
                next_opaque_id: i as u64 + 1,
                name,
                kind: *kind,
            }) {
                Ok(()) => {}
                Err(Error { errno: EINVAL }) if i > first => break,
                Err(error) => return Err(error),
            }
        }
        Ok(out.finalize())
    }

    fn fstat(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<()> {
        let stat = match number {
            Self::ROOT => rustix::fs::fstat(&self.root),
            _ => rustix::fs::fstat(&self.get(number)?.fd),
        };
        let stat = stat.map_err(error)?;
        let out = Stat {
            st_dev: 0,
            st_ino: stat.st_ino,
            st_mode: stat.st_mode as u16,
            st_nlink: stat.st_nlink as u32,
            st_uid: stat.st_uid,
            st_gid: stat.st_gid,
            st_size: stat.st_size as u64,
            st_blksize: stat.st_blksize as u32,
            st_blocks: stat.st_blocks as u64,
            st_mtime: stat.st_mtime as u64,
            st_mtime_nsec: stat.st_mtime_nsec as u32,
            st_atime: stat.st_atime as u64,
            st_atime_nsec: stat.st_atime_nsec as u32,
            st_ctime: stat.st_ctime as u64,
            st_ctime_nsec: stat.st_ctime_nsec as u32,
        };
        put_stat(buf, &out)
    }

    fn fsync(&self, _cx: &Arc<Context>, number: usize) -> Result<()> {
        rustix::fs::fsync(&self.get(number)?.fd).map_err(error)
    }

    fn ftruncate(&self, _cx: &Arc<Context>, number: usize, len: u64) -> Result<()> {
        rustix::fs::ftruncate(&self.get(number)?.fd, len).map_err(error)
    }

    fn fsize(&self, _cx: &Arc<Context>, number: usize) -> Result<u64> {
        rustix::fs::fstat(&self.get(number)?.fd)
            .map(|stat| stat.st_size as u64)
            .map_err(error)
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, flags: EventFlags) -> Result<EventFlags> {
        self.get(number).map(|_| flags)
    }

    fn fpath(&self, _cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<usize> {
        let path = match number {
            Self::ROOT => String::new(),
            _ => self
                .get(number)
                .map_err(|_| Error::new(ENOENT))?
                .path
                .clone(),
        };
        Ok(put_text(buf, &format!("/scheme/file/{path}")))
    }

    fn close(&self, number: usize) {
        lock(&self.open).remove(&number);
    }
}
