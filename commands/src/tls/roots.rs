//! The certificates of the authorities, from where Redox keeps them.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use syscall::flag::O_RDONLY;

use crate::Error;
use crate::fd::{self, OpenedFile};

/// Files with all of them. The ca-certificates package of Redox fills `/ssl/certs`, with `/etc/ssl/certs` as its newer
/// home.
const BUNDLES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/ssl/certs/ca-certificates.crt",
];
/// Directories with a file for each, where there is no bundle.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/ssl/certs"];
/// Bytes of a file that are looked at; a bundle of all authorities of the web has a quarter of a megabyte.
const LARGEST_FILE: usize = 8 << 20;
/// Files of a directory that are looked at.
const MOST_FILES: usize = 2000;

/// The authorities of the system, and where they are from.
pub(super) fn of_system() -> Result<(RootCertStore, String), Error> {
    for path in BUNDLES {
        if let Ok(text) = read(path) {
            return Ok((store(&text, path)?, path.into()));
        }
    }
    for directory in DIRECTORIES {
        let mut text = Vec::new();
        for entry in fd::list(directory)
            .unwrap_or_default()
            .iter()
            .take(MOST_FILES)
        {
            // What cannot be read is not believed.
            text.extend(read(&format!("{directory}/{}", entry.name)).unwrap_or_default());
            text.push(b'\n');
            text.truncate(LARGEST_FILE);
        }
        if let Ok(store) = store(&text, directory) {
            return Ok((store, directory.into()));
        }
    }
    Err(Error::Answer(format!(
        "no certificates of authorities are in {}: install the package ca-certificates, give a file with --cacert FILE, \
         or trust anybody with -k",
        BUNDLES.join(" or ")
    )))
}

/// The authorities of one PEM file.
pub(super) fn of_file(path: &str) -> Result<RootCertStore, Error> {
    store(&read(path)?, path)
}

fn read(path: &str) -> Result<Vec<u8>, Error> {
    let file = OpenedFile::open(path, O_RDONLY)?;
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer)?;
        all.extend_from_slice(buffer.get(..n).unwrap_or_default());
        if all.len() > LARGEST_FILE {
            return Err(Error::Answer(format!("{path} is too large")));
        }
        if n == 0 {
            return Ok(all);
        }
    }
}

/// Those certificates of a PEM text (RFC 7468) that can be understood; at least one.
fn store(text: &[u8], path: &str) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(text).filter_map(Result::ok);
    // An old or odd certificate among many is passed over.
    store.add_parsable_certificates(certificates);
    match store.is_empty() {
        true => Err(Error::Answer(format!("{path} has no certificate in it"))),
        false => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_certificates_is_no_store_and_says_whose_it_is() {
        for text in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n",
        ] {
            let error = store(text.as_bytes(), "/ca.pem").unwrap_err().to_string();
            assert!(error.contains("/ca.pem has no certificate"), "{error}");
        }
    }
}
