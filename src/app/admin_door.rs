//! Carries the operator's API through the same doors as the clients'.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};

use crate::admin::{AdminApi, Way};
use crate::config::Admin;
use crate::server::{
    BindError, Body, DoorLimits, Entry, Handler, Listeners, Peer, Place, Refusal, Sent,
};

/// Connections to the operator's side: a few scrapers and probes.
const CONNECTIONS: usize = 64;

/// The mode of the operator's socket: whoever can open it may do everything.
const SOCKET_MODE: u32 = 0o600;

/// Binds the operator's listeners, and gives the address.
pub(super) fn open(
    listeners: &mut Listeners,
    admin: &Admin,
    api: AdminApi,
) -> Result<SocketAddr, BindError> {
    let api = Arc::new(api);
    let limits = DoorLimits {
        connections: CONNECTIONS,
        ..DoorLimits::default()
    };
    if let Some(path) = &admin.socket {
        let door = AdminDoor {
            api: Arc::clone(&api),
            is_operators: true,
        };
        let place = Place::Socket(path.clone(), SOCKET_MODE);
        listeners.add_behind(&place, Arc::new(door), limits, Entry::open(&limits))?;
    }
    let door = AdminDoor {
        api,
        is_operators: false,
    };
    listeners.add(admin.listen, Arc::new(door), limits)
}

/// The admin room behind a door of the server room: neither knows the other.
struct AdminDoor {
    api: Arc<AdminApi>,
    /// Whether only the operator can open it.
    is_operators: bool,
}

#[async_trait]
impl Handler for AdminDoor {
    /// Nothing is logged or counted: scrapes and probes would drown what matters.
    type Ticket = ();

    async fn handle(&self, request: Request<()>) -> (Response<Body>, ()) {
        let (request, ()) = request.into_parts();
        let way = if self.is_operators {
            Way::OperatorsSocket
        } else {
            Way::Network(request.extensions.get::<Peer>().map(|peer| peer.0.ip()))
        };
        let answer = self.api.answer(&request, way).await;
        let (mut head, bytes) = answer.into_parts();
        head.headers.insert(CONTENT_LENGTH, bytes.len().into());
        let bytes = if request.method == Method::HEAD {
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
