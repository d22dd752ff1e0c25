//! What needs a kernel: each test is a small machine with providers and clients on it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is wrong"
)]

mod daemon;
mod events;
mod hostile;
mod names;
mod network;
mod parking;
mod pipes;
mod support;
