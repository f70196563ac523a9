//! What goes over the uplink, counted where it happens.
//!
//! Labels come from closed sets only: the declared upstreams, the kinds below, and a status code
//! or a word of [`ErrorKind`](super::ErrorKind). Never the name of a repository.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};

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

/// The counters of all upstreams. Made once and handed to each
/// [`HttpRegistry`](super::HttpRegistry).
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    received: IntCounterVec,
    head: HistogramVec,
}

impl Metrics {
    /// Makes the counters and registers them.
    ///
    /// # Errors
    /// When `registry` already has counters of these names.
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
        Ok(Self {
            requests,
            received,
            head,
        })
    }

    pub(super) fn meter(&self, upstream: &str) -> Meter {
        // There from the start: a counter that appears with its first event hides that one from `increase()`.
        for kind in Kind::ALL {
            self.requests
                .with_label_values(&[upstream, kind.word(), "200"]);
            self.received.with_label_values(&[upstream, kind.word()]);
        }
        Meter {
            metrics: self.clone(),
            upstream: upstream.to_owned(),
        }
    }
}

/// The counters of one upstream.
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
    fn the_same_counters_are_not_registered_twice() {
        let registry = prometheus::Registry::new();
        Metrics::new(&registry).unwrap();
        assert!(Metrics::new(&registry).is_err());
    }
}
