//! What the engine counts.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The engine's metrics.
#[derive(Clone)]
pub struct MirrorMetrics {
    /// `roadstead_fills_in_flight`: downloads in progress.
    pub(super) fills_in_flight: IntGauge,
    /// `roadstead_fills_total`: downloads that ended, by upstream and end.
    fills: IntCounterVec,
    /// `roadstead_fill_followers`: requests that take part in downloads in progress.
    pub(super) followers: IntGauge,
    /// `roadstead_fill_joins_total`: requests that found the download of what they want under way, by upstream.
    joins: IntCounterVec,
    /// `roadstead_fill_resumes_total`: downloads that broke off and went on, by upstream.
    resumes: IntCounterVec,
    /// `roadstead_fill_splits_total`: downloads that went on over one connection more, by upstream.
    splits: IntCounterVec,
    /// `roadstead_mismatches_total`: blobs and manifests that came with wrong bytes, by upstream.
    pub(super) mismatches: IntCounterVec,
    /// `roadstead_lanes`: connections that may download at once, by upstream.
    lanes: IntGaugeVec,
    /// `roadstead_lanes_busy`: those that do.
    lanes_busy: IntGaugeVec,
    /// `roadstead_lanes_waiting`: downloads that wait for one.
    lanes_waiting: IntGaugeVec,
}

/// How a fill ended, as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FillEnd {
    /// All bytes came, and their digest matches.
    Whole,
    /// Nobody followed, and it was laid down.
    Rested,
    /// It failed.
    Failed,
    /// The store failed, and its followers went on past it.
    Past,
}

impl FillEnd {
    const ALL: [Self; 4] = [Self::Whole, Self::Rested, Self::Failed, Self::Past];

    fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Rested => "rested",
            Self::Failed => "failed",
            Self::Past => "past",
        }
    }
}

/// The gauges of one upstream's lanes.
#[derive(Clone)]
pub(super) struct LaneGauges {
    pub(super) busy: IntGauge,
    pub(super) waiting: IntGauge,
}

impl MirrorMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let gauges = |name: &str, help: &str| {
            let made = IntGaugeVec::new(Opts::new(name, help), &["upstream"])?;
            registry.register(Box::new(made.clone()))?;
            Ok::<_, prometheus::Error>(made)
        };
        let metrics = Self {
            fills_in_flight: IntGauge::new(
                "roadstead_fills_in_flight",
                "Downloads from upstream in progress.",
            )?,
            fills: counters(
                "roadstead_fills_total",
                "Downloads from upstream that ended: whole, rested (nobody followed; what came is kept), failed, or past the store.",
                &["upstream", "end"],
            )?,
            followers: IntGauge::new(
                "roadstead_fill_followers",
                "Requests that take part in downloads in progress.",
            )?,
            joins: counters(
                "roadstead_fill_joins_total",
                "Requests that found the download of what they want under way.",
                &["upstream"],
            )?,
            resumes: counters(
                "roadstead_fill_resumes_total",
                "Downloads from upstream that broke off and went on from where they stood.",
                &["upstream"],
            )?,
            splits: counters(
                "roadstead_fill_splits_total",
                "Times that a slow download went on over one connection more.",
                &["upstream"],
            )?,
            mismatches: counters(
                "roadstead_mismatches_total",
                "Downloads whose bytes did not have the digest they were asked by.",
                &["upstream"],
            )?,
            lanes: gauges(
                "roadstead_lanes",
                "Connections that may download from an upstream at once.",
            )?,
            lanes_busy: gauges(
                "roadstead_lanes_busy",
                "Connections that download from an upstream now.",
            )?,
            lanes_waiting: gauges(
                "roadstead_lanes_waiting",
                "Downloads that wait until a connection to their upstream is free.",
            )?,
        };
        registry.register(Box::new(metrics.fills_in_flight.clone()))?;
        registry.register(Box::new(metrics.followers.clone()))?;
        Ok(metrics)
    }

    /// Zeros for what `upstream`, which bears so many downloads at once, will count: a counter that appears with its
    /// first event hides that one from `increase()`. Gives the gauges of its lanes.
    pub(super) fn begin(&self, upstream: &str, downloads: usize) -> LaneGauges {
        for counters in [&self.mismatches, &self.joins, &self.resumes, &self.splits] {
            counters.with_label_values(&[upstream]);
        }
        for end in FillEnd::ALL {
            self.fills.with_label_values(&[upstream, end.word()]);
        }
        let lanes = i64::try_from(downloads).unwrap_or(i64::MAX);
        self.lanes.with_label_values(&[upstream]).set(lanes);
        LaneGauges {
            busy: self.lanes_busy.with_label_values(&[upstream]),
            waiting: self.lanes_waiting.with_label_values(&[upstream]),
        }
    }

    /// Counts a fill that has ended.
    pub(super) fn ended(&self, upstream: &str, end: FillEnd) {
        self.fills.with_label_values(&[upstream, end.word()]).inc();
    }

    /// Counts a download that broke off and goes on.
    pub(super) fn resumed(&self, upstream: &str) {
        self.resumes.with_label_values(&[upstream]).inc();
    }

    /// Counts a download that goes on over one connection more.
    pub(super) fn split(&self, upstream: &str) {
        self.splits.with_label_values(&[upstream]).inc();
    }

    /// Counts a request that found its fill under way.
    pub(super) fn joined(&self, upstream: &str) {
        self.joins.with_label_values(&[upstream]).inc();
    }
}

/// One more in a gauge, as long as this lives.
pub(super) struct InGauge(IntGauge);

impl InGauge {
    pub(super) fn of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}
