//! The static configuration under `/etc/net`: `ip`, `ip_subnet`, `ip_router` and `dns`, one value a file.
//!
//! A file that is absent or empty says nothing. One that cannot be understood is reported and ignored: a mistake in
//! a file must not take the network, or the boot, down.

use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::{IpCidr, Ipv4Cidr};

/// The files read, as their contents. `None` is a file that does not exist.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `ip`: the address, `a.b.c.d`, or `a.b.c.d/len`.
    pub ip: Option<String>,
    /// `ip_subnet`: the mask, `255.255.255.0`.
    pub ip_subnet: Option<String>,
    /// `ip_router`: the default router.
    pub ip_router: Option<String>,
    /// `dns`: one name server a line.
    pub dns: Option<String>,
}

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticConfig {
    /// The address of the first Ethernet adapter. While it is set, no DHCP client runs there.
    pub address: Option<IpCidr>,
    /// The default router; only with an address.
    pub router: Option<IpAddr>,
    /// The name servers.
    pub resolvers: Vec<IpAddr>,
}

/// Understands the files. The second part lists, in words, what was wrong with them.
pub fn parse(files: &Files) -> (StaticConfig, Vec<String>) {
    let mut complaints = Vec::new();
    let mut value = |name: &str, text: &Option<String>| {
        let text = text.as_deref().map(str::trim).filter(|t| !t.is_empty())?;
        let parsed = text.split('/').next().unwrap_or(text).parse::<Ipv4Addr>();
        if parsed.is_err() {
            complaints.push(format!(
                "/etc/net/{name}: \"{text}\" is not an IPv4 address; ignored"
            ));
        }
        parsed.ok()
    };

    // 0.0.0.0 is how some images say "none".
    let ip = value("ip", &files.ip).filter(|ip| !ip.is_unspecified());
    let mask = value("ip_subnet", &files.ip_subnet);
    let router = value("ip_router", &files.ip_router).filter(|ip| !ip.is_unspecified());
    let resolvers = resolvers(files.dns.as_deref().unwrap_or(""), &mut complaints);

    let address = ip.and_then(|ip| {
        let length = prefix_length(files.ip.as_deref(), mask, ip, &mut complaints)?;
        if ip.is_multicast() || ip.is_broadcast() {
            complaints.push(format!(
                "/etc/net/ip: {ip} is no address of a machine; ignored"
            ));
            return None;
        }
        Some(IpCidr::Ipv4(Ipv4Cidr::new(ip, length)))
    });
    if address.is_none() && router.is_some() {
        complaints.push("/etc/net/ip_router: ignored, for there is no /etc/net/ip".into());
    }
    let config = StaticConfig {
        address,
        router: router.filter(|_| address.is_some()).map(IpAddr::V4),
        resolvers,
    };
    (config, complaints)
}

fn resolvers(text: &str, complaints: &mut Vec<String>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        match line.parse::<IpAddr>() {
            Ok(addr) if !addr.is_unspecified() => found.push(addr),
            _ => complaints.push(format!("/etc/net/dns: \"{line}\" is no address; ignored")),
        }
    }
    found
}

/// From `/len` behind the address, else from the mask, else 24, which is what a home network has.
fn prefix_length(
    ip_file: Option<&str>,
    mask: Option<Ipv4Addr>,
    ip: Ipv4Addr,
    complaints: &mut Vec<String>,
) -> Option<u8> {
    if let Some((_, length)) = ip_file.and_then(|text| text.trim().split_once('/')) {
        let length = length.parse::<u8>().ok().filter(|l| (1..=32).contains(l));
        if length.is_none() {
            complaints.push(format!(
                "/etc/net/ip: the prefix length behind {ip} is not from 1 to 32; ignored"
            ));
        }
        return length;
    }
    let Some(mask) = mask else { return Some(24) };
    let bits = mask.to_bits();
    if bits.count_ones() != bits.leading_ones() || bits == 0 {
        complaints.push(format!(
            "/etc/net/ip_subnet: {mask} is no subnet mask; the address {ip} is ignored"
        ));
        return None;
    }
    u8::try_from(bits.leading_ones()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(ip: &str, subnet: &str, router: &str, dns: &str) -> Files {
        Files {
            ip: Some(ip.into()),
            ip_subnet: Some(subnet.into()),
            ip_router: Some(router.into()),
            dns: Some(dns.into()),
        }
    }

    #[test]
    fn the_four_files_of_a_redox_image_make_one_configuration() {
        let (config, complaints) = parse(&files(
            "10.0.2.15\n",
            "255.255.255.0\n",
            "10.0.2.2\n",
            "9.9.9.9\n1.1.1.1\n",
        ));
        assert_eq!(complaints, Vec::<String>::new());
        assert_eq!(config.address, Some("10.0.2.15/24".parse().unwrap()));
        assert_eq!(config.router, Some("10.0.2.2".parse().unwrap()));
        assert_eq!(config.resolvers.len(), 2);
    }

    #[test]
    fn no_files_mean_no_static_configuration_and_no_complaint() {
        assert_eq!(
            parse(&Files::default()),
            (StaticConfig::default(), Vec::new())
        );
        let (config, complaints) = parse(&files("", "", "", ""));
        assert_eq!((config, complaints), (StaticConfig::default(), Vec::new()));
    }

    #[test]
    fn a_mistake_is_reported_and_ignored_and_the_rest_still_counts() {
        for (ip, subnet, router) in [
            ("10.0.2", "255.255.255.0", ""),
            ("10.0.2.15", "255.0.255.0", ""),
            ("10.0.2.15/40", "", ""),
            ("224.0.0.1", "255.0.0.0", ""),
            ("", "", "10.0.2.2"),
        ] {
            let (config, complaints) = parse(&files(ip, subnet, router, "9.9.9.9"));
            assert_eq!(config.address, None, "{ip} {subnet}");
            assert_eq!(config.router, None);
            assert_eq!(complaints.len(), 1, "{complaints:?}");
            assert_eq!(config.resolvers.len(), 1);
        }
    }
}
