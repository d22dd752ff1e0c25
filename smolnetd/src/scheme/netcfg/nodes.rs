//! What there is under `/scheme/netcfg`: one table of paths, each with how it is read and written.

use smoltcp::time::Instant;

use super::edit::Edit;
use super::{accept, show};
use crate::adapters::Adapters;
use crate::error::SocketError;
use crate::link::Link;
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
    Neighbours,
    Routes,
    Resolvers,
    Sockets,
    /// Changes all the time; watching it tells nothing.
    Counters,
}

impl Node {
    pub(super) fn shows(&self, change: Change) -> bool {
        match change {
            Change::Link(_) => matches!(self.topic, Topic::Links | Topic::Addresses),
            Change::Addresses(_) => self.topic == Topic::Addresses,
            Change::Neighbours(_) => self.topic == Topic::Neighbours,
            Change::Routes => self.topic == Topic::Routes,
            Change::Resolvers => self.topic == Topic::Resolvers,
            Change::Socket(_) | Change::Sockets => self.topic == Topic::Sockets,
        }
    }

    /// Is it the list of sockets, which changes with every one of them?
    pub(super) fn lists_sockets(&self) -> bool {
        self.topic == Topic::Sockets
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
#[rustfmt::skip]
static NODES: &[Node] = &[
    node("ifaces/*/mac", Topic::Links, Some(show::mac), None),
    node("ifaces/*/mtu", Topic::Links, Some(show::mtu), None),
    node("ifaces/*/link", Topic::Links, Some(show::link_state), None),
    node("ifaces/*/addr/list", Topic::Addresses, Some(show::addresses), None),
    node("ifaces/*/addr/set", Topic::Addresses, None, Some(accept::set_address)),
    node("ifaces/*/addr/add", Topic::Addresses, None, Some(accept::add_address)),
    node("ifaces/*/addr/rm", Topic::Addresses, None, Some(accept::remove_address)),
    node("ifaces/*/ipv6/identifier", Topic::Addresses, Some(show::identifier), Some(accept::set_identifier)),
    node("ifaces/*/ipv6/temporary", Topic::Addresses, Some(show::temporary), Some(accept::set_temporary)),
    node("ifaces/*/stats", Topic::Counters, Some(show::link_stats), None),
    node("neigh/list", Topic::Neighbours, Some(show::neighbours), None),
    node("resolv/nameserver", Topic::Resolvers, Some(show::resolvers), Some(accept::set_resolver)),
    node("resolv/search", Topic::Resolvers, Some(show::search), Some(accept::set_search)),
    node("route/list", Topic::Routes, Some(show::routes), None),
    node("route/add", Topic::Routes, None, Some(accept::add_route)),
    node("route/rm", Topic::Routes, None, Some(accept::remove_route)),
    node("sockets", Topic::Sockets, Some(show::sockets), None),
    node("stats", Topic::Counters, Some(show::stats), None),
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
        let files = [("sockets", false), ("stats", false)];
        assert_eq!(names(""), [&root[..], &files].concat());
        assert_eq!(names("ifaces"), [("lo", true), ("eth0", true)]);
        let eth0 = [
            ("mac", false),
            ("mtu", false),
            ("link", false),
            ("addr", true),
            ("ipv6", true),
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
        assert_eq!(files, 2 * 10 + 8);
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
