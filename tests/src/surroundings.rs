//! The network that the stages take place in.

use std::net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket};

use crate::network::{Namespace, Slirp};
use crate::peers::{Certificate, DnsAnswer, DnsServer, HttpServer};
use crate::{Context, Result};

/// A namespace of its own with a name server and web servers, with TLS and without, in both families. They end with it.
#[derive(Debug)]
pub struct Surroundings {
    /// Where they are; the user network goes in here.
    pub namespace: Namespace,
    _names: DnsServer,
    _pages: [HttpServer; 2],
}

impl Surroundings {
    /// The name that the name server knows, for the user network's gateway, behind which are the web servers.
    pub const NAME: &str = "www.lab.test";

    /// Starts them.
    ///
    /// # Errors
    /// What kept the namespace or a server from being there.
    pub fn new() -> Result<Surroundings> {
        let namespace = Namespace::with_own_resolver()?;
        let any = Ipv6Addr::UNSPECIFIED;
        let names = namespace
            .enter(|| UdpSocket::bind((any, 53)))?
            .context("port 53 of the lab's network")?;
        let listen = |port| {
            namespace
                .enter(|| TcpListener::bind((any, port)))?
                .context(format_args!("port {port} of the lab's network"))
        };
        let pages = HttpServer::start(listen(80)?)?;
        let secure = HttpServer::start_tls(listen(443)?, Certificate::Good)?;
        let both: [IpAddr; 2] = [Slirp::GATEWAY.into(), Slirp::GATEWAY6.into()];
        let answer = DnsAnswer::at(both);
        Ok(Surroundings {
            _names: DnsServer::start(names, [(Self::NAME, answer)])?,
            _pages: [pages, secure],
            namespace,
        })
    }
}
