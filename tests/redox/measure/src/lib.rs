//! What a network does in a second, measured as any program would see it: by std's sockets, and ICMP by its file. The
//! other side is a web server that has `/bytes/N` and takes uploads, and an echo server of UDP.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 10;
/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Datagrams lost in a row after which there is no network to measure.
const MOST_LOST: u32 = 3;
/// Bytes of a datagram, and of an ICMP message as the scheme takes it.
const SMALL: usize = 64;

/// One thing that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes from the web server, in MB/s.
    Download,
    /// Bytes to the web server, in MB/s.
    Upload,
    /// Echoes of ICMP one after the other, each second.
    Icmp,
    /// Echoes of UDP one after the other, each second.
    Udp,
    /// TCP connections opened and closed one after the other, each second.
    Connects,
}

impl Measure {
    /// All, in the order in which they are shown.
    pub const ALL: [Measure; 5] = [
        Measure::Download,
        Measure::Upload,
        Measure::Icmp,
        Measure::Udp,
        Measure::Connects,
    ];

    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Download => "download",
            Measure::Upload => "upload",
            Measure::Icmp => "icmp",
            Measure::Udp => "udp",
            Measure::Connects => "connects",
        }
    }

    /// What its number counts.
    pub fn unit(self) -> &'static str {
        match self {
            Measure::Download | Measure::Upload => "MB/s",
            Measure::Icmp | Measure::Udp | Measure::Connects => "/s",
        }
    }

    /// Measures it: that many bytes, or that long.
    ///
    /// # Errors
    /// What the network answered; `TimedOut` when it did not.
    pub fn take(self, peer: Peer, bytes: u64, time: Duration) -> io::Result<f64> {
        match self {
            Measure::Download => download(peer, bytes),
            Measure::Upload => upload(peer, bytes),
            Measure::Icmp => icmp(peer, time),
            Measure::Udp => udp(peer, time),
            Measure::Connects => connects(peer, time),
        }
    }
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Ipv4Addr,
    /// The port of its web server.
    pub web: u16,
    /// The port of its echo server of UDP.
    pub echo: u16,
}

impl Peer {
    fn connect(self) -> io::Result<TcpStream> {
        TcpStream::connect(SocketAddrV4::new(self.address, self.web))
    }

    /// A connection that does not wait for ever.
    fn connect_patiently(self) -> io::Result<TcpStream> {
        let stream = self.connect()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// From the request to the last byte.
fn download(peer: Peer, bytes: u64) -> io::Result<f64> {
    let mut stream = peer.connect_patiently()?;
    let started = Instant::now();
    write!(stream, "GET /bytes/{bytes} HTTP/1.1\r\nHost: peer\r\n\r\n")?;
    let mut answer = BufReader::with_capacity(BLOCK, stream);
    skip_head(&mut answer)?;
    let got = io::copy(&mut answer.take(bytes), &mut io::sink())?;
    match got == bytes {
        true => Ok(megabytes(bytes, started)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// From the request to the server's word that it has all of it.
fn upload(peer: Peer, bytes: u64) -> io::Result<f64> {
    let mut stream = peer.connect_patiently()?;
    let started = Instant::now();
    write!(
        stream,
        "PUT /measured HTTP/1.1\r\nHost: peer\r\nContent-Length: {bytes}\r\n\r\n"
    )?;
    let block = vec![0x5a; BLOCK];
    let mut left = bytes;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        stream.write_all(block.get(..size).unwrap_or_default())?;
        left -= size as u64;
    }
    skip_head(&mut BufReader::new(stream))?;
    Ok(megabytes(bytes, started))
}

/// Redox's file for echoes takes and gives a message of 64 bytes: a sequence number, and what comes back with it.
fn icmp(peer: Peer, time: Duration) -> io::Result<f64> {
    let path = format!("/scheme/icmp/echo/{}", peer.address);
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut message = [0; SMALL];
    let mut answer = [0; BLOCK];
    repeat(time, |number| {
        if let Some(sequence) = message.first_chunk_mut() {
            *sequence = (number as u16).to_ne_bytes();
        }
        file.write_all(&message)?;
        match file.read(&mut answer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    })
}

fn udp(peer: Peer, time: Duration) -> io::Result<f64> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(SocketAddrV4::new(peer.address, peer.echo))?;
    socket.set_read_timeout(Some(PATIENCE / MOST_LOST))?;
    let mut answer = [0; BLOCK];
    let mut lost = 0;
    repeat(time, |_| {
        socket.send(&[7; SMALL])?;
        match socket.recv(&mut answer) {
            Ok(_) => lost = 0,
            Err(_) if lost < MOST_LOST => lost += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    })
}

fn connects(peer: Peer, time: Duration) -> io::Result<f64> {
    repeat(time, |_| peer.connect().map(drop))
}

/// How often in a second `once` can be done.
fn repeat(time: Duration, mut once: impl FnMut(u64) -> io::Result<()>) -> io::Result<f64> {
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < time {
        once(count)?;
        count += 1;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn megabytes(bytes: u64, started: Instant) -> f64 {
    bytes as f64 / 1e6 / started.elapsed().as_secs_f64().max(f64::EPSILON)
}

/// The answer's first line and fields (RFC 9112 section 2.1); an error if it is none of success.
fn skip_head(answer: &mut impl BufRead) -> io::Result<()> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(line));
    }
    while line.trim_end() != "" {
        line.clear();
        if answer.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
