//! The device's configuration space (virtio 5.1.4).

use virtio_core::{Features, Registers};

use netscheme::frame::{DEFAULT_MTU, LinkState, Mac};

/// The device says how large a frame's payload may be.
pub const MTU: Features = Features::bit(3);
/// The device has an address.
pub const MAC: Features = Features::bit(5);
/// The device tells the state of its link.
pub const STATUS: Features = Features::bit(16);
/// The device tells its speed.
pub const SPEED_DUPLEX: Features = Features::bit(63);

/// The names of the bits that a network device gives a meaning to (virtio 5.1.3).
pub const FEATURE_NAMES: &[(u8, &str)] = &[
    (0, "CSUM"),
    (1, "GUEST_CSUM"),
    (2, "CTRL_GUEST_OFFLOADS"),
    (3, "MTU"),
    (5, "MAC"),
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (9, "GUEST_ECN"),
    (10, "GUEST_UFO"),
    (11, "HOST_TSO4"),
    (12, "HOST_TSO6"),
    (13, "HOST_ECN"),
    (14, "HOST_UFO"),
    (15, "MRG_RXBUF"),
    (16, "STATUS"),
    (17, "CTRL_VQ"),
    (18, "CTRL_RX"),
    (19, "CTRL_VLAN"),
    (20, "CTRL_RX_EXTRA"),
    (21, "GUEST_ANNOUNCE"),
    (22, "MQ"),
    (23, "CTRL_MAC_ADDR"),
    (54, "GUEST_USO4"),
    (55, "GUEST_USO6"),
    (56, "HOST_USO"),
    (57, "HASH_REPORT"),
    (59, "GUEST_HDRLEN"),
    (60, "RSS"),
    (61, "RSC_EXT"),
    (62, "STANDBY"),
    (63, "SPEED_DUPLEX"),
];

/// The least MTU that a device may have (virtio 5.1.4.1), and IPv4 can work with (RFC 791, 3.2).
pub const MIN_MTU: u16 = 68;

/// Where the fields are, in bytes.
mod offset {
    pub(super) const MAC: usize = 0;
    pub(super) const STATUS: usize = 6;
    pub(super) const MTU: usize = 10;
    pub(super) const SPEED: usize = 12;
}

/// `status`: the link is up.
const LINK_UP: u16 = 1;

/// The largest `speed` that is one (virtio 5.1.4: 0 to 2^31 - 1, in Mbit/s).
const MAX_SPEED: u32 = 0x7fff_ffff;

/// The fields that exist, as they were read; nothing is checked yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `mac`, with MAC.
    pub mac: Option<[u8; 6]>,
    /// `status`, with STATUS.
    pub status: Option<u16>,
    /// `mtu`, with MTU.
    pub mtu: Option<u16>,
    /// `speed`, with SPEED_DUPLEX.
    pub speed: Option<u32>,
}

impl Config {
    /// Reads the fields that `features` say exist. A change in between may tear them: see the
    /// generation of the transport.
    #[must_use]
    pub fn read(registers: &dyn Registers, features: Features) -> Self {
        let with = |feature| features.contains(feature);
        Self {
            mac: with(MAC).then(|| {
                core::array::from_fn(|byte| registers.read_u8(offset::MAC.saturating_add(byte)))
            }),
            status: with(STATUS).then(|| registers.read_u16(offset::STATUS)),
            mtu: with(MTU).then(|| registers.read_u16(offset::MTU)),
            speed: with(SPEED_DUPLEX).then(|| registers.read_u32(offset::SPEED)),
        }
    }

    /// The state of the link. A device that cannot tell has one that is up (virtio 5.1.4.2).
    #[must_use]
    pub fn link(&self) -> LinkState {
        LinkState {
            up: self.status.is_none_or(|status| status & LINK_UP != 0),
            speed_mbps: self.speed.filter(|speed| (1..=MAX_SPEED).contains(speed)),
        }
    }

    /// The device's address, if one station can own it.
    #[must_use]
    pub fn address(&self) -> Option<Mac> {
        self.mac.map(Mac).filter(|mac| mac.is_unicast())
    }

    /// The MTU that the device asks for.
    ///
    /// # Errors
    /// What it asks for, when no network can work with so little. The feature is then not to be
    /// accepted.
    pub fn mtu(&self) -> Result<u16, u16> {
        match self.mtu {
            None => Ok(DEFAULT_MTU),
            Some(mtu) if mtu < MIN_MTU => Err(mtu),
            Some(mtu) => Ok(mtu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multicast_or_zero_address_is_nobodys() {
        let address = |mac| {
            Config {
                mac: Some(mac),
                ..Config::default()
            }
            .address()
        };
        assert_eq!(
            address([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]))
        );
        assert_eq!(address([0x01, 0, 0x5e, 0, 0, 1]), None);
        assert_eq!(address([0xff; 6]), None);
        assert_eq!(address([0; 6]), None);
        assert_eq!(Config::default().address(), None, "no MAC feature at all");
    }

    #[test]
    fn an_mtu_below_68_is_refused() {
        let mtu = |mtu| {
            Config {
                mtu,
                ..Config::default()
            }
            .mtu()
        };
        assert_eq!(mtu(None), Ok(1500));
        assert_eq!((mtu(Some(0)), mtu(Some(67))), (Err(0), Err(67)));
        assert_eq!(
            (mtu(Some(68)), mtu(Some(1500)), mtu(Some(u16::MAX))),
            (Ok(68), Ok(1500), Ok(u16::MAX))
        );
    }

    #[test]
    fn a_link_that_nobody_tells_of_is_up_at_no_known_speed() {
        assert_eq!(Config::default().link(), LinkState::UP);
        let link = |status, speed| {
            Config {
                status: Some(status),
                speed,
                ..Config::default()
            }
            .link()
        };
        assert_eq!(link(0, None), LinkState::DOWN);
        assert_eq!(
            link(3, Some(10_000)),
            LinkState {
                up: true,
                speed_mbps: Some(10_000)
            }
        );
        assert_eq!(link(1, Some(u32::MAX)), LinkState::UP, "unknown");
        assert_eq!(link(1, Some(0)), LinkState::UP, "no speed");
    }
}
