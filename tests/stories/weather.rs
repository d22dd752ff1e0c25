//! A way of 20 ms there and back that loses one segment of a hundred, and Linux as the measure of what can be had on it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::machine::{MachineSpec, NicSpec};
use lab::network::{Namespace, Netdev, Peers, Tap, TapSpec, Weather, WeatherSpec, Wire, tie};
use lab::peers::{HttpServer, sha256_of_pattern};
use lab::{Process, Stack, StackSpec, StaticAddress, requires_tap};
use sha2::{Digest, Sha256};

use crate::traffic::hexadecimal;

const SERVER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 1, 1)];
const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const LINUX: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 2);

/// Octets each way.
const LENGTH: u64 = 2_000_000;

/// Which twenty segments of a transfer are lost is chance: some transfers, and some more if that was not enough to tell.
const ROUNDS: u32 = 3;
const ROUNDS_MOST: u32 = 10;

/// Longer than anybody takes, were it not for a mistake.
const LONG: Duration = Duration::from_secs(120);

const WEATHER: WeatherSpec = WeatherSpec {
    delay: Duration::from_millis(10),
    one_lost_of: 100,
    seed: 7,
};

/// A TAP of Linux's in a namespace, and the cable that it is tied to.
fn linux_end(namespace: &Namespace, name: &str, address: Ipv4Addr) -> (Wire, Process) {
    let spec = TapSpec {
        name: name.into(),
        addresses: vec![format!("{address}/24")],
        ..TapSpec::default()
    };
    let tap = Tap::create(namespace, &spec).unwrap();
    let wire = Wire::new().unwrap();
    let knot = tie(&wire, &tap).unwrap();
    (wire, knot)
}

/// How long a download and an upload took.
#[derive(Debug, Default)]
struct Took {
    download: Duration,
    upload: Duration,
}

/// Through smolnetd, by our own curl.
fn ours(stack: &Stack, server: SocketAddr, wanted: &str) -> Took {
    let start = Instant::now();
    let page = stack.command(&format!("curl -s -f http://{server}/bytes/{LENGTH}"));
    let download = start.elapsed();
    page.result.unwrap();
    assert_eq!(hexadecimal(&Sha256::digest(&page.out)), wanted);
    std::fs::write(stack.machine().run().file("root/upload"), &page.out).unwrap();
    let start = Instant::now();
    let answer = stack.command(&format!("curl -s -f -T /upload http://{server}/upload"));
    let upload = start.elapsed();
    answer.result.unwrap();
    let answer = String::from_utf8(answer.out).unwrap();
    assert!(answer.contains(wanted), "{answer}");
    Took { download, upload }
}

/// Through Linux, by Linux's.
fn linux(namespace: &Namespace, server: SocketAddr, folder: &Path, wanted: &str) -> Took {
    let file = folder.join("page").display().to_string();
    let curl = |arguments: &str| {
        let start = Instant::now();
        let mut curl = Peers::inside(namespace).curl(arguments).unwrap();
        assert!(curl.wait(LONG).unwrap().success(), "{arguments}");
        (start.elapsed(), curl.output())
    };
    let (download, _) = curl(&format!("--fail -o {file} http://{server}/bytes/{LENGTH}"));
    let page = std::fs::read(&file).unwrap();
    assert_eq!(hexadecimal(&Sha256::digest(page)), wanted);
    let (upload, answer) = curl(&format!("--fail -T {file} http://{server}/upload"));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(wanted), "{answer}");
    Took { download, upload }
}

/// Both at the same time, each on a way of its own with the same weather: whatever else the machine does, it does to both.
#[test]
fn a_way_that_loses_one_of_a_hundred_is_used_as_well_as_half_of_what_linux_makes_of_it() {
    if !requires_tap() {
        return;
    }
    let far = Namespace::new().unwrap().without_ipv6().unwrap();
    let near = Namespace::new().unwrap().without_ipv6().unwrap();
    for namespace in [&far, &near] {
        // What every kernel has. At windows like these CUBIC, ours, is made to be its equal (RFC 9438 4.3); BBR, which some
        // take by default, does not mind losses.
        namespace
            .sysctl("ipv4/tcp_congestion_control", "reno")
            .unwrap();
    }
    let (server_for_us, _knot) = linux_end(&far, "tap0", SERVER[0]);
    let (server_for_linux, _knot) = linux_end(&far, "tap1", SERVER[1]);
    let (client, _knot) = linux_end(&near, "tap0", LINUX);
    let wire = Wire::new().unwrap();
    let _ways = [
        Weather::between(&wire, &server_for_us, WEATHER).unwrap(),
        Weather::between(&client, &server_for_linux, WEATHER).unwrap(),
    ];
    let address = StaticAddress {
        address: OURS.to_string(),
        prefix_length: 24,
        gateway: None,
        name_server: None,
    };
    let nic = NicSpec::virtio(Netdev::Wire(wire));
    let machine = MachineSpec::new().nic(nic).without_capture();
    let spec = StackSpec::new(machine).address(address);
    let stack = Stack::start(spec.log_level(log::LevelFilter::Info)).unwrap();
    let listener = far
        .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap())
        .unwrap();
    let _server = HttpServer::start(listener).unwrap();
    let wanted = sha256_of_pattern(LENGTH);
    let folder = stack.machine().run().file("linux");
    std::fs::create_dir(&folder).unwrap();
    // Both ways are there.
    crate::common::ping(&stack, SERVER[0]);
    let mut ping = Peers::inside(&near)
        .ping(&format!("-c 1 -w 10 {}", SERVER[1]))
        .unwrap();
    assert!(ping.wait(LONG).unwrap().success());

    let mut sums = [Took::default(), Took::default()];
    for round in 1..=ROUNDS_MOST {
        let both = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| linux(&near, (SERVER[1], 8080).into(), &folder, &wanted));
            let ours = ours(&stack, (SERVER[0], 8080).into(), &wanted);
            [ours, theirs.join().unwrap()]
        });
        for (sum, took) in sums.iter_mut().zip(both) {
            sum.download += took.download;
            sum.upload += took.upload;
        }
        let [ours, linux] = &sums;
        println!("{round} times {LENGTH} octets: ours {ours:?}, Linux's {linux:?}");
        let is_enough = ours.download <= 2 * linux.download && ours.upload <= 2 * linux.upload;
        if round >= ROUNDS && is_enough {
            return;
        }
    }
    panic!("ours {:?} where Linux took {:?}", sums[0], sums[1]);
}
