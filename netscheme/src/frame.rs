//! Ethernet frames between a driver and the stack: lent, never copied on the way.
//!
//! The two directions are two halves with one owner each. A received frame is lent as a guard that
//! gives its buffer back when dropped; a frame to send is written into a slot of the transmit side
//! and committed there. A full transmit side has no slot: that is the backpressure.

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::str::FromStr;

/// Bytes of an Ethernet header without a VLAN tag (IEEE 802.3, 3.1.1): two addresses and the type.
pub const ETHERNET_HEADER: usize = 14;
/// Bytes that one VLAN tag adds to it (IEEE 802.1Q, 9.3).
pub const VLAN_TAG: usize = 4;
/// The MTU of Ethernet: the payload that every adapter carries at least.
pub const DEFAULT_MTU: u16 = 1500;

/// Where received frames come from.
pub trait FrameSource {
    /// One received frame, from the destination address on and without the checksum; gives its
    /// buffer back when dropped.
    type Frame<'a>: Deref<Target = [u8]>
    where
        Self: 'a;

    /// The oldest frame that waits, or `None` when none does.
    fn next_frame(&mut self) -> Option<Self::Frame<'_>>;
}

/// Where frames to send go.
pub trait FrameSink {
    /// Room for one frame.
    type Slot<'a>: Slot
    where
        Self: 'a;

    /// Room for a frame of `length` bytes, its contents not defined; `None` when the queue is full
    /// or no frame can be that long. [`FrameSink::capacity`] tells the two apart.
    fn slot(&mut self, length: usize) -> Option<Self::Slot<'_>>;

    /// Hands over all frames committed since the last call: the doorbell, rung once for all of them.
    fn flush(&mut self);

    /// The longest frame, in bytes from the destination address on.
    fn capacity(&self) -> usize;
}

/// Room for one frame; dropped without [`Slot::commit`], it is given back and nothing is sent.
pub trait Slot: DerefMut<Target = [u8]> {
    /// The frame is written: send it with the next [`FrameSink::flush`].
    fn commit(self);
}

/// The state of an adapter's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Whether frames pass.
    pub up: bool,
    /// Speed in Mbit/s, when it is known.
    pub speed_mbps: Option<u32>,
}

impl LinkState {
    /// Up, at a speed that is not known: what an adapter that cannot tell is taken for.
    pub const UP: LinkState = LinkState {
        up: true,
        speed_mbps: None,
    };
    /// Down.
    pub const DOWN: LinkState = LinkState {
        up: false,
        speed_mbps: None,
    };
}

/// The text of a `link` file: `up` or `down`, then the speed in Mbit/s when known.
impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.up { "up" } else { "down" })?;
        match self.speed_mbps {
            Some(speed) => write!(f, " {speed}"),
            None => Ok(()),
        }
    }
}

impl FromStr for LinkState {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut words = text.split_ascii_whitespace();
        let up = match words.next() {
            Some("up") => true,
            Some("down") => false,
            _ => return Err(ParseError),
        };
        let speed = words.next().map(str::parse).transpose();
        match words.next() {
            None => Ok(Self {
                up,
                speed_mbps: speed.map_err(|_| ParseError)?,
            }),
            Some(_) => Err(ParseError),
        }
    }
}

/// A text that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError;

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed")
    }
}

impl std::error::Error for ParseError {}

/// An Ethernet address (EUI-48), in transmission order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// An address of an adapter's own, made of random bytes: of one station, locally administered
    /// (IEEE 802, 8.2.2).
    #[must_use]
    pub const fn local(random: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = random;
        Self([(a & !1) | 2, b, c, d, e, f])
    }

    /// Whether this is a group address: the lowest bit of the first byte (IEEE 802, 8.2.2).
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one station can own this address: neither a group's nor all zero.
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self.0 != [0; 6]
    }
}

/// `52-54-00-12-34-56`, the form that Redox's own tools print and read.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{g:02x}")
    }
}

/// Six pairs of hexadecimal digits joined by `-` or `:`.
impl FromStr for Mac {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut mac = [0; 6];
        let mut parts = text.split(['-', ':']);
        for byte in &mut mac {
            let part = parts.next().ok_or(ParseError)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(ParseError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ParseError)?;
        }
        match parts.next() {
            None => Ok(Self(mac)),
            Some(_) => Err(ParseError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        let mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0xab]);
        assert_eq!(mac.to_string(), "52-54-00-12-34-ab");
        assert_eq!("52-54-00-12-34-ab".parse(), Ok(mac));
        assert_eq!("52:54:00:12:34:AB".parse(), Ok(mac));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "52",
            "52-54-00-12-34",
            "52-54-00-12-34-56-78",
            "5-254-00-12-34-56",
            "+2-54-00-12-34-56",
            "52-54-00-12-34-5é",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(ParseError), "{text:?}");
        }
    }

    #[test]
    fn a_random_address_is_local_and_of_one_station() {
        for first in 0..=u8::MAX {
            let mac = Mac::local([first, 0, 0, 0, 0, 0]);
            assert!(
                mac.is_unicast() && mac.0[0] & 2 == 2,
                "{mac} from {first:#x}"
            );
        }
    }

    #[test]
    fn a_group_and_nobody_own_no_adapter() {
        assert!(!Mac::BROADCAST.is_unicast());
        assert!(!Mac([1, 0, 0x5e, 0, 0, 1]).is_unicast());
        assert!(!Mac([0; 6]).is_unicast());
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_unicast());
    }

    #[test]
    fn a_link_reads_back_as_it_was_written() {
        for link in [
            LinkState::UP,
            LinkState::DOWN,
            LinkState {
                up: true,
                speed_mbps: Some(10_000),
            },
        ] {
            assert_eq!(format!("{link}\n").parse(), Ok(link));
        }
        for text in ["", "sideways", "up fast", "up 10 20", "up -1"] {
            assert_eq!(text.parse::<LinkState>(), Err(ParseError), "{text:?}");
        }
    }
}
