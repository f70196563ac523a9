//! How one upstream is to be spoken to. Values only.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

/// Who we are to an upstream.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody. Tokens are asked for without a name. Clients may be served as themselves.
    Anonymous,
    /// An account of our own.
    Own {
        /// The user's name.
        username: String,
        /// The password, or what the registry takes in its place.
        password: String,
    },
    /// An account of our own, by a token that its token realm takes in place of name and password (Docker token
    /// specification, "oauth2": `grant_type=refresh_token`).
    IdentityToken(String),
    /// An account of our own that a program knows (docker's credential helper protocol).
    Program {
        /// The program: a path, or the end of a name to be found on the path (`ecr-login`: docker-credential-ecr-login).
        program: PathBuf,
        /// How long its answer is used.
        ttl: Duration,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name is left out too: some registries put the secret there.
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Own { .. } => "Own { .. }",
            Self::IdentityToken(_) => "IdentityToken(..)",
            Self::Program { .. } => "Program { .. }",
        })
    }
}

/// Bounds of the single waits. There is no total: a blob takes as long as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, connection and TLS handshake together.
    pub connect: Duration,
    /// From sending a request until the response headers are there, connecting included.
    pub header: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            header: Duration::from_secs(20),
            idle: Duration::from_secs(30),
        }
    }
}

/// How an upstream proves who it is, and we to it.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Roots it is believed by, beside those of the machine.
    pub roots: Vec<CertificateDer<'static>>,
    /// Our certificate, with those that lead from it to a root, and its key.
    pub identity: Option<(Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>)>,
    /// Whatever it shows is believed: it can be anybody.
    pub insecure: bool,
}

/// What connections to an upstream go through.
#[derive(Clone)]
pub struct Egress {
    /// The proxy: scheme, host and port.
    pub url: Url,
    /// Name and password for it.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Egress({})", self.url)
    }
}

/// One upstream, as [`HttpRegistry`](super::HttpRegistry) needs it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The declared name (`docker.io`); it labels metrics and errors.
    pub name: String,
    /// Where the registry is: `http` or `https`, a host, perhaps a port, and nothing else.
    pub url: Url,
    /// Who we are.
    pub credentials: Credentials,
    /// How it proves who it is, and we to it.
    pub trust: Trust,
    /// The proxy before it.
    pub egress: Option<Egress>,
    /// Bounds of the waits.
    pub timeouts: Timeouts,
    /// Hosts (`auth.example.com` or `auth.example.com:8443`) that may be token realms besides
    /// the upstream's own host and those under its registrable domain.
    pub realms: Vec<String>,
    /// Whether redirects, and realms that are not listed, may lead to private addresses. `None`:
    /// if the upstream has a private address itself.
    pub private_redirects: Option<bool>,
    /// At so many requests left in the upstream's own counting, or fewer, its budget counts as spent.
    pub rate_reserve: u64,
}

/// What is kept back of a rate budget where nobody says otherwise, in requests.
pub const RATE_RESERVE: u64 = 10;

impl Settings {
    /// An anonymous upstream with the default bounds.
    pub fn new(name: impl Into<String>, url: Url) -> Self {
        Self {
            name: name.into(),
            url,
            credentials: Credentials::Anonymous,
            trust: Trust::default(),
            egress: None,
            timeouts: Timeouts::default(),
            realms: Vec::new(),
            private_redirects: None,
            rate_reserve: RATE_RESERVE,
        }
    }
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The URL has another scheme, or more than scheme, host and port.
    #[error("the URL of an upstream is http or https, a host, perhaps a port, and nothing else")]
    Url,
    /// The user name has a colon in it, or the credentials cannot be put into a header.
    #[error("the credentials cannot be sent in a header")]
    Credentials,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Holds a URL to what [`Settings::url`] says.
pub(super) fn check_url(url: &Url) -> Result<(), BuildError> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(()) } else { Err(BuildError::Url) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_upstream_is_an_origin() {
        let check = |text: &str| check_url(&Url::parse(text).unwrap());
        for good in [
            "https://ghcr.io",
            "http://127.0.0.1:5000/",
            "http://[::1]:5000",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "ftp://ghcr.io",
            "https://user:password@ghcr.io",
            "https://ghcr.io/v2/",
            "https://ghcr.io?a",
            "https://ghcr.io/#a",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_printed_without_credentials() {
        let settings = Settings {
            credentials: Credentials::Own {
                username: "robot".into(),
                password: "hunter2".into(),
            },
            ..Settings::new("ghcr.io", Url::parse("https://ghcr.io").unwrap())
        };
        let printed = format!("{settings:?}");
        assert!(printed.contains("ghcr.io"));
        assert!(
            !printed.contains("robot") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}
