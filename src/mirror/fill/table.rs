//! The fills under way: at every instant a digest is content, or in one fill, or absent (invariants 3 and 4).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::{Notify, watch};

use super::state::{Phase, State};
use super::work::Work;
use crate::oci::Digest;
use crate::store::{Content, Contents, Link, StoreError};

/// One download in progress of one digest.
pub(in crate::mirror) struct Fill {
    /// Under whose right, and as what, the bytes are asked for: for those who want just this, upstream's answer to
    /// the fill is proof enough, and its refusal is theirs.
    link: Link,
    state: watch::Sender<State>,
    /// The unverified bytes, here while no fetch has them.
    work: Mutex<Option<Work>>,
    /// How many fetches were begun: one that always dies must not be begun for ever.
    fetches: AtomicU32,
}

impl Fill {
    fn new(link: Link) -> Self {
        let (state, _) = watch::channel(State::new());
        Self {
            link,
            state,
            work: Mutex::new(None),
            fetches: AtomicU32::new(0),
        }
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.link.digest
    }

    /// Under whose right, and as what, the bytes are asked for.
    pub(in crate::mirror) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn state(&self) -> &watch::Sender<State> {
        &self.state
    }

    /// Counts a fetch that begins; gives its number, from 1.
    pub(super) fn count_fetch(&self) -> u32 {
        self.fetches.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_verified(&self) -> bool {
        matches!(self.state.borrow().phase, Phase::Verified)
    }

    pub(super) fn take_work(&self) -> Option<Work> {
        self.work.lock().take()
    }

    /// Gives the bytes back and lets a follower go on from them.
    pub(super) fn orphan(&self, work: Option<Work>) {
        *self.work.lock() = work;
        self.state
            .send_modify(|state| state.phase = Phase::Orphaned);
    }

    /// Whether the caller is the one that may begin a new fetch of an orphaned fill.
    pub(super) fn claim(&self) -> bool {
        self.state.send_if_modified(|state| {
            let orphaned = matches!(state.phase, Phase::Orphaned);
            if orphaned {
                state.phase = Phase::Fetching;
            }
            orphaned
        })
    }
}

/// What stands behind a digest at the instant of asking.
pub(in crate::mirror) enum Entered {
    /// It is content.
    Content(Content),
    /// Another request's fill is under way.
    Joined(Arc<Fill>),
    /// A new fill, now in the table: the caller must begin its fetch.
    Began(Arc<Fill>),
}

/// All fills of the process.
pub(in crate::mirror) struct FillTable {
    fills: Mutex<HashMap<Digest, Arc<Fill>>>,
    in_flight: IntGauge,
    /// Told whenever a fill has left.
    left: Notify,
}

impl FillTable {
    pub(in crate::mirror) fn new(in_flight: IntGauge) -> Self {
        Self {
            fills: Mutex::default(),
            in_flight,
            left: Notify::new(),
        }
    }

    /// Finds or begins the one fill of the link's digest.
    ///
    /// The store is asked with the table locked: a fill commits before it leaves the table, so a digest that
    /// is in no fill here and not content there is truly absent.
    pub(in crate::mirror) fn enter(
        &self,
        link: &Link,
        store: &(impl Contents + ?Sized),
    ) -> Result<Entered, StoreError> {
        let mut fills = self.fills.lock();
        if let Some(fill) = fills.get(&link.digest) {
            return Ok(Entered::Joined(Arc::clone(fill)));
        }
        if let Some(content) = store.open(&link.digest)? {
            return Ok(Entered::Content(content));
        }
        let fill = Arc::new(Fill::new(link.clone()));
        fills.insert(link.digest.clone(), Arc::clone(&fill));
        self.in_flight
            .set(i64::try_from(fills.len()).unwrap_or(i64::MAX));
        Ok(Entered::Began(fill))
    }

    /// Waits until no fill is between its last byte and its commit.
    pub(in crate::mirror) async fn commits_ended(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Listening begins before the look, so that no leaving is missed in between.
            left.as_mut().enable();
            let fills: Vec<_> = self.fills.lock().values().cloned().collect();
            if !fills.iter().any(|fill| fill.is_verified()) {
                return;
            }
            left.await;
        }
    }

    /// Whether no fill is under way.
    #[cfg(test)]
    pub(in crate::mirror) fn is_empty(&self) -> bool {
        self.fills.lock().is_empty()
    }

    /// Takes a fill out, after its commit or its failure and after its file is gone.
    pub(super) fn leave(&self, digest: &Digest) {
        let mut fills = self.fills.lock();
        fills.remove(digest);
        self.in_flight
            .set(i64::try_from(fills.len()).unwrap_or(i64::MAX));
        drop(fills);
        self.left.notify_waiters();
    }
}
