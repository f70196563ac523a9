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
//! What stands before a door (`entry`): from which networks, how many at once, encrypted or not. What stands before a
//! handler (`gate`): the mirror's own users. Over TLS a connection is HTTP/1.1 or HTTP/2, as the client likes; both
//! send the same bodies, each through its own `Outlet`.
//!
//! Deliberately absent: HTTP/2 without TLS (no client of registries speaks it), response
//! compression and chunked responses (invariant 7: bytes go out as they came in, and their number is known).

mod access;
mod answers;
mod api;
mod body;
mod conditions;
mod door;
mod entry;
mod errors;
mod gate;
mod handler;
mod metrics;
mod multipart;
mod networks;
mod paging;
mod place;
mod renewal;
mod route;
mod run;
mod seats;
mod signal;
#[cfg(test)]
mod testkit;
mod tls;
mod users;

pub use access::{Access, AccessParts, Served, TokenRealm};
#[doc(hidden)]
pub use access::{passes_as_sealed, wishes_for};
pub use api::{ApiPolicy, RegistryApi};
pub use body::{Body, Pieces};
pub use door::{Door, DoorLimits};
pub use entry::Entry;
pub use errors::RateLimited;
pub use gate::Gate;
pub use handler::{End, Fault, Handler, Peer, Refusal, RequestBody, Sent};
pub use metrics::ServerMetrics;
pub use multipart::Multipart;
pub use networks::Networks;
#[doc(hidden)]
pub use paging::reads_as_page;
pub use place::Place;
pub use renewal::{Renew, Renewal, keep_renewed, renewal_requests};
pub use route::Namespaces;
pub use run::{BindError, Drained, Listeners, ServeError};
pub use seats::{Seat, Seats};
pub use signal::termination;
pub use tls::{CertificateSource, Certificates, TlsError, TlsTerms};
pub use users::{UserList, UserSource, Users};
