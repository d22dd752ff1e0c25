//! Guest memory: pieces of it from `/scheme/memory`, read and written through the machine's RAM file.

use redox_host::SharedRam;
use syscall::error::{ENOMEM, Error, Result};
use virtio_core::{DmaAllocator, DmaMemory};
use virtio_netd::redox::MemoryScheme;

use super::ring::{Memory, ProducerRing, RING_BYTES, RING_LENGTH};

/// The machine's memory.
pub(super) struct GuestMemory {
    ram: SharedRam,
    scheme: MemoryScheme,
}

/// A piece of it, ours until it is dropped. It starts at a multiple of its size.
pub(super) struct Piece(Box<dyn DmaMemory>);

impl Piece {
    pub(super) fn address(&self) -> u64 {
        self.0.device_address().0
    }
}

impl GuestMemory {
    pub(super) fn open(ram: &SharedRam) -> Result<Self> {
        let scheme = MemoryScheme::open().map_err(|_| Error::new(ENOMEM))?;
        Ok(Self {
            ram: ram.clone(),
            scheme,
        })
    }

    /// At least this many zeroed bytes.
    pub(super) fn piece(&self, bytes: usize) -> Result<Piece> {
        let piece = self.scheme.allocate(bytes, 64);
        piece.map(Piece).map_err(|_| Error::new(ENOMEM))
    }

    /// A ring to fill, and its memory.
    pub(super) fn ring(&self) -> Result<(ProducerRing, Piece)> {
        let piece = self.piece(RING_BYTES)?;
        Ok((ProducerRing::new(piece.address(), RING_LENGTH), piece))
    }

    pub(super) fn read_u32(&self, address: u64) -> u32 {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    pub(super) fn write_u64(&self, address: u64, value: u64) {
        self.write(address, &value.to_le_bytes());
    }

    /// Words that follow each other.
    pub(super) fn write_words(&self, address: u64, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(address, &bytes);
    }
}

/// Every address is one of ours, inside the RAM, so neither can fail.
impl Memory for GuestMemory {
    fn read(&self, address: u64, bytes: &mut [u8]) {
        let _ = self.ram.read(address, bytes);
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        let _ = self.ram.write(address, bytes);
    }
}
