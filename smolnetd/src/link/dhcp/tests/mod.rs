//! Stories of the DHCP client, told through an adapter: a server of the test's own at the other end of the wire.

mod hostile;
mod renewal;
mod start;

use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv4Repr,
    UdpPacket, UdpRepr,
};

use super::wire::option;
use crate::link::tests::{Bench, MAC, OURS, PEER, PEER_MAC, Sent, frame};
use crate::link::{Lease, LinkEvent};

const BROADCAST: [u8; 6] = [0xff; 6];
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// A message of the client, read by other hands than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FromClient {
    kind: DhcpMessageType,
    to: [u8; 6],
    source: Ipv4Addr,
    destination: Ipv4Addr,
    xid: u32,
    secs: u16,
    broadcast: bool,
    ciaddr: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

/// A reply, option by option.
#[derive(Clone, Debug)]
struct FromServer {
    kind: u8,
    xid: u32,
    chaddr: [u8; 6],
    yiaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
}

impl FromServer {
    /// As slirp and most home routers say it.
    fn new(kind: u8, xid: u32, lease_seconds: u32) -> FromServer {
        let options = vec![
            (option::SERVER_IDENTIFIER, PEER.octets().to_vec()),
            (option::SUBNET_MASK, MASK.octets().to_vec()),
            (option::ROUTER, PEER.octets().to_vec()),
            (option::DOMAIN_NAME_SERVER, DNS.octets().to_vec()),
            (option::LEASE_TIME, lease_seconds.to_be_bytes().to_vec()),
        ];
        FromServer {
            kind,
            xid,
            chaddr: MAC,
            yiaddr: OURS,
            options,
        }
    }

    fn offer(to: &FromClient) -> FromServer {
        FromServer::new(2, to.xid, 3600)
    }

    fn ack(to: &FromClient) -> FromServer {
        FromServer::new(5, to.xid, 3600)
    }

    fn nak(to: &FromClient) -> FromServer {
        let options = vec![(option::SERVER_IDENTIFIER, PEER.octets().to_vec())];
        FromServer {
            kind: 6,
            xid: to.xid,
            chaddr: MAC,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            options,
        }
    }

    /// With this option instead of the one it has.
    fn with(mut self, code: u8, value: &[u8]) -> FromServer {
        self = self.without(code);
        self.options.push((code, value.to_vec()));
        self
    }

    fn without(mut self, code: u8) -> FromServer {
        self.options.retain(|(other, _)| *other != code);
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut message = vec![2, 1, 6, 0];
        message.extend(self.xid.to_be_bytes());
        message.extend([0; 8]);
        message.extend(self.yiaddr.octets());
        message.extend([0; 8]);
        message.extend(self.chaddr);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99, option::MESSAGE_TYPE, 1, self.kind]);
        for (code, value) in &self.options {
            message.extend([*code, u8::try_from(value.len()).unwrap()]);
            message.extend(value);
        }
        message.push(option::END);
        message
    }
}

/// A UDP datagram from port 67 to port 68, in IPv4.
fn packet(message: &[u8], destination: Ipv4Addr) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 67,
        dst_port: 68,
    };
    let ip = Ipv4Repr {
        src_addr: PEER,
        dst_addr: destination,
        next_header: IpProtocol::Udp,
        payload_len: 8 + message.len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; 28 + message.len()];
    let mut ip_packet = Ipv4Packet::new_unchecked(bytes.as_mut_slice());
    ip.emit(&mut ip_packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(ip_packet.payload_mut()),
        &PEER.into(),
        &destination.into(),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &checksums,
    );
    bytes
}

impl Bench {
    /// What the client sent since the last call; everything else that left is passed over.
    fn client_messages(&mut self) -> Vec<FromClient> {
        self.sent().into_iter().filter_map(read).collect()
    }

    /// The one message that the client sent since the last call.
    fn client_message(&mut self) -> FromClient {
        let messages = self.client_messages();
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages[0].clone()
    }

    fn serve(&mut self, reply: &FromServer) {
        self.serve_bytes(&reply.message());
    }

    fn serve_bytes(&mut self, message: &[u8]) {
        let bytes = packet(message, OURS);
        let left = self.receive(&frame(MAC, PEER_MAC, EthernetProtocol::Ipv4, &bytes));
        assert_eq!(left, None, "it is for the client alone");
    }

    /// From nothing to a lease of so many seconds.
    fn lease(&mut self, seconds: u32) -> Lease {
        self.link.dhcp_enable(self.now, true);
        self.run(Duration::ZERO);
        let discover = self.client_message();
        self.serve(&FromServer::new(2, discover.xid, seconds));
        let request = self.client_message();
        self.serve(&FromServer::new(5, request.xid, seconds));
        match self.events().as_slice() {
            [LinkEvent::Lease(lease)] => lease.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// A lease, its address announced, and nothing left to read.
    fn settled_lease(&mut self, seconds: u32) -> Lease {
        let lease = self.lease(seconds);
        self.run(Duration::from_secs(4));
        self.sent();
        lease
    }
}

fn read(sent: Sent) -> Option<FromClient> {
    let Sent::Ip { to, packet } = sent else {
        return None;
    };
    let ip = Ipv4Packet::new_checked(packet.as_slice()).unwrap();
    assert!(ip.verify_checksum());
    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!((udp.src_port(), udp.dst_port()), (68, 67));
    assert!(udp.payload().len() >= 300, "RFC 1542 section 2.1");
    let message = DhcpPacket::new_checked(udp.payload()).unwrap();
    let repr = DhcpRepr::parse(&message).unwrap();
    assert_eq!(repr.client_hardware_address.0, MAC);
    assert_eq!(repr.client_identifier.unwrap().0, MAC);
    Some(FromClient {
        kind: repr.message_type,
        to,
        source: ip.src_addr(),
        destination: ip.dst_addr(),
        xid: repr.transaction_id,
        secs: repr.secs,
        broadcast: repr.broadcast,
        ciaddr: repr.client_ip,
        requested: repr.requested_ip,
        server: repr.server_identifier,
    })
}
