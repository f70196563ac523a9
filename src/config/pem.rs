//! Certificates and keys in PEM files (RFC 7468), read and held against each other.
//!
//! An error continues a sentence that begins with the path.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The largest file that is read, in bytes: bundles of roots have a quarter of that.
const LONGEST: u64 = 1024 * 1024;

/// A certificate with those that lead from it to a root, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate itself first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of that one.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity {{ {} certificates, .. }}", self.chain.len())
    }
}

impl Identity {
    /// Puts the two together, if they belong together.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
            .map_err(|error| format!("does not go with its certificate: {error}"))?;
        Ok(Self {
            chain,
            key: Arc::new(key),
        })
    }
}

/// The certificates in a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = super::file::read(path, LONGEST)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let read = read.map_err(|error| format!("is not PEM: {error}"))?;
    if read.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(read)
}

/// The certificates in a file, each of which can be a root.
pub(super) fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = certificates(path)?;
    let mut store = RootCertStore::empty();
    for (number, root) in read.iter().enumerate() {
        store.add(root.clone()).map_err(|error| {
            format!(
                "holds a certificate that cannot be a root, number {}: {error}",
                number + 1
            )
        })?;
    }
    Ok(read)
}

/// The private key in a file; the first one if there are more.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = super::file::read(path, LONGEST)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => "holds no private key".to_owned(),
        // What else such an error says may quote the file.
        _ => "is not PEM".to_owned(),
    })
}
