//! The paths of the socket schemes, as Redox's C library and native programs write them.
//!
//! `tcp` and `udp` paths are `REMOTE`, `REMOTE/LOCAL` or `/LOCAL`, where an endpoint is `a.b.c.d:port`, `[v6]:port` or
//! `[v6%link]:port` (RFC 4007 11); an empty address, `0.0.0.0` or `::`, and a missing port, mean "any". `fpath` gives
//! `REMOTE/LOCAL` back.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::SocketError;
use crate::ip::ZonedAddr;
use crate::ports::LinkId;
use crate::socket::SocketKind;

/// Which link a zone names, if it is there.
pub(crate) type Zones<'z> = &'z dyn Fn(&str) -> Option<LinkId>;

/// Any end, until an address says of which family.
pub(crate) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ANY_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Any end of the family of `other`.
pub(crate) fn any_beside(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => ANY,
        SocketAddr::V6(_) => ANY_V6,
    }
}

/// The two ends that a `tcp` or `udp` path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

impl Ends {
    /// The peer, if it is named: an address and a port, or a port of this machine, which "any address" means then.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        if self.remote.port() == 0 {
            return None;
        }
        let loopback: IpAddr = match self.remote {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Some(match self.remote.ip().is_unspecified() {
            true => SocketAddr::new(loopback, self.remote.port()),
            false => self.remote,
        })
    }

    /// Our end, if anything of it is named.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        is_named(&self.local).then_some(self.local)
    }
}

/// Does it say more than "any"?
fn is_named(end: &SocketAddr) -> bool {
    end.port() != 0 || !end.ip().is_unspecified()
}

/// Parses an endpoint.
///
/// # Errors
/// `Invalid` for anything that is not one, `NoDevice` for a zone that is no link of ours.
fn parse_endpoint(text: &str, zones: Zones<'_>) -> Result<SocketAddr, SocketError> {
    let invalid = SocketError::Invalid;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(invalid)?;
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => 0,
            None => return Err(invalid),
        };
        return Ok(parse_v6(address, zones)?.with_port(port));
    }
    let (address, port) = text.split_once(':').unwrap_or((text, ""));
    let address = match address {
        "" => Ipv4Addr::UNSPECIFIED,
        address => address.parse().map_err(|_| invalid)?,
    };
    Ok(SocketAddr::new(IpAddr::V4(address), parse_port(port)?))
}

/// A decimal port; an empty one means 0, "any".
fn parse_port(text: &str) -> Result<u16, SocketError> {
    match text {
        "" => Ok(0),
        // `parse` would also take a sign.
        text if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map_err(|_| SocketError::Invalid)
        }
        _ => Err(SocketError::Invalid),
    }
}

/// An address of either family, alone.
///
/// # Errors
/// `Invalid` for anything that is not one, `NoDevice` for a zone that is no link of ours.
pub(crate) fn parse_address(text: &str, zones: Zones<'_>) -> Result<ZonedAddr, SocketError> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(IpAddr::V4(address).into()),
        Err(_) => parse_v6(text, zones),
    }
}

/// RFC 4007 11: an address, with or without a zone behind `%`.
fn parse_v6(text: &str, zones: Zones<'_>) -> Result<ZonedAddr, SocketError> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| SocketError::Invalid)?;
    match zone {
        None => Ok(IpAddr::V6(address).into()),
        Some("") => Err(SocketError::Invalid),
        Some(zone) => {
            let link = zones(zone).ok_or(SocketError::NoDevice)?;
            Ok(ZonedAddr::on(address.into(), link))
        }
    }
}

/// Parses a `tcp` or `udp` path. An end of which nothing is said is any of the other's family.
///
/// # Errors
/// `Invalid` for anything that is not one, `NoDevice` for a zone that is no link of ours.
pub(crate) fn parse_ends(path: &str, zones: Zones<'_>) -> Result<Ends, SocketError> {
    let (remote, local) = path.split_once('/').unwrap_or((path, ""));
    let remote = parse_endpoint(remote, zones)?;
    let local = parse_endpoint(local, zones)?;
    Ok(match (is_named(&remote), is_named(&local)) {
        (true, false) => Ends {
            remote,
            local: any_beside(remote),
        },
        (false, true) => Ends {
            remote: any_beside(local),
            local,
        },
        _ => Ends { remote, local },
    })
}

/// What an `icmp` path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IcmpPath {
    /// `echo/ADDRESS`: echo requests to it and its replies.
    Echo(SocketAddr),
    /// `udp/ADDRESS:PORT`: the ICMP errors that datagrams to it provoke which leave from that port of ours.
    Udp(SocketAddr),
}

/// Parses an `icmp` path. An IPv6 address may stand in brackets.
///
/// # Errors
/// `Invalid` for anything that is not one, `NoDevice` for a zone that is no link of ours.
pub(crate) fn parse_icmp(path: &str, zones: Zones<'_>) -> Result<IcmpPath, SocketError> {
    let (method, address) = path.split_once('/').ok_or(SocketError::Invalid)?;
    let address = address.trim_end_matches('/');
    match method {
        "echo" => parse_bare(address, zones).map(IcmpPath::Echo),
        "udp" => match parse_endpoint(address, zones)? {
            end if end.port() == 0 || end.ip().is_unspecified() => Err(SocketError::Invalid),
            end => Ok(IcmpPath::Udp(end)),
        },
        _ => Err(SocketError::Invalid),
    }
}

/// An address without a port, in brackets or not.
fn parse_bare(address: &str, zones: Zones<'_>) -> Result<SocketAddr, SocketError> {
    let bare = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'));
    match (bare, address.parse::<Ipv4Addr>()) {
        (None, Ok(address)) => Ok(SocketAddr::new(address.into(), 0)),
        (bare, _) => Ok(parse_v6(bare.unwrap_or(address), zones)?.with_port(0)),
    }
}

/// Parses an `ip` path: the protocol number, in hexadecimal as upstream's clients write it, for IPv4; behind `v6/` for
/// IPv6. `None` for anything that is not one.
pub(crate) fn parse_ip(path: &str) -> Option<SocketKind> {
    let number = |text: &str| {
        (text.len() <= 2)
            .then(|| u8::from_str_radix(text, 16).ok())
            .flatten()
    };
    match path.strip_prefix("v6/") {
        Some(path) => number(path).map(SocketKind::RawV6),
        None => number(path).map(SocketKind::Raw),
    }
}

/// An address as a path has it; `link` is the name of its zone.
pub(crate) fn address_text(end: SocketAddr, link: Option<&str>) -> String {
    match (ZonedAddr::of(end).zone, link) {
        (None, _) => end.ip().to_string(),
        (Some(_), Some(link)) => format!("{}%{link}", end.ip()),
        (Some(LinkId(number)), None) => format!("{}%{number}", end.ip()),
    }
}

/// An end as a path has it.
pub(crate) fn end_text(end: SocketAddr, link: Option<&str>) -> String {
    let (address, port) = (address_text(end, link), end.port());
    match end {
        SocketAddr::V4(_) => format!("{address}:{port}"),
        SocketAddr::V6(_) => format!("[{address}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `eth0` is link 1.
    fn zones(text: &str) -> Option<LinkId> {
        matches!(text, "eth0" | "1").then_some(LinkId(1))
    }

    fn parsed(path: &str) -> Result<Ends, SocketError> {
        parse_ends(path, &zones)
    }

    fn ends(remote: &str, local: &str) -> Result<Ends, SocketError> {
        Ok(Ends {
            remote: remote.parse().unwrap(),
            local: local.parse().unwrap(),
        })
    }

    #[test]
    fn the_paths_that_the_c_library_writes_are_understood() {
        for (path, remote, local) in [
            ("/0.0.0.0:8080", "0.0.0.0:0", "0.0.0.0:8080"),
            ("10.0.2.2:80", "10.0.2.2:80", "0.0.0.0:0"),
            (
                "10.0.2.2:80/10.0.2.15:49152",
                "10.0.2.2:80",
                "10.0.2.15:49152",
            ),
            ("/:23", "0.0.0.0:0", "0.0.0.0:23"),
            ("", "0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(parsed(path), ends(remote, local), "{path}");
        }
    }

    #[test]
    fn the_same_paths_in_ipv6_are_understood() {
        for (path, remote, local) in [
            ("[fd42::1]:80", "[fd42::1]:80", "[::]:0"),
            ("[fd42::1]:80/0.0.0.0:0", "[fd42::1]:80", "[::]:0"),
            ("[fd42::1]:80/[fd42::2]:5", "[fd42::1]:80", "[fd42::2]:5"),
            ("/[::]:8080", "[::]:0", "[::]:8080"),
            ("[::]:0/[::]:8080", "[::]:0", "[::]:8080"),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", "[::]:0"),
            ("[fe80::1%eth0]:80", "[fe80::1%1]:80", "[::]:0"),
            (
                "[fe80::1%1]:80/[fe80::2%eth0]:5",
                "[fe80::1%1]:80",
                "[fe80::2%1]:5",
            ),
            // RFC 4007 6: it needs no zone.
            ("[fd42::1%eth0]:80", "[fd42::1]:80", "[::]:0"),
        ] {
            assert_eq!(parsed(path), ends(remote, local), "{path}");
        }
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
            "[10.0.2.2]:80",
            "[fe80::1%]:80",
            "10.0.2.2%eth0:80",
            "a/b",
            "10.0.2.2:80/x",
        ] {
            assert_eq!(parsed(path), Err(SocketError::Invalid), "{path}");
        }
        for path in [
            "[fe80::1%eth1]:80",
            "/[fe80::1%lo]:80",
            "[fe80::1%eth0%1]:80",
        ] {
            assert_eq!(parsed(path), Err(SocketError::NoDevice), "{path}");
        }
    }

    #[test]
    fn an_icmp_path_names_a_method_and_an_address() {
        let echo = |text: &str| parse_icmp(text, &zones);
        for (path, end) in [
            ("echo/10.0.2.2", "10.0.2.2:0"),
            ("echo/10.0.2.2/", "10.0.2.2:0"),
            ("echo/fd42::1", "[fd42::1]:0"),
            ("echo/[fd42::1]", "[fd42::1]:0"),
            ("echo/fe80::1%eth0", "[fe80::1%1]:0"),
            ("echo/[fe80::1%eth0]", "[fe80::1%1]:0"),
        ] {
            assert_eq!(
                echo(path),
                Ok(IcmpPath::Echo(end.parse().unwrap())),
                "{path}"
            );
        }
        for end in ["10.0.2.2:4000", "[fd42::1]:4000"] {
            let udp = IcmpPath::Udp(end.parse().unwrap());
            assert_eq!(echo(&format!("udp/{end}")), Ok(udp), "{end}");
        }
        for path in [
            "udp/10.0.2.2",
            "udp/fd42::1",
            "udp/0.0.0.0:4000",
            "echo",
            "trace/10.0.2.2",
            "echo/[10.0.2.2]",
            "echo/[fd42::1",
            "echo/",
        ] {
            assert_eq!(echo(path), Err(SocketError::Invalid), "{path}");
        }
        assert_eq!(echo("echo/fe80::1%eth1"), Err(SocketError::NoDevice));
    }

    #[test]
    fn an_ip_path_names_a_family_and_a_protocol() {
        assert_eq!(parse_ip("11"), Some(SocketKind::Raw(17)));
        assert_eq!(parse_ip("v6/3a"), Some(SocketKind::RawV6(58)));
        for path in ["111", "", "v6/", "v6", "v4/11"] {
            assert_eq!(parse_ip(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_shown_is_what_is_understood() {
        for text in ["10.0.2.2:80", "[fd42::1]:80", "[fe80::1%eth0]:80"] {
            let end = parsed(text).unwrap().remote;
            assert_eq!(end_text(end, Some("eth0")), text);
        }
        let end = parsed("[fe80::1%eth0]:80").unwrap().remote;
        assert_eq!(
            end_text(end, None),
            "[fe80::1%1]:80",
            "of a link that has gone"
        );
        assert_eq!(address_text(end, Some("eth0")), "fe80::1%eth0");
    }
}
