//! Jobs in a running mirror, by its operator's API.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::AUTHORIZATION;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use crate::mirror::warm::Report;

/// Between two pieces of an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running mirror.
pub(super) struct Remote {
    http: Client,
    server: Url,
    token: Option<String>,
}

impl Remote {
    /// The mirror whose operator's side is at `server`. Asks nothing yet.
    pub(super) fn new(server: &str, token: Option<String>) -> Result<Self, String> {
        let url = Url::parse(server).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let url =
            url.ok_or_else(|| format!("{server:?} is not a URL such as http://127.0.0.1:5001"))?;
        Ok(Self {
            http: client().map_err(|error| format!("cannot make a client: {error}"))?,
            server: url,
            token,
        })
    }

    /// Begins a job; gives its id.
    pub(super) async fn begin(&self, query: &[(String, String)]) -> Result<u64, String> {
        let told = self.ask(Method::POST, "warm", query).await?;
        told["job"].as_u64().ok_or_else(|| self.stranger())
    }

    /// How a job stands.
    pub(super) async fn report(&self, id: u64) -> Result<Report, String> {
        let told = self.ask(Method::GET, &format!("warm/{id}"), &[]).await?;
        serde_json::from_value(told).map_err(|_| self.stranger())
    }

    /// Stops a job.
    pub(super) async fn cancel(&self, id: u64) -> Result<(), String> {
        let cancelled = self.ask(Method::DELETE, &format!("warm/{id}"), &[]).await;
        cancelled.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Value, String> {
        let mut url = self.server.clone();
        url.set_path(&format!("/api/v1/{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let silent = |error: reqwest::Error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            format!("{} does not answer: {cause}", self.shown())
        };
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(silent)?;
        let told: Value = serde_json::from_slice(&bytes).map_err(|_| self.stranger())?;
        if status.is_success() {
            return Ok(told);
        }
        let why = told["error"].as_str().map(str::to_owned);
        Err(why.unwrap_or_else(|| self.stranger()))
    }

    fn stranger(&self) -> String {
        let server = self.shown();
        format!("{server} answers, but not as the operator's side of a mirror does")
    }

    fn shown(&self) -> String {
        self.server.as_str().trim_end_matches('/').to_owned()
    }
}

fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build()?;
    Ok(client)
}
