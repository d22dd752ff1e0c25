//! Client of pcid's channel.
//!
//! pcid owns the configuration space of every PCI function. A driver talks to it over a *channel*,
//! a file descriptor that pcid-spawner hands down in the environment variable `PCID_CLIENT_CHANNEL`
//! or that is opened as `/scheme/pci/<seg>--<bus>--<dev>.<fn>/channel`:
//!
//! - a request is one `write` of one encoded [`Request`];
//! - its answer is read back as eight bytes of length, little-endian, and that many bytes of one
//!   encoded [`Response`];
//! - request and response alternate strictly;
//! - `mmap` of the channel maps a base address register (BAR), which one is in the offset
//!   ([`map`]).
//!
//! The encoding is that of bincode 1 with its default options, written by hand ([`wire`],
//! [`message`], [`types`]) because it is small and because everything that arrives must be bounded
//! and total: no bytes, however wrong, panic or make this side allocate more than they are long.
//! Both directions of every message are here, so that the same code can also be the serving end.
//!
//! [`Function`] is the client. [`msix`] and [`intx`] get interrupts out of `/scheme/irq`.

pub mod error;
pub mod function;
pub mod intx;
pub mod map;
pub mod message;
pub mod msix;
pub mod types;
pub mod wire;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use function::Function;
pub use map::{MappedBar, MemoryType};
pub use message::{Request, Response, ServerError};
pub use types::{
    Bar, Feature, FeatureInfo, FeatureStatus, FullDeviceId, LegacyInterruptLine,
    MessageAddressAndData, MsiInfo, MsiSetFeatureInfo, MsixInfo, PciAddress, PciFunction, PciRom,
    PhandledInterrupt, SetFeatureInfo, SubdriverArguments, VendorCapability,
};
pub use wire::{DecodeError, MAX_MESSAGE_LENGTH};
