//! The addresses of an adapter, as `netcfg` shows them.

use std::time::Duration;

use super::Stack;
use crate::error::{Context, Result};

impl Stack {
    /// Waits until `adapter` has an IPv4 address; with its prefix length.
    pub fn wait_for_ipv4(&self, adapter: &str, timeout: Duration) -> Result<String> {
        let path = address_list(adapter);
        let text = self.wait_for(&path, timeout, |text| ipv4(text).is_some())?;
        ipv4(&text).map(str::to_owned).context(path)
    }

    /// Waits until `adapter` has an IPv6 address that reaches beyond the link, made in a router's prefix or given by
    /// hand; with its prefix length.
    pub fn wait_for_ipv6(&self, adapter: &str, timeout: Duration) -> Result<String> {
        let path = address_list(adapter);
        let text = self.wait_for(&path, timeout, |text| ipv6(text).is_some())?;
        ipv6(&text).map(str::to_owned).context(path)
    }
}

fn address_list(adapter: &str) -> String {
    format!("/scheme/netcfg/ifaces/{adapter}/addr/list")
}

fn ipv4(text: &str) -> Option<&str> {
    text.lines()
        .find(|line| line.contains('/') && !line.contains(':'))
}

fn ipv6(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let (address, rest) = line.split_once(' ')?;
        let fits = rest.starts_with("preferred") && !address.starts_with("fe80:");
        (address.contains(':') && fits).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_list_are_told_apart() {
        let text = "Not configured\nfe80::1/64 preferred valid forever preferred forever link-local\n\
                    fd12::1/64 tentative valid 86400 preferred 14400 slaac\n";
        assert_eq!((ipv4(text), ipv6(text)), (None, None));
        let text = "10.0.2.15/24\nfd12::1/64 preferred valid 86400 preferred 14400 slaac\n";
        assert_eq!(
            (ipv4(text), ipv6(text)),
            (Some("10.0.2.15/24"), Some("fd12::1/64"))
        );
    }
}
