//! QEMU as the hardware, without a guest.
//!
//! Its one processor executes a halt; its devices are driven from here, through registers on a socket ([`Qtest`]),
//! memory in a file that both map, and interrupts as eventfds. Ready in some 50 ms.

mod address;
mod interrupts;
mod ivshmem;
mod msix;
mod pci;
mod qmp;
mod qtest;
mod registers;
mod spec;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redox_host::SharedRam;

use crate::error::{Context, Error, Result};
use crate::process::{Process, Program};
use crate::run::RunDirectory;
use crate::{scratch, wait};

pub use address::PciAddress;
pub use interrupts::INTERRUPT_LINES;
use ivshmem::{DOORBELL_OFFSET, IvshmemServer, OUR_PEER_ID};
pub use msix::{MsiMessage, Msix, program_msix_entry};
pub use pci::{Bar, COMMAND_ENABLE, COMMAND_INTX_DISABLE, Capability, PciBus, PciId};
pub use qmp::Qmp;
pub use qtest::{Qtest, Width};
pub use registers::QtestRegisters;
pub use spec::{Chipset, MachineSpec, NicSpec, netdev_name, nic_address, nic_name};

const START: Duration = Duration::from_secs(15);
/// The size of a ROM that ends at 4 GiB, with the processor's first instruction 16 bytes before its end.
const FIRMWARE_SIZE: usize = 64 << 10;
const RESET_VECTOR: usize = FIRMWARE_SIZE - 16;

/// A machine that runs. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Machine {
    // Fields are dropped in this order: the socket first, so that nobody waits for a QEMU that is being killed.
    qtest: Qtest,
    qmp: Qmp,
    qemu: Process,
    bus: PciBus,
    spec: MachineSpec,
    /// None for those on USB.
    nics: Vec<Option<PciFunction>>,
    xhci: Option<PciFunction>,
    doorbell: MsiDoorbell,
    vectors: IvshmemServer,
    ram: SharedRam,
    run: Arc<RunDirectory>,
}

/// A PCI function that has been set up.
#[derive(Clone, Copy, Debug)]
pub struct PciFunction {
    /// Where it sits.
    pub address: PciAddress,
    /// Its BARs, with the addresses that they have been given.
    pub bars: [Bar; 6],
}

/// The register that signals an eventfd for every message written to it.
#[derive(Clone, Copy, Debug)]
pub struct MsiDoorbell(u64);

impl MsiDoorbell {
    /// The message that signals the eventfd of `vector`.
    pub fn message(self, vector: u16) -> MsiMessage {
        MsiMessage {
            address: self.0,
            data: u32::from(OUR_PEER_ID) << 16 | u32::from(vector),
        }
    }
}

impl Machine {
    /// Starts QEMU and gives every BAR an address. An error says what QEMU said.
    pub fn start(spec: &MachineSpec) -> Result<Self> {
        let run = Arc::new(RunDirectory::create(spec.name())?);
        // Everything in it is deleted again as soon as QEMU has opened it.
        let files = scratch::folder()?;
        let at = |name: &str| files.path().join(name);
        std::fs::write(at("firmware"), firmware()).context("the firmware")?;
        let ram = SharedRam::create(&at("ram"), spec.ram_bytes()).context("guest RAM")?;
        let [qtest, qmp, ivshmem] = [
            listen(&at("qtest"))?,
            listen(&at("qmp"))?,
            listen(&at("ivshmem"))?,
        ];

        let arguments = spec.qemu_arguments(files.path(), run.path());
        run.log(
            "lab",
            format!("qemu-system-x86_64 {}", arguments.join(" ")).as_bytes(),
        );
        let mut qemu = Program::new("qemu-system-x86_64", "qemu-system-x86")?
            .args(arguments)
            .inside(spec.namespace())
            .start()?;

        let deadline = Instant::now() + START;
        let stream = accept(&ivshmem, &mut qemu, deadline)?;
        let vectors = IvshmemServer::introduce(stream, spec.vectors())?;
        let qtest = Qtest::new(accept(&qtest, &mut qemu, deadline)?)?;
        let stream = accept(&qmp, &mut qemu, deadline)?;
        let qmp = Qmp::new(stream).map_err(|error| start_error(&mut qemu, &error.to_string()))?;

        let bus = PciBus::new(&qtest);
        let mut machine = Self {
            qtest,
            qmp,
            qemu,
            bus,
            spec: spec.clone(),
            nics: Vec::new(),
            xhci: None,
            doorbell: MsiDoorbell(0),
            vectors,
            ram,
            run,
        };
        machine.set_up()?;
        Ok(machine)
    }

    /// What firmware does: addresses for BARs, routes for interrupt lines.
    fn set_up(&mut self) -> Result<()> {
        interrupts::route_lines(&self.bus, self.spec.chipset_kind());
        let doorbell = PciAddress::slot(spec::DOORBELL_SLOT);
        let [registers, ..] = self.bus.assign_bars(doorbell)?;
        let (address, _) = registers
            .memory()
            .context("the doorbell device has no registers")?;
        self.doorbell = MsiDoorbell(address.saturating_add(DOORBELL_OFFSET));
        self.bus.enable(doorbell);
        for (index, nic) in self.spec.nics().iter().enumerate() {
            let function = match nic.is_usb() {
                true => None,
                false => Some(self.set_up_function(nic_address(index))?),
            };
            self.nics.push(function);
        }
        if self.nics.iter().any(Option::is_none) {
            self.xhci = Some(self.set_up_function(PciAddress::slot(spec::XHCI_SLOT))?);
        }
        Ok(())
    }

    /// Gives the BARs of a function addresses, as at its start or after it was plugged in, and notes its interrupt line.
    pub fn set_up_function(&self, address: PciAddress) -> Result<PciFunction> {
        if !self.bus.is_present(address) {
            return Err(Error::new(format!("no PCI function at {address}")));
        }
        let bars = self.bus.assign_bars(address)?;
        self.bus.set_interrupt_line(
            address,
            interrupts::line_of(
                self.spec.chipset_kind(),
                address,
                self.bus.interrupt_pin(address),
            ),
        );
        Ok(PciFunction { address, bars })
    }

    /// Registers and ports.
    pub fn qtest(&self) -> &Qtest {
        &self.qtest
    }

    /// The monitor.
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// Configuration space.
    pub fn bus(&self) -> &PciBus {
        &self.bus
    }

    /// Guest RAM: the device address of a byte is its offset. The first MiB is left alone.
    pub fn ram(&self) -> &SharedRam {
        &self.ram
    }

    /// Network card `index`, in the order of the specification; an error for one on USB.
    pub fn nic(&self, index: usize) -> Result<PciFunction> {
        let nic = self.nics.get(index).copied().flatten();
        nic.context(format_args!("there is no network card {index} on PCI"))
    }

    /// How many network cards the specification had, on PCI and on USB.
    pub fn nic_count(&self) -> usize {
        self.nics.len()
    }

    /// The xHCI controller; an error when no network card is on USB.
    pub fn xhci(&self) -> Result<PciFunction> {
        self.xhci.context("no network card is on USB")
    }

    /// The port of the xHCI controller that network card `index` is for, counted from 1; None for one on PCI.
    pub fn usb_port(&self, index: usize) -> Option<u8> {
        let on_usb = self.nics.get(index)?.is_none();
        on_usb.then(|| self.spec.root_port(index))
    }

    /// Whether network card `index` is on USB and was there from the start.
    pub fn is_plugged(&self, index: usize) -> bool {
        let nic = self.spec.nics().get(index);
        nic.is_some_and(|nic| nic.is_usb() && nic.is_plugged())
    }

    /// Plugs in network card `index`, which is on USB and not there.
    pub fn plug(&self, index: usize) -> Result<()> {
        let nic = self.spec.nics().get(index).filter(|nic| nic.is_usb());
        let nic = nic.context(format_args!("there is no network card {index} on USB"))?;
        let device = nic.device(index, self.spec.usb_port(index));
        let device = device.into_iter().map(|(name, value)| (name, value.into()));
        self.qmp
            .device_add(serde_json::Value::Object(device.collect()))
    }

    /// Pulls out network card `index`, which is on USB; it is gone when this returns.
    pub fn unplug(&self, index: usize) -> Result<()> {
        self.qmp.device_del(&nic_name(index))?;
        self.qmp.wait_for_event("DEVICE_DELETED", START).map(drop)
    }

    /// The registers behind a memory BAR; None for the other kinds.
    pub fn registers(&self, bar: Bar) -> Option<QtestRegisters> {
        let (address, size) = bar.memory()?;
        Some(QtestRegisters::new(
            &self.qtest,
            address,
            usize::try_from(size).ok()?,
        ))
    }

    /// Becomes readable when QEMU has ended.
    pub fn qemu_pidfd(&self) -> impl AsFd + '_ {
        self.qemu.pidfd()
    }

    /// QEMU's process id.
    pub fn qemu_id(&self) -> u32 {
        self.qemu.id()
    }

    /// The eventfds of the interrupt vectors, vector 0 first. They are signalled whether or not somebody reads.
    pub fn msi_eventfds(&self) -> Result<Vec<OwnedFd>> {
        self.vectors.eventfds()
    }

    /// Where messages go that signal those eventfds.
    pub fn msi_doorbell(&self) -> MsiDoorbell {
        self.doorbell
    }

    /// From now on `handler` hears which of [`INTERRUPT_LINES`] is raised or lowered. It runs on whatever thread reads
    /// the qtest socket and must not use the machine. Once only.
    pub fn on_interrupt_line(
        &self,
        handler: impl Fn(u8, bool) + Send + Sync + 'static,
    ) -> Result<()> {
        let chipset = self.spec.chipset_kind();
        self.qtest.intercept_lines(move |input, raised| {
            if let Some(line) = interrupts::line_of_input(chipset, input) {
                handler(line, raised);
            }
        })
    }

    /// Ejects the device of a slot, as a guest does when it has let go of it. Only [`Chipset::Pc`] needs it.
    pub fn eject(&self, address: PciAddress) {
        // ACPI PCI hotplug (QEMU docs/specs/acpi_pci_hotplug.txt): select bus 0, then one bit per slot.
        const ACPI_PCI_EJECT: u16 = 0xae08;
        const ACPI_PCI_BUS_SELECT: u16 = 0xae10;
        self.qtest.port_out(Width::Long, ACPI_PCI_BUS_SELECT, 0);
        self.qtest
            .port_out(Width::Long, ACPI_PCI_EJECT, 1 << (address.device & 0x1f));
    }

    /// Where the log and the packets of this run are.
    pub fn run(&self) -> &Arc<RunDirectory> {
        &self.run
    }

    /// The packets that card `index` sent and received.
    pub fn pcap_path(&self, index: usize) -> std::path::PathBuf {
        self.run.file(&format!("{}.pcap", nic_name(index)))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qtest.close();
        let said = self.qemu.errors();
        for line in said
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            self.run.log("qemu", line);
        }
    }
}

/// A processor that does nothing: interrupts off, halt, and again if something wakes it.
fn firmware() -> Vec<u8> {
    const HLT: u8 = 0xf4;
    const CLI_HLT_JMP: [u8; 4] = [0xfa, HLT, 0xeb, 0xfd];
    let mut firmware = vec![HLT; FIRMWARE_SIZE];
    firmware.splice(RESET_VECTOR..RESET_VECTOR + CLI_HLT_JMP.len(), CLI_HLT_JMP);
    firmware
}

fn listen(path: &Path) -> Result<UnixListener> {
    UnixListener::bind(path).context(path.display())
}

/// Waits for QEMU to connect, for its end, or for the deadline.
fn accept(listener: &UnixListener, qemu: &mut Process, deadline: Instant) -> Result<UnixStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    let ready = {
        let pidfd = qemu.pidfd();
        wait::readable(&[listener.as_fd(), pidfd.as_fd()], Some(left))?
    };
    match ready.as_slice() {
        [true, _] => Ok(listener.accept().context("QEMU's connection")?.0),
        [_, true] => Err(start_error(qemu, "it ended")),
        _ => Err(start_error(
            qemu,
            &format!("it was not ready within {START:?}"),
        )),
    }
}

fn start_error(qemu: &mut Process, why: &str) -> Error {
    // Its last words come with its end, and none come after a second without one.
    let ended = qemu
        .wait(Duration::from_secs(1))
        .map_or_else(|_| String::new(), |status| format!(" ({status})"));
    let said = qemu.errors();
    Error::new(format!(
        "QEMU did not start: {why}{ended}. It said: {}",
        String::from_utf8_lossy(&said).trim()
    ))
}

#[cfg(test)]
mod tests;
