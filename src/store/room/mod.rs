//! Room: what content, fills and promises take together, and what must go when it is short. Pure, one value behind
//! one lock that is never held over I/O; `clearing` carries out what is decided here.
//!
//! At every instant content, what fills have written and what they were promised take no more than the capacity. A
//! fill is promised its bytes before it writes them, so several at once on a nearly full disk cannot spoil each other.
//! Sizes are those that `stat` tells, not the blocks that the file system takes for them.

mod answers;
mod clearing;
mod fills;
mod lease;
mod limits;
mod reservation;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;

pub(super) use self::clearing::{Ground, relieve, remove, with_room};
pub(super) use self::fills::Left;
use self::fills::{Account, Fills, Token};
pub(super) use self::lease::Lease;
pub use self::limits::Limits;
pub(super) use self::reservation::Reservation;
use super::index::{Index, Row};
use super::retention::{Amount, Evicted, Reason};
use crate::oci::Digest;

/// The room of one store, shared by its fills and its readers.
pub(super) type SharedRoom = Arc<Mutex<Room>>;

/// How much of what is on the disk is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// Only what came in since the start.
    New,
    /// What the catalog noted, too.
    Noted,
    /// All.
    All,
}

/// What a fill is told that asks for room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The room is its own.
    Granted,
    /// It can have it when this has gone.
    Clear(Going),
    /// Never: it is larger than the capacity.
    TooLarge,
    /// Not now: not enough of what is here may go.
    Full,
}

/// What is to go, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Going {
    /// What unfinished fills left, oldest first.
    pub(super) fills: Vec<Digest>,
    /// Content, in the order of eviction.
    pub(super) content: Vec<Digest>,
    pub(super) reason: Reason,
}

/// See the module.
pub(super) struct Room {
    pub(super) index: Index,
    limits: Limits,
    fills: Fills,
    known: Known,
    /// What the last process told that is here and was not seen yet: bytes and count.
    told: Amount,
    /// Bytes out of sight that are not removed yet.
    leaving: u64,
    evicted: Evicted,
    verified: u64,
    wrong: u64,
    /// The latest time that was heard of, in Unix seconds.
    now: u64,
}

impl Room {
    /// Room within `limits`, where nothing is known yet of what is there.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            index: Index::new(limits.policy),
            limits,
            fills: Fills::default(),
            known: Known::New,
            told: Amount::default(),
            leaving: 0,
            evicted: Evicted::default(),
            verified: 0,
            wrong: 0,
            now: 0,
        }
    }

    /// The last process told that so much is here.
    pub(super) fn told(&mut self, told: Amount) {
        self.told = told;
    }

    /// More is known of what is here.
    pub(super) fn known(&mut self, known: Known) {
        self.known = self.known.max(known);
        if known == Known::All {
            self.told = Amount::default();
        }
    }

    pub(super) fn knows_all(&self) -> bool {
        self.known == Known::All
    }

    /// It is this late at least (Unix seconds).
    pub(super) fn hear(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// The catalog speaks of `row`.
    pub(super) fn restore(&mut self, row: &Row) {
        if self.index.restore(row) {
            self.tell_off(row.size);
        }
    }

    /// Content was found on the disk that nobody spoke of.
    pub(super) fn found(&mut self, digest: &Digest, size: u64, now: u64, references: &[Digest]) {
        if self.index.size(digest).is_none() {
            self.tell_off(size);
        }
        self.index.admit(digest, size, now);
        self.index.references(digest, references);
    }

    /// So many bytes are known now of what the last process told.
    fn tell_off(&mut self, size: u64) {
        self.told.bytes = self.told.bytes.saturating_sub(size);
        self.told.count = self.told.count.saturating_sub(1);
    }

    fn open_fill(&mut self, digest: &Digest, bytes: u64) -> (Token, Arc<Account>) {
        self.fills.open(digest, bytes)
    }

    fn close_fill(&mut self, token: Token, left: Option<(&Digest, Left)>) {
        self.fills.close(token);
        if let Some((digest, left)) = left {
            self.fills.leave(digest, left);
        }
    }

    /// A fill has become content: in one step, so that its bytes never count twice, nor not at all.
    fn admit(&mut self, token: Token, digest: &Digest, size: u64, now: u64, refs: &[Digest]) {
        self.fills.close(token);
        self.hear(now);
        self.index.admit(digest, size, now);
        self.index.references(digest, refs);
    }

    /// An unfinished fill was left behind by another process.
    pub(super) fn leave_fill(&mut self, digest: &Digest, left: Left) {
        self.fills.leave(digest, left);
    }

    /// Nothing is left behind of a fill any more.
    pub(super) fn forget_fill(&mut self, digest: &Digest) {
        self.fills.forget_left(digest);
    }

    /// Whether a fill of `digest` was left behind and is not in use.
    pub(super) fn is_left(&self, digest: &Digest) -> bool {
        self.fills.is_left(digest)
    }

    /// Whether fill `token` may have `whole` bytes, where the file system would take `free` more.
    pub(super) fn ask(&mut self, token: Token, whole: u64, free: u64) -> Told {
        let more = self.fills.lacking(token, whole);
        if whole > self.limits.capacity {
            return Told::TooLarge;
        }
        if more == 0 {
            return Told::Granted;
        }
        let over = (self.total().saturating_add(more)).saturating_sub(self.limits.capacity);
        let short = self.short_of(more, free);
        if over == 0 && short == 0 {
            self.fills.promise(token, whole);
            return Told::Granted;
        }
        let reason = if over > 0 {
            Reason::Cap
        } else {
            Reason::FreeSpace
        };
        match self.going(over.max(short), reason) {
            Some((going, freed)) if freed >= over.max(short) => Told::Clear(going),
            _ => Told::Full,
        }
    }

    /// What is to go because the high mark, or what is to stay free, is passed; `None` when all is well or nothing may
    /// go.
    pub(super) fn relief(&self, free: u64) -> Option<Going> {
        let total = self.total();
        let over = if total > self.limits.share(self.limits.high) {
            total.saturating_sub(self.limits.share(self.limits.low))
        } else {
            0
        };
        let short = self.short_of(0, free);
        let reason = if over > 0 {
            Reason::Cap
        } else {
            Reason::FreeSpace
        };
        Some(self.going(over.max(short), reason)?.0)
    }

    /// What is to go so that `need` bytes become free, and how many that makes; `None` when that is nothing.
    pub(super) fn going(&self, need: u64, reason: Reason) -> Option<(Going, u64)> {
        let (fills, mut freed) = self.fills.oldest(need);
        let mut content = Vec::new();
        let rest = need.saturating_sub(freed);
        if rest > 0 && self.may_evict() {
            let min_age = self.limits.min_age.as_secs();
            for (digest, size) in self.index.victims(rest, self.now, min_age) {
                freed += size;
                content.push(digest);
            }
        }
        (freed > 0).then_some((
            Going {
                fills,
                content,
                reason,
            },
            freed,
        ))
    }

    /// Not before the order is known, nor what the pins cover.
    fn may_evict(&self) -> bool {
        self.known == Known::All || (self.known == Known::Noted && self.index.pins().is_empty())
    }

    /// By how much the file system is short of what was promised, `more`, and what is to stay free.
    fn short_of(&self, more: u64, free: u64) -> u64 {
        let promised = self.fills.outstanding().saturating_add(more);
        let wanted = promised.saturating_add(self.limits.min_free);
        wanted.saturating_sub(free)
    }

    /// All that counts towards the capacity.
    fn total(&self) -> u64 {
        let content = self.index.totals().bytes + self.told.bytes + self.leaving;
        content.saturating_add(self.fills.total())
    }

    /// Content is out of sight: it counts until [`Room::removed`] says that its bytes are gone.
    pub(super) fn out_of_sight(&mut self, digest: &Digest, reason: Reason) -> u64 {
        let size = self.index.remove(digest).unwrap_or(0);
        self.leaving += size;
        self.evicted.add(reason, size);
        size
    }

    /// Bytes that were out of sight are gone.
    pub(super) fn removed(&mut self, size: u64) {
        self.leaving = self.leaving.saturating_sub(size);
    }

    /// Content was hashed anew, and was right.
    pub(super) fn verified(&mut self) {
        self.verified += 1;
    }

    /// Content turned out wrong and is set aside.
    pub(super) fn set_aside(&mut self, digest: &Digest) {
        self.index.remove(digest);
        self.wrong += 1;
    }
}
