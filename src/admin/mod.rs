//! The operator's side: health, readiness, metrics. On a listener of its own, never the clients'.
//!
//! Takes a method and a path and gives a plain `http` response; how it travels is the server's matter.
//! Absent so far: the cache API and the status page.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use prometheus::{Encoder, Registry, TextEncoder};
use serde_json::json;
use tokio::sync::watch;

use crate::mirror::Mirror;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers the operator's requests.
pub struct AdminApi {
    mirror: Arc<Mirror>,
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
        metrics: Registry,
        offline: bool,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self {
            mirror,
            metrics,
            offline,
            ending,
        }
    }

    /// Answers one request. Never fails: an error is an answer too.
    pub async fn answer(&self, method: &Method, path: &str) -> Response<Bytes> {
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

    /// Ready means: new bytes can be kept, or offline, where there will be none, that what is kept can be read.
    /// A mirror whose upstreams are out is ready: it serves what it has.
    async fn ready(&self) -> Response<Bytes> {
        if *self.ending.borrow() {
            let state = json!({"status": "not ready", "reason": "ending"});
            return document(StatusCode::SERVICE_UNAVAILABLE, &state);
        }
        let (mirror, offline) = (Arc::clone(&self.mirror), self.offline);
        let probe = tokio::task::spawn_blocking(move || {
            if offline {
                mirror.probe_reading()
            } else {
                mirror.probe_store()
            }
        });
        let reason = match probe.await {
            Ok(Ok(())) => {
                let status = if offline { "ready, offline" } else { "ready" };
                let state = json!({"status": status, "offline": offline});
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::mirror::testkit::House;
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{MemoryStore, StoreErrorKind};
    use crate::upstream::ErrorKind;

    /// What `/readyz` of a mirror over such a store says.
    async fn ready(fault: Fault, offline: bool) -> (StatusCode, serde_json::Value) {
        let store = Faulty::new(MemoryStore::default(), fault);
        let house = House::over(Arc::new(store));
        house.upstream.breaks(ErrorKind::Connect);
        let (_ending, end) = watch::channel(false);
        let api = AdminApi::new(Arc::clone(&house.mirror), Registry::new(), offline, end);
        let answer = api.answer(&Method::GET, "/readyz").await;
        assert_eq!(house.upstream.calls(), Vec::<String>::new());
        let body = serde_json::from_slice(answer.body()).unwrap();
        (answer.status(), body)
    }

    #[tokio::test]
    async fn ready_means_that_new_bytes_can_be_kept_whatever_upstreams_do() {
        let (status, body) = ready(Fault::None, false).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, json!({"status": "ready", "offline": false}));
        let full = Fault::FailsFrom(1, StoreErrorKind::Full);
        let (status, body) = ready(full, false).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["status"], "not ready");
    }

    #[tokio::test]
    async fn offline_ready_means_that_what_is_kept_can_be_read() {
        // Nothing new will come, so a full or read-only disk will do.
        for fault in [Fault::None, Fault::FailsFrom(1, StoreErrorKind::Full)] {
            let (status, body) = ready(fault, true).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(body, json!({"status": "ready, offline", "offline": true}));
        }
        let (status, _) = ready(Fault::FailsAt(1), true).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
