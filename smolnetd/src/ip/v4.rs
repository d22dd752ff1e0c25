//! The IPv4 header (RFC 791).

use core::net::Ipv4Addr;

use smoltcp::wire::{IpProtocol, Ipv4Packet};

use super::{Fragment, Incoming, Reason};

/// Length in bytes of the header that this host writes: no options.
pub const HEADER_LENGTH: usize = 20;

/// Checks a header (RFC 1122 3.2.1.2 checksum, 3.2.1.7 time to live). Options are stepped over.
pub(super) fn parse(bytes: &[u8]) -> Result<Incoming<'_>, Reason> {
    let header = Ipv4Packet::new_checked(bytes)
        .map_err(|_| -> Reason { |counters| &mut counters.bad_length })?;
    if !header.verify_checksum() {
        return Err(|counters| &mut counters.bad_checksum);
    }
    if header.hop_limit() == 0 {
        return Err(|counters| &mut counters.bad_ttl);
    }
    let fragment = Fragment {
        identification: header.ident().into(),
        offset: header.frag_offset().into(),
        more: header.more_frags(),
        unfragmentable: header.header_len().into(),
        next_header_at: 0,
    };
    let packet = bytes
        .get(..usize::from(header.total_len()))
        .unwrap_or(bytes);
    Ok(Incoming {
        source: header.src_addr().into(),
        destination: header.dst_addr().into(),
        protocol: header.next_header().into(),
        hop_limit: header.hop_limit(),
        packet,
        payload: header.payload(),
        fragment: (fragment.more || fragment.offset != 0).then_some(fragment),
        atomic: false,
        next_header_at: 0,
        problem: None,
    })
}

/// May no host have this address as its source (RFC 1122 3.2.1.3, RFC 1812 5.3.7)? Whether it is some network's
/// directed broadcast, only the link it came from can tell.
pub fn is_impossible_source(source: Ipv4Addr) -> bool {
    source.is_multicast()
        || source.octets()[0] >= 240
        || (source.octets()[0] == 0 && !source.is_unspecified())
}

/// What a packet of our own carries in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Protocol.
    pub protocol: IpProtocol,
    /// Type of service: RFC 2474's six bits and RFC 3168's two.
    pub traffic_class: u8,
    /// Time to live.
    pub ttl: u8,
    /// Identification: routers may fragment what we send, since datagrams here follow no path MTU (RFC 6864 4.3).
    pub identification: u16,
}

impl Header {
    /// Writes the header at the start of `packet`, whose length is the total length, and gives what follows it. A
    /// `packet` without room for a header, or longer than 65535 bytes, is left alone and what follows is empty.
    pub fn write<'p>(&self, packet: &'p mut [u8]) -> &'p mut [u8] {
        let Ok(total_length) = u16::try_from(packet.len()) else {
            return &mut [];
        };
        let Some((header, payload)) = packet.split_at_mut_checked(HEADER_LENGTH) else {
            return &mut [];
        };
        let mut header = Ipv4Packet::new_unchecked(header);
        header.set_version(4);
        header.set_header_len(HEADER_LENGTH as u8);
        header.set_dscp(self.traffic_class >> 2);
        header.set_ecn(self.traffic_class & 3);
        header.set_total_len(total_length);
        header.set_ident(self.identification);
        header.clear_flags();
        header.set_dont_frag(false);
        header.set_more_frags(false);
        header.set_frag_offset(0);
        header.set_hop_limit(self.ttl);
        header.set_next_header(self.protocol);
        header.set_src_addr(self.source);
        header.set_dst_addr(self.destination);
        header.fill_checksum();
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        source: Ipv4Addr::new(10, 0, 0, 1),
        destination: Ipv4Addr::new(10, 0, 0, 2),
        protocol: IpProtocol::Udp,
        traffic_class: 0xb8,
        ttl: 3,
        identification: 0xbeef,
    };

    #[test]
    fn what_is_written_into_dirty_memory_is_read_back() {
        let mut packet = vec![0xa5; 28];
        HEADER
            .write(&mut packet)
            .copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        // The link pads short frames.
        packet.extend([0x77; 20]);
        let read = parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
        assert_eq!(
            (read.source, read.destination, read.protocol),
            (HEADER.source.into(), HEADER.destination.into(), 17)
        );
        assert_eq!(
            (read.payload, read.packet.len()),
            (&[1, 2, 3, 4, 5, 6, 7, 8][..], 28)
        );
        let header = Ipv4Packet::new_checked(&packet).expect("a header");
        assert_eq!((header.hop_limit(), header.ident()), (3, 0xbeef));
        assert_eq!((header.dscp(), header.ecn()), (46, 0));
        assert!(!header.dont_frag() && !header.more_frags());
    }

    #[test]
    fn where_there_is_no_room_for_a_header_nothing_is_written() {
        for length in [0, 19, 65_536] {
            let mut packet = vec![0xa5; length];
            assert!(HEADER.write(&mut packet).is_empty());
            assert!(packet.iter().all(|byte| *byte == 0xa5), "{length}");
        }
    }

    #[test]
    fn options_are_stepped_over() {
        let mut packet = vec![0; 32];
        HEADER.write(&mut packet);
        // A loose source route (RFC 791 3.1), which a host that does not forward has no use for.
        packet[20..24].copy_from_slice(&[0x83, 3, 4, 0]);
        packet[24..].copy_from_slice(b"payload.");
        let mut header = Ipv4Packet::new_unchecked(&mut packet);
        header.set_header_len(24);
        header.fill_checksum();
        let read = parse(&packet).unwrap_or_else(|_| panic!("{packet:?}"));
        assert_eq!(read.payload, b"payload.");
    }

    #[test]
    fn some_addresses_are_no_hosts() {
        let impossible = [
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "0.0.0.1",
        ];
        let possible = [
            "0.0.0.0",
            "10.0.0.1",
            "127.0.0.1",
            "223.255.255.255",
            "192.0.2.255",
        ];
        let test = |text: &str| is_impossible_source(text.parse().expect("an address"));
        assert!(impossible.iter().all(|text| test(text)));
        assert!(!possible.iter().any(|text| test(text)));
    }
}
