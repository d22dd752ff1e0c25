//! TCP's checksum (RFC 9293 3.1), which each octet of each segment passes through twice: where most of the work is.

use core::net::IpAddr;

/// The protocol number of TCP, as the pseudo-header has it.
const TCP: u16 = 6;

/// Is the checksum in `segment`, a whole TCP segment between these addresses, the right one?
pub fn is_right(source: IpAddr, destination: IpAddr, segment: &[u8]) -> bool {
    fold(pseudo_header(source, destination, segment.len()) + sum(segment)) == u16::MAX
}

/// The checksum for `segment`, whose own field is 0.
pub fn of(source: IpAddr, destination: IpAddr, segment: &[u8]) -> u16 {
    !fold(pseudo_header(source, destination, segment.len()) + sum(segment))
}

/// RFC 793's pseudo-header, and RFC 8200 8.1's: what is summed is the same, for zeroes do not count.
fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> u128 {
    let address = |address| match address {
        IpAddr::V4(address) => sum(&core::net::Ipv4Addr::octets(&address)),
        IpAddr::V6(address) => sum(&core::net::Ipv6Addr::octets(&address)),
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let rest = sum(&length.to_be_bytes()) + sum(&TCP.to_be_bytes());
    address(source) + address(destination) + rest
}

/// The sum of 16-bit words, eight octets at a time and in the machine's own byte order: RFC 1071 section 2 (A to C) shows
/// that neither matters. No packet is long enough for 128 bits to overflow.
fn sum(octets: &[u8]) -> u128 {
    let (words, rest) = octets.as_chunks::<8>();
    let sum: u128 = words
        .iter()
        .map(|&word| u128::from(u64::from_ne_bytes(word)))
        .sum();
    let mut last = [0; 8];
    last.iter_mut()
        .zip(rest)
        .for_each(|(place, &octet)| *place = octet);
    sum + u128::from(u64::from_ne_bytes(last))
}

/// The ones' complement sum in 16 bits, in network byte order: what does not fit is added at the other end.
fn fold(mut sum: u128) -> u16 {
    while sum > u128::from(u16::MAX) {
        sum = (sum >> 64) + (sum & u128::from(u64::MAX));
        sum = (sum >> 32) + (sum & u128::from(u32::MAX));
        sum = (sum >> 16) + (sum & u128::from(u16::MAX));
    }
    u16::from_be(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::wire::TcpPacket;

    use super::*;

    fn addresses(v6: bool, salt: u8) -> (IpAddr, IpAddr) {
        if v6 {
            ([salt; 16].into(), [0xfd; 16].into())
        } else {
            ([10, 0, 2, salt].into(), [255; 4].into())
        }
    }

    proptest! {
        /// smoltcp's is another's reckoning.
        #[test]
        fn rfc1071_1_the_sum_is_what_others_find(mut segment in proptest::collection::vec(any::<u8>(), 20..200), v6: bool, salt: u8) {
            segment[16..18].fill(0);
            let (source, destination) = addresses(v6, salt);
            let ours = of(source, destination, &segment);
            let mut packet = TcpPacket::new_unchecked(&mut segment[..]);
            packet.fill_checksum(&source.into(), &destination.into());
            prop_assert_eq!(packet.checksum(), ours);
            prop_assert!(is_right(source, destination, &segment));
            segment[18] ^= 1;
            prop_assert!(!is_right(source, destination, &segment));
        }
    }

    #[test]
    fn rfc1071_2_the_longest_and_fullest_packet_folds() {
        let (source, destination) = addresses(true, 0xff);
        let mut full = vec![0xff; usize::from(u16::MAX)];
        full[16..18].fill(0);
        let ours = of(source, destination, &full);
        let mut packet = TcpPacket::new_unchecked(&mut full[..]);
        packet.fill_checksum(&source.into(), &destination.into());
        assert_eq!(packet.checksum(), ours);
    }
}
