//! What an adapter sends, and what arrives of it.

use lab::xhcid::Endpoints;
use lab::xhcid::scripted::{BULK_IN, RndisSpec, message};

use super::bench::{Bench, Client, Manner, PORT, SOON, frame};

/// An adapter that puts up to eight packets into a transfer.
fn roomy() -> RndisSpec {
    RndisSpec::new().limits(8, 16 << 10, 2)
}

/// Each of these frames comes, in this order.
fn expect(client: &mut Client, frames: &[Vec<u8>]) {
    for (place, wanted) in frames.iter().enumerate() {
        assert_eq!(&client.frame(), wanted, "frame {place}");
    }
}

#[test]
fn a_frame_each_way_with_events_and_by_the_timer() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let manner = Manner::endpoints(endpoints);
        let (_bench, adapter, mut client) = Bench::running(manner, RndisSpec::new());
        assert_eq!(client.control().mtu(), 1500);
        assert_eq!(client.control().mac().to_string(), "52-54-00-12-34-57");
        assert_eq!(client.control().link().to_string(), "up 100");
        let there = frame(60);
        client.send(&there);
        assert!(adapter.wait_until(SOON, |adapter| adapter.frames() == [there.clone()]));
        let back = frame(1514);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back, "{endpoints:?}");
    }
}

#[test]
fn several_messages_in_a_transfer_are_several_frames() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), roomy());
    let frames: Vec<_> = (0..8).map(|place| frame(60 + place * 37)).collect();
    adapter.send_frames(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    expect(&mut client, &frames);
    assert_eq!(client.stat("rx_transfers"), 1);
    assert_eq!(client.stat("rx_packets_over_agreed"), 0);
}

#[test]
fn more_packets_than_agreed_are_taken_and_counted() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let frames: Vec<_> = (0..5).map(|_| frame(60)).collect();
    adapter.send_frames(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    expect(&mut client, &frames);
    assert_eq!(client.stat("rx_packets_over_agreed"), 4);
}

#[test]
fn a_message_split_at_every_byte_arrives_every_time() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), roomy());
    let frames = [frame(60), frame(61)];
    let stream: Vec<u8> = frames
        .iter()
        .flat_map(|frame| message::packet(frame, 4))
        .collect();
    for cut in 1..stream.len() {
        adapter.send_cut(&stream, &[cut]);
        expect(&mut client, &frames);
    }
    // And one byte at a time.
    adapter.send_cut(&stream, &(1..stream.len()).collect::<Vec<_>>());
    expect(&mut client, &frames);
    assert_eq!(client.stat("rx_garbage_bytes"), 0);
}

#[test]
fn garbage_between_messages_loses_only_what_is_damaged() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), roomy());
    let frames: Vec<_> = (0..4).map(|_| frame(90)).collect();
    let messages: Vec<_> = frames
        .iter()
        .map(|frame| message::packet(frame, 4))
        .collect();
    for place in 1..messages.len() {
        let (before, after) = messages.split_at(place);
        adapter.send_raw(&[before.concat(), vec![0xa5; 13], after.concat()].concat());
        expect(&mut client, &frames);
    }
    assert_eq!(client.stat("rx_garbage_bytes"), 3 * 13);
    // A transfer of nothing else, of all kinds of bytes; the next frame is there.
    for byte in [0x00, 0x01, 0xa5, 0xff] {
        adapter.send_raw(&[byte; 700]);
        let next = frame(70);
        adapter.send_frame(&next);
        expect(&mut client, &[next]);
    }
}

/// Sends a message whose words were changed, between two that are in order; exactly it is lost, under that reason.
fn lost(words: &[(usize, u32)], reason: &str) {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), roomy());
    let frames = [frame(80), frame(80)];
    let mut broken = message::packet(&frame(80), 4);
    for &(at, word) in words {
        broken[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    adapter.send_frame(&frames[0]);
    adapter.send_raw(&broken);
    adapter.send_frame(&frames[1]);
    expect(&mut client, &frames);
    assert_eq!(client.stat(reason), 1, "{reason}");
    assert_eq!(client.stat("rx_frames"), 2);
}

#[test]
fn cve_2026_80814_a_frame_that_lies_outside_its_message_is_lost_and_nothing_else() {
    lost(&[(8, 4000)], "rx_drop_data_range");
    lost(&[(12, 5000)], "rx_drop_data_range");
    lost(&[(8, 0)], "rx_drop_data_range");
}

#[test]
fn cve_2023_54110_an_offset_that_wraps_around_is_lost_and_nothing_else() {
    lost(&[(8, 0xffff_fff8), (12, 80)], "rx_drop_data_range");
    lost(&[(8, 36), (12, 0xffff_ffff)], "rx_drop_data_range");
}

#[test]
fn a_message_length_that_lies_is_lost_and_nothing_else() {
    lost(&[(4, 0)], "rx_drop_message_length");
    lost(&[(4, 43)], "rx_drop_message_length");
    lost(&[(4, 0xffff_ffff)], "rx_drop_message_length");
}

#[test]
fn runts_and_giants_are_dropped_under_their_reason() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), roomy());
    let good = frame(60);
    adapter.send_frame(&frame(13));
    adapter.send_frame(&frame(1600));
    adapter.send_frame(&good);
    expect(&mut client, &[good]);
    assert_eq!(
        (client.stat("rx_drop_runt"), client.stat("rx_drop_too_long")),
        (1, 1)
    );
}

#[test]
fn stale_bytes_behind_a_short_transfer_are_never_a_frame() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let (_bench, adapter, mut client) = Bench::running(Manner::endpoints(endpoints), roomy());
        let (old, next) = (frame(1514), frame(60));
        let whole = message::packet(&old, 4);
        adapter.send_raw(&whole);
        expect(&mut client, std::slice::from_ref(&old));
        // The same message again, but the transfer ends within it; its rest is what the buffers had before.
        for end in [1, 44, 700, 44 + 1513] {
            adapter.send_raw(&whole[..end]);
            adapter.send_frame(&next);
            expect(&mut client, std::slice::from_ref(&next));
        }
        assert_eq!(client.frame_now(), None);
        assert_eq!(client.stat("rx_frames"), 5);
    }
}

#[test]
fn no_data_yet_and_an_empty_transfer_are_two_things() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let (bench, adapter, mut client) = Bench::running(Manner::endpoints(endpoints), roomy());
        assert!(
            bench.bus.is_armed(PORT, BULK_IN),
            "no data yet: the transfer waits"
        );
        assert_eq!(client.stat("rx_transfers"), 0);
        for empty in 1..=3 {
            adapter.send_raw(&[]);
            client.wait_stat("rx_transfers_empty", |count| count == empty);
            assert!(
                bench
                    .bus
                    .wait_until(SOON, || bench.bus.is_armed(PORT, BULK_IN))
            );
        }
        // In the middle of a message it is the end of a transfer and no more.
        let (cut, next) = (frame(300), frame(60));
        let whole = message::packet(&cut, 4);
        adapter.send_raw(&whole[..100]);
        adapter.send_raw(&[]);
        adapter.send_raw(&whole[100..]);
        adapter.send_frame(&next);
        expect(&mut client, &[cut, next]);
        assert_eq!(client.stat("rx_transfers_empty"), 4);
    }
}

#[test]
fn a_transfer_that_fills_the_read_goes_on_in_the_next() {
    let (_bench, adapter, mut client) =
        Bench::running(Manner::default(), RndisSpec::new().limits(64, 16 << 10, 0));
    let frames: Vec<_> = (0..40).map(|_| frame(1514)).collect();
    // Three and a half reads in one go.
    adapter.send_frames(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    expect(&mut client, &frames);
    assert_eq!(client.stat("rx_transfers"), 4);
    assert_eq!(client.stat("rx_garbage_bytes"), 0);
}

#[test]
fn a_reader_that_is_slow_holds_the_device_up_and_loses_nothing() {
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let frames: Vec<_> = (0..300).map(|_| frame(1000)).collect();
    frames.iter().for_each(|frame| adapter.send_frame(frame));
    // The pipe is full and so is the driver; no more are asked for.
    client.wait_stat("rx_transfers", |count| count > 60);
    assert!(
        bench
            .bus
            .wait_until(SOON, || !bench.bus.is_armed(PORT, BULK_IN))
    );
    assert!(client.stat("rx_transfers") < 200);
    expect(&mut client, &frames);
    assert_eq!(client.stat("rx_transfers"), 300);
}

#[test]
fn frames_that_nobody_reads_are_counted() {
    let (bench, adapter, client) = Bench::running(Manner::default(), RndisSpec::new());
    drop(client);
    (0..10).for_each(|_| adapter.send_frame(&frame(60)));
    // When the driver waits again it has taken them all.
    let waits = || bench.bus.is_armed(PORT, BULK_IN);
    assert!(bench.bus.wait_until(SOON, waits));
    let client = Client::open(&bench.host).unwrap();
    assert_eq!(client.stat("rx_no_reader"), 10);
}

#[test]
fn an_endpoint_that_the_device_halts_is_started_again() {
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    for halts in 1..=3 {
        adapter.stall(BULK_IN);
        client.wait_stat("halts", |count| count == halts);
        let next = frame(60);
        adapter.send_frame(&next);
        expect(&mut client, &[next]);
    }
    assert!(bench.driver().is_running());
}

#[test]
fn a_device_that_keeps_halting_its_endpoint_is_given_up() {
    let (bench, adapter, client) = Bench::running(Manner::default(), RndisSpec::new());
    let driver = bench.driver();
    for halts in 1..=8 {
        adapter.stall(BULK_IN);
        client.wait_stat("halts", |count| count == halts);
    }
    adapter.stall(BULK_IN);
    bench.assert_ends(
        &driver,
        "the device keeps halting its endpoints: 8 times in a row",
    );
    assert_eq!(adapter.request_types().last(), Some(&message::HALT));
}

#[test]
fn an_xhcid_that_cannot_start_a_halted_endpoint_is_said_so() {
    let manner = Manner::endpoints(Endpoints::NonBlocking);
    let (bench, adapter, _client) = Bench::running(manner, RndisSpec::new());
    let driver = bench.driver();
    adapter.stall(BULK_IN);
    bench.assert_ends(
        &driver,
        "xhcid holds a transfer on endpoint 2 for unfinished",
    );
}
