//! How the device's interrupts reach the driver: MSI-X where there is any, INTx where there is not.

use libredox::Fd;
use pcid_interface::msix::Vector;
use pcid_interface::{Feature, Function, MsixInfo, intx};
use virtio_core::device::InterruptStatus;
use virtio_core::msix::MsixTable;
use virtio_core::{Registers, Window};

use crate::error::Error;
use crate::hardware::Bars;
use crate::platform::Platform;

/// Bytes of an entry of the MSI-X table.
const MSIX_ENTRY_LENGTH: usize = 16;

/// The vector of both queues: which of them it was is seen in their memory, at no cost.
pub(crate) const QUEUE_VECTOR: u16 = 0;
/// The vector of changes of the configuration, one of its own, so that no register must be read for
/// a frame.
const CONFIG_VECTOR: u16 = 1;

/// The files that become readable at an interrupt.
pub(crate) enum Interrupts {
    /// Messages: an event says it all, and the file is neither read nor written.
    MsiX {
        /// The file of the queues' vector.
        queues: Fd,
        /// That of the configuration's; `None` when there is only the one.
        config: Option<Fd>,
    },
    /// A line, perhaps shared with other devices.
    IntX {
        /// Its file.
        line: Fd,
    },
}

/// What the driver should look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The queues.
    pub(crate) queues: bool,
    /// The configuration and the status.
    pub(crate) config: bool,
}

impl Look {
    pub(crate) const ALL: Self = Self {
        queues: true,
        config: true,
    };
}

impl Interrupts {
    /// Sets up the interrupts of a function.
    pub(crate) fn set_up(
        function: &mut Function,
        platform: &mut impl Platform,
        bars: &mut Bars,
    ) -> Result<Self, Error> {
        if function.features()?.contains(&Feature::MsiX) {
            match platform.vector() {
                Ok(Some(queues)) => return Self::messages(function, platform, bars, queues),
                Ok(None) => {}
                Err(error) => log::warn!("MSI-X is not used: {error}"),
            }
        }
        // The line is known once the device is enabled.
        let line = function
            .config()?
            .function
            .legacy_interrupt_line
            .ok_or(Error::NoInterrupt)?;
        log::info!(
            "interrupts by INTx, {}",
            line.path()
                .map_or_else(|error| error.to_string(), |(path, _)| path)
        );
        Ok(Self::IntX {
            line: platform.line(&line)?,
        })
    }

    fn messages(
        function: &mut Function,
        platform: &mut impl Platform,
        bars: &mut Bars,
        queues: Vector,
    ) -> Result<Self, Error> {
        let info = function.msix_info()?;
        let table = table(&info, bars.registers(function, platform, info.table_bar)?)?;
        table.mask_all();
        table.set(QUEUE_VECTOR, queues.message.address, queues.message.data);
        // One vector is enough to work with.
        let config = if table.entries() > CONFIG_VECTOR {
            platform.vector().unwrap_or_else(no_second_vector)
        } else {
            None
        };
        if let Some(config) = &config {
            table.set(CONFIG_VECTOR, config.message.address, config.message.data);
        }
        function.enable_feature(Feature::MsiX)?;
        log::info!(
            "interrupts by MSI-X, {} of {} vectors",
            if config.is_some() { 2 } else { 1 },
            table.entries()
        );
        Ok(Self::MsiX {
            queues: queues.irq,
            config: config.map(|vector| vector.irq),
        })
    }

    /// The vector for the queues, when there are vectors.
    pub(crate) fn queue_vector(&self) -> Option<u16> {
        matches!(self, Self::MsiX { .. }).then_some(QUEUE_VECTOR)
    }

    /// The vector for changes of the configuration, when there are vectors.
    pub(crate) fn config_vector(&self) -> Option<u16> {
        match self {
            Self::MsiX {
                config: Some(_), ..
            } => Some(CONFIG_VECTOR),
            Self::MsiX { config: None, .. } => Some(QUEUE_VECTOR),
            Self::IntX { .. } => None,
        }
    }

    /// The files to watch; each event is to be given to [`Interrupts::arrived`] with the place of
    /// its file here.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Fd> {
        let (first, second) = match self {
            Self::MsiX { queues, config } => (queues, config.as_ref()),
            Self::IntX { line } => (line, None),
        };
        core::iter::once(first).chain(second)
    }

    /// The event of the file at `place` came: what is to be looked at. `status` is the device's
    /// interrupt status register.
    pub(crate) fn arrived(
        &self,
        place: usize,
        status: Option<&InterruptStatus>,
    ) -> Result<Look, Error> {
        match self {
            Self::MsiX { config: None, .. } => Ok(Look::ALL),
            Self::MsiX {
                config: Some(_), ..
            } if place == 0 => Ok(Look {
                queues: true,
                config: false,
            }),
            Self::MsiX { .. } => Ok(Look {
                queues: false,
                config: true,
            }),
            Self::IntX { line } => serve_line(line, status.ok_or(Error::NoInterruptStatus)?),
        }
    }
}

/// The order matters: the count is read before the device is asked, so that an interrupt in between
/// makes the count differ; the device lets go of the line before the acknowledgement unmasks it. A
/// count that differs acknowledges nothing: the line fired again, and its event is on its way.
fn serve_line(line: &Fd, status: &InterruptStatus) -> Result<Look, Error> {
    let count = intx::read_count(line)?;
    let why = status.read();
    if let Some(count) = count {
        intx::acknowledge(line, count)?;
    }
    Ok(Look {
        queues: why.queue,
        config: why.config,
    })
}

fn no_second_vector(error: Error) -> Option<Vector> {
    log::warn!("no second interrupt vector: {error}");
    None
}

fn table(info: &MsixInfo, registers: std::sync::Arc<dyn Registers>) -> Result<MsixTable, Error> {
    let &MsixInfo {
        table_bar: bar,
        table_offset: offset,
        table_size: entries,
        ..
    } = info;
    let length = usize::from(entries).saturating_mul(MSIX_ENTRY_LENGTH);
    Window::new(registers, offset as usize, length)
        .and_then(|window| MsixTable::new(window, entries))
        .filter(|table| table.entries() > QUEUE_VECTOR)
        .ok_or(Error::MsixTableOutside {
            bar,
            offset,
            entries,
        })
}
