//! The messages as Rust types for serde, for bincode 1 to encode: what the other end of the channel
//! is made of.

use serde::{Deserialize, Serialize};

use crate::{message, types};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PciAddress {
    segment: u16,
    bus: u8,
    device: u8,
    function: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PciBar {
    None,
    Memory32 { addr: u32, size: u32 },
    Memory64 { addr: u64, size: u64 },
    Port(u16),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PciRom {
    addr: u32,
    size: u32,
    enabled: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LegacyInterruptLine {
    irq: u8,
    phandled: Option<(u32, [u32; 3], usize)>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FullDeviceId {
    vendor_id: u16,
    device_id: u16,
    class: u8,
    subclass: u8,
    interface: u8,
    revision: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PciFunction {
    addr: PciAddress,
    bars: [PciBar; 6],
    rom: Option<PciRom>,
    legacy_interrupt_line: Option<LegacyInterruptLine>,
    full_device_id: FullDeviceId,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SubdriverArguments {
    func: PciFunction,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PciFeature {
    Msi,
    MsiX,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum FeatureStatus {
    Enabled,
    Disabled,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MsiInfo {
    log2_multiple_message_capable: u8,
    is_64bit: bool,
    has_per_vector_masking: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MsixInfo {
    table_bar: u8,
    table_offset: u32,
    table_size: u16,
    pba_bar: u8,
    pba_offset: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PciFeatureInfo {
    Msi(MsiInfo),
    MsiX(MsixInfo),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MsiAddrAndData {
    addr: u64,
    data: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MsiSetFeatureInfo {
    multi_message_enable: Option<u8>,
    message_address_and_data: Option<MsiAddrAndData>,
    mask_bits: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum SetFeatureInfo {
    Msi(MsiSetFeatureInfo),
    MsiX { function_mask: Option<bool> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct VendorSpecificCapability {
    data: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PcidClientRequest {
    EnableDevice,
    RequestConfig,
    RequestFeatures,
    RequestVendorCapabilities,
    EnableFeature(PciFeature),
    FeatureInfo(PciFeature),
    SetFeatureInfo(SetFeatureInfo),
    ReadConfig(u16),
    WriteConfig(u16, u32),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PcidServerResponseError {
    NonexistentFeature(PciFeature),
    InvalidBitPattern,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum PcidClientResponse {
    EnabledDevice,
    Config(SubdriverArguments),
    AllFeatures(Vec<PciFeature>),
    VendorCapabilities(Vec<VendorSpecificCapability>),
    FeatureEnabled(PciFeature),
    FeatureStatus(PciFeature, FeatureStatus),
    Error(PcidServerResponseError),
    FeatureInfo(PciFeature, PciFeatureInfo),
    SetFeatureInfo(PciFeature),
    ReadConfig(u32),
    WriteConfig,
}

impl From<types::Feature> for PciFeature {
    fn from(feature: types::Feature) -> Self {
        match feature {
            types::Feature::Msi => Self::Msi,
            types::Feature::MsiX => Self::MsiX,
        }
    }
}

impl From<types::FeatureStatus> for FeatureStatus {
    fn from(status: types::FeatureStatus) -> Self {
        match status {
            types::FeatureStatus::Enabled => Self::Enabled,
            types::FeatureStatus::Disabled => Self::Disabled,
        }
    }
}

impl From<types::FeatureInfo> for PciFeatureInfo {
    fn from(info: types::FeatureInfo) -> Self {
        match info {
            types::FeatureInfo::Msi(info) => Self::Msi(MsiInfo {
                log2_multiple_message_capable: info.log2_multiple_message_capable,
                is_64bit: info.is_64bit,
                has_per_vector_masking: info.has_per_vector_masking,
            }),
            types::FeatureInfo::MsiX(info) => Self::MsiX(MsixInfo {
                table_bar: info.table_bar,
                table_offset: info.table_offset,
                table_size: info.table_size,
                pba_bar: info.pba_bar,
                pba_offset: info.pba_offset,
            }),
        }
    }
}

impl From<types::SetFeatureInfo> for SetFeatureInfo {
    fn from(info: types::SetFeatureInfo) -> Self {
        match info {
            types::SetFeatureInfo::Msi(info) => Self::Msi(MsiSetFeatureInfo {
                multi_message_enable: info.multi_message_enable,
                message_address_and_data: info.message_address_and_data.map(|message| {
                    MsiAddrAndData {
                        addr: message.address,
                        data: message.data,
                    }
                }),
                mask_bits: info.mask_bits,
            }),
            types::SetFeatureInfo::MsiX { function_mask } => Self::MsiX { function_mask },
        }
    }
}

impl From<types::Bar> for PciBar {
    fn from(bar: types::Bar) -> Self {
        match bar {
            types::Bar::None => Self::None,
            types::Bar::Memory32 { address, size } => Self::Memory32 {
                addr: address,
                size,
            },
            types::Bar::Memory64 { address, size } => Self::Memory64 {
                addr: address,
                size,
            },
            types::Bar::Port(port) => Self::Port(port),
        }
    }
}

impl From<types::SubdriverArguments> for SubdriverArguments {
    fn from(arguments: types::SubdriverArguments) -> Self {
        let types::PciFunction {
            address,
            bars,
            rom,
            legacy_interrupt_line,
            full_device_id: id,
        } = arguments.function;
        let types::PciAddress {
            segment,
            bus,
            device,
            function,
        } = address;
        Self {
            func: PciFunction {
                addr: PciAddress {
                    segment,
                    bus,
                    device,
                    function,
                },
                bars: bars.map(Into::into),
                rom: rom.map(|rom| PciRom {
                    addr: rom.address,
                    size: rom.size,
                    enabled: rom.enabled,
                }),
                legacy_interrupt_line: legacy_interrupt_line.map(|line| LegacyInterruptLine {
                    irq: line.irq,
                    phandled: line
                        .phandled
                        .map(|line| (line.phandle, line.address, line.cells)),
                }),
                full_device_id: FullDeviceId {
                    vendor_id: id.vendor_id,
                    device_id: id.device_id,
                    class: id.class,
                    subclass: id.subclass,
                    interface: id.interface,
                    revision: id.revision,
                },
            },
        }
    }
}

impl From<message::Request> for PcidClientRequest {
    fn from(request: message::Request) -> Self {
        use message::Request;
        match request {
            Request::EnableDevice => Self::EnableDevice,
            Request::RequestConfig => Self::RequestConfig,
            Request::RequestFeatures => Self::RequestFeatures,
            Request::RequestVendorCapabilities => Self::RequestVendorCapabilities,
            Request::EnableFeature(feature) => Self::EnableFeature(feature.into()),
            Request::FeatureInfo(feature) => Self::FeatureInfo(feature.into()),
            Request::SetFeatureInfo(info) => Self::SetFeatureInfo(info.into()),
            Request::ReadConfig(offset) => Self::ReadConfig(offset),
            Request::WriteConfig(offset, value) => Self::WriteConfig(offset, value),
        }
    }
}

impl From<message::Response> for PcidClientResponse {
    fn from(response: message::Response) -> Self {
        use message::{Response, ServerError};
        match response {
            Response::EnabledDevice => Self::EnabledDevice,
            Response::Config(arguments) => Self::Config(arguments.into()),
            Response::AllFeatures(features) => {
                Self::AllFeatures(features.into_iter().map(Into::into).collect())
            }
            Response::VendorCapabilities(capabilities) => Self::VendorCapabilities(
                capabilities
                    .into_iter()
                    .map(|capability| VendorSpecificCapability {
                        data: capability.data,
                    })
                    .collect(),
            ),
            Response::FeatureEnabled(feature) => Self::FeatureEnabled(feature.into()),
            Response::FeatureStatus(feature, status) => {
                Self::FeatureStatus(feature.into(), status.into())
            }
            Response::Error(ServerError::NonexistentFeature(feature)) => {
                Self::Error(PcidServerResponseError::NonexistentFeature(feature.into()))
            }
            Response::Error(ServerError::InvalidBitPattern) => {
                Self::Error(PcidServerResponseError::InvalidBitPattern)
            }
            Response::FeatureInfo(feature, info) => Self::FeatureInfo(feature.into(), info.into()),
            Response::SetFeatureInfo(feature) => Self::SetFeatureInfo(feature.into()),
            Response::ReadConfig(value) => Self::ReadConfig(value),
            Response::WriteConfig => Self::WriteConfig,
        }
    }
}
