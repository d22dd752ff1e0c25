//! The TCP/IP server: `ip`, `tcp`, `udp`, `icmp` and `netcfg` over the adapters under `network.*`.
//!
//! Everything but the rim is sans-IO: frames, calls, the time and random numbers come in as arguments; frames, answers
//! and deadlines go out. Only the rim ([`daemon`], `scheme`, `adapters`, `files`) names an operating system crate, and
//! `tests/house-rules` checks that.
//!
//! ```text
//! daemon ─ scheme ─ adapters ─ files   the rim: requests, `network.*`, `/etc/net`
//!            │
//!          stack                    owns everything below; one packet's way in and out
//!   ┌────────┼──────────┐
//! socket   flow       route     sockets, TCP connections, the one route table
//!                       │
//!                     link      per adapter: Ethernet, neighbours, addresses, DHCP
//!
//! fragment, path_mtu, fair, quota      packets in pieces, what paths carry, bounds that are shared fairly, who has how much
//! ```

// The kernel's symbols, without which a test program does not link on Linux.
#[cfg(test)]
use redox_host as _;

mod adapters;
pub mod config;
pub mod counters;
pub mod daemon;
pub mod error;
mod fair;
mod files;
pub mod flow;
pub mod fragment;
pub mod icmp;
pub mod ip;
pub mod link;
pub mod output;
pub mod path_mtu;
pub mod ports;
pub mod quota;
pub mod route;
mod scheme;
pub mod secret;
pub mod socket;
pub mod stack;
