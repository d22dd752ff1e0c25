//! Says back what it hears, over TCP and UDP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::tcp::TcpServer;
use crate::error::Result;
use crate::wait::Stop;

/// An echo server.
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    _tcp: Option<TcpServer>,
    udp: Option<(Arc<Stop>, JoinHandle<()>)>,
    datagrams: Arc<AtomicU64>,
}

impl EchoServer {
    /// Echoes every byte of every connection, and closes when the client does.
    pub fn tcp(listener: TcpListener) -> Result<Self> {
        let tcp = TcpServer::start(listener, echo_stream)?;
        Ok(Self {
            address: tcp.address(),
            _tcp: Some(tcp),
            udp: None,
            datagrams: Arc::default(),
        })
    }

    /// Echoes every datagram to where it came from.
    pub fn udp(socket: UdpSocket) -> Result<Self> {
        let address = socket.local_addr()?;
        let (stop, datagrams) = (Arc::new(Stop::new()?), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), datagrams.clone());
        let thread = std::thread::Builder::new()
            .name(format!("echo {address}"))
            .spawn(move || echo_datagrams(&socket, &stopped, &count))?;
        Ok(Self {
            address,
            _tcp: None,
            udp: Some((stop, thread)),
            datagrams,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many datagrams it has echoed.
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.udp.take() {
            stop.stop();
            let _ = thread.join();
        }
    }
}

fn echo_stream(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let heard = buffer.get(..length).unwrap_or_default();
        if stream.write_all(heard).is_err() {
            return;
        }
    }
}

fn echo_datagrams(socket: &UdpSocket, stop: &Stop, count: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while stop.wait_readable(socket) {
        // An error is the ICMP answer to an earlier echo: its client has gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if socket
            .send_to(buffer.get(..length).unwrap_or_default(), from)
            .is_ok()
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
