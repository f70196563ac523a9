//! What goes over the uplink, counted where it happens, and how each upstream stands.
//!
//! Labels come from closed sets only: the declared upstreams, the kinds below, and a status code
//! or a word of [`ErrorKind`](super::ErrorKind). Never the name of a repository.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::breaker::Position;

/// What a request on the wire is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Blob,
    Tags,
    Catalog,
    Referrers,
    Token,
    Ping,
}

/// Seconds until the head of an upstream's answer: from the next rack to the limit of patience.
const HEAD: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

impl Kind {
    const ALL: [Self; 7] = [
        Self::Manifest,
        Self::Blob,
        Self::Tags,
        Self::Catalog,
        Self::Referrers,
        Self::Token,
        Self::Ping,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Tags => "tags",
            Self::Catalog => "catalog",
            Self::Referrers => "referrers",
            Self::Token => "token",
            Self::Ping => "ping",
        }
    }
}

impl Position {
    const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The metrics of all upstreams. Made once and handed to each
/// [`HttpRegistry`](super::HttpRegistry).
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    received: IntCounterVec,
    state: IntGaugeVec,
    limit: IntGaugeVec,
    remaining: IntGaugeVec,
    head: HistogramVec,
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When `registry` already has metrics of these names.
    pub fn new(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "roadstead_upstream_requests_total",
                "Requests sent to upstreams, their token realms and redirect targets, by the status of the answer or by the reason why there was none.",
            ),
            &["upstream", "kind", "status"],
        )?;
        let received = IntCounterVec::new(
            Opts::new(
                "roadstead_upstream_received_bytes_total",
                "Bytes of response bodies received from upstreams.",
            ),
            &["upstream", "kind"],
        )?;
        let state = IntGaugeVec::new(
            Opts::new(
                "roadstead_upstream_state",
                "1 for the state an upstream is in: closed, it is asked; open, it is assumed to be out; half_open, one question tries whether it is back.",
            ),
            &["upstream", "state"],
        )?;
        let limit = IntGaugeVec::new(
            Opts::new(
                "roadstead_upstream_ratelimit_limit",
                "Requests that an upstream grants us in one window, where it has told.",
            ),
            &["upstream"],
        )?;
        let remaining = IntGaugeVec::new(
            Opts::new(
                "roadstead_upstream_ratelimit_remaining",
                "Requests that an upstream had left for us when it last told.",
            ),
            &["upstream"],
        )?;
        let head = HistogramVec::new(
            HistogramOpts::new(
                "roadstead_upstream_head_seconds",
                "Time from a request to an upstream until the head of its answer, of those that were answered.",
            )
            .buckets(HEAD.to_vec()),
            &["upstream", "kind"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(received.clone()))?;
        registry.register(Box::new(head.clone()))?;
        for gauge in [&state, &limit, &remaining] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self {
            requests,
            received,
            state,
            limit,
            remaining,
            head,
        })
    }

    /// The metrics of one upstream, with a state from the start.
    pub(super) fn meter(&self, upstream: &str) -> Meter {
        // There from the start: a counter that appears with its first event hides that one from `increase()`.
        for kind in Kind::ALL {
            self.requests
                .with_label_values(&[upstream, kind.word(), "200"]);
            self.received.with_label_values(&[upstream, kind.word()]);
        }
        let meter = Meter {
            metrics: self.clone(),
            upstream: upstream.to_owned(),
        };
        meter.position(Position::Closed);
        meter
    }
}

/// The metrics of one upstream.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    metrics: Metrics,
    upstream: String,
}

impl Meter {
    /// Counts one request by its outcome.
    pub(super) fn request(&self, kind: Kind, status: &str) {
        self.metrics
            .requests
            .with_label_values(&[&*self.upstream, kind.word(), status])
            .inc();
    }

    /// Counts how long the head of an answer took.
    pub(super) fn head(&self, kind: Kind, took: Duration) {
        self.metrics
            .head
            .with_label_values(&[&*self.upstream, kind.word()])
            .observe(took.as_secs_f64());
    }

    /// The counter for the bytes of bodies of one kind.
    pub(super) fn received(&self, kind: Kind) -> IntCounter {
        self.metrics
            .received
            .with_label_values(&[&*self.upstream, kind.word()])
    }

    /// Shows where the breaker stands.
    pub(super) fn position(&self, position: Position) {
        for each in Position::ALL {
            let gauge = self
                .metrics
                .state
                .with_label_values(&[&*self.upstream, each.word()]);
            gauge.set((each == position).into());
        }
    }

    /// Shows how many requests the upstream grants.
    pub(super) fn limit(&self, requests: u64) {
        show(&self.metrics.limit, &self.upstream, requests);
    }

    /// Shows how many requests are left.
    pub(super) fn remaining(&self, requests: u64) {
        show(&self.metrics.remaining, &self.upstream, requests);
    }
}

fn show(gauge: &IntGaugeVec, upstream: &str, requests: u64) {
    let requests = i64::try_from(requests).unwrap_or(i64::MAX);
    gauge.with_label_values(&[upstream]).set(requests);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn requests_and_bytes_are_counted_by_upstream_and_kind() {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let meter = metrics.meter("docker.io");
        meter.request(Kind::Blob, "200");
        meter.request(Kind::Blob, "200");
        meter.request(Kind::Token, "timeout-header");
        meter.received(Kind::Blob).inc_by(7);

        let count = |labels: &[&str]| metrics.requests.with_label_values(labels).get();
        assert_eq!(count(&["docker.io", "blob", "200"]), 2);
        assert_eq!(count(&["docker.io", "token", "timeout-header"]), 1);
        let received = metrics.received.with_label_values(&["docker.io", "blob"]);
        assert_eq!(received.get(), 7);
    }

    #[test]
    fn an_upstream_is_in_one_state_from_the_start() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let meter = metrics.meter("docker.io");
        let states = || {
            let gauge = |state| metrics.state.with_label_values(&["docker.io", state]);
            ["closed", "open", "half_open"].map(|state| gauge(state).get())
        };
        assert_eq!(states(), [1, 0, 0]);
        meter.position(Position::HalfOpen);
        assert_eq!(states(), [0, 0, 1]);
    }

    #[test]
    fn the_same_metrics_are_not_registered_twice() {
        let registry = prometheus::Registry::new();
        Metrics::new(&registry).unwrap();
        assert!(Metrics::new(&registry).is_err());
    }
}
