//! One download in progress of one digest.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::FillError;
use super::fetcher::Fetcher;
use super::ground::{FetchId, Ground, Wanted, first_ask};
use super::state::{Ending, Opening, Phase, State};
use super::work::{SharedWork, Work};
use crate::oci::{ByteRange, Digest, RangeSpec, Verifier};
use crate::store::{Link, Progress};

/// When so many of its tasks were lost, a fill is given up.
const TASKS_TO_LOSE: u32 = 3;

/// One download in progress of one digest: passive, moved by its fetches and its followers.
pub(in crate::mirror) struct Fill {
    /// Under whose right all its bytes are asked for: for those who want just this link, upstream's answer to the
    /// fill is proof enough, and its refusal is theirs.
    fetcher: Fetcher,
    state: watch::Sender<State>,
    /// File and hash, from when the file is there until the fill has ended. Whoever takes it out ends the fill.
    work: Mutex<Option<SharedWork>>,
    /// Stops the fetches.
    over: watch::Sender<bool>,
    began: Instant,
}

/// What is to be done next for a fill.
pub(super) enum Next {
    /// Ask upstream for what tells the size: this part first (none: all).
    Open(FetchId, Option<RangeSpec>),
    /// Bring a stretch.
    Fetch(FetchId, ByteRange),
    /// Bring a stretch over a connection more, which may fail.
    Split(FetchId, ByteRange),
    /// Hash what came out of order.
    Hash(Verifier),
    /// Everything is here: compare the digest.
    Close(Verifier),
    /// End it: the fetches have stopped.
    End(Ending),
    /// Nobody follows: lay it down.
    Rest,
    Nothing,
}

impl Fill {
    pub(super) fn new(fetcher: Fetcher) -> Self {
        let (state, _) = watch::channel(State::new(fetcher.fills.policy.measures));
        Self {
            fetcher,
            state,
            work: Mutex::new(None),
            over: watch::Sender::new(false),
            began: Instant::now(),
        }
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.fetcher.link.digest
    }

    /// Under whose right, and as what, the bytes are asked for.
    pub(in crate::mirror) fn link(&self) -> &Link {
        &self.fetcher.link
    }

    /// Whether all its bytes are asked for under the same right and in the same name as `other` would ask for them.
    pub(in crate::mirror) fn is_of(&self, other: &Fetcher) -> bool {
        self.fetcher.link == other.link && self.fetcher.who == other.who
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    pub(super) fn state(&self) -> &watch::Sender<State> {
        &self.state
    }

    /// Changes the state without waking anybody: for what no follower waits for.
    pub(super) fn quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut result = None;
        self.state.send_if_modified(|state| {
            result = Some(change(state));
            false
        });
        // `send_if_modified` calls its closure exactly once.
        result.unwrap_or_else(|| unreachable!())
    }

    pub(super) fn work(&self) -> Option<SharedWork> {
        self.work.lock().clone()
    }

    pub(super) fn take_work(&self) -> Option<SharedWork> {
        self.work.lock().take()
    }

    /// The file is there. Who began the fill is not woken for an empty one, but when upstream has answered: what it
    /// wants is asked for next. Others may want something else.
    pub(super) fn opened(&self, work: Work, progress: Option<Progress>) {
        let source = work.source();
        *self.work.lock() = Some(Arc::new(work));
        self.state.send_if_modified(|state| {
            let is_news = progress.is_some() || state.seats > 1;
            if let Some(progress) = progress {
                state.taken_up = progress.present.len();
                state.ground.take_up(progress.size, progress.present);
                state.wanted |= progress.wanted;
            }
            state.source = Some(source);
            state.phase = Phase::Open;
            is_news
        });
    }

    /// What is to be noted of it, if `worth` says so for its size.
    pub(super) fn progress_if<T>(
        &self,
        worth: impl FnOnce(u64) -> Option<T>,
    ) -> Option<(Progress, T)> {
        let size = self.state.borrow().ground.size()?;
        let worth = worth(size)?;
        Some((self.progress()?, worth))
    }

    /// What is to be noted of it; `None` while there is nothing.
    pub(super) fn progress(&self) -> Option<Progress> {
        let state = self.state.borrow();
        let present = state.ground.present();
        Some(Progress {
            link: self.link().clone(),
            size: state.ground.size().filter(|_| !present.is_empty())?,
            present: present.clone(),
            wanted: state.wanted,
        })
    }

    /// It will end so, as soon as its fetches have stopped. The first reason counts.
    pub(super) fn end(&self, ending: Ending) {
        self.quietly(|state| {
            if matches!(state.phase, Phase::Beginning | Phase::Open) {
                state.phase = Phase::Ending(ending);
            }
        });
        self.over.send_replace(true);
    }

    /// A task of this fill was dropped without a word. One that always dies must not be begun for ever.
    pub(super) fn lost_one(&self) {
        let lost = self.quietly(|state| {
            state.lost += 1;
            state.lost
        });
        if lost >= TASKS_TO_LOSE {
            self.end(Ending::Failed(FillError::Abandoned));
        }
    }

    /// Waits until the fetches have to stop.
    pub(super) async fn over(&self) {
        // The sender is ours: this cannot fail while we are here.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Waits until a request takes part.
    pub(super) async fn joined(&self) {
        let _ = self
            .state
            .subscribe()
            .wait_for(|state| state.seats > 0)
            .await;
    }

    /// Decides what is next. Each decision is given out once.
    pub(super) fn next(&self) -> Next {
        let Some(work) = self.work() else {
            return Next::Nothing;
        };
        let now = Instant::now();
        let mut verified = None;
        let next = self.quietly(|state| match &state.phase {
            Phase::Ending(ending) if state.ground.is_idle() => Next::End(ending.clone()),
            Phase::Open => {
                let prefix = state.ground.present().prefix();
                let complete = state.ground.is_complete();
                if let Some(verifier) = work.carry(|hashed| complete || hashed < prefix) {
                    if complete && verifier.hashed() == prefix {
                        verified = Some(verifier);
                        return Next::Nothing;
                    }
                    return Next::Hash(verifier);
                }
                if let Some((id, stretch)) = state.fetch_for_any(now) {
                    return Next::Fetch(id, stretch);
                }
                if state.finish
                    && let Some(id) = state.ground.open()
                {
                    return Next::Open(id, None);
                }
                let left = state.seats == 0 && !state.finish;
                if left && !complete && state.ground.is_idle() {
                    return Next::Rest;
                }
                Next::Nothing
            }
            _ => Next::Nothing,
        });
        verified.map_or(next, Next::Close)
    }

    /// The next fetch that a request for `parts` needs before its answer may begin; `None` when none is, or it is
    /// under way.
    pub(super) fn open_for(&self, parts: &[RangeSpec]) -> Option<Next> {
        let now = Instant::now();
        self.quietly(|state| {
            if !matches!(state.phase, Phase::Open) {
                return None;
            }
            let Some(size) = state.ground.size() else {
                let first = parts
                    .first()
                    .map(|part| first_ask(*part, &self.fetcher.fills.policy.measures));
                return state.ground.open().map(|id| Next::Open(id, first));
            };
            let ranges: Vec<_> = parts.iter().filter_map(|it| it.resolve(size)).collect();
            let (first, then) = match ranges.split_first() {
                Some((first, then)) => (*first, then),
                None => (ByteRange::new(0, size), &[][..]),
            };
            let whole = parts.is_empty();
            let wanted = Wanted { first, then, whole };
            let (id, stretch) = state.ground.claim(wanted, now)?;
            Some(Next::Fetch(id, stretch))
        })
    }

    /// The fetch to begin when one connection more (`most` in all) would bring it sooner to those who wait for all of
    /// it.
    pub(super) fn split(&self, most: usize) -> Option<Next> {
        let now = Instant::now();
        self.quietly(|state| {
            let waits = state.wanted && state.seats > 0 && matches!(state.phase, Phase::Open);
            let (id, far) = waits.then(|| state.ground.split(now, most))??;
            Some(Next::Split(id, far))
        })
    }

    /// A request takes part. The caller holds the table.
    pub(super) fn sit(&self, whole: bool) {
        self.state.send_modify(|state| {
            state.seats += 1;
            state.wanted |= whole;
            state.ground.go_on();
        });
    }

    /// A request takes part no more. With the last one it is decided whether the fill goes on alone. Whether it was.
    pub(super) fn rise(&self) -> bool {
        let policy = self.fetcher.fills.policy;
        self.quietly(|state| {
            state.seats -= 1;
            if state.seats > 0 {
                return false;
            }
            if state.finish || policy.finishes(state.wanted, share(&state.ground)) {
                state.finish = true;
            } else {
                state.ground.halt();
            }
            true
        })
    }

    /// Whether it is between its last byte and its commit.
    pub(super) fn is_verified(&self) -> bool {
        matches!(self.state.borrow().phase, Phase::Verified)
    }
}

/// Whether an answer to a request for `parts` (none: for all) may begin.
pub(super) fn opening(state: &State, parts: &[RangeSpec]) -> Opening {
    state.opening(parts.is_empty(), |size, ground| {
        let mut ranges = parts.iter().filter_map(|part| part.resolve(size));
        ranges.all(|it| ground.present().first_hole(it.start, it.end).is_none())
    })
}

/// How much of the blob is here: 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn share(ground: &Ground) -> f64 {
    ground.size().map_or(0.0, |size| {
        ground.present().len() as f64 / size.max(1) as f64
    })
}
