//! `null`, `zero` and `rand`: daemons on Redox, built in here.

use std::sync::Arc;

use syscall::data::Stat;
use syscall::error::{EACCES, EIO, Error, Result};
use syscall::flag::{EventFlags, MODE_CHR};

use crate::context::Context;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat, put_text};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Nothing to read; takes everything.
    Null,
    /// Zeroes; takes everything.
    Zero,
    /// Random bytes of the Linux kernel; takes everything.
    Rand,
}

/// The scheme.
pub(crate) struct StreamScheme {
    id: SchemeId,
    stream: Stream,
}

impl StreamScheme {
    /// The handle that opens others.
    pub(crate) const ROOT: usize = 0;
    /// Every opened handle.
    pub(crate) const OPEN: usize = 1;

    pub(crate) fn new(id: SchemeId, stream: Stream) -> Self {
        Self { id, stream }
    }
}

impl KernelScheme for StreamScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        _cx: &Arc<Context>,
        number: usize,
        _path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number == Self::ROOT {
            Ok(Opened::local(Self::OPEN))
        } else {
            Err(Error::new(EACCES))
        }
    }

    fn read(
        &self,
        _cx: &Arc<Context>,
        _number: usize,
        buf: &mut [u8],
        _flags: u32,
    ) -> Result<usize> {
        match self.stream {
            Stream::Null => return Ok(0),
            Stream::Zero => buf.fill(0),
            Stream::Rand => fill_random(buf)?,
        }
        Ok(buf.len())
    }

    fn write(&self, _cx: &Arc<Context>, _number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        Ok(buf.len())
    }

    fn fevent(&self, _cx: &Arc<Context>, _number: usize, flags: EventFlags) -> Result<EventFlags> {
        Ok(flags)
    }

    fn fstat(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<()> {
        put_stat(
            buf,
            &Stat {
                st_mode: MODE_CHR | 0o666,
                st_nlink: 1,
                ..Stat::default()
            },
        )
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        let path = match self.stream {
            Stream::Null => "/scheme/null",
            Stream::Zero => "/scheme/zero",
            Stream::Rand => "/scheme/rand",
        };
        Ok(put_text(buf, path))
    }
}

fn fill_random(mut buf: &mut [u8]) -> Result<()> {
    while !buf.is_empty() {
        let count = rustix::rand::getrandom(&mut *buf, rustix::rand::GetRandomFlags::empty())
            .map_err(|_| Error::new(EIO))?;
        buf = buf.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}
