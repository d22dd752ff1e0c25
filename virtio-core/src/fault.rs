//! What a device can do wrong on a queue.

use core::fmt;

/// What the device did that no honest device does. The queue then takes nothing more from it; the driver resets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceFault {
    /// A used id that is not below the queue size.
    UsedIdOutOfRange {
        /// The id.
        id: u32,
        /// The queue size.
        size: u16,
    },
    /// A used id that is no chain of the device's: never posted, not published, used before, or in the middle of one.
    UsedIdNotOutstanding {
        /// The id.
        id: u16,
    },
    /// More bytes written than the chain has room for.
    UsedLengthTooLong {
        /// The id of the chain.
        id: u16,
        /// Bytes that the device says it wrote.
        length: u32,
        /// Bytes that it could write.
        room: u32,
    },
    /// `used.idx` says that more chains were used than the device has.
    UsedIndexTooFarAhead {
        /// The index before.
        before: u16,
        /// The index now.
        now: u16,
        /// Chains that the device has.
        outstanding: u16,
    },
    /// `used.idx` went back.
    UsedIndexWentBack {
        /// The index before.
        before: u16,
        /// The index now.
        now: u16,
    },
    /// A buffer was used before DRIVER_OK.
    UsedBeforeDriverOk,
    /// The device wrote beyond the buffer (seen in debug and test builds only).
    CanaryBroken {
        /// The id of the chain.
        id: u16,
    },
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UsedIdOutOfRange { id, size } => {
                write!(f, "the device used id {id} of a queue of {size}")
            }
            Self::UsedIdNotOutstanding { id } => {
                write!(f, "the device used id {id}, which it does not have")
            }
            Self::UsedLengthTooLong { id, length, room } => {
                write!(
                    f,
                    "the device says it wrote {length} bytes into the {room} of id {id}"
                )
            }
            Self::UsedIndexTooFarAhead {
                before,
                now,
                outstanding,
            } => {
                write!(
                    f,
                    "the used index went from {before} to {now} with {outstanding} chains outstanding"
                )
            }
            Self::UsedIndexWentBack { before, now } => {
                write!(f, "the used index went back from {before} to {now}")
            }
            Self::UsedBeforeDriverOk => write!(f, "the device used a buffer before DRIVER_OK"),
            Self::CanaryBroken { id } => {
                write!(f, "the device wrote beyond the buffers of id {id}")
            }
        }
    }
}

impl core::error::Error for DeviceFault {}
