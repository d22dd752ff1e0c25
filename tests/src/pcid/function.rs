//! One PCI function: a driver's request on one side, QEMU's configuration space on the other.

use super::LegacyLine;
use super::wire::{
    Address, Feature, FeatureInfo, FullDeviceId, Function, LegacyInterruptLine, PciBar, Request,
    Response, ResponseError, SetFeatureInfo, SubdriverArguments, VendorCapability,
};
use crate::machine::{Bar, COMMAND_ENABLE, Capability, PciBus, PciFunction, Width};

/// Bytes of the head of a vendor-specific capability that pcid does not pass on: id, next pointer, length.
const CAPABILITY_HEAD: usize = 3;

/// Enables the device and leaves MSI-X off, as pcid does before a driver gets to see it.
pub(super) fn enable(bus: &PciBus, function: &PciFunction) {
    if let Some(msix) = bus.msix(function.address) {
        bus.set_msix_enabled(function.address, &msix, false);
    }
    bus.change_command(function.address, COMMAND_ENABLE, 0);
}

/// The answer to a request.
pub(super) fn answer(
    bus: &PciBus,
    function: &PciFunction,
    line: LegacyLine,
    request: &Request,
) -> Response {
    let at = function.address;
    match *request {
        Request::EnableDevice => {
            enable(bus, function);
            Response::EnabledDevice
        }
        Request::Config => Response::Config(SubdriverArguments {
            func: describe(bus, function, line),
        }),
        Request::AllFeatures => {
            let features = bus.msix(at).map(|_| Feature::MsiX);
            Response::AllFeatures(features.into_iter().collect())
        }
        Request::VendorCapabilities => {
            Response::VendorCapabilities(vendor_capabilities(bus, function))
        }
        Request::EnableFeature(feature) => with_msix(bus, function, feature, |msix| {
            bus.set_msix_enabled(at, &msix, true);
            Response::FeatureEnabled(feature)
        }),
        Request::FeatureInfo(feature) => with_msix(bus, function, feature, |msix| {
            let info = FeatureInfo::MsiX {
                table_bar: msix.table_bar,
                table_offset: msix.table_offset,
                table_size: msix.table_size,
                pba_bar: msix.pba_bar,
                pba_offset: msix.pba_offset,
            };
            Response::FeatureInfo(feature, info)
        }),
        Request::SetFeatureInfo(SetFeatureInfo::Msi(_)) => no_such(Feature::Msi),
        Request::SetFeatureInfo(SetFeatureInfo::MsiX { function_mask }) => {
            with_msix(bus, function, Feature::MsiX, |msix| {
                if let Some(masked) = function_mask {
                    bus.set_msix_function_mask(at, &msix, masked);
                }
                Response::SetFeatureInfo(Feature::MsiX)
            })
        }
        Request::ReadConfig(offset) => {
            // Beyond 256 bytes there is nothing without the chipset's window for it: all ones, as from a bus.
            let value = u8::try_from(offset).map(|offset| bus.read(at, offset, Width::Long));
            Response::ReadConfig(value.unwrap_or(u32::MAX))
        }
        Request::WriteConfig(offset, value) => {
            if let Ok(offset) = u8::try_from(offset) {
                bus.write(at, offset, Width::Long, value);
            }
            Response::WriteConfig
        }
    }
}

fn with_msix(
    bus: &PciBus,
    function: &PciFunction,
    feature: Feature,
    then: impl FnOnce(crate::machine::Msix) -> Response,
) -> Response {
    match (feature, bus.msix(function.address)) {
        (Feature::MsiX, Some(msix)) => then(msix),
        _ => no_such(feature),
    }
}

fn no_such(feature: Feature) -> Response {
    Response::Error(ResponseError::NonexistentFeature(feature))
}

fn vendor_capabilities(bus: &PciBus, function: &PciFunction) -> Vec<VendorCapability> {
    bus.capabilities(function.address)
        .into_iter()
        .filter(|capability| capability.id == Capability::VENDOR)
        .map(|capability| bus.vendor_capability(function.address, capability))
        .map(|bytes| VendorCapability {
            data: bytes.get(CAPABILITY_HEAD..).unwrap_or_default().to_vec(),
        })
        .collect()
}

fn describe(bus: &PciBus, function: &PciFunction, line: LegacyLine) -> Function {
    let at = function.address;
    let id = bus.id(at);
    Function {
        addr: Address {
            segment: 0,
            bus: at.bus,
            device: at.device,
            function: at.function,
        },
        bars: function.bars.map(|bar| match bar {
            Bar::None => PciBar::None,
            Bar::Memory32 { address, size } => PciBar::Memory32 {
                addr: address,
                size,
            },
            Bar::Memory64 { address, size } => PciBar::Memory64 {
                addr: address,
                size,
            },
            Bar::Port { address, .. } => PciBar::Port(address),
        }),
        rom: None,
        legacy_interrupt_line: legacy_interrupt_line(bus, function, line),
        full_device_id: FullDeviceId {
            vendor_id: id.vendor,
            device_id: id.device,
            class: id.class,
            subclass: id.subclass,
            interface: id.interface,
            revision: id.revision,
        },
    }
}

fn legacy_interrupt_line(
    bus: &PciBus,
    function: &PciFunction,
    line: LegacyLine,
) -> Option<LegacyInterruptLine> {
    if bus.interrupt_pin(function.address) == 0 {
        return None;
    }
    let irq = bus.interrupt_line(function.address);
    let phandled = match line {
        LegacyLine::Number => None,
        LegacyLine::Phandle { controller } => Some((controller, LegacyLine::cells(irq), 3)),
    };
    Some(LegacyInterruptLine { irq, phandled })
}
