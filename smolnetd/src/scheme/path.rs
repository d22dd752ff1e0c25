//! The paths of the socket schemes, as Redox's C library and native programs write them.
//!
//! `tcp` and `udp` paths are `REMOTE`, `REMOTE/LOCAL` or `/LOCAL`, where an endpoint is `a.b.c.d:port` or
//! `[v6]:port`; an empty address or `0.0.0.0`, and a missing port, mean "any". `fpath` gives `REMOTE/LOCAL` back.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A half-specified endpoint: an unspecified address or port 0 means "any".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) addr: IpAddr,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) const ANY: Endpoint = Endpoint {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
    };

    /// Does it name a peer: an address and a port?
    pub(crate) fn is_peer(&self) -> bool {
        !self.addr.is_unspecified() && self.port != 0
    }

    pub(crate) fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Endpoint {
            addr: addr.ip(),
            port: addr.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

/// The two ends that a `tcp` or `udp` path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) remote: Endpoint,
    pub(crate) local: Endpoint,
}

/// Parses an endpoint; `None` for anything that is not one.
pub(crate) fn parse_endpoint(text: &str) -> Option<Endpoint> {
    if text.is_empty() {
        return Some(Endpoint::ANY);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (addr, port) = rest.split_once(']')?;
        let addr = IpAddr::V6(addr.parse::<Ipv6Addr>().ok()?);
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => 0,
            None => return None,
        };
        return Some(Endpoint { addr, port });
    }
    let (addr, port) = text.split_once(':').unwrap_or((text, ""));
    let addr = match addr {
        "" => Ipv4Addr::UNSPECIFIED,
        addr => addr.parse::<Ipv4Addr>().ok()?,
    };
    Some(Endpoint {
        addr: IpAddr::V4(addr),
        port: parse_port(port)?,
    })
}

/// A decimal port; an empty one means 0, "any".
fn parse_port(text: &str) -> Option<u16> {
    match text {
        "" => Some(0),
        // `parse` would also take a sign.
        text if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// Parses a `tcp` or `udp` path; `None` for anything that is not one.
pub(crate) fn parse_ends(path: &str) -> Option<Ends> {
    let (remote, local) = path.split_once('/').unwrap_or((path, ""));
    Some(Ends {
        remote: parse_endpoint(remote)?,
        local: parse_endpoint(local)?,
    })
}

/// What an `icmp` path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpPath {
    /// `echo/ADDRESS`: echo requests to it and its replies.
    Echo(IpAddr),
    /// `udp/ADDRESS`: the ICMP errors that datagrams to it provoke.
    Udp(IpAddr),
}

/// Parses an `icmp` path; `None` for anything that is not one.
pub(crate) fn parse_icmp(path: &str) -> Option<IcmpPath> {
    let (method, addr) = path.split_once('/')?;
    let addr = addr.trim_end_matches('/').parse().ok()?;
    match method {
        "echo" => Some(IcmpPath::Echo(addr)),
        "udp" => Some(IcmpPath::Udp(addr)),
        _ => None,
    }
}

/// Parses an `ip` path: the protocol number, in hexadecimal as upstream's clients write it.
pub(crate) fn parse_ip(path: &str) -> Option<u8> {
    (path.len() <= 2)
        .then(|| u8::from_str_radix(path, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(remote: &str, local: &str) -> Ends {
        let end = |text: &str| text.parse::<SocketAddr>().unwrap().into();
        Ends {
            remote: end(remote),
            local: end(local),
        }
    }

    #[test]
    fn the_paths_that_the_c_library_writes_are_understood() {
        assert_eq!(
            parse_ends("/0.0.0.0:8080"),
            Some(ends("0.0.0.0:0", "0.0.0.0:8080"))
        );
        assert_eq!(
            parse_ends("10.0.2.2:80"),
            Some(ends("10.0.2.2:80", "0.0.0.0:0"))
        );
        assert_eq!(
            parse_ends("10.0.2.2:80/10.0.2.15:49152"),
            Some(ends("10.0.2.2:80", "10.0.2.15:49152"))
        );
        assert_eq!(parse_ends("/:23"), Some(ends("0.0.0.0:0", "0.0.0.0:23")));
        assert_eq!(
            parse_ends("[fd42::1]:80"),
            Some(ends("[fd42::1]:80", "0.0.0.0:0"))
        );
    }

    #[test]
    fn what_names_no_endpoint_is_refused_and_not_read_as_zero() {
        for path in [
            "10.0.2.2:http",
            "10.0.2:80",
            "10.0.2.2:65536",
            "10.0.2.2:+80",
            "listen",
            "[fd42::1:80",
            "[fd42::1]80",
            "a/b",
            "10.0.2.2:80/x",
        ] {
            assert_eq!(parse_ends(path), None, "{path}");
        }
    }

    #[test]
    fn an_icmp_path_names_a_method_and_an_address() {
        assert_eq!(
            parse_icmp("echo/10.0.2.2"),
            Some(IcmpPath::Echo("10.0.2.2".parse().unwrap()))
        );
        assert_eq!(
            parse_icmp("udp/10.0.2.2"),
            Some(IcmpPath::Udp("10.0.2.2".parse().unwrap()))
        );
        assert_eq!(parse_icmp("echo"), None);
        assert_eq!(parse_icmp("trace/10.0.2.2"), None);
        assert_eq!(parse_ip("11"), Some(17));
        assert_eq!(parse_ip("111"), None);
        assert_eq!(parse_ip(""), None);
    }
}
