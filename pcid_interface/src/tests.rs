//! The codec against bincode itself, against hostile bytes, and the client against a channel that
//! misbehaves.

mod channel;
mod hostile;
mod mirror;
mod wire_format;
