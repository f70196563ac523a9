//! Fills that stop before their end: what is remembered, what is taken up, what is dropped.

use std::error::Error;
use std::sync::Barrier;

use super::{Case, Outcome, ensure, origin, proof, read, refused};
use crate::oci::{ByteRange, Digest, RangeSet};
use crate::store::{Begun, Link, Progress, Role, Store, StoreErrorKind, Unfinished};

pub(super) const CASES: &[Case] = &[
    (
        "dropped_partial_leaves_nothing",
        dropped_partial_leaves_nothing,
    ),
    ("a_second_begin_starts_empty", a_second_begin_starts_empty),
    (
        "what_is_remembered_is_taken_up",
        what_is_remembered_is_taken_up,
    ),
    (
        "what_was_taken_up_stays_without_another_checkpoint",
        what_was_taken_up_stays,
    ),
    ("the_last_checkpoint_counts", the_last_checkpoint_counts),
    (
        "only_what_was_written_is_present",
        only_what_was_written_is_present,
    ),
    ("a_fill_in_use_is_listed", a_fill_in_use_is_listed),
    ("what_is_discarded_is_gone", what_is_discarded_is_gone),
    ("what_is_committed_is_no_fill", what_is_committed_is_no_fill),
    (
        "a_refused_commit_costs_nothing",
        a_refused_commit_costs_nothing,
    ),
    (
        "an_unfinished_fill_is_dropped",
        an_unfinished_fill_is_dropped,
    ),
    (
        "progress_of_something_else_is_refused",
        progress_of_something_else_is_refused,
    ),
    (
        "several_threads_write_at_once",
        several_threads_write_at_once,
    ),
];

/// Where [`leave`] leaves its hole.
const HOLE: ByteRange = ByteRange { start: 4, end: 8 };

fn set(runs: &[ByteRange]) -> RangeSet {
    runs.iter().copied().collect()
}

/// Progress of a fill of `bytes` with a hole at [`HOLE`].
fn progress(bytes: &[u8]) -> Result<Progress, Box<dyn Error>> {
    let size = bytes.len() as u64;
    Ok(Progress {
        link: Link {
            origin: origin("docker.io", "library/alpine")?,
            digest: Digest::sha256_of(bytes),
            role: Role::Blob,
        },
        size,
        present: set(&[
            ByteRange::new(0, HOLE.start),
            ByteRange::new(HOLE.end, size),
        ]),
        wanted: true,
    })
}

/// A fill of `bytes` that stops with a hole at [`HOLE`], remembered.
pub(super) fn leave(store: &dyn Store, bytes: &[u8]) -> Result<(Digest, Progress), Box<dyn Error>> {
    let progress = progress(bytes)?;
    let partial = store.begin(&progress.link.digest)?.partial;
    let mut holed = bytes.to_vec();
    holed[4..8].fill(0);
    partial.write_at(0, &holed)?;
    partial.checkpoint(&progress, false)?;
    Ok((progress.link.digest.clone(), progress))
}

fn listed(store: &dyn Store, digest: &Digest) -> Result<Option<Unfinished>, Box<dyn Error>> {
    let mut all = store.unfinished()?.into_iter();
    let ours = all.find(|fill| fill.progress.link.digest == *digest);
    if all.any(|fill| fill.progress.link.digest == *digest) {
        return Err("a fill is listed twice".into());
    }
    Ok(ours)
}

/// Nothing is left of a fill of `digest`, and a new one begins empty.
fn ensure_nothing_left(store: &dyn Store, digest: &Digest) -> Outcome {
    ensure(listed(store, digest)?.is_none(), "it is listed")?;
    let Begun { partial, progress } = store.begin(digest)?;
    ensure(progress.is_none(), "a new fill has progress")?;
    ensure(
        partial.source().read_at(0, &mut [0; 8])? == 0,
        "a new fill has bytes",
    )
}

fn dropped_partial_leaves_nothing(store: &dyn Store) -> Outcome {
    let digest = Digest::sha256_of(b"dropped partial leaves nothing");
    let partial = store.begin(&digest)?.partial;
    partial.write_at(0, b"half")?;
    drop(partial);
    ensure(store.open(&digest)?.is_none(), "a dropped fill is visible")?;
    ensure_nothing_left(store, &digest)
}

fn a_second_begin_starts_empty(store: &dyn Store) -> Outcome {
    let bytes = b"short";
    let proof = proof(bytes)?;
    let first = store.begin(proof.digest())?.partial;
    first.write_at(0, b"something much longer")?;
    drop(first);
    let second = store.begin(proof.digest())?.partial;
    second.write_at(0, bytes)?;
    let content = second.commit(&proof)?;
    ensure(
        content.size() == bytes.len() as u64,
        "the first fill's bytes came back",
    )
}

fn what_is_remembered_is_taken_up(store: &dyn Store) -> Outcome {
    let bytes = b"what is remembered is taken up";
    let (digest, left) = leave(store, bytes)?;
    ensure(
        store.open(&digest)?.is_none(),
        "unverified bytes are visible",
    )?;
    let fill = listed(store, &digest)?.ok_or("it is not listed")?;
    ensure(fill.progress == left, "another progress is listed")?;
    ensure(fill.bytes == left.present.len(), "its bytes are miscounted")?;
    // This century, and before the year 2128.
    ensure(
        (1_700_000_000..5_000_000_000).contains(&fill.touched),
        "it has no time in seconds",
    )?;
    let Begun { partial, progress } = store.begin(&digest)?;
    ensure(progress == Some(left), "another progress is taken up")?;
    let mut tail = [0; 22];
    partial.source().read_at(8, &mut tail)?;
    ensure(&tail == b"remembered is taken up", "the tail differs")?;
    partial.write_at(4, &bytes[4..8])?;
    let content = partial.commit(&proof(bytes)?)?;
    ensure(
        read(content.source(), bytes.len())? == bytes,
        "the whole differs",
    )
}

fn what_was_taken_up_stays(store: &dyn Store) -> Outcome {
    let (digest, left) = leave(store, b"what was taken up stays")?;
    for _ in 0..2 {
        let begun = store.begin(&digest)?;
        ensure(begun.progress.as_ref() == Some(&left), "progress was lost")?;
    }
    Ok(())
}

fn the_last_checkpoint_counts(store: &dyn Store) -> Outcome {
    for durable in [[false, true], [true, false], [true, true]] {
        let bytes = format!("the last checkpoint counts {durable:?}");
        let (digest, mut left) = leave(store, bytes.as_bytes())?;
        let partial = store.begin(&digest)?.partial;
        partial.checkpoint(&left, durable[0])?;
        left.present.insert(HOLE);
        left.wanted = false;
        left.link.origin = origin("docker.io", "library/busybox")?;
        partial.checkpoint(&left, durable[1])?;
        drop(partial);
        let begun = store.begin(&digest)?;
        ensure(begun.progress == Some(left), "an older one counts")?;
    }
    Ok(())
}

fn only_what_was_written_is_present(store: &dyn Store) -> Outcome {
    let mut progress = progress(b"only what was written is present")?;
    let digest = progress.link.digest.clone();
    let partial = store.begin(&digest)?.partial;
    partial.write_at(0, b"only what")?;
    partial.checkpoint(&progress, false)?;
    drop(partial);
    progress.present = set(&[ByteRange::new(0, 4), ByteRange::new(8, 9)]);
    let fill = listed(store, &digest)?.ok_or("it is not listed")?;
    ensure(fill.bytes == 5, "bytes that nobody wrote are counted")?;
    let begun = store.begin(&digest)?;
    ensure(begun.progress == Some(progress), "what is present differs")
}

fn a_fill_in_use_is_listed(store: &dyn Store) -> Outcome {
    let (digest, left) = leave(store, b"a fill in use is listed")?;
    let _partial = store.begin(&digest)?.partial;
    let fill = listed(store, &digest)?.ok_or("it is not listed")?;
    ensure(fill.progress == left, "another progress is listed")
}

fn what_is_discarded_is_gone(store: &dyn Store) -> Outcome {
    let bytes = b"what is discarded is gone";
    let (digest, left) = leave(store, bytes)?;
    let partial = store.begin(&digest)?.partial;
    let source = partial.source();
    partial.discard()?;
    ensure(
        &read(&source, bytes.len())?[8..] == b"discarded is gone",
        "a reader lost its bytes",
    )?;
    // What comes too late leaves nothing.
    partial.checkpoint(&left, true)?;
    partial.write_at(0, bytes)?;
    refused(partial.commit(&proof(bytes)?), "it was committed")?;
    partial.discard()?;
    ensure_nothing_left(store, &digest)?;
    // Nor does it take away what began afterwards.
    leave(store, bytes)?;
    drop(partial);
    ensure(
        listed(store, &digest)?.is_some(),
        "the next fill went with it",
    )
}

fn what_is_committed_is_no_fill(store: &dyn Store) -> Outcome {
    let bytes = b"what is committed is no fill";
    let (digest, left) = leave(store, bytes)?;
    let partial = store.begin(&digest)?.partial;
    partial.write_at(0, bytes)?;
    partial.checkpoint(&left, true)?;
    partial.commit(&proof(bytes)?)?;
    // What comes too late leaves nothing, and takes nothing away.
    partial.checkpoint(&left, true)?;
    partial.discard()?;
    drop(partial);
    ensure(store.open(&digest)?.is_some(), "the content is gone")?;
    ensure_nothing_left(store, &digest)
}

fn a_refused_commit_costs_nothing(store: &dyn Store) -> Outcome {
    let (digest, left) = leave(store, b"a refused commit costs nothing")?;
    let partial = store.begin(&digest)?.partial;
    refused(
        partial.commit(&proof(b"other bytes")?),
        "another digest's proof was taken",
    )?;
    drop(partial);
    let begun = store.begin(&digest)?;
    ensure(begun.progress == Some(left), "progress was lost")
}

fn an_unfinished_fill_is_dropped(store: &dyn Store) -> Outcome {
    let (digest, _) = leave(store, b"an unfinished fill is dropped")?;
    let (other, _) = leave(store, b"another unfinished fill stays")?;
    store.drop_unfinished(&digest)?;
    ensure_nothing_left(store, &digest)?;
    ensure(listed(store, &other)?.is_some(), "another one is gone")?;
    store.drop_unfinished(&digest)?;
    store.drop_unfinished(&"blake9:abcdef0123456789abcdef0123456789".parse()?)?;
    Ok(())
}

fn progress_of_something_else_is_refused(store: &dyn Store) -> Outcome {
    let (digest, left) = leave(store, b"progress of something else is refused")?;
    let other = progress(b"something else")?;
    let mut too_long = left.clone();
    too_long.present.insert(ByteRange::new(0, left.size + 1));
    let partial = store.begin(&digest)?.partial;
    for wrong in [other, too_long] {
        match partial.checkpoint(&wrong, false) {
            Err(error) if error.kind() == StoreErrorKind::Misuse => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Err("it was taken".into()),
        }
    }
    drop(partial);
    let begun = store.begin(&digest)?;
    ensure(begun.progress == Some(left), "progress was lost")
}

fn several_threads_write_at_once(store: &dyn Store) -> Outcome {
    const THREADS: u8 = 4;
    const PIECES: u64 = 4;
    let width = 4096;
    let bytes: Vec<u8> = (0..THREADS)
        .flat_map(|thread| vec![thread; width * 4])
        .collect();
    let proof = proof(&bytes)?;
    let partial = store.begin(proof.digest())?.partial;
    let together = Barrier::new(usize::from(THREADS));
    let written: Result<Vec<()>, _> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (partial, together) = (&partial, &together);
                scope.spawn(move || {
                    together.wait();
                    (0..PIECES).try_for_each(|piece| {
                        let at = u64::from(thread) * PIECES + piece;
                        partial.write_at(at * width as u64, &vec![thread; width])
                    })
                })
            })
            .collect();
        let ended = writers.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or(Ok(()))).collect()
    });
    written?;
    let content = partial.commit(&proof)?;
    ensure(
        read(content.source(), bytes.len())? == bytes,
        "bytes were lost",
    )
}
