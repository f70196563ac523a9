//! The engine without doors: for commands that do their work beside no server.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry as MetricRegistry;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::policies::limits;
use super::upstreams::upstreams;
use super::{AppError, COMMIT_GRACE, fetch_threads, mirror, names};
use crate::config::Config;
use crate::mirror::Mirror;
use crate::mirror::warm::{WarmMetrics, Warmer};
use crate::store::DiskStore;

/// A mirror that nobody but this process uses.
pub struct Engine {
    runtime: Runtime,
    mirror: Arc<Mirror>,
    warmer: Warmer,
}

impl Engine {
    /// Builds the engine as `config` describes it. Asks no upstream.
    ///
    /// Fails with [`StoreErrorKind::Locked`](crate::store::StoreErrorKind::Locked) where a server runs on the same data
    /// folder.
    pub fn build(config: &Config) -> Result<Self, AppError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(fetch_threads().max(2))
            .thread_name("fetch")
            .enable_all()
            .build()?;
        let store = Arc::new(DiskStore::open(&config.store().path, limits(config))?);
        store.scan(|_| true)?;
        let metrics = MetricRegistry::new();
        let upstreams = upstreams(config, &metrics)?;
        let mirror = mirror(config, upstreams, &store, &metrics, runtime.handle())?;
        let warmer = Warmer::new(
            mirror.clone(),
            names(config),
            runtime.handle().clone(),
            WarmMetrics::new(&metrics)?,
        );
        Ok(Self {
            runtime,
            mirror,
            warmer,
        })
    }

    /// Its jobs.
    pub fn warmer(&self) -> &Warmer {
        &self.warmer
    }

    /// Waits for `work`.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Ends: what has arrived whole is kept, and how far the rest came is noted, for whoever goes on with it.
    pub fn close(self) {
        let Self {
            runtime,
            mirror,
            warmer,
        } = self;
        drop(warmer);
        runtime.block_on(async {
            let kept = async {
                mirror.commits_ended().await;
                mirror.fills_noted().await;
                mirror.uses_noted().await;
            };
            if timeout(COMMIT_GRACE, kept).await.is_err() {
                tracing::warn!("the disk is too slow: not all that was downloaded is kept");
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}
