//! Stories of one adapter: frames in, frames out, a clock that only the test moves.

mod arp;
mod conflict;
mod hostile;
mod loopback;
mod transmit;
mod v6;

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpCidr, Ipv4Cidr};

use super::arp::{Arp, Operation};
use super::*;

pub(super) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
pub(super) const PEER_MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];
pub(super) const OTHER_MAC: [u8; 6] = [0x52, 0x55, 10, 0, 2, 99];
pub(super) const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 9);

/// The adapter's transmit side: a ring with `room` free slots.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) room: usize,
    pub(super) frames: Vec<Vec<u8>>,
}

impl Ports for Ring {
    fn has_room(&self, _: LinkId) -> bool {
        self.room > 0
    }

    fn send<R>(
        &mut self,
        _: LinkId,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        self.room = self.room.checked_sub(1)?;
        // Slots are not cleared: what is not written over would be seen.
        let mut frame = vec![0xa5; length];
        let result = write(&mut frame);
        self.frames.push(frame);
        Some(result)
    }
}

/// A frame that left, as a test wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Ask {
        to: [u8; 6],
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    Reply {
        to: [u8; 6],
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    Ip {
        to: [u8; 6],
        packet: Vec<u8>,
    },
}

/// An adapter, the ring behind it and the time.
pub(super) struct Bench {
    pub(super) link: Link,
    pub(super) ring: Ring,
    pub(super) now: Instant,
    /// What happened, and was taken while time passed.
    happened: Vec<LinkEvent>,
}

impl Bench {
    pub(super) fn of(link: Link, room: usize, now: Instant) -> Bench {
        Bench {
            link,
            ring: Ring {
                room,
                frames: vec![],
            },
            now,
            happened: vec![],
        }
    }

    /// An adapter that is up and has no address.
    pub(super) fn bare() -> Bench {
        let config = LinkConfig {
            name: "eth0".into(),
            mac: MAC,
            mtu: 1500,
            up: true,
            kind: LinkKind::Ethernet,
        };
        let now = Instant::from_secs(1000);
        Bench::of(Link::new(LinkId(7), config, 42, now), 1000, now)
    }

    /// An adapter with 10.0.2.15/24, announced long ago.
    pub(super) fn new() -> Bench {
        let mut bench = Bench::bare();
        bench
            .link
            .add_address(bench.now, cidr(OURS, 24), AddressOrigin::Static)
            .unwrap();
        bench.run(Duration::from_secs(10));
        bench.ring.frames.clear();
        bench
    }

    /// Has time pass, with the link polled whenever it wants to be.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self
            .link
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.now = self.now.max(deadline);
            self.link.poll(self.now, &mut self.ring);
            self.happened.extend(self.link.take_events());
            let next = self.link.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now),
                "still due at {} after poll: {:?}",
                self.now,
                self.link
            );
        }
        self.now = end;
    }

    pub(super) fn receive(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.link
            .receive(self.now, frame, &mut self.ring)
            .map(<[u8]>::to_vec)
    }

    pub(super) fn receive_arp(&mut self, arp: Arp, to: [u8; 6]) {
        let mut payload = [0; 28];
        arp.emit(&mut payload);
        let left = self.receive(&frame(to, arp.sender_mac, EthernetProtocol::Arp, &payload));
        assert_eq!(left, None, "ARP is nobody else's business");
    }

    /// A reply to us.
    pub(super) fn reply_from(&mut self, sender: Ipv4Addr, mac: [u8; 6]) {
        let arp = Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender,
            target_mac: MAC,
            target: OURS,
        };
        self.receive_arp(arp, MAC);
    }

    /// "Who has `target`?", asked of everybody.
    pub(super) fn request_from(&mut self, sender: Ipv4Addr, mac: [u8; 6], target: Ipv4Addr) {
        self.receive_arp(Arp::request(mac, sender, target), BROADCAST);
    }

    pub(super) fn transmit(
        &mut self,
        next_hop: Ipv4Addr,
        packet: &[u8],
    ) -> Result<(), TransmitError> {
        let fill = |buffer: &mut [u8]| buffer.copy_from_slice(packet);
        self.link.transmit(
            self.now,
            next_hop.into(),
            packet.len(),
            fill,
            &mut self.ring,
        )
    }

    /// What left since the last call.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        self.ring
            .frames
            .drain(..)
            .map(|frame| decode(&frame))
            .collect()
    }

    pub(super) fn state_of(&self, address: Ipv4Addr) -> Option<(Option<[u8; 6]>, NeighbourState)> {
        let mut neighbours = self.link.neighbours(self.now);
        neighbours
            .find(|info| info.address == IpAddr::V4(address))
            .map(|info| (info.mac, info.state))
    }

    /// Resolves `address` to `mac`.
    pub(super) fn make_reachable(&mut self, address: Ipv4Addr, mac: [u8; 6]) {
        self.transmit(address, b"hello").unwrap();
        self.reply_from(address, mac);
        assert_eq!(
            self.state_of(address),
            Some((Some(mac), NeighbourState::Reachable))
        );
        self.sent();
        self.events();
    }

    pub(super) fn events(&mut self) -> Vec<LinkEvent> {
        let taken = self.link.take_events();
        self.happened.drain(..).chain(taken).collect()
    }
}

pub(super) fn cidr(address: Ipv4Addr, length: u8) -> IpCidr {
    IpCidr::Ipv4(Ipv4Cidr::new(address, length))
}

pub(super) fn frame(
    to: [u8; 6],
    from: [u8; 6],
    ethertype: EthernetProtocol,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; 14 + payload.len()];
    ethernet::write_header(&mut frame, to, from, ethertype)
        .unwrap()
        .copy_from_slice(payload);
    frame
}

fn decode(frame: &[u8]) -> Sent {
    let frame = EthernetFrame::new_checked(frame).unwrap();
    assert_eq!(
        frame.src_addr().0,
        MAC,
        "frames leave from the adapter's own address"
    );
    let to = frame.dst_addr().0;
    if frame.ethertype() != EthernetProtocol::Arp {
        return Sent::Ip {
            to,
            packet: frame.payload().to_vec(),
        };
    }
    let arp = Arp::parse(frame.payload()).unwrap();
    assert_eq!(arp.sender_mac, MAC);
    match arp.operation {
        Operation::Request => Sent::Ask {
            to,
            sender: arp.sender,
            target: arp.target,
        },
        Operation::Reply => {
            assert_eq!(arp.target_mac, to);
            Sent::Reply {
                to,
                sender: arp.sender,
                target: arp.target,
            }
        }
    }
}
