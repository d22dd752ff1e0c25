//! What the driver does when there is nothing to do.

use std::time::Duration;

use lab::xhcid::Endpoints;
use lab::xhcid::scripted::{BULK_IN, BULK_OUT, Descriptors, RndisSpec};
use redox_host::Process;

use super::bench::{Bench, Manner, PORT, SOON, frame};

/// Wake-ups of a process in this time.
fn wakeups(process: &Process, time: Duration) -> u64 {
    let before = process.wakeups();
    // Measuring, not waiting for anything.
    std::thread::sleep(time);
    process.wakeups() - before
}

/// An adapter without an interrupt endpoint.
fn without_interrupt_endpoint() -> RndisSpec {
    let bulk = [
        Descriptors::endpoint(BULK_IN, 2, 64, 0),
        Descriptors::endpoint(BULK_OUT, 2, 64, 0),
    ];
    let control = Descriptors::interface(0, 0, [0x02, 0x02, 0xff], &[]);
    let data = Descriptors::interface(1, 0, [0x0a, 0, 0], &bulk);
    let configuration = Descriptors::configuration(1, &[control, data]);
    let descriptors = Descriptors::new(vec![configuration]);
    RndisSpec::new()
        .descriptors(descriptors)
        .without_notifications()
}

#[test]
fn where_xhcid_posts_events_no_timer_runs() {
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let driver = bench.driver();
    assert_eq!(wakeups(&driver, Duration::from_millis(300)), 0);
    for _ in 0..10 {
        let back = frame(60);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back);
    }
    assert_eq!(client.stat("polls"), 0);
    assert_eq!(wakeups(&driver, Duration::from_millis(300)), 0);
}

#[test]
fn with_events_every_wake_up_has_its_frame() {
    const FRAMES: u64 = 100;
    let (bench, adapter, mut client) = Bench::running(Manner::default(), RndisSpec::new());
    let driver = bench.driver();
    let before = driver.wakeups();
    for _ in 0..FRAMES {
        let back = frame(60);
        adapter.send_frame(&back);
        assert_eq!(client.frame(), back);
    }
    let woke = driver.wakeups() - before;
    println!("{FRAMES} frames: usb-rndisd woke up {woke} times");
    // The transfer; then the client's reads, up to the empty one.
    assert!((FRAMES..=4 * FRAMES).contains(&woke), "{woke}");
}

#[test]
fn the_timer_slows_down_when_nothing_comes_and_is_fast_for_a_frame() {
    let manner = Manner::endpoints(Endpoints::NonBlocking);
    let (bench, adapter, mut client) = Bench::running(manner, RndisSpec::new());
    let driver = bench.driver();
    // Until it is at its slowest: fifty looks, and five steps.
    let slow = || wakeups(&driver, Duration::from_millis(160)) <= 11;
    assert!((0..100).any(|_| slow()), "it never slows down");
    let back = frame(60);
    adapter.send_frame(&back);
    assert_eq!(client.frame(), back);
    assert!(
        wakeups(&driver, Duration::from_millis(30)) >= 10,
        "it is fast again"
    );
    assert!(client.stat("polls_fruitless") > 0);
}

#[test]
fn the_timer_stands_still_when_nothing_is_armed() {
    let manner = Manner::endpoints(Endpoints::NonBlocking);
    let (bench, adapter, mut client) = Bench::running(manner, without_interrupt_endpoint());
    let driver = bench.driver();
    // More than the pipe holds.
    let frames: Vec<_> = (0..200).map(|_| frame(1500)).collect();
    frames.iter().for_each(|frame| adapter.send_frame(frame));
    // Nobody reads: one transfer lies in the stream and one beside it, and no other is asked for.
    let stopped =
        || !bench.bus.is_armed(PORT, BULK_IN) && wakeups(&driver, Duration::from_millis(40)) == 0;
    assert!((0..100).any(|_| stopped()), "{}", bench.log());
    assert_eq!(wakeups(&driver, Duration::from_millis(200)), 0);
    for frame in &frames {
        assert_eq!(&client.frame(), frame);
    }
    assert!(
        bench
            .bus
            .wait_until(SOON, || bench.bus.is_armed(PORT, BULK_IN))
    );
    assert!(
        wakeups(&driver, Duration::from_millis(100)) > 0,
        "it runs again"
    );
}
