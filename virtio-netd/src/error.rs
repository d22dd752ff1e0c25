//! Why the driver cannot work, in words for the person who reads the log.

use core::fmt;

use netscheme::server::{ServerError, StartError};
use virtio_core::pci::PciError;
use virtio_core::{DeviceError, DmaError, PostError, QueueError};

/// Why the driver cannot start or go on.
#[derive(Debug)]
pub enum Error {
    /// pcid's channel, or an interrupt.
    Pci(pcid_interface::Error),
    /// The function is something else.
    NotANetworkCard {
        /// Its vendor.
        vendor: u16,
        /// Its device number.
        device: u16,
    },
    /// The device has the interface from before virtio 1.0 only.
    LegacyOnly,
    /// The device's registers cannot be found.
    Structures(PciError),
    /// The MSI-X table does not lie inside its BAR.
    MsixTableOutside {
        /// The BAR.
        bar: u8,
        /// Where the table starts, in bytes.
        offset: u32,
        /// Its entries.
        entries: u16,
    },
    /// The function has neither MSI-X that this machine can use nor an INTx line.
    NoInterrupt,
    /// The device uses an INTx line and has no interrupt status register, without which the line
    /// stays up.
    NoInterruptStatus,
    /// The device could not be brought up, or stopped.
    Device(DeviceError),
    /// A queue could not be made.
    Queue(QueueError),
    /// There is no memory for the device.
    Memory(DmaError),
    /// A receive buffer was not taken by the queue made for it.
    Post(PostError),
    /// A call of the operating system failed.
    System {
        /// What was being done.
        asked: &'static str,
        /// The error number.
        error: syscall::Error,
    },
    /// The scheme could not be started.
    Start(StartError),
    /// The scheme came to its end.
    Server(ServerError),
    /// The device was reset too often in too short a time.
    KeepsFailing {
        /// How often.
        resets: usize,
        /// What was wrong with it last.
        last: String,
    },
}

impl Error {
    pub(crate) fn system(asked: &'static str) -> impl FnOnce(syscall::Error) -> Self {
        move |error| Self::System { asked, error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(error) => error.fmt(f),
            Self::NotANetworkCard { vendor, device } => {
                write!(f, "{vendor:04x}:{device:04x} is no virtio network card (1af4:1000 or 1af4:1041)")
            }
            Self::LegacyOnly => f.write_str(
                "the device has only the legacy interface from before virtio 1.0, which this driver does not speak; \
                 under QEMU it is the option disable-modern that makes it so",
            ),
            Self::Structures(error) => error.fmt(f),
            Self::MsixTableOutside { bar, offset, entries } => {
                write!(f, "the MSI-X table of {entries} entries at {offset:#x} does not fit into BAR {bar}")
            }
            Self::NoInterrupt => f.write_str("the device has neither usable MSI-X vectors nor an INTx line"),
            Self::NoInterruptStatus => f.write_str("the device interrupts by INTx and has no usable interrupt status register"),
            Self::Device(error) => error.fmt(f),
            Self::Queue(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Post(error) => write!(f, "a receive buffer was not posted: {error}"),
            Self::System { asked, error } => write!(f, "{asked}: {error}"),
            Self::Start(error) => error.fmt(f),
            Self::Server(error) => error.fmt(f),
            Self::KeepsFailing { resets, last } => write!(f, "the device keeps failing: after {resets} resets in a row, {last}"),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! from {
    ($($variant:ident($type:ty)),* $(,)?) => {$(
        impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
from!(
    Pci(pcid_interface::Error),
    Device(DeviceError),
    Queue(QueueError),
    Memory(DmaError),
    Post(PostError),
    Start(StartError),
    Server(ServerError),
);

impl From<PciError> for Error {
    fn from(error: PciError) -> Self {
        match error {
            PciError::NoCommonConfiguration => Self::LegacyOnly,
            error => Self::Structures(error),
        }
    }
}
