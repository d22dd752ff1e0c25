//! The driver of RNDIS network adapters on USB.
//!
//! "RNDIS" in comments is Microsoft's MS-RNDIS, the Remote Network Driver Interface Specification,
//! by the name of the message.
//!
//! ```text
//!   session    the control channel, from INITIALIZE to HALT: messages and time in, actions out
//!   message    the messages: control channel, stream of received frames, packer of frames to send
//! ```
//!
//! These two know no operating system and no clock; of netscheme they use plain values.

// Unit tests link what `libredox` declares; on Linux that is the stand-in for the kernel.
#[cfg(test)]
use redox_host as _;

pub mod counters;
pub mod message;
pub mod session;
