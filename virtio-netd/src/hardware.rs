//! The card as pcid describes it: what is found once, and stays through every reset.

use std::sync::Arc;

use pcid_interface::{Bar, FullDeviceId, Function, PciFunction};
use virtio_core::pci::{Structures, Transport};
use virtio_core::{DmaSpace, Registers};

use crate::error::Error;
use crate::interrupts::Interrupts;
use crate::platform::Platform;

/// The vendor of virtio devices (virtio 4.1.2).
const VENDOR: u16 = 0x1af4;
/// A network card: the transitional number, and 0x1040 + 1 (virtio 4.1.2.1, 5.1.1).
const NETWORK_CARDS: [u16; 2] = [0x1000, 0x1041];

/// The BARs that were mapped so far, each once.
#[derive(Default)]
pub(crate) struct Bars(Vec<(u8, Arc<dyn Registers>)>);

impl Bars {
    /// The registers of a BAR.
    pub(crate) fn registers(
        &mut self,
        function: &Function,
        platform: &mut impl Platform,
        bar: u8,
    ) -> Result<Arc<dyn Registers>, Error> {
        if let Some((_, registers)) = self.0.iter().find(|(number, _)| *number == bar) {
            return Ok(registers.clone());
        }
        let registers = platform.registers(function, bar)?;
        self.0.push((bar, registers.clone()));
        Ok(registers)
    }
}

/// A network card: registers, memory and interrupts.
pub(crate) struct Hardware {
    /// The registers.
    pub(crate) transport: Transport,
    /// All memory that the card may reach.
    pub(crate) memory: DmaSpace,
    /// The vector of the queues, if there are vectors.
    pub(crate) queue_vector: Option<u16>,
    /// The vector of the configuration, if there are vectors.
    pub(crate) config_vector: Option<u16>,
    /// Whether ACCESS_PLATFORM may be accepted.
    pub(crate) addresses_are_the_bus: bool,
}

impl Hardware {
    /// Finds out what `function` is and sets its interrupts up.
    pub(crate) fn find(
        function: &mut Function,
        platform: &mut impl Platform,
    ) -> Result<(Self, Interrupts), Error> {
        function.enable()?;
        let description = function.config()?.function.clone();
        identify(description.full_device_id)?;
        let capabilities: Vec<_> = function
            .vendor_capabilities()?
            .into_iter()
            .map(|capability| capability.data)
            .collect();
        let structures = Structures::parse(&capabilities, &bar_sizes(&description))?;
        for (number, why) in &structures.skipped {
            log::warn!("vendor capability {number} is passed over: {why:?}");
        }
        let mut bars = Bars::default();
        let transport = structures.transport(|bar| bars.registers(function, platform, bar))?;
        let interrupts = Interrupts::set_up(function, platform, &mut bars)?;
        let hardware = Self {
            transport,
            memory: DmaSpace::new(platform.memory()?, bar_windows(&description)),
            queue_vector: interrupts.queue_vector(),
            config_vector: interrupts.config_vector(),
            addresses_are_the_bus: platform.addresses_are_the_bus(),
        };
        Ok((hardware, interrupts))
    }
}

fn identify(id: FullDeviceId) -> Result<(), Error> {
    if id.vendor_id == VENDOR && NETWORK_CARDS.contains(&id.device_id) {
        Ok(())
    } else {
        Err(Error::NotANetworkCard {
            vendor: id.vendor_id,
            device: id.device_id,
        })
    }
}

fn bar_sizes(function: &PciFunction) -> [Option<u64>; 6] {
    function.bars.map(|bar| bar.memory().map(|(_, size)| size))
}

/// The physical addresses of the registers, where no memory of the driver's may lie.
fn bar_windows(function: &PciFunction) -> Vec<core::ops::Range<u64>> {
    function
        .bars
        .iter()
        .filter_map(Bar::memory)
        .map(|(start, size)| start..start.saturating_add(size))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_of_the_card_are_bound_and_no_others() {
        let identify = |vendor_id, device_id| {
            identify(FullDeviceId {
                vendor_id,
                device_id,
                ..FullDeviceId::default()
            })
        };
        assert!(identify(0x1af4, 0x1000).is_ok() && identify(0x1af4, 0x1041).is_ok());
        for (vendor, device) in [(0x1af4, 0x1001), (0x1af4, 0x1042), (0x8086, 0x1000), (0, 0)] {
            let error = identify(vendor, device).unwrap_err();
            assert!(matches!(error, Error::NotANetworkCard { .. }), "{error}");
        }
    }

    #[test]
    fn a_device_without_modern_capabilities_is_told_from_a_broken_one() {
        let sizes = [None; 6];
        let error: Error = Structures::parse(&[], &sizes).unwrap_err().into();
        assert!(
            error.to_string().contains("only the legacy interface"),
            "{error}"
        );
    }

    #[test]
    fn a_bar_at_the_end_of_the_address_space_does_not_wrap() {
        let mut function = PciFunction::default();
        function.bars[0] = Bar::Memory64 {
            address: u64::MAX - 10,
            size: 4096,
        };
        function.bars[2] = Bar::Port(0xc000);
        let windows = bar_windows(&function);
        assert_eq!(
            (windows.len(), windows.first()),
            (1, Some(&(u64::MAX - 10..u64::MAX)))
        );
        assert_eq!(
            bar_sizes(&function),
            [Some(4096), None, None, None, None, None]
        );
    }
}
