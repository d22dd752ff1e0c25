//! A name server for the names that the test says (RFC 1035), with the failures that real ones have.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::tcp::TcpServer;
use crate::error::Result;
use crate::wait::Stop;

/// What the server does when it is asked for the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsAnswer {
    /// These addresses, to who asks for their family.
    Addresses(Vec<IpAddr>),
    /// RCODE 3, "Name Error". The answer for every name that was not configured.
    NoSuchName,
    /// RCODE 2, "Server failure".
    ServerFailure,
    /// Nothing at all.
    Silence,
    /// These addresses over TCP; over UDP no answer and the TC bit: ask again.
    Truncated(Vec<IpAddr>),
}

impl DnsAnswer {
    /// One address of one family or both.
    pub fn at<A: Into<IpAddr>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self::Addresses(addresses.into_iter().map(Into::into).collect())
    }
}

/// A name server on UDP, and on TCP if it is given a listener.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
    tcp: Option<TcpServer>,
    zone: Arc<Zone>,
}

/// What it knows, and what it was asked.
#[derive(Debug)]
struct Zone {
    names: HashMap<String, DnsAnswer>,
    questions: Mutex<Vec<String>>,
}

/// What a message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
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
        let names = names
            .into_iter()
            .map(|(name, answer)| (name.to_ascii_lowercase(), answer))
            .collect();
        let zone = Arc::new(Zone {
            names,
            questions: Mutex::default(),
        });
        let address = socket.local_addr()?;
        let stop = Arc::new(Stop::new()?);
        let (stopped, asked) = (stop.clone(), zone.clone());
        let thread = std::thread::Builder::new()
            .name(format!("names {address}"))
            .spawn(move || serve(&socket, &stopped, &asked))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
            tcp: None,
            zone,
        })
    }

    /// Answers on TCP too.
    pub fn also_on(mut self, listener: TcpListener) -> Result<Self> {
        let zone = self.zone.clone();
        let server = TcpServer::start(listener, move |stream| {
            // An error is a client that went away.
            let _ = serve_stream(stream, &zone);
        })?;
        self.tcp = Some(server);
        Ok(self)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The names that were asked for, in order, repeats included.
    pub fn questions(&self) -> Vec<String> {
        self.zone
            .questions
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

fn serve(socket: &UdpSocket, stop: &Stop, zone: &Zone) {
    let mut buffer = [0; 1500];
    while stop.wait_readable(socket) {
        // An error is the ICMP answer to an earlier reply: its client has gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(query) = buffer.get(..length) else {
            continue;
        };
        if let Some(reply) = answer(query, zone, Transport::Udp) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// RFC 1035 4.2.2: two bytes of length stand before each message.
fn serve_stream(mut stream: TcpStream, zone: &Zone) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        let Some(reply) = answer(&query, zone, Transport::Tcp) else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), reply.as_slice()].concat())?;
    }
}

/// The reply to a message; None for none.
fn answer(query: &[u8], zone: &Zone, transport: Transport) -> Option<Vec<u8>> {
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
    zone.questions
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(name.clone());
    match zone
        .names
        .get(&name.to_ascii_lowercase())
        .unwrap_or(&DnsAnswer::NoSuchName)
    {
        DnsAnswer::Silence => None,
        DnsAnswer::NoSuchName => Some(reply(header, bytes, 0, NAME_ERROR, &[])),
        DnsAnswer::ServerFailure => Some(reply(header, bytes, 0, SERVER_FAILURE, &[])),
        DnsAnswer::Truncated(_) if transport == Transport::Udp => {
            Some(reply(header, bytes, TRUNCATED, 0, &[]))
        }
        DnsAnswer::Addresses(addresses) | DnsAnswer::Truncated(addresses) => {
            // None of that type: the name exists all the same (RFC 2308 2.2, NODATA).
            let wanted = |address: &&IpAddr| (record_type(**address), CLASS_IN) == (kind, class);
            let addresses: Vec<IpAddr> = addresses.iter().filter(wanted).copied().collect();
            Some(reply(header, bytes, 0, 0, &addresses))
        }
    }
}

fn record_type(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => TYPE_A,
        IpAddr::V6(_) => TYPE_AAAA,
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
    addresses: &[IpAddr],
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
        message.extend(record_type(*address).to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message.extend(TIME_TO_LIVE.to_be_bytes());
        match address {
            IpAddr::V4(v4) => {
                message.extend(4u16.to_be_bytes());
                message.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                message.extend(16u16.to_be_bytes());
                message.extend(v6.octets());
            }
        }
    }
    message
}
