//! The HTTP surface: listeners, connections, and bodies on their way to clients.
//!
//! What a request *means* is decided by a [`Handler`], in plain `http` types and without a socket; how it
//! arrives and how the answer leaves is decided here. Two tasks never share a connection: each one is
//! served by the task that accepted it, from its first byte to its last.
//!
//! ```text
//! Listeners -- accept --> Door --> connection loop --> Handler::handle
//!  bind, stop, drain      seats     head, request  <-- (Response<Body>, Ticket)
//!                                   answer, body   --> Handler::sent
//! ```
//!
//! Deliberately absent: TLS and HTTP/2 (they become doors of their own before the same handler), response
//! compression and chunked responses (invariant 7: bytes go out as they came in, and their number is known).

mod access;
mod answers;
mod api;
mod body;
mod conditions;
mod door;
mod errors;
mod handler;
mod metrics;
mod multipart;
mod paging;
mod route;
mod run;
mod signal;
#[cfg(test)]
mod testkit;

pub use access::{Access, AccessParts, Served, TokenRealm};
pub use api::{ApiPolicy, RegistryApi};
pub use body::{Body, Pieces};
pub use door::{Door, DoorLimits};
pub use errors::RateLimited;
pub use handler::{End, Fault, Handler, Peer, Refusal, RequestBody, Sent};
pub use metrics::ServerMetrics;
pub use multipart::Multipart;
pub use route::Namespaces;
pub use run::{BindError, Drained, Listeners, ServeError};
pub use signal::termination;
