//! The socket schemes as the server of a scheme calls them.

use libredox::protocol::SocketCall;
use netscheme::{CallKind, directory};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use syscall::Stat;
use syscall::error::{EAGAIN, EBADF, EINVAL, ENOTDIR, Error, Result};
use syscall::flag::{EventFlags, F_GETFL, F_SETFL, MODE_CHR, O_ACCMODE};
use syscall::schemev2::NewFdFlags;

use super::handle::{Handle, Setting};
use super::sockets::{Kind, View};
use crate::socket::Owner;

/// Calls that wait for data and for room.
const RECEIVE_MESSAGE: u64 = SocketCall::RecvMsg as u64;
const SEND_MESSAGE: u64 = SocketCall::SendMsg as u64;

fn opened(number: usize) -> OpenResult {
    OpenResult::ThisScheme {
        number,
        flags: NewFdFlags::empty(),
    }
}

impl SchemeSync for View<'_> {
    fn scheme_root(&mut self) -> Result<usize> {
        self.scheme.root()
    }

    fn openat(
        &mut self,
        directory: usize,
        path: &str,
        flags: usize,
        fcntl_flags: u32,
        caller: &CallerCtx,
    ) -> Result<OpenResult> {
        match self.scheme.handles.get(directory) {
            Some(Handle::Root) => {}
            Some(_) => return Err(Error::new(ENOTDIR)),
            None => return Err(Error::new(EBADF)),
        }
        let owner = Owner { uid: caller.uid };
        let flags = flags | fcntl_flags as usize;
        self.open_path(path, flags, owner).map(opened)
    }

    fn dup(&mut self, number: usize, buffer: &[u8], caller: &CallerCtx) -> Result<OpenResult> {
        let text = core::str::from_utf8(buffer).map_err(|_| Error::new(EINVAL))?;
        let number = match (Setting::parse(text), self.scheme.kind) {
            (Some(setting), _) => {
                let owner = self.scheme.socket(number)?.owner;
                self.insert(Handle::Setting {
                    of: number,
                    setting,
                    owner,
                })?
            }
            (None, Kind::Tcp) => self.dup_tcp(number, text, caller.id)?,
            (None, Kind::Udp) => self.dup_udp(number, text)?,
            (None, Kind::Icmp | Kind::Ip) => return Err(Error::new(EINVAL)),
        };
        Ok(opened(number))
    }

    fn read(
        &mut self,
        number: usize,
        buffer: &mut [u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.scheme.handles.get(number) {
            Some(Handle::Setting { of, setting, .. }) => self.read_setting(*of, *setting, buffer),
            _ => self.read_socket(number, buffer),
        }
    }

    fn write(
        &mut self,
        number: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        match self.scheme.handles.get(number) {
            Some(Handle::Setting { of, setting, .. }) => {
                let (of, setting) = (*of, *setting);
                self.write_setting(of, setting, buffer)
            }
            _ => self.write_socket(number, buffer),
        }
    }

    fn fcntl(
        &mut self,
        number: usize,
        command: usize,
        argument: usize,
        _caller: &CallerCtx,
    ) -> Result<usize> {
        let flags = match self.scheme.handles.get_mut(number) {
            Some(Handle::Socket(handle)) => &mut handle.flags,
            // Nothing waits on these; the kernel keeps their flags by itself.
            Some(_) => return Ok(0),
            None => return Err(Error::new(EBADF)),
        };
        match command {
            F_GETFL => Ok(*flags),
            F_SETFL => {
                *flags = *flags & O_ACCMODE | argument & !O_ACCMODE;
                Ok(0)
            }
            _ => Err(Error::new(EINVAL)),
        }
    }

    fn fevent(
        &mut self,
        number: usize,
        flags: EventFlags,
        _caller: &CallerCtx,
    ) -> Result<EventFlags> {
        let Some(Handle::Socket(handle)) = self.scheme.handles.get(number) else {
            // A setting, or the root, can always be read and written.
            return Ok(flags);
        };
        let ready = self.readiness(handle);
        Ok(self
            .scheme
            .socket_mut(number)?
            .readiness
            .watch(flags, ready))
    }

    fn fpath(&mut self, number: usize, buffer: &mut [u8], _caller: &CallerCtx) -> Result<usize> {
        self.name(number, buffer)
    }

    fn fstat(&mut self, number: usize, stat: &mut Stat, _caller: &CallerCtx) -> Result<()> {
        match self.scheme.handles.get(number) {
            Some(Handle::Root) => directory::stat_directory(stat, 0o555),
            Some(_) => {
                *stat = Stat {
                    st_mode: MODE_CHR | 0o666,
                    ..Stat::default()
                };
            }
            None => return Err(Error::new(EBADF)),
        }
        Ok(())
    }

    fn fsync(&mut self, number: usize, _caller: &CallerCtx) -> Result<()> {
        match self.scheme.handles.get(number) {
            Some(_) => Ok(()),
            None => Err(Error::new(EBADF)),
        }
    }

    fn call(
        &mut self,
        number: usize,
        payload: &mut [u8],
        metadata: &[u64],
        _caller: &CallerCtx,
    ) -> Result<usize> {
        self.message(number, payload, metadata)
    }

    fn on_close(&mut self, number: usize) {
        self.close(number);
    }
}

impl netscheme::Scheme for View<'_> {
    fn nonblocking(&self, number: usize) -> bool {
        self.scheme
            .socket(number)
            .is_ok_and(|handle| handle.is_nonblocking())
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO: EAGAIN when the time is over.
    fn park_deadline(
        &self,
        number: usize,
        kind: CallKind,
        now: netscheme::Instant,
    ) -> Option<(netscheme::Instant, i32)> {
        let handle = self.scheme.socket(number).ok()?;
        let timeout = match kind {
            CallKind::Read | CallKind::Call(RECEIVE_MESSAGE) => handle.read_timeout,
            CallKind::Write | CallKind::Call(SEND_MESSAGE) => handle.write_timeout,
            // A connect waits for the peer like a write, an accept like a read.
            CallKind::Dup if handle.connecting.is_some() => handle.write_timeout,
            CallKind::Dup => handle.read_timeout,
            _ => None,
        }?;
        Some((now.saturating_add(timeout), EAGAIN))
    }
}
