//! Whether a client takes its bytes fast enough to be worth its seat. Pure: the caller holds the clock.
//!
//! A client that takes a byte now and then never stalls, and would keep a connection, a file and a follower for as
//! long as it likes.

use std::time::Duration;

/// The time a verdict is about, at least: time spent waiting for the client, and no other.
const WINDOW: Duration = Duration::from_secs(30);

/// The average of one client over one window after the other.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes per second that are enough; 0 when any pace is.
    least: u64,
    /// Bytes that count in one window. What was taken at once, without a wait, must not buy hours.
    most: u64,
    waited: Duration,
    taken: u64,
}

impl Pace {
    /// Asks for `least` bytes per second (0: for nothing) of a client that may take nothing for as long as `stall`.
    pub(super) fn new(least: u64, stall: Duration) -> Self {
        // No window is longer than this: what is cut off here never makes a fast client a slow one.
        let longest = WINDOW.saturating_add(stall).as_secs().saturating_add(1);
        Self {
            least,
            most: least.saturating_mul(longest),
            waited: Duration::ZERO,
            taken: 0,
        }
    }

    /// Counts `bytes` that were taken after a wait of `waited`, which is shorter than the stall allowed. False when
    /// the client is too slow.
    pub(super) fn took(&mut self, bytes: u64, waited: Duration) -> bool {
        self.taken = self.taken.saturating_add(bytes).min(self.most);
        self.waited = self.waited.saturating_add(waited);
        if self.waited < WINDOW {
            return true;
        }
        let enough = u128::from(self.least) * self.waited.as_millis();
        let fast = u128::from(self.taken) * 1000 >= enough;
        self.waited = Duration::ZERO;
        self.taken = 0;
        fast
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALL: Duration = Duration::from_mins(1);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How many of `steps`, each bytes and the seconds waited for them, go well; all or up to the verdict.
    fn steps_well(least: u64, steps: &[(u64, u64)]) -> usize {
        let mut pace = Pace::new(least, STALL);
        let well = |&(bytes, waited): &(u64, u64)| pace.took(bytes, seconds(waited));
        steps.iter().copied().take_while(well).count()
    }

    #[test]
    fn a_client_is_too_slow_when_the_average_of_a_window_is() {
        // A second each: 30 of them are a window.
        assert_eq!(steps_well(100, &[(99, 1); 100]), 29);
        assert_eq!(steps_well(100, &[(100, 1); 100]), 100);
        // A slow half is made good by a fast one.
        let halves = [[(10, 1); 15], [(190, 1); 15]].concat();
        assert_eq!(steps_well(100, &halves), 30);
    }

    #[test]
    fn bursts_after_pauses_are_a_pace_too() {
        // The kernel wakes a writer when much has gone, not with every byte.
        assert_eq!(steps_well(1000, &[(59_000, 59); 10]), 10);
        assert_eq!(steps_well(1000, &[(58_999, 59); 10]), 0);
    }

    #[test]
    fn time_in_which_nothing_was_waited_for_is_no_time() {
        let mut pace = Pace::new(1000, STALL);
        assert!((0..1_000_000).all(|_| pace.took(1, Duration::ZERO)));
    }

    #[test]
    fn much_taken_at_once_does_not_excuse_for_long() {
        let slow = [(1, 10); 30];
        let steps = [&[(1 << 40, 0)][..], &slow].concat();
        // The window in which much was taken passes, the next one is judged by itself.
        assert_eq!(steps_well(1000, &steps), 6);
    }

    #[test]
    fn without_a_bound_any_pace_will_do() {
        assert_eq!(steps_well(0, &[(0, 59); 1000]), 1000);
        assert_eq!(steps_well(u64::MAX, &[(1, 31)]), 0);
    }

    proptest! {
        #[test]
        fn who_is_fast_in_every_step_is_never_too_slow(
            least in 1..10_000_u64, steps in prop::collection::vec((0..60_u64, 0..1_u64 << 40), 0..50),
        ) {
            let fast: Vec<_> = steps
                .into_iter()
                .map(|(waited, more)| (least * waited + more, waited))
                .collect();
            prop_assert_eq!(steps_well(least, &fast), fast.len());
        }

        #[test]
        fn who_is_slow_in_every_step_is_found_before_two_windows(
            least in 100..10_000_u64, part in 0..100_u64, step in 1..30_u64,
        ) {
            let slow = [(least * step * part / 100, step)];
            let well = steps_well(least, &slow.repeat(100));
            prop_assert!(well as u64 * step < 60, "{well} steps");
        }
    }
}
