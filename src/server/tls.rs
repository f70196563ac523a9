//! What a listener that speaks TLS shows to its clients and asks of them; it may change while it serves.
//!
//! TLS 1.2 and 1.3 by rustls with ring. A connection keeps what it was accepted with: what is replaced counts for the
//! connections that come after.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::renewal::{Renew, Renewal};

/// The protocols offered, the better one first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];
/// The name of HTTP/2 (RFC 9113 section 3.1).
pub(super) const HTTP2: &[u8] = b"h2";

/// The certificates of a listener.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The listener's own, and those that lead from it to a root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first of them.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// Roots of which each client must show a certificate; `None`: clients need none.
    pub client_roots: Option<Vec<CertificateDer<'static>>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("chain", &self.chain.len())
            .field("client_roots", &self.client_roots.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Where certificates come from; fails with a reason in words.
pub type CertificateSource = Box<dyn Fn() -> Result<Certificates, String> + Send + Sync>;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct TlsError {
    /// Whose certificates.
    name: String,
    /// What is wrong with them.
    reason: String,
}

/// The terms on which connections are accepted now.
pub struct TlsTerms {
    name: String,
    source: CertificateSource,
    shown: Mutex<Certificates>,
    current: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for TlsTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsTerms").field(&self.name).finish()
    }
}

impl TlsTerms {
    /// Terms with what `source` gives now; `name` is for the log.
    ///
    /// # Errors
    /// When it gives nothing that can be used.
    pub fn new(name: impl Into<String>, source: CertificateSource) -> Result<Arc<Self>, TlsError> {
        let name = name.into();
        let made = source().and_then(|shown| Ok((terms(&shown)?, shown)));
        match made {
            Ok((current, shown)) => Ok(Arc::new(Self {
                name,
                source,
                shown: Mutex::new(shown),
                current: RwLock::new(current),
            })),
            Err(reason) => Err(TlsError { name, reason }),
        }
    }

    /// What the next connection is accepted with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read())
    }
}

impl Renew for TlsTerms {
    fn name(&self) -> &str {
        &self.name
    }

    fn renew(&self) -> Renewal {
        let mut shown = self.shown.lock();
        let read = match (self.source)() {
            Ok(read) if read == *shown => return Renewal::Unchanged,
            Ok(read) => read,
            Err(reason) => return Renewal::Kept(reason),
        };
        match terms(&read) {
            Ok(current) => {
                *self.current.write() = current;
                *shown = read;
                Renewal::Renewed
            }
            Err(reason) => Renewal::Kept(reason),
        }
    }
}

fn terms(shown: &Certificates) -> Result<Arc<ServerConfig>, String> {
    let told = |error: rustls::Error| error.to_string();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(told)?;
    let config = match &shown.client_roots {
        None => config.with_no_client_auth(),
        Some(roots) => {
            let mut store = RootCertStore::empty();
            for root in roots {
                store.add(root.clone()).map_err(told)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build();
            config.with_client_cert_verifier(verifier.map_err(|error| error.to_string())?)
        }
    };
    let mut config = config
        .with_single_cert(shown.chain.clone(), shown.key.clone_key())
        .map_err(told)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
