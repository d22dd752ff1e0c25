//! What is sent, and how it is packed.

use lab::xhcid::Endpoints;
use lab::xhcid::scripted::{BULK_OUT, Reply, RndisSpec};

use super::bench::{Bench, Manner, PORT, SOON, frame};

/// The bulk-OUT endpoint's packets.
const PACKET: usize = 64;

#[test]
fn one_byte_of_padding_takes_the_place_of_a_packet_without_bytes() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let frames: Vec<_> = (60..60 + 2 * PACKET).map(frame).collect();
    frames.iter().for_each(|frame| client.send(frame));
    client.drain();
    assert!(adapter.wait_until(SOON, |adapter| adapter.transfers().len() == frames.len()));
    assert_eq!(adapter.frames(), frames);
    for transfer in adapter.transfers() {
        assert_ne!(
            transfer.len() % PACKET,
            0,
            "a transfer of {} bytes has no end",
            transfer.len()
        );
    }
    assert_eq!(
        client.stat("tx_padding_bytes"),
        2,
        "of 128 lengths, two needed it"
    );
}

#[test]
fn what_gathers_during_a_transfer_is_sent_in_the_next_as_was_agreed() {
    for (packets, alignment) in [(1, 0), (3, 0), (8, 2), (8, 4), (8, 7)] {
        let spec = RndisSpec::new()
            .limits(packets, 16 << 10, alignment)
            .holds_data();
        let (bench, adapter, mut client) = Bench::running(Manner::default(), spec);
        let frames: Vec<_> = (0..9).map(|place| frame(61 + place)).collect();
        client.send(&frames[0]);
        assert!(adapter.wait_until(SOON, |adapter| adapter.transfers().len() == 1));
        frames[1..].iter().for_each(|frame| client.send(frame));
        let mut answered = 0;
        while adapter.frames() != frames {
            assert!(adapter.wait_until(SOON, |adapter| adapter.transfers().len() > answered));
            assert!(bench.bus.answer(PORT, Reply::Done(Vec::new())));
            answered += 1;
            client.drain_some();
        }
        let transfers = adapter.transfers();
        assert_eq!(
            transfers.len(),
            1 + 8_usize.div_ceil(packets as usize),
            "{packets} packets"
        );
        for transfer in &transfers {
            assert_aligned(transfer, 1 << alignment);
        }
    }
}

/// Each message of a transfer begins at a multiple of `alignment`.
fn assert_aligned(transfer: &[u8], alignment: usize) {
    let mut at = 0;
    while at < transfer.len() {
        assert_eq!(at % alignment, 0, "a message at {at}");
        let length = transfer[at + 4..at + 8].try_into().unwrap();
        at += u32::from_le_bytes(length) as usize;
    }
    assert_eq!(at, transfer.len(), "no byte is outside of a message");
}

#[test]
fn a_device_that_takes_nothing_holds_the_sender_up_but_not_what_it_sends_itself() {
    let spec = RndisSpec::new().holds_data();
    let (bench, adapter, mut client) = Bench::running(Manner::default(), spec);
    let frames: Vec<_> = (0..20).map(|_| frame(1000)).collect();
    frames.iter().for_each(|frame| client.send(frame));
    client.wait_stat("tx_full", |count| count > 0);
    assert!(
        adapter.frames().len() <= 2,
        "one is under way, one waits, the rest is in the pipe"
    );
    for _ in 0..50 {
        let back = frame(60);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back);
    }
    while adapter.frames().len() < frames.len() {
        let before = adapter.transfers().len();
        assert!(bench.bus.answer(PORT, Reply::Done(Vec::new())));
        client.drain_some();
        assert!(adapter.wait_until(SOON, |adapter| adapter.transfers().len() > before));
    }
    assert_eq!(adapter.frames(), frames, "in their order");
}

#[test]
fn frames_pass_both_ways_at_once() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        const FRAMES: usize = 300;
        let (_bench, adapter, mut client) =
            Bench::running(Manner::endpoints(endpoints), RndisSpec::new());
        let there: Vec<_> = (0..FRAMES).map(|_| frame(900)).collect();
        let back: Vec<_> = (0..FRAMES).map(|_| frame(900)).collect();
        for (there, back) in there.iter().zip(&back) {
            adapter.send_frame(back);
            client.send(there);
            assert_eq!(&client.frame(), back);
        }
        client.drain();
        assert!(adapter.wait_until(SOON, |adapter| adapter.frames().len() == FRAMES));
        assert_eq!(adapter.frames(), there);
    }
}

#[test]
fn a_frame_that_fits_into_no_transfer_of_the_device_is_refused() {
    let spec = RndisSpec::new().limits(1, 1000, 0);
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), spec);
    let mtu = client.control().mtu();
    assert!((900..1000).contains(&mtu), "{mtu}");
    let longest = frame(usize::from(mtu) + 14);
    client.send(&longest);
    assert!(adapter.wait_until(SOON, |adapter| adapter.frames() == [longest.clone()]));
    assert!(adapter.transfers()[0].len() <= 1000);
}

#[test]
fn a_halted_endpoint_costs_the_transfer_and_no_more() {
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    for halts in 1..=3 {
        adapter.stall(BULK_OUT);
        client.send(&frame(60));
        client.wait_stat("halts", |count| count == halts);
        let next = frame(60);
        client.send(&next);
        assert!(
            adapter.wait_until(SOON, |adapter| adapter.frames().last() == Some(&next)),
            "{}",
            bench.log()
        );
    }
    assert_eq!(client.stat("tx_transfers_halted"), 3);
}
