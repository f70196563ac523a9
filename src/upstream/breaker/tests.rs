#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Enters if it need not wait.
fn enter(breaker: &mut Breaker, now: Instant) -> Result<Pass, Duration> {
    match breaker.wait(now) {
        Some(wait) => Err(wait),
        None => Ok(breaker.enter()),
    }
}

/// A breaker that has just opened for the first time.
fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new();
    for _ in 0..FAILURES {
        let pass = enter(&mut breaker, now).unwrap();
        breaker.failed(pass, 1, now);
    }
    breaker
}

#[test]
fn it_opens_after_some_failures_in_a_row() {
    let now = Instant::now();
    let mut breaker = Breaker::new();
    for _ in 0..10 {
        for _ in 1..FAILURES {
            let pass = enter(&mut breaker, now).unwrap();
            breaker.failed(pass, 1, now);
        }
        breaker.answered();
    }
    assert_eq!(breaker.position(), Position::Closed);
    let mut breaker = opened(now);
    assert_eq!(enter(&mut breaker, now), Err(FIRST_PAUSE));
    assert!(breaker.wait(now).is_some());
}

#[test]
fn a_failure_may_count_for_many() {
    let now = Instant::now();
    let mut breaker = Breaker::new();
    let pass = enter(&mut breaker, now).unwrap();
    breaker.failed(pass, FAILURES, now);
    assert!(enter(&mut breaker, now).is_err());
}

#[test]
fn questions_of_one_time_count_together_and_open_it_once() {
    let now = Instant::now();
    let mut breaker = Breaker::new();
    let passes: Vec<_> = (0..10).map(|_| enter(&mut breaker, now).unwrap()).collect();
    for (after, pass) in passes.into_iter().enumerate() {
        breaker.failed(pass, 1, now + seconds(after as u64) / 100);
    }
    // The third opened it, for one pause; the rest neither lengthened nor renewed that.
    let third = now + seconds(2) / 100;
    assert!(
        breaker
            .wait(third + FIRST_PAUSE - seconds(1) / 100)
            .is_some()
    );
    assert!(breaker.wait(third + FIRST_PAUSE).is_none());
}

#[test]
fn each_probe_that_fails_doubles_the_pause_up_to_a_bound() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert_eq!(enter(&mut breaker, now), Err(seconds(pause)));
        now += seconds(pause);
        let probe = enter(&mut breaker, now).unwrap();
        assert_eq!(breaker.position(), Position::HalfOpen);
        assert!(enter(&mut breaker, now).is_err(), "one probe at a time");
        breaker.failed(probe, 1, now);
        assert_eq!(breaker.position(), Position::Open);
    }
}

#[test]
fn a_probe_that_is_answered_closes_it_and_the_pauses_begin_anew() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    now += FIRST_PAUSE;
    enter(&mut breaker, now).unwrap();
    breaker.answered();
    assert_eq!(breaker.position(), Position::Closed);
    assert!(enter(&mut breaker, now).is_ok() && enter(&mut breaker, now).is_ok());
    assert_eq!(enter(&mut opened(now), now), Err(FIRST_PAUSE));
}

#[test]
fn a_probe_that_leaves_makes_room_for_the_next() {
    let now = Instant::now() + FIRST_PAUSE;
    let mut breaker = opened(now - FIRST_PAUSE);
    let probe = enter(&mut breaker, now).unwrap();
    assert!(breaker.wait(now).is_some());
    breaker.left(probe, now);
    assert!(breaker.wait(now).is_none(), "a question would be the probe");
    let next = enter(&mut breaker, now).unwrap();
    breaker.left(probe, now);
    assert_eq!(breaker.position(), Position::HalfOpen);
    breaker.failed(next, 1, now);
    assert_eq!(enter(&mut breaker, now), Err(2 * FIRST_PAUSE));
}

#[test]
fn an_answer_to_an_old_question_closes_it_too() {
    let now = Instant::now();
    let mut breaker = opened(now);
    breaker.answered();
    assert!(enter(&mut breaker, now).is_ok());
}

/// What may happen next. Questions are named by when they passed, counted from the latest.
#[derive(Debug, Clone)]
enum Event {
    Enter,
    Answered,
    Failed(usize),
    Left(usize),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Enter),
        1 => Just(Event::Answered),
        5 => (0_usize..4).prop_map(Event::Failed),
        1 => (0_usize..4).prop_map(Event::Left),
        3 => (0_u64..40_000).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_it_opens_by_failures_only_and_a_question_gets_through_in_the_end(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new();
        let mut under_way: Vec<Pass> = Vec::new();
        let mut failures_since_answer = 0;
        for event in events {
            let was_down = breaker.wait(now).is_some();
            match event {
                Event::Enter => match enter(&mut breaker, now) {
                    Ok(pass) => {
                        prop_assert!(!was_down);
                        under_way.push(pass);
                    }
                    Err(wait) => {
                        prop_assert!(was_down);
                        prop_assert!(!wait.is_zero() && wait <= LONGEST_PAUSE);
                    }
                },
                Event::Answered if under_way.pop().is_some() => {
                    breaker.answered();
                    failures_since_answer = 0;
                }
                Event::Failed(nth) if nth < under_way.len() => {
                    let pass = under_way.remove(under_way.len() - 1 - nth);
                    breaker.failed(pass, 1, now);
                    failures_since_answer += 1;
                }
                Event::Left(nth) if nth < under_way.len() => {
                    let pass = under_way.remove(under_way.len() - 1 - nth);
                    breaker.left(pass, now);
                }
                Event::Wait(millis) => now += Duration::from_millis(millis),
                Event::Answered | Event::Failed(_) | Event::Left(_) => {}
            }
            let closed = breaker.position() == Position::Closed;
            prop_assert_eq!(closed, failures_since_answer < FAILURES);
            // Half open means that a probe is under way, and no other than the newest.
            if let State::HalfOpen { probe, .. } = breaker.state {
                let pass = Pass { probe: Some(probe) };
                prop_assert!(under_way.contains(&pass));
                prop_assert_eq!(probe, breaker.probes);
            }
        }
        for pass in under_way {
            breaker.left(pass, now);
        }
        prop_assert!(enter(&mut breaker, now + LONGEST_PAUSE).is_ok());
    }
}
