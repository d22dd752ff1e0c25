//! Routes as text: what `netcfg/route/list` shows and `netcfg/route/add` takes.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::prefix::{default_network, host};
use super::{Origin, Route, Selector};
use crate::ports::LinkId;

/// A route with its adapter's name, to be displayed:
/// `default via fe80::2 dev eth0 src fd12::15 metric 20 expires 1800 proto ra`.
#[derive(Clone, Copy, Debug)]
pub struct RouteText<'a> {
    pub(super) route: &'a Route,
    pub(super) link_name: &'a str,
    pub(super) now: Instant,
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
        write!(f, " metric {}", route.metric)?;
        if let Some(expires) = route.expires {
            write!(f, " expires {}", seconds_until(expires, self.now))?;
        }
        write!(f, " proto {}", route.origin)
    }
}

/// What is left of a lifetime in whole seconds, begun ones included: a route that is there has not ended.
fn seconds_until(end: Instant, now: Instant) -> u64 {
    let left = end.total_micros().saturating_sub(now.total_micros());
    u64::try_from(left).unwrap_or(0).div_ceil(1_000_000)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Connected => "connected",
            Origin::Static => "static",
            Origin::Dhcp => "dhcp",
            Origin::RouterAdvertisement => "ra",
            Origin::Prefix => "prefix",
            Origin::Redirect => "redirect",
        })
    }
}

impl FromStr for Origin {
    type Err = RouteParseError;

    fn from_str(text: &str) -> Result<Origin, RouteParseError> {
        let mut all = Origin::ALL.into_iter();
        all.find(|origin| origin.to_string() == text)
            .ok_or(RouteParseError::Value)
    }
}

/// A route as somebody asks for it: `default via 10.0.2.2`, `10.1.0.0/16 via 10.0.2.9 dev eth0 src 10.0.2.15 metric 5`,
/// `10.2.0.0/16 dev eth0 expires 60`, and as it is shown. A destination without a prefix length is one host.
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
    /// `expires`: how long it is to last; for ever when not given.
    pub expires: Option<Duration>,
    /// `proto`: where it comes from, as a list says it.
    pub origin: Option<Origin>,
}

/// What is wrong with the text of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteParseError {
    /// No destination, or one that is neither `default` nor an address nor a network.
    Destination,
    /// A word that is not one of `via`, `dev`, `src`, `metric`, `expires` and `proto`.
    UnknownWord,
    /// A word given twice.
    Repeated,
    /// A word without its value, or with one that cannot be read.
    Value,
    /// Neither a gateway nor a device; or a link-local gateway, which says nothing without a device.
    NoWay,
    /// Addresses of different families.
    Family,
    /// A route to add whose `proto` is not `static`: the others follow from something else.
    NotStatic,
}

impl fmt::Display for RouteParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RouteParseError::Destination => {
                "no destination: default, an address or a network is expected first"
            }
            RouteParseError::UnknownWord => {
                "unknown word: via, dev, src, metric, expires and proto are known"
            }
            RouteParseError::Repeated => "a word is given twice",
            RouteParseError::Value => "a word has no value, or one that cannot be read",
            RouteParseError::NoWay => "no device is given, nor a gateway that tells it",
            RouteParseError::Family => "addresses of different families",
            RouteParseError::NotStatic => "only static routes can be added",
        })
    }
}

impl std::error::Error for RouteParseError {}

impl RouteSpec {
    /// The route over `link`, asked for at `now`.
    pub fn into_route(self, link: LinkId, origin: Origin, now: Instant) -> Route {
        Route {
            destination: self.destination,
            gateway: self.gateway,
            link,
            source: self.source,
            metric: self.metric,
            origin,
            expires: self.expires.map(|lifetime| now + lifetime),
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
            origin: self.origin,
        }
    }

    /// Reads a line of `netcfg/route/rm`: as a route to add, but the destination alone will do.
    ///
    /// # Errors
    /// See [`RouteParseError`].
    pub fn parse_removal(text: &str) -> Result<RouteSpec, RouteParseError> {
        let mut words = text.split_ascii_whitespace();
        let (mut gateway, mut device, mut source) = (None, None, None);
        let (mut metric, mut origin) = (None, None);
        let mut expires: Option<u32> = None;
        let destination = words.next().ok_or(RouteParseError::Destination)?;
        while let Some(word) = words.next() {
            let value = || words.next().ok_or(RouteParseError::Value);
            match word {
                "via" => set(&mut gateway, value)?,
                "dev" => set(&mut device, value)?,
                "src" => set(&mut source, value)?,
                "metric" => set(&mut metric, value)?,
                "expires" => set(&mut expires, value)?,
                "proto" => set(&mut origin, value)?,
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
            expires: expires.map(|seconds| Duration::from_secs(seconds.into())),
            origin,
        })
    }
}

impl FromStr for RouteSpec {
    type Err = RouteParseError;

    /// Reads a line of `netcfg/route/add`.
    fn from_str(text: &str) -> Result<RouteSpec, RouteParseError> {
        let spec = RouteSpec::parse_removal(text)?;
        let tells_device = |gateway: IpAddr| !matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
        if spec.device.is_none() && !spec.gateway.is_some_and(tells_device) {
            return Err(RouteParseError::NoWay);
        }
        if spec.origin.is_some_and(|origin| origin != Origin::Static) {
            return Err(RouteParseError::NotStatic);
        }
        if spec.expires == Some(Duration::ZERO) {
            return Err(RouteParseError::Value);
        }
        Ok(spec)
    }
}

fn set<'t, T: FromStr>(
    slot: &mut Option<T>,
    value: impl FnOnce() -> Result<&'t str, RouteParseError>,
) -> Result<(), RouteParseError> {
    let value = value()?;
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
