//! The cap: what counts, what goes, what stays.

use std::error::Error;
use std::sync::Barrier;
use std::time::Duration;

use super::{Outcome, ensure, keep, proof};
use crate::oci::Digest;
use crate::store::{Begun, Limits, Partial, Policy, Reason, Store, StoreError, StoreErrorKind};

/// A case on an empty store of its own.
pub(super) type Case = (&'static str, fn() -> Limits, fn(&dyn Store) -> Outcome);

/// A time far behind all stamps of files: Unix seconds in the year 2096.
pub(super) const LATER: u64 = 4_000_000_000;

pub(super) const CASES: &[Case] = &[
    ("the_cap_holds_and_the_oldest_go", hundred, the_cap_holds),
    ("what_is_reserved_counts", hundred, what_is_reserved_counts),
    ("what_is_written_counts", hundred, what_is_written_counts),
    ("a_manifest_carries_its_blobs", image, a_manifest_carries),
    ("what_is_pinned_stays", image, what_is_pinned_stays),
    ("what_is_read_stays", hundred, what_is_read_stays),
    ("what_is_young_stays", minute, what_is_young_stays),
    ("unfinished_fills_go_first", hundred, unfinished_go_first),
    ("relief_goes_down_to_the_low_mark", marks, relief_goes_down),
    ("often_used_outlives_lately_used", frequency, often_used),
    ("fills_at_once_keep_the_cap", thousand, fills_at_once),
];

fn hundred() -> Limits {
    Limits::of(100)
}

fn thousand() -> Limits {
    Limits::of(1000)
}

fn image() -> Limits {
    Limits::of(600)
}

fn minute() -> Limits {
    Limits {
        min_age: Duration::from_mins(1),
        ..hundred()
    }
}

fn marks() -> Limits {
    Limits {
        high: 0.8,
        low: 0.5,
        ..hundred()
    }
}

fn frequency() -> Limits {
    Limits {
        policy: Policy::Frequency { half_life: 3600 },
        ..hundred()
    }
}

/// Ten bytes that are nobody else's, or more.
fn bytes(n: u64, length: usize) -> Vec<u8> {
    let mut bytes = format!("{n:010}").into_bytes();
    bytes.resize(length.max(10), b'.');
    bytes
}

/// Fills with a reservation, as a whole.
fn fill(store: &dyn Store, bytes: &[u8]) -> Result<Digest, Box<dyn Error>> {
    let proof = proof(bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    partial.reserve(bytes.len() as u64)?;
    within(store)?;
    partial.write_at(0, bytes)?;
    partial.commit(&proof)?;
    within(store)?;
    Ok(proof.digest().clone())
}

/// All counts together keep the cap.
pub(super) fn within(store: &dyn Store) -> Outcome {
    let usage = store.usage();
    let total = usage.content_bytes + usage.fills_bytes + usage.reserved_bytes;
    ensure(total <= usage.capacity, &format!("over the cap: {usage:?}"))
}

pub(super) fn is_here(store: &dyn Store, digest: &Digest) -> Result<bool, StoreError> {
    Ok(store.open(digest)?.is_some())
}

fn refused(result: Result<(), StoreError>, kind: StoreErrorKind) -> Outcome {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err("it was granted".into()),
    }
}

fn begin(store: &dyn Store, n: u64) -> Result<Box<dyn Partial>, StoreError> {
    let Begun { partial, .. } = store.begin(&Digest::sha256_of(&bytes(n, 10)))?;
    Ok(partial)
}

/// An image manifest of these layers.
pub(super) fn manifest(layers: &[&Digest]) -> Vec<u8> {
    let layers = layers
        .iter()
        .map(|digest| serde_json::json!({ "mediaType": "a/b", "digest": digest, "size": 1 }));
    let layers: Vec<_> = layers.collect();
    serde_json::json!({ "layers": layers })
        .to_string()
        .into_bytes()
}

fn the_cap_holds(store: &dyn Store) -> Outcome {
    let mut kept = Vec::new();
    for n in 0..10 {
        let digest = fill(store, &bytes(n, 30))?;
        store.used(&digest, LATER + n);
        kept.push(digest);
        // The first is used again and again.
        store.used(&kept[0], LATER + n);
    }
    let usage = store.usage();
    ensure(usage.content_count == 3, "not three fit")?;
    ensure(usage.content_bytes == 90, "not ninety bytes")?;
    ensure(
        usage.fills_bytes + usage.reserved_bytes == 0,
        "a fill is left",
    )?;
    let evicted = usage.evicted.of(Reason::Cap);
    ensure((evicted.count, evicted.bytes) == (7, 210), "miscounted")?;
    for (n, digest) in kept.iter().enumerate() {
        let expected = [0, 8, 9].contains(&n);
        ensure(is_here(store, digest)? == expected, &format!("{n}"))?;
    }
    Ok(())
}

fn what_is_reserved_counts(store: &dyn Store) -> Outcome {
    let first = begin(store, 1)?;
    refused(first.reserve(101), StoreErrorKind::TooLarge)?;
    first.reserve(60)?;
    // Once more is nothing more.
    first.reserve(60)?;
    ensure(store.usage().reserved_bytes == 60, "not sixty")?;
    let second = begin(store, 2)?;
    refused(second.reserve(41), StoreErrorKind::Full)?;
    second.reserve(40)?;
    within(store)?;
    first.discard()?;
    second.reserve(100)?;
    drop(second);
    ensure(store.usage().reserved_bytes == 0, "something is reserved")?;
    // One that is remembered keeps what it has, and no more.
    let (digest, progress) = super::fills::leave(store, &bytes(3, 20))?;
    let Begun { partial, .. } = store.begin(&digest)?;
    partial.reserve(100)?;
    partial.checkpoint(&progress, false)?;
    drop(partial);
    ensure(store.usage().reserved_bytes == 0, "something is reserved")?;
    begin(store, 4)?.reserve(80)?;
    Ok(())
}

fn what_is_written_counts(store: &dyn Store) -> Outcome {
    let kept = fill(store, &bytes(0, 50))?;
    let partial = begin(store, 1)?;
    partial.write_at(0, &[1; 50])?;
    within(store)?;
    ensure(is_here(store, &kept)?, "it went too early")?;
    // Of unknown size, and there is no more room.
    partial.write_at(50, &[1; 40])?;
    within(store)?;
    ensure(!is_here(store, &kept)?, "it is still there")?;
    refused(partial.write_at(90, &[1; 11]), StoreErrorKind::TooLarge)?;
    ensure(store.usage().fills_bytes == 90, "what failed counts")?;
    partial.write_at(90, &[1; 10])?;
    within(store)
}

fn a_manifest_carries(store: &dyn Store) -> Outcome {
    let layers = [keep(store, &bytes(0, 50))?, keep(store, &bytes(1, 50))?];
    let other = keep(store, &bytes(2, 50))?;
    let head = keep(store, &manifest(&[&layers[0], &layers[1]]))?;
    store.used(&head, LATER);
    store.used(&other, LATER + 1);
    store.used(&head, LATER + 2);
    let most = store.usage().capacity - store.usage().content_bytes;
    let partial = begin(store, 3)?;
    partial.reserve(most + 1)?;
    ensure(!is_here(store, &other)?, "another one went first")?;
    for digest in [&layers[0], &layers[1], &head] {
        ensure(is_here(store, digest)?, "it went with its manifest in use")?;
    }
    Ok(())
}

fn what_is_pinned_stays(store: &dyn Store) -> Outcome {
    let layer = keep(store, &bytes(0, 50))?;
    let head = keep(store, &manifest(&[&layer]))?;
    store.pin("release", std::slice::from_ref(&head))?;
    let other = keep(store, &bytes(1, 50))?;
    store.used(&other, LATER);
    let usage = store.usage();
    ensure(usage.pinned_bytes == usage.content_bytes - 50, "miscounted")?;
    let partial = begin(store, 2)?;
    let rest = usage.capacity - usage.pinned_bytes;
    refused(partial.reserve(rest + 1), StoreErrorKind::Full)?;
    ensure(is_here(store, &other)?, "it went for nothing")?;
    partial.reserve(rest)?;
    ensure(!is_here(store, &other)?, "it is still there")?;
    for digest in [&head, &layer] {
        ensure(is_here(store, digest)?, "it is pinned")?;
        store.remove(std::slice::from_ref(digest), Reason::Removed)?;
        ensure(is_here(store, digest)?, "it was removed though pinned")?;
    }
    ensure(store.pins()[0].digests == [head], "another pin")?;
    ensure(store.unpin("release")?, "there was no pin")?;
    ensure(!store.unpin("release")?, "there is a pin")?;
    partial.reserve(usage.capacity)?;
    ensure(store.usage().content_count == 0, "something stayed")
}

fn what_is_read_stays(store: &dyn Store) -> Outcome {
    let digest = fill(store, &bytes(0, 60))?;
    let reader = store.open(&digest)?.ok_or("it is absent")?;
    let second = reader.clone();
    ensure(store.explain(&digest)?.readers == 1, "not one reader")?;
    let partial = begin(store, 1)?;
    refused(partial.reserve(50), StoreErrorKind::Full)?;
    drop(reader);
    refused(partial.reserve(50), StoreErrorKind::Full)?;
    store.remove(std::slice::from_ref(&digest), Reason::Removed)?;
    ensure(is_here(store, &digest)?, "it was removed though read")?;
    drop(second);
    partial.reserve(50)?;
    ensure(!is_here(store, &digest)?, "it is still there")
}

fn what_is_young_stays(store: &dyn Store) -> Outcome {
    let digest = fill(store, &bytes(0, 60))?;
    store.used(&digest, LATER);
    let partial = begin(store, 1)?;
    refused(partial.reserve(50), StoreErrorKind::Full)?;
    store.relieve(LATER + 59);
    refused(partial.reserve(50), StoreErrorKind::Full)?;
    store.relieve(LATER + 60);
    ensure(is_here(store, &digest)?, "it went without need")?;
    partial.reserve(50)?;
    ensure(!is_here(store, &digest)?, "it is still there")
}

fn unfinished_go_first(store: &dyn Store) -> Outcome {
    let kept = fill(store, &bytes(0, 40))?;
    let (left, _) = super::fills::leave(store, &bytes(1, 20))?;
    let (used, _) = super::fills::leave(store, &bytes(2, 20))?;
    let in_use = store.begin(&used)?;
    ensure(in_use.progress.is_some(), "it is not taken up")?;
    begin(store, 3)?.reserve(40)?;
    ensure(is_here(store, &kept)?, "content went first")?;
    let unfinished = store.unfinished()?;
    let mut unfinished = unfinished.iter().map(|it| &it.progress.link.digest);
    ensure(
        unfinished.all(|it| *it == used && *it != left),
        "it is left",
    )?;
    let lacking = begin(store, 4)?.reserve(90);
    refused(lacking, StoreErrorKind::Full)?;
    ensure(store.begin(&left)?.progress.is_none(), "its bytes are left")
}

fn relief_goes_down(store: &dyn Store) -> Outcome {
    let mut kept = Vec::new();
    for n in 0..8 {
        kept.push(fill(store, &bytes(n, 10))?);
        store.used(&kept[kept.len() - 1], LATER + n);
    }
    ensure(store.relieve(LATER + 9).count == 0, "not above the mark")?;
    fill(store, &bytes(8, 10))?;
    let freed = store.relieve(LATER + 10);
    ensure(
        (freed.count, freed.bytes) == (4, 40),
        "not down to the mark",
    )?;
    ensure(store.usage().content_bytes == 50, "not down to the mark")?;
    // The ninth was never used, and is older by its stamp.
    ensure(
        !is_here(store, &kept[2])? && is_here(store, &kept[3])?,
        "others",
    )
}

fn often_used(store: &dyn Store) -> Outcome {
    let (often, lately) = (fill(store, &bytes(0, 50))?, fill(store, &bytes(1, 50))?);
    for n in 0..8 {
        store.used(&often, LATER + n);
    }
    store.used(&lately, LATER + 3600);
    fill(store, &bytes(2, 50))?;
    ensure(is_here(store, &often)?, "eight uses are three half-lives")?;
    ensure(!is_here(store, &lately)?, "one use an hour later is less")
}

fn fills_at_once(store: &dyn Store) -> Outcome {
    const THREADS: u64 = 8;
    let together = Barrier::new(8);
    let run = |thread: u64| -> Result<(), String> {
        together.wait();
        for n in 0..20 {
            let bytes = bytes(
                thread * 100 + n,
                40 + usize::try_from(n * 7 % 90).unwrap_or(0),
            );
            // Eight of the largest fit, with all else gone; who reads keeps nothing here.
            fill(store, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let failed = std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..THREADS)
            .map(|it| scope.spawn(move || run(it)))
            .collect();
        let mut ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.find_map(|ended| ended.unwrap_or(Ok(())).err())
    });
    ensure(failed.is_none(), &failed.unwrap_or_default())?;
    let usage = store.usage();
    ensure(
        usage.reserved_bytes + usage.fills_bytes == 0,
        "a fill is left",
    )?;
    let evicted = usage.evicted.of(Reason::Cap);
    ensure(evicted.count + usage.content_count == 160, "miscounted")
}
