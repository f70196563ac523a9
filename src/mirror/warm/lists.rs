//! Lists that are warmed by the clock: each by a loop of its own, one run after the other.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::timing::{Past, Timing};
use super::{JobState, Order, Warmer};
use crate::mirror::Clock;

/// The clock of the wall may jump: it is looked at this often at least.
const LOOK: Duration = Duration::from_mins(1);

/// What is on a list now, or why that cannot be told. May block: lists are files.
pub type ReadOrder = dyn Fn() -> Result<Order, String> + Send + Sync;

/// A list that is warmed by the clock.
#[derive(Clone)]
pub struct WarmList {
    /// What it is called: in reports, in metrics, and in the log.
    pub name: Arc<str>,
    /// Reads it anew for each run.
    pub read: Arc<ReadOrder>,
    /// When.
    pub timing: Timing,
}

impl Warmer {
    /// Warms a list whenever it is due. A run that is under way is not begun again: the next one waits for its end. Ends
    /// when there is no next time.
    pub async fn keep(self: Arc<Self>, list: WarmList, clock: Arc<dyn Clock>) {
        let mut past = Past {
            started: clock.now(),
            last: None,
        };
        loop {
            let chance = RandomState::new().hash_one(&list.name);
            let Some(due) = list.timing.next(past, clock.now(), chance) else {
                return;
            };
            loop {
                let left = Duration::from_secs(due.saturating_sub(clock.now()));
                if left.is_zero() {
                    break;
                }
                sleep(left.min(LOOK)).await;
            }
            past.last = Some(clock.now());
            self.run_list(&list, &*clock).await;
        }
    }

    async fn run_list(&self, list: &WarmList, clock: &dyn Clock) {
        let read = Arc::clone(&list.read);
        let order = tokio::task::spawn_blocking(move || read()).await;
        let order = order.unwrap_or_else(|_| Err("the process is ending".to_owned()));
        let order = match order {
            Ok(order) => order,
            Err(why) => {
                tracing::warn!(list = &*list.name, %why, "a warm list cannot be read");
                self.metrics.ended(JobState::Failed);
                return;
            }
        };
        let id = self.begin_list(order, Some(&list.name)).id;
        let state = self.ended(id).await;
        match state {
            Some(JobState::Complete) => {
                tracing::info!(list = &*list.name, job = id, "a warm list is here");
                self.metrics.succeeded(&list.name, clock.now());
            }
            state => {
                let state = state.map_or("gone", JobState::word);
                tracing::warn!(
                    list = &*list.name,
                    job = id,
                    state,
                    "a warm list is not all here"
                );
            }
        }
    }

    /// Waits for the end of a job.
    async fn ended(&self, id: u64) -> Option<JobState> {
        let mut changes = self.changes(id)?;
        loop {
            changes.mark_unchanged();
            let state = self.report(id)?.state;
            if state != JobState::Running {
                return Some(state);
            }
            changes.changed().await.ok()?;
        }
    }
}
