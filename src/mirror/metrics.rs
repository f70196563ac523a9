//! What the engine counts.

use prometheus::{IntGauge, Registry};

/// The engine's metrics.
#[derive(Clone)]
pub struct MirrorMetrics {
    /// `roadstead_fills_in_flight`: downloads in progress.
    pub(super) fills_in_flight: IntGauge,
}

impl MirrorMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let fills_in_flight = IntGauge::new(
            "roadstead_fills_in_flight",
            "Downloads from upstream in progress.",
        )?;
        registry.register(Box::new(fills_in_flight.clone()))?;
        Ok(Self { fills_in_flight })
    }
}
