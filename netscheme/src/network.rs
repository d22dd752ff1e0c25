//! `/scheme/network.<name>/`, by which a network driver meets the network stack.
//!
//! | node | contents |
//! | --- | --- |
//! | `""` | a read is one received frame, a write is one frame to send |
//! | `mac` | the adapter's address, 6 raw bytes |
//! | `mtu` | the largest payload of a frame in bytes, decimal, and a newline |
//! | `link` | `up` or `down`, the speed in Mbit/s when known, and a newline; an event when it changes |
//! | `rx` | the reading end of a pipe: received frames, each behind its length in two bytes, little-endian |
//! | `tx` | the writing end of a pipe: frames to send, in the same way |
//! | `stats` | lines of a name, a space and a decimal number |
//!
//! Frames go by the data file or by the pipes; each way has one user at a time. What the pipes are good for stands in
//! `scheme/pipes.rs`.
//!
//! Upstream's drivers serve the first two only, and upstream's stack uses those only; the client
//! does with that, and the server offers no less. The text files read from the start again after a
//! read has returned their end, so a client that keeps one open can look again at any time.

pub mod announce;
mod bundle;
pub mod client;
pub mod discover;
mod scheme;
pub mod server;

use syscall::error::{EINTR, Error};

/// Makes `call` until no signal interrupts it.
fn uninterrupted(mut call: impl FnMut() -> libredox::error::Result<usize>) -> Result<usize, Error> {
    loop {
        match call().map_err(Error::from) {
            Err(Error { errno: EINTR }) => {}
            result => return result,
        }
    }
}

/// What a scheme's name begins with when it serves an adapter.
pub const SCHEME_PREFIX: &str = "network.";
