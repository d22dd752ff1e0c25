//! A name server for the names that the test says (RFC 1035), with the failures that real ones have.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::Result;
use crate::wait::Stop;

/// What the server does when it is asked for the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// These addresses.
    Addresses(Vec<Ipv4Addr>),
    /// RCODE 3, "Name Error". The answer for every name that was not configured.
    NoSuchName,
    /// RCODE 2, "Server failure".
    ServerFailure,
    /// Nothing at all.
    Silence,
    /// No answer and the TC bit: ask again over TCP (which nobody serves).
    Truncated,
}

/// A name server on UDP.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    questions: Arc<Mutex<Vec<String>>>,
}

const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
const TIME_TO_LIVE: u32 = 60;
const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;
const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
const NAME_ERROR: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const HEADER: usize = 12;

impl DnsServer {
    /// Answers questions on `socket`. Names are compared without regard to case.
    pub fn start<'a>(
        socket: UdpSocket,
        names: impl IntoIterator<Item = (&'a str, DnsAnswer)>,
    ) -> Result<Self> {
        let names: HashMap<String, DnsAnswer> = names
            .into_iter()
            .map(|(name, answer)| (name.to_ascii_lowercase(), answer))
            .collect();
        let address = socket.local_addr()?;
        let (stop, questions) = (Arc::new(Stop::new()?), Arc::new(Mutex::new(Vec::new())));
        let (stopped, asked) = (stop.clone(), questions.clone());
        let thread = std::thread::Builder::new()
            .name(format!("names {address}"))
            .spawn(move || serve(&socket, &stopped, &names, &asked))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
            questions,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names that were asked for, in order, repeats included.
    pub fn questions(&self) -> Vec<String> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    socket: &UdpSocket,
    stop: &Stop,
    names: &HashMap<String, DnsAnswer>,
    asked: &Mutex<Vec<String>>,
) {
    let mut buffer = [0; 1500];
    while stop.wait_readable(socket) {
        // An error is the ICMP answer to an earlier reply: its client has gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(query) = buffer.get(..length) else {
            continue;
        };
        if let Some(reply) = answer(query, names, asked) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// The reply to a message; None for none.
fn answer(
    query: &[u8],
    names: &HashMap<String, DnsAnswer>,
    asked: &Mutex<Vec<String>>,
) -> Option<Vec<u8>> {
    // RFC 1035 4.1.1: id, QR|OPCODE|AA|TC|RD, RA|Z|RCODE, then four counts.
    let header = query.first_chunk::<HEADER>()?;
    let (flags, questions) = (header[2], u16::from_be_bytes([header[4], header[5]]));
    if flags & RESPONSE != 0 {
        return None;
    }
    if flags & OPCODE != 0 {
        return Some(reply(header, &[], 0, NOT_IMPLEMENTED, &[]));
    }
    let question = parse_question(query.get(HEADER..)?).filter(|_| questions == 1);
    let Some(Question {
        name,
        kind,
        class,
        bytes,
    }) = question
    else {
        return Some(reply(header, &[], 0, FORMAT_ERROR, &[]));
    };
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(name.clone());
    match names
        .get(&name.to_ascii_lowercase())
        .unwrap_or(&DnsAnswer::NoSuchName)
    {
        DnsAnswer::Silence => None,
        DnsAnswer::NoSuchName => Some(reply(header, bytes, 0, NAME_ERROR, &[])),
        DnsAnswer::ServerFailure => Some(reply(header, bytes, 0, SERVER_FAILURE, &[])),
        DnsAnswer::Truncated => Some(reply(header, bytes, TRUNCATED, 0, &[])),
        DnsAnswer::Addresses(addresses) if (kind, class) == (TYPE_A, CLASS_IN) => {
            Some(reply(header, bytes, 0, 0, addresses))
        }
        // The name exists; it has nothing of that type (RFC 2308 2.2, NODATA).
        DnsAnswer::Addresses(_) => Some(reply(header, bytes, 0, 0, &[])),
    }
}

struct Question<'a> {
    name: String,
    kind: u16,
    class: u16,
    bytes: &'a [u8],
}

/// RFC 1035 4.1.2: labels, type, class.
fn parse_question(section: &[u8]) -> Option<Question<'_>> {
    let mut labels: Vec<String> = Vec::new();
    let mut position = 0;
    loop {
        let length = usize::from(*section.get(position)?);
        position += 1;
        match length {
            0 => break,
            1..=63 => labels.push(
                String::from_utf8_lossy(section.get(position..position + length)?).into_owned(),
            ),
            // 4.1.4: a pointer, of which a first question has no need.
            _ => return None,
        }
        position += length;
    }
    let [kind_high, kind_low, class_high, class_low] =
        *section.get(position..)?.first_chunk::<4>()?;
    Some(Question {
        name: labels.join("."),
        kind: u16::from_be_bytes([kind_high, kind_low]),
        class: u16::from_be_bytes([class_high, class_low]),
        bytes: section.get(..position + 4)?,
    })
}

fn reply(
    header: &[u8; HEADER],
    question: &[u8],
    flags: u8,
    rcode: u8,
    addresses: &[Ipv4Addr],
) -> Vec<u8> {
    let questions = u16::from(!question.is_empty());
    let answers = u16::try_from(addresses.len()).unwrap_or(u16::MAX);
    let mut message = vec![
        header[0],
        header[1],
        RESPONSE | header[2] & (OPCODE | RECURSION_DESIRED) | flags,
        RECURSION_AVAILABLE | rcode,
    ];
    for count in [questions, answers, 0, 0] {
        message.extend(count.to_be_bytes());
    }
    message.extend(question);
    for address in addresses.iter().take(answers.into()) {
        // 4.1.4: the name is the question's, which starts behind the header.
        message.extend([0xc0, HEADER as u8]);
        message.extend(TYPE_A.to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(TIME_TO_LIVE.to_be_bytes());
        message.extend(4u16.to_be_bytes());
        message.extend(address.octets());
    }
    message
}
