//! The operator's side: health, readiness, metrics. On a listener of its own, never the clients'.
//!
//! Takes a method and a path and gives a plain `http` response; how it travels is the server's matter.
//! Absent so far: most of the cache API and the status page.

mod warm;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode, Uri};
use prometheus::{Encoder, Registry, TextEncoder};
use serde_json::json;
use tokio::sync::watch;

use self::warm::Params;
use crate::mirror::Mirror;
use crate::mirror::warm::Warmer;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers the operator's requests.
pub struct AdminApi {
    mirror: Arc<Mirror>,
    warmer: Warmer,
    metrics: Registry,
    offline: bool,
    /// Turns true when the process has been asked to end.
    ending: watch::Receiver<bool>,
}

impl AdminApi {
    /// The API over `mirror`, showing what is declared in `metrics`.
    /// It is not ready any more once `ending` turns true.
    pub fn new(
        mirror: Arc<Mirror>,
        warmer: Warmer,
        metrics: Registry,
        offline: bool,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            mirror,
            warmer,
            metrics,
            offline,
            ending,
        }
    }

    /// Answers one request. Never fails: an error is an answer too.
    pub async fn answer(&self, method: &Method, uri: &Uri) -> Response<Bytes> {
        let path = uri.path();
        if let Some(below) = path.strip_prefix("/api/v1/warm") {
            return self.warm(method, below, uri.query());
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = document(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"error": "GET and HEAD only"}),
            );
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            // Alive means: this process answers. Upstreams do not matter to it.
            "/healthz" => document(StatusCode::OK, &json!({"status": "ok"})),
            "/readyz" => self.ready().await,
            "/metrics" => self.metrics(),
            _ => {
                let known =
                    json!({"error": "not found", "known": ["/healthz", "/readyz", "/metrics"]});
                document(StatusCode::NOT_FOUND, &known)
            }
        }
    }

    /// Answers what is asked of the jobs that warm; `below` is the path behind theirs.
    fn warm(&self, method: &Method, below: &str, query: Option<&str>) -> Response<Bytes> {
        let warmer = &self.warmer;
        let id = below.strip_prefix('/');
        let (status, told) = match (method.as_str(), below, id) {
            ("POST", "", _) => warm::begin(warmer, &Params::of(query)),
            ("GET" | "HEAD", "", _) => warm::list(warmer),
            ("GET" | "HEAD", _, Some(id)) => warm::report(warmer, id),
            ("DELETE", _, Some(id)) => warm::cancel(warmer, id),
            (_, _, None) if !below.is_empty() => {
                (StatusCode::NOT_FOUND, json!({"error": "not found"}))
            }
            _ => {
                let allowed = if below.is_empty() {
                    "GET, HEAD, POST"
                } else {
                    "GET, HEAD, DELETE"
                };
                let mut response =
                    document(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": allowed}));
                let allowed = HeaderValue::from_static(allowed);
                response.headers_mut().insert(ALLOW, allowed);
                return response;
            }
        };
        document(status, &told)
    }

    /// Ready means: new bytes can be kept. A mirror whose upstreams are out is ready: it serves what it has.
    async fn ready(&self) -> Response<Bytes> {
        if *self.ending.borrow() {
            let state = json!({"status": "not ready", "reason": "ending"});
            return document(StatusCode::SERVICE_UNAVAILABLE, &state);
        }
        let mirror = Arc::clone(&self.mirror);
        let probe = tokio::task::spawn_blocking(move || mirror.probe_store()).await;
        let reason = match probe {
            Ok(Ok(())) => {
                let state = json!({"status": "ready", "offline": self.offline});
                return document(StatusCode::OK, &state);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store could not be asked".to_owned(),
        };
        document(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"status": "not ready", "reason": reason}),
        )
    }

    fn metrics(&self) -> Response<Bytes> {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        if let Err(error) = encoder.encode(&self.metrics.gather(), &mut text) {
            let reason = json!({"error": error.to_string()});
            return document(StatusCode::INTERNAL_SERVER_ERROR, &reason);
        }
        let mut response = Response::new(Bytes::from(text));
        let format = HeaderValue::from_str(encoder.format_type());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, format.unwrap_or(JSON));
        response
    }
}

fn document(status: StatusCode, value: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("{value}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
