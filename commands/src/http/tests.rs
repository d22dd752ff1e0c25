//! Against servers that break off, lie and never end.

use std::collections::VecDeque;

use super::*;

/// Gives what it is told to give, read by read, and then the end.
struct Script(VecDeque<Vec<u8>>);

impl Transport for Script {
    fn read_until(
        &mut self,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Result<Option<usize>, Error> {
        let Some(mut part) = self.0.pop_front() else {
            return Ok(until.is_none().then_some(0));
        };
        let n = part.len().min(buffer.len());
        buffer[..n].copy_from_slice(&part[..n]);
        if n < part.len() {
            self.0.push_front(part.split_off(n));
        }
        Ok(Some(n))
    }

    fn write_all(&mut self, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

fn connection(parts: &[&str]) -> Connection {
    let parts = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
    Connection::new(Box::new(Script(parts)))
}

fn head(text: &str) -> Head {
    parse(text.as_bytes()).unwrap().unwrap().0
}

/// Head and body of an answer.
fn fetch(parts: &[&str]) -> Result<String, Error> {
    let mut connection = connection(parts);
    let framing = connection.read_head()?.framing("GET")?;
    let (mut out, mut heard) = (Vec::new(), 0);
    let count = connection.read_body(framing, &mut out, &mut |n| heard = n)?;
    assert_eq!((count, heard), (out.len() as u64, out.len() as u64));
    Ok(String::from_utf8(out).unwrap())
}

fn refused(parts: &[&str]) -> String {
    fetch(parts).unwrap_err().to_string()
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// RFC 9112 6.3.
#[test]
fn the_end_of_a_body_is_found_as_the_rfc_says() {
    let framing = |headers: &str, method: &str| {
        head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).framing(method)
    };
    for (headers, expected) in [
        ("Content-Length: 12\r\n", Framing::Length(12)),
        ("Content-Length: 12, 12\r\n", Framing::Length(12)),
        (
            "Content-Length: 12\r\nContent-Length: 12\r\n",
            Framing::Length(12),
        ),
        (
            "Content-Length: 12\r\nTransfer-Encoding: Chunked\r\n",
            Framing::Chunked,
        ),
        ("", Framing::UntilClose),
    ] {
        assert_eq!(framing(headers, "GET").unwrap(), expected, "{headers}");
        assert_eq!(framing(headers, "HEAD").unwrap(), Framing::Length(0));
    }
    for headers in [
        "Content-Length: -1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 2\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        assert!(framing(headers, "GET").is_err(), "{headers}");
    }
}

#[test]
fn half_a_head_waits_for_the_rest_and_no_head_is_an_error() {
    assert!(parse(b"HTTP/1.1 200 OK\r\nServer: x").unwrap().is_none());
    assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    assert_eq!(head("HTTP/1.1 404 Not Found\r\n\r\n").reason, "Not Found");
    let parts = [
        "HTTP/1.1 2",
        "00 OK\r\nContent-",
        "Length: 5\r\n\r\nhel",
        "lo and more",
    ];
    assert_eq!(fetch(&parts).unwrap(), "hello");
}

#[test]
fn chunks_come_in_any_pieces_with_extensions_and_trailers() {
    let parts = [
        CHUNKED,
        "5;a=b\r",
        "\nhel",
        "lo\r\n6 \r\n world\r",
        "\n0\r\nX: y\r\n",
        "\r\n",
    ];
    assert_eq!(fetch(&parts).unwrap(), "hello world");
}

#[test]
fn a_body_that_is_shorter_than_promised_is_an_error_and_says_by_how_much() {
    let text = refused(&["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]);
    assert!(text.contains("after 3 of 10 bytes"), "{text}");
    let text = refused(&[CHUNKED, "5\r\nabc"]);
    assert!(text.contains("after 3 of 5 bytes"), "{text}");
    let text = refused(&[CHUNKED, "3\r\nabc\r\n"]);
    assert!(text.contains("in the middle of a chunk"), "{text}");
}

#[test]
fn bad_chunks_are_errors() {
    for size in [" ", "x", "-1", "+1", "0x5", "fffffffffffffffff", "5 5"] {
        let text = refused(&[CHUNKED, size, "\r\nabc\r\n0\r\n\r\n"]);
        assert!(text.contains("no length of a chunk"), "{size}: {text}");
    }
    let text = refused(&[CHUNKED, "3\r\nabcdef\r\n0\r\n\r\n"]);
    assert!(text.contains("longer than the 3 bytes"), "{text}");
    // The largest length is no overflow: it just never comes.
    assert!(refused(&[CHUNKED, "ffffffffffffffff\r\nabc"]).contains("after 3 of"));
}

#[test]
fn what_never_ends_is_ended_here() {
    let long = "x".repeat(70_000);
    let endless = ["HTTP/1.1 200 OK\r\nA: ", &long, &long];
    assert!(refused(&endless).contains("headers never end"));
    let many = "A: b\r\n".repeat(200);
    assert!(refused(&["HTTP/1.1 200 OK\r\n", &many, "\r\n"]).contains("no HTTP response"));
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MOST_INTERIM + 1);
    assert!(refused(&[&interim]).contains("interim answers never end"));
    assert!(refused(&[CHUNKED, &long]).contains("a line of the server never ends"));
    let trailers = "A: b\r\n".repeat(MOST_TRAILERS + 1);
    assert!(refused(&[CHUNKED, "0\r\n", &trailers]).contains("trailers never end"));
}

/// RFC 9110 15.2: a client must be able to read interim responses that it did not expect.
#[test]
fn interim_answers_are_passed_over_and_a_change_of_protocol_is_refused() {
    let parts = [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ];
    assert_eq!(fetch(&parts).unwrap(), "hi");
    assert!(refused(&["HTTP/1.1 101 Switching\r\n\r\n"]).contains("another protocol"));
}

/// RFC 9110 10.1.1.
#[test]
fn leave_to_send_a_body_is_given_by_100_or_by_silence_and_not_by_a_final_answer() {
    let until = Instant::from_secs(1);
    let leave = |parts: &[&str]| connection(parts).wait_for_leave(until).unwrap();
    assert_eq!(leave(&[]), None);
    assert_eq!(leave(&["HTTP/1.1 100 Continue\r\n\r\n"]), None);
    let refusal = leave(&["HTTP/1.1 413 Content Too Large\r\n\r\n"]);
    assert_eq!(refusal.unwrap().status, 413);
}

#[test]
fn where_a_part_of_a_body_belongs() {
    let range = |text: &str| {
        head(&format!("HTTP/1.1 206 x\r\nContent-Range: {text}\r\n\r\n")).content_range()
    };
    assert_eq!(range("bytes 5-9/10"), Some((Some(5), Some(10))));
    assert_eq!(range("bytes 5-9/*"), Some((Some(5), None)));
    assert_eq!(range("bytes */10"), Some((None, Some(10))));
    for text in [
        "",
        "bytes",
        "bytes 5",
        "lines 5-9/10",
        "bytes x-9/10",
        "bytes 5-9/x",
    ] {
        assert_eq!(range(text), None, "{text}");
    }
}
