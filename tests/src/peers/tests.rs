//! Against ordinary clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::*;
use crate::process::Program;

const SOON: Duration = Duration::from_secs(10);

fn web() -> HttpServer {
    HttpServer::start(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap()
}

fn curl(arguments: &str) -> Vec<u8> {
    let program =
        Program::new("curl", "curl")
            .unwrap()
            .args(["--silent", "--show-error", "--fail"]);
    program.args(arguments.split(' ')).run(SOON).unwrap()
}

#[test]
fn curl_fetches_the_page_and_bytes_in_all_three_framings() {
    let server = web();
    let base = format!("http://{}", server.address());
    assert_eq!(curl(&format!("{base}/")), PAGE.as_bytes());
    let mut expected = vec![0; 200_000];
    pattern(0, &mut expected);
    for framing in ["bytes", "chunked", "until-close"] {
        assert!(
            curl(&format!("{base}/{framing}/200000")) == expected,
            "{framing}"
        );
    }
    assert_eq!(
        curl(&format!("--range 1001-1999 {base}/bytes/200000")),
        expected[1001..2000]
    );
    let head = String::from_utf8(curl(&format!("--head {base}/bytes/123456789012"))).unwrap();
    assert!(head.contains("Content-Length: 123456789012\r\n"), "{head}");
    assert_eq!(server.requests(), 6);
}

#[test]
fn curl_uploads_and_gets_the_hash_back() {
    let server = web();
    let mut content = vec![0; 3_000_000];
    pattern(0, &mut content);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let answer = curl(&format!(
        "--upload-file {} http://{}/a",
        file.path().display(),
        server.address()
    ));
    assert_eq!(
        String::from_utf8(answer).unwrap().trim(),
        sha256_of_pattern(3_000_000)
    );
}

#[test]
fn two_requests_use_one_connection_and_nonsense_ends_it() {
    let server = web();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .write_all(b"GET /bytes/3 HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\nGET\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 404").count(), 1, "{answer}");
}

#[test]
fn a_server_that_is_dropped_ends_its_connections_and_frees_its_port() {
    let server = web();
    let address = server.address();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    drop(server);
    // A FIN; or a reset, when the server went before it had looked at the connection.
    let ended = stream
        .read_to_end(&mut Vec::new())
        .map_err(|error| error.kind());
    assert!(
        matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "{ended:?}"
    );
    assert!(TcpStream::connect(address).is_err());
}

/// RFC 1035: one question for an A record.
fn ask(server: &DnsServer, name: &str) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    socket.send_to(&query, server.address()).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut reply = [0; 1500];
    let length = socket.recv(&mut reply).ok()?;
    assert_eq!(reply[..2], [0xab, 0xcd]);
    Some(reply[..length].to_vec())
}

#[test]
fn names_resolve_or_fail_as_they_were_told() {
    let addresses = ["10.0.2.2", "fd12::2", "10.0.2.9"].map(|a| a.parse().unwrap());
    let addresses = DnsAnswer::at::<IpAddr>(addresses);
    let names = [
        ("Host.lab", addresses),
        ("broken.lab", DnsAnswer::ServerFailure),
        ("silent.lab", DnsAnswer::Silence),
        (
            "large.lab",
            DnsAnswer::Truncated(vec![Ipv4Addr::LOCALHOST.into()]),
        ),
    ];
    let server = DnsServer::start(UdpSocket::bind("127.0.0.1:0").unwrap(), names).unwrap();
    let reply = ask(&server, "host.LAB").unwrap();
    assert_eq!(reply[2..12], [0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
    assert_eq!(
        reply[reply.len() - 16..],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 9]
    );
    assert_eq!(ask(&server, "other.lab").unwrap()[3], 0x83, "NXDOMAIN");
    assert_eq!(ask(&server, "broken.lab").unwrap()[3], 0x82, "SERVFAIL");
    assert_eq!(ask(&server, "large.lab").unwrap()[2], 0x83, "TC");
    assert_eq!(ask(&server, "silent.lab"), None);
    assert_eq!(server.questions().len(), 5);
}

#[test]
fn what_does_not_fit_a_datagram_is_told_over_tcp() {
    let names = [(
        "large.lab",
        DnsAnswer::Truncated(vec![Ipv6Addr::LOCALHOST.into()]),
    )];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = DnsServer::start(UdpSocket::bind("127.0.0.1:0").unwrap(), names).unwrap();
    let server = server.also_on(listener).unwrap();
    let question =
        b"\x00\x1b\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05large\x03lab\x00\x00\x1c\x00\x01";
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(question).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert_eq!(
        reply[2..14],
        [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
    );
    assert_eq!(reply[reply.len() - 18..][..2], [0, 16]);
    assert_eq!(reply[reply.len() - 16..], Ipv6Addr::LOCALHOST.octets());
    assert_eq!(server.questions(), ["large.lab"]);
}

#[test]
fn a_question_that_is_cut_short_gets_a_format_error_or_nothing() {
    let server = DnsServer::start(UdpSocket::bind("127.0.0.1:0").unwrap(), []).unwrap();
    let whole = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03lab\x00\x00\x01\x00\x01";
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    for length in 0..whole.len() {
        socket.send_to(&whole[..length], server.address()).unwrap();
    }
    let mut reply = [0; 100];
    for _ in 12..whole.len() {
        assert_eq!(socket.recv(&mut reply).unwrap(), 12);
        assert_eq!(reply[..4], [0x12, 0x34, 0x81, 0x81]);
    }
}

#[test]
fn echoes_come_back() {
    let server = EchoServer::udp(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"hello", server.address()).unwrap();
    let mut heard = [0; 10];
    assert_eq!(socket.recv(&mut heard).unwrap(), 5);
    let server = EchoServer::tcp(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"hello again").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"hello again");
}
