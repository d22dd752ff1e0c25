//! What a machine is made of, and how that is said to QEMU.

use std::path::Path;

use super::address::PciAddress;
use crate::network::{Namespace, Netdev};

/// Slot of the device that turns interrupts into eventfds.
pub(super) const DOORBELL_SLOT: u8 = 2;
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

/// A virtio network card.
#[derive(Clone, Debug)]
pub struct NicSpec {
    netdev: Netdev,
    transitional: bool,
    msix: bool,
    properties: Vec<String>,
}

impl NicSpec {
    /// A modern card (1af4:1041) with MSI-X, plugged into `netdev`.
    pub fn virtio(netdev: Netdev) -> Self {
        Self {
            netdev,
            transitional: false,
            msix: true,
            properties: Vec::new(),
        }
    }

    /// A transitional card (1af4:1000), which legacy drivers can use too.
    #[must_use]
    pub fn transitional(mut self) -> Self {
        self.transitional = true;
        self
    }

    /// No MSI-X: it has only its interrupt line.
    #[must_use]
    pub fn without_msix(mut self) -> Self {
        self.msix = false;
        self
    }

    /// Its Ethernet address.
    #[must_use]
    pub fn mac(self, mac: [u8; 6]) -> Self {
        let digits: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        self.property("mac", &digits.join(":"))
    }

    /// Any property of virtio-net-pci, like "packed" "on".
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.push(format!("{name}={value}"));
        self
    }

    fn device(&self, index: usize) -> String {
        let legacy = if self.transitional { "off" } else { "on" };
        let address = nic_address(index).device;
        let mut device = format!(
            "virtio-net-pci,id={},netdev={},addr={address},disable-legacy={legacy},romfile=",
            nic_name(index),
            netdev_name(index)
        );
        let vectors = (!self.msix).then(|| "vectors=0".to_owned());
        for property in vectors.iter().chain(&self.properties) {
            device.push(',');
            device.push_str(property);
        }
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

    /// Adds a network card: the first is in slot 4, the next in slot 5.
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

    pub(super) fn nic_count(&self) -> usize {
        self.nics.len()
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
        for (index, nic) in self.nics.iter().enumerate() {
            let netdev = netdev_name(index);
            option("-netdev", nic.netdev.argument(&netdev));
            option("-device", nic.device(index));
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
