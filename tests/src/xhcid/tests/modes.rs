//! Transfers on endpoints, in each kind of xhcid.

use netscheme::reactor::Reactor;
use syscall::error::{EBADF, EBADFD, EINVAL, EIO, EWOULDBLOCK};
use syscall::flag::{EventFlags, O_NONBLOCK};

use super::*;
use crate::xhcid::scripted::{BULK_IN, BULK_OUT, message};

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;
const ALL: [Endpoints; 3] = [
    Endpoints::Blocking,
    Endpoints::NonBlocking,
    Endpoints::Events,
];

fn result(kind: &str, bytes: usize) -> String {
    format!(r#"{{"TransferResult":{{"kind":"{kind}","bytes_transferred":{bytes}}}}}"#)
}

#[test]
fn the_stages_of_a_transfer_are_told_by_ctl() {
    for endpoints in ALL {
        let bench = bench(endpoints);
        let bulk_in = bench.client.endpoint(2, 0).unwrap();
        assert_eq!(bulk_in.answer().unwrap(), r#""Idle""#);
        assert_eq!(bulk_in.read(64).unwrap_err().errno, EBADF, "not asked for");
        bulk_in.transfer("In", 100).unwrap();
        assert_eq!(bulk_in.answer().unwrap(), r#""Pending""#);
        assert_eq!(bulk_in.transfer("In", 1).unwrap_err().errno, EBADF, "twice");
        assert_eq!(
            bulk_in.write(&[0; 4]).unwrap_err().errno % 50,
            EBADF % 50,
            "the other way"
        );
        assert_eq!(
            bulk_in.read(101).unwrap_err().errno,
            EINVAL,
            "more than asked for"
        );
        bench.adapter.send_raw(&[7; 60]);
        assert_eq!(bulk_in.read(100).unwrap(), [7; 60], "waits if it must");
        assert_eq!(bulk_in.answer().unwrap(), result("ShortPacket", 60));
        assert_eq!(bulk_in.answer().unwrap(), r#""Idle""#, "once");
    }
}

#[test]
fn a_transfer_in_pieces_goes_on_until_one_is_short_or_all_is_there() {
    let bench = bench(Endpoints::Events);
    let bulk_in = bench.client.endpoint(2, 0).unwrap();
    bench.adapter.send_raw(&[1; 128]);
    bulk_in.transfer("In", 128).unwrap();
    assert_eq!(bulk_in.read(64).unwrap(), [1; 64]);
    assert_eq!(bulk_in.answer().unwrap(), r#""Pending""#);
    assert_eq!(bulk_in.read(64).unwrap(), [1; 64]);
    assert_eq!(bulk_in.answer().unwrap(), result("Success", 64));
}

#[test]
fn an_empty_transfer_is_not_no_data_yet() {
    let bench = bench(Endpoints::NonBlocking);
    let bulk_in = bench.client.nonblocking(2);
    bulk_in.arm(64).unwrap();
    assert_eq!(
        bulk_in.read(64).unwrap_err().errno,
        EWOULDBLOCK,
        "41, not 11"
    );
    bench.adapter.send_raw(&[]);
    assert!(poll(&bulk_in, 64).is_empty());
    assert_eq!(bulk_in.answer().unwrap(), result("ShortPacket", 0));
}

/// Reads again and again, as the fork's driver has to.
fn poll(endpoint: &client::Endpoint, length: usize) -> Vec<u8> {
    loop {
        match endpoint.read(length) {
            Err(error) if error.errno == EWOULDBLOCK => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

#[test]
fn what_the_fork_does_a_read_that_waits_does_not_keep_others_from_sending() {
    let bench = bench(Endpoints::NonBlocking);
    let (bulk_in, bulk_out) = (bench.client.nonblocking(2), bench.client.nonblocking(3));
    bulk_in.arm(1580).unwrap();
    let frame = message::packet(&[0x55; 60], 1);
    bulk_out.transfer("Out", frame.len()).unwrap();
    assert_eq!(
        bulk_out.write(&frame).unwrap(),
        frame.len(),
        "waits for its end"
    );
    assert_eq!(bulk_out.answer().unwrap(), result("Success", frame.len()));
    assert_eq!(bench.adapter.frames(), [[0x55; 60]]);
    let mut reactor = Reactor::new().unwrap();
    reactor.watch(bulk_in.data.raw(), 0, READ).unwrap();
    bench.adapter.send_frame(&[0x66; 60]);
    assert_eq!(poll(&bulk_in, 1580), message::packet(&[0x66; 60], 1));
    let nothing = bulk_in.wait_on_nothing(&mut reactor);
    assert_eq!(nothing, EventFlags::empty(), "it has no events");
}

impl client::Endpoint {
    /// What a queue has that watches nothing.
    fn wait_on_nothing(&self, reactor: &mut Reactor) -> EventFlags {
        let mut events = Vec::new();
        reactor
            .wait(Some(netscheme::clock::now()), &mut events)
            .unwrap();
        events
            .first()
            .map_or(EventFlags::empty(), |event| event.flags)
    }
}

#[test]
fn what_upstream_does_a_read_that_waits_blocks_the_whole_controller() {
    let bench = bench(Endpoints::Blocking);
    let bulk_in = bench.client.endpoint(2, O_NONBLOCK).unwrap();
    bulk_in.transfer("In", 64).unwrap();
    let scheme = bench.xhcid.scheme().to_owned();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let _here = bench.host.enter(ProcessSpec::new("reader"));
            // O_NONBLOCK, for nothing.
            let own = Client::open(&scheme, PORT).unwrap();
            own.endpoint(2, O_NONBLOCK).unwrap().read(64).unwrap()
        });
        let waits = |adapter: &Rndis| {
            let _ = adapter;
            bench.bus.is_armed(PORT, BULK_IN)
        };
        assert!(bench.adapter.wait_until(SOON, waits));
        let other = bench.host.spawn(ProcessSpec::new("other"), {
            let scheme = scheme.clone();
            move || {
                Client::open(&scheme, PORT).map_or(1, |port| i32::from(port.text("state").is_err()))
            }
        });
        assert!(other.wait_parked(SOON));
        assert_eq!(
            other.wait(Duration::from_millis(200)),
            None,
            "nobody is served"
        );
        bench.adapter.send_raw(b"at last");
        assert_eq!(reader.join().unwrap(), b"at last");
        assert_eq!(other.wait(SOON), Some(redox_host::ExitStatus::Exited(0)));
    });
}

#[test]
fn with_events_a_completion_wakes_its_driver_once() {
    let bench = bench(Endpoints::Events);
    let bulk_in = bench.client.nonblocking(2);
    let mut reactor = Reactor::new().unwrap();
    bulk_in.arm(1580).unwrap();
    reactor.watch(bulk_in.data.raw(), 7, READ).unwrap();
    assert_eq!(bulk_in.wait_on_nothing(&mut reactor), EventFlags::empty());
    for round in 0..100_u8 {
        bench.adapter.send_raw(&[round; 99]);
        assert_eq!(bulk_in.wait_on(&mut reactor), READ, "round {round}");
        assert_eq!(bulk_in.read(1580).unwrap(), [round; 99]);
        assert_eq!(bulk_in.answer().unwrap(), result("ShortPacket", 99));
        bulk_in.arm(1580).unwrap();
        assert_eq!(bulk_in.wait_on_nothing(&mut reactor), EventFlags::empty());
    }
}

#[test]
fn with_events_data_that_is_there_already_is_told_after_the_read_that_asked_for_it() {
    let bench = bench(Endpoints::Events);
    let bulk_in = bench.client.nonblocking(2);
    let mut reactor = Reactor::new().unwrap();
    reactor.watch(bulk_in.data.raw(), 7, READ).unwrap();
    for piece in [b"a", b"b", b"c"] {
        bench.adapter.send_raw(piece);
    }
    for piece in [b"a", b"b", b"c"] {
        bulk_in.arm(64).unwrap();
        assert_eq!(bulk_in.wait_on(&mut reactor), READ);
        assert_eq!(bulk_in.read(64).unwrap(), piece);
        bulk_in.answer().unwrap();
    }
}

#[test]
fn with_events_a_write_takes_the_bytes_and_its_end_is_told() {
    let bench = bench(Endpoints::Events);
    let bulk_out = bench.client.nonblocking(3);
    let mut reactor = Reactor::new().unwrap();
    reactor.watch(bulk_out.data.raw(), 7, WRITE).unwrap();
    assert_eq!(
        bulk_out.wait_on(&mut reactor),
        WRITE,
        "nothing is under way"
    );
    for round in 0..100_u8 {
        let frame = message::packet(&[round; 60], 1);
        bulk_out.transfer("Out", frame.len()).unwrap();
        assert_eq!(bulk_out.write(&frame).unwrap(), frame.len());
        assert_eq!(bulk_out.wait_on(&mut reactor), WRITE, "round {round}");
        assert_eq!(bulk_out.answer().unwrap(), result("Success", frame.len()));
    }
    assert_eq!(bench.adapter.frames().len(), 100);
}

#[test]
fn a_write_of_nothing_is_refused_and_no_data_is_a_packet_of_none() {
    for endpoints in ALL {
        let bench = bench(endpoints);
        let bulk_out = bench.client.endpoint(3, 0).unwrap();
        bulk_out.transfer("NoData", 0).unwrap();
        assert_eq!(bench.adapter.transfers(), [[0_u8; 0]]);
        assert_eq!(bulk_out.answer().unwrap(), result("Success", 0));
        bulk_out.transfer("Out", 0).unwrap();
        assert_eq!(bulk_out.write(&[]).unwrap_err().errno, EINVAL);
        assert_eq!(bench.adapter.transfers().len(), 1);
    }
}

#[test]
fn a_transfer_ends_at_sixty_four_kibibytes() {
    let bench = bench(Endpoints::Events);
    let bulk_out = bench.client.endpoint(3, 0).unwrap();
    bulk_out.transfer("Out", 70_000).unwrap();
    assert_eq!(bulk_out.write(&vec![0; 65_537]).unwrap_err().errno, EINVAL);
    assert_eq!(bulk_out.write(&vec![0; 65_536]).unwrap(), 65_536);
    assert_eq!(bulk_out.write(&vec![0; 4_464]).unwrap(), 4_464);
    assert_eq!(bulk_out.answer().unwrap(), result("Success", 4_464));
}

#[test]
fn with_events_a_stall_is_recovered_from_by_reset_and_clear_feature() {
    let bench = bench(Endpoints::Events);
    let bulk_in = bench.client.nonblocking(2);
    bulk_in.arm(64).unwrap();
    bench.adapter.stall(BULK_IN);
    assert_eq!(bulk_in.wait(READ), READ);
    assert_eq!(bulk_in.read(64).unwrap_err().errno, EIO);
    assert_eq!(bulk_in.answer().unwrap(), result("Stalled", 0));
    bulk_in.ask(r#""Status""#).unwrap();
    assert_eq!(bulk_in.answer().unwrap(), r#"{"Status":"Halted"}"#);
    bulk_in
        .ask(r#"{"Reset":{"no_clear_feature":false}}"#)
        .unwrap();
    bulk_in.ask(r#""Status""#).unwrap();
    assert_eq!(bulk_in.answer().unwrap(), r#"{"Status":"Enabled"}"#);
    bulk_in.arm(64).unwrap();
    bench.adapter.send_raw(b"again");
    assert_eq!(bulk_in.wait(READ), READ);
    assert_eq!(bulk_in.read(64).unwrap(), b"again");
}

#[test]
fn with_events_a_stalled_write_says_so_in_ctl() {
    let bench = bench(Endpoints::Events);
    let bulk_out = bench.client.nonblocking(3);
    bench.adapter.stall(BULK_OUT);
    bulk_out.transfer("Out", 10).unwrap();
    assert_eq!(bulk_out.write(&[0; 10]).unwrap(), 10, "taken");
    assert_eq!(bulk_out.wait(WRITE), WRITE);
    assert_eq!(bulk_out.answer().unwrap(), result("Stalled", 0));
}

#[test]
fn on_redox_a_stall_wedges_its_endpoint() {
    let bench = bench(Endpoints::NonBlocking);
    let bulk_in = bench.client.nonblocking(2);
    bulk_in.arm(64).unwrap();
    bench.adapter.stall(BULK_IN);
    let errno = loop {
        match bulk_in.read(64).unwrap_err().errno {
            EWOULDBLOCK => std::thread::yield_now(),
            errno => break errno,
        }
    };
    assert_eq!(errno, EIO);
    assert_eq!(bulk_in.answer().unwrap(), r#""Pending""#, "for ever");
    let reset = bulk_in.ask(r#"{"Reset":{"no_clear_feature":true}}"#);
    assert_eq!(reset.unwrap_err().errno, EBADF);
}

#[test]
fn on_redox_status_and_reset_know_the_first_interface_only() {
    let bench = bench(Endpoints::NonBlocking);
    let (interrupt, bulk_in) = (bench.client.nonblocking(1), bench.client.nonblocking(2));
    interrupt.ask(r#""Status""#).unwrap();
    assert_eq!(interrupt.answer().unwrap(), r#"{"Status":"Enabled"}"#);
    let reset = bulk_in.ask(r#"{"Reset":{"no_clear_feature":true}}"#);
    assert_eq!(reset.unwrap_err().errno, EBADFD);
}
