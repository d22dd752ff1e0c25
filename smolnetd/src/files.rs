//! The files under `/etc/net`, through a directory that was opened before the null namespace.

use core::net::{IpAddr, Ipv4Addr};

use libredox::Fd;
use libredox::protocol::O_CLOEXEC;
use syscall::error::{EINTR, Error};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_RDONLY, O_TRUNC, O_WRONLY};

use crate::config::Files;

/// Bytes of a configuration file that are read; what is longer is none.
const LARGEST: usize = 4096;

/// Hexadecimal digits of a secret.
const SECRET_DIGITS: usize = 32;

/// `/etc/net`.
pub(crate) struct EtcNet {
    directory: Fd,
}

impl EtcNet {
    /// None when there is no such directory, which is no error.
    pub(crate) fn open() -> Option<EtcNet> {
        let flags = flags(O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        let directory = Fd::open("/etc/net", flags, 0).ok()?;
        Some(EtcNet { directory })
    }

    pub(crate) fn read_all(&self) -> Files {
        Files {
            ip: self.read("ip"),
            ip_subnet: self.read("ip_subnet"),
            ip_router: self.read("ip_router"),
            dns: self.read("dns"),
        }
    }

    fn read(&self, name: &str) -> Option<String> {
        let flags = flags(O_RDONLY | O_CLOEXEC);
        let file = self.directory.openat(name, flags, 0).ok()?;
        let mut text = Vec::new();
        let mut buffer = [0; 512];
        while text.len() < LARGEST {
            match file.read(&mut buffer).map_err(Error::from) {
                Ok(0) => return String::from_utf8(text).ok(),
                Ok(n) => text.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(Error { errno: EINTR }) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Replaces `dns`, the only place where Redox's C library looks for its name server.
    ///
    /// # Errors
    /// What opening or writing the file answered.
    pub(crate) fn write_resolver(&self, resolver: Ipv4Addr) -> Result<(), Error> {
        self.write("dns", 0, &format!("{resolver}\n"))
    }

    /// What the interface identifiers of this machine are made from (RFC 7217 section 5). It is in `ipv6_secret`, so
    /// that addresses are the same after a restart; where there is none, `fresh` is, and is put there, for nobody else
    /// to read. A directory that takes no file has other addresses after each start, and they work as well.
    pub(crate) fn identifier_secret(&self, fresh: u128) -> u128 {
        let text = self.read("ipv6_secret").unwrap_or_default();
        let digits = text.trim();
        match u128::from_str_radix(digits, 16) {
            Ok(secret) if digits.len() == SECRET_DIGITS => secret,
            _ => {
                let text = format!("{fresh:0SECRET_DIGITS$x}\n");
                if let Err(error) = self.write("ipv6_secret", 0o600, &text) {
                    log::warn!("/etc/net/ipv6_secret could not be written: {error}");
                }
                fresh
            }
        }
    }

    /// Makes a file, with these permissions if it is new, or replaces what it holds.
    fn write(&self, name: &str, mode: usize, text: &str) -> Result<(), Error> {
        let flags = flags(O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | mode);
        let file = self.directory.openat(name, flags, 0)?;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let n = file.write(rest)?;
            rest = rest.get(n.max(1)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// The name server that `dns` names. The C library takes the whole file for one IPv4 address, and finds no names at all
/// when there is anything more in it; a first IPv6 server would not be understood either.
pub(crate) fn for_c_library(resolvers: impl IntoIterator<Item = IpAddr>) -> Option<Ipv4Addr> {
    resolvers.into_iter().find_map(|resolver| match resolver {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    })
}

fn flags(flags: usize) -> i32 {
    // All of Redox's flags fit; what would not would open nothing.
    i32::try_from(flags).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_told_the_first_server_that_it_can_ask() {
        let servers = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let both = servers(&["fd12::3", "10.0.2.3", "9.9.9.9"]);
        assert_eq!(for_c_library(both), Some(Ipv4Addr::new(10, 0, 2, 3)));
        assert_eq!(for_c_library(servers(&["fd12::3"])), None);
        assert_eq!(for_c_library([]), None);
    }
}
