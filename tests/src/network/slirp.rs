//! QEMU's user network: 10.0.2.2 is the host's loopback, 10.0.2.3 the host's name server, and a DHCP server gives
//! 10.0.2.15. The same in IPv6, where a router advertises the prefix fd12::/64. No privilege is needed for it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Namespace;

/// A user network.
#[derive(Clone, Debug)]
pub struct Slirp {
    options: Vec<String>,
    namespace: Option<Namespace>,
    ipv6: bool,
}

impl Default for Slirp {
    fn default() -> Self {
        Self {
            options: Vec::new(),
            namespace: None,
            ipv6: true,
        }
    }
}

impl Slirp {
    /// The gateway, behind which is the loopback of the host.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
    /// The name server, behind which is the first one of the host's /etc/resolv.conf.
    pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    /// The first address that its DHCP server gives.
    pub const FIRST_LEASE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

    /// The gateway's address of the advertised prefix, behind which is the loopback of the host.
    pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, 2);
    /// The name server's, behind which is the first IPv6 one of the host's /etc/resolv.conf. It is advertised when
    /// there is one there (RFC 8106), and told by DHCPv6 in any case.
    pub const NAME_SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd12, 0, 0, 0, 0, 0, 0, 3);
    /// The router that sends the advertisements.
    pub const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

    /// Both families, on the host's network.
    pub fn new() -> Self {
        Self::default()
    }

    /// As networks were: nobody speaks IPv6.
    #[must_use]
    pub fn without_ipv6(mut self) -> Self {
        self.ipv6 = false;
        self
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
        // One family named alone turns the other off.
        let families = match self.ipv6 {
            true => "ipv4=on,ipv6=on,ipv6-net=fd12::/64",
            false => "ipv4=on,ipv6=off",
        };
        let mut argument = format!("user,id={id},{families}");
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
