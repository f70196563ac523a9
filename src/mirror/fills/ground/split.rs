//! A download that is slow on its connection goes on over several: when, and where it is cut. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::{Claim, FetchId, Ground, MOST_FETCHES};
use crate::oci::ByteRange;

/// Bytes a second at which a connection is none that anybody limits: another one would share the same uplink.
const FAST: u64 = 32 * 1024 * 1024;

/// The pace is measured over at least so long.
const LOOK: Duration = Duration::from_millis(500);

/// What one connection brings within this time is not worth another one, which has to be made and asked first.
const LONG: Duration = Duration::from_millis(1500);

/// How fast the fill goes, and what more connections did for that.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Upstream sends parts where parts are asked for.
    sends_parts: bool,
    /// When it was looked at last, and the bytes that were present then.
    looked: Option<(Instant, u64)>,
    /// Bytes a second before a connection was added of which it is not known yet what it does.
    before: Option<u64>,
    /// The last connection that was added brought nothing, or failed.
    over: bool,
}

impl Claim {
    /// Bytes that may be cut off.
    fn left(&self) -> u64 {
        self.stretch.end.saturating_sub(self.reserved)
    }
}

impl Ground {
    /// Upstream sends parts where parts are asked for: it has sent one, or says so.
    pub(in crate::mirror::fills) fn sends_parts(&mut self) {
        self.pace.sends_parts = true;
    }

    /// More connections do no good here.
    pub(in crate::mirror::fills) fn splits_no_more(&mut self) {
        self.pace.over = true;
    }

    /// Claims the far half of what the fetch with the most before it still has to bring, for a connection more: when
    /// those there are (fewer than `most`) are slow, and the last one that was added made it faster.
    pub(in crate::mirror::fills) fn split(
        &mut self,
        now: Instant,
        most: usize,
    ) -> Option<(FetchId, ByteRange)> {
        let whole = self.size.is_some() && self.opening.is_none();
        if !whole || self.halted || self.sequential || !self.pace.sends_parts || self.pace.over {
            return None;
        }
        let pace = self.pace_since_last_look(now)?;
        if (self.pace.before.take()).is_some_and(|before| pace < before + before / 4) {
            self.pace.over = true;
            return None;
        }
        let connections = self.claims.len();
        let each = pace / connections as u64;
        if connections >= most.min(MOST_FETCHES) || each >= FAST {
            return None;
        }
        let (unit, size) = (self.measures.unit, self.size?);
        let longest = self.claims.iter_mut().max_by_key(|it| it.left())?;
        let end = longest.stretch.end.min(size);
        let left = end.saturating_sub(longest.reserved);
        if u128::from(left) * 1000 <= u128::from(each) * LONG.as_millis() {
            return None;
        }
        let middle = (longest.reserved + left / 2).next_multiple_of(unit);
        if middle >= end {
            return None;
        }
        longest.stretch.end = middle;
        self.pace.before = Some(pace);
        let (id, far) = (self.next_id(), ByteRange::new(middle, end));
        self.stake(id, far, now);
        Some((id, far))
    }

    /// Bytes a second since it was last looked; `None` when that was not long ago, or not every fetch has brought
    /// something since it began: one that has just begun would be taken for slow.
    fn pace_since_last_look(&mut self, now: Instant) -> Option<u64> {
        let here = self.present.len();
        let all_bring = self.claims.iter().all(|it| it.brought > 0);
        let looked = self.pace.looked.filter(|_| all_bring);
        let Some((since, before)) = looked.filter(|_| !self.claims.is_empty()) else {
            self.pace.looked = Some((now, here));
            return None;
        };
        let took = now.saturating_duration_since(since);
        if took < LOOK {
            return None;
        }
        self.pace.looked = Some((now, here));
        let brought = u128::from(here.saturating_sub(before)) * 1000;
        u64::try_from(brought / took.as_millis().max(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::mirror::fills::measures::Measures;

    const MIB: u64 = 1024 * 1024;

    /// A ground of 100 MiB whose first fetch has brought nothing yet.
    fn ground(now: Instant) -> (Ground, FetchId) {
        let mut ground = Ground::new(Measures::default());
        let id = ground.open().unwrap();
        ground.learn_size(100 * MIB).unwrap();
        ground.land(id, 0, 100 * MIB, now);
        ground.sends_parts();
        (ground, id)
    }

    /// What a case changes before it looks.
    type Set = fn(&mut Ground);

    /// The fetch has written, and told of, all before `to`.
    fn bring(ground: &mut Ground, id: FetchId, to: u64) {
        ground.reserve(id, to);
        ground.publish(id, to);
    }

    #[tokio::test]
    async fn what_is_slow_is_cut_in_the_middle_of_what_is_left() {
        let now = Instant::now();
        let (mut ground, first) = ground(now);
        bring(&mut ground, first, MIB);
        assert!(ground.split(now, 3).is_none(), "no pace is known");
        bring(&mut ground, first, 6 * MIB);
        assert!(ground.split(now + LOOK / 2, 3).is_none(), "too soon");
        let (second, far) = ground.split(now + LOOK, 3).unwrap();
        assert_eq!(far, ByteRange::new(53 * MIB, 100 * MIB));
        assert_eq!(ground.reserve(first, 7 * MIB), 53 * MIB);

        // Not before it is known what the second does.
        let later = now + 2 * LOOK;
        bring(&mut ground, first, 11 * MIB);
        assert!(ground.split(later, 3).is_none());
        bring(&mut ground, second, 54 * MIB);
        assert!(ground.split(later, 3).is_none());
        // It does as well as the first: there may be a third, and no fourth.
        bring(&mut ground, first, 16 * MIB);
        bring(&mut ground, second, 59 * MIB);
        let (third, far) = ground.split(later + LOOK, 3).unwrap();
        assert_eq!(far, ByteRange::new(79 * MIB + MIB / 2, 100 * MIB));
        bring(&mut ground, third, far.start + 5 * MIB);
        assert!(ground.split(later + 2 * LOOK, 3).is_none());
        bring(&mut ground, first, 30 * MIB);
        bring(&mut ground, second, 70 * MIB);
        assert!(ground.split(later + 3 * LOOK, 3).is_none());
    }

    #[tokio::test]
    async fn a_connection_that_helps_nothing_is_the_last() {
        let now = Instant::now();
        let (mut ground, first) = ground(now);
        ground.split(now, 3);
        bring(&mut ground, first, MIB);
        ground.split(now, 3);
        bring(&mut ground, first, 6 * MIB);
        let (second, _) = ground.split(now + LOOK, 3).unwrap();
        bring(&mut ground, second, 54 * MIB);
        ground.split(now + LOOK, 3);
        // Both together bring what one brought alone.
        bring(&mut ground, first, 8 * MIB);
        bring(&mut ground, second, 57 * MIB);
        for looks in 2..9 {
            assert!(ground.split(now + looks * LOOK, 3).is_none());
            bring(&mut ground, first, (8 + u64::from(looks)) * MIB);
        }
    }

    #[tokio::test]
    async fn what_is_fast_nearly_here_or_cannot_be_cut_is_left_alone() {
        let now = Instant::now();
        let cases: [(&str, Set, u64, usize); 6] = [
            ("fast", |_| (), 20 * MIB, 3),
            ("one connection", |_| (), 6 * MIB, 1),
            (
                "no parts",
                |ground| ground.pace.sends_parts = false,
                6 * MIB,
                3,
            ),
            ("over", Ground::splits_no_more, 6 * MIB, 3),
            ("nobody follows", Ground::halt, 6 * MIB, 3),
            ("sequential", |ground| ground.sequential = true, 6 * MIB, 3),
        ];
        for (why, set, to, most) in cases {
            let (mut ground, first) = ground(now);
            bring(&mut ground, first, MIB);
            set(&mut ground);
            ground.split(now, most);
            bring(&mut ground, first, to);
            assert!(ground.split(now + LOOK, most).is_none(), "{why}");
        }
        let (mut ground, first) = ground(now);
        bring(&mut ground, first, 90 * MIB);
        ground.split(now, 3);
        bring(&mut ground, first, 95 * MIB);
        assert!(ground.split(now + LOOK, 3).is_none(), "nearly here");
    }
}
