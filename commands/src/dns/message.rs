//! Questions and answers on the wire: RFC 1035, and RFC 3596 for IPv6.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Record types (RFC 1035 3.2.2, RFC 3596 2.1) and class IN (RFC 1035 3.2.4).
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Length in bytes of a message's header.
const HEADER: usize = 12;
/// Aliases that are followed, and addresses that are kept.
const MOST_ADDRESSES: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Kind::A => TYPE_A,
            Kind::Aaaa => TYPE_AAAA,
        }
    }

    fn address(self, data: &[u8]) -> Option<IpAddr> {
        Some(match self {
            Kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(),
            Kind::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into(),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Those of the kind that was asked for; none when the name has no such.
    Addresses(Vec<IpAddr>),
    NoSuchName,
}

/// Why a message is not the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Not an answer to this question: keep waiting.
    NotOurs,
    /// Cut off: ask again over TCP.
    Truncated,
    /// The server could not or would not answer.
    Refused(u16),
}

/// A query for the addresses of `host`, recursion desired; `None` for what cannot be a name (RFC 1035 2.3.4).
pub(super) fn question(host: &str, kind: Kind, id: u16) -> Option<Vec<u8>> {
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
    message.extend_from_slice(&kind.number().to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(message)
}

/// Reads an answer to `question`. Only records that belong to the asked name, directly or through a chain of
/// aliases, count.
pub(super) fn parse(message: &[u8], question: &[u8], kind: Kind) -> Result<Reply, Unusable> {
    let header = message.first_chunk::<HEADER>().ok_or(Unusable::NotOurs)?;
    let flags = u16::from_be_bytes([header[2], header[3]]);
    let asked = question.get(HEADER..).unwrap_or_default();
    let echoed = message
        .get(HEADER..HEADER + asked.len())
        .ok_or(Unusable::NotOurs)?;
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
        HEADER + asked.len(),
        count,
        kind,
    )))
}

fn addresses(message: &[u8], mut at: usize, count: u16, kind: Kind) -> Vec<IpAddr> {
    let mut wanted = read_name(message, HEADER).map(|(name, _)| name);
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
            number if number == kind.number() && found.len() < MOST_ADDRESSES => {
                let data = message.get(record.data..record.end);
                found.extend(data.and_then(|data| kind.address(data)));
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
        let question = question(host, Kind::A, 0x1234).unwrap();
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
            parse(&message, &question, Kind::A),
            Ok(Reply::Addresses(vec![Ipv4Addr::new(10, 0, 2, 9).into()]))
        );
    }

    /// RFC 3596 section 2.2
    #[test]
    fn an_ipv6_address_is_sixteen_bytes_and_no_other_length() {
        let question = question("www.lab", Kind::Aaaa, 0x1234).unwrap();
        let address: Ipv6Addr = "fd12::2".parse().unwrap();
        let answer = |data: &[u8]| {
            let mut message = question.clone();
            message[2..4].copy_from_slice(&[0x81, 0x80]);
            message[7] = 1;
            message.extend_from_slice(&[0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            message.extend_from_slice(data);
            parse(&message, &question, Kind::Aaaa)
        };
        let found = Reply::Addresses(vec![address.into()]);
        assert_eq!(answer(&address.octets()), Ok(found));
        assert_eq!(
            answer(&address.octets()[..15]),
            Ok(Reply::Addresses(vec![]))
        );
        assert_eq!(answer(&[10, 0, 2, 9]), Ok(Reply::Addresses(vec![])));
    }

    #[test]
    fn an_address_of_another_name_does_not_count() {
        let mut records = vec![3, b'e', b'v', b'l', 0];
        records.extend_from_slice(&A[2..]);
        let (message, question) = answer("www.lab", &records, 1, 0x8180);
        assert_eq!(
            parse(&message, &question, Kind::A),
            Ok(Reply::Addresses(vec![]))
        );
    }

    #[test]
    fn only_the_answer_to_this_question_is_taken() {
        let (message, question) = answer("www.lab", A, 1, 0x8180);
        assert!(parse(&message, &question, Kind::A).is_ok());
        for (at, value) in [(0, 0x99), (2, 0x01), (5, 2), (14, b'x')] {
            let mut other = message.clone();
            other[at] = value;
            assert_eq!(
                parse(&other, &question, Kind::A),
                Err(Unusable::NotOurs),
                "byte {at}"
            );
        }
    }

    #[test]
    fn each_kind_of_failure_has_its_own_answer() {
        let (message, question) = answer("www.lab", &[], 0, 0x8183);
        assert_eq!(parse(&message, &question, Kind::A), Ok(Reply::NoSuchName));
        let (message, question) = answer("www.lab", &[], 0, 0x8182);
        assert_eq!(
            parse(&message, &question, Kind::A),
            Err(Unusable::Refused(2))
        );
        let (message, question) = answer("www.lab", &[], 0, 0x8380);
        assert_eq!(
            parse(&message, &question, Kind::A),
            Err(Unusable::Truncated)
        );
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        let long = "a".repeat(64);
        for host in ["", ".", "a..b", long.as_str(), &"a.".repeat(128)] {
            assert_eq!(question(host, Kind::A, 1), None, "{host}");
        }
        assert_eq!(question("lab.", Kind::A, 1), question("lab", Kind::A, 1));
    }

    #[test]
    fn a_loop_of_pointers_ends() {
        let mut records = vec![0xc0, 12 + 9 + 4];
        records.extend_from_slice(&A[2..]);
        let (message, question) = answer("www.lab", &records, 1, 0x8180);
        assert_eq!(
            parse(&message, &question, Kind::A),
            Ok(Reply::Addresses(vec![]))
        );
    }

    proptest! {
        #[test]
        fn no_message_does_harm(tail in proptest::collection::vec(any::<u8>(), 0..200), count: u8) {
            let (message, question) = answer("www.lab", &tail, count, 0x8180);
            let _ = parse(&message, &question, Kind::A);
            let _ = parse(&tail, &question, Kind::A);
        }
    }
}
