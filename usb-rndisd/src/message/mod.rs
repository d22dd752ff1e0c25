//! The messages of RNDIS, as bytes and as values.
//!
//! [`control`] has those of the control channel, both ways. REMOTE_NDIS_PACKET_MSG, which carries a
//! frame, has a [`packet::Header`]; [`Stream`] finds these messages in what bulk-IN transfers bring,
//! and [`Packer`] writes them into a bulk-OUT transfer. All numbers are little-endian.

mod bytes;
pub mod control;
pub mod packer;
pub mod packet;
pub mod stream;
#[cfg(test)]
mod tests;

pub use control::{Control, DecodeError};
pub use packer::{Packer, TransmitLimits};
pub use stream::{ReceiveLimits, Stream, Transfer};
