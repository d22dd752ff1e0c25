//! TLS for `curl`: rustls for the protocol, Graviola for the cryptography.
//!
//! The choice. It must build for Redox with the Rust compiler alone, and be worth trusting for years:
//! - *ring* and aws-lc-rs need a C compiler and do not know Redox.
//! - rustls-rustcrypto is pure Rust and builds everywhere, but its only releases are alphas, and it draws some sixty
//!   crates in, several of them in versions that their authors have left behind.
//! - Graviola is made by the author of rustls, brings two crates, and takes its arithmetic from s2n-bignum, whose
//!   assembler is proven to compute what it should. Its price is that it exists for x86_64 and aarch64 only and wants a
//!   CPU of 2014 or later.
//!
//! Therefore on riscv64 `curl` speaks http only, and says so. What the CPU can do is asked before the first use: one that
//! cannot is an error with a reason, for the library itself would panic. On Redox for aarch64 nobody can be asked (the
//! standard library does not know how there): `https` works there in a build that promises the features
//! (`-C target-feature=+aes,+sha2`) and is refused otherwise.
//!
//! Random bytes come from `/scheme/rand` for the handshake; for its keys Graviola reads `/dev/urandom`, which on Redox
//! is a link to the same. The certificates' dates are compared with [`netscheme::clock::wall`].

mod failure;
mod roots;
mod stream;
mod trust;

use std::sync::Arc;

use netscheme::clock;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection};

use crate::Error;
use crate::stream::TcpStream;

pub(crate) use stream::TlsStream;
pub(crate) use trust::Trust;

/// The settings of all TLS connections of one command.
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// Where the authorities were read from, for errors.
    roots: String,
}

impl Tls {
    /// Reads the certificates of the authorities and checks that there is cryptography for this machine.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub(crate) fn new(trust: &Trust) -> Result<Tls, Error> {
        let provider = Arc::new(CryptoProvider {
            secure_random: &SchemeRandom,
            ..provider()?
        });
        let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(WallClock))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Answer(format!("TLS cannot be set up: {error}")))?;
        let (verifier, roots) = trust.verifier(&provider)?;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // RFC 7301: so that a server of several protocols speaks this one.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Tls {
            config: Arc::new(config),
            roots,
        })
    }

    /// Shakes hands with the server on `stream`, which must be `host`: a name or an address.
    ///
    /// # Errors
    /// Why the server cannot be trusted or understood.
    pub(crate) fn connect(&self, stream: TcpStream, host: &str) -> Result<TlsStream, Error> {
        let bad = |_| Error::Answer(format!("{host} is no name that a certificate can have"));
        let name = ServerName::try_from(certified_name(host).to_owned()).map_err(bad)?;
        let connection = ClientConnection::new(self.config.clone(), name)
            .map_err(|error| failure::explain(&error, host, &self.roots))?;
        let mut tls = TlsStream::new(connection, stream, host, &self.roots);
        tls.handshake()?;
        Ok(tls)
    }
}

/// A host as certificates write it: without the zone, which is nobody else's business (RFC 6874 section 4), and without
/// the last dot of a whole name (RFC 9525 section 6.3 compares without it).
fn certified_name(host: &str) -> &str {
    let host = host.split('%').next().unwrap_or_default();
    host.strip_suffix('.').unwrap_or(host)
}

/// The cryptography, if it runs on this CPU.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn provider() -> Result<CryptoProvider, Error> {
    if !graviola::util::is_cpu_supported() {
        return Err(Error::Answer(
            "https is not possible on this CPU: the cryptography needs AES, PCLMULQDQ, BMI1, ADX and AVX2 on x86_64, \
             AES, PMULL and SHA2 on aarch64, and does not see them (in QEMU, try -cpu max). http works"
                .into(),
        ));
    }
    Ok(rustls_graviola::default_provider())
}

/// There is none.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn provider() -> Result<CryptoProvider, Error> {
    Err(Error::Answer(format!(
        "this curl speaks http only: there is no cryptography for {} yet",
        std::env::consts::ARCH
    )))
}

/// The time by which certificates are judged.
#[derive(Debug)]
struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        clock::wall().map(UnixTime::since_unix_epoch)
    }
}

/// `/scheme/rand`.
#[derive(Debug)]
struct SchemeRandom;

impl SecureRandom for SchemeRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        for part in bytes.chunks_mut(32) {
            let seed = netscheme::random::seed().map_err(|_| GetRandomFailed)?;
            let taken = seed.get(..part.len()).ok_or(GetRandomFailed)?;
            part.copy_from_slice(taken);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_know_neither_zones_nor_last_dots() {
        for (host, name) in [
            ("fe80::2%eth0", "fe80::2"),
            ("host.lab.", "host.lab"),
            ("10.0.2.2", "10.0.2.2"),
        ] {
            assert_eq!(certified_name(host), name);
            assert!(ServerName::try_from(name).is_ok());
        }
    }
}
