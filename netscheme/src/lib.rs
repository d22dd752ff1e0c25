//! How the network daemons meet Redox.
//!
//! Everything a driver or the network stack needs from the operating system, once for all of them:
//! the [`reactor`] (one event queue, one deadline), the [`server`] of a scheme with its parked
//! calls, the [`frame`] seam between drivers and the stack, both ends of `/scheme/network.<name>/`
//! ([`network`]), readiness to init, the null namespace, logging and the random seed.
//!
//! All calls go through `libredox`, with the flag and error numbers of `redox_syscall`, so that the
//! same code runs on Redox and on the Linux stand-in for its kernel. Nothing here is `unsafe`.

// Unit tests link what `libredox` declares; on Linux that is the stand-in for the kernel.
#[cfg(test)]
use redox_host as _;

pub mod budget;
pub mod clock;
pub mod counters;
pub mod daemon;
pub mod directory;
pub mod frame;
pub mod handles;
pub mod logging;
pub mod network;
mod parking;
mod peek;
pub mod random;
pub mod reactor;
pub mod readiness;
pub mod server;
mod stdfs;
pub mod time;

pub use parking::CallKind;
pub use server::{Scheme, Server};
pub use time::Instant;
