//! The fills under way: at every instant a digest is content, or in one fill, or absent (invariants 3 and 4).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::FillError;
use super::fetcher::{Fetcher, settle};
use super::fill::Fill;
use super::policy::{FillPolicy, Leftover};
use super::quarantine::Quarantine;
use super::seat::Seat;
use super::state::{Ending, Phase};
use super::work::Durable;
use crate::mirror::metrics::{FillEnd, MirrorMetrics};
use crate::mirror::scribe::Scribe;
use crate::oci::Digest;
use crate::store::{Content, Link, Store, StoreError, Unfinished};

/// What stands behind a digest at the instant of asking.
pub(in crate::mirror) enum Entered {
    /// It is content.
    Content(Content),
    /// Another request's fill is under way.
    Joined(Seat),
    /// A new fill, now in the table: the caller must begin it.
    Began(Seat),
    /// Upstream sent wrong bytes for it again and again: it is not asked for this long.
    Held(Duration),
}

/// All fills of the process, and what they share.
pub(in crate::mirror) struct Fills {
    table: Mutex<HashMap<Digest, Arc<Fill>>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) scribe: Arc<Scribe>,
    pub(super) runtime: Handle,
    pub(super) policy: FillPolicy,
    pub(super) metrics: MirrorMetrics,
    /// Told whenever a fill has left.
    left: Notify,
    quarantine: Quarantine,
}

impl Fills {
    pub(in crate::mirror) fn new(
        store: Arc<dyn Store>,
        scribe: Arc<Scribe>,
        runtime: Handle,
        policy: FillPolicy,
        metrics: MirrorMetrics,
    ) -> Self {
        Self {
            table: Mutex::default(),
            store,
            scribe,
            runtime,
            policy,
            metrics,
            left: Notify::new(),
            quarantine: Quarantine::default(),
        }
    }

    /// Finds or begins the one fill of the fetcher's digest, and takes a seat in it; `whole` when all of it is wanted.
    ///
    /// The store is asked with the table locked: a fill commits before it leaves the table, so a digest that
    /// is in no fill here and not content there is truly absent.
    pub(in crate::mirror) fn enter(&self, fetcher: &Fetcher, whole: bool) -> Entered {
        let digest = &fetcher.link.digest;
        let mut table = self.table.lock();
        if let Some(fill) = table.get(digest) {
            self.metrics.joined(&fetcher.link.origin.upstream);
            return Entered::Joined(Seat::take(fill, whole));
        }
        if let Some(content) = self.content(digest) {
            return Entered::Content(content);
        }
        if let Some(wait) = self.quarantine.held(&fetcher.link, Instant::now()) {
            return Entered::Held(wait);
        }
        let fill = Arc::new(Fill::new(fetcher.clone()));
        table.insert(digest.clone(), Arc::clone(&fill));
        self.count(&table);
        Entered::Began(Seat::take(&fill, whole))
    }

    /// The content of `digest`. What cannot be opened is as good as absent: upstream has it still (invariant 6).
    pub(in crate::mirror) fn content(&self, digest: &Digest) -> Option<Content> {
        self.store.open(digest).unwrap_or_else(|error| {
            tracing::error!(%digest, %error, "content cannot be opened");
            None
        })
    }

    /// Takes a fill out, after its commit or its end, when its file is in order; one that is in no more leaves its
    /// successor alone, or two would write one file.
    pub(super) fn leave(&self, fill: &Arc<Fill>) {
        let mut table = self.table.lock();
        let there = table.get(fill.digest());
        if there.is_some_and(|there| Arc::ptr_eq(there, fill)) {
            table.remove(fill.digest());
        }
        self.count(&table);
        drop(table);
        self.left.notify_waiters();
    }

    /// Lays a fill down that nobody follows: what it brought stays for the next one.
    ///
    /// Its progress is noted before the table is locked, for the disk may take its time; then it is left with the
    /// table locked, so that nobody joins it meanwhile.
    pub(super) fn rest(&self, fill: &Arc<Fill>) {
        let Some(work) = fill.work() else { return };
        let progress = fill.progress().filter(|_| work.may_be_kept());
        if !work.is_noted()
            && let Some(progress) = &progress
        {
            work.note(progress, Durable(false));
        }
        let mut table = self.table.lock();
        let resting = fill.quietly(|state| {
            let resting = matches!(state.phase, Phase::Open)
                && (work.is_noted() || progress.is_none())
                && state.seats == 0
                && !state.finish
                && state.ground.is_idle();
            if resting {
                state.phase = Phase::Ended(Ending::Failed(FillError::Abandoned));
            }
            resting
        });
        if !resting {
            drop(table);
            return settle(fill);
        }
        fill.take_work();
        if progress.is_none() {
            work.discard();
        }
        self.ended(fill, FillEnd::Rested);
        table.remove(fill.digest());
        self.count(&table);
        drop(table);
        self.left.notify_waiters();
    }

    /// Counts a fill that has ended.
    pub(super) fn ended(&self, fill: &Fill, end: FillEnd) {
        self.metrics.ended(&fill.link().origin.upstream, end);
    }

    /// Right bytes came: what was wrong before was a slip.
    pub(super) fn matched(&self, link: &Link) {
        self.quarantine.forgive(link);
    }

    /// Upstream sent wrong bytes: counts that, and remembers it for a while.
    pub(super) fn mismatched(&self, link: &Link) {
        self.quarantine.strike(link, Instant::now());
        let upstream = &*link.origin.upstream;
        self.metrics.mismatches.with_label_values(&[upstream]).inc();
    }

    /// Waits until `fill` has left.
    pub(super) async fn left(&self, fill: &Arc<Fill>) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            let there = self.table.lock().get(fill.digest()).cloned();
            if !there.is_some_and(|there| Arc::ptr_eq(&there, fill)) {
                return;
            }
            left.await;
        }
    }

    /// Waits until no fill is between its last byte and its commit.
    pub(in crate::mirror) async fn commits_ended(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Listening begins before the look, so that no leaving is missed in between.
            left.as_mut().enable();
            if !self.under_way().iter().any(|fill| fill.is_verified()) {
                return;
            }
            left.await;
        }
    }

    /// Notes how far each fill has come, to outlive even a power cut: before the process ends. Blocks on the disk.
    pub(in crate::mirror) fn note_all(&self) {
        for fill in self.under_way() {
            if let (Some(work), Some(progress)) = (fill.work(), fill.progress())
                && !fill.is_verified()
            {
                work.note(&progress, Durable(true));
            }
        }
    }

    /// Drops what unfinished fills left that is too old or too much at the time `now` (Unix seconds), and gives those
    /// that are left. Blocks on the disk.
    pub(in crate::mirror) fn sweep(&self, now: u64) -> Result<Vec<Unfinished>, StoreError> {
        let mut unfinished = self.store.unfinished()?;
        let leftovers = unfinished.iter().map(|it| Leftover {
            digest: it.progress.link.digest.clone(),
            bytes: it.bytes,
            touched: it.touched,
        });
        for digest in self.policy.victims(leftovers.collect(), now) {
            // Locked, so that no fill takes it up meanwhile.
            let table = self.table.lock();
            if !table.contains_key(&digest) {
                self.store.drop_unfinished(&digest)?;
                tracing::info!(%digest, "an unfinished download was dropped: too old, or too much");
            }
            drop(table);
            unfinished.retain(|it| it.progress.link.digest != digest);
        }
        Ok(unfinished)
    }

    pub(super) fn under_way(&self) -> Vec<Arc<Fill>> {
        self.table.lock().values().cloned().collect()
    }

    /// How many fills are under way.
    #[cfg(test)]
    pub(in crate::mirror) fn len(&self) -> usize {
        self.table.lock().len()
    }

    fn count(&self, table: &HashMap<Digest, Arc<Fill>>) {
        let fills = i64::try_from(table.len()).unwrap_or(i64::MAX);
        self.metrics.fills_in_flight.set(fills);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::fills::Feed;
    use crate::mirror::testkit::{Asker, house, origin};
    use crate::store::Role;

    #[tokio::test]
    async fn a_fill_that_has_left_takes_no_other_one_out() {
        let house = house();
        let link = crate::mirror::link(&origin("a"), &Digest::sha256_of(b"x"), Role::Blob);
        let right = house.mirror.right(&Asker::Mirror, &link.origin).unwrap();
        let fetcher = house.mirror.fetcher(&right, &link, Feed::Blob).unwrap();
        let fills = &fetcher.fills;
        let begun = || match fills.enter(&fetcher, true) {
            Entered::Began(seat) => seat,
            _ => panic!("there is one already"),
        };
        let first = begun();
        fills.leave(first.fill());
        let _second = begun();
        fills.leave(first.fill());
        assert!(matches!(fills.enter(&fetcher, true), Entered::Joined(_)));
    }
}
