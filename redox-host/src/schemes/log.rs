//! `log` and `debug`: what processes say goes, line by line, to whoever watches the machine.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use syscall::data::Stat;
use syscall::error::{EACCES, EPERM, Error, Result};
use syscall::flag::{EventFlags, MODE_CHR};

use crate::context::Context;
use crate::scheme::{KernelScheme, Opened, SchemeId, put_stat, put_text};
use crate::wait::lock;

/// Receives a line: pid, name of the process, bytes without the end of the line.
pub(crate) type Sink = dyn Fn(usize, &str, &[u8]) + Send + Sync;

/// Longest line; longer ones are broken, so that a process that never ends its line cannot fill memory.
const LONGEST: usize = 4096;

/// Where lines go.
#[derive(Default)]
pub(crate) struct Log {
    sink: Mutex<Option<Arc<Sink>>>,
}

impl Log {
    pub(crate) fn set(&self, sink: Arc<Sink>) {
        let old = lock(&self.sink).replace(sink);
        drop(old);
    }

    fn line(&self, pid: usize, name: &str, line: &[u8]) {
        let sink = lock(&self.sink).clone();
        if let Some(sink) = sink {
            sink(pid, name, line);
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// A line that has no end yet, and who wrote it.
#[derive(Default)]
struct Unfinished {
    pid: usize,
    name: String,
    bytes: Vec<u8>,
}

/// The scheme.
pub(crate) struct LogScheme {
    id: SchemeId,
    log: Arc<Log>,
    root_only: bool,
    open: Mutex<HashMap<usize, Unfinished>>,
    next: AtomicUsize,
}

impl LogScheme {
    /// The handle that opens others.
    pub(crate) const ROOT: usize = 0;

    /// `root_only`: like the kernel's `debug`, of which others may open nothing.
    pub(crate) fn new(id: SchemeId, log: Arc<Log>, root_only: bool) -> Self {
        Self {
            id,
            log,
            root_only,
            open: Mutex::default(),
            next: AtomicUsize::new(1),
        }
    }

    /// A handle that the machine opens for a new process.
    pub(crate) fn open(&self) -> usize {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, Unfinished::default());
        number
    }
}

impl KernelScheme for LogScheme {
    fn id(&self) -> SchemeId {
        self.id
    }

    fn openat(
        &self,
        cx: &Arc<Context>,
        number: usize,
        _path: &str,
        _flags: usize,
        _fcntl_flags: u32,
    ) -> Result<Opened> {
        if number != Self::ROOT {
            return Err(Error::new(EACCES));
        }
        if self.root_only && cx.uid() != 0 {
            return Err(Error::new(EPERM));
        }
        Ok(Opened::local(self.open()))
    }

    fn write(&self, cx: &Arc<Context>, number: usize, buf: &[u8], _flags: u32) -> Result<usize> {
        let mut lines = Vec::new();
        {
            let mut open = lock(&self.open);
            let unfinished = open.entry(number).or_default();
            unfinished.pid = cx.pid();
            cx.name().clone_into(&mut unfinished.name);
            for &byte in buf {
                if byte != b'\n' {
                    unfinished.bytes.push(byte);
                }
                if byte == b'\n' || unfinished.bytes.len() >= LONGEST {
                    lines.push(std::mem::take(&mut unfinished.bytes));
                }
            }
        }
        for line in lines {
            self.log.line(cx.pid(), cx.name(), &line);
        }
        Ok(buf.len())
    }

    fn fevent(&self, _cx: &Arc<Context>, _number: usize, _flags: EventFlags) -> Result<EventFlags> {
        Ok(EventFlags::empty())
    }

    fn fstat(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<()> {
        put_stat(
            buf,
            &Stat {
                st_mode: MODE_CHR | 0o222,
                st_nlink: 1,
                ..Stat::default()
            },
        )
    }

    fn fpath(&self, _cx: &Arc<Context>, _number: usize, buf: &mut [u8]) -> Result<usize> {
        Ok(put_text(
            buf,
            if self.root_only {
                "debug:"
            } else {
                "/scheme/log"
            },
        ))
    }

    fn close(&self, number: usize) {
        let last = lock(&self.open).remove(&number);
        if let Some(last) = last.filter(|last| !last.bytes.is_empty()) {
            self.log.line(last.pid, &last.name, &last.bytes);
        }
    }
}
