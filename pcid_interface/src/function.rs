//! The client: one PCI function, spoken to over its channel.

use libredox::Fd;
use syscall::flag::O_RDWR;

use crate::error::Error;
use crate::message::{Request, Response};
use crate::types::{
    Feature, FeatureInfo, MsixInfo, SetFeatureInfo, SubdriverArguments, VendorCapability,
};
use crate::wire::MAX_MESSAGE_LENGTH;

/// A PCI function in the hands of its driver.
#[derive(Debug)]
pub struct Function {
    channel: Channel,
    arguments: SubdriverArguments,
}

/// The file descriptor of a channel; libredox's own has no `Debug`.
struct Channel(Fd);

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Channel({})", self.0.raw())
    }
}

impl Function {
    /// Takes over an open channel, and asks it what the function is.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn connect(channel: Fd) -> Result<Self, Error> {
        let mut channel = Channel(channel);
        let arguments = request_config(&mut channel)?;
        Ok(Self { channel, arguments })
    }

    /// Opens the channel of the function whose directory is `path`, such as
    /// `/scheme/pci/0000--00--04.0`. pcid enables the device as it opens the channel, and has one
    /// channel to give for each function (ENOLCK).
    ///
    /// # Errors
    /// As [`Function::connect`].
    pub fn open(path: &str) -> Result<Self, Error> {
        let path = format!("{}/channel", path.trim_end_matches('/'));
        let flags = O_RDWR as i32;
        let channel = Fd::open(&path, flags, 0)
            .map_err(|error| Error::system(format!("open {path}"), error))?;
        Self::connect(channel)
    }

    /// What pcid said the function is, when it was last asked.
    #[must_use]
    pub fn arguments(&self) -> &SubdriverArguments {
        &self.arguments
    }

    /// Asks again what the function is; the INTx line is known only once the device is enabled.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn config(&mut self) -> Result<&SubdriverArguments, Error> {
        self.arguments = request_config(&mut self.channel)?;
        Ok(&self.arguments)
    }

    /// Turns on memory decoding, I/O decoding and bus mastering; MSI and MSI-X are off after it.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn enable(&mut self) -> Result<(), Error> {
        match self.ask(Request::EnableDevice)? {
            (_, Response::EnabledDevice) => Ok(()),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// The vendor-specific capabilities in the order of the list.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn vendor_capabilities(&mut self) -> Result<Vec<VendorCapability>, Error> {
        match self.ask(Request::RequestVendorCapabilities)? {
            (_, Response::VendorCapabilities(capabilities)) => Ok(capabilities),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Which of MSI and MSI-X the function has.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn features(&mut self) -> Result<Vec<Feature>, Error> {
        match self.ask(Request::RequestFeatures)? {
            (_, Response::AllFeatures(features)) => Ok(features),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Describes a feature.
    ///
    /// # Errors
    /// [`Error::Refused`] when the function does not have it; the channel's, or an answer that is
    /// none.
    pub fn feature_info(&mut self, feature: Feature) -> Result<FeatureInfo, Error> {
        match self.ask(Request::FeatureInfo(feature))? {
            (_, Response::FeatureInfo(of, info)) if of == feature => Ok(info),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Where the function's MSI-X vector table is.
    ///
    /// # Errors
    /// As [`Function::feature_info`].
    pub fn msix_info(&mut self) -> Result<MsixInfo, Error> {
        match self.feature_info(Feature::MsiX)? {
            FeatureInfo::MsiX(info) => Ok(info),
            other => unexpected(
                Request::FeatureInfo(Feature::MsiX),
                Response::FeatureInfo(Feature::MsiX, other),
            ),
        }
    }

    /// Sets a feature's enable bit. The vector table of MSI-X is to be written before.
    ///
    /// # Errors
    /// [`Error::Refused`] when the function does not have it; the channel's, or an answer that is
    /// none.
    pub fn enable_feature(&mut self, feature: Feature) -> Result<(), Error> {
        match self.ask(Request::EnableFeature(feature))? {
            (_, Response::FeatureEnabled(of)) if of == feature => Ok(()),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Changes a feature.
    ///
    /// # Errors
    /// [`Error::Refused`] for a value that does not fit; the channel's, or an answer that is none.
    pub fn set_feature_info(&mut self, info: SetFeatureInfo) -> Result<(), Error> {
        let feature = match info {
            SetFeatureInfo::Msi(_) => Feature::Msi,
            SetFeatureInfo::MsiX { .. } => Feature::MsiX,
        };
        match self.ask(Request::SetFeatureInfo(info))? {
            (_, Response::SetFeatureInfo(of)) if of == feature => Ok(()),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Reads 32 bits of configuration space. `offset` is in bytes, a multiple of 4.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn read_config(&mut self, offset: u16) -> Result<u32, Error> {
        match self.ask(Request::ReadConfig(offset))? {
            (_, Response::ReadConfig(value)) => Ok(value),
            (asked, came) => unexpected(asked, came),
        }
    }

    /// Writes 32 bits of configuration space. `offset` is in bytes, a multiple of 4.
    ///
    /// # Errors
    /// The channel's, or an answer that is none.
    pub fn write_config(&mut self, offset: u16, value: u32) -> Result<(), Error> {
        match self.ask(Request::WriteConfig(offset, value))? {
            (_, Response::WriteConfig) => Ok(()),
            (asked, came) => unexpected(asked, came),
        }
    }

    pub(crate) fn channel(&self) -> &Fd {
        &self.channel.0
    }

    fn ask(&mut self, request: Request) -> Result<(Request, Response), Error> {
        exchange(&mut self.channel, request)
    }
}

/// The two calls that a channel knows.
pub(crate) trait ByteChannel {
    fn write(&mut self, bytes: &[u8]) -> libredox::error::Result<usize>;
    fn read(&mut self, bytes: &mut [u8]) -> libredox::error::Result<usize>;
}

impl ByteChannel for Channel {
    fn write(&mut self, bytes: &[u8]) -> libredox::error::Result<usize> {
        self.0.write(bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> libredox::error::Result<usize> {
        self.0.read(bytes)
    }
}

fn request_config(channel: &mut Channel) -> Result<SubdriverArguments, Error> {
    match exchange(channel, Request::RequestConfig)? {
        (_, Response::Config(arguments)) => Ok(arguments),
        (asked, came) => unexpected(asked, came),
    }
}

fn unexpected<T>(asked: Request, came: Response) -> Result<T, Error> {
    Err(match came {
        Response::Error(reason) => Error::Refused { asked, reason },
        came => Error::Unexpected {
            asked,
            came: Box::new(came),
        },
    })
}

/// Writes a request and reads its response.
pub(crate) fn exchange(
    channel: &mut impl ByteChannel,
    asked: Request,
) -> Result<(Request, Response), Error> {
    let bytes = asked.encode();
    let written = channel
        .write(&bytes)
        .map_err(|error| Error::system(format!("write {asked:?} to pcid's channel"), error))?;
    if written != bytes.len() {
        return Err(Error::ShortWrite { asked, written });
    }
    let mut length = [0; 8];
    read_exact(channel, asked, &mut length)?;
    let length = u64::from_le_bytes(length);
    let size = usize::try_from(length)
        .ok()
        .filter(|&size| size <= MAX_MESSAGE_LENGTH)
        .ok_or(Error::Length { asked, length })?;
    let mut message = vec![0; size];
    read_exact(channel, asked, &mut message)?;
    let response = Response::decode(&message).map_err(|error| Error::Malformed { asked, error })?;
    Ok((asked, response))
}

fn read_exact(
    channel: &mut impl ByteChannel,
    asked: Request,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let wanted = buffer.len();
    let mut came = 0;
    while let Some(rest) = buffer.get_mut(came..).filter(|rest| !rest.is_empty()) {
        match channel.read(rest) {
            Ok(0) => {
                return Err(Error::Ended {
                    asked,
                    wanted,
                    came,
                });
            }
            // A channel that claims more than it was given room for is treated as having filled it.
            Ok(count) => came = came.saturating_add(count).min(wanted),
            Err(error) => {
                return Err(Error::system(
                    format!("read the answer to {asked:?}"),
                    error,
                ));
            }
        }
    }
    Ok(())
}
