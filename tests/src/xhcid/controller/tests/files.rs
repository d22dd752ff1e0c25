//! Through xhcid's files.

use std::time::Duration;

use redox_host::ProcessSpec;
use syscall::error::{EBADF, EIO, EWOULDBLOCK};

use super::driver::{Driver, TRANSFER, arp_request, ask};
use super::*;
use crate::xhcid::scripted::message;

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

#[test]
fn a_device_that_is_replaced_before_anybody_looked_is_another_one() {
    let (tell, told) = std::sync::mpsc::channel();
    let driver = crate::xhcid::Driver::new("driver", &crate::xhcid::RNDIS_CLASSES, move |_| {
        tell.send(()).unwrap();
        0
    });
    let spec = MachineSpec::new().nic(nic());
    let machine = Machine::start(&spec).unwrap();
    let host = host(&machine);
    let spec = XhcidSpec::new("pci-0000-00-03.0").driver(driver);
    let bus = controller::of(&machine, &host).unwrap();
    let _xhcid = Xhcid::spawn(&host, spec, bus).unwrap();
    for round in 0..10 {
        assert!(told.recv_timeout(SOON).is_ok(), "round {round}");
        machine.unplug(0).unwrap();
        machine.plug(0).unwrap();
    }
}
