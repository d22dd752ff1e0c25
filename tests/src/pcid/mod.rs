//! The lab's pcid: the scheme `pci` of Redox over QEMU's real configuration space, so that a driver finds its device,
//! capabilities and interrupts in the lab exactly as it does on Redox. Only registers cannot be mapped.

mod function;
mod scheme;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::{PoisonError, mpsc};

use redox_host::{Host, Process, ProcessSpec};
use redox_scheme::scheme::{SchemeState, register_sync_scheme};
use redox_scheme::{RequestKind, Response, SignalBehavior, Socket};
use syscall::error::EOPNOTSUPP;

use crate::error::{Context, Result};
use crate::machine::{PciAddress, PciBus, PciFunction};
use scheme::{Functions, PcidScheme};

/// How pcid tells a driver its interrupt line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyLine {
    /// By its number, as on machines with ACPI or a PIC.
    #[default]
    Number,
    /// By the phandle of its interrupt controller and the cells of a device tree.
    Phandle {
        /// The controller's phandle.
        controller: u32,
    },
}

impl LegacyLine {
    /// How a line is written for a phandle, in the form of the Arm interrupt controller: shared peripheral (0), number,
    /// level triggered and high (4).
    pub const fn cells(line: u8) -> [u32; 3] {
        [0, line as u32, 4]
    }
}

/// A pcid that serves. It goes on until it is killed or its host ends.
#[derive(Debug)]
pub struct Pcid {
    process: Process,
    functions: Functions,
}

impl Pcid {
    /// Serves the scheme `pci` with these functions, when this returns.
    pub fn spawn(
        host: &Host,
        bus: &PciBus,
        functions: impl IntoIterator<Item = PciFunction>,
        line: LegacyLine,
    ) -> Result<Self> {
        let functions = functions
            .into_iter()
            .map(|function| (function.address, function))
            .collect();
        let functions = Functions::new(std::sync::Mutex::new(functions));
        let (bus, served) = (bus.clone(), functions.clone());
        let (tell, told) = mpsc::channel();
        let process = host.spawn(ProcessSpec::new("pcid"), move || {
            let ready = |result| {
                // Whoever started this waits for it.
                let _ = tell.send(result);
            };
            match serve(PcidScheme::new(bus, served, line), ready) {
                Ok(()) => 0,
                Err(error) => {
                    log::warn!("pcid: {error}");
                    1
                }
            }
        });
        told.recv()
            .context("pcid ended before it served")?
            .context("pcid")?;
        Ok(Self { process, functions })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A function that was plugged in and set up.
    pub fn add(&self, function: PciFunction) {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        functions.insert(function.address, function);
    }

    /// A function that was pulled out.
    pub fn remove(&self, address: PciAddress) {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&address);
    }
}

fn serve(mut scheme: PcidScheme, ready: impl FnOnce(syscall::Result<()>)) -> syscall::Result<()> {
    let registered = Socket::create().and_then(|socket| {
        register_sync_scheme(&socket, "pci", &mut scheme)?;
        Ok(socket)
    });
    let socket = match registered {
        Ok(socket) => socket,
        Err(error) => {
            ready(Err(error));
            return Err(error);
        }
    };
    ready(Ok(()));
    let mut state = SchemeState::new();
    while let Some(request) = socket.next_request(SignalBehavior::Restart)? {
        let response = match request.kind() {
            RequestKind::Call(call) => call.handle_sync(&mut scheme, &mut state),
            RequestKind::OnClose { id } => {
                redox_scheme::scheme::SchemeSync::on_close(&mut scheme, id);
                continue;
            }
            RequestKind::SendFd(request) => Response::err(EOPNOTSUPP, request),
            RequestKind::RecvFd(request) => Response::err(EOPNOTSUPP, request),
            // Every call is answered at once, so there is never one to cancel.
            _ => continue,
        };
        socket.write_response(response, SignalBehavior::Restart)?;
    }
    Ok(())
}
