//! What is learnt goes to disk behind whoever waits for it.

#![allow(clippy::unwrap_used)]

use std::sync::Barrier;

use super::DiskStore;
use crate::store::conformance::learnt::tag;
use crate::store::{Catalog, Fact, Limits, StoreError, StoreErrorKind};

#[test]
fn what_was_learnt_is_there_after_it_was_written_down_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DiskStore::open(folder.path(), Limits::default()).unwrap();
    let (early, late) = (tag("early", 1).unwrap(), tag("late", 1).unwrap());
    let store = open();
    store.learn(&early.facts());
    store.write_down().unwrap();
    store.learn(&late.facts());
    store.learn(&[Fact::Public(late.key.origin.clone(), true)]);
    // As a kill would: nothing is written on the way out.
    drop(store);
    let store = open();
    assert_eq!(store.record(&early.key).unwrap(), Some(early.record));
    assert!(store.linked(&early.link).unwrap());
    assert_eq!(store.record(&late.key).unwrap(), None);
    assert!(!store.linked(&late.link).unwrap());
    assert!(!store.is_public(&late.key.origin).unwrap());
}

#[test]
fn many_who_learn_at_once_share_their_commits() {
    const THREADS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let tags: Vec<_> = (0..THREADS)
        .map(|nth| tag(&format!("t{nth}"), 1).unwrap())
        .collect();
    let together = Barrier::new(THREADS);
    let before = store.catalog.commits();
    std::thread::scope(|scope| {
        for tag in &tags {
            let (store, together) = (&store, &together);
            scope.spawn(move || {
                store.learn(&tag.facts());
                together.wait();
                store.write_down().unwrap();
            });
        }
    });
    // All had learnt before anyone wrote.
    assert_eq!(store.catalog.commits() - before, 1);
    drop(store);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    for tag in tags {
        assert_eq!(store.record(&tag.key).unwrap(), Some(tag.record));
        assert!(store.linked(&tag.link).unwrap());
    }
}

/// What the tables have is not written again.
#[test]
fn what_is_known_costs_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let known = tag("known", 1).unwrap();
    let public = Fact::Public(known.key.origin.clone(), true);
    store.learn(&known.facts());
    store.learn(std::slice::from_ref(&public));
    store.write_down().unwrap();
    drop(store);
    // The second time nothing is in memory either.
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let never = tag("never", 1).unwrap();
    let before = store.catalog.commits();
    for _ in 0..2 {
        store.learn(&known.facts());
        store.learn(std::slice::from_ref(&public));
        store.learn(&never.end());
        store.write_down().unwrap();
    }
    assert_eq!(store.catalog.commits(), before);
    store.learn(&known.end());
    store.learn(&known.facts());
    assert!(store.linked(&known.link).unwrap());
    store.write_down().unwrap();
    drop(store);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert!(store.linked(&known.link).unwrap());
    assert!(store.is_public(&known.key.origin).unwrap());
}

/// Invariant 9: what upstream said it has no more is not given out on the word of before, also where that word cannot
/// be taken off the disk.
#[test]
fn what_is_so_no_more_is_so_no_more_on_a_disk_that_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let gone = tag("gone", 1).unwrap();
    let origin = &gone.key.origin;
    store.learn(&gone.facts());
    store.learn(&[Fact::Public(origin.clone(), true)]);
    store.write_down().unwrap();
    store.learn(&gone.end());
    store.learn(&[Fact::Public(origin.clone(), false)]);
    for _ in 0..2 {
        let broken = store.catalog.write_down_by(|_| Err(broken()));
        assert!(broken.is_err());
        assert_eq!(store.record(&gone.key).unwrap(), None);
        assert!(!store.linked(&gone.link).unwrap());
        assert!(!store.is_public(origin).unwrap());
        assert!(store.tags(origin, None, 9).unwrap().is_empty());
    }
    store.write_down().unwrap();
    drop(store);
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    assert_eq!(store.record(&gone.key).unwrap(), None);
    assert!(!store.linked(&gone.link).unwrap());
    assert!(!store.is_public(origin).unwrap());
}

fn broken() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "write", "the catalog", "broken")
}

/// Readers, and one who says yes and no in turn: after each no nobody finds a yes, whatever moment they looked in.
#[test]
fn no_reader_keeps_a_yes_over_a_no() {
    const TURNS: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path(), Limits::default()).unwrap();
    let tag = tag("turning", 1).unwrap();
    let (writing, turn) = (Barrier::new(4), Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    writing.wait();
                    for _ in 0..20 {
                        // Either is right now; what was seen must not stay.
                        store.linked(&tag.link).unwrap();
                        store.record(&tag.key).unwrap();
                    }
                    turn.wait();
                }
            });
        }
        for nth in 0..TURNS {
            let is_so = nth % 2 == 0;
            writing.wait();
            store.learn(&if is_so { tag.facts() } else { tag.end() });
            store.write_down().unwrap();
            turn.wait();
            assert_eq!(store.linked(&tag.link).unwrap(), is_so, "{nth}");
            assert_eq!(store.record(&tag.key).unwrap().is_some(), is_so, "{nth}");
        }
    });
}
