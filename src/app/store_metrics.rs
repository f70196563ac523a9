//! What the store takes and did, as metrics: read from it when somebody scrapes.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::store::{Reason, Retention, Usage};

/// The metrics of one store.
struct StoreMetrics {
    store: Arc<dyn Retention>,
    bytes: IntGaugeVec,
    capacity: IntGauge,
    contents: IntGauge,
    evictions: IntCounterVec,
    evicted_bytes: IntCounterVec,
    verified: IntCounterVec,
}

/// Shows `store` in `registry`.
///
/// # Errors
/// When metrics of these names are there already.
pub(super) fn register(registry: &Registry, store: Arc<dyn Retention>) -> Result<(), Error> {
    let gauges =
        |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
    let counters =
        |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
    registry.register(Box::new(StoreMetrics {
        store,
        bytes: gauges(
            "roadstead_store_bytes",
            "Bytes in the store by the sizes of files: content, unfinished downloads, what they have reserved; pinned is part of content.",
            &["kind"],
        )?,
        capacity: IntGauge::new(
            "roadstead_store_capacity_bytes",
            "Bytes that content, unfinished downloads and reservations may take together.",
        )?,
        contents: IntGauge::new("roadstead_store_contents", "Digests that are content.")?,
        evictions: counters(
            "roadstead_store_evictions_total",
            "Digests removed from the store, by reason.",
            &["reason"],
        )?,
        evicted_bytes: counters(
            "roadstead_store_evicted_bytes_total",
            "Bytes removed from the store, by reason.",
            &["reason"],
        )?,
        verified: counters(
            "roadstead_store_verified_total",
            "Digests hashed anew, by result; those found wrong otherwise are among the wrong ones.",
            &["result"],
        )?,
    }))
}

impl StoreMetrics {
    fn take(&self, usage: &Usage) {
        for (kind, bytes) in [
            ("content", usage.content_bytes),
            ("fills", usage.fills_bytes),
            ("reserved", usage.reserved_bytes),
            ("pinned", usage.pinned_bytes),
        ] {
            self.bytes.with_label_values(&[kind]).set(gauge(bytes));
        }
        self.capacity.set(gauge(usage.capacity));
        self.contents.set(gauge(usage.content_count));
        for reason in Reason::ALL {
            let evicted = usage.evicted.of(reason);
            let labels = [reason.name()];
            raise(&self.evictions, &labels, evicted.count);
            raise(&self.evicted_bytes, &labels, evicted.bytes);
        }
        raise(&self.verified, &["right"], usage.verified);
        raise(&self.verified, &["wrong"], usage.wrong);
    }
}

impl Collector for StoreMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.bytes.desc();
        descriptions.extend(self.capacity.desc());
        descriptions.extend(self.contents.desc());
        descriptions.extend(self.evictions.desc());
        descriptions.extend(self.evicted_bytes.desc());
        descriptions.extend(self.verified.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.take(&self.store.usage());
        let mut families = self.bytes.collect();
        families.extend(self.capacity.collect());
        families.extend(self.contents.collect());
        families.extend(self.evictions.collect());
        families.extend(self.evicted_bytes.collect());
        families.extend(self.verified.collect());
        families
    }
}

/// Brings a counter up to `total`. Two scrapes at once may meet: then one of them counts a little late.
fn raise(counters: &IntCounterVec, labels: &[&str], total: u64) {
    let counter = counters.with_label_values(labels);
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Limits, MemoryStore};

    #[test]
    fn all_is_there_from_the_start_and_follows_the_store() {
        let registry = Registry::new();
        let store = Arc::new(MemoryStore::new(Limits::of(1000)));
        register(&registry, Arc::clone(&store) as _).unwrap();
        let told = || {
            let families = registry.gather();
            let values = families.iter().flat_map(|family| {
                family.get_metric().iter().map(|metric| {
                    let label = metric.get_label().first().map_or("", |it| it.value());
                    format!("{}{{{label}}}", family.name())
                })
            });
            values.collect::<Vec<_>>()
        };
        for name in [
            "roadstead_store_bytes{content}",
            "roadstead_store_capacity_bytes{}",
            "roadstead_store_evictions_total{free_space}",
            "roadstead_store_evicted_bytes_total{cap}",
            "roadstead_store_verified_total{wrong}",
        ] {
            assert!(told().iter().any(|it| it == name), "{name}: {:?}", told());
        }
        assert!(register(&registry, store).is_err(), "declared twice");
    }
}
