//! One question to one name server: over UDP first, over TCP if the answer does not fit.

use core::net::IpAddr;
use core::time::Duration;

use netscheme::reactor::{Event, Reactor};
use netscheme::{Instant, clock};
use syscall::error::{EAGAIN, EWOULDBLOCK};
use syscall::flag::{EventFlags, O_NONBLOCK, O_RDWR};

use super::Asking;
use super::message::{Kind, Reply, Unusable, parse, question};
use crate::Error;
use crate::address::Address;
use crate::connect::connect;
use crate::fd::OpenedFile;
use crate::stream::Deadline;
use crate::wait::{Waiting, after};

const PORT: u16 = 53;
/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
/// RFC 1035 4.2.1; a server that is not asked by EDNS sends no more than 512 bytes.
const LARGEST: usize = 1500;

/// A question that was sent.
struct Exchange {
    kind: Kind,
    question: Vec<u8>,
    socket: OpenedFile,
    outcome: Option<Result<Reply, Error>>,
}

impl Exchange {
    /// Each question has a socket, and so a source port, of its own (RFC 5452 section 9.2).
    fn start(server: &Address, host: &str, kind: Kind, id: u16) -> Result<Exchange, Error> {
        let question = question(host, kind, id)
            .ok_or_else(|| Error::Answer(format!("\"{host}\" cannot be a name of a machine")))?;
        let path = format!("/scheme/udp/{}", server.with_port(PORT));
        let socket = OpenedFile::open(&path, O_RDWR | O_NONBLOCK)?;
        socket.write_all(&question)?;
        Ok(Exchange {
            kind,
            question,
            socket,
            outcome: None,
        })
    }

    /// Reads what has come, until an answer is among it.
    fn look(&mut self, server: &Address, host: &str, deadline: Instant) {
        let mut buffer = [0; LARGEST];
        while self.outcome.is_none() {
            let n = match self.socket.read(&mut buffer) {
                Ok(n) => n,
                Err(Error::Call {
                    errno: EAGAIN | EWOULDBLOCK,
                    ..
                }) => return,
                Err(error) => {
                    self.outcome = Some(Err(error));
                    return;
                }
            };
            let message = buffer.get(..n).unwrap_or_default();
            self.outcome = match parse(message, &self.question, self.kind) {
                Ok(reply) => Some(Ok(reply)),
                Err(Unusable::NotOurs) => None,
                Err(Unusable::Truncated) => Some(over_tcp(server, host, self, deadline)),
                Err(Unusable::Refused(code)) => Some(Err(refused(server, host, code))),
            };
        }
    }

    fn has_addresses(&self) -> bool {
        matches!(&self.outcome, Some(Ok(Reply::Addresses(found))) if !found.is_empty())
    }
}

/// Asks `server` for all `kinds` of addresses of `host` at once.
///
/// # Errors
/// Why there is no answer; addresses of one kind are an answer, even if the other has none.
pub(super) fn ask(
    server: &Address,
    host: &str,
    kinds: &[Kind],
    asking: &mut Asking,
) -> Result<Reply, Error> {
    let failed = |e: syscall::Error| Error::call("waiting for an answer", e.into());
    let mut reactor = Reactor::new().map_err(failed)?;
    let mut exchanges = Vec::new();
    for &kind in kinds {
        let exchange = Exchange::start(server, host, kind, asking.id())?;
        reactor
            .watch(exchange.socket.raw(), 0, EventFlags::EVENT_READ)
            .map_err(failed)?;
        exchanges.push(exchange);
    }
    let latest = latest(asking.deadline);
    let mut deadline = latest;
    let mut delayed = false;
    let mut events: Vec<Event> = Vec::new();
    loop {
        for exchange in &mut exchanges {
            exchange.look(server, host, latest);
        }
        if !delayed && exchanges.iter().any(Exchange::has_addresses) {
            deadline = deadline.min(after(asking.patience));
            delayed = true;
        }
        let waiting = exchanges.iter().any(|exchange| exchange.outcome.is_none());
        if !waiting || clock::now() >= deadline {
            return summary(server, host, exchanges);
        }
        reactor.wait(Some(deadline), &mut events).map_err(failed)?;
    }
}

/// Until when one server may take.
fn latest(deadline: Deadline) -> Instant {
    let long = after(TIMEOUT);
    deadline.until().map_or(long, |until| until.min(long))
}

/// One reply from those to all questions.
fn summary(server: &Address, host: &str, exchanges: Vec<Exchange>) -> Result<Reply, Error> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut failure = None;
    for exchange in exchanges {
        match exchange.outcome {
            Some(Ok(Reply::Addresses(found))) => addresses.extend(found),
            Some(Ok(Reply::NoSuchName)) => return Ok(Reply::NoSuchName),
            Some(Err(error)) => failure = Some(error),
            None => failure = Some(silent(server, host)),
        }
    }
    match failure {
        Some(error) if addresses.is_empty() => Err(error),
        _ => Ok(Reply::Addresses(addresses)),
    }
}

fn silent(server: &Address, host: &str) -> Error {
    Error::Answer(format!(
        "{host}: the name server {server} did not answer within {} s",
        TIMEOUT.as_secs()
    ))
}

fn refused(server: &Address, host: &str, code: u16) -> Error {
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
fn over_tcp(
    server: &Address,
    host: &str,
    exchange: &Exchange,
    deadline: Instant,
) -> Result<Reply, Error> {
    let until = Deadline::at("a name server's time", TIMEOUT, deadline);
    let socket = connect(core::slice::from_ref(server), PORT, until)?;
    let length = u16::try_from(exchange.question.len())
        .unwrap_or(0)
        .to_be_bytes();
    socket.write_all(&[&length, exchange.question.as_slice()].concat())?;
    socket.set_nonblocking(true)?;
    let mut socket = Waiting::new(socket)?;
    let mut message = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let whole = message
            .first_chunk::<2>()
            .map(|length| 2 + usize::from(u16::from_be_bytes(*length)));
        if let Some(answer) = whole.and_then(|end| message.get(2..end)) {
            return parse(answer, &exchange.question, exchange.kind).map_err(|unusable| {
                match unusable {
                    Unusable::Refused(code) => refused(server, host, code),
                    _ => Error::Answer(format!("{host}: a useless answer over TCP from {server}")),
                }
            });
        }
        match socket.read_until(deadline, &mut buffer)? {
            None => return Err(silent(server, host)),
            Some(0) => {
                return Err(Error::Answer(format!(
                    "{host}: the name server {server} closed the connection before its answer was whole"
                )));
            }
            Some(n) => message.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
}
