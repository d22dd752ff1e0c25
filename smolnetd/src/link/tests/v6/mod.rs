//! Stories of IPv6 on one adapter: neighbours, addresses, groups.

mod advertisement;
mod autoconfigured;
mod detection;
mod hostile;
mod igmp;
mod membership;
mod mld;
mod resolution;
mod solicitation;

use core::net::{IpAddr, Ipv6Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpCidr, Ipv6Cidr};

use super::super::ipv6::packet::{Envelope, Icmpv6, solicited_node};
use super::super::ndp::wire::{self, Advertisement, Message};
use super::*;

/// RFC 4861 section 7.1
const HOP_LIMIT: u8 = 255;

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn cidr6(text: &str) -> Ipv6Cidr {
    let (address, length) = text.split_once('/').unwrap();
    Ipv6Cidr::new(v6(address), length.parse().unwrap())
}

/// fd42::15, ours.
fn ours() -> Ipv6Addr {
    v6("fd42::15")
}

/// fd42::2, of the station [`PEER_MAC`].
fn peer() -> Ipv6Addr {
    v6("fd42::2")
}

/// What a neighbour advertisement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    target: Ipv6Addr,
    mac: Option<[u8; 6]>,
    router: bool,
    solicited: bool,
    overrides: bool,
}

/// A neighbour discovery message that left.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ndp {
    Ask {
        to: [u8; 6],
        source: Ipv6Addr,
        destination: Ipv6Addr,
        target: Ipv6Addr,
        mac: Option<[u8; 6]>,
        nonce: bool,
    },
    Tell {
        to: [u8; 6],
        source: Ipv6Addr,
        destination: Ipv6Addr,
        told: Told,
    },
}

impl Ndp {
    fn is_detection(&self) -> bool {
        matches!(self, Ndp::Ask { source, .. } if source.is_unspecified())
    }
}

/// The multicast question for `target`, from `source`.
fn question(source: Ipv6Addr, target: Ipv6Addr) -> Ndp {
    let destination = solicited_node(target);
    Ndp::Ask {
        to: ethernet::multicast_address(destination.into()).unwrap(),
        source,
        destination,
        target,
        mac: Some(MAC),
        nonce: false,
    }
}

/// The question that verifies where `target` is.
fn probe(to: [u8; 6], target: Ipv6Addr) -> Ndp {
    Ndp::Ask {
        to,
        source: ours(),
        destination: target,
        target,
        mac: Some(MAC),
        nonce: false,
    }
}

/// What an advertisement of a plain host says, solicited.
fn reply(target: Ipv6Addr, mac: [u8; 6]) -> Told {
    Told {
        target,
        mac: Some(mac),
        router: false,
        solicited: true,
        overrides: true,
    }
}

fn emit_advertisement(told: Told) -> Vec<u8> {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let flags = flag(told.router, 0x80) | flag(told.solicited, 0x40) | flag(told.overrides, 0x20);
    let mut message = vec![136, 0, 0, 0, flags, 0, 0, 0];
    message.extend(told.target.octets());
    if let Some(mac) = told.mac {
        message.extend([2, 1]);
        message.extend(mac);
    }
    message
}

fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let envelope = Envelope {
        source,
        destination,
        hop_limit,
        router_alert: false,
    };
    envelope.wrap(message)
}

/// The Ethernet address for a packet to us or to a group.
fn mac_of(destination: Ipv6Addr) -> [u8; 6] {
    ethernet::multicast_address(destination.into()).unwrap_or(MAC)
}

impl Bench {
    /// An adapter with a link-local address and fd42::15/64, both long in use.
    fn dual() -> Bench {
        let mut bench = Bench::bare();
        bench
            .link
            .enable_ipv6(bench.now, Ipv6Config::opaque([7; 16]));
        bench.add_v6("fd42::15/64");
        bench.run(Duration::from_secs(10));
        bench.ring.frames.clear();
        bench.events();
        bench
    }

    fn add_v6(&mut self, address: &str) {
        let cidr = IpCidr::Ipv6(cidr6(address));
        self.link
            .add_address(self.now, cidr, AddressOrigin::Static)
            .unwrap();
    }

    fn own_link_local(&self) -> Ipv6Addr {
        self.link.link_local().unwrap()
    }

    fn receive_v6(&mut self, from: [u8; 6], to: [u8; 6], packet: &[u8]) -> Option<Vec<u8>> {
        self.receive(&frame(to, from, EthernetProtocol::Ipv6, packet))
    }

    /// An ICMPv6 message with everything round it in order; the link is to take it.
    fn hear(&mut self, from: [u8; 6], source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) {
        let packet = icmpv6(source, destination, HOP_LIMIT, message);
        let left = self.receive_v6(from, mac_of(destination), &packet);
        assert_eq!(left, None, "neighbour discovery is nobody else's business");
    }

    /// "Who has `target`?", from a station that says where it is.
    fn asked_by(&mut self, source: Ipv6Addr, mac: [u8; 6], target: Ipv6Addr) {
        let message = wire::solicitation(target, Some(mac), None);
        self.hear(mac, source, solicited_node(target), &message);
    }

    /// Another station wants to take `target`.
    fn wanted_by(&mut self, mac: [u8; 6], target: Ipv6Addr, nonce: Option<[u8; 6]>) {
        let message = wire::solicitation(target, None, nonce);
        self.hear(mac, Ipv6Addr::UNSPECIFIED, solicited_node(target), &message);
    }

    /// A router told where it is.
    fn router_is_at(&mut self, router: Ipv6Addr, mac: [u8; 6]) {
        let ring = &mut self.ring;
        self.link.learn_router(self.now, router, mac, ring);
    }

    /// An advertisement: to us if it is solicited, to everybody if not.
    fn told(&mut self, told: Told) {
        let destination = if told.solicited {
            ours()
        } else {
            v6("ff02::1")
        };
        let from = told.mac.unwrap_or(PEER_MAC);
        self.hear(from, told.target, destination, &emit_advertisement(told));
    }

    fn transmit_v6(&mut self, next_hop: Ipv6Addr, packet: &[u8]) -> Result<(), TransmitError> {
        let fill = |buffer: &mut [u8]| buffer.copy_from_slice(packet);
        let length = packet.len();
        self.link
            .transmit(self.now, next_hop.into(), length, fill, &mut self.ring)
    }

    fn state_v6(&self, address: Ipv6Addr) -> Option<(Option<[u8; 6]>, NeighbourState)> {
        let mut neighbours = self.link.neighbours(self.now);
        neighbours
            .find(|info| info.address == IpAddr::V6(address))
            .map(|info| (info.mac, info.state))
    }

    /// Resolves `address` to `mac`.
    fn make_reachable_v6(&mut self, address: Ipv6Addr, mac: [u8; 6]) {
        self.transmit_v6(address, b"hello").unwrap();
        self.told(reply(address, mac));
        assert_eq!(
            self.state_v6(address),
            Some((Some(mac), NeighbourState::Reachable))
        );
        self.ring.frames.clear();
        self.events();
    }

    /// The neighbour discovery messages that left since the last call; other frames are thrown away.
    fn ndp(&mut self) -> Vec<Ndp> {
        let frames: Vec<_> = self.ring.frames.drain(..).collect();
        frames
            .iter()
            .filter_map(|frame| decode_ndp(frame))
            .collect()
    }

    /// The data packets that left since the last call, with where they went.
    fn data(&mut self) -> Vec<([u8; 6], Vec<u8>)> {
        let frames = self.ring.frames.drain(..);
        let frames = frames.filter(|frame| decode_ndp(frame).is_none());
        frames
            .map(|frame| {
                let frame = EthernetFrame::new_checked(&frame).unwrap();
                (frame.dst_addr().0, frame.payload().to_vec())
            })
            .collect()
    }

    fn own(&self, address: Ipv6Addr) -> Option<LinkAddress> {
        let mut own = self.link.addresses().iter().copied();
        own.find(|own| own.address() == IpAddr::V6(address))
    }

    fn own_state(&self, address: Ipv6Addr) -> Option<AddressState> {
        self.own(address).map(|own| own.state)
    }
}

fn decode_ndp(frame: &[u8]) -> Option<Ndp> {
    let frame = EthernetFrame::new_checked(frame).unwrap();
    let packet =
        Icmpv6::find(frame.payload()).filter(|_| frame.ethertype() == EthernetProtocol::Ipv6)?;
    if !(133..=137).contains(&packet.kind()) {
        return None;
    }
    let (source, destination, to) = (packet.source, packet.destination, frame.dst_addr().0);
    let message = Message::parse(&packet).unwrap_or_else(|_| panic!("not valid: {packet:?}"));
    Some(match message {
        Message::Solicitation { target, mac, nonce } => Ndp::Ask {
            to,
            source,
            destination,
            target,
            mac,
            nonce: nonce.is_some(),
        },
        Message::Advertisement(Advertisement { target, mac, flags }) => Ndp::Tell {
            to,
            source,
            destination,
            told: Told {
                target,
                mac,
                router: flags.router,
                solicited: flags.solicited,
                overrides: flags.overrides,
            },
        },
    })
}
