//! What moves a fill: beginning it, deciding what is next whenever something has ended, and its end.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;

use super::catch_up;
use super::error::FillError;
use super::fetch::{Fetch, Task};
use super::fill::{Fill, Next};
use super::lanes::Lanes;
use super::seat::Seat;
use super::state::{Ending, Phase};
use super::table::Fills;
use super::work::{Durable, Work};
use crate::mirror::access::Fingerprint;
use crate::mirror::metrics::FillEnd;
use crate::oci::{Accepts, RangeSpec, Reference, Verified, Verifier};
use crate::store::{Begun, Link, Origin, Role};
use crate::upstream::{BlobBody, ErrorKind, Phase as Wait, Registry, UpstreamError};

/// Where a fill's bytes come from.
#[derive(Clone)]
pub(in crate::mirror) enum Feed {
    /// Upstream's blob endpoint.
    Blob,
    /// Upstream's manifest endpoint, by digest.
    Manifest,
    /// Bytes that are already in hand.
    Held(Bytes),
}

/// All that a fill needs to get its bytes, bound to the right that it uses.
#[derive(Clone)]
pub(in crate::mirror) struct Fetcher {
    /// Under whose right it asks, and as what.
    pub(in crate::mirror) link: Link,
    /// In whose name; `None` for the mirror's.
    pub(in crate::mirror) who: Option<Fingerprint>,
    pub(in crate::mirror) registry: Arc<dyn Registry>,
    pub(in crate::mirror) lanes: Arc<Lanes>,
    pub(in crate::mirror) feed: Feed,
    pub(in crate::mirror) fills: Arc<Fills>,
}

impl Fetcher {
    /// Asks for `part` of the bytes (none: for all).
    pub(super) async fn ask(&self, part: Option<RangeSpec>) -> Result<BlobBody, UpstreamError> {
        self.bounded(self.ask_unbounded(part)).await
    }

    /// Asks, without a transfer, whether upstream has it under this right. Gives the size in bytes, where that is
    /// told.
    pub(super) async fn head(&self) -> Result<Option<u64>, UpstreamError> {
        self.bounded(head(&*self.registry, &self.link)).await
    }

    /// The single waits are upstream's; their sum is bounded here, for tokens and redirects are waits of their own.
    async fn bounded<T>(
        &self,
        question: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let within = self.fills.policy.answer_within;
        timeout(within, question).await.unwrap_or_else(|_| {
            let kind = ErrorKind::Timeout(Wait::Header);
            Err(UpstreamError::new(
                kind,
                "no answer within the bound for all its steps",
            ))
        })
    }

    async fn ask_unbounded(&self, part: Option<RangeSpec>) -> Result<BlobBody, UpstreamError> {
        let (repository, digest) = (&self.link.origin.repository, &self.link.digest);
        let bytes = match &self.feed {
            Feed::Blob => return self.registry.get_blob(repository, digest, part).await,
            Feed::Held(bytes) => bytes.clone(),
            Feed::Manifest => {
                let reference = Reference::Digest(digest.clone());
                let body = self
                    .registry
                    .get_manifest(repository, &reference, Accepts::EVERYTHING)
                    .await?;
                body.bytes
            }
        };
        let size = Some(bytes.len() as u64);
        Ok(BlobBody {
            offset: 0,
            end: size,
            size,
            sends_parts: false,
            stream: stream::iter([Ok(bytes)]).boxed(),
        })
    }
}

/// Asks upstream, without a transfer, whether the link's repository has its digest in its role. Gives the size in
/// bytes, where that is told.
pub(in crate::mirror) async fn head(
    registry: &dyn Registry,
    link: &Link,
) -> Result<Option<u64>, UpstreamError> {
    let repository = &link.origin.repository;
    Ok(match link.role {
        Role::Blob => Some(registry.head_blob(repository, &link.digest).await?.size),
        Role::Manifest => {
            let reference = Reference::Digest(link.digest.clone());
            registry
                .head_manifest(repository, &reference, Accepts::EVERYTHING)
                .await?
                .size
        }
    })
}

/// Begins a fill that was just put into the table for nobody, and is brought to its end all the same.
pub(in crate::mirror) fn ahead(seat: &Seat) {
    seat.fill().quietly(|state| state.finish = true);
    begin(seat.fill(), Arc::default());
}

/// As [`ahead`], for what no client is about to ask for: it has time.
pub(in crate::mirror) fn with_time(seat: &Seat) {
    seat.fill().quietly(|state| state.has_time = true);
    ahead(seat);
}

/// Begins a fill that was just put into the table: makes or takes up its file, then asks for what the first request
/// wants, `parts` (none: all).
pub(super) fn begin(fill: &Arc<Fill>, parts: Arc<[RangeSpec]>) {
    let beginning = Beginning(Some(Arc::clone(fill)));
    fill.fetcher().fills.runtime.spawn(async move {
        let mut beginning = beginning;
        let Some(fill) = beginning.0.as_ref() else {
            return;
        };
        match take_up(fill).await {
            Ok(()) => {
                let next = fill.open_for(&parts);
                if let Some(fill) = beginning.0.take() {
                    carry_out(&fill, next.unwrap_or(Next::Nothing));
                    settle(&fill);
                }
            }
            Err(ending) => {
                if let Some(fill) = beginning.0.take() {
                    leave(&fill, ending);
                }
            }
        }
    });
}

/// Stands for the beginning: dropped in the midst, it ends the fill instead of leaving it hanging.
struct Beginning(Option<Arc<Fill>>);

impl Drop for Beginning {
    fn drop(&mut self) {
        if let Some(fill) = self.0.take() {
            leave(&fill, Ending::Failed(FillError::Abandoned));
        }
    }
}

/// Makes the file, or takes up what an earlier fill left: with upstream's word that this repository has the digest,
/// if it was brought under another's right. Bytes in hand are that word.
async fn take_up(fill: &Arc<Fill>) -> Result<(), Ending> {
    let fetcher = fill.fetcher();
    let (store, link) = (&fetcher.fills.store, &fetcher.link);
    let past = |error| Ending::Past {
        error,
        hashed: None,
    };
    let Begun { partial, progress } = store.begin(&link.digest).map_err(past)?;
    if let Some(progress) = &progress
        && progress.link != *link
        && !matches!(fetcher.feed, Feed::Held(_))
        && !store.linked(link).unwrap_or(false)
    {
        let head = fetcher.head().await;
        head.map_err(|error| Ending::Failed(error.into()))?;
    }
    let work = Work::new(partial, &link.digest).map_err(past)?;
    fill.opened(work, progress);
    Ok(())
}

/// Sees to whatever is next for a fill: called whenever something of it has ended, or somebody waits.
pub(super) fn settle(fill: &Arc<Fill>) {
    loop {
        match fill.next() {
            Next::Nothing => return,
            next => carry_out(fill, next),
        }
    }
}

/// Does what was decided. Nothing here waits.
pub(super) fn carry_out(fill: &Arc<Fill>, next: Next) {
    let runtime = &fill.fetcher().fills.runtime;
    match next {
        Next::Nothing => {}
        Next::Open(id, first) => Fetch::begin(fill, id, Task::Open(first)),
        Next::Fetch(id, stretch) => Fetch::begin(fill, id, Task::Bring(stretch)),
        Next::Split(id, stretch) => Fetch::begin(fill, id, Task::Help(stretch)),
        Next::Hash(verifier) => {
            if let Some(task) = catch_up::task(fill, verifier) {
                runtime.spawn(task);
            }
        }
        Next::Close(verifier) => close(fill, verifier),
        Next::End(ending) => end(fill, ending),
        Next::Rest => fill.fetcher().fills.rest(fill),
    }
}

/// Compares the digest: releases the last bytes, or ends the fill.
fn close(fill: &Arc<Fill>, hash: Verifier) {
    match hash.finish() {
        Ok(verified) => {
            // It may have been laid down, or have ended, since all was here: then it keeps to that.
            let is_open = fill.state().send_if_modified(|state| {
                let is_open = matches!(state.phase, Phase::Open);
                if is_open {
                    state.phase = Phase::Verified;
                }
                is_open
            });
            if !is_open {
                return;
            }
            fill.fetcher().fills.matched(fill.link());
            let keeping = Keeping(Arc::clone(fill));
            let runtime = &fill.fetcher().fills.runtime;
            runtime.spawn(async move { keep(&keeping.0, verified).await });
        }
        Err(mismatch) => {
            let fetcher = fill.fetcher();
            let Origin {
                upstream,
                repository,
            } = &fetcher.link.origin;
            // Who waits is told; but there may be nobody left, and wrong bytes concern everybody.
            tracing::warn!(%upstream, %repository, %mismatch, "upstream sent wrong bytes");
            fetcher.fills.mismatched(&fetcher.link);
            fill.end(Ending::Failed(mismatch.into()));
        }
    }
}

/// Knows the link, and commits: who finds the content finds the link. Readers already have the bytes and do not wait for the disk.
async fn keep(fill: &Arc<Fill>, verified: Verified) {
    let fetcher = fill.fetcher();
    let Some(work) = fill.work() else { return };
    fetcher.fills.scribe.shown([fetcher.link.clone()]);
    let committed = tokio::task::spawn_blocking(move || work.commit(&verified));
    let digest = fill.digest();
    match committed.await {
        Ok(Ok(())) => {}
        // The clients have right bytes; only the next one pays.
        Ok(Err(error)) => tracing::error!(%digest, %error, "content not kept"),
        // The process is ending: as if it had been killed a moment before.
        Err(error) if error.is_cancelled() => {}
        Err(error) => tracing::error!(%digest, %error, "commit panicked"),
    }
}

/// Stands for the commit: however it ends, the fill leaves the table after it and not before.
struct Keeping(Arc<Fill>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.take_work();
        let fills = &self.0.fetcher().fills;
        fills.ended(&self.0, FillEnd::Whole);
        fills.leave(&self.0);
    }
}

/// Ends a fill whose fetches have stopped. Wrong bytes go, right ones stay for the next fill.
fn end(fill: &Arc<Fill>, ending: Ending) {
    let Some(work) = fill.take_work() else { return };
    let right = matches!(&ending, Ending::Failed(error) if !error.spoils());
    let keeps = right && work.may_be_kept();
    match fill.progress().filter(|_| keeps) {
        Some(progress) => work.note(&progress, Durable(false)),
        None => work.discard(),
    }
    drop(work);
    leave(fill, ending);
}

/// The order matters: the file was put in order before, for a new fill of this digest may begin as soon as the table
/// is left; followers are told last, so that one who tries again at once begins afresh.
fn leave(fill: &Arc<Fill>, ending: Ending) {
    let digest = fill.digest();
    let end = match &ending {
        Ending::Failed(error) => {
            tracing::debug!(%digest, %error, "fill failed");
            FillEnd::Failed
        }
        Ending::Past { error, .. } => {
            tracing::warn!(%digest, %error, "download goes past the store");
            FillEnd::Past
        }
    };
    let fills = &fill.fetcher().fills;
    fills.ended(fill, end);
    fills.leave(fill);
    fill.state()
        .send_modify(|state| state.phase = Phase::Ended(ending));
}
