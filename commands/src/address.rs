//! Addresses as users write them, and which family they want.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

/// An address of a machine. A link-local one goes with the adapter it is reached over: `fe80::2%eth0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) ip: IpAddr,
    /// RFC 4007 section 11: the zone, here an adapter's name.
    pub(crate) zone: Option<String>,
}

impl Address {
    /// The address together with a port, as the schemes take it: `10.0.2.2:80`, `[fe80::2%eth0]:80`.
    pub(crate) fn with_port(&self, port: u16) -> String {
        match self.ip {
            IpAddr::V4(_) => format!("{self}:{port}"),
            IpAddr::V6(_) => format!("[{self}]:{port}"),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        Address { ip, zone: None }
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Address, ()> {
        let Some((ip, zone)) = text.split_once('%') else {
            let ip: IpAddr = text.parse().map_err(|_| ())?;
            return Ok(ip.into());
        };
        let ip: Ipv6Addr = ip.parse().map_err(|_| ())?;
        // A zone becomes a part of a path.
        let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b'[' | b']' | b'%');
        match !zone.is_empty() && zone.bytes().all(fits) {
            true => Ok(Address {
                ip: ip.into(),
                zone: Some(zone.into()),
            }),
            false => Err(()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            None => write!(f, "{}", self.ip),
            Some(zone) => write!(f, "{}%{zone}", self.ip),
        }
    }
}

/// Which addresses of a name count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Family {
    #[default]
    Any,
    V4,
    V6,
}

impl Family {
    /// What the options `-4` and `-6` ask for.
    pub(crate) fn of_option(option: &str) -> Option<Family> {
        match option {
            "-4" => Some(Family::V4),
            "-6" => Some(Family::V6),
            _ => None,
        }
    }

    pub(crate) fn has(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        }
    }

    /// For messages: what kind of address there is none of.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Family::Any => "address",
            Family::V4 => "IPv4 address",
            Family::V6 => "IPv6 address",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        for text in ["10.0.2.2", "fd12::2", "fe80::2%eth0", "::1"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let scoped: Address = "fe80::2%eth0".parse().unwrap();
        assert_eq!(scoped.with_port(80), "[fe80::2%eth0]:80");
        let plain: Address = "10.0.2.2".parse().unwrap();
        assert_eq!(plain.with_port(80), "10.0.2.2:80");
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "host",
            "fe80::2%",
            "10.0.2.2%eth0",
            "fe80::2%a/b",
            "fe80::2%a]",
            "fe80::2%a%b",
            "[::1]",
            "",
        ] {
            assert_eq!(text.parse::<Address>(), Err(()), "{text}");
        }
    }
}
