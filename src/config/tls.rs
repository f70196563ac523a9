//! `[[server.tls]]`: listeners that speak TLS, and the files of their certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;

use super::pem::{self, Identity};
use super::reading::{Placed, Reported};
use super::section::Section;

/// One of `[[server.tls]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsListener {
    /// The addresses to listen on; at least one.
    pub listen: Vec<SocketAddr>,
    /// Its certificates.
    pub files: TlsFiles,
}

/// The files of a listener's certificates, which may be replaced while it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to a root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Roots of which each client must show a certificate.
    pub client_ca: Option<PathBuf>,
}

/// What the files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsContent {
    /// The listener's certificate and key.
    pub identity: Identity,
    /// Roots of which each client must show a certificate.
    pub client_roots: Option<Vec<CertificateDer<'static>>>,
}

/// A file that cannot be used: its key in the config, and why not.
struct Unusable(&'static str, String);

impl TlsFiles {
    /// Reads the files as they are now.
    ///
    /// # Errors
    /// In words, with the path, when one of them cannot be used.
    pub fn read(&self) -> Result<TlsContent, String> {
        self.content().map_err(|Unusable(key, reason)| {
            let path = match key {
                "certificate" => &self.certificate,
                "key" => &self.key,
                _ => self.client_ca.as_ref().unwrap_or(&self.certificate),
            };
            format!("{} {reason}", path.display())
        })
    }

    fn content(&self) -> Result<TlsContent, Unusable> {
        let of = |key| move |reason| Unusable(key, reason);
        let chain = pem::certificates(&self.certificate).map_err(of("certificate"))?;
        let key = pem::key(&self.key).map_err(of("key"))?;
        let identity = Identity::new(chain, key).map_err(of("key"))?;
        let client_roots = self.client_ca.as_deref().map(pem::roots).transpose();
        Ok(TlsContent {
            identity,
            client_roots: client_roots.map_err(of("client_ca"))?,
        })
    }
}

/// A listener with the places of its addresses.
pub(super) fn read(
    section: &mut Section<'_>,
) -> Result<(Vec<Placed<SocketAddr>>, TlsListener), Reported> {
    let listen = section.list("listen");
    let certificate = section.required::<PathBuf>("certificate");
    let key = section.required::<PathBuf>("key");
    let client_ca = section.optional::<PathBuf>("client_ca");

    let listen = listen.and_then(|listen| listen.ok_or_else(|| section.missing("listen")))?;
    if listen.is_empty() {
        return Err(section.error("listen", "names no address"));
    }
    let resolve = |path: PathBuf| section.reading().resolve(&path);
    let files = TlsFiles {
        certificate: resolve(certificate?),
        key: resolve(key?),
        client_ca: client_ca?.map(resolve),
    };
    if let Err(Unusable(key, reason)) = files.content() {
        return Err(section.refuse(key, &reason));
    }
    let listener = TlsListener {
        listen: listen.iter().map(|address| address.value).collect(),
        files,
    };
    Ok((listen, listener))
}
