//! The registry API: each request routed, asked of the engine, answered, and told about once.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};

use super::answers::{self, Wanted};
use super::errors::{self, Asked};
use super::metrics::ServerMetrics;
use super::route::{NO_UPSTREAM, Namespaces, Route, listing_query};
use super::{Body, End, Handler, Peer, Refusal, Sent};
use crate::mirror::{Answer, Mirror, MirrorError, Outcome, Who};
use crate::oci::{Digest, Endpoint, ErrorCode, Reference, Repository};
use crate::upstream::Listing;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// Answers the clients' requests.
pub struct RegistryApi {
    mirror: Arc<Mirror>,
    namespaces: Namespaces,
    metrics: ServerMetrics,
}

/// What is told of a request when its answer has gone: one line in the log, one count.
pub struct Ticket {
    upstream: Arc<str>,
    kind: &'static str,
    outcome: Outcome,
    method: Method,
    path: String,
    peer: Option<Peer>,
    began: Instant,
}

/// A response and how it came about.
type Answered = (Response<Body>, Outcome);

impl RegistryApi {
    /// The API over `mirror`, reading addresses by `namespaces`.
    pub fn new(mirror: Arc<Mirror>, namespaces: Namespaces, metrics: ServerMetrics) -> Self {
        Self {
            mirror,
            namespaces,
            metrics,
        }
    }

    async fn answer(&self, request: &Parts, route: &Route) -> Answered {
        let wanted = Wanted {
            method: &request.method,
            headers: &request.headers,
        };
        match &route.endpoint {
            Endpoint::Base => (answers::json("{}"), Outcome::Hit),
            Endpoint::Extension => (answers::json("{\"extensions\":[]}"), Outcome::Hit),
            Endpoint::Manifest(repository, reference) => {
                self.manifest(&wanted, route, repository, reference).await
            }
            Endpoint::Blob(repository, digest) => {
                self.blob(&wanted, route, repository, digest).await
            }
            Endpoint::Tags(repository) => {
                self.list(request, route, Listing::Tags(repository.clone()))
                    .await
            }
            Endpoint::Catalog => self.list(request, route, Listing::Catalog).await,
            Endpoint::Referrers(..) => {
                // Any code but NAME_UNKNOWN: it sends clients to the fallback tag.
                let message = "referrers are not served; the fallback tag is";
                (
                    errors::coded(ErrorCode::ManifestUnknown, message),
                    Outcome::Negative,
                )
            }
            Endpoint::Upload(_) => {
                let message = "this mirror is read-only: there are no uploads";
                (
                    errors::coded(ErrorCode::BlobUploadUnknown, message),
                    Outcome::Negative,
                )
            }
        }
    }

    async fn manifest(
        &self,
        wanted: &Wanted<'_>,
        route: &Route,
        repository: &Repository,
        reference: &Reference,
    ) -> Answered {
        let origin = route.origin(repository);
        if wanted.method == Method::HEAD {
            let found = self.mirror.manifest_summary(&origin, reference).await;
            return answered(found, Asked::Manifest, |summary| {
                answers::manifest(wanted, reference, &summary, None)
            });
        }
        let found = self.mirror.manifest(&origin, reference).await;
        answered(found, Asked::Manifest, |held| {
            answers::manifest(wanted, reference, &held.summary(), Some(held.bytes))
        })
    }

    async fn blob(
        &self,
        wanted: &Wanted<'_>,
        route: &Route,
        repository: &Repository,
        digest: &Digest,
    ) -> Answered {
        let origin = route.origin(repository);
        if wanted.method == Method::HEAD {
            let found = self.mirror.blob_size(&origin, digest).await;
            return answered(found, Asked::Blob, |size| {
                answers::blob(wanted, digest, size, None)
            });
        }
        let found = self.mirror.blob(&origin, digest).await;
        answered(found, Asked::Blob, |blob| {
            answers::blob(wanted, digest, blob.size(), Some(&blob))
        })
    }

    async fn list(&self, request: &Parts, route: &Route, listing: Listing) -> Answered {
        let query = listing_query(request.uri.query());
        if let Err(message) = check_page_size(query.as_deref()) {
            let response = errors::coded(ErrorCode::PaginationNumberInvalid, message);
            return (response, Outcome::Error(Who::Client));
        }
        let page = self.mirror.list(&route.upstream, listing, query).await;
        answered(page, Asked::Listing, |page| {
            // The next page has the path this one has, so it is on our own host under any addressing.
            let next = page.next.map(|query| {
                let ns = route
                    .ns
                    .as_deref()
                    .map(|ns| format!("&ns={ns}"))
                    .unwrap_or_default();
                format!("{}?{query}{ns}", request.uri.path())
            });
            answers::listing(page.bytes, next.as_deref())
        })
    }
}

/// Turns the engine's answer into a response, one way or the other.
fn answered<T>(
    found: Result<Answer<T>, MirrorError>,
    asked: Asked,
    respond: impl FnOnce(T) -> Response<Body>,
) -> Answered {
    match found {
        Ok(answer) => (respond(answer.value), answer.outcome),
        Err(error) => (errors::of_mirror(&error, asked), error.outcome()),
    }
}

/// `n` is a number of results, as OCI distribution spec, "Listing Tags", has it.
fn check_page_size(query: Option<&str>) -> Result<(), &'static str> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (_, n) in pairs.filter(|(key, _)| key == "n") {
        n.parse::<u32>()
            .map_err(|_| "n must be a number of results")?;
    }
    Ok(())
}

/// The outcome in the end: an answer that broke on its way is an error, whatever its head said. What follows
/// a fill breaks with upstream, what is content breaks with the disk.
fn outcome_of(begun: Outcome, end: End) -> Outcome {
    match (end, begun) {
        (End::Broken, Outcome::Miss | Outcome::Join) => Outcome::Error(Who::Upstream),
        (End::Broken, _) => Outcome::Error(Who::Store),
        (End::Whole | End::Left, begun) => begun,
    }
}

/// The metric's word for an endpoint.
fn kind(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Base => "ping",
        Endpoint::Catalog => "catalog",
        Endpoint::Tags(_) => "tags",
        Endpoint::Manifest(..) => "manifest",
        Endpoint::Blob(..) => "blob",
        Endpoint::Upload(_) => "upload",
        Endpoint::Referrers(..) => "referrers",
        Endpoint::Extension => "extension",
    }
}

#[async_trait]
impl Handler for RegistryApi {
    type Ticket = Ticket;

    async fn handle(&self, request: Request<()>) -> (Response<Body>, Ticket) {
        let began = Instant::now();
        let (request, ()) = request.into_parts();
        let routed = self
            .namespaces
            .route(request.uri.path(), request.uri.query());
        let (upstream, kind) = match &routed {
            Ok(route) => (Arc::clone(&route.upstream), kind(&route.endpoint)),
            Err(_) => (Arc::from(NO_UPSTREAM), "other"),
        };
        let read = matches!(request.method, Method::GET | Method::HEAD);
        let (mut response, outcome) = match &routed {
            Ok(route) if read => self.answer(&request, route).await,
            Ok(_) => (errors::read_only(), Outcome::Denied),
            Err(error) => (
                errors::coded(error.code(), &error.to_string()),
                Outcome::Error(Who::Client),
            ),
        };
        let headers = response.headers_mut();
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        headers.insert(CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answers::insert(headers, CACHE_STATUS, &outcome.cache_status());
        if let Some(ns) = routed.as_ref().ok().and_then(|route| route.ns.as_deref()) {
            answers::insert(headers, NAMESPACE, ns);
        }
        if request.method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        let ticket = Ticket {
            upstream,
            kind,
            outcome,
            path: request.uri.path().to_owned(),
            method: request.method,
            peer: request.extensions.get().copied(),
            began,
        };
        (response, ticket)
    }

    fn sent(&self, ticket: Ticket, sent: Sent) {
        let outcome = outcome_of(ticket.outcome, sent.end);
        self.metrics
            .count(&ticket.upstream, ticket.kind, outcome, &sent);
        tracing::info!(
            target: "access",
            client = ticket.peer.map(|peer| tracing::field::display(peer.0)),
            method = %ticket.method,
            path = ticket.path,
            upstream = %ticket.upstream,
            status = sent.status.as_u16(),
            outcome = outcome.word(),
            why = outcome.why(),
            bytes = sent.bytes,
            end = sent.end.word(),
            duration_ms = u64::try_from(ticket.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "request"
        );
    }

    fn refuse(&self, refusal: Refusal) -> Response<Body> {
        let status = refusal.status();
        let code = if status.is_server_error() {
            ErrorCode::Unavailable
        } else {
            ErrorCode::Unsupported
        };
        let mut response =
            errors::error(status, code, status.canonical_reason().unwrap_or_default());
        response
            .headers_mut()
            .insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        response
    }
}
