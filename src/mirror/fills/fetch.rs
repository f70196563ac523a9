//! One fetch of a fill: a task on the fetch runtime that brings one stretch: receive, write and hash in one place.

mod answer;

use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use tokio::time::sleep;

use self::answer::reach;
use super::error::FillError;
use super::fetcher::{Fetcher, carry_out, settle};
use super::fill::{Fill, Next};
use super::ground::FetchId;
use super::measures::Measures;
use super::patience::Patience;
use super::state::Ending;
use super::work::{Durable, SharedWork};
use crate::oci::{ByteRange, RangeSpec, Verifier};
use crate::upstream::BlobBody;

/// What comes first may come in one large piece, but is handed out in a small one.
const FIRST_PIECE: usize = 16 * 1024;

/// One fetch. Dropped without an end, it gives its stretch and the hash back and lets the fill go on without it.
pub(super) struct Fetch {
    fill: Arc<Fill>,
    work: SharedWork,
    id: FetchId,
    /// What is asked for first, before the size is known (none: all).
    part: Option<RangeSpec>,
    /// Where the next byte goes, and where the stretch ends; unknown to the first fetch until it is answered.
    stretch: Option<ByteRange>,
    /// Bytes before this are known to the followers.
    published: u64,
    /// Bytes written so far.
    written: u64,
    /// The hash, while this fetch brings the prefix.
    carried: Option<Verifier>,
    ended: bool,
}

impl Fetch {
    /// Begins the fetch that `id` was claimed for: of `stretch`, or of what tells the size.
    pub(super) fn begin(
        fill: &Arc<Fill>,
        id: FetchId,
        stretch: Option<ByteRange>,
        part: Option<RangeSpec>,
    ) {
        let Some(work) = fill.work() else {
            return fill.quietly(|state| state.ground.release(id));
        };
        let fetch = Self {
            fill: Arc::clone(fill),
            work,
            id,
            part,
            stretch,
            published: stretch.map_or(0, |it| it.start),
            written: 0,
            carried: None,
            ended: false,
        };
        fill.fetcher().fills.runtime.spawn(fetch.run());
    }

    async fn run(mut self) {
        let fill = Arc::clone(&self.fill);
        let brought = tokio::select! {
            biased;
            () = fill.over() => Ok(()),
            brought = self.bring() => brought,
        };
        if let Err(error) = brought {
            let hashed = self.carried.clone().or_else(|| self.work.hash_so_far());
            self.fill.end(ending_of(error, hashed));
        }
        self.ended = true;
    }

    fn fetcher(&self) -> &Fetcher {
        self.fill.fetcher()
    }

    fn measures(&self) -> &Measures {
        &self.fetcher().fills.policy.measures
    }

    /// Brings the stretch, over as many downloads as it takes.
    async fn bring(&mut self) -> Result<(), FillError> {
        let mut patience = Patience::default();
        loop {
            let before = self.written;
            let Err(error) = self.download().await else {
                return Ok(());
            };
            self.publish();
            let (at, brought) = (self.stretch.map(|it| it.start), self.written - before);
            let confirmed = self.fill.state().borrow().confirmed;
            let Some(pause) = patience.pause(&error, brought, confirmed) else {
                return Err(error);
            };
            let fetcher = self.fetcher();
            fetcher.fills.metrics.resumes.inc();
            tracing::info!(
                upstream = %fetcher.link.origin.upstream, digest = %self.fill.digest(), at, %error,
                "download broke off; going on after a pause"
            );
            sleep(pause).await;
        }
    }

    /// One download: of what is left of the stretch, or of what is asked for first.
    async fn download(&mut self) -> Result<(), FillError> {
        let fill = Arc::clone(&self.fill);
        let _lane = fill.fetcher().lanes.lane(fill.joined()).await;
        let mut part = self.part();
        let mut body = match fill.fetcher().ask(part).await {
            Ok(body) => body,
            Err(error) => return self.outside(error),
        };
        let is_known = self.learn_size_elsewhere(body.size).await?;
        if !is_known && part.is_some() && reach(&body) < u64::MAX {
            // Such parts, however many, never tell where the blob ends: the whole does.
            part = None;
            body = fill.fetcher().ask(part).await?;
        }
        if let (None, Some(size)) = (part, body.size) {
            // Before the answer's head is written: it tells that nothing is kept.
            self.work.partial().has_room_for(size)?;
        }
        self.land(&body, part)?;
        self.receive(&mut body).await
    }

    fn go_to(&mut self, stretch: ByteRange) {
        self.stretch = Some(stretch);
        self.published = stretch.start;
        // It stands before what others brought, and is to be brought over that first.
        let elsewhere = |hash: &mut Verifier| hash.hashed() != stretch.start;
        if let Some(hash) = self.carried.take_if(elsewhere) {
            self.work.bring_home(hash);
        }
        self.take_hash_along();
    }

    fn take_hash_along(&mut self) {
        if self.carried.is_none() {
            let at = self.published;
            self.carried = self.work.carry(|hashed| hashed == at);
        }
    }

    /// Takes in the body as far as there is room for it.
    async fn receive(&mut self, body: &mut BlobBody) -> Result<(), FillError> {
        let (mut at, reach) = (body.offset, reach(body));
        loop {
            let next = if let Some(ready) = body.stream.next().now_or_never() {
                ready
            } else {
                // About to wait: the followers get what is here first.
                self.publish();
                body.stream.next().await
            };
            let Some(chunk) = next else {
                return self.ended_at(at, reach);
            };
            let mut chunk = chunk?;
            if self.written == 0 && chunk.len() > FIRST_PIECE {
                // Nobody waits for more than the first bytes.
                self.take(at, chunk.split_to(FIRST_PIECE), reach)?;
                at += FIRST_PIECE as u64;
                self.publish();
            }
            let length = chunk.len() as u64;
            let room = self.take(at, chunk, reach)?;
            at += length;
            if self.unpublished() >= self.measures().publish_every {
                self.publish();
            }
            if !room {
                // The end of the stream, if this was it, must be seen, or the connection is not used again.
                let _ = body.stream.next().now_or_never();
                return Ok(());
            }
        }
    }

    /// Writes and hashes what of `chunk`, which stands at `at`, lies in our stretch; goes on in the next hole where
    /// the stretch ends. Whether there is room for more.
    fn take(&mut self, mut at: u64, mut chunk: Bytes, reach: u64) -> Result<bool, FillError> {
        while let Some(stretch) = self.stretch {
            let over = usize::try_from(stretch.start.saturating_sub(at)).unwrap_or(usize::MAX);
            let over = over.min(chunk.len());
            at += over as u64;
            chunk.advance(over);

            let (id, to) = (self.id, at.max(stretch.start) + chunk.len() as u64);
            let end = self.fill.quietly(|state| state.ground.reserve(id, to));
            if stretch.start >= end {
                self.publish();
                match self.fill.quietly(|state| state.ground.extend(id, reach)) {
                    Some(next) => self.go_to(next),
                    None => return Ok(false),
                }
                continue;
            }
            if chunk.is_empty() {
                return Ok(true);
            }
            let room = usize::try_from(end - at).unwrap_or(usize::MAX);
            let bytes = chunk.split_to(room.min(chunk.len()));
            self.work.partial().write_at(at, &bytes)?;
            if let Some(hash) = &mut self.carried {
                hash.update(&bytes);
            }
            at += bytes.len() as u64;
            self.written += bytes.len() as u64;
            self.stretch = Some(ByteRange::new(at, end));
        }
        Ok(false)
    }

    /// The stream ended at `at`. Of a blob of unknown size that is its size.
    fn ended_at(&mut self, at: u64, reach: u64) -> Result<(), FillError> {
        self.publish();
        if reach == u64::MAX {
            return self.learn(Some(at));
        }
        if at >= reach {
            return Ok(());
        }
        Err(FillError::Length {
            announced: reach,
            sent: at,
        })
    }

    fn unpublished(&self) -> u64 {
        self.stretch
            .map_or(0, |it| it.start.saturating_sub(self.published))
    }

    /// Tells the followers of all bytes written so far, and notes them on disk from time to time.
    fn publish(&mut self) {
        let new = self.unpublished();
        if new == 0 {
            return;
        }
        self.published += new;
        let (id, to) = (self.id, self.published);
        let mut prefix = 0;
        self.fill.state().send_modify(|state| {
            state.ground.publish(id, to);
            prefix = state.ground.present().prefix();
        });
        self.note(new);
        self.take_hash_along();
        if self.carried.is_none() {
            let hash_behind = self.measures().hash_behind;
            let behind = |hashed: u64| hashed + hash_behind <= prefix;
            if let Some(verifier) = self.work.carry(behind) {
                carry_out(&self.fill, Next::Hash(verifier));
            }
        }
    }

    fn note(&self, new: u64) {
        let Some(progress) = self
            .fill
            .progress_if(|size| self.work.written(new, size, self.measures()))
        else {
            return;
        };
        let (progress, durable) = progress;
        if durable == Durable(false) {
            return self.work.note(&progress, durable);
        }
        // Syncing takes long; the download does not wait for it.
        let work = Arc::clone(&self.work);
        tokio::task::spawn_blocking(move || work.note(&progress, durable));
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.publish();
        if let Some(verifier) = self.carried.take() {
            self.work.bring_home(verifier);
        }
        let id = self.id;
        self.fill
            .state()
            .send_modify(|state| state.ground.release(id));
        if !self.ended {
            self.fill.lost_one();
        }
        settle(&self.fill);
    }
}

/// How a fill ends for this reason: trouble of the store ends the keeping and not the download.
pub(super) fn ending_of(error: FillError, hashed: Option<Verifier>) -> Ending {
    match error {
        FillError::Store(error) => Ending::Past {
            error,
            hashed: hashed.map(Box::new),
        },
        error => Ending::Failed(error),
    }
}
