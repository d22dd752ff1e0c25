//! The receive window: what the peer may send.

use smoltcp::time::{Duration, Instant};

use crate::flow::sequence::Seq;

/// The window that the peer is told, and how large it may become.
#[derive(Clone, Debug)]
pub struct ReceiveWindow {
    capacity: usize,
    limit: usize,
    shift: u8,
    edge: Seq,
}

impl ReceiveWindow {
    /// Before the handshake: room for `capacity` octets, and for up to `limit` when they are read fast.
    pub fn new(capacity: usize, limit: usize) -> ReceiveWindow {
        ReceiveWindow {
            capacity,
            limit,
            shift: 0,
            edge: Seq(0),
        }
    }

    /// The shift that a SYN offers (RFC 7323 2.3): the least with which `limit` octets fit into 16 bits.
    pub fn shift_for(_limit: usize) -> u8 {
        0
    }

    /// The window of a SYN, in octets: it is never scaled (RFC 7323 2.2).
    pub fn syn(&self) -> u16 {
        0
    }

    /// The handshake is over: RCV.NXT is `rcv_nxt`, our SYN offered `offered` octets, and our windows are scaled by
    /// `shift`, or not if the peer did not want it.
    pub fn start(&mut self, now: Instant, rcv_nxt: Seq, offered: u16, shift: Option<u8>) {
        let _ = now;
        self.shift = shift.unwrap_or(0);
        self.edge = rcv_nxt.plus(usize::from(offered));
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

    /// Octets from `rcv_nxt` on that the peer was promised: RCV.WND. What lies within must be taken.
    pub fn promised(&self, rcv_nxt: Seq) -> usize {
        usize::try_from(self.edge.since(rcv_nxt)).unwrap_or(0)
    }

    /// The window field, as it stands in the header, of a segment that leaves now, with `unread` octets waiting to be
    /// read and segments of up to `mss` octets coming: what it says is promised from now on.
    pub fn advertise(&mut self, rcv_nxt: Seq, unread: usize, mss: usize) -> u16 {
        let _ = (rcv_nxt, unread, mss);
        0
    }

    /// Would a segment that leaves now offer so much more that it is worth a segment of its own (RFC 9293 3.8.6.2.2)?
    pub fn is_update_due(&self, rcv_nxt: Seq, unread: usize, mss: usize) -> bool {
        let _ = (rcv_nxt, unread, mss);
        false
    }

    /// RCV.NXT moved on to `rcv_nxt`. Measures how long a window takes to come, which is a round trip or more.
    pub fn arrived(&mut self, now: Instant, rcv_nxt: Seq) {
        let _ = (now, rcv_nxt);
    }

    /// A program read `octets`. True if the window has grown: twice what is read in a round trip, which takes `srtt`
    /// as far as our own segments have shown it, up to the limit.
    pub fn read(&mut self, now: Instant, octets: usize, srtt: Option<Duration>) -> bool {
        let _ = (now, octets, srtt);
        false
    }
}
