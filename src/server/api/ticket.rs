//! What is told of a request when its answer has gone: one line in the log, one count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, StatusCode};

use crate::mirror::{Outcome, Strayed, Who};
use crate::server::metrics::{Counted, Kind, ServerMetrics};
use crate::server::route::{NO_UPSTREAM, Route};
use crate::server::{End, Peer, Sent};

/// One request on its way: filled in as more is known, told once at the end.
pub struct Ticket {
    /// `None` when it named none that is declared.
    upstream: Option<Arc<str>>,
    kind: Kind,
    outcome: Outcome,
    /// Why there was no better answer.
    error: Option<String>,
    strayed: Strayed,
    method: Method,
    /// Without the query, where signatures and tokens would be.
    path: String,
    peer: Option<Peer>,
    began: Instant,
    /// From the beginning until the answer was known.
    first_byte: Duration,
}

impl Ticket {
    pub(super) fn of(request: &Parts) -> Self {
        Self {
            upstream: None,
            kind: Kind::Other,
            outcome: Outcome::Error(Who::Client),
            error: None,
            strayed: Strayed::default(),
            method: request.method.clone(),
            path: request.uri.path().to_owned(),
            peer: request.extensions.get().copied(),
            began: Instant::now(),
            first_byte: Duration::ZERO,
        }
    }

    pub(super) fn routed(&mut self, route: &Route) {
        self.upstream = Some(Arc::clone(&route.upstream));
        self.kind = Kind::from(&route.endpoint);
    }

    /// It asks for a token; for which upstream, is seen when it is understood.
    pub(super) fn token(&mut self, upstream: Option<Arc<str>>) {
        self.kind = Kind::Token;
        self.upstream = upstream;
    }

    pub(super) fn answered(&mut self, outcome: Outcome, error: Option<String>) {
        self.first_byte = self.began.elapsed();
        self.became(outcome, error);
    }

    fn became(&mut self, outcome: Outcome, error: Option<String>) {
        self.outcome = outcome;
        self.error = error;
    }

    pub(super) fn may_stray(&mut self, strayed: Strayed) {
        self.strayed = strayed;
    }

    /// Logs and counts: after the last byte, so that a hit is counted when it was served.
    pub(super) fn tell(mut self, metrics: &ServerMetrics, sent: Sent) {
        let end = sent.end.word();
        metrics.ended(&sent.end);
        if let End::Broken(fault) = sent.end {
            // An answer that broke on its way is an error, whatever its head said.
            self.became(Outcome::Error(fault.who), Some(fault.reason));
        } else if let Some(why) = self.strayed.why() {
            // The head was written before the store failed.
            self.outcome = Outcome::Bypass(why);
        }
        let duration = self.began.elapsed();
        let upstream = self.upstream.as_deref().unwrap_or(NO_UPSTREAM);
        metrics.count(&Counted {
            upstream,
            kind: self.kind,
            outcome: self.outcome,
            bytes: sent.bytes,
            first_byte: self.first_byte,
            duration,
        });
        // The level must be known when the line is compiled.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    client = self.peer.map(|peer| tracing::field::display(peer.0)),
                    method = %self.method,
                    path = self.path,
                    upstream = %upstream,
                    status = sent.status.as_u16(),
                    outcome = self.outcome.word(),
                    why = self.outcome.why(),
                    bytes = sent.bytes,
                    end,
                    first_byte_ms = milliseconds(self.first_byte),
                    duration_ms = milliseconds(duration),
                    error = self.error,
                    "request"
                )
            };
        }
        if is_trouble(self.outcome) {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the operator must know even of a quiet log: not of what clients do wrong.
fn is_trouble(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Error(who) => who != Who::Client,
        Outcome::Stale(_) => true,
        _ => false,
    }
}

/// Logs and counts a request that was turned away before it could be read.
pub(super) fn tell_refused(
    metrics: &ServerMetrics,
    peer: Option<Peer>,
    status: StatusCode,
    reason: &str,
) {
    let outcome = Outcome::Error(Who::Client);
    metrics.count(&Counted {
        upstream: NO_UPSTREAM,
        kind: Kind::Other,
        outcome,
        bytes: 0,
        first_byte: Duration::ZERO,
        duration: Duration::ZERO,
    });
    tracing::info!(
        target: "access",
        client = peer.map(|peer| tracing::field::display(peer.0)),
        status = status.as_u16(),
        outcome = outcome.word(),
        error = reason,
        "refused"
    );
}
