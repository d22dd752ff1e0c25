//! QEMU's arguments for a Redox, and redoxer's for the same.

use std::path::Path;

/// The network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nic {
    /// virtio-net on PCI.
    Virtio,
    /// usb-net on qemu-xhci.
    Rndis,
    /// What upstream drives best, for comparisons.
    E1000,
    /// None.
    None,
    /// A qemu-xhci, into which [`ADAPTER`] can be plugged later.
    Later,
}

/// What plugs the adapter in, for QEMU's `device_add`.
pub(crate) const ADAPTER: &str = "usb-net,id=card0,netdev=net0,bus=xhci.0";

/// What is at the other end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// QEMU's user network: a router, DHCP, the host's servers.
    User,
    /// A hub with nobody else.
    Silent,
}

/// The machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// x86_64.
    Q35,
    /// aarch64.
    Virt,
}

/// How the processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// By the processor of this machine.
    Kvm,
    /// By a program.
    Tcg,
}

impl Nic {
    /// The values of QEMU's `-device` that plug the card into the netdev `net0`.
    fn devices(self) -> &'static [&'static str] {
        match self {
            Nic::Virtio => &["virtio-net-pci,netdev=net0"],
            Nic::Rndis => &["qemu-xhci,id=xhci", ADAPTER],
            Nic::E1000 => &["e1000,netdev=net0"],
            Nic::None => &[],
            Nic::Later => &["qemu-xhci,id=xhci"],
        }
    }
}

impl Machine {
    /// The target that its programs are compiled for.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Machine::Q35 => "x86_64-unknown-redox",
            Machine::Virt => "aarch64-unknown-redox",
        }
    }

    /// The QEMU that has it, and the Debian package that brings that.
    pub(crate) fn qemu(self) -> (&'static str, &'static str) {
        match self {
            Machine::Q35 => ("qemu-system-x86_64", "qemu-system-x86"),
            Machine::Virt => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// KVM if this machine has it for that processor.
    pub(crate) fn accelerator(self) -> Accelerator {
        let same = match self {
            Machine::Q35 => "x86_64",
            Machine::Virt => "aarch64",
        } == std::env::consts::ARCH;
        let device = std::fs::OpenOptions::new().write(true).open("/dev/kvm");
        match same && device.is_ok() {
            true => Accelerator::Kvm,
            false => Accelerator::Tcg,
        }
    }

    /// What the machine needs that the others do not.
    fn words(self) -> &'static [&'static str] {
        match self {
            Machine::Q35 => &["-machine", "q35"],
            // It has no firmware and no keyboard of its own.
            Machine::Virt => &[
                "-machine",
                "virt",
                "-bios",
                "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
                "-device",
                "qemu-xhci,id=keys",
                "-device",
                "usb-kbd,bus=keys.0",
            ],
        }
    }
}

/// A Redox to boot.
#[derive(Clone, Debug)]
pub(crate) struct Boot<'a> {
    pub(crate) machine: Machine,
    pub(crate) accelerator: Accelerator,
    pub(crate) nic: Nic,
    pub(crate) network: Network,
    /// The disk, which is not written to: what changes is forgotten with QEMU.
    pub(crate) disk: &'a Path,
    /// Sockets at which somebody listens.
    pub(crate) serial: &'a Path,
    pub(crate) monitor: &'a Path,
    /// Where the packets go.
    pub(crate) pcap: &'a Path,
    /// A TCP port of the host's loopback, and the one of Redox that it leads to.
    pub(crate) forward: (u16, u16),
}

impl Boot<'_> {
    /// QEMU's arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| all.extend(words.iter().map(|&word| word.to_owned()));
        add(self.machine.words());
        add(match self.accelerator {
            Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Accelerator::Tcg => &["-accel", "tcg", "-cpu", "max"],
        });
        add(&["-m", "1024", "-smp", "2", "-display", "none"]);
        let disk = format!(
            "file={},format=raw,if=none,id=disk0,snapshot=on",
            option(&text(self.disk))
        );
        add(&["-drive", &disk, "-device", "virtio-blk-pci,drive=disk0"]);
        let (port, guest) = self.forward;
        let user = format!(
            "user,id=net0,ipv4=on,ipv6=on,ipv6-net=fd12::/64,hostfwd=tcp:127.0.0.1:{port}-:{guest}"
        );
        let netdev = match self.network {
            Network::User => &user,
            Network::Silent => "hubport,id=net0,hubid=0",
        };
        // Without this, QEMU adds a card of its own liking.
        add(&["-nic", "none", "-netdev", netdev]);
        for device in self.nic.devices() {
            add(&["-device", device]);
        }
        let dump = format!(
            "filter-dump,id=dump0,netdev=net0,file={}",
            option(&text(self.pcap))
        );
        add(&["-object", &dump]);
        for (name, socket) in [("serial", self.serial), ("monitor", self.monitor)] {
            let chardev = format!("socket,id={name}0,path={}", option(&text(socket)));
            add(&["-chardev", &chardev]);
        }
        add(&["-serial", "chardev:serial0", "-monitor", "chardev:monitor0"]);
        all
    }
}

/// What redoxer gives its QEMU by `-device` itself. Naming that option drops all of it, so it is named again.
const REDOXER_DEVICES: [&str; 2] = ["isa-debugcon,chardev=log", "isa-debug-exit"];

/// The command line that runs `command` on redoxer's image with the package trees under `stage` laid over it. As redoxer's
/// `exec.rs` of 2026-07-20 (ad2c079) has it: naming an option takes all of its defaults away, values are split at single
/// spaces, and a folder is given to rsync, which copies what is in it only when its name ends with a slash.
pub(crate) fn redoxer(nic: Nic, stage: &Path, command: &str) -> String {
    let devices = nic.devices().iter().chain(&REDOXER_DEVICES);
    let words: Vec<String> = devices.map(|device| format!("-device {device}")).collect();
    format!(
        "REDOXER_QEMU_ARGS={} redoxer exec -f {} {command}",
        quoted(&words.join(" ")),
        quoted(&format!("{}/:/", text(stage))),
    )
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A value inside one of QEMU's option lists, where a comma is written twice.
fn option(value: &str) -> String {
    value.replace(',', ",,")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(machine: Machine, nic: Nic) -> Vec<String> {
        Boot {
            machine,
            accelerator: Accelerator::Tcg,
            nic,
            network: Network::User,
            disk: Path::new("a,b.img"),
            serial: Path::new("s"),
            monitor: Path::new("m"),
            pcap: Path::new("p"),
            forward: (7007, 7),
        }
        .arguments()
    }

    fn values<'a>(arguments: &'a [String], name: &str) -> Vec<&'a str> {
        let named = arguments.windows(2).filter(|pair| pair[0] == name);
        named.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn each_card_sits_on_the_network_that_is_recorded() {
        let virtio = boot(Machine::Q35, Nic::Virtio);
        let devices = values(&virtio, "-device");
        assert_eq!(
            devices,
            ["virtio-blk-pci,drive=disk0", "virtio-net-pci,netdev=net0"]
        );
        assert!(values(&virtio, "-netdev")[0].contains("hostfwd=tcp:127.0.0.1:7007-:7"));
        assert_eq!(
            values(&virtio, "-object"),
            ["filter-dump,id=dump0,netdev=net0,file=p"]
        );
        let rndis = boot(Machine::Q35, Nic::Rndis);
        let devices = values(&rndis, "-device");
        assert_eq!(
            &devices[1..],
            [
                "qemu-xhci,id=xhci",
                "usb-net,id=card0,netdev=net0,bus=xhci.0"
            ]
        );
        let card = |arguments: &[String]| arguments.iter().any(|word| word.contains("e1000"));
        assert!(!card(&virtio) && !card(&rndis));
        assert!(card(&boot(Machine::Q35, Nic::E1000)));
    }

    #[test]
    fn no_card_is_no_card_and_one_that_comes_later_has_a_bus_to_come_to() {
        let none = boot(Machine::Q35, Nic::None);
        assert_eq!(values(&none, "-device"), ["virtio-blk-pci,drive=disk0"]);
        assert_eq!(values(&none, "-nic"), ["none"]);
        let later = boot(Machine::Q35, Nic::Later);
        let bus = values(&later, "-device")[1];
        assert!(!bus.contains("net0") && bus.ends_with("id=xhci"));
        assert!(ADAPTER.contains("netdev=net0") && ADAPTER.contains("bus=xhci.0"));
    }

    #[test]
    fn a_comma_in_a_path_does_not_end_it() {
        let drive = &boot(Machine::Q35, Nic::Virtio);
        assert_eq!(
            values(drive, "-drive"),
            ["file=a,,b.img,format=raw,if=none,id=disk0,snapshot=on"]
        );
    }

    #[test]
    fn the_arm_machine_has_firmware_and_a_keyboard() {
        let arguments = boot(Machine::Virt, Nic::Virtio);
        assert_eq!(values(&arguments, "-machine"), ["virt"]);
        assert!(!values(&arguments, "-bios").is_empty());
        assert!(values(&arguments, "-device").contains(&"usb-kbd,bus=keys.0"));
    }

    #[test]
    fn redoxer_keeps_what_naming_a_device_takes_from_it() {
        let stage = Path::new("target/redox/stage");
        assert_eq!(
            redoxer(Nic::Virtio, stage, "net ping -c 3 10.0.2.2"),
            "REDOXER_QEMU_ARGS='-device virtio-net-pci,netdev=net0 -device isa-debugcon,chardev=log \
             -device isa-debug-exit' redoxer exec -f 'target/redox/stage/:/' net ping -c 3 10.0.2.2"
        );
        let usb = redoxer(Nic::Rndis, Path::new("it's"), "ls");
        assert!(usb.starts_with(
            "REDOXER_QEMU_ARGS='-device qemu-xhci,id=xhci -device usb-net,id=card0,netdev=net0,bus=xhci.0 -device isa-debugcon"
        ));
        assert!(usb.ends_with("-f 'it'\\''s/:/' ls"), "{usb}");
        // redoxer splits at single spaces: no argument may have one, nor be empty.
        let value = usb.split('\'').nth(1).unwrap();
        assert!(
            value
                .split(' ')
                .all(|word| !word.is_empty() && !word.contains('"'))
        );
    }
}
