//! The lab's peers, measured on this machine.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use lab::peers::{EchoServer, HttpServer};
use measure::{Measure, Peer};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

#[test]
fn every_number_but_that_of_icmp_is_measured_here_too() {
    let web = HttpServer::start(TcpListener::bind(LOCAL).unwrap()).unwrap();
    let echo = EchoServer::udp(UdpSocket::bind(LOCAL).unwrap()).unwrap();
    let peer = Peer {
        address: Ipv4Addr::LOCALHOST,
        web: web.address().port(),
        echo: echo.address().port(),
    };
    let time = Duration::from_millis(20);
    for measure in Measure::ALL {
        let number = measure.take(peer, 1_000_000, time);
        match measure {
            Measure::Icmp => assert!(number.is_err(), "Linux has no such file"),
            _ => assert!(number.is_ok_and(|n| n > 0.0), "{}", measure.name()),
        }
    }
    assert!(web.requests() >= 2 && echo.datagrams() > 0);
}

#[test]
fn a_server_that_is_not_there_is_an_error_and_no_number() {
    let port = TcpListener::bind(LOCAL)
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let peer = Peer {
        address: Ipv4Addr::LOCALHOST,
        web: port,
        echo: port,
    };
    for measure in [Measure::Download, Measure::Upload, Measure::Connects] {
        assert!(measure.take(peer, 1, Duration::from_secs(1)).is_err());
    }
}
