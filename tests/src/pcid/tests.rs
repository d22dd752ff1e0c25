//! A client that is written out byte by byte, against QEMU's card.

use libredox::Fd;
use redox_host::{Entered, HostConfig};
use syscall::error::{EACCES, EINVAL, ENODEV, ENOENT, ENOLCK};
use syscall::flag::{O_RDONLY, O_RDWR};

use super::*;
use crate::machine::{Bar, Capability, Machine, MachineSpec, NicSpec, nic_address};
use crate::network::{Netdev, Slirp};

struct Lab {
    machine: Machine,
    pcid: Pcid,
    host: Host,
}

fn lab(line: LegacyLine) -> Lab {
    let nic = NicSpec::virtio(Netdev::Slirp(Slirp::new()));
    let machine = Machine::start(&MachineSpec::new().nic(nic)).unwrap();
    let host = Host::new(HostConfig {
        ram: Some(machine.ram().clone()),
        ..HostConfig::default()
    })
    .unwrap();
    let pcid = Pcid::spawn(&host, machine.bus(), [machine.nic(0).unwrap()], line).unwrap();
    Lab {
        machine,
        pcid,
        host,
    }
}

fn driver(host: &Host) -> Entered {
    host.enter(ProcessSpec::new("driver"))
}

fn channel() -> libredox::error::Result<Fd> {
    Fd::open(
        &format!("/scheme/pci/{}/channel", nic_address(0)),
        O_RDWR as i32,
        0,
    )
}

fn ask(channel: &Fd, request: &[u8]) -> Vec<u8> {
    assert_eq!(channel.write(request).unwrap(), request.len());
    let mut length = [0; 8];
    assert_eq!(channel.read(&mut length).unwrap(), 8);
    let mut body = vec![0; u64::from_le_bytes(length) as usize];
    assert_eq!(channel.read(&mut body).unwrap(), body.len());
    body
}

/// Takes fields off the front of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk::<N>().expect("a longer message");
        self.0 = rest;
        *field
    }
    fn u8(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }
    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// The six BARs of a Config answer whose cursor stands at the first.
fn bars(fields: &mut Fields<'_>) -> Vec<Bar> {
    let bar = |fields: &mut Fields<'_>| match fields.u32() {
        0 => Bar::None,
        1 => Bar::Memory32 {
            address: fields.u32(),
            size: fields.u32(),
        },
        2 => Bar::Memory64 {
            address: fields.u64(),
            size: fields.u64(),
        },
        3 => Bar::Port {
            address: fields.u16(),
            size: 0,
        },
        other => panic!("BAR of kind {other}"),
    };
    (0..6).map(|_| bar(fields)).collect()
}

#[test]
fn a_driver_reads_its_configuration_off_the_channel() {
    for (line, phandled) in [
        (LegacyLine::Number, false),
        (LegacyLine::Phandle { controller: 0x8002 }, true),
    ] {
        let lab = lab(line);
        let _driver = driver(&lab.host);
        let channel = channel().unwrap();
        let answer = ask(&channel, &[1, 0, 0, 0]);
        let mut fields = Fields(&answer);
        assert_eq!(fields.u32(), 1, "Config");
        assert_eq!(
            (fields.u16(), fields.u8(), fields.u8(), fields.u8()),
            (0, 0, 4, 0),
            "address"
        );
        assert_eq!(bars(&mut fields), lab.machine.nic(0).unwrap().bars);
        assert_eq!(fields.u8(), 0, "no ROM");
        assert_eq!(fields.u8(), 1, "a line");
        let irq = fields.u8();
        assert_eq!(irq, lab.machine.bus().interrupt_line(nic_address(0)));
        assert_eq!(fields.u8(), u8::from(phandled));
        if phandled {
            assert_eq!(fields.u32(), 0x8002);
            assert_eq!(
                [fields.u32(), fields.u32(), fields.u32()],
                [0, irq.into(), 4]
            );
            assert_eq!(fields.u64(), 3);
        }
        assert_eq!((fields.u16(), fields.u16()), (0x1af4, 0x1041));
        assert_eq!(
            [fields.u8(), fields.u8(), fields.u8(), fields.u8()],
            [2, 0, 0, 1],
            "class to revision"
        );
        assert!(fields.0.is_empty());
    }
}

#[test]
fn capabilities_come_without_their_heads_and_the_first_byte_says_which() {
    let lab = lab(LegacyLine::Number);
    let _driver = driver(&lab.host);
    let answer = ask(&channel().unwrap(), &[3, 0, 0, 0]);
    let mut fields = Fields(&answer);
    assert_eq!((fields.u32(), fields.u64()), (3, 5));
    let mut kinds = Vec::new();
    for _ in 0..5 {
        let length = fields.u64() as usize;
        let (data, rest) = fields.0.split_at(length);
        fields.0 = rest;
        kinds.push(data[0]);
        let whole = if data[0] == 2 || data[0] == 5 { 20 } else { 16 };
        assert_eq!(length, whole - 3, "type {}", data[0]);
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [1, 2, 3, 4, 5],
        "common, notify, ISR, device, PCI access"
    );
}

#[test]
fn msi_x_is_described_enabled_and_masked_in_the_real_configuration_space() {
    let lab = lab(LegacyLine::Number);
    let _driver = driver(&lab.host);
    let channel = channel().unwrap();
    assert_eq!(
        ask(&channel, &[2, 0, 0, 0]),
        [&[2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], &[1, 0, 0, 0]].concat()
    );
    let info = ask(&channel, &[5, 0, 0, 0, 1, 0, 0, 0]);
    let mut fields = Fields(&info);
    assert_eq!((fields.u32(), fields.u32(), fields.u32()), (7, 1, 1));
    assert_eq!(
        (fields.u8(), fields.u32(), fields.u16()),
        (1, 0, 4),
        "table: BAR, offset, entries"
    );
    assert_eq!(
        (fields.u8(), fields.u32()),
        (1, 0x800),
        "pending bits: BAR, offset"
    );
    let control = || {
        let bus = lab.machine.bus();
        let msix = bus.msix(nic_address(0)).unwrap();
        bus.read(nic_address(0), msix.offset + 2, crate::machine::Width::Word) >> 14
    };
    assert_eq!(control(), 0b00);
    assert_eq!(
        ask(&channel, &[4, 0, 0, 0, 1, 0, 0, 0]),
        [4, 0, 0, 0, 1, 0, 0, 0]
    );
    assert_eq!(control(), 0b10, "enabled");
    assert_eq!(
        ask(&channel, &[6, 0, 0, 0, 1, 0, 0, 0, 1, 1]),
        [8, 0, 0, 0, 1, 0, 0, 0]
    );
    assert_eq!(control(), 0b11, "and masked");
    assert_eq!(ask(&channel, &[0, 0, 0, 0]), [0, 0, 0, 0]);
    assert_eq!(control() & 0b10, 0, "EnableDevice starts afresh");
    let no_msi = [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        ask(&channel, &[4, 0, 0, 0, 0, 0, 0, 0]),
        no_msi,
        "MSI does not exist"
    );
    assert_eq!(ask(&channel, &[5, 0, 0, 0, 0, 0, 0, 0]), no_msi);
}

#[test]
fn configuration_space_is_read_and_written_through_the_channel() {
    let lab = lab(LegacyLine::Number);
    let _driver = driver(&lab.host);
    let channel = channel().unwrap();
    assert_eq!(
        ask(&channel, &[7, 0, 0, 0, 0, 0]),
        [9, 0, 0, 0, 0xf4, 0x1a, 0x41, 0x10]
    );
    let command = lab.machine.bus().command(nic_address(0));
    assert_eq!(command & 7, 7, "opening the channel enabled the device");
    assert_eq!(
        ask(&channel, &[8, 0, 0, 0, 4, 0, 3, 4, 0, 0]),
        [10, 0, 0, 0]
    );
    assert_eq!(lab.machine.bus().command(nic_address(0)), 0x403);
    assert_eq!(
        ask(&channel, &[7, 0, 0, 0, 0, 1]),
        [9, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        "beyond 256 bytes"
    );
    assert!(
        lab.machine
            .bus()
            .capabilities(nic_address(0))
            .iter()
            .any(|c| c.id == Capability::MSIX)
    );
}

fn errno<T>(result: libredox::error::Result<T>) -> i32 {
    result.err().expect("an error").errno()
}

#[test]
fn request_and_answer_alternate_and_nonsense_is_refused() {
    let lab = lab(LegacyLine::Number);
    let _driver = driver(&lab.host);
    let channel = channel().unwrap();
    assert_eq!(
        errno(channel.read(&mut [0; 8])),
        EINVAL,
        "nothing was asked"
    );
    for nonsense in [
        &[][..],
        &[9, 0, 0, 0],
        &[4, 0, 0, 0, 2, 0, 0, 0],
        &[7, 0, 0, 0, 0],
    ] {
        assert_eq!(errno(channel.write(nonsense)), EINVAL, "{nonsense:?}");
    }
    channel.write(&[0, 0, 0, 0]).unwrap();
    assert_eq!(
        errno(channel.write(&[0, 0, 0, 0])),
        EINVAL,
        "the answer has not been read"
    );
    let mut whole = [0; 100];
    assert_eq!(
        channel.read(&mut whole).unwrap(),
        12,
        "eight bytes of length, four of answer"
    );
    assert_eq!(whole[..12], [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    channel.write(&[0, 0, 0, 0]).unwrap();
}

#[test]
fn a_channel_has_one_driver_at_a_time_and_only_root_is_one() {
    let lab = lab(LegacyLine::Number);
    let _driver = driver(&lab.host);
    let first = channel().unwrap();
    assert_eq!(errno(channel()), ENOLCK);
    drop(first);
    let second = channel().unwrap();
    {
        let _user = lab.host.enter(ProcessSpec::new("somebody").uid(1000));
        assert_eq!(errno(channel()), EACCES);
    }
    assert_eq!(
        errno(Fd::open(
            "/scheme/pci/0000--00--05.0/channel",
            O_RDWR as i32,
            0
        )),
        ENOENT
    );
    assert_eq!(
        errno(Fd::open("/scheme/pci/rubbish", O_RDONLY as i32, 0)),
        ENOENT
    );
    lab.pcid.remove(nic_address(0));
    assert_eq!(
        errno(second.write(&[0, 0, 0, 0])),
        ENODEV,
        "the card was pulled out"
    );
}
