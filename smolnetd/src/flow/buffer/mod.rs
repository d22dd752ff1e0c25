//! The octets of a connection: those that the peer has not acknowledged, those that nobody has read, and the window
//! that the peer is told.

mod chunks;
mod receive;
mod send;
mod window;

pub use receive::{Inserted, MAX_BLOCKS, ReceiveBuffer, Refused};
pub use send::SendBuffer;
pub use window::ReceiveWindow;

#[cfg(test)]
mod tests;
