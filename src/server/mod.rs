//! Doors.
mod answers;
mod api;
mod body;
mod conditions;
mod errors;
mod handler;
mod metrics;
mod route;
pub use api::RegistryApi;
pub use body::Body;
pub use handler::{Handler, Peer, Refusal, Sent};
pub use metrics::ServerMetrics;
pub use route::Namespaces;
