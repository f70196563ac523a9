//! Warming: images are brought before anybody asks.
//!
//! A client of the engine like those behind the doors: it resolves by the same records, and its fills are those that
//! clients join. Its downloads wait behind the clients' (the lanes for what runs ahead of them), so that a job of any
//! size costs those nothing.
//!
//! | file | idea |
//! |---|---|
//! | `order` | what is asked for |
//! | `platforms`, `versions` | which children of an index, which of the tags (pure) |
//! | `run` | one job |
//! | `gather` | all that belongs to an image |
//! | `board`, `report`, `metrics` | how a job stands, and what is counted |
//! | `timing` | when a list is warmed again (pure) |
//! | `lists` | warming lists by the clock |

mod board;
mod gather;
mod lists;
mod metrics;
mod order;
mod platforms;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod timing;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use self::board::Board;
use self::run::Run;
use super::metrics::InGauge;
use super::{Mirror, Names};

pub use crate::oci::{PlatformError, Wanted, WantedError, WantedPlatform};
pub use gather::cosign_tags;
pub use lists::{ReadOrder, WarmList};
pub use metrics::WarmMetrics;
pub use order::{Order, PinUnder};
pub use platforms::{Chosen, choose};
pub use report::{BlobRow, JobState, Report, Row, RowState, verdict};
pub use timing::{Beat, Past, Timing};
pub use versions::newest;

/// Jobs that have ended and are still told of.
const REMEMBERED: usize = 100;

/// All jobs of the process. Dropped, it stops them.
pub struct Warmer {
    mirror: Arc<Mirror>,
    names: Names,
    runtime: Handle,
    gates: HashMap<Arc<str>, Arc<Semaphore>>,
    metrics: WarmMetrics,
    jobs: Mutex<BTreeMap<u64, Job>>,
}

struct Job {
    order: Order,
    board: Arc<Board>,
    task: AbortHandle,
}

/// A job that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Names it.
    pub id: u64,
    /// Whether it was begun for this; else the same was under way.
    pub is_new: bool,
}

impl Warmer {
    /// Jobs on `runtime`, for images whose registries have these names.
    pub fn new(mirror: Arc<Mirror>, names: Names, runtime: Handle, metrics: WarmMetrics) -> Self {
        let ways = mirror.upstreams.iter();
        let gates = ways.map(|(name, way)| (Arc::clone(name), Arc::new(Semaphore::new(way.ahead))));
        Self {
            gates: gates.collect(),
            mirror,
            names,
            runtime,
            metrics,
            jobs: Mutex::default(),
        }
    }

    /// Begins a job, unless the same is under way.
    pub fn begin(&self, order: Order) -> Asked {
        self.begin_list(order, None)
    }

    /// The same for a list of the config.
    fn begin_list(&self, order: Order, list: Option<&str>) -> Asked {
        let mut jobs = self.jobs.lock();
        let under_way = jobs
            .iter()
            .find(|(_, job)| !job.task.is_finished() && job.order == order);
        if let Some((&id, _)) = under_way {
            return Asked { id, is_new: false };
        }
        let now = self.mirror.clock.now();
        // Ids of an earlier process are not given anew to other jobs.
        let latest = jobs.last_key_value().map_or(0, |(&id, _)| id);
        let id = now.max(latest + 1);
        let pin = order.pin.as_ref().map(|pin| pin.name.clone());
        let board = Arc::new(Board::new(id, now, list.map(str::to_owned), pin));
        let run = Run {
            mirror: Arc::clone(&self.mirror),
            names: self.names.clone(),
            order: order.clone(),
            board: Arc::clone(&board),
            gates: self.gates.clone(),
            metrics: self.metrics.clone(),
            _running: InGauge::of(&self.metrics.running),
            brought: Mutex::default(),
        };
        let task = self.runtime.spawn(run.run()).abort_handle();
        let job = Job { order, board, task };
        jobs.insert(id, job);
        let ended: Vec<_> = jobs
            .iter()
            .filter(|(_, job)| job.task.is_finished())
            .collect();
        let forgotten = ended.len().saturating_sub(REMEMBERED);
        let forgotten: Vec<_> = ended[..forgotten].iter().map(|(id, _)| **id).collect();
        for id in forgotten {
            jobs.remove(&id);
        }
        Asked { id, is_new: true }
    }

    /// How a job stands; `None` when there is none of that id.
    pub fn report(&self, id: u64) -> Option<Report> {
        let board = Arc::clone(&self.jobs.lock().get(&id)?.board);
        Some(board.report())
    }

    /// All jobs, the latest first.
    pub fn reports(&self) -> Vec<Report> {
        let jobs = self.jobs.lock();
        let boards: Vec<_> = jobs
            .values()
            .rev()
            .map(|job| Arc::clone(&job.board))
            .collect();
        drop(jobs);
        boards.iter().map(|board| board.report()).collect()
    }

    /// Tells whenever something about a job has changed.
    pub fn changes(&self, id: u64) -> Option<watch::Receiver<u64>> {
        Some(self.jobs.lock().get(&id)?.board.changes())
    }

    /// Stops a job; whether there is one of that id. What it had begun to fetch goes on by itself.
    pub fn cancel(&self, id: u64) -> bool {
        let jobs = self.jobs.lock();
        let job = jobs.get(&id);
        if let Some(job) = job {
            job.task.abort();
        }
        job.is_some()
    }
}

impl Drop for Warmer {
    fn drop(&mut self) {
        for job in self.jobs.lock().values() {
            job.task.abort();
        }
    }
}
