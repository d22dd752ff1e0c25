//! IP of both families (RFC 791, RFC 8200) as a host sees it: what may come in, and the header that goes out.

mod extension;
#[cfg(test)]
mod tests;
pub mod v4;
pub mod v6;
mod zone;

use core::net::{IpAddr, SocketAddr};
use std::borrow::Cow;

use crate::counters::counters;
use crate::ports::LinkId;

pub use extension::{NO_NEXT_HEADER, UNRECOGNIZED_NEXT_HEADER};
pub use zone::{ZonedAddr, is_mapped, needs_zone, stays_in_host};

/// The default time to live (RFC 1122 3.2.1.7; RFC 1340's recommended value).
pub const DEFAULT_TTL: u8 = 64;

counters! {
    /// What the IP layer saw, and why it dropped what it dropped.
    pub struct IpCounters {
        /// Packets received from the links, loopback included.
        received,
        /// Datagrams handed to sockets other than TCP's; a packet that several sockets get counts once for each.
        delivered,
        /// Packets queued for a raw socket.
        raw_delivered,
        /// Not queued for a raw socket: its queue was full.
        raw_queue_full,
        /// Packets handed to a link.
        sent,
        /// Dropped: a frame from a link that has gone.
        unknown_link,
        /// Dropped: shorter than a header, or than the lengths in it say; or the lengths contradict each other.
        bad_length,
        /// Dropped: neither version 4 nor 6.
        bad_version,
        /// Dropped: header checksum.
        bad_checksum,
        /// Dropped: time to live 0.
        bad_ttl,
        /// Received: fragments that are whole packets (RFC 6946).
        atomic_fragment,
        /// Dropped: an extension header cut short, in a place that it may not have, or twice (RFC 8200 4.1).
        bad_extension,
        /// Dropped: more extension headers than any packet needs.
        many_extensions,
        /// Dropped: an option that this host does not know and may not step over (RFC 8200 4.2).
        unknown_option,
        /// Dropped: a routing header that wants the packet to go on from here (RFC 8200 4.4, RFC 5095).
        routing_header,
        /// Dropped: nothing follows the headers (RFC 8200 4.7).
        no_next_header,
        /// Dropped: a source that no host has (RFC 1122 3.2.1.3): broadcast, multicast, class E, or 0.0.0.0 where it
        /// has no place. RFC 4291 2.5.2 and 2.7: multicast, or ::.
        bad_source,
        /// Dropped: a source that is our own, from a wire.
        own_source,
        /// Dropped: 127.0.0.0/8 or ::1 as source or destination, from a wire.
        loopback_on_wire,
        /// Dropped: an IPv4 address in an IPv6 one (::ffff:0:0/96) as source or destination, from a wire.
        mapped_on_wire,
        /// Dropped: a multicast address that never leaves a host, from a wire (RFC 4291 2.7).
        bad_scope,
        /// Dropped: for another host; this one does not forward.
        not_for_us,
        /// Dropped: for a multicast group that nobody here has joined.
        not_joined,
        /// Dropped: a protocol that nobody here speaks.
        unknown_protocol,
        /// Dropped on the way out: no route.
        no_route,
    }
}

/// Why a packet was dropped: the counter it falls under.
pub type Reason = fn(&mut IpCounters) -> &mut u64;

/// A field that cannot be used, as Parameter Problem names it (RFC 4443 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What is wrong with it.
    pub code: u8,
    /// Where in the packet it is, in bytes.
    pub pointer: u32,
    /// Is even the sender of a multicast packet told (RFC 8200 4.2)?
    pub to_groups: bool,
}

impl Parameter {
    fn new(code: u8, at: usize) -> Parameter {
        Parameter {
            code,
            pointer: u32::try_from(at).unwrap_or(u32::MAX),
            to_groups: false,
        }
    }
}

/// Why a packet whose addresses can be read may still not be used.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// The counter.
    pub reason: Reason,
    /// What its sender is told, if anything.
    pub parameter: Option<Parameter>,
}

/// What a fragment says of itself (RFC 791 3.1, RFC 8200 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which packet it is a part of, for its pair of addresses (and for IPv4, its protocol).
    pub identification: u32,
    /// Where in the fragmentable part it belongs, in bytes.
    pub offset: usize,
    /// Do others follow?
    pub more: bool,
    /// Length in bytes of the headers that each fragment repeats; for IPv6 the fragment header follows them.
    pub unfragmentable: usize,
    /// IPv6: where in these the field is that names the fragment header, and is to name [`Incoming::protocol`].
    pub next_header_at: usize,
}

/// An IP packet whose header is in order.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'p> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Number of the upper protocol: what the payload is. Of a fragment, what its fragmentable part begins with.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// The whole packet, headers included, without what the link padded.
    pub packet: &'p [u8],
    /// What follows the headers, IPv6's extension headers included.
    pub payload: &'p [u8],
    /// It is a fragment, and the payload a part of one.
    pub fragment: Option<Fragment>,
    /// Was it sent as a fragment and is none (RFC 6946)?
    pub atomic: bool,
    /// IPv6: where in the packet the field is that names the protocol.
    pub next_header_at: usize,
    /// Why it may not be used although its header is in order.
    pub problem: Option<Problem>,
}

impl<'p> Incoming<'p> {
    /// Checks a packet's header, and walks the extension headers of IPv6.
    ///
    /// # Errors
    /// The counter under which the packet is dropped.
    pub fn parse(bytes: &'p [u8]) -> Result<Incoming<'p>, Reason> {
        match bytes.first().map(|first| first >> 4) {
            None => Err(|counters| &mut counters.bad_length),
            Some(4) => v4::parse(bytes),
            Some(6) => v6::parse(bytes),
            Some(_) => Err(|counters| &mut counters.bad_version),
        }
    }

    /// Is it of version 4?
    pub fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// The sender's end, as it is understood on the link that the packet came from.
    pub fn source_end(&self, link: LinkId, port: u16) -> SocketAddr {
        ZonedAddr::on(self.source, link).with_port(port)
    }

    /// Our end, as it is understood on the link that the packet came from.
    pub fn destination_end(&self, link: LinkId, port: u16) -> SocketAddr {
        ZonedAddr::on(self.destination, link).with_port(port)
    }

    /// The packet as if it had no extension headers.
    pub fn plain(&self) -> Cow<'p, [u8]> {
        let behind_header = self.packet.len().checked_sub(v6::HEADER_LENGTH);
        if self.is_v4() || behind_header == Some(self.payload.len()) {
            return Cow::Borrowed(self.packet);
        }
        Cow::Owned(v6::without_extensions(self))
    }
}

/// The header of a packet of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// IPv4.
    V4(v4::Header),
    /// IPv6.
    V6(v6::Header),
}

impl Outgoing {
    /// Length of the header in bytes: no options, no extension headers.
    pub fn length(&self) -> usize {
        header_length(self.destination())
    }

    /// Source address.
    pub fn source(&self) -> IpAddr {
        match self {
            Outgoing::V4(header) => header.source.into(),
            Outgoing::V6(header) => header.source.into(),
        }
    }

    /// Destination address.
    pub fn destination(&self) -> IpAddr {
        match self {
            Outgoing::V4(header) => header.destination.into(),
            Outgoing::V6(header) => header.destination.into(),
        }
    }

    /// The same with this type of service or traffic class.
    pub fn with_traffic_class(mut self, class: u8) -> Outgoing {
        match &mut self {
            Outgoing::V4(header) => header.traffic_class = class,
            Outgoing::V6(header) => header.traffic_class = class,
        }
        self
    }

    /// Writes the header at the start of `packet`, all of which will be sent, and gives what follows it. A `packet`
    /// without room for a header, or longer than its length can say, is left alone and what follows is empty.
    pub fn write<'p>(&self, packet: &'p mut [u8]) -> &'p mut [u8] {
        match self {
            Outgoing::V4(header) => header.write(packet),
            Outgoing::V6(header) => header.write(packet),
        }
    }
}

/// Length in bytes of the header that this host writes for packets of `address`'s family.
pub fn header_length(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => v4::HEADER_LENGTH,
        IpAddr::V6(_) => v6::HEADER_LENGTH,
    }
}
