//! The drivers that xhcid starts for what is plugged in, and the ports that tests wait for.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redox_host::{Host, Process, ProcessSpec};

use super::bus::Port;
use super::json::IfDesc;
use super::spec::{DriverArguments, XhcidSpec};

/// A descriptor that no driver has: what INIT_NOTIFY says to them is not for them.
const NOBODYS_FD: &str = "3";

/// What is plugged in and who drives it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    attached: BTreeSet<Port>,
    drivers: Vec<(Port, Process)>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device has been attached or detached.
    pub(super) fn set_attached(&self, port: Port, attached: bool) {
        let mut state = self.lock();
        if attached {
            // Those of the device before are nobody's concern any more.
            state.drivers.retain(|(of, _)| *of != port);
            state.attached.insert(port);
        } else {
            state.attached.remove(&port);
        }
        drop(state);
        self.0.1.notify_all();
    }

    /// Waits until a device of this port is attached, or none is; false after `timeout`.
    pub(super) fn wait(&self, port: Port, attached: bool, timeout: Duration) -> bool {
        let other = |state: &mut State| state.attached.contains(&port) != attached;
        let waited = self.0.1.wait_timeout_while(self.lock(), timeout, other);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// The drivers of a port.
    pub(super) fn drivers(&self, port: Port) -> Vec<Process> {
        let state = self.lock();
        let of_port = state.drivers.iter().filter(|(of, _)| *of == port);
        of_port.map(|(_, process)| process.clone()).collect()
    }

    /// Waits for the driver of the device that is attached to this port; it may have ended since.
    pub(super) fn wait_for_driver(&self, port: Port, timeout: Duration) -> Option<Process> {
        let driver = |state: &State| {
            let there = state.attached.contains(&port);
            let mut drivers = state.drivers.iter().filter(|_| there);
            let driver = drivers.find(|(of, _)| *of == port);
            driver.map(|(_, process)| process.clone())
        };
        let none = |state: &mut State| driver(state).is_none();
        let waited = self.0.1.wait_timeout_while(self.lock(), timeout, none);
        driver(&waited.ok()?.0)
    }

    /// All drivers, port by port in the order of their start.
    pub(super) fn all_drivers(&self) -> Vec<Process> {
        let state = self.lock();
        let all = state.drivers.iter();
        all.map(|(_, process)| process.clone()).collect()
    }

    /// Starts the drivers for the interfaces of a device.
    pub(super) fn start(
        &self,
        spec: &XhcidSpec,
        host: &Weak<Host>,
        port: Port,
        interfaces: &[IfDesc],
    ) {
        let Some(host) = host.upgrade() else { return };
        for interface in interfaces {
            let class = [interface.class, interface.sub_class, interface.protocol];
            let mut drivers = spec.drivers.iter();
            let Some(driver) = drivers.find(|driver| driver.classes.contains(&class)) else {
                log::debug!("xhcid: port {port}: no driver for {class:02x?}");
                continue;
            };
            log::info!("xhcid: port {port}: {} for {class:02x?}", driver.name);
            let arguments = DriverArguments {
                scheme: spec.scheme.clone(),
                port,
                interface: interface.number,
                protocol: interface.protocol,
            };
            let mut process = ProcessSpec::new(driver.name.clone());
            if spec.stale_notify {
                process = process.env("INIT_NOTIFY", NOBODYS_FD);
            }
            let main = driver.main.clone();
            let process = host.spawn(process, move || main(arguments));
            let mut state = self.lock();
            state.drivers.push((port, process));
            drop(state);
            self.0.1.notify_all();
        }
    }

    /// SIGKILL for the drivers of a port.
    pub(super) fn kill(&self, port: Port) {
        for process in self.drivers(port) {
            process.kill();
        }
    }
}
