//! Certificates for the mirror, and the one who signs them.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::pki_types::CertificateDer;

/// One who signs certificates, for these names and addresses.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    names: Vec<String>,
}

fn called(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

impl Authority {
    /// A new one.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::new([]).expect("an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = called("harbour office");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("its own certificate");
        let names = names.iter().map(ToString::to_string).collect();
        Self { issuer, names }
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// The same as text (PEM).
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a new certificate, and its key, into `mirror.pem` and `mirror.key` of a folder; gives the certificate.
    pub(crate) fn sign(&self, folder: &Path) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(self.names.clone()).expect("names");
        params.distinguished_name = called("roadstead");
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        for (name, text) in [
            ("mirror.key", key.serialize_pem()),
            ("mirror.pem", signed.pem()),
        ] {
            std::fs::write(folder.join(name), text).expect("a certificate's files");
        }
        signed.der().clone()
    }
}
