//! What routers say of the link, and connections that are already there.

use super::*;

/// Of the TCP segments with data that A sent since the last question: length, hop limit and flow label.
fn segments(network: &mut Network) -> Vec<(usize, u8, u32)> {
    let taken = network.wire.taken();
    let sent = taken.iter().filter(|(from, _)| *from == End::A);
    sent.filter_map(|(_, frame)| {
        let frame = EthernetFrame::new_checked(&frame[..]).ok()?;
        let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
        let data = packet.next_header() == IpProtocol::Tcp && packet.payload().len() > 100;
        data.then(|| (packet.total_len(), packet.hop_limit(), packet.flow_label()))
    })
    .collect()
}

/// RFC 4861 section 6.3.4: CurHopLimit and MTU hold for a connection that is older than the advertisement. RFC 6437
/// section 3: one flow, one label.
#[test]
fn rfc4861_6_3_4_a_connection_follows_the_hop_limit_and_the_mtu_of_the_link() {
    let mut network = Network::settled();
    let there = preferred(&network.wire.b);
    let (client, _server) = connected(&mut network.wire, End::B, there);
    let talk = |network: &mut Network| {
        network.wire.taken();
        let now = network.wire.now;
        let sent = network.wire.a.send(now, client, &[7; 4000], None);
        assert_eq!(sent, Ok(4000));
        network.wire.run_for(Duration::from_millis(50));
        segments(network)
    };
    let before = talk(&mut network);
    let (length, hops, label) = before[0];
    assert_eq!((length, hops), (1500, 64), "{before:?}");
    assert_ne!(label, 0, "{before:?}");
    let mut ra = Ra::from(1).mtu(1400);
    ra.cur_hop_limit = 33;
    network.announce(ra);
    network.wire.run_for(Duration::from_millis(50));
    let after = talk(&mut network);
    let (length, hops, other) = after[0];
    assert_eq!((length, hops, other), (1400, 33, label), "{after:?}");
    assert!(
        after.iter().all(|(length, ..)| *length <= 1400),
        "{after:?}"
    );
    // Who has said what it wants gets that, be it the usual number.
    let own = SocketOption::TimeToLive(64);
    network.wire.a.stack.set_option(client, own).unwrap();
    assert_eq!(talk(&mut network)[0].1, 64);
    // Another connection is another flow.
    let (second, _server) = connected(&mut network.wire, End::B, there);
    let now = network.wire.now;
    network.wire.taken();
    assert_eq!(network.wire.a.send(now, second, &[7; 500], None), Ok(500));
    network.wire.run_for(Duration::from_millis(50));
    let (_, hops, another) = segments(&mut network)[0];
    assert_eq!(hops, 33);
    assert_ne!(another, label);
}
