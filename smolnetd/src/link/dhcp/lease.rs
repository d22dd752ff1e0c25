//! What a DHCP server has granted, and whether it makes sense.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::time::Duration;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use super::wire::{Reply, option};
use crate::link::address::is_assignable;
use crate::route::is_host;

/// A lease shorter than this, in seconds, is not taken: it would keep the client and the server busy with nothing
/// else. Leases of no time at all are among them.
const MIN_LEASE_SECONDS: u32 = 10;
/// RFC 2131 section 3.3: this many seconds are for ever.
const INFINITE: u32 = u32::MAX;
/// RFC 791: every host takes packets of this many bytes. A smaller MTU would only serve somebody who wants to slow us.
const MIN_MTU: u16 = 576;
/// Routers and name servers that are taken from one lease.
const MAX_ADDRESSES: usize = 8;

/// A lease as it is to be applied: everything in it has been checked to make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address and the prefix of its network.
    pub address: IpCidr,
    /// Default routers in order of preference (option 3). One may lie outside the prefix of `address`.
    pub routers: Vec<IpAddr>,
    /// Name servers in order of preference (option 6).
    pub dns: Vec<IpAddr>,
    /// Domain name (option 15), printable ASCII.
    pub domain: Option<String>,
    /// IP MTU in bytes (option 26), never above the adapter's own.
    pub mtu: Option<u16>,
    /// The server's identifier (option 54).
    pub server: IpAddr,
    /// How long the lease was granted for (option 51), from its request on; `None` is for ever.
    pub duration: Option<Duration>,
}

/// A lease and the times after which it has to be renewed, both counted from its request on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) lease: Lease,
    /// Our address, as the messages of the protocol have it.
    pub(super) address: Ipv4Addr,
    /// The server's identifier, as the messages of the protocol have it.
    pub(super) server: Ipv4Addr,
    /// T1 and T2; `None` for a lease that does not end.
    pub(super) times: Option<(Duration, Duration)>,
}

impl Grant {
    /// Reads an offer or an acknowledgement; `None` when it cannot be used: no address that a host may have, no
    /// server, no lease time or one that is absurd. `mtu` is the adapter's.
    pub(super) fn read(reply: &Reply<'_>, mtu: u16) -> Option<Grant> {
        let prefix_length = prefix_length(reply.address(option::SUBNET_MASK), reply.yiaddr);
        let cidr = IpCidr::Ipv4(Ipv4Cidr::new(reply.yiaddr, prefix_length));
        if !is_assignable(cidr) || reply.yiaddr.is_loopback() {
            return None;
        }
        // RFC 2131 section 4.3.1, table 3: offers and acknowledgements must have both.
        let server = reply
            .address(option::SERVER_IDENTIFIER)
            .filter(|server| is_host((*server).into()))?;
        let seconds = reply
            .u32(option::LEASE_TIME)
            .filter(|seconds| *seconds >= MIN_LEASE_SECONDS)?;
        let addresses = |code| {
            let hosts = reply
                .addresses(code)
                .into_iter()
                .map(IpAddr::from)
                .filter(|address| is_host(*address));
            let mut list: Vec<IpAddr> = Vec::new();
            for address in hosts {
                if list.len() < MAX_ADDRESSES && !list.contains(&address) {
                    list.push(address);
                }
            }
            list
        };
        let mut routers = addresses(option::ROUTER);
        routers.retain(|router| *router != IpAddr::V4(reply.yiaddr) && !router.is_loopback());
        let lease = Lease {
            address: cidr,
            routers,
            dns: addresses(option::DOMAIN_NAME_SERVER),
            domain: reply.option(option::DOMAIN_NAME).and_then(domain),
            mtu: reply
                .u16(option::INTERFACE_MTU)
                .filter(|mtu| *mtu >= MIN_MTU)
                .map(|lease| lease.min(mtu)),
            server: server.into(),
            duration: (seconds != INFINITE).then(|| Duration::from_secs(seconds.into())),
        };
        let times = lease.duration.map(|duration| {
            renewal_times(
                duration,
                reply.u32(option::RENEWAL_TIME),
                reply.u32(option::REBINDING_TIME),
            )
        });
        Some(Grant {
            lease,
            address: reply.yiaddr,
            server,
            times,
        })
    }
}

/// T1 and T2: RFC 2131 section 4.4.5. The server's are taken if they are in order, else half and seven eighths.
fn renewal_times(duration: Duration, t1: Option<u32>, t2: Option<u32>) -> (Duration, Duration) {
    let seconds = |time: Option<u32>| time.map(|seconds| Duration::from_secs(seconds.into()));
    let t2 = seconds(t2)
        .filter(|t2| *t2 < duration)
        .unwrap_or_else(|| duration - duration / 8);
    let t1 = seconds(t1).unwrap_or(duration / 2);
    let shortest = Duration::from_secs(u64::from(MIN_LEASE_SECONDS) / 2);
    if (shortest..t2).contains(&t1) {
        (t1, t2)
    } else {
        (duration / 2, duration - duration / 8)
    }
}

/// The prefix length that a mask stands for; without one, or with one that has holes or nothing in it, that of the
/// address's class (RFC 791 section 2.3).
fn prefix_length(mask: Option<Ipv4Addr>, address: Ipv4Addr) -> u8 {
    let class = match address.octets() {
        [0..=127, ..] => 8,
        [128..=191, ..] => 16,
        _ => 24,
    };
    let bits = mask.map_or(0, Ipv4Addr::to_bits);
    match u8::try_from(bits.leading_ones()) {
        Ok(length @ 1..) if bits.count_ones() == bits.leading_ones() => length,
        _ => class,
    }
}

/// A domain name for others to use: it comes from whoever answers first, and ends in files and in logs.
fn domain(value: Vec<u8>) -> Option<String> {
    let name = String::from_utf8(value).ok()?;
    let name = name.trim_end_matches(['\0', '.']);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=253).contains(&name.len()).then_some(())?;
    name.bytes().all(plain).then(|| name.to_owned())
}
