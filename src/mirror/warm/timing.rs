//! When a list is warmed again. Pure: a function of what is wanted, of what was, and of the time.

use chrono::DateTime;
use croner::Cron;

/// The rhythm of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// So many seconds (more than 0) after the last run began.
    Every(u64),
    /// At the times of a cron expression, in UTC.
    Cron(Box<Cron>),
}

/// When a list is warmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Once when the process starts.
    pub on_start: bool,
    /// Again and again.
    pub beat: Option<Beat>,
    /// Each run is put off by up to so many seconds, so that many mirrors do not ask at once.
    pub jitter: u64,
}

/// What was. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// When the process started.
    pub started: u64,
    /// When the last run of this process began, if there was one.
    pub last: Option<u64>,
}

impl Timing {
    /// When the next run begins, seen from `now`; `chance` chooses within the jitter. `None`: there is none any more.
    ///
    /// What was missed, because a run took long or the machine was asleep, is made up for by one run, at once. A clock
    /// that was set back puts nothing off for longer than one beat.
    pub fn next(&self, past: Past, now: u64, chance: u64) -> Option<u64> {
        let late = chance % self.jitter.saturating_add(1).max(1);
        let due = match (past.last, &self.beat) {
            (None, _) if self.on_start => past.started.min(now),
            (_, None) => return None,
            (last, Some(beat)) => beat.after(last.unwrap_or(past.started).min(now))?,
        };
        Some(due.saturating_add(late))
    }
}

impl Beat {
    /// The first time after `before`; `None` where the calendar has none.
    fn after(&self, before: u64) -> Option<u64> {
        match self {
            Self::Every(seconds) => Some(before.saturating_add((*seconds).max(1))),
            Self::Cron(cron) => {
                let before = DateTime::from_timestamp(i64::try_from(before).ok()?, 0)?;
                let next = cron.find_next_occurrence(&before, false).ok()?;
                u64::try_from(next.timestamp()).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// 2026-01-01T00:00:00Z, a Thursday.
    const NEW_YEAR: u64 = 1_767_225_600;
    const HOUR: u64 = 3600;

    fn cron(text: &str) -> Beat {
        Beat::Cron(Box::new(text.parse().unwrap()))
    }

    fn timing(on_start: bool, beat: Option<Beat>, jitter: u64) -> Timing {
        Timing {
            on_start,
            beat,
            jitter,
        }
    }

    fn past(last: Option<u64>) -> Past {
        Past {
            started: NEW_YEAR,
            last,
        }
    }

    #[test]
    fn a_list_has_its_times() {
        let now = NEW_YEAR + 10;
        for (on_start, beat, last, next) in [
            (true, None, None, Some(0)),
            (true, None, Some(0), None),
            (false, None, None, None),
            (true, Some(Beat::Every(HOUR)), None, Some(0)),
            (false, Some(Beat::Every(HOUR)), None, Some(HOUR)),
            (false, Some(Beat::Every(HOUR)), Some(5), Some(5 + HOUR)),
            (false, Some(cron("0 3 * * *")), None, Some(3 * HOUR)),
            (false, Some(cron("0 0 * * *")), None, Some(24 * HOUR)),
            (false, Some(cron("0 0 * * MON")), None, Some(4 * 24 * HOUR)),
            (false, Some(cron("0 0 30 2 *")), None, None),
        ] {
            let timing = timing(on_start, beat, 0);
            let last = last.map(|it| NEW_YEAR + it);
            let next = next.map(|it| NEW_YEAR + it);
            assert_eq!(timing.next(past(last), now, 7), next, "{timing:?} {last:?}");
        }
    }

    fn beats() -> impl Strategy<Value = Beat> {
        let crons = [
            "* * * * *",
            "*/7 * * * *",
            "0 3 * * *",
            "30 4 1 * *",
            "0 0 * * 1-5",
        ];
        prop_oneof![
            (1_u64..1_000_000).prop_map(Beat::Every),
            prop::sample::select(crons.to_vec()).prop_map(cron),
        ]
    }

    proptest! {
        #[test]
        fn the_next_time_is_after_the_last_and_within_one_beat_and_the_jitter(
            beat in beats(), jitter in 0_u64..10_000, chance: u64,
            last in prop::option::of(0_u64..10_000_000), passed in 0_u64..10_000_000,
        ) {
            let timing = timing(false, Some(beat), jitter);
            let (past, now) = (past(last.map(|it| NEW_YEAR + it)), NEW_YEAR + passed);
            let from = past.last.unwrap_or(past.started).min(now);
            let next = timing.next(past, now, chance).unwrap();
            prop_assert!(next > from);
            // The longest of the beats is a month.
            prop_assert!(next <= from + 31 * 24 * HOUR + jitter);
            // Chance moves it within the jitter, and nothing else does.
            let earliest = timing.next(past, now, 0).unwrap();
            prop_assert!((earliest..=earliest + jitter).contains(&next));
            prop_assert_eq!(timing.next(past, now, chance), Some(next));
        }

        #[test]
        fn as_time_passes_the_next_time_stands_until_it_has_come(
            beat in beats(), last in 0_u64..10_000_000, passed in 0_u64..10_000_000, more in 0_u64..10_000_000,
        ) {
            let timing = timing(true, Some(beat), 0);
            let (past, now) = (past(Some(NEW_YEAR + last)), NEW_YEAR + last + passed);
            prop_assert_eq!(timing.next(past, now, 0), timing.next(past, now + more, 0));
        }
    }
}
