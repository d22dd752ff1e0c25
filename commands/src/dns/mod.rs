//! Names to addresses: a stub resolver (RFC 1035, RFC 3596, RFC 5452) over `/scheme/udp` and, for long answers,
//! `/scheme/tcp`.
//!
//! Name servers and search list are those of `/scheme/netcfg/resolv`. A server is asked for the addresses of both
//! families at once, and twice if it is silent.

mod ask;
mod message;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::address::{Address, Family};
use crate::stream::Deadline;
use crate::{Error, Terminal, order, read_text};
use message::{Kind, Reply};

const NAME_SERVERS: &str = "/scheme/netcfg/resolv/nameserver";
/// Where the C library looks, too: a user's namespace has no netcfg.
const NAME_SERVER_FILE: &str = "/etc/net/dns";
const SEARCH_LIST: &str = "/scheme/netcfg/resolv/search";
const TRIES: usize = 2;
const USAGE: &str = "dns [-4 | -6] NAME";

/// `dns NAME`: prints its addresses, in the order in which they would be tried.
pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let usage = || Error::Usage(USAGE.into());
    let (name, family) = match args {
        [name] => (name, Family::Any),
        [option, name] => (name, Family::of_option(option).ok_or_else(usage)?),
        _ => return Err(usage()),
    };
    // Who wants to know the addresses wants to know all of them.
    for address in addresses(name, family, &mut Asking::patiently(terminal.seed))? {
        writeln!(terminal.out, "{address}")?;
    }
    Ok(())
}

/// The address of `host` to try first.
pub(crate) fn lookup_one(host: &str, family: Family, seed: u64) -> Result<Address, Error> {
    let all = lookup(host, family, seed, Deadline::NEVER)?;
    all.into_iter().next().ok_or_else(|| has_none(host, family))
}

/// The addresses of `host` to connect to, best first; at least one. If there are some of one family, the other's are not
/// waited for long.
///
/// # Errors
/// Why there are none, or that the deadline came first.
pub(crate) fn lookup(
    host: &str,
    family: Family,
    seed: u64,
    deadline: Deadline,
) -> Result<Vec<Address>, Error> {
    let mut asking = Asking {
        deadline,
        ..Asking::quickly(seed)
    };
    addresses(host, family, &mut asking)
}

/// The addresses of `host`, which may be one already.
fn addresses(host: &str, family: Family, asking: &mut Asking) -> Result<Vec<Address>, Error> {
    let mut found = match host.parse::<Address>() {
        Ok(address) => vec![address],
        Err(()) if host.eq_ignore_ascii_case("localhost") => {
            // RFC 6761 section 6.3
            let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            both.map(Address::from).into()
        }
        Err(()) => resolve(host, family, asking)?,
    };
    found.retain(|address| family.has(address.ip));
    order::sort(&mut found);
    match found.is_empty() {
        true => Err(has_none(host, family)),
        false => Ok(found),
    }
}

fn has_none(host: &str, family: Family) -> Error {
    Error::Answer(format!("{host}: the name has no {}", family.word()))
}

fn resolve(host: &str, family: Family, asking: &mut Asking) -> Result<Vec<Address>, Error> {
    let text =
        read_text(NAME_SERVERS).or_else(|error| read_text(NAME_SERVER_FILE).map_err(|_| error))?;
    let servers: Vec<Address> = lines(&text).filter_map(|line| line.parse().ok()).collect();
    if servers.is_empty() {
        return Err(Error::Answer(format!(
            "{host}: no name server is known; is there a lease (cat /scheme/netcfg/ifaces/eth0/addr/list)? \
             One can be set with: write {NAME_SERVERS} ADDRESS"
        )));
    }
    // A server of netcfg that has no search list has none to tell.
    let search = read_text(SEARCH_LIST).unwrap_or_default();
    let kinds: &[Kind] = match family {
        Family::Any => &[Kind::Aaaa, Kind::A],
        Family::V4 => &[Kind::A],
        Family::V6 => &[Kind::Aaaa],
    };
    let mut exists = false;
    for name in candidates(host, lines(&search)) {
        match ask_all(&servers, &name, kinds, asking)? {
            Reply::NoSuchName => {}
            Reply::Addresses(found) if found.is_empty() => exists = true,
            Reply::Addresses(found) => return Ok(found.into_iter().map(Address::from).collect()),
        }
    }
    match exists {
        true => Err(has_none(host, family)),
        false => Err(Error::Answer(format!("{host}: there is no such name"))),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The names that `host` may stand for, in the order in which they are asked for. One with a dot in it is first taken
/// as it is, one without is first looked for below the domains of the search list; one that ends in a dot is whole.
fn candidates<'a>(host: &str, search: impl Iterator<Item = &'a str>) -> Vec<String> {
    if host.ends_with('.') {
        return vec![host.to_owned()];
    }
    let mut names: Vec<String> = search.map(|domain| format!("{host}.{domain}")).collect();
    let place = if host.contains('.') { 0 } else { names.len() };
    names.insert(place, host.to_owned());
    names
}

/// Asks one server after the other, until one answers.
fn ask_all(
    servers: &[Address],
    host: &str,
    kinds: &[Kind],
    asking: &mut Asking,
) -> Result<Reply, Error> {
    let mut failure = None;
    for _ in 0..TRIES {
        for server in servers {
            asking.deadline.check(&format!("looking for {host}"))?;
            match ask::ask(server, host, kinds, asking) {
                Ok(reply) => return Ok(reply),
                Err(error) => failure = Some(error),
            }
        }
    }
    asking.deadline.check(&format!("looking for {host}"))?;
    Err(failure.unwrap_or_else(|| Error::Answer(format!("{host}: no answer"))))
}

/// How somebody asks.
struct Asking {
    seed: u64,
    count: u64,
    /// How much longer addresses of the other family are waited for when there are some.
    patience: Duration,
    /// Until when there must be an answer from whichever server.
    deadline: Deadline,
}

impl Asking {
    /// RFC 8305 section 3: Resolution Delay.
    fn quickly(seed: u64) -> Asking {
        Asking {
            seed,
            count: 0,
            patience: Duration::from_millis(50),
            deadline: Deadline::NEVER,
        }
    }

    fn patiently(seed: u64) -> Asking {
        Asking {
            patience: ask::TIMEOUT,
            ..Asking::quickly(seed)
        }
    }

    /// The number of the next question, which an off-path attacker cannot guess (RFC 5452 4.3): the seed and a count
    /// mixed into 16 bits.
    fn id(&mut self) -> u16 {
        self.count = self.count.wrapping_add(1);
        let mut x = self.seed ^ self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u16::try_from((x ^ (x >> 31)) & 0xffff).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_looked_for_below_the_search_list_first() {
        let search = || ["lab.test", "example"].into_iter();
        assert_eq!(
            candidates("www", search()),
            ["www.lab.test", "www.example", "www"]
        );
        assert_eq!(
            candidates("www.other", search()),
            ["www.other", "www.other.lab.test", "www.other.example"]
        );
        assert_eq!(candidates("www.", search()), ["www."]);
        assert_eq!(candidates("www", [].into_iter()), ["www"]);
    }

    #[test]
    fn numbers_of_questions_differ() {
        let mut asking = Asking::quickly(7);
        let all: std::collections::BTreeSet<u16> = (0..1000).map(|_| asking.id()).collect();
        assert!(all.len() > 950, "{}", all.len());
    }
}
