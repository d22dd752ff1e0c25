//! QEMU's user network: 10.0.2.2 is the host's loopback, 10.0.2.3 the host's name server, and a DHCP server gives
//! 10.0.2.15. No privilege is needed for it.

use std::net::Ipv4Addr;

use super::Namespace;

/// A user network.
#[derive(Clone, Debug, Default)]
pub struct Slirp {
    options: Vec<String>,
    namespace: Option<Namespace>,
}

impl Slirp {
    /// The gateway, behind which is the loopback of the host.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
    /// The name server, behind which is the first one of the host's /etc/resolv.conf.
    pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    /// The first address that its DHCP server gives.
    pub const FIRST_LEASE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

    /// QEMU's defaults, on the host's network.
    pub fn new() -> Self {
        Self::default()
    }

    /// The host is `namespace`, not the network of the machine.
    #[must_use]
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.namespace = Some(namespace.clone());
        self
    }

    /// Connections to `port` of the host's loopback come to `guest_port` of the first lease.
    #[must_use]
    pub fn forward_tcp(self, port: u16, guest_port: u16) -> Self {
        self.option(&format!("hostfwd=tcp:127.0.0.1:{port}-:{guest_port}"))
    }

    /// Datagrams to `port` of the host's loopback come to `guest_port` of the first lease.
    #[must_use]
    pub fn forward_udp(self, port: u16, guest_port: u16) -> Self {
        self.option(&format!("hostfwd=udp:127.0.0.1:{port}-:{guest_port}"))
    }

    /// Any other option of `-netdev user`, like "net=192.168.7.0/24".
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    pub(super) fn argument(&self, id: &str) -> String {
        let mut argument = format!("user,id={id}");
        for option in &self.options {
            argument.push(',');
            argument.push_str(option);
        }
        argument
    }

    pub(super) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }
}
