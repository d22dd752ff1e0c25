//! Whatever the cuts and the order: the datagram comes back, or nothing does.

use proptest::prelude::*;

use super::*;

/// A packet of either family, as fragments of random lengths.
fn cut_anyhow(v4: bool, length: usize, lengths: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let whole = packet(v4, length);
    let header = whole.len() - length;
    let (mut made, mut offset) = (Vec::new(), 0);
    let mut turns = lengths.iter().cycle();
    while offset < length {
        let step = (8 * turns.next().copied().unwrap_or(1)).min(length - offset);
        // The first one has the UDP header.
        let more = offset + step < length;
        made.push(fragment_of(&whole, header, offset, step, more));
        offset += step;
    }
    (whole, made)
}

/// One fragment of `whole`, made by hand.
fn fragment_of(whole: &[u8], header: usize, offset: usize, length: usize, more: bool) -> Vec<u8> {
    let mut bytes = whole[..header].to_vec();
    if header == 40 {
        let field = offset as u16 | u16::from(more);
        let [a, b] = field.to_be_bytes();
        bytes.extend([bytes[6], 0, a, b, 0, 0, 0, 9]);
        bytes[6] = 44;
    }
    bytes.extend_from_slice(&whole[header + offset..header + offset + length]);
    let total = bytes.len();
    if header == 40 {
        Ipv6Packet::new_unchecked(&mut bytes).set_payload_len((total - 40) as u16);
    } else {
        let mut fields = Ipv4Packet::new_unchecked(&mut bytes);
        fields.set_total_len(total as u16);
        fields.set_frag_offset(offset as u16);
        fields.set_more_frags(more);
        fields.fill_checksum();
    }
    bytes
}

/// A permutation that `keys` choose.
fn shuffle<T>(things: Vec<T>, keys: &[u32]) -> Vec<T> {
    let mut keyed: Vec<_> = keys.iter().copied().cycle().zip(things).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, thing)| thing).collect()
}

proptest! {
    #[test]
    fn random_cuts_orders_and_duplicates_give_the_datagram_back(
        v4 in any::<bool>(),
        length in 17_usize..6000,
        lengths in proptest::collection::vec(1_usize..200, 1..5),
        keys in proptest::collection::vec(any::<u32>(), 128),
        again in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let (whole, fragments) = cut_anyhow(v4, length, &lengths);
        prop_assume!((2..=MAX_FRAGMENTS).contains(&fragments.len()));
        let mut sent: Vec<_> = shuffle(fragments.clone(), &keys);
        // The last to come first has no duplicate before it: whole is whole only then.
        let last = sent.pop().expect("a fragment");
        for index in again {
            let duplicate = index.get(&sent).clone();
            sent.insert(index.index(sent.len()), duplicate);
        }
        let mut reassembly = Reassembly::default();
        prop_assert_eq!(take_all(&mut reassembly, &sent), Vec::<Vec<u8>>::new());
        check_account(&reassembly);
        prop_assert_eq!(take_all(&mut reassembly, [&last]), [whole]);
        prop_assert_eq!((reassembly.len(), reassembly.bytes()), (0, 0));
    }

    #[test]
    fn overlaps_never_give_a_datagram(
        v4 in any::<bool>(),
        length in 64_usize..6000,
        lengths in proptest::collection::vec(1_usize..200, 1..5),
        keys in proptest::collection::vec(any::<u32>(), 128),
        place in any::<proptest::sample::Index>(),
        from in any::<proptest::sample::Index>(),
        size in 1_usize..100,
    ) {
        let (whole, fragments) = cut_anyhow(v4, length, &lengths);
        prop_assume!((2..MAX_FRAGMENTS).contains(&fragments.len()));
        // A fragment of the same datagram, cut elsewhere, that is none of the others: bytes and all it is true, but
        // who sends such a thing means no good.
        let header = whole.len() - length;
        let offset = from.index(length) & !7;
        let step = (8 * size).min(length - offset);
        let other = fragment_of(&whole, header, offset, step, offset + step < length);
        prop_assume!(!fragments.contains(&other) && other.len() < whole.len());
        let mut sent = shuffle(fragments, &keys);
        let place = place.index(sent.len());
        sent.insert(place, other);
        let mut reassembly = Reassembly::default();
        prop_assert_eq!(take_all(&mut reassembly, &sent), Vec::<Vec<u8>>::new());
        prop_assert_eq!(reassembly.expire(start() + IPV6_TIMEOUT), Vec::new());
        prop_assert_eq!((reassembly.len(), reassembly.bytes()), (0, 0));
    }

    #[test]
    fn what_is_split_is_put_together(
        v4 in any::<bool>(),
        length in 8_usize..20_000,
        mtu in 600_u16..3000,
        keys in proptest::collection::vec(any::<u32>(), 64),
    ) {
        let whole = packet(v4, length);
        let fragments = fragments(&whole, mtu);
        prop_assert!(fragments.iter().all(|fragment| fragment.len() <= usize::from(mtu)));
        if fragments.len() == 1 {
            prop_assert_eq!(&fragments[0], &whole);
        } else {
            let mut reassembly = Reassembly::default();
            prop_assert_eq!(take_all(&mut reassembly, &shuffle(fragments, &keys)), [whole]);
        }
    }

    #[test]
    fn fragments_that_make_no_sense_keep_within_the_bounds(
        all in proptest::collection::vec((0_u8..3, 0_usize..9000, any::<bool>(), 0_usize..64, 0_u32..2), 0..200),
    ) {
        let data = pattern(64);
        let mut reassembly = Reassembly::default();
        for (source, offset, more, length, identification) in all {
            let fragment = Fragment {
                link: ETH0,
                source: [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(source)].into(),
                destination: "2001:db8::2".parse().unwrap(),
                protocol: 17,
                identification,
                offset: 8 * offset,
                more,
                packet: &data[..length],
                unfragmentable: 40,
                next_header_at: 6,
                data: &data[..length],
            };
            reassembly.take(start(), &fragment);
            check_account(&reassembly);
        }
        reassembly.expire(start() + IPV6_TIMEOUT);
        prop_assert_eq!((reassembly.len(), reassembly.bytes()), (0, 0));
    }
}
