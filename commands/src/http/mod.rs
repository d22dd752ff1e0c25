//! HTTP/1.1 as a client (RFC 9112): one request, one response, the body as a stream. Whatever a server sends is bounded:
//! its headers, the number of its interim responses, its lines; a body is copied and not kept.

mod head;
#[cfg(test)]
mod tests;

use std::io::Write;

use netscheme::Instant;

use crate::Error;
use crate::stream::Transport;

use head::parse;
pub(crate) use head::{Framing, Head};

/// Bytes of status line and headers accepted from a server.
const LARGEST_HEAD: usize = 64 * 1024;
/// Interim responses (1xx) passed over.
const MOST_INTERIM: usize = 16;
/// Bytes of a line between chunks.
const LONGEST_LINE: usize = 8 * 1024;
/// Lines of a trailer section.
const MOST_TRAILERS: usize = 128;
/// Bytes moved at once.
const CHUNK: usize = 64 * 1024;

/// A connection and what has been read from it beyond what was asked for.
pub(crate) struct Connection {
    transport: Box<dyn Transport>,
    ahead: Vec<u8>,
    interim: usize,
}

impl Connection {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Connection {
        Connection {
            transport,
            ahead: Vec::new(),
            interim: 0,
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transport.write_all(bytes)
    }

    /// Reads on into `ahead`; false at the end of the stream, `None` when `until` came first.
    fn read_more(&mut self, until: Option<Instant>) -> Result<Option<bool>, Error> {
        let start = self.ahead.len();
        self.ahead.resize(start.saturating_add(CHUNK), 0);
        let room = self.ahead.get_mut(start..).unwrap_or_default();
        let read = self.transport.read_until(room, until);
        let n = read.as_ref().ok().copied().flatten().unwrap_or(0);
        self.ahead.truncate(start.saturating_add(n));
        Ok(read?.map(|n| n > 0))
    }

    /// Is there more to read? Without a time, the wait is for the connection's own deadline.
    fn more(&mut self) -> Result<bool, Error> {
        Ok(self.read_more(None)?.unwrap_or(false))
    }

    /// Reads a response's head; interim responses are passed over.
    pub(crate) fn read_head(&mut self) -> Result<Head, Error> {
        loop {
            if let Some(head) = self.next_head(None)?
                && !head.is_interim()
            {
                return Ok(head);
            }
        }
    }

    /// Waits for leave to send a body (RFC 9110 10.1.1). `None` is leave: 100 (Continue), or silence until `until`; a
    /// head is the final answer, and the body is not wanted.
    pub(crate) fn wait_for_leave(&mut self, until: Instant) -> Result<Option<Head>, Error> {
        loop {
            match self.next_head(Some(until))? {
                None => return Ok(None),
                Some(head) if head.status == 100 => return Ok(None),
                Some(head) if head.is_interim() => {}
                Some(head) => return Ok(Some(head)),
            }
        }
    }

    /// The next head, interim ones too.
    fn next_head(&mut self, until: Option<Instant>) -> Result<Option<Head>, Error> {
        loop {
            match parse(&self.ahead)? {
                Some((head, length)) => {
                    self.ahead.drain(..length.min(self.ahead.len()));
                    self.interim = self.interim.saturating_add(usize::from(head.is_interim()));
                    if self.interim > MOST_INTERIM {
                        return Err(Error::Answer(
                            "the server's interim answers never end".into(),
                        ));
                    }
                    return Ok(Some(head));
                }
                None if self.ahead.len() > LARGEST_HEAD => {
                    return Err(Error::Answer("the server's headers never end".into()));
                }
                None => match self.read_more(until)? {
                    None => return Ok(None),
                    Some(true) => {}
                    Some(false) => {
                        return Err(Error::Answer(format!(
                            "the server closed the connection after {} bytes, before its headers were whole",
                            self.ahead.len()
                        )));
                    }
                },
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
            if self.ahead.is_empty() && !self.more()? {
                return match length {
                    None => Ok(()),
                    Some(length) => Err(Error::Answer(format!(
                        "the transfer ended after {} of {length} bytes",
                        length.saturating_sub(left)
                    ))),
                };
            }
            let n = usize::try_from(left).unwrap_or(usize::MAX);
            let n = n.min(self.ahead.len());
            sink.take(self.ahead.get(..n).unwrap_or_default())?;
            self.ahead.drain(..n);
            left = left.saturating_sub(n as u64);
        }
        Ok(())
    }

    /// RFC 9112 7.1.
    fn copy_chunks(&mut self, sink: &mut Sink<'_>) -> Result<(), Error> {
        loop {
            let line = self.read_line()?;
            match chunk_length(&line) {
                None => {
                    let line: String = line.chars().filter(|c| !c.is_control()).take(80).collect();
                    return Err(Error::Answer(format!("\"{line}\" is no length of a chunk")));
                }
                Some(0) => return self.skip_trailers(),
                Some(length) => {
                    self.copy(Some(length), sink)?;
                    if !self.read_line()?.is_empty() {
                        return Err(Error::Answer(format!(
                            "a chunk is longer than the {length} bytes that the server said"
                        )));
                    }
                }
            }
        }
    }

    /// Trailers, up to an empty line (RFC 9112 7.1.2).
    fn skip_trailers(&mut self) -> Result<(), Error> {
        for _ in 0..MOST_TRAILERS {
            if self.read_line()?.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Answer("the server's trailers never end".into()))
    }

    fn read_line(&mut self) -> Result<String, Error> {
        loop {
            let end = self
                .ahead
                .iter()
                .take(LONGEST_LINE)
                .position(|&b| b == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.ahead.len() > LONGEST_LINE {
                return Err(Error::Answer("a line of the server never ends".into()));
            }
            if !self.more()? {
                return Err(Error::Answer(
                    "the transfer ended in the middle of a chunk".into(),
                ));
            }
        }
    }
}

/// The length in front of a chunk; extensions behind it mean nothing here.
fn chunk_length(line: &str) -> Option<u64> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
    // from_str_radix would take a sign.
    u64::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)
}

struct Sink<'a> {
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(u64),
    count: u64,
}

impl Sink<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes)?;
        self.count = self.count.saturating_add(bytes.len() as u64);
        (self.progress)(self.count);
        Ok(())
    }
}
