//! What a machine is made of, and how that is said to QEMU.

use std::path::Path;

use super::address::PciAddress;
use crate::network::{Namespace, Netdev};

/// Slot of the device that turns interrupts into eventfds.
pub(super) const DOORBELL_SLOT: u8 = 2;
/// Slot of the xHCI controller, on machines with adapters on USB.
pub(super) const XHCI_SLOT: u8 = 3;
/// The id of the controller.
const XHCI: &str = "xhci";
/// Ports of it for SuperSpeed, which come before the others.
const SUPERSPEED_PORTS: u8 = 4;
/// Ports of it for adapters, at least.
const USB_PORTS: u8 = 4;
/// Slot of the first network card; the next ones follow.
const FIRST_NIC_SLOT: u8 = 4;

/// QEMU's machine type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chipset {
    /// PCI Express.
    #[default]
    Q35,
    /// PCI of 1996; devices come and go without a guest's help.
    Pc,
}

impl Chipset {
    const fn name(self) -> &'static str {
        match self {
            Chipset::Q35 => "q35",
            Chipset::Pc => "pc",
        }
    }
}

/// A network card: on PCI, or an adapter on USB.
#[derive(Clone, Debug)]
pub struct NicSpec {
    netdev: Netdev,
    kind: Kind,
    properties: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Virtio { transitional: bool, msix: bool },
    Rndis { plugged: bool },
}

impl NicSpec {
    /// A modern virtio card (1af4:1041) with MSI-X, plugged into `netdev`.
    pub fn virtio(netdev: Netdev) -> Self {
        let kind = Kind::Virtio {
            transitional: false,
            msix: true,
        };
        Self::new(netdev, kind)
    }

    /// QEMU's usb-net (0525:a4a2), which speaks RNDIS, on the machine's xHCI controller, plugged into `netdev`.
    pub fn rndis(netdev: Netdev) -> Self {
        Self::new(netdev, Kind::Rndis { plugged: true })
    }

    fn new(netdev: Netdev, kind: Kind) -> Self {
        Self {
            netdev,
            kind,
            properties: Vec::new(),
        }
    }

    /// A transitional card (1af4:1000), which legacy drivers can use too. Virtio only.
    #[must_use]
    pub fn transitional(mut self) -> Self {
        if let Kind::Virtio { transitional, .. } = &mut self.kind {
            *transitional = true;
        }
        self
    }

    /// No MSI-X: it has only its interrupt line. Virtio only.
    #[must_use]
    pub fn without_msix(mut self) -> Self {
        if let Kind::Virtio { msix, .. } = &mut self.kind {
            *msix = false;
        }
        self
    }

    /// It is not there until [`super::Machine::plug`]; what it will be plugged into is. USB only.
    #[must_use]
    pub fn unplugged(mut self) -> Self {
        if let Kind::Rndis { plugged } = &mut self.kind {
            *plugged = false;
        }
        self
    }

    /// Its Ethernet address.
    #[must_use]
    pub fn mac(self, mac: [u8; 6]) -> Self {
        let digits: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        self.property("mac", &digits.join(":"))
    }

    /// Any property of virtio-net-pci or usb-net, like "packed" "on".
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// Whether it is there from the start.
    pub(super) fn is_plugged(&self) -> bool {
        self.kind != Kind::Rndis { plugged: false }
    }

    pub(super) fn is_usb(&self) -> bool {
        matches!(self.kind, Kind::Rndis { .. })
    }

    /// The properties of card `index`, the driver's name first; on USB it takes port `usb_port` of the bus.
    pub(super) fn device(&self, index: usize, usb_port: u8) -> Vec<(String, String)> {
        let property = |name: &str, value: String| (name.to_owned(), value);
        let mut device = vec![
            property("id", nic_name(index)),
            property("netdev", netdev_name(index)),
        ];
        match self.kind {
            Kind::Virtio { transitional, msix } => {
                let legacy = if transitional { "off" } else { "on" };
                device.insert(0, property("driver", "virtio-net-pci".into()));
                // QEMU reads it as hexadecimal.
                let slot = format!("{:x}", nic_address(index).device);
                device.push(property("addr", slot));
                device.push(property("disable-legacy", legacy.into()));
                device.push(property("romfile", String::new()));
                device.extend((!msix).then(|| property("vectors", "0".into())));
            }
            Kind::Rndis { .. } => {
                device.insert(0, property("driver", "usb-net".into()));
                device.push(property("bus", format!("{XHCI}.0")));
                device.push(property("port", usb_port.to_string()));
            }
        }
        device.extend(self.properties.iter().cloned());
        device
    }
}

/// The id of card `index` for QMP.
pub fn nic_name(index: usize) -> String {
    format!("nic{index}")
}

/// The id of what card `index` is plugged into.
pub fn netdev_name(index: usize) -> String {
    format!("net{index}")
}

/// Where card `index` sits.
pub fn nic_address(index: usize) -> PciAddress {
    PciAddress::slot(FIRST_NIC_SLOT.saturating_add(index as u8))
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    name: String,
    chipset: Chipset,
    ram_megabytes: u32,
    msi_vectors: u16,
    nics: Vec<NicSpec>,
    arguments: Vec<String>,
    capture: bool,
    namespace: Option<Namespace>,
}

impl MachineSpec {
    /// A q35 with 64 MB, 16 interrupt vectors and no network card, named after the thread, which in a test is the test.
    pub fn new() -> Self {
        let name = std::thread::current()
            .name()
            .unwrap_or("run")
            .replace("::", "-");
        Self {
            name,
            chipset: Chipset::Q35,
            ram_megabytes: 64,
            msi_vectors: 16,
            nics: Vec::new(),
            arguments: Vec::new(),
            capture: true,
            namespace: None,
        }
    }

    /// The name of the run's folder.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The machine type.
    #[must_use]
    pub fn chipset(mut self, chipset: Chipset) -> Self {
        self.chipset = chipset;
        self
    }

    /// Guest RAM, in MiB.
    #[must_use]
    pub fn ram_megabytes(mut self, megabytes: u32) -> Self {
        self.ram_megabytes = megabytes;
        self
    }

    /// How many interrupts can be eventfds.
    #[must_use]
    pub fn msi_vectors(mut self, vectors: u16) -> Self {
        self.msi_vectors = vectors;
        self
    }

    /// Adds a network card. Card 0 on PCI would be in slot 4, card 1 in slot 5; the first on USB is in port 5 of the
    /// controller, the next in port 6.
    #[must_use]
    pub fn nic(mut self, nic: NicSpec) -> Self {
        self.nics.push(nic);
        self
    }

    /// Adds an argument of QEMU's command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// No packet files: for measurements, which they would slow down.
    #[must_use]
    pub fn without_capture(mut self) -> Self {
        self.capture = false;
        self
    }

    /// QEMU runs in this namespace. Unsaid it runs where its first card's network is.
    #[must_use]
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.namespace = Some(namespace.clone());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn chipset_kind(&self) -> Chipset {
        self.chipset
    }

    pub(super) fn ram_bytes(&self) -> u64 {
        u64::from(self.ram_megabytes) << 20
    }

    pub(super) fn vectors(&self) -> u16 {
        self.msi_vectors
    }

    pub(super) fn nics(&self) -> &[NicSpec] {
        &self.nics
    }

    /// The port of the USB bus that card `index` takes, counted from 1.
    pub(super) fn usb_port(&self, index: usize) -> u8 {
        let before = self.nics.iter().take(index);
        before.filter(|nic| nic.is_usb()).count() as u8 + 1
    }

    /// The controller's number for that port.
    pub(super) fn root_port(&self, index: usize) -> u8 {
        SUPERSPEED_PORTS + self.usb_port(index)
    }

    /// The controller, if there is an adapter for it.
    fn controller(&self) -> Option<String> {
        let adapters = self.nics.iter().filter(|nic| nic.is_usb()).count() as u8;
        let ports = adapters.max(USB_PORTS);
        let controller =
            format!("qemu-xhci,id={XHCI},addr={XHCI_SLOT},p2={ports},p3={SUPERSPEED_PORTS}");
        (adapters > 0).then_some(controller)
    }

    /// Where QEMU runs: all its cards have to be reachable from there.
    pub(super) fn namespace(&self) -> Option<&Namespace> {
        self.namespace
            .as_ref()
            .or_else(|| self.nics.iter().find_map(|nic| nic.netdev.namespace()))
    }

    /// QEMU's command line. `files` holds the sockets, the memory and the firmware; packets go to `run`.
    pub(super) fn qemu_arguments(&self, files: &Path, run: &Path) -> Vec<String> {
        let ram = self.ram_megabytes;
        let file = |name: &str| escape(&files.join(name));
        let mut line: Vec<String> = ["-nodefaults", "-no-user-config", "-display", "none"]
            .map(String::from)
            .into();
        let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
        option(
            "-machine",
            format!("{},memory-backend=mem0", self.chipset.name()),
        );
        option("-m", format!("{ram}M"));
        option(
            "-object",
            format!(
                "memory-backend-file,id=mem0,size={ram}M,mem-path={},share=on",
                file("ram")
            ),
        );
        // One halted processor. With tcg the virtual clock is real time; with qtest as the accelerator it stands still.
        option("-accel", "tcg,tb-size=1".into());
        option("-bios", file("firmware"));
        option("-qtest", format!("unix:{}", file("qtest")));
        option("-qtest-log", "/dev/null".into());
        option("-qmp", format!("unix:{}", file("qmp")));
        option(
            "-chardev",
            format!("socket,id=doorbell,path={}", file("ivshmem")),
        );
        let vectors = self.msi_vectors;
        option(
            "-device",
            format!("ivshmem-doorbell,chardev=doorbell,vectors={vectors},addr={DOORBELL_SLOT}"),
        );
        if let Some(controller) = self.controller() {
            option("-device", controller);
        }
        for (index, nic) in self.nics.iter().enumerate() {
            let netdev = netdev_name(index);
            option("-netdev", nic.netdev.argument(&netdev));
            if nic.is_plugged() {
                let device = nic.device(index, self.usb_port(index));
                let device = device.iter().map(|(name, value)| format!("{name}={value}"));
                option("-device", device.collect::<Vec<_>>().join(","));
            }
            if self.capture {
                let path = escape(&run.join(format!("{}.pcap", nic_name(index))));
                option(
                    "-object",
                    format!("filter-dump,id=dump{index},netdev={netdev},file={path}"),
                );
            }
        }
        line.extend(self.arguments.iter().cloned());
        line
    }
}

impl Default for MachineSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// A comma inside a value of QEMU's command line is written twice.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
