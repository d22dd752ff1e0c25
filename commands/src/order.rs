//! Which address of a name to try first (RFC 6724 section 6).
//!
//! The stack knows which address it would speak from to each; that is asked by opening a UDP socket to it, by which
//! nothing is sent. Whether a source is deprecated (rule 3) is not said there, and the stack does not take one that is
//! while it has another (section 5, rule 3).

use core::net::IpAddr;

use address_selection::{Destination, rank};
use syscall::flag::O_RDWR;

use crate::address::Address;
use crate::fd::OpenedFile;

/// Any port will do; this one discards (RFC 863).
const PROBE_PORT: u16 = 9;

/// Sorts addresses as they should be tried. Those that cannot be reached come last.
pub(crate) fn sort(addresses: &mut [Address]) {
    if addresses.len() > 1 {
        addresses
            .sort_by_cached_key(|address| rank(&Destination::new(address.ip, source_to(address))));
    }
}

/// The address that the stack would speak from to `peer`; none when there is no way to it.
fn source_to(peer: &Address) -> Option<IpAddr> {
    let path = format!("/scheme/udp/{}", peer.with_port(PROBE_PORT));
    let name = OpenedFile::open(&path, O_RDWR).ok()?.fpath().ok()?;
    source_in(&name)
}

/// The address in the last part of a socket's path, `/scheme/udp/<remote>/<local>`.
fn source_in(path: &str) -> Option<IpAddr> {
    let (address, _port) = path.rsplit_once('/')?.1.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    address.parse::<Address>().ok().map(|address| address.ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_read_off_the_path_of_a_socket() {
        for (path, source) in [
            ("/scheme/udp/10.0.2.2:9/10.0.2.15:49152", "10.0.2.15"),
            ("/scheme/udp/[fd12::2]:9/[fd12::15]:49152", "fd12::15"),
            (
                "/scheme/udp/[fe80::2%eth0]:9/[fe80::1%eth0]:49152",
                "fe80::1",
            ),
        ] {
            assert_eq!(source_in(path), source.parse().ok(), "{path}");
        }
        for path in ["", "/scheme/udp", "udp/10.0.2.2:9/", "udp/10.0.2.2:9/x:1"] {
            assert_eq!(source_in(path), None, "{path}");
        }
    }
}
