//! The ground of a fill: what is present, what is being brought, and where the next fetch may go. Pure.
//!
//! Each fetch holds a [`Claim`], a stretch in which nobody else writes; claims overlap neither each other nor what is
//! present. So no byte is fetched twice by plan, and none is written twice at all: what was hashed stays as it was.

mod split;

use std::time::Duration;

use tokio::time::Instant;

use self::split::Pace;
use super::measures::Measures;
use crate::oci::{ByteRange, RangeSet, RangeSpec};

/// Fetches of one fill at once.
const MOST_FETCHES: usize = 4;

/// A fetch that arrives within this time is waited for. Another one would share the same uplink.
const SOON: Duration = Duration::from_secs(3);

/// Names a fetch within its fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FetchId(u64);

/// One fetch's stretch.
#[derive(Debug)]
struct Claim {
    id: FetchId,
    /// From the first byte that is not present to the last that this fetch may write.
    stretch: ByteRange,
    /// Bytes before this are being written: the claim is never cut shorter.
    reserved: u64,
    began: Instant,
    brought: u64,
}

impl Claim {
    fn arrives_soon(&self, offset: u64, now: Instant, measures: &Measures) -> bool {
        let (ahead, took) = (offset - self.stretch.start, now - self.began);
        // Another fetch for its next bytes would wait for the same server.
        if ahead <= measures.near {
            return true;
        }
        if self.brought == 0 {
            return took < SOON && ahead <= measures.near_at_first;
        }
        // ahead / (brought / took) <= SOON, without a division.
        u128::from(ahead) * took.as_micros() <= u128::from(self.brought) * SOON.as_micros()
    }
}

/// What a reader still wants, in its order; `whole` when it asked for the blob and not for parts.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) first: ByteRange,
    pub(super) then: &'a [ByteRange],
    pub(super) whole: bool,
}

/// What is present and what is claimed.
#[derive(Debug)]
pub(super) struct Ground {
    measures: Measures,
    /// The blob's size, once it is known.
    size: Option<u64>,
    present: RangeSet,
    claims: Vec<Claim>,
    /// The fetch that is to learn the size.
    opening: Option<FetchId>,
    /// Upstream sends everything from the beginning whatever it is asked: one fetch at a time.
    sequential: bool,
    /// Nobody follows any more: nothing is brought beyond what is nearly here.
    halted: bool,
    pace: Pace,
    last: u64,
}

impl Ground {
    pub(super) fn new(measures: Measures) -> Self {
        Self {
            measures,
            size: None,
            present: RangeSet::new(),
            claims: Vec::new(),
            opening: None,
            sequential: false,
            halted: false,
            pace: Pace::default(),
            last: 0,
        }
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    pub(super) fn present(&self) -> &RangeSet {
        &self.present
    }

    pub(super) fn is_complete(&self) -> bool {
        self.size.is_some_and(|size| self.present.is_complete(size))
    }

    /// Whether no fetch is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.claims.is_empty() && self.opening.is_none()
    }

    /// What an earlier fill left.
    pub(super) fn take_up(&mut self, size: u64, present: RangeSet) {
        (self.size, self.present) = (Some(size), present);
    }

    /// Adopts the size; gives the one known before when that is another.
    pub(super) fn learn_size(&mut self, size: u64) -> Result<(), u64> {
        let known = *self.size.get_or_insert(size);
        if known == size { Ok(()) } else { Err(known) }
    }

    /// Upstream does not know ranges, and sends to the fetch `id` all from the beginning: it takes the first hole, if
    /// it is alone. Gives its stretch.
    pub(super) fn start_over(&mut self, id: FetchId) -> Option<ByteRange> {
        self.sequential = true;
        let mut hole = self.present.first_hole(0, self.size.unwrap_or(u64::MAX));
        if self.halted {
            hole = hole.map(|hole| self.windowed(hole));
        }
        match (self.claims.as_mut_slice(), hole) {
            ([claim], Some(hole)) if claim.id == id => {
                (claim.stretch, claim.reserved) = (hole, hole.start);
                Some(hole)
            }
            _ => None,
        }
    }

    pub(super) fn is_sequential(&self) -> bool {
        self.sequential
    }

    /// The fetch that asks first, before the size is known. `None` when there is one, or no need.
    pub(super) fn open(&mut self) -> Option<FetchId> {
        if self.size.is_some() || !self.is_idle() {
            return None;
        }
        self.opening = Some(self.next_id());
        self.opening
    }

    /// The opening fetch has been answered, and brings bytes from `start` to `end` at most.
    pub(super) fn land(&mut self, id: FetchId, start: u64, end: u64, now: Instant) -> ByteRange {
        self.opening = None;
        let size = self.size.unwrap_or(u64::MAX);
        let hole = self.present.first_hole(start, end.min(size));
        let mut stretch = hole.unwrap_or(ByteRange::new(start, start));
        if self.halted {
            stretch = self.windowed(stretch);
        }
        self.stake(id, stretch, now);
        stretch
    }

    /// Claims the next stretch for a reader that wants `wanted`; `None` when nothing is to be done for it now, for
    /// all is present or arrives soon, or there are fetches enough.
    pub(super) fn claim(
        &mut self,
        wanted: Wanted<'_>,
        now: Instant,
    ) -> Option<(FetchId, ByteRange)> {
        let size = self.size?;
        let most = if self.sequential { 1 } else { MOST_FETCHES };
        // Until the opening fetch has landed, nobody knows what it brings.
        if self.claims.len() >= most || self.opening.is_some() {
            return None;
        }
        if self.sequential {
            let stretch = self.present.first_hole(0, size)?;
            let id = self.next_id();
            self.stake(id, stretch, now);
            return Some((id, stretch));
        }
        let ranges = std::iter::once(&wanted.first).chain(wanted.then);
        for (nth, range) in ranges.clone().enumerate() {
            let range = ByteRange::new(range.start, range.end.min(size));
            let Some(gap) = self.present.first_hole(range.start, range.end) else {
                continue;
            };
            let at = gap.start;
            if let Some(claim) = self.claims.iter_mut().find(|it| it.stretch.contains(at)) {
                if at < claim.reserved || claim.arrives_soon(at, now, &self.measures) {
                    continue;
                }
                // That fetch ends here; what lies behind our stretch it, or another, goes on with.
                claim.stretch.end = (at - at % self.measures.unit).max(claim.reserved);
            }
            let following = ranges.clone().skip(nth + 1);
            let stretch = self.lay(at, range, size, wanted.whole, following);
            let id = self.next_id();
            self.stake(id, stretch, now);
            return Some((id, stretch));
        }
        None
    }

    /// Whether [`Ground::claim`] has nothing to do for a reader at `at`, told without changing anything: it is
    /// asked each time a reader wakes.
    pub(super) fn arrives_soon(&self, at: u64, now: Instant) -> bool {
        let claim = self.claims.iter().find(|it| it.stretch.contains(at));
        claim.is_some_and(|claim| self.sequential || claim.arrives_soon(at, now, &self.measures))
    }

    /// Reserves the bytes up to `to` for writing, and gives the end of what may be written.
    pub(super) fn reserve(&mut self, id: FetchId, to: u64) -> u64 {
        let Some(claim) = self.claims.iter_mut().find(|it| it.id == id) else {
            return 0;
        };
        claim.reserved = to.min(claim.stretch.end).max(claim.reserved);
        claim.stretch.end
    }

    /// The bytes of the claim before `to` are present.
    pub(super) fn publish(&mut self, id: FetchId, to: u64) {
        if let Some(claim) = self.claims.iter_mut().find(|it| it.id == id) {
            let new = ByteRange::new(claim.stretch.start, to);
            self.present.insert(new);
            claim.brought += new.len();
            claim.stretch.start = to;
        }
    }

    /// Lets a fetch whose stretch is full, and whose stream goes on to `reach`, go on in the next hole, when that is
    /// close enough to be worth reading over what lies between.
    pub(super) fn extend(&mut self, id: FetchId, reach: u64) -> Option<ByteRange> {
        if self.halted {
            return None;
        }
        let full = self.claims.iter().find(|it| it.id == id)?.stretch.end;
        let farthest = if self.sequential {
            u64::MAX
        } else {
            self.measures.read_over
        };
        let (mut at, reach) = (full, reach.min(self.size.unwrap_or(u64::MAX)));
        let hole = loop {
            let hole = self.present.first_hole(at, reach)?;
            if hole.start - full > farthest {
                return None;
            }
            match self
                .claims
                .iter()
                .find(|it| it.stretch.contains(hole.start))
            {
                Some(claim) => at = claim.stretch.end,
                None => break self.unclaimed(hole),
            }
        };
        let claim = self.claims.iter_mut().find(|it| it.id == id)?;
        (claim.stretch, claim.reserved) = (hole, hole.start);
        Some(hole)
    }

    /// The fetch has ended; what it did not bring is free again.
    pub(super) fn release(&mut self, id: FetchId) {
        self.claims.retain(|claim| claim.id != id);
        if self.opening == Some(id) {
            self.opening = None;
        }
    }

    /// Nobody follows: fetches under way end within a window.
    pub(super) fn halt(&mut self) {
        self.halted = true;
        for claim in &mut self.claims {
            let end = claim.reserved.saturating_add(self.measures.window);
            claim.stretch.end = claim.stretch.end.min(end);
        }
    }

    /// Somebody follows again.
    pub(super) fn go_on(&mut self) {
        self.halted = false;
    }

    /// As much of `stretch` as is brought for nobody.
    fn windowed(&self, stretch: ByteRange) -> ByteRange {
        let end = stretch.start.saturating_add(self.measures.window);
        ByteRange::new(stretch.start, stretch.end.min(end))
    }

    fn next_id(&mut self) -> FetchId {
        self.last += 1;
        FetchId(self.last)
    }

    fn stake(&mut self, id: FetchId, stretch: ByteRange, now: Instant) {
        self.claims.push(Claim {
            id,
            stretch,
            reserved: stretch.start,
            began: now,
            brought: 0,
        });
    }

    /// The stretch to bring for a reader of `range` that lacks the byte at `at`, which nobody brings.
    fn lay<'a>(
        &self,
        at: u64,
        range: ByteRange,
        size: u64,
        whole: bool,
        following: impl Iterator<Item = &'a ByteRange>,
    ) -> ByteRange {
        let Measures {
            unit,
            window,
            widest,
            ..
        } = self.measures;
        let hole = self.present.hole_at(at, size);
        let free = self.unclaimed_around(at, hole.unwrap_or(range));
        let start = (at - at % unit).max(free.start);
        let end = if whole {
            free.end
        } else if range.end == size {
            let behind = self.present.run_before(start);
            start.max(at) + behind.clamp(window, widest)
        } else {
            let mut end = range.end.next_multiple_of(unit);
            for next in following {
                if next.start < start || next.start > end {
                    break;
                }
                end = end.max(next.end.next_multiple_of(unit));
            }
            end
        };
        ByteRange::new(start, end.min(free.end))
    }

    /// `hole`, whose first byte no claim holds, up to the first claim in it.
    fn unclaimed(&self, hole: ByteRange) -> ByteRange {
        let next = self.held().map(|it| it.start).filter(|it| *it > hole.start);
        ByteRange::new(hole.start, next.min().unwrap_or(hole.end).min(hole.end))
    }

    /// The part of `hole` around `at`, which no claim holds, up to the claims on both sides.
    fn unclaimed_around(&self, at: u64, hole: ByteRange) -> ByteRange {
        let before = self.held().map(|it| it.end).filter(|it| *it <= at).max();
        let start = hole.start.max(before.unwrap_or(0));
        let end = self.unclaimed(ByteRange::new(at, hole.end)).end;
        ByteRange::new(start, end)
    }

    /// The stretches that are still to be brought.
    fn held(&self) -> impl Iterator<Item = ByteRange> + '_ {
        let stretches = self.claims.iter().map(|claim| claim.stretch);
        stretches.filter(|stretch| !stretch.is_empty())
    }
}

/// What to ask for first, when a request wants `part` of a blob of unknown size: whole units, and of an open end only
/// a window, for the reader may leave.
pub(super) fn first_ask(part: RangeSpec, measures: &Measures) -> RangeSpec {
    let Measures { unit, window, .. } = *measures;
    let down = |offset: u64| offset - offset % unit;
    match part {
        RangeSpec::FromTo(first, last) => {
            let end = last.saturating_add(1).checked_next_multiple_of(unit);
            RangeSpec::FromTo(down(first), end.map_or(u64::MAX, |end| end - 1))
        }
        RangeSpec::From(first) => {
            let end = down(first).checked_add(window);
            RangeSpec::FromTo(down(first), end.map_or(u64::MAX, |end| end - 1))
        }
        // No bytes at all are no question: some registries answer it with a range that ends before it begins.
        RangeSpec::Suffix(length) => RangeSpec::Suffix(length.max(1)),
    }
}

#[cfg(test)]
mod tests;
