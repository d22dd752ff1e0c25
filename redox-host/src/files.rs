//! File descriptions and the table of file descriptors of a process (kernel context/file.rs, context/context.rs).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use syscall::error::{EBADF, EEXIST, EINVAL, EMFILE, ENODEV, ESRCH, Error, Result};
use syscall::flag::UPPER_FDTBL_TAG;

use crate::event::Events;
use crate::scheme::KernelScheme;

/// Most descriptors a process can have.
pub(crate) const MAX_FILES: usize = 65_536;

/// An open file: shared by every descriptor that `dup` without a path made, by mappings, and by processes that inherited it.
/// When the last reference goes the scheme learns it (CloseMsg) and its event registrations end.
pub(crate) struct Description {
    scheme: Arc<dyn KernelScheme>,
    /// What the scheme calls it.
    pub(crate) number: usize,
    /// The kernel's offset; used only when `positioned`.
    pub(crate) offset: AtomicU64,
    /// Flags of open or F_SETFL, in Redox's numbers.
    pub(crate) flags: AtomicU32,
    /// Whether the kernel keeps an offset.
    pub(crate) positioned: bool,
    /// The scheme wants to know when a descriptor of this is closed next (RespondAndNotifyOnDetach).
    pub(crate) notify_on_detach: AtomicBool,
    events: Arc<Events>,
}

impl Description {
    pub(crate) fn new(
        scheme: Arc<dyn KernelScheme>,
        events: Arc<Events>,
        number: usize,
        flags: u32,
        positioned: bool,
        offset: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            scheme,
            number,
            offset: AtomicU64::new(offset),
            flags: AtomicU32::new(flags),
            positioned,
            notify_on_detach: AtomicBool::new(false),
            events,
        })
    }

    /// The scheme; ENODEV when its socket is closed.
    pub(crate) fn scheme(&self) -> Result<&Arc<dyn KernelScheme>> {
        if self.scheme.is_alive() {
            Ok(&self.scheme)
        } else {
            Err(Error::new(ENODEV))
        }
    }

    /// The scheme, dead or alive.
    pub(crate) fn scheme_even_dead(&self) -> &Arc<dyn KernelScheme> {
        &self.scheme
    }

    /// Flags of open or F_SETFL.
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// The offset as schemes see it.
    pub(crate) fn offset_for_scheme(&self) -> u64 {
        if self.positioned {
            self.offset.load(Ordering::Relaxed)
        } else {
            u64::MAX
        }
    }

    /// The kernel's offset after `count` bytes were read or written.
    pub(crate) fn advance(&self, count: usize) {
        if self.positioned {
            let offset = self.offset.load(Ordering::Relaxed);
            self.offset
                .store(offset.saturating_add(count as u64), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme.id(), self.number)
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        self.events.unregister_file(self.scheme.id(), self.number);
        if self.scheme.is_alive() {
            self.scheme.close(self.number);
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    file: Arc<Description>,
    close_on_exec: bool,
}

/// The descriptors of a process: the lower table of POSIX, lowest free number first, and the upper one (numbers with `UPPER_FDTBL_TAG`)
/// that Redox's C library keeps for itself.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    lower: Vec<Option<Entry>>,
    upper: Vec<Option<Entry>>,
    count: usize,
    /// The process is dead: nothing can be opened any more.
    closed: bool,
}

impl FileTable {
    fn slot(&self, fd: usize) -> Option<&Entry> {
        let (table, index) = if fd & UPPER_FDTBL_TAG != 0 {
            (&self.upper, fd & !UPPER_FDTBL_TAG)
        } else {
            (&self.lower, fd)
        };
        table.get(index)?.as_ref()
    }

    fn slot_mut(&mut self, fd: usize) -> (&mut Vec<Option<Entry>>, usize) {
        if fd & UPPER_FDTBL_TAG != 0 {
            (&mut self.upper, fd & !UPPER_FDTBL_TAG)
        } else {
            (&mut self.lower, fd)
        }
    }

    /// The description behind `fd`.
    pub(crate) fn get(&self, fd: usize) -> Result<Arc<Description>> {
        self.slot(fd)
            .map(|entry| Arc::clone(&entry.file))
            .ok_or(Error::new(EBADF))
    }

    /// Puts `file` at the lowest free number (of the upper table when `upper`).
    /// On failure the description comes back, so that the caller drops it after it let the table go.
    pub(crate) fn insert(
        &mut self,
        file: Arc<Description>,
        upper: bool,
        close_on_exec: bool,
    ) -> Result<usize, (Error, Arc<Description>)> {
        let table = if upper { &self.upper } else { &self.lower };
        let index = table
            .iter()
            .position(Option::is_none)
            .unwrap_or(table.len());
        let fd = if upper {
            index | UPPER_FDTBL_TAG
        } else {
            index
        };
        self.insert_at(fd, file, close_on_exec)
    }

    /// Puts `file` at `fd`, which must be free (EEXIST).
    pub(crate) fn insert_at(
        &mut self,
        fd: usize,
        file: Arc<Description>,
        close_on_exec: bool,
    ) -> Result<usize, (Error, Arc<Description>)> {
        if self.closed {
            return Err((Error::new(ESRCH), file));
        }
        let full = self.count >= MAX_FILES;
        let (table, index) = self.slot_mut(fd);
        if full || index >= MAX_FILES {
            return Err((Error::new(EMFILE), file));
        }
        if index >= table.len() {
            table.resize(index + 1, None);
        }
        if table[index].is_some() {
            return Err((Error::new(EEXIST), file));
        }
        table[index] = Some(Entry {
            file,
            close_on_exec,
        });
        self.count += 1;
        Ok(fd)
    }

    /// Takes `fd` out of the table.
    pub(crate) fn remove(&mut self, fd: usize) -> Result<Arc<Description>> {
        let (table, index) = self.slot_mut(fd);
        let entry = table
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(Error::new(EBADF))?;
        self.count -= 1;
        Ok(entry.file)
    }

    /// The descriptions behind `fds`, taken out of the table unless `keep`. All or nothing; twice the same is EBADF.
    pub(crate) fn bulk(&mut self, fds: &[usize], keep: bool) -> Result<Vec<Arc<Description>>> {
        for (i, fd) in fds.iter().enumerate() {
            if self.slot(*fd).is_none() || fds[..i].contains(fd) {
                return Err(Error::new(EBADF));
            }
        }
        fds.iter()
            .map(|fd| {
                if keep {
                    self.get(*fd)
                } else {
                    self.remove(*fd)
                }
            })
            .collect()
    }

    /// Puts received descriptions where `wanted` says (each free, EEXIST), or, when its first entry is usize::MAX, at free numbers.
    /// All or nothing. Gives the numbers; on failure the descriptions come back.
    pub(crate) fn bulk_insert(
        &mut self,
        files: Vec<Arc<Description>>,
        wanted: &[usize],
        upper: bool,
        close_on_exec: bool,
    ) -> Result<Vec<usize>, (Error, Vec<Arc<Description>>)> {
        if files.len() != wanted.len() {
            return Err((Error::new(EINVAL), files));
        }
        if self.closed {
            return Err((Error::new(ESRCH), files));
        }
        if self.count.saturating_add(files.len()) > MAX_FILES {
            return Err((Error::new(EMFILE), files));
        }
        let automatic = wanted.first() == Some(&usize::MAX);
        if !automatic {
            for (i, fd) in wanted.iter().enumerate() {
                if fd & !UPPER_FDTBL_TAG >= MAX_FILES {
                    return Err((Error::new(EMFILE), files));
                }
                if wanted[..i].contains(fd) {
                    return Err((Error::new(EBADF), files));
                }
                if self.slot(*fd).is_some() {
                    return Err((Error::new(EEXIST), files));
                }
            }
        }
        let mut stored = Vec::with_capacity(files.len());
        let mut rest = files.into_iter();
        while let Some(file) = rest.next() {
            let result = match wanted.get(stored.len()) {
                Some(fd) if !automatic => self.insert_at(*fd, file, close_on_exec),
                _ => self.insert(file, upper, close_on_exec),
            };
            match result {
                Ok(fd) => stored.push(fd),
                Err((error, file)) => {
                    let mut back: Vec<_> = stored
                        .iter()
                        .filter_map(|fd| self.remove(*fd).ok())
                        .collect();
                    back.push(file);
                    back.extend(rest);
                    return Err((error, back));
                }
            }
        }
        Ok(stored)
    }

    /// The close-on-exec flag of `fd`.
    pub(crate) fn close_on_exec(&self, fd: usize) -> Result<bool> {
        self.slot(fd)
            .map(|entry| entry.close_on_exec)
            .ok_or(Error::new(EBADF))
    }

    /// Sets the close-on-exec flag of `fd`.
    pub(crate) fn set_close_on_exec(&mut self, fd: usize, on: bool) -> Result<()> {
        let (table, index) = self.slot_mut(fd);
        let entry = table
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(Error::new(EBADF))?;
        entry.close_on_exec = on;
        Ok(())
    }

    /// How many descriptors are open in the lower table.
    pub(crate) fn open_lower(&self) -> usize {
        self.lower.iter().flatten().count()
    }

    /// Empties the table for good: the process is dead. The caller drops what was in it.
    pub(crate) fn close_all(&mut self) -> Vec<Arc<Description>> {
        self.closed = true;
        self.count = 0;
        let lower = std::mem::take(&mut self.lower);
        let upper = std::mem::take(&mut self.upper);
        lower
            .into_iter()
            .chain(upper)
            .flatten()
            .map(|entry| entry.file)
            .collect()
    }
}
