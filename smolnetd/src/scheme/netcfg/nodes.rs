//! What there is under `/scheme/netcfg`: one table of paths, each with how it is read and written.

use core::fmt::Write as _;
use core::net::IpAddr;

use netscheme::frame::Mac;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;

use super::edit::Edit;
use crate::adapters::Adapters;
use crate::error::SocketError;
use crate::link::{Link, LinkKind};
use crate::ports::LinkId;
use crate::route::RouteSpec;
use crate::stack::{Change, Stack};

/// What a node is read from.
pub(super) struct Place<'a> {
    pub(super) stack: &'a Stack,
    pub(super) adapters: &'a Adapters,
    /// The adapter, for nodes below `ifaces/*`.
    pub(super) link: Option<&'a Link>,
    /// How often the daemon has woken up so far.
    pub(super) wakeups: u64,
    pub(super) now: Instant,
}

type Read = fn(&Place<'_>) -> String;
type Write = fn(&str, &Place<'_>) -> Result<Edit, SocketError>;

/// One file.
pub(super) struct Node {
    /// Its path; `*` stands for an adapter's name.
    path: &'static str,
    pub(super) read: Option<Read>,
    /// Understands one line; changes nothing.
    pub(super) write: Option<Write>,
    /// Which changes it shows.
    topic: Topic,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Topic {
    Links,
    Addresses,
    Routes,
    Resolvers,
    /// Changes all the time; watching it tells nothing.
    Counters,
}

impl Node {
    pub(super) fn shows(&self, change: Change) -> bool {
        match change {
            Change::Link(_) => matches!(self.topic, Topic::Links | Topic::Addresses),
            Change::Addresses(_) => self.topic == Topic::Addresses,
            Change::Routes => self.topic == Topic::Routes,
            Change::Resolvers => self.topic == Topic::Resolvers,
            Change::Socket(_) => false,
        }
    }

    /// Permission bits: all may read, root may write.
    pub(super) fn mode(&self) -> u16 {
        let read = if self.read.is_some() { 0o444 } else { 0 };
        let write = if self.write.is_some() { 0o200 } else { 0 };
        read | write
    }
}

const fn node(path: &'static str, topic: Topic, read: Option<Read>, write: Option<Write>) -> Node {
    Node {
        path,
        read,
        write,
        topic,
    }
}

/// Everything there is.
static NODES: &[Node] = &[
    node("ifaces/*/mac", Topic::Links, Some(mac), None),
    node("ifaces/*/mtu", Topic::Links, Some(mtu), None),
    node("ifaces/*/link", Topic::Links, Some(link_state), None),
    node(
        "ifaces/*/addr/list",
        Topic::Addresses,
        Some(addresses),
        None,
    ),
    node(
        "ifaces/*/addr/set",
        Topic::Addresses,
        None,
        Some(set_address),
    ),
    node(
        "ifaces/*/addr/add",
        Topic::Addresses,
        None,
        Some(add_address),
    ),
    node(
        "ifaces/*/addr/rm",
        Topic::Addresses,
        None,
        Some(remove_address),
    ),
    node("ifaces/*/stats", Topic::Counters, Some(link_stats), None),
    node("neigh/list", Topic::Counters, Some(neighbours), None),
    node(
        "resolv/nameserver",
        Topic::Resolvers,
        Some(resolvers),
        Some(set_resolver),
    ),
    node("route/list", Topic::Routes, Some(routes), None),
    node("route/add", Topic::Routes, None, Some(add_route)),
    node("route/rm", Topic::Routes, None, Some(remove_route)),
    node("stats", Topic::Counters, Some(stats), None),
];

/// What a path names.
pub(super) enum Found<'a> {
    Directory,
    File {
        node: &'static Node,
        /// What stood in the place of the `*`.
        link: Option<&'a str>,
    },
}

/// Puts a relative path behind a directory's. `..` is not understood: None.
pub(super) fn join(base: &str, path: &str) -> Option<String> {
    let parts = base.split('/').chain(path.split('/'));
    let parts: Vec<&str> = parts.filter(|p| !p.is_empty() && *p != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// Looks a path up.
pub(super) fn find<'a>(
    path: &'a str,
    mut links: impl Iterator<Item = &'a str>,
) -> Option<Found<'a>> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    if let ["ifaces", name, ..] = parts.as_slice()
        && !links.any(|link| link == *name)
    {
        return None;
    }
    let mut directory = parts.is_empty();
    for node in NODES {
        let names: Vec<&str> = node.path.split('/').collect();
        let same = |(name, part): (&&str, &&str)| *name == "*" || name == part;
        if parts.len() > names.len() || !names.iter().zip(&parts).all(same) {
            continue;
        }
        if parts.len() == names.len() {
            let link = names.iter().position(|n| *n == "*");
            let link = link.and_then(|at| parts.get(at).copied());
            return Some(Found::File { node, link });
        }
        directory = true;
    }
    directory.then_some(Found::Directory)
}

/// One entry of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Child<'a> {
    pub(super) name: &'a str,
    pub(super) is_directory: bool,
}

/// What is in a directory.
pub(super) fn children<'a>(path: &str, links: &[&'a str]) -> Vec<Child<'a>> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let mut found: Vec<Child<'a>> = Vec::new();
    for node in NODES {
        let names: Vec<&'static str> = node.path.split('/').collect();
        let same = |(name, part): (&&str, &&str)| *name == "*" || name == part;
        if parts.len() >= names.len() || !names.iter().zip(&parts).all(same) {
            continue;
        }
        let is_directory = names.len() > parts.len() + 1;
        let here: Vec<&'a str> = match names.get(parts.len()).copied() {
            Some("*") => links.to_vec(),
            Some(name) => vec![name],
            None => continue,
        };
        for name in here {
            if !found.iter().any(|child| child.name == name) {
                found.push(Child { name, is_directory });
            }
        }
    }
    found
}

/// One line per item.
fn lines<T: core::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.fold(String::new(), |mut text, item| {
        let _ = writeln!(text, "{item}");
        text
    })
}

fn mac(place: &Place<'_>) -> String {
    place
        .link
        .map_or(String::new(), |link| format!("{}\n", Mac(link.mac())))
}

fn mtu(place: &Place<'_>) -> String {
    place
        .link
        .map_or(String::new(), |link| format!("{}\n", link.mtu()))
}

fn link_state(place: &Place<'_>) -> String {
    let up = place.link.is_some_and(Link::is_up);
    let speed = place
        .link
        .and_then(|link| place.adapters.speed_mbps(link.id()));
    let word = if up { "up" } else { "down" };
    match speed {
        Some(speed) => format!("{word} {speed}\n"),
        None => format!("{word}\n"),
    }
}

/// `a.b.c.d/len`, a line each; "Not configured" is what Redox's tools know for none.
fn addresses(place: &Place<'_>) -> String {
    match place.link.map(Link::addresses) {
        None | Some([]) => "Not configured\n".into(),
        Some(all) => lines(all.iter().map(|address| address.cidr)),
    }
}

fn link_stats(place: &Place<'_>) -> String {
    let Some(link) = place.link else {
        return String::new();
    };
    let own = link
        .counters()
        .iter()
        .map(|(name, value)| (name.to_owned(), value));
    let driver = place.adapters.stats(link.id());
    let driver = driver
        .into_iter()
        .map(|(name, value)| (format!("driver.{name}"), value));
    lines(
        own.chain(driver)
            .map(|(name, value)| format!("{name} {value}")),
    )
}

fn neighbours(place: &Place<'_>) -> String {
    lines(place.stack.links().flat_map(|link| {
        link.neighbours(place.now).map(move |neighbour| {
            let mac = neighbour.mac.map_or("-".into(), |mac| Mac(mac).to_string());
            let state = format!("{:?}", neighbour.state).to_ascii_lowercase();
            format!(
                "{} dev {} lladdr {mac} {state}",
                neighbour.address,
                link.name()
            )
        })
    }))
}

fn resolvers(place: &Place<'_>) -> String {
    lines(place.stack.resolvers().iter())
}

fn routes(place: &Place<'_>) -> String {
    lines(place.stack.routes().iter().map(|route| {
        let link = place.stack.link(route.link).map_or("?", Link::name);
        route.text(link, place.now).to_string()
    }))
}

fn stats(place: &Place<'_>) -> String {
    let own = [("daemon.wakeups".to_owned(), place.wakeups)];
    let all = own.into_iter().chain(place.stack.stats());
    lines(all.map(|(name, value)| format!("{name} {value}")))
}

fn link_id(place: &Place<'_>) -> Result<LinkId, SocketError> {
    place.link.map(Link::id).ok_or(SocketError::NotFound)
}

/// `a.b.c.d/len`: an address that one machine can have.
fn parse_address(line: &str, place: &Place<'_>) -> Result<(LinkId, IpCidr), SocketError> {
    let cidr: IpCidr = line.parse().map_err(|()| SocketError::Invalid)?;
    let link = place.link.ok_or(SocketError::NotFound)?;
    if link.kind() == LinkKind::Loopback {
        return Err(SocketError::NotSupported);
    }
    match crate::link::is_assignable(cidr) {
        true => Ok((link.id(), cidr)),
        false => Err(SocketError::Invalid),
    }
}

fn set_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let (link, cidr) = parse_address(line, place)?;
    Ok(Edit::SetAddress(link, cidr))
}

fn add_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let (link, cidr) = parse_address(line, place)?;
    Ok(Edit::AddAddress(link, cidr))
}

fn remove_address(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let cidr: IpCidr = line.parse().map_err(|()| SocketError::Invalid)?;
    Ok(Edit::RemoveAddress(link_id(place)?, cidr))
}

fn set_resolver(line: &str, _place: &Place<'_>) -> Result<Edit, SocketError> {
    let addr: IpAddr = line.parse().map_err(|_| SocketError::Invalid)?;
    let broadcast = matches!(addr, IpAddr::V4(addr) if addr.is_broadcast());
    match addr.is_unspecified() || addr.is_multicast() || broadcast {
        true => Err(SocketError::Invalid),
        false => Ok(Edit::Resolvers(vec![addr])),
    }
}

/// The adapter that a route's text names, if it names one.
fn device(spec: &RouteSpec, place: &Place<'_>) -> Result<Option<LinkId>, SocketError> {
    match &spec.device {
        None => Ok(None),
        Some(name) => match place.stack.link_by_name(name) {
            Some(link) => Ok(Some(link.id())),
            None => Err(SocketError::NoDevice),
        },
    }
}

fn add_route(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let spec: RouteSpec = line.parse().map_err(|_| SocketError::Invalid)?;
    let link = device(&spec, place)?;
    Ok(Edit::AddRoute(spec, link))
}

fn remove_route(line: &str, place: &Place<'_>) -> Result<Edit, SocketError> {
    let spec = RouteSpec::parse_removal(line).map_err(|_| SocketError::Invalid)?;
    let link = device(&spec, place)?;
    Ok(Edit::RemoveRoute(spec.selector(link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [&str; 2] = ["lo", "eth0"];

    fn names(path: &str) -> Vec<(&'static str, bool)> {
        let children = children(path, &LINKS);
        children.iter().map(|c| (c.name, c.is_directory)).collect()
    }

    #[test]
    fn a_directory_lists_what_is_in_it_once() {
        let root = ["ifaces", "neigh", "resolv", "route"].map(|name| (name, true));
        assert_eq!(names(""), [&root[..], &[("stats", false)]].concat());
        assert_eq!(names("ifaces"), [("lo", true), ("eth0", true)]);
        let eth0 = [
            ("mac", false),
            ("mtu", false),
            ("link", false),
            ("addr", true),
            ("stats", false),
        ];
        assert_eq!(names("ifaces/eth0"), eth0);
        assert_eq!(
            names("route"),
            [("list", false), ("add", false), ("rm", false)]
        );
    }

    #[test]
    fn every_name_that_is_listed_can_be_found() {
        let mut directories = vec![String::new()];
        let mut files = 0;
        while let Some(path) = directories.pop() {
            for (name, is_directory) in names(&path) {
                let child = join(&path, name).unwrap();
                match find(&child, LINKS.into_iter()) {
                    Some(Found::Directory) if is_directory => directories.push(child.clone()),
                    Some(Found::File { .. }) if !is_directory => files += 1,
                    _ => panic!("{child} is listed and not found"),
                }
            }
        }
        assert_eq!(files, 2 * 8 + 6);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "ifaces/eth1",
            "ifaces/eth1/mac",
            "ifaces/*/mac",
            "route/list/x",
            "rout",
            "x",
        ] {
            assert!(find(path, LINKS.into_iter()).is_none(), "{path}");
        }
        assert_eq!(join("ifaces", "../route"), None);
        assert_eq!(
            join("ifaces/", "/eth0//mac").as_deref(),
            Some("ifaces/eth0/mac")
        );
    }
}
