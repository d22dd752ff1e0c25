//! The control channel: what the device says, and what it does not.

use std::time::Duration;

use lab::xhcid::Endpoints;
use lab::xhcid::scripted::message::{
    COMPLETE, INITIALIZE, KEEPALIVE, MEDIA_CONNECT, MEDIA_DISCONNECT, QUERY, RESET, SET, SUCCESS,
    indicate_status, initialize_complete, keepalive, keepalive_complete, query_complete, word,
};
use lab::xhcid::scripted::{Answer, BULK_IN, Rndis, RndisSpec};

use super::bench::{Bench, Client, Manner, PORT, SOON, frame};

const FAILURE: u32 = 0xc000_0001;

/// The device is asked whether it lives at once, so to speak.
fn impatient() -> Manner {
    Manner {
        keepalive: Duration::from_millis(50),
        ..Manner::default()
    }
}

fn kind(message: &[u8]) -> u32 {
    word(message, 0)
}

fn id(message: &[u8]) -> u32 {
    word(message, 8)
}

/// An answer to INITIALIZE that is no good.
pub(super) fn initialize_refused(request: &[u8]) -> Vec<u8> {
    let mut answer = initialize_complete(id(request), 1, 1580, 0);
    answer[12..16].copy_from_slice(&FAILURE.to_le_bytes());
    answer
}

fn works(adapter: &Rndis, client: &mut Client) {
    let there = frame(60);
    client.send(&there);
    assert!(adapter.wait_until(SOON, |adapter| adapter.frames().contains(&there)));
    let back = frame(60);
    adapter.send_frame(&back);
    assert_eq!(client.frame(), back);
}

#[test]
fn every_class_that_speaks_rndis_is_driven() {
    for class in lab::xhcid::RNDIS_CLASSES {
        let (_bench, adapter, mut client) =
            Bench::running(Manner::default(), RndisSpec::new().class(class));
        works(&adapter, &mut client);
    }
}

#[test]
fn a_device_that_never_notifies_is_asked() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let spec = RndisSpec::new().without_notifications();
        let (_bench, adapter, mut client) = Bench::running(Manner::endpoints(endpoints), spec);
        works(&adapter, &mut client);
    }
}

#[test]
fn a_device_that_takes_its_time_for_every_answer_is_waited_for() {
    let bench = Bench::new(Manner::default());
    let adapter = bench.plug(RndisSpec::new().script(|_| Answer::Later));
    let is_up = || bench.bus.is_armed(PORT, BULK_IN);
    let mut seen = 0;
    while !is_up() {
        let next = |adapter: &Rndis| adapter.requests().len() > seen || is_up();
        assert!(adapter.wait_until(SOON, next), "{}", bench.log());
        seen = adapter.requests().len();
        adapter.release();
    }
    works(&adapter, &mut Client::open(&bench.host).unwrap());
}

#[test]
fn a_device_that_notifies_of_nothing_all_the_time_is_lived_with() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    (0..200).for_each(|_| adapter.notify());
    works(&adapter, &mut client);
    client.wait_stat("notifications", |count| count >= 200);
    works(&adapter, &mut client);
}

#[test]
fn the_link_goes_down_and_up_and_the_file_says_so_by_an_event() {
    for endpoints in [Endpoints::Events, Endpoints::NonBlocking] {
        let (_bench, adapter, mut client) =
            Bench::running(Manner::endpoints(endpoints), RndisSpec::new());
        for _ in 0..3 {
            adapter.set_link(false);
            client.wait_link(false);
            adapter.set_link(true);
            client.wait_link(true);
        }
        works(&adapter, &mut client);
        assert_eq!(client.stat("indications"), 6);
    }
}

#[test]
fn a_status_in_the_middle_of_a_command_is_taken_and_the_command_goes_on() {
    // During INITIALIZE, and before the answer to each QUERY of the bring-up.
    let spec = RndisSpec::new().script(|request| match kind(request) {
        INITIALIZE => Answer::Messages(vec![
            indicate_status(MEDIA_CONNECT),
            initialize_complete(id(request), 1, 1580, 0),
        ]),
        QUERY => Answer::Messages(vec![
            indicate_status(MEDIA_DISCONNECT),
            indicate_status(MEDIA_CONNECT),
            query_complete(id(request), 0xc000_00bb, &[]),
        ]),
        _ => Answer::Usual,
    });
    let (_bench, adapter, client) = Bench::running(Manner::default(), spec);
    assert!(client.stat("indications") > 2);
    // And in the middle of KEEPALIVE.
    drop(client);
    let (_bench, adapter2, mut client) = Bench::running(impatient(), RndisSpec::new());
    adapter2.set_script(|request| match kind(request) {
        KEEPALIVE => Answer::Messages(vec![
            indicate_status(MEDIA_DISCONNECT),
            keepalive_complete(id(request), SUCCESS),
        ]),
        _ => Answer::Usual,
    });
    client.wait_link(false);
    client.wait_stat("keepalives_sent", |count| count >= 3);
    assert_eq!(client.stat("resets"), 0);
    drop(adapter);
}

#[test]
fn the_device_asks_whether_the_host_lives_and_is_answered() {
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    adapter.respond(keepalive(0x7777));
    let answered = |adapter: &Rndis| {
        let requests = adapter.requests();
        let mut answers = requests
            .iter()
            .filter(|request| kind(request) == KEEPALIVE | COMPLETE);
        answers.any(|answer| id(answer) == 0x7777 && word(answer, 12) == SUCCESS)
    };
    assert!(adapter.wait_until(SOON, answered));
    works(&adapter, &mut client);
}

#[test]
fn a_silent_device_is_asked_whether_it_lives() {
    let (_bench, adapter, mut client) = Bench::running(impatient(), RndisSpec::new());
    let asked = |adapter: &Rndis| {
        adapter
            .request_types()
            .iter()
            .filter(|&&kind| kind == KEEPALIVE)
            .count()
    };
    assert!(adapter.wait_until(SOON, |adapter| asked(adapter) >= 3));
    assert_eq!(client.stat("resets"), 0);
    works(&adapter, &mut client);
}

#[test]
fn a_badly_answered_keepalive_brings_a_reset_and_the_packet_filter_again() {
    let (_bench, adapter, mut client) = Bench::running(impatient(), RndisSpec::new());
    let before = adapter.requests().len();
    let mut bad = 1;
    adapter.set_script(move |request| match kind(request) {
        KEEPALIVE if bad > 0 => {
            bad -= 1;
            Answer::Messages(vec![keepalive_complete(id(request), FAILURE)])
        }
        _ => Answer::Usual,
    });
    let filter_set_after_reset = |adapter: &Rndis| {
        let types = adapter.request_types();
        let reset = types.iter().skip(before).position(|&kind| kind == RESET);
        reset.is_some_and(|reset| types.iter().skip(before + reset).any(|&kind| kind == SET))
    };
    assert!(
        adapter.wait_until(SOON, filter_set_after_reset),
        "{:?}",
        adapter.request_types()
    );
    assert_ne!(adapter.filter(), 0);
    assert_eq!(client.stat("resets"), 1);
    works(&adapter, &mut client);
}

#[test]
fn a_device_that_never_says_well_that_it_lives_is_given_up() {
    let (bench, adapter, _client) = Bench::running(impatient(), RndisSpec::new());
    let driver = bench.driver();
    adapter.set_script(|request| match kind(request) {
        KEEPALIVE => Answer::Messages(vec![keepalive_complete(id(request), FAILURE)]),
        _ => Answer::Usual,
    });
    bench.assert_ends(&driver, "the device keeps failing");
}

#[test]
fn a_device_that_answers_nothing_is_given_up_in_a_bounded_time() {
    let bench = Bench::new(Manner::default());
    let adapter = bench.plug(RndisSpec::new().script(|_| Answer::Messages(Vec::new())));
    let driver = bench.driver();
    bench.assert_ends(&driver, "the device does not answer INITIALIZE");
    let asked = adapter.request_types();
    assert!(
        (2..10).contains(&asked.len()) && asked.iter().all(|&kind| kind == INITIALIZE),
        "{asked:?}"
    );
    assert!(Client::open(&bench.host).is_none());
}

#[test]
fn a_device_that_stalls_every_command_is_given_up() {
    let bench = Bench::new(Manner::default());
    bench.plug(RndisSpec::new().script(|_| Answer::Stall));
    let driver = bench.driver();
    bench.assert_ends(&driver, "INITIALIZE");
}

#[test]
fn answers_of_the_wrong_kind_id_or_length_are_passed_over() {
    let short = |mut message: Vec<u8>| {
        // xhcid does not say how much came: what a message says of its own length is all there is.
        message.truncate(20);
        message[4..8].copy_from_slice(&20_u32.to_le_bytes());
        message
    };
    let spec = RndisSpec::new().script(move |request| match kind(request) {
        INITIALIZE => Answer::Messages(vec![
            Vec::new(),
            vec![0xff; 900],
            short(initialize_complete(id(request), 1, 1580, 0)),
            initialize_complete(id(request).wrapping_add(1), 1, 1580, 0),
            query_complete(id(request), SUCCESS, &[1, 2, 3, 4]),
            initialize_complete(id(request), 1, 1580, 0),
        ]),
        _ => Answer::Usual,
    });
    let (_bench, adapter, mut client) = Bench::running(Manner::default(), spec);
    works(&adapter, &mut client);
}

#[test]
fn a_refused_initialize_says_the_status() {
    let bench = Bench::new(Manner::default());
    bench.plug(RndisSpec::new().script(|request| match kind(request) {
        INITIALIZE => Answer::Messages(vec![initialize_refused(request)]),
        _ => Answer::Usual,
    }));
    let driver = bench.driver();
    bench.assert_ends(
        &driver,
        "the device refuses INITIALIZE with status 0xc0000001",
    );
}

#[test]
fn an_address_that_no_station_can_own_is_replaced() {
    let addresses: [&[u8]; 5] = [
        &[],
        &[0; 6],
        &[0xff; 6],
        &[1, 0, 0x5e, 0, 0, 1],
        &[2, 0, 0, 0, 0, 0, 1],
    ];
    for address in addresses {
        let (_bench, adapter, mut client) =
            Bench::running(Manner::default(), RndisSpec::new().mac(address));
        let mac = client.control().mac();
        assert!(
            mac.is_unicast() && mac.0[0] & 2 != 0,
            "{address:?} became {mac}"
        );
        works(&adapter, &mut client);
    }
}

#[test]
fn an_xhcid_whose_endpoints_block_is_told_of_in_one_line() {
    let bench = Bench::new(Manner::endpoints(Endpoints::Blocking));
    bench.plug(RndisSpec::new());
    let driver = bench.driver();
    bench.assert_ends(&driver, "--endpoints nonblocking");
    let log = bench.log();
    let said: Vec<_> = log
        .lines()
        .filter(|line| line.contains("usb-rndisd"))
        .collect();
    assert_eq!(
        said.iter().filter(|line| line.contains("error")).count(),
        1,
        "{said:?}"
    );
    assert_eq!(
        bench.bus.configuration(super::bench::PORT),
        None,
        "and the device was left alone"
    );
}
