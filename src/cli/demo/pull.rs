//! A pull as a client does it: the tag by HEAD, the manifest by its digest, then all that it references at
//! once; every byte checked against its digest, none of them kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use http::Method;
use http::header::ACCEPT;
use reqwest::{Client as HttpClient, Response};

use super::outcomes::{self, Outcomes};
use super::program::Architecture;
use crate::oci::{Accepts, Descriptor, Digest, Manifest, ManifestKind, Verifier};

/// Between two pieces of an answer. The longest wait of a pull, since it is the mirror's to give up sooner.
const IDLE: Duration = Duration::from_mins(1);

/// Why a pull failed, in one line.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// No client could be made.
    #[error("cannot make a client: {0}")]
    Client(String),
    /// Something that was asked for did not come, or not as it has to.
    #[error("{path}: {reason}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What came instead.
        reason: String,
    },
}

/// What a whole pull came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pulled {
    /// Bytes of bodies that came.
    pub(super) bytes: u64,
    /// The outcomes of its answers.
    pub(super) outcomes: Outcomes,
}

/// A client with connections of its own, who has nothing yet.
pub(super) struct Client {
    http: HttpClient,
    registry: SocketAddr,
}

impl Client {
    /// A client of the registry at this address, over plain HTTP.
    pub(super) fn new(registry: SocketAddr) -> Result<Self, PullError> {
        Ok(Self {
            http: plain_http()?,
            registry,
        })
    }

    /// Pulls `latest` of `repository`, for this machine.
    pub(super) async fn pull(&self, repository: &str) -> Result<Pulled, PullError> {
        let mut pulled = Pulled::default();
        let mut digest = self.resolve(repository, &mut pulled).await?;
        let layers = loop {
            let manifest = self.manifest(repository, &digest, &mut pulled).await?;
            if manifest.kind != ManifestKind::Index {
                break manifest.references;
            }
            digest = child(&manifest).ok_or_else(|| PullError::Answer {
                path: format!("{repository}@{digest}"),
                reason: format!("nothing for linux/{}", Architecture::here().name()),
            })?;
        };
        let blobs = layers.iter().map(|blob| self.blob(repository, blob));
        for blob in try_join_all(blobs).await? {
            pulled.bytes += blob.bytes;
            pulled.outcomes.merge(blob.outcomes);
        }
        Ok(pulled)
    }

    async fn resolve(&self, repository: &str, pulled: &mut Pulled) -> Result<Digest, PullError> {
        let path = format!("/v2/{repository}/manifests/latest");
        let answer = self.ask(Method::HEAD, &path).await?;
        pulled.outcomes.note(&outcome(&answer));
        let digest = answer.headers().get("docker-content-digest");
        digest
            .and_then(|digest| digest.to_str().ok()?.parse().ok())
            .ok_or_else(|| PullError::Answer {
                path,
                reason: "no digest in the answer".to_owned(),
            })
    }

    async fn manifest(
        &self,
        repository: &str,
        digest: &Digest,
        pulled: &mut Pulled,
    ) -> Result<Manifest, PullError> {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let failed = |error: &dyn std::error::Error| PullError::Answer {
            path: path.clone(),
            reason: error.to_string(),
        };
        let answer = self.ask(Method::GET, &path).await?;
        pulled.outcomes.note(&outcome(&answer));
        let bytes = answer.bytes().await.map_err(|error| failed(&error))?;
        pulled.bytes += bytes.len() as u64;
        if let Some(Err(mismatch)) = Verifier::verify(digest, &bytes) {
            return Err(failed(&mismatch));
        }
        Manifest::parse(&bytes, None).map_err(|error| failed(&error))
    }

    async fn blob(&self, repository: &str, blob: &Descriptor) -> Result<Pulled, PullError> {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let failed = |error: &dyn std::error::Error| PullError::Answer {
            path: path.clone(),
            reason: error.to_string(),
        };
        let mut answer = self.ask(Method::GET, &path).await?;
        let mut pulled = Pulled::default();
        pulled.outcomes.note(&outcome(&answer));
        let mut verifier = Verifier::of(&blob.digest);
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            pulled.bytes += chunk.len() as u64;
            if let Some(verifier) = &mut verifier {
                verifier.update(&chunk);
            }
        }
        if let Some(Err(mismatch)) = verifier.map(Verifier::finish) {
            return Err(failed(&mismatch));
        }
        Ok(pulled)
    }

    /// Asks, and takes no other answer than 200.
    async fn ask(&self, method: Method, path: &str) -> Result<Response, PullError> {
        let failed = |reason: String| PullError::Answer {
            path: path.to_owned(),
            reason,
        };
        let request = self
            .http
            .request(method, format!("http://{}{path}", self.registry))
            .header(ACCEPT, Accepts::MODERN.header());
        let answer = request.send().await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if answer.status() == 200 {
            Ok(answer)
        } else {
            Err(failed(answer.status().to_string()))
        }
    }
}

/// A client for plain HTTP, which goes to the address it is given and nowhere else.
pub(super) fn plain_http() -> Result<HttpClient, PullError> {
    let failed = |error: &dyn std::error::Error| PullError::Client(error.to_string());
    // Given only because the library wants to have one: it is not spoken here, so nobody is trusted.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    HttpClient::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(IDLE)
        .read_timeout(IDLE)
        .build()
        .map_err(|error| failed(&error))
}

/// The manifest for this machine.
fn child(index: &Manifest) -> Option<Digest> {
    let here = index.references.iter().find(|child| {
        child.platform.as_ref().is_some_and(|platform| {
            platform.os == "linux" && platform.architecture == Architecture::here().name()
        })
    });
    here.map(|child| child.digest.clone())
}

fn outcome(answer: &Response) -> String {
    let status = answer.headers().get("cache-status");
    let word = status.and_then(|status| outcomes::word(status.to_str().ok()?));
    word.unwrap_or("unknown").to_owned()
}
