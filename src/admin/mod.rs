//! The operator's side: health, metrics, what is kept and under way, and a page that shows it. On a listener of its
//! own, never the clients'.
//!
//! Takes the head of a request and gives a plain `http` response; how it travels is the server's matter.
//!
//! | file | idea |
//! |---|---|
//! | `routes` | what there is: one table, held to `openapi.yaml` by a test |
//! | `guard` | who may see and do it |
//! | `query`, `named` | what was asked for |
//! | `operations` | each operation: what the engine is asked, and what its answer becomes |
//! | `totals`, `views` | what is shown, as values |
//! | `page/` | the same for people |
//! | `answers`, `trouble` | answers, and why there is no better one |
//! | `warm` | the jobs that warm |
//! | `process` | what is told of the process itself |

mod answers;
mod guard;
mod named;
mod operations;
mod page;
mod process;
mod query;
mod routes;
#[cfg(test)]
mod tests;
mod totals;
mod trouble;
mod views;
mod warm;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Response};
use prometheus::Registry;
use tokio::sync::watch;

use self::guard::{Visitor, admit};
use self::query::Query;
use self::routes::{Found, find, id};
use self::trouble::Trouble;
use crate::mirror::Mirror;
use crate::mirror::warm::Warmer;

pub use named::Declared;
pub use process::declare_process;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What an [`AdminApi`] is made of. The composition root fills it in.
pub struct AdminParts {
    /// The engine.
    pub mirror: Arc<Mirror>,
    /// What is declared to be measured.
    pub metrics: Registry,
    /// The jobs that warm.
    pub warmer: Arc<Warmer>,
    /// Whether no upstream is asked.
    pub offline: bool,
    /// Turns true when the process has been asked to end: then it is not ready any more.
    pub ending: watch::Receiver<bool>,
    /// What requests must bring, but for health and metrics; without one they are served to this machine only.
    pub token: Option<String>,
    /// The upstreams, as the operator names them.
    pub upstreams: Vec<Declared>,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a network, from this address, if it is known.
    Network(Option<IpAddr>),
    /// By a socket in the file system that only the operator can open.
    OperatorsSocket,
}

/// Answers the operator's requests.
pub struct AdminApi {
    parts: AdminParts,
    began: Instant,
}

impl AdminApi {
    /// The API over `parts`.
    pub fn new(parts: AdminParts) -> Self {
        Self {
            parts,
            began: Instant::now(),
        }
    }

    /// Answers one request, which came by `way`. Never fails: an error is an answer too.
    pub async fn answer(&self, request: &Parts, way: Way) -> Response<Bytes> {
        match self.answered(request, way).await {
            Ok(response) => response,
            Err(trouble) => answers::trouble(&trouble),
        }
    }

    async fn answered(&self, request: &Parts, way: Way) -> Result<Response<Bytes>, Trouble> {
        let found = find(&request.method, request.uri.path());
        let is_open = matches!(found, Found::Operation(operation) if operation.is_open());
        if !is_open {
            // Before anything is told, be it only what there is.
            admit(&visitor(request, way), self.parts.token.as_deref())?;
        }
        let operation = match found {
            Found::Operation(operation) => operation,
            Found::OtherMethods(methods) => return Ok(answers::other_methods(&methods)),
            Found::Nothing => return Err(operations::unknown_path()),
        };
        let query = if is_open {
            // Probes and scrapers append what they like.
            Query::read(None, &[])?
        } else {
            Query::read(request.uri.query(), operation.parameters())?
        };
        let query = query.with_id(id(request.uri.path()));
        self.carry_out(operation, query).await
    }
}

fn visitor(request: &Parts, way: Way) -> Visitor<'_> {
    let field = |name: HeaderName| request.headers.get(name)?.to_str().ok();
    let safe = matches!(request.method, Method::GET | Method::HEAD);
    // A field that is no text is another origin's all the same.
    let origin = request.headers.get(ORIGIN);
    Visitor {
        is_operator: matches!(way, Way::OperatorsSocket),
        peer: match way {
            Way::Network(peer) => peer,
            Way::OperatorsSocket => None,
        },
        host: request
            .uri
            .authority()
            .map(Authority::as_str)
            .or_else(|| field(HOST)),
        origin: origin.map(|origin| origin.to_str().unwrap_or("null")),
        site: field(FETCH_SITE).filter(|_| !safe),
        authorization: field(AUTHORIZATION),
    }
}
