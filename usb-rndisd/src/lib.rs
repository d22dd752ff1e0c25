//! The driver of RNDIS network adapters on USB.
//!
//! xhcid starts it for an interface that speaks RNDIS; it reaches its device through xhcid's files and serves it as
//! `/scheme/network.usb-<xhcid's scheme>+<port>`. All of it runs in one thread that sleeps in one event queue. "RNDIS" in
//! comments is Microsoft's MS-RNDIS, the Remote Network Driver Interface Specification, by the
//! name of the message.
//!
//! ```text
//!   daemon     the life of the process: start, event loop, end
//!   nic        the adapter: both halves and the control channel, and how netscheme's server sees them
//!   receive    transfers become frames            transmit   frames become transfers
//!   channel    does what the session asks for     control    the control pipe, and halted endpoints
//!   sleep      what wakes it                      poll       when to look, where nobody tells
//!   xhci       client of xhcid's files            options    what the driver is told at its start
//!   endpoints  which configuration, interfaces and endpoints to use, from the descriptors
//!   session    the control channel, from INITIALIZE to HALT: messages and time in, actions out
//!   message    the messages: control channel, stream of received frames, packer of frames to send
//! ```
//!
//! The last three know no operating system and no clock; of netscheme they use plain values.
//!
//! What a device does wrong never takes the driver down: what it lies about is dropped and counted, an endpoint that it
//! halts is started again, a device that does not say that it lives is reset. One that needs too much of that is given up
//! with a message that says why. Unplugging ends the process, and with it the scheme; plugging in again into the same port
//! brings back the same name.

// Unit tests link what `libredox` declares; on Linux that is the stand-in for the kernel.
#[cfg(test)]
use redox_host as _;

mod channel;
mod control;
pub mod counters;
pub mod daemon;
pub mod endpoints;
pub mod error;
pub mod message;
mod nic;
pub mod options;
mod poll;
mod receive;
pub mod session;
mod sleep;
mod transmit;
pub mod xhci;

pub use daemon::run;
pub use error::Error;
pub use options::{Endpoints, Options, UsageError};
