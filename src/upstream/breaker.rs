//! When an upstream is assumed to be out, so that nobody waits for what is known to fail. Pure: events and the time
//! of each come in, a decision goes out.
//!
//! *Closed*, every question passes. After [`FAILURES`] in a row it is *open*: all fail at once, for a pause that
//! doubles with each further failure. When the pause is over it is *half open*: the next question passes as the one
//! probe, the rest goes on failing until that has its answer. An answer, whosever, closes it.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which it opens.
pub(super) const FAILURES: u32 = 3;

/// How long it is open at first.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How long it is open at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The way through for one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// Its number, if this is a probe.
    probe: Option<u64>,
}

/// What the breaker stands at, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Every question passes.
    Closed,
    /// None passes, or the next one as a probe.
    Open,
    /// A probe is under way.
    HalfOpen,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// A probe may pass from `until` on; the `pause` was so long.
    Open {
        until: Instant,
        pause: Duration,
    },
    /// The probe of this number is under way; the `pause` before it was so long.
    HalfOpen {
        probe: u64,
        pause: Duration,
    },
}

/// The breaker of one upstream.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    probes: u64,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed { failures: 0 },
            probes: 0,
        }
    }

    /// How long a question would have to stay away; `None`: it would pass.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until - now).filter(|wait| !wait.is_zero()),
            // Nobody knows when the probe ends; it is most often soon.
            State::HalfOpen { .. } => Some(FIRST_PAUSE),
        }
    }

    /// Lets a question through that need not [`wait`](Self::wait).
    pub(super) fn enter(&mut self) -> Pass {
        match self.state {
            State::Open { pause, .. } => {
                self.probes += 1;
                let probe = self.probes;
                self.state = State::HalfOpen { probe, pause };
                Pass { probe: Some(probe) }
            }
            State::Closed { .. } | State::HalfOpen { .. } => Pass { probe: None },
        }
    }

    /// The upstream answered a question: whichever that was, it is there.
    pub(super) fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A question failed, in a way that counts as so many failures. Of questions from before it opened nothing more
    /// is learnt.
    pub(super) fn failed(&mut self, pass: Pass, count: u32, now: Instant) {
        match self.state {
            State::Closed { failures } => {
                let failures = failures.saturating_add(count);
                self.state = if failures < FAILURES {
                    State::Closed { failures }
                } else {
                    open(now, FIRST_PAUSE)
                };
            }
            State::HalfOpen { probe, pause } if pass.probe == Some(probe) => {
                self.state = open(now, LONGEST_PAUSE.min(pause * 2));
            }
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }

    /// A question ends and leaves nothing to learn. If it was the probe, the next one takes its place.
    pub(super) fn left(&mut self, pass: Pass, now: Instant) {
        if let State::HalfOpen { probe, pause } = self.state
            && pass.probe == Some(probe)
        {
            self.state = State::Open { until: now, pause };
        }
    }

    pub(super) fn position(&self) -> Position {
        match self.state {
            State::Closed { .. } => Position::Closed,
            State::Open { .. } => Position::Open,
            State::HalfOpen { .. } => Position::HalfOpen,
        }
    }
}

fn open(now: Instant, pause: Duration) -> State {
    State::Open {
        until: now + pause,
        pause,
    }
}

#[cfg(test)]
mod tests;
