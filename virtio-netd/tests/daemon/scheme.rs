//! The scheme, as upstream's stack and ours use it.

use std::time::Duration;

use libredox::Fd;
use syscall::error::{EAGAIN, EMSGSIZE};
use syscall::flag::{EventFlags, O_RDONLY, O_RDWR};

use crate::card::{MAC, Manner, Wiring};
use crate::machine::{CardPlatform, Client, Machine, SCHEME, Watch, frame, read, try_read};

const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;

#[test]
fn the_files_beside_the_frames() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let mut mac = [0; 8];
    assert_eq!(client.open("mac", O_RDONLY).read(&mut mac).unwrap(), 6);
    assert_eq!(mac[..6], MAC);
    assert_eq!(client.text("mtu"), "1500\n");
    assert_eq!(client.text("link"), "up\n");
    client.assert_whole();
    assert!(
        machine.card.fake.state().offences.is_empty(),
        "{:?}",
        machine.card.fake.state().offences
    );
}

#[test]
fn frames_both_ways_by_plain_reads_and_writes() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let file = client.open("", O_RDWR);
    for length in [60, 1514] {
        let down = frame(length);
        assert_eq!(machine.card.deliver(std::slice::from_ref(&down)), 1);
        assert_eq!(
            read(&file),
            down,
            "a read that waits, or not, for an interrupt"
        );
        let up = frame(length);
        assert_eq!(file.write(&up).unwrap(), length);
        assert_eq!(machine.card.take_sent(), [up]);
    }
    assert_eq!((client.stat("rx_frames"), client.stat("tx_frames")), (2, 2));
    client.assert_whole();
}

#[test]
fn a_read_that_waits_is_answered_by_the_interrupt() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let file = client.open("", O_RDWR);
    let down = frame(100);
    let card = machine.card.clone();
    let reader = redox_host::current().unwrap();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| {
            let _process = reader.attach();
            read(&file)
        });
        // The scope's other thread may or may not be waiting by now; both must do.
        card.deliver(std::slice::from_ref(&down));
        assert_eq!(answer.join().unwrap(), down);
    });
}

#[test]
fn the_burst_of_which_only_the_newest_was_seen() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let file = client.frames();
    let mut watch = Watch::new(&file, READ);
    assert_eq!(watch.now(), None, "nothing is there");
    let burst: Vec<_> = (0..16).map(|_| frame(1514)).collect();
    assert_eq!(machine.card.deliver(&burst), 16);
    assert_eq!(watch.wait(), READ);
    let got: Vec<_> = core::iter::from_fn(|| try_read(&file)).collect();
    assert_eq!(got, burst);
    client.assert_whole();
}

#[test]
fn the_rx_ring_that_was_never_given_back() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let file = client.frames();
    let mut watch = Watch::new(&file, READ);
    for round in 0..200 {
        let burst: Vec<_> = (0..10).map(|_| frame(60)).collect();
        assert_eq!(
            machine.card.deliver(&burst),
            10,
            "buffers for round {round}"
        );
        let mut got = Vec::new();
        while got.len() < 10 {
            assert_eq!(watch.wait(), READ, "round {round}");
            got.extend(core::iter::from_fn(|| try_read(&file)));
        }
        assert_eq!(got, burst, "round {round}");
    }
    assert_eq!(
        (client.stat("rx_posted"), client.stat("rx_frames")),
        (16, 2000)
    );
    client.assert_whole();
}

#[test]
fn the_echo_that_came_back_within_the_write() {
    let (_machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Echoes);
    let file = client.frames();
    let mut watch = Watch::new(&file, READ);
    for _ in 0..500 {
        let ping = frame(98);
        assert_eq!(file.write(&ping).unwrap(), 98);
        assert_eq!(watch.wait(), READ);
        assert_eq!(read(&file), ping);
        assert_eq!(try_read(&file), None);
    }
    client.assert_whole();
}

#[test]
fn a_full_ring_says_eagain_and_then_that_there_is_room() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Stalls);
    let file = client.frames();
    let mut watch = Watch::new(&file, WRITE);
    assert_eq!(watch.wait(), WRITE, "there is room at the start");
    let frames: Vec<_> = (0..16).map(|_| frame(60)).collect();
    frames
        .iter()
        .for_each(|frame| assert_eq!(file.write(frame).unwrap(), 60));
    assert_eq!(file.write(&frame(60)).unwrap_err().errno(), EAGAIN);
    assert_eq!(watch.now(), None);
    machine.card.deliver(&[frame(60)]);
    machine.card.set_manner(Manner::Sends);
    assert_eq!(watch.wait(), WRITE);
    assert_eq!(machine.card.take_sent(), frames);
    assert_eq!(file.write(&frame(60)).unwrap(), 60);
    assert_eq!(client.stat("tx_full"), 1);
}

#[test]
fn a_write_that_waits_for_room_is_answered_when_there_is() {
    let (machine, driver, client) = Machine::running(Wiring::MsiX(4), Manner::Stalls);
    let file = client.open("", O_RDWR);
    (0..16).for_each(|_| assert_eq!(file.write(&frame(60)).unwrap(), 60));
    let last = frame(60);
    let writer = redox_host::current().unwrap();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| {
            let _process = writer.attach();
            file.write(&last).unwrap()
        });
        // It waits: the driver has taken the request and sleeps again.
        while machine.log().is_empty() || client.stat("tx_full") == 0 {
            std::thread::yield_now();
        }
        assert!(driver.is_running());
        machine.card.set_manner(Manner::Sends);
        assert_eq!(answer.join().unwrap(), 60);
    });
    // Whoever was answered last has been sent at the end of that turn.
    assert_eq!(client.stat("tx_frames"), 17);
    assert_eq!(machine.card.take_sent().last(), Some(&last));
}

#[test]
fn the_link_is_told_of_by_an_event() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let link = client.open("link", O_RDONLY);
    let mut text = [0; 32];
    assert_eq!(link.read(&mut text).unwrap(), 3);
    assert_eq!(link.read(&mut text).unwrap(), 0);
    let mut watch = Watch::new(&link, READ);
    assert_eq!(watch.now(), None, "its state was read");
    machine.card.set_link(false);
    assert_eq!(watch.wait(), READ);
    assert_eq!(
        (link.read(&mut text).unwrap(), &text[..5]),
        (5, &b"down\n"[..])
    );
    assert_eq!(client.stat("link_changes"), 1);
}

#[test]
fn frames_that_nobody_reads_are_counted_and_cost_no_buffer() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    for _ in 0..10 {
        machine.card.deliver(&[frame(60), frame(60)]);
        while client.stat("rx_posted") != 16 || client.stat("rx_no_reader") % 2 != 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(
        (client.stat("rx_no_reader"), client.stat("rx_frames")),
        (20, 20)
    );
    let file = client.frames();
    let next = frame(60);
    machine.card.deliver(std::slice::from_ref(&next));
    assert_eq!(Watch::new(&file, READ).wait(), READ);
    assert_eq!(read(&file), next);
}

#[test]
fn a_frame_longer_than_the_mtu_is_refused() {
    let (machine, _driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let file = client.frames();
    assert_eq!(file.write(&frame(1515)).unwrap_err().errno(), EMSGSIZE);
    assert_eq!(file.write(&frame(1514)).unwrap(), 1514);
    assert_eq!(machine.card.take_sent().len(), 1);
}

#[test]
fn a_second_start_says_who_holds_the_name_and_the_first_goes_on() {
    let (machine, first, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    drop(client);
    // Another card at the same place, so that the first driver's is not touched.
    let second = Machine::new(Wiring::MsiX(4), Manner::Sends);
    let mut platform = CardPlatform::new(&second.card);
    let other = machine
        .host
        .spawn(redox_host::ProcessSpec::new("virtio-netd"), move || {
            netscheme::logging::init("virtio-netd", log::LevelFilter::Info);
            let channel = Fd::open(
                &format!("{}/channel", crate::pcid::FUNCTION),
                O_RDWR as i32,
                0,
            )
            .unwrap();
            let Err(error) =
                virtio_netd::run(&virtio_netd::Options::default(), &mut platform, channel);
            log::error!("{error}");
            1
        });
    machine.assert_ends(&other, "is served already: another instance is running");
    assert!(first.is_running());
    let client = Client::new(&machine.host);
    assert_eq!(client.text("mtu"), "1500\n");
}

#[test]
fn after_a_hard_end_a_new_start_works() {
    let (machine, driver, client) = Machine::running(Wiring::MsiX(4), Manner::Echoes);
    drop(client);
    driver.kill();
    driver.wait(crate::machine::LONG).expect("it is dead");
    let (_driver, notify) = machine.start();
    notify.wait(&machine);
    drop(notify);
    let client = Client::new(&machine.host);
    let file = client.frames();
    let mut watch = Watch::new(&file, READ);
    let ping = frame(60);
    file.write(&ping).unwrap();
    watch.wait();
    assert_eq!(read(&file), ping);
    client.assert_whole();
}

#[test]
fn an_idle_driver_is_not_woken() {
    let (_machine, driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    let _open = client.frames();
    let before = driver.wakeups();
    // Time must pass for nothing to happen in it.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(driver.wakeups(), before);
}

#[test]
fn the_driver_has_given_up_its_namespace() {
    let (machine, driver, client) = Machine::running(Wiring::MsiX(4), Manner::Sends);
    drop(client);
    let inside = machine.inside.lock().unwrap().clone().unwrap();
    let thread = std::thread::spawn(move || {
        let _process = inside.attach();
        let error = Fd::open(SCHEME, O_RDWR as i32, 0).map(|_| ()).unwrap_err();
        error.errno()
    });
    assert_ne!(thread.join().unwrap(), 0, "no scheme can be opened by name");
    assert!(driver.is_running(), "{}", machine.log());
}
