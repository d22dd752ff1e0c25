//! HTTP/1.1 as a client (RFC 9112): one request, one response, the body as a stream.

use std::io::Write;

use crate::Error;
use crate::fd::OpenedFile;

/// Bytes of status line and headers accepted from a server.
const LARGEST_HEAD: usize = 64 * 1024;
/// Headers accepted from a server.
const MOST_HEADERS: usize = 128;
/// Bytes moved at once.
const CHUNK: usize = 64 * 1024;

/// The status line and headers of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// How the end of the body is found (RFC 9112 6.3).
    pub(crate) fn framing(&self, method: &str) -> Result<Framing, Error> {
        if method == "HEAD" || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if let Some(coding) = self.header("transfer-encoding") {
            return match coding.eq_ignore_ascii_case("chunked") {
                true => Ok(Framing::Chunked),
                false => Err(Error::Answer(format!(
                    "the server sends transfer coding \"{coding}\", which is not known here"
                ))),
            };
        }
        match self.header("content-length") {
            None => Ok(Framing::UntilClose),
            Some(text) => text
                .parse()
                .map(Framing::Length)
                .map_err(|_| Error::Answer(format!("the server says content-length \"{text}\""))),
        }
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks with their lengths in front.
    Chunked,
    /// The server closes the connection.
    UntilClose,
}

/// A connection and what has been read from it beyond what was asked for.
pub(crate) struct Connection {
    socket: OpenedFile,
    ahead: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(socket: OpenedFile) -> Connection {
        Connection {
            socket,
            ahead: Vec::new(),
        }
    }

    pub(crate) fn write_all(&self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes)
    }

    /// Reads on into `ahead`; false at the end of the stream.
    fn read_more(&mut self) -> Result<bool, Error> {
        let start = self.ahead.len();
        self.ahead.resize(start + CHUNK, 0);
        let read = self
            .socket
            .read(self.ahead.get_mut(start..).unwrap_or_default());
        self.ahead
            .truncate(start + read.as_ref().copied().unwrap_or(0));
        Ok(read? > 0)
    }

    /// Reads a response's head; interim responses (1xx) are passed over.
    pub(crate) fn read_head(&mut self) -> Result<Head, Error> {
        loop {
            match parse_head(&self.ahead)? {
                Some((head, length)) => {
                    self.ahead.drain(..length);
                    if !(100..=199).contains(&head.status) {
                        return Ok(head);
                    }
                }
                None if self.ahead.len() > LARGEST_HEAD => {
                    return Err(Error::Answer("the server's headers never end".into()));
                }
                None => {
                    if !self.read_more()? {
                        return Err(Error::Answer(format!(
                            "the server closed the connection after {} bytes, before its headers were whole",
                            self.ahead.len()
                        )));
                    }
                }
            }
        }
    }

    /// Copies the body to `out` and returns its length; `progress` hears the bytes so far.
    pub(crate) fn read_body(
        &mut self,
        framing: Framing,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let mut sink = Sink {
            out,
            progress,
            count: 0,
        };
        match framing {
            Framing::Length(length) => self.copy(Some(length), &mut sink)?,
            Framing::UntilClose => self.copy(None, &mut sink)?,
            Framing::Chunked => self.copy_chunks(&mut sink)?,
        }
        Ok(sink.count)
    }

    /// Copies `length` bytes, or everything up to the end of the stream.
    fn copy(&mut self, length: Option<u64>, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut left = length.unwrap_or(u64::MAX);
        while left > 0 {
            if self.ahead.is_empty() && !self.read_more()? {
                return match length {
                    None => Ok(()),
                    Some(length) => Err(Error::Answer(format!(
                        "the transfer ended after {} of {length} bytes",
                        length - left
                    ))),
                };
            }
            let n = self
                .ahead
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            sink.take(self.ahead.get(..n).unwrap_or_default())?;
            self.ahead.drain(..n);
            left -= n as u64;
        }
        Ok(())
    }

    /// RFC 9112 7.1.
    fn copy_chunks(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = match digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                true => u64::from_str_radix(digits, 16).ok(),
                false => None,
            };
            match length {
                None => {
                    return Err(Error::Answer(format!("\"{line}\" is no length of a chunk")));
                }
                Some(0) => {
                    // Trailers, up to an empty line.
                    while !self.read_line()?.is_empty() {}
                    return Ok(());
                }
                Some(length) => {
                    self.copy(Some(length), sink)?;
                    self.read_line()?;
                }
            }
        }
    }

    fn read_line(&mut self) -> Result<String, Error> {
        loop {
            if let Some(end) = self.ahead.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.ahead.len() > LARGEST_HEAD {
                return Err(Error::Answer("a line of the server never ends".into()));
            }
            if !self.read_more()? {
                return Err(Error::Answer(
                    "the transfer ended in the middle of a chunk".into(),
                ));
            }
        }
    }
}

struct Sink<'a> {
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(u64),
    count: u64,
}

impl Sink<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes)?;
        self.count += bytes.len() as u64;
        (self.progress)(self.count);
        Ok(())
    }
}

/// Parses a head off the front of `bytes`; `None` while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let headers = response.headers.iter().map(|header| {
                let value = String::from_utf8_lossy(header.value).trim().to_owned();
                (header.name.to_ascii_lowercase(), value)
            });
            let head = Head {
                status: response.code.unwrap_or(0),
                reason: response.reason.unwrap_or_default().to_owned(),
                headers: headers.collect(),
            };
            Ok(Some((head, length)))
        }
        Err(error) => Err(Error::Answer(format!(
            "what the server sent is no HTTP response: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        parse_head(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn the_end_of_a_body_is_found_as_the_rfc_says() {
        let framing = |headers: &str, method: &str| {
            head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).framing(method)
        };
        assert_eq!(
            framing("Content-Length: 12\r\n", "GET").unwrap(),
            Framing::Length(12)
        );
        assert_eq!(
            framing("Content-Length: 12\r\n", "HEAD").unwrap(),
            Framing::Length(0)
        );
        assert_eq!(
            framing(
                "Content-Length: 12\r\nTransfer-Encoding: Chunked\r\n",
                "GET"
            )
            .unwrap(),
            Framing::Chunked
        );
        assert_eq!(framing("", "GET").unwrap(), Framing::UntilClose);
        assert!(framing("Content-Length: -1\r\n", "GET").is_err());
        assert!(framing("Transfer-Encoding: gzip\r\n", "GET").is_err());
    }

    #[test]
    fn half_a_head_waits_for_the_rest_and_no_head_is_an_error() {
        assert!(
            parse_head(b"HTTP/1.1 200 OK\r\nServer: x")
                .unwrap()
                .is_none()
        );
        assert!(parse_head(b"SSH-2.0-OpenSSH\r\n").is_err());
        assert_eq!(head("HTTP/1.1 404 Not Found\r\n\r\n").reason, "Not Found");
    }
}
