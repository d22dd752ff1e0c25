//! What kind of xhcid it is, and the drivers that it starts.

use std::fmt;
use std::sync::Arc;

use super::bus::Port;

/// What an open with O_NONBLOCK does to an endpoint's `data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoints {
    /// Nothing: a transfer that waits blocks the whole controller, as in xhcid of July 2026.
    Blocking,
    /// The first read starts the transfer and gives EWOULDBLOCK, later ones look; nobody is told when to. As in the fork.
    NonBlocking,
    /// The same with events, and writes that do not wait: the data is taken, `ctl` says "Pending" until it is sent. A
    /// stall can be recovered from by "Reset", which in the others fails for endpoints of all but the first interface.
    #[default]
    Events,
}

/// What happens to the drivers of a device that is pulled out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detach {
    /// They are killed first, as by Redox's xhcid.
    #[default]
    Kills,
    /// They live: their calls fail, with ENOENT, EBADF or EBADFD.
    Fails,
}

/// What a driver finds in its arguments: $SCHEME, $PORT, $IF_NUM and $IF_PROTO of a file in xhcid.d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverArguments {
    /// The scheme's name, without "/scheme/".
    pub scheme: String,
    /// The port of the device.
    pub port: Port,
    /// bInterfaceNumber.
    pub interface: u8,
    /// bInterfaceProtocol.
    pub protocol: u8,
}

/// A driver and the interfaces that it is started for: of a device's first configuration, alternate setting 0.
#[derive(Clone)]
pub struct Driver {
    pub(super) name: String,
    pub(super) classes: Vec<[u8; 3]>,
    pub(super) main: Arc<dyn Fn(DriverArguments) -> i32 + Send + Sync>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").field(&self.name).finish()
    }
}

/// The class, subclass and protocol of interfaces that speak RNDIS: communications, wireless, and the two of
/// miscellaneous devices (ActiveSync, newer Android).
pub const RNDIS_CLASSES: [[u8; 3]; 4] = [
    [0x02, 0x02, 0xff],
    [0xe0, 0x01, 0x03],
    [0xef, 0x04, 0x01],
    [0xef, 0x01, 0x01],
];

impl Driver {
    /// A driver whose process has that name and runs `main` for each matching interface.
    pub fn new(
        name: &str,
        classes: &[[u8; 3]],
        main: impl Fn(DriverArguments) -> i32 + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            classes: classes.to_vec(),
            main: Arc::new(main),
        }
    }
}

/// An xhcid to start.
#[derive(Clone, Debug)]
pub struct XhcidSpec {
    pub(super) scheme: String,
    pub(super) endpoints: Endpoints,
    pub(super) detach: Detach,
    pub(super) drivers: Vec<Driver>,
    pub(super) stale_notify: bool,
}

impl XhcidSpec {
    /// An xhcid that serves `/scheme/usb.<pci name>_xhci`, like "pci-0000-00-03.0", without drivers.
    pub fn new(pci_name: &str) -> Self {
        Self {
            scheme: format!("usb.{pci_name}_xhci"),
            endpoints: Endpoints::default(),
            detach: Detach::default(),
            drivers: Vec::new(),
            stale_notify: false,
        }
    }

    /// What non-blocking endpoints do.
    #[must_use]
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// What becomes of drivers whose device is pulled out.
    #[must_use]
    pub fn detach(mut self, detach: Detach) -> Self {
        self.detach = detach;
        self
    }

    /// A driver to start when a device comes that it is for. Of several the first that matches is taken.
    #[must_use]
    pub fn driver(mut self, driver: Driver) -> Self {
        self.drivers.push(driver);
        self
    }

    /// Drivers inherit an INIT_NOTIFY that names a descriptor which is not theirs, as children of Redox's xhcid do.
    #[must_use]
    pub fn stale_notify(mut self) -> Self {
        self.stale_notify = true;
        self
    }

    /// The scheme's name.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }
}
