//! The task that brings a fill's bytes: receive, write and hash in one place, on the fetch runtime.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::patience::Patience;
use super::state::{FillError, Phase, State};
use super::table::{Fill, FillTable};
use super::work::Work;
use crate::oci::{Digest, RangeSpec, Reference, Verified};
use crate::store::{Content, Link, Origin, Store, StoreError};
use crate::upstream::{BlobBody, Registry, UpstreamError};

/// Followers are woken at the latest after this many new bytes, and whenever the fetch is about to wait.
const PUBLISH_EVERY: u64 = 256 * 1024;

/// How many fetches one fill may lose before it is given up.
const FETCHES_PER_FILL: u32 = 3;

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

/// All that a fetch needs, bound to the right that it uses.
#[derive(Clone)]
pub(in crate::mirror) struct Fetcher {
    /// Under whose right this request asks, and as what.
    pub(in crate::mirror) link: Link,
    pub(in crate::mirror) registry: Arc<dyn Registry>,
    pub(in crate::mirror) feed: Feed,
    pub(in crate::mirror) store: Arc<dyn Store>,
    pub(in crate::mirror) fills: Arc<FillTable>,
    pub(in crate::mirror) runtime: Handle,
}

impl Fetcher {
    /// Begins a fetch for `fill`. The caller has begun or claimed the fill: there is no other fetch.
    pub(in crate::mirror) fn begin(self, fill: Arc<Fill>) {
        let runtime = self.runtime.clone();
        let mut guard = Guard {
            work: fill.take_work(),
            fill,
            fills: Arc::clone(&self.fills),
            ended: false,
        };
        if guard.fill.count_fetch() > FETCHES_PER_FILL {
            return guard.fail(FillError::Abandoned);
        }
        runtime.spawn(self.run(guard));
    }

    async fn run(self, mut guard: Guard) {
        match self.fetch(&mut guard).await {
            Ok(verified) => self.keep(guard, verified).await,
            Err(error) => {
                self.log(guard.fill.digest(), &error);
                guard.fail(error);
            }
        }
    }

    /// Who waits is told, and tells it again; but there may be nobody left, and wrong bytes concern everybody.
    fn log(&self, digest: &Digest, error: &FillError) {
        let Origin {
            upstream,
            repository,
        } = &self.link.origin;
        if matches!(error, FillError::Mismatch(_)) {
            tracing::warn!(%upstream, %repository, %digest, %error, "fill failed");
        } else {
            tracing::debug!(%upstream, %repository, %digest, %error, "fill failed");
        }
    }

    /// Receives until all is here, over as many downloads as it takes, and proves the digest.
    async fn fetch(&self, guard: &mut Guard) -> Result<Verified, FillError> {
        let mut patience = Patience::default();
        loop {
            let from = guard.cursor();
            let Err(error) = self.download(guard, from).await else {
                break;
            };
            let (begun, brought) = (guard.work.is_some(), guard.cursor() - from);
            let Some(pause) = patience.pause(&error, brought, begun) else {
                return Err(error);
            };
            tracing::info!(
                upstream = %self.link.origin.upstream, digest = %guard.fill.digest(),
                cursor = guard.cursor(), %error, "download broke off; going on after a pause"
            );
            sleep(pause).await;
        }
        // A download that ended well has begun.
        let work = guard.work.as_ref().ok_or(FillError::Abandoned)?;
        Ok(work.verified()?)
    }

    /// One download, from byte `from` to the end.
    async fn download(&self, guard: &mut Guard, from: u64) -> Result<(), FillError> {
        let told = guard.fill.state().borrow().size;
        if guard.work.is_some() && told == Some(from) {
            // It broke off behind the last byte.
            return Ok(());
        }
        let mut body = self.open(guard, from).await?;
        guard.adopt_size(body.size)?;
        let work = match &mut guard.work {
            Some(work) => work,
            none => none.insert(Work::begin(&*self.store, guard.fill.digest())?),
        };
        guard
            .fill
            .state()
            .send_modify(|state| state.source = Some(work.source()));

        // An upstream that does not know ranges sends again what is already here.
        let again = from.saturating_sub(body.offset);
        let received = receive(&mut body, again, work, guard.fill.state()).await;
        // Also before an error: followers may have all that came.
        work.publish(guard.fill.state());
        received?;
        // What followers were told, also by an earlier download.
        let told = guard.fill.state().borrow().size;
        match told {
            Some(announced) if announced != work.cursor() => {
                let sent = work.cursor();
                Err(FillError::Length { announced, sent })
            }
            _ => Ok(()),
        }
    }

    async fn open(&self, guard: &Guard, from: u64) -> Result<BlobBody, UpstreamError> {
        let (repository, digest) = (&self.link.origin.repository, guard.fill.digest());
        let bytes = match &self.feed {
            Feed::Blob => {
                let part = (from > 0).then_some(RangeSpec::From(from));
                return self.registry.get_blob(repository, digest, part).await;
            }
            Feed::Held(bytes) => bytes.clone(),
            Feed::Manifest => {
                let reference = Reference::Digest(digest.clone());
                self.registry
                    .get_manifest(repository, &reference)
                    .await?
                    .bytes
            }
        };
        let size = Some(bytes.len() as u64);
        Ok(BlobBody {
            offset: 0,
            end: size,
            size,
            stream: stream::iter([Ok(bytes)]).boxed(),
        })
    }

    /// Releases the last bytes, commits, remembers the link, and only then leaves the table.
    async fn keep(&self, mut guard: Guard, verified: Verified) {
        let size = verified.size();
        guard.fill.state().send_modify(|state| {
            state.size = Some(size);
            state.phase = Phase::Verified;
        });
        let Some(partial) = guard.work.as_ref().map(Work::partial) else {
            return;
        };
        let link = self.link.clone();
        let store = Arc::clone(&self.store);
        // Syncing may take long; readers already have the bytes and do not wait for it.
        let committed = tokio::task::spawn_blocking(move || -> Result<Content, StoreError> {
            let content = partial.commit(&verified)?;
            store.link(&[link])?;
            Ok(content)
        });
        match committed.await {
            Ok(Ok(_)) => {}
            // The clients have right bytes; only the next one pays.
            Ok(Err(error)) => {
                tracing::error!(digest = %guard.fill.digest(), %error, "content not kept");
            }
            // The process is ending: as if it had been killed a moment before.
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(digest = %guard.fill.digest(), %error, "commit panicked"),
        }
        guard.leave();
    }
}

/// Takes in the body to its end, but for its first `again` bytes.
async fn receive(
    body: &mut BlobBody,
    mut again: u64,
    work: &mut Work,
    state: &watch::Sender<State>,
) -> Result<(), FillError> {
    loop {
        let ready = body.stream.next().now_or_never();
        let next = if let Some(next) = ready {
            next
        } else {
            // About to wait: the followers get what is here first.
            work.publish(state);
            body.stream.next().await
        };
        let Some(chunk) = next else { return Ok(()) };
        let chunk = chunk?;
        let skipped = usize::try_from(again).map_or(chunk.len(), |again| again.min(chunk.len()));
        again -= skipped as u64;
        work.take(&chunk[skipped..], body.size)?;
        if work.unpublished() >= PUBLISH_EVERY {
            work.publish(state);
        }
    }
}

/// Stands for the running fetch. Dropped without an end, it orphans the fill instead of leaving it hanging.
struct Guard {
    fill: Arc<Fill>,
    fills: Arc<FillTable>,
    work: Option<Work>,
    ended: bool,
}

impl Guard {
    /// Bytes that are here: the next one is asked for.
    fn cursor(&self) -> u64 {
        self.work.as_ref().map_or(0, Work::cursor)
    }

    /// Publishes the size, or refuses one that differs from what was announced before.
    fn adopt_size(&self, size: Option<u64>) -> Result<(), FillError> {
        let Some(size) = size else { return Ok(()) };
        let known = self.fill.state().borrow().size;
        match known {
            Some(before) if before != size => Err(FillError::SizeChanged { before, now: size }),
            Some(_) => Ok(()),
            None => {
                self.fill
                    .state()
                    .send_modify(|state| state.size = Some(size));
                Ok(())
            }
        }
    }

    /// The fill has become content, or at least right bytes for those who follow.
    fn leave(&mut self) {
        self.ended = true;
        self.work = None;
        self.fills.leave(self.fill.digest());
    }

    /// The order matters: the file goes first, for a new fill of this digest may begin as soon as the table is
    /// left; followers are told last, so that one who tries again at once begins afresh.
    fn fail(&mut self, error: FillError) {
        self.leave();
        self.fill
            .state()
            .send_modify(|state| state.phase = Phase::Failed(error));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.ended {
            self.fill.orphan(self.work.take());
        }
    }
}
