//! Ordinary programs of Linux as the other end: ping, curl, nc, dnsmasq, iperf3, tcpdump.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Namespace;
use crate::error::Result;
use crate::process::{Process, Program};

const START: Duration = Duration::from_secs(10);

/// Starts programs in one namespace. Each is killed when its [`Process`] is dropped.
#[derive(Clone, Debug)]
pub struct Peers(Namespace);

impl Peers {
    /// Programs that live in `namespace`.
    pub fn inside(namespace: &Namespace) -> Self {
        Self(namespace.clone())
    }

    /// Any program; `package` is the Debian package that brings it. The command line is split at spaces.
    pub fn program(&self, command: &str, package: &str) -> Result<Program<'_>> {
        let mut words = command.split(' ');
        let name = words.next().unwrap_or_default();
        Ok(Program::new(name, package)?
            .args(words)
            .inside(Some(&self.0)))
    }

    /// `ping` with these arguments.
    pub fn ping(&self, arguments: &str) -> Result<Process> {
        self.program(&format!("ping -n {arguments}"), "iputils-ping")?
            .start()
    }

    /// `curl` with these arguments; its output is what it fetched.
    pub fn curl(&self, arguments: &str) -> Result<Process> {
        self.program(&format!("curl --silent --show-error {arguments}"), "curl")?
            .start()
    }

    /// `nc` with these arguments; [`Process::take_input`] is what it sends.
    pub fn nc(&self, arguments: &str) -> Result<Process> {
        self.program(&format!("nc {arguments}"), "netcat-openbsd")?
            .with_input()
            .start()
    }

    /// A DHCP server on `device` that leases `first` to `last` for `lease_seconds` (at least 120, which is dnsmasq's
    /// rule), with `options` of dnsmasq beside. It serves when this returns.
    pub fn dhcp_server(
        &self,
        device: &str,
        [first, last]: [Ipv4Addr; 2],
        lease_seconds: u32,
        options: &[&str],
    ) -> Result<Process> {
        let range = format!("--dhcp-range={first},{last},{lease_seconds}s");
        let mut all = vec!["--port=0", "--log-dhcp", "--no-ping", range.as_str()];
        all.extend(options);
        self.dnsmasq(device, &all)
    }

    /// dnsmasq on `device` with these options: names, leases and router advertisements. It serves when this returns.
    pub fn dnsmasq(&self, device: &str, options: &[&str]) -> Result<Process> {
        let dnsmasq = self
            .program(
                "dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=-",
                "dnsmasq-base",
            )?
            .args(["--user=root", "--leasefile-ro", "--bind-interfaces"])
            .args(["--no-resolv", "--no-hosts", "--pid-file="])
            .arg(format!("--interface={device}"))
            .args(options)
            .start()?;
        dnsmasq.wait_for_errors("started, version", START)?;
        Ok(dnsmasq)
    }
}
