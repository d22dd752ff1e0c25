//! Neighbour discovery for IPv6 (RFC 4861): which messages there are, what is done about them, and what is sent.

mod receive;
mod router;
mod send;
pub(super) mod wire;
