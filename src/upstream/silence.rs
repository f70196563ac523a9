//! Who waits for the head of an answer, and since when nothing was heard. Pure: the time of each event comes in.
//!
//! A slow answer to one question says little: some take a registry long. That *nothing* comes, though somebody waits,
//! is what tells a silent upstream long before a time-out does.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing may be heard before it counts as silence. Longer than a healthy registry takes on a connection that is
/// there, and shorter than anybody should wait for what they can do without.
pub const SLOW: Duration = Duration::from_millis(400);

/// One wait for a head: since when, and a number to tell it from others of that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wait(Instant, u64);

/// The waits for one host.
#[derive(Debug, Default)]
pub(super) struct Silence {
    waiting: BTreeSet<Wait>,
    number: u64,
    heard: Option<Instant>,
}

impl Silence {
    /// Somebody begins to wait.
    pub(super) fn began(&mut self, now: Instant) -> Wait {
        self.number += 1;
        let wait = Wait(now, self.number);
        self.waiting.insert(wait);
        wait
    }

    /// A wait is over, however it ended.
    pub(super) fn ended(&mut self, wait: Wait) {
        self.waiting.remove(&wait);
    }

    /// A head came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Whether nothing was heard since this wait began.
    pub(super) fn lasts_since(&self, wait: Wait) -> bool {
        self.heard.is_none_or(|heard| heard < wait.0)
    }

    /// Whether somebody waits for longer than [`SLOW`] and nothing was heard in that time.
    pub(super) fn is_slow(&self, now: Instant) -> bool {
        let after = self.heard.map_or(Bound::Unbounded, |heard| {
            Bound::Excluded(Wait(heard, u64::MAX))
        });
        let mut unheard = self.waiting.range((after, Bound::Unbounded));
        unheard.next().is_some_and(|wait| now > wait.0 + SLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_while_without_a_word_is_slow() {
        let now = Instant::now();
        let mut silence = Silence::default();
        assert!(!silence.is_slow(now + 9 * SLOW), "nobody waits");
        let wait = silence.began(now);
        assert!(!silence.is_slow(now + SLOW));
        assert!(silence.is_slow(now + SLOW + TICK));
        silence.ended(wait);
        assert!(!silence.is_slow(now + SLOW + TICK));
    }

    #[test]
    fn a_word_to_others_is_a_word() {
        let now = Instant::now();
        let mut silence = Silence::default();
        let first = silence.began(now);
        let second = silence.began(now + SLOW);
        silence.heard(now + SLOW / 2);
        // Of the first it is known that its answer takes long; of the second nothing yet.
        assert!(!silence.is_slow(now + 2 * SLOW));
        assert!(!silence.lasts_since(first) && silence.lasts_since(second));
        assert!(silence.is_slow(now + 2 * SLOW + TICK));
        silence.heard(now + 2 * SLOW + TICK);
        assert!(!silence.is_slow(now + 9 * SLOW));
    }

    #[test]
    fn waits_of_one_instant_are_told_apart() {
        let now = Instant::now();
        let mut silence = Silence::default();
        let first = silence.began(now);
        silence.began(now);
        silence.ended(first);
        assert!(silence.is_slow(now + 2 * SLOW));
    }
}
