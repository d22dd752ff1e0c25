//! The scheme that the client asks. Files below `/scheme/transcript`:
//! `data` (bytes that `ctl` puts there), `echo` (SYS_CALL), `shared` (pages to map), `mailbox` (takes and gives files), `pipe` (a file of another scheme),
//! `ctl` (commands), `log` (what was asked since the log was read last), `until/N/TEXT` (a read ends once N lines of the log have that text).

use std::collections::HashMap;

use libredox::call;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::error::{
    EACCES, EAGAIN, EBADF, EINVAL, ENOENT, EOPNOTSUPP, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{EventFlags, MapFlags, MunmapFlags, O_NONBLOCK, O_RDWR};
use syscall::schemev2::NewFdFlags;

use crate::pages::{PAGE, Pages};

/// Name of the scheme.
pub(crate) const NAME: &str = "transcript";

#[derive(Debug)]
enum File {
    Root,
    Data(Vec<u8>),
    Again,
    Echo,
    Shared,
    Mailbox,
    Control,
    Log,
    Until { lines: usize, text: String },
}

/// The files of the scheme and what it was asked.
pub(crate) struct Scheme {
    files: HashMap<usize, File>,
    next: usize,
    pub(crate) log: Vec<String>,
    /// While parked requests are tried again nothing is logged.
    pub(crate) quiet: bool,
    pages: Pages,
    /// Events to post.
    pub(crate) posts: Vec<(usize, usize)>,
    /// Answer what is parked, the last first.
    pub(crate) answer_parked: bool,
    /// A file that was sent, until it is asked for.
    pub(crate) mail: Option<usize>,
}

impl Scheme {
    pub(crate) fn new(pages: Pages) -> Self {
        Self {
            files: HashMap::new(),
            next: 1,
            log: Vec::new(),
            quiet: false,
            pages,
            posts: Vec::new(),
            answer_parked: false,
            mail: None,
        }
    }

    pub(crate) fn note(&mut self, line: String) {
        if !self.quiet {
            self.log.push(line);
        }
    }

    fn file(&mut self, id: usize) -> Result<&mut File> {
        self.files.get_mut(&id).ok_or(Error::new(EBADF))
    }

    fn add(&mut self, file: File) -> OpenResult {
        let number = self.next;
        self.next += 1;
        self.files.insert(number, file);
        OpenResult::ThisScheme {
            number,
            flags: NewFdFlags::empty(),
        }
    }

    pub(crate) fn is_seen(&mut self, id: usize) -> bool {
        !matches!(
            self.files.get(&id),
            Some(File::Control | File::Log | File::Until { .. }) | None
        )
    }

    fn command(&mut self, text: &str) -> Result<()> {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["put", id, bytes] => {
                let id = id.parse().map_err(|_| Error::new(EINVAL))?;
                let File::Data(data) = self.file(id)? else {
                    return Err(Error::new(EINVAL));
                };
                data.extend_from_slice(bytes.as_bytes());
                self.posts.push((id, EventFlags::EVENT_READ.bits()));
            }
            ["post", id, flags] => {
                let number = |word: &str| word.parse::<usize>().map_err(|_| Error::new(EINVAL));
                self.posts.push((number(id)?, number(flags)?));
            }
            ["answer"] => self.answer_parked = true,
            ["page", page, byte] => {
                let number = |word: &str| word.parse::<usize>().map_err(|_| Error::new(EINVAL));
                self.pages.set(number(page)? & 1, number(byte)? as u8);
            }
            ["see", page] => {
                let byte = self
                    .pages
                    .get(page.parse::<usize>().map_err(|_| Error::new(EINVAL))? & 1);
                self.note(format!("page {page} is {byte}"));
            }
            _ => return Err(Error::new(EINVAL)),
        }
        Ok(())
    }
}

impl SchemeSync for Scheme {
    fn scheme_root(&mut self) -> Result<usize> {
        self.files.insert(0, File::Root);
        Ok(0)
    }

    fn openat(
        &mut self,
        dir: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        if !matches!(self.file(dir)?, File::Root) {
            return Err(Error::new(EACCES));
        }
        let path = path.trim_matches('/');
        let file = match path {
            "" => File::Root,
            "data" => File::Data(Vec::new()),
            "again" => File::Again,
            "echo" => File::Echo,
            "shared" => File::Shared,
            "mailbox" => File::Mailbox,
            "ctl" => return Ok(self.add(File::Control)),
            "log" => return Ok(self.add(File::Log)),
            "pipe" => {
                self.note("openat pipe: another scheme's file".to_owned());
                let reader = call::open("/scheme/pipe", O_RDWR as i32, 0)?;
                let writer = libredox::Fd::new(call::dup(reader, b"write")?);
                writer.write(b"from the provider")?;
                return Ok(OpenResult::OtherScheme { fd: reader });
            }
            _ => {
                let mut parts = path.splitn(3, '/');
                if parts.next() != Some("until") {
                    return Err(Error::new(ENOENT));
                }
                let lines = parts
                    .next()
                    .and_then(|lines| lines.parse().ok())
                    .ok_or(Error::new(ENOENT))?;
                let text = parts.next().ok_or(Error::new(ENOENT))?.to_owned();
                return Ok(self.add(File::Until { lines, text }));
            }
        };
        self.note(format!(
            "openat {dir} {path:?} flags {flags:#x} fcntl {fcntl_flags:#x} uid {} gid {}",
            ctx.uid, ctx.gid
        ));
        Ok(self.add(file))
    }

    fn dup(&mut self, id: usize, buf: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        self.note(format!("dup {id} {:?}", String::from_utf8_lossy(buf)));
        self.file(id)?;
        if buf != b"twin" {
            return Err(Error::new(EINVAL));
        }
        Ok(self.add(File::Data(Vec::new())))
    }

    fn read(
        &mut self,
        id: usize,
        buf: &mut [u8],
        offset: u64,
        fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        if self.is_seen(id) {
            let nonblock = if fcntl_flags as usize & O_NONBLOCK != 0 {
                "nonblock"
            } else {
                "block"
            };
            let offset = if offset == u64::MAX {
                "none".to_owned()
            } else {
                offset.to_string()
            };
            let zero = buf.iter().all(|byte| *byte == 0);
            self.note(format!(
                "read {id} len {} offset {offset} {nonblock}, payload zero: {zero}",
                buf.len()
            ));
        }
        let log = std::mem::take(&mut self.log);
        let (answer, keep) = match self.file(id) {
            Ok(File::Data(data)) if data.is_empty() => (Err(Error::new(EWOULDBLOCK)), true),
            Ok(File::Data(data)) => {
                let count = data.len().min(buf.len());
                buf[..count].copy_from_slice(&data[..count]);
                data.drain(..count);
                (Ok(count), true)
            }
            Ok(File::Again) => (Err(Error::new(EAGAIN)), true),
            Ok(File::Log) => {
                let text = log
                    .iter()
                    .map(|line| format!("{line}\n"))
                    .collect::<String>();
                let count = text.len().min(buf.len());
                buf[..count].copy_from_slice(&text.as_bytes()[..count]);
                (Ok(count), false)
            }
            Ok(File::Until { lines, text }) => {
                let enough = log
                    .iter()
                    .filter(|line| line.contains(text.as_str()))
                    .count()
                    >= *lines;
                (
                    if enough {
                        Ok(0)
                    } else {
                        Err(Error::new(EWOULDBLOCK))
                    },
                    true,
                )
            }
            Ok(_) => (Err(Error::new(EBADF)), true),
            Err(error) => (Err(error), true),
        };
        if keep {
            self.log = log;
        }
        answer
    }

    fn write(
        &mut self,
        id: usize,
        buf: &[u8],
        _offset: u64,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        if self.is_seen(id) {
            self.note(format!("write {id} {:?}", String::from_utf8_lossy(buf)));
        }
        match self.file(id)? {
            File::Control => {
                let text = String::from_utf8_lossy(buf).into_owned();
                self.command(&text)?;
                Ok(buf.len())
            }
            File::Data(_) => Ok(buf.len()),
            _ => Err(Error::new(EBADF)),
        }
    }

    fn fcntl(&mut self, id: usize, cmd: usize, arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.note(format!("fcntl {id} cmd {cmd} arg {arg:#x}"));
        self.file(id)?;
        Ok(0)
    }

    fn fevent(&mut self, id: usize, flags: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        self.note(format!("fevent {id} mask {}", flags.bits()));
        Ok(match self.file(id)? {
            File::Data(data) if data.is_empty() => flags & EventFlags::EVENT_WRITE,
            _ => flags,
        })
    }

    fn fpath(&mut self, id: usize, buf: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        self.note(format!("fpath {id} len {}", buf.len()));
        let path = format!("/scheme/{NAME}/{id}");
        let count = path.len().min(buf.len());
        buf[..count].copy_from_slice(&path.as_bytes()[..count]);
        Ok(count)
    }

    fn fsync(&mut self, id: usize, _ctx: &CallerCtx) -> Result<()> {
        self.note(format!("fsync {id}"));
        Ok(())
    }

    fn call(
        &mut self,
        id: usize,
        payload: &mut [u8],
        metadata: &[u64],
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.note(format!(
            "call {id} payload {:?} metadata {metadata:?}",
            String::from_utf8_lossy(payload)
        ));
        if !matches!(self.file(id)?, File::Echo) {
            return Err(Error::new(EOPNOTSUPP));
        }
        payload.make_ascii_uppercase();
        Ok(payload.len())
    }

    fn mmap_prep(
        &mut self,
        id: usize,
        offset: u64,
        size: usize,
        flags: MapFlags,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.note(format!(
            "mmap_prep {id} offset {offset} size {size} flags {:#x}",
            flags.bits()
        ));
        let inside = offset
            .checked_add(size as u64)
            .is_some_and(|end| end <= 2 * PAGE as u64);
        if !matches!(self.file(id)?, File::Shared)
            || !flags.contains(MapFlags::MAP_SHARED)
            || !inside
        {
            return Err(Error::new(EINVAL));
        }
        Ok(self.pages.address() + offset as usize)
    }

    fn munmap(
        &mut self,
        id: usize,
        offset: u64,
        size: usize,
        flags: MunmapFlags,
        _ctx: &CallerCtx,
    ) -> Result<()> {
        self.note(format!(
            "munmap {id} offset {offset} size {size} flags {}",
            flags.bits()
        ));
        Ok(())
    }

    fn on_close(&mut self, id: usize) {
        if self.is_seen(id) {
            self.note(format!("close {id}"));
        }
        self.files.remove(&id);
    }
}
