//! The device status field (virtio 2.1).

use core::fmt;

/// The device status field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// The device is being or was reset.
    pub const RESET: Self = Self(0);
    /// The driver has found the device.
    pub const ACKNOWLEDGE: Self = Self(1);
    /// The driver knows how to drive it.
    pub const DRIVER: Self = Self(2);
    /// The driver is ready: the device is live.
    pub const DRIVER_OK: Self = Self(4);
    /// The driver has told which features it understands.
    pub const FEATURES_OK: Self = Self(8);
    /// The device has met an error that it cannot recover from.
    pub const DEVICE_NEEDS_RESET: Self = Self(64);
    /// The driver has given the device up.
    pub const FAILED: Self = Self(128);
    /// All ones: what is read from a device that is no longer there.
    pub const GONE: Self = Self(0xff);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The device must be reset before it goes on (virtio 2.1.2). False if the device is gone altogether.
    pub fn needs_reset(self) -> bool {
        !self.is_gone() && self.contains(Self::DEVICE_NEEDS_RESET)
    }

    /// The device is no longer there.
    pub fn is_gone(self) -> bool {
        self == Self::GONE
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Status, &str); 6] = [
            (Status::ACKNOWLEDGE, "ACKNOWLEDGE"),
            (Status::DRIVER, "DRIVER"),
            (Status::FEATURES_OK, "FEATURES_OK"),
            (Status::DRIVER_OK, "DRIVER_OK"),
            (Status::DEVICE_NEEDS_RESET, "DEVICE_NEEDS_RESET"),
            (Status::FAILED, "FAILED"),
        ];
        if self.is_gone() {
            return f.write_str("0xff (gone)");
        }
        write!(f, "{:#04x}", self.0)?;
        for (bit, name) in NAMES {
            if self.contains(bit) {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_status_is_read_by_its_names() {
        assert_eq!(
            format!("{}", Status(0x4f)),
            "0x4f ACKNOWLEDGE DRIVER FEATURES_OK DRIVER_OK DEVICE_NEEDS_RESET"
        );
        assert_eq!(format!("{}", Status::RESET), "0x00");
    }

    #[test]
    fn a_device_that_is_gone_does_not_ask_for_a_reset() {
        assert!(Status(0x4f).needs_reset());
        assert!(!Status::GONE.needs_reset() && Status::GONE.is_gone());
    }
}
