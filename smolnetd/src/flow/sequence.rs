//! Sequence numbers (RFC 9293 3.4): a circle of 2^32, compared by the shorter way round.

use core::fmt;

use smoltcp::wire::TcpSeqNumber;

/// A TCP sequence number. Nothing it does can overflow or panic, whatever a peer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// `count` octets further on.
    pub fn plus(self, count: usize) -> Seq {
        // Truncation is the arithmetic of the circle.
        Seq(self.0.wrapping_add(count as u32))
    }

    /// `count` octets back.
    pub fn minus(self, count: usize) -> Seq {
        Seq(self.0.wrapping_sub(count as u32))
    }

    /// Octets from `earlier` to here: negative when `earlier` is the later one.
    pub fn since(self, earlier: Seq) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// Is it before `other`?
    pub fn before(self, other: Seq) -> bool {
        self.since(other) < 0
    }

    /// Is it after `other`?
    pub fn after(self, other: Seq) -> bool {
        self.since(other) > 0
    }

    /// The later of both.
    pub fn latest(self, other: Seq) -> Seq {
        if self.before(other) { other } else { self }
    }
}

impl From<TcpSeqNumber> for Seq {
    fn from(number: TcpSeqNumber) -> Seq {
        Seq(number.0 as u32)
    }
}

impl From<Seq> for TcpSeqNumber {
    fn from(number: Seq) -> TcpSeqNumber {
        TcpSeqNumber(number.0 as i32)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circle_closes() {
        let last = Seq(u32::MAX);
        assert_eq!(last.plus(1), Seq(0));
        assert!(last.before(Seq(0)) && Seq(0).after(last));
        assert_eq!(Seq(5).since(Seq(u32::MAX)), 6);
        assert_eq!(Seq(2).minus(4), Seq(u32::MAX - 1));
        assert_eq!(last.latest(Seq(3)), Seq(3));
    }
}
