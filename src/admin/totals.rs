//! What was served, in sums: read from the very counters that Prometheus scrapes.

use prometheus::proto::{Metric, MetricFamily};
use serde::Serialize;

/// How the reasons of a bypass begin that is owed to the store: it fails, or is full.
const PAST_THE_STORE: [&str; 2] = ["store_", "too_large"];

/// The kinds of request that pulls are made of.
const PULLED: [&str; 2] = ["manifest", "blob"];

/// All metrics at one instant.
pub(super) struct Gathered(pub(super) Vec<MetricFamily>);

/// What was served since the start: manifests and blobs, in numbers of requests and bytes of bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Totals {
    /// Requests, however they were answered.
    pub(super) requests: u64,
    /// Answered from what is here: hit, revalidated, stale.
    pub(super) hits: u64,
    /// Answered from a download that was begun for another request.
    pub(super) joins: u64,
    /// Answered by a transfer of their own: miss, bypass.
    pub(super) misses: u64,
    /// Answered from an older record, because upstream could not be asked; among the hits, too.
    pub(super) stale: u64,
    /// Answered past the store, because it fails or has no room; among the misses, too.
    pub(super) past_store: u64,
    /// Failed.
    pub(super) errors: u64,
    /// The share of hits and joins, which took no transfer of their own, among hits, joins and misses; `None` before
    /// the first.
    pub(super) hit_rate: Option<f64>,
    /// Bytes sent to clients.
    pub(super) served_bytes: u64,
    /// By so many more were served than fetched.
    pub(super) saved_bytes: u64,
    /// The share of the bytes saved among the bytes served; `None` before the first.
    pub(super) byte_hit_rate: Option<f64>,
    /// Bytes received from upstreams, of every kind.
    pub(super) fetched_bytes: u64,
    /// Requests sent to upstreams.
    pub(super) upstream_requests: u64,
}

impl Gathered {
    /// The totals of one upstream, or of all.
    pub(super) fn totals(&self, upstream: Option<&str>) -> Totals {
        let of = |metric: &Metric| upstream.is_none_or(|name| label(metric, "upstream") == name);
        let pulled = |name: &str, outcomes: &[&str]| {
            self.sum(name, |metric| {
                let wanted = outcomes.is_empty() || outcomes.contains(&label(metric, "outcome"));
                wanted && of(metric) && PULLED.contains(&label(metric, "kind"))
            })
        };
        let requests = |outcomes: &[&str]| pulled("roadstead_requests_total", outcomes);
        let served = |outcomes: &[&str]| pulled("roadstead_served_bytes_total", outcomes);
        let hits = requests(&["hit", "revalidated", "stale"]);
        let joins = requests(&["join"]);
        let misses = requests(&["miss", "bypass"]);
        let served_bytes = served(&[]);
        let fetched_bytes = self.sum("roadstead_upstream_received_bytes_total", of);
        // Not by outcome: what was fetched ahead, and never asked for, costs all the same.
        let saved_bytes = served_bytes.saturating_sub(fetched_bytes);
        Totals {
            requests: requests(&[]),
            hits,
            joins,
            misses,
            stale: requests(&["stale"]),
            past_store: self.sum("roadstead_request_reasons_total", |metric| {
                let why = label(metric, "why");
                let is_past = PAST_THE_STORE.iter().any(|it| why.starts_with(it));
                of(metric) && label(metric, "outcome") == "bypass" && is_past
            }),
            errors: requests(&["error"]),
            hit_rate: share(hits + joins, hits + joins + misses),
            served_bytes,
            saved_bytes,
            byte_hit_rate: share(saved_bytes, served_bytes),
            fetched_bytes,
            upstream_requests: self.sum("roadstead_upstream_requests_total", of),
        }
    }

    /// The value of one gauge; `None` when nothing declares it, or not with these labels.
    pub(super) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let has = |metric: &&Metric| {
            labels
                .iter()
                .all(|(key, value)| label(metric, key) == *value)
        };
        let metric = self.samples(name).find(has)?;
        Some(whole(metric.get_gauge().get_value()))
    }

    /// The value of a counter, over all its labels.
    pub(super) fn counter(&self, name: &str) -> u64 {
        self.sum(name, |_| true)
    }

    fn sum(&self, name: &str, wanted: impl Fn(&Metric) -> bool) -> u64 {
        let metrics = self.samples(name).filter(|metric| wanted(metric));
        metrics
            .map(|metric| whole(metric.get_counter().get_value()))
            .sum()
    }

    fn samples(&self, name: &str) -> impl Iterator<Item = &Metric> {
        let families = self.0.iter().filter(move |family| family.name() == name);
        families.flat_map(MetricFamily::get_metric)
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    let labels = metric.get_label().iter();
    let mut found = labels.filter(|label| label.name() == name);
    found.next().map_or("", |label| label.value())
}

/// A count, which the library keeps as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is counted is whole and not negative, and a cast stays within its bounds"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

    use super::*;

    fn counters(registry: &Registry, name: &str, labels: &[&str], values: &[(&[&str], u64)]) {
        let counters = IntCounterVec::new(Opts::new(name, "h"), labels).unwrap();
        registry.register(Box::new(counters.clone())).unwrap();
        for (labels, value) in values {
            counters.with_label_values(labels).inc_by(*value);
        }
    }

    #[test]
    fn rates_are_of_what_pulls_are_made_of() {
        let registry = Registry::new();
        let by = ["upstream", "kind", "outcome"];
        let rows: &[(&[&str], u64)] = &[
            (&["a", "blob", "hit"], 6),
            (&["a", "blob", "miss"], 2),
            (&["a", "manifest", "stale"], 1),
            (&["b", "blob", "join"], 1),
            (&["a", "ping", "hit"], 100),
            (&["a", "blob", "error"], 3),
        ];
        counters(&registry, "roadstead_requests_total", &by, rows);
        counters(&registry, "roadstead_served_bytes_total", &by, rows);
        let reasons: &[(&[&str], u64)] = &[
            (&["a", "bypass", "store_full"], 2),
            (&["a", "bypass", "too_large"], 1),
            (&["a", "bypass", "head"], 9),
            (&["a", "error", "store"], 9),
        ];
        let by = ["upstream", "outcome", "why"];
        counters(&registry, "roadstead_request_reasons_total", &by, reasons);
        let received: &[(&[&str], u64)] = &[(&["a", "blob"], 5), (&["b", "token"], 2)];
        let by = ["upstream", "kind"];
        counters(
            &registry,
            "roadstead_upstream_received_bytes_total",
            &by,
            received,
        );

        let gathered = Gathered(registry.gather());
        let all = gathered.totals(None);
        assert_eq!(
            (all.requests, all.hits, all.joins, all.misses),
            (13, 7, 1, 2)
        );
        assert_eq!((all.stale, all.errors), (1, 3));
        assert_eq!((all.hit_rate, all.past_store), (Some(0.8), 3));
        assert_eq!((all.served_bytes, all.saved_bytes), (13, 6));
        assert_eq!(all.fetched_bytes, 7);
        let of_b = gathered.totals(Some("b"));
        assert_eq!((of_b.requests, of_b.fetched_bytes), (1, 2));
        assert_eq!(of_b.byte_hit_rate, Some(0.0));
        assert_eq!(gathered.totals(Some("c")), Totals::default());
    }

    #[test]
    fn a_gauge_is_found_by_its_labels_or_not_at_all() {
        let registry = Registry::new();
        let gauges = IntGaugeVec::new(Opts::new("g", "h"), &["kind"]).unwrap();
        registry.register(Box::new(gauges.clone())).unwrap();
        gauges.with_label_values(&["x"]).set(7);
        let gathered = Gathered(registry.gather());
        assert_eq!(gathered.gauge("g", &[("kind", "x")]), Some(7));
        assert_eq!(gathered.gauge("g", &[("kind", "y")]), None);
        assert_eq!(gathered.gauge("h", &[]), None);
    }
}
