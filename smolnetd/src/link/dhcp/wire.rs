//! DHCP messages (RFC 2131 section 2, RFC 2132) in UDP in IPv4, as a client writes and reads them.

use core::net::Ipv4Addr;
use core::ops::Range;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

/// The port that servers listen on.
pub(super) const SERVER_PORT: u16 = 67;
/// The port that clients listen on.
pub(super) const CLIENT_PORT: u16 = 68;

/// Bytes from op to the end of file: RFC 2131 section 2, figure 1.
const FIXED_LENGTH: usize = 236;
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..236;
/// RFC 2131 section 3: the first four bytes of options.
const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];
/// RFC 1542 section 2.1: a BOOTP message has at least these many bytes.
const MIN_LENGTH: usize = 300;
const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
const HTYPE_ETHERNET: u8 = 1;
const FLAG_BROADCAST: u16 = 0x8000;
const HOP_LIMIT: u8 = 64;

/// Option codes of RFC 2132.
pub(super) mod option {
    pub(in crate::link::dhcp) const PAD: u8 = 0;
    pub(in crate::link::dhcp) const SUBNET_MASK: u8 = 1;
    pub(in crate::link::dhcp) const ROUTER: u8 = 3;
    pub(in crate::link::dhcp) const DOMAIN_NAME_SERVER: u8 = 6;
    pub(in crate::link::dhcp) const HOST_NAME: u8 = 12;
    pub(in crate::link::dhcp) const DOMAIN_NAME: u8 = 15;
    pub(in crate::link::dhcp) const INTERFACE_MTU: u8 = 26;
    pub(in crate::link::dhcp) const REQUESTED_ADDRESS: u8 = 50;
    pub(in crate::link::dhcp) const LEASE_TIME: u8 = 51;
    pub(in crate::link::dhcp) const OVERLOAD: u8 = 52;
    pub(in crate::link::dhcp) const MESSAGE_TYPE: u8 = 53;
    pub(in crate::link::dhcp) const SERVER_IDENTIFIER: u8 = 54;
    pub(in crate::link::dhcp) const PARAMETER_REQUEST_LIST: u8 = 55;
    pub(in crate::link::dhcp) const MAX_MESSAGE_SIZE: u8 = 57;
    pub(in crate::link::dhcp) const RENEWAL_TIME: u8 = 58;
    pub(in crate::link::dhcp) const REBINDING_TIME: u8 = 59;
    pub(in crate::link::dhcp) const CLIENT_IDENTIFIER: u8 = 61;
    pub(in crate::link::dhcp) const END: u8 = 255;
}

/// What we would like to be told.
const WANTED: [u8; 8] = [
    option::SUBNET_MASK,
    option::ROUTER,
    option::DOMAIN_NAME_SERVER,
    option::DOMAIN_NAME,
    option::INTERFACE_MTU,
    option::LEASE_TIME,
    option::RENEWAL_TIME,
    option::REBINDING_TIME,
];

/// The messages of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Discover,
    Request,
    Decline,
}

/// A message from us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: RequestKind,
    pub(super) xid: u32,
    /// Seconds since we began.
    pub(super) secs: u16,
    /// Is the reply to come by broadcast?
    pub(super) broadcast: bool,
    /// Our address while we have one and may answer for it, else 0.0.0.0.
    pub(super) ciaddr: Ipv4Addr,
    pub(super) chaddr: [u8; 6],
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    /// Ours, if we have one: at most 63 bytes.
    pub(super) host_name: Option<&'a str>,
    /// The largest IP packet that we take, in bytes.
    pub(super) max_size: u16,
    /// The IP destination.
    pub(super) destination: Ipv4Addr,
}

impl Request<'_> {
    /// The whole IP packet.
    pub(super) fn packet(&self) -> Vec<u8> {
        let message = self.message();
        let udp = UdpRepr {
            src_port: CLIENT_PORT,
            dst_port: SERVER_PORT,
        };
        let udp_length = udp.header_len().saturating_add(message.len());
        let ip = Ipv4Repr {
            src_addr: self.ciaddr,
            dst_addr: self.destination,
            next_header: IpProtocol::Udp,
            payload_len: udp_length,
            hop_limit: HOP_LIMIT,
        };
        let checksums = ChecksumCapabilities::default();
        let mut packet = vec![0; ip.buffer_len().saturating_add(udp_length)];
        let mut ip_packet = Ipv4Packet::new_unchecked(packet.as_mut_slice());
        ip.emit(&mut ip_packet, &checksums);
        udp.emit(
            &mut UdpPacket::new_unchecked(ip_packet.payload_mut()),
            &ip.src_addr.into(),
            &ip.dst_addr.into(),
            message.len(),
            |payload| payload.copy_from_slice(&message),
            &checksums,
        );
        packet
    }

    /// RFC 2131 section 4.4.1, table 5.
    fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(MIN_LENGTH);
        message.extend([BOOTREQUEST, HTYPE_ETHERNET, 6, 0]);
        message.extend(self.xid.to_be_bytes());
        message.extend(self.secs.to_be_bytes());
        message.extend(if self.broadcast { FLAG_BROADCAST } else { 0 }.to_be_bytes());
        message.extend(self.ciaddr.octets());
        // yiaddr, siaddr and giaddr are the server's and the relay agent's to fill in.
        message.extend([0; 12]);
        message.extend(self.chaddr);
        message.resize(FIXED_LENGTH, 0);
        message.extend(MAGIC_COOKIE);
        let kind = match self.kind {
            RequestKind::Discover => 1,
            RequestKind::Request => 3,
            RequestKind::Decline => 4,
        };
        push(&mut message, option::MESSAGE_TYPE, &[kind]);
        // RFC 2132 section 9.14: the hardware type, then the hardware address.
        let [a, b, c, d, e, f] = self.chaddr;
        push(
            &mut message,
            option::CLIENT_IDENTIFIER,
            &[HTYPE_ETHERNET, a, b, c, d, e, f],
        );
        if let Some(address) = self.requested {
            push(&mut message, option::REQUESTED_ADDRESS, &address.octets());
        }
        if let Some(server) = self.server {
            push(&mut message, option::SERVER_IDENTIFIER, &server.octets());
        }
        if self.kind != RequestKind::Decline {
            push(&mut message, option::PARAMETER_REQUEST_LIST, &WANTED);
            push(
                &mut message,
                option::MAX_MESSAGE_SIZE,
                &self.max_size.to_be_bytes(),
            );
            if let Some(name) = self.host_name {
                push(&mut message, option::HOST_NAME, name.as_bytes());
            }
        }
        message.push(option::END);
        if message.len() < MIN_LENGTH {
            message.resize(MIN_LENGTH, option::PAD);
        }
        message
    }
}

/// Appends an option; one that does not fit its length byte is left out.
fn push(message: &mut Vec<u8>, code: u8, value: &[u8]) {
    let Ok(length) = u8::try_from(value.len()) else {
        return;
    };
    message.extend([code, length]);
    message.extend(value);
}

/// The messages of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyKind {
    Offer,
    Ack,
    Nak,
}

/// A message from a server, its outside checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply<'a> {
    message: &'a [u8],
    pub(super) xid: u32,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) chaddr: [u8; 6],
}

/// The DHCP message in an IPv4 packet that is addressed to a DHCP client; `None` for every other packet. What it
/// contains is not looked at, but for the checksums.
pub(super) fn message_to_client(packet: &[u8]) -> Option<Result<&[u8], Malformed>> {
    /// Where an IPv4 header has its protocol: this is asked of every packet.
    const PROTOCOL: usize = 9;
    if packet.get(PROTOCOL).copied() != Some(IpProtocol::Udp.into()) {
        return None;
    }
    let ip = Ipv4Packet::new_checked(packet).ok()?;
    if ip.version() != 4 || ip.more_frags() || ip.frag_offset() != 0 {
        return None;
    }
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    if udp.dst_port() != CLIENT_PORT {
        return None;
    }
    let intact =
        ip.verify_checksum() && udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into());
    Some(if intact && udp.src_port() == SERVER_PORT {
        Ok(udp.payload())
    } else {
        Err(Malformed)
    })
}

/// Not a DHCP reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Reply<'a> {
    /// Reads the fixed part.
    pub(super) fn parse(message: &'a [u8]) -> Result<Reply<'a>, Malformed> {
        let (fixed, options) = message.split_at_checked(FIXED_LENGTH).ok_or(Malformed)?;
        let [BOOTREPLY, HTYPE_ETHERNET, 6, _, x0, x1, x2, x3, ..] = *fixed else {
            return Err(Malformed);
        };
        let field = |range: Range<usize>| fixed.get(range).ok_or(Malformed);
        if !options.starts_with(&MAGIC_COOKIE) {
            return Err(Malformed);
        }
        let yiaddr: [u8; 4] = field(16..20)?.try_into().map_err(|_| Malformed)?;
        let chaddr: [u8; 6] = field(28..34)?.try_into().map_err(|_| Malformed)?;
        Ok(Reply {
            message,
            xid: u32::from_be_bytes([x0, x1, x2, x3]),
            yiaddr: yiaddr.into(),
            chaddr,
        })
    }

    /// Which message it is; `None` for what is no server's to send.
    pub(super) fn kind(&self) -> Option<ReplyKind> {
        match *self.option(option::MESSAGE_TYPE)? {
            [2] => Some(ReplyKind::Offer),
            [5] => Some(ReplyKind::Ack),
            [6] => Some(ReplyKind::Nak),
            _ => None,
        }
    }

    /// The value of an option; one that is given in parts is put together (RFC 3396). `None` when it is not there.
    pub(super) fn option(&self, code: u8) -> Option<Vec<u8>> {
        // RFC 2131 section 4.1: the options field is read first, then file, then sname, as `overload` says.
        let own = self
            .message
            .get(FIXED_LENGTH.saturating_add(MAGIC_COOKIE.len())..)
            .unwrap_or_default();
        let overload = Options(own).find(|(other, _)| *other == option::OVERLOAD);
        let overload = overload
            .and_then(|(_, value)| value.first().copied())
            .unwrap_or(0);
        let field = |range: Range<usize>, bit: u8| {
            let field = self.message.get(range).filter(|_| overload & bit != 0);
            field.unwrap_or_default()
        };
        let fields = [own, field(FILE, 1), field(SNAME, 2)];
        let parts = fields
            .into_iter()
            .flat_map(Options)
            .filter(|(other, _)| *other == code);
        parts.map(|(_, value)| value).fold(None, |whole, part| {
            let mut whole = whole.unwrap_or_else(Vec::new);
            whole.extend(part);
            Some(whole)
        })
    }

    /// An option that is one IPv4 address; the first, when there are more.
    pub(super) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.addresses(code).into_iter().next()
    }

    /// An option that is a list of IPv4 addresses; an odd rest is left out.
    pub(super) fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let value = self.option(code).unwrap_or_default();
        value
            .as_chunks::<4>()
            .0
            .iter()
            .map(|octets| Ipv4Addr::from(*octets))
            .collect()
    }

    /// An option that is a number of four bytes.
    pub(super) fn u32(&self, code: u8) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// An option that is a number of two bytes.
    pub(super) fn u16(&self, code: u8) -> Option<u16> {
        self.option(code)?.try_into().ok().map(u16::from_be_bytes)
    }
}

/// The options in one field: RFC 2132 section 2. Ends at the end option, and at one that is cut short.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&code, rest) = self.0.split_first()?;
            match code {
                option::PAD => self.0 = rest,
                option::END => return None,
                _ => {
                    let (&length, rest) = rest.split_first()?;
                    let (value, rest) = rest.split_at_checked(length.into())?;
                    self.0 = rest;
                    return Some((code, value));
                }
            }
        }
    }
}
