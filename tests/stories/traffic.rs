//! A Linux peer on a TAP: pings, bursts, long transfers, and a million frames.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use commands::OpenedFile;
use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Peers, Slirp, Tap, TapSpec};
use lab::peers::{HttpServer, pattern, sha256_of_pattern};
use lab::{Stack, StackSpec, StaticAddress, requires_tap};
use sha2::{Digest, Sha256};
use syscall::flag::O_RDWR;

use crate::common::{SOON, configured, nic, ping, run};

pub(crate) const LINUX: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// The stack at 10.9.0.2 and Linux at 10.9.0.1 on a TAP; `None` where there can be no TAP.
pub(crate) fn on_tap() -> Option<(Namespace, Stack)> {
    if !requires_tap() {
        return None;
    }
    let namespace = Namespace::new().unwrap().without_ipv6().unwrap();
    let stack = on_tap_of(&namespace, Some(LINUX));
    Some((namespace, stack))
}

/// The stack on a TAP of that namespace, with a default route or without.
pub(crate) fn on_tap_of(namespace: &Namespace, gateway: Option<Ipv4Addr>) -> Stack {
    let tap = Tap::create(namespace, &TapSpec::default()).unwrap();
    let nic = NicSpec::virtio(Netdev::Tap(tap));
    let address = StaticAddress {
        address: OURS.to_string(),
        prefix_length: 24,
        gateway: gateway.map(|gateway| gateway.to_string()),
        name_server: None,
    };
    let machine = MachineSpec::new().nic(nic).without_capture();
    let spec = StackSpec::new(machine).address(address);
    Stack::start(spec.log_level(log::LevelFilter::Info)).unwrap()
}

pub(crate) fn counter(stack: &Stack, path: &str, name: &str) -> u64 {
    let text = stack.read(path).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {path}:\n{text}"))
        .parse()
        .unwrap()
}

pub(crate) const ETH0: &str = "/scheme/netcfg/ifaces/eth0/stats";
pub(crate) const ALL: &str = "/scheme/netcfg/stats";

#[test]
fn a_thousand_pings_from_linux_at_a_millisecond_none_lost() {
    let Some((namespace, _stack)) = on_tap() else {
        return;
    };
    let mut ping = Peers::inside(&namespace)
        .ping(&format!("-q -i 0.001 -c 1000 {OURS}"))
        .unwrap();
    let status = ping.wait(Duration::from_secs(30)).unwrap();
    let text = String::from_utf8_lossy(&ping.output()).into_owned();
    assert!(
        status.success() && text.contains(" 0% packet loss"),
        "{text}"
    );
}

#[test]
fn a_thousand_pings_to_linux_at_a_millisecond_none_lost() {
    let Some((_namespace, stack)) = on_tap() else {
        return;
    };
    let done = stack.command(&format!("ping -c 1000 -i 0.001 {LINUX}"));
    let text = String::from_utf8_lossy(&done.out).into_owned();
    assert!(text.contains("1000 sent, 1000 received, 0 lost"), "{text}");
}

#[test]
fn pings_that_fit_a_frame_and_pings_that_do_not() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let peers = Peers::inside(&namespace);
    for size in [1472, 1473, 8000] {
        run(&stack, &format!("ping -c 3 -i 0.01 -s {size} {LINUX}"));
        let mut ping = peers
            .ping(&format!("-q -s {size} -i 0.01 -c 3 {OURS}"))
            .unwrap();
        assert!(ping.wait(SOON).unwrap().success(), "{size}");
    }
}

#[test]
fn of_ten_thousand_datagrams_each_is_delivered_or_counted() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let here = stack.enter("reader");
    let socket = OpenedFile::open("/scheme/udp", O_RDWR).unwrap();
    let socket = socket.dup("/0.0.0.0:4000").unwrap();
    let sender = namespace
        .enter(|| UdpSocket::bind((LINUX, 0)).unwrap())
        .unwrap();
    let frames = counter(&stack, ETH0, "driver.rx_frames");
    // The first resolves our address; Linux keeps only a few datagrams while it waits for that.
    sender.send_to(b"first", (OURS, 4000)).unwrap();
    let mut buffer = [0; 2048];
    assert_eq!(socket.read(&mut buffer).unwrap(), 5);
    let mut datagram = [0; 100];
    for number in 0..10_000u32 {
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        sender.send_to(&datagram, (OURS, 4000)).unwrap();
    }
    // Behind the reply to this, nothing of the burst can come.
    run(&stack, &format!("ping -c 1 -W 10 {LINUX}"));
    let reader = OpenedFile::dup(&socket, "disconnect").unwrap();
    let delivered = drain(&reader);
    drop(here);
    let dropped: u64 = stack
        .read(ALL)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("udp.") && line.contains("full"))
        .filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
        .sum();
    let driver_dropped: u64 = stack
        .read(ETH0)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("driver.rx_") && line.contains("drop"))
        .filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok())
        .sum();
    let received = counter(&stack, ETH0, "driver.rx_frames") - frames;
    let burst = delivered + dropped + driver_dropped;
    println!(
        "{received} frames: {delivered} delivered, {dropped} dropped by UDP, {driver_dropped} by the driver"
    );
    // Besides the burst: the first datagram, ARP both ways, the echo reply.
    assert!(
        received >= burst && received - burst <= 6,
        "{received} frames, {burst} accounted for"
    );
    assert!(delivered > 0);
}

/// Reads without waiting until there is nothing more.
fn drain(socket: &OpenedFile) -> u64 {
    let flags = libredox::call::fcntl(socket.raw(), syscall::flag::F_GETFL, 0).unwrap();
    libredox::call::fcntl(
        socket.raw(),
        syscall::flag::F_SETFL,
        flags | syscall::flag::O_NONBLOCK,
    )
    .unwrap();
    let mut buffer = [0; 2048];
    let mut count = 0;
    while socket.read(&mut buffer).is_ok() {
        count += 1;
    }
    count
}

const HUNDRED_MEGABYTES: u64 = 100 << 20;

/// Downloads so many bytes and checks them, then uploads them and has them checked.
pub(crate) fn both_ways(stack: &Stack, server: SocketAddr, length: u64) {
    both_ways_by("http", stack, server, length);
}

/// The same by `http` or `https`.
pub(crate) fn both_ways_by(scheme: &str, stack: &Stack, server: SocketAddr, length: u64) {
    let wanted = sha256_of_pattern(length);
    let page = stack.command(&format!("curl -s -f {scheme}://{server}/bytes/{length}"));
    page.result.unwrap();
    assert_eq!(page.out.len() as u64, length);
    assert_eq!(
        hexadecimal(&Sha256::digest(&page.out)),
        wanted,
        "the download"
    );
    let file = stack.machine().run().file("root/upload");
    std::fs::write(&file, &page.out).unwrap();
    let answer = stack.command(&format!("curl -s -f -T /upload {scheme}://{server}/upload"));
    std::fs::remove_file(&file).unwrap();
    answer.result.unwrap();
    let answer = String::from_utf8(answer.out).unwrap();
    assert!(answer.contains(&wanted), "the upload: {answer}");
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_hundred_megabytes_arrive_whole_over_a_tap_both_ways() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let listener = namespace
        .enter(|| TcpListener::bind((LINUX, 8080)).unwrap())
        .unwrap();
    let server = HttpServer::start(listener).unwrap();
    both_ways(&stack, server.address(), HUNDRED_MEGABYTES);
}

#[test]
fn a_hundred_megabytes_arrive_whole_through_slirp_both_ways() {
    let server = HttpServer::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
    let spec = StackSpec::new(MachineSpec::new().nic(nic()).without_capture());
    let stack = configured(spec.log_level(log::LevelFilter::Info));
    let address = SocketAddr::from((Slirp::GATEWAY, server.address().port()));
    both_ways(&stack, address, HUNDRED_MEGABYTES);
}

#[test]
fn the_rx_ring_that_was_never_given_back_is_as_full_after_a_million_frames() {
    const FRAMES: u64 = 1_000_000;
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let ring = || {
        let posted = counter(&stack, ETH0, "driver.rx_posted");
        let held = counter(&stack, ETH0, "driver.rx_in_flight");
        (posted + held, counter(&stack, ETH0, "driver.rx_ring_size"))
    };
    let (full, size) = ring();
    assert_eq!(full, size);
    let sender = namespace
        .enter(|| UdpSocket::bind((LINUX, 0)).unwrap())
        .unwrap();
    let received = || counter(&stack, ETH0, "driver.rx_frames");
    let start = received();
    let datagram = [0; 18];
    while received() - start < FRAMES {
        for _ in 0..20_000 {
            // To a port that nobody holds; a full queue of the TAP drops, which is why frames are counted at the card.
            let _ = sender.send_to(&datagram, (OURS, 9));
        }
    }
    let (full, size) = ring();
    assert_eq!(full, size, "posted + in flight");
    ping(&stack, LINUX);
}

#[test]
fn linux_connects_sends_and_hears_the_end() {
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let here = stack.enter("server");
    let listener = OpenedFile::listen(4001).unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut stream = namespace
                .enter(|| TcpStream::connect((OURS, 4001)).unwrap())
                .unwrap();
            let mut sent = vec![0; 1 << 20];
            pattern(0, &mut sent);
            let mut writer = stream.try_clone().unwrap();
            let bytes = sent.clone();
            let writing = std::thread::spawn(move || {
                writer.write_all(&bytes).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            writing.join().unwrap();
            (sent == back, back.len())
        });
        let connection = listener.dup("listen").unwrap();
        let mut buffer = vec![0; 16 << 10];
        loop {
            match connection.read(&mut buffer).unwrap() {
                0 => break,
                n => connection.write_all(&buffer[..n]).unwrap(),
            }
        }
        // The last descriptor: what was written is sent, then FIN.
        drop(connection);
        assert_eq!(client.join().unwrap(), (true, 1 << 20));
    });
    drop(here);
}

#[test]
fn every_wake_up_has_its_frame_or_its_timer() {
    const PINGS: u64 = 50;
    // ARP between the hosts, and the timers of the neighbours: a handful, whatever the number of pings.
    const OTHERS: u64 = 12;
    let Some((namespace, stack)) = on_tap() else {
        return;
    };
    let driver = stack.drivers().first().unwrap();
    let smolnetd = stack.smolnetd().unwrap();
    let before = (smolnetd.wakeups(), driver.wakeups());
    let mut pings = Peers::inside(&namespace)
        .ping(&format!("-q -i 0.02 -c {PINGS} {OURS}"))
        .unwrap();
    assert!(pings.wait(SOON).unwrap().success());
    let stack_woke = smolnetd.wakeups() - before.0;
    let driver_woke = driver.wakeups() - before.1;
    println!("{PINGS} pings: smolnetd woke up {stack_woke} times, virtio-netd {driver_woke} times");
    assert!((1..=PINGS + OTHERS).contains(&stack_woke), "{stack_woke}");
    // The interrupt, and what smolnetd writes into the pipe, which is now and then found before its event comes. Nobody
    // asks the driver for anything.
    assert!(
        (1..=3 * (PINGS + OTHERS)).contains(&driver_woke),
        "{driver_woke}"
    );
}
