//! Carries the operator's API through the same doors as the clients'.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};

use crate::admin::AdminApi;
use crate::server::{Body, Handler, Peer, Refusal, Sent};

/// The admin room behind a door of the server room: neither knows the other.
pub(super) struct AdminDoor(pub(super) AdminApi);

#[async_trait]
impl Handler for AdminDoor {
    /// Nothing is logged or counted: scrapes and probes would drown what matters.
    type Ticket = ();

    async fn handle(&self, request: Request<()>) -> (Response<Body>, ()) {
        let answer = self.0.answer(request.method(), request.uri()).await;
        let (mut head, bytes) = answer.into_parts();
        head.headers.insert(CONTENT_LENGTH, bytes.len().into());
        let bytes = if request.method() == Method::HEAD {
            Bytes::new()
        } else {
            bytes
        };
        (Response::from_parts(head, Body::from(bytes)), ())
    }

    fn sent(&self, (): (), _: Sent) {}

    fn refuse(&self, refusal: Refusal, _: Option<Peer>) -> Response<Body> {
        let status = refusal.status();
        let reason = refusal.reason();
        let mut response = Response::new(Body::from(Bytes::from(format!("{reason}\n"))));
        *response.status_mut() = status;
        response
    }
}
