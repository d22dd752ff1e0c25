//! A user scheme: every operation on its descriptions becomes a request on its socket (kernel scheme/user.rs).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use syscall::data::StdFsCallMeta;
use syscall::error::{EBUSY, EINVAL, EIO, ENODEV, EOPNOTSUPP, ESRCH, Error, Result};
use syscall::flag::{CallFlags, EventFlags, MapFlags, RecvFdFlags, SendFdFlags, StdFsCallKind};
use syscall::schemev2::{NewFdFlags, Opcode, Sqe, SqeFlags};

use crate::bounce::{Direction, Payload};
use crate::call::{Calls, Response, Submit, set_notify_on_detach};
use crate::context::Context;
use crate::event::Events;
use crate::files::Description;
use crate::memory::FileRef;
use crate::ram::PAGE;
use crate::scheme::{KernelScheme, Map, Opened, SchemeId};
use crate::scheme_socket::SCHEME_SOCKETS;
use crate::wait::{Item, WaitQueue};

impl Item for Sqe {
    const SIZE: usize = 64;
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

/// One user scheme; lives as long as its socket or a call on it.
pub(crate) struct UserScheme {
    id: SchemeId,
    events: Arc<Events>,
    /// The process that made the socket. Payloads and mappings are its.
    pub(crate) provider: Weak<Context>,
    /// Requests that it has not read yet.
    pub(crate) todo: WaitQueue<Sqe>,
    pub(crate) calls: Calls,
    alive: AtomicBool,
}

impl Submit for UserScheme {
    fn submit(&self, sqe: Sqe) {
        if self.is_alive() {
            self.todo.send(sqe);
            // One event per request.
            self.events
                .trigger(SCHEME_SOCKETS, self.id, EventFlags::EVENT_READ);
        }
    }
}

impl UserScheme {
    pub(crate) fn new(id: SchemeId, events: Arc<Events>, provider: Weak<Context>) -> Self {
        Self {
            id,
            events,
            provider,
            todo: WaitQueue::new(),
            calls: Calls::default(),
            alive: AtomicBool::new(true),
        }
    }

    /// The socket was closed.
    pub(crate) fn die(&self, strand: bool) {
        self.alive.store(false, Ordering::Release);
        self.todo.clear();
        let payloads = self.calls.die(strand);
        if let Some(provider) = self.provider.upgrade() {
            provider.quarantine(payloads);
        }
    }

    /// A request whose last argument says whose it is.
    fn request<const N: usize>(cx: &Context, opcode: Opcode, args: [u64; N]) -> Sqe {
        const { assert!(N <= 5) };
        let mut all = [0; 6];
        all[..N].copy_from_slice(&args);
        all[5] = u64::from(cx.uid()) | (u64::from(cx.gid()) << 32);
        Sqe {
            opcode: opcode as u8,
            sqe_flags: SqeFlags::empty(),
            _rsvd: 0,
            tag: 0,
            args: all,
            caller: cx.pid() as u64,
        }
    }

    fn call<const N: usize>(
        &self,
        cx: &Context,
        opcode: Opcode,
        args: [u64; N],
        payload: &Payload,
    ) -> Result<Response> {
        self.calls.call(
            cx,
            self,
            Self::request(cx, opcode, args),
            Vec::new(),
            payload,
        )
    }

    /// A call without payload.
    fn plain<const N: usize>(&self, cx: &Context, opcode: Opcode, args: [u64; N]) -> Result<usize> {
        self.call(cx, opcode, args, &Payload::none())?.regular()
    }

    /// The provider must still be there for a payload to be mapped into it.
    fn provider_is(&self, errno: i32) -> Result<Arc<Context>> {
        self.provider.upgrade().ok_or(Error::new(errno))
    }

    fn with_text(
        &self,
        cx: &Context,
        opcode: Opcode,
        number: usize,
        text: &str,
        rest: [u64; 2],
    ) -> Result<Response> {
        self.provider_is(ENODEV)?;
        // The kernel copies text into one page.
        if text.len() > PAGE {
            return Err(Error::new(EINVAL));
        }
        let payload = Payload::text(text);
        let response = self.call(
            cx,
            opcode,
            [
                number as u64,
                payload.address(),
                payload.len(),
                rest[0],
                rest[1],
            ],
            &payload,
        );
        payload.recycle();
        response
    }

    /// The provider writes `buf`.
    fn fill(
        &self,
        cx: &Context,
        opcode: Opcode,
        number: usize,
        buf: &mut [u8],
        rest: [u64; 2],
    ) -> Result<usize> {
        self.provider_is(ESRCH)?;
        let payload = Payload::capture(buf, Direction::Out);
        let response = self.call(
            cx,
            opcode,
            [
                number as u64,
                payload.address(),
                payload.len(),
                rest[0],
                rest[1],
            ],
            &payload,
        )?;
        payload.copy_out(buf);
        payload.recycle();
        response.regular()
    }

    fn with_metadata(
        &self,
        cx: &Context,
        opcode: Opcode,
        numbers: &[usize],
        payload: &Payload,
        metadata: &[u64],
    ) -> Result<Response> {
        let mut sqe = Self::request(cx, opcode, [0; 0]);
        let (first, second) = match *numbers {
            [first] => (first, None),
            [first, second] => (first, Some(second)),
            _ => return Err(Error::new(EINVAL)),
        };
        sqe.args = [first as u64, payload.address(), payload.len(), 0, 0, 0];
        let room = if let Some(second) = second {
            sqe.sqe_flags |= SqeFlags::MULTIPLE_IDS;
            sqe.args[5] = second as u64;
            2
        } else {
            3
        };
        for (slot, word) in sqe.args[3..].iter_mut().zip(metadata.iter().take(room)) {
            *slot = *word;
        }
        self.calls.call(cx, self, sqe, Vec::new(), payload)
    }
}

/// What OpenAt and Dup answer.
fn opened(response: Response) -> Result<Opened> {
    match response {
        Response::Regular(result, extra, _) => {
            let number = result?;
            let flags = NewFdFlags::from_bits(extra).ok_or(Error::new(EINVAL))?;
            Ok(Opened::Local {
                number,
                positioned: flags.contains(NewFdFlags::POSITIONED),
            })
        }
        Response::File(file) => Ok(Opened::External(file)),
        Response::Files(_) => Err(Error::new(EIO)),
    }
}

impl KernelScheme for UserScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    fn openat(
        &self,
        cx: &Arc<Context>,
        number: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
    ) -> Result<Opened> {
        opened(self.with_text(
            cx,
            Opcode::OpenAt,
            number,
            path,
            [flags as u64, u64::from(fcntl_flags)],
        )?)
    }

    fn unlinkat(&self, cx: &Arc<Context>, number: usize, path: &str, flags: usize) -> Result<()> {
        self.with_text(cx, Opcode::UnlinkAt, number, path, [flags as u64, 0])?
            .regular()
            .map(|_| ())
    }

    fn dup(&self, cx: &Arc<Context>, number: usize, buf: &[u8]) -> Result<Opened> {
        self.provider_is(ESRCH)?;
        let payload = Payload::capture(buf, Direction::In);
        let response = self.call(
            cx,
            Opcode::Dup,
            [number as u64, payload.address(), payload.len()],
            &payload,
        );
        payload.recycle();
        opened(response?)
    }

    fn read_at(
        &self,
        cx: &Arc<Context>,
        number: usize,
        buf: &mut [u8],
        offset: u64,
        flags: u32,
    ) -> Result<usize> {
        self.fill(cx, Opcode::Read, number, buf, [offset, u64::from(flags)])
    }

    fn write_at(
        &self,
        cx: &Arc<Context>,
        number: usize,
        buf: &[u8],
        offset: u64,
        flags: u32,
    ) -> Result<usize> {
        self.provider_is(ESRCH)?;
        let payload = Payload::capture(buf, Direction::In);
        let args = [
            number as u64,
            payload.address(),
            payload.len(),
            offset,
            u64::from(flags),
        ];
        let response = self.call(cx, Opcode::Write, args, &payload);
        payload.recycle();
        response?.regular()
    }

    fn fpath(&self, cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<usize> {
        self.fill(cx, Opcode::Fpath, number, buf, [0, 0])
    }

    fn fstat(&self, cx: &Arc<Context>, number: usize, buf: &mut [u8]) -> Result<()> {
        self.fill(cx, Opcode::Fstat, number, buf, [0, 0])
            .map(|_| ())
    }

    fn fsync(&self, cx: &Arc<Context>, number: usize) -> Result<()> {
        self.plain(cx, Opcode::Fsync, [number as u64]).map(|_| ())
    }

    fn fsize(&self, cx: &Arc<Context>, number: usize) -> Result<u64> {
        self.plain(cx, Opcode::Fsize, [number as u64])
            .map(|size| size as u64)
    }

    fn fcntl(&self, cx: &Arc<Context>, number: usize, cmd: usize, arg: usize) -> Result<usize> {
        self.plain(cx, Opcode::Fcntl, [number as u64, cmd as u64, arg as u64])
    }

    fn fevent(&self, cx: &Arc<Context>, number: usize, flags: EventFlags) -> Result<EventFlags> {
        self.plain(cx, Opcode::Fevent, [number as u64, flags.bits() as u64])
            .map(EventFlags::from_bits_truncate)
    }

    fn call(
        &self,
        cx: &Arc<Context>,
        numbers: &[usize],
        bytes: &mut [u8],
        metadata: &[u64],
    ) -> Result<usize> {
        self.provider_is(ESRCH)?;
        let payload = Payload::capture(bytes, Direction::InOut);
        let response = self.with_metadata(cx, Opcode::Call, numbers, &payload, metadata)?;
        payload.copy_out(bytes);
        payload.recycle();
        response.regular()
    }

    fn std_fs_call(
        &self,
        cx: &Arc<Context>,
        numbers: &[usize],
        file: &Arc<Description>,
        _kind: StdFsCallKind,
        bytes: &mut [u8],
        meta: StdFsCallMeta,
    ) -> Result<usize> {
        self.provider_is(ESRCH)?;
        let payload = Payload::capture(bytes, Direction::InOut);
        let metadata = [u64::from(meta.kind), meta.arg1, meta.arg2];
        let response = self.with_metadata(cx, Opcode::StdFsCall, numbers, &payload, &metadata)?;
        payload.copy_out(bytes);
        payload.recycle();
        match response {
            Response::Regular(result, _, notify_on_detach) => {
                set_notify_on_detach(file, notify_on_detach);
                result
            }
            Response::File(_) | Response::Files(_) => Err(Error::new(EIO)),
        }
    }

    fn fd_write(
        &self,
        cx: &Arc<Context>,
        number: usize,
        files: Vec<Arc<Description>>,
        flags: CallFlags,
        metadata: &[u64],
    ) -> Result<usize> {
        let exclusive = flags.contains(CallFlags::FD_EXCLUSIVE);
        let flags = if exclusive {
            SendFdFlags::EXCLUSIVE
        } else {
            SendFdFlags::empty()
        };
        let word = metadata.first().copied().unwrap_or(0);
        let sqe = Self::request(
            cx,
            Opcode::Sendfd,
            [number as u64, flags.bits() as u64, word, files.len() as u64],
        );
        self.calls
            .call(cx, self, sqe, files, &Payload::none())?
            .regular()
    }

    fn fd_read(
        &self,
        cx: &Arc<Context>,
        number: usize,
        wanted: usize,
        flags: CallFlags,
        metadata: &[u64],
    ) -> Result<Vec<Arc<Description>>> {
        let upper = flags.contains(CallFlags::FD_UPPER);
        let flags = if upper {
            RecvFdFlags::UPPER_TBL
        } else {
            RecvFdFlags::empty()
        };
        let word = |i: usize| metadata.get(i).copied().unwrap_or(0);
        match self.call(
            cx,
            Opcode::Recvfd,
            [
                number as u64,
                flags.bits() as u64,
                wanted as u64,
                word(0),
                word(1),
            ],
            &Payload::none(),
        )? {
            Response::Files(files) => Ok(files),
            Response::Regular(Err(error), _, _) => Err(error),
            Response::Regular(Ok(_), _, _) | Response::File(_) => Err(Error::new(EIO)),
        }
    }

    fn mmap(&self, cx: &Arc<Context>, file: &Arc<Description>, map: &Map) -> Result<usize> {
        if map.size == 0 || !map.address.is_multiple_of(PAGE) || !map.offset.is_multiple_of(PAGE) {
            return Err(Error::new(EINVAL));
        }
        let provider = self.provider_is(ENODEV)?;
        if Arc::ptr_eq(&provider, cx) {
            return Err(Error::new(EBUSY));
        }
        let args = [
            file.number as u64,
            map.size as u64,
            map.flags.bits() as u64,
            map.offset as u64,
        ];
        let source = self.plain(cx, Opcode::MmapPrep, args)?;
        if !source.is_multiple_of(PAGE) {
            return Err(Error::new(EINVAL));
        }
        let frames = provider.memory().frames_at(source, map.size)?;
        let shared = map.flags.contains(MapFlags::MAP_SHARED);
        let file = FileRef {
            file: Arc::clone(file),
            base_offset: map.offset,
        };
        cx.memory().map(frames, map, shared, Some(file))
    }

    fn munmap(
        &self,
        cx: &Arc<Context>,
        number: usize,
        offset: usize,
        size: usize,
        flags: usize,
        wait: bool,
    ) -> Result<()> {
        let args = [number as u64, size as u64, flags as u64, offset as u64];
        if wait {
            return self.plain(cx, Opcode::Munmap, args).map(|_| ());
        }
        self.calls
            .send(self, Self::request(cx, Opcode::Munmap, args))
    }

    fn ftruncate(&self, _cx: &Arc<Context>, _number: usize, _len: u64) -> Result<()> {
        // Reached only as a StdFsCall, which goes to the provider whole.
        Err(Error::new(EOPNOTSUPP))
    }

    fn detach(&self, pid: usize, number: usize) {
        let sqe = Sqe {
            opcode: Opcode::Detach as u8,
            args: [number as u64, 0, 0, 0, 0, 0],
            caller: pid as u64,
            ..Sqe::default()
        };
        self.submit(sqe);
    }

    fn close(&self, number: usize) {
        self.submit(Sqe {
            opcode: Opcode::CloseMsg as u8,
            args: [number as u64, 0, 0, 0, 0, 0],
            ..Sqe::default()
        });
    }
}
