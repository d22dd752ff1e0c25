//! Guest RAM behind the `memory` scheme.
use std::io;
use std::path::Path;

/// Memory that a file backs and that devices reach: the device address of a byte is its offset in the file.
#[derive(Clone, Debug)]
pub struct SharedRam(());

impl SharedRam {
    /// Creates (or truncates) the file at `path` with `size` bytes and maps it.
    pub fn create(_path: &Path, _size: u64) -> io::Result<Self> {
        Ok(Self(()))
    }
    /// Maps the file at `path`, which exists.
    pub fn open(_path: &Path) -> io::Result<Self> {
        Ok(Self(()))
    }
    /// Leaves the first `bytes` to others: allocation starts there (1 MiB unless told).
    #[must_use]
    pub fn reserve(self, _bytes: u64) -> Self {
        self
    }
    /// Copies memory at device address `addr` into `buf`; an error when the range is outside.
    pub fn read(&self, _addr: u64, _buf: &mut [u8]) -> io::Result<()> {
        Ok(())
    }
    /// Copies `buf` into memory at device address `addr`; an error when the range is outside.
    pub fn write(&self, _addr: u64, _buf: &[u8]) -> io::Result<()> {
        Ok(())
    }
    /// Bytes of the whole memory.
    pub fn size(&self) -> u64 {
        0
    }
    /// Where the file lies (None for a memfd).
    pub fn path(&self) -> Option<&Path> {
        None
    }
}
