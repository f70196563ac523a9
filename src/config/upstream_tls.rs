//! How one upstream is reached: whom it is believed to be, who we show to be, and through which proxy.

use std::fmt;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use url::Url;

use super::pem::{self, Identity};
use super::reading::Reported;
use super::secret::Secret;
use super::section::Section;
use super::setting::{Refusal, Setting, Value};

/// `ca`, `client_certificate`, `client_key` and `insecure` of `[upstreams.NAME]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Roots it is believed by, beside those of the machine.
    pub roots: Vec<CertificateDer<'static>>,
    /// The certificate that is shown to it.
    pub identity: Option<Identity>,
    /// Whatever it shows is believed.
    pub insecure: bool,
}

/// `proxy` of `[upstreams.NAME]`: what all connections to it go through.
#[derive(Clone, PartialEq, Eq)]
pub struct EgressProxy {
    /// Where it is: scheme, host and port.
    pub url: Url,
    /// Name and password, if it asks for them.
    pub credentials: Option<(String, Secret)>,
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EgressProxy({})", self.url)
    }
}

/// Reads the keys of one upstream; those about TLS mean something only where it is spoken.
pub(super) fn read(section: &mut Section<'_>, url: Option<&Url>) -> Result<UpstreamTls, Reported> {
    let ca = section.optional::<PathBuf>("ca");
    let certificate = section.optional::<PathBuf>("client_certificate");
    let key = section.optional::<PathBuf>("client_key");
    let insecure = section.or("insecure", false);

    let (ca, certificate, key, insecure) = (ca?, certificate?, key?, insecure?);
    let said = [
        ("ca", ca.is_some()),
        ("client_certificate", certificate.is_some()),
        ("client_key", key.is_some()),
        ("insecure", insecure),
    ];
    let is_plain = url.is_some_and(|url| url.scheme() == "http");
    if let Some((key, _)) = said.into_iter().find(|(_, said)| *said && is_plain) {
        return Err(section.error(key, "is only read when the URL begins with https"));
    }
    let resolve = |path: &PathBuf| section.reading().resolve(path);
    let roots = ca.as_ref().map(|path| pem::roots(&resolve(path)));
    let roots = roots
        .transpose()
        .map_err(|why| section.refuse("ca", &why))?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain = pem::certificates(&resolve(&certificate))
                .map_err(|why| section.refuse("client_certificate", &why));
            let key = pem::key(&resolve(&key)).map_err(|why| section.refuse("client_key", &why));
            let identity = Identity::new(chain?, key?);
            Some(identity.map_err(|why| section.refuse("client_key", &why))?)
        }
        (None, None) => None,
        (Some(_), None) => return Err(section.missing("client_key")),
        (None, Some(_)) => return Err(section.missing("client_certificate")),
    };
    Ok(UpstreamTls {
        roots: roots.unwrap_or_default(),
        identity,
        insecure,
    })
}

impl Setting for EgressProxy {
    fn read(value: Value<'_>) -> Result<Self, Refusal> {
        let reason = "is not a proxy: write http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT";
        let text = value.text("is not a proxy: write http://HOST:PORT")?;
        // From here on the text may hold a password.
        let mut url = Url::parse(text).map_err(|_| Refusal::private(reason))?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || url.host().is_none() || !is_bare {
            return Err(Refusal::private(reason));
        }
        let decoded = |text: &str| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.map(std::borrow::Cow::into_owned)
        };
        let name = decoded(url.username()).map_err(|_| Refusal::private(reason))?;
        let password = decoded(url.password().unwrap_or_default());
        let password = password.map_err(|_| Refusal::private(reason))?;
        let has_none = name.is_empty() && password.is_empty();
        let bare = url.set_username("").and_then(|()| url.set_password(None));
        bare.map_err(|()| Refusal::private(reason))?;
        Ok(Self {
            url,
            credentials: (!has_none).then(|| (name, Secret::new(password))),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_its_password_is_never_shown() {
        let read = |text| EgressProxy::read(Value::Text(text));
        let proxy = read("http://bob:hunter%402@proxy.example:3128").unwrap();
        assert_eq!(proxy.url.as_str(), "http://proxy.example:3128/");
        let (name, password) = proxy.credentials.clone().unwrap();
        assert_eq!((name.as_str(), password.expose()), ("bob", "hunter@2"));
        assert!(!format!("{proxy:?}").contains("hunter"));
        assert_eq!(read("http://proxy.example").unwrap().credentials, None);

        for bad in [
            "proxy.example:3128",
            "ftp://proxy.example",
            "http://bob:hunter2@proxy.example/path",
        ] {
            assert!(read(bad).unwrap_err().is_private, "{bad}");
        }
    }
}
