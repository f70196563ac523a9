//! A client of a running mirror's operator side.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::Method;
use http::header::AUTHORIZATION;
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::config::Config;

/// Where a mirror is that was told nothing else.
const USUAL: &str = "http://127.0.0.1:5001";
const TOKEN: &str = "ROADSTEAD_TOKEN";
/// Collecting garbage may take its time; nothing else does.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which mirror is meant, and what opens it.
#[derive(Args, Clone, Debug)]
pub(super) struct At {
    /// The mirror's operator side, a URL or `unix:PATH`; by default `http://127.0.0.1:5001`.
    #[arg(long, value_name = "URL", global = true, conflicts_with = "config")]
    server: Option<String>,
    /// The mirror's config file: tells address and token.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// A file that holds the token; the environment variable `ROADSTEAD_TOKEN` may hold it instead.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The command line, or a file that it names, cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Nobody answers.
    #[error("{server} does not answer: {reason}")]
    NoAnswer {
        /// Who was asked.
        server: String,
        /// What happened, down to its cause.
        reason: String,
    },
    /// The mirror says no.
    #[error("{0}")]
    Refused(String),
    /// What answers is not the operator's side of a mirror.
    #[error("{0} answers, but not as the operator's side of a mirror does")]
    Stranger(String),
    /// The terminal is gone, or no thread can be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A client of one mirror.
pub(super) struct AdminClient {
    runtime: Runtime,
    http: Client,
    /// Where requests go, in the form that they need.
    base: Url,
    /// The server as its user wrote it.
    server: String,
}

impl AdminClient {
    /// A client of the mirror that `at` means. Asks nothing yet.
    pub(super) fn new(at: &At) -> Result<Self, AskError> {
        let (server, token) = at.found()?;
        let socket = server.strip_prefix("unix:").map(Path::new);
        // Over a socket the URL says nothing but that it is this machine.
        let url = Url::parse(socket.map_or(&*server, |_| "http://localhost"));
        let base = url
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|_| socket != Some(Path::new("")));
        let base = base.ok_or_else(|| {
            let why = format!("{server:?} is not a URL such as {USUAL}, and not unix:PATH");
            AskError::Unusable(why)
        })?;
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            http: http_client(token.as_deref(), socket)?,
            base,
            server: server.trim_end_matches('/').to_owned(),
        })
    }

    /// Waits.
    pub(super) fn pause(&self, time: Duration) {
        // Made within the runtime: a timer belongs to one.
        self.runtime
            .block_on(async move { tokio::time::sleep(time).await });
    }

    /// Looks at something.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, AskError> {
        self.ask(Method::GET, path, query)
    }

    /// Asks the mirror: the answer, or why there is none.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Value, AskError> {
        let mut url = self.base.clone();
        url.set_path(&format!("/api/v1/{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let server = || self.server.clone();
        let exchange = async {
            let response = self.http.request(method, url).send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.bytes().await?))
        };
        let (status, bytes) = self.runtime.block_on(exchange).map_err(|error| {
            let reason = cause(&error);
            let server = server();
            AskError::NoAnswer { server, reason }
        })?;
        let told: Option<Value> = serde_json::from_slice(&bytes).ok();
        match told {
            Some(told) if status.is_success() => Ok(told),
            Some(told) => match told["error"].as_str() {
                Some(reason) => Err(AskError::Refused(reason.to_owned())),
                None => Err(AskError::Stranger(server())),
            },
            None => Err(AskError::Stranger(server())),
        }
    }
}

impl At {
    /// The config file, if one was named.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The URL and the token.
    fn found(&self) -> Result<(String, Option<String>), AskError> {
        let mut token = match &self.token_file {
            Some(file) => Some(read_token(file)?),
            None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
        };
        let Some(file) = &self.config else {
            let server = self.server.clone().unwrap_or_else(|| USUAL.to_owned());
            return Ok((server, token));
        };
        let config = Config::load(file).map_err(|errors| AskError::Unusable(errors.to_string()))?;
        let mut address = config.admin().listen;
        if address.ip().is_unspecified() {
            // Listened on everywhere, and so here.
            address.set_ip(if address.is_ipv4() {
                std::net::Ipv4Addr::LOCALHOST.into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        if token.is_none() {
            let own = config.admin().token.as_ref();
            token = own.map(|token| token.expose().to_owned());
        }
        Ok((format!("http://{address}"), token))
    }
}

fn read_token(file: &Path) -> Result<String, AskError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("cannot be read: {error}"));
    let token = text.and_then(|text| match text.trim_end() {
        "" => Err("is empty".to_owned()),
        token => Ok(token.to_owned()),
    });
    token.map_err(|why| AskError::Unusable(format!("{} {why}", file.display())))
}

/// Speaks HTTP, and TLS with the roots of this machine: the operator's side may lie behind somebody else's.
fn http_client(token: Option<&str>, socket: Option<&Path>) -> Result<Client, AskError> {
    let unusable = |error: &dyn std::error::Error| AskError::Unusable(cause(error));
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| {
            AskError::Unusable("the token holds something that no header can carry".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let client = Client::builder();
    let client = match socket {
        Some(path) => client.unix_socket(path),
        None => client,
    };
    client
        .tls_backend_preconfigured(tls)
        .default_headers(headers)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(PATIENCE)
        .build()
        .map_err(|error| unusable(&error))
}

/// The last cause of an error: the library tells the outermost, which says that something went wrong.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> At {
        At {
            server: None,
            config: None,
            token_file: None,
        }
    }

    #[test]
    fn a_config_tells_where_and_with_what() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let (file, token) = (folder.path().join("r.toml"), folder.path().join("token"));
        std::fs::write(&token, "s3cret\n").unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = "store.capacity = \"1GiB\"\n[admin]\nlisten = \"0.0.0.0:7001\"\ntoken_file = \"token\"\n\
                    [upstreams.x]\nurl = \"http://x\"\n";
        std::fs::write(&file, text).unwrap();
        let told = At {
            config: Some(file),
            ..at()
        };
        let found = told.found().unwrap();
        assert_eq!(found.0, "http://127.0.0.1:7001");
        assert_eq!(found.1.as_deref(), Some("s3cret"));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let missing = At {
            token_file: Some("/nonexistent".into()),
            ..at()
        };
        let told = missing.found().unwrap_err().to_string();
        assert!(told.starts_with("/nonexistent cannot be read"), "{told}");
        for server in ["127.0.0.1:5001", "ftp://a", "", "unix:"] {
            let wrong = At {
                server: Some(server.to_owned()),
                ..at()
            };
            let told = AdminClient::new(&wrong).err().unwrap().to_string();
            assert!(told.contains("is not a URL"), "{told}");
        }
    }
}
