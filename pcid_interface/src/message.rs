//! The messages of the channel, as pcid's `driver_interface` lays them down. The order of fields
//! and variants *is* the format.

use core::fmt;

use crate::types::{
    Feature, FeatureInfo, FeatureStatus, SetFeatureInfo, SubdriverArguments, VendorCapability,
};
use crate::wire::{self, DecodeError, Reader, Wire};

/// What a driver asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Turn on memory, I/O and bus mastering, and find the INTx line.
    EnableDevice,
    /// Say what the function is.
    RequestConfig,
    /// Say which of MSI and MSI-X the function has.
    RequestFeatures,
    /// Hand over the vendor-specific capabilities.
    RequestVendorCapabilities,
    /// Set a feature's enable bit.
    EnableFeature(Feature),
    /// Describe a feature.
    FeatureInfo(Feature),
    /// Change a feature.
    SetFeatureInfo(SetFeatureInfo),
    /// Read the aligned 32 bits of configuration space at this offset.
    ReadConfig(u16),
    /// Write the aligned 32 bits at this offset.
    WriteConfig(u16, u32),
}

impl Request {
    /// The bytes of the one `write` that asks this.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// The request that `bytes` are.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(bytes)
    }
}

impl Wire for Request {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        let index: u32 = match self {
            Self::EnableDevice => 0,
            Self::RequestConfig => 1,
            Self::RequestFeatures => 2,
            Self::RequestVendorCapabilities => 3,
            Self::EnableFeature(_) => 4,
            Self::FeatureInfo(_) => 5,
            Self::SetFeatureInfo(_) => 6,
            Self::ReadConfig(_) => 7,
            Self::WriteConfig(..) => 8,
        };
        index.put(out);
        match self {
            Self::EnableDevice
            | Self::RequestConfig
            | Self::RequestFeatures
            | Self::RequestVendorCapabilities => {}
            Self::EnableFeature(feature) | Self::FeatureInfo(feature) => feature.put(out),
            Self::SetFeatureInfo(info) => info.put(out),
            Self::ReadConfig(offset) => offset.put(out),
            Self::WriteConfig(offset, value) => {
                offset.put(out);
                value.put(out);
            }
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.variant()? {
            0 => Self::EnableDevice,
            1 => Self::RequestConfig,
            2 => Self::RequestFeatures,
            3 => Self::RequestVendorCapabilities,
            4 => Self::EnableFeature(Wire::take(reader)?),
            5 => Self::FeatureInfo(Wire::take(reader)?),
            6 => Self::SetFeatureInfo(Wire::take(reader)?),
            7 => Self::ReadConfig(Wire::take(reader)?),
            8 => Self::WriteConfig(Wire::take(reader)?, Wire::take(reader)?),
            index => {
                return Err(DecodeError::Variant {
                    of: "PcidClientRequest",
                    index,
                });
            }
        })
    }
}

/// Why pcid did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// The function does not have this feature.
    NonexistentFeature(Feature),
    /// A value that the field cannot hold.
    InvalidBitPattern,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonexistentFeature(feature) => write!(f, "the function has no {feature:?}"),
            Self::InvalidBitPattern => f.write_str("invalid bit pattern"),
        }
    }
}

impl Wire for ServerError {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::NonexistentFeature(feature) => {
                0_u32.put(out);
                feature.put(out);
            }
            Self::InvalidBitPattern => 1_u32.put(out),
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.variant()? {
            0 => Wire::take(reader).map(Self::NonexistentFeature),
            1 => Ok(Self::InvalidBitPattern),
            index => Err(DecodeError::Variant {
                of: "PcidServerResponseError",
                index,
            }),
        }
    }
}

/// What pcid answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The device is on.
    EnabledDevice,
    /// What the function is.
    Config(SubdriverArguments),
    /// The features that it has.
    AllFeatures(Vec<Feature>),
    /// Its vendor-specific capabilities.
    VendorCapabilities(Vec<VendorCapability>),
    /// The feature is on.
    FeatureEnabled(Feature),
    /// Whether the feature is on.
    FeatureStatus(Feature, FeatureStatus),
    /// It was not done.
    Error(ServerError),
    /// What is known of the feature.
    FeatureInfo(Feature, FeatureInfo),
    /// The feature is changed.
    SetFeatureInfo(Feature),
    /// The 32 bits read.
    ReadConfig(u32),
    /// The 32 bits are written.
    WriteConfig,
}

impl Response {
    /// The bytes of the message, without the length that goes before them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// The bytes as the serving end lets them be read: the length, 64 bits, and then the message.
    #[must_use]
    pub fn encode_with_length(&self) -> Vec<u8> {
        let message = self.encode();
        let mut out = Vec::with_capacity(message.len().saturating_add(8));
        message.len().put(&mut out);
        out.extend_from_slice(&message);
        out
    }

    /// The response that `bytes` are, without the length before them.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(bytes)
    }
}

impl Wire for Response {
    const MIN_LENGTH: usize = 4;

    fn put(&self, out: &mut Vec<u8>) {
        let index: u32 = match self {
            Self::EnabledDevice => 0,
            Self::Config(_) => 1,
            Self::AllFeatures(_) => 2,
            Self::VendorCapabilities(_) => 3,
            Self::FeatureEnabled(_) => 4,
            Self::FeatureStatus(..) => 5,
            Self::Error(_) => 6,
            Self::FeatureInfo(..) => 7,
            Self::SetFeatureInfo(_) => 8,
            Self::ReadConfig(_) => 9,
            Self::WriteConfig => 10,
        };
        index.put(out);
        match self {
            Self::EnabledDevice | Self::WriteConfig => {}
            Self::Config(arguments) => arguments.put(out),
            Self::AllFeatures(features) => features.put(out),
            Self::VendorCapabilities(capabilities) => capabilities.put(out),
            Self::FeatureEnabled(feature) | Self::SetFeatureInfo(feature) => feature.put(out),
            Self::FeatureStatus(feature, status) => {
                feature.put(out);
                status.put(out);
            }
            Self::Error(error) => error.put(out),
            Self::FeatureInfo(feature, info) => {
                feature.put(out);
                info.put(out);
            }
            Self::ReadConfig(value) => value.put(out),
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.variant()? {
            0 => Self::EnabledDevice,
            1 => Self::Config(Wire::take(reader)?),
            2 => Self::AllFeatures(Wire::take(reader)?),
            3 => Self::VendorCapabilities(Wire::take(reader)?),
            4 => Self::FeatureEnabled(Wire::take(reader)?),
            5 => Self::FeatureStatus(Wire::take(reader)?, Wire::take(reader)?),
            6 => Self::Error(Wire::take(reader)?),
            7 => Self::FeatureInfo(Wire::take(reader)?, Wire::take(reader)?),
            8 => Self::SetFeatureInfo(Wire::take(reader)?),
            9 => Self::ReadConfig(Wire::take(reader)?),
            10 => Self::WriteConfig,
            index => {
                return Err(DecodeError::Variant {
                    of: "PcidClientResponse",
                    index,
                });
            }
        })
    }
}
