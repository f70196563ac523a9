//! The HTTP clients of one upstream: two, which differ only in the names they will connect to.
//!
//! Everything a client library likes to do unasked is switched off: following redirects, proxies
//! from the environment, retries, cookies, decompression. TLS is configured here and handed over,
//! so nothing is installed for the whole process.

use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, Proxy};

use super::reach::Reach;
use super::settings::{BuildError, Egress, Settings, Trust};
use super::trust::believing;

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
    pub(super) fn new(reach: &Reach, settings: &Settings) -> Result<Self, BuildError> {
        let declared = client(believing(&settings.trust)?, settings, reach.declared())?;
        // Who we are is shown to the upstream alone.
        let nameless = Trust {
            identity: None,
            ..settings.trust.clone()
        };
        let tls = believing(&nameless)?;
        // Behind a proxy the only name that is looked up here is the proxy's, which the owner wrote down. What the
        // proxy connects to is for the proxy to limit.
        let foreign = match settings.egress {
            Some(_) => client(tls, settings, reach.declared())?,
            None => client(tls, settings, reach.foreign())?,
        };
        Ok(Self { declared, foreign })
    }
}

fn client(
    tls: rustls::ClientConfig,
    settings: &Settings,
    resolver: impl Resolve + 'static,
) -> Result<Client, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let builder = match &settings.egress {
        Some(egress) => Client::builder().proxy(proxy(egress)?),
        None => Client::builder().no_proxy(),
    };
    builder
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .connect_timeout(settings.timeouts.connect)
        .pool_idle_timeout(POOL_IDLE)
        .dns_resolver(Arc::new(resolver))
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(BuildError::Client)
}

fn proxy(egress: &Egress) -> Result<Proxy, BuildError> {
    let proxy = Proxy::all(egress.url.clone()).map_err(BuildError::Client)?;
    Ok(match &egress.credentials {
        Some((name, password)) => proxy.basic_auth(name, password),
        None => proxy,
    })
}
