use std::time::Duration;

use super::*;
use crate::oci::Digest;

const SIZE: u64 = 1000;
const HELD: u64 = 64;

const MEASURES: Measures = Measures {
    hold_back: HELD,
    unit: 10,
    window: 100,
    widest: 200,
    near: 0,
    near_at_first: 0,
    read_over: 0,
    publish_every: 1,
    hash_behind: 1,
    noted_part: 1,
    noted_at_least: 1,
    noted_at_most: 1,
    synced_every: 1,
};

/// An open fill of `size` bytes, of which `present` are here.
fn state(size: u64, present: &[(u64, u64)]) -> State {
    let mut state = State::new(MEASURES);
    let runs = present.iter().map(|run| ByteRange::new(run.0, run.1));
    state.ground.take_up(size, runs.collect());
    state.phase = Phase::Open;
    state
}

fn step(state: &State, from: u64, to: u64, guarded: bool) -> Step {
    state.step(ByteRange::new(from, to), guarded, Instant::now())
}

fn read(from: u64, to: u64) -> Step {
    Step::Read(ByteRange::new(from, to))
}

fn failed() -> Ending {
    Ending::Failed(FillError::Abandoned)
}

fn parts_are_here(here: bool) -> impl Fn(u64, &Ground) -> bool {
    move |_, _| here
}

#[test]
fn a_reader_of_all_gets_the_last_bytes_when_the_digest_matches() {
    let mut state = state(SIZE, &[(0, SIZE)]);
    assert_eq!(step(&state, 0, SIZE, true), read(0, SIZE - HELD));
    assert_eq!(step(&state, 900, SIZE, true), read(900, SIZE - HELD));
    for at in [SIZE - HELD, SIZE - 1] {
        assert!(
            !matches!(step(&state, at, SIZE, true), Step::Read(_)),
            "{at}"
        );
    }
    state.phase = Phase::Ending(failed());
    assert_eq!(step(&state, SIZE - HELD, SIZE, true), Step::Wait);
    state.phase = Phase::Ended(failed());
    assert_eq!(step(&state, SIZE - HELD, SIZE, true), Step::Ended);
    state.phase = Phase::Verified;
    assert_eq!(
        step(&state, SIZE - HELD, SIZE, true),
        read(SIZE - HELD, SIZE)
    );
}

#[test]
fn a_reader_of_a_part_gets_the_last_bytes_at_once() {
    let mut state = state(SIZE, &[(900, SIZE)]);
    assert_eq!(step(&state, 950, SIZE, false), read(950, SIZE));
    // Also when the fill has ended since.
    state.phase = Phase::Ended(failed());
    assert_eq!(step(&state, 990, SIZE, false), read(990, SIZE));
    assert_eq!(step(&state, 0, SIZE, false), Step::Ended);
}

#[test]
fn any_byte_of_a_blob_of_unknown_size_may_be_its_last() {
    let mut state = State::new(MEASURES);
    state.phase = Phase::Open;
    let (id, now) = (state.ground.open().unwrap(), Instant::now());
    state.ground.land(id, 0, u64::MAX, now);
    state.ground.reserve(id, 500);
    state.ground.publish(id, 500);
    assert_eq!(step(&state, 0, 500, false), Step::Ask);
    state.ground.learn_size(SIZE).unwrap();
    assert_eq!(step(&state, 0, SIZE, true), read(0, 500));
}

#[test]
fn what_is_here_ends_with_its_run_and_with_what_is_wanted() {
    let state = state(SIZE, &[(100, 200), (300, 400)]);
    assert_eq!(step(&state, 150, SIZE, true), read(150, 200));
    assert_eq!(step(&state, 150, 160, false), read(150, 160));
    assert_eq!(step(&state, 200, 210, false), Step::Ask);
}

#[test]
fn an_answer_begins_when_upstream_is_known_to_have_the_blob() {
    // Taken up from an earlier fill: its size and bytes are known, upstream has said nothing yet.
    let mut state = state(SIZE, &[(0, 900)]);
    let opening = |state: &State, whole, here| state.opening(whole, parts_are_here(here));
    assert!(matches!(opening(&state, true, true), Opening::Wait));
    assert!(matches!(opening(&state, false, false), Opening::Wait));
    // What is here needs nobody's word.
    assert!(matches!(opening(&state, false, true), Opening::Ready(SIZE)));
    state.confirmed = true;
    assert!(matches!(opening(&state, true, false), Opening::Ready(SIZE)));
    assert!(matches!(
        opening(&state, false, false),
        Opening::Ready(SIZE)
    ));
    state.phase = Phase::Ending(failed());
    assert!(matches!(opening(&state, false, true), Opening::Wait));
    state.phase = Phase::Ended(failed());
    assert!(matches!(opening(&state, false, true), Opening::Ended));
}

#[test]
fn a_small_blob_is_answered_whole_when_its_digest_matches() {
    for size in [0, 1, HELD] {
        let mut state = state(size, &[(0, size)]);
        state.confirmed = true;
        let opening = |state: &State, whole| state.opening(whole, parts_are_here(true));
        assert!(matches!(opening(&state, true), Opening::Wait), "{size}");
        assert!(
            matches!(opening(&state, false), Opening::Ready(_)),
            "{size}"
        );
        state.phase = Phase::Verified;
        assert!(matches!(opening(&state, true), Opening::Ready(_)), "{size}");
    }
    for (present, ready) in [(&[][..], false), (&[(1, 2)], false), (&[(0, 1)], true)] {
        let mut larger = state(HELD + 1, present);
        larger.confirmed = true;
        let opening = larger.opening(true, parts_are_here(false));
        assert_eq!(matches!(opening, Opening::Ready(_)), ready, "{present:?}");
    }
}

#[test]
fn nobody_gets_a_fetch_before_the_file_is_there_or_after_the_end() {
    let mut state = state(SIZE, &[]);
    let id = state.follow(Arc::from([ByteRange::new(0, 10)]), false);
    for phase in [
        Phase::Beginning,
        Phase::Ending(failed()),
        Phase::Verified,
        Phase::Ended(failed()),
    ] {
        state.phase = phase;
        assert!(state.fetch_for(id, 0, 0, Instant::now()).is_none());
        assert!(state.fetch_for_any(Instant::now()).is_none());
    }
    state.phase = Phase::Open;
    assert!(state.fetch_for(id, 0, 0, Instant::now()).is_some());
}

/// Brings the oldest fetch to its end, and gives the beginnings of those that are begun in its place.
fn turn(state: &mut State, under_way: &mut Vec<(FetchId, ByteRange)>, now: Instant) -> Vec<u64> {
    if !under_way.is_empty() {
        let (id, stretch) = under_way.remove(0);
        state.ground.reserve(id, stretch.end);
        state.ground.publish(id, stretch.end);
        state.ground.release(id);
    }
    let mut begun = Vec::new();
    while let Some((id, stretch)) = state.fetch_for_any(now) {
        begun.push(stretch.start);
        under_way.push((id, stretch));
    }
    begun
}

/// Six followers of ten scattered bytes each: no one gets its second fetch before all have had their first.
#[test]
fn the_line_for_fetches_is_a_fair_one() {
    let (size, count, each) = (100_000, 6, 10);
    let mut state = state(size, &[]);
    for nth in 0..count {
        let byte =
            |piece| ByteRange::new(nth * 10_000 + piece * 500, nth * 10_000 + piece * 500 + 1);
        state.follow((0..each).map(byte).collect::<Vec<_>>().into(), false);
    }
    let (mut under_way, now) = (Vec::new(), Instant::now());
    let mut served = Vec::new();
    while served.len() < usize::try_from(count * each).unwrap() {
        let begun = turn(&mut state, &mut under_way, now);
        served.extend(begun.iter().map(|start| start / 10_000));
    }
    for round in served.chunks(usize::try_from(count).unwrap()) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, (0..count).collect::<Vec<_>>(), "{served:?}");
    }
    turn(&mut state, &mut under_way, now);
    assert!(state.fetch_for_any(now).is_none());
}

#[test]
fn who_leaves_leaves_the_line() {
    let mut state = state(SIZE, &[]);
    let id = state.follow(Arc::from([ByteRange::new(0, 10)]), false);
    state.unfollow(id);
    assert!(state.fetch_for_any(Instant::now()).is_none());
    assert!(state.fetch_for(id, 0, 0, Instant::now()).is_none());
}

#[test]
fn a_fill_that_is_to_be_finished_brings_all_for_nobody() {
    let mut state = state(SIZE, &[(0, 300), (500, 600)]);
    let now = Instant::now() + Duration::from_secs(1);
    assert!(state.fetch_for_any(now).is_none());
    state.finish = true;
    let (id, hole) = state.fetch_for_any(now).unwrap();
    assert_eq!(hole, ByteRange::new(300, 500));
    assert!(state.fetch_for_any(now).is_none(), "one after the other");
    state.ground.publish(id, 500);
    state.ground.release(id);
    let (_, hole) = state.fetch_for_any(now).unwrap();
    assert_eq!(hole, ByteRange::new(600, SIZE));
}

/// A wrong digest ends with the bytes that were given out, and never with the held ones.
#[test]
fn nothing_held_back_goes_out_with_a_mismatch() {
    let digest = Digest::sha256_of(b"right");
    let mut wrong = Verifier::of(&digest).unwrap();
    wrong.update(b"wrong");
    let mut state = state(SIZE, &[(0, SIZE)]);
    let mismatch = wrong.finish().unwrap_err();
    state.phase = Phase::Ended(Ending::Failed(mismatch.into()));
    assert_eq!(step(&state, 0, SIZE, true), read(0, SIZE - HELD));
    assert_eq!(step(&state, SIZE - HELD, SIZE, true), Step::Ended);
}
