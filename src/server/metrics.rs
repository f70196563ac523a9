//! What the doors count. Labels come from closed sets: declared names, kinds of endpoint, outcomes and their reasons.

mod kind;
mod series;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use self::series::{Series, SeriesTable};
use super::route::NO_UPSTREAM;
use super::{End, Refusal};
use crate::mirror::{Outcome, Who};

pub(super) use kind::Kind;

/// Seconds until the head of an answer: from memory, from disk, over a near and over a far uplink, and what the
/// engine may take at most.
const FIRST_BYTE: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Seconds until the last byte: from a manifest in memory to a layer of many GiB.
const DURATION: [f64; 12] = [
    0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// The metrics of the client's side.
#[derive(Clone)]
pub struct ServerMetrics {
    requests: IntCounterVec,
    served: IntCounterVec,
    reasons: IntCounterVec,
    first_byte: HistogramVec,
    duration: HistogramVec,
    /// By upstream. What is not in it is looked up each time.
    series: Arc<HashMap<Box<str>, SeriesTable>>,
    whole: IntCounter,
    left: IntCounter,
    broken: IntCounter,
    open: IntGauge,
    accepted: IntCounter,
    refused: IntCounterVec,
}

/// One answer that has gone.
pub(super) struct Counted<'a> {
    pub(super) upstream: &'a str,
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// From the request until the head of its answer could go.
    pub(super) first_byte: Duration,
    /// From the request until the end of its answer.
    pub(super) duration: Duration,
}

impl ServerMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let histograms = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let made = HistogramVec::new(opts, &["kind", "outcome"])?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let by_outcome = ["upstream", "kind", "outcome"];
        let ends = counters(
            "roadstead_request_ends_total",
            "Answers by how they ended: whole, left (the client went, or was disconnected for being slow), or broken (on our side or upstream's).",
            &["end"],
        )?;
        let ended = |word: &str| ends.with_label_values(&[word]);
        let metrics = Self {
            series: Arc::default(),
            whole: ended("whole"),
            left: ended("left"),
            broken: ended("broken"),
            requests: counters(
                "roadstead_requests_total",
                "Requests of clients, counted when answered.",
                &by_outcome,
            )?,
            served: counters(
                "roadstead_served_bytes_total",
                "Bytes of bodies sent to clients.",
                &by_outcome,
            )?,
            reasons: counters(
                "roadstead_request_reasons_total",
                "Requests answered past the store (bypass), from an older record (stale), or with an error, by the reason.",
                &["upstream", "outcome", "why"],
            )?,
            first_byte: histograms(
                "roadstead_request_first_byte_seconds",
                "Time from a request until the head of its answer could go.",
                &FIRST_BYTE,
            )?,
            duration: histograms(
                "roadstead_request_duration_seconds",
                "Time from a request until its answer had gone.",
                &DURATION,
            )?,
            open: IntGauge::new(
                "roadstead_connections_open",
                "Connections of clients that are open.",
            )?,
            accepted: IntCounter::new(
                "roadstead_connections_total",
                "Connections of clients since the start.",
            )?,
            refused: counters(
                "roadstead_connections_refused_total",
                "Connections turned away before there was a request to answer, by the reason.",
                &["why"],
            )?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.accepted.clone()))?;
        for refusal in Refusal::ALL {
            metrics.refused.with_label_values(&[refusal.word()]);
        }
        Ok(metrics)
    }

    /// The same, with zeros for what pulls from these upstreams will count: a counter that appears with its first
    /// event hides that one from `increase()`.
    #[must_use]
    pub fn with_upstreams<'a>(mut self, upstreams: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tables = HashMap::from([(Box::from(NO_UPSTREAM), SeriesTable::default())]);
        for upstream in upstreams {
            for kind in Kind::PULLED.map(Kind::word) {
                for outcome in Outcome::WORDS {
                    self.requests.with_label_values(&[upstream, kind, outcome]);
                    self.served.with_label_values(&[upstream, kind, outcome]);
                }
            }
            for who in Who::ALL {
                let error = Outcome::Error(who);
                let why = error.why().unwrap_or_default();
                self.reasons
                    .with_label_values(&[upstream, error.word(), why]);
            }
            tables.insert(Box::from(upstream), SeriesTable::default());
        }
        for outcome in ["error", "denied"] {
            self.requests
                .with_label_values(&[NO_UPSTREAM, "other", outcome]);
        }
        self.series = Arc::new(tables);
        self
    }

    /// Counts one answer when it has gone.
    pub(super) fn count(&self, one: &Counted<'_>) {
        let (kind, outcome) = (one.kind, one.outcome);
        let looked_up = || self.series(one.upstream, kind.word(), outcome.word());
        let looked_up_now;
        let series = if let Some(table) = self.series.get(one.upstream) {
            table.place(kind, outcome).get_or_init(looked_up)
        } else {
            looked_up_now = looked_up();
            &looked_up_now
        };
        series.requests.inc();
        series.served.inc_by(one.bytes);
        series.first_byte.observe(one.first_byte.as_secs_f64());
        series.duration.observe(one.duration.as_secs_f64());
        if let Some(why) = outcome.why() {
            self.reasons
                .with_label_values(&[one.upstream, outcome.word(), why])
                .inc();
        }
    }

    /// Counts how an answer ended.
    pub(super) fn ended(&self, end: &End) {
        match end {
            End::Whole => &self.whole,
            End::Left => &self.left,
            End::Broken(_) => &self.broken,
        }
        .inc();
    }

    fn series(&self, upstream: &str, kind: &str, outcome: &str) -> Series {
        let labels = [upstream, kind, outcome];
        Series {
            requests: self.requests.with_label_values(&labels),
            served: self.served.with_label_values(&labels),
            first_byte: self.first_byte.with_label_values(&labels[1..]),
            duration: self.duration.with_label_values(&labels[1..]),
        }
    }

    /// Counts a connection that has come.
    pub(super) fn opened(&self) {
        self.open.inc();
        self.accepted.inc();
    }

    /// A connection has gone.
    pub(super) fn closed(&self) {
        self.open.dec();
    }

    /// Counts a connection that got no request through.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused.with_label_values(&[refusal.word()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a sample of a page in the text format.
    fn sample(registry: &Registry, name: &str) -> Option<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
        let text = text.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }

    #[test]
    fn an_answer_counts_with_its_bytes_times_and_reason() {
        let registry = Registry::new();
        let metrics = ServerMetrics::new(&registry).unwrap();
        let metrics = metrics.with_upstreams(["docker.io"]);
        let miss = "{kind=\"blob\",outcome=\"miss\",upstream=\"docker.io\"}";
        let zero = sample(&registry, &format!("roadstead_requests_total{miss}"));
        assert_eq!(zero.as_deref(), Some("0"));
        for outcome in [Outcome::Miss, Outcome::Bypass("full")] {
            metrics.count(&Counted {
                upstream: "docker.io",
                kind: Kind::Blob,
                outcome,
                bytes: 7,
                first_byte: Duration::from_millis(2),
                duration: Duration::from_secs(2),
            });
        }
        for (name, value) in [
            (format!("roadstead_requests_total{miss}"), "1"),
            (format!("roadstead_served_bytes_total{miss}"), "7"),
            (
                "roadstead_request_reasons_total{outcome=\"bypass\",upstream=\"docker.io\",why=\"full\"}"
                    .to_owned(),
                "1",
            ),
            (
                "roadstead_request_first_byte_seconds_bucket{kind=\"blob\",outcome=\"miss\",le=\"0.0025\"}"
                    .to_owned(),
                "1",
            ),
            (
                "roadstead_request_duration_seconds_sum{kind=\"blob\",outcome=\"miss\"}".to_owned(),
                "2",
            ),
        ] {
            assert_eq!(sample(&registry, &name).as_deref(), Some(value), "{name}");
        }
    }

    /// Whatever is counted is counted under its own labels, looked up before or not.
    #[test]
    fn no_two_series_are_one() {
        let registry = Registry::new();
        let metrics = ServerMetrics::new(&registry).unwrap();
        let metrics = metrics.with_upstreams(["a", "b"]);
        let outcomes = [
            Outcome::Hit,
            Outcome::Stale("slow"),
            Outcome::Error(Who::Client),
        ];
        let mut bytes = 0;
        for again in 0..2 {
            for upstream in ["a", "b", NO_UPSTREAM, "undeclared"] {
                for kind in [Kind::Blob, Kind::Manifest, Kind::Other] {
                    for outcome in outcomes {
                        bytes += 1;
                        let all = [upstream, kind.word(), outcome.word()];
                        let served = metrics.served.with_label_values(&all);
                        let before = served.get();
                        metrics.count(&Counted {
                            upstream,
                            kind,
                            outcome,
                            bytes,
                            first_byte: Duration::ZERO,
                            duration: Duration::ZERO,
                        });
                        assert_eq!(served.get(), before + bytes, "{all:?}");
                        let requests = metrics.requests.with_label_values(&all);
                        assert_eq!(requests.get(), again + 1, "{all:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_answer_counts_by_how_it_ended() {
        let registry = Registry::new();
        let metrics = ServerMetrics::new(&registry).unwrap();
        metrics.ended(&End::Left);
        for (end, value) in [("whole", "0"), ("left", "1"), ("broken", "0")] {
            let name = format!("roadstead_request_ends_total{{end=\"{end}\"}}");
            assert_eq!(sample(&registry, &name).as_deref(), Some(value), "{end}");
        }
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let registry = Registry::new();
        let metrics = ServerMetrics::new(&registry).unwrap();
        metrics.opened();
        metrics.opened();
        metrics.closed();
        metrics.refused(Refusal::Crowded);
        for (name, value) in [
            ("roadstead_connections_open", "1"),
            ("roadstead_connections_total", "2"),
            ("roadstead_connections_refused_total{why=\"crowded\"}", "1"),
            ("roadstead_connections_refused_total{why=\"tls\"}", "0"),
        ] {
            assert_eq!(sample(&registry, name).as_deref(), Some(value), "{name}");
        }
    }
}
