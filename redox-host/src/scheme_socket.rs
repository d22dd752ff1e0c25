//! Scheme sockets: how a process serves a scheme (kernel scheme/mod.rs SchemeList, scheme/user.rs read and write).
//! A read gives 64-byte requests, a write takes 16-byte answers and events, `dup` with parameters makes descriptions of the scheme,
//! SYS_CALL with FD obtains and moves files.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syscall::error::{EACCES, EBADF, EINVAL, Error, Result};
use syscall::flag::{CallFlags, EventFlags, O_NONBLOCK, SchemeSocketCall};
use syscall::schemev2::{Cqe, CqeOpcode, NewFdFlags};

use crate::call::Response;
use crate::context::Context;
use crate::event::Events;
use crate::files::Description;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_text};
use crate::user::UserScheme;
use crate::wait::lock;

/// The number of the scheme whose files are scheme sockets. The kernel's own schemes have the numbers below.
pub(crate) const SCHEME_SOCKETS: SchemeId = 16;

/// The handle that may create schemes.
pub(crate) const CREATION_CAPABILITY: usize = 0;

const CQE: usize = 16;

/// All scheme sockets of a machine.
pub(crate) struct SchemeSockets {
    events: Arc<Events>,
    schemes: Mutex<HashMap<SchemeId, Arc<UserScheme>>>,
    next: AtomicUsize,
    /// Leave the callers of a dead scheme waiting, as the kernel does since March 2026.
    pub(crate) strand: AtomicBool,
}

impl SchemeSockets {
    /// `first` is the first number that no built-in scheme has.
    pub(crate) fn new(events: Arc<Events>, first: SchemeId) -> Self {
        Self {
            events,
            schemes: Mutex::new(HashMap::new()),
            next: AtomicUsize::new(first),
            strand: AtomicBool::new(false),
        }
    }

    fn get(&self, number: usize) -> Result<Arc<UserScheme>> {
        lock(&self.schemes)
            .get(&number)
            .cloned()
            .ok_or(Error::new(EBADF))
    }

    /// How many requests of all schemes are under way.
    pub(crate) fn pending(&self) -> usize {
        lock(&self.schemes)
            .values()
            .map(|scheme| scheme.calls.pending())
            .sum()
    }

    /// How many sockets are open.
    pub(crate) fn open(&self) -> usize {
        lock(&self.schemes).len()
    }

    /// One answer or event of a provider.
    fn accept(&self, cx: &Arc<Context>, scheme: &UserScheme, cqe: &Cqe) -> Result<()> {
        let extra = cqe.extra_raw[0];
        let result = || Error::demux(cqe.result as usize);
        match CqeOpcode::try_from_raw(cqe.flags & 0b111).ok_or(Error::new(EINVAL))? {
            CqeOpcode::RespondRegular => scheme
                .calls
                .respond(cqe.tag, Response::Regular(result(), extra, false)),
            CqeOpcode::RespondAndNotifyOnDetach => scheme
                .calls
                .respond(cqe.tag, Response::Regular(result(), extra, true)),
            CqeOpcode::RespondWithFd => {
                // The descriptor leaves the provider's table.
                let file = cx
                    .files(|files| files.remove(cqe.result as usize))
                    .map_err(|_| Error::new(EINVAL))?;
                scheme.calls.respond(cqe.tag, Response::File(file))
            }
            CqeOpcode::RespondWithMultipleFds => {
                scheme.calls.respond(cqe.tag, Response::Files(Vec::new()))
            }
            CqeOpcode::SendFevent => {
                let flags = EventFlags::from_bits(cqe.tag as usize).ok_or(Error::new(EINVAL))?;
                self.events.trigger(scheme.id(), cqe.result as usize, flags);
                Ok(())
            }
            CqeOpcode::ObtainFd => {
                let file = scheme.calls.obtain_one(cqe.tag as usize)?;
                cx.insert_at(cqe.result as usize, file).map(|_| ())
            }
        }
    }
}

/// The answer in 16 bytes.
fn parse(chunk: &[u8; CQE]) -> Cqe {
    let [flags, e0, e1, e2, t0, t1, t2, t3, result @ ..] = *chunk;
    Cqe {
        flags,
        extra_raw: [e0, e1, e2],
        tag: u32::from_ne_bytes([t0, t1, t2, t3]),
        result: u64::from_ne_bytes(result),
    }
}

/// `syscall::data::NewFdParams`: offset u64, number usize, flags usize, internal_flags u8 and padding.
fn parse_new_fd(buf: &[u8]) -> Result<(u64, usize, usize, u8)> {
    if buf.len() != size_of::<syscall::data::NewFdParams>() {
        return Err(Error::new(EINVAL));
    }
    let word = |i: usize| {
        buf.get(i * 8..i * 8 + 8)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_ne_bytes)
            .ok_or(Error::new(EINVAL))
    };
    let internal = buf.get(24).copied().ok_or(Error::new(EINVAL))?;
    Ok((word(0)?, word(1)? as usize, word(2)? as usize, internal))
}

impl KernelScheme for SchemeSockets {
    fn id(&self) -> SchemeId {
        SCHEME_SOCKETS
    }

    fn dup(&self, cx: &Arc<Context>, number: usize, buf: &[u8]) -> Result<Opened> {
        if number != CREATION_CAPABILITY {
            let scheme = self.get(number)?;
            let (offset, number, flags, internal) = parse_new_fd(buf)?;
            let internal = NewFdFlags::from_bits(internal).ok_or(Error::new(EINVAL))?;
            let positioned = internal.contains(NewFdFlags::POSITIONED);
            let events = Arc::clone(&self.events);
            return Ok(Opened::External(Description::new(
                scheme,
                events,
                number,
                flags as u32,
                positioned,
                offset,
            )));
        }
        if !buf.starts_with(b"create-scheme") {
            return Err(Error::new(EINVAL));
        }
        if cx.uid() != 0 {
            return Err(Error::new(EACCES));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let scheme = UserScheme::new(id, Arc::clone(&self.events), Arc::downgrade(cx));
        lock(&self.schemes).insert(id, Arc::new(scheme));
        Ok(Opened::local(id))
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        Ok(put_text(buf, "/scheme"))
    }

    fn fevent(&self, _cx: &Arc<Context>, number: usize, flags: EventFlags) -> Result<EventFlags> {
        let scheme = self.get(number)?;
        Ok(if scheme.todo.is_empty() {
            EventFlags::empty()
        } else {
            EventFlags::EVENT_READ & flags
        })
    }

    fn fsync(&self, _cx: &Arc<Context>, number: usize) -> Result<()> {
        self.get(number).map(|_| ())
    }

    fn read_at(
        &self,
        cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        _offset: u64,
        flags: u32,
    ) -> Result<usize> {
        let scheme = self.get(number)?;
        let block = flags as usize & O_NONBLOCK == 0;
        Ok(scheme.todo.receive(cx, buf, block, None)?.unwrap_or(0))
    }

    fn write(&self, cx: &Arc<Context>, number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        let scheme = self.get(number)?;
        let mut written = 0;
        for chunk in buf.as_chunks::<CQE>().0 {
            match self.accept(cx, &scheme, &parse(chunk)) {
                Ok(()) => written += CQE,
                // What was good so far counts; the bad one is told by the next write, which starts with it.
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    fn fd_write(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        files: Vec<Arc<Description>>,
        _flags: CallFlags,
        metadata: &[u64],
    ) -> Result<usize> {
        let scheme = self.get(number)?;
        match *metadata {
            [verb, tag] if verb == SchemeSocketCall::MoveFd as u64 => {
                let count = files.len();
                scheme.calls.move_files(tag as usize, files)?;
                Ok(count)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn fd_read(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        _wanted: usize,
        _flags: CallFlags,
        metadata: &[u64],
    ) -> Result<Vec<Arc<Description>>> {
        let scheme = self.get(number)?;
        match *metadata {
            [verb, tag] if verb == SchemeSocketCall::ObtainFd as u64 => {
                scheme.calls.obtain_files(tag as usize)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn close(&self, number: usize) {
        let scheme = lock(&self.schemes).remove(&number);
        if let Some(scheme) = scheme {
            scheme.die(self.strand.load(Ordering::Relaxed));
        }
    }
}
