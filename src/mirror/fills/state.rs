//! What is known of a fill at one instant, and what that allows a follower.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::error::FillError;
use super::ground::{FetchId, Ground, Wanted};
use super::measures::Measures;
use crate::oci::{ByteRange, Verifier};
use crate::store::{Source, StoreError};

/// Where a fill stands.
pub(super) enum Phase {
    /// The file is being made or taken up.
    Beginning,
    /// Bytes come, or may be asked for.
    Open,
    /// It will end so as soon as the fetches under way have stopped: until then nobody else may touch the file.
    Ending(Ending),
    /// All bytes are here and their digest matches.
    Verified,
    /// It ended; it is in the table no more.
    Ended(Ending),
}

/// How a fill ends without content.
#[derive(Clone)]
pub(super) enum Ending {
    /// No more bytes will come.
    Failed(FillError),
    /// The store failed: each follower goes on past it, from where it stands.
    Past {
        error: StoreError,
        /// The hash of the bytes up to where the fill had hashed.
        hashed: Option<Box<Verifier>>,
    },
}

impl Ending {
    /// How a fill ends for this reason: trouble of the store ends the keeping and not the download.
    pub(super) fn of(error: FillError, hashed: Option<Verifier>) -> Self {
        match error {
            FillError::Store(error) => Self::Past {
                error,
                hashed: hashed.map(Box::new),
            },
            error => Self::Failed(error),
        }
    }
}

/// One follower's place in the line for fetches.
struct Want {
    ranges: Arc<[ByteRange]>,
    /// Which of the ranges it reads, and from where.
    nth: usize,
    at: u64,
    whole: bool,
    /// Smaller is earlier: who was served goes to the end of the line.
    turn: u64,
}

impl Want {
    fn wanted(&self) -> Option<Wanted<'_>> {
        let range = self.ranges.get(self.nth)?;
        Some(Wanted {
            first: ByteRange::new(self.at, range.end),
            then: self.ranges.get(self.nth + 1..).unwrap_or_default(),
            whole: self.whole,
        })
    }
}

/// Names a follower within its fill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FollowerId(u64);

/// What a fill's participants share.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; any of them may hold with any other"
)]
pub(super) struct State {
    hold_back: u64,
    pub(super) ground: Ground,
    /// The file, once there is one.
    pub(super) source: Option<Source>,
    pub(super) phase: Phase,
    /// Bytes that an earlier fill left.
    pub(super) taken_up: u64,
    /// Upstream has answered a fetch of this fill: it is there, and has the blob.
    pub(super) confirmed: bool,
    /// Somebody asked for all of it.
    pub(super) wanted: bool,
    /// It is brought to its end whoever follows.
    pub(super) finish: bool,
    /// While nobody follows it lets by what somebody waits for.
    pub(super) has_time: bool,
    /// Requests that take part.
    pub(super) seats: usize,
    /// Fetches that were dropped without a word.
    pub(super) lost: u32,
    wants: BTreeMap<FollowerId, Want>,
    turns: u64,
}

/// What a follower at some offset can do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read these bytes.
    Read(ByteRange),
    /// Wait for the state to change.
    Wait,
    /// See to it that they are fetched, then wait.
    Ask,
    /// The fill has ended; how is in the phase.
    Ended,
}

/// Whether a response's head can be written.
#[derive(Debug)]
pub(super) enum Opening {
    /// Yes, with this size.
    Ready(u64),
    /// Not yet.
    Wait,
    /// Never, by this fill.
    Ended,
}

impl State {
    pub(super) fn new(measures: Measures) -> Self {
        Self {
            ground: Ground::new(measures),
            hold_back: measures.hold_back,
            source: None,
            phase: Phase::Beginning,
            taken_up: 0,
            confirmed: false,
            wanted: false,
            finish: false,
            has_time: false,
            seats: 0,
            lost: 0,
            wants: BTreeMap::new(),
            turns: 0,
        }
    }

    /// What a follower that wants the bytes of `wanted` can do (`wanted` is not empty). `guarded` bytes reach the
    /// blob's end from its beginning: the last of them wait for the digest.
    pub(super) fn step(&self, wanted: ByteRange, guarded: bool, now: Instant) -> Step {
        if let Some(end) = self.released_until(wanted.start, guarded) {
            return Step::Read(ByteRange::new(wanted.start, end.min(wanted.end)));
        }
        match self.phase {
            Phase::Beginning | Phase::Verified | Phase::Ending(_) => Step::Wait,
            Phase::Ended(_) => Step::Ended,
            // Held back, or nearly here.
            Phase::Open if self.ground.arrives_soon(wanted.start, now) => Step::Wait,
            Phase::Open => Step::Ask,
        }
    }

    /// The end of the bytes from `offset` on that may be given out; `None` when there are none.
    ///
    /// A fill that ended gives out what it has: a follower that reads slowly learns of the end where the bytes
    /// end, never in the midst of bytes that are here.
    fn released_until(&self, offset: u64, guarded: bool) -> Option<u64> {
        let present = self.ground.present().run_end(offset)?;
        let bound = match (&self.phase, self.ground.size()) {
            (Phase::Verified, _) => u64::MAX,
            (_, Some(_)) if !guarded => u64::MAX,
            (_, Some(size)) => size.saturating_sub(self.hold_back),
            // Of unknown size: any byte may be among the last.
            (_, None) => 0,
        };
        let end = present.min(bound);
        (end > offset).then_some(end)
    }

    /// Whether an answer may begin: the size is known, and upstream is known to have the bytes or they are here.
    /// Who wants all of it waits for the first byte, for until then trouble can be told as what it is; and of a small
    /// blob until the digest matches.
    pub(super) fn opening(
        &self,
        whole: bool,
        parts_present: impl Fn(u64, &Ground) -> bool,
    ) -> Opening {
        match (&self.phase, self.ground.size()) {
            (Phase::Ended(_), _) => Opening::Ended,
            (Phase::Verified, Some(size)) => Opening::Ready(size),
            (Phase::Open, Some(size)) => {
                let known = self.confirmed || (!whole && parts_present(size, &self.ground));
                let begun = size > self.hold_back && self.ground.present().contains(0);
                if known && (!whole || begun) {
                    Opening::Ready(size)
                } else {
                    Opening::Wait
                }
            }
            _ => Opening::Wait,
        }
    }

    /// Takes a follower in.
    pub(super) fn follow(&mut self, ranges: Arc<[ByteRange]>, whole: bool) -> FollowerId {
        let turn = self.next_turn();
        let at = ranges.first().map_or(0, |range| range.start);
        let want = Want {
            ranges,
            nth: 0,
            at,
            whole,
            turn,
        };
        self.wants.insert(FollowerId(turn), want);
        FollowerId(turn)
    }

    pub(super) fn unfollow(&mut self, id: FollowerId) {
        self.wants.remove(&id);
    }

    /// The next fetch for one follower, which stands in its `nth` range at `at`.
    pub(super) fn fetch_for(
        &mut self,
        id: FollowerId,
        nth: usize,
        at: u64,
        now: Instant,
    ) -> Option<(FetchId, ByteRange)> {
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let want = self.wants.get_mut(&id)?;
        (want.nth, want.at) = (nth, at);
        let claimed = self.ground.claim(want.wanted()?, now)?;
        self.turns += 1;
        want.turn = self.turns;
        Some(claimed)
    }

    /// The next fetch for anybody: for the followers in turn, then for the blob's own sake.
    pub(super) fn fetch_for_any(&mut self, now: Instant) -> Option<(FetchId, ByteRange)> {
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let mut line: Vec<_> = self.wants.iter().map(|(id, it)| (it.turn, *id)).collect();
        line.sort_unstable();
        for (_, id) in line {
            let Some(want) = self.wants.get(&id) else {
                continue;
            };
            let (nth, at) = (want.nth, want.at);
            let claimed = self.fetch_for(id, nth, at, now);
            if claimed.is_some() {
                return claimed;
            }
        }
        let size = self.ground.size()?;
        let all = Wanted {
            first: ByteRange::new(0, size),
            then: &[],
            whole: true,
        };
        (self.finish && self.ground.is_idle()).then(|| self.ground.claim(all, now))?
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}

#[cfg(test)]
mod tests;
