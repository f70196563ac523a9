//! What the engine counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The engine's metrics.
#[derive(Clone)]
pub struct MirrorMetrics {
    /// `roadstead_fills_in_flight`: downloads in progress.
    pub(super) fills_in_flight: IntGauge,
    /// `roadstead_fill_resumes_total`: downloads that broke off and went on.
    pub(super) resumes: IntCounter,
    /// `roadstead_mismatches_total`: blobs and manifests that came with wrong bytes, by upstream.
    pub(super) mismatches: IntCounterVec,
}

impl MirrorMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let fills_in_flight = IntGauge::new(
            "roadstead_fills_in_flight",
            "Downloads from upstream in progress.",
        )?;
        let resumes = IntCounter::new(
            "roadstead_fill_resumes_total",
            "Downloads from upstream that broke off and went on from where they stood.",
        )?;
        let mismatches = IntCounterVec::new(
            Opts::new(
                "roadstead_mismatches_total",
                "Downloads whose bytes did not have the digest they were asked by.",
            ),
            &["upstream"],
        )?;
        registry.register(Box::new(fills_in_flight.clone()))?;
        registry.register(Box::new(resumes.clone()))?;
        registry.register(Box::new(mismatches.clone()))?;
        Ok(Self {
            fills_in_flight,
            resumes,
            mismatches,
        })
    }
}
