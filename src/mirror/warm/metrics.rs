//! What is counted of jobs that warm.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::report::JobState;

/// The metrics of jobs.
#[derive(Clone)]
pub struct WarmMetrics {
    /// `roadstead_warm_jobs_total`: jobs that ended, by how.
    jobs: IntCounterVec,
    /// `roadstead_warm_running`: jobs under way.
    pub(super) running: IntGauge,
    /// `roadstead_warm_last_success_timestamp_seconds`: when a list of the config was last found or made complete.
    last_success: IntGaugeVec,
}

impl WarmMetrics {
    /// Declares the metrics in `registry`. Fails when they are there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            jobs: IntCounterVec::new(
                Opts::new(
                    "roadstead_warm_jobs_total",
                    "Jobs that warm that ended: complete, partial, failed, or cancelled.",
                ),
                &["result"],
            )?,
            running: IntGauge::new("roadstead_warm_running", "Jobs that warm under way.")?,
            last_success: IntGaugeVec::new(
                Opts::new(
                    "roadstead_warm_last_success_timestamp_seconds",
                    "When all of a list of the config was last brought or found here, in Unix seconds; 0 if it never was since the start.",
                ),
                &["list"],
            )?,
        };
        registry.register(Box::new(metrics.jobs.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        for state in JobState::ENDS {
            metrics.jobs.with_label_values(&[state.word()]);
        }
        Ok(metrics)
    }

    /// A list of the config that has not been here whole since the start.
    pub fn begin(&self, list: &str) {
        self.last_success.with_label_values(&[list]).set(0);
    }

    /// What there is to scrape.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> Vec<prometheus::proto::MetricFamily> {
        use prometheus::core::Collector;
        let (jobs, running) = (self.jobs.collect(), self.running.collect());
        [jobs, running, self.last_success.collect()].concat()
    }

    /// Counts a job that has ended so.
    pub(super) fn ended(&self, state: JobState) {
        self.jobs.with_label_values(&[state.word()]).inc();
    }

    /// All of the list is here.
    pub(super) fn succeeded(&self, list: &str, now: u64) {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.last_success.with_label_values(&[list]).set(now);
    }
}
