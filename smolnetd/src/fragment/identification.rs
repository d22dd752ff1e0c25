//! The identifications of our own datagrams.

use core::net::IpAddr;

use crate::secret::Secret;

/// Counters of identifications.
const COUNTERS: usize = 256;

/// Where the next identification comes from: RFC 7739 5.3's double hash. It counts up for each pair of addresses, so that
/// it does not come again soon (RFC 6864 4.3), and how many packets went to others cannot be told from it.
#[derive(Debug)]
pub struct Identifications {
    secret: Secret,
    /// Each shared by the pairs of addresses that a keyed hash puts together.
    counters: [u32; COUNTERS],
}

impl Identifications {
    /// Numbers that only who knows `secret` can tell.
    pub fn new(secret: Secret) -> Identifications {
        Identifications {
            secret,
            counters: [0; COUNTERS],
        }
    }

    /// The identification of the next packet from `source` to `destination`; IPv4 has the lower 16 bits of it.
    pub fn next(&mut self, source: IpAddr, destination: IpAddr) -> u32 {
        let hash = self.secret.hash("ip identification", (source, destination));
        let [place, a, b, c, d, ..] = hash.to_ne_bytes();
        let start = u32::from_ne_bytes([a, b, c, d]);
        let Some(counter) = self.counters.get_mut(usize::from(place)) else {
            return start;
        };
        *counter = counter.wrapping_add(1);
        start.wrapping_add(*counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rfc7739_5_3_identifications_count_up_and_tell_nothing_of_other_destinations() {
        let mut identifications = Identifications::new(Secret::new([7; 32]));
        let mut other_secret = Identifications::new(Secret::new([8; 32]));
        let source: IpAddr = "2001:db8::1".parse().unwrap();
        let peers: Vec<IpAddr> = (0..64_u16)
            .map(|n| IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, n]))
            .collect();
        let first = identifications.next(source, peers[0]);
        assert_eq!(
            identifications.next(source, peers[0]),
            first.wrapping_add(1)
        );
        assert_ne!(other_secret.next(source, peers[0]), first);
        let starts: BTreeSet<u32> = peers
            .iter()
            .map(|peer| identifications.next(source, *peer))
            .collect();
        assert_eq!(starts.len(), peers.len());
        assert_ne!(
            identifications.next(source, peers[1]),
            identifications.next(peers[1], source)
        );
    }

    #[test]
    fn rfc6864_4_3_an_identification_does_not_come_again_soon() {
        let mut identifications = Identifications::new(Secret::new([7; 32]));
        let (source, destination) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let numbers: BTreeSet<u16> = (0..=u16::MAX)
            .map(|_| (identifications.next(source, destination) & 0xffff) as u16)
            .collect();
        assert_eq!(numbers.len(), 1 << 16);
    }
}
