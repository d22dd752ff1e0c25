//! The whole path on one machine: QEMU, the Redox kernel interface, pcid, the driver and smolnetd.

mod addresses;
mod setup;
mod usb;

use std::sync::Arc;
use std::time::Duration;

use commands::Terminal;
use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use log::LevelFilter;
use netscheme::reactor::Reactor;
use netscheme::{clock, logging};
use redox_host::{Entered, Host, HostConfig, Process, ProcessSpec};
use syscall::flag::{EventFlags, O_RDONLY};

use crate::error::{Context, Error, Result};
use crate::machine::{Machine, MachineSpec, PciAddress};
use crate::pcid::{LegacyLine, Pcid};
use crate::platform::LabPlatform;
use crate::xhcid::{Detach, Endpoints, Xhcid};
use setup::{connect_interrupts, open, wait_for_byte, write_configuration};
use usb::Served;

/// How long a daemon may take until it serves, and how long to go when it is told to.
const DAEMON: Duration = Duration::from_secs(10);
/// The descriptor under which a daemon inherits init's pipe, and the driver pcid's channel.
const NOTIFY_FD: usize = 3;
const CHANNEL_FD: usize = 4;
const CHANNEL_VARIABLE: &str = "PCID_CLIENT_CHANNEL";
const NOTIFY_VARIABLE: &str = "INIT_NOTIFY";

/// What smolnetd finds under /etc/net; without it, DHCP gives the address.
#[derive(Clone, Debug)]
pub struct StaticAddress {
    /// Like "10.9.0.2".
    pub address: String,
    /// Bits of the network.
    pub prefix_length: u8,
    /// The default gateway.
    pub gateway: Option<String>,
    /// The name server.
    pub name_server: Option<String>,
}

/// A stack to start.
#[derive(Clone, Debug)]
pub struct StackSpec {
    machine: MachineSpec,
    address: Option<StaticAddress>,
    line: LegacyLine,
    messages: bool,
    endpoints: Endpoints,
    detach: Detach,
    level: LevelFilter,
}

impl StackSpec {
    /// The daemons on that machine, with a driver for each of its network cards.
    pub fn new(machine: MachineSpec) -> Self {
        Self {
            machine,
            address: None,
            line: LegacyLine::Number,
            messages: true,
            endpoints: Endpoints::default(),
            detach: Detach::default(),
            level: LevelFilter::Debug,
        }
    }

    /// A configuration by hand in /etc/net.
    #[must_use]
    pub fn address(mut self, address: StaticAddress) -> Self {
        self.address = Some(address);
        self
    }

    /// The driver gets no message signalled interrupts, as on machines that have none.
    #[must_use]
    pub fn without_messages(mut self) -> Self {
        self.messages = false;
        self
    }

    /// How pcid tells interrupt lines.
    #[must_use]
    pub fn legacy_line(mut self, line: LegacyLine) -> Self {
        self.line = line;
        self
    }

    /// What kind of xhcid it is, on machines with adapters on USB.
    #[must_use]
    pub fn xhcid(mut self, endpoints: Endpoints, detach: Detach) -> Self {
        (self.endpoints, self.detach) = (endpoints, detach);
        self
    }

    /// What the daemons log. [`LevelFilter::Debug`] unless told.
    #[must_use]
    pub fn log_level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
    }
}

/// A stack that runs. Dropping it ends the daemons, then the machine.
#[derive(Debug)]
pub struct Stack {
    spec: StackSpec,
    drivers: Vec<Process>,
    smolnetd: Option<Process>,
    xhcid: Option<Xhcid>,
    served: Served,
    pcid: Pcid,
    host: Arc<Host>,
    machine: Machine,
}

/// What a command did.
#[derive(Debug)]
pub struct CommandOutput {
    /// How it ended.
    pub result: Result<(), commands::Error>,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: Vec<u8>,
}

impl CommandOutput {
    /// Of a command that the calling process runs, with no input.
    pub(crate) fn of(name: &str, arguments: &[String]) -> Self {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
            input: 0,
            seed: crate::seed(),
        };
        let result = commands::run(name, arguments, &mut terminal);
        Self { result, out, err }
    }
}

impl Stack {
    /// Starts everything; the schemes are served when this returns.
    pub fn start(spec: StackSpec) -> Result<Self> {
        let mut stack = Self::start_hardware(spec)?;
        for index in stack.pci_cards() {
            stack.start_driver(index)?;
        }
        if stack.machine.xhci().is_ok() {
            stack.start_xhcid()?;
        }
        stack.start_smolnetd()?;
        Ok(stack)
    }

    /// Starts the machine, the host and pcid, without drivers, without xhcid and without smolnetd.
    pub fn start_hardware(spec: StackSpec) -> Result<Self> {
        let machine = Machine::start(&spec.machine)?;
        let root = machine.run().file("root");
        write_configuration(&root, spec.address.as_ref()).context(root.display())?;
        let config = HostConfig {
            root: Some(root),
            ram: Some(machine.ram().clone()),
        };
        let host = Arc::new(Host::new(config).context("the host")?);
        let run = machine.run().clone();
        host.set_log(move |_pid, name, line| run.log(name, line));
        connect_interrupts(&machine, &host, spec.line)?;
        let cards = 0..machine.nic_count();
        let functions = cards.filter_map(|index| machine.nic(index).ok());
        let pcid = Pcid::spawn(&host, machine.bus(), functions, spec.line)?;
        Ok(Self {
            spec,
            drivers: Vec::new(),
            smolnetd: None,
            xhcid: None,
            served: Served::default(),
            pcid,
            host,
            machine,
        })
    }

    /// The cards that pcid-spawner would start a driver for.
    fn pci_cards(&self) -> Vec<usize> {
        let cards = 0..self.machine.nic_count();
        cards
            .filter(|index| self.machine.nic(*index).is_ok())
            .collect()
    }

    /// Starts virtio-netd for card `index`, as pcid-spawner does.
    pub fn start_driver(&mut self, index: usize) -> Result<Process> {
        let address = self.machine.nic(index)?.address;
        self.start_driver_at(address)
    }

    /// Starts virtio-netd for the card at `address`.
    pub fn start_driver_at(&mut self, address: PciAddress) -> Result<Process> {
        let mut platform = LabPlatform::new(
            self.machine.qtest(),
            self.machine.msi_doorbell(),
            &self.host,
            self.spec.messages,
        );
        let level = self.spec.level;
        let inherit = move |spec: ProcessSpec, init: &Entered| {
            let path = format!("/scheme/pci/{address}/channel");
            let channel = open(&path, syscall::flag::O_RDWR)?;
            let spec = spec.fd(CHANNEL_FD, init, channel.raw()).context(&path)?;
            Ok(spec.env(CHANNEL_VARIABLE, CHANNEL_FD.to_string()))
        };
        let main = move || {
            logging::init("virtio-netd", level);
            let Some(channel) = redox_host::env(CHANNEL_VARIABLE).and_then(|fd| fd.parse().ok())
            else {
                log::error!("{CHANNEL_VARIABLE} names no channel");
                return 1;
            };
            let options = virtio_netd::Options {
                init_notify: redox_host::env(NOTIFY_VARIABLE),
            };
            let Err(error) = virtio_netd::run(&options, &mut platform, Fd::new(channel));
            log::error!("{error}");
            1
        };
        let process = self.start_daemon("virtio-netd", inherit, main)?;
        self.drivers.retain(Process::is_running);
        self.drivers.push(process.clone());
        Ok(process)
    }

    /// Starts smolnetd, as init does.
    pub fn start_smolnetd(&mut self) -> Result<Process> {
        let level = self.spec.level;
        let main = move || {
            logging::init("smolnetd", level);
            let notify = redox_host::env(NOTIFY_VARIABLE);
            match smolnetd::daemon::run(notify.as_deref()) {
                Ok(()) => 0,
                Err(error) => {
                    log::error!("{error}");
                    1
                }
            }
        };
        let process = self.start_daemon("smolnetd", |spec, _| Ok(spec), main)?;
        self.smolnetd = Some(process.clone());
        Ok(process)
    }

    /// Starts a daemon the way init does: it serves when it has written its byte. `inherit` adds what else it inherits.
    pub fn start_daemon(
        &self,
        name: &str,
        inherit: impl FnOnce(ProcessSpec, &Entered) -> Result<ProcessSpec>,
        main: impl FnOnce() -> i32 + Send + 'static,
    ) -> Result<Process> {
        let init = self.enter("init");
        let reader = open("/scheme/pipe", O_RDONLY | O_CLOEXEC)?;
        let writer = Fd::new(reader.dup(b"write").context("a pipe")?);
        let spec = ProcessSpec::new(name)
            .fd(NOTIFY_FD, &init, writer.raw())
            .context("a pipe")?;
        let spec = inherit(spec.env(NOTIFY_VARIABLE, NOTIFY_FD.to_string()), &init)?;
        let process = self.host.spawn(spec, main);
        // The daemon's is the only writing end now: its end without a byte is an end of file.
        drop(writer);
        match wait_for_byte(&reader, DAEMON) {
            Ok(()) => Ok(process),
            Err(why) => {
                process.kill();
                let ended = process
                    .wait(DAEMON)
                    .map_or("it does not end".into(), |status| format!("{status:?}"));
                let log = self.machine.run().last_lines(name, 5);
                Err(Error::new(format!(
                    "{name} did not start: {why} ({ended})\n{log}"
                )))
            }
        }
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The kernel interface.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// pcid.
    pub fn pcid(&self) -> &Pcid {
        &self.pcid
    }

    /// The drivers of cards on PCI that were started and run.
    pub fn drivers(&self) -> &[Process] {
        &self.drivers
    }

    /// smolnetd, as it was last started.
    pub fn smolnetd(&self) -> Result<&Process> {
        self.smolnetd.as_ref().context("smolnetd was not started")
    }

    /// Makes the calling thread a process with uid 0 of this machine, until the guard is dropped.
    pub fn enter(&self, name: &str) -> Entered {
        self.host.enter(ProcessSpec::new(name))
    }

    /// Runs a command, its words split at spaces, in a process of its own, with no input.
    pub fn command(&self, line: &str) -> CommandOutput {
        let mut words = line.split(' ').map(str::to_owned);
        let name = words.next().unwrap_or_default();
        let arguments: Vec<String> = words.collect();
        let _process = self.enter(&name);
        CommandOutput::of(&name, &arguments)
    }

    /// Puts the certificates of authorities, as PEM, where the machine's programs look for them.
    pub fn trust(&self, authorities: &[u8]) -> Result<()> {
        let folder = self.machine.run().file("root/etc/ssl/certs");
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(
            folder.join("ca-certificates.crt"),
            authorities,
        )?)
    }

    /// What a file of a scheme contains.
    pub fn read(&self, path: &str) -> Result<String> {
        let _process = self.enter("reader");
        commands::read_text(path).context(path)
    }

    /// Waits until a file of netcfg satisfies `wanted`, reading it whenever it says that it changed; its content.
    pub fn wait_for(
        &self,
        path: &str,
        timeout: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let _process = self.enter("watcher");
        let file = commands::OpenedFile::open(path, O_RDONLY).context(path)?;
        let mut reactor = Reactor::new().context("an event queue")?;
        reactor
            .watch(file.raw(), 0, EventFlags::EVENT_READ)
            .context(path)?;
        let deadline = clock::now().saturating_add(timeout);
        let mut events = Vec::new();
        let read = || file.read_to_end().context(path);
        let mut content = String::from_utf8_lossy(&read()?).into_owned();
        loop {
            if wanted(&content) {
                return Ok(content);
            }
            if clock::now() >= deadline {
                // If these differ, a change was not told.
                let anew = commands::read_text(path).context(path)?;
                return Err(Error::new(format!(
                    "{path} still says {content:?} after {timeout:?}; opened anew it says {anew:?}"
                )));
            }
            reactor.wait(Some(deadline), &mut events).context(path)?;
            // Without an event nothing has changed, and a second reading shows nothing.
            if !events.is_empty() {
                content = String::from_utf8_lossy(&read()?).into_owned();
            }
        }
    }

    /// Writes what the daemons counted into the folder of the run, and gives it.
    pub fn save_counters(&self) -> Result<String> {
        let mut text = String::new();
        for path in self.counter_paths() {
            let content = self
                .read(&path)
                .unwrap_or_else(|error| format!("{error}\n"));
            text.push_str(&format!("# {path}\n{content}"));
        }
        let file = self.machine.run().file("counters");
        std::fs::write(&file, &text).context(file.display())?;
        Ok(text)
    }

    fn counter_paths(&self) -> Vec<String> {
        let listing = self.command("ls /scheme/netcfg/ifaces").out;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        let adapters = listing
            .lines()
            .map(|name| format!("/scheme/netcfg/ifaces/{}/stats", name.trim_end_matches('/')));
        std::iter::once("/scheme/netcfg/stats".to_owned())
            .chain(adapters)
            .collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.smolnetd.as_ref().is_some_and(Process::is_running) {
            // What cannot be saved any more is in the log.
            let _ = self.save_counters();
        }
        let on_usb = self.xhcid.as_ref().map(Xhcid::all_drivers);
        let on_usb = on_usb.unwrap_or_default();
        let daemons = self
            .smolnetd
            .iter()
            .chain(&self.drivers)
            .chain(&on_usb)
            .chain(self.xhcid.as_ref().map(Xhcid::process))
            .chain([self.pcid.process()]);
        for process in daemons.clone() {
            process.kill();
        }
        for process in daemons {
            if process.wait(DAEMON).is_none() {
                log::warn!("{} does not end", process.name());
            }
        }
    }
}

#[cfg(test)]
mod tests;
