//! The whole path, end to end: what happened once, and must not happen again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which the linter does not take for tests"
)]

mod adapters;
mod common;
mod devices;
mod families;
mod floods;
mod https;
mod ipv6;
mod ipv6_routers;
mod life;
mod netcfg;
mod permissions;
mod programs;
mod relibc;
mod slirp;
mod sockets;
mod traceroute;
mod traffic;
mod usb;
mod usb_net;
