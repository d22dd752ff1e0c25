//! The MSI-X table of a function (PCI 3.0, 6.8.2.6 to 6.8.2.9).

use crate::registers::{Registers, Window};

/// Bytes of one entry: message address (64 bits), message data, vector control.
const ENTRY: usize = 16;
const ADDRESS: usize = 0;
const DATA: usize = 8;
const CONTROL: usize = 12;
const MASKED: u32 = 1;

/// The MSI-X table in its BAR.
#[derive(Debug)]
pub struct MsixTable {
    window: Window,
    entries: u16,
}

impl MsixTable {
    /// The table of `entries` entries that starts where `window` does; `None` if it does not fit into the window.
    pub fn new(window: Window, entries: u16) -> Option<Self> {
        (usize::from(entries) * ENTRY <= window.length()).then_some(Self { window, entries })
    }

    /// How many vectors there are.
    pub fn entries(&self) -> u16 {
        self.entries
    }

    /// Masks all vectors: none rings, and the device keeps in mind which would.
    pub fn mask_all(&self) {
        for vector in 0..self.entries {
            self.set_mask(vector, true);
        }
    }

    /// Lets `vector` write `data` to `address`, and unmasks it; false if there is no such vector.
    pub fn set(&self, vector: u16, address: u64, data: u32) -> bool {
        if vector >= self.entries {
            return false;
        }
        let entry = usize::from(vector) * ENTRY;
        // PCI 3.0, 6.8.2: software must not change address or data of an entry while it is unmasked.
        self.set_mask(vector, true);
        self.window.write_u64(entry + ADDRESS, address);
        self.window.write_u32(entry + DATA, data);
        self.set_mask(vector, false)
    }

    /// Masks or unmasks `vector`, leaving the reserved bits as they are; false if there is no such vector.
    pub fn set_mask(&self, vector: u16, masked: bool) -> bool {
        if vector >= self.entries {
            return false;
        }
        let at = usize::from(vector) * ENTRY + CONTROL;
        let control = self.window.read_u32(at);
        self.window.write_u32(
            at,
            if masked {
                control | MASKED
            } else {
                control & !MASKED
            },
        );
        true
    }
}
