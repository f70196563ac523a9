//! What a registry still grants to one identity: how many requests are left, and how long to stay away after a 429.
//! Pure: headers and the time of each come in, a decision goes out.
//!
//! Docker Hub counts GETs of manifests, and tells in `ratelimit-limit` and `ratelimit-remaining` how many there may
//! be and how many are left (`76;w=21600`: in a window of six hours). It tells so on HEADs too, which cost nothing;
//! so a 429 for what is counted does not hold up the rest.

use std::time::Duration;

use tokio::time::Instant;

/// How long to stay away after a 429 that does not say.
const PAUSE: Duration = Duration::from_secs(30);

/// The shortest pause: also a registry that names none is not asked by all at once.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the first question after a pause has the way to itself, if nothing is heard of it.
const TRIAL: Duration = Duration::from_secs(5);

/// How long a number of requests left is believed whose window is not told.
const WINDOW: Duration = Duration::from_mins(1);

/// The longest window believed.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// What a request may be counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A GET of a manifest: what is counted where anything is.
    Counted,
    /// Everything else.
    Other,
}

/// The way through for one question: of which pauses it is the trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Permit {
    counted: bool,
    all: bool,
}

/// One number of a rate limit header, and its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    /// Requests.
    pub(super) number: u64,
    window: Option<Duration>,
}

impl Quota {
    /// Reads `76;w=21600`, or just `76`. Of a list the first counts.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let first = value.split(',').next()?;
        let mut parts = first.split(';').map(str::trim);
        let number = parts.next()?.parse().ok()?;
        let seconds = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
        Some(Self {
            number,
            window: seconds.map(Duration::from_secs),
        })
    }
}

/// What one identity may still ask of one registry.
#[derive(Debug)]
pub(super) struct Budget {
    /// At so many requests left it counts as spent.
    reserve: u64,
    /// When the requests left, last told to be no more than the reserve, are more again at the latest.
    spent_until: Option<Instant>,
    /// No question that is counted passes before.
    counted: Option<Instant>,
    /// No question at all passes before.
    all: Option<Instant>,
}

impl Budget {
    pub(super) fn new(reserve: u64) -> Self {
        Self {
            reserve,
            spent_until: None,
            counted: None,
            all: None,
        }
    }

    /// Lets a question through, or says when to come again. When a pause is over one question passes as a trial; the
    /// rest follows when that was answered.
    pub(super) fn enter(&mut self, class: Class, now: Instant) -> Result<Permit, Duration> {
        let is_counted = class == Class::Counted;
        let waits = [self.all, self.counted.filter(|_| is_counted)];
        if let Some(until) = waits.into_iter().flatten().max()
            && now < until
        {
            return Err(until - now);
        }
        Ok(Permit {
            counted: is_counted && try_out(&mut self.counted, now),
            all: try_out(&mut self.all, now),
        })
    }

    /// A question was answered with something else than 429.
    pub(super) fn granted(&mut self, permit: Permit) {
        if permit.counted {
            self.counted = None;
        }
        if permit.all {
            self.all = None;
        }
    }

    /// A question was answered with 429.
    pub(super) fn refused(&mut self, class: Class, retry_after: Option<Duration>, now: Instant) {
        let pause = match class {
            Class::Counted => &mut self.counted,
            Class::Other => &mut self.all,
        };
        *pause = Some(now + retry_after.unwrap_or(PAUSE).max(SHORTEST_PAUSE));
    }

    /// An answer told how many requests are left.
    pub(super) fn told(&mut self, remaining: Quota, now: Instant) {
        let window = remaining.window.unwrap_or(WINDOW).min(LONGEST_WINDOW);
        self.spent_until = (remaining.number <= self.reserve).then(|| now + window);
    }

    /// Whether what is counted should wait if it can.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        let until = [self.spent_until, self.counted, self.all];
        until.into_iter().flatten().any(|until| now < until)
    }
}

/// Whether a question is the trial after this pause. It has the way to itself for some time, not for ever: it may get
/// lost.
fn try_out(pause: &mut Option<Instant>, now: Instant) -> bool {
    if let Some(until) = pause {
        *until = now + TRIAL;
    }
    pause.is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Class::{Counted, Other};
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn left(value: &str) -> Quota {
        Quota::parse(value).unwrap()
    }

    #[test]
    fn a_quota_is_a_number_and_perhaps_a_window() {
        let read = |value| Quota::parse(value).map(|quota| (quota.number, quota.window));
        assert_eq!(read("76;w=21600"), Some((76, Some(6 * HOUR))));
        assert_eq!(read(" 76 ; w=60 "), Some((76, Some(seconds(60)))));
        assert_eq!(read("1999"), Some((1999, None)));
        assert_eq!(read("100, 100;w=60"), Some((100, None)));
        assert_eq!(read("7;w=odd"), Some((7, None)));
        for value in ["", ";w=1", "-1", "many", "18446744073709551616"] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn at_the_reserve_it_is_spent_until_there_is_news_or_the_window_is_over() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        assert!(!budget.is_spent(now), "nothing is known");
        budget.told(left("11;w=21600"), now);
        assert!(!budget.is_spent(now));
        budget.told(left("10;w=21600"), now);
        assert!(budget.is_spent(now) && budget.is_spent(now + 5 * HOUR));
        assert!(!budget.is_spent(now + 6 * HOUR));
        budget.told(left("99;w=21600"), now + HOUR);
        assert!(!budget.is_spent(now + HOUR));
        assert!(budget.enter(Counted, now).is_ok(), "it advises only");
    }

    #[test]
    fn a_window_is_believed_within_bounds() {
        let now = Instant::now();
        let mut budget = Budget::new(0);
        budget.told(left("0"), now);
        assert!(budget.is_spent(now) && !budget.is_spent(now + WINDOW));
        budget.told(left("0;w=18446744073709551615"), now);
        assert!(!budget.is_spent(now + LONGEST_WINDOW));
    }

    #[test]
    fn after_a_429_nobody_asks_until_the_time_that_was_named() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        budget.refused(Other, Some(seconds(7)), now);
        for class in [Counted, Other] {
            assert_eq!(budget.enter(class, now + seconds(2)), Err(seconds(5)));
        }
        assert!(budget.is_spent(now + seconds(2)));
        assert!(!budget.is_spent(now + seconds(7)), "one may try");
        budget.refused(Other, None, now);
        assert_eq!(budget.enter(Other, now), Err(PAUSE));
        budget.refused(Other, Some(Duration::ZERO), now);
        assert_eq!(budget.enter(Other, now), Err(SHORTEST_PAUSE));
    }

    #[test]
    fn a_429_for_what_is_counted_does_not_hold_up_the_rest() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        budget.refused(Counted, Some(HOUR), now);
        assert_eq!(budget.enter(Counted, now), Err(HOUR));
        let free = budget.enter(Other, now).unwrap();
        budget.granted(free);
        assert_eq!(budget.enter(Counted, now), Err(HOUR));
    }

    #[test]
    fn after_the_pause_one_tries_and_the_rest_follows_its_answer() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        let earlier = budget.enter(Counted, now).unwrap();
        budget.refused(Counted, Some(seconds(7)), now);
        budget.granted(earlier);
        assert!(budget.enter(Counted, now).is_err(), "an answer from before");

        let end = now + seconds(7);
        let trial = budget.enter(Counted, end).unwrap();
        assert_eq!(budget.enter(Counted, end), Err(TRIAL));
        budget.refused(Counted, Some(seconds(9)), end);
        assert_eq!(budget.enter(Counted, end), Err(seconds(9)));

        let trial_again = budget.enter(Counted, end + seconds(9)).unwrap();
        assert_eq!(trial, trial_again);
        budget.granted(trial_again);
        for _ in 0..3 {
            let permit = budget.enter(Counted, end + seconds(9)).unwrap();
            assert_eq!(permit, Permit::default());
        }
    }

    #[test]
    fn a_trial_that_gets_lost_is_followed_by_another() {
        let now = Instant::now();
        let mut budget = Budget::new(10);
        budget.refused(Counted, Some(seconds(7)), now);
        budget.refused(Other, Some(seconds(7)), now);
        let end = now + seconds(7);
        let trial = budget.enter(Counted, end).unwrap();
        assert!(budget.enter(Other, end).is_err(), "a trial for both");
        let next = budget.enter(Counted, end + TRIAL).unwrap();
        assert_eq!(trial, next);
        budget.granted(next);
        assert_eq!(budget.enter(Other, end).unwrap(), Permit::default());
    }
}
