//! One fetch of a fill: a task on the fetch runtime that brings one stretch: receive, write and hash in one place.

mod answer;
mod attend;
mod batch;
mod telling;

use std::sync::Arc;
use std::thread;

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use tokio::time::{Instant, sleep, timeout_at};

use self::answer::reach;
use self::batch::Batch;
use super::error::FillError;
use super::fetcher::{Fetcher, carry_out, settle};
use super::fill::{Fill, Next};
use super::ground::FetchId;
use super::lanes::Lane;
use super::measures::Measures;
use super::patience::Patience;
use super::state::Ending;
use super::way::Turn;
use super::work::{Durable, SharedWork};
use crate::oci::{ByteRange, RangeSpec, Verifier};
use crate::upstream::{BlobBody, UpstreamError};

/// What comes first may come in one large piece, but is handed out in a small one.
const FIRST_PIECE: usize = 16 * 1024;

/// A piece of a body, or why there is none.
type Piece = Result<Bytes, UpstreamError>;

/// What a fetch is begun for.
#[derive(Clone, Copy)]
pub(super) enum Task {
    /// To learn the size, by asking for this part (none: all).
    Open(Option<RangeSpec>),
    /// To bring a stretch.
    Bring(ByteRange),
    /// To bring a stretch that another one would come to, later. Trouble is then no reason to wait for anything, and
    /// ends nothing but the help.
    Help(ByteRange),
}

/// One fetch. Dropped without an end, it gives its stretch and the hash back and lets the fill go on without it.
pub(super) struct Fetch {
    fill: Arc<Fill>,
    work: SharedWork,
    id: FetchId,
    task: Task,
    /// The right to its connection, while it has one.
    lane: Option<Lane>,
    /// Where the next byte goes, and where the stretch ends; unknown to the first fetch until it is answered.
    stretch: Option<ByteRange>,
    /// What came before there and is not written yet.
    batch: Batch,
    /// Bytes before this are known to the followers.
    published: u64,
    /// Bytes written so far.
    written: u64,
    /// When the followers were told of something last.
    told: Option<Instant>,
    /// Upstream has answered, and the followers have not been told.
    landed: bool,
    /// The download before this one broke off.
    broken_off: bool,
    /// The hash, while this fetch brings the prefix.
    carried: Option<Verifier>,
    /// When it may read on.
    turn: Turn,
    ended: bool,
}

impl Fetch {
    /// Begins the fetch that `id` was claimed for.
    pub(super) fn begin(fill: &Arc<Fill>, id: FetchId, task: Task) {
        let stretch = match task {
            Task::Open(_) => None,
            Task::Bring(stretch) | Task::Help(stretch) => Some(stretch),
        };
        let Some(work) = fill.work() else {
            return fill.quietly(|state| state.ground.release(id));
        };
        let fetch = Self {
            fill: Arc::clone(fill),
            work,
            id,
            task,
            lane: None,
            stretch,
            published: stretch.map_or(0, |it| it.start),
            batch: Batch::default(),
            written: 0,
            told: None,
            landed: false,
            broken_off: false,
            carried: None,
            turn: Turn::on(&fill.fetcher().lanes.way),
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
            if self.helps() && !matches!(error, FillError::Store(_)) {
                let digest = self.fill.digest();
                tracing::debug!(%digest, %error, "a connection more is no help");
                self.fill.quietly(|state| state.ground.splits_no_more());
                self.ended = true;
                return;
            }
            let hashed = self.carried.clone().or_else(|| self.work.hash_so_far());
            self.fill.end(Ending::of(error, hashed));
        }
        self.ended = true;
    }

    fn helps(&self) -> bool {
        matches!(self.task, Task::Help(_))
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
            let downloaded = self.download().await;
            self.leave();
            let Err(error) = downloaded else {
                return Ok(());
            };
            self.publish()?;
            let (at, brought) = (self.stretch.map(|it| it.start), self.written - before);
            let confirmed = self.fill.state().borrow().confirmed;
            let pause = patience.pause(&error, brought, confirmed);
            let Some(pause) = pause.filter(|_| !self.helps()) else {
                return Err(error);
            };
            self.broken_off = true;
            let fetcher = self.fetcher();
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
        self.enter().await?;
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
            self.work.partial().reserve(size)?;
        }
        self.land(&body, part)?;
        if std::mem::take(&mut self.broken_off) {
            let fetcher = self.fetcher();
            fetcher.fills.metrics.resumed(&fetcher.link.origin.upstream);
        }
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
            self.lets_by().await?;
            let Some(chunk) = self.next_piece(body).await? else {
                return self.ended_at(at, reach);
            };
            let mut chunk = chunk?;
            if self.written == 0 && chunk.len() > FIRST_PIECE {
                // Nobody waits for more than the first bytes.
                self.take(at, chunk.split_to(FIRST_PIECE), reach)?;
                at += FIRST_PIECE as u64;
                self.publish()?;
                // On a busy machine whoever sends it would wait until this thread has used up its time.
                thread::yield_now();
            }
            let length = chunk.len() as u64;
            self.turn.took(length);
            let room = self.take(at, chunk, reach)?;
            at += length;
            if self.untold() >= self.measures().publish_every {
                self.publish()?;
                self.attend();
            }
            if !room {
                // The end of the stream, if this was it, must be seen, or the connection is not used again.
                let _ = body.stream.next().now_or_never();
                return Ok(());
            }
        }
    }

    /// The next piece of the body. Before a wait the followers get what is here, but not each small piece for itself.
    async fn next_piece(&mut self, body: &mut BlobBody) -> Result<Option<Piece>, FillError> {
        if let Some(ready) = body.stream.next().now_or_never() {
            return Ok(ready);
        }
        if let Some(told) = self.told.filter(|_| self.untold() > 0) {
            let due = told + telling::pause(told.duration_since(self.fill.began()));
            let soon = timeout_at(due, body.stream.next());
            if let Ok(next) = soon.await {
                return Ok(next);
            }
        }
        self.publish()?;
        self.attend();
        Ok(body.stream.next().await)
    }

    /// Takes in what of `chunk`, which stands at `at`, lies in our stretch; goes on in the next hole where the
    /// stretch ends. Whether there is room for more.
    fn take(&mut self, mut at: u64, mut chunk: Bytes, reach: u64) -> Result<bool, FillError> {
        while let Some(stretch) = self.stretch {
            let over = usize::try_from(stretch.start.saturating_sub(at)).unwrap_or(usize::MAX);
            let over = over.min(chunk.len());
            at += over as u64;
            chunk.advance(over);

            let (id, to) = (self.id, at.max(stretch.start) + chunk.len() as u64);
            let end = self.fill.quietly(|state| state.ground.reserve(id, to));
            if stretch.start >= end {
                self.publish()?;
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
            at += bytes.len() as u64;
            self.batch.push(bytes);
            self.stretch = Some(ByteRange::new(at, end));
        }
        Ok(false)
    }

    /// The stream ended at `at`. Of a blob of unknown size that is its size.
    fn ended_at(&mut self, at: u64, reach: u64) -> Result<(), FillError> {
        self.publish()?;
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

    /// Bytes that are here and that the followers do not know of.
    fn untold(&self) -> u64 {
        self.stretch
            .map_or(0, |it| it.start.saturating_sub(self.published))
    }

    /// Writes and hashes what has come, in one piece: later readers are faster on what was written so.
    fn write(&mut self) -> Result<(), FillError> {
        let length = self.batch.len();
        let (Some(stretch), true) = (self.stretch, length > 0) else {
            return Ok(());
        };
        let pieces = self.batch.take();
        let written = self.work.partial();
        if let Err(error) = written.write_pieces_at(stretch.start - length, &pieces) {
            // Not there: nobody may be told of it.
            self.stretch = Some(ByteRange::new(stretch.start - length, stretch.end));
            return Err(error.into());
        }
        if let Some(hash) = &mut self.carried {
            for piece in &pieces {
                hash.update(piece);
            }
        }
        self.written += length;
        Ok(())
    }

    /// Tells the followers of all bytes that came so far, and notes them on disk from time to time.
    fn publish(&mut self) -> Result<(), FillError> {
        self.write()?;
        let new = self.untold();
        if new == 0 && !self.landed {
            return Ok(());
        }
        self.landed = false;
        self.told = Some(Instant::now());
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
        Ok(())
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
        let runtime = &self.fetcher().fills.runtime;
        runtime.spawn_blocking(move || work.note(&progress, durable));
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // What cannot be written is not published; that the store fails shows itself again.
        let _ = self.publish();
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
