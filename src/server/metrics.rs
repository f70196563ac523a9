//! What the doors count. Labels come from closed sets: declared names, kinds of endpoint, outcomes.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Sent;
use crate::mirror::Outcome;

/// The metrics of the client's side.
#[derive(Clone)]
pub struct ServerMetrics {
    requests: IntCounterVec,
    served: IntCounterVec,
}

impl ServerMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["upstream", "kind", "outcome"];
        let requests = IntCounterVec::new(
            Opts::new(
                "roadstead_requests_total",
                "Requests of clients, counted when answered.",
            ),
            &labels,
        )?;
        let served = IntCounterVec::new(
            Opts::new(
                "roadstead_served_bytes_total",
                "Bytes of bodies sent to clients.",
            ),
            &labels,
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(served.clone()))?;
        Ok(Self { requests, served })
    }

    /// Counts one request, when its answer has gone.
    pub(super) fn count(&self, upstream: &str, kind: &str, outcome: Outcome, sent: &Sent) {
        let labels = [upstream, kind, outcome.word()];
        self.requests.with_label_values(&labels).inc();
        self.served.with_label_values(&labels).inc_by(sent.bytes);
    }
}
