//! Packets of ours that are cut.

use super::*;

fn header(packet: &[u8]) -> Ipv4Packet<&[u8]> {
    let header = Ipv4Packet::new_checked(packet).expect("an IPv4 packet");
    assert!(header.verify_checksum(), "{packet:02x?}");
    header
}

#[test]
fn rfc791_3_2_an_ipv4_packet_is_cut_into_multiples_of_eight() {
    let whole = packet(true, 4000);
    let fragments = fragments(&whole, 1500);
    let shape: Vec<_> = fragments
        .iter()
        .map(|fragment| {
            (
                fragment.len(),
                header(fragment).frag_offset(),
                header(fragment).more_frags(),
            )
        })
        .collect();
    assert_eq!(
        shape,
        [(1500, 0, true), (1500, 1480, true), (1060, 2960, false)]
    );
    for fragment in &fragments {
        let header = header(fragment);
        assert_eq!(
            (
                header.ident(),
                header.hop_limit(),
                u8::from(header.next_header())
            ),
            (0xbeef, 64, 17)
        );
        assert_eq!(usize::from(header.total_len()), fragment.len());
    }
    assert_eq!(
        super::fragments(&whole, 1501)[0].len(),
        1500,
        "no part of an eighth"
    );
}

#[test]
fn rfc8200_4_5_an_ipv6_packet_is_cut_behind_a_fragment_header() {
    let fragments = fragments(&packet(false, 4000), 1280);
    assert_eq!(
        fragments.iter().map(Vec::len).collect::<Vec<_>>(),
        [1280, 1280, 1280, 4000 - 3 * 1232 + 48]
    );
    for (number, fragment) in fragments.iter().enumerate() {
        let header = Ipv6Packet::new_checked(&fragment[..]).unwrap();
        assert_eq!(usize::from(header.payload_len()) + 40, fragment.len());
        assert_eq!((fragment[6], fragment[40], fragment[41]), (44, 17, 0));
        let read = read(fragment);
        assert_eq!(
            (read.offset, read.more, read.identification),
            (number * 1232, number < 3, 0x1234_5678)
        );
    }
}

#[test]
fn what_fits_is_left_as_it_is() {
    for v4 in [true, false] {
        let whole = packet(v4, 1200);
        let length = whole.len() as u16;
        assert_eq!(fragments(&whole, length), core::slice::from_ref(&whole));
        assert_eq!(fragments(&whole, length - 1).len(), 2);
    }
}

#[test]
fn rfc791_3_2_what_must_not_be_cut_is_not() {
    let mut whole = packet(true, 2000);
    let mut header = Ipv4Packet::new_unchecked(&mut whole);
    header.set_dont_frag(true);
    header.fill_checksum();
    assert_eq!(split(&whole, 1500, 0), Err(SplitError::DontFragment));
}

#[test]
fn rfc791_3_1_options_are_copied_when_they_say_so() {
    let mut whole = packet(true, 3000);
    // No operation, record route (not copied), router alert (copied), end of list.
    let options = [1, 7, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0];
    whole.splice(20..20, options);
    let mut header = Ipv4Packet::new_unchecked(&mut whole);
    header.set_header_len(32);
    header.set_total_len(3032);
    header.fill_checksum();
    let fragments = fragments(&whole, 1500);
    assert_eq!(fragments[0][20..32], options);
    for later in &fragments[1..] {
        assert_eq!(self::header(later).header_len(), 24);
        assert_eq!(later[20..24], [0x94, 4, 0, 0]);
    }
    let mut reassembly = Reassembly::default();
    assert_eq!(take_all(&mut reassembly, &fragments), [whole]);
}

#[test]
fn rfc791_3_2_a_fragment_can_be_cut_again() {
    let whole = packet(true, 4000);
    let again: Vec<_> = fragments(&whole, 1500)
        .iter()
        .flat_map(|fragment| fragments(fragment, 576))
        .collect();
    assert_eq!(again.len(), 8);
    let mut reassembly = Reassembly::default();
    assert_eq!(take_all(&mut reassembly, again.iter().rev()), [whole]);
    let v6 = fragments(&packet(false, 4000), 1500);
    assert_eq!(split(&v6[0], 1280, 0), Err(SplitError::Fragment));
}

#[test]
fn rfc8200_4_5_headers_for_nodes_on_the_way_begin_every_fragment() {
    let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
    let options = [43, 0, 1, 4, 0, 0, 0, 0];
    let routing = [60, 0, 253, 0, 0, 0, 0, 0];
    let last_options = [17, 0, 1, 4, 0, 0, 0, 0];
    let extensions = [hop_by_hop, options, routing, last_options].concat();
    let whole = packet_v6(&extensions, 0, &pattern(3000));
    for fragment in fragments(&whole, 1280) {
        assert_eq!(fragment[40..56], extensions[..16]);
        assert_eq!(fragment[56], 44, "behind the routing header");
        assert_eq!(
            fragment[64], 60,
            "options for the destination alone are cut with the rest"
        );
    }
    let mut reassembly = Reassembly::default();
    assert_eq!(take_all(&mut reassembly, &fragments(&whole, 1280)), [whole]);
}

#[test]
fn where_nothing_fits_nothing_is_cut() {
    assert_eq!(split(&packet(true, 100), 27, 0), Err(SplitError::TooNarrow));
    assert_eq!(fragments(&packet(true, 100), 28).len(), 13);
    assert_eq!(
        split(&packet(false, 100), 55, 0),
        Err(SplitError::TooNarrow)
    );
    assert_eq!(fragments(&packet(false, 100), 56).len(), 13);
    assert_eq!(split(&[0; 100], 50, 0), Err(SplitError::Malformed));
    assert_eq!(split(&[0x60; 30], 20, 0), Err(SplitError::Malformed));
}
