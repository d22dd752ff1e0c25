//! The driver of virtio network cards.
//!
//! It finds its card through pcid's channel, brings it up and serves it as `/scheme/network.<pci
//! name>_virtio_net`. All of it runs in one thread that sleeps in one event queue: an interrupt, or
//! a request of the scheme, is what wakes it. "virtio" in comments is the Virtual I/O Device
//! specification, version 1.2.
//!
//! ```text
//!   daemon     the life of the process: start, event loop, resets and their bound
//!   nic        the adapter: both halves, link, address, and how netscheme's server sees them
//!   receive    used buffers become frames, dropped frames become posted buffers
//!   transmit   slots become frames; room is made when it is needed
//!   device     one life of the card, from reset to DRIVER_OK
//!   hardware   what stays through every life: registers, memory, vectors
//!   interrupts MSI-X or INTx
//!   config     the configuration space       header  the twelve bytes before a frame
//!   platform   the machine underneath        redox   that machine when it is Redox
//! ```
//!
//! What a card does wrong never takes the driver down: a frame that lies is dropped and counted, a
//! queue that lies or a card that asks for it is reset and brought up again, and a card that needs
//! that too often is given up with a message that says why.

pub mod config;
pub mod counters;
pub mod daemon;
mod device;
pub mod error;
mod hardware;
pub mod header;
mod interrupts;
pub mod nic;
pub mod platform;
pub mod receive;
pub mod redox;
pub mod transmit;

#[cfg(test)]
mod tests;

pub use daemon::{Options, run};
pub use error::Error;
pub use platform::Platform;
