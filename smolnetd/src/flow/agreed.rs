//! What the two ends of a connection know of each other once its handshake is over, however it was gone through: with
//! a SYN of ours, from a half-open record, or from a cookie.

use smoltcp::time::Instant;

use super::sequence::Seq;

/// RFC 7323 2.2: both ends scale their windows, or neither does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Rcv.Wind.Shift: what we shift our windows right by before they go on the wire. At most 14.
    pub ours: u8,
    /// Snd.Wind.Shift: what the peer's windows are shifted left by. At most 14.
    pub theirs: u8,
}

/// What a handshake came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// ISS. Our SYN is acknowledged: SND.UNA = SND.NXT = ISS + 1.
    pub iss: Seq,
    /// IRS: RCV.NXT = IRS + 1.
    pub irs: Seq,
    /// The largest segment that the peer takes, in octets of data, by its option; none if it had none (RFC 9293 3.7.1
    /// then has 536 over IPv4 and 1220 over IPv6). Not yet held against the path's MTU, and whatever the peer wrote: 0
    /// as well.
    pub peer_mss: Option<u16>,
    /// The window that the peer offered last, in octets, already shifted where it is to be: of its SYN, which is never
    /// scaled (RFC 7323 2.2), or of the segment that brought a cookie back.
    pub peer_window: u32,
    /// The window that our SYN or SYN-ACK offered, in octets, never scaled: the right edge is at RCV.NXT + this.
    pub window: u16,
    /// How windows are scaled from here on; none if they are not.
    pub scaling: Option<Scaling>,
    /// RFC 2018: both ends know SACK.
    pub sack: bool,
    /// When our SYN or SYN-ACK left, if it left once: from there to the answer is the first measured round trip
    /// (RFC 6298 3, Karn). None if it was repeated, or if nobody remembers.
    pub sent: Option<Instant>,
    /// Our SYN or SYN-ACK was sent again after a timeout: RFC 5681 3.1 then starts with one segment, RFC 6298 5.7 with
    /// a timeout of three seconds.
    pub repeated: bool,
}
