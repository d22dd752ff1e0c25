//! How the stack hears of a driver that starts after it.
//!
//! Redox's namespace tells nobody when a scheme appears, and a driver must not wait for the stack while the stack may
//! be waiting for the driver. So the stack hands out the writing end of a pipe at [`NODE`]: a driver opens it before
//! it registers its scheme, when nobody can be waiting for it yet, and writes one byte afterwards, which never waits.
//! A stack that starts later finds the driver in the list of schemes.

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EINTR, Error};
use syscall::flag::{O_NONBLOCK, O_RDONLY, O_WRONLY};

/// The file below `/scheme/netcfg` that is the writing end of the pipe.
pub const NODE: &str = "announce";

/// A driver's end.
pub struct Announcer {
    pipe: Option<Fd>,
}

impl Announcer {
    /// Opens the pipe, if a stack runs; without one there is nobody to tell, and that is no error. To be called before
    /// the driver's scheme is registered.
    pub fn open() -> Announcer {
        let path = format!("/scheme/netcfg/{NODE}");
        let flags = (O_WRONLY | O_NONBLOCK | O_CLOEXEC) as i32;
        Announcer {
            pipe: Fd::open(&path, flags, 0).ok(),
        }
    }

    /// Says that the scheme is registered.
    pub fn announce(self) {
        let Some(pipe) = self.pipe else { return };
        loop {
            match pipe.write(&[1]).map_err(Error::from) {
                Err(Error { errno: EINTR }) => {}
                // A full pipe says already what there is to say; one without a reader, that the stack has ended.
                _ => return,
            }
        }
    }
}

/// The stack's end.
pub struct Announcements {
    reader: Fd,
    writer: Fd,
}

impl Announcements {
    /// Opens a pipe, to be watched for `EVENT_READ`.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new() -> Result<Announcements, Error> {
        let flags = (O_RDONLY | O_NONBLOCK | O_CLOEXEC) as i32;
        let reader = Fd::open("/scheme/pipe", flags, 0)?;
        let writer = Fd::new(reader.dup(b"write")?);
        Ok(Announcements { reader, writer })
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> usize {
        self.reader.raw()
    }

    /// The writing end, a duplicate of which goes to each driver that asks.
    pub fn sender(&self) -> usize {
        self.writer.raw()
    }

    /// Takes what has been announced; true if anything was.
    pub fn take(&self) -> bool {
        let mut buffer = [0; 64];
        let mut any = false;
        while let Ok(1..) = self.reader.read(&mut buffer) {
            any = true;
        }
        any
    }
}
