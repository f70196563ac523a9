//! One reader of a fill: waits for bytes at its own offset and reads them from the fill's file.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::catch_up::hash_up_to;
use super::error::FillError;
use super::fetcher::{self, Feed, carry_out, settle};
use super::fill::opening;
use super::past::Past;
use super::read::read;
use super::seat::Seat;
use super::state::{Ending, FollowerId, Opening, Phase, State, Step};
use crate::oci::{ByteRange, Digest, RangeSpec, Verifier};
use crate::store::{Source, StoreErrorKind};

/// How long a follower waits at most without looking whether its bytes still arrive soon.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A fill that this request takes part in, whoever began it.
#[derive(Clone)]
pub struct Joined {
    seat: Arc<Seat>,
    /// What the request is for; nothing: for all.
    parts: Arc<[RangeSpec]>,
    strayed: Strayed,
}

/// Tells whether a request's bytes went past the store, and why.
#[derive(Clone, Default)]
pub struct Strayed(Arc<OnceLock<&'static str>>);

impl Strayed {
    /// The reason in one word; `None` while all is kept.
    pub fn why(&self) -> Option<&'static str> {
        self.0.get().copied()
    }

    fn because_of(&self, kind: StoreErrorKind) {
        let _ = self.0.set(match kind {
            StoreErrorKind::Full => "store_full",
            StoreErrorKind::TooLarge => "too_large",
            StoreErrorKind::ReadOnly => "store_read_only",
            _ => "store_error",
        });
    }
}

impl Joined {
    /// Takes part for `parts` (none: all); begins the fill if `began`.
    pub(in crate::mirror) fn new(seat: Seat, parts: &[RangeSpec], began: bool) -> Self {
        let parts: Arc<[RangeSpec]> = Arc::from(parts);
        if began {
            fetcher::begin(seat.fill(), Arc::clone(&parts));
        }
        Self {
            seat: Arc::new(seat),
            parts,
            strayed: Strayed::default(),
        }
    }

    /// Tells, also later, whether the bytes went past the store.
    pub fn strayed(&self) -> Strayed {
        self.strayed.clone()
    }

    /// Waits until an answer may begin, and gives the blob's size in bytes.
    ///
    /// Bounded by the fetches, whose every wait is bounded.
    pub(in crate::mirror) async fn opened(&self) -> Result<u64, FillError> {
        let fill = self.seat.fill();
        let mut states = fill.state().subscribe();
        let mut place = None;
        loop {
            let past = {
                let state = states.borrow_and_update();
                match opening(&state, &self.parts) {
                    Opening::Ready(size) => return Ok(size),
                    Opening::Ended => Some(ending(&state)?),
                    Opening::Wait => None,
                }
            };
            if let Some((kind, size)) = past {
                self.strayed.because_of(kind);
                let size = match size {
                    Some(size) => size,
                    None => self.ask_size().await?,
                };
                if size == 0 {
                    // There is nothing to read, and so nothing that would prove it later.
                    prove_empty(fill.digest())?;
                }
                return Ok(size);
            }
            if let Some(next) = fill.open_for(&self.parts) {
                carry_out(fill, next);
            }
            // Those who read already stand in line: without a place of its own it would have no turn among them.
            place = place.or_else(|| self.place());
            // The sender lives in the fill that we hold.
            if states.changed().await.is_err() {
                return Err(FillError::Abandoned);
            }
        }
    }

    /// A place in the line for fetches, once it is known which bytes are wanted.
    fn place(&self) -> Option<Place> {
        let fill = self.seat.fill();
        let size = fill.state().borrow().ground.size()?;
        let all = [RangeSpec::From(0)];
        let parts = if self.parts.is_empty() {
            &all[..]
        } else {
            &self.parts
        };
        let ranges: Arc<[_]> = parts.iter().filter_map(|it| it.resolve(size)).collect();
        let whole = self.parts.is_empty();
        (!ranges.is_empty()).then(|| Place {
            joined: self.clone(),
            id: fill.quietly(|state| state.follow(ranges, whole)),
        })
    }

    /// Whether upstream has not been asked for anything: what the request wants was here.
    pub(in crate::mirror) fn is_here(&self) -> bool {
        !self.seat.fill().state().borrow().confirmed
    }

    /// The size of a blob that no fill knows.
    async fn ask_size(&self) -> Result<u64, FillError> {
        let fetcher = self.seat.fill().fetcher().clone();
        let runtime = fetcher.fills.runtime.clone();
        let ask = runtime.spawn(async move {
            let size = match &fetcher.feed {
                Feed::Blob => fetcher.head().await?,
                Feed::Manifest | Feed::Held(_) => fetcher.ask(None).await?.size,
            };
            size.ok_or(FillError::Abandoned)
        });
        let now = ask.await.unwrap_or(Err(FillError::Abandoned))?;
        let mut learnt = Ok(());
        self.seat.fill().state().send_modify(|state| {
            learnt = state.ground.learn_size(now);
        });
        // One size for all who read: by another one nobody could tell who reads the whole, and needs the proof of it.
        learnt.map_err(|before| FillError::SizeChanged { before, now })?;
        Ok(now)
    }

    /// A reader of `ranges`, one after the other. None of them is empty, and each lies within the size.
    pub fn follow(&self, ranges: Vec<ByteRange>) -> Follower {
        let fill = self.seat.fill();
        let ranges: Arc<[ByteRange]> = ranges.into();
        let size = fill.state().borrow().ground.size().unwrap_or(u64::MAX);
        let guarded = matches!(&*ranges, [only] if *only == ByteRange::new(0, size));
        let whole = self.parts.is_empty();
        let id = fill.quietly(|state| state.follow(Arc::clone(&ranges), whole));
        Follower {
            states: fill.state().subscribe(),
            place: Place {
                joined: self.clone(),
                id,
            },
            left: ranges.first().copied().unwrap_or(ByteRange::new(0, 0)),
            ranges,
            nth: 0,
            guarded,
            past: None,
            look_again: Box::pin(sleep(LOOK_AGAIN)),
        }
    }
}

/// Whether the blob of that name is the one without bytes.
fn prove_empty(digest: &Digest) -> Result<(), FillError> {
    match Verifier::verify(digest, &[]) {
        Some(proof) => Ok(proof.map(|_| ())?),
        None => Err(FillError::Abandoned),
    }
}

/// How a fill ended for one who wants to begin: the store's trouble, and the size if it is known.
fn ending(state: &State) -> Result<(StoreErrorKind, Option<u64>), FillError> {
    match &state.phase {
        Phase::Ended(Ending::Past { error, .. }) => Ok((error.kind(), state.ground.size())),
        Phase::Ended(Ending::Failed(error)) => Err(error.clone()),
        _ => Err(FillError::Abandoned),
    }
}

/// A place in the line for fetches, given up at the end.
struct Place {
    joined: Joined,
    id: FollowerId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let fill = self.joined.seat.fill();
        fill.quietly(|state| state.unfollow(self.id));
    }
}

/// Bytes that a follower may give out.
pub enum Run {
    /// They are in a file, which may be sent on without being read. They will not change, whatever becomes of the
    /// fill. That many bytes are read: of a file that was cut short, fewer come.
    File(Source, ByteRange),
    /// They come past the store, and are in hand.
    Bytes(Bytes),
}

impl Run {
    /// Number of bytes, at least one.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> u64 {
        match self {
            Self::File(_, range) => range.len(),
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// One client's reader of ranges of a fill. Nothing but its own `next` and `next_run` move it.
pub struct Follower {
    place: Place,
    states: watch::Receiver<State>,
    ranges: Arc<[ByteRange]>,
    /// Which range it reads, and what is left of it.
    nth: usize,
    left: ByteRange,
    /// It reads all: the last bytes wait for the digest.
    guarded: bool,
    past: Option<Past>,
    /// Ends a wait in which nothing changes: what was to arrive soon may have stalled. One for all waits: a timer made
    /// for each would wake the thread that minds the timers, for each.
    look_again: Pin<Box<Sleep>>,
}

impl Follower {
    /// The next bytes, at most `most` and at least one, never of two ranges; `None` when all have been given.
    ///
    /// Waits for bytes that are not here yet. An error means that the rest will not come: what was given out
    /// before must not be passed off as complete.
    pub async fn next(&mut self, most: usize) -> Result<Option<Bytes>, FillError> {
        let bytes = match self.run(most as u64).await? {
            Some(Run::File(source, range)) => {
                let length = usize::try_from(range.len()).unwrap_or(usize::MAX);
                read(source, range.start, length).await?
            }
            Some(Run::Bytes(bytes)) => bytes,
            None => return Ok(None),
        };
        self.left.start += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// As [`Follower::next`], but bytes that are in the fill's file are not read: the caller gives out all of them,
    /// or nothing more.
    pub async fn next_run(&mut self, most: u64) -> Result<Option<Run>, FillError> {
        let run = self.run(most).await?;
        self.left.start += run.as_ref().map_or(0, Run::len);
        Ok(run)
    }

    /// Waits for the next bytes that may be given out: the one place that decides it. Does not move on.
    async fn run(&mut self, most: u64) -> Result<Option<Run>, FillError> {
        while self.left.is_empty() {
            self.nth += 1;
            match self.ranges.get(self.nth) {
                Some(range) => self.left = *range,
                None => return Ok(None),
            }
            self.past = None;
        }
        loop {
            if let Some(past) = &mut self.past {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                return Ok(Some(Run::Bytes(past.next(most).await?)));
            }
            match self.released().await? {
                Look::Read(source, range) => {
                    let end = range.end.min(range.start.saturating_add(most));
                    let range = ByteRange::new(range.start, end);
                    return Ok(Some(Run::File(source, range)));
                }
                Look::Past(kind, hash) => self.go_past(kind, hash).await?,
                Look::Wait | Look::Ask => {}
            }
        }
    }

    /// Waits until some bytes at our offset may be given out, or must be had elsewhere.
    async fn released(&mut self) -> Result<Look, FillError> {
        let fill = self.place.joined.seat.fill();
        loop {
            // A statement of its own: the borrow must end before anything changes the state.
            let look = look(&self.states.borrow_and_update(), self.left, self.guarded)?;
            match look {
                Look::Ask => {
                    let (now, at) = (Instant::now(), self.left.start);
                    let mut claimed = false;
                    while let Some((id, stretch)) =
                        fill.quietly(|state| state.fetch_for(self.place.id, self.nth, at, now))
                    {
                        carry_out(fill, super::fill::Next::Fetch(id, stretch));
                        claimed = true;
                    }
                    // Another one's fetch may have been cut short. Else nothing has changed for anybody, and to look
                    // through all followers each time that one of them wakes would take the square of their number.
                    if claimed {
                        settle(fill);
                    }
                }
                Look::Wait => {}
                found => return Ok(found),
            }
            tokio::select! {
                biased;
                changed = self.states.changed() => changed.map_err(|_| FillError::Abandoned)?,
                () = self.look_again.as_mut() => {
                    self.look_again.as_mut().reset(Instant::now() + LOOK_AGAIN);
                }
            }
        }
    }

    /// Reads on from upstream. A reader of all proves the end by the hash of just the bytes that it gave out, so
    /// those are hashed as they are in the file, from where the fill had hashed.
    async fn go_past(
        &mut self,
        kind: StoreErrorKind,
        hashed: Option<Box<Verifier>>,
    ) -> Result<(), FillError> {
        let joined = &self.place.joined;
        joined.strayed.because_of(kind);
        let fill = joined.seat.fill();
        let (size, source) = {
            let state = fill.state().borrow();
            (state.ground.size(), state.source.clone())
        };
        let at = self.left.start;
        let mut hash = None;
        if self.guarded {
            let hashed = hashed.filter(|hash| hash.hashed() <= at);
            hash = hashed.map(|hash| *hash);
            hash = hash.or_else(|| Verifier::of(fill.digest()));
        }
        if let (Some(hash), Some(source)) = (&mut hash, &source) {
            hash_up_to(source, hash, at).await?;
        }
        let size = size.unwrap_or(self.left.end);
        self.past = Some(Past::begin(fill, self.left, size, hash));
        Ok(())
    }
}

enum Look {
    Read(Source, ByteRange),
    Past(StoreErrorKind, Option<Box<Verifier>>),
    Ask,
    Wait,
}

fn look(state: &State, left: ByteRange, guarded: bool) -> Result<Look, FillError> {
    let step = state.step(left, guarded, Instant::now());
    match (step, &state.source, &state.phase) {
        (Step::Read(range), Some(source), _) => Ok(Look::Read(source.clone(), range)),
        (Step::Ended, _, Phase::Ended(Ending::Failed(error))) => Err(error.clone()),
        (Step::Ended, _, Phase::Ended(Ending::Past { error, hashed })) => {
            Ok(Look::Past(error.kind(), hashed.clone()))
        }
        (Step::Ask, ..) => Ok(Look::Ask),
        _ => Ok(Look::Wait),
    }
}
