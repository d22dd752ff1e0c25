//! The numbers of levels and options: relibc's, which are Linux's.

pub(super) const SOL_SOCKET: u64 = 1;
pub(super) const IPPROTO_IP: u64 = 0;
pub(super) const IPPROTO_TCP: u64 = 6;
pub(super) const IPPROTO_IPV6: u64 = 41;

/// `SO_*`
pub(super) mod so {
    pub(crate) const REUSEADDR: u64 = 2;
    pub(crate) const TYPE: u64 = 3;
    pub(crate) const ERROR: u64 = 4;
    pub(crate) const BROADCAST: u64 = 6;
    pub(crate) const SNDBUF: u64 = 7;
    pub(crate) const RCVBUF: u64 = 8;
    pub(crate) const KEEPALIVE: u64 = 9;
    pub(crate) const LINGER: u64 = 13;
    pub(crate) const REUSEPORT: u64 = 15;
    pub(crate) const RCVTIMEO: u64 = 20;
    pub(crate) const SNDTIMEO: u64 = 21;
    pub(crate) const ACCEPTCONN: u64 = 30;
    pub(crate) const PROTOCOL: u64 = 38;
}

/// `IP_*`
pub(super) mod ip {
    pub(crate) const TOS: u64 = 1;
    pub(crate) const TTL: u64 = 2;
    pub(crate) const MULTICAST_IF: u64 = 32;
    pub(crate) const MULTICAST_TTL: u64 = 33;
    pub(crate) const MULTICAST_LOOP: u64 = 34;
    pub(crate) const ADD_MEMBERSHIP: u64 = 35;
    pub(crate) const DROP_MEMBERSHIP: u64 = 36;
}

/// `IPV6_*`
pub(super) mod ipv6 {
    pub(crate) const UNICAST_HOPS: u64 = 16;
    pub(crate) const MULTICAST_IF: u64 = 17;
    pub(crate) const MULTICAST_HOPS: u64 = 18;
    pub(crate) const MULTICAST_LOOP: u64 = 19;
    pub(crate) const JOIN_GROUP: u64 = 20;
    pub(crate) const LEAVE_GROUP: u64 = 21;
    pub(crate) const V6ONLY: u64 = 26;
    pub(crate) const TCLASS: u64 = 67;
}

/// `TCP_*`
pub(super) mod tcp {
    pub(crate) const NODELAY: u64 = 1;
    pub(crate) const MAXSEG: u64 = 2;
    pub(crate) const KEEPIDLE: u64 = 4;
    pub(crate) const KEEPINTVL: u64 = 5;
    pub(crate) const KEEPCNT: u64 = 6;
    pub(crate) const INFO: u64 = 11;
    pub(crate) const CONGESTION: u64 = 13;
    pub(crate) const USER_TIMEOUT: u64 = 18;
}
