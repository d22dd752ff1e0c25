//! What the network card is plugged into: QEMU's own user network (slirp), a TAP with Linux as the peer, or a bare cable.

mod lan;
mod namespace;
mod peers;
mod radvd;
mod raw;
mod slirp;
mod tap;
mod wire;

pub use lan::{LAN_DEVICE, Lan, WAN_DEVICE};
pub use namespace::Namespace;
pub use peers::Peers;
pub use radvd::Radvd;
pub use raw::{ACK, Overheard, RST, RawSegment, RawSender, SYN};
pub use slirp::Slirp;
pub use tap::{Tap, TapSpec};
pub use wire::Wire;

use std::sync::OnceLock;

use crate::error::Result;

/// What a network card is plugged into.
#[derive(Clone, Debug)]
pub enum Netdev {
    /// QEMU's user network.
    Slirp(Slirp),
    /// A TAP.
    Tap(Tap),
    /// A bare cable.
    Wire(Wire),
    /// The text of QEMU's `-netdev` with `{id}` where the name belongs, like "hubport,id={id},hubid=1".
    Other(String),
}

impl Netdev {
    /// The value of QEMU's `-netdev`.
    pub(crate) fn argument(&self, id: &str) -> String {
        match self {
            Netdev::Slirp(slirp) => slirp.argument(id),
            Netdev::Tap(tap) => tap.argument(id),
            Netdev::Wire(wire) => wire.argument(id),
            Netdev::Other(text) => text.replace("{id}", id),
        }
    }

    /// Where QEMU has to run to reach it; None: the lab's own network.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        match self {
            Netdev::Slirp(slirp) => slirp.namespace(),
            Netdev::Tap(tap) => tap.namespace(),
            Netdev::Wire(_) | Netdev::Other(_) => None,
        }
    }
}

/// Whether this machine can give tests a TAP. Asked once.
pub(crate) fn tap_available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| namespace::check_tap().map_err(|error| error.to_string()))
        .clone()
}

/// Whether this machine can give tests a namespace. Asked once.
pub(crate) fn namespace_available() -> Result<(), String> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    let check = || {
        Namespace::new()
            .map(drop)
            .map_err(|error| error.to_string())
    };
    ANSWER.get_or_init(check).clone()
}

#[cfg(test)]
mod tests;
