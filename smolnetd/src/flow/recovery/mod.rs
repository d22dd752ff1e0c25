//! What was sent, what of it was lost, how much may be on its way: the sender's half of TCP that knows no octets.
//!
//! The connection tells `Recovery` what it sent and what was acknowledged, and does what it says, always in this order:
//!
//! 1. `next_lost`, until there is none: each range is sent again, and `sent` says so;
//! 2. `allowance`: as much new data as there is and the peer's window takes; a segment that would be longer waits;
//! 3. `next_probe`: the last segment once more, if a probe was due and there was nothing new to send for it;
//! 4. `deadline`: when to come back with `expire` if nothing happens before.
//!
//! SYN and FIN are octets like others (RFC 9293 3.4): `(ISS, 1)` is a SYN. What goes into a closed window, or before
//! SND.UNA to keep a connection alive, is not told: such probes have a timer of their own in the connection.

use smoltcp::time::{Duration, Instant};

use super::sequence::Seq;

/// What a handshake came to, as far as sending goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    /// The peer's maximum segment size option, if it sent one.
    pub peer_mss: Option<u16>,
    /// May the peer send SACK blocks (RFC 2018 section 2: it said so in its SYN, and we did)?
    pub sack: bool,
    /// Had our SYN, or SYN and ACK, to be sent more than once?
    pub repeated: bool,
    /// From our SYN, or SYN and ACK, to its acknowledgement, if that was measured by somebody else (a half-open
    /// connection, a cookie) and nothing was repeated. What `sent` and `acknowledged` saw needs no telling.
    pub round_trip: Option<Duration>,
}

/// An acceptable acknowledgement: SND.UNA =< SEG.ACK =< SND.NXT.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    /// SEG.ACK
    pub ack: Seq,
    /// The SACK blocks as they came, left edge and right edge, in their order: nothing of them is believed untested.
    pub blocks: &'a [(Seq, Seq)],
    /// RFC 5681 section 2: it carries no data, neither SYN nor FIN, and the window of the one before.
    pub bare: bool,
}

/// What an acknowledgement was news of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Octets that it acknowledged and none had before.
    pub acknowledged: usize,
    /// Octets beyond SEG.ACK that arrived and that was not known.
    pub sacked: usize,
    /// Octets that are lost and that was not known.
    pub lost: usize,
}

/// Which timer it was that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// RFC 6298 5.4: everything unacknowledged is lost, or nothing is known of it.
    Timeout,
    /// RFC 8985 7.3: a segment is to be sent that makes the peer speak.
    Probe,
    /// RFC 8985 6.3: what was given the time to arrive in another order did not.
    Reordering,
}

/// The sending half of a connection. Sizes are octets.
#[derive(Debug)]
pub struct Recovery {
    mss: usize,
}

impl Recovery {
    /// Of a connection that sends from `start` on: its ISS if it sends a SYN, ISS + 1 if others did. `mss` is what the
    /// path carries.
    pub fn new(start: Seq, mss: usize) -> Recovery {
        let _ = start;
        Recovery { mss }
    }

    /// The handshake is complete.
    pub fn started(&mut self, handshake: &Handshake) {
        let _ = handshake;
    }

    /// `length` octets left from `seq` on: new ones at the end of what was sent before, or again.
    pub fn sent(&mut self, now: Instant, seq: Seq, length: usize) {
        let _ = (now, seq, length);
    }

    /// An acceptable acknowledgement came in.
    pub fn acknowledged(&mut self, now: Instant, acknowledgement: &Acknowledgement<'_>) -> News {
        let _ = (now, acknowledgement);
        News::default()
    }

    /// The next range that is to be sent again now, of one segment at most: None if nothing is lost or it must wait.
    pub fn next_lost(&self) -> Option<(Seq, usize)> {
        None
    }

    /// Octets of new data that may leave now, as far as the network is concerned.
    pub fn allowance(&self, now: Instant) -> usize {
        let _ = now;
        self.mss.saturating_mul(10)
    }

    /// The last segment, if it is to be sent again to make the peer speak.
    pub fn next_probe(&self) -> Option<(Seq, usize)> {
        None
    }

    /// When to call `expire`, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Has a timer fired by `now`? What follows from it, `next_lost`, `allowance` and `next_probe` say.
    pub fn expire(&mut self, now: Instant) -> Option<Fired> {
        let _ = now;
        None
    }

    /// Everything before has been acknowledged.
    pub fn una(&self) -> Seq {
        Seq(0)
    }

    /// The end of everything that was ever sent.
    pub fn nxt(&self) -> Seq {
        Seq(0)
    }

    /// The retransmission timeout (RFC 6298), with its backoff.
    pub fn rto(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// The smoothed round trip time, once there was one to measure.
    pub fn srtt(&self) -> Option<Duration> {
        None
    }

    /// The congestion window.
    pub fn cwnd(&self) -> usize {
        self.mss.saturating_mul(10)
    }

    /// Octets that are thought to be on their way (RFC 6675's pipe).
    pub fn in_flight(&self) -> usize {
        0
    }

    /// The sender's maximum segment size as it is known now.
    pub fn mss(&self) -> usize {
        self.mss
    }

    /// The path carries less than was thought.
    pub fn limit_mss(&mut self, mss: usize) {
        self.mss = self.mss.min(mss);
    }

    /// What is on its way is lost because it was too big, which says nothing of congestion: it is sent again and the
    /// window stays (RFC 1191 6.4). What is under repair already begins anew only for `news`.
    pub fn path_lost(&mut self, now: Instant, news: bool) {
        let _ = (now, news);
    }

    /// Packets take another way from here on: what timed out on the former one is tried again at once, and not when the
    /// timer, which has been backing off, fires next.
    pub fn path_changed(&mut self, now: Instant) {
        let _ = now;
    }

    /// Has the same been sent again and again, since this was last asked, without an answer?
    pub fn take_stuck(&mut self) -> bool {
        false
    }

    /// Octets of heap memory held: none while nothing is on its way.
    pub fn held(&self) -> usize {
        0
    }
}
