//! The status line and headers of a response, and what they say about the body.

use crate::Error;

/// Headers accepted from a server.
const MOST_HEADERS: usize = 128;

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

    /// RFC 9110 15.2; 101 is none that goes on in HTTP.
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// How the end of the body is found (RFC 9112 6.3).
    pub(crate) fn framing(&self, method: &str) -> Result<Framing, Error> {
        if self.status == 101 {
            return Err(Error::Answer(
                "the server changes to another protocol, which nobody asked for".into(),
            ));
        }
        if method == "HEAD" || matches!(self.status, 204 | 304) {
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
        Ok(self
            .content_length()?
            .map_or(Framing::UntilClose, Framing::Length))
    }

    /// RFC 9110 8.6: said several times, in lines or with commas, it must be the same.
    fn content_length(&self) -> Result<Option<u64>, Error> {
        let mut length = None;
        for (name, text) in &self.headers {
            if name != "content-length" {
                continue;
            }
            for part in text.split(',').map(str::trim) {
                let digits = part.bytes().all(|b| b.is_ascii_digit());
                let value: Option<u64> = part.parse().ok().filter(|_| digits);
                if value.is_none() || (length.is_some() && length != value) {
                    return Err(Error::Answer(format!(
                        "the server says content-length \"{text}\""
                    )));
                }
                length = value;
            }
        }
        Ok(length)
    }

    /// Where a 206 or 416 says that it is: first byte (none in a 416) and length of the whole, if known (RFC 9110 14.4).
    pub(crate) fn content_range(&self) -> Option<(Option<u64>, Option<u64>)> {
        let text = self.header("content-range")?.strip_prefix("bytes ")?;
        let (range, whole) = text.split_once('/')?;
        let first = match range {
            "*" => None,
            _ => Some(range.split_once('-')?.0.parse().ok()?),
        };
        let whole = match whole {
            "*" => None,
            _ => Some(whole.parse().ok()?),
        };
        Some((first, whole))
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

/// Parses a head off the front of `bytes`; `None` while it is not whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Error> {
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
