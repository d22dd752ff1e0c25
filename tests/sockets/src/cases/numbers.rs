//! Numbers of options: Linux's, which relibc has taken over, and which the libc crate does not have for both.

pub(super) const SO_REUSEPORT: i32 = 15;
pub(super) const TCP_MAXSEG: i32 = 2;
pub(super) const TCP_KEEPIDLE: i32 = 4;
pub(super) const TCP_KEEPINTVL: i32 = 5;
pub(super) const TCP_KEEPCNT: i32 = 6;
pub(super) const TCP_INFO: i32 = 11;
pub(super) const TCP_USER_TIMEOUT: i32 = 18;
pub(super) const IP_TOS: i32 = 1;
pub(super) const IP_TTL: i32 = 2;
pub(super) const IP_MULTICAST_IF: i32 = 32;
pub(super) const IP_MULTICAST_TTL: i32 = 33;
pub(super) const IP_MULTICAST_LOOP: i32 = 34;
pub(super) const IP_ADD_MEMBERSHIP: i32 = 35;
pub(super) const IP_DROP_MEMBERSHIP: i32 = 36;
pub(super) const IPV6_UNICAST_HOPS: i32 = 16;
pub(super) const IPV6_MULTICAST_HOPS: i32 = 18;
pub(super) const IPV6_MULTICAST_LOOP: i32 = 19;
pub(super) const IPV6_JOIN_GROUP: i32 = 20;
pub(super) const IPV6_LEAVE_GROUP: i32 = 21;
pub(super) const IPV6_V6ONLY: i32 = 26;
pub(super) const IPV6_TCLASS: i32 = 67;
