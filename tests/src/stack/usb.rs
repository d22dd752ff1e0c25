//! The stack's USB: xhcid on the machine's controller, and usb-rndisd for what is plugged in.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use log::LevelFilter;
use netscheme::logging;
use redox_host::Process;
use syscall::flag::O_RDONLY;

use super::{DAEMON, Stack};
use crate::error::{Context, Error, Result};
use crate::machine::PciAddress;
use crate::xhcid::bus::Port;
use crate::xhcid::{
    Driver, DriverArguments, Endpoints, RNDIS_CLASSES, Xhcid, XhcidSpec, controller,
};

const DRIVER: &str = "usb-rndisd";

/// Which ports have a driver that serves, or had one that ended before it did.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(Arc<(Mutex<BTreeMap<Port, bool>>, Condvar)>);

impl Served {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Port, bool>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, port: Port) {
        self.lock().remove(&port);
    }

    /// Waits until it is known of a port; None when that takes too long.
    fn wait(&self, port: Port) -> Option<bool> {
        let unknown = |served: &mut BTreeMap<Port, bool>| !served.contains_key(&port);
        let waited = self.0.1.wait_timeout_while(self.lock(), DAEMON, unknown);
        waited.ok()?.0.get(&port).copied()
    }

    /// A pipe for the calling process that takes its byte when it serves, as init's would; the writing end.
    fn expect(&self, port: Port) -> Option<Fd> {
        let reader = Fd::open("/scheme/pipe", (O_RDONLY | O_CLOEXEC) as i32, 0).ok()?;
        let writer = Fd::new(reader.dup(b"write").ok()?);
        let (here, served) = (redox_host::current()?, self.clone());
        let wait = move || {
            let _attached = here.attach();
            let serves = matches!(reader.read(&mut [0]), Ok(1));
            served.lock().insert(port, serves);
            served.0.1.notify_all();
        };
        let thread = std::thread::Builder::new().name(format!("{DRIVER} starts"));
        thread.spawn(wait).ok()?;
        Some(writer)
    }
}

/// usb-rndisd, as xhcid's configuration starts it.
fn driver(endpoints: Endpoints, level: LevelFilter, served: Served) -> Driver {
    let endpoints = match endpoints {
        Endpoints::Blocking => "blocking",
        Endpoints::NonBlocking => "nonblocking",
        Endpoints::Events => "events",
    };
    let main = move |arguments: DriverArguments| {
        logging::init(DRIVER, level);
        let DriverArguments {
            scheme,
            port,
            interface,
            protocol: _,
        } = arguments;
        let line = format!("{scheme} {port} {interface} --endpoints {endpoints}");
        let mut options = match usb_rndisd::Options::parse(line.split(' ').map(str::to_owned)) {
            Ok(options) => options,
            Err(error) => {
                log::error!("{error}");
                return 1;
            }
        };
        // Without a pipe it is started all the same, and nobody hears that it serves.
        let notify = served.expect(port).map(Fd::into_raw);
        options.init_notify = notify.map(|fd| fd.to_string());
        let Err(error) = usb_rndisd::run(&options);
        log::error!("{error}");
        1
    };
    Driver::new(DRIVER, &RNDIS_CLASSES, main)
}

/// The function's name in names of schemes.
fn pci_name(at: PciAddress) -> String {
    let address = pcid_interface::PciAddress {
        segment: 0,
        bus: at.bus,
        device: at.device,
        function: at.function,
    };
    let function = pcid_interface::PciFunction {
        address,
        ..Default::default()
    };
    function.name()
}

impl Stack {
    /// Starts xhcid, as pcid-spawner does, which starts a driver for each adapter; they serve when this returns.
    pub fn start_xhcid(&mut self) -> Result<()> {
        let function = self.machine.xhci()?;
        let spec = XhcidSpec::new(&pci_name(function.address))
            .endpoints(self.spec.endpoints)
            .detach(self.spec.detach)
            .stale_notify()
            .driver(driver(
                self.spec.endpoints,
                self.spec.level,
                self.served.clone(),
            ));
        let bus = controller::of(&self.machine, &self.host)?;
        self.xhcid = Some(Xhcid::spawn(&self.host, spec, bus)?);
        let cards = 0..self.machine.nic_count();
        for index in cards.filter(|index| self.machine.is_plugged(*index)) {
            self.wait_for_adapter(index)?;
        }
        Ok(())
    }

    /// xhcid.
    pub fn xhcid(&self) -> Result<&Xhcid> {
        self.xhcid.as_ref().context("xhcid was not started")
    }

    /// Plugs in network card `index`, which is on USB; its driver serves when this returns.
    pub fn plug(&self, index: usize) -> Result<Process> {
        self.served.forget(self.usb_port(index)?);
        self.machine.plug(index)?;
        self.wait_for_adapter(index)
    }

    /// Pulls out network card `index`, which is on USB; its driver has ended when this returns.
    pub fn unplug(&self, index: usize) -> Result<()> {
        let (xhcid, port) = (self.xhcid()?, self.usb_port(index)?);
        let drivers = xhcid.drivers(port);
        self.machine.unplug(index)?;
        if !xhcid.wait_for_port(port, false, DAEMON) {
            return Err(Error::new(format!("port {port} is not detached")));
        }
        let lasting = drivers.iter().find(|driver| driver.wait(DAEMON).is_none());
        match lasting {
            Some(driver) => Err(Error::new(format!("{} does not end", driver.name()))),
            None => Ok(()),
        }
    }

    /// The driver of network card `index`, which is on USB, when it serves.
    pub fn wait_for_adapter(&self, index: usize) -> Result<Process> {
        let port = self.usb_port(index)?;
        let why = match self.served.wait(port) {
            Some(true) => return self.xhcid()?.wait_for_driver(port, DAEMON),
            Some(false) => "it ended",
            None => "it does not serve",
        };
        let log = self.machine.run().last_lines(DRIVER, 5);
        Err(Error::new(format!(
            "{DRIVER} did not start for port {port}: {why}\n{log}"
        )))
    }

    fn usb_port(&self, index: usize) -> Result<Port> {
        let port = self.machine.usb_port(index).map(Port);
        port.context(format_args!("network card {index} is not on USB"))
    }
}
