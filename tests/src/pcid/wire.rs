//! The messages of pcid's channel, in the words of serde and bincode 1.
//!
//! The drivers' side of this protocol is written by hand, byte by byte; here the format follows from the order of
//! fields and variants alone. Two implementations that share nothing meet on the channel.

use serde::{Deserialize, Serialize};

/// What a driver asks.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum Request {
    EnableDevice,
    Config,
    AllFeatures,
    VendorCapabilities,
    EnableFeature(Feature),
    FeatureInfo(Feature),
    SetFeatureInfo(SetFeatureInfo),
    ReadConfig(u16),
    WriteConfig(u16, u32),
}

/// What pcid answers.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "a variant that is never sent still counts in the numbering"
)]
pub(super) enum Response {
    EnabledDevice,
    Config(SubdriverArguments),
    AllFeatures(Vec<Feature>),
    VendorCapabilities(Vec<VendorCapability>),
    FeatureEnabled(Feature),
    FeatureStatus(Feature, FeatureStatus),
    Error(ResponseError),
    FeatureInfo(Feature, FeatureInfo),
    SetFeatureInfo(Feature),
    ReadConfig(u32),
    WriteConfig,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) enum Feature {
    Msi,
    MsiX,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "a variant that is never sent still counts in the numbering"
)]
pub(super) enum FeatureStatus {
    Enabled,
    Disabled,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "a variant that is never sent still counts in the numbering"
)]
pub(super) enum ResponseError {
    NonexistentFeature(Feature),
    InvalidBitPattern,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[expect(
    dead_code,
    reason = "QEMU's virtio cards have no MSI; its number is kept"
)]
pub(super) enum FeatureInfo {
    Msi {
        log2_multiple_message_capable: u8,
        is_64bit: bool,
        has_per_vector_masking: bool,
    },
    MsiX {
        table_bar: u8,
        table_offset: u32,
        table_size: u16,
        pba_bar: u8,
        pba_offset: u32,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct SetMsi {
    multi_message_enable: Option<u8>,
    message_address_and_data: Option<MessageAddressAndData>,
    mask_bits: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct MessageAddressAndData {
    address: u64,
    data: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum SetFeatureInfo {
    Msi(SetMsi),
    MsiX { function_mask: Option<bool> },
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct VendorCapability {
    /// Without the id, the pointer to the next and the length.
    pub(super) data: Vec<u8>,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct SubdriverArguments {
    pub(super) func: Function,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) addr: Address,
    pub(super) bars: [PciBar; 6],
    pub(super) rom: Option<Rom>,
    pub(super) legacy_interrupt_line: Option<LegacyInterruptLine>,
    pub(super) full_device_id: FullDeviceId,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) segment: u16,
    pub(super) bus: u8,
    pub(super) device: u8,
    pub(super) function: u8,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(super) enum PciBar {
    None,
    Memory32 { addr: u32, size: u32 },
    Memory64 { addr: u64, size: u64 },
    Port(u16),
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(super) struct Rom {
    pub(super) addr: u32,
    pub(super) size: u32,
    pub(super) enabled: bool,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(super) struct LegacyInterruptLine {
    pub(super) irq: u8,
    /// Interrupt controller, its cells, and how many of them count.
    pub(super) phandled: Option<(u32, [u32; 3], u64)>,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub(super) struct FullDeviceId {
    pub(super) vendor_id: u16,
    pub(super) device_id: u16,
    pub(super) class: u8,
    pub(super) subclass: u8,
    pub(super) interface: u8,
    pub(super) revision: u8,
}
