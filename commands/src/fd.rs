//! Files of schemes: open, read, write, list.

use core::net::SocketAddr;

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::dirent::{DirentHeader, DirentKind};
use syscall::flag::{
    CallFlags, F_GETFL, F_SETFL, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};

use crate::Error;

/// A file together with its path, so that an error can say where it happened.
pub struct OpenedFile {
    fd: Fd,
    path: String,
}

impl OpenedFile {
    /// Opens `path` with flags of `syscall::flag`.
    ///
    /// # Errors
    /// What the open failed with.
    pub fn open(path: &str, flags: usize) -> Result<OpenedFile, Error> {
        let bits = i32::try_from(flags | O_CLOEXEC)
            .map_err(|_| Error::Usage(format!("impossible flags for {path}")))?;
        match Fd::open(path, bits, 0o644) {
            Ok(fd) => Ok(OpenedFile {
                fd,
                path: path.into(),
            }),
            Err(error) => Err(Error::call(format!("opening {path}"), error)),
        }
    }

    /// A TCP connection to `peer`, once it stands.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connect(peer: SocketAddr) -> Result<OpenedFile, Error> {
        OpenedFile::connect_to(&peer.to_string())
    }

    /// The same, the peer as the scheme takes it: `10.0.2.2:80`, `[fe80::2%eth0]:80`.
    pub(crate) fn connect_to(peer: &str) -> Result<OpenedFile, Error> {
        OpenedFile::open("/scheme/tcp", O_RDWR)?
            .named(peer)
            .connect_again()
    }

    /// Calls the file by another name from here on.
    pub(crate) fn named(mut self, name: &str) -> OpenedFile {
        self.path = name.into();
        self
    }

    /// Connects a TCP socket to the peer that it is named after.
    pub(crate) fn connect_again(&self) -> Result<OpenedFile, Error> {
        match self.fd.dup(self.path.as_bytes()) {
            Ok(raw) => Ok(OpenedFile {
                fd: Fd::new(raw),
                path: self.path.clone(),
            }),
            Err(error) => Err(Error::call(format!("connecting to {}", self.path), error)),
        }
    }

    /// Says whether calls may wait.
    pub(crate) fn set_nonblocking(&self, on: bool) -> Result<(), Error> {
        set_nonblocking(self.raw(), on)
    }

    /// A TCP socket that listens on `port` of every IPv4 address.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn listen(port: u16) -> Result<OpenedFile, Error> {
        OpenedFile::listen_at(&format!("0.0.0.0:{port}"))
    }

    /// A TCP socket that listens there; `[::]:7` is every address of both families.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn listen_at(local: &str) -> Result<OpenedFile, Error> {
        OpenedFile::open("/scheme/tcp", O_RDWR)?.dup(&format!("/{local}"))
    }

    /// A new file from this one by `dup`, for example `listen` on a TCP socket.
    ///
    /// # Errors
    /// What the dup failed with.
    pub fn dup(&self, how: &str) -> Result<OpenedFile, Error> {
        match self.fd.dup(how.as_bytes()) {
            Ok(raw) => Ok(OpenedFile {
                fd: Fd::new(raw),
                path: format!("{} {how}", self.path),
            }),
            Err(error) => Err(Error::call(format!("{how} on {}", self.path), error)),
        }
    }

    /// The file descriptor's number.
    pub fn raw(&self) -> usize {
        self.fd.raw()
    }

    /// Reads once; 0 is the end.
    ///
    /// # Errors
    /// What the read failed with.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.fd
            .read(buffer)
            .map_err(|e| Error::call(format!("reading {}", self.path), e))
    }

    /// A call on the file with that metadata: what is asked is in the buffer, and the answer then.
    ///
    /// # Errors
    /// What the call failed with.
    pub(crate) fn call(&self, buffer: &mut [u8], metadata: &[u64]) -> Result<usize, Error> {
        self.fd
            .call_rw(buffer, CallFlags::empty(), metadata)
            .map_err(|e| Error::call(format!("asking {}", self.path), e))
    }

    /// Writes once; the answer is how many bytes were taken.
    ///
    /// # Errors
    /// What the write failed with.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        self.fd
            .write(bytes)
            .map_err(|e| Error::call(format!("writing {}", self.path), e))
    }

    /// Writes everything.
    ///
    /// # Errors
    /// What a write failed with, or that one took nothing.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = self.write(bytes)?;
            if taken == 0 {
                return Err(Error::Answer(format!("{} takes no more", self.path)));
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Applies what was written.
    ///
    /// # Errors
    /// What the commit failed with.
    pub fn sync(&self) -> Result<(), Error> {
        self.fd
            .fsync()
            .map_err(|e| Error::call(format!("committing {}", self.path), e))
    }

    /// Everything up to the end.
    ///
    /// # Errors
    /// What a read failed with.
    pub fn read_to_end(&self) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(all),
                n => all.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            }
        }
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the call failed with.
    pub fn length(&self) -> Result<u64, Error> {
        let stat = self
            .fd
            .stat()
            .map_err(|e| Error::call(format!("asking for the length of {}", self.path), e))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// The path as the scheme itself spells it.
    ///
    /// # Errors
    /// What the call failed with.
    pub fn fpath(&self) -> Result<String, Error> {
        let mut buffer = [0; 256];
        let n = self
            .fd
            .fpath(&mut buffer)
            .map_err(|e| Error::call(format!("asking {} for its path", self.path), e))?;
        Ok(String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned())
    }
}

/// Says whether calls on a descriptor may wait.
pub(crate) fn set_nonblocking(fd: usize, on: bool) -> Result<(), Error> {
    let failed = |e| Error::call("changing the flags of a file", e);
    let flags = libredox::call::fcntl(fd, F_GETFL, 0).map_err(failed)?;
    let flags = if on {
        flags | O_NONBLOCK
    } else {
        flags & !O_NONBLOCK
    };
    libredox::call::fcntl(fd, F_SETFL, flags).map_err(failed)?;
    Ok(())
}

/// Reads a text file whole.
///
/// # Errors
/// What opening or reading it failed with.
pub fn read_text(path: &str) -> Result<String, Error> {
    let bytes = OpenedFile::open(path, O_RDONLY)?.read_to_end()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a text file and commits it.
///
/// # Errors
/// What opening, writing or committing it failed with.
pub fn write_text(path: &str, text: &str) -> Result<(), Error> {
    let file = OpenedFile::open(path, O_WRONLY | O_TRUNC)?;
    file.write_all(text.as_bytes())?;
    file.sync()
}

/// One entry of a directory.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_directory: bool,
}

/// Lists a directory.
pub(crate) fn list(path: &str) -> Result<Vec<Entry>, Error> {
    let directory = OpenedFile::open(path, O_RDONLY | O_DIRECTORY)?;
    let mut entries = Vec::new();
    let mut buffer = [0; 4096];
    let mut opaque = 0;
    loop {
        let n = libredox::call::getdents(directory.raw(), &mut buffer, opaque)
            .map_err(|e| Error::call(format!("listing {path}"), e))?;
        let mut rest = buffer.get(..n).unwrap_or_default();
        if rest.is_empty() {
            return Ok(entries);
        }
        while let Some((entry, next, tail)) = split_entry(rest) {
            entries.push(entry);
            opaque = next;
            rest = tail;
        }
    }
}

/// Takes the first record off the bytes of `getdents`: the entry, the position behind it, the other records.
fn split_entry(bytes: &[u8]) -> Option<(Entry, u64, &[u8])> {
    const HEADER: usize = size_of::<DirentHeader>();
    let next = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
    let length = usize::from(u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?));
    let kind = DirentKind::try_from_raw(*bytes.get(18)?);
    let name = bytes.get(HEADER..length)?;
    let name = name.split(|&b| b == 0).next().unwrap_or_default();
    let entry = Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        is_directory: matches!(kind, Some(DirentKind::Directory)),
    };
    Some((entry, next, bytes.get(length..)?))
}
