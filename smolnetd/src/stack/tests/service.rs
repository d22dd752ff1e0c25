//! Stories of the byte that IPv4 calls type of service and IPv6 traffic class (RFC 2474, RFC 3168).

use smoltcp::time::Duration;
use smoltcp::wire::IpProtocol;

use super::path_mtu::{sent, stream};
use super::wire::{B, B6, Wire, at};
use crate::ip::Incoming;
use crate::socket::{SocketKind, SocketOption};

/// AF21, with the two bits that are not a socket's to set (RFC 3168 5).
const ASKED: u8 = 0x48 | 3;

/// The class in each packet of that protocol that A has sent since the last time; every packet must be whole.
fn classes(wire: &mut Wire, protocol: IpProtocol) -> Vec<u8> {
    let packets = sent(wire, protocol);
    let class = |packet: &Vec<u8>| {
        assert!(Incoming::parse(packet).is_ok(), "{packet:?}");
        match packet[0] >> 4 {
            4 => packet[1],
            _ => packet[0] << 4 | packet[1] >> 4,
        }
    };
    packets.iter().map(class).collect()
}

#[test]
fn rfc2474_datagrams_and_segments_have_the_class_that_was_asked_for() {
    for peer in [B, B6] {
        let mut wire = Wire::dual();
        wire.listen();
        let (client, _accepted) = stream(&mut wire, peer);
        let datagrams = wire.a.open(SocketKind::Udp);
        let _ = classes(&mut wire, IpProtocol::Tcp);
        for (asked, told) in [(None, 0), (Some(ASKED), ASKED & !3), (Some(0), 0)] {
            if let Some(class) = asked {
                let class = SocketOption::TrafficClass(class);
                for id in [client, datagrams] {
                    wire.a.stack.set_option(id, class).unwrap();
                }
            }
            let (now, to) = (wire.now, at(peer, 9));
            wire.a.send(now, datagrams, b"x", Some(to)).unwrap();
            wire.run_for(Duration::from_millis(300));
            assert_eq!(classes(&mut wire, IpProtocol::Udp), [told], "{peer}");
            wire.a.send(wire.now, client, b"x", None).unwrap();
            wire.run_for(Duration::from_millis(300));
            assert_eq!(classes(&mut wire, IpProtocol::Tcp), [told], "{peer}");
        }
    }
}
