//! The certificates of the lab's web servers, good and bad. The script `certificates/make` makes them anew.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Context, Result};

/// The certificate of the authority that a client is to know, as PEM.
pub const AUTHORITY: &str = include_str!("certificates/known.pem");

/// What a server shows. All but one are for `host.lab`, `www.lab.test`, 10.0.2.2, fd12::2 and 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Nothing is wrong with it.
    Good,
    /// It is for `other.lab`.
    OtherName,
    /// It ended on 2001-01-01.
    Expired,
    /// An authority signed it that nobody knows.
    UnknownAuthority,
}

impl Certificate {
    /// It and its key, as PEM.
    pub fn pem(self) -> &'static str {
        match self {
            Self::Good => include_str!("certificates/good.pem"),
            Self::OtherName => include_str!("certificates/other.pem"),
            Self::Expired => include_str!("certificates/expired.pem"),
            Self::UnknownAuthority => include_str!("certificates/stranger.pem"),
        }
    }

    /// The settings of a server that shows it.
    pub(super) fn server(self) -> Result<Arc<ServerConfig>> {
        let pem = self.pem().as_bytes();
        let certificate = CertificateDer::from_pem_slice(pem).context("a certificate")?;
        let key = PrivateKeyDer::from_pem_slice(pem).context("its key")?;
        let provider = Arc::new(rustls_graviola::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS")?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .context("TLS")?;
        Ok(Arc::new(config))
    }
}
