//! The registry API: each request routed, asked of the engine, answered, and told about once.

mod admission;
mod answered;
mod endpoints;
mod listings;
#[cfg(test)]
mod tests;
mod ticket;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response};
use tokio::time::timeout;

use self::answered::Answered;
use self::ticket::Ticket;
use super::access::Access;
use super::answers;
use super::errors::{self, RateLimited};
use super::metrics::ServerMetrics;
use super::route::Namespaces;
use super::{Body, Handler, Peer, Refusal, Sent};
use crate::mirror::{Mirror, Outcome, Who};
use crate::oci::ErrorCode;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// What is decided of answers in general.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiPolicy {
    /// A request that the engine has not answered after this is answered 504: clients give up after 30 s without a
    /// head, and then know nothing.
    pub answer_within: Duration,
    /// What clients are told in place of an upstream's 429.
    pub rate_limited: RateLimited,
}

/// Answers the clients' requests.
pub struct RegistryApi {
    mirror: Arc<Mirror>,
    namespaces: Namespaces,
    access: Access,
    metrics: ServerMetrics,
    policy: ApiPolicy,
}

impl RegistryApi {
    /// The API over `mirror`, reading addresses by `namespaces` and telling clients apart by `access`.
    pub fn new(
        mirror: Arc<Mirror>,
        namespaces: Namespaces,
        access: Access,
        metrics: ServerMetrics,
        policy: ApiPolicy,
    ) -> Self {
        Self {
            mirror,
            namespaces,
            access,
            metrics,
            policy,
        }
    }
}

#[async_trait]
impl Handler for RegistryApi {
    type Ticket = Ticket;

    async fn handle(&self, request: Request<()>) -> (Response<Body>, Ticket) {
        let (request, ()) = request.into_parts();
        let mut ticket = Ticket::of(&request);
        let (host, uri) = (host(&request), &request.uri);
        if tokens::is_wanted(uri) {
            let (answered, upstream) = self.token(&request).await;
            ticket.token(upstream);
            return (finished(answered, &request.method, &mut ticket), ticket);
        }
        let routed = self.namespaces.route(host, uri.path(), uri.query());
        if let Ok(route) = &routed {
            ticket.routed(route);
        }
        let read = matches!(request.method, Method::GET | Method::HEAD);
        let answered = match &routed {
            Ok(route) if read => {
                let answered =
                    timeout(self.policy.answer_within, self.admit(&request, route)).await;
                answered.unwrap_or_else(|_| Answered::too_late())
            }
            Ok(_) => Answered::read_only(),
            Err(error) => {
                let blame = Outcome::Error(Who::Client);
                Answered::refused(error.code(), blame, &error.to_string())
            }
        };
        let mut response = finished(answered, &request.method, &mut ticket);
        if let Some(ns) = routed.as_ref().ok().and_then(|route| route.ns.as_deref()) {
            answers::insert(response.headers_mut(), NAMESPACE, ns);
        }
        (response, ticket)
    }

    fn wants_body(&self, request: &Request<()>) -> bool {
        request.method() == Method::POST && tokens::is_wanted(request.uri())
    }

    fn sent(&self, ticket: Ticket, sent: Sent) {
        ticket.tell(&self.metrics, sent);
    }

    fn refuse(&self, refusal: Refusal, peer: Option<Peer>) -> Response<Body> {
        let status = refusal.status();
        let code = match refusal {
            Refusal::TooManyRanges => ErrorCode::RangeInvalid,
            Refusal::CrowdedByOne => ErrorCode::TooManyRequests,
            Refusal::NotAllowed => ErrorCode::Denied,
            Refusal::Unauthorized => ErrorCode::Unauthorized,
            _ if status.is_server_error() => ErrorCode::Unavailable,
            _ => ErrorCode::Unsupported,
        };
        let reason = refusal.reason();
        let mut response = errors::error(status, code, reason);
        mark(response.headers_mut(), Outcome::Error(Who::Client));
        self.metrics.refused(refusal);
        ticket::tell_refused(&self.metrics, peer, status, reason);
        response
    }

    fn opened(&self) {
        self.metrics.opened();
    }

    fn closed(&self) {
        self.metrics.closed();
    }
}

/// The response as it goes out, and noted on its ticket.
fn finished(answered: Answered, method: &Method, ticket: &mut Ticket) -> Response<Body> {
    let mut response = answered.response;
    mark(response.headers_mut(), answered.outcome);
    if *method == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    ticket.answered(answered.outcome, answered.error);
    ticket.may_stray(answered.strayed);
    response
}

/// Whom the client believes it speaks to: an absolute target says it in place of `Host` (RFC 9112 section 3.2.2).
fn host(request: &Parts) -> Option<&str> {
    let told = || request.headers.get(HOST)?.to_str().ok();
    let authority = request.uri.authority();
    authority.map(Authority::as_str).or_else(told)
}

/// The headers of every response.
fn mark(headers: &mut HeaderMap, outcome: Outcome) {
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answers::insert(headers, CACHE_STATUS, &outcome.cache_status());
}
