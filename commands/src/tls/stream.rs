//! A TLS connection over a TCP connection. rustls does no input or output itself: here its records are carried.

use core::ops::Range;
use std::io::{self, Read, Write};

use netscheme::Instant;
use rustls::{ClientConnection, ProtocolVersion};

use super::failure::explain;
use crate::Error;
use crate::stream::{Deadline, TcpStream, Transport};

/// Bytes taken from the network at once: a record and its header (RFC 8446 section 5.2) fit.
const CHUNK: usize = 64 * 1024;
/// Bytes encrypted at once, before they are sent: bounds what rustls keeps.
const PIECE: usize = 64 * 1024;

/// The client's end of a TLS connection.
pub(crate) struct TlsStream {
    connection: ClientConnection,
    stream: TcpStream,
    host: String,
    roots: String,
    buffer: Vec<u8>,
    /// What of `buffer` rustls has not taken yet.
    ahead: Range<usize>,
    /// The peer has closed TCP.
    closed: bool,
}

impl TlsStream {
    pub(super) fn new(
        connection: ClientConnection,
        stream: TcpStream,
        host: &str,
        roots: &str,
    ) -> TlsStream {
        TlsStream {
            connection,
            stream,
            host: host.into(),
            roots: roots.into(),
            buffer: vec![0; CHUNK],
            ahead: 0..0,
            closed: false,
        }
    }

    /// Exchanges records until the peer is known.
    pub(super) fn handshake(&mut self) -> Result<(), Error> {
        while self.connection.is_handshaking() {
            self.send()?;
            if self.connection.is_handshaking() && self.receive(None)?.is_some() && self.closed {
                return Err(Error::Answer(format!(
                    "{} closed the connection in the middle of the TLS handshake: does it speak TLS on this port?",
                    self.host
                )));
            }
        }
        self.send()
    }

    /// From here on another deadline holds.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.stream.set_deadline(deadline);
    }

    /// Version, cipher and key exchange, for `-v`.
    pub(crate) fn description(&self) -> String {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let suite = self.connection.negotiated_cipher_suite();
        let group = self.connection.negotiated_key_exchange_group();
        format!(
            "{version}, {}, {}; trusted by {}",
            suite.map_or(String::new(), |s| format!("{:?}", s.suite())),
            group.map_or(String::new(), |g| format!("{:?}", g.name())),
            self.roots
        )
    }

    /// Sends the records that are ready.
    fn send(&mut self) -> Result<(), Error> {
        let mut records = Vec::new();
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            if self.connection.write_tls(&mut records)? == 0 {
                break;
            }
        }
        self.stream.write_all(&records)
    }

    /// Takes some of what has come and decrypts it; `None` when `until` came first. rustls keeps only a little: what it
    /// does not take yet waits in `ahead`.
    fn receive(&mut self, until: Option<Instant>) -> Result<Option<()>, Error> {
        if self.ahead.is_empty() {
            let Some(n) = self.stream.read_until(&mut self.buffer, until)? else {
                return Ok(None);
            };
            self.closed |= n == 0;
            self.ahead = 0..n;
        }
        // Zero bytes are the end of the stream to rustls, so they are shown to it as well.
        let mut rest = self.buffer.get(self.ahead.clone()).unwrap_or_default();
        let taken = self
            .connection
            .read_tls(&mut rest)
            .map_err(|error| Error::Answer(format!("{}: TLS fails: {error}", self.host)))?;
        self.ahead.start = self.ahead.start.saturating_add(taken);
        if let Err(error) = self.connection.process_new_packets() {
            // The peer is to hear why (RFC 8446 section 6.2); that it may have gone already changes nothing.
            let _ = self.send();
            return Err(explain(&error, &self.host, &self.roots));
        }
        Ok(Some(()))
    }
}

impl Transport for TlsStream {
    fn read_until(
        &mut self,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Result<Option<usize>, Error> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(n) => return Ok(Some(n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // RFC 8446 section 6.1: without close_notify nobody knows whether that was all.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Error::Answer(format!(
                        "{} closed the connection without the TLS farewell: something may be missing",
                        self.host
                    )));
                }
                Err(error) => return Err(error.into()),
            }
            self.send()?;
            if self.receive(until)?.is_none() {
                return Ok(None);
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for piece in bytes.chunks(PIECE) {
            let mut rest = piece;
            while !rest.is_empty() {
                let n = self.connection.writer().write(rest)?;
                rest = rest.get(n..).unwrap_or_default();
                self.send()?;
            }
        }
        Ok(())
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.connection.send_close_notify();
        let mut records = Vec::new();
        while self.connection.wants_write() {
            if !matches!(self.connection.write_tls(&mut records), Ok(1..)) {
                break;
            }
        }
        self.stream.write_at_once(&records);
    }
}
