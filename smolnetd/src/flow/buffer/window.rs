//! The receive window: what the peer may send.

use smoltcp::time::{Duration, Instant};

use crate::flow::sequence::Seq;

/// RFC 7323 2.3: a larger shift is not allowed, or windows would be too large for the circle of sequence numbers.
const MAX_SHIFT: u8 = 14;

/// RFC 6298 2.1: what a round trip may take as long as none was measured.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_secs(1);

/// A round trip in a network that does nothing is a poor measure for one under load: queues and programs that must be
/// woken take their time as well.
const LEAST_ROUND_TRIP: Duration = Duration::from_millis(10);

/// The window that the peer is told, and how large it may become.
///
/// What was promised stays promised: the right edge never moves left (RFC 9293 3.8.6), whatever becomes of the
/// capacity. With scaled windows a segment cannot always say where the edge is, for it counts in units from RCV.NXT,
/// which need not be a multiple of them. It says the first edge that is not left of ours if there is room up to it, and
/// else the last that is not right of it: a peer may then see an edge that is less than a unit further left than the
/// one before, but what it was promised before is taken all the same (RFC 7323 2.4).
#[derive(Clone, Debug)]
pub struct ReceiveWindow {
    capacity: usize,
    limit: usize,
    /// What there is memory for, if that is less.
    memory: usize,
    shift: u8,
    /// The rightmost edge that was promised.
    edge: Seq,
    /// When the round trip began whose octets are counted, and how many were read in it.
    since: Instant,
    read: usize,
}

impl ReceiveWindow {
    /// Before the handshake: room for `capacity` octets, and for up to `limit` when they are read fast.
    pub fn new(capacity: usize, limit: usize) -> ReceiveWindow {
        ReceiveWindow {
            capacity,
            limit,
            memory: usize::MAX,
            shift: 0,
            edge: Seq(0),
            since: Instant::ZERO,
            read: 0,
        }
    }

    /// The shift that a SYN offers (RFC 7323 2.3): the least with which `limit` octets fit into 16 bits.
    pub fn shift_for(limit: usize) -> u8 {
        (0..MAX_SHIFT)
            .find(|shift| limit <= largest(*shift))
            .unwrap_or(MAX_SHIFT)
    }

    /// The window of a SYN, in octets: it is never scaled (RFC 7323 2.2).
    pub fn syn(&self) -> u16 {
        u16::try_from(self.capacity).unwrap_or(u16::MAX)
    }

    /// The handshake is over: RCV.NXT is `rcv_nxt`, our SYN offered `offered` octets, and our windows are scaled by
    /// `shift`, or not if the peer did not want it.
    pub fn start(&mut self, now: Instant, rcv_nxt: Seq, offered: u16, shift: Option<u8>) {
        self.shift = shift.unwrap_or(0).min(MAX_SHIFT);
        self.edge = rcv_nxt.plus(usize::from(offered));
        self.since = now;
    }

    /// The room for octets that nobody has read and for those to come, as it is now.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the room (SO_RCVBUF, or memory that is short) and how far it may grow. What was promised stays
    /// promised, and no more than the agreed shift can say is ever offered.
    pub fn set_capacity(&mut self, capacity: usize, limit: usize) {
        (self.capacity, self.limit) = (capacity, limit);
    }

    /// There is memory for `octets` that nobody has read and those to come. While that is less than the capacity, as much
    /// is offered; what was promised stays promised.
    pub fn restrain(&mut self, octets: usize) {
        self.memory = octets;
    }

    /// Octets from `rcv_nxt` on that the peer was promised: RCV.WND. What lies within must be taken.
    pub fn promised(&self, rcv_nxt: Seq) -> usize {
        usize::try_from(self.edge.since(rcv_nxt)).unwrap_or(0)
    }

    /// The window field, as it stands in the header, of a segment that leaves now, with `unread` octets waiting to be
    /// read and segments of up to `mss` octets coming: what it says is promised from now on.
    pub fn advertise(&mut self, rcv_nxt: Seq, unread: usize, mss: usize) -> u16 {
        let offer = self
            .wider(rcv_nxt, unread, mss)
            .unwrap_or_else(|| self.same(rcv_nxt, unread));
        self.edge = self.edge.latest(rcv_nxt.plus(offer));
        u16::try_from(offer >> self.shift).unwrap_or(u16::MAX)
    }

    /// Would a segment that leaves now offer so much more that it is worth a segment of its own? If the window is not
    /// doubled by it, the peer has enough to go on, and what it sends is acknowledged anyway.
    pub fn is_update_due(&self, rcv_nxt: Seq, unread: usize, mss: usize) -> bool {
        self.wider(rcv_nxt, unread, mss)
            .is_some_and(|offer| offer / 2 >= self.promised(rcv_nxt))
    }

    /// The octets from `rcv_nxt` on that there is room for.
    fn room(&self, unread: usize) -> usize {
        self.capacity
            .min(self.memory)
            .saturating_sub(unread)
            .min(largest(self.shift))
    }

    /// A window whose edge is further right, in whole units. RFC 9293 3.8.6.2.2: only if it moves by a segment or by
    /// half of the capacity.
    fn wider(&self, rcv_nxt: Seq, unread: usize, mss: usize) -> Option<usize> {
        let offer = self.room(unread) & !(self.unit() - 1);
        let worth = mss.min(self.room(0) / 2).max(1);
        (offer >= self.promised(rcv_nxt).saturating_add(worth)).then_some(offer)
    }

    /// The window whose edge is where it was, in whole units: beyond it if there is room, else short of it.
    fn same(&self, rcv_nxt: Seq, unread: usize) -> usize {
        let promised = self.promised(rcv_nxt);
        let above = promised.next_multiple_of(self.unit());
        if above <= self.room(unread) {
            above
        } else {
            promised & !(self.unit() - 1)
        }
    }

    /// What a 1 in the window field stands for, in octets.
    fn unit(&self) -> usize {
        1 << self.shift
    }

    /// A program read `octets`. True if the window has grown: to twice what is read in a round trip, up to the limit. A
    /// peer that doubles what it sends in a round trip (RFC 5681 3.1) is not held back by that, and a window is not
    /// larger than what the connection makes of it. `srtt` is what our own segments have shown of the round trip.
    pub fn read(&mut self, now: Instant, octets: usize, srtt: Option<Duration>) -> bool {
        self.read = self.read.saturating_add(octets);
        let round_trip = srtt.unwrap_or(UNKNOWN_ROUND_TRIP).max(LEAST_ROUND_TRIP);
        if now < self.since + round_trip {
            return false;
        }
        let wanted = self.read.saturating_mul(2);
        (self.since, self.read) = (now, 0);
        let most = self.limit.min(self.memory).min(largest(self.shift));
        let grown = wanted.min(most);
        let grows = grown > self.capacity;
        self.capacity = self.capacity.max(grown);
        grows
    }
}

/// The largest window that can be said with `shift`, in octets.
fn largest(shift: u8) -> usize {
    usize::from(u16::MAX) << shift
}
