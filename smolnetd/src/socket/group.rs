//! What a datagram socket wants of multicast: the groups it is in, and how it speaks to groups (RFC 1112, RFC 3493 5.2).

use core::net::IpAddr;

use crate::ports::LinkId;

/// Groups that one socket can be in.
pub(crate) const MAX_GROUPS: usize = 32;

/// One socket's share of multicast.
#[derive(Debug)]
pub(crate) struct Multicast {
    /// The groups that it joined, each on one link; it leaves them when it is closed.
    pub(crate) joined: Vec<(LinkId, IpAddr)>,
    /// TTL or hop limit of what it sends to groups; 0 keeps it in the host.
    pub(crate) hops: u8,
    /// Do members on this host hear it as well?
    pub(crate) loops: bool,
    /// Over which link it speaks to groups; none leaves it to the routes.
    pub(crate) link: Option<LinkId>,
}

impl Default for Multicast {
    /// RFC 1112 6.1, RFC 3493 5.2: not beyond the link unless it is said, and heard by this host too.
    fn default() -> Multicast {
        Multicast {
            joined: Vec::new(),
            hops: 1,
            loops: true,
            link: None,
        }
    }
}
