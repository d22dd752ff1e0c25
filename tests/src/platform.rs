//! What a driver needs of the machine, in the lab: the same schemes as on Redox, but registers on a socket and messages
//! that go to an eventfd instead of a local APIC.

use std::sync::{Arc, Weak};

use pcid_interface::Function;
use pcid_interface::msix::{self, Vector};
use redox_host::Host;
use syscall::error::{EINVAL, EIO, ENODEV};
use virtio_core::{DmaAllocator, Registers};
use virtio_netd::redox::MemoryScheme;
use virtio_netd::{Error, Platform};

use crate::machine::{MsiDoorbell, Qtest, QtestRegisters};

/// The lab's machine, for one driver.
#[derive(Clone, Debug)]
pub struct LabPlatform {
    qtest: Qtest,
    doorbell: MsiDoorbell,
    /// Weak, for the host ends its drivers and not the other way round.
    host: Weak<Host>,
    messages: bool,
}

impl LabPlatform {
    /// A driver of `host` on the machine behind `qtest`. Without `messages` there are interrupt lines only.
    pub fn new(qtest: &Qtest, doorbell: MsiDoorbell, host: &Arc<Host>, messages: bool) -> Self {
        Self {
            qtest: qtest.clone(),
            doorbell,
            host: Arc::downgrade(host),
            messages,
        }
    }
}

impl Platform for LabPlatform {
    fn registers(&mut self, function: &Function, bar: u8) -> Result<Arc<dyn Registers>, Error> {
        let bars = &function.arguments().function.bars;
        let memory = bars.get(usize::from(bar)).and_then(|bar| bar.memory());
        let (address, size) = memory.ok_or_else(|| failed("find the BAR's address", ENODEV))?;
        let length = usize::try_from(size).map_err(|_| failed("find the BAR's size", EINVAL))?;
        Ok(Arc::new(QtestRegisters::new(&self.qtest, address, length)))
    }

    fn memory(&mut self) -> Result<Box<dyn DmaAllocator>, Error> {
        Ok(Box::new(MemoryScheme::open()?))
    }

    fn vector(&mut self) -> Result<Option<Vector>, Error> {
        if !self.messages {
            return Ok(None);
        }
        let mut vector = msix::allocate_vector()?;
        let host = self
            .host
            .upgrade()
            .ok_or_else(|| failed("reach the host, which has ended", EIO))?;
        let source = host
            .irq()
            .source_of(vector.number)
            .and_then(|source| u16::try_from(source).ok());
        let source = source.ok_or_else(|| failed("find the eventfd of the interrupt", EINVAL))?;
        let message = self.doorbell.message(source);
        vector.message.address = message.address;
        vector.message.data = message.data;
        Ok(Some(vector))
    }
}

fn failed(asked: &'static str, errno: i32) -> Error {
    Error::System {
        asked,
        error: syscall::error::Error::new(errno),
    }
}
