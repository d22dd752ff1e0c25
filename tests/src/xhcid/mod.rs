//! The lab's xhcid: `/scheme/usb.*` with the files and the JSON of Redox's, over QEMU's controller or over devices that
//! follow a script.
//!
//! ```text
//! scheme/        the files, their JSON ([`json`], descriptors) and the stages of a transfer (device)
//! daemon         the loop; drivers: who is started for what
//! [`bus`]        the seam
//! [`controller`] QEMU's qemu-xhci
//! [`scripted`]   devices that do what a test tells them
//! ```

pub mod bus;
pub mod controller;
mod daemon;
mod descriptors;
mod device;
mod drivers;
mod hub;
mod json;
mod scheme;
pub mod scripted;
mod spec;

#[cfg(test)]
mod tests;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use redox_host::{Host, Process, ProcessSpec};

use crate::error::{Context, Result};
use bus::{Bus, Port};
use daemon::Daemon;
use drivers::Board;
use hub::Hub;
use scheme::XhciScheme;

pub use spec::{Detach, Driver, DriverArguments, Endpoints, RNDIS_CLASSES, XhcidSpec};

/// An xhcid that serves. It goes on until it is killed or its host ends.
#[derive(Debug)]
pub struct Xhcid {
    process: Process,
    board: Board,
    scheme: String,
}

impl Xhcid {
    /// Serves the scheme when this returns. `bus` is called in the new process; devices that are there are attached soon
    /// after, and their drivers started.
    pub fn spawn(
        host: &Arc<Host>,
        spec: XhcidSpec,
        bus: impl FnOnce() -> Result<Box<dyn Bus>> + Send + 'static,
    ) -> Result<Self> {
        let scheme = spec.scheme.clone();
        let board = Board::default();
        let (tell, told) = mpsc::channel();
        // Weak, for the host ends its processes and not the other way round.
        let (weak, served) = (Arc::downgrade(host), board.clone());
        let process = host.spawn(ProcessSpec::new("xhcid"), move || {
            let start = || {
                let hub = Hub::new(bus()?).context("the bus")?;
                let scheme = XhciScheme::new(spec, hub);
                Daemon::new(scheme, served, weak).context("the scheme")
            };
            let mut daemon = match start() {
                Ok(daemon) => daemon,
                Err(error) => {
                    // Whoever started this waits for it.
                    let _ = tell.send(Err(error));
                    return 1;
                }
            };
            let _ = tell.send(Ok(()));
            match daemon.run() {
                Ok(()) => 0,
                Err(error) => {
                    log::debug!("xhcid: {error}");
                    1
                }
            }
        });
        told.recv()
            .context("xhcid ended before it served")?
            .context("xhcid")?;
        Ok(Self {
            process,
            board,
            scheme,
        })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The scheme's name, without "/scheme/".
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The drivers that it started for the device that is or was last in a port.
    pub fn drivers(&self, port: Port) -> Vec<Process> {
        self.board.drivers(port)
    }

    /// Waits for the driver of the device that is attached to the port; it may have ended since.
    pub fn wait_for_driver(&self, port: Port, timeout: Duration) -> Result<Process> {
        let driver = self.board.wait_for_driver(port, timeout);
        driver.context(format_args!("no driver for port {port} within {timeout:?}"))
    }

    /// The drivers of all ports.
    pub fn all_drivers(&self) -> Vec<Process> {
        self.board.all_drivers()
    }

    /// Waits until a device has been attached to the port, or detached from it; false after `timeout`.
    pub fn wait_for_port(&self, port: Port, attached: bool, timeout: Duration) -> bool {
        self.board.wait(port, attached, timeout)
    }
}
