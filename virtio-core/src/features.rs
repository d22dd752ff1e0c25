//! Feature bits and their negotiation (virtio 2.2, 6).

use core::fmt;
use core::ops::{BitAnd, BitOr};

/// A set of feature bits, 0 to 63.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(pub u64);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);
    /// Descriptors may point to tables of descriptors.
    pub const INDIRECT_DESC: Self = Self::bit(28);
    /// Notifications are suppressed by index instead of by flag.
    pub const EVENT_IDX: Self = Self::bit(29);
    /// The device follows the standard, not the legacy interface before it.
    pub const VERSION_1: Self = Self::bit(32);
    /// The device reaches memory as the platform lets it: addresses may be translated or restricted.
    pub const ACCESS_PLATFORM: Self = Self::bit(33);
    /// Packed virtqueues.
    pub const RING_PACKED: Self = Self::bit(34);
    /// Buffers are used in the order in which they were made available.
    pub const IN_ORDER: Self = Self::bit(35);
    /// Memory accesses are ordered as the platform orders them: the barriers for real hardware are needed.
    pub const ORDER_PLATFORM: Self = Self::bit(36);
    /// The device has virtual functions.
    pub const SR_IOV: Self = Self::bit(37);
    /// Doorbells carry more than the queue's number.
    pub const NOTIFICATION_DATA: Self = Self::bit(38);
    /// The device says what a doorbell must carry.
    pub const NOTIF_CONFIG_DATA: Self = Self::bit(39);
    /// A single queue can be reset.
    pub const RING_RESET: Self = Self::bit(40);

    /// What this crate can do. Bits 24 to 49 outside this set are never accepted, whatever a driver wishes.
    const OF_THIS_CRATE: Self = Self(
        Self::INDIRECT_DESC.0
            | Self::EVENT_IDX.0
            | Self::VERSION_1.0
            | Self::ACCESS_PLATFORM.0
            | Self::ORDER_PLATFORM.0,
    );
    /// Bits 0–23 and 50–63 belong to the type of device (virtio 2.2).
    const OF_THE_DEVICE_TYPE: Self = Self(0x00ff_ffff | !((1 << 50) - 1));

    /// The feature with this number, 0 to 63.
    pub const fn bit(number: u8) -> Self {
        Self(1 << (number & 63))
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// With those of `other`; `|` for constants.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The set by names, for a message; `names` are those of the device type, by bit number.
    pub fn named(self, names: &'static [(u8, &'static str)]) -> Named {
        Named {
            features: self,
            names,
        }
    }
}

impl BitOr for Features {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for Features {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.named(&[]), f)
    }
}

/// Shows a set of features by their names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Named {
    features: Features,
    names: &'static [(u8, &'static str)],
}

const NAMES: [(u8, &str); 11] = [
    (28, "INDIRECT_DESC"),
    (29, "EVENT_IDX"),
    (32, "VERSION_1"),
    (33, "ACCESS_PLATFORM"),
    (34, "RING_PACKED"),
    (35, "IN_ORDER"),
    (36, "ORDER_PLATFORM"),
    (37, "SR_IOV"),
    (38, "NOTIFICATION_DATA"),
    (39, "NOTIF_CONFIG_DATA"),
    (40, "RING_RESET"),
];

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for bit in (0..64).filter(|bit| self.features.contains(Features::bit(*bit))) {
            f.write_str(before)?;
            match NAMES
                .iter()
                .chain(self.names)
                .find(|(number, _)| *number == bit)
            {
                Some((_, name)) => f.write_str(name)?,
                None => write!(f, "bit {bit}")?,
            }
            before = " ";
        }
        if self.features.is_none() {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a driver asks of a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Without these the driver cannot work. VERSION_1 is always required.
    pub required: Features,
    /// These are used if they are offered.
    pub wanted: Features,
    /// Whether the driver's device addresses are those of the platform: no IOMMU stands between device and memory, or it
    /// was set up for them. Only then is ACCESS_PLATFORM accepted.
    pub platform_addresses: bool,
    /// The names of the device type's own bits, for messages.
    pub names: &'static [(u8, &'static str)],
}

/// What driver and device have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// What the device offered.
    pub offered: Features,
    /// What the driver accepted.
    pub accepted: Features,
}

impl Agreed {
    /// What the person who reads the log must know about this choice; `None` when nothing is out of the ordinary.
    pub fn platform_note(&self) -> Option<&'static str> {
        let access = self.accepted.contains(Features::ACCESS_PLATFORM);
        let order = self.accepted.contains(Features::ORDER_PLATFORM);
        match (access, order) {
            (true, true) => Some(
                "ACCESS_PLATFORM and ORDER_PLATFORM accepted: physical addresses are used, so no IOMMU may translate; \
                 barriers are those for hardware",
            ),
            (true, false) => Some(
                "ACCESS_PLATFORM accepted: physical addresses are used, so no IOMMU may translate",
            ),
            (false, true) => Some("ORDER_PLATFORM accepted: barriers are those for hardware"),
            (false, false) => None,
        }
    }
}

/// Why driver and device did not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disagreement {
    /// The device does not offer what the driver requires.
    Missing {
        /// Required and not offered.
        missing: Features,
    },
    /// The driver requires what this crate cannot do.
    Unsupported {
        /// Required and not possible.
        unsupported: Features,
    },
    /// The device reaches memory through the platform, and the driver's addresses are not known to be the platform's.
    AccessPlatform,
}

impl Disagreement {
    pub(crate) fn describe(&self, offered: Named, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |features: Features| features.named(offered.names);
        match *self {
            Self::Missing { missing } => write!(
                f,
                "the device offers no {}; it offers {offered}",
                with(missing)
            ),
            Self::Unsupported { unsupported } => {
                write!(f, "the driver needs {}, not written yet", with(unsupported))
            }
            Self::AccessPlatform => write!(
                f,
                "the device offers ACCESS_PLATFORM: it may stand behind an IOMMU, and the addresses that the driver has \
                 are not known to be right there"
            ),
        }
    }
}

impl Wishes {
    /// Chooses from what the device offers (virtio 2.2.1: nothing that was not offered).
    ///
    /// # Errors
    /// What is missing.
    pub fn choose(&self, offered: Features) -> Result<Agreed, Disagreement> {
        let possible = Features::OF_THIS_CRATE | Features::OF_THE_DEVICE_TYPE;
        // virtio 6.1: "A driver MUST accept VIRTIO_F_VERSION_1 if it is offered." Without it the device is a legacy one.
        let required = self.required | Features::VERSION_1;
        let unsupported = required.without(possible);
        if !unsupported.is_none() {
            return Err(Disagreement::Unsupported { unsupported });
        }
        let missing = required.without(offered);
        if !missing.is_none() {
            return Err(Disagreement::Missing { missing });
        }
        // virtio 6.1: ACCESS_PLATFORM SHOULD be accepted if offered, and then the IOMMU is the driver's business; a
        // device MAY fail without it. Going on without a word would end in memory that the device cannot see.
        if offered.contains(Features::ACCESS_PLATFORM) && !self.platform_addresses {
            return Err(Disagreement::AccessPlatform);
        }
        // virtio 6.1: ORDER_PLATFORM SHOULD be accepted if offered; the queues then use the barriers for hardware.
        let platform = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
        let accepted = (required | self.wanted | platform) & offered & possible;
        Ok(Agreed { offered, accepted })
    }
}
