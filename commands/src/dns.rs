//! Names to addresses: a stub resolver (RFC 1035, RFC 5452) over `/scheme/udp` and, for long answers, `/scheme/tcp`.
//!
//! The name servers are those of `/scheme/netcfg/resolv/nameserver`. Each is asked twice with a timeout of its own;
//! every question uses a socket, and so a source port, of its own.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use syscall::flag::{O_NONBLOCK, O_RDWR};

use crate::fd::OpenedFile;
use crate::wait::{Waiting, after};
use crate::{Error, Terminal, read_text};

const NAME_SERVERS: &str = "/scheme/netcfg/resolv/nameserver";
const TIMEOUT: Duration = Duration::from_secs(3);
const TRIES: u64 = 2;

/// Record type A and class IN (RFC 1035 3.2).
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const CLASS_IN: u16 = 1;

/// `dns NAME`: prints its addresses.
pub(crate) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), Error> {
    let [name] = args else {
        return Err(Error::Usage("dns NAME".into()));
    };
    for addr in lookup_all(name, terminal.seed)? {
        writeln!(terminal.out, "{addr}")?;
    }
    Ok(())
}

/// An address of `host`, which may be one already.
pub(crate) fn lookup(host: &str, seed: u64) -> Result<IpAddr, Error> {
    let all = lookup_all(host, seed)?;
    all.first()
        .copied()
        .ok_or_else(|| Error::Answer(format!("{host}: the name exists but has no IPv4 address")))
}

fn lookup_all(host: &str, seed: u64) -> Result<Vec<IpAddr>, Error> {
    if let Ok(addr) = host.parse::<IpAddr>() {
        return Ok(vec![addr]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }
    let servers: Vec<IpAddr> = read_text(NAME_SERVERS)?
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    if servers.is_empty() {
        return Err(Error::Answer(format!(
            "{host}: no name server is known; is there a lease (cat /scheme/netcfg/ifaces/eth0/addr/list)? \
             One can be set with: write {NAME_SERVERS} ADDRESS"
        )));
    }
    let mut failure = None;
    for attempt in 0..TRIES {
        for (server, salt) in servers.iter().zip(0u64..) {
            let id = transaction_id(seed, attempt.wrapping_mul(31).wrapping_add(salt));
            match ask(*server, host, id) {
                Ok(Reply::Addresses(found)) => {
                    return Ok(found.into_iter().map(IpAddr::V4).collect());
                }
                Ok(Reply::NoSuchName) => {
                    return Err(Error::Answer(format!("{host}: there is no such name")));
                }
                Err(error) => failure = Some(error),
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::Answer(format!("{host}: no answer"))))
}

/// Mixes the seed into 16 bits that an off-path attacker cannot guess (RFC 5452 4.3).
fn transaction_id(seed: u64, salt: u64) -> u16 {
    let mut x = seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u16::try_from((x ^ (x >> 31)) & 0xffff).unwrap_or(0)
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Addresses(Vec<Ipv4Addr>),
    NoSuchName,
}

/// Why a message is not the answer.
#[derive(Debug, PartialEq, Eq)]
enum Unusable {
    /// Not an answer to this question: keep waiting.
    NotOurs,
    /// Cut off: ask again over TCP.
    Truncated,
    /// The server could not or would not answer.
    Refused(u16),
}

fn ask(server: IpAddr, host: &str, id: u16) -> Result<Reply, Error> {
    let question = question(host, id)
        .ok_or_else(|| Error::Answer(format!("\"{host}\" cannot be a name of a machine")))?;
    let socket = OpenedFile::open(&format!("/scheme/udp/{server}:53"), O_RDWR | O_NONBLOCK)?;
    let mut socket = Waiting::new(socket)?;
    socket.file.write_all(&question)?;
    let deadline = after(TIMEOUT);
    let mut buffer = [0; 1500];
    while let Some(n) = socket.read_until(deadline, &mut buffer)? {
        match parse(buffer.get(..n).unwrap_or_default(), &question) {
            Ok(reply) => return Ok(reply),
            Err(Unusable::NotOurs) => {}
            Err(Unusable::Truncated) => return ask_over_tcp(server, host, &question),
            Err(Unusable::Refused(code)) => return Err(refused(server, host, code)),
        }
    }
    Err(Error::Answer(format!(
        "{host}: the name server {server} did not answer within {} s",
        TIMEOUT.as_secs()
    )))
}

fn refused(server: IpAddr, host: &str, code: u16) -> Error {
    let word = match code {
        1 => "a format error",
        2 => "a server failure",
        4 => "not implemented",
        5 => "a refusal",
        _ => "an error",
    };
    Error::Answer(format!(
        "{host}: the name server {server} answered with {word} (code {code})"
    ))
}

/// RFC 1035 4.2.2: over TCP, two bytes of length stand before each message.
fn ask_over_tcp(server: IpAddr, host: &str, question: &[u8]) -> Result<Reply, Error> {
    let socket = OpenedFile::connect(core::net::SocketAddr::new(server, 53))?;
    let length = u16::try_from(question.len()).unwrap_or(0).to_be_bytes();
    socket.write_all(&[&length, question].concat())?;
    let mut message = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let whole = message
            .first_chunk::<2>()
            .map(|length| 2 + usize::from(u16::from_be_bytes(*length)));
        if let Some(answer) = whole.and_then(|end| message.get(2..end)) {
            return parse(answer, question).map_err(|unusable| match unusable {
                Unusable::Refused(code) => refused(server, host, code),
                _ => Error::Answer(format!("{host}: a useless answer over TCP from {server}")),
            });
        }
        match socket.read(&mut buffer)? {
            0 => {
                return Err(Error::Answer(format!(
                    "{host}: the name server {server} closed the connection before its answer was whole"
                )));
            }
            n => message.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// A query for the A records of `host`, recursion desired; `None` for what cannot be a name (RFC 1035 2.3.4).
fn question(host: &str, id: u16) -> Option<Vec<u8>> {
    let mut message = Vec::from(id.to_be_bytes());
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|n| (1..=63).contains(n))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&TYPE_A.to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(message)
}

/// Reads an answer to `question`. Only records that belong to the asked name, directly or through a chain of
/// aliases, count.
fn parse(message: &[u8], question: &[u8]) -> Result<Reply, Unusable> {
    let header = message.first_chunk::<12>().ok_or(Unusable::NotOurs)?;
    let flags = u16::from_be_bytes([header[2], header[3]]);
    let asked = question.get(12..).unwrap_or_default();
    let echoed = message.get(12..12 + asked.len()).ok_or(Unusable::NotOurs)?;
    let is_answer = flags & 0x8000 != 0;
    if !is_answer
        || question.get(..2) != header.get(..2)
        || header[4..6] != [0, 1]
        || !echoed.eq_ignore_ascii_case(asked)
    {
        return Err(Unusable::NotOurs);
    }
    if flags & 0x0200 != 0 {
        return Err(Unusable::Truncated);
    }
    match flags & 0xf {
        0 => {}
        3 => return Ok(Reply::NoSuchName),
        code => return Err(Unusable::Refused(code)),
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    Ok(Reply::Addresses(addresses(
        message,
        12 + asked.len(),
        count,
    )))
}

fn addresses(message: &[u8], mut at: usize, count: u16) -> Vec<Ipv4Addr> {
    let mut wanted = read_name(message, 12).map(|(name, _)| name);
    let mut found = Vec::new();
    for _ in 0..count {
        let Some(record) = read_record(message, at) else {
            break;
        };
        at = record.end;
        if record.class != CLASS_IN || Some(&record.name) != wanted.as_ref() {
            continue;
        }
        match record.kind {
            TYPE_CNAME => wanted = read_name(message, record.data).map(|(name, _)| name),
            TYPE_A => {
                let bytes = message.get(record.data..record.end);
                if let Some(bytes) = bytes.and_then(|b| <[u8; 4]>::try_from(b).ok()) {
                    found.push(Ipv4Addr::from(bytes));
                }
            }
            _ => {}
        }
    }
    found
}

struct Record {
    name: Vec<u8>,
    kind: u16,
    class: u16,
    /// Where its data begins and ends.
    data: usize,
    end: usize,
}

fn read_record(message: &[u8], at: usize) -> Option<Record> {
    let (name, at) = read_name(message, at)?;
    let fixed = message.get(at..at.checked_add(10)?)?;
    let half = |i: usize| Some(u16::from_be_bytes([*fixed.get(i)?, *fixed.get(i + 1)?]));
    let data = at + 10;
    let end = data.checked_add(usize::from(half(8)?))?;
    message.get(data..end)?;
    Some(Record {
        name,
        kind: half(0)?,
        class: half(2)?,
        data,
        end,
    })
}

/// Reads a possibly compressed name (RFC 1035 4.1.4) in lower case; the second part is the position behind it.
/// Pointers must point backwards, which bounds the work.
fn read_name(message: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::new();
    let (mut at, mut end, mut lowest) = (start, None, start);
    loop {
        let length = *message.get(at)?;
        match length & 0xc0 {
            0x00 if length == 0 => return Some((name, end.unwrap_or(at + 1))),
            0x00 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                name.push(length);
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                if name.len() > 255 {
                    return None;
                }
                at += 1 + usize::from(length);
            }
            0xc0 => {
                let low = *message.get(at + 1)?;
                end = end.or(Some(at + 2));
                at = usize::from(length & 0x3f) << 8 | usize::from(low);
                if at >= lowest {
                    return None;
                }
                lowest = at;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(host: &str, records: &[u8], count: u8, flags: u16) -> (Vec<u8>, Vec<u8>) {
        let question = question(host, 0x1234).unwrap();
        let mut message = question.clone();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[7] = count;
        message.extend_from_slice(records);
        (message, question)
    }

    const A: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 9];

    #[test]
    fn an_address_behind_an_alias_is_found() {
        // www.lab IN CNAME web.lab; web.lab IN A 10.0.2.9
        let mut records = vec![
            0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 6, 3, b'w', b'e', b'b', 0xc0, 16,
        ];
        let alias = 12 + 9 + 4 + 12;
        records.extend_from_slice(&[0xc0, alias, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 9]);
        let (message, question) = answer("www.lab", &records, 2, 0x8180);
        assert_eq!(
            parse(&message, &question),
            Ok(Reply::Addresses(vec![Ipv4Addr::new(10, 0, 2, 9)]))
        );
    }

    #[test]
    fn an_address_of_another_name_does_not_count() {
        let mut records = vec![3, b'e', b'v', b'l', 0];
        records.extend_from_slice(&A[2..]);
        let (message, question) = answer("www.lab", &records, 1, 0x8180);
        assert_eq!(parse(&message, &question), Ok(Reply::Addresses(vec![])));
    }

    #[test]
    fn only_the_answer_to_this_question_is_taken() {
        let (message, question) = answer("www.lab", A, 1, 0x8180);
        assert!(parse(&message, &question).is_ok());
        for (at, value) in [(0, 0x99), (2, 0x01), (5, 2), (14, b'x')] {
            let mut other = message.clone();
            other[at] = value;
            assert_eq!(
                parse(&other, &question),
                Err(Unusable::NotOurs),
                "byte {at}"
            );
        }
    }

    #[test]
    fn each_kind_of_failure_has_its_own_answer() {
        let (message, question) = answer("www.lab", &[], 0, 0x8183);
        assert_eq!(parse(&message, &question), Ok(Reply::NoSuchName));
        let (message, question) = answer("www.lab", &[], 0, 0x8182);
        assert_eq!(parse(&message, &question), Err(Unusable::Refused(2)));
        let (message, question) = answer("www.lab", &[], 0, 0x8380);
        assert_eq!(parse(&message, &question), Err(Unusable::Truncated));
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        let long = "a".repeat(64);
        for host in ["", ".", "a..b", long.as_str(), &"a.".repeat(128)] {
            assert_eq!(question(host, 1), None, "{host}");
        }
        assert_eq!(question("lab.", 1), question("lab", 1));
    }

    #[test]
    fn a_loop_of_pointers_ends() {
        let mut records = vec![0xc0, 12 + 9 + 4];
        records.extend_from_slice(&A[2..]);
        let (message, question) = answer("www.lab", &records, 1, 0x8180);
        assert_eq!(parse(&message, &question), Ok(Reply::Addresses(vec![])));
    }

    proptest! {
        #[test]
        fn no_message_does_harm(tail in proptest::collection::vec(any::<u8>(), 0..200), count: u8) {
            let (message, question) = answer("www.lab", &tail, count, 0x8180);
            let _ = parse(&message, &question);
            let _ = parse(&tail, &question);
        }
    }
}
