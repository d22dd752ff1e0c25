//! Routes as text: what `netcfg/route/list` shows and `netcfg/route/add` takes.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::prefix::{default_network, host};
use super::{Origin, Route, Selector};
use crate::ports::LinkId;

/// A route with its adapter's name, to be displayed:
/// `default via 10.0.2.2 dev eth0 src 10.0.2.15 metric 0 dhcp`.
#[derive(Clone, Copy, Debug)]
pub struct RouteText<'a> {
    pub(super) route: &'a Route,
    pub(super) link_name: &'a str,
}

impl fmt::Display for RouteText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route;
        // Without a gateway nothing but the destination tells the family, so that only IPv4's is shortened.
        match (route.destination, route.gateway) {
            (destination, Some(gateway)) if destination.prefix_len() == 0 => {
                write!(f, "default via {gateway}")?
            }
            (IpCidr::Ipv4(destination), None) if destination.prefix_len() == 0 => {
                write!(f, "default")?
            }
            (destination, Some(gateway)) => write!(f, "{destination} via {gateway}")?,
            (destination, None) => write!(f, "{destination}")?,
        }
        write!(f, " dev {}", self.link_name)?;
        if let Some(source) = route.source {
            write!(f, " src {source}")?;
        }
        let origin = match route.origin {
            Origin::Connected => "connected",
            Origin::Static => "static",
            Origin::Dhcp => "dhcp",
        };
        write!(f, " metric {} {origin}", route.metric)
    }
}

/// A route as somebody asks for it: `default via 10.0.2.2`, `10.1.0.0/16 via 10.0.2.9 dev eth0 src 10.0.2.15 metric 5`,
/// `10.2.0.0/16 dev eth0`. A destination without a prefix length is one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The network that it leads to, as it was written.
    pub destination: IpCidr,
    /// `via`
    pub gateway: Option<IpAddr>,
    /// `dev`: the adapter's name.
    pub device: Option<String>,
    /// `src`
    pub source: Option<IpAddr>,
    /// `metric`; 0 when not given.
    pub metric: u32,
}

/// What is wrong with the text of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteParseError {
    /// No destination, or one that is neither `default` nor an address nor a network.
    Destination,
    /// A word that is not one of `via`, `dev`, `src` and `metric`.
    UnknownWord,
    /// A word given twice.
    Repeated,
    /// A word without its value, or with one that cannot be read.
    Value,
    /// Neither a gateway nor a device.
    NoWay,
    /// Addresses of different families.
    Family,
}

impl fmt::Display for RouteParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RouteParseError::Destination => {
                "no destination: default, an address or a network is expected first"
            }
            RouteParseError::UnknownWord => "unknown word: via, dev, src and metric are known",
            RouteParseError::Repeated => "a word is given twice",
            RouteParseError::Value => "a word has no value, or one that cannot be read",
            RouteParseError::NoWay => "neither a gateway nor a device is given",
            RouteParseError::Family => "addresses of different families",
        })
    }
}

impl std::error::Error for RouteParseError {}

impl RouteSpec {
    /// The route over `link`.
    pub fn into_route(self, link: LinkId, origin: Origin) -> Route {
        Route {
            destination: self.destination,
            gateway: self.gateway,
            link,
            source: self.source,
            metric: self.metric,
            origin,
            expires: None,
        }
    }

    /// The routes to take away when this text is written to `netcfg/route/rm`; `link` is that of
    /// [`RouteSpec::device`].
    pub fn selector(&self, link: Option<LinkId>) -> Selector {
        Selector {
            destination: Some(self.destination),
            gateway: self.gateway,
            link,
            source: self.source,
            origin: None,
        }
    }

    /// Reads a line of `netcfg/route/rm`: as a route to add, but the destination alone will do.
    ///
    /// # Errors
    /// See [`RouteParseError`].
    pub fn parse_removal(text: &str) -> Result<RouteSpec, RouteParseError> {
        let mut words = text.split_ascii_whitespace();
        let mut gateway = None;
        let mut device = None;
        let mut source = None;
        let mut metric = None;
        let destination = words.next().ok_or(RouteParseError::Destination)?;
        while let Some(word) = words.next() {
            let value = words.next().ok_or(match word {
                "via" | "dev" | "src" | "metric" => RouteParseError::Value,
                _ => RouteParseError::UnknownWord,
            })?;
            match word {
                "via" => set(&mut gateway, value)?,
                "dev" => set(&mut device, value)?,
                "src" => set(&mut source, value)?,
                "metric" => set(&mut metric, value)?,
                _ => return Err(RouteParseError::UnknownWord),
            }
        }
        let destination = match (destination, gateway) {
            ("default", None) => IpCidr::Ipv4(Ipv4Cidr::new(0.into(), 0)),
            ("default", Some(gateway)) => default_network(gateway),
            (text, _) => parse_network(text).ok_or(RouteParseError::Destination)?,
        };
        let family =
            |address: IpAddr| address.is_ipv4() == IpAddr::from(destination.address()).is_ipv4();
        if !(gateway.is_none_or(family) && source.is_none_or(family)) {
            return Err(RouteParseError::Family);
        }
        Ok(RouteSpec {
            destination,
            gateway,
            device,
            source,
            metric: metric.unwrap_or(0),
        })
    }
}

impl FromStr for RouteSpec {
    type Err = RouteParseError;

    /// Reads a line of `netcfg/route/add`.
    fn from_str(text: &str) -> Result<RouteSpec, RouteParseError> {
        let spec = RouteSpec::parse_removal(text)?;
        if spec.gateway.is_none() && spec.device.is_none() {
            return Err(RouteParseError::NoWay);
        }
        Ok(spec)
    }
}

fn set<T: FromStr>(slot: &mut Option<T>, value: &str) -> Result<(), RouteParseError> {
    if slot.is_some() {
        return Err(RouteParseError::Repeated);
    }
    *slot = Some(value.parse().map_err(|_| RouteParseError::Value)?);
    Ok(())
}

/// `10.1.0.0/16`, or `10.1.2.3` for one host. A prefix length is checked here, for the constructors of smoltcp panic
/// on one that is too long.
fn parse_network(text: &str) -> Option<IpCidr> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse().ok().map(host);
    };
    // A sign, which `parse` would take, is no digit.
    let length: u8 = length.parse().ok().filter(|_| !length.starts_with('+'))?;
    match address.parse().ok()? {
        IpAddr::V4(address) => (length <= 32).then(|| IpCidr::Ipv4(Ipv4Cidr::new(address, length))),
        IpAddr::V6(address) => {
            (length <= 128).then(|| IpCidr::Ipv6(Ipv6Cidr::new(address, length)))
        }
    }
}
