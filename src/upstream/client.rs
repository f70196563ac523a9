//! The HTTP clients of one upstream: two, which differ only in the names they will connect to.
//!
//! Everything a client library likes to do unasked is switched off: following redirects, proxies
//! from the environment, retries, cookies, decompression. TLS is configured here and handed over,
//! so nothing is installed for the whole process.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::Resolve;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::reach::Reach;
use super::settings::{BuildError, Timeouts};

const USER_AGENT: &str = concat!("roadstead/", env!("CARGO_PKG_VERSION"));

/// Below the keep-alive of the servers that we know, so that it is us who close.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The two clients of one upstream.
#[derive(Debug)]
pub(super) struct Clients {
    /// For names that the owner of the mirror wrote down.
    pub(super) declared: Client,
    /// For names that came from an answer.
    pub(super) foreign: Client,
}

impl Clients {
    pub(super) fn new(reach: &Reach, timeouts: Timeouts) -> Result<Self, BuildError> {
        let tls = tls()?;
        Ok(Self {
            declared: client(tls.clone(), timeouts, reach.declared())?,
            foreign: client(tls, timeouts, reach.foreign())?,
        })
    }
}

fn client(
    tls: rustls::ClientConfig,
    timeouts: Timeouts,
    resolver: impl Resolve + 'static,
) -> Result<Client, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(POOL_IDLE)
        .dns_resolver(Arc::new(resolver))
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(BuildError::Client)
}

/// TLS with the roots of the machine. A machine without any still serves what it has, and still
/// speaks to upstreams without TLS; a certificate that cannot be read trusts nobody.
fn tls() -> Result<rustls::ClientConfig, BuildError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
