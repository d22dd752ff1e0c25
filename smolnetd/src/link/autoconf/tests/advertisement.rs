//! Router Advertisements to be put on a wire.

use core::net::Ipv6Addr;

use smoltcp::wire::{Icmpv6Packet, IpProtocol, Ipv6Packet, Ipv6Repr};

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// fe80::`number`
pub(crate) fn router(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number)
}

/// fd12:`number`::
pub(crate) fn prefix(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd12, number, 0, 0, 0, 0, 0, 0)
}

/// A Router Advertisement, field by field and option by option.
#[derive(Clone, Debug)]
pub(crate) struct Ra {
    pub(crate) source: Ipv6Addr,
    pub(crate) hop_limit: u8,
    pub(crate) code: u8,
    pub(crate) cur_hop_limit: u8,
    pub(crate) flags: u8,
    pub(crate) lifetime: u16,
    pub(crate) reachable: u32,
    pub(crate) retransmit: u32,
    pub(crate) options: Vec<u8>,
}

impl Ra {
    /// A default router for half an hour, and nothing else.
    pub(crate) fn from(number: u16) -> Ra {
        Ra {
            source: router(number),
            hop_limit: 255,
            code: 0,
            cur_hop_limit: 64,
            flags: 0,
            lifetime: 1800,
            reachable: 0,
            retransmit: 0,
            options: Vec::new(),
        }
    }

    /// Says that there is more to be had by DHCPv6: M is 0x80, O is 0x40; a preference is in 0x18.
    pub(crate) fn flags(self, flags: u8) -> Ra {
        Ra { flags, ..self }
    }

    pub(crate) fn option(mut self, kind: u8, value: &[u8]) -> Ra {
        let length = (value.len() + 2).div_ceil(8);
        self.options.extend([kind, u8::try_from(length).unwrap()]);
        self.options.extend(value);
        self.options
            .resize(self.options.len().next_multiple_of(8), 0);
        self
    }

    /// A prefix with these flags (L is 0x80, A is 0x40), length and lifetimes.
    pub(crate) fn prefix(
        self,
        flags: u8,
        prefix: Ipv6Addr,
        length: u8,
        valid: u32,
        preferred: u32,
    ) -> Ra {
        let mut value = vec![length, flags];
        value.extend(valid.to_be_bytes());
        value.extend(preferred.to_be_bytes());
        value.extend([0; 4]);
        value.extend(prefix.octets());
        self.option(3, &value)
    }

    /// On the link, and for addresses, as most routers have it.
    pub(crate) fn usual(self, number: u16, valid: u32, preferred: u32) -> Ra {
        self.prefix(0xc0, prefix(number), 64, valid, preferred)
    }

    /// A Route Information option, its prefix written in full.
    pub(crate) fn route(self, prefix: Ipv6Addr, length: u8, flags: u8, lifetime: u32) -> Ra {
        let mut value = vec![length, flags];
        value.extend(lifetime.to_be_bytes());
        value.extend(prefix.octets());
        self.option(24, &value)
    }

    pub(crate) fn rdnss(self, lifetime: u32, addresses: &[Ipv6Addr]) -> Ra {
        let mut value = vec![0, 0];
        value.extend(lifetime.to_be_bytes());
        value.extend(addresses.iter().flat_map(Ipv6Addr::octets));
        self.option(25, &value)
    }

    pub(crate) fn dnssl(self, lifetime: u32, names: &[u8]) -> Ra {
        let mut value = vec![0, 0];
        value.extend(lifetime.to_be_bytes());
        value.extend(names);
        self.option(31, &value)
    }

    pub(crate) fn mtu(self, mtu: u32) -> Ra {
        let mut value = vec![0, 0];
        value.extend(mtu.to_be_bytes());
        self.option(5, &value)
    }

    pub(crate) fn message(&self) -> Vec<u8> {
        let mut message = vec![134, self.code, 0, 0, self.cur_hop_limit, self.flags];
        message.extend(self.lifetime.to_be_bytes());
        message.extend(self.reachable.to_be_bytes());
        message.extend(self.retransmit.to_be_bytes());
        message.extend(&self.options);
        message
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        icmp(self.source, ALL_NODES, self.hop_limit, &self.message())
    }
}

/// An ICMPv6 message in a packet, its checksum filled in.
pub(crate) fn icmp(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    message: &[u8],
) -> Vec<u8> {
    let ip = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.len(),
        hop_limit,
    };
    let mut bytes = vec![0; 40 + message.len()];
    let mut packet = Ipv6Packet::new_unchecked(bytes.as_mut_slice());
    ip.emit(&mut packet);
    packet.payload_mut().copy_from_slice(message);
    if message.len() >= 4 {
        Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&source, &destination);
    }
    bytes
}
