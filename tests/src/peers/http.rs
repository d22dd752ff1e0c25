//! A web server (RFC 9110, 9112): a page, as many bytes as wanted, and uploads that are answered with their hash.
//!
//! `GET /` the page · `GET /bytes/N` N bytes of the [`pattern`](super::pattern()), whole or by `Range` · `/chunked/N` and
//! `/until-close/N` the same with the other two ways to say where a body ends · `/cut/N` N bytes of which only half come,
//! unless asked for by `Range` · `/to/URL` a redirect to there, or to a path · `PUT` or `POST` anywhere: the SHA-256 of the
//! body. The same over TLS, with a certificate of the lab's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::certificates::Certificate;
use super::pattern::{hexadecimal, pattern};
use super::tcp::TcpServer;
use crate::error::Result;

/// What is at `/`.
pub const PAGE: &str =
    "<!DOCTYPE html>\n<title>The lab</title>\n<p>This page came through the network stack.</p>\n";

const LONGEST_LINE: u64 = 8192;
const MOST_FIELDS: usize = 100;
const BLOCK: usize = 64 << 10;

/// A web server.
#[derive(Debug)]
pub struct HttpServer {
    tcp: TcpServer,
    requests: Arc<AtomicU64>,
}

impl HttpServer {
    /// Serves on `listener`.
    pub fn start(listener: TcpListener) -> Result<Self> {
        Self::serving(listener, |stream, count| {
            stream.set_nodelay(true)?;
            serve(&mut BufReader::new(stream), count)
        })
    }

    /// Serves on `listener` over TLS.
    pub fn start_tls(listener: TcpListener, certificate: Certificate) -> Result<Self> {
        let config = certificate.server()?;
        Self::serving(listener, move |stream, count| {
            stream.set_nodelay(true)?;
            let connection = rustls::ServerConnection::new(config.clone());
            let connection = connection.map_err(io::Error::other)?;
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
            serve(&mut reader, count)?;
            // A body up to the end is whole only with this farewell.
            let stream = reader.get_mut();
            stream.conn.send_close_notify();
            stream.flush()
        })
    }

    fn serving(
        listener: TcpListener,
        serve: impl Fn(&TcpStream, &AtomicU64) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let requests = Arc::new(AtomicU64::new(0));
        let count = requests.clone();
        let tcp = TcpServer::start(listener, move |stream| {
            // An error is a client that went away or talked nonsense: its connection ends, that is all.
            if let Err(error) = serve(&stream, &count) {
                log::debug!("web server: {error}");
            }
        })?;
        Ok(Self { tcp, requests })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.tcp.address()
    }

    /// How many requests it has answered.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    keep_alive: bool,
    content_length: Option<u64>,
    expects_continue: bool,
    range: Option<String>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
}

fn serve<S: Read + Write>(reader: &mut BufReader<S>, count: &AtomicU64) -> io::Result<()> {
    while let Some(request) = read_request(reader)? {
        let framing = respond(&request, reader)?;
        reader.get_mut().flush()?;
        count.fetch_add(1, Ordering::Relaxed);
        if !request.keep_alive || framing == Framing::UntilClose {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(nonsense(&line));
    };
    let keep_alive = version == "HTTP/1.1";
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        keep_alive,
        ..Request::default()
    };
    for _ in 0..MOST_FIELDS {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(request));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| nonsense(&line))?;
        request.set_field(name, value.trim())?;
    }
    Err(nonsense("too many header fields"))
}

impl Request {
    fn set_field(&mut self, name: &str, value: &str) -> io::Result<()> {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                self.content_length = Some(value.parse().map_err(|_| nonsense(value))?)
            }
            "connection" => self.keep_alive = !value.eq_ignore_ascii_case("close"),
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            "range" => self.range = Some(value.into()),
            _ => {}
        }
        Ok(())
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.take(LONGEST_LINE).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    match line.strip_suffix('\n') {
        Some(text) => Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned())),
        None => Err(nonsense("a line without an end")),
    }
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what}"))
}

fn respond<S: Read + Write>(request: &Request, reader: &mut BufReader<S>) -> io::Result<Framing> {
    match request.method.as_str() {
        "GET" | "HEAD" => get(request, reader.get_mut()),
        "PUT" | "POST" => receive(request, reader),
        _ => text(
            request,
            reader.get_mut(),
            "405 Method Not Allowed",
            "Only GET, HEAD, PUT and POST.\n",
        ),
    }
}

fn get(request: &Request, stream: &mut impl Write) -> io::Result<Framing> {
    if let Some(place) = request.path.strip_prefix("/to/") {
        let slash = if place.contains("://") { "" } else { "/" };
        let status = format!("302 Found\r\nLocation: {slash}{place}");
        return text(request, stream, &status, "It is elsewhere.\n");
    }
    let size = |digits: &str| digits.parse::<u64>().ok();
    match request
        .path
        .split('/')
        .skip(1)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [""] => text(request, stream, "200 OK", PAGE),
        ["bytes", digits] if let Some(length) = size(digits) => {
            generated(request, stream, length, Framing::Length)
        }
        ["cut", digits] if let Some(length) = size(digits) => match &request.range {
            Some(_) => generated(request, stream, length, Framing::Length),
            None => cut(stream, length),
        },
        ["chunked", digits] if let Some(length) = size(digits) => {
            generated(request, stream, length, Framing::Chunked)
        }
        ["until-close", digits] if let Some(length) = size(digits) => {
            generated(request, stream, length, Framing::UntilClose)
        }
        _ => text(request, stream, "404 Not Found", "There is no such page.\n"),
    }
}

fn text(
    request: &Request,
    stream: &mut impl Write,
    status: &str,
    body: &str,
) -> io::Result<Framing> {
    let kind = if body == PAGE {
        "text/html"
    } else {
        "text/plain"
    };
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    if request.method != "HEAD" {
        answer.push_str(body);
    }
    stream.write_all(answer.as_bytes())?;
    Ok(Framing::Length)
}

fn generated(
    request: &Request,
    stream: &mut impl Write,
    length: u64,
    framing: Framing,
) -> io::Result<Framing> {
    let range = request
        .range
        .as_deref()
        .filter(|_| framing == Framing::Length);
    let (start, end, status) = match range.map(|range| parse_range(range, length)) {
        None | Some(Range::Ignored) => (0, length, "200 OK".to_owned()),
        Some(Range::Part(start, end)) => (
            start,
            end,
            format!(
                "206 Partial Content\r\nContent-Range: bytes {start}-{}/{length}",
                end - 1
            ),
        ),
        Some(Range::Outside) => {
            let status = format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{length}");
            return text(request, stream, &status, "There are not so many bytes.\n");
        }
    };
    let fields = match framing {
        Framing::Length => format!(
            "Content-Length: {}\r\nAccept-Ranges: bytes\r\n",
            end - start
        ),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        Framing::UntilClose => "Connection: close\r\n".to_owned(),
    };
    let header =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n{fields}\r\n");
    stream.write_all(header.as_bytes())?;
    if request.method != "HEAD" {
        write_pattern(stream, start, end, framing)?;
    }
    Ok(framing)
}

/// Promises `length` bytes, sends half of them and breaks off.
fn cut(stream: &mut impl Write, length: u64) -> io::Result<Framing> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    )?;
    write_pattern(stream, 0, length / 2, Framing::Length)?;
    stream.flush()?;
    Err(io::Error::other("cut, as asked for"))
}

fn write_pattern(
    stream: &mut impl Write,
    start: u64,
    end: u64,
    framing: Framing,
) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    let mut offset = start;
    while offset < end {
        let length = (end - offset).min(BLOCK as u64);
        let block = buffer.get_mut(..length as usize).unwrap_or_default();
        pattern(offset, block);
        if framing == Framing::Chunked {
            stream.write_all(format!("{length:x}\r\n").as_bytes())?;
        }
        stream.write_all(block)?;
        if framing == Framing::Chunked {
            stream.write_all(b"\r\n")?;
        }
        offset += length;
    }
    if framing == Framing::Chunked {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// From the first byte to before the second.
    Part(u64, u64),
    Outside,
    /// RFC 9110 14.2: a server may ignore what it does not understand.
    Ignored,
}

/// RFC 9110 14.1.2: "bytes=first-last", "bytes=first-", "bytes=-count"; one range only.
fn parse_range(text: &str, length: u64) -> Range {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Range::Ignored;
    };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.is_empty() => (first, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Range::Ignored,
    };
    if start < end {
        Range::Part(start, end)
    } else {
        Range::Outside
    }
}

fn receive<S: Read + Write>(request: &Request, body: &mut BufReader<S>) -> io::Result<Framing> {
    let Some(length) = request.content_length else {
        // Without a length the body cannot be skipped, so this is the connection's last answer.
        text(
            request,
            body.get_mut(),
            "411 Length Required",
            "How many bytes?\n",
        )?;
        return Ok(Framing::UntilClose);
    };
    if request.expects_continue {
        body.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        body.get_mut().flush()?;
    }
    let mut hash = Sha256::new();
    let received = io::copy(&mut body.by_ref().take(length), &mut hash)?;
    if received < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    text(
        request,
        body.get_mut(),
        "200 OK",
        &format!("{}\n", hexadecimal(&hash.finalize())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-9", Range::Part(0, 10)),
            ("bytes=90-", Range::Part(90, 100)),
            ("bytes=-1", Range::Part(99, 100)),
            ("bytes=-1000", Range::Part(0, 100)),
            ("bytes=50-18446744073709551615", Range::Part(50, 100)),
            ("bytes=100-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=9-3", Range::Ignored),
            ("bytes=1-2,5-6", Range::Ignored),
            ("lines=1-2", Range::Ignored),
        ] {
            assert_eq!(parse_range(text, 100), expected, "{text}");
        }
    }
}
