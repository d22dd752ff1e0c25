//! QEMU's controller and its usb-net, through xhcid's files.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netscheme::reactor::Reactor;
use redox_host::{Entered, ExitStatus, Host, HostConfig, ProcessSpec};
use syscall::error::{EBADF, EIO, EWOULDBLOCK, Error};
use syscall::flag::EventFlags;

use crate::machine::{Machine, MachineSpec, NicSpec};
use crate::network::{Netdev, Slirp};
use crate::xhcid::bus::{Bus, BusEvent, Completion, EndpointState, Outcome, Port, Setup, Transfer};
use crate::xhcid::scripted::message;
use crate::xhcid::tests::client::{Client, Endpoint};
use crate::xhcid::{Detach, Endpoints, Xhcid, XhcidSpec};

const SOON: Duration = Duration::from_secs(10);
const READ: EventFlags = EventFlags::EVENT_READ;
const WRITE: EventFlags = EventFlags::EVENT_WRITE;
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
const ADDRESS: [u8; 4] = [10, 0, 2, 15];
const GATEWAY: [u8; 4] = [10, 0, 2, 2];

struct Bench {
    client: Client,
    port: Port,
    xhcid: Xhcid,
    _here: Entered,
    host: Arc<Host>,
    machine: Machine,
}

fn nic() -> NicSpec {
    NicSpec::rndis(Netdev::Slirp(Slirp::new())).mac(MAC)
}

fn host(machine: &Machine) -> Arc<Host> {
    let config = HostConfig {
        ram: Some(machine.ram().clone()),
        ..HostConfig::default()
    };
    let host = Arc::new(Host::new(config).unwrap());
    let run = machine.run().clone();
    host.set_log(move |_pid, name, line| run.log(name, line));
    let vectors = machine.msi_eventfds().unwrap();
    host.irq().provide_msi_vectors(vectors);
    host
}

fn start(machine: MachineSpec, endpoints: Endpoints) -> (Machine, Arc<Host>, Xhcid) {
    let machine = Machine::start(&machine).unwrap();
    let host = host(&machine);
    let spec = XhcidSpec::new("pci-00-00-03.0")
        .endpoints(endpoints)
        .detach(Detach::Fails);
    let bus = super::of(&machine, &host).unwrap();
    let xhcid = Xhcid::spawn(&host, spec, bus).unwrap();
    (machine, host, xhcid)
}

fn bench_on(machine: MachineSpec, endpoints: Endpoints) -> Bench {
    let (machine, host, xhcid) = start(machine, endpoints);
    let port = Port(machine.usb_port(0).unwrap());
    assert!(xhcid.wait_for_port(port, true, SOON));
    let here = host.enter(ProcessSpec::new("driver"));
    Bench {
        client: Client::open(xhcid.scheme(), port).unwrap(),
        port,
        xhcid,
        _here: here,
        host,
        machine,
    }
}

fn bench(endpoints: Endpoints) -> Bench {
    bench_on(MachineSpec::new().nic(nic()), endpoints)
}

/// A driver of a few lines: what RNDIS needs before frames go both ways.
struct Driver {
    bulk_in: Endpoint,
    bulk_out: Endpoint,
    received: RefCell<Reactor>,
    sent: RefCell<Reactor>,
}

/// The largest transfer that QEMU's adapter agrees to.
const TRANSFER: usize = 1580;

impl Driver {
    fn start(client: &Client) -> Self {
        client.configure(2).unwrap();
        let initialize = message::message(message::INITIALIZE, &[1, 1, 0, 0x4000], &[]);
        let answer = ask(client, &initialize);
        assert_eq!(answer[..52], message::initialize_complete(1, 1, 1580, 0));
        let filter = message::message(
            message::SET,
            &[2, 0x0001_010e, 4, 20, 0],
            &15_u32.to_le_bytes(),
        );
        assert_eq!(ask(client, &filter)[..16], message::set_complete(2, 0));
        let bulk_in = client.nonblocking(2);
        let bulk_out = client.nonblocking(3);
        bulk_in.arm(TRANSFER).unwrap();
        let (received, sent) = (Reactor::new().unwrap(), Reactor::new().unwrap());
        // An xhcid without events is polled.
        let _ = received.watch(bulk_in.data.raw(), 0, READ);
        let _ = sent.watch(bulk_out.data.raw(), 0, WRITE);
        Self {
            bulk_in,
            bulk_out,
            received: received.into(),
            sent: sent.into(),
        }
    }

    fn send(&self, frame: &[u8]) {
        let packet = message::packet(frame, 1);
        self.bulk_out.transfer("Out", packet.len()).unwrap();
        assert_eq!(self.bulk_out.write(&packet).unwrap(), packet.len());
        let mut answer = self.bulk_out.answer().unwrap();
        while answer == r#""Pending""# {
            self.bulk_out.wait_on(&mut self.sent.borrow_mut());
            answer = self.bulk_out.answer().unwrap();
        }
        assert!(answer.contains("Success"), "{answer}");
    }

    /// Sleeps until something came, or the device is gone.
    fn wait(&self) {
        let event = self.bulk_in.wait_on(&mut self.received.borrow_mut());
        assert!(event.contains(READ), "nothing came");
    }

    /// The next frame that satisfies `wanted`.
    fn receive(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        loop {
            let transfer = match self.bulk_in.read(TRANSFER) {
                Err(Error { errno: EWOULDBLOCK }) => {
                    self.wait();
                    continue;
                }
                other => other.unwrap(),
            };
            let result = self.bulk_in.answer().unwrap();
            assert!(result.contains("ShortPacket"), "{result}");
            self.bulk_in.arm(TRANSFER).unwrap();
            let [frame] = &message::frames(&transfer)[..] else {
                panic!("not one frame: {transfer:02x?}");
            };
            if wanted(frame) {
                return frame.clone();
            }
        }
    }

    /// The gateway's Ethernet address.
    fn resolve(&self) -> [u8; 6] {
        self.send(&arp_request());
        let reply = self.receive(|frame| frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 2]);
        assert_eq!(reply[28..32], GATEWAY);
        reply[22..28].try_into().unwrap()
    }

    fn ping(&self, gateway: [u8; 6], sequence: u16) {
        self.send(&echo_request(gateway, sequence));
        let [high, low] = sequence.to_be_bytes();
        self.receive(|frame| frame[23] == 1 && frame[34] == 0 && frame[40..42] == [high, low]);
    }
}

/// A command and its response, which is asked for until it is there.
fn ask(client: &Client, command: &[u8]) -> Vec<u8> {
    client.send_command(command).unwrap();
    let responses = (0..1000).map(|_| client.get_response(1025).unwrap());
    let mut answers = responses.skip_while(|bytes| bytes[0] == 0);
    answers.next().expect("a response")
}

fn arp_request() -> Vec<u8> {
    let ethernet = [&[0xff; 6][..], &MAC, &[0x08, 0x06]].concat();
    let arp = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &MAC,
        &ADDRESS,
        &[0; 6],
        &GATEWAY,
    ]
    .concat();
    [ethernet, arp].concat()
}

fn echo_request(gateway: [u8; 6], sequence: u16) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let mut icmp = [&[8, 0, 0, 0, 0, 1, high, low][..], &[0x5a; 20]].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    let length = 20 + icmp.len() as u8;
    let mut ip = [
        &[0x45, 0, 0, length, 0, 0, 0, 0, 64, 1, 0, 0][..],
        &ADDRESS,
        &GATEWAY,
    ]
    .concat();
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    [&gateway[..], &MAC, &[8, 0], &ip, &icmp].concat()
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_be_bytes()
}

#[test]
fn descriptors_of_usb_net_are_read() {
    let bench = bench(Endpoints::Events);
    let text = bench.client.text("descriptors").unwrap();
    let device: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&device["vendor"], &device["product"]),
        (&0x0525.into(), &0xa4a2.into())
    );
    let values: Vec<_> = device["config_descs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["configuration_value"])
        .collect();
    assert_eq!(values, [2, 1], "RNDIS is index 0 with value 2");
    let rndis = &device["config_descs"][0]["interface_descs"];
    assert_eq!(
        (&rndis[0]["class"], &rndis[0]["protocol"]),
        (&2.into(), &0xff.into())
    );
    let addresses: Vec<_> = [
        &rndis[0]["endpoints"][0],
        &rndis[1]["endpoints"][0],
        &rndis[1]["endpoints"][1],
    ]
    .map(|endpoint| &endpoint["address"])
    .into();
    assert_eq!(addresses, [0x81, 0x82, 0x02]);
    assert_eq!(bench.machine.qtest().failures(), 0);
}

#[test]
fn frames_go_both_ways_with_events() {
    let bench = bench(Endpoints::Events);
    let driver = Driver::start(&bench.client);
    let gateway = driver.resolve();
    for sequence in 0..300 {
        driver.ping(gateway, sequence);
    }
}

#[test]
fn frames_go_both_ways_with_polling_as_in_the_fork() {
    let bench = bench(Endpoints::NonBlocking);
    let driver = Driver::start(&bench.client);
    driver.send(&arp_request());
    let packet = loop {
        match driver.bulk_in.read(TRANSFER) {
            Err(error) if error.errno == EWOULDBLOCK => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    let frames = message::frames(&packet);
    assert_eq!(frames[0][20..22], [0, 2], "an ARP reply");
    assert_eq!(
        driver.bulk_in.answer().unwrap().len(),
        r#"{"TransferResult":{"kind":"ShortPacket","bytes_transferred":108}}"#.len()
    );
}

#[test]
fn a_control_transfer_that_stalls_is_an_error_and_the_next_one_works() {
    let bench = bench(Endpoints::Events);
    let driver = Driver::start(&bench.client);
    let query = |length: u32| {
        message::message(
            message::QUERY,
            &[3, 0x0101_0101, length, 20, 0],
            &vec![0; length as usize],
        )
    };
    for _ in 0..20 {
        // QEMU's adapter stalls a query without a buffer that still names its place.
        assert_eq!(bench.client.send_command(&query(0)).unwrap_err().errno, EIO);
        assert_eq!(ask(&bench.client, &query(6))[24..30], MAC);
    }
    driver.resolve();
}

#[test]
fn pulled_out_and_plugged_in_again_twenty_times_it_works_and_leaves_nothing_behind() {
    let bench = bench(Endpoints::Events);
    let mut free = None;
    for round in 0..20 {
        let driver = Driver::start(&bench.client);
        driver.ping(driver.resolve(), round);
        let used = bench.host.usage();
        bench.machine.unplug(0).unwrap();
        assert!(bench.xhcid.wait_for_port(bench.port, false, SOON));
        driver.wait();
        assert_eq!(driver.bulk_in.read(TRANSFER).unwrap_err().errno, EBADF);
        drop(driver);
        bench.machine.plug(0).unwrap();
        assert!(bench.xhcid.wait_for_port(bench.port, true, SOON));
        let first = free.get_or_insert(used.ram_free);
        assert_eq!(used.ram_free, *first, "round {round}");
    }
    assert_eq!(bench.machine.qtest().failures(), 0);
}

#[test]
fn an_adapter_that_is_plugged_in_later_is_found() {
    let spec = MachineSpec::new().nic(nic().unplugged());
    let (machine, host, xhcid) = start(spec, Endpoints::Events);
    let port = Port(machine.usb_port(0).unwrap());
    assert!(!xhcid.wait_for_port(port, true, Duration::ZERO));
    machine.plug(0).unwrap();
    assert!(xhcid.wait_for_port(port, true, SOON));
    let _here = host.enter(ProcessSpec::new("driver"));
    Driver::start(&Client::open(xhcid.scheme(), port).unwrap()).resolve();
}

#[test]
fn many_adapters_beside_cards_on_pci_have_ports_of_their_own() {
    let virtio = || NicSpec::virtio(Netdev::Slirp(Slirp::new()));
    let adapters = (0..6).fold(MachineSpec::new().nic(virtio()), |spec, _| spec.nic(nic()));
    let (machine, host, xhcid) = start(adapters.nic(virtio()), Endpoints::Events);
    assert!(machine.nic(0).is_ok() && machine.nic(1).is_err() && machine.nic(7).is_ok());
    let _here = host.enter(ProcessSpec::new("driver"));
    for (index, wanted) in (1..7).zip(5..) {
        let port = Port(machine.usb_port(index).unwrap());
        assert_eq!(port, Port(wanted));
        assert!(xhcid.wait_for_port(port, true, SOON));
        Driver::start(&Client::open(xhcid.scheme(), port).unwrap()).resolve();
        let packets = std::fs::metadata(machine.pcap_path(index)).unwrap().len();
        assert!(packets > 24, "its packets are kept");
    }
}

/// Works with the controller itself, without files, in a process of its own.
fn with_controller(work: impl FnOnce(&mut dyn Bus, Port) + Send + 'static) {
    let machine = Machine::start(&MachineSpec::new().nic(nic())).unwrap();
    let host = host(&machine);
    let open = super::of(&machine, &host).unwrap();
    let port = Port(machine.usb_port(0).unwrap());
    let process = host.spawn(ProcessSpec::new("controller"), move || {
        let mut bus = open().unwrap();
        assert_eq!(bus.next_event(), Some(BusEvent::Attached(port)));
        bus.address(port).unwrap();
        work(&mut *bus, port);
        0
    });
    assert_eq!(process.wait(SOON), Some(ExitStatus::Exited(0)));
}

/// Makes a transfer and sleeps until its end, which is all that happens meanwhile.
fn finish(bus: &mut dyn Bus, port: Port, transfer: Transfer) -> Completion {
    let mut reactor = Reactor::new().unwrap();
    reactor.watch(bus.fd(), 0, READ).unwrap();
    let ticket = bus.submit(port, transfer).unwrap();
    let mut events = Vec::new();
    let event = loop {
        match bus.next_event() {
            Some(event) => break event,
            None => reactor.wait(None, &mut events).unwrap(),
        }
    };
    let BusEvent::Completed(done) = event else {
        panic!("{event:?}");
    };
    assert_eq!(done.ticket, ticket);
    done
}

#[test]
fn an_endpoint_that_stalls_goes_on_after_a_reset() {
    with_controller(|bus, port| {
        let bulk = |address| crate::xhcid::bus::Endpoint {
            address,
            attributes: 2,
            max_packet_size: 64,
            interval: 0,
        };
        // The device has no endpoint 3: it stalls whatever is sent there.
        bus.configure(port, &[bulk(0x03), bulk(0x02)]).unwrap();
        let configure = Transfer::Control {
            setup: Setup::set_configuration(2),
            data: Vec::new(),
        };
        assert_eq!(finish(bus, port, configure).outcome, Outcome::Success);
        let out = |endpoint| Transfer::Out {
            endpoint,
            data: message::packet(&[0; 60], 1),
        };
        for _ in 0..600 {
            assert_eq!(finish(bus, port, out(0x03)).outcome, Outcome::Stalled);
            assert_eq!(bus.state(port, 0x03), EndpointState::Halted);
            assert_eq!(finish(bus, port, out(0x02)).outcome, Outcome::Success);
            bus.reset(port, 0x03).unwrap();
            assert_eq!(bus.state(port, 0x03), EndpointState::Stopped);
        }
        assert_eq!(bus.state(port, 0x82), EndpointState::Disabled);
    });
}

#[test]
fn what_is_under_way_fails_when_other_endpoints_are_configured() {
    with_controller(|bus, port| {
        let bulk = |address| crate::xhcid::bus::Endpoint {
            address,
            attributes: 2,
            max_packet_size: 64,
            interval: 0,
        };
        bus.configure(port, &[bulk(0x82)]).unwrap();
        let waits = bus
            .submit(
                port,
                Transfer::In {
                    endpoint: 0x82,
                    length: 64,
                },
            )
            .unwrap();
        bus.configure(port, &[bulk(0x02)]).unwrap();
        let done = match bus.next_event() {
            Some(BusEvent::Completed(done)) => done,
            other => panic!("{other:?}"),
        };
        assert_eq!((done.ticket, done.outcome), (waits, Outcome::Failed));
        assert_eq!(bus.state(port, 0x82), EndpointState::Disabled);
        assert_eq!(bus.state(port, 0x02), EndpointState::Running);
        let gone = bus.submit(
            port,
            Transfer::In {
                endpoint: 0x82,
                length: 64,
            },
        );
        assert!(gone.is_err());
    });
}

/// The median of many runs.
fn median(mut work: impl FnMut(u16)) -> Duration {
    let run = |round| {
        let started = Instant::now();
        work(round);
        started.elapsed()
    };
    let mut times: Vec<Duration> = (0..3000).map(run).collect();
    times.sort();
    times[times.len() / 2]
}

/// A measurement, printed with `--nocapture`.
#[test]
#[ignore = "measures"]
fn how_fast_it_is() {
    with_controller(|bus, port| {
        let setup = Setup::get_descriptor(1, 0, 0, 18);
        let control = median(|_| {
            let data = Vec::new();
            finish(bus, port, Transfer::Control { setup, data });
        });
        println!("control round trip, no files: {control:?}");
        let bulk = crate::xhcid::bus::Endpoint {
            address: 0x02,
            attributes: 2,
            max_packet_size: 64,
            interval: 0,
        };
        bus.configure(port, &[bulk]).unwrap();
        let (setup, data) = (Setup::set_configuration(2), Vec::new());
        finish(bus, port, Transfer::Control { setup, data });
        let out = median(|_| {
            let data = message::packet(&[0xff; 1514], 1);
            finish(
                bus,
                port,
                Transfer::Out {
                    endpoint: 0x02,
                    data,
                },
            );
        });
        println!("full frame, no files: {out:?}");
    });
    let machine = MachineSpec::new().nic(nic()).without_capture();
    let bench = bench_on(machine, Endpoints::Events);
    let driver = Driver::start(&bench.client);
    let gateway = driver.resolve();
    let call = median(|_| drop(driver.bulk_out.answer()));
    println!("one call: {call:?}");
    let response = median(|_| drop(bench.client.get_response(1025)));
    println!("GET_ENCAPSULATED_RESPONSE, four calls: {response:?}");
    let echo = median(|round| driver.ping(gateway, round));
    println!("ICMP echo through the files: {echo:?}");
    let frame = [&[0xff; 12][..], &[0x88, 0xb5], &[0; 1500]].concat();
    let each = median(|_| driver.send(&frame));
    println!("a full frame sent through the files: {each:?}");
}
