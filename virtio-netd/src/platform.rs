//! What the driver needs of the machine beside pcid's channel.

use std::sync::Arc;

use libredox::Fd;
use pcid_interface::msix::Vector;
use pcid_interface::{Function, LegacyInterruptLine};
use virtio_core::{DmaAllocator, Registers};

use crate::error::Error;

/// A machine: how registers are reached, where memory for the device comes from, how interrupts
/// arrive.
///
/// [`crate::redox::Redox`] is Redox itself. Whoever reaches the registers by another way implements
/// this, and may use [`crate::redox::MemoryScheme`] and the interrupts of [`pcid_interface`] all
/// the same.
pub trait Platform {
    /// The registers of BAR `bar`, all of it. Called once for each BAR, before the driver gives up
    /// its namespace.
    ///
    /// # Errors
    /// The BAR cannot be reached.
    fn registers(&mut self, function: &Function, bar: u8) -> Result<Arc<dyn Registers>, Error>;

    /// Where memory comes from that the device can reach, now and after the driver has given up its
    /// namespace.
    ///
    /// # Errors
    /// It cannot be opened.
    fn memory(&mut self) -> Result<Box<dyn DmaAllocator>, Error>;

    /// Another interrupt vector and the message that raises it; `None` when this machine has no
    /// message signalled interrupts.
    ///
    /// # Errors
    /// It has, but none could be had.
    fn vector(&mut self) -> Result<Option<Vector>, Error>;

    /// Opens an INTx line. Its file is read and written as the kernel's ([`pcid_interface::intx`]).
    ///
    /// # Errors
    /// It cannot be opened.
    fn line(&mut self, line: &LegacyInterruptLine) -> Result<Fd, Error> {
        Ok(line.open()?)
    }

    /// Whether the device addresses of [`Platform::memory`] are those that the device's own bus
    /// uses, so that ACCESS_PLATFORM may be accepted (virtio 6).
    fn addresses_are_the_bus(&self) -> bool {
        true
    }
}
