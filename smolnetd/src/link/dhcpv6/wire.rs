//! DHCPv6 messages (RFC 8415 sections 7 to 9 and 21) in UDP in IPv6, as far as a stateless client writes and reads
//! them.

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv6Packet, Ipv6Repr, UdpPacket, UdpRepr};

use crate::link::autoconf::decode_names;
use crate::route::is_host;

/// RFC 8415 section 7.2.
pub(super) const CLIENT_PORT: u16 = 546;
pub(super) const SERVER_PORT: u16 = 547;
/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
pub(super) const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const HOP_LIMIT: u8 = 64;

const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;

/// Codes of options: RFC 8415 section 21, RFC 3646.
pub(super) mod option {
    pub(in crate::link::dhcpv6) const CLIENT_ID: u16 = 1;
    pub(in crate::link::dhcpv6) const SERVER_ID: u16 = 2;
    pub(in crate::link::dhcpv6) const REQUESTED: u16 = 6;
    pub(in crate::link::dhcpv6) const ELAPSED_TIME: u16 = 8;
    pub(in crate::link::dhcpv6) const STATUS_CODE: u16 = 13;
    pub(in crate::link::dhcpv6) const DNS_SERVERS: u16 = 23;
    pub(in crate::link::dhcpv6) const DOMAIN_LIST: u16 = 24;
    pub(in crate::link::dhcpv6) const INFORMATION_REFRESH_TIME: u16 = 32;
    pub(in crate::link::dhcpv6) const INF_MAX_RT: u16 = 83;
}

/// What we would like to be told: RFC 8415 section 18.2.6.
const WANTED: [u16; 4] = [
    option::DNS_SERVERS,
    option::DOMAIN_LIST,
    option::INFORMATION_REFRESH_TIME,
    option::INF_MAX_RT,
];

/// The low three bytes of a number.
pub(super) type TransactionId = [u8; 3];

/// DUID-LL: RFC 8415 section 11.4. It needs nothing to be stored and stays the same; that it is the adapter's own and
/// not the host's does no harm where nothing is leased.
pub(super) fn duid(mac: [u8; 6]) -> [u8; 10] {
    let [a, b, c, d, e, f] = mac;
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// An Information-request (RFC 8415 section 18.2.6) in a packet; `elapsed` is in hundredths of a second.
pub(super) fn information_request(
    source: Ipv6Addr,
    mac: [u8; 6],
    xid: TransactionId,
    elapsed: u16,
) -> Vec<u8> {
    let [x0, x1, x2] = xid;
    let mut message = vec![INFORMATION_REQUEST, x0, x1, x2];
    push(&mut message, option::CLIENT_ID, &duid(mac));
    push(
        &mut message,
        option::REQUESTED,
        &WANTED.map(u16::to_be_bytes).concat(),
    );
    push(&mut message, option::ELAPSED_TIME, &elapsed.to_be_bytes());
    packet(source, &message)
}

/// Appends an option; one that does not fit its length field is left out.
fn push(message: &mut Vec<u8>, code: u16, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len()) else {
        return;
    };
    message.extend(code.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(value);
}

fn packet(source: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: CLIENT_PORT,
        dst_port: SERVER_PORT,
    };
    let udp_length = udp.header_len().saturating_add(message.len());
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: ALL_SERVERS,
        next_header: IpProtocol::Udp,
        payload_len: udp_length,
        hop_limit: HOP_LIMIT,
    };
    let mut packet = vec![0; ip.buffer_len().saturating_add(udp_length)];
    let mut ip_packet = Ipv6Packet::new_unchecked(packet.as_mut_slice());
    ip.emit(&mut ip_packet);
    udp.emit(
        &mut UdpPacket::new_unchecked(ip_packet.payload_mut()),
        &source.into(),
        &ALL_SERVERS.into(),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &ChecksumCapabilities::default(),
    );
    packet
}

/// The DHCPv6 message in an IPv6 packet that is addressed to the client at `client`; `None` for every other packet.
pub(super) fn message_to_client(
    packet: &[u8],
    client: Ipv6Addr,
) -> Option<Result<&[u8], Malformed>> {
    /// Where an IPv6 header has its next header: this is asked of every packet.
    const NEXT_HEADER: usize = 6;
    if packet.get(NEXT_HEADER).copied() != Some(IpProtocol::Udp.into()) {
        return None;
    }
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    if ip.dst_addr() != client || udp.dst_port() != CLIENT_PORT {
        return None;
    }
    // RFC 8200 section 8.1: there is no UDP without a checksum in IPv6.
    let intact =
        udp.checksum() != 0 && udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into());
    Some(if intact {
        Ok(udp.payload())
    } else {
        Err(Malformed)
    })
}

/// Not a DHCPv6 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A message from a server, its outside checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    kind: u8,
    pub(super) xid: TransactionId,
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the head; all options must be whole.
    pub(super) fn parse(message: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (&[kind, x0, x1, x2], options) = message.split_first_chunk().ok_or(Malformed)?;
        let mut walk = Options(options);
        while walk.next().is_some() {}
        if !walk.0.is_empty() {
            return Err(Malformed);
        }
        Ok(Message {
            kind,
            xid: [x0, x1, x2],
            options,
        })
    }

    pub(super) fn is_reply(&self) -> bool {
        self.kind == REPLY
    }

    /// The value of an option, the first of its code; `None` when it is not there.
    pub(super) fn option(&self, code: u16) -> Option<&'a [u8]> {
        Options(self.options)
            .find(|(other, _)| *other == code)
            .map(|(_, value)| value)
    }

    /// RFC 8415 section 21.13: did the server do as it was asked? It did if it says nothing.
    pub(super) fn is_success(&self) -> bool {
        self.option(option::STATUS_CODE)
            .is_none_or(|value| value.starts_with(&[0, 0]))
    }

    /// An option that is a number of four bytes.
    pub(super) fn u32(&self, code: u16) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// RFC 3646 section 3: the name servers that can be such. One whose length is wrong is as good as none.
    pub(super) fn servers(&self) -> Vec<Ipv6Addr> {
        let value = self.option(option::DNS_SERVERS).unwrap_or_default();
        let (addresses, rest) = value.as_chunks::<16>();
        let addresses = addresses.iter().map(|octets| Ipv6Addr::from(*octets));
        addresses
            .filter(|address| rest.is_empty() && is_host(IpAddr::V6(*address)))
            .collect()
    }

    /// RFC 3646 section 4: the search domains.
    pub(super) fn domains(&self) -> Vec<String> {
        let value = self.option(option::DOMAIN_LIST).unwrap_or_default();
        decode_names(value).unwrap_or_default()
    }
}

/// The options of a message: RFC 8415 section 21.1. Ends, without moving on, at one that is cut short.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[c0, c1, l0, l1], rest) = self.0.split_first_chunk()?;
        let length = u16::from_be_bytes([l0, l1]);
        let (value, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        Some((u16::from_be_bytes([c0, c1]), value))
    }
}
